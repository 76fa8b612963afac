"""Packed files: which of a parent release can stay, what they are called, and writing them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from release.features import SEGMENTS, Packed, packed_schema
from stagekit.storage import join, sha256_file
from stagekit.tables import SAMPLE_RATE

ROW_GROUP = 100
"""Clips in a row group: about 25 MB of 15 s FLAC clips, so that a reader can stream and a viewer can jump."""

SPLITS = ("train", "dev", "test")

Part = tuple[str, str, str]
"""(subset, license group, split)"""


def shards_uri(root: str, dataset: str, language: str) -> str:
    """Where packed files lie, named by their sha256."""
    return join(root, "shards", dataset, language)


def shard_path(part: Part, number: int, sha256: str) -> str:
    """A packed file's path in a release.

    >>> shard_path(("clean", "by-sa", "train"), 3, "ab" * 32)
    'data/clean-by-sa/train-00003-abababababab.parquet'
    """
    subset, group, split = part
    return f"data/{subset}-{group}/{split}-{number:05d}-{sha256[:12]}.parquet"


def shard_number(path: str) -> int:
    """The number in a packed file's path."""
    match = re.search(r"-(\d{5,})-[0-9a-f]{12}\.parquet$", path)
    if not match:
        raise ValueError(f"{path}: not the path of a packed file")
    return int(match[1])


@dataclass
class Plan:
    """What becomes of the parent's packed files. Shards are named by sha256, rows by segment_id."""

    keep: list[str] = field(default_factory=list)
    """Shards whose rows are all still wanted and unchanged."""
    rewrite: dict[str, set[str]] = field(default_factory=dict)
    """Shards that lost a row, with the rows that stay in them; a shard that lost all is in neither."""
    reuse_audio: dict[str, set[str]] = field(default_factory=dict)
    """Shards → rows whose columns changed: packed anew, with the audio that is there."""
    new: set[str] = field(default_factory=set)
    """Rows to pack, those of ``reuse_audio`` included."""
    gone: int = 0
    """Rows of the parent that are not wanted any more."""

    @property
    def changes(self) -> dict[str, int]:
        """How many rows the parent does not have, how many only it has, and how many have other columns."""
        changed = sum(map(len, self.reuse_audio.values()))
        return {"more": len(self.new) - changed, "fewer": self.gone, "changed": changed}


def plan(wanted: Mapping[str, str], parent: Iterable[Mapping[str, Any]], *, audio_is_good: bool = True) -> Plan:
    """Compare the rows wanted with the parent release's.

    Args:
        wanted: segment_id → digest of its row.
        parent: rows of the parent's table ``shard_rows``.
        audio_is_good: False if the parent's clips are encoded in another way: nothing of it is used.

    Returns:
        The plan: every wanted row is in a kept shard, in a rewritten one, or in ``new``, and in one of them only.
    """
    made = Plan(new=set(wanted))
    if not audio_is_good:
        return made
    members: dict[str, list[tuple[str, str]]] = {}
    for row in parent:
        members.setdefault(row["shard"], []).append((row["segment_id"], row["digest"]))
    for shard, rows in members.items():
        stay = {s for s, digest in rows if wanted.get(s) == digest}
        changed = {s for s, digest in rows if s in wanted and wanted[s] != digest}
        if len(stay) == len(rows):
            made.keep.append(shard)
        elif stay:
            made.rewrite[shard] = stay
        if changed:
            made.reuse_audio[shard] = changed
        made.new -= stay
        made.gone += sum(s not in wanted for s, _ in rows)
    return made


class ShardWriter:
    """Writes one packed file; same rows, same bytes."""

    def __init__(self, path: Path, kind: Packed = SEGMENTS):
        """Open a local file."""
        self.path, self.kind, self.rows, self.audio_bytes, self.samples = path, kind, 0, 0, 0
        self.ids: list[str] = []
        self._buffer: list[Mapping[str, Any]] = []
        schema = packed_schema(kind)
        text = [n for n in schema.names if n not in kind.audio]
        # FLAC and Opus do not compress further, and statistics over audio bytes tell nobody anything.
        audio = {f"{n}.bytes": "NONE" for n in kind.audio} | {f"{n}.path": "ZSTD" for n in kind.audio}
        self._writer = pq.ParquetWriter(
            path,
            schema,
            compression=audio | {n: "ZSTD" for n in text},
            use_dictionary=[n for n in text if n != kind.key],
            write_statistics=text,
        )
        self._schema = schema

    def write(self, row: Mapping[str, Any], audio: Mapping[str, bytes | None]) -> None:
        """Append a row.

        Args:
            row: all published columns (others are dropped).
            audio: audio column → its file, or None.
        """
        packed = {n: row[n] for n in self._schema.names if n not in self.kind.audio}
        name = row[self.kind.key]
        for column, (_, ending) in self.kind.audio.items():
            data = audio[column]
            part = "-whole" if column.startswith("whole_") else ""
            packed[column] = None if data is None else {"bytes": data, "path": f"{name}{part}.{ending}"}
            self.audio_bytes += len(data or b"")
        self._buffer.append(packed)
        self.ids.append(name)
        self.rows += 1
        self.samples += self.kind.samples(row)
        if len(self._buffer) >= ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._buffer:
            self._writer.write_table(pa.Table.from_pylist(self._buffer, schema=self._schema))
            self._buffer = []

    def close(self, part: Part, number: int) -> dict[str, Any]:
        """Finish the file; its row of table ``shards``."""
        self._flush()
        self._writer.close()
        sha256 = sha256_file(self.path)
        return {
            "path": shard_path(part, number, sha256),
            "sha256": sha256,
            "subset": part[0],
            "license_group": part[1],
            "split": part[2],
            "rows": self.rows,
            "bytes": self.path.stat().st_size,
            "audio_s": self.samples / SAMPLE_RATE,
        }
