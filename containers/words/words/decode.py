"""Best paths of utterances through their trellises, in a band around an earlier path where there is one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from words import kernels
from words.graph import SILENCE, Trellis

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]


@dataclass(frozen=True)
class Utterance:
    """What is searched for the words of one clip."""

    x: F32
    """(size, frames) vectors (words.features)."""
    trellis: Trellis
    change: F32
    """(frames,) log weight of a boundary before each frame (words.change)."""

    @cached_property
    def quiet(self) -> F32:
        """(frames,) log weight of a pause at each frame."""
        return quietness(self.x[0])


@dataclass(frozen=True)
class Density:
    """Mixtures as the kernels read them, and the tied states' log chances of staying and leaving.

    The log of a Gaussian is ``constant + linear @ [x, x * x]``: one product of matrices for all frames and Gaussians.
    """

    first: NDArray[np.int64]
    """(pdfs + 1,) Gaussians of mixture p are [first[p], first[p + 1])."""
    constant: F32
    """(gaussians,) log weight, normaliser, and what the mean alone gives."""
    linear: F32
    """(gaussians, 2 * size)."""
    stay: F32
    go: F32


FRAMES_AT_ONCE = 1024
"""Frames of a table that are multiplied together: 6,000 Gaussians then take 25 MB."""


def squared(x: F32) -> F32:
    """Vectors (size, frames) and their squares side by side, (frames, 2 * size)."""
    return np.ascontiguousarray(np.concatenate([x, x * x]).T)


def table(v: F32, pdfs: I64, density: Density) -> F32:
    """Log likelihood of some mixtures at all frames, a mixture's sum taken as its largest term; (frames, pdfs).

    Args:
        v: :func:`squared`.
        pdfs: (n,) which mixtures.
        density: the model.
    """
    many = density.first[pdfs + 1] - density.first[pdfs]
    starts = np.zeros(len(pdfs) + 1, np.int64)
    np.cumsum(many, out=starts[1:])
    some = np.repeat(density.first[pdfs] - starts[:-1], many) + np.arange(starts[-1])
    linear, constant = density.linear[some].T, density.constant[some]
    out = np.empty((len(v), len(pdfs)), np.float32)
    for t in range(0, len(v), FRAMES_AT_ONCE):
        kernels.maxima(v[t : t + FRAMES_AT_ONCE] @ linear, constant, starts, out[t : t + FRAMES_AT_ONCE])
    return out


def band(path: I32, width: int, states: int) -> tuple[I32, I32]:
    """First and one past the last state allowed at each frame: what the path visits within ``width`` frames, and 4 more."""
    frames = len(path)
    at = np.arange(frames)
    low = path[np.maximum(0, at - width)] - 4
    high = path[np.minimum(frames - 1, at + width)] + 5
    return np.maximum(low, 0).astype(np.int32), np.minimum(high, states).astype(np.int32)


QUIET_WEIGHT = 0.5
"""Log weight of a pause in each frame that is as quiet as the clip's floor, and of a word in each that is loud. Words said one by
one gain by it (with frames of 5 ms, mean error of starts 71, 55 and 55 ms at 0, 1 and 3), words in a row lose a little: of 200
sentences' starts, 0.7 % fewer lie within 25 ms at 1 than at 0.5 in English, 0.9 in Russian; 0.3 more in Hindi."""
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
    utterance: Utterance, pdf: I64, density: Density, near: I32 | None = None, width: int = 30, known: F32 | None = None
) -> tuple[I32, float]:
    """The best state of each frame, and the path's log probability (below -1e29 if there is none).

    Args:
        utterance: to be searched.
        pdf: (states,) tied state of each state of its trellis.
        density: the model.
        near: an earlier path; states are tried only near where it saw them.
        width: how near, frames.
        known: without ``near``, likelihoods of all mixtures at all frames if they are known already: (frames, pdfs).
    """
    trellis, quiet = utterance.trellis, utterance.quiet
    frames, states = len(quiet), len(pdf)
    every, silent = np.arange(states), trellis.unit == SILENCE
    column: I64
    at: I64
    low: I32
    high: I32
    if near is None:
        if known is None:
            rows, column = np.unique(pdf, return_inverse=True)
            obs = table(squared(utterance.x), rows, density)
        else:
            obs, column = known.copy(), pdf
        obs[:, np.unique(column[silent])] += quiet[:, None]
        at = np.arange(frames, dtype=np.int64) * obs.shape[1]
        low, high = np.zeros(frames, np.int32), np.full(frames, states, np.int32)
    else:
        low, high = band(near, width, states)
        start = np.searchsorted(high, every, side="right").astype(np.int64)
        stop = np.searchsorted(low, every, side="right").astype(np.int64)
        at = np.zeros(frames, np.int64)
        np.cumsum((high - low)[:-1], out=at[1:])
        at -= low
        obs = np.empty(int(at[-1]) + int(high[-1]), np.float32)
        d = density
        kernels.band_likelihoods(squared(utterance.x), pdf, start, stop, d.first, d.constant, d.linear, at, obs)
        for s in np.flatnonzero(silent):
            obs[at[start[s] : stop[s]] + s] += quiet[start[s] : stop[s]]
        column = every
    weight = trellis.weight + density.go[pdf[trellis.source]]
    path = np.zeros(frames, np.int32)
    total = kernels.best_path(
        obs.reshape(-1), at, column, trellis.arc, trellis.source, weight, density.stay[pdf],
        trellis.entry, trellis.leave, trellis.crossing, utterance.change, low, high, path,
    )  # fmt: skip
    return path, float(total)
