"""Cuts aligned words into segments of 1-15 s, and accounts for every sample that is in none.

Cuts lie in pauses or at sentence ends wherever the limits allow, never inside a word, never between words that stand for one
written token ("$5.50"). A clip is padded into the silence around it, never into a neighbouring word or other speech. Where
other speech touches a segment's end, no clip is cut there: words are given up until a cut between known words is reached. A word
less is better than a cut word: up to a second more is given up until a cut where the sound shows that a word has ended.

The pieces tile the recording: each sample is in one segment's speech (first word's start to last word's end) or in one
:class:`Stretch`. All positions are samples at 16 kHz.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from align.segment_cuts import Unit, atoms, best_cuts, boundary_kind, cut_cost
from align.segment_rest import given_up, tile
from align.segment_types import DEFAULT, AlignedWord, SegmentDraft, SegmentParams, Stretch
from stagekit.tables import SAMPLE_RATE, Reason

__all__ = ["AlignedWord", "SegmentDraft", "SegmentParams", "Stretch", "segment"]

_OPENING = "\"'“‘«([{¿¡"
_CLOSING = "\"'”’»)]}.,;:!?…。，！？；："


@dataclass(frozen=True)
class _Word:
    """A word in samples, the number of its run, and whether all words of its written token are in that run."""

    word: AlignedWord
    start: int
    end: int
    run: int
    whole: bool


@dataclass(frozen=True)
class _Side:
    """The silence at one side of a word: its length, how far a clip reaches into it, how far it may, and what lies beyond."""

    quiet: int
    pad: int
    room: int
    beyond: str  # "word", "speech" or "edge"
    apart: int
    """Samples to other speech, whatever sound lies between; the silence's length where there is none."""


def segment(
    words: Sequence[Sequence[AlignedWord]],
    text: str,
    speech: Sequence[tuple[int, int]],
    duration_samples: int,
    params: SegmentParams = DEFAULT,
    *,
    spans: Sequence[tuple[int, int]] | None = None,
    rejected: Sequence[Stretch] = (),
    sound: Sequence[tuple[int, int]] = (),
    clear: Sequence[bool] = (),
) -> tuple[list[SegmentDraft], list[Stretch]]:
    """Segments and the rest, both in time order; together they tile [0, ``duration_samples``).

    Args:
        words: runs of accepted words in time order; words were rejected between two runs. A run is parted where its token
            numbers do not follow each other.
        text: the document's text.
        speech: voice activity, disjoint (start, end) in samples, ascending.
        duration_samples: length of the recording.
        params: limits.
        spans: (char_start, char_end) of every token of the document; with it a written token of which only some words were
            accepted is given up whole even if the missing words lie at a run's end.
        rejected: stretches with times and reasons that the caller knows of (words of low score); they count as other speech,
            and give their reason to what they cover outside segments.
        sound: where it is loud between words, (start, end) in samples, ascending: no pause, and no clip reaches into it.
        clear: of each word of all runs, whether it is sure that the one before has ended; a cut before any other costs
            `CutCosts.unclear`. Empty: all are.

    Raises:
        ValueError: words out of order, or words or stretches outside the recording.
    """
    for stretch in rejected:
        if not 0 <= stretch.start_sample <= stretch.end_sample:
            raise ValueError(f"rejected stretch {stretch.start_sample}-{stretch.end_sample} is no range of samples")
    flat = _in_samples(_runs(words, spans), duration_samples)
    foreign = _foreign_speech(flat, speech, rejected, duration_samples, params)
    sides = _sides(flat, foreign, sound, duration_samples, params)
    sure = [*(clear or [True] * len(flat)), True]
    segments: list[SegmentDraft] = []
    pieces: list[Stretch] = []
    for first, last, why in _units(flat, sides, params):
        if why:
            said = " ".join(w.word.word for w in flat[first:last])
            pieces.append(Stretch(flat[first].start, flat[last - 1].end, Reason.LOW_ALIGNMENT_SCORE, f"{said!r}: {why}"))
            continue
        made, left = _cut(flat[first:last], sides[first:last], sure[first : last + 1], text, spans, params)
        segments += made
        pieces += left
    return segments, tile(segments, pieces, foreign, rejected, duration_samples)


