# Who may do what. Kubernetes' service accounts have their rights by Workload Identity; there is no key of anybody.
locals {
  pool     = "principal://iam.googleapis.com/projects/${data.google_project.this.number}/locations/global/workloadIdentityPools/${var.project}.svc.id.goog/subject"
  stage    = "${local.pool}/ns/speechmill/sa/speechmill-stage"
  airflow  = [for name in ["scheduler", "triggerer", "api-server", "dag-processor"] : "${local.pool}/ns/airflow/sa/airflow-${name}"]
  writers  = [for name in ["scheduler", "triggerer"] : "${local.pool}/ns/airflow/sa/airflow-${name}"]
}

data "google_project" "this" {}

# Stages read and write the warehouse. objectUser: no ACLs, no bucket settings.
resource "google_storage_bucket_iam_member" "stage" {
  bucket = google_storage_bucket.warehouse.name
  role   = "roles/storage.objectUser"
  member = local.stage
}

# Airflow reads seals, receipts and releases; it writes nothing there.
resource "google_storage_bucket_iam_member" "airflow" {
  for_each = toset(local.airflow)
  bucket   = google_storage_bucket.warehouse.name
  role     = "roles/storage.objectViewer"
  member   = each.key
}

resource "google_storage_bucket_iam_member" "logs" {
  for_each = toset(local.writers)
  bucket   = google_storage_bucket.logs.name
  role     = "roles/storage.objectUser"
  member   = each.key
}

resource "google_storage_bucket_iam_member" "logs_read" {
  bucket = google_storage_bucket.logs.name
  role   = "roles/storage.objectViewer"
  member = "${local.pool}/ns/airflow/sa/airflow-api-server"
}

resource "google_storage_bucket_iam_member" "readers" {
  for_each = toset(var.readers)
  bucket   = google_storage_bucket.warehouse.name
  role     = "roles/storage.objectViewer"
  member   = each.key

  condition {
    title      = "releases"
    expression = "resource.name.startsWith(\"projects/_/buckets/${var.bucket}/objects/warehouse/releases/\")"
  }
}

# Nodes: logs, metrics, and the images.
resource "google_service_account" "nodes" {
  account_id   = "${var.name}-nodes"
  display_name = "Speechmill: nodes"
}

resource "google_project_iam_member" "nodes" {
  project = var.project
  role    = "roles/container.defaultNodeServiceAccount"
  member  = "serviceAccount:${google_service_account.nodes.email}"
}

resource "google_artifact_registry_repository_iam_member" "nodes" {
  repository = google_artifact_registry_repository.images.name
  location   = var.region
  role       = "roles/artifactregistry.reader"
  member     = "serviceAccount:${google_service_account.nodes.email}"
}
