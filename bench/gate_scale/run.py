"""Time and memory of the gate of the spoken words against the size of the release.

From the repository's root:
PYTHONPATH=containers/stagekit:containers/quality:tests/containers/quality \
    .venvs/quality/bin/python bench/gate_scale/run.py [--clips 100000,1000000] --write

Tables are synthetic: the tests' good clips, with ids, speakers and words of a corpus of that size. `quality check` runs on them
as a task would run it, in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from quality_tables import spoken_words_rows

from stagekit.folder import TableWriter
from stagekit.storage import sha256_file
from stagekit.tables import TABLES

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from used import Used, run  # noqa: E402

RESULTS = Path(__file__).parents[1] / "results/gate-scale.md"
PER_SPEAKER, WORDS = 110, 38_000
"""As in Common Voice's English: 90,000 speakers say 10 million clips; keywords of the original's English."""


def tables(clips: int) -> dict[str, pa.Table]:
    """Tables that pass, of so many clips."""
    rows = spoken_words_rows()
    number = np.arange(clips)
    speaker, word = number // PER_SPEAKER, (number * 7919 + number // WORDS) % min(WORDS, clips // 20)
    split = np.array(["train"] * 8 + ["dev", "test"])[speaker // 2 % 10]
    sentences = pa.array([f"{n * 2654435761 % 2**64:064x}" for n in range(clips)])
    own = {
        "clip_id": pa.array([f"{s}-0" for s in sentences.to_pylist()]), "sentence_id": sentences,
        "word": pa.array([f"word{w:05d}" for w in word]), "speaker_id": pa.array([f"{s:0128x}" for s in speaker]),
        "gender": pa.array(np.array(["female", "male"])[speaker % 2]), "split": pa.array(split),
    }  # fmt: skip
    made = {}
    for name in ("clips", "clip_scores", "clip_splits"):
        one = rows[name][0]
        schema = TABLES[name].schema
        columns = [own.get(f.name, pa.repeat(pa.scalar(_value(one[f.name], f), f.type), clips)) for f in schema]
        made[name] = pa.Table.from_arrays([c.cast(f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)
    counts = np.bincount(word)
    assigned = np.unique(speaker, return_index=True)
    for name, given in (
        ("word_splits", [{"word": f"word{w:05d}", "clips": int(n)} for w, n in enumerate(counts)]),
        ("assignments", [{"group_key": f"speaker:{s:0128x}", "split": str(split[i])} for s, i in zip(*assigned, strict=True)]),
    ):
        schema, one = TABLES[name].schema, rows[name][0]
        made[name] = pa.Table.from_pylist([{f.name: _value(one[f.name], f) for f in schema} | g for g in given], schema=schema)
    return made


def _value(value: Any, column: pa.Field) -> Any:
    """A stand-in where the tests' rows leave out what the gate does not read."""
    return value if value is not None or column.nullable else {"string": "x", "bool": False}.get(str(column.type), 0)


def folder(path: Path, made: dict[str, pa.Table]) -> str:
    """A stage's folder."""
    path.mkdir(parents=True)
    for name, table in made.items():
        writer = TableWriter(path, TABLES[name], 0)
        writer.write_table(table)
        writer.close()
    files = {f.name: {"sha256": sha256_file(f), "bytes": f.stat().st_size} for f in path.glob("*.parquet")}
    success = {"fingerprint": path.name, "files": files, "shards": ["00000"], "stage": path.name}
    (path / "_SUCCESS.json").write_text(json.dumps(success))
    return path.as_uri()


def _made(path: Path, clips: int) -> str:
    return folder(path, tables(clips))


def measure(clips: int) -> Used:
    """What the gate takes."""
    with tempfile.TemporaryDirectory() as name:
        with ProcessPoolExecutor(1) as pool:  # a child's peak memory is at least its parent's
            source = pool.submit(_made, Path(name) / "made", clips).result()
        params = {"suite": "spoken_words", "report": (Path(name) / "report").as_uri()}
        argv = [sys.executable, "-m", "quality", "check", "--input", source, "--output", (Path(name) / "out").as_uri()]
        code, lines, used = run([*argv, "--params", json.dumps(params), "--quiet"])
        if code:
            raise SystemExit(f"quality check exited with {code}: {lines[-1] if lines else ''}")
        return used


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", default="100000,1000000")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    asked = parser.parse_args()
    lines = [
        "# The gate of the spoken words against the size of the release", "",
        f"`bench/gate_scale/run.py`, {platform.machine()}, Python {platform.python_version()}; synthetic tables.", "",
        "| clips | wall s | CPU s | peak MB |", "|---|---|---|---|",
    ]  # fmt: skip
    for clips in map(int, asked.clips.split(",")):
        used = measure(clips)
        lines.append(f"| {clips:,} | {used.wall_s:.1f} | {used.cpu_s:.1f} | {used.peak_mb:.0f} |")
        print(lines[-1], flush=True)
    if asked.write:
        RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
