"""Storage behind URIs: ``file://`` and plain paths here, ``gs://`` in :mod:`stagekit.gcs`, imported when it is first named.

All writes are atomic: an object is there whole or not at all. ``write_new`` is the only way to publish: it refuses to replace.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, unquote_to_bytes, urlsplit

from stagekit.errors import StageError

CHUNK = 1 << 20


class Storage(Protocol):
    """What a store must be able to do. Paths are the part after ``scheme://``; folders have no trailing slash."""

    def exists(self, path: str) -> bool:
        """Whether an object is there."""

    def read_bytes(self, path: str) -> bytes:
        """The whole object; raises FileNotFoundError."""

    def write_bytes(self, path: str, data: bytes) -> None:
        """Write or replace an object in one step."""

    def write_new(self, path: str, data: bytes) -> bool:
        """Write an object that must not exist; False, and nothing changed, if it does."""

    def replace_if(self, path: str, expected: bytes | None, data: bytes) -> bool:
        """Write an object only if it still holds ``expected`` (None: is not there); False, and nothing changed, if not."""

    def put_new(self, local: Path, path: str) -> bool:
        """Copy a local file to an object that must not exist; False, and nothing changed, if it does."""

    def list(self, path: str) -> Iterator[tuple[str, int]]:
        """Every object below a folder as (path relative to it, bytes), sorted; :func:`below` makes a URI of such a path."""

    def local(self, path: str) -> Path | None:
        """The object as a local path, or None if it must be copied first."""

    def download(self, path: str, local: Path) -> None:
        """Copy an object to a local file in bounded memory; raises FileNotFoundError."""

    def commit_folder(self, staging: Path, path: str, marker: str, links: Mapping[str, str] | None = None) -> bool:
        """Make a finished local folder visible at ``path``; False, and nothing changed, if a finished one is there.

        ``marker`` is the file of it that appears last, where there is no renaming: with it the folder is finished. ``links``
        are further files, {name: path of an object in this store}: hard links, or copies made by the store.
        """

    def link_or_copy(self, source: str, path: str) -> None:
        """Make ``path`` another name of ``source`` where the store can, else a copy made by the store itself."""

    def delete_folder(self, path: str) -> None:
        """Remove all objects below a folder; nothing if there are none."""


class LocalStorage:
    """The file system. One writer's rename is what makes its output visible."""

    def exists(self, path: str) -> bool:
        """Whether a file is there."""
        return Path(path).is_file()

    def read_bytes(self, path: str) -> bytes:
        """The whole file."""
        return Path(path).read_bytes()

    def write_bytes(self, path: str, data: bytes) -> None:
        """Write beside, then rename over."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with _temporary_beside(target) as temporary:
            temporary.write_bytes(data)
            os.replace(temporary, target)

    def write_new(self, path: str, data: bytes) -> bool:
        """Write beside, then hard-link: fails if the name is taken, and never shows half a file."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with _temporary_beside(target) as temporary:
            temporary.write_bytes(data)
            return _link_new(temporary, target)

    def replace_if(self, path: str, expected: bytes | None, data: bytes) -> bool:
        """Compare and write under a lock, which the kernel drops if its holder dies."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target.parent / f".{target.name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if (target.read_bytes() if target.is_file() else None) != expected:
                return False
            self.write_bytes(path, data)
            return True

    def put_new(self, local: Path, path: str) -> bool:
        """Copy beside, then hard-link."""
        target = Path(path)
        if target.exists():
            return False
        target.parent.mkdir(parents=True, exist_ok=True)
        with _temporary_beside(target) as temporary:
            shutil.copyfile(local, temporary)
            return _link_new(temporary, target)

    def list(self, path: str) -> Iterator[tuple[str, int]]:
        """Files below a folder, sorted; hidden ones (staging, temporary) are not objects.

        A link to a folder elsewhere is followed, once; one to a folder of this tree is not, for its files are here already. What
        cannot be opened (a link to nothing, a folder without
        permission) is listed with 0 bytes, so that whoever needs it can say so.
        """
        root = Path(path)
        for file in sorted(_files(root, [root.resolve()])) if root.is_dir() else ():
            yield file.relative_to(root).as_posix(), file.stat().st_size if os.path.isfile(file) else 0

    def local(self, path: str) -> Path | None:
        """Always local."""
        return Path(path)

    def download(self, path: str, local: Path) -> None:
        """Copy the file."""
        shutil.copyfile(path, local)

    def commit_folder(self, staging: Path, path: str, marker: str, links: Mapping[str, str] | None = None) -> bool:
        """Link, then rename; a folder that is already there wins."""
        target = Path(path)
        for name, source in (links or {}).items():
            self.link_or_copy(source, str(staging / name))
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.rename(staging, target)
        except OSError:
            if not target.exists():
                raise
            shutil.rmtree(staging, ignore_errors=True)
            return False
        return True

    def link_or_copy(self, source: str, path: str) -> None:
        """Hard link; a copy where the file system refuses one (another device)."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, target)
        except FileExistsError:
            raise
        except OSError:
            shutil.copyfile(source, target)

    def delete_folder(self, path: str) -> None:
        """Remove the folder and all below it."""
        shutil.rmtree(path, ignore_errors=True)


