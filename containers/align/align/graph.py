"""Turns a run of words into the state graph that `align.viterbi.best_path` searches.

Every word may be left out, and any stretch of audio between two words may be silence or speech that the text does not hold
(`filler`): a caption is a claim, not a fact. Triphones are exact within words and across them, for every pronunciation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from align.sphinx_model import BEGIN, END, INTERNAL, SINGLE, AcousticModel

SILENCE_STATE, FILLER_STATE = -1, -2
"""What `Graph.word` says of emitting nodes that are no word's."""
Pronunciations = tuple[tuple[int, ...], ...]
"""Phone ids, one tuple a pronunciation."""


@dataclass(frozen=True)
class Graph:
    """A compiled graph; `best_path` documents the arrays. Emitting nodes come first, then one null before each word."""

    senones: NDArray[np.int32]
    """Senone of each score column but the last, which is the filler's."""
    column: NDArray[np.int32]
    first_arc: NDArray[np.int32]
    source: NDArray[np.int32]
    weight: NDArray[np.float32]
    initial: NDArray[np.float32]
    final: NDArray[np.float32]
    nulls: int
    word: NDArray[np.int32]
    """(emitting nodes,) index of the word, or SILENCE_STATE or FILLER_STATE."""
    position: NDArray[np.int32]
    """(emitting nodes,) index of the phone in its word."""
    phone: NDArray[np.int32]
    """(emitting nodes,) id of the phone; -1 for filler."""


class _Builder:
    def __init__(self, model: AcousticModel) -> None:
        self.model = model
        self.columns: dict[int, int] = {}
        self.column: list[int] = []
        self.word: list[int] = []
        self.position: list[int] = []
        self.phones: list[int] = []
        self.arcs: list[tuple[int, int, float]] = []  # to, from, weight; nulls are negative: null i is -1 - i

    def phone(self, phone: int, left: int, right: int, place: int, word: int, position: int) -> tuple[int, int]:
        """Adds three states in a row; returns the first and the last."""
        first = len(self.column)
        for k, senone in enumerate(self.model.senones_of(phone, left, right, place)):
            node = first + k
            self.column.append(self.columns.setdefault(int(senone), len(self.columns)))
            self.word.append(word)
            self.position.append(position)
            self.phones.append(phone)
            self.arcs.append((node, node, float(self.model.self_loop[phone, k])))
            if k:
                self.arcs.append((node, node - 1, float(self.model.advance[phone, k - 1])))
        return first, first + 2

    def leave(self, phone: int) -> float:
        return float(self.model.advance[phone, 2])


def build_graph(
    model: AcousticModel, words: Sequence[Pronunciations], *, skip: Sequence[float], silence: float, filler: float
) -> Graph:
    """Compiles words, in order.

    Args:
        model: the acoustic model.
        words: pronunciations of each word; an empty one can only be skipped.
        skip: log weight of leaving each word out.
        silence: log weight of a silence.
        filler: log weight of a stretch that is not in the text.

    Returns:
        The graph. Start and end are free of charge before the first and after the last word.
    """
    b, sil, n = _Builder(model), model.silence, len(words)
    exits: list[tuple[int, int, int]] = []  # last node, its phone, right context (phone or silence), of the word before
    for i, prons in enumerate(words):
        lefts = sorted({sil} | {p for _, p, _ in exits})
        following = words[i + 1] if i + 1 < n else ()
        rights = sorted({sil} | {pron[0] for pron in following})
        entries: list[tuple[int, int, int]] = []  # first node, its phone, left context
        leaving: list[tuple[int, int, int]] = []
        for pron in prons:
            if len(pron) == 1:
                for left in lefts:
                    for right in rights:
                        first, last = b.phone(pron[0], left, right, SINGLE, i, 0)
                        entries.append((first, pron[0], left))
                        leaving.append((last, pron[0], right))
                continue
            inner: list[tuple[int, int]] = []
            for left in lefts:
                first, last = b.phone(pron[0], left, pron[1], BEGIN, i, 0)
                entries.append((first, pron[0], left))
                inner.append((last, pron[0]))
            for j in range(1, len(pron) - 1):
                first, last = b.phone(pron[j], pron[j - 1], pron[j + 1], INTERNAL, i, j)
                b.arcs += [(first, node, b.leave(phone)) for node, phone in inner]
                inner = [(last, pron[j])]
            for right in rights:
                first, last = b.phone(pron[-1], pron[-2], right, END, i, len(pron) - 1)
                b.arcs += [(first, node, b.leave(phone)) for node, phone in inner]
                leaving.append((last, pron[-1], right))
        for node, phone, left in entries:
            if left == sil:
                b.arcs.append((node, -1 - i, 0.0))
            b.arcs += [(node, last, b.leave(p)) for last, p, right in exits if p == left and right == phone and left != sil]
        b.arcs += [(-2 - i, node, b.leave(phone)) for node, phone, right in leaving if right == sil]
        b.arcs.append((-2 - i, -1 - i, skip[i]))
        exits = [e for e in leaving if e[2] != sil]
    for i in range(n + 1):
        first, last = b.phone(sil, sil, sil, SINGLE, SILENCE_STATE, 0)
        b.arcs += [(first, -1 - i, silence), (-1 - i, last, b.leave(sil))]
        node = len(b.column)
        b.column.append(-1)
        b.word.append(FILLER_STATE)
        b.position.append(0)
        b.phones.append(-1)
        b.arcs += [(node, node, 0.0), (node, -1 - i, filler), (-1 - i, node, 0.0)]
    return _freeze(b, n + 1)


def _freeze(b: _Builder, nulls: int) -> Graph:
    emitting = len(b.column)
    arcs = np.array(b.arcs, np.float64).reshape(-1, 3)
    to, source = arcs[:, 0].astype(np.int64), arcs[:, 1].astype(np.int64)
    to, source = np.where(to < 0, emitting - 1 - to, to), np.where(source < 0, emitting - 1 - source, source)
    order = np.argsort(to, kind="stable")
    counts = np.bincount(to, minlength=emitting + nulls)
    if counts.max() > 255:
        raise ValueError(f"{counts.max()} arcs into one state; at most 255 fit (too many pronunciations of a word)")
    column = np.array(b.column, np.int32)
    column[column < 0] = len(b.columns)
    initial = np.full(emitting + nulls, -1e30, np.float32)
    final = initial.copy()
    initial[emitting], final[-1] = 0.0, 0.0
    return Graph(
        np.fromiter(b.columns, np.int32, len(b.columns)), column,
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int32), source[order].astype(np.int32),
        arcs[order, 2].astype(np.float32), initial, final, nulls, np.array(b.word, np.int32), np.array(b.position, np.int32),
        np.array(b.phones, np.int32),
    )
