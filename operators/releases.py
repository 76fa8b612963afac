"""Which releases there are, and which one a new one follows."""

from __future__ import annotations

import re

from operators import keys, objects, paths


def published(root: str, dataset: str, language: str) -> list[str]:
    """Published versions, oldest first: those with a ``release.json``."""
    versions = objects.children(paths.releases(root, dataset, language), "release.json")
    return sorted((v for v in versions if re.fullmatch(keys.VERSION_PATTERN, v)), key=keys.version_order)


def sealed_folders(root: str, dataset: str, language: str, stage: str, before: str) -> list[str]:
    """Folders of a stage (``<image>.<stage>``) in the batches sealed for months before one, oldest month first."""
    found = []
    for key in sorted(objects.children(paths.batches(root, dataset, language), "batch.json")):
        if re.fullmatch(keys.KEY, key) and key < before:
            seal = objects.read_json(paths.seal(root, dataset, language, key))
            folder = paths.batch(root, dataset, language, key)
            found += [e["path"] if "://" in e["path"] else f"{folder}/{e['path']}" for e in seal["stages"].get(stage, [])]
    return found


def parent_of(root: str, dataset: str, language: str, version: str) -> str:
    """The release that a version follows: the last one before it, or the one it names once it is published; empty: none."""
    own = f"{paths.release(root, dataset, language, version)}/release.json"
    if objects.exists(own):
        return str((objects.read_json(own)["parent"] or {}).get("version", ""))
    order = keys.version_order(version)
    return next((v for v in reversed(published(root, dataset, language)) if keys.version_order(v) < order), "")
