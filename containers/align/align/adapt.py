"""Fits the acoustic model to a recording: linear regression of its means on what was aligned.

Method: maximum likelihood linear regression of the Gaussian means (Leggetter & Woodland 1995,
doi:10.1006/csla.1995.0010), mu' = A mu + b, one transform for each stream of speech and of silence, with a prior that pulls
towards the identity and, for a short window, towards the transform of its whole recording.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from align.senones import densities
from align.sphinx_model import AcousticModel

IDENTITY_FRAMES = 100.0
"""The identity counts as so many frames."""
LEAST_FRAMES = 200.0
"""A class with fewer aligned frames keeps its means."""


@dataclass(frozen=True)
class Statistics:
    """Occupation of each Gaussian, and the sum of what it was occupied by."""

    count: NDArray[np.float64]
    """(codebooks, streams, densities)."""
    total: NDArray[np.float64]
    """(codebooks, streams, densities, dims)."""

    def __add__(self, other: Statistics) -> Statistics:
        """Pools two sets of frames."""
        return Statistics(self.count + other.count, self.total + other.total)

    def scaled(self, frames: float) -> Statistics:
        """The same as if it had been so many frames."""
        share = frames / max(self.frames, 1e-9)
        return Statistics(self.count * share, self.total * share)

    @property
    def frames(self) -> float:
        """Number of frames."""
        return float(self.count[:, 0].sum())


def collect(model: AcousticModel, feature: NDArray[np.float32], senone: NDArray[np.int32]) -> Statistics:
    """Statistics of aligned frames.

    Args:
        model: the model that aligned them.
        feature: (frames, 3, 13).
        senone: (frames,) senone of each frame, -1 where the frame is not to count.
    """
    count = np.zeros(model.means.shape[:3])
    total = np.zeros(model.means.shape)
    book_of = np.where(senone >= 0, model.codebook_of[senone], -1)
    for book in np.unique(book_of[book_of >= 0]):
        rows = np.flatnonzero(book_of == book)
        for s in range(feature.shape[1]):
            x = feature[rows, s]
            weighted = densities(model, int(book), s, x.T).T + np.log(np.maximum(model.weights[s][:, senone[rows]].T, 1e-20))
            posterior = np.exp(weighted - weighted.max(1, keepdims=True))
            posterior /= posterior.sum(1, keepdims=True)
            count[book, s] += posterior.sum(0)
            total[book, s] += posterior.T @ x
    return Statistics(count, total)


def adapted(model: AcousticModel, statistics: Statistics) -> AcousticModel:
    """The model with its means moved to fit the statistics; classes with too few frames stay as they are."""
    means = model.means.copy()
    quiet = np.array([name in ("SIL", "+NSN+", "+SPN+") for name in model.phones])
    for books in (np.flatnonzero(~quiet), np.flatnonzero(quiet)):
        frames = float(statistics.count[books, 0].sum())
        if frames < LEAST_FRAMES:
            continue
        for s in range(means.shape[1]):
            mean = model.means[books, s].reshape(-1, means.shape[3]).astype(np.float64)
            precision = 2.0 * model.precision[books, s].reshape(mean.shape).astype(np.float64)
            n, x = statistics.count[books, s].ravel(), statistics.total[books, s].reshape(mean.shape)
            prior = n * (IDENTITY_FRAMES / frames)
            extended = np.concatenate([mean, np.ones((len(mean), 1))], 1)
            for d in range(means.shape[3]):
                weight = (n + prior) * precision[:, d]
                left = (extended * weight[:, None]).T @ extended
                right = (extended * (precision[:, d] * (x[:, d] + prior * mean[:, d]))[:, None]).sum(0)
                row = np.linalg.solve(left + 1e-6 * np.trace(left) / len(left) * np.eye(len(left)), right)
                means[books, s, :, d] = (extended @ row).reshape(len(books), -1)
    return replace(model, means=means)
