# Two namespaces: Airflow's, and the stages', in which Airflow may make pods and which may do nothing to Airflow.

resource "kubernetes_namespace_v1" "stages" {
  metadata {
    name = "speechmill"
    labels = {
      "pod-security.kubernetes.io/enforce" = "restricted"
    }
  }
}

resource "kubernetes_namespace_v1" "airflow" {
  metadata {
    name = "airflow"
    labels = {
      "pod-security.kubernetes.io/enforce" = "baseline"
      "pod-security.kubernetes.io/warn"    = "restricted"
    }
  }
}

# The stages' identity. Its rights on the bucket are in ../cloud/identity.tf; in the cluster it has none, not even a token.
resource "kubernetes_service_account_v1" "stage" {
  metadata {
    name      = "speechmill-stage"
    namespace = kubernetes_namespace_v1.stages.metadata[0].name
  }
  automount_service_account_token = false
}

# What Airflow's workers (the scheduler, with LocalExecutor) and its triggerer may do in the stages' namespace.
resource "kubernetes_role_v1" "launcher" {
  metadata {
    name      = "pod-launcher"
    namespace = kubernetes_namespace_v1.stages.metadata[0].name
  }
  rule {
    api_groups = [""]
    resources  = ["pods"]
    verbs      = ["create", "delete", "get", "list", "patch", "watch"]
  }
  rule {
    api_groups = [""]
    resources  = ["pods/log"]
    verbs      = ["get"]
  }
  rule {
    api_groups = [""]
    resources  = ["events"]
    verbs      = ["get", "list", "watch"]
  }
}

resource "kubernetes_role_binding_v1" "launcher" {
  metadata {
    name      = "pod-launcher"
    namespace = kubernetes_namespace_v1.stages.metadata[0].name
  }
  role_ref {
    api_group = "rbac.authorization.k8s.io"
    kind      = "Role"
    name      = kubernetes_role_v1.launcher.metadata[0].name
  }
  subject {
    kind      = "ServiceAccount"
    name      = "airflow-scheduler"
    namespace = kubernetes_namespace_v1.airflow.metadata[0].name
  }
  subject {
    kind      = "ServiceAccount"
    name      = "airflow-triggerer"
    namespace = kubernetes_namespace_v1.airflow.metadata[0].name
  }
}

# A bound on what a mistake costs. A DAG that maps over a thousand shards waits here; Kubernetes answers 403 for a pod that is over
# it, and the task is tried again.
resource "kubernetes_resource_quota_v1" "stages" {
  metadata {
    name      = "stages"
    namespace = kubernetes_namespace_v1.stages.metadata[0].name
  }
  spec {
    hard = {
      "pods"                       = "64"
      "requests.cpu"               = "128"
      "requests.memory"            = "512Gi"
      "requests.ephemeral-storage" = "4Ti"
      "requests.nvidia.com/gpu"    = tostring(var.gpu_slots)
      "services"                   = "0"
      "persistentvolumeclaims"     = "2" # disks of bulk pods, which go with them: as many as there are large nodes
      "requests.storage"           = "2000Gi"
    }
  }
}

# Which image is which; mounted into Airflow's pods (values.yaml).
resource "kubernetes_config_map_v1" "images" {
  metadata {
    name      = "images-lock"
    namespace = kubernetes_namespace_v1.airflow.metadata[0].name
  }
  data = {
    "images.lock.yaml" = file(var.images_lock)
  }
}
