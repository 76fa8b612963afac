"""Compares what the stages said of a document with its truth. Nothing here knows how the stages work.

Definitions, all in `Counts` of one document:

* *Speech* is the active stretches of a clip (`truth.measure`), pauses of 0.3 s and more left out. It is *aligned* where a
  segment's `[speech_start_s, speech_end_s]` covers it, *kept* where that segment passes the release policy.
* A kept word is *wrong* if its middle lies outside the clip that it was read in, or if nobody says its piece of text. It is
  *misplaced* if it lies inside the clip, yet over 2 s from where its place in the sentence would put it (clips up to 8 s).
* A word of the text counts as kept if any token of its piece stands in a kept segment.
* *Untold* speech lies inside a kept segment that has no word of the clip it belongs to: said, but not in the segment's text.
* A segment's start is compared with a clip's measured onset if its first word is the clip's first word and the onset is sharp;
  ends likewise. Error = said minus truth.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from corpus import Document, Placed

MISPLACED_S = 2.0
MISPLACED_CLIP_S = 8.0
WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class Word:
    """An aligned word. Characters are offsets in the product's `documents.text`."""

    word: str
    start_s: float
    end_s: float
    char_start: int
    char_end: int


@dataclass(frozen=True)
class Segment:
    """A segment as the last stage wrote it, with its words in order and its columns."""

    id: str
    start_s: float
    end_s: float
    speech_start_s: float
    speech_end_s: float
    words: list[Word]
    columns: dict[str, object] = field(default_factory=dict)


Keep = Callable[[Segment], bool]


@dataclass
class Counts:
    """What one document adds to the figures. Pairs are (part, whole) of one unit."""

    kept: list[tuple[float, float]] = field(default_factory=list)
    """Seconds of speech kept, of each clip that is in the text."""
    aligned: list[tuple[float, float]] = field(default_factory=list)
    kept_text: list[tuple[float, float]] = field(default_factory=list)
    """Words of the text kept, of each clip."""
    wrong: list[tuple[float, float]] = field(default_factory=list)
    """Wrong words, of each kept segment."""
    misplaced: list[tuple[float, float]] = field(default_factory=list)
    added_kept: list[tuple[float, float]] = field(default_factory=list)
    """Added words kept, of each added piece."""
    survived: list[tuple[float, float]] = field(default_factory=list)
    """Seconds in kept segments against seconds of speech, of the document."""
    untold: list[tuple[float, float]] = field(default_factory=list)
    start_errors: list[float] = field(default_factory=list)
    end_errors: list[float] = field(default_factory=list)
    first_word_errors: list[float] = field(default_factory=list)
    """Starts of clips' first words against sharp onsets, wherever they stand in a segment."""
    durations: list[float] = field(default_factory=list)
    pauses_at_cuts: list[float] = field(default_factory=list)
    """Seconds of quiet at each cut (cuts.pauses); filled for clean documents only."""
    wrong_words: list[str] = field(default_factory=list)
    """For people: `segment word said where`."""

    def add(self, other: Counts) -> None:
        """Pool another document's."""
        for name in self.__dataclass_fields__:
            getattr(self, name).extend(getattr(other, name))


def char_map(product: str, truth: str) -> list[int]:
    """For each character of the product's text the offset in the truth's text (its last known one for blanks).

    White space may differ freely. Other characters may be replaced; where the counts differ, difflib finds the pairs.
    """
    a = [i for i, c in enumerate(product) if not c.isspace()]
    b = [i for i, c in enumerate(truth) if not c.isspace()]
    pairs: dict[int, int] = {}
    if len(a) == len(b):
        pairs = dict(zip(a, b, strict=True))
    else:
        match = difflib.SequenceMatcher(None, [product[i] for i in a], [truth[i] for i in b], autojunk=False)
        for block in match.get_matching_blocks():
            for k in range(block.size):
                pairs[a[block.a + k]] = b[block.b + k]
    out, last = [], 0
    for i in range(len(product)):
        last = pairs.get(i, last)
        out.append(last)
    return out


def overlap(spans: Iterable[tuple[float, float]], a: float, b: float) -> float:
    """Seconds of [a, b] that the spans cover (they do not overlap each other)."""
    return sum(max(0.0, min(b, y) - max(a, x)) for x, y in spans)


