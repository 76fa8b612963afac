"""The table says what the counts say."""

from __future__ import annotations

import pytest
from evaluate import Counts, Segment
from pipeline import policy
from report import Condition, Views, markdown, promises


def counts(kept: float, wrong: float, start_error: float) -> Counts:
    """Twenty clips of 5 s with ten words each."""
    return Counts(
        kept=[(5 * kept, 5.0)] * 20, aligned=[(5.0, 5.0)] * 20, kept_text=[(10.0, 10.0)] * 20, wrong=[(wrong * 10, 10.0)] * 20,
        survived=[(100 * kept, 100.0)],
        start_errors=[start_error, -start_error] * 10, durations=[5.0] * 20, pauses_at_cuts=[0.4, 0.02],
        added_kept=[(1.0, 10.0)] * 5,
    )  # fmt: skip


def test_a_promise_is_met_or_not_by_its_figure() -> None:
    found = {"clean": Condition(counts(0.97, 0.0, 0.03), 4, 0, 600.0), "room": Condition(counts(0.88, 0.02, 0.03), 4, 0, 600.0)}
    said = {p.name: p.met for p in promises(found)}
    assert said == {
        "clean: speech kept": True,
        "clean: kept words not said where claimed": True,
        "room (RT60 0.5 s): speech kept": False,
        "room (RT60 0.5 s): kept words not said where claimed": False,
        "clean: segment start, median error": False,
        "clean: segment start, 95th percentile": True,
        "degraded: segment start, median error": True,
        "degraded: segment start, 95th percentile": True,
    }


def test_added_words_are_promised_as_rejected_and_a_wrong_text_as_gone() -> None:
    found = {"added": Condition(counts(0.97, 0.0, 0.01)), "wrong": Condition(counts(0.004, 0.0, 0.01))}
    said = {p.name: p for p in promises(found)}
    assert said["paragraphs added: their words rejected"].figure.value == pytest.approx(0.9)
    assert not said["paragraphs added: their words rejected"].met
    assert said["text of other recordings: seconds that survive"].met


def test_the_report_holds_every_condition_and_the_machine() -> None:
    clean = Condition(counts(0.97, 0.0, 0.03), 4, 1, 600.0)
    text = markdown(Views({"clean": clean}, {"clean": clean}), None, "measure", "moonshine", {"align": 3.0})
    assert "| clean readings, right text | 4 (1 turned away) | 10.0 | 97.0" in text
    assert "| clean: segment start, median error | ≤ 25 ms | 30 (30–30), n=20 | **no** |" in text
    assert "in a pause under 50 ms: 50.0 (" in text and " cores, " in text


def test_the_policy_of_the_release_decides_what_is_kept() -> None:
    keep = policy()
    columns: dict[str, object] = {
        "duration_s": 5.0, "alignment_score": 0.0, "alignment_score_min": 0.0, "anchored_ratio": 1.0, "language_score": 100.0,
        "speech_ratio": 1.0, "snr_db": None, "synthetic_voice_score": None, "cer": 0.1,
    }  # fmt: skip

    def segment(**changes: object) -> Segment:
        return Segment("s", 0, 5, 0, 5, [], columns | changes)

    assert keep(segment()) and keep(segment(cer=0.3))
    assert not keep(segment(cer=0.5)) and not keep(segment(cer=None)) and not keep(segment(duration_s=0.4))
