"""Time and memory of training and alignment against the size of the corpus.

    .venvs/align/bin/python bench/words_speed/scale.py [--hours 0.1,1,10] [--keep]

A synthetic corpus of each size (tests/known_answers/words/speak.py, each with a seed of its own) is made; `words train` and
`words align` run on it from nothing with all cores, and are measured as in run.py. The records go to
bench/results/words-scale.json; --keep keeps the sizes that are not run now. The table in bench/results/words-scale.md ends with
what follows for 1,000 hours: training takes a sample of `max_hours` (10), so beyond it costs no more than reading the list;
alignment streams, so its time grows with the hours and its memory does not.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from run import REPO, STAGES, machine, measure, synthetic, write

RECORDS = REPO / "bench" / "results" / "words-scale.json"
UTTERANCE_S = 4.0
"""Mean length of a synthetic utterance, seconds; a corpus is its nominal size to within a few per cent."""
PROJECTED_H, TRAINED_H = 1000.0, 10.0


def table(records: dict[str, dict[str, Any]]) -> str:
    """All sizes, and the projection."""
    lines = ["# Word alignment against the size of the corpus", "", "`bench/words_speed/scale.py` makes this.", ""]
    lines += [
        "| hours | utterances | stage | wall s | CPU s | CPU s an hour | peak MB of a process | starts, ends: mean (median) ms |"
    ]
    lines += ["|---|---|---|---|---|---|---|---|"]
    for record in records.values():
        hours = record["audio_s"] / 3600
        errors = ", ".join(f"{e['mean_ms']:.1f} ({e['median_ms']:.1f})" for e in record["errors"].values())
        for stage in STAGES:
            took = record[stage]
            lines.append(
                f"| {hours:.2f} | {record['utterances']} | {stage} | {took['wall_s']:.0f} | {took['cpu_s']:.0f} "
                f"| {took['cpu_s'] / hours:.0f} | {took['peak_mb']} | {errors if stage == 'align' else ''} |"
            )
    lines.append("")
    for record in records.values():
        lines.append(
            f"{record['audio_s'] / 3600:.2f} h: {record['date']}, {record['machine']}, load before {record['load']:.1f}."
        )
    small, large = (f(records.values(), key=lambda r: r["audio_s"]) for f in (min, max))
    hours = large["audio_s"] / 3600
    train, align = large["train"], large["align"]
    apart = hours - small["audio_s"] / 3600
    grows = (train["peak_mb"] - small["train"]["peak_mb"]) / apart if apart else train["peak_mb"] / hours
    memory = train["peak_mb"] + (TRAINED_H - hours) * grows
    lines += [
        "",
        f"**Projected for {PROJECTED_H:,.0f} h**, not measured, from the {hours:.1f} h and from what memory grows by. "
        f"Training, on {TRAINED_H:g} h: {train['cpu_s'] / hours * TRAINED_H / 60:.0f} min of CPU, {memory / 1024:.1f} GB. "
        f"Alignment: {align['cpu_s'] / hours * PROJECTED_H / 3600:.1f} h of CPU "
        f"({3600 * hours / align['cpu_s']:.0f} × real time a core), {align['peak_mb'] / 1024:.1f} GB a process.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    p = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    p.add_argument("--hours", default="0.1,1,10")
    p.add_argument("--keep", action="store_true", help="keep records of sizes that are not run now")
    p.add_argument("--work", type=Path, default=REPO / "build" / "words-scale")
    p.add_argument("--out", type=Path, default=RECORDS)
    a = p.parse_args()
    records = json.loads(a.out.read_text()) if a.keep and a.out.exists() else {}
    for seed, hours in enumerate(map(float, a.hours.split(",")), 1):
        work = a.work / f"{hours:g}"
        utterances = synthetic("en", round(hours * 3600 / UTTERANCE_S), work / "espeak", seed)
        corpus = write(work / "corpus", utterances)
        shutil.rmtree(work / "espeak")
        load = os.getloadavg()[0]
        print(f"{hours:g} h: {len(utterances)} utterances", file=sys.stderr, flush=True)
        records[f"{hours:g}"] = {
            "utterances": len(utterances), "audio_s": round(sum(u.duration_s for u in utterances), 1), "load": load,
            "date": time.strftime("%Y-%m-%d"), "machine": machine(), **measure("words", corpus, utterances, work),
        }  # fmt: skip
        records = dict(sorted(records.items(), key=lambda kv: float(kv[0])))
        a.out.parent.mkdir(parents=True, exist_ok=True)
        a.out.write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")
    text = table(records)
    a.out.with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
