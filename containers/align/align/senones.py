"""Log likelihoods of tied states (senones), the score on which alignment rests.

Method: phonetically tied mixtures as in pocketsphinx's `ptm_mgau.c`, in floating point and over all densities instead of
the best four.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from align.sphinx_model import AcousticModel


def densities(model: AcousticModel, book: int, stream: int, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """(densities, frames) log likelihood of each Gaussian of a codebook's stream; `x` is (dims, frames)."""
    precision, mean = model.precision[book, stream], model.means[book, stream]
    out = (2.0 * precision * mean) @ x - precision @ (x * x)
    out += (model.constant[book, stream] - (precision * mean * mean).sum(-1))[:, None]
    return np.asarray(out, np.float32)


def senone_scores(model: AcousticModel, feature: NDArray[np.float32], senones: NDArray[np.int32]) -> NDArray[np.float32]:
    """Log likelihood of each frame under each senone.

    Args:
        model: the acoustic model.
        feature: (frames, 3, 13) of `align.features.features`.
        senones: (n,) ids, any order, no id twice.

    Returns:
        (frames, n) float32, natural logarithm.
    """
    frames, streams = feature.shape[:2]
    order = np.argsort(model.codebook_of[senones], kind="stable")
    ids = senones[order]
    books, starts = np.unique(model.codebook_of[ids], return_index=True)
    scores = np.zeros((len(senones), frames), np.float32)  # senones in rows: a codebook's are one block
    ends = np.append(starts[1:], len(ids))
    for s in range(streams):
        x = np.ascontiguousarray(feature[:, s].T)
        for book, start, end in zip(books, starts, ends, strict=True):
            density = densities(model, int(book), s, x)
            best = density.max(0)
            mixed = np.ascontiguousarray(model.weights[s][:, ids[start:end]].T) @ np.exp(density - best)
            scores[start:end] += np.log(np.maximum(mixed, 1e-20)) + best
    out = np.empty((frames, len(senones)), np.float32)
    out[:, order] = scores.T
    return out
