"""The few things that Airflow's side asks of storage: is it there, what does it say, which are there. ``file://`` and ``gs://``.

Stages have ``stagekit.storage``; Airflow's environment is not theirs. Google's client is imported only where a root is on
``gs://``: importing it costs seconds, and this module is imported by each parse of each DAG file.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

SCHEMES = ("file", "gs")


def local(uri: str) -> Path:
    """The path of a ``file://`` URI.

    Raises:
        ValueError: another scheme.
    """
    if not uri.startswith("file://"):
        raise ValueError(f"{uri}: not a local path; expected file://")
    return Path(unquote(urlsplit(uri.replace("#", "%23").replace("?", "%3F")).path))


def exists(uri: str) -> bool:
    """Whether an object is there."""
    if uri.startswith("gs://"):
        return bool(_blob(uri).exists())
    return local(uri).is_file()


def read_bytes(uri: str) -> bytes:
    """An object.

    Raises:
        FileNotFoundError: it is not there.
    """
    if not uri.startswith("gs://"):
        return local(uri).read_bytes()
    from google.api_core.exceptions import NotFound

    try:
        return bytes(_blob(uri).download_as_bytes())
    except NotFound:
        raise FileNotFoundError(uri) from None


def read_json(uri: str) -> Any:
    """An object's JSON value.

    Raises:
        FileNotFoundError: it is not there.
    """
    return json.loads(read_bytes(uri))


def children(uri: str, name: str) -> list[str]:
    """Names of the folders right below a folder that hold an object ``name``, sorted."""
    if not uri.startswith("gs://"):
        return sorted(path.parent.name for path in local(uri).glob(f"*/{name}"))
    bucket, prefix = _split(uri)
    pages = _client().list_blobs(bucket, prefix=f"{prefix}/", delimiter="/")
    list(pages)  # prefixes are known once the pages have been read
    folders = sorted(p.rstrip("/").rpartition("/")[2] for p in pages.prefixes)
    return [folder for folder in folders if exists(f"{uri}/{folder}/{name}")]


def below(uri: str) -> Iterator[str]:
    """URIs of all objects below a folder, sorted; hidden ones are none."""
    if not uri.startswith("gs://"):
        root = local(uri)
        names = sorted(f.relative_to(root) for f in root.rglob("*") if f.is_file())
        yield from (f"{uri}/{name.as_posix()}" for name in names if not any(part.startswith(".") for part in name.parts))
        return
    bucket, prefix = _split(uri)
    for blob in _client().list_blobs(bucket, prefix=f"{prefix}/"):
        yield f"gs://{bucket}/{blob.name}"


def mirror(uri: str, folders: Iterable[str], suffixes: Iterable[str]) -> Path:
    """A local folder with what a root's folders hold: the root itself, or an up-to-date copy of the small files of ``gs://``.

    Args:
        uri: storage root.
        folders: folders of it.
        suffixes: file name suffixes that are copied; others are not (audio, shards).
    """
    if not uri.startswith("gs://"):
        return local(uri)
    bucket, prefix = _split(uri)
    root = Path(tempfile.gettempdir(), f"speechmill-mirror-{os.getuid()}", *Path(prefix or ".").parts)
    wanted = tuple(suffixes)
    there: set[Path] = set()
    for folder in folders:
        start = "/".join(filter(None, (prefix, folder)))
        for blob in _client().list_blobs(bucket, prefix=f"{start}/"):
            path = root / blob.name.removeprefix(f"{prefix}/" if prefix else "")
            if not blob.name.endswith(wanted) or ".." in path.parts:
                continue
            there.add(path)
            if path.exists() and path.stat().st_size == blob.size and path.stat().st_mtime == blob.updated.timestamp():
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f".{path.name}.{os.getpid()}")
            blob.download_to_filename(str(part))
            os.utime(part, (blob.updated.timestamp(),) * 2)
            part.replace(path)
        for gone in {f for f in (root / folder).rglob("*") if f.is_file()} - there:
            gone.unlink(missing_ok=True)
    return root


@cache
def _client() -> Any:
    """Application default credentials (Workload Identity on a cluster); none for the emulator of STORAGE_EMULATOR_HOST."""
    from google.cloud import storage  # type: ignore[attr-defined]

    return storage.Client(project=os.environ.get("GOOGLE_CLOUD_PROJECT") or "speechmill")


def _split(uri: str) -> tuple[str, str]:
    bucket, _, name = uri.removeprefix("gs://").partition("/")
    return bucket, name.rstrip("/")


def _blob(uri: str) -> Any:
    bucket, name = _split(uri)
    return _client().bucket(bucket).blob(name)
