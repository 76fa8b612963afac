"""Suite ``segments``: passes on good tables, and each of its expectations sees a violation."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quality_tables import Spoil, as_tables, check_spoiled, frame_of, judge, put, put_all, segments_rows, twice

from quality.suites.segments import SUITE, build_segments
from quality.thresholds import SegmentsThresholds

SPOILS: dict[str, Spoil] = {
    "segments_complete": put("segments", alignment_score=float("-inf")),
    "segment_id_unique": twice("segments", cer=0.07),
    "segment_id_sha256": put("segments", segment_id="s0"),
    "segment_duration": put("segments", end_sample=16_000 * 16, duration_s=16.0),
    "segment_samples": put("segments", duration_s=5.1),
    "segment_start": put("segments", start_sample=-16_000, duration_s=6.0),
    "segment_text": put("segments", text=" "),
    "segment_text_raw": put("segments", text_raw=""),
    "segment_piece": put("segments", 1, char_end=40),
    "speech_inside": put("segments", 1, speech_start_s=5.5),
    "speech_length": put("segments", 1, speech_start_s=7.0, speech_end_s=7.0),
    "speech_once": put("segments", 1, speech_start_s=4.0),
    "pauses": put("segments", pause_after_s=-0.1),
    "cer_not_negative": put("segments", cer=-0.1),
    "wer_not_negative": put("segments", wer=-0.1),
    "anchored_ratio": put("segments", anchored_ratio=1.5),
    "speech_ratio": put("segments", speech_ratio=-0.5),
    "synthetic_voice_score": put("segments", synthetic_voice_score=2.0),
    "edge_silence": put("segments", edge_silence_s=-1.0),
    "words_present": lambda rows: rows.update(words=rows["words"][2:]),
    "words_inside": put("words", 1, end_s=5.5),
    "words_length": put("words", 1, end_s=2.0),
    "scored": put_all("segments", cer=None),
    "alignment_score": put("segments", alignment_score=9.0),
    "snr": put("segments", snr_db=300.0),
    "loudness": put("segments", loudness_lufs=6.0),
    "not_cut_by_length": lambda rows: [
        s.update(end_sample=s["start_sample"] + 15 * 16_000, duration_s=15.0) for s in rows["segments"]
    ].clear(),
    "cut_at_pause": put_all("segments", cut_at_pause=False),
    "segment_pace": put_all("segments", text="hm"),
    "cer_median": put_all("segments", cer=0.5),
    "kept_share": put("rejections", 1, end_s=4000.0),
    "lost_length": put("rejections", 1, end_s=39.0),
    "faults": put("rejections", 1, reason="recognizer_failed"),
}


def test_good_tables_pass_without_a_word() -> None:
    verdict = judge("segments", segments_rows())
    assert verdict.passed
    assert (verdict.failures, verdict.warnings, verdict.infos, verdict.notes) == ([], [], [], [])
    assert verdict.checks == len(SPOILS)


def test_every_expectation_is_spoiled_here() -> None:
    assert sorted(frame_of("segments")) == sorted(SPOILS)


@pytest.mark.parametrize("name", SPOILS)
def test_spoiled(name: str) -> None:
    check_spoiled("segments", name, SPOILS[name])


def test_an_empty_month_passes_and_says_so() -> None:
    verdict = judge("segments", {})
    assert verdict.passed and not verdict.warnings and len(verdict.notes) == len(SUITE.frames)


@pytest.mark.parametrize(("name", "table"), [("words_length", "words"), ("lost_length", "rejections")])
@pytest.mark.parametrize("column", ["start_s", "end_s"])
def test_a_time_that_is_no_number_is_seen(name: str, table: str, column: str) -> None:
    """A NaN passes each bound: a share that is made with one would silently not be looked at."""
    check_spoiled("segments", name, put(table, 1, **{column: float("nan")}))


def test_silence_is_not_speech_that_was_lost() -> None:
    rows = segments_rows()
    put("rejections", end_s=40_000.0)(rows)
    assert judge("segments", rows).warnings == []


def test_two_documents_may_claim_the_same_second() -> None:
    rows = segments_rows(4)
    for s in rows["segments"][2:]:
        s["document_id"] = "f" * 64
        s["speech_start_s"] -= 12.0
        s["speech_end_s"] -= 12.0
        s["start_sample"] -= 12 * 16_000
        s["end_sample"] -= 12 * 16_000
    rows["words"] = [
        {**w, "start_s": s["speech_start_s"], "end_s": s["speech_end_s"]}
        for s in rows["segments"]
        for w in [rows["words"][0]]
        for w in [{**w, "segment_id": s["segment_id"]}]
    ]
    assert judge("segments", rows).failures == []


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 10)), min_size=1, max_size=12))
def test_overlap_is_that_of_every_pair(spans: list[tuple[int, int]]) -> None:
    """A segment overlaps some earlier one exactly if any pair of the document's segments overlaps (brute force)."""
    rows = segments_rows(1)
    first = rows["segments"][0]
    rows["segments"] = [
        {**first, "segment_id": f"{i:064x}", "speech_start_s": float(a), "speech_end_s": float(a + n)}
        for i, (a, n) in enumerate(spans)
    ]
    built = build_segments(as_tables("segments", rows), SegmentsThresholds())
    pairs = [(a, a + n) for a, n in spans]
    brute = any(min(e, f) > max(a, b) for i, (a, e) in enumerate(pairs) for b, f in pairs[:i])
    assert bool((built["overlap_s"] > 0).any()) == brute
