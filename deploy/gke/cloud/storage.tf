# The warehouse. Nothing of it is public: a release is given away by whoever decides to, from here.
resource "google_storage_bucket" "warehouse" {
  name                        = var.bucket
  location                    = var.region
  storage_class               = "STANDARD"
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = false

  # What somebody deletes by mistake can be had back for four weeks. No versioning: objects never change once they are there,
  # and the one that does (latest.json) says nothing that the releases' folders do not.
  soft_delete_policy {
    retention_duration_seconds = 2419200
  }
  # A release's own stages are only needed until it is published, and a quarter longer to look at.
  lifecycle_rule {
    condition {
      age            = 120
      matches_prefix = ["warehouse/work/", "warehouse/runs/"]
    }
    action {
      type = "Delete"
    }
  }
  # Raw audio is read again when a stage changes: seldom.
  lifecycle_rule {
    condition {
      age            = 90
      matches_prefix = ["warehouse/recordings/"]
    }
    action {
      type          = "SetStorageClass"
      storage_class = "NEARLINE"
    }
  }
  lifecycle_rule {
    condition {
      age = 7
    }
    action {
      type = "AbortIncompleteMultipartUpload"
    }
  }
}

resource "google_storage_bucket" "logs" {
  name                        = "${var.bucket}-logs"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  lifecycle_rule {
    condition {
      age = 180
    }
    action {
      type = "Delete"
    }
  }
}

# Images. A tag cannot be moved; pods name digests anyway.
resource "google_artifact_registry_repository" "images" {
  repository_id = var.name
  location      = var.region
  format        = "DOCKER"

  docker_config {
    immutable_tags = true
  }
}
