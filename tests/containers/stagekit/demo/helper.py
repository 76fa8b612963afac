"""Imported by one stage only."""

LIMIT = 1.0
