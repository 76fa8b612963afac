terraform {
  required_version = ">= 1.11" # write-only arguments: no secret in the state
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 6.50"
    }
  }
}

provider "google" {
  project = var.project
  region  = var.region
}
