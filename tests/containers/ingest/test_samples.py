"""The samples end at ingest as `samples/items.jsonl` says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_bad_input import harvest, outcome, rows

SAMPLES = Path(__file__).resolve().parents[3] / "samples"
AT_INGEST = ("kept", "license_", "caption_", "audio_", "no_caption", "text_wrong_language")
LATER = ("udhr-preamble-en-small",)
"""Another encoding of the same reading: dedup finds it, ingest cannot."""


@pytest.mark.parametrize("month", ["peoples_speech", "peoples_speech_next"])
def test_each_sample_ends_as_listed(month: str, tmp_path: Path) -> None:
    items = [json.loads(line) for line in (SAMPLES / "items.jsonl").read_text(encoding="utf-8").splitlines()]
    folders = harvest(SAMPLES / month / "en", tmp_path)
    found = outcome(folders)
    for item in (i for i in items if i["month"] == month):
        stops_here = item["expected"].startswith((*AT_INGEST, "duplicate_audio")) and item["id"] not in LATER
        assert found.pop(item["id"]) == (item["expected"] if stops_here else "kept"), item["id"]
    assert not found
    if month == "peoples_speech":
        kept = {i["id"] for i in items if i["expected"] == "kept"}
        of = {r["recording_id"]: r["identifier"] for r in rows(folders[1], "items")}
        seconds = sum(r["duration_s"] for r in rows(folders[1], "recordings") if of[r["recording_id"]] in kept)
        assert seconds > 8 * 60, "the samples hold at least eight minutes of speech with human text"
