"""Suite ``spoken_words``: passes on good tables, and each of its expectations sees a violation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from quality_tables import Rows, Spoil, as_tables, check_spoiled, frame_of, judge, put, put_all, row, spoken_words_rows, twice

from quality import check
from quality.suites.spoken_words import build_clips
from quality.thresholds import Bound, SpokenWordsThresholds
from stagekit.folder import TableWriter
from stagekit.run import run_stage
from stagekit.storage import sha256_file
from stagekit.tables import TABLES


def keep(count: int) -> Spoil:
    """Only the first clips are released."""
    return lambda rows: rows.update(clip_splits=rows["clip_splits"][:count])


def one_voice(rows: Rows) -> None:
    """Every word is said by one person: the clips are one speaker's."""
    for clip in rows["clip_splits"]:
        clip.update(speaker_id="speaker-0", split="train")


def men_only_in(split: str) -> Spoil:
    def spoil(rows: Rows) -> None:
        for clip in rows["clip_splits"]:
            if clip["split"] == split:
                clip["gender"] = "male"

    return spoil


def refuse(count: int) -> Spoil:
    return lambda rows: rows["rejections"].extend(
        row("rejections", unit="clip", id=f"{n}", stage="split_speakers", reason="policy") for n in range(count)
    )


SPOILS: dict[str, Spoil] = {
    "clips_complete": put("clips", source_version=None),
    "clip_id_unique": twice("clips"),
    "clip_id": lambda rows: [rows[t][0].update(clip_id="word00/1.opus") for t in ("clips", "clip_scores", "clip_splits")].clear(),
    "token_once": lambda rows: rows["clips"][20].update(sentence_id=rows["clips"][0]["sentence_id"]),
    "word_there": put("clips", word=" "),
    "word_nfc": put("clips", word="cafe\u0301"),
    "same_word": put("clips", word="word99"),
    "origin_known": put("clips", origin="singleword"),
    "source_version": put("clips", source_version=""),
    "word_seconds": put("clips", speech_s=0.01),
    "word_samples": put("clips", speech_s=0.6),
    "word_inside": put("clips", word_start_sample=-1, word_end_sample=7999),
    "long_words_whole": put("clips", long_word=True),
    "some_sound": put("clips", padding_before=8000, padding_after=8000),
    "license_family_allowed": put("clips", license_family="by-nc"),
    "license_url": put("clips", license_url=""),
    "license_evidence": put("clips", license_evidence=" "),
    "license_seen_at": put("clips", license_seen_at="2026"),
    "scored": lambda rows: rows["clip_scores"].pop(0).clear(),
    "padded": put_all("clips", padding_before=1),
    "one_encoder": put("clips", encoder="another"),
    "keyword_filled": lambda rows: rows.update(clip_splits=[r for r in rows["clip_splits"] if r["word"] != "word00"][:400]
                                               + [r for r in rows["clip_splits"] if r["word"] == "word00"][:4]),
    "as_counted": put("word_splits", clips=1),
    "keyword_speakers": one_voice,
    "keyword_held_out": one_voice,
    "speaker_one_split": put("clip_splits", split="test"),
    "speaker_as_assigned": put_all("assignments", split="test"),
    "assignments_complete": put("assignments", since=None),
    "group_once": twice("assignments"),
    "group_key": put("assignments", group_key="recording:1"),
    "assigned_split_known": put("assignments", split="validation"),
    "assigned_since": put("assignments", since=""),
    "hours_enough": keep(3599),
    "speakers_enough": keep(2900),
    "dev_share": lambda rows: rows.update(clip_splits=[r for r in rows["clip_splits"] if r["split"] != "dev"]),
    "test_share": lambda rows: rows.update(clip_splits=[r for r in rows["clip_splits"] if r["split"] != "test"]),
    "dev_balance": men_only_in("dev"),
    "test_balance": men_only_in("test"),
    "kept_out": refuse(600),
    "kept_in": refuse(4001),
}  # fmt: skip


def test_good_tables_pass_without_a_word() -> None:
    verdict = judge("spoken_words", spoken_words_rows(), require={"outlier": {"max": 6.0}})
    assert verdict.passed
    assert (verdict.failures, verdict.warnings, verdict.infos, verdict.notes) == ([], [], [], [])
    assert verdict.checks == len(SPOILS) + 2  # the policy's