def _runs(
    runs: Sequence[Sequence[AlignedWord]], spans: Sequence[tuple[int, int]] | None
) -> list[tuple[AlignedWord, int, bool]]:
    """Words with their run of consecutive tokens; a word whose written token is not there whole is a run of its own."""
    parted: list[list[AlignedWord]] = []
    for run in runs:
        for i, word in enumerate(run):
            if i == 0 or word.token != run[i - 1].token + 1:
                parted.append([])
            parted[-1].append(word)
    out: list[tuple[AlignedWord, int, bool]] = []
    number = 0
    for k, run in enumerate(parted):
        lo, hi = 0, len(run)
        before = parted[k - 1][-1] if k else None
        after = parted[k + 1][0] if k + 1 < len(parted) else None
        while lo < hi and _cut_token(run[lo], -1, before if lo == 0 else run[lo - 1], spans):
            lo += 1
        while hi > lo and _cut_token(run[hi - 1], 1, after if hi == len(run) else run[hi], spans):
            hi -= 1
        for i, word in enumerate(run):
            whole = lo <= i < hi
            out.append((word, number, whole))
            number += not whole or i + 1 == hi
        number += 1
    return out


def _cut_token(word: AlignedWord, step: int, beside: AlignedWord | None, spans: Sequence[tuple[int, int]] | None) -> bool:
    """Whether the token next to ``word`` (before: -1, after: 1), which is not in its run, shares its piece of the text."""
    other = word.token + step
    if spans is not None:
        return 0 <= other < len(spans) and _overlap(spans[other], (word.char_start, word.char_end))
    return beside is not None and _same_piece(beside, word)


def _same_piece(a: AlignedWord, b: AlignedWord) -> bool:
    """Whether two words near each other stand for one piece of the text."""
    return abs(a.token - b.token) < 9 and _overlap((a.char_start, a.char_end), (b.char_start, b.char_end))


def _overlap(a: tuple[int, int], b: tuple[int, int]) -> bool:
    return a[0] < b[1] and b[0] < a[1]


def _in_samples(words: list[tuple[AlignedWord, int, bool]], duration: int) -> list[_Word]:
    """All words with exact, disjoint sample ranges; overlaps of up to a frame (10 ms) go to the earlier word."""
    out: list[_Word] = []
    for word, run, whole in words:
        start, end = round(word.start_s * SAMPLE_RATE), round(word.end_s * SAMPLE_RATE)
        if out and start < out[-1].end:
            if out[-1].end - start > SAMPLE_RATE // 100:
                raise ValueError(
                    f"aligned words out of order: {word.word!r} starts at {word.start_s:.3f} s, before "
                    f"{out[-1].word.word!r} ends ({out[-1].end / SAMPLE_RATE:.3f} s); sort them and drop overlaps"
                )
            start = out[-1].end
        if not 0 <= start < end <= duration:
            raise ValueError(
                f"aligned word {word.word!r} at {word.start_s:.3f}-{word.end_s:.3f} s is empty or outside the recording "
                f"(0-{duration / SAMPLE_RATE:.3f} s)"
            )
        out.append(_Word(word, start, end, run, whole))
    return out


def _foreign_speech(
    flat: list[_Word], speech: Sequence[tuple[int, int]], rejected: Sequence[Stretch], duration: int, p: SegmentParams
) -> list[tuple[int, int]]:
    """Speech that no accepted word covers: disjoint ranges, ascending, each inside one gap between words."""
    inner, edge = round(p.inner_speech_s * SAMPLE_RATE), round(p.edge_speech_s * SAMPLE_RATE)
    sources = [(max(0, a), min(b, duration)) for a, b in speech] + [
        (max(0, s.start_sample), min(s.end_sample, duration)) for s in rejected
    ]
    known = {(s.start_sample, s.end_sample) for s in rejected}
    starts, ends = [w.start for w in flat], [w.end for w in flat]
    found: list[tuple[int, int]] = []
    for a, b in sources:
        at = a
        i = bisect_right(ends, a)
        while at < b:
            gap_end = starts[i] if i < len(flat) else duration
            stop = min(b, gap_end)
            if stop > at:
                same_run = 0 < i < len(flat) and flat[i].run == flat[i - 1].run
                touches = (i > 0 and at <= ends[i - 1]) or (i < len(flat) and stop >= gap_end)
                need = inner if same_run and touches else edge
                if (a, b) in known or stop - at >= need:
                    found.append((at, stop))
            if i >= len(flat):
                break
            at = max(at, ends[i])
            i += 1
    merged: list[tuple[int, int]] = []
    for a, b in sorted(found):
        if merged and a <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(b, merged[-1][1]))
        else:
            merged.append((a, b))
    return merged


