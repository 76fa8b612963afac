variable "project" {
  description = "Project id."
  type        = string
}

variable "region" {
  description = "Region of everything. One that has T4s: europe-west4, us-central1, asia-east1, …"
  type        = string
  default     = "europe-west4"
}

variable "zones" {
  description = "Zones of the node pools. Several: spot capacity differs between them. All must have T4s."
  type        = list(string)
  default     = ["europe-west4-a", "europe-west4-b", "europe-west4-c"]
}

variable "name" {
  description = "Prefix of every name."
  type        = string
  default     = "speechmill"
}

variable "bucket" {
  description = "Name of the bucket that holds the warehouse; one name in all of Cloud Storage."
  type        = string
}

variable "readers" {
  description = "Who may read releases, such as group:speech@example.org."
  type        = list(string)
  default     = []
}

variable "t4_nodes" {
  description = "Most T4s at once: the region's quota (NVIDIA_T4_GPUS, preemptible ones have one of their own), and the slots of gpu_t4 in config/pools.json."
  type        = number
  default     = 8
}

variable "cpu_nodes" {
  description = "Most nodes of the CPU pool."
  type        = number
  default     = 10
}

variable "large_nodes" {
  description = "Most high-memory nodes: dedup, collect, split and package are one task each."
  type        = number
  default     = 2
}

variable "spark" {
  description = "Whether releases find text duplicates on Spark (Dataproc Serverless): for a corpus that has outgrown the large nodes' memory."
  type        = bool
  default     = false
}
