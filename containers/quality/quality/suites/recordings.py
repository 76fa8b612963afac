"""Suite ``recordings``: what a harvest fetched — items with their licenses, recordings, documents."""

from __future__ import annotations

import great_expectations as gx
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from great_expectations import expectations as gxe

from quality.suites.base import (
    DATE,
    SHA256,
    Frame,
    Suite,
    Tables,
    always_true,
    complete,
    distinct,
    expect,
    found_in,
    frame,
    length,
    matches,
    one_of,
    unique,
    within,
)
from quality.thresholds import RecordingsThresholds
from stagekit.tables import SAMPLE_RATE, Reason

FAULTS = (Reason.DOWNLOAD_FAILED, Reason.CHECKSUM_MISMATCH, Reason.ITEM_UNREADABLE, Reason.CRASHED)
"""Rejections that say that the harvest, not the source, went wrong."""


def items_suite(t: RecordingsThresholds) -> gx.ExpectationSuite:
    """Items: identity, license with its evidence, and what they point at."""
    return gx.ExpectationSuite(
        name="items",
        expectations=[
            complete("items"),
            unique("item_id_unique", "item_id", "an item is listed once"),
            one_of("license_family_allowed", "license_family", "NC, ND and unknown licenses never get in", t.license_families),
            matches("license_url", "license_url", "each item shows its license"),
            matches("license_evidence", "license_evidence", "and where it stood"),
            matches("license_seen_at", "license_seen_at", "and when it was read", DATE),
            always_true("item_recording_known", "recording_found", "a fetched item points at a recording of the batch"),
            always_true("item_document_known", "document_found", "and at a document of the batch"),
            expect(
                gxe.ExpectColumnProportionOfNonNullValuesToBeBetween,
                "creators_stated",
                "items without a creator cannot be kept in one split by voice",
                "warning",
                column="creator",
                min_value=t.min_creator_share,
            ),
        ],
    )


def recordings_suite(t: RecordingsThresholds) -> gx.ExpectationSuite:
    """Recordings: identity, length, format."""
    return gx.ExpectationSuite(
        name="recordings",
        expectations=[
            complete("recordings"),
            unique("recording_id_unique", "recording_id", "the same bytes are one recording, of which one thing is said"),
            matches("recording_id_sha256", "recording_id", "the id is the sha256 of the bytes", SHA256),
            matches("recording_uri", "uri", "the audio is somewhere"),
            within("recording_bytes", "bytes", "an empty file is a rejection", 1, None),
            within(
                "recording_duration", "duration_s", "too short and too long are rejections", t.min_duration_s, t.max_duration_s
            ),
            within("recording_samples", "samples_off", f"the duration is samples / {SAMPLE_RATE}", -1, 1),
            within("recording_channels", "channels", "audio has channels", 1, None),
            within("recording_sample_rate", "sample_rate", "less than the telephone band", t.min_sample_rate, None, "warning"),
            always_true("recording_claimed", "item_found", "a recording that no item holds has no license"),
        ],
    )


def documents_suite(t: RecordingsThresholds) -> gx.ExpectationSuite:
    """Documents: identity, text, language, provenance."""
    low, high = t.min_chars_per_s, t.max_chars_per_s
    return gx.ExpectationSuite(
        name="documents",
        expectations=[
            complete("documents"),
            unique("document_id_unique", "document_id", "of one document one thing is said"),
            matches("document_id_sha256", "document_id", "the id is a sha256", SHA256),
            always_true("document_recording_known", "recording_found", "a document belongs to a recording of the batch"),
            within("document_text", "text_chars", "a text without speech is a rejection", 1, None),
            one_of(
                "caption_provenance",
                "caption_provenance",
                "machine captions stay out unless the policy says otherwise",
                t.provenances,
            ),
            within("text_language_score", "text_language_score", "a probability", 0, 1),
            always_true(
                "text_language", "language_agrees", "the text is in the claimed language, where one can tell", "warning", t.mostly
            ),
            within(
                "text_pace",
                "chars_per_s",
                "a text far shorter or longer than its recording is not its transcript",
                low,
                high,
                "warning",
                t.mostly,
            ),
        ],
    )


