"""Ingest: sources, rights, captions and text. What comes out is what alignment can trust to be licensed, human-written and readable."""
