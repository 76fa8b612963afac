"""What of a corpus is released, as what, and what every other segment stopped for."""

from typing import Any

import pyarrow.parquet as pq
import pytest
from release_corpus import FIRST_MONTH, POLICY, SECOND_MONTH, Talk, Warehouse, local

from release.split import best_text
from stagekit.run import Outcome


def table(outcome: Outcome, name: str) -> list[dict[str, Any]]:
    return [row for f in sorted(local(outcome.output).glob(f"{name}-*.parquet")) for row in pq.read_table(f).to_pylist()]


def split_of(warehouse: Warehouse, version: str, **given: Any) -> Outcome:
    return warehouse.release(version, last="split", **given)["split"]


def test_every_segment_is_released_or_rejected_with_a_reason(warehouse: Warehouse):
    warehouse.month("2026.01", FIRST_MONTH)
    got = warehouse.release("2026.01", last="split")
    segments = table(got["collect"], "segments")
    kept, lost = table(got["split"], "release_segments"), table(got["split"], "rejections")
    assert sorted(s["segment_id"] for s in segments) == sorted([*(k["segment_id"] for k in kept), *(r["id"] for r in lost)])
    assert {(r["reason"], r["detail"]) for r in lost} == {
        ("policy", "clean: cer 0.5 is not below 0.2; noisy: cer 0.5 is not below 0.38")
    }
    for row in kept:
        assert row["subset"] == ("clean" if row["cer"] < 0.2 else "noisy")
        assert row["license_group"] == ("by-sa" if row["license_family"] == "by-sa" else "by")
        assert row["batch"] == "2026.01" and row["license_url"] in row["attribution"] and row["title"] in row["attribution"]


def test_copies_are_dropped_by_audio_always_and_by_text_if_the_policy_says_so(warehouse: Warehouse):
    warehouse.month("2026.01", FIRST_MONTH)
    a, b, c, d, _ = FIRST_MONTH
    joined = {"audio": [a.recording_id, b.recording_id], "text": [c.document_id, d.document_id]}
    strict = split_of(warehouse, "2026.01", joined=joined)
    reasons = {(r["parent_id"], r["reason"]) for r in table(strict, "rejections")}
    assert reasons == {(b.document_id, "duplicate_audio"), (d.document_id, "duplicate_text")}
    kept = {r["document_id"]: r["split"] for r in table(strict, "release_segments")}
    assert b.document_id not in kept and d.document_id not in kept

    lenient = split_of(
        warehouse,
        "2026.01.1",
        joined=joined,
        policy=POLICY.read_text().replace("drop_text_duplicates: true", "drop_text_duplicates: false"),
    )
    kept = {r["document_id"]: r["split"] for r in table(lenient, "release_segments")}
    assert kept[c.document_id] == kept[d.document_id], "two readings of one text share a split"


def test_share_alike_binds_a_recording_that_another_item_offers_freely(warehouse: Warehouse):
    free = FIRST_MONTH[0]
    bound = Talk(
        free.file, "Anne", "by-sa", item={"item_id": "folder:other/other.mp3", "identifier": "other", "added_at": "2026-01-20"}
    )
    warehouse.month("2026.01", [free, bound])
    rows = table(split_of(warehouse, "2026.01"), "release_segments")
    assert {(r["license_group"], r["item_id"]) for r in rows} == {("by-sa", "folder:other/other.mp3")}


def test_machine_captions_and_licenses_in_no_group_are_left_out(warehouse: Warehouse):
    warehouse.month("2026.01", FIRST_MONTH)
    policy = POLICY.read_text().replace("  by-sa: [by-sa]\n", "").replace("[human, unknown]", "[unknown]")
    lost = table(split_of(warehouse, "2026.01", policy=policy), "rejections")
    assert {r["detail"] for r in lost} == {"license by-sa is in no license group", "caption provenance human is not released"}


