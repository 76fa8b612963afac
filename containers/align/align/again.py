"""Words that were heard, but placed elsewhere or nowhere: looked for a second time, where they were heard.

Beside a long pause a short word ("the", "it") may fit its noise as well as its own sound, and then lies seconds from where the
recogniser heard it, or is left out. Refused there, it would cost the clip that it begins or ends its neighbours too.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

from align.aligner import Aligner, Read
from align.evidence import FARTHEST_S
from align.find import Pair
from align.place import TokenPlace, monotone
from align.recognizer import HeardWord
from align.windows import Anchor, Window
from stagekit.tables import SAMPLE_RATE

REACH_S = 0.3
"""Audio on both sides of where words were heard in which they are looked for, as far as their neighbours leave it free."""
LEAST_S = 0.05
"""Less audio holds no word."""
NEXT_S = 0.5
"""A word found lies no farther from the next in the text, unless there is a stop between them. Of 18 found in babble (tuning
side) 5 lay in the wrong sentence, 4 of these so far from the next one ("the", heard in the pause before its sentence)."""


def look_again(
    placed: Sequence[TokenPlace], pairs: Sequence[Pair], heard: Sequence[HeardWord], aligner: Aligner, read: Read, samples: int,
    words: Sequence[str], stops: Sequence[bool],
) -> list[TokenPlace]:
    """The placements, with those of words far from where they were heard replaced.

    Words are looked for in rows of consecutive tokens; a row that was not heard beside a neighbour in the text stays as it is.

    Args:
        placed: of the aligner, in the order of time.
        pairs: (index heard, token) of `align.find`.
        heard: what was heard, in the order of time.
        aligner: what placed them.
        read: the recording, 16 kHz.
        samples: its length.
        words: the document's tokens.
        stops: of each, whether the text has a stop after it.

    Returns:
        Placements in the order of time; none are lost but those that were found elsewhere.
    """
    times: dict[int, list[HeardWord]] = {}
    for h, token in pairs:
        times.setdefault(token, []).append(heard[h])
    once = {token: several[0] for token, several in times.items() if len(several) == 1}
    at = {p.token: p for p in placed}
    lost = [token for token, h in sorted(once.items()) if token not in at or _apart_s(at[token], h) > FARTHEST_S]
    gone = set(lost)
    kept = [p for p in placed if p.token not in gone]
    middle_s = [(p.start_s + p.end_s) / 2 for p in kept]
    cuts: list[Window] = []
    runs: list[list[Anchor]] = []
    for row in _rows(lost):
        anchors = [Anchor(token, once[token].start_s, once[token].end_s) for token in row]
        between = _between(anchors, kept, middle_s, samples / SAMPLE_RATE)
        if between:
            cuts.append(Window(row[0], row[-1] + 1, row[0], row[-1] + 1, *between, len(runs)))
            runs.append(anchors)
    if not cuts:
        return list(placed)
    found = {p.token: p for p in aligner.place(read, samples, words, cuts, runs)}
    there = {p.token: p for p in kept} | found
    for row in _rows(sorted(found)):
        before, after = there.get(row[0] - 1), there.get(row[-1] + 1)
        if (before and not stops[row[0] - 1] and found[row[0]].start_s - before.end_s > NEXT_S) or (
            after and not stops[row[-1]] and after.start_s - found[row[-1]].end_s > NEXT_S
        ):
            found = {token: p for token, p in found.items() if token not in row}
    return monotone([p for p in placed if p.token not in found] + list(found.values()))


def _apart_s(place: TokenPlace, heard: HeardWord) -> float:
    return max(heard.start_s - place.end_s, place.start_s - heard.end_s)


def _rows(tokens: Sequence[int]) -> list[list[int]]:
    """Runs of consecutive numbers."""
    rows: list[list[int]] = []
    for token in tokens:
        if rows and rows[-1][-1] + 1 == token:
            rows[-1].append(token)
        else:
            rows.append([token])
    return rows


def _between(
    row: Sequence[Anchor], kept: Sequence[TokenPlace], middle_s: Sequence[float], duration_s: float
) -> tuple[float, float] | None:
    """Start and end of the audio to look in; None if the words were not heard beside a neighbour in the text, or out of order."""
    first, last = bisect_left(middle_s, row[0].start_s), bisect_left(middle_s, row[-1].end_s)
    if first != last or any(b.start_s < a.end_s - LEAST_S for a, b in pairwise(row)):
        return None
    before, after = (kept[first - 1] if first else None), (kept[first] if first < len(kept) else None)
    follows = before is not None and before.token == row[0].token - 1
    if not follows and (after is None or after.token != row[-1].token + 1):
        return None
    start = max(before.end_s if before else 0.0, row[0].start_s - REACH_S)
    end = min(after.start_s if after else duration_s, row[-1].end_s + REACH_S)
    return (start, end) if end - start >= LEAST_S * len(row) else None
