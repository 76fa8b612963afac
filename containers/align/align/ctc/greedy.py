"""Greedy CTC decoding: the best token of each frame, repetitions and blanks taken out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from align.ctc.tokens import Tokens


@dataclass(frozen=True)
class Spoken:
    """A word in an emission: frames [start, end), and the mean log probability of its tokens' frames."""

    word: str
    start: int
    end: int
    score: float


def greedy(emission: NDArray[np.float32], tokens: Tokens) -> list[Spoken]:
    """Words along the best path (Graves et al. 2006, doi:10.1145/1143844.1143891, section 3.2).

    Args:
        emission: (frames, tokens) log probabilities.
        tokens: with a separator, or all is one word.

    >>> logp = np.log(np.eye(4, dtype=np.float32)[[2, 2, 0, 2, 1, 1, 3]] + 1e-6)
    >>> [(s.word, s.start, s.end) for s in greedy(logp, Tokens.of("-|AB"))]
    [('aa', 0, 4), ('b', 6, 7)]
    """
    if not len(emission):
        return []
    best = emission.argmax(1)
    edges = np.flatnonzero(np.diff(best)) + 1
    out: list[Spoken] = []
    ids: list[int] = []
    span = [0, 0]
    total, count = 0.0, 0
    for first, last in zip([0, *edges], [*edges, len(best)], strict=True):
        token = int(best[first])
        if token == tokens.separator:
            if ids:
                out.append(Spoken(tokens.write(ids), span[0], span[1], total / count))
            ids, total, count = [], 0.0, 0
        elif token != tokens.blank:
            span = [int(first) if not ids else span[0], int(last)]
            ids.append(token)
            total += float(emission[first:last, token].sum())
            count += int(last - first)
    if ids:
        out.append(Spoken(tokens.write(ids), span[0], span[1], total / count))
    return out