def _files(folder: Path, trees: list[Path]) -> Iterator[Path]:
    """What is below a folder and neither hidden nor a folder. ``trees``: the tree it is of, and those that links led to."""
    for name in sorted(os.listdir(folder)):
        path = folder / name
        if name.startswith("."):
            continue
        if not os.path.isdir(path) or not os.access(path, os.R_OK | os.X_OK):
            yield path
        elif not path.is_symlink():
            yield from _files(path, trees)
        elif not any(_holds(t, target := path.resolve()) or t.is_relative_to(target) for t in trees):
            trees.append(target)
            yield from _files(path, trees)


def _holds(tree: Path, target: Path) -> bool:
    """Whether a folder is part of a tree's listing."""
    return target.is_relative_to(tree) and not any(part.startswith(".") for part in target.relative_to(tree).parts)


@contextmanager
def _temporary_beside(target: Path) -> Iterator[Path]:
    """A file to write ``target`` in: the same for each writer after the last, so that what a killed one left does not stay."""
    temporary = target.with_name(f".{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:32]}.part")
    for _ in range(2):
        fd = os.open(temporary, os.O_RDWR | os.O_CREAT, 0o600)
        if _is_mine(fd, temporary):
            if os.fstat(fd).st_nlink == 1:
                break
            temporary.unlink()  # its writer was killed when it had linked it: it is the target, which nobody writes in
        os.close(fd)
    else:  # another writes it now
        fd, name = tempfile.mkstemp(prefix=f".{target.name[:64]}.", dir=target.parent)
        temporary = Path(name)
    os.fchmod(fd, 0o644)
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)
        os.close(fd)


def _is_mine(fd: int, path: Path) -> bool:
    """Lock an open file, until it is closed or this process dies; whether that was possible and it is still there by its name."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except OSError:
        return False


def _link_new(temporary: Path, target: Path) -> bool:
    try:
        os.link(temporary, target)
    except FileExistsError:
        return False
    return True


STORES: dict[str, Storage] = {"file": LocalStorage()}
"""Scheme → store, once it was named. Another scheme registers itself here."""

LATER = {"gs": ("stagekit.gcs", "GcsStorage")}
"""Scheme → (module, class) of stores whose client library takes a second to import."""


def resolve(uri: str) -> tuple[Storage, str]:
    """The store of a URI and the path inside it; a plain path is a file.

    >>> resolve("file:///data/a%20b")[1]
    '/data/a b'
    """
    scheme, separator, _ = uri.partition("://")
    if not separator:
        return STORES["file"], os.path.abspath(uri)
    if scheme not in STORES and scheme not in LATER:
        raise StageError(f"{uri}: no storage for '{scheme}://' in this image; known: {', '.join(sorted({*STORES, *LATER}))}")
    if scheme not in STORES:
        module, name = LATER[scheme]
        STORES[scheme] = getattr(importlib.import_module(module), name)()
    if scheme == "file":
        parts = urlsplit(uri.replace("#", "%23").replace("?", "%3F"))
        if parts.netloc not in ("", "localhost"):
            raise StageError(f"{uri}: a file URI needs three slashes before an absolute path (file:///…)")
        return STORES["file"], os.path.normpath(os.fsdecode(unquote_to_bytes(os.fsencode(parts.path))))
    return STORES[scheme], uri[len(scheme) + 3 :].rstrip("/")


def join(uri: str, *parts: str) -> str:
    """A URI below another.

    >>> join("file:///a/", "b", "c.json")
    'file:///a/b/c.json'
    """
    return "/".join([uri.rstrip("/"), *(p.strip("/") for p in parts)])


def below(folder: str, name: str) -> str:
    """The URI of an object by the path that :meth:`Storage.list` gives it: quoted in ``file://`` URIs, for they are unquoted.

    >>> below("file:///a", "b/100%20.json"), below("gs://a", "b/100%20.json")
    ('file:///a/b/100%2520.json', 'gs://a/b/100%20.json')
    """
    folder = to_uri(folder)
    return join(folder, quote(os.fsencode(name)) if folder.startswith("file://") else name)


def to_uri(path: str | Path) -> str:
    """A local path as a ``file://`` URI; a URI stays as it is."""
    text = str(path)
    return text if "://" in text else Path(os.path.abspath(text)).as_uri()


@contextmanager
def local_copy(uri: str) -> Iterator[Path]:
    """A local path for reading an object: the file itself, or a temporary copy that is removed afterwards.

    Raises:
        StageError: the object is not there.
    """
    store, path = resolve(uri)
    local = store.local(path)
    if local is not None:
        if not store.exists(path):
            raise StageError(f"{uri}: not there")
        yield local
        return
    with tempfile.NamedTemporaryFile(suffix=Path(path).suffix) as temporary:
        try:
            store.download(path, Path(temporary.name))
        except FileNotFoundError:
            raise StageError(f"{uri}: not there") from None
        yield Path(temporary.name)


def sha256_file(path: str | Path) -> str:
    """Hex sha256 of a local file, read in pieces."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(CHUNK):
            digest.update(block)
    return digest.hexdigest()
