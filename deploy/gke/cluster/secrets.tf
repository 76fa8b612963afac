# Secrets are drawn here and handed on, and are in no state, plan or file: ephemeral values into write-only arguments.
# A higher secrets_version draws them all anew.

ephemeral "random_password" "database" {
  length  = 40
  special = false
}

ephemeral "random_password" "jwt" {
  length  = 64
  special = false
}

ephemeral "random_password" "fernet" {
  length  = 32 # Fernet takes 32 bytes in URL-safe base64
  special = false
}

ephemeral "random_password" "api" {
  length  = 32
  special = false
}

ephemeral "random_password" "admin" {
  length  = 20
  special = false
}

resource "google_sql_user" "airflow" {
  name                = "airflow"
  instance            = data.google_sql_database_instance.airflow.name
  password_wo         = ephemeral.random_password.database.result
  password_wo_version = var.secrets_version
}

resource "kubernetes_secret_v1" "airflow" {
  metadata {
    name      = "airflow-secrets"
    namespace = kubernetes_namespace_v1.airflow.metadata[0].name
  }
  data_wo = {
    "connection"     = "postgresql://airflow:${ephemeral.random_password.database.result}@${data.google_sql_database_instance.airflow.private_ip_address}/airflow?sslmode=require"
    "jwt-secret"     = ephemeral.random_password.jwt.result
    "fernet-key"     = replace(replace(base64encode(ephemeral.random_password.fernet.result), "+", "-"), "/", "_")
    "api-secret-key" = ephemeral.random_password.api.result
    "password.json"  = jsonencode({ admin = ephemeral.random_password.admin.result })
  }
  data_wo_revision = var.secrets_version
}
