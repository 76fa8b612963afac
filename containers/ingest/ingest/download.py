"""Downloads that go on where they stopped, and are checked before anything sees them.

Bytes go to ``<dest>.part``, with ``<dest>.part.json`` beside it saying which version of the file they are of (URL, ETag,
Last-Modified). A further try asks for the rest (``Range`` with ``If-Range``, RFC 9110 13.1.5 and 14); if the file has changed,
or the server knows no ranges, it starts over. The rename to ``dest`` comes last, after size and md5 are right: a ``dest`` that
is there is whole.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import urllib3

from ingest.http import Client, GaveUp, HttpError, Patience
from stagekit.errors import StageError
from stagekit.storage import local_copy, resolve
from stagekit.tables import Reason

CHUNK = 1 << 20
"""Bytes per read of a local file."""
BLOCK = 1 << 16
"""Most bytes per read from a connection, and most that a kill can lose."""
MAX_RESTARTS = 5
"""Times that a file may change under the download before it is given up."""


class DownloadError(Exception):
    """A file could not be had. The message names it and says what was seen."""

    reason = Reason.DOWNLOAD_FAILED


class Unanswered(DownloadError):  # noqa: N818 - reads as what it is where it is raised
    """Its server was still failing when the time for it was over."""


class ChecksumMismatch(DownloadError):  # noqa: N818 - reads as what it is where it is raised
    """The bytes are not those that the source promised, twice."""

    reason = Reason.CHECKSUM_MISMATCH


class DiskFull(StageError):
    """No space left: not the file's fault, so the stage stops. What has arrived stays, and a rerun goes on."""


@dataclass(frozen=True)
class Downloaded:
    """A file that is there whole. ``resumed_at``: bytes that an earlier process had left. ``requests``: 0 if it was there."""

    path: Path
    bytes: int
    md5: str
    sha256: str
    resumed_at: int
    requests: int


def download(
    url: str,
    dest: str | Path,
    *,
    md5: str | None = None,
    size: int | None = None,
    client: Client | None = None,
    stop: threading.Event | None = None,
) -> Downloaded:
    """Get a file, from the web or from storage.

    Args:
        url: http(s), ``file://`` or another scheme of stagekit's storage, or a local path.
        dest: local path; its folder is made. If it is there already and fits ``md5`` and ``size``, nothing is fetched.
        md5: hex digest the bytes must have. Where it does not fit, the file is fetched once more from its start.
        size: bytes it must have.
        client: HTTP client, shared with other downloads.
        stop: once set by another thread, ends the download; what has arrived stays.

    Raises:
        ChecksumMismatch: md5 or size were wrong twice.
        DownloadError: the file is not there, is refused, keeps failing or keeps changing, or another process is at it.
        DiskFull: no space left.
    """
    dest = Path(dest)
    with _disk(dest):
        dest.parent.mkdir(parents=True, exist_ok=True)
        if dest.exists() and not _wrong(found := _digest(dest, 0, 0), md5, size):
            return found
        part = dest.with_name(dest.name + ".part")
        with _locked(part, url) as file:
            resumed_at = part.stat().st_size
            job = _Job(url, file, Path(f"{part}.json"), size)
            for last in (False, True):
                if re.match(r"(?i)https?://", url):
                    job.fetch(client or Client(), stop)
                else:
                    job.copy()
                file.flush()
                got = _digest(part, resumed_at, job.requests)
                wrong = _wrong(got, md5, size)
                if not wrong:
                    os.fsync(file.fileno())
                    os.replace(part, dest)
                    job.state.unlink(missing_ok=True)
                    return Downloaded(dest, got.bytes, got.md5, got.sha256, resumed_at, job.requests)
                job.start_over()
                resumed_at = 0
                if last:
                    part.unlink(missing_ok=True)
                    raise ChecksumMismatch(f"{url}: {wrong}, also when fetched again from its start")
    raise AssertionError("unreachable")


