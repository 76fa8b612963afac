"""Google Cloud Storage behind ``gs://``: the same contract as the file system's, on a store that has no rename.

- An object is there whole or not at all: that is the store's own promise. A *folder* is finished when its marker
  (``_SUCCESS.json``, ``release.json``) is there: it is uploaded last, after a listing has shown that all else is as it should be.
- Nothing published is replaced: those writes carry ``ifGenerationMatch=0``. A write whose answer was lost is told from a rival's
  by a token in the object's metadata, so a retry knows whether it was itself.
- CRC32C is checked both ways: the store refuses an upload whose bytes are not those of the stated checksum, the checksum that it
  answers is compared with ours, and a download is compared with the object's.
- 408, 429, 5xx and broken connections are retried with growing waits for :data:`PATIENCE_S`; what is refused (403, expired
  credentials, no such bucket) is one clear line at once. Large files go up in pieces that a broken connection does not lose.

Credentials are Google's application default ones (Workload Identity on a cluster, ``gcloud auth application-default login`` on a
laptop); ``STORAGE_EMULATOR_HOST`` names an emulator, which takes none.
"""

from __future__ import annotations

import base64
import errno
import os
import shutil
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import google_crc32c
import requests
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.cloud import storage
from google.cloud.storage import transfer_manager
from google.cloud.storage.exceptions import DataCorruption
from google.cloud.storage.retry import DEFAULT_RETRY

from stagekit.errors import StageError, UnavailableError

PATIENCE_S = 300.0
"""Seconds of retries per call (``SPEECHMILL_STORAGE_PATIENCE_S``). The store's bad minutes are over by then; what lasts longer is
left to the task's retry."""
ATTEMPTS = 3
"""Of a transfer whose checksum was wrong, or whose upload session was lost: a second time is bad luck, a third is a fault."""
TRANSFERS = 8
"""Files of a folder that are uploaded at once: enough to hide the latency of small ones, few enough for a pod's memory."""
PIECE = 16 << 20
"""Bytes sent in one request of a resumable upload: what is in memory per transfer, and what a broken connection costs."""
PARALLEL_FROM = 64 << 20
"""Downloads from this size are fetched in ranges at once."""
RANGES = 4
RESERVE = 256 << 20
"""Bytes that a download leaves free on the disk, for what is decoded from it."""
ABANDONED_S = 900.0
"""An unfinished folder with other content, to which nothing was added for so long, is what a killed run left."""

TOKEN = "speechmill-write"
T = TypeVar("T")


