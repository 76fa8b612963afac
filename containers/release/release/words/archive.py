"""Archives whose bytes depend on what is in them only: no times, owners or names of machines."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LEVEL = 1
"""Audio hardly gets smaller at any level, and tables small enough at the first."""


@contextmanager
def gzipped(path: Path, level: int = LEVEL) -> Iterator[gzip.GzipFile]:
    """A gzip file to write into."""
    with open(path, "wb") as raw, gzip.GzipFile("", "wb", level, raw, mtime=0) as stream:
        yield stream


class Archive:
    """A tar.gz in the making: members are added as bytes, each with the same rights and no time."""

    def __init__(self, path: Path):
        """Open ``path``, and the folder it is in."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.names: set[str] = set()
        self._gzipped = gzipped(path)
        self._tar = tarfile.open(fileobj=self._gzipped.__enter__(), mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8")

    def add(self, name: str, data: bytes) -> None:
        """Add a file.

        Raises:
            ValueError: the name is there already.
        """
        if name in self.names:
            raise ValueError(f"{name} is twice in an archive")
        self.names.add(name)
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(data), 0o644
        self._tar.addfile(info, io.BytesIO(data))

    def close(self) -> None:
        """Finish the file."""
        self._tar.close()
        self._gzipped.__exit__(None, None, None)
