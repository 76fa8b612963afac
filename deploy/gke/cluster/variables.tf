variable "project" {
  description = "Project id."
  type        = string
}

variable "region" {
  description = "As in ../cloud."
  type        = string
  default     = "europe-west4"
}

variable "name" {
  description = "As in ../cloud."
  type        = string
  default     = "speechmill"
}

variable "gpu_slots" {
  description = "T4s at once: t4_nodes of ../cloud, and the slots of gpu_t4 in config/pools.json."
  type        = number
  default     = 8
}

variable "secrets_version" {
  description = "Raise it, and all secrets are drawn anew (docs/runbook.md, Rotate)."
  type        = number
  default     = 1
}

variable "images_lock" {
  description = "Which image is which, by the registry's digest: what make images PUSH=… wrote."
  type        = string
  default     = "../../../containers/images.lock.yaml"
}
