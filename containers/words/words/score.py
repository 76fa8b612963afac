"""How well the sound fits a word: its own path against the best path of any units at all.

The log-likelihood ratio per frame of the forced path to a free loop of units (the "goodness of pronunciation" of Witt and Young,
"Phone-level pronunciation scoring and assessment for interactive language learning", Speech Communication 30, 2000), both under
the models without context: 0 is par, since the loop may take the forced path, and lower is worse.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from words.graph import PARTS, Trellis
from words.model import Acoustics

Array = Any


@numba.njit(cache=True, nogil=True)
def free_loop(obs: Array, stay: Array, go: Array, parts: int, penalty: float) -> Array:
    """Best path of units in any order.

    Args:
        obs: (frames, units * parts) log likelihoods, the parts of a unit side by side.
        stay: (units * parts,) log chance of staying.
        go: (units * parts,) log chance of leaving.
        parts: states of a unit.
        penalty: log weight of each new unit.

    Returns:
        (frames,) log likelihood of the frame's state on the best path.
    """
    frames, states = obs.shape
    old = np.full(states, -1e30)
    new = np.empty(states)
    back = np.zeros((frames, states), np.uint8)
    ender = np.zeros(frames, np.int32)
    for u in range(0, states, parts):
        old[u] = obs[0, u]
    for t in range(1, frames):
        top, who = -1e30, 0
        for e in range(parts - 1, states, parts):
            if old[e] + go[e] > top:
                top, who = old[e] + go[e], e
        ender[t] = who
        for s in range(states):
            best, choice = old[s] + stay[s], 0
            v = top + penalty if s % parts == 0 else old[s - 1] + go[s - 1]
            if v > best:
                best, choice = v, 1
            new[s] = best + obs[t, s]
            back[t, s] = choice
        old, new = new, old
    out = np.empty(frames, np.float32)
    s = int(np.argmax(old))
    for t in range(frames - 1, -1, -1):
        out[t] = obs[t, s]
        if back[t, s] == 1:
            s = ender[t] if s % parts == 0 else s - 1
    return out


PENALTY = -2.0
"""Log weight of each unit of the loop: it stands for the choice among a few dozen of them."""


def ratios(known: Array, trellis: Trellis, path: Array, plain: Acoustics, every: int = 1) -> Array:
    """Log-likelihood ratio of each frame, forced path over free loop.

    Args:
        known: (frames, states) log likelihoods of all states without context (:func:`words.decode.table`).
        trellis: of the utterance.
        path: (frames,) its states.
        plain: the states without context.
        every: only each so-manieth frame is looked at; the ones between get its value.

    Returns:
        (frames,) float32.
    """
    some = np.ascontiguousarray(known[::every])
    loop = free_loop(some, plain.stay, plain.go, PARTS, PENALTY)
    at = path[::every]
    own = some[np.arange(len(some)), trellis.unit[at] * PARTS + trellis.part[at]]
    return np.repeat(own - loop, every)[: len(known)]


def word_scores(ratio: Array, word: Array) -> tuple[Array, float]:
    """Mean ratio of each word, (words,), and of all frames that lie in words.

    Args:
        ratio: (frames,).
        word: (frames,) word of each frame, -1 in a pause; every word has a frame.
    """
    spoken = word >= 0
    count = np.bincount(word[spoken])
    return np.bincount(word[spoken], ratio[spoken]) / count, float(ratio[spoken].mean())


LEAST_DISTANCE = 0.5
"""Of median and lower quartile, where a corpus is so uniform that anything new would look odd."""


def low(quartiles: list[float], times: float) -> float:
    """The bound of a low score: ``times`` the distance from the median to the lower quartile, below the median."""
    q25, q50 = quartiles
    return q50 - times * max(q50 - q25, LEAST_DISTANCE)
