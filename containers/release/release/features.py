"""The schemas of packed rows, with the metadata by which Hugging Face ``datasets`` opens ``audio`` as ``Audio(16000)``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from release.words.admission import SCORE_COLUMNS
from stagekit.tables import RELEASE_CLIPS, RELEASE_SEGMENTS, SAMPLE_RATE, Table

ENCODING = "flac-s16-16k-mono/1"
"""How clips are encoded; another value re-encodes all of them."""

INTERNAL = ("recording_uri",)
"""Columns that say where this warehouse keeps things; they are not published."""

FIRST = ("segment_id", "audio", "text", "text_raw", "duration_s", "split", "subset", "license_group")
"""Columns that a reader looks for; the others follow in the table's order."""

AUDIO = pa.struct([("bytes", pa.binary()), ("path", pa.string())])

COLUMNS = tuple(c.name for c in RELEASE_SEGMENTS.columns if c.name not in INTERNAL)
"""Published columns but the audio, in the table's order."""


@dataclass(frozen=True)
class Packed:
    """What packed rows hold.

    Attributes:
        table: their columns but the audio.
        key: column that names a row.
        first: columns that a reader looks for, audio among them; the others follow in the table's order.
        audio: audio column → (Hz, ending of the names that the files in it have).
        encoding: how the audio is encoded; another value packs all of it anew.
        samples: a row's samples at 16 kHz.
        internal: columns that are not published.
        volatile: columns that may change without the row being packed anew: scores that depend on all other rows.
    """

    table: Table
    key: str
    first: tuple[str, ...]
    audio: Mapping[str, tuple[int, str]]
    encoding: str
    samples: Callable[[Mapping[str, Any]], int]
    internal: tuple[str, ...] = field(default=())
    volatile: tuple[str, ...] = field(default=())

    @property
    def columns(self) -> tuple[str, ...]:
        """Published columns but the audio, in the table's order."""
        return tuple(c.name for c in self.table.columns if c.name not in self.internal)


SEGMENTS = Packed(
    RELEASE_SEGMENTS, "segment_id", FIRST, {"audio": (SAMPLE_RATE, "flac")}, ENCODING,
    lambda row: int(row["end_sample"] - row["start_sample"]), INTERNAL,
)  # fmt: skip

CLIPS = Packed(
    RELEASE_CLIPS,
    "clip_id",
    ("clip_id", "audio", "opus", "word", "word_raw", "split", "word_start_s", "word_end_s"),
    {
        "audio": (SAMPLE_RATE, "flac"),
        "opus": (48_000, "opus"),
        "whole_audio": (SAMPLE_RATE, "flac"),
        "whole_opus": (48_000, "opus"),
    },
    "clips-flac-s16-16k-opus-48k/1",
    lambda _row: SAMPLE_RATE,
    volatile=SCORE_COLUMNS,
)
"""Spoken words: one second each, at 16 kHz and in Opus; ``whole_*`` is null but for words over a second."""


def _feature(type_: pa.DataType) -> dict[str, Any]:
    names = {"double": "float64", "string": "string", "int64": "int64", "bool": "bool"}
    return {"dtype": names[str(type_)], "_type": "Value"}


def packed_schema(kind: Packed = SEGMENTS) -> pa.Schema:
    """Schema of a shard: published columns, and ``struct<bytes: binary, path: string>`` for audio.

    The ``huggingface`` metadata is what ``datasets`` itself writes (``Features.arrow_schema``): checked against it in the tests.
    """
    types = {c.name: c.type for c in kind.table.columns if c.name in kind.columns}
    order = [*kind.first, *(n for n in (*kind.audio, *types) if n not in kind.first)]
    features = {
        n: {"sampling_rate": kind.audio[n][0], "_type": "Audio"} if n in kind.audio else _feature(types[n]) for n in order
    }
    metadata = {
        "huggingface": json.dumps({"info": {"features": features}}),
        "speechmill.table": kind.table.name,
        "speechmill.version": str(kind.table.version),
        "speechmill.encoding": kind.encoding,
    }
    return pa.schema([pa.field(n, AUDIO if n in kind.audio else types[n]) for n in order], metadata=metadata)


def row_digest(row: Mapping[str, Any], kind: Packed = SEGMENTS) -> str:
    """Whether a packed row is still right: hex sha256 over its published columns that are not volatile, and its audio's encoding.

    The audio itself need not be read: the row's id decides it (a segment's recording, first and last sample; a clip's sentence
    and token, with the column ``encoder``).
    """
    values = [kind.encoding, *(row[name] for name in kind.columns if name not in kind.volatile)]
    return hashlib.sha256(json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()
