"""Suite ``recordings``: passes on good tables, and each of its expectations sees a violation."""

import pytest
from quality_tables import Spoil, check_spoiled, frame_of, judge, put, put_all, recordings_rows, sha, twice

SPOILS: dict[str, Spoil] = {
    "items_complete": put("items", license_family=None),
    "item_id_unique": twice("items"),
    "license_family_allowed": put("items", 1, license_family="by-nc"),
    "license_url": put("items", license_url="  "),
    "license_evidence": put("items", license_evidence=""),
    "license_seen_at": put("items", license_seen_at="last week"),
    "item_recording_known": put("items", 2, recording_id=sha("nobody")),
    "item_document_known": put("items", 2, document_id=None),
    "creators_stated": put_all("items", creator=None),
    "recordings_complete": put("recordings", duration_s=float("nan")),
    "recording_id_unique": twice("recordings", bytes=1),
    "recording_id_sha256": put("recordings", recording_id="r0"),
    "recording_uri": put("recordings", uri=""),
    "recording_bytes": put("recordings", bytes=0),
    "recording_duration": put("recordings", duration_s=0.2, samples=3200),
    "recording_samples": put("recordings", samples=9),
    "recording_channels": put("recordings", channels=0),
    "recording_sample_rate": put("recordings", sample_rate=4000),
    "recording_claimed": lambda rows: rows["items"].pop(),
    "documents_complete": put("documents", language=None),
    "document_id_unique": twice("documents", caption_provenance="unknown"),
    "document_id_sha256": put("documents", document_id="d0"),
    "document_recording_known": put("documents", recording_id=sha("nobody")),
    "document_text": put("documents", text=" \n"),
    "caption_provenance": put("documents", caption_provenance="machine"),
    "text_language_score": put("documents", text_language_score=1.2),
    "text_language": put_all("documents", text_language="de"),
    "text_pace": put_all("documents", text="No."),
    "faults": lambda rows: rows["rejections"].extend({"id": f"folder:{i}", "reason": "download_failed"} for i in range(3)),
}


def test_good_tables_pass_without_a_word() -> None:
    verdict = judge("recordings", recordings_rows())
    assert verdict.passed
    assert (verdict.failures, verdict.warnings, verdict.infos, verdict.notes) == ([], [], [], [])
    assert verdict.checks == len(SPOILS)


def test_every_expectation_is_spoiled_here() -> None:
    assert sorted(frame_of("recordings")) == sorted(SPOILS)


@pytest.mark.parametrize("name", SPOILS)
def test_spoiled(name: str) -> None:
    check_spoiled("recordings", name, SPOILS[name])


def test_an_empty_month_passes_and_says_so() -> None:
    verdict = judge("recordings", {})
    assert verdict.passed and not verdict.warnings and verdict.checks == 0
    assert verdict.notes[0] == "items is empty: nothing was looked at"


def test_a_month_where_all_was_rejected_for_its_license_passes() -> None:
    verdict = judge("recordings", {"rejections": [{"id": "ia:x/a.mp3", "reason": "license_noncommercial"}]})
    assert verdict.passed and not verdict.warnings and verdict.checks == 1


def test_a_language_too_short_to_tell_is_no_disagreement() -> None:
    rows = recordings_rows()
    put_all("documents", text_language=None, text_language_score=None)(rows)
    assert judge("recordings", rows).warnings == []


def test_machine_captions_may_be_let_in_by_the_caller() -> None:
    rows = recordings_rows()
    put("documents", caption_provenance="machine")(rows)
    assert judge("recordings", rows, provenances=("human", "unknown", "machine")).passed


def test_the_line_names_expectation_table_and_row() -> None:
    rows = recordings_rows()
    put("items", 1, license_family="by-nc")(rows)
    assert judge("recordings", rows).failures == [
        "license_family_allowed: items: license_family values must belong to this set: by by-sa cc0 pd us-gov. — 25% unexpected "
        "in 1 of 4 rows, such as license_family=by-nc, item_id=folder:1/a.flac"
    ]


def test_the_same_recording_in_two_shards_is_no_contradiction() -> None:
    rows = recordings_rows()
    rows["items"].append({**rows["items"][0], "item_id": "folder:again/a.flac"})
    for table in ("recordings", "documents"):
        rows[table].append(dict(rows[table][0]))
    assert judge("recordings", rows).failures == []
