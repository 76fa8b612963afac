"""Clips of a release: an unpacked folder, or a tar.gz that is read as a stream and never unpacked by its own word.

Nothing in an archive decides where bytes go: a member's name is only compared with the names wanted, and its content handed on.
Members that are links, devices or have names that lead elsewhere (absolute, ``..``) are refused and reported; sizes are bounded
for one member and for the whole stream, so that a few kilobytes cannot become a full disk.
"""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from stagekit.errors import StageError

MOST_CLIP_BYTES = 8 << 20
"""Of one clip: 15 s of stereo 48 kHz 24-bit PCM are 4.3 MB."""
MOST_LIST_BYTES = 4 << 30
"""Of one list: that of 2 million English sentences is under 1 GB."""
RATIO, RATIO_FROM = 60, 64 << 20
"""A stream may grow to so many times its compressed size once it is so many bytes long. Lists of text shrink to a tenth or so;
a bomb's zeros to a thousandth."""


MOST_BEYOND = 100
"""Reads at the end of a stream. To pass over a member of a claimed terabyte, tarfile would read there millions of times."""


@dataclass(frozen=True)
class Member:
    """One regular file: its name without leading folders that all share nothing, and its content."""

    name: str
    data: bytes


@dataclass(frozen=True)
class Refused:
    """One member that was left alone, and why."""

    name: str
    detail: str


def is_archive(path: str) -> bool:
    """Whether a location names a tar.gz rather than a folder."""
    return path.lower().endswith((".tar.gz", ".tgz"))


def refusal(info: tarfile.TarInfo) -> str | None:
    """Why a member is not read, None if nothing speaks against it."""
    if info.issym() or info.islnk():
        return f"a link to {info.linkname[:200]!r}"
    if not info.isreg():
        return "neither a file nor a folder"
    name = info.name
    if name.startswith(("/", "\\")) or (len(name) > 1 and name[1] == ":"):
        return "an absolute path"
    if ".." in PurePosixPath(name.replace("\\", "/")).parts:
        return "a path that leads out of the archive"
    if "\0" in name or "\n" in name:
        return "a control character in its name"
    return None


def members(
    path: Path, wanted: Callable[[str], int]
) -> Iterator[Member | Refused]:
    """The members of a tar.gz whose name is wanted, in the archive's order, and all that are refused; one in memory at a time.

    Args:
        path: the archive.
        wanted: most bytes that are taken of a member of this name; 0 for one that is not wanted.

    Raises:
        StageError: the archive is no tar.gz, is cut off or damaged, or grows like a bomb.
    """
    with open(path, "rb") as file:
        stream = _Bounded(gzip.GzipFile(fileobj=file), file, path)
        try:
            with tarfile.open(fileobj=stream, mode="r|") as tar:  # type: ignore[call-overload]
                for info in tar:
                    if info.isdir():
                        continue
                    if why := refusal(info):
                        yield Refused(info.name, why)
                        continue
                    most = wanted(info.name)
                    if not most:
                        continue
                    if info.size > most:
                        yield Refused(info.name, f"{info.size} bytes, over the {most} that one may have")
                        continue
                    content = tar.extractfile(info)
                    assert content is not None
                    yield Member(info.name, content.read())
                _nothing_left(tar)
        except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error, ValueError, OverflowError) as error:
            raise StageError(
                f"{path}: cut off, damaged or no tar.gz ({type(error).__name__}: {error}); get it again"
            ) from None


def _nothing_left(tar: tarfile.TarFile) -> None:
    """Read to the end of the stream, where gzip keeps its checksum; tarfile takes a damaged header for the archive's end."""
    while block := tar.fileobj.read(1 << 20):  # type: ignore[union-attr]
        if block.strip(b"\0"):
            raise tarfile.ReadError("there is more behind what looks like its end")


class _Bounded(io.RawIOBase):
    """A decompressed stream that stops when it has grown out of proportion to what was read of the file."""

    def __init__(self, stream: gzip.GzipFile, file: BinaryIO, path: Path):
        self._stream, self._file, self._path, self._out, self._beyond = stream, file, path, 0, 0

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int = -1) -> bytes:
        """At most 1 MiB at a time, so that a header that claims terabytes is noticed on the way."""
        parts: list[bytes] = []
        while size != 0:
            block = self._stream.read(min(size, 1 << 20) if size > 0 else 1 << 20)
            if not block:
                self._beyond += not parts
                if self._beyond > MOST_BEYOND:
                    raise EOFError("a member is larger than all that is there")
                break
            parts.append(block)
            self._out += len(block)
            size -= len(block) if size > 0 else 0
            if self._out > RATIO_FROM and self._out > RATIO * max(1, self._file.tell()):
                raise StageError(
                    f"{self._path}: {self._out} bytes came out of {self._file.tell()}: a decompression bomb, not a release"
                )
        return b"".join(parts)


