"""``python -m release report``: where every second of input went, for a person at a terminal."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from release.figures import hours, ledger_lines
from stagekit.storage import resolve


def columns(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Rows as aligned columns, two blanks apart."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))] if rows else []
    lines = []
    for row in rows:
        cells = [c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        lines.append("  " + "  ".join(cells).rstrip())
    return "\n".join(lines)


def report(about: Mapping[str, Any], ledger: Mapping[str, Any], folder: str) -> str:
    """The whole text.

    Args:
        about: ``release.json``.
        ledger: ``ledger.json``.
        folder: of the release: a path, or a URI of another store.
    """
    lines = ledger_lines(ledger)
    kept = sum(s for kind, _, s, _ in lines if kind == "kept")
    units = {**{n: k["units"] for n, k in ledger["kept"].items()}, **{n: r["units"] for n, r in ledger["rejected"].items()}}
    rows = []
    for kind, title in (("kept", "kept"), ("rejected", "rejected")):
        mine = [line for line in lines if line[0] == kind]
        seconds = sum(s for _, _, s, _ in mine)
        rows.append([title, "", hours(seconds), f"{sum(x for *_, x in mine):.2%}", ""])
        for _, name, part_s, share in mine:
            label = f"{units[name]:,} clips" if kind == "kept" else _label(units[name])
            rows.append(["", name, hours(part_s), f"{share:.2%}", label])
    rows.append(
        [
            "input",
            "",
            hours(ledger["in"]["seconds"]),
            f"{sum(share for *_, share in lines):.2%}",
            f"{ledger['in']['units']:,} items",
        ]
    )
    batches = ", ".join(b["key"] for b in about["batches"])
    text = [
        f"{about['dataset']} {about['language']} {about['version']}: where every second of input went (batches {batches})",
        "",
        columns(rows, right=(2, 3)),
        "",
        f"Source seconds, without the padding around clips: {hours(kept)} kept are {hours(about['totals']['audio_s'])} of clips.",
    ]
    text += [f"Warning: {w}" for w in about["warnings"]]
    found = {part.split()[1] for part in about["totals"]["parts"]}
    for split in ("dev", "test"):
        if split not in found:
            text.append(
                f"{split} is empty: splits are drawn for whole groups (one creator's recordings, copies), and none of the "
                f"{about['groups']} groups so far was drawn for {split}. More creators will fill it."
            )
    parent = about["parent"]["version"] if about["parent"] else None
    config = next(iter(sorted(part.split()[0] for part in about["totals"]["parts"])), "clean-by")
    split = next((p.split()[1] for p in sorted(about["totals"]["parts"], reverse=True) if p.startswith(f"{config} ")), "train")
    enter = f"gcloud storage cp -r {folder} . && cd {folder.rpartition('/')[2]}" if "://" in folder else f"cd {folder}"
    text += [
        "",
        f"Release: {folder}" + (f" (after {parent})" if parent else ""),
        f"Card:    {folder}/README.md",
        "",
        "Next:",
        f'  load      python -c \'import datasets; print(datasets.load_dataset("{folder}", "{config}", split="{split}")[0])\'',
        '            (its audio is decoded by FFmpeg: apt-get install ffmpeg; pip install "datasets[audio]")',
        f"  check     {enter} && sha256sum --quiet -c checksums.sha256",
        "  choose    other bounds in config/policies/, and release again: nothing is aligned or encoded anew",
    ]
    return "\n".join(text) + "\n"


def _label(units: int) -> str:
    return f"{units:,} whole" if units else "parts"


def main(argv: list[str]) -> int:
    """``python -m release report --release URI``: the folder of a release, or the one that holds ``latest.json``."""
    parser = argparse.ArgumentParser(prog="python -m release report", description="Where every second of a release's input went.")
    parser.add_argument(
        "--release", required=True, metavar="URI", help="folder of a release, or of a dataset's releases (then: the latest)"
    )
    args = parser.parse_args(argv)
    store, path = resolve(args.release)
    try:
        if not store.exists(f"{path}/release.json") and store.exists(f"{path}/latest.json"):
            path = f"{path}/{json.loads(store.read_bytes(f'{path}/latest.json'))['version']}"
        about, ledger = (json.loads(store.read_bytes(f"{path}/{name}")) for name in ("release.json", "ledger.json"))
    except FileNotFoundError:
        print(f"release report: {args.release}: no release.json and no latest.json in it", file=sys.stderr)
        return 1
    print(report(about, ledger, path if store.local(path) else f"{args.release.partition('://')[0]}://{path}"), end="")
    return 0
