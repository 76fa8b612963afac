output "root" {
  description = "SPEECHMILL_ROOT."
  value       = "gs://${google_storage_bucket.warehouse.name}/warehouse"
}

output "logs" {
  description = "Where Airflow keeps its logs."
  value       = "gs://${google_storage_bucket.logs.name}/airflow"
}

output "registry" {
  description = "make images PUSH=…"
  value       = "${var.region}-docker.pkg.dev/${var.project}/${google_artifact_registry_repository.images.name}"
}

output "database" {
  description = "The database's private address."
  value       = google_sql_database_instance.airflow.private_ip_address
}

output "dataproc" {
  description = "SPEECHMILL_DATAPROC, with spark = true."
  value       = var.spark ? "${var.project}/${var.region}/${google_compute_subnetwork.spark[0].name}" : ""
}
