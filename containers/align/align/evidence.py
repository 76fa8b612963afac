"""What a recogniser that knows nothing of the document heard, and did not hear, as evidence for and against placed words.

A word lies where it was heard, or where at least something was heard; voice activity in which nothing was heard (breath, the
decay of a room, a hum) is no speech that the text lacks.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from itertools import pairwise

from align.find import Pair
from align.place import TokenPlace
from align.recognizer import HeardWord
from align.segment_types import AlignedWord, Stretch
from stagekit.tables import SAMPLE_RATE

LONGEST_S = 5.0
"""Voice activity of this length between two words is taken for speech even if nothing was heard in it: recognisers leave out
words, too."""
FARTHEST_S = 0.5
"""A word is not the one that was heard if it lies farther from it than this: of 1,851 anchored words of right texts (clean,
room and telephone, tuning side) 8 lie more than 0.3 s away and 5 more than 0.5 s, all misplaced …"""
CLOSE_S = 0.1
"""… unless it stands in an unbroken row of words between two that lie where they were heard: where the recogniser's words were
squeezed together, their times are wrong, not their order."""
HOLE_S = 0.5
"""Between two words that are no neighbours in the text there is no pause if it is shorter: the missing words may be there."""
ACTIVE = 0.8
"""So much of a stretch is voice activity where somebody speaks all through it."""
OVERLAP = 0.3
"""Of a word that was not heard as such, so much of its time must have been heard as something …"""
PHONE_FRAMES = 15.0
"""… unless it alone stands between two that were heard, in voice activity, and has no more frames of 10 ms a phone: recognisers
leave out words, and breath in a pause takes more."""

Ranges = Sequence[tuple[int, int]]


def doubts(placed: Sequence[TokenPlace], pairs: Sequence[Pair], heard: Sequence[HeardWord], speech: Ranges) -> list[str]:
    """Why each placed word is to be refused, or ''.

    Args:
        placed: words where alignment has them, in the order of time.
        pairs: (index heard, token) of `align.find`.
        heard: what was heard, in the order of time.
        speech: voice activity, disjoint (start, end) in samples, ascending.
    """
    times: dict[int, list[HeardWord]] = {}
    for h, token in pairs:
        times.setdefault(token, []).append(heard[h])
    starts = [h.start_s for h in heard]
    away = {i: why for i, p in enumerate(placed) if p.token in times and (why := _away(p, times[p.token]))}
    out = []
    for i, p in enumerate(placed):
        if p.token in times:
            out.append("" if i not in away or _in_row(placed, i, away) else away[i])
        else:
            out.append("" if _left_out(placed[max(0, i - 1) : i + 2], speech) else _unheard(p, heard, starts))
    return out


def _in_row(placed: Sequence[TokenPlace], i: int, away: Mapping[int, str]) -> bool:
    """Whether word i, and those beside it that are away too, follow on one that is not, and the next one on them."""
    first = last = i
    while first - 1 in away:
        first -= 1
    while last + 1 in away:
        last += 1
    row = placed[max(0, first - 1) : last + 2]
    flanked = len(row) == last - first + 3 and row[0].anchored and row[-1].anchored
    return flanked and all(b.token == a.token + 1 and b.start_s - a.end_s <= CLOSE_S for a, b in pairwise(row))


def _left_out(three: Sequence[TokenPlace], speech: Ranges) -> bool:
    """Whether the middle one of three words is one that the recogniser left out."""
    if len(three) < 3 or not (three[0].anchored and three[2].anchored and three[2].token - three[0].token == 2):
        return False
    word = three[1]
    quick = (word.end_s - word.start_s) * 100 <= PHONE_FRAMES * len(word.phones)
    return quick and _active(speech, round(word.start_s * SAMPLE_RATE), round(word.end_s * SAMPLE_RATE))


def _active(speech: Ranges, start: int, end: int) -> bool:
    """Whether somebody speaks all through [start, end)."""
    i = max(0, bisect_right(speech, (start, start)) - 1)
    covered = 0
    while i < len(speech) and speech[i][0] < end:
        covered += max(0, min(speech[i][1], end) - max(speech[i][0], start))
        i += 1
    return covered >= ACTIVE * (end - start)


def apart_s(place: TokenPlace, heard: HeardWord) -> float:
    """Seconds between a placed word and one that was heard; negative where they overlap."""
    return max(heard.start_s - place.end_s, place.start_s - heard.end_s)


def _away(place: TokenPlace, heard: Sequence[HeardWord]) -> str:
    gap = min(apart_s(place, h) for h in heard)
    return f"{gap:.2f} s from where it was heard" if gap > FARTHEST_S else ""


def _unheard(place: TokenPlace, heard: Sequence[HeardWord], starts: Sequence[float]) -> str:
    i = max(0, bisect_left(starts, place.start_s) - 1)
    covered = 0.0
    while i < len(heard) and heard[i].start_s < place.end_s:
        covered += max(0.0, min(heard[i].end_s, place.end_s) - max(heard[i].start_s, place.start_s))
        i += 1
    return "" if covered >= OVERLAP * (place.end_s - place.start_s) else "nothing was heard there"


def unexplained(pairs: Sequence[Pair], heard: Sequence[HeardWord], words: Sequence[AlignedWord]) -> list[HeardWord]:
    """Words heard that no accepted word of the text explains."""
    accepted = {w.token for w in words}
    explained = {h for h, token in pairs if token in accepted}
    return [h for i, h in enumerate(heard) if i not in explained]


def with_sound(
    refused: Sequence[Stretch], heard: Sequence[HeardWord], words: Sequence[AlignedWord], speech: Ranges
) -> list[Stretch]:
    """Refused stretches in which something was heard, or that lie in a hole between accepted words.

    In the others a word was looked for where nobody spoke.
    """
    middles = _middles(heard)
    holes = _holes(words, speech)
    starts = [a for a, _ in holes]

    def in_hole(s: Stretch) -> bool:
        i = bisect_right(starts, s.start_sample) - 1
        return i >= 0 and s.start_sample < holes[i][1]

    return [s for s in refused if _any_in(middles, s.start_sample, s.end_sample) or in_hole(s)]


def _holes(words: Sequence[AlignedWord], speech: Ranges) -> list[tuple[int, int]]:
    """Ranges between accepted words in which words of the text must be: too short for a pause, or spoken all through."""
    out = []
    for a, b in pairwise(words):
        start, end = round(a.end_s * SAMPLE_RATE), round(b.start_s * SAMPLE_RATE)
        if b.token != a.token + 1 and end > start and (end - start <= HOLE_S * SAMPLE_RATE or _active(speech, start, end)):
            out.append((start, end))
    return out


def heard_speech(speech: Ranges, words: Sequence[AlignedWord], others: Sequence[HeardWord]) -> list[tuple[int, int]]:
    """Speech less the shorter stretches without a word, accepted or heard.

    Args:
        speech: voice activity, disjoint (start, end) in samples, ascending.
        words: accepted words in the order of time.
        others: words heard besides them; one counts where its middle lies.

    Returns:
        Disjoint ranges, ascending; neighbours may touch.

    >>> word = AlignedWord(0, "yes", 0, 3, 1.0, 1.5, 0.0, True)
    >>> heard_speech([(15200, 27200)], [word], [])
    [(16000, 24000)]
    >>> heard_speech([(15200, 27200)], [word], [HeardWord("uh", 1.52, 1.68, None)])
    [(16000, 24000), (24000, 27200)]
    """
    middles = _middles(others)
    spans = [(round(w.start_s * SAMPLE_RATE), round(w.end_s * SAMPLE_RATE)) for w in words]
    holes = {start for start, _ in _holes(words, speech)}
    starts = [a for a, _ in spans]
    out: list[tuple[int, int]] = []
    for start, end in speech:
        first = max(0, bisect_left(starts, start) - 1)
        inside = []
        for a, b in spans[first:]:
            if a >= end:
                break
            if b > start:
                inside.append((max(a, start), min(b, end)))
        for (_, gap), (gap_end, _) in pairwise([(start, start), *inside, (end, end)]):
            long = gap_end - gap > LONGEST_S * SAMPLE_RATE
            if gap_end > gap and (long or gap in holes or _any_in(middles, gap, gap_end)):
                out.append((gap, gap_end))
        out += inside
    return sorted(out)


def _middles(heard: Sequence[HeardWord]) -> list[int]:
    return sorted(round((h.start_s + h.end_s) / 2 * SAMPLE_RATE) for h in heard)


def _any_in(middles: Sequence[int], start: int, end: int) -> bool:
    i = bisect_left(middles, start)
    return i < len(middles) and middles[i] < end
