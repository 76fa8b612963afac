"""Diagonal Gaussian mixtures, one a tied state: densities, sums, re-estimation, growth.

Estimation is the EM of Baum's pupils with the state sequence fixed to the best path (Viterbi training), mixtures grown by
splitting the Gaussian with the most frames (Young, Odell and Woodland, "Tree-based state tying for high accuracy acoustic
modelling", 1994), shared out over states by a power of their frames, as Kaldi does.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

VARIANCE_FLOOR = 0.01
"""Of the variance of all frames."""
MIN_FRAMES = 8.0
"""A Gaussian with fewer frames than this is dropped, unless it is its state's last."""
MOST = 48
"""Gaussians of a state; silence would take all that others are too rare for."""
LEAST_SHARE = 1e-3
"""A Gaussian learns nothing from a frame of which it has a smaller share than this."""
PERTURB = 0.2
"""Standard deviations by which the halves of a split move apart."""


@dataclass(frozen=True)
class Mixtures:
    """Mixture ``p`` has Gaussians ``first[p] : first[p + 1]``."""

    first: NDArray[np.int64]
    weight: F64
    mean: F64
    variance: F64

    def __len__(self) -> int:
        """Number of mixtures."""
        return len(self.first) - 1

    def density(self) -> tuple[NDArray[np.int64], F32, F32]:
        """What the kernels read: ``first``, and constant (gaussians,) and linear (gaussians, 2 * size) part of each Gaussian.

        The log of weight times density is ``constant + linear @ [x, x * x]``.
        """
        constant = np.log(self.weight) - 0.5 * (np.log(2 * np.pi * self.variance) + self.mean**2 / self.variance).sum(axis=1)
        linear = np.concatenate([self.mean / self.variance, -0.5 / self.variance], axis=1)
        return self.first, constant.astype(np.float32), linear.astype(np.float32)


@dataclass
class Sums:
    """Zeroth, first and second order sums over frames, one row a Gaussian."""

    count: F64
    moments: F64
    """(gaussians, 2 * size): sums of the vectors, and of their squares."""

    @classmethod
    def zeros(cls, gaussians: int, size: int) -> Sums:
        """Nothing seen yet."""
        return cls(np.zeros(gaussians), np.zeros((gaussians, 2 * size)))

    @property
    def total(self) -> F64:
        """Sums of the vectors, (gaussians, size)."""
        return self.moments[:, : self.moments.shape[1] // 2]

    @property
    def square(self) -> F64:
        """Sums of their squares, (gaussians, size)."""
        return self.moments[:, self.moments.shape[1] // 2 :]

    def add(self, other: Sums) -> None:
        """Add the sums of other frames."""
        self.count += other.count
        self.moments += other.moments


def single(sums: Sums, floor: F64, backoff: NDArray[np.int64] | None = None) -> Mixtures:
    """One Gaussian a state from the sums of the state; a state without frames gets the mean of all."""
    whole = Sums(sums.count.sum(keepdims=True), sums.moments.sum(axis=0, keepdims=True))
    overall = whole.total[0] / max(whole.count[0], 1.0)
    spread = np.maximum(whole.square[0] / max(whole.count[0], 1.0) - overall**2, floor)
    n = np.maximum(sums.count, 1e-9)[:, None]
    seen = sums.count > MIN_FRAMES
    mean = np.where(seen[:, None], sums.total / n, overall)
    variance = np.where(seen[:, None], np.maximum(sums.square / n - mean**2, floor), spread)
    return Mixtures(np.arange(len(seen) + 1), np.ones(len(seen)), mean, variance)


def update(old: Mixtures, sums: Sums, floor: F64) -> Mixtures:
    """Maximum likelihood from sums; Gaussians that starve are dropped, states that were not seen stay as they are."""
    first, weight, mean, variance = [0], [], [], []
    for p in range(len(old)):
        a, b = old.first[p], old.first[p + 1]
        n = sums.count[a:b]
        keep = np.flatnonzero(n >= MIN_FRAMES)
        if len(keep) == 0:
            weight.append(old.weight[a:b])
            mean.append(old.mean[a:b])
            variance.append(old.variance[a:b])
            first.append(first[-1] + int(b - a))
            continue
        m = sums.total[a:b][keep] / n[keep, None]
        weight.append(n[keep] / n[keep].sum())
        mean.append(m)
        variance.append(np.maximum(sums.square[a:b][keep] / n[keep, None] - m**2, floor))
        first.append(first[-1] + len(keep))
    return Mixtures(np.array(first), np.concatenate(weight), np.concatenate(mean), np.concatenate(variance))


def grow(old: Mixtures, frames: F64, wanted: int, power: float = 0.2, each: float = 40.0) -> Mixtures:
    """Split until there are ``wanted`` Gaussians, shared out by ``frames ** power``.

    At most ``MOST`` a state, and at least ``each`` frames a Gaussian.
    """
    have = np.diff(old.first).astype(np.int64)
    target = have.copy()
    heap = [(-(frames[p] ** power) / have[p], p) for p in range(len(old)) if frames[p] > 0]
    heapq.heapify(heap)
    total = int(have.sum())
    while heap and total < wanted:
        _, p = heapq.heappop(heap)
        if frames[p] / (target[p] + 1) < each or target[p] >= MOST:
            continue
        target[p] += 1
        total += 1
        heapq.heappush(heap, (-(frames[p] ** power) / target[p], p))
    first, weight, mean, variance = [0], [], [], []
    for p in range(len(old)):
        a, b = old.first[p], old.first[p + 1]
        w, m, v = list(old.weight[a:b]), list(old.mean[a:b]), list(old.variance[a:b])
        while len(w) < target[p]:
            g = int(np.argmax(w))
            shift = PERTURB * np.sqrt(v[g])
            w[g] = w[g] / 2
            w.append(w[g])
            m.append(m[g] - shift)
            v.append(v[g])
            m[g] = m[g] + shift
        weight.append(np.array(w))
        mean.append(np.array(m))
        variance.append(np.array(v))
        first.append(first[-1] + len(w))
    return Mixtures(np.array(first), np.concatenate(weight), np.concatenate(mean), np.concatenate(variance))
