"""Files of tables: what an open one holds in memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stagekit.folder import TableWriter
from stagekit.tables import TABLES

MB = 2**20


def blank(table: str) -> dict[str, Any]:
    """A row of zeros."""
    zero = {pa.string(): "x", pa.int64(): 0, pa.float64(): 0.0, pa.large_binary(): b""}
    return {c.name: zero[c.type] for c in TABLES[table].columns}


@pytest.mark.parametrize(("table", "column"), [("readings", "audio"), ("sentence_audio", "audio"), ("clip_audio", "flac")])
def test_an_open_file_of_audio_keeps_little_in_memory(tmp_path: Path, table: str, column: str) -> None:
    """A language has hundreds of shards, whose files are open at once: what each keeps adds up."""
    writer, before = TableWriter(tmp_path, TABLES[table], 0), pa.total_allocated_bytes()
    files = [os.urandom(40_000) for _ in range(TABLES[table].row_group)]
    for data in files:
        writer.write(blank(table) | {column: data})
    assert pa.total_allocated_bytes() - before < 5 * MB, f"of {sum(map(len, files)) / MB:.0f} MB"
    writer.close()
    assert pq.read_table(writer.path, columns=[column])[column].to_pylist() == files