class GcsStorage:
    """See the module. Paths are ``bucket/object``.

    Args:
        patience_s: seconds of retries per call; None: ``SPEECHMILL_STORAGE_PATIENCE_S`` or :data:`PATIENCE_S`.
        wait_s: first wait; it doubles up to 30 s.
    """

    def __init__(self, patience_s: float | None = None, wait_s: float = 1.0):
        """See the class; nothing connects before the first call."""
        if patience_s is None:
            patience_s = float(os.environ.get("SPEECHMILL_STORAGE_PATIENCE_S") or PATIENCE_S)
        self.patience_s = patience_s
        self._retry = DEFAULT_RETRY.with_timeout(patience_s).with_delay(initial=wait_s, maximum=30.0)
        self._clients: dict[int, storage.Client] = {}
        self._lock = threading.Lock()

    # one object

    def exists(self, path: str) -> bool:
        """Whether an object is there."""
        with _plainly(path, "look for"):
            return bool(self._blob(path).exists(retry=self._retry))

    def read_bytes(self, path: str) -> bytes:
        """The whole object, checked against its CRC32C; raises FileNotFoundError."""
        return self._repeat(path, "read", lambda: bytes(self._blob(path).download_as_bytes(checksum="crc32c", retry=self._retry)))

    def download(self, path: str, local: Path) -> None:
        """Copy an object to a local file, checked against its size and CRC32C; large ones in parallel ranges.

        Raises:
            FileNotFoundError: it is not there.
            OSError: ENOSPC, before anything is fetched, if the disk has no room for it.
        """
        self._repeat(path, "read", lambda: self._download(path, local))

    def write_bytes(self, path: str, data: bytes) -> None:
        """Write or replace an object."""
        self._upload(path, data, None)

    def write_new(self, path: str, data: bytes) -> bool:
        """Write an object that must not exist (``ifGenerationMatch=0``); False, and nothing changed, if it does."""
        return self._upload(path, data, 0)

    def replace_if(self, path: str, expected: bytes | None, data: bytes) -> bool:
        """Write an object only if it still holds ``expected``: read with its generation, written with ``ifGenerationMatch``."""
        if expected is None:
            return self._upload(path, data, 0)
        blob = self._stat(path)
        if blob is None:
            return False
        with _plainly(path, "read"):
            try:
                held = blob.download_as_bytes(checksum="crc32c", if_generation_match=blob.generation, retry=self._retry)
            except (api.PreconditionFailed, api.NotFound):
                return False
        return held == expected and self._upload(path, data, int(blob.generation))

    def put_new(self, local: Path, path: str) -> bool:
        """Upload a local file to an object that must not exist; False, and nothing changed, if it does."""
        return not self.exists(path) and self._upload(path, local, 0)

    def link_or_copy(self, source: str, path: str) -> None:
        """A copy made by the store itself; nothing passes through here. FileExistsError if other bytes are there."""
        original = self._stat(source)
        if original is None:
            raise FileNotFoundError(errno.ENOENT, "no such object", f"gs://{source}")
        target = self._blob(path)
        with _plainly(path, "copy to"):
            try:
                token: str | None = None
                while True:
                    token, _, _ = target.rewrite(original, token=token, if_generation_match=0, retry=self._retry)
                    if token is None:
                        return
            except api.PreconditionFailed:
                have = self._stat(path)
                if have is None or _content(have) != _content(original):
                    raise FileExistsError(errno.EEXIST, "it holds other bytes", f"gs://{path}") from None

    # folders

    def list(self, path: str) -> Iterator[tuple[str, int]]:
        """Every object below a folder as (path relative to it, bytes), sorted as paths are; hidden ones are not objects."""
        for name, blob in sorted(self._listing(path).items(), key=lambda item: item[0].split("/")):
            yield name, int(blob.size or 0)

    def local(self, path: str) -> Path | None:
        """None: an object must be copied before it can be opened."""
        return None

    def commit_folder(self, staging: Path, path: str, marker: str, links: Mapping[str, str] | None = None) -> bool:
        """Upload a finished local folder, ``marker`` last; False, and nothing changed, if a finished one is there.

        What a killed run left and is the same is kept; what it left and is not is removed once it is :data:`ABANDONED_S` old.

        Args:
            staging: local folder; removed if a finished one is there.
            path: where it becomes visible.
            marker: the file in it that says that the folder is finished.
            links: further files as {name: path of an object of this store}, copied by the store.

        Raises:
            StageError: another writer is uploading other content to the same place.
        """
        if self.exists(f"{path}/{marker}"):
            shutil.rmtree(staging, ignore_errors=True)
            return False
        files = {f.relative_to(staging).as_posix(): f for f in sorted(staging.rglob("*")) if f.is_file()}
        last = files.pop(marker)
        wanted = {name: (file.stat().st_size, _crc32c(file)) for name, file in files.items()}
        sources = dict(links or {})
        for name, source in sources.items():
            blob = self._stat(source)
            if blob is None:
                raise StageError(f"gs://{source}: not there; {path}/{name} should become a copy of it")
            wanted[name] = _content(blob)
        there = self._listing(path)
        self._clear(path, {n: b for n, b in there.items() if n != marker and wanted.get(n) != _content(b)})
        missing = [n for n in wanted if n not in there or wanted[n] != _content(there[n])]

        def send(name: str) -> None:
            target = f"{path}/{name}"
            if name in sources:
                self.link_or_copy(sources[name], target)
            elif not self._upload(target, files[name], 0):
                have = self._stat(target)
                if have is None or _content(have) != wanted[name]:
                    raise StageError(f"gs://{target}: another writer has put other bytes there; run it again when that has ended")

        _each(send, missing)
        held = {n: _content(b) for n, b in self._listing(path).items() if n != marker}
        if held != wanted:
            odd = sorted(n for n in {*held, *wanted} if held.get(n) != wanted.get(n))
            raise StageError(f"gs://{path}: another writer changed {', '.join(odd[:3])}; run it again when that has ended")
        return self._upload(f"{path}/{marker}", last, 0)

    def delete_folder(self, path: str) -> None:
        """Remove all objects below a folder, hidden ones too."""
        with _plainly(path, "list"):
            bucket, prefix = _split(path)
            blobs = list(self._client().list_blobs(bucket, prefix=f"{prefix}/" if prefix else None, retry=self._retry))
        _each(self._delete, blobs)

    # below the surface

    def _client(self) -> storage.Client:
        """A client of this process: connections must not be shared with a forked child."""
        pid = os.getpid()
        with self._lock:
            if pid not in self._clients:
                with _plainly("", "log in to"):
                    self._clients = {pid: storage.Client(project=os.environ.get("GOOGLE_CLOUD_PROJECT") or "speechmill")}
            return self._clients[pid]

    def _blob(self, path: str) -> storage.Blob:
        bucket, name = _split(path)
        return self._client().bucket(bucket).blob(name)

    def _stat(self, path: str) -> storage.Blob | None:
        """The object's metadata, or None."""
        blob = self._blob(path)
        with _plainly(path, "look for"):
            try:
                blob.reload(retry=self._retry)
            except api.NotFound:
                return None
        return blob

    def _listing(self, path: str) -> dict[str, storage.Blob]:
        bucket, prefix = _split(path)
        prefix = f"{prefix}/" if prefix else ""
        with _plainly(path, "list"):
            blobs = list(self._client().list_blobs(bucket, prefix=prefix, retry=self._retry))
        names = {blob.name[len(prefix) :]: blob for blob in blobs}
        return {n: b for n, b in names.items() if n and not n.endswith("/") and not any(p.startswith(".") for p in n.split("/"))}

    def _repeat(self, path: str, doing: str, transfer: Callable[[], T]) -> T:
        """A transfer again while its checksum is wrong, or the object changed under it."""
        for attempt in range(ATTEMPTS):
            with _plainly(path, doing):
                try:
                    return transfer()
                except (DataCorruption, api.PreconditionFailed):
                    if attempt == ATTEMPTS - 1:
                        raise
        raise AssertionError("unreachable")

    def _download(self, path: str, local: Path) -> None:
        blob = self._blob(path)
        blob.reload(retry=self._retry)
        size = int(blob.size)
        if size > shutil.disk_usage(local.parent).free - RESERVE:
            raise OSError(errno.ENOSPC, f"no room for {size} bytes of gs://{path}", str(local.parent))
        pinned: dict[str, Any] = {"if_generation_match": blob.generation, "retry": self._retry}
        if size >= PARALLEL_FROM:
            transfer_manager.download_chunks_concurrently(
                blob, str(local), chunk_size=PIECE, worker_type=transfer_manager.THREAD, max_workers=RANGES,
                download_kwargs=pinned, crc32c_checksum=False,
            )  # fmt: skip
        else:
            with open(local, "wb") as file:
                blob.download_to_file(file, checksum="crc32c", **pinned)
        have = (local.stat().st_size, _crc32c(local))
        if have != _content(blob):
            raise DataCorruption(None, f"downloaded {have}, the object is {_content(blob)}")

    def _upload(self, path: str, source: bytes | Path, generation: int | None) -> bool:
        """Upload under a precondition (None: none); whether it was this upload that made the object."""
        crc32c = _crc32c(source)
        for attempt in range(ATTEMPTS):
            token = uuid.uuid4().hex
            blob = self._blob(path)
            blob.chunk_size = PIECE
            blob.crc32c = crc32c  # the store refuses other bytes
            blob.metadata = {TOKEN: token}
            options: dict[str, Any] = {"if_generation_match": generation, "retry": self._retry, "checksum": "crc32c"}
            with _plainly(path, "write"):
                try:
                    if isinstance(source, bytes):
                        blob.upload_from_string(source, content_type="application/octet-stream", **options)
                    else:
                        blob.upload_from_filename(str(source), crc32c_checksum_value=crc32c, **options)
                    if blob.crc32c == crc32c:
                        return True
                    self._delete(blob)
                    raise DataCorruption(None, f"sent {crc32c}, the store has {blob.crc32c}")
                except api.PreconditionFailed:
                    have = self._stat(path)
                    if have is not None and (have.metadata or {}).get(TOKEN) == token:
                        return True
                    if generation or have is not None:
                        return False
                    # It was there and is gone: again.
                except api.BadRequest as error:
                    if attempt == ATTEMPTS - 1 or not any(word in str(error).lower() for word in ("crc32c", "checksum")):
                        raise
                except (DataCorruption, requests.ConnectionError):
                    if attempt == ATTEMPTS - 1:
                        raise
                except api.GoogleAPICallError as error:
                    # The session of a resumable upload was lost.
                    if attempt == ATTEMPTS - 1 or error.code not in (404, 410) or "bucket does not exist" in str(error):
                        raise
        raise StageError(f"gs://{path}: it came and went {ATTEMPTS} times while it was to be written")

    def _delete(self, blob: storage.Blob) -> None:
        with _plainly(f"{blob.bucket.name}/{blob.name}", "delete"):
            try:
                blob.delete(if_generation_match=blob.generation, retry=self._retry)
            except (api.NotFound, api.PreconditionFailed):
                pass

    def _clear(self, path: str, odd: Mapping[str, storage.Blob]) -> None:
        """Remove what a killed run left and is not wanted.

        Raises:
            StageError: it is too young to have been left.
        """
        if not odd:
            return
        age = time.time() - max(blob.updated.timestamp() for blob in odd.values())
        if age < ABANDONED_S:
            raise StageError(
                f"gs://{path}: holds other content of a run that has not finished ({', '.join(sorted(odd)[:3])}, "
                f"{max(0.0, age):.0f} s old); if nobody works there, run this again in {(ABANDONED_S - age) / 60:.0f} min"
            )
        _each(self._delete, odd.values())


