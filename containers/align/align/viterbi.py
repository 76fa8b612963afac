"""The two dynamic programmes of alignment, compiled: a free phone loop, and a graph with null nodes."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

IMPOSSIBLE = -1e30


@numba.njit(cache=True)
def phone_loop(
    scores: NDArray[np.float32], stay: NDArray[np.float32], advance: NDArray[np.float32], insertion: float
) -> NDArray[np.int32]:
    """Best sequence of phones with no text at all (the denominator of goodness of pronunciation).

    Args:
        scores: (frames, 3 * phones), states of a phone side by side.
        stay: (phones, 3) log probabilities.
        advance: (phones, 3) log probabilities.
        insertion: log penalty of each new phone.

    Returns:
        (frames,) the state (column of `scores`) on the best path at each frame.
    """
    frames, states = scores.shape
    phones = states // 3
    value = np.full(states, IMPOSSIBLE)
    back = np.zeros((frames, states), np.uint8)  # 0 stay, 1 from the state before, 2 from the best end
    entry = np.zeros(frames, np.int32)
    for p in range(phones):
        value[3 * p] = scores[0, 3 * p] if frames else 0.0
    new = np.empty(states)
    for t in range(1, frames):
        best, best_phone = IMPOSSIBLE, 0
        for p in range(phones):
            v = value[3 * p + 2] + advance[p, 2]
            if v > best:
                best, best_phone = v, p
        entry[t] = best_phone
        for p in range(phones):
            s = 3 * p
            a, b = value[s] + stay[p, 0], best + insertion
            if a >= b:
                new[s] = a + scores[t, s]
            else:
                new[s] = b + scores[t, s]
                back[t, s] = 2
            for k in range(1, 3):
                a, b = value[s + k] + stay[p, k], value[s + k - 1] + advance[p, k - 1]
                if a >= b:
                    new[s + k] = a + scores[t, s + k]
                else:
                    new[s + k] = b + scores[t, s + k]
                    back[t, s + k] = 1
        value[:] = new
    path = np.zeros(frames, np.int32)
    if frames == 0:
        return path
    s = 0
    for k in range(states):
        if value[k] > value[s]:
            s = k
    for t in range(frames - 1, -1, -1):
        path[t] = s
        if back[t, s] == 1:
            s -= 1
        elif back[t, s] == 2:
            s = 3 * entry[t] + 2
    return path


@numba.njit(cache=True)
def best_path(
    scores: NDArray[np.float32], column: NDArray[np.int32], first_arc: NDArray[np.int32], source: NDArray[np.int32],
    weight: NDArray[np.float32], initial: NDArray[np.float32], final: NDArray[np.float32], nulls: int,
) -> tuple[NDArray[np.int32], float]:
    """Viterbi over a graph whose last `nulls` nodes emit nothing.

    Args:
        scores: (frames, columns) log likelihoods.
        column: (nodes - nulls,) which column an emitting node emits.
        first_arc: (nodes + 1,) arcs into node n are [first_arc[n], first_arc[n + 1]); at most 255 of them.
        source: (arcs,) where an arc comes from. Arcs between nulls go from lower to higher ids.
        weight: (arcs,) log weight.
        initial: (nodes,) log weight of starting before the first frame in a node (only nulls may start).
        final: (nodes,) log weight of ending after the last frame in a node.
        nulls: number of null nodes.

    Returns:
        (frames,) the emitting node at each frame (-1 throughout if no path exists) and its log likelihood.
    """
    frames, nodes = scores.shape[0], len(first_arc) - 1
    emitting = nodes - nulls
    value = np.full(nodes, IMPOSSIBLE, np.float64)
    back = np.zeros((frames, nodes), np.uint8)
    start_back = np.full(nodes, -1, np.int32)
    for n in range(emitting, nodes):
        value[n] = initial[n]
        for a in range(first_arc[n], first_arc[n + 1]):
            if source[a] >= emitting and value[source[a]] + weight[a] > value[n]:
                value[n] = value[source[a]] + weight[a]
                start_back[n] = source[a]
    new = np.empty(nodes, np.float64)
    for t in range(frames):
        for n in range(nodes):
            best, choice = IMPOSSIBLE, 0
            if n < emitting:
                for a in range(first_arc[n], first_arc[n + 1]):
                    v = value[source[a]] + weight[a]
                    if v > best:
                        best, choice = v, a - first_arc[n]
                new[n] = best + scores[t, column[n]] if best > IMPOSSIBLE / 2 else IMPOSSIBLE
            else:
                for a in range(first_arc[n], first_arc[n + 1]):
                    v = new[source[a]] + weight[a]
                    if v > best:
                        best, choice = v, a - first_arc[n]
                new[n] = best
            back[t, n] = choice
        value[:] = new
    path = np.full(frames, -1, np.int32)
    end = 0
    for n in range(nodes):
        if value[n] + final[n] > value[end] + final[end]:
            end = n
    total = value[end] + final[end]
    if total < IMPOSSIBLE / 2:
        return path, total
    n = end
    for t in range(frames - 1, -1, -1):
        while n >= emitting:
            n = source[first_arc[n] + back[t, n]]
        path[t] = n
        n = source[first_arc[n] + back[t, n]]
    return path, total
