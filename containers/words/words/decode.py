"""Best paths of utterances through their trellises, in a band around an earlier path where there is one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from words import kernels
from words.graph import SILENCE, Trellis

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]


@dataclass(frozen=True)
class Density:
    """Mixtures as the kernels read them, and the tied states' log chances of staying and leaving."""

    first: NDArray[np.int64]
    constant: F32
    mean: F32
    precision: F32
    stay: F32
    go: F32


def band(path: I32, width: int, states: int) -> tuple[I32, I32]:
    """First and one past the last state allowed at each frame: what the path visits within ``width`` frames, and 4 more."""
    frames = len(path)
    at = np.arange(frames)
    low = path[np.maximum(0, at - width)] - 4
    high = path[np.minimum(frames - 1, at + width)] + 5
    return np.maximum(low, 0).astype(np.int32), np.minimum(high, states).astype(np.int32)


QUIET_WEIGHT = 1.0
"""Log weight of a pause in each frame that is as quiet as the clip's floor, and of a word in each that is loud. Words said one by
one gain (mean error of starts 71, 55 and 55 ms at 0, 1 and 3), words in a row lose a little (inner starts 8.6, 9.4 and 10.9)."""
QUIET, SLOPE = 0.3, 0.15
"""Of the way from the clip's 5th to its 95th percentile of level: where neither is preferred, and how much above or below it
counts in full."""


def quietness(level: F32) -> F32:
    """Log weight of a pause at each frame by the level alone; (frames,).

    Without it, the letters of words that are often said before a pause learn to be silent themselves: nothing in a flat start
    speaks against it.
    """
    low, high = np.percentile(level, [5, 95])
    way = (level - low) / max(float(high - low), 1e-3)
    return (QUIET_WEIGHT * np.clip((QUIET - way) / SLOPE, -1.0, 1.0)).astype(np.float32)


def best_path(
    x: F32, trellis: Trellis, pdf: I64, density: Density, change: F32, near: I32 | None = None, width: int = 30
) -> tuple[I32, float]:
    """The best state of each frame, and the path's log probability (below -1e29 if there is none).

    Args:
        x: (size, frames).
        trellis: of the utterance.
        pdf: (states,) tied state.
        density: the model.
        change: (frames,) log weight of a boundary before each frame (words.change).
        near: an earlier path; states are tried only near where it saw them.
        width: how near, frames.
    """
    frames, states = x.shape[1], len(pdf)
    every = np.arange(states)
    rows: I64
    row_from: I64
    row_to: I64
    low: I32
    high: I32
    if near is None:
        rows, which = np.unique(pdf, return_inverse=True)
        state_row = which.reshape(-1)
        row_from, row_to = np.zeros(len(rows), np.int64), np.full(len(rows), frames, np.int64)
        low, high = np.zeros(frames, np.int32), np.full(frames, states, np.int32)
    else:
        rows, state_row = pdf, every
        low, high = band(near, width, states)
        row_from = np.searchsorted(high, every, side="right").astype(np.int64)
        row_to = np.maximum(np.searchsorted(low, every, side="right"), row_from).astype(np.int64)
    row_at = np.zeros(len(rows), np.int64)
    np.cumsum((row_to - row_from)[:-1], out=row_at[1:])
    obs = np.empty(int((row_to - row_from).sum()), np.float32)
    d = density
    kernels.likelihoods(x, rows, row_from, row_to, d.first, d.constant, d.mean, d.precision, row_at, obs)
    paused = np.zeros(len(rows), bool)
    paused[state_row[trellis.unit == SILENCE]] = True
    quiet = quietness(x[0])
    for r in np.flatnonzero(paused):
        obs[row_at[r] : row_at[r] + row_to[r] - row_from[r]] += quiet[row_from[r] : row_to[r]]
    weight = trellis.weight + d.go[pdf[trellis.source]]
    path = np.zeros(frames, np.int32)
    total = kernels.best_path(
        obs, state_row, row_from, row_at, trellis.arc, trellis.source, weight, d.stay[pdf], trellis.entry, trellis.leave,
        trellis.crossing, change, low, high, path,
    )  # fmt: skip
    return path, float(total)
