"""Boundaries to the millisecond: moved to where the spectrum changes most nearby.

A model's state change is late or early by what its letters have learned to share; on speech with known times, by some 10 ms, and
differently for each pair of sounds. The sound itself changes within a few milliseconds. So each boundary goes to the largest
change of the log mel spectrum (10 ms windows, mean over 10 ms on either side, Euclidean) within 20 ms, with a preference for
staying that grows with the square of the distance. Change detectors of this kind are as old as segmentation itself: Andre-Obrecht,
"A new statistical approach for the automatic segmentation of continuous speech signals", IEEE ASSP 36(1), 1988.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from words.features import RATE, log_mel

HOP = 32
"""Samples between candidate places (2 ms)."""
WINDOW = 160
"""Samples of an analysis window (10 ms)."""
REACH_S = 0.02
"""Farthest that a boundary moves."""
SIDE = 5
"""Candidate steps averaged on either side."""
GAP = 1
"""Steps left out on either side."""
RELUCTANCE = 0.3
"""Share of the change that must be made up for at the farthest place."""


def refine(samples: NDArray[np.float32], boundaries: NDArray[np.float64]) -> NDArray[np.float64]:
    """Better times of boundaries, in the same order; never out of order, and never farther than ``REACH_S``.

    Args:
        samples: (n,) the clip.
        boundaries: (k,) rising, seconds.
    """
    mel = log_mel(samples, HOP, WINDOW)
    step, n = HOP / RATE, len(mel)
    sums = np.concatenate([np.zeros((1, mel.shape[1])), np.cumsum(mel, axis=0, dtype=np.float64)])
    out = np.array(boundaries, np.float64)
    for i, at in enumerate(boundaries):
        low = at - min(REACH_S, (at - boundaries[i - 1]) / 3 if i else REACH_S)
        high = at + min(REACH_S, (boundaries[i + 1] - at) / 3 if i + 1 < len(boundaries) else REACH_S)
        t = np.arange(int(np.ceil(low / step)), int(high / step) + 1)
        t = t[(t >= SIDE + GAP) & (t <= n - SIDE - GAP)]
        if len(t) == 0:
            continue
        before = (sums[t - GAP] - sums[t - GAP - SIDE]) / SIDE
        after = (sums[t + GAP + SIDE] - sums[t + GAP]) / SIDE
        change = np.sqrt(((after - before) ** 2).sum(axis=1)) * (1 - RELUCTANCE * ((t * step - at) / REACH_S) ** 2)
        out[i] = t[int(np.argmax(change))] * step
    return out
