"""NeMo manifests, and the command that unpacks a release's audio to where they point.

A release holds its audio once, in Parquet. Its ``nemo/<config>/<split>.json`` are complete NeMo manifests (one JSON object a
line: ``audio_filepath``, ``duration``, ``text``) whose paths are relative to the manifest, as NeMo resolves them. ``export-
nemo`` writes the same manifests with the FLAC files beside them, or tar files with the manifest of a tarred dataset.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

import pyarrow.parquet as pq

COLUMNS = ("segment_id", "duration_s", "text", "language", "subset", "license_group", "split")


def member(segment_id: str) -> str:
    """A clip's path beside its manifest; 256 folders, so that none holds millions of files."""
    return f"audio/{segment_id[:2]}/{segment_id}.flac"


def entry(row: Mapping[str, Any], path: str, **more: Any) -> str:
    """A manifest line."""
    fields = {
        "audio_filepath": path,
        "duration": row["duration_s"],
        "text": row["text"],
        "lang": row["language"],
        "segment_id": row["segment_id"],
    }
    return json.dumps(fields | more, ensure_ascii=False) + "\n"


def write_manifests(rows: Iterator[Mapping[str, Any]], folder: Path) -> int:
    """Write ``<subset>-<license group>/<split>.json`` below a folder; the number of lines."""
    written = 0
    with ExitStack() as stack:
        files: dict[str, TextIO] = {}
        for row in rows:
            name = f"{row['subset']}-{row['license_group']}/{row['split']}.json"
            if name not in files:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                files[name] = stack.enter_context(open(folder / name, "w", encoding="utf-8"))
            files[name].write(entry(row, member(row["segment_id"])))
            written += 1
    return written


def _clips(shard: Path) -> Iterator[dict[str, Any]]:
    for batch in pq.ParquetFile(shard).iter_batches(batch_size=100, columns=[*COLUMNS, "audio"]):
        yield from batch.to_pylist()


def _export_files(release: Path, output: Path, wanted: set[str]) -> int:
    clips = 0
    for shard in sorted(release.glob("data/*/*.parquet")):
        config, split = shard.parent.name, shard.name.partition("-")[0]
        if wanted and f"{config}/{split}" not in wanted:
            continue
        for row in _clips(shard):
            target = output / config / member(row["segment_id"])
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(row["audio"]["bytes"])
            clips += 1
    for manifest in sorted(release.glob("nemo/*/*.json")):
        if not wanted or f"{manifest.parent.name}/{manifest.stem}" in wanted:
            target = output / manifest.parent.name / manifest.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(manifest.read_bytes())
    return clips


def _export_tars(release: Path, output: Path, wanted: set[str]) -> int:
    clips = 0
    numbers: dict[str, int] = {}
    for shard in sorted(release.glob("data/*/*.parquet")):
        name = f"{shard.parent.name}/{shard.name.partition('-')[0]}"
        if wanted and name not in wanted:
            continue
        number = numbers[name] = numbers.get(name, -1) + 1
        folder = output / name
        folder.mkdir(parents=True, exist_ok=True)
        mode = "w" if number == 0 else "a"
        with (
            tarfile.open(folder / f"audio_{number}.tar", "w") as tar,
            open(folder / "tarred_audio_manifest.json", mode, encoding="utf-8") as manifest,
        ):
            for row in _clips(shard):
                info = tarfile.TarInfo(f"{row['segment_id']}.flac")
                info.size = len(row["audio"]["bytes"])
                tar.addfile(info, io.BytesIO(row["audio"]["bytes"]))
                manifest.write(entry(row, info.name, shard_id=number))
                clips += 1
    return clips


def main(argv: list[str]) -> int:
    """``python -m release export-nemo --release DIR --output DIR [--tar] [--part clean-by/train …]``."""
    parser = argparse.ArgumentParser(prog="python -m release export-nemo", description="Unpack a release for NVIDIA NeMo.")
    parser.add_argument("--release", required=True, type=Path, help="folder of a published release")
    parser.add_argument("--output", required=True, type=Path, help="folder to write to")
    parser.add_argument("--tar", action="store_true", help="tar files and tarred_audio_manifest.json instead of single files")
    parser.add_argument(
        "--part", action="append", default=[], metavar="CONFIG/SPLIT", help="only this part, such as clean-by/train; repeat"
    )
    args = parser.parse_args(argv)
    if not (args.release / "release.json").is_file():
        print(
            f"release export-nemo: {args.release}: no release.json in it; name the folder of a published release", file=sys.stderr
        )
        return 1
    parts = {f"{m.parent.name}/{m.stem}" for m in args.release.glob("nemo/*/*.json")}
    if unknown := sorted(set(args.part) - parts):
        print(f"release export-nemo: no part {', '.join(unknown)}; there are {', '.join(sorted(parts))}", file=sys.stderr)
        return 1
    os.makedirs(args.output, exist_ok=True)
    clips = (_export_tars if args.tar else _export_files)(args.release, args.output, set(args.part))
    print(f"release export-nemo: {clips} clips → {args.output}")
    return 0
