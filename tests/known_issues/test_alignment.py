"""Defects of The People's Speech's aligner, on the fixture of its own repository (mlcommons/peoples-speech, galvasr2/align)."""

from __future__ import annotations

import re

import numpy as np
import pytest
from bos2015 import DURATION, Heard, as_aligned, hypothesis, transcript

from align.metrics import duration_spread
from align.search import Island, search
from align.segment import AlignedWord, SegmentDraft, segment
from stagekit.tables import SAMPLE_RATE


@pytest.fixture(scope="module")
def heard() -> list[Heard]:
    return hypothesis()


@pytest.fixture(scope="module")
def cut(heard: list[Heard]) -> list[SegmentDraft]:
    text, words = as_aligned(heard)
    return segment([words], text, [], DURATION)[0]


@pytest.fixture(scope="module")
def islands(heard: list[Heard]) -> list[Island]:
    text, spans = transcript()
    return search([w.word for w in heard], [text[a:b] for a, b in spans])


def greedy_cuts(words: list[Heard]) -> list[tuple[float, float]]:
    """The original (dsalign_lib.py, 2021): cut when a fragment passes 15 s or a silence 3 s; (duration, pause) of each cut."""
    out: list[tuple[float, float]] = []
    start = words[0].start
    for last, word in zip(words[:-1], words[1:], strict=True):
        if word.end - start > 15 or word.start - last.end > 3:
            out.append((last.end - start, word.start - last.end))
            start = word.start
    return out


def test_issue_4_clips_do_not_pile_up_at_15_seconds_nor_cut_where_nobody_pauses(
    heard: list[Heard], cut: list[SegmentDraft]
) -> None:
    """Greedy 15-s cuts: 57 % of them in a pause under 50 ms, and half of the clips over 14 s."""
    theirs = greedy_cuts(heard)
    assert np.mean([pause < 0.05 for _, pause in theirs]) > 0.5  # the defect is there to be avoided
    assert np.mean([length > 14 for length, _ in theirs]) > 0.8
    pauses = [s.pause_after_s for s in cut[:-1]]
    assert np.mean([p < 0.05 for p in pauses]) < 0.02
    assert np.mean([p >= 0.1 for p in pauses]) > 0.97
    spread = duration_spread([(s.end_sample - s.start_sample) / SAMPLE_RATE for s in cut])
    assert spread is not None and spread.at_limit < 0.05
    assert spread.p50 < 11 and spread.p95 - spread.p5 > 5


def test_issue_4_clips_are_padded_and_never_cut_a_word(heard: list[Heard], cut: list[SegmentDraft]) -> None:
    """The original cut at word ends as the recogniser gave them, without padding."""
    ends = sorted((round(w.start * SAMPLE_RATE), round(w.end * SAMPLE_RATE)) for w in heard)
    starts = np.array([a for a, _ in ends])
    for s in cut:
        assert s.end_sample - s.start_sample <= 15 * SAMPLE_RATE
        for edge in (s.start_sample, s.end_sample):
            at = int(np.searchsorted(starts, edge, side="left")) - 1
            assert at < 0 or ends[at][1] <= edge + 1  # no word spans a clip's edge
    assert np.mean([s.speech_start_sample - s.start_sample >= 0.05 * SAMPLE_RATE for s in cut]) > 0.97


def test_issue_5_text_between_matches_is_not_lost(heard: list[Heard], islands: list[Island]) -> None:
    """The gap step was off: 207 of 563 gaps between fragments held text that was assigned to nothing (94.8 % covered)."""
    _, spans = transcript()
    covered = sum(i.ref_end - i.ref_start for i in islands) / len(spans)
    assert covered > 0.97
    gaps = [b.ref_start - a.ref_end for a, b in zip(islands[:-1], islands[1:], strict=True)]
    assert len(gaps) < 100 and np.median(gaps) < 10
    assert all(g >= 0 for g in gaps)  # one meeting, in order, each word once
    # "i pledge of allegiance to the y. of the united states" was given the label "legend of the united states": what the text
    # lacks lies outside every island, so that nothing is claimed about it
    pledge = next(k for k in range(len(heard)) if [w.word for w in heard[k : k + 3]] == ["pledge", "of", "allegiance"])
    assert not any(i.hyp_start <= pledge < i.hyp_end for i in islands)


def test_no_label_ends_inside_a_word(heard: list[Heard], islands: list[Island]) -> None:
    """search.py:73-81 of the original's HEAD threw away the snap to the word's end: 53 of 566 labels ended mid-word."""
    text, spans = transcript()

    def aligned(h: int, r: int) -> AlignedWord:
        start, end = spans[r]
        return AlignedWord(r, text[start:end], start, end, heard[h].start, max(heard[h].end, heard[h].start + 0.01), 0, True)

    runs = [[aligned(int(h), int(r)) for h, r in island.pairs] for island in islands]
    segments, _ = segment(runs, text, [], DURATION, spans=spans)
    assert len(segments) > 300
    for s in segments:
        assert s.char_start == 0 or not (text[s.char_start - 1].isalnum() and text[s.char_start].isalnum())
        assert s.char_end == len(text) or not (text[s.char_end - 1].isalnum() and text[s.char_end].isalnum())
        assert s.text.split() == re.findall(r"[a-z']+", s.text_raw)
