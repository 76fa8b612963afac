"""Suite ``release``: passes on good tables, and each of its expectations sees a violation."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quality_tables import Rows, Spoil, as_tables, check_spoiled, frame_of, judge, put, put_all, release_rows, sha, twice

from quality.suites.release import build_by
from quality.thresholds import ReleaseThresholds

NOISY = 7  # the first row of subset 'noisy'


def move(at: int, split: str) -> Spoil:
    return put("release_segments", at, split=split)


def same_creator(rows: Rows) -> None:
    for i in (0, 60):  # recordings 0 (train) and 7 (dev)
        rows["release_segments"][i]["creator"] = "Same Reader" if i else "Other Reader; same reader"


def same_cluster(rows: Rows) -> None:
    for cluster in rows["clusters"]:
        if cluster["kind"] == "audio" and cluster["id"] == sha("r7"):
            cluster["cluster_id"] = sha("r0")


def release_the_duplicate(rows: Rows) -> None:
    rows["release_segments"][3]["document_id"] = sha("d9")


SPOILS: dict[str, Spoil] = {
    "release_segments_complete": put("release_segments", title="x", attribution=None),
    "segment_id_unique": twice("release_segments"),
    "segment_id_sha256": put("release_segments", segment_id="s0"),
    "clip_duration": put("release_segments", end_sample=8_000, duration_s=0.5),
    "clip_samples": put("release_segments", duration_s=12.0),
    "clip_text": put("release_segments", text=""),
    "cer_there": put("release_segments", cer=None),
    "cer_not_negative": put("release_segments", cer=-0.01),
    "wer_not_negative": put("release_segments", wer=-0.01),
    "anchored_ratio": put("release_segments", anchored_ratio=-0.1),
    "speech_ratio": put("release_segments", speech_ratio=1.1),
    "split_known": put("release_segments", split="validation"),
    "subset_known": put("release_segments", subset="dirty"),
    "cer_clean": put("release_segments", cer=0.2),
    "cer_noisy": put("release_segments", NOISY, cer=0.38),
    "license_family_allowed": put("release_segments", license_family="by-nc-nd"),
    "license_group_known": put("release_segments", license_group="nc"),
    "license_group_right": put("release_segments", license_family="by-sa"),
    "license_url": put("release_segments", license_url=""),
    "license_evidence": put("release_segments", license_evidence=" "),
    "license_seen_at": put("release_segments", license_seen_at="2026"),
    "attribution": put("release_segments", attribution=""),
    "caption_provenance": put("release_segments", caption_provenance="machine"),
    "recording_uri": put("release_segments", recording_uri=""),
    "batch_key": put("release_segments", batch="November"),
    "no_duplicate": release_the_duplicate,
    "split_as_assigned": put_all("assignments", split="test"),
    "creators_stated": put_all("release_segments", creator=None),
    "recordings_in_splits_one_split": move(0, "test"),
    "items_in_splits_one_split": put("release_segments", item_id="folder:7/a.flac"),
    "creators_in_splits_one_split": same_creator,
    "clusters_in_splits_one_split": same_cluster,
    "clusters_complete": put("clusters", similarity=None),
    "member_once": twice("clusters"),
    "cluster_kind": put("clusters", kind="word"),
    "similarity": put("clusters", similarity=1.5),
    "cluster_kept": put("clusters", 4, keep=False),
    "assignments_complete": put("assignments", since=None),
    "group_once": twice("assignments"),
    "group_key": put("assignments", 1, group_key="folder:1"),
    "assigned_split_known": put("assignments", 1, split="validation"),
    "assigned_since": put("assignments", since=""),
    "dev_filled": lambda rows: rows.update(release_segments=[r for r in rows["release_segments"] if r["split"] != "dev"]),
    "test_filled": lambda rows: rows.update(release_segments=[r for r in rows["release_segments"] if r["split"] != "test"]),
    "train_share": lambda rows: rows.update(release_segments=[r for r in rows["release_segments"] if r["split"] != "train"]),
}


def test_good_tables_pass_without_a_word() -> None:
    verdict = judge("release", release_rows())
    assert verdict.passed
    assert (verdict.failures, verdict.warnings, verdict.infos, verdict.notes) == ([], [], [], [])
    assert verdict.checks == len(SPOILS)


def test_every_expectation_is_spoiled_here() -> None:
    assert sorted(frame_of("release")) == sorted(SPOILS)


@pytest.mark.parametrize("name", SPOILS)
def test_spoiled(name: str) -> None:
    check_spoiled("release", name, SPOILS[name])


def test_a_release_without_assignments_does_not_pass() -> None:
    rows = release_rows()
    rows["assignments"] = []
    verdict = judge("release", rows)
    assert verdict.failures[0].startswith("split_as_assigned: release_segments: ")
    assert "assignments is empty: 5 expectations had nothing to look at" in verdict.notes


def test_an_empty_release_passes_and_says_so() -> None:
    verdict = judge("release", {})
    assert verdict.passed and not verdict.warnings and len(verdict.notes) == 8


def test_collective_creators_may_stand_in_two_splits() -> None:
    rows = release_rows()
    put_all("release_segments", creator="LibriVox")(rows)
    assert judge("release", rows).failures == []


def test_the_policys_subsets_are_the_gates() -> None:
    rows = release_rows()
    put_all("release_segments", subset="all", cer=0.5)(rows)
    assert judge("release", rows, subsets={"all": (0.0, 1.0)}).failures == []
    assert (
        judge("release", rows, subsets={"all": (0.0, 0.3)})
        .failures[0]
        .startswith("cer_all: release_segments: If subset == all, then")
    )


def test_the_line_of_a_leak_says_which_splits() -> None:
    rows = release_rows()
    move(0, "test")(rows)
    line = next(x for x in judge("release", rows).failures if x.startswith("recordings_in_splits"))
    assert "in 1 of 9 rows" in line and sha("r0")[:20] in line


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(("train", "dev", "test"))), min_size=1, max_size=20))
def test_splits_of_a_group_are_counted(pairs: list[tuple[str, str]]) -> None:
    rows = release_rows()
    one = rows["release_segments"][0]
    rows["release_segments"] = [{**one, "recording_id": r, "split": s} for r, s in pairs]
    built = build_by("recording_id", as_tables("release", rows))
    assert dict(zip(built["recording_id"], built["splits"], strict=True)) == {
        r: len({s for q, s in pairs if q == r}) for r, _ in pairs
    }
    assert ReleaseThresholds().subsets["clean"][1] == ReleaseThresholds().subsets["noisy"][0]
