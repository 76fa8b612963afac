"""The compiled loops: Gaussian likelihoods over rows of a trellis, the best path through it, and sums for re-estimation.

All work on one utterance at a time, release the interpreter lock and allocate no more than the trellis, so that threads share
the cores. Likelihoods are products of matrices: a diagonal Gaussian's exponent is linear in the vector and its squares.
Sums over frames are float64, all else float32.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from words.gmm import LEAST_SHARE

Array = Any  # compiled code takes arrays as they come

IMPOSSIBLE = np.float32(-1e30)


@numba.njit(cache=True, nogil=True)
def maxima(scores: Array, constant: Array, starts: Array, out: Array) -> None:
    """Largest score of each group of columns.

    Args:
        scores: (frames, columns).
        constant: (columns,) added to each.
        starts: (groups + 1,) group ``p`` has the columns ``starts[p] : starts[p + 1]``; none is empty.
        out: (frames, groups), filled.
    """
    for t in range(scores.shape[0]):
        row = scores[t]
        for p in range(len(starts) - 1):
            best = row[starts[p]] + constant[starts[p]]
            for g in range(starts[p] + 1, starts[p + 1]):
                best = max(best, row[g] + constant[g])
            out[t, p] = best


@numba.njit(cache=True, nogil=True)
def band_likelihoods(
    v: Array, pdf: Array, start: Array, stop: Array, first: Array, constant: Array, linear: Array, at: Array, out: Array
) -> None:
    """Log likelihood of each state over the frames in which it lies in the band, a mixture's sum taken as its largest term.

    Args:
        v: (frames, 2 * size) vectors and their squares.
        pdf: (states,) mixture of a state.
        start: (states,) first frame.
        stop: (states,) one past its last frame.
        first: (pdfs + 1,) Gaussians of mixture p are [first[p], first[p + 1]).
        constant: (gaussians,) see :class:`words.decode.Density`.
        linear: (gaussians, 2 * size) likewise.
        at: (frames,) the value of state s at frame t goes to ``out[at[t] + s]``.
        out: filled.
    """
    for s in range(len(pdf)):
        if stop[s] <= start[s]:
            continue
        a, b = first[pdf[s]], first[pdf[s] + 1]
        scores = np.dot(v[start[s] : stop[s]], linear[a:b].T)
        for t in range(start[s], stop[s]):
            best = IMPOSSIBLE
            for g in range(b - a):
                best = max(best, scores[t - start[s], g] + constant[a + g])
            out[at[t] + s] = best


@numba.njit(cache=True, nogil=True)
def best_path(
    obs: Array, at: Array, column: Array, arc: Array, source: Array, weight: Array, stay: Array, entry: Array, leave: Array,
    crossing: Array, change: Array, low: Array, high: Array, path: Array,
) -> float:  # fmt: skip
    """Viterbi through a band of the trellis.

    Most states are entered from the one before them only: those arcs are taken for all states at once (a loop that
    vectorises), the few others one by one after it.

    Args:
        obs: log likelihoods; that of state s at frame t is ``obs[at[t] + column[s]]``.
        at: (frames,) where a frame begins.
        column: (states,) where a state's value lies in it.
        arc: (states + 1,) arcs into state s are [arc[s], arc[s + 1]); at most 253, all from lower states.
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
    frames, states = len(low), len(column)
    step = np.full(states, IMPOSSIBLE, np.float32)  # into each state from the one before it
    share = np.zeros(states, np.float32)
    jumps = np.empty(len(source), np.int64)  # states with other arcs
    n_jumps = 0
    for s in range(states):
        others = False
        for k in range(arc[s], arc[s + 1]):
            if source[k] == s - 1:
                step[s], share[s] = weight[k], crossing[k]
            else:
                others = True
        if others:
            jumps[n_jumps] = s
            n_jumps += 1
    offset = np.empty(frames + 1, np.int64)
    offset[0] = 0
    for t in range(frames):
        offset[t + 1] = offset[t] + high[t] - low[t]
    back = np.zeros(offset[frames], np.uint8)
    # One place to the left, so that state s - 1 of state 0 exists; what lies outside the band is impossible.
    old = np.full(states + 1, IMPOSSIBLE, np.float64)
    new = np.full(states + 1, IMPOSSIBLE, np.float64)
    for s in range(low[0], high[0]):
        old[s + 1] = entry[s] + obs[at[0] + column[s]]
    jump = 0
    for t in range(1, frames):
        a, b = low[t], high[t]
        old[low[t - 1]] = IMPOSSIBLE  # the state below the band, which it has let go; those above it were never written
        here, choice = new[a + 1 : b + 1], back[offset[t] : offset[t + 1]]
        same, before = old[a + 1 : b + 1], old[a:b]
        held, moved, part, edge = stay[a:b], step[a:b], share[a:b], change[t]
        for i in range(b - a):
            x, y = same[i] + held[i], before[i] + moved[i] + part[i] * edge
            here[i] = max(x, y)
            choice[i] = 1 if y > x else 0
        while jump < n_jumps and jumps[jump] < a:
            jump += 1
        for j in range(jump, n_jumps):
            s = jumps[j]
            if s >= b:
                break
            for k in range(arc[s], arc[s + 1]):
                p = source[k]
                if p < s - 1 and p >= low[t - 1]:
                    y = old[p + 1] + weight[k] + crossing[k] * edge
                    if y > here[s - a]:
                        here[s - a], choice[s - a] = y, 2 + k - arc[s]
        for i in range(b - a):
            here[i] = max(here[i] + obs[at[t] + column[a + i]], IMPOSSIBLE)
        old, new = new, old
    end, total = -1, IMPOSSIBLE * 1.0
    for s in range(low[frames - 1], high[frames - 1]):
        if old[s + 1] + leave[s] > total:
            end, total = s, old[s + 1] + leave[s]
    if end < 0 or total < IMPOSSIBLE / 2:
        return float(IMPOSSIBLE)
    s = end
    for t in range(frames - 1, -1, -1):
        path[t] = s
        if t > 0:
            way = back[offset[t] + s - low[t]]
            s = s - 1 if way == 1 else source[arc[s] + way - 2] if way > 1 else s
    return float(total)


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def accumulate(v: Array, pdf: Array, first: Array, constant: Array, linear: Array, count: Array, moments: Array) -> float:
    """Add one utterance to the sums of its Gaussians.

    Args:
        v: (frames, 2 * size) vectors and their squares.
        pdf: (frames,) mixture of each frame; negative frames are left out.
        first: (pdfs + 1,) Gaussians of mixture p are [first[p], first[p + 1]).
        constant: (gaussians,) and
        linear: (gaussians, 2 * size) as in :class:`words.decode.Density`.
        count: (gaussians,) float64, added to.
        moments: (gaussians, 2 * size) float64, added to.

    Returns:
        Sum over frames of the mixture's log likelihood.
    """
    size = v.shape[1]
    post = np.empty(max(1, np.max(first[1:] - first[:-1])), np.float64)
    whole = 0.0
    for t in range(len(v)):
        p = pdf[t]
        if p < 0:
            continue
        a, n = first[p], first[p + 1] - first[p]
        best = -1e300
        for j in range(n):
            e = constant[a + j]
            for d in range(size):
                e += v[t, d] * linear[a + j, d]
            post[j] = e
            best = max(best, post[j])
        z = 0.0
        for j in range(n):
            post[j] = np.exp(post[j] - best)
            z += post[j]
        whole += best + np.log(z)
        for j in range(n):
            w = post[j] / z
            if w > LEAST_SHARE:
                count[a + j] += w
                for d in range(size):
                    moments[a + j, d] += w * v[t, d]
    return whole