class Release:
    """Where a release's lists and clips are, whichever form it has."""

    def __init__(self, path: Path, locale: str, clips: str):
        """``clips``: the folder of the clips beside the lists, such as ``clips``; '' for clips at paths beside the list."""
        self.path, self.locale, self.clips = path, locale, clips.strip("/")
        self._root = PurePosixPath(locale)
        """The folder of an archive's lists."""

    def lists(self, names: list[str]) -> dict[str, bytes]:
        """The lists of these names that are there.

        Raises:
            StageError: more than one folder holds them, so that it is not clear which is meant.
        """
        if self.path.is_dir():
            folder = self.folder(names[0])
            return {n: (folder / n).read_bytes() for n in names if (folder / n).is_file()}
        found: dict[str, tuple[str, bytes]] = {}

        def wanted(name: str) -> int:
            return MOST_LIST_BYTES if self._list_name(name) in names else 0

        for member in members(self.path, wanted):
            if isinstance(member, Refused):
                continue
            base = self._list_name(member.name)
            assert base is not None
            if base in found:
                raise StageError(f"{self.path}: holds both {found[base][0]} and {member.name}: name the locale that is meant")
            found[base] = (member.name, member.data)
            if base == names[0]:
                self._root = PurePosixPath(member.name).parent
            if len(found) == len(names):
                break
        return {name: data for name, (_, data) in found.items()}

    def _list_name(self, name: str) -> str | None:
        path = PurePosixPath(name)
        return path.name if path.parent.name == self.locale or len(path.parts) == 1 else None

    def folder(self, listed: str) -> Path:
        """The folder that holds the list, of an unpacked release.

        Raises:
            StageError: none does, or several do.
        """
        here = [p for p in (self.path, self.path / self.locale) if (p / listed).is_file()]
        here = here or sorted(p.parent for p in self.path.glob(f"*/{self.locale}/{listed}"))
        if len(here) != 1:
            seen = ", ".join(map(str, here)) or "none"
            raise StageError(
                f"{self.path}: expected one folder with {listed} (itself, {self.locale}/ or */{self.locale}/), found {seen}"
            )
        return here[0]

    def clips_of(self, names: dict[str, Any], listed: str) -> Iterator[Member | Refused]:
        """The clips of these names (as the list writes them), a folder's in the list's order, an archive's in its own.

        A name occurs at most once; what is not there does not come. Of an archive, `lists` is read first: clips lie beside them.
        """
        if self.path.is_dir():
            yield from self._from_folder(names, listed)
            return
        inside = f"{self._root / self.clips}/"
        inside = "" if inside == "./" else inside

        def key(name: str) -> str | None:
            plain = str(PurePosixPath(name))
            return rest if plain.startswith(inside) and (rest := plain[len(inside) :]) in names else None

        seen: set[str] = set()
        for member in members(self.path, lambda name: MOST_CLIP_BYTES if key(name) else 0):
            if isinstance(member, Refused):
                yield Refused(key(member.name) or member.name, member.detail)
                continue
            clip = key(member.name)
            assert clip is not None
            if clip in seen:
                yield Refused(f"{member.name} again", "the archive has this name twice; the first was taken")
                continue
            seen.add(clip)
            yield Member(clip, member.data)

    def _from_folder(self, names: dict[str, Any], listed: str) -> Iterator[Member | Refused]:
        root = self.folder(listed)
        base = root / self.clips if self.clips else root
        real = base.resolve()
        for name in names:
            path = base / name
            if not os.path.isfile(path):  # unlike Path.is_file, it takes a name that no file can have
                continue
            if not path.resolve().is_relative_to(real):
                yield Refused(name, "a path or link that leads out of the release")
                continue
            size = path.stat().st_size
            if size > MOST_CLIP_BYTES:
                yield Refused(name, f"{size} bytes, over the {MOST_CLIP_BYTES} that one may have")
                continue
            yield Member(name, path.read_bytes())