def harvest_suite(t: RecordingsThresholds) -> gx.ExpectationSuite:
    """The batch as a whole."""
    return gx.ExpectationSuite(
        name="harvest",
        expectations=[
            within(
                "faults",
                "fault_share",
                "what failed to download or crashed may be worth another run",
                0,
                t.max_fault_share,
                "warning",
            ),
        ],
    )


def build_items(tables: Tables, _t: RecordingsThresholds) -> pd.DataFrame:
    """Items with ``recording_found`` and ``document_found``."""
    items = tables["items"]
    return frame(
        items,
        "items",
        recording_found=found_in(items["recording_id"], tables["recordings"]["recording_id"]),
        document_found=found_in(items["document_id"], tables["documents"]["document_id"]),
    )


def build_recordings(tables: Tables, _t: RecordingsThresholds) -> pd.DataFrame:
    """Recordings with ``samples_off`` (samples against duration) and ``item_found``."""
    rows = tables["recordings"]
    built = frame(
        rows,
        "recordings",
        samples_off=pc.subtract(pc.multiply(rows["duration_s"], float(SAMPLE_RATE)), pc.cast(rows["samples"], pa.float64())),
        item_found=found_in(rows["recording_id"], tables["items"]["recording_id"]),
    )
    return distinct(built, "recording_id")


def build_documents(tables: Tables, _t: RecordingsThresholds) -> pd.DataFrame:
    """Documents without their text; ``text_chars``, ``chars_per_s``, ``recording_found``, ``language_agrees`` (null: unknown)."""
    rows, recordings = tables["documents"], tables["recordings"]
    text_chars = length(rows["text"])
    where = pc.index_in(rows["recording_id"], value_set=recordings["recording_id"])
    seconds = pc.take(recordings["duration_s"], where)
    claimed = pc.list_element(pc.split_pattern(pc.utf8_lower(rows["language"]), "-"), 0)
    heard = pc.list_element(pc.split_pattern(pc.utf8_lower(rows["text_language"]), "-"), 0)
    built = frame(
        rows,
        "documents",
        drop=("text",),
        text_chars=text_chars,
        chars_per_s=pc.divide(pc.cast(text_chars, pa.float64()), seconds),
        recording_found=found_in(rows["recording_id"], recordings["recording_id"]),
        language_agrees=pc.equal(claimed, heard),
    )
    return distinct(built, "document_id")


def build_harvest(tables: Tables, _t: RecordingsThresholds) -> pd.DataFrame:
    """One row: units that went on, units rejected, and the share of all that was lost to faults."""
    rejections = tables["rejections"]
    faults = pc.sum(pc.is_in(rejections["reason"], value_set=pa.array([str(r) for r in FAULTS]))).as_py() or 0
    total = tables["items"].num_rows + rejections.num_rows
    rows = (
        [
            {
                "batch": "batch",
                "items": tables["items"].num_rows,
                "rejected": rejections.num_rows,
                "faults": faults,
                "fault_share": faults / total,
            }
        ]
        if total
        else []
    )
    return pd.DataFrame(rows, columns=["batch", "items", "rejected", "faults", "fault_share"])


SUITE: Suite[RecordingsThresholds] = Suite(
    name="recordings",
    thresholds=RecordingsThresholds,
    reads={
        "items": (
            "item_id",
            "creator",
            "license_family",
            "license_url",
            "license_evidence",
            "license_seen_at",
            "recording_id",
            "document_id",
        ),
        "recordings": ("recording_id", "uri", "bytes", "duration_s", "samples", "sample_rate", "channels"),
        "documents": (
            "document_id",
            "recording_id",
            "language",
            "text_language",
            "text_language_score",
            "caption_provenance",
            "text",
        ),
        "rejections": ("id", "reason"),
    },
    frames=(
        Frame("items", ("item_id",), "one source item", build_items, items_suite),
        Frame("recordings", ("recording_id",), "one audio file", build_recordings, recordings_suite),
        Frame("documents", ("document_id",), "one caption or text", build_documents, documents_suite),
        Frame("harvest", ("batch",), "the batch as a whole", build_harvest, harvest_suite),
    ),
)
