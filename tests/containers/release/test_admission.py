"""What the policy of the spoken words lets in, and what is then left of each keyword: counted, never silently lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import speech_rows
from hypothesis import given, settings
from hypothesis import strategies as st
from sentence_rows import sentence
from test_split_speakers import LINK, clip

from release import split_speakers
from release.split_speakers import SplitSpeakersParams
from release.words.admission import WordsPolicy
from stagekit.errors import StageError
from stagekit.run import run_stage
from stagekit.tables import CLIP_SCORES

POLICY = {"name": "test", "require": {"outlier": {"max": 6.0}}}


def scores(clip: dict[str, Any], outlier: float) -> dict[str, Any]:
    row: dict[str, Any] = {c.name: 0.0 for c in CLIP_SCORES.columns}
    return row | {"clip_id": clip["clip_id"], "word": clip["word"], "gsc_quiet": False, "outlier": outlier}


def admit(path: Path, clips: list[dict[str, Any]], given: list[dict[str, Any]] | None, **more: Any) -> dict[str, Any]:
    """Split clips with their scores; ``more``: ``least`` clips of a word, ``links``, ``parent``, and parameters."""
    links = [{"speaker_id": a, "other_speaker_id": b, **LINK} for a, b in more.pop("links", [])]
    select = {"stage": "keywords.select", "params": {"min_clips": more.pop("least", 1)}}
    inputs = [
        speech_rows.folder(path / "cut", {"clips": clips, "speaker_links": links}, stage="keywords.cut"),
        speech_rows.folder(path / "select", {}, **select),
    ]
    if sentences := more.pop("sentences", None):
        inputs.append(speech_rows.folder(path / "collect", {"sentences": sentences}, stage="release.collect_words"))
    if given is not None:
        inputs.append(speech_rows.folder(path / "outliers", {"clip_scores": given}, stage="keywords.outliers"))
    if parent := more.pop("parent", None):
        inputs.append("parent=" + speech_rows.folder(path / "parent", {"shard_rows": parent["rows"]}, metrics=parent["metrics"]))
    params = SplitSpeakersParams(
        **{"dataset": "spoken_words", "language": "en", "version": "2026.01", "root": str(path / "warehouse"), "policy": POLICY}
        | more
    )
    got = run_stage(split_speakers.run, inputs, str(path / "out"), params, workers=0, quiet=True)
    where = Path(got.output.removeprefix("file://"))
    refused = pq.read_table(where / "rejections-00000.parquet").to_pylist() if got.success["rows"].get("rejections") else []
    kept = {r["clip_id"] for r in pq.read_table(where / "clip_splits-00000.parquet").to_pylist()}
    words = {r["word"]: r["clips"] for r in pq.read_table(where / "word_splits-00000.parquet").to_pylist()}
    return {"kept": kept, "refused": {r["id"]: r for r in refused}, "words": words, "success": got.success}


def six() -> list[dict[str, Any]]:
    """Four clips of go and two of stop, of three speakers."""
    return [clip(n, "go" if n < 4 else "stop", f"s{n % 3}") for n in range(6)]


def test_clips_beyond_the_bound_are_rejections_and_a_word_with_too_few_left_goes_as_a_whole(tmp_path: Path) -> None:
    clips = six()
    got = admit(tmp_path, clips, [scores(c, 6.0 if n in (1, 4) else 5.99) for n, c in enumerate(clips)], least=2)
    assert got["kept"] == {clips[n]["clip_id"] for n in (0, 2, 3)} and got["words"] == {"go": 3}
    reasons = {i: (r["unit"], r["reason"], r["parent_id"]) for i, r in got["refused"].items()}
    assert reasons == {
        clips[1]["clip_id"]: ("clip", "policy", "s1"),
        clips[4]["clip_id"]: ("clip", "policy", "s1"),
        clips[5]["clip_id"]: ("clip", "word_rare", "s2"),
    }
    assert got["refused"][clips[1]["clip_id"]]["detail"] == "outlier 6 is not below 6"
    assert got["refused"][clips[5]["clip_id"]]["detail"] == "1 clips are left of its word after all gates, 2 are needed"
    ledger = got["success"]["ledger"]
    assert ledger["in"] == {"units": 3, "seconds": 3.0} and ledger["out"]["seconds"] == 1.5
    assert {r: a["seconds"] for r, a in ledger["rejected"].items()} == {"policy": 1.0, "word_rare": 0.5}
    assert got["success"]["metrics"]["kept_out"] == {"policy": 2} and got["success"]["metrics"]["rare_words"] == 1


def test_speakers_left_out_by_a_link_count_in_the_last_count_of_a_word(tmp_path: Path) -> None:
    """Two speakers of different splits turn out to be one: the clips of the loser go, and with them words that are then rare."""
    clips = [clip(n, f"w{n % 2}", f"s{n % 10:02d}") for n in range(20)]
    given = [scores(c, 0.0) for c in clips]
    first = admit(tmp_path / "a", clips, given, root=str(tmp_path / "warehouse"))
    split = {r: s for r, s in first["success"]["metrics"]["splits"].items() if s["clips"]}
    assert len(split) == 3 and first["words"] == {"w0": 10, "w1": 10}
    where = {c["clip_id"]: c for c in clips}
    parts: dict[str, set[str]] = {}
    folder = next((tmp_path / "a/out").glob("*/clip_splits-00000.parquet"))
    for row in pq.read_table(folder).to_pylist():
        parts.setdefault(row["split"], set()).add(row["speaker_id"])
    pair = (min(parts["train"]), min(parts["test"]))
    again = admit(tmp_path / "b", clips, given, root=str(tmp_path / "warehouse"), links=[tuple(sorted(pair))], least=10)
    lost = {c["word"] for c in clips if c["speaker_id"] == pair[0]}
    assert again["refused"][pair[0]]["reason"] == "split_conflict"
    assert set(again["words"]) == {"w0", "w1"} - lost and {where[i]["word"] for i in again["kept"]} == set(again["words"])
    assert {r["reason"] for i, r in again["refused"].items() if i in where} == {"word_rare"}


def test_what_was_let_in_stays_in_while_the_policy_is_the_same(tmp_path: Path) -> None:
    clips = six()
    given = [scores(c, 9.0 if n < 2 else 1.0) for n, c in enumerate(clips)]
    row = {"segment_id": clips[0]["clip_id"], "digest": "d", "shard": "s"}
    digest = SplitSpeakersParams(dataset="a", language="en", version="2026.01", root="", policy=POLICY).policy.digest
    for name, policy, kept in (("same", digest, 5), ("other", "0" * 64, 4)):
        got = admit(tmp_path / name, clips, given, parent={"rows": [row], "metrics": {"policy": policy}})
        assert len(got["kept"]) == kept and got["success"]["metrics"]["let_in_again"] == kept - 4
        assert clips[1]["clip_id"] not in got["kept"], "it was never released"


@pytest.mark.parametrize("what", ["clip_id", "sentence_id", "speaker_id"])
def test_a_takedown_is_for_good(tmp_path: Path, what: str) -> None:
    clips = six()
    gone = [c["clip_id"] for c in clips if c[what] == clips[0][what]]
    row = {"segment_id": clips[0]["clip_id"], "digest": "d", "shard": "s"}
    policy = POLICY | {"takedowns": [clips[0][what]]}
    digest = SplitSpeakersParams(dataset="a", language="en", version="2026.01", root="", policy=policy).policy.digest
    parent = {"rows": [row], "metrics": {"policy": digest}}
    got = admit(tmp_path, clips, [scores(c, 0.0) for c in clips], policy=policy, parent=parent)
    assert sorted(got["refused"]) == sorted(gone) and {r["reason"] for r in got["refused"].values()} == {"takedown"}


def test_a_takedown_that_matches_nothing_is_a_warning(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """One of a clip of any batch is none, though it was not cut or heard this time, nor one of a clip that was released."""
    clips = six()
    away = sentence("go on", b"not cut", "elsewhere", 4.0)
    released = {"segment_id": "f" * 64 + "-3", "digest": "d", "shard": "s"}
    known = ["s1", clips[0]["sentence_id"], clips[5]["clip_id"], "elsewhere", away["sentence_id"] + "-1", released["segment_id"]]
    wrong = ["nobody", away["sentence_id"] + "-2", away["sentence_id"] + "-0-2", away["sentence_id"] + "-go"]  # of two words
    got = admit(
        tmp_path, clips, [scores(c, 0.0) for c in clips[:5]], policy=POLICY | {"takedowns": [*wrong, *known]},
        parent={"rows": [released], "metrics": {}}, sentences=[away],
    )  # fmt: skip
    told = [w for w in got["success"]["metrics"]["warnings"] if w.startswith("takedown")]
    said = capfd.readouterr().err
    assert len(told) == 4 and all(f"'{entry}'" in line and line in said for entry, line in zip(wrong, told, strict=True))


def test_a_takedown_of_one_id_of_a_person_tells_of_the_others(tmp_path: Path) -> None:
    clips = six()
    runs = (("one", ["s0"], "'s1', 's2'"), ("known", ["not cut"], "'s0', 's1', 's2'"), ("all", ["s0", "s1", "s2"], ""))
    for name, gone, others in runs:
        links = [("s0", "s1"), ("s1", "s2"), ("not cut", "s0")]
        policy = POLICY | {"takedowns": gone}
        got = admit(tmp_path / name, clips, [scores(c, 0.0) for c in clips], policy=policy, links=links)
        told = [w for w in got["success"]["metrics"]["warnings"] if "the same person" in w]
        assert len(told) == bool(others) and all(f"takedown {gone[0]!r}: the same person is {others} too" in w for w in told)


@pytest.mark.parametrize("entry", ["", " s1", "s1\n"])
def test_a_takedown_that_can_name_nothing_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="can name nothing; write a clip_id, a sentence_id or a speaker_id"):
        WordsPolicy(takedowns=(entry,))


def test_a_clip_that_could_not_be_heard_has_been_accounted_for(tmp_path: Path) -> None:
    clips = six()
    got = admit(tmp_path, clips, [scores(c, 0.0) for c in clips[1:]])
    assert got["kept"] == {c["clip_id"] for c in clips[1:]} and not got["refused"]
    assert got["success"]["ledger"]["in"]["seconds"] == 2.5


def test_all_clips_kept_out_leaves_no_word(tmp_path: Path) -> None:
    got = admit(tmp_path, six(), [scores(c, 7.0) for c in six()])
    assert not got["kept"] and not got["words"] and len(got["refused"]) == 6


def test_scores_of_other_clips_and_missing_scores_are_errors(tmp_path: Path) -> None:
    clips = six()
    with pytest.raises(StageError, match="policy test bounds outlier"):
        admit(tmp_path / "none", clips, None)
    with pytest.raises(StageError, match="not in the order of clips"):
        admit(tmp_path / "order", clips, [scores(c, 0.0) for c in clips[::-1]])
    with pytest.raises(StageError, match="scores of clips that no input holds"):
        admit(tmp_path / "more", clips[:5], [scores(c, 0.0) for c in clips])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.sampled_from([0.0, 9.0, None])), min_size=1, max_size=30))
def test_every_clip_is_kept_or_refused_once(tmp_path_factory: pytest.TempPathFactory, made: list[tuple[int, int, Any]]) -> None:
    """None: without a score."""
    clips = [clip(n, f"w{w}", f"s{s}") for n, (w, s, _) in enumerate(made)]
    given = [scores(c, o) for c, (_, _, o) in zip(clips, made, strict=True) if o is not None]
    got = admit(tmp_path_factory.mktemp("p"), clips, given, least=2)
    present = {c["clip_id"] for c, (_, _, o) in zip(clips, made, strict=True) if o is not None}
    assert got["kept"] | set(got["refused"]) == present and not got["kept"] & set(got["refused"])
    assert all(n >= 2 for n in got["words"].values()), "no keyword is empty or under its minimum"
    assert json.loads(json.dumps(got["success"]["ledger"]))["in"]["seconds"] == pytest.approx(0.5 * len(present))