def union(spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Merge overlapping spans."""
    out: list[tuple[float, float]] = []
    for a, b in sorted(spans):
        if out and a <= out[-1][1]:
            out[-1] = (out[-1][0], max(b, out[-1][1]))
        else:
            out.append((a, b))
    return out


def evaluate(doc: Document, product_text: str, segments: list[Segment], keep: Keep) -> Counts:
    """Compare one document's segments with its truth."""
    counts = Counts()
    to_truth = char_map(product_text, doc.text)
    clip_at: list[Placed | None] = [None] * (len(doc.text) + 1)
    for clip in doc.clips:
        if clip.char_start is not None and clip.char_end is not None:
            clip_at[clip.char_start : clip.char_end] = [clip] * (clip.char_end - clip.char_start)
    for a, b in doc.added:
        clip_at[a:b] = [None] * (b - a)
    kept = [s for s in segments if keep(s)]
    said = np.zeros(len(doc.text) + 1, bool)
    for segment in kept:
        _words(segment, clip_at, to_truth, said, counts)
        _untold(segment, doc, clip_at, to_truth, counts)
        counts.durations.append(segment.end_s - segment.start_s)
    _edges(kept, clip_at, to_truth, counts)
    kept_spans = union((s.speech_start_s, s.speech_end_s) for s in kept)
    all_spans = union((s.speech_start_s, s.speech_end_s) for s in segments)
    for clip in doc.clips:
        speech = sum(b - a for a, b in clip.active)
        if clip.char_start is not None:
            counts.kept.append((sum(overlap(kept_spans, a, b) for a, b in clip.active), speech))
            counts.aligned.append((sum(overlap(all_spans, a, b) for a, b in clip.active), speech))
            counts.kept_text.append(_kept_words(doc.text, said, clip.char_start, clip.char_end or 0))
    counts.added_kept += [_kept_words(doc.text, said, a, b) for a, b in doc.added]
    speech = sum(b - a for c in doc.clips for a, b in c.active)
    counts.survived.append((min(speech, sum(b - a for a, b in kept_spans)), speech))
    return counts


def _kept_words(text: str, said: np.ndarray, start: int, end: int) -> tuple[float, float]:
    words = list(WORD.finditer(text, start, end))
    return float(sum(bool(said[w.start() : w.end()].any()) for w in words)), float(len(words))


def _words(segment: Segment, clip_at: list[Placed | None], to_truth: list[int], said: np.ndarray, counts: Counts) -> None:
    wrong = misplaced = checked = 0
    for word in segment.words:
        at = to_truth[word.char_start]
        said[at : to_truth[max(word.char_start, word.char_end - 1)] + 1] = True
        clip = clip_at[at]
        middle = (word.start_s + word.end_s) / 2
        if clip is None or not clip.start_s <= middle <= clip.end_s:
            wrong += 1
            where = "nobody says it" if clip is None else f"said in {clip.id} at {clip.start_s:.2f}–{clip.end_s:.2f} s"
            counts.wrong_words.append(f"{segment.id[:8]} {word.word!r} at {middle:.2f} s: {where}")
        elif clip.end_s - clip.start_s <= MISPLACED_CLIP_S and clip.char_start is not None and clip.char_end is not None:
            checked += 1
            part = (at - clip.char_start) / max(1, clip.char_end - clip.char_start)
            expected = clip.onset_s + part * (clip.offset_s - clip.onset_s)
            misplaced += abs(word.start_s - expected) > MISPLACED_S
    counts.wrong.append((float(wrong), float(len(segment.words))))
    counts.misplaced.append((float(misplaced), float(checked)))


def _untold(segment: Segment, doc: Document, clip_at: list[Placed | None], to_truth: list[int], counts: Counts) -> None:
    told = {c.id for w in segment.words if (c := clip_at[to_truth[w.char_start]]) is not None}
    inside = sum(overlap([(segment.start_s, segment.end_s)], a, b) for c in doc.clips if c.id not in told for a, b in c.active)
    counts.untold.append((inside, segment.end_s - segment.start_s))


def _edges(kept: list[Segment], clip_at: list[Placed | None], to_truth: list[int], counts: Counts) -> None:
    """Errors where a segment's edge, or a word, is a clip's edge."""
    for segment in kept:
        places = [to_truth[w.char_start] for w in segment.words]
        for i, word in enumerate(segment.words):
            clip = clip_at[places[i]]
            if clip is None or clip.char_start is None or not clip.start_s - 0.5 <= word.start_s <= clip.end_s + 0.5:
                continue
            # Several tokens may stand for one piece ("$5.50"): the first is the one that follows another clip's.
            begins = i == 0 or clip_at[places[i - 1]] is not clip
            if clip.sharp_onset and begins and not re.search(r"\w", clip.text[: places[i] - clip.char_start]):
                counts.first_word_errors.append(word.start_s - clip.onset_s)
                if i == 0:
                    counts.start_errors.append(segment.speech_start_s - clip.onset_s)
            if clip.sharp_offset and i == len(segment.words) - 1:
                last = to_truth[max(word.char_start, word.char_end - 1)]
                if not re.search(r"\w", clip.text[last + 1 - clip.char_start :]):
                    counts.end_errors.append(segment.speech_end_s - clip.offset_s)
