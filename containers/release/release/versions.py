"""Versions and their order."""

from __future__ import annotations

VERSION = r"\d{4}\.(0[1-9]|1[0-2])(\.[1-9]\d*)?"
"""YYYY.MM of a monthly release, YYYY.MM.<patch> of one by hand."""


def version_order(version: str) -> tuple[int, ...]:
    """A sort key of versions.

    >>> version_order("2026.02") < version_order("2026.02.1") < version_order("2026.10")
    True
    """
    return tuple(int(p) for p in version.split("."))
