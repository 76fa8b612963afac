# Spark for the text duplicates of a corpus that has outgrown one process: batches of Dataproc Serverless, none of it kept running.
# Made only where it is asked for (spark = true); then SPEECHMILL_DATAPROC is the output `dataproc`.

# Executors talk to each other on any port, and to nobody else: a subnetwork of their own.
resource "google_compute_subnetwork" "spark" {
  count                    = var.spark ? 1 : 0
  name                     = "${var.name}-spark"
  network                  = google_compute_network.this.id
  region                   = var.region
  ip_cidr_range            = "10.10.16.0/24"
  private_ip_google_access = true
}

resource "google_compute_firewall" "spark" {
  count              = var.spark ? 1 : 0
  name               = "${var.name}-spark"
  network            = google_compute_network.this.id
  source_ranges      = [google_compute_subnetwork.spark[0].ip_cidr_range]
  destination_ranges = [google_compute_subnetwork.spark[0].ip_cidr_range]

  allow {
    protocol = "all"
  }
}

# Whose rights a batch has: to be a worker, and the warehouse.
resource "google_service_account" "spark" {
  count        = var.spark ? 1 : 0
  account_id   = "${var.name}-spark"
  display_name = "Speechmill: Spark"
}

resource "google_project_iam_member" "spark" {
  count   = var.spark ? 1 : 0
  project = var.project
  role    = "roles/dataproc.worker"
  member  = "serviceAccount:${google_service_account.spark[0].email}"
}

resource "google_storage_bucket_iam_member" "spark" {
  count  = var.spark ? 1 : 0
  bucket = google_storage_bucket.warehouse.name
  role   = "roles/storage.objectUser"
  member = "serviceAccount:${google_service_account.spark[0].email}"
}

# Airflow submits batches and asks how they are (there is no narrower place to say so than the project), as that account only.
resource "google_project_iam_member" "batches" {
  for_each = toset(var.spark ? local.writers : [])
  project  = var.project
  role     = "roles/dataproc.serverlessEditor"
  member   = each.key
}

resource "google_service_account_iam_member" "spark" {
  for_each           = toset(var.spark ? local.writers : [])
  service_account_id = google_service_account.spark[0].name
  role               = "roles/iam.serviceAccountUser"
  member             = each.key
}
