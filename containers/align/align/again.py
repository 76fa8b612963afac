"""Words that were heard, but placed elsewhere or nowhere: looked for a second time, where they were heard.

Beside a long pause a short word ("the", "it") may fit its noise as well as its own sound, and then lies seconds from where the
recogniser heard it, or is left out. Refused there, it would cost the clip that it begins or ends its neighbours too.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from align.aligner import Aligner, Read
from align.evidence import FARTHEST_S, apart_s
from align.find import Pair
from align.place import TokenPlace, monotone
from align.recognizer import HeardWord
from align.windows import Anchor, Window
from stagekit.tables import SAMPLE_RATE

REACH_S = 0.3
"""Audio on both sides of where words were heard in which they are looked for, as far as others leave it free. Words that were
heard farther apart than twice this are looked for one by one."""
LEAST_S = 0.05
"""Less audio holds no word."""
NEXT_S = 0.5
"""A word found lies no farther from the next in the text, unless there is a stop or a comma between them. Of 18 found in babble
(tuning side) 5 lay in the wrong sentence, 4 of these so far from the next one ("the", heard in the pause before its sentence)."""


@dataclass(frozen=True)
class _Row:
    """Words to look for together: where they were heard, and the placed words beside that in time if next in the text."""

    anchors: list[Anchor]
    before: TokenPlace | None
    after: TokenPlace | None
    start_s: float
    end_s: float

    @property
    def first(self) -> int:
        return self.anchors[0].token

    @property
    def last(self) -> int:
        return self.anchors[-1].token

    def window(self, run: int) -> tuple[Window, list[Anchor]]:
        """What to look for where; a neighbour that is near, too, so that sounds have the context in which they were said."""
        before = self.before if self.before and self.anchors[0].start_s - self.before.end_s <= NEXT_S else None
        after = self.after if self.after and self.after.start_s - self.anchors[-1].end_s <= NEXT_S else None
        left, right = ([Anchor(p.token, p.start_s, p.end_s)] if p else [] for p in (before, after))
        anchors = [*left, *self.anchors, *right]
        start, end = before.start_s if before else self.start_s, after.end_s if after else self.end_s
        return Window(anchors[0].token, anchors[-1].token + 1, self.first, self.last + 1, start, end, run), anchors


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
        stops: of each, whether the text has a stop or a comma after it.

    Returns:
        Placements in the order of time. What was found replaces where it lay before, and whatever word far from where it was
        heard lies over it.
    """
    times: dict[int, list[HeardWord]] = {}
    for h, token in pairs:
        times.setdefault(token, []).append(heard[h])
    once = {token: several[0] for token, several in times.items() if len(several) == 1}
    at = {p.token: p for p in placed}
    lost = [token for token, h in sorted(once.items()) if token not in at or apart_s(at[token], h) > FARTHEST_S]
    gone = set(lost)
    kept = [p for p in placed if p.token not in gone]
    rows = _rows([Anchor(token, once[token].start_s, once[token].end_s) for token in lost], kept, samples / SAMPLE_RATE)
    if not rows:
        return list(placed)
    made = [row.window(run) for run, row in enumerate(rows)]
    found = {p.token: p for p in aligner.place(read, samples, words, [w for w, _ in made], [a for _, a in made])}
    for row in rows:
        inside = [found.get(a.token) for a in row.anchors]
        line = [found.get(row.first - 1) or row.before, *inside, found.get(row.last + 1) or row.after]
        parted = any(
            a and b and b.token == a.token + 1 and not stops[a.token] and b.start_s - a.end_s > NEXT_S for a, b in pairwise(line)
        )
        if parted:
            for anchor in row.anchors:
                found.pop(anchor.token, None)
    there = sorted(found.values(), key=lambda p: p.start_s)
    starts = [p.start_s for p in there]

    def free(place: TokenPlace) -> bool:
        i = bisect_left(starts, place.end_s)
        return i == 0 or there[i - 1].end_s <= place.start_s

    stay = [p for p in placed if p.token not in found and (p.token not in gone or free(p))]
    return monotone(stay + there)


def _rows(lost: Sequence[Anchor], kept: Sequence[TokenPlace], duration_s: float) -> list[_Row]:
    """Rows of words to look for, by token; those that were heard beside a neighbour in the text."""
    together: list[list[Anchor]] = []
    for anchor in lost:
        last = together[-1][-1] if together else None
        if last and last.token + 1 == anchor.token and abs(anchor.start_s - last.end_s) <= 2 * REACH_S:
            together[-1].append(anchor)
        else:
            together.append([anchor])
    middle_s = [(p.start_s + p.end_s) / 2 for p in kept]
    starts, ends = sorted(a.start_s for a in lost), sorted(a.end_s for a in lost)
    out: list[_Row] = []
    for row in together:
        first, last_s = row[0], row[-1].end_s
        here = bisect_left(middle_s, first.start_s)
        squeezed = any(b.start_s < a.end_s - LEAST_S and (a.start_s, a.end_s) != (b.start_s, b.end_s) for a, b in pairwise(row))
        if squeezed or here != bisect_left(middle_s, last_s):
            continue
        before, after = (kept[here - 1] if here else None), (kept[here] if here < len(kept) else None)
        # what is heard before and after these and is looked for too
        i, k = bisect_left(ends, first.start_s + 1e-6), bisect_left(starts, last_s - 1e-6)
        start = max(before.end_s if before else 0.0, first.start_s - REACH_S, ends[i - 1] if i else 0.0)
        end = min(after.start_s if after else duration_s, last_s + REACH_S, starts[k] if k < len(starts) else duration_s)
        before = before if before and before.token == first.token - 1 else None
        after = after if after and after.token == row[-1].token + 1 else None
        if (before or after) and end - start >= LEAST_S * len(row):
            out.append(_Row(row, before, after, start, end))
    return out