@pytest.mark.parametrize("name", ["item", "identifier", "recording"])
def test_a_takedown_takes_every_copy_out_of_the_next_release(warehouse: Warehouse, name: str):
    warehouse.month("2026.01", FIRST_MONTH)
    a, b = FIRST_MONTH[:2]
    joined = {"audio": [a.recording_id, b.recording_id]}
    down = {"item": "folder:ronicky_doone/ronicky_doone.mp3", "identifier": "folder:ronicky_doone", "recording": b.recording_id}[
        name
    ]
    got = split_of(
        warehouse, "2026.01", joined=joined, policy=POLICY.read_text().replace("takedowns: []", f"takedowns: ['{down}']")
    )
    lost = {r["parent_id"]: r["reason"] for r in table(got, "rejections")}
    assert (lost[a.document_id], lost[b.document_id]) == ("takedown", "takedown")


def test_a_reading_left_out_for_one_that_is_taken_down_is_not_said_to_be_the_same_as_what_is_kept(warehouse: Warehouse):
    warehouse.month("2026.01", FIRST_MONTH)
    a, b = FIRST_MONTH[:2]
    policy = POLICY.read_text().replace("takedowns: []", f"takedowns: ['{a.recording_id}']")
    got = split_of(warehouse, "2026.01", joined={"text": [a.document_id, b.document_id]}, policy=policy)
    lost = {r["parent_id"]: (r["reason"], r["detail"]) for r in table(got, "rejections")}
    assert lost[a.document_id][0] == "takedown" and lost[b.document_id][0] == "duplicate_text"
    assert "which is taken down; other readings of its text stay out with it" in lost[b.document_id][1]


def test_a_takedown_that_matches_nothing_is_a_warning_and_one_of_any_batch_is_none(warehouse: Warehouse, capfd: Any):
    warehouse.month("2026.01", FIRST_MONTH, rejected_s=3.0)
    warehouse.month("2026.02", SECOND_MONTH)
    names = ["folder:ronicky_doone", SECOND_MONTH[0].recording_id, "folder:gone", "0" * 64, "folder:bad"]
    policy = POLICY.read_text().replace("takedowns: []", f"takedowns: {names}")
    warnings = split_of(warehouse, "2026.02", policy=policy).success["metrics"]["warnings"]
    assert len(warnings) == 3 and [name for w in warnings for name in names if repr(name) in w] == names[2:]
    assert "split: warning: takedown 'folder:gone' matches no item" in capfd.readouterr().err
    assert split_of(warehouse, "2026.02.1").success["metrics"]["warnings"] == []


def test_a_creator_keeps_the_split_of_the_month_before(warehouse: Warehouse):
    """Alex Buie reads in both months. With half of the groups held out, the first month already spreads over splits."""
    policy = (
        POLICY.read_text()
        .replace("dev: 0.05", "dev: 0.25")
        .replace("test: 0.05", "test: 0.25")
        .replace("salt: peoples_speech", "salt: b")
    )
    warehouse.month("2026.01", FIRST_MONTH)
    first = {r["recording_id"]: r["split"] for r in table(split_of(warehouse, "2026.01", policy=policy), "release_segments")}
    assert len(set(first.values())) > 1
    warehouse.month("2026.02", SECOND_MONTH)
    got = split_of(warehouse, "2026.02", policy=policy)
    second = {r["recording_id"]: r["split"] for r in table(got, "release_segments")}
    assert {r: s for r, s in second.items() if r in first} == first
    assert second[SECOND_MONTH[0].recording_id] == first[FIRST_MONTH[2].recording_id]
    since = {r["group_key"]: r["since"] for r in table(got, "assignments")}
    assert (since["creator:alex buie"], since["creator:another reader"]) == ("2026.01", "2026.02")