@dataclass
class _Job:
    """One file on its way: ``file`` is the part, open for appending; ``state`` says which version its bytes are of."""

    url: str
    file: BinaryIO
    state: Path
    size: int | None
    requests: int = 0
    restarts: int = 0

    def start_over(self) -> None:
        self.file.truncate(0)
        self.state.unlink(missing_ok=True)

    def position(self) -> int:
        self.file.flush()
        return os.fstat(self.file.fileno()).st_size

    def copy(self) -> None:
        """From storage; there is nothing to resume."""
        self.start_over()
        store, path = resolve(self.url)
        if not store.exists(path):
            raise DownloadError(f"{self.url}: no such file")
        try:
            with local_copy(self.url) as local, open(local, "rb") as source:
                shutil.copyfileobj(source, self.file, CHUNK)
        except PermissionError as error:
            raise DownloadError(f"{self.url}: {error.strerror}") from None

    def fetch(self, client: Client, stop: threading.Event | None) -> None:
        """Until the server says that it was all."""
        patience = client.patience(stop)
        try:
            while not self._request(client, patience):
                if self.restarts > MAX_RESTARTS:
                    raise DownloadError(f"{self.url}: it had to be started over {self.restarts} times")
        except GaveUp as error:
            raise Unanswered(f"{error}; {self.position()} bytes are kept for the next run") from None
        except HttpError as error:
            raise DownloadError(str(error)) from None

    def _request(self, client: Client, patience: Patience) -> bool:
        """One request; whether the file is complete after it."""
        at, version = self.position(), self._version()
        if at and not version:
            self.start_over()
            at = 0
        headers = {"Range": f"bytes={at}-"} if at else {}
        if at and (validator := version.get("etag") or version.get("last_modified")):
            headers["If-Range"] = validator
        with client.stream(self.url, headers, patience, accept=frozenset({416})) as answer:
            self.requests += 1
            now = _version(self.url, answer)
            if answer.status == 416:
                if _total(answer) == at and at > 0:
                    return True
                return self._changed()
            if answer.status == 206:
                if _start(answer) != at or not _same_version(version, now):
                    return self._changed()
            else:
                if at:
                    self.restarts += 1
                self.start_over()
                at = 0
            total = _total(answer)
            if at == 0:
                self.state.write_text(json.dumps(now))
            self._room(answer, total)
            try:
                # read1() hands over what has arrived: read() and stream() would lose it when the connection breaks.
                while block := answer.read1(BLOCK):
                    self.file.write(block)
                    self.file.flush()
                    patience.received(len(block), self.url)
            except urllib3.exceptions.HTTPError as error:
                failure = f"{self.url}: {type(error).__name__} after {self.position()} bytes of {total or 'an unknown number'}"
            else:
                if total is None or self.position() >= total:
                    return True
                failure = f"{self.url}: the server closed after {self.position()} bytes of {total}"
        patience.wait(failure)
        return False

    def _changed(self) -> bool:
        self.restarts += 1
        self.start_over()
        return False

    def _version(self) -> dict[str, str]:
        """Which version the bytes there are of; {} if that is not known, so that they cannot be trusted."""
        try:
            known = json.loads(self.state.read_text())
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) and known.get("url") == self.url else {}

    def _room(self, answer: urllib3.BaseHTTPResponse, total: int | None) -> None:
        """Stop before the disk is full rather than when it is."""
        free, missing = shutil.disk_usage(self.state.parent).free, (total or self.size or 0) - self.position()
        if missing > free:
            raise OSError(errno.ENOSPC, f"{missing} bytes of {self.url} are still to come, {free} are free")


def _version(url: str, answer: urllib3.BaseHTTPResponse) -> dict[str, str]:
    """What tells this version from others. Weak ETags may not be used with If-Range."""
    version = {"url": url}
    etag, modified = answer.headers.get("ETag", ""), answer.headers.get("Last-Modified", "")
    if etag and not etag.startswith("W/"):
        version["etag"] = etag
    elif modified:
        version["last_modified"] = modified
    return version


def _same_version(then: dict[str, str], now: dict[str, str]) -> bool:
    """Servers exist that ignore If-Range: a part of another version is not to be appended."""
    return all(now.get(key, value) == value for key, value in then.items() if key != "url")


def _content_range(answer: urllib3.BaseHTTPResponse) -> re.Match[str] | None:
    return re.fullmatch(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)", answer.headers.get("Content-Range", "").strip())


def _start(answer: urllib3.BaseHTTPResponse) -> int | None:
    found = _content_range(answer)
    return int(found[1]) if found and found[1] else None


def _total(answer: urllib3.BaseHTTPResponse) -> int | None:
    """Bytes of the whole file, as far as the answer says."""
    if answer.status == 200:
        length = answer.headers.get("Content-Length", "")
        return int(length) if length.isdecimal() else None
    found = _content_range(answer)
    return int(found[3]) if found and found[3].isdecimal() else None


def _digest(path: Path, resumed_at: int, requests: int) -> Downloaded:
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(CHUNK):
            md5.update(block)
            sha256.update(block)
    return Downloaded(path, path.stat().st_size, md5.hexdigest(), sha256.hexdigest(), resumed_at, requests)


def _wrong(got: Downloaded, md5: str | None, size: int | None) -> str:
    """What does not fit, or ""."""
    if size is not None and got.bytes != size:
        return f"{got.bytes} bytes where the source states {size}"
    if md5 and got.md5 != md5.strip().lower():
        return f"md5 {got.md5} where the source states {md5}"
    return ""


@contextmanager
def _locked(part: Path, url: str) -> Iterator[BinaryIO]:
    """The part, open for appending, for this process alone; the lock goes with the process."""
    with open(part, "ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DownloadError(f"{url}: another process is writing {part}") from None
        try:
            yield file
        except DownloadError:
            if part.exists() and not part.stat().st_size:
                part.unlink()
            raise


@contextmanager
def _disk(dest: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"no space left in {dest.parent} ({error.strerror}): free some and run again, it goes on") from error
        raise
