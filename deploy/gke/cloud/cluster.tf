# Standard, not Autopilot: spot T4s by a pool of their own, with a number that is the quota's.
resource "google_container_cluster" "this" {
  name       = var.name
  location   = var.region
  network    = google_compute_network.this.id
  subnetwork = google_compute_subnetwork.nodes.id

  remove_default_node_pool = true
  initial_node_count       = 1
  deletion_protection      = true
  datapath_provider        = "ADVANCED_DATAPATH" # enforces network policies

  release_channel {
    channel = "REGULAR"
  }
  maintenance_policy {
    # Not on the first days of a month, when the harvests run; nodes are upgraded on weekends.
    recurring_window {
      start_time = "2026-01-10T08:00:00Z"
      end_time   = "2026-01-10T20:00:00Z"
      recurrence = "FREQ=MONTHLY;BYDAY=2SA,3SA,4SA"
    }
  }

  workload_identity_config {
    workload_pool = "${var.project}.svc.id.goog"
  }
  private_cluster_config {
    enable_private_nodes    = true
    enable_private_endpoint = true
  }
  # The control plane is reached by name, with IAM's leave (container.clusters.connect); it has no public address.
  control_plane_endpoints_config {
    dns_endpoint_config {
      allow_external_traffic = true
    }
  }
  ip_allocation_policy {
    cluster_secondary_range_name  = "pods"
    services_secondary_range_name = "services"
  }
  cluster_autoscaling {
    enabled             = false                  # no pools that nobody wrote down
    autoscaling_profile = "OPTIMIZE_UTILIZATION" # empty nodes go within minutes: an idle T4 costs as much as a busy one
  }
  logging_config {
    enable_components = ["SYSTEM_COMPONENTS", "WORKLOADS"]
  }
  monitoring_config {
    enable_components = ["SYSTEM_COMPONENTS", "POD"]
    managed_prometheus {
      enabled = true
    }
  }
  binary_authorization {
    evaluation_mode = "PROJECT_SINGLETON_POLICY_ENFORCE"
  }
}

# Airflow itself, and what Kubernetes needs. Never spot: a scheduler that comes and goes costs every run a little.
resource "google_container_node_pool" "system" {
  name           = "system"
  cluster        = google_container_cluster.this.id
  node_locations = var.zones

  autoscaling {
    total_min_node_count = 1
    total_max_node_count = 4
  }
  node_config {
    machine_type    = "e2-standard-4" # scheduler 2 GiB, API server 2, triggerer 1, DAG processor 1, and the system's own
    disk_size_gb    = 100             # Airflow's image is 2.3 GB
    disk_type       = "pd-balanced"
    service_account = google_service_account.nodes.email
    oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"] # bounded by the account's roles
    labels          = { "speechmill/pool" = "system" }

    shielded_instance_config {
      enable_secure_boot = true
    }
    workload_metadata_config {
      mode = "GKE_METADATA"
    }
  }
}

# Profiles small and cpu of operators/profiles.py.
resource "google_container_node_pool" "cpu" {
  name           = "cpu"
  cluster        = google_container_cluster.this.id
  node_locations = var.zones

  autoscaling {
    total_min_node_count = 0
    total_max_node_count = var.cpu_nodes
    location_policy      = "ANY"
  }
  node_config {
    machine_type    = "n2-standard-8" # one cpu pod (4 cores, 15 GiB) and three small ones
    disk_size_gb    = 200             # GKE leaves 97 GiB of it to pods: one cpu pod (50) and four small ones (10)
    disk_type       = "pd-balanced"
    service_account = google_service_account.nodes.email
    oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"]
    labels          = { "speechmill/pool" = "cpu" }

    shielded_instance_config {
      enable_secure_boot = true
    }
    workload_metadata_config {
      mode = "GKE_METADATA"
    }
  }
}

# Profile large: a corpus's table as a whole. Profile bulk: the same, with a disk of its own.
resource "google_container_node_pool" "large" {
  name           = "large"
  cluster        = google_container_cluster.this.id
  node_locations = var.zones

  autoscaling {
    total_min_node_count = 0
    total_max_node_count = var.large_nodes
    location_policy      = "ANY"
  }
  node_config {
    machine_type    = "n2-highmem-8"
    disk_size_gb    = 400 # GKE leaves 235 GiB of it to pods; the profile asks for 200
    disk_type       = "pd-balanced"
    service_account = google_service_account.nodes.email
    oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"]
    labels          = { "speechmill/pool" = "large" }

    shielded_instance_config {
      enable_secure_boot = true
    }
    workload_metadata_config {
      mode = "GKE_METADATA"
    }
  }
}

# Profile t4. Spot: a third of the price, and taken away at 30 s notice; a retry goes on where the stage's inputs are.
resource "google_container_node_pool" "t4" {
  name           = "t4-spot"
  cluster        = google_container_cluster.this.id
  node_locations = var.zones

  autoscaling {
    total_min_node_count = 0
    total_max_node_count = var.t4_nodes
    location_policy      = "ANY" # wherever there are T4s now
  }
  node_config {
    machine_type    = "n1-standard-8"
    spot            = true
    disk_size_gb    = 200
    disk_type       = "pd-balanced"
    service_account = google_service_account.nodes.email
    oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"]
    labels          = { "speechmill/pool" = "t4-spot" }

    guest_accelerator {
      type  = "nvidia-tesla-t4"
      count = 1
      gpu_driver_installation_config {
        gpu_driver_version = "DEFAULT"
      }
    }
    # GKE adds nvidia.com/gpu=present:NoSchedule by itself, and labels spot nodes, but does not taint them.
    taint {
      key    = "cloud.google.com/gke-spot"
      value  = "true"
      effect = "NO_SCHEDULE"
    }
    workload_metadata_config {
      mode = "GKE_METADATA"
    }
  }
}
