"""A few minutes of the known answers, through the real stages, at every `make test`. All of them: `make known-answers`.

The bounds are wider than the promises (n is small here): they catch what broke, not what got a little worse.
"""

from __future__ import annotations

import pytest
from corpus import Document, make, write
from evaluate import Counts, evaluate
from intervals import quantile, share
from pipeline import Run, everything, harvest
from sources import Clip, english_clips, side

CLIPS = 9
"""Of each document: about 45 s."""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Document], Run]:
    """Four documents of readers that tune (the measured ones stay unseen by whoever mends a test), through all stages."""
    work = tmp_path_factory.mktemp("known-answers")
    pool = [c for c in english_clips() if side(c.reader) == "tune" and c.corpus == "common_voice_18_delta"]
    chapter = [c for c in english_clips() if c.reader == "librispeech-118"][:4]
    groups: dict[str, list[Clip]] = {
        "clean": chapter, "telephone": pool[:CLIPS], "added": pool[CLIPS : 2 * CLIPS], "wrong": pool[2 * CLIPS : 3 * CLIPS],
    }  # fmt: skip
    made = write(work / "source", [make(f"small-{c}", c, "tune", g, pool) for c, g in groups.items()])
    assert sum(d.duration_s for d in made) < 240
    return {d.condition: d for d in made}, harvest(work / "source", work)


def counts(answers: tuple[dict[str, Document], Run], condition: str) -> Counts:
    """One document compared."""
    documents, run = answers
    doc = documents[condition]
    return evaluate(doc, run.documents.get(doc.id, ""), run.segments.get(doc.id, []), everything)


def test_most_of_a_clean_reading_is_kept_where_it_was_said(answers: tuple[dict[str, Document], Run]) -> None:
    c = counts(answers, "clean")
    assert share(c.kept).value > 0.9
    assert share(c.wrong).value < 0.01, c.wrong_words


def test_most_of_a_telephone_call_is_kept_where_it_was_said(answers: tuple[dict[str, Document], Run]) -> None:
    c = counts(answers, "telephone")
    # Measured 0.7 (0.5-0.9, n=9); of ten minutes of readers that measure 0.93: bench/results/known-answers.md.
    assert share(c.kept).value > 0.5
    assert share(c.wrong).value < 0.02, c.wrong_words


def test_added_paragraphs_are_left_out_and_the_rest_is_kept(answers: tuple[dict[str, Document], Run]) -> None:
    c = counts(answers, "added")
    assert share(c.added_kept).value < 0.05, c.wrong_words
    assert share(c.kept).value > 0.8


def test_next_to_nothing_of_a_wrong_transcript_survives(answers: tuple[dict[str, Document], Run]) -> None:
    assert share(counts(answers, "wrong").survived).value < 0.02


def test_first_words_start_where_speech_starts(answers: tuple[dict[str, Document], Run]) -> None:
    errors = [e for name in ("clean", "telephone", "added") for e in counts(answers, name).first_word_errors]
    assert len(errors) >= 3
    assert quantile([abs(e) for e in errors], 0.5).value < 0.05


def test_segments_lie_in_the_recording_in_order_and_no_cut_is_inside_a_word(answers: tuple[dict[str, Document], Run]) -> None:
    documents, run = answers
    for doc in documents.values():
        found = run.segments.get(doc.id, [])
        for s in found:
            assert 0 <= s.start_s <= s.speech_start_s < s.speech_end_s <= s.end_s <= doc.duration_s + 0.001
            assert 0.9 <= s.end_s - s.start_s <= 16.0
            assert all(w.end_s <= v.start_s + 1e-6 for w, v in zip(s.words, s.words[1:], strict=False))
        assert all(a.speech_end_s <= b.speech_start_s for a, b in zip(found, found[1:], strict=False))
