"""Suite ``segments``: what alignment made of a batch — aligned, scored segments and their words."""

from __future__ import annotations

import great_expectations as gx
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from great_expectations import expectations as gxe

from quality.suites.base import (
    SHA256,
    Frame,
    Suite,
    Tables,
    always_true,
    complete,
    distinct,
    expect,
    frame,
    length,
    matches,
    unique,
    within,
)
from quality.thresholds import SegmentsThresholds
from stagekit.tables import SAMPLE_RATE, Reason

FAULTS = (Reason.RECOGNIZER_FAILED, Reason.CRASHED)
"""Rejections that say that the pipeline, not the material, went wrong."""

EDGE_S = 0.011
"""Seconds a word may pass its clip or its neighbour: one frame of 10 ms, the grid of the aligner, and its rounding."""


LONG_S = 14.0


def segments_suite(t: SegmentsThresholds) -> gx.ExpectationSuite:
    """Segments: identity, place, text, scores."""
    share = 1.0 - t.max_long_share
    low, high = t.min_chars_per_s, t.max_chars_per_s
    return gx.ExpectationSuite(
        name="segments",
        expectations=[
            complete("segments"),
            unique("segment_id_unique", "segment_id", "of one segment one thing is said"),
            matches("segment_id_sha256", "segment_id", "the id is a sha256", SHA256),
            within("segment_duration", "duration_s", "1–15 s", t.min_duration_s, t.max_duration_s),
            within("segment_samples", "samples_off", f"the duration is samples / {SAMPLE_RATE}", -1, 1),
            within("segment_start", "start_sample", "a clip starts inside its recording", 0, None),
            within("segment_text", "text_chars", "a segment has words", 1, None),
            within("segment_text_raw", "text_raw_chars", "and the text as written", 1, None),
            within("segment_piece", "piece_chars", "its piece of the document is not empty", 1, None),
            within("speech_inside", "speech_margin_s", "the words lie inside the clip", -EDGE_S, None),
            within("speech_length", "speech_s", "the first word starts before the last one ends", 0.01, None),
            within(
                "speech_once", "overlap_s", "no second of a recording is claimed by two segments of one document", None, EDGE_S
            ),
            within("pauses", "pause_min_s", "silence has a length", 0, None),
            within("cer_not_negative", "cer", "an error rate", 0, None),
            within("wer_not_negative", "wer", "an error rate", 0, None),
            within("anchored_ratio", "anchored_ratio", "a share", 0, 1),
            within("speech_ratio", "speech_ratio", "a share", 0, 1),
            within("synthetic_voice_score", "synthetic_voice_score", "a score of 0–1", 0, 1),
            within("edge_silence", "edge_silence_s", "silence has a length", 0, None),
            within("words_present", "words", "each segment has the words it was made of", 1, None),
            within("words_inside", "words_margin_s", "and they lie inside the clip", -EDGE_S, None),
            within("words_length", "words_unfit", "and none ends before it starts, or lacks a time", None, 0),
            expect(
                gxe.ExpectColumnValuesToNotBeNull,
                "scored",
                "a segment without CER cannot be put in a subset",
                "warning",
                column="cer",
                mostly=t.mostly,
            ),
            within("alignment_score", "alignment_score", "of a sane scale", None, t.max_alignment_score, "warning"),
            within("snr", "snr_db", "outside −20…100 dB the measure has failed", -20, 100, "warning"),
            within("loudness", "loudness_lufs", "outside −70…0 LUFS the measure has failed", -70, 0, "warning"),
            within(
                "not_cut_by_length",
                "duration_s",
                "segments that pile up at the limit were cut by length",
                None,
                LONG_S,
                "warning",
                share,
            ),
            always_true("cut_at_pause", "cut_at_pause", "a cut in speech loses sounds", "warning", t.min_pause_share),
            within(
                "segment_pace",
                "chars_per_s",
                "too many or too few characters for the speech: the text is not what is said",
                low,
                high,
                "warning",
                t.mostly,
            ),
            expect(
                gxe.ExpectColumnMedianToBeBetween,
                "cer_median",
                "half of the segments are not clean",
                "warning",
                column="cer",
                max_value=t.max_median_cer,
            ),
        ],
    )


def batch_suite(t: SegmentsThresholds) -> gx.ExpectationSuite:
    """The batch as a whole."""
    return gx.ExpectationSuite(
        name="alignment",
        expectations=[
            within(
                "kept_share", "kept_share", "most of the speech was lost: look at the reasons", t.min_kept_share, None, "warning"
            ),
            within("lost_length", "lost_unfit", "no stretch that was lost ends before it starts, or lacks a time", None, 0),
            within("faults", "fault_share", "what crashed may be worth another run", None, t.max_fault_share, "warning"),
        ],
    )


