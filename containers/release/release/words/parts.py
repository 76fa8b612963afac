"""Archives of a release's two other layouts, one a packed file: made once, and shared by all releases that hold the same.

A part is named by what is in it: the packed file that its clips come from, and what they are called in the layout. It lies
beside the packed files (``<root>/shards/<dataset>/<language>/parts/``), is linked into each release, and is as small: who loses
the connection fetches one again, and a month's release writes the parts of what is new.
"""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import soundfile

from release.shards import shards_uri
from release.words import speech_commands
from release.words.archive import Archive
from stagekit.storage import join, resolve, sha256_file

FORMAT = 1
"""Raised when the same clips and names would give other bytes."""
LAYOUTS = ("mswc", "speech_commands")


def opus_member(row: Mapping[str, Any]) -> bytes:
    """A clip's file in the layout of the Multilingual Spoken Words Corpus."""
    data: bytes = row["opus"]["bytes"]
    return data


def wav_member(row: Mapping[str, Any]) -> bytes:
    """A clip's file in that of Speech Commands."""
    samples, _rate = soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="int16")
    return speech_commands.wav(samples)


MEMBERS: dict[str, tuple[str, Callable[[Mapping[str, Any]], bytes]]] = {
    "mswc": ("opus", opus_member), "speech_commands": ("audio", wav_member),
}  # fmt: skip
"""Layout → column of a packed row, and the file made of it."""


@dataclass
class Parts:
    """The parts of one release, as they are made or found.

    Attributes:
        root: warehouse URI.
        dataset: such as ``spoken_words``.
        language: BCP 47.
        scratch: folder in which parts are made.
        links: name in the release → path of the part in the store.
        sums: name in the release → sha256.
        made: parts written.
        kept: parts that an earlier release made.
        bytes_written: of those written.
    """

    root: str
    dataset: str
    language: str
    scratch: Path
    links: dict[str, str] = field(default_factory=dict)
    sums: dict[str, str] = field(default_factory=dict)
    made: int = 0
    kept: int = 0
    bytes_written: int = 0

    def add(
        self, layout: str, shard: Mapping[str, Any], names: Sequence[str], rows: Callable[[list[str]], Iterator[dict[str, Any]]]
    ) -> None:
        """The part of one packed file.

        Args:
            layout: one of ``LAYOUTS``.
            shard: its row of ``shards``.
            names: of its clips in the archive, in the order of its rows.
            rows: gives columns of its rows; called only if the part has to be made.
        """
        key = hashlib.sha256(json.dumps([FORMAT, layout, shard["sha256"], list(names)]).encode()).hexdigest()
        base = join(shards_uri(self.root, self.dataset, self.language), "parts", key)
        store, path = resolve(f"{base}.tar.gz")
        note_path = resolve(f"{base}.json")[1]
        if store.exists(note_path):
            note = json.loads(store.read_bytes(note_path))
            self.kept += 1
        else:
            note = self._make(layout, names, rows, path)
            store.write_new(note_path, (json.dumps(note, sort_keys=True) + "\n").encode())
            self.made += 1
            self.bytes_written += note["bytes"]
        group, stem = Path(shard["path"]).parent.name.partition("-")[2], Path(shard["path"]).stem
        folder = "mswc/audio" if layout == "mswc" else "speech_commands"
        name = f"{folder}/{self.language}-{group}-{stem}.tar.gz"
        self.links[name], self.sums[name] = path, note["sha256"]

    def _make(
        self, layout: str, names: Sequence[str], rows: Callable[[list[str]], Iterator[dict[str, Any]]], path: str
    ) -> dict[str, Any]:
        """Write the part, then put it into the store; its note comes last: a part without one is made again."""
        column, member = MEMBERS[layout]
        with tempfile.TemporaryDirectory(dir=self.scratch) as folder:
            local = Path(folder) / "part.tar.gz"
            archive = Archive(local)
            for name, row in zip(names, rows([column]), strict=True):
                archive.add(name, member(row))
            archive.close()
            resolve(join(shards_uri(self.root, self.dataset, self.language), "parts"))[0].put_new(local, path)
            return {"sha256": sha256_file(local), "bytes": local.stat().st_size}
