"""How fast the word aligners train and align, one after the other in one run on the same files and cores.

    .venvs/align/bin/python bench/words_speed/run.py [--utterances 2000] [--aligners words,mfa] [--keep]

A synthetic corpus (tests/known_answers/words/speak.py) is made once. Each aligner's `train` and `align` then run on it from
nothing, with all cores, as a user runs them; wall and CPU seconds are those of the stage's whole process tree (decoding and
writing included), peak memory that of its largest process. The record of each aligner goes to bench/results/words-speed.json
with the machine, the date and the run; --keep keeps the records of aligners that are not run now. Ratios are given between
records of one run only: a ratio of two runs would compare two moods of a machine. The tables are in
bench/results/words-speed.md, with the errors of the same alignments beside them, so that speed is not bought with them. MFA
takes some 20 minutes of CPU for 2,000 utterances.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import sys
import time
import uuid
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

REPO = Path(__file__).resolve().parents[2]
PARTS = ("tests/known_answers/words", "tests/known_answers", "tests/containers", "containers/stagekit")
sys.path[:0] = [str(REPO / part) for part in PARTS]

from pipeline import rows, run_stage  # noqa: E402
from word_aligners import machine, missing  # noqa: E402
from word_corpora import Utterance, synthetic, write  # noqa: E402
from word_figures import against_truth, by_sentence, summary  # noqa: E402

RECORDS = REPO / "bench" / "results" / "words-speed.json"
TABLE = RECORDS.with_suffix(".md")
STAGES = ("train", "align")


def timed(aligner: str, stage: str, inputs: list[str], out: Path) -> tuple[str, dict[str, float]]:
    """Run a stage; its folder, and wall and CPU seconds of all its processes and the memory of the largest.

    In a process of its own, for what children used is counted over all of a process's life.
    """
    with ProcessPoolExecutor(1) as pool:
        return pool.submit(_timed, aligner, stage, inputs, out).result()


def _timed(aligner: str, stage: str, inputs: list[str], out: Path) -> tuple[str, dict[str, float]]:
    started = time.monotonic()
    folder = run_stage(aligner, stage, inputs, out, {})
    wall, used = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = used.ru_utime + used.ru_stime
    return folder, {"wall_s": round(wall, 2), "cpu_s": round(cpu, 2), "peak_mb": round(used.ru_maxrss / 1024)}


def measure(aligner: str, corpus: Path, utterances: list[Utterance], work: Path) -> dict[str, Any]:
    """One aligner, from nothing."""
    out = work / f"run-{aligner}"
    shutil.rmtree(out, ignore_errors=True)
    model, train = timed(aligner, "train", [str(corpus)], out)
    aligned, align = timed(aligner, "align", [str(corpus), f"model={model}"], out)
    words = by_sentence(rows(aligned, "sentence_words"))
    errors = against_truth(utterances, words)
    sides = {side: s for side in ("starts", "ends") if (s := summary(getattr(errors, side)))}
    return {
        "train": train,
        "align": align,
        "unaligned": len(utterances) - len(words),
        "errors": {k: {"n": s.n, "mean_ms": round(s.mean_ms, 2), "median_ms": round(s.median_ms, 2)} for k, s in sides.items()},
    }


def table(records: dict[str, dict[str, Any]]) -> str:
    """All records, and ratios of those of one run."""
    lines = ["# Speed of the word aligners", "", "`bench/words_speed/run.py` makes this.", ""]
    lines += ["| utterances (audio) | aligner | stage | wall s | CPU s | × real time (wall) | peak MB | errors, ms |"]
    lines += ["|---|---|---|---|---|---|---|---|"]
    for record in records.values():
        errors = ", ".join(f"{e['mean_ms']:.1f}" for e in record["errors"].values())
        for stage in STAGES:
            took = record[stage]
            lines.append(
                f"| {record['utterances']} ({record['audio_s'] / 60:.0f} min) | {record['aligner']} | {stage} "
                f"| {took['wall_s']:.0f} | {took['cpu_s']:.0f} | {record['audio_s'] / took['wall_s']:.1f} | {took['peak_mb']} "
                f"| {errors if stage == 'align' else ''} |"
            )
    lines += ["", "Errors are the mean over starts, and over ends, against the synthesiser's own times.", ""]
    for run in sorted({r["run"] for r in records.values()}):
        of = {r["aligner"]: r for r in records.values() if r["run"] == run}
        first = next(iter(of.values()))
        lines.append(
            f"Run {run}: {first['date']}, {first['machine']}; load before each: "
            + ", ".join(f"{r['aligner']} {r['load']:.1f}" for r in of.values())
            + "."
        )
        if {"words", "mfa"} <= set(of):
            for what, stages in (("train + align", STAGES), ("train", STAGES[:1]), ("align", STAGES[1:])):
                times = {x: [sum(of[x][s][k] for s in stages) for k in ("wall_s", "cpu_s")] for x in ("words", "mfa")}
                wall, cpu = (slow / fast for slow, fast in zip(times["mfa"], times["words"], strict=True))
                lines.append(f"- {what}: `words` takes 1/{wall:.1f} of MFA's wall time and 1/{cpu:.1f} of its CPU time")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    p = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    p.add_argument("--utterances", type=int, default=2000)
    p.add_argument("--aligners", default="words,mfa")
    p.add_argument("--keep", action="store_true", help="keep records of earlier runs beside this one's")
    p.add_argument("--work", type=Path, default=REPO / "build" / "words-speed")
    p.add_argument("--out", type=Path, default=RECORDS)
    a = p.parse_args()
    chosen = a.aligners.split(",")
    for aligner in chosen:
        if why := missing(aligner):
            sys.exit(f"{aligner}: {why}")
    work = a.work / str(a.utterances)
    utterances = synthetic("en", a.utterances, work / "espeak")
    corpus = write(work / "corpus", utterances)
    records = json.loads(a.out.read_text()) if a.keep and a.out.exists() else {}
    run, seconds = uuid.uuid4().hex[:8], sum(u.duration_s for u in utterances)
    for aligner in chosen:
        load = os.getloadavg()[0]
        print(f"{aligner}: {a.utterances} utterances", file=sys.stderr, flush=True)
        record = {
            "aligner": aligner, "utterances": a.utterances, "audio_s": round(seconds, 1), "run": run, "load": load,
            "date": time.strftime("%Y-%m-%d"), "machine": machine(), **measure(aligner, corpus, utterances, work),
        }  # fmt: skip
        records[f"{aligner}-{a.utterances}"] = record
        a.out.parent.mkdir(parents=True, exist_ok=True)
        a.out.write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")
    text = table(records)
    a.out.with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
