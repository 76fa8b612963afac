"""What a second month costs: packaging over the first month's release, beside packaging all of it anew.

Run from the repository's root:
PYTHONPATH=containers/stagekit:containers/release:tests/containers:tests/containers/release \
    .venvs/release/bin/python bench/packaging/run.py --hours 1 --write

The corpus is the samples' recordings, cut every five seconds, each recording taken as often as the hours asked for need (every
time with other cuts, so that no clip is the same). Segments and scores are made up; the audio is real.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import speech_rows as rows
from release_corpus import DATASET, FIRST_MONTH, SECOND_MONTH, Talk, Warehouse

from release import package
from stagekit.audio import open_pcm

RESULTS = Path(__file__).parents[1] / "results" / "packaging.md"
STEP_S = 5.0
SHARD_BYTES = 16 << 20


def segments(talks: list[Talk], hours: float, batch: str) -> list[dict[str, Any]]:
    """Rows of ``release_segments``: about so many hours of 4.5 s clips."""
    lengths = {}
    for talk in talks:
        with open_pcm(talk.path) as pcm:
            lengths[talk.file] = pcm.duration_s
    found: list[dict[str, Any]] = []
    take = 0
    while sum(r["duration_s"] for r in found) < hours * 3600:
        for talk in talks:
            start = 0.01 * take
            while start + 4.5 < lengths[talk.file]:
                segment = rows.segment(
                    talk.document_id, talk.recording_id, round(start, 4), round(start + 4.5, 4), "made up words"
                )
                item = rows.item(talk.recording_id, talk.document_id, talk.file.partition(".")[0], creator=talk.creator)
                more = {k: item[k] for k in item if k.startswith("license_")}
                more |= {
                    "split": "train",
                    "subset": "clean",
                    "license_group": "by",
                    "item_id": item["item_id"],
                    "title": item["title"],
                }
                more |= {
                    "creator": talk.creator,
                    "source_url": item["url"],
                    "attribution": item["title"],
                    "caption_provenance": "human",
                }
                found.append(segment | more | {"recording_uri": talk.path.as_uri(), "batch": batch})
                start += STEP_S
        take += 1
    return found


def run(warehouse: Warehouse, name: str, wanted: list[dict[str, Any]], parent: str = "") -> tuple[str, dict[str, Any], float]:
    """Package these rows: (folder, metrics, wall seconds)."""
    source = rows.folder(warehouse.root / "in" / name, {"release_segments": wanted}, stage="release.split")
    before = [f"parent={parent}"] if parent else []
    started = time.monotonic()
    done = warehouse.stage(package.run, f"work/{name}", [source, *before], **DATASET, shard_bytes=SHARD_BYTES)
    return done.output, done.success["metrics"], time.monotonic() - started


def main() -> None:
    """Measure and print; ``--write`` keeps the table in bench/results."""
    parser = argparse.ArgumentParser(description="Incremental packaging beside packaging all anew.")
    parser.add_argument("--hours", type=float, default=1.0, help="of the first month; the second has a tenth")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    args = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="speechmill-bench-"))
    try:
        warehouse = Warehouse(root / "incremental", workers=len(os.sched_getaffinity(0)))
        first = segments(FIRST_MONTH, args.hours, "2026.01")
        second = segments(SECOND_MONTH, args.hours / 10, "2026.02")
        lines = []
        folder, metrics, wall = run(warehouse, "2026.01", first)
        lines.append(("first month", metrics, wall))
        _, metrics, wall = run(warehouse, "2026.02", first + second, folder)
        lines.append(("second month, over the first", metrics, wall))
        lost = {r["segment_id"] for r in first[: len(first) // 100]}
        _, metrics, wall = run(warehouse, "takedown", [r for r in first if r["segment_id"] not in lost], folder)
        lines.append(("first month less 1 % of its clips", metrics, wall))
        _, metrics, wall = run(warehouse, "nothing", first, folder)
        lines.append(("first month again, nothing changed", metrics, wall))
        anew = Warehouse(root / "anew", workers=warehouse.workers)
        _, metrics, wall = run(anew, "2026.02", first + second)
        lines.append(("both months, all anew", metrics, wall))
        text = report(lines, args.hours, warehouse.workers)
    finally:
        shutil.rmtree(root)
    print(text, end="")
    if args.write:
        RESULTS.write_text(text, encoding="utf-8")


def report(lines: list[tuple[str, dict[str, Any], float]], hours: float, workers: int) -> str:
    """The Markdown table."""
    head = (
        "| run | clips | encoded | copied | files kept / rewritten / new | MB written | wall s |\n" + "|---" + "|---:" * 6 + "|"
    )
    body = [
        f"| {name} | {m['clips']:,} | {m['clips_encoded']:,} | {m['clips_copied']:,} | "
        f"{m['shards_kept']} / {m['shards_rewritten']} / {m['shards_new']} | {m['bytes_written'] / 1e6:.1f} | {wall:.1f} |"
        for name, m, wall in lines
    ]
    load = f"load average {os.getloadavg()[2]:.0f} over the last 15 minutes"
    about = f"{platform.machine()}, {workers} cores ({load}), Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}"
    return (
        "# Packaging a second month\n\n`bench/packaging/run.py`: "
        f"{hours:g} h of clips (4.5 s each, real recordings of `samples/`) in the first month, {hours / 10:g} h in the second; "
        f"files of {SHARD_BYTES >> 20} MiB. {about}.\n\n{head}\n" + "\n".join(body) + "\n"
    )


if __name__ == "__main__":
    main()
