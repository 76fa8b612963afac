"""Which words heard are which words of the text: the search, and a second look at what it left over on both sides.

Paragraphs that changed places may lie, in the text, inside a stretch that the first search bridged. What is left over is much
smaller than the document, so less evidence is needed to find it there.
"""

from __future__ import annotations

from collections.abc import Sequence

from align.search import SearchParams, search

MARGIN = SearchParams(margin_bits=8.0)
"""Less than the search asks for by itself: the sound has the last word. On the tuning side nothing is found, even at 5
bits, in four texts of something else or over other languages."""
LEAST_WORDS = 5
"""A shorter left-over stretch is not looked at again."""

Pair = tuple[int, int]


def find(heard: Sequence[str], words: Sequence[str]) -> list[Pair]:
    """Pairs (index heard, index in the text) of equal words, by index heard; no word heard twice."""
    first = [(int(h), int(r)) for island in search(heard, words, MARGIN) for h, r in island.pairs]
    left_h, left_r = _left(len(heard), {h for h, _ in first}), _left(len(words), {r for _, r in first})
    h_at, r_at = _flatten(left_h), _flatten(left_r)
    # A word that occurs nowhere else parts two stretches, so that no match runs over a join.
    h_words = [heard[i] if i >= 0 else f"\0h{k}" for k, i in enumerate(h_at)]
    r_words = [words[i] if i >= 0 else f"\0r{k}" for k, i in enumerate(r_at)]
    second = [(h_at[int(h)], r_at[int(r)]) for island in search(h_words, r_words, MARGIN) for h, r in island.pairs]
    return sorted(first + second)


def _left(n: int, taken: set[int]) -> list[range]:
    """Runs of at least LEAST_WORDS indices that are not taken."""
    out, start = [], 0
    for i in [*sorted(taken), n]:
        if i - start >= LEAST_WORDS:
            out.append(range(start, i))
        start = i + 1
    return out


def _flatten(runs: Sequence[range]) -> list[int]:
    """All indices, with -1 between runs."""
    out: list[int] = []
    for run in runs:
        out += [*run, -1]
    return out
