"""The compiled loops: Gaussian likelihoods over rows of a trellis, the best path through it, and sums for re-estimation.

All work on one utterance at a time, release the interpreter lock and allocate no more than the trellis, so that threads share
the cores. Likelihood loops run along time (the fast axis of a frame matrix), where they vectorise without a horizontal sum.
Sums over frames are float64, all else float32.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

Array = Any  # compiled code takes arrays as they come

IMPOSSIBLE = np.float32(-1e30)


@numba.njit(cache=True, nogil=True, fastmath={"nsz", "arcp", "contract", "afn", "reassoc"})
def likelihoods(
    x: Array, row_pdf: Array, row_from: Array, row_to: Array, first: Array, constant: Array, mean: Array, precision: Array,
    row_at: Array, out: Array,
) -> None:  # fmt: skip
    """Log likelihood of each trellis row over its stretch of frames, the mixture's sum taken as its largest term.

    Args:
        x: (size, frames) float32.
        row_pdf: (rows,) mixture of a row.
        row_from: (rows,) first frame.
        row_to: (rows,) one past its last frame.
        first: (pdfs + 1,) Gaussians of mixture p are [first[p], first[p + 1]).
        constant: (gaussians,) log weight and normaliser.
        mean: (gaussians, size).
        precision: (gaussians, size) half of the inverse variances.
        row_at: (rows,) where a row's values begin in ``out``.
        out: filled.
    """
    size = x.shape[0]
    fours = size - size % 4
    terms = np.empty(x.shape[1], np.float32)
    for r in range(len(row_pdf)):
        n = row_to[r] - row_from[r]
        # Slices, so that no index can be negative: only then do the loops over time vectorise.
        seen = x[:, row_from[r] : row_to[r]]
        best, term = out[row_at[r] : row_at[r] + n], terms[:n]
        best[:] = IMPOSSIBLE
        for g in range(first[row_pdf[r]], first[row_pdf[r] + 1]):
            term[:] = constant[g]
            for d in range(0, fours, 4):  # four at a time: a quarter of the loads and stores of `term`
                x0, x1, x2, x3 = seen[d], seen[d + 1], seen[d + 2], seen[d + 3]
                m0, m1, m2, m3 = mean[g, d], mean[g, d + 1], mean[g, d + 2], mean[g, d + 3]
                p0, p1, p2, p3 = precision[g, d], precision[g, d + 1], precision[g, d + 2], precision[g, d + 3]
                for t in range(n):
                    e0, e1, e2, e3 = x0[t] - m0, x1[t] - m1, x2[t] - m2, x3[t] - m3
                    term[t] -= e0 * e0 * p0 + e1 * e1 * p1 + e2 * e2 * p2 + e3 * e3 * p3
            for d in range(fours, size):
                xd, m, p = seen[d], mean[g, d], precision[g, d]
                for t in range(n):
                    e = xd[t] - m
                    term[t] -= e * e * p
            for t in range(n):
                best[t] = max(best[t], term[t])


@numba.njit(cache=True, nogil=True)
def best_path(
    obs: Array, state_row: Array, row_from: Array, row_at: Array, arc: Array, source: Array, weight: Array, stay: Array,
    entry: Array, leave: Array, crossing: Array, change: Array, low: Array, high: Array, path: Array,
) -> float:  # fmt: skip
    """Viterbi through a band of the trellis.

    Args:
        obs: likelihoods as :func:`likelihoods` lays them.
        state_row: (states,) row that a state reads.
        row_from: (rows,) first frame of a row.
        row_at: (rows,) where it begins in ``obs``.
        arc: (states + 1,) arcs into state s are [arc[s], arc[s + 1]); at most 254, all from lower states.
        source: (arcs,) where they come from.
        weight: (arcs,) log probability.
        stay: (states,) log probability of staying.
        entry: (states,) log probability of beginning there.
        leave: (states,) log probability of ending there.
        crossing: (arcs,) share of ``change`` that an arc is given.
        change: (frames,) log weight of a boundary before each frame.
        low: (frames,) first state in the band.
        high: (frames,) one past the last; both never fall.
        path: (frames,) int32, filled with the best state of each frame.

    Returns:
        Its log probability; below ``IMPOSSIBLE / 2`` if the band holds no path.
    """
    frames, states = len(low), len(state_row)
    offset = np.empty(frames + 1, np.int64)
    offset[0] = 0
    for t in range(frames):
        offset[t + 1] = offset[t] + high[t] - low[t]
    back = np.zeros(offset[frames], np.uint8)
    old = np.full(states, IMPOSSIBLE, np.float64)
    new = np.full(states, IMPOSSIBLE, np.float64)
    for s in range(low[0], high[0]):
        r = state_row[s]
        old[s] = entry[s] + obs[row_at[r] - row_from[r]]
    for t in range(1, frames):
        before, after = low[t - 1], high[t - 1]
        for s in range(low[t], high[t]):
            best = IMPOSSIBLE * 1.0
            choice = 0
            if before <= s < after:
                best = old[s] + stay[s]
            for k in range(arc[s], arc[s + 1]):
                p = source[k]
                if before <= p < after:
                    v = old[p] + weight[k] + crossing[k] * change[t]
                    if v > best:
                        best = v
                        choice = k - arc[s] + 1
            r = state_row[s]
            new[s] = best + obs[row_at[r] + t - row_from[r]] if best > IMPOSSIBLE / 2 else IMPOSSIBLE
            back[offset[t] + s - low[t]] = choice
        old, new = new, old
    end, total = -1, IMPOSSIBLE * 1.0
    for s in range(low[frames - 1], high[frames - 1]):
        if old[s] + leave[s] > total:
            end, total = s, old[s] + leave[s]
    if end < 0 or total < IMPOSSIBLE / 2:
        return float(IMPOSSIBLE)
    s = end
    for t in range(frames - 1, -1, -1):
        path[t] = s
        choice = back[offset[t] + s - low[t]]
        if t > 0 and choice > 0:
            s = source[arc[s] + choice - 1]
    return float(total)


@numba.njit(cache=True, nogil=True)
def accumulate(
    x: Array, pdf: Array, first: Array, constant: Array, mean: Array, precision: Array, count: Array, total: Array, square: Array
) -> float:
    """Add one utterance to the sums of its Gaussians.

    Args:
        x: (size, frames).
        pdf: (frames,) mixture of each frame; negative frames are left out.
        first: as in :func:`likelihoods`, and so on to ``precision``.
        constant: likewise.
        mean: likewise.
        precision: likewise.
        count: (gaussians,) float64, added to.
        total: (gaussians, size) float64, added to.
        square: (gaussians, size) float64, added to.

    Returns:
        Sum over frames of the mixture's log likelihood.
    """
    size, frames = x.shape
    post = np.empty(max(1, np.max(first[1:] - first[:-1])), np.float64)
    v = np.empty(size, np.float32)
    whole = 0.0
    for t in range(frames):
        p = pdf[t]
        if p < 0:
            continue
        for d in range(size):
            v[d] = x[d, t]
        a, n = first[p], first[p + 1] - first[p]
        best = -1e300
        for j in range(n):
            e = constant[a + j] * 1.0
            for d in range(size):
                diff = v[d] - mean[a + j, d]
                e -= diff * diff * precision[a + j, d]
            post[j] = e
            best = max(best, e)
        z = 0.0
        for j in range(n):
            post[j] = np.exp(post[j] - best)
            z += post[j]
        whole += best + np.log(z)
        for j in range(n):
            w = post[j] / z
            if w > 1e-3:
                count[a + j] += w
                for d in range(size):
                    total[a + j, d] += w * v[d]
                    square[a + j, d] += w * v[d] * v[d]
    return whole
