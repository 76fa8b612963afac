"""Pauses at cuts: how long the quiet is in which a segment was cut, measured from level alone on clean documents."""

from __future__ import annotations

import numpy as np
from corpus import Document, Placed
from evaluate import Segment
from signal_tools import FRAME, RATE, Signal, frame_levels, speech_level

SHORT_S = 0.050
"""57 % of the cuts of the People's Speech (2021) fell in a pause under 50 ms."""
_STEP = FRAME / RATE


def quiet_frames(doc: Document, samples: Signal) -> np.ndarray:
    """Which 5 ms frames are quiet: under the level of speech of the clip they belong to, as `truth.measure` counts it."""
    levels = frame_levels(samples)
    quiet = np.ones(len(levels), bool)
    for clip in doc.clips:
        a, b = int(clip.start_s / _STEP), min(len(levels), int(clip.end_s / _STEP))
        quiet[a:b] = levels[a:b] <= _threshold(clip, samples, levels[a:b])
    return quiet


def _threshold(clip: Placed, samples: Signal, levels: np.ndarray) -> float:
    top = speech_level(samples[int(clip.start_s * RATE) : int(clip.end_s * RATE)])
    floor = max(float(np.percentile(levels, 5)), -75.0)
    return max(top - 25.0, (floor + top) / 2 - 5.0)


def pauses(doc: Document, samples: Signal, kept: list[Segment]) -> list[float]:
    """Seconds of quiet around each cut of the kept segments; cuts at the recording's ends are left out."""
    quiet = quiet_frames(doc, samples)
    out = []
    for segment in kept:
        for t in (segment.start_s, segment.end_s):
            i = int(t / _STEP)
            if not 1 <= i < len(quiet) - 1:
                continue
            if not quiet[i]:
                out.append(0.0)
                continue
            a, b = i, i
            while a > 0 and quiet[a - 1]:
                a -= 1
            while b < len(quiet) - 1 and quiet[b + 1]:
                b += 1
            out.append((b - a + 1) * _STEP)
    return out
