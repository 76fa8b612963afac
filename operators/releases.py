"""Which releases there are, and which one a new one follows."""

from __future__ import annotations

import re

from operators import keys, objects, paths


def published(root: str, dataset: str, language: str) -> list[str]:
    """Published versions, oldest first: those with a ``release.json``."""
    versions = objects.children(paths.releases(root, dataset, language), "release.json")
    return sorted((v for v in versions if re.fullmatch(keys.VERSION_PATTERN, v)), key=keys.version_order)


def sealed_folders(root: str, dataset: str, language: str, stage: str, before: str) -> list[str]:
    """Folders of a stage (``<image>.<stage>``) in the batches sealed for months before one, oldest month first.

    If that one is sealed itself: only those that its ``ingest.voices`` took as ``known``. A month before it that was sealed later
    changes nothing in it, so that its rerun finds all as it was.
    """
    place = root, dataset, language
    sealed = [k for k in sorted(objects.children(paths.batches(*place), "batch.json")) if re.fullmatch(keys.KEY, k)]
    found = [uri for key in sealed if key < before for uri in _folders(*place, key, stage)]
    made = [f"{uri}/_SUCCESS.json" for uri in _folders(*place, before, "ingest.voices")] if before in sealed else []
    if not made or not all(map(objects.exists, made)):
        return found
    taken = {_name(i["uri"]) for uri in made for i in objects.read_json(uri)["inputs"] if i["role"] == "known"}
    return [uri for uri in found if _name(uri) in taken]


def _folders(root: str, dataset: str, language: str, key: str, stage: str) -> list[str]:
    """A stage's folders in a sealed batch."""
    seal, folder = objects.read_json(paths.seal(root, dataset, language, key)), paths.batch(root, dataset, language, key)
    return [e["path"] if "://" in e["path"] else f"{folder}/{e['path']}" for e in seal["stages"].get(stage, [])]


def _name(uri: str) -> str:
    """The last part of a stage's folder: its fingerprint."""
    return uri.rpartition("/")[2]


def parent_of(root: str, dataset: str, language: str, version: str) -> str:
    """The release that a version follows: the last one before it, or the one it names once it is published; empty: none."""
    own = f"{paths.release(root, dataset, language, version)}/release.json"
    if objects.exists(own):
        return str((objects.read_json(own)["parent"] or {}).get("version", ""))
    order = keys.version_order(version)
    return next((v for v in reversed(published(root, dataset, language)) if keys.version_order(v) < order), "")
