"""Which words heard are which words of the text: the search, and a second look at what it left over on both sides.

Paragraphs that changed places may lie, in the text, inside a stretch that the first search bridged. What is left over is much
smaller than the document, so less evidence is needed to find it there. Last, what was misheard between two words that were found:
*assets meant* for *assessments*.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise

from rapidfuzz.distance import Levenshtein

from align.search import SearchParams, search

FIRST, SECOND = SearchParams(margin_bits=5.0), SearchParams(margin_bits=2.0)
"""Of a recogniser that is biased to the document. Less than the search asks for by itself: the sound has the last word. On the
tuning side, in eight texts of something else, over other languages, and with added or missing paragraphs, nothing is found
wrongly, even at 1 bit."""
FIRST_INDEPENDENT = SearchParams(margin_bits=20.0, independent=True)
SECOND_INDEPENDENT = SearchParams(margin_bits=10.0, independent=True)
"""Of one that knows nothing of it, whose every matched word is evidence: of right words as many are found at 5 and 2 bits, and at
these nothing in texts of something else."""
ROUNDS = 3
"""Looks at what is left over; each makes less be left over."""
LEAST_WORDS = 5
"""A shorter left-over stretch is not looked at again."""
SHORT_TEXT = 300
"""A text of so few words is also compared as a whole, since it may be too short for the evidence that the search wants …"""
SAME_SHARE = 0.5
"""… and is the recording's if so many of the words of the longer side are the same, in order. Of texts of
something else a biased decoder's words reach 0.13."""

NEAR = 0.5
"""Least similarity (1 - edit distance / letters of the longer side) of a gap's words heard and words of the text, spaces left
out. Of one or two words of something else under 1 in 100 reach it, of three and more under 1 in 500 (tuning side)."""
NEAR_PART = 0.65
"""The same of one side and only the beginning or end of the other, which is longer: beside a passage that only one side has.
Of something else under 1 in 2,000 reaches it (tuning side)."""
NEAR_LETTERS, NEAR_WORDS = 5, 16
"""Fewer letters say nothing (twice as many are wanted of a part); more words are no gap."""

Pair = tuple[int, int]


def find(heard: Sequence[str], words: Sequence[str], independent: bool) -> list[Pair]:
    """Pairs (index heard, index in the text) of equal words, by index heard; no word heard twice.

    Args:
        heard: what the recogniser wrote, in the order of time.
        words: the text's.
        independent: the recogniser knew nothing of the text.
    """
    first, second = (FIRST_INDEPENDENT, SECOND_INDEPENDENT) if independent else (FIRST, SECOND)
    pairs = [(int(h), int(r)) for island in search(heard, words, first) for h, r in island.pairs]
    for _ in range(ROUNDS):
        more = _left_over(heard, words, pairs, second)
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


def near(heard: Sequence[str], words: Sequence[str], pairs: Sequence[Pair]) -> list[Pair]:
    """More pairs: words between two of ``pairs`` that follow each other, where what was heard looks much like the text.

    Returns:
        (index heard, index in the text), ascending in both; several words of the text may share one that was heard, and the other
        way round some heard ones have none.

    >>> near("before the assets meant of all".split(), "before the assessments of all".split(), [(0, 0), (1, 1), (4, 3), (5, 4)])
    [(2, 2)]
    """
    out: list[Pair] = []
    for (h0, r0), (h1, r1) in pairwise(pairs):
        if h1 - h0 > 1 and r1 - r0 > 1 and min(h1 - h0, r1 - r0) <= NEAR_WORDS + 1:
            gap = heard[h0 + 1 : h1], words[r0 + 1 : r1]
            whole = _alike(*gap) if max(map(len, gap)) <= NEAR_WORDS else []
            out += [(h0 + 1 + h, r0 + 1 + r) for h, r in whole or _alike_in_part(*gap)]
    return out


def _alike_in_part(heard: Sequence[str], words: Sequence[str]) -> list[Pair]:
    """The same of the shorter side with as many letters from the beginning, or else the end, of the longer one.

    >>> _alike_in_part("for the following sound".split(), "for the following round though I cannot tell why it was".split())
    [(0, 0), (1, 1), (2, 2), (3, 3)]
    """
    letters = len("".join(heard)), len("".join(words))
    if min(letters) < 2 * NEAR_LETTERS:
        return []
    short, long = (heard, words) if letters[0] < letters[1] else (words, heard)
    if len(short) > NEAR_WORDS:
        return []
    head = bisect_right(list(accumulate(len(w) for w in long)), min(letters) + len(long[0]) // 2)
    tail = bisect_right(list(accumulate(len(w) for w in reversed(long))), min(letters) + len(long[-1]) // 2)
    for part, shift in ((long[:head], 0), (long[len(long) - tail :], len(long) - tail)):
        sides = (heard, part) if short is heard else (part, words)
        if found := _alike(*sides, NEAR_PART):
            return [(h, r + shift) if short is heard else (h + shift, r) for h, r in found]
    return []


def _alike(heard: Sequence[str], words: Sequence[str], least: float = NEAR) -> list[Pair]:
    """Each word of the text of which half was heard, with the word heard that has most of it, if the two sides look alike."""
    source, target = "".join(words), "".join(heard)
    letters = max(len(source), len(target))
    if letters < NEAR_LETTERS or Levenshtein.normalized_similarity(source, target) < least:
        return []
    starts = [0, *accumulate(len(w) for w in words)]
    heard_starts = [0, *accumulate(len(w) for w in heard)]
    falls = [[0] * len(heard) for _ in words]
    for block in Levenshtein.opcodes(source, target):
        if block.tag == "equal":
            for a, b in zip(range(block.src_start, block.src_end), range(block.dest_start, block.dest_end), strict=True):
                falls[bisect_right(starts, a) - 1][bisect_right(heard_starts, b) - 1] += 1
    most = [max(range(len(heard)), key=lambda h: (row[h], -h)) for row in falls]
    return [(h, r) for r, h in enumerate(most) if 2 * sum(falls[r]) >= len(words[r])]


def _left_over(heard: Sequence[str], words: Sequence[str], pairs: Sequence[Pair], params: SearchParams) -> list[Pair]:
    """Pairs among the words of neither side that are in no pair."""
    h_at = _flatten(_left(len(heard), {h for h, _ in pairs}))
    r_at = _flatten(_left(len(words), {r for _, r in pairs}))
    # A word that occurs nowhere else parts two stretches, so that no match runs over a join.
    h_words = [heard[i] if i >= 0 else f"\0h{k}" for k, i in enumerate(h_at)]
    r_words = [words[i] if i >= 0 else f"\0r{k}" for k, i in enumerate(r_at)]
    return [(h_at[int(h)], r_at[int(r)]) for island in search(h_words, r_words, params) for h, r in island.pairs]


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