def test_groups_that_a_later_copy_joins_lose_members_and_count_them(warehouse: Warehouse):
    policy = (
        POLICY.read_text()
        .replace("dev: 0.05", "dev: 0.25")
        .replace("test: 0.05", "test: 0.25")
        .replace("salt: peoples_speech", "salt: b")
    )
    warehouse.month("2026.01", FIRST_MONTH)
    first = {r["document_id"]: r["split"] for r in table(split_of(warehouse, "2026.01", policy=policy), "release_segments")}
    train = next(d for d, s in first.items() if s == "train")
    held = next(d for d, s in first.items() if s != "train")
    lenient = policy.replace("drop_text_duplicates: true", "drop_text_duplicates: false")
    got = split_of(warehouse, "2026.01.1", policy=lenient, joined={"text": [train, held]})
    lost = [r for r in table(got, "rejections") if r["reason"] == "split_conflict"]
    assert {r["parent_id"] for r in lost} == {train}
    assert "has been in train" in lost[0]["detail"]
    kept = {r["document_id"]: r["split"] for r in table(got, "release_segments")}
    assert kept == {d: s for d, s in first.items() if d != train}
    assert got.success["metrics"]["conflicts"] == 1


def test_a_retry_after_the_record_was_written_gives_the_same_bytes(warehouse: Warehouse):
    import shutil

    warehouse.month("2026.01", FIRST_MONTH)
    before = split_of(warehouse, "2026.01")
    files = {f.name: f.read_bytes() for f in local(before.output).glob("*.parquet")}
    record = [f.read_bytes() for f in sorted((warehouse.root / "splits").rglob("*.parquet"))]
    shutil.rmtree(local(before.output))
    after = split_of(warehouse, "2026.01")
    assert not after.skipped and after.output == before.output
    assert {f.name: f.read_bytes() for f in local(after.output).glob("*.parquet")} == files
    assert [f.read_bytes() for f in sorted((warehouse.root / "splits").rglob("*.parquet"))] == record


def test_two_texts_of_one_recording_give_its_audio_once(warehouse: Warehouse):
    import speech_rows as rows

    talk = FIRST_MONTH[0]
    folders = warehouse.harvest("2026.01", [talk])
    # A second text of the same recording, by an unknown hand, with its own segments.
    other = rows.sha("another text")
    document = rows.document(other, talk.recording_id, "quite another text " * 10, "unknown")
    segment = rows.segment(other, talk.recording_id, 0, 10)
    fetch, score = local(folders[1]), local(folders[-1])
    tables = {
        t: pq.read_table(fetch / f"{t}-00000.parquet").to_pylist() for t in ("items", "recordings", "documents", "rejections")
    }
    tables["documents"].append(document)
    import json

    ledgers = [json.loads((p / "_SUCCESS.json").read_text())["ledger"] for p in (local(folders[2]), local(folders[3]), score)]
    fetch_ledger = json.loads((fetch / "_SUCCESS.json").read_text())["ledger"]
    segments = [*pq.read_table(score / "segments-00000.parquet").to_pylist(), segment]
    more = segment["speech_end_s"] - segment["speech_start_s"]
    for ledger in (fetch_ledger, *ledgers):
        for side in ("in", "out"):
            ledger[side]["seconds"] = round(ledger[side]["seconds"] + more, 6)
    again = [folders[0]]
    for name, stage, content, ledger in (
        ("fetch", "ingest.fetch", tables, fetch_ledger),
        ("recognize", "align.recognize", {}, ledgers[0]),
        ("align", "align.align", {}, ledgers[1]),
        ("score", "align.score", {"segments": segments}, ledgers[2]),
    ):
        again.append(
            rows.folder(
                warehouse.root / "batches/peoples_speech/en/2026.01" / name / f"two-texts-{name}",
                content,
                stage=stage,
                ledger=ledger,
            )
        )
    warehouse.seal("2026.01", again)
    got = split_of(warehouse, "2026.01")
    lost = [r for r in table(got, "rejections") if r["parent_id"] == other]
    assert [(r["reason"], r["detail"]) for r in lost] == [
        ("duplicate_audio", f"document {talk.document_id} of the same recording is kept")
    ]


def test_of_the_texts_of_a_recording_one_that_is_of_it_is_kept():
    documents = {"wrong": {"caption_provenance": "human"}, **{d: {"caption_provenance": "unknown"} for d in ("more", "some")}}
    assert best_text(documents, documents, {"some": 10.0, "more": 90.0}) == "more", "nothing was aligned of the human one"
    assert best_text(documents, documents, {"some": 10.0, "more": 90.0, "wrong": 1.0}) == "wrong"