def _split(path: str) -> tuple[str, str]:
    bucket, _, name = path.partition("/")
    if not bucket:
        raise StageError(f"gs://{path}: no bucket in it; expected gs://BUCKET/PATH")
    return bucket, name


def _content(blob: storage.Blob) -> tuple[int, str]:
    """(bytes, CRC32C): equal for equal content."""
    return int(blob.size), str(blob.crc32c)


def _crc32c(source: bytes | Path) -> str:
    """Base64 of the big-endian CRC32C (Castagnoli), as the store states it."""
    checksum = google_crc32c.Checksum()
    if isinstance(source, bytes):
        checksum.update(source)
    else:
        with open(source, "rb") as file:
            while block := file.read(1 << 20):
                checksum.update(block)
    return base64.b64encode(checksum.digest()).decode()


def _each(work: Callable[[Any], None], items: Iterable[Any]) -> None:
    """Do the work on all items, :data:`TRANSFERS` at once; the first error, after what had begun has ended.

    A termination waits for nothing: threads of the standard pool would hold the process until their transfers end.
    """
    todo: deque[Any] = deque(items)
    errors: list[Exception] = []

    def run() -> None:
        while not errors:
            try:
                item = todo.popleft()
            except IndexError:
                return
            try:
                work(item)
            except Exception as error:
                errors.append(error)

    threads = [threading.Thread(target=run, daemon=True) for _ in range(min(TRANSFERS, len(todo)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@contextmanager
def _plainly(path: str, doing: str) -> Iterator[None]:
    """Turn the libraries' errors into one line that says what could not be done, where, and what to do."""
    uri = f"gs://{path}"
    try:
        yield
    except (auth.DefaultCredentialsError, auth.RefreshError) as error:
        raise StageError(
            f"cannot {doing} {uri}: no valid Google credentials ({_line(error)}); give the pod a service account "
            "(Workload Identity), or run `gcloud auth application-default login`"
        ) from error
    except api.Unauthorized as error:
        raise StageError(f"cannot {doing} {uri}: the credentials have expired or are refused (401: {_line(error)})") from error
    except api.Forbidden as error:
        raise StageError(
            f"cannot {doing} {uri}: permission denied (403: {_line(error)}); grant the service account roles/storage.objectUser "
            f"on the bucket {path.partition('/')[0]}"
        ) from error
    except api.NotFound as error:
        if "bucket does not exist" in str(error) or doing in ("write", "list", "copy to"):
            raise StageError(f"cannot {doing} {uri}: there is no bucket {path.partition('/')[0]}") from error
        raise FileNotFoundError(errno.ENOENT, "no such object", uri) from error
    except DataCorruption as error:
        raise StageError(f"cannot {doing} {uri}: its CRC32C was wrong {ATTEMPTS} times ({_line(error)})") from error
    except api.RetryError as error:
        raise UnavailableError(f"cannot {doing} {uri}: given up after retries ({_line(error.cause or error)})") from error
    except (requests.ConnectionError, requests.Timeout, auth.TransportError, api.ServerError, api.TooManyRequests) as error:
        raise UnavailableError(f"cannot {doing} {uri}: {_line(error)}") from error
    except (api.GoogleAPIError, auth.GoogleAuthError, requests.RequestException) as error:
        raise StageError(f"cannot {doing} {uri}: {_line(error)}") from error


def _line(error: BaseException) -> str:
    response = getattr(error, "response", None)
    if response is not None and not isinstance(error, (api.GoogleAPICallError, DataCorruption)):
        return f"{response.status_code}: {' '.join(str(response.text).split())[:300]}"
    return " ".join(str(error).split())[:300]
