"""The schema of packed rows, with the metadata by which Hugging Face ``datasets`` opens ``audio`` as ``Audio(16000)``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from stagekit.tables import RELEASE_SEGMENTS, SAMPLE_RATE

ENCODING = "flac-s16-16k-mono/1"
"""How clips are encoded; another value re-encodes all of them."""

INTERNAL = ("recording_uri",)
"""Columns that say where this warehouse keeps things; they are not published."""

FIRST = ("segment_id", "audio", "text", "text_raw", "duration_s", "split", "subset", "license_group")
"""Columns that a reader looks for; the others follow in the table's order."""

AUDIO = pa.struct([("bytes", pa.binary()), ("path", pa.string())])

COLUMNS = tuple(c.name for c in RELEASE_SEGMENTS.columns if c.name not in INTERNAL)
"""Published columns but the audio, in the table's order."""


def _feature(type_: pa.DataType) -> dict[str, Any]:
    names = {"double": "float64", "string": "string", "int64": "int64", "bool": "bool"}
    return {"dtype": names[str(type_)], "_type": "Value"}


def packed_schema() -> pa.Schema:
    """Schema of a shard: published columns and ``audio: struct<bytes: binary, path: string>``.

    The ``huggingface`` metadata is what ``datasets`` itself writes (``Features.arrow_schema``): checked against it in the tests.
    """
    types = {c.name: c.type for c in RELEASE_SEGMENTS.columns if c.name not in INTERNAL}
    order = [*FIRST, *(n for n in types if n not in FIRST)]
    features = {n: {"sampling_rate": SAMPLE_RATE, "_type": "Audio"} if n == "audio" else _feature(types[n]) for n in order}
    metadata = {
        "huggingface": json.dumps({"info": {"features": features}}),
        "speechmill.table": RELEASE_SEGMENTS.name,
        "speechmill.version": str(RELEASE_SEGMENTS.version),
        "speechmill.encoding": ENCODING,
    }
    return pa.schema([pa.field(n, AUDIO if n == "audio" else types[n]) for n in order], metadata=metadata)


def row_digest(row: Mapping[str, Any]) -> str:
    """Whether a packed row is still right: hex sha256 over its published columns and the encoding of its audio.

    The audio itself need not be read: ``segment_id`` decides it (recording, first and last sample).
    """
    values = [ENCODING, *(row[name] for name in COLUMNS)]
    return hashlib.sha256(json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()
