"""The original project's own fixture: one meeting as two recognisers heard it, 2 h 21 min."""

from __future__ import annotations

import lzma
import re
from dataclasses import dataclass
from pathlib import Path

from align.segment import AlignedWord
from stagekit.tables import SAMPLE_RATE

FOLDER = Path(__file__).parent / "data/bos2015"
NOISES = {"<unk>", "[laughter]", "[noise]"}
"""What the original dropped from the hypothesis."""
DURATION = 8490 * SAMPLE_RATE


@dataclass(frozen=True)
class Heard:
    """A word of the hypothesis; seconds."""

    word: str
    start: float
    end: float


def hypothesis() -> list[Heard]:
    """Words that Kaldi heard, with times."""
    lines = lzma.decompress((FOLDER / "hypothesis.ctm.xz").read_bytes()).decode().splitlines()
    fields = [line.split() for line in lines]
    return [Heard(f[4].lower(), float(f[2]), float(f[2]) + float(f[3])) for f in fields if f[4] not in NOISES]


def transcript() -> tuple[str, list[tuple[int, int]]]:
    """The captions' text in lower case, and the range of each word."""
    raw = lzma.decompress((FOLDER / "captions.asr.srt.xz").read_bytes()).decode("utf-8-sig")
    lines = [line for line in raw.splitlines() if line and "-->" not in line and not line.strip().isdigit()]
    text = " ".join(" ".join(lines).lower().split())
    return text, [m.span() for m in re.finditer(r"[a-z']+", text)]


def as_aligned(words: list[Heard]) -> tuple[str, list[AlignedWord]]:
    """The hypothesis as if it were its own transcript: real word times, no punctuation."""
    text, out, at = " ".join(w.word for w in words), [], 0
    for i, w in enumerate(words):
        out.append(AlignedWord(i, w.word, at, at + len(w.word), w.start, max(w.end, w.start + 0.01), 0.0, True))
        at += len(w.word) + 1
    return text, out
