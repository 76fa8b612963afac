"""Measures the pipeline on the known answers: `make known-answers`.

    .venvs/align/bin/python tests/known_answers/run.py [--side measure] [--only clean,added] [--minutes 8] [--hour 3600]
        [--recognizer moonshine] [--model FOLDER --model-sha256 …]

Runs the real stages (ingest discover and fetch; align recognize, align and score) in their own environments, compares what they
wrote with the truth, prints the table and keeps it in bench/results/known-answers.md. Stages that have run on the same corpus
with the same code are not run again.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from corpus import CONDITIONS, Document, documents, write
from cuts import pauses
from drift import measure as measure_drift
from evaluate import Keep, evaluate
from intervals import Figure
from pipeline import REPO, Run, everything, harvest, policy, reasons
from report import Condition, Views, all_promises, markdown
from signal_tools import load

RESULT = REPO / "bench" / "results" / "known-answers.md"


def compare(made: list[Document], run: Run, source: Path, keep: Keep) -> tuple[dict[str, Condition], list[str]]:
    """Counts by condition, and a line for each wrong word."""
    found: dict[str, Condition] = {}
    lines = []
    for doc in made:
        condition = found.setdefault(doc.condition, Condition())
        condition.documents += 1
        condition.seconds += doc.duration_s
        condition.rejected_documents += doc.id not in run.documents
        counts = evaluate(doc, run.documents.get(doc.id, ""), run.segments.get(doc.id, []), keep)
        if doc.condition == "clean":
            kept = [s for s in run.segments.get(doc.id, []) if keep(s)]
            counts.pauses_at_cuts += pauses(doc, load(source / doc.file), kept)
        condition.counts.add(counts)
        lines += [f"{doc.id}: {line}" for line in counts.wrong_words]
        if doc.id not in run.documents:
            lines.append(f"{doc.id}: turned away by ingest: {dict(reasons(run, doc.id))}")
    return found, lines


def measure(
    work: Path,
    side: str,
    only: tuple[str, ...],
    minutes: float,
    clean: float | None,
    listening: Mapping[str, object],
    biased: bool,
) -> tuple[Views, list[str], dict[str, float]]:
    """Build the corpus, run the stages, compare: as aligned, and as the release policy would take it."""
    made = write(work / "source", documents(side, only, minutes, clean))
    run = harvest(work / "source", work, listening=listening, biased=biased)
    aligned, lines = compare(made, run, work / "source", everything)
    released, _ = compare(made, run, work / "source", policy())
    return Views(aligned, released), lines, run.seconds


def main() -> None:
    """Command line; with --check, exit 1 if a promise is not met."""
    p = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    p.add_argument("--side", choices=("tune", "measure"), default="measure")
    p.add_argument("--only", default=",".join(CONDITIONS))
    p.add_argument("--minutes", type=float, default=8.0, help="of each damaged or degraded condition")
    p.add_argument("--clean-minutes", type=float, help="of the clean condition; default all there is")
    p.add_argument("--hour", type=float, default=3600.0, help="seconds of synthetic speech; 0: none")
    p.add_argument("--hour-seed", type=int, default=1, help="another one changes its voices, speeds, pitches and pauses")
    p.add_argument("--recognizer", default="moonshine", help="what hears, places and judges")
    p.add_argument("--model", default="", help="of --recognizer torchaudio: a bundle or a checkpoint folder")
    p.add_argument("--model-sha256", default="", help="its digest")
    p.add_argument("--biased", action="store_true", help="the same: tell it of the document")
    p.add_argument("--work", type=Path, default=REPO / "build" / "known-answers")
    p.add_argument("--out", type=Path, default=RESULT)
    p.add_argument("--check", action="store_true", help="exit 1 if a promise is not met")
    a = p.parse_args()
    started = time.monotonic()
    work = a.work / a.side
    listening = {"recognizer": a.recognizer, "model": a.model, "model_sha256": a.model_sha256}
    views, lines, seconds = measure(work, a.side, tuple(a.only.split(",")), a.minutes, a.clean_minutes, listening, a.biased)
    drift: dict[str, Figure] | None = None
    if a.hour:
        folder = a.work / (f"hour-{a.hour:g}" + (f"-{a.hour_seed}" if a.hour_seed != 1 else ""))
        drift, hour_seconds = measure_drift(folder / "source", folder, a.hour, a.hour_seed, everything, listening, a.biased)
        seconds |= {f"{k} (hour)": v for k, v in hour_seconds.items()}
    text = markdown(views, drift, a.side, a.recognizer, {**seconds, "in all": time.monotonic() - started})
    a.out.parent.mkdir(parents=True, exist_ok=True)
    a.out.write_text(text, encoding="utf-8")
    (work / "wrong-words.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(text)
    print(f"written to {a.out}; wrong words in {work / 'wrong-words.txt'}", file=sys.stderr)
    missed = [p.name for p in all_promises(views, drift) if not p.met]
    print(f"{len(missed)} promises not met", *missed, sep="\n  ", file=sys.stderr)
    sys.exit(1 if a.check and missed else 0)


if __name__ == "__main__":
    main()
