"""One hour of synthetic speech: word times against exact ones, drift over the hour, and cuts inside words."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evaluate import Keep, char_map
from intervals import Figure, quantile, share, slope
from pipeline import Run, harvest

HERE = Path(__file__).resolve().parent
INSIDE_S = 0.030
"""A cut this far from both ends of a word is inside it: three frames of the aligner, and the engine's own fades."""


def make(folder: Path, seconds: float, seed: int) -> Path:
    """Write the recording as a source folder; the truth's path. Made once."""
    truth = folder.with_name(folder.name + ".truth.json")
    if not truth.exists():
        folder.mkdir(parents=True, exist_ok=True)
        argv = [sys.executable, str(HERE / "espeak.py"), str(folder / "hour.flac"), str(truth)]
        subprocess.run([*argv, "--seconds", str(seconds), "--seed", str(seed)], check=True)
        (folder / "hour.txt").write_text(json.loads(truth.read_text())["text"] + "\n", encoding="utf-8")
        row = {
            "file": "hour.flac",
            "id": "hour",
            "title": "One hour of synthetic speech",
            "creator": "Speechmill",
            "language": "en",
            "license_url": "https://creativecommons.org/publicdomain/zero/1.0/",
            "source_url": "https://example.org/known-answers",
        }
        (folder / "metadata.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    return truth


def figures(run: Run, truth: Path, keep: Keep) -> dict[str, Figure]:
    """Errors of word times, drift, cuts inside words, share of words kept."""
    known = json.loads(truth.read_text())
    words = {int(a): (float(s), float(e)) for a, _, s, e in known["words"]}
    joined = said_as_one(known)
    segments = run.segments.get("hour", [])
    to_truth = char_map(run.documents["hour"], known["text"])
    kept = [s for s in segments if keep(s)]
    starts, ends, at = [], [], []
    for segment in segments:
        for word in segment.words:
            if (place := to_truth[word.char_start]) in words:
                start, end = words[place]
                starts.append(word.start_s - start)
                ends += [] if place in joined else [word.end_s - end]
                at.append(start / 3600)
    spans, unknown = sorted(words[w] for w in words if w not in joined), [words[w] for w in joined]
    at_cuts = [t for s in kept for t in (s.start_s, s.end_s) if not any(a < t < b for a, b in unknown)]
    cuts = [(float(any(a + INSIDE_S < t < b - INSIDE_S for a, b in spans)), 1.0) for t in at_cuts]
    near = [(t, e) for t, e in zip(at, starts, strict=True) if abs(e) < 0.5]
    return {
        "words in kept segments, %": share([(float(sum(len(s.words) for s in kept)), float(len(known["text"].split())))]),
        "word starts, median absolute error, ms": quantile([abs(e) for e in starts], 0.5),
        "word starts, 95th percentile, ms": quantile([abs(e) for e in starts], 0.95),
        "word ends, median absolute error, ms": quantile([abs(e) for e in ends], 0.5),
        "word ends, 95th percentile, ms": quantile([abs(e) for e in ends], 0.95),
        "words over 0.5 s from their place, %": share([(float(abs(e) > 0.5), 1.0) for e in starts]),
        "drift of word starts over an hour, ms": slope([t for t, _ in near], [e for _, e in near]),
        "bias of word starts, first tenth, ms": quantile([e for t, e in near if t < at[-1] / 10], 0.5) if at else share([]),
        "bias of word starts, last tenth, ms": quantile([e for t, e in near if t > at[-1] * 0.9], 0.5) if at else share([]),
        "cuts inside a word, %": share(cuts),
    }


def said_as_one(known: Mapping[str, Any]) -> set[int]:
    """Where words begin that the engine says as one with the next ("of the"): their ends, and cuts in them, are not known."""
    starts = sorted(int(a) for a, *_ in known["words"])
    pieces = zip(starts, [*starts[1:], len(known["text"])], strict=True)
    return {a for a, b in pieces if len(known["text"][a:b].split()) > 1}


def measure(
    folder: Path,
    work: Path,
    seconds: float,
    seed: int,
    keep: Keep,
    listening: Mapping[str, object] | None = None,
    biased: bool = False,
) -> tuple[dict[str, Figure], dict[str, float]]:
    """Make, run, compare; figures and wall seconds of each stage. ``listening``, ``biased``: see `pipeline.harvest`."""
    truth = make(folder, seconds, seed)
    run = harvest(folder, work, listening=listening, biased=biased)
    return figures(run, truth, keep), run.seconds
