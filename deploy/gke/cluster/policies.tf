# Stages talk to nobody but: names, the identity of their node's metadata server, Google's APIs by their private address
# (../cloud/network.tf), and, for the stages that download, the internet without what is ours.

resource "kubernetes_network_policy_v1" "deny" {
  metadata {
    name      = "deny-all"
    namespace = kubernetes_namespace_v1.stages.metadata[0].name
  }
  spec {
    pod_selector {}
    policy_types = ["Ingress", "Egress"]
  }
}

resource "kubernetes_network_policy_v1" "stages" {
  metadata {
    name      = "stages"
    namespace = kubernetes_namespace_v1.stages.metadata[0].name
  }
  spec {
    pod_selector {
      match_labels = {
        "app.kubernetes.io/name" = "speechmill"
      }
    }
    policy_types = ["Egress"]

    # Names.
    egress {
      to {
        namespace_selector {
          match_labels = {
            "kubernetes.io/metadata.name" = "kube-system"
          }
        }
        pod_selector {
          match_labels = {
            "k8s-app" = "kube-dns"
          }
        }
      }
      ports {
        port     = "53"
        protocol = "UDP"
      }
      ports {
        port     = "53"
        protocol = "TCP"
      }
    }
    # Workload Identity's metadata server, as Dataplane V2 sees it.
    egress {
      to {
        ip_block {
          cidr = "169.254.169.254/32"
        }
      }
      ports {
        port     = "80"
        protocol = "TCP"
      }
    }
    # private.googleapis.com: Cloud Storage.
    egress {
      to {
        ip_block {
          cidr = "199.36.153.8/30"
        }
      }
      ports {
        port     = "443"
        protocol = "TCP"
      }
    }
  }
}

# discover and fetch read sources on the internet: what is not ours, by HTTP and HTTPS.
resource "kubernetes_network_policy_v1" "sources" {
  metadata {
    name      = "sources"
    namespace = kubernetes_namespace_v1.stages.metadata[0].name
  }
  spec {
    pod_selector {
      match_expressions {
        key      = "app.kubernetes.io/component"
        operator = "In"
        values   = ["ingest-discover", "ingest-fetch"]
      }
    }
    policy_types = ["Egress"]

    egress {
      to {
        ip_block {
          cidr   = "0.0.0.0/0"
          except = ["10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"]
        }
      }
      ports {
        port     = "443"
        protocol = "TCP"
      }
      ports {
        port     = "80"
        protocol = "TCP"
      }
    }
  }
}
