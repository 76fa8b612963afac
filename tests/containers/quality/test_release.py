"""Suite ``release``: passes on good tables, and each of its expectations sees a violation."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quality_tables import Rows, Spoil, as_tables, check_spoiled, frame_of, judge, put, put_all, release_rows, row, sha, twice

from quality.suites.release import build_recordings, name_words
from quality.thresholds import ReleaseThresholds

NOISY = 7  # the first row of subset 'noisy'


def move(at: int, split: str) -> Spoil:
    return put("release_segments", at, split=split)


def same_creator(rows: Rows) -> None:
    """Recording 7 (dev) is by reader 0 (train) too, spelled otherwise."""
    rows["release_segments"][60]["creator"] = "Gus Reader; SOMEBODY, José, 1901-1970"


def same_cluster(rows: Rows) -> None:
    for cluster in rows["clusters"]:
        if cluster["kind"] == "audio" and cluster["id"] == sha("r7"):
            cluster["cluster_id"] = sha("r0")


def release_the_duplicate(rows: Rows) -> None:
    rows["release_segments"][3]["document_id"] = sha("d9")


def assign(key: str, split: str) -> Spoil:
    def spoil(rows: Rows) -> None:
        next(r for r in rows["assignments"] if r["group_key"] == key)["split"] = split

    return spoil


SPOILS: dict[str, Spoil] = {
    "release_segments_complete": put("release_segments", title="x", attribution=None),
    "segment_id_unique": twice("release_segments"),
    "segment_id_sha256": put("release_segments", segment_id="s0"),
    "clip_duration": put("release_segments", end_sample=8_000, duration_s=0.5),
    "clip_samples": put("release_segments", duration_s=12.0),
    "clip_text": put("release_segments", text=""),
    "cer_not_negative": put("release_segments", cer=-0.01),
    "wer_not_negative": put("release_segments", wer=-0.01),
    "anchored_ratio": put("release_segments", anchored_ratio=-0.1),
    "speech_ratio": put("release_segments", speech_ratio=1.1),
    "split_known": put("release_segments", split="validation"),
    "subset_known": put("release_segments", subset="dirty"),
    "clean_cer": put("release_segments", cer=0.2),
    "clean_cer_there": put("release_segments", cer=None),
    "noisy_cer": put("release_segments", NOISY, cer=0.38),
    "noisy_cer_there": put("release_segments", NOISY, cer=None),
    "license_family_allowed": put("release_segments", license_family="by-nc-nd"),
    "license_group_right": put("release_segments", license_family="by-sa"),
    "license_url": put("release_segments", license_url=""),
    "license_evidence": put("release_segments", license_evidence=" "),
    "license_seen_at": put("release_segments", license_seen_at="2026"),
    "attribution": put("release_segments", attribution=""),
    "caption_provenance": put("release_segments", caption_provenance="machine"),
    "recording_uri": put("release_segments", recording_uri=""),
    "batch_key": put("release_segments", batch="November"),
    "no_duplicate": release_the_duplicate,
    "creators_stated": put_all("release_segments", creator=None),
    "recording_one_split": move(0, "test"),
    "recording_as_assigned": put_all("assignments", split="test"),
    "item_one_split": put("release_segments", item_id="folder:7/b.flac"),
    "item_as_assigned": put("release_segments", item_id="folder:new/a.flac"),
    "creator_one_split": same_creator,
    "creator_as_assigned": assign("creator:jose somebody", "test"),
    "cluster_one_split": same_cluster,
    "cluster_as_assigned": assign(f"cluster:audio:{sha('r0')}", "dev"),
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
    "creators_join": lambda rows: rows.update(
        assignments=[r for r in rows["assignments"] if not r["group_key"].startswith("creator:")]
    ),
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
    assert verdict.failures[0].startswith("recording_as_assigned: recording_groups: ")
    assert "assignments is empty: nothing was looked at" in verdict.notes


def test_an_empty_release_passes_and_says_so() -> None:
    verdict = judge("release", {})
    assert verdict.passed and not verdict.warnings and len(verdict.notes) == 8


def test_collective_creators_may_stand_in_two_splits() -> None:
    rows = release_rows()
    put_all("release_segments", creator="LibriVox")(rows)
    assert judge("release", rows).failures == []


def test_the_policys_subsets_are_the_gates() -> None:
    rows = release_rows()
    put_all("release_segments", subset="all", cer=0.5, snr_db=None)(rows)
    assert judge("release", rows, subsets={"all": {"cer": {"max": 1.0}}}).failures == []
    line = judge("release", rows, subsets={"all": {"cer": {"max": 0.3}}}).failures[0]
    assert line.startswith("all_cer: release_segments: If subset == all, then")
    snr = {"min": 10.0}
    assert judge("release", rows, subsets={"all": {}}, require={"snr_db": snr}).failures[0].startswith("require_snr_db_there: ")
    assert judge("release", rows, subsets={"all": {}}, require={"snr_db": {**snr, "null_passes": True}}).failures == []


def test_text_duplicates_are_left_to_the_policy() -> None:
    rows = release_rows()
    release_the_duplicate(rows)
    assert judge("release", rows, only="no_duplicate", drop_text_duplicates=False).passed


def test_all_files_of_an_item_are_one_group() -> None:
    rows = release_rows()
    rows["assignments"].append(row("assignments", group_key="item:folder:album", split="train", since="2026.11"))
    for i, split in ((0, "train"), (60, "dev")):
        rows["release_segments"][i].update(item_id=f"folder:album/disc {i}/a.flac", split=split)
    assert not judge("release", rows, only="item_one_split").passed


def test_the_line_of_a_leak_says_which_splits() -> None:
    rows = release_rows()
    move(0, "test")(rows)
    line = next(x for x in judge("release", rows).failures if x.startswith("recording_one_split"))
    assert "in 1 of 9 rows" in line and "which=test train" in line and "recording:" in line


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(("train", "dev", "test"))), min_size=1, max_size=20))
def test_splits_of_a_group_are_counted(pairs: list[tuple[str, str]]) -> None:
    rows = release_rows()
    one = rows["release_segments"][0]
    rows["release_segments"] = [{**one, "recording_id": r, "split": s} for r, s in pairs]
    built = build_recordings(as_tables("release", rows), ReleaseThresholds())
    counted = dict(zip(built["group"], built["splits"], strict=True))
    assert counted == {f"recording:{r}": len({s for q, s in pairs if q == r}) for r, _ in pairs}


@pytest.mark.parametrize("other", ["Twain, Mark, 1835-1910", "MARK TWAIN", "Mark  Twáin", "Mark Twain."])
def test_spellings_of_a_name_fall_together(other: str) -> None:
    assert name_words(other) == name_words("Mark Twain") != name_words("Mark O'Twain")