def test_every_expectation_is_spoiled_here() -> None:
    assert sorted(frame_of("spoken_words")) == sorted(SPOILS)


@pytest.mark.parametrize("name", SPOILS)
def test_spoiled(name: str) -> None:
    check_spoiled("spoken_words", name, SPOILS[name])


@pytest.mark.parametrize(("outlier", "before", "passes"), [(5.9, False, True), (6.0, False, False), (6.0, True, True)])
def test_a_new_clip_is_held_against_the_policy_again(outlier: float, before: bool, passes: bool) -> None:
    rows = spoken_words_rows()
    rows["clip_scores"][0]["outlier"] = outlier
    if before:
        rows["shard_rows"].append(row("shard_rows", segment_id=rows["clips"][0]["clip_id"]))
    verdict = judge("spoken_words", rows, require={"outlier": {"max": 6.0}})
    assert verdict.passed == passes
    assert [line.split(":")[0] for line in verdict.failures] == ([] if passes else ["require_outlier"])


def test_clips_that_are_not_released_are_not_looked_at() -> None:
    rows = spoken_words_rows(2, 20)
    rows["clips"].append({**rows["clips"][0], "clip_id": "x", "license_family": "by-nc"})
    built = build_clips(as_tables("spoken_words", rows), SpokenWordsThresholds(require={"outlier": Bound(max=6.0)}))
    assert len(built) == 40 and built["scored"].all() and built["same_word"].all()


def folder(path: Path, tables: Rows, **success: Any) -> str:
    path.mkdir(parents=True)
    for name, rows in tables.items():
        writer = TableWriter(path, TABLES[name], 0)
        for each in rows:
            empty = {c.name: _zero(c.type) for c in TABLES[name].columns if each[c.name] is None and not c.nullable}
            writer.write(each | empty)
        writer.close()
    files = {f.name: {"sha256": sha256_file(f), "bytes": f.stat().st_size} for f in path.glob("*.parquet")}
    (path / "_SUCCESS.json").write_text(json.dumps({"fingerprint": path.name, "files": files, "shards": ["00000"], **success}))
    return path.as_uri()


def _zero(type_: Any) -> Any:
    return {"string": "x", "bool": False}.get(str(type_), 0)


def test_the_limits_are_those_that_the_stages_were_given(tmp_path: Path) -> None:
    """``min_clips`` of select and the policy of split_speakers; the gate fails with one line, and leaves its report."""
    rows = spoken_words_rows(4, 20)
    rows["clip_scores"][0]["outlier"] = 7.0
    inputs = [
        folder(tmp_path / "select", {}, stage="keywords.select", params={"min_clips": 4}),
        folder(tmp_path / "cut", {"clips": rows["clips"]}, stage="keywords.cut"),
        folder(tmp_path / "outliers", {"clip_scores": rows["clip_scores"]}, stage="keywords.outliers"),
        folder(
            tmp_path / "split", {n: rows[n] for n in ("clip_splits", "word_splits", "assignments")},
            stage="release.split_speakers",
            params={"policy": {"name": "spoken_words", "version": 1, "require": {"outlier": {"max": 6.0}}, "takedowns": []}},
        ),
    ]  # fmt: skip
    report = (tmp_path / "report").as_uri()
    with pytest.raises(check.StageError, match=r"suite spoken_words failed: require_outlier: clips: .*outlier=7"):
        run_stage(check.run, inputs, str(tmp_path / "out"), params(report), workers=0, quiet=True)
    verdict = json.loads((tmp_path / "report/verdict.json").read_text())
    assert verdict["thresholds"]["min_clips"] == 4 and verdict["thresholds"]["require"]["outlier"]["max"] == 6.0
    parent = folder(tmp_path / "index", {"shard_rows": [row("shard_rows", segment_id=rows["clips"][0]["clip_id"])]}, stage="p")
    got = run_stage(check.run, [*inputs, f"shard_rows={parent}"], str(tmp_path / "out"), params(report), workers=0, quiet=True)
    warned = {line.split(":")[0] for line in got.success["metrics"]["warnings"]}
    assert {"hours_enough", "speakers_enough"} <= warned


def params(report: str) -> check.CheckParams:
    return check.CheckParams(suite="spoken_words", report=report)
