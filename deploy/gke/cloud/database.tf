# Airflow's metadata. Losing it loses the history of runs and no data; it is backed up all the same.
resource "google_sql_database_instance" "airflow" {
  name                = "${var.name}-airflow"
  database_version    = "POSTGRES_15"
  region              = var.region
  deletion_protection = true
  depends_on          = [google_service_networking_connection.services]

  settings {
    tier              = "db-custom-2-7680" # a scheduler and four hundred task instances at once are well below it
    edition           = "ENTERPRISE"
    availability_type = "ZONAL" # Airflow waits for a database that is away for minutes; a second one doubles the price
    disk_autoresize   = true

    ip_configuration {
      ipv4_enabled    = false
      private_network = google_compute_network.this.id
      ssl_mode        = "ENCRYPTED_ONLY"
    }
    backup_configuration {
      enabled                        = true
      point_in_time_recovery_enabled = true
    }
    maintenance_window {
      day  = 6 # Saturday
      hour = 10
    }
  }
}

resource "google_sql_database" "airflow" {
  name      = "airflow"
  instance  = google_sql_database_instance.airflow.name
  charset   = "UTF8"
  collation = "en_US.UTF8"
}
