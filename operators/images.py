"""Which bytes an image is: ``containers/images.lock.yaml``, written by ``make images``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

DIGEST = re.compile(r"\S+@sha256:[0-9a-f]{64}")
LOCAL_ID = re.compile(r"sha256:[0-9a-f]{64}")


class ImageLockError(FileNotFoundError):
    """The lock lacks what is asked for; the message says what to do."""


def _entry(lock: Path, image: str) -> dict[str, Any]:
    try:
        entries = (yaml.safe_load(lock.read_text(encoding="utf-8")) or {}).get("images", {})
    except FileNotFoundError:
        raise ImageLockError(f"{lock}: there is no lock of images: run `make images`") from None
    if image not in entries:
        raise ImageLockError(f"{lock}: image '{image}' is not in it: run `make images`")
    entry: dict[str, Any] = entries[image]
    return entry


def local_id(lock: Path, image: str) -> str:
    """The id of an image on this machine's engine, for the docker runner.

    Raises:
        ImageLockError: it has not been built.
    """
    found = str(_entry(lock, image).get("image") or "")
    if not LOCAL_ID.fullmatch(found):
        raise ImageLockError(f"{lock}: image '{image}' has no local id ('{found}'): run `make images`")
    return found


def digest(lock: Path, image: str) -> str:
    """``REGISTRY/NAME@sha256:…``, for pods. A tag is refused: it may be another image tomorrow.

    Raises:
        ImageLockError: it has not been pushed.
    """
    found = str(_entry(lock, image).get("digest") or "")
    if not DIGEST.fullmatch(found):
        raise ImageLockError(f"{lock}: image '{image}' has no digest of a registry ('{found}'): run `make images PUSH=REGISTRY`")
    return found
