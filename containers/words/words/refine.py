"""Boundaries to the millisecond: from where the model changes state to where the sound changes.

A model's state change is late or early by what its letters have learned to share: some 8 ms between words, some 25 ms before the
first, whose slopes see the onset coming. The sound itself tells better, and two simple looks at it suffice:

- Between words that touch, a boundary goes to the largest change of the spectrum (:mod:`words.change`) within ``REACH_S``, with a
  preference for staying that grows with the square of the distance.
- At a pause, the pause itself says what silence sounds like here: its mean and deviation in each mel band. The word begins where
  the mean deviation over bands, smoothed over 8 ms, rises above ``LOUDER`` for good (16 ms), and ends where it last was above,
  within ``PAUSE_REACH_S``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from words.change import HOP
from words.features import RATE

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

STEP = HOP / RATE
REACH_S = 0.02
RELUCTANCE = 0.3
"""Share of the change that must be made up for at the farthest place."""
PAUSE_REACH_S = 0.06
MARGIN_S = 0.04
"""Of a pause, what is nearer than this to the word is not asked what silence is."""
LEAST_PAUSE_S = 0.04
"""Silence needed to know what it sounds like, after the margin."""
LOUDER = 1.0
"""Deviations above the pause, mean over bands."""
SMOOTH, LASTING = 4, 8
"""Steps."""


def refine(words: F64, mel: F32, curve: F32, duration_s: float) -> F64:
    """Better starts and ends, (words, 2) seconds: in order, inside the clip, and none passes its word's middle.

    Args:
        words: (words, 2) starts and ends in order; words that touch share a time.
        mel: of the clip, :func:`words.change.fine_mel`.
        curve: :func:`words.change.change` of it.
        duration_s: of the clip.
    """
    out = words.copy()
    middle = words.mean(axis=1)
    for k in range(len(words) + 1):
        before = words[k - 1, 1] if k else 0.0
        after = words[k, 0] if k < len(words) else duration_s
        low = middle[k - 1] if k else 0.0
        high = middle[k] if k < len(words) else duration_s
        if after - before < STEP:
            if 0 < k < len(words):
                out[k - 1, 1] = out[k, 0] = largest_change(curve, before, low, high)
            continue
        if k:
            edge = pause_edge(mel, before, after, word_after=False)
            out[k - 1, 1] = max(low, largest_change(curve, before, low, after) if edge is None else edge)
        if k < len(words):
            edge = pause_edge(mel, before, after, word_after=True)
            out[k, 0] = min(high, largest_change(curve, after, before, high) if edge is None else edge)
        if 0 < k < len(words) and out[k, 0] < out[k - 1, 1]:
            out[k - 1, 1] = out[k, 0] = (out[k, 0] + out[k - 1, 1]) / 2
    return np.clip(out, 0.0, duration_s)


def largest_change(curve: F32, at: float, low: float, high: float) -> float:
    """The place of the largest change near ``at``, between ``low`` and ``high``; seconds."""
    a, b = max(low, at - REACH_S), min(high, at + REACH_S)
    t = np.arange(max(0, int(np.ceil(a / STEP))), min(len(curve) - 1, int(b / STEP)) + 1)
    if len(t) == 0:
        return at
    worth = curve[t] * (1 - RELUCTANCE * ((t * STEP - at) / REACH_S) ** 2)
    best = int(np.argmax(worth))
    return float(t[best] * STEP) if worth[best] > 0 else at


def pause_edge(mel: F32, start: float, end: float, *, word_after: bool) -> float | None:
    """Where the pause [start, end) gives way to the word on one side; None if it is too short to tell, or nothing rises."""
    quiet = (start, end - MARGIN_S) if word_after else (start + MARGIN_S, end)
    a, b = max(0, int(quiet[0] / STEP)), min(len(mel), int(quiet[1] / STEP))
    if b - a < LEAST_PAUSE_S / STEP:
        return None
    mean, deviation = mel[a:b].mean(axis=0), np.maximum(mel[a:b].std(axis=0), 0.3)
    at = end if word_after else start
    p, q = max(0, int((at - PAUSE_REACH_S) / STEP)), min(len(mel), int((at + PAUSE_REACH_S) / STEP))
    if q - p < SMOOTH + LASTING:
        return None
    level = np.convolve(((mel[p:q] - mean) / deviation).mean(axis=1), np.ones(SMOOTH) / SMOOTH, "valid")
    loud = level > LOUDER
    lasting = np.convolve(loud, np.ones(LASTING), "valid") >= LASTING - 1
    if word_after:
        found = np.flatnonzero(loud[: len(lasting)] & lasting)
        return float((p + found[0] + SMOOTH / 2) * STEP) if len(found) else None
    found = np.flatnonzero(loud[LASTING - 1 :] & lasting)
    return float((p + found[-1] + LASTING - 1 + SMOOTH / 2) * STEP) if len(found) else None
