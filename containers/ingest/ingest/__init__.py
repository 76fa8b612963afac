"""Ingest: from sources to recordings and documents that are licensed, readable and not a machine's."""
