"""The stores that the storage tests run on, each empty: a folder, the public emulator, and a strict server of our own."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gcs_server import Cloud, serve

from stagekit import storage
from stagekit.gcs import GcsStorage
from stagekit.storage import LocalStorage, Storage

BUCKET = "speech"


@dataclass
class Place:
    """A store, and a folder of it that nobody else uses."""

    store: Storage
    scheme: str
    folder: str
    cloud: Cloud | None = None

    def path(self, name: str) -> str:
        return f"{self.folder}/{name}"

    def uri(self, name: str) -> str:
        return f"{self.scheme}://{self.folder}/{name}"


@contextmanager
def emulator() -> Iterator[str]:
    """gcp-storage-emulator on a free port; its address."""
    from gcp_storage_emulator.server import create_server

    server = create_server("127.0.0.1", 0, in_memory=True, default_bucket=BUCKET)
    server.start()
    try:
        yield f"http://127.0.0.1:{server._api._httpd.server_address[1]}"
    finally:
        server.stop()


@contextmanager
def place(kind: str, tmp_path: Path, patience_s: float = 10.0) -> Iterator[Place]:
    """A place of a kind: file, emulator or server; ``gs://`` leads there until the block ends."""
    if kind == "file":
        yield Place(LocalStorage(), "file", str(tmp_path / "store"))
        return
    with emulator() if kind == "emulator" else serve() as running:
        url = running if isinstance(running, str) else running.url
        before = os.environ.get("STORAGE_EMULATOR_HOST")
        os.environ["STORAGE_EMULATOR_HOST"] = url
        store = GcsStorage(patience_s=patience_s, wait_s=0.05)
        storage.STORES["gs"] = store
        try:
            yield Place(store, "gs", f"{BUCKET}/{uuid.uuid4().hex}", running if isinstance(running, Cloud) else None)
        finally:
            storage.STORES.pop("gs", None)
            if before is None:
                del os.environ["STORAGE_EMULATOR_HOST"]
            else:
                os.environ["STORAGE_EMULATOR_HOST"] = before
