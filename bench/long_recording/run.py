"""Memory and time of aligning one very long recording: ``.venvs/align/bin/python bench/long_recording/run.py --hours 1 4 12``.

Synthetic speech with exact word times (``tests/known_answers/espeak.py``; needs eSpeak NG): the same six chapters again and
again, in other voices, which is harder on the search than a book. What the recogniser would have heard is replayed: the words
that were said, at their times, with one in twelve misheard, left out or put in. So alignment sees as much as it would, and hours
of recognition are not spent on a figure about memory. Each length runs in a process of its own. ``--recognize`` also runs
the real recogniser over the shortest one.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf

REPO = Path(__file__).resolve().parents[2]
RATE = 16_000
MISHEARD = 1 / 12
PAUSE_S = 0.3
"""Words closer than this belong to one stretch of speech."""


def hour(folder: Path, seed: int, seconds: float) -> tuple[Path, dict[str, Any]]:
    """One hour of speech and its truth."""
    audio, truth = folder / f"{seed}.wav", folder / f"{seed}.json"
    script = REPO / "tests/known_answers/espeak.py"
    command = [sys.executable, str(script), str(audio), str(truth), "--seconds", str(seconds), "--seed", str(seed)]
    subprocess.run(command, check=True)
    return audio, json.loads(truth.read_text())


def make(folder: Path, hours: float) -> tuple[Path, dict[str, Any]]:
    """A recording of so many hours as FLAC, and its words: ``{"words": [[word, start_s, end_s], …], "duration_s": …}``."""
    audio, words, at = folder / f"{hours:g}h.flac", [], 0.0
    with sf.SoundFile(audio, "w", RATE, 1, format="FLAC") as out:
        for seed in range(1, int(np.ceil(hours)) + 1):
            part, truth = hour(folder, seed, min(1.0, hours - (seed - 1)) * 3600)
            for a, b, start, end in truth["words"]:
                word = "".join(c for c in truth["text"][a:b].lower() if c.isalpha() or c == "'")
                if word:
                    words.append([word, at + start, at + end])
            with sf.SoundFile(part) as source:
                for block in source.blocks(RATE * 60, dtype="float32"):
                    out.write(block)
            at += truth["duration_s"]
            part.unlink()
    return audio, {"words": words, "duration_s": at}


def heard_of(words: list[list[Any]], seed: int = 1) -> list[list[Any]]:
    """The words as a recogniser might hear them."""
    rng, out = random.Random(seed), []
    for word, start, end in words:
        lot = rng.random()
        if lot < MISHEARD / 3:
            continue
        out.append([rng.choice(words)[0] if lot < MISHEARD * 2 / 3 else word, start, end])
        if lot > 1 - MISHEARD / 3:
            out.append([rng.choice(words)[0], end, end + 0.01])
    return out


def stretches(words: list[list[Any]]) -> list[tuple[int, int]]:
    """Speech, in samples."""
    out: list[list[float]] = []
    for _, start, end in words:
        if out and start - out[-1][1] < PAUSE_S:
            out[-1][1] = max(out[-1][1], end)
        else:
            out.append([start, end])
    return [(round(a * RATE), round(b * RATE)) for a, b in out]


def align(audio: Path, truth: Path) -> dict[str, float]:
    """Align in this process; its figures."""
    sys.path[:0] = [str(REPO / "containers/stagekit"), str(REPO / "containers/align")]
    from align.align import AlignParams, Job, align_document
    from align.documents import Document
    from align.recognizer import HeardWord

    known = json.loads(truth.read_text())
    words, tokens, at = known["words"], [], 0
    for word, _, _ in words:
        tokens.append({"word": word, "char_start": at, "char_end": at + len(word)})
        at += len(word) + 1
    text = " ".join(w[0] for w in words)
    row = {"document_id": "long", "recording_id": "long", "language": "en", "text": text, "tokens": tokens}
    document = Document(row, audio.as_uri(), known["duration_s"])
    heard = [HeardWord(w, s, e, None) for w, s, e in heard_of(words)]
    wall, cpu = time.perf_counter(), time.process_time()
    aligned = align_document(Job(document, stretches(words), heard, True, AlignParams()))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    at_char = {t["char_start"]: w for t, w in zip(tokens, words, strict=True)}
    errors = [abs(w.start_s - at_char[w.char_start][1]) for s in aligned.segments for w in s.words]
    return {
        "hours": known["duration_s"] / 3600, "words": len(words), "kept": len(errors) / len(words), "wall_s": wall, "cpu_s": cpu,
        "median_ms": 1000 * float(np.median(errors)), "far": float(np.mean(np.array(errors) > 0.5)),
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2,
    }  # fmt: skip


def recognize(audio: Path) -> dict[str, float]:
    """Recognise in this process; its figures."""
    sys.path[:0] = [str(REPO / "containers/stagekit"), str(REPO / "containers/align")]
    from align.documents import Document
    from align.recognize import RecognizeParams, recognize_document

    seconds = sf.info(str(audio)).duration
    row = {"document_id": "long", "recording_id": "long", "language": "en", "text": "", "tokens": []}
    wall, cpu = time.perf_counter(), time.process_time()
    heard = recognize_document((Document(row, audio.as_uri(), seconds), RecognizeParams()))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    return {"hours": seconds / 3600, "words": len(heard.words), "wall_s": wall, "cpu_s": cpu, "peak_gb": peak}


def child(*argv: str) -> dict[str, float]:
    """Run this file in a process of its own; what it printed."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # as the stage's workers have it
    done = subprocess.run([sys.executable, __file__, *argv], check=True, capture_output=True, text=True, env=env)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Command line."""
    p = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    p.add_argument("--hours", type=float, nargs="+", default=[1, 4, 12])
    p.add_argument("--recognize", action="store_true")
    p.add_argument("--out", type=Path, default=REPO / "bench/results/long-recording.md")
    p.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.child:
        print(json.dumps(align(Path(a.child[1]), Path(a.child[2])) if a.child[0] == "align" else recognize(Path(a.child[1]))))
        return
    lines = [
        "# One very long recording", "",
        "Made by `bench/long_recording/run.py`, which says what is replayed. One process, one core each.",
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}.", "",
        "| stage | hours | words | wall s | CPU s | × real time | peak GB | kept % | median start error ms | over 0.5 s off % |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for hours in sorted(a.hours):
            audio, known = make(folder, hours)
            truth = folder / "truth.json"
            truth.write_text(json.dumps(known))
            if a.recognize and hours == min(a.hours):
                r = child("--child", "recognize", str(audio))
                lines.append(
                    f"| recognize | {r['hours']:.1f} | {r['words']} | {r['wall_s']:.0f} | {r['cpu_s']:.0f} | "
                    f"{3600 * r['hours'] / r['wall_s']:.1f} | {r['peak_gb']:.2f} | – | – | – |"
                )
                print(lines[-1], flush=True)
            r = child("--child", "align", str(audio), str(truth))
            lines.append(
                f"| align | {r['hours']:.1f} | {r['words']} | {r['wall_s']:.0f} | {r['cpu_s']:.0f} | "
                f"{3600 * r['hours'] / r['wall_s']:.1f} | {r['peak_gb']:.2f} | {100 * r['kept']:.1f} | {r['median_ms']:.1f} | "
                f"{100 * r['far']:.2f} |"
            )
            print(lines[-1], flush=True)
            audio.unlink()
    a.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