def _sides(
    flat: list[_Word], foreign: list[tuple[int, int]], sound: Sequence[tuple[int, int]], duration: int, p: SegmentParams
) -> list[tuple[_Side, _Side]]:
    """The silence before and after each word."""
    pad = round(p.pad_s * SAMPLE_RATE)
    starts, ends = [a for a, _ in foreign], [b for _, b in foreign]
    loud_starts, loud_ends = [a for a, _ in sound], [b for _, b in sound]
    out: list[tuple[_Side, _Side]] = []
    for i, w in enumerate(flat):
        low = flat[i - 1].end if i else 0
        high = flat[i + 1].start if i + 1 < len(flat) else duration
        first, last = i == 0, i + 1 == len(flat)
        k, n = bisect_right(ends, w.start) - 1, bisect_left(loud_starts, w.start) - 1
        speech, loud = k >= 0 and ends[k] > low, n >= 0 and loud_ends[n] > low
        quiet = max(0, w.start - max(ends[k] if speech else low, loud_ends[n] if loud else low))
        beyond = "speech" if speech else "edge" if first and not loud else "word"
        apart = w.start - ends[k] if speech else quiet
        before = _side(quiet, quiet if speech or loud or first else (quiet + 1) // 2, beyond, apart, pad)
        k, n = bisect_left(starts, w.end), bisect_right(loud_ends, w.end)
        speech, loud = k < len(foreign) and starts[k] < high, n < len(sound) and loud_starts[n] < high
        quiet = max(0, min(starts[k] if speech else high, loud_starts[n] if loud else high) - w.end)
        beyond = "speech" if speech else "edge" if last and not loud else "word"
        apart = starts[k] - w.end if speech else quiet
        after = _side(quiet, quiet if speech or loud or last else quiet // 2, beyond, apart, pad)
        out.append((before, after))
    return out


def _side(quiet: int, room: int, beyond: str, apart: int, pad: int) -> _Side:
    return _Side(quiet, min(pad, room), room, beyond, apart)


def _widened(words: list[_Word], sides: list[tuple[_Side, _Side]], p: SegmentParams) -> list[tuple[_Side, _Side]]:
    """The sides, with more silence at both ends of words that are too few for a clip: "Yes." said by itself."""
    before, after = sides[0][0], sides[-1][1]
    most = round(p.short_pad_s * SAMPLE_RATE)
    lack = round(p.min_s * SAMPLE_RATE) - (words[-1].end + after.pad - words[0].start + before.pad)
    if lack <= 0:
        return sides
    spare = [max(0, min(s.room, most) - s.pad) for s in (before, after)]
    first = min(spare[0], max(lack // 2, lack - spare[1]))
    second = min(spare[1], lack - first)
    if first + second < lack:
        return sides
    out = list(sides)
    out[0] = (replace(before, pad=before.pad + first), out[0][1])
    out[-1] = (out[-1][0], replace(after, pad=after.pad + second))
    return out


def _units(flat: list[_Word], sides: list[tuple[_Side, _Side]], p: SegmentParams) -> list[tuple[int, int, str]]:
    """Word ranges that no break parts (rejected word, long pause, other speech), and why a range cannot be used, or ''."""
    bounds = [0]
    for i in range(1, len(flat)):
        foreign = sides[i][0].beyond == "speech" or sides[i - 1][1].beyond == "speech"
        if flat[i].run != flat[i - 1].run or foreign or flat[i].start - flat[i - 1].end > p.max_pause_s * SAMPLE_RATE:
            bounds.append(i)
    bounds.append(len(flat))
    out: list[tuple[int, int, str]] = []
    for a, b in zip(bounds[:-1], bounds[1:], strict=True):
        lo, hi = a, b
        while lo < hi and (not flat[lo].whole or (lo > 0 and _same_piece(flat[lo - 1].word, flat[lo].word))):
            lo += 1
        while hi > lo and hi < len(flat) and _same_piece(flat[hi - 1].word, flat[hi].word):
            hi -= 1
        out += [(i, j, "its written token is parted") for i, j in ((a, lo), (hi, b)) if i < j]
        if lo < hi:
            out.append((lo, hi, ""))
    return sorted(out)


def _cut(
    words: list[_Word], sides: list[tuple[_Side, _Side]], clear: Sequence[bool], text: str,
    spans: Sequence[tuple[int, int]] | None, p: SegmentParams,
) -> tuple[list[SegmentDraft], list[Stretch]]:
    """Segments of one unit, and its words that got into none; ``clear``: of its words, and of the one after."""
    sides = _widened(words, sides, p)
    heads = atoms([(w.word.char_start, w.word.char_end) for w in words])
    tails = [*(h - 1 for h in heads[1:]), len(words) - 1]
    glue, min_pause = round(p.glue_s * SAMPLE_RATE), round(p.min_pause_s * SAMPLE_RATE)
    unclear = ~np.array([clear[h] for h in [*heads, len(words)]])
    # a word of a parted token may touch the unit
    unclear[0] &= sides[0][0].beyond == "word"
    unclear[-1] &= sides[-1][1].beyond == "word"
    cost = p.costs.unclear * unclear
    for k in range(1, len(heads)):
        left, right = words[tails[k - 1]], words[heads[k]]
        kind = boundary_kind(text, left.word.word, left.word.char_end, right.word.char_start)
        pause = min(sides[tails[k - 1]][1].quiet, sides[heads[k]][0].quiet)
        cost[k] += cut_cost(pause, kind, min_pause, p.costs)
    unit = Unit(
        start=np.array([words[h].start for h in heads]),
        end=np.array([words[t].end for t in tails]),
        clip_start=np.array([words[h].start - sides[h][0].pad for h in heads]),
        clip_end=np.array([words[t].end + sides[t][1].pad for t in tails]),
        start_ok=np.array([sides[h][0].beyond != "speech" or sides[h][0].apart >= glue for h in heads]),
        end_ok=np.array([sides[t][1].beyond != "speech" or sides[t][1].apart >= glue for t in tails]),
        cost=cost,
        unclear=unclear,
    )
    ranges = best_cuts(unit, round(p.min_s * SAMPLE_RATE), round(p.max_s * SAMPLE_RATE), p.costs)
    made: list[SegmentDraft] = []
    left_out: list[Stretch] = []
    at = 0
    for i, j in [*ranges, (len(heads), len(heads))]:
        if at < i:
            left_out.append(given_up(unit, at, i, [w.word.word for w in words[heads[at] : tails[i - 1] + 1]], p))
        if i < j:
            made.append(_draft(words, sides, heads[i], tails[j - 1], text, spans, p))
        at = j
    return made, left_out


def _draft(
    words: list[_Word], sides: list[tuple[_Side, _Side]], i: int, j: int, text: str,
    spans: Sequence[tuple[int, int]] | None, p: SegmentParams,
) -> SegmentDraft:
    """The segment of words i to j (inclusive)."""
    before, after = sides[i][0], sides[j][1]
    inside = tuple(w.word for w in words[i : j + 1])
    previous, following = _neighbour_chars(words, i, j, len(text), spans)
    lo, hi = min(w.char_start for w in inside), max(w.char_end for w in inside)
    while lo > previous and text[lo - 1] in _OPENING and (lo < 2 or not text[lo - 2].isalnum()):
        lo -= 1
    while hi < following and text[hi] in _CLOSING:
        hi += 1
    min_pause = round(p.min_pause_s * SAMPLE_RATE)
    return SegmentDraft(
        start_sample=words[i].start - before.pad,
        end_sample=words[j].end + after.pad,
        speech_start_sample=words[i].start,
        speech_end_sample=words[j].end,
        char_start=lo,
        char_end=hi,
        text=" ".join(w.word for w in inside),
        text_raw=text[lo:hi],
        cut_at_pause=all(s.quiet >= min_pause or s.beyond == "edge" for s in (before, after)),
        pause_before_s=before.quiet / SAMPLE_RATE,
        pause_after_s=after.quiet / SAMPLE_RATE,
        words=inside,
    )


def _neighbour_chars(
    words: list[_Word], i: int, j: int, length: int, spans: Sequence[tuple[int, int]] | None
) -> tuple[int, int]:
    """End of the token before words i..j in the text, start of the token after."""
    first, last = words[i].word, words[j].word
    if spans is not None:
        previous = spans[first.token - 1][1] if first.token > 0 else 0
        following = spans[last.token + 1][0] if last.token + 1 < len(spans) else length
    else:
        previous = words[i - 1].word.char_end if i else 0
        following = words[j + 1].word.char_start if j + 1 < len(words) else length
    return previous, following