def segment_columns(rows: pa.Table) -> dict[str, pa.ChunkedArray]:
    """Derived columns that segments and clips share: ``samples_off``, ``text_chars``, ``speech_s``, ``speech_margin_s``."""
    start_s = pc.divide(pc.cast(rows["start_sample"], pa.float64()), float(SAMPLE_RATE))
    end_s = pc.divide(pc.cast(rows["end_sample"], pa.float64()), float(SAMPLE_RATE))
    samples = pc.multiply(pc.subtract(end_s, start_s), float(SAMPLE_RATE))
    return {
        "samples_off": pc.subtract(pc.multiply(rows["duration_s"], float(SAMPLE_RATE)), samples),
        "text_chars": length(rows["text"]),
        "speech_s": pc.subtract(rows["speech_end_s"], rows["speech_start_s"]),
        "speech_margin_s": pc.min_element_wise(
            pc.subtract(rows["speech_start_s"], start_s), pc.subtract(end_s, rows["speech_end_s"])
        ),
    }


def build_segments(tables: Tables, _t: SegmentsThresholds) -> pd.DataFrame:
    """Segments without their texts, with derived columns: lengths, margins, overlap with the segment before, words."""
    rows = tables["segments"]
    derived = segment_columns(rows)
    segments = frame(
        rows,
        "segments",
        drop=("text", "text_raw", "pause_before_s", "pause_after_s", "char_start", "char_end"),
        **derived,
        text_raw_chars=length(rows["text_raw"]),
        piece_chars=pc.subtract(rows["char_end"], rows["char_start"]),
        pause_min_s=pc.min_element_wise(rows["pause_before_s"], rows["pause_after_s"]),
        chars_per_s=pc.divide(pc.cast(derived["text_chars"], pa.float64()), derived["speech_s"]),
    )
    segments = distinct(segments, "segment_id")
    table = tables["words"].append_column("unfit", pc.cast(_unfit(tables["words"]), pa.int64()))
    columns = [("start_s", "min"), ("end_s", "max"), ("start_s", "count"), ("unfit", "sum")]
    words = table.group_by("segment_id").aggregate(columns).to_pandas()
    words = words.set_index("segment_id").reindex(segments["segment_id"]).reset_index(drop=True)
    segments["words"] = words["start_s_count"].fillna(0).astype("int64")
    segments["words_unfit"] = words["unfit_sum"]
    before = words["start_s_min"] - segments["start_sample"] / SAMPLE_RATE
    after = segments["end_sample"] / SAMPLE_RATE - words["end_s_max"]
    segments["words_margin_s"] = np.minimum(before, after)
    in_time = segments.sort_values(["document_id", "speech_start_s"], kind="stable")
    previous = in_time.groupby("document_id")["speech_end_s"].transform(lambda ends: ends.cummax().shift())
    segments["overlap_s"] = previous - in_time["speech_start_s"]
    return segments


def _unfit(rows: pa.Table) -> pa.ChunkedArray:
    """Whether a row's ``start_s`` and ``end_s`` are no stretch: one is missing or NaN, or it ends before it starts."""
    return pc.invert(pc.fill_null(pc.greater_equal(rows["end_s"], rows["start_s"]), False))


def build_batch(tables: Tables, _t: SegmentsThresholds) -> pd.DataFrame:
    """One row: seconds of speech kept and rejected, rejections that are no stretch, and the share of faults among them."""
    segments, rejections = tables["segments"], tables["rejections"]
    quiet = pc.is_in(rejections["reason"], value_set=pa.array([str(Reason.SILENCE), str(Reason.NO_SPEECH)]))
    lost = rejections.filter(pc.invert(quiet))
    lost_s = pc.sum(pc.subtract(lost["end_s"], lost["start_s"])).as_py() or 0.0
    kept_s = pc.sum(pc.subtract(segments["speech_end_s"], segments["speech_start_s"])).as_py() or 0.0
    faults = pc.sum(pc.is_in(rejections["reason"], value_set=pa.array([str(r) for r in FAULTS]))).as_py() or 0
    units = segments.num_rows + rejections.num_rows
    names = ["batch", "kept_s", "rejected_s", "kept_share", "lost_unfit", "fault_share"]
    if not units:
        return pd.DataFrame(columns=names)
    share = kept_s / (kept_s + lost_s) if kept_s + lost_s else None
    unfit = pc.sum(_unfit(rejections)).as_py() or 0
    return pd.DataFrame([["batch", kept_s, lost_s, share, unfit, faults / units]], columns=names)


SUITE: Suite[SegmentsThresholds] = Suite(
    name="segments",
    thresholds=SegmentsThresholds,
    reads={
        "segments": (
            "segment_id",
            "document_id",
            "start_sample",
            "end_sample",
            "speech_start_s",
            "speech_end_s",
            "duration_s",
            "char_start",
            "char_end",
            "text",
            "text_raw",
            "cut_at_pause",
            "pause_before_s",
            "pause_after_s",
            "alignment_score",
            "anchored_ratio",
            "cer",
            "wer",
            "edge_silence_s",
            "speech_ratio",
            "snr_db",
            "loudness_lufs",
            "synthetic_voice_score",
        ),
        "words": ("segment_id", "start_s", "end_s"),
        "rejections": ("reason", "start_s", "end_s"),
    },
    frames=(
        Frame("segments", ("segment_id",), "one utterance of at most 15 s", build_segments, segments_suite),
        Frame("alignment", ("batch",), "the batch as a whole", build_batch, batch_suite),
    ),
)
