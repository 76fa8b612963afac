"""Which words heard are which words of the text: the search, and a second look at what it left over on both sides.

Paragraphs that changed places may lie, in the text, inside a stretch that the first search bridged. What is left over is much
smaller than the document, so less evidence is needed to find it there.
"""

from __future__ import annotations

from collections.abc import Sequence

from rapidfuzz.distance import Levenshtein

from align.search import SearchParams, search

FIRST, SECOND = SearchParams(margin_bits=5.0), SearchParams(margin_bits=2.0)
"""Less than the search asks for by itself: the sound has the last word. On the tuning side, in eight texts of something else,
over other languages, and with added or missing paragraphs, nothing is found wrongly, even at 1 bit."""
ROUNDS = 3
"""Looks at what is left over; each makes less be left over."""
LEAST_WORDS = 5
"""A shorter left-over stretch is not looked at again."""
SHORT_TEXT = 300
"""A text of so few words is also compared as a whole, since it may be too short for the evidence that the search wants …"""
SAME_SHARE = 0.5
"""… and is the recording's if so many of the words of the longer side are the same, in order. Of texts of
something else a biased decoder's words reach 0.13."""

Pair = tuple[int, int]


def find(heard: Sequence[str], words: Sequence[str]) -> list[Pair]:
    """Pairs (index heard, index in the text) of equal words, by index heard; no word heard twice."""
    pairs = [(int(h), int(r)) for island in search(heard, words, FIRST) for h, r in island.pairs]
    for _ in range(ROUNDS):
        more = _left_over(heard, words, pairs)
        if not more:
            break
        pairs += more
    longer = max(len(heard), len(words))
    if longer <= SHORT_TEXT and len(pairs) < SAME_SHARE * longer:
        blocks = Levenshtein.opcodes(heard, words)
        whole = [(b.src_start + k, b.dest_start + k) for b in blocks if b.tag == "equal" for k in range(b.src_end - b.src_start)]
        if len(whole) >= SAME_SHARE * longer:
            return whole
    return sorted(pairs)


def _left_over(heard: Sequence[str], words: Sequence[str], pairs: Sequence[Pair]) -> list[Pair]:
    """Pairs among the words of neither side that are in no pair."""
    h_at = _flatten(_left(len(heard), {h for h, _ in pairs}))
    r_at = _flatten(_left(len(words), {r for _, r in pairs}))
    # A word that occurs nowhere else parts two stretches, so that no match runs over a join.
    h_words = [heard[i] if i >= 0 else f"\0h{k}" for k, i in enumerate(h_at)]
    r_words = [words[i] if i >= 0 else f"\0r{k}" for k, i in enumerate(r_at)]
    return [(h_at[int(h)], r_at[int(r)]) for island in search(h_words, r_words, SECOND) for h, r in island.pairs]


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
