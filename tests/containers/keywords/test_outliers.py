"""Scores of clips: planted errors in people's speech come out on top, each score says what it is for, nothing is lost."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from speech_rows import folder
from spoken import rows, stage

from keywords.embedding import distances, learn, robust_z, sample
from keywords.sounds import SIZE, listen

KNOWN = Path(__file__).parents[2] / "known_answers/outliers"
sys.path.insert(0, str(KNOWN))
from planted import KINDS, clips, flac, plant  # noqa: E402
from run import auc, row  # noqa: E402

RATE = 16_000


def word_like(level: float = 0.2, start: int = 5000, end: int = 11000, seed: int = 1) -> np.ndarray:
    """A second of quiet noise with a louder stretch that swells and falls; int16."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 0.0005, RATE)
    x[start:end] += rng.normal(0, level, end - start) * np.hanning(end - start)
    return np.round(np.clip(x, -1, 0.9999) * 32768).astype(np.int16)


def corpus(tmp_path: Path, found: list[Any], **given_: Any) -> tuple[str, list[str]]:
    """Clips as ``cut`` writes them: the folder, and their ids."""
    ids = [hashlib.sha256(c.name.encode()).hexdigest() + "-0" for c in found]
    audio = [
        {"clip_id": i, "opus": b"", "flac": flac(c.samples), "whole_opus": None, "whole_flac": None}
        for i, c in zip(ids, found, strict=True)
    ]
    clips_ = [row(c, i) | given_ for i, c in zip(ids, found, strict=True)]
    return folder(tmp_path / "in", {"clips": clips_, "clip_audio": audio}, stage="keywords.cut"), ids


def digits() -> list[Any]:
    found = clips({"fsdd": KNOWN / "data/fsdd"}, np.random.default_rng(5))
    assert len(found) >= 185
    return found


def test_planted_errors_score_worse_than_good_clips(tmp_path: Path) -> None:
    found = plant(digits(), np.random.default_rng(5))
    given_, ids = corpus(tmp_path, found)
    made = stage("outliers", tmp_path, {}, given_)
    scored = rows(made["output"], "clip_scores")
    assert [r["clip_id"] for r in scored] == ids
    outlier, error = np.array([r["outlier"] for r in scored]), np.array([c.error for c in found])
    good = outlier[error == ""]
    assert auc(outlier[error != ""], good) >= 0.9
    for kind in KINDS:
        assert auc(outlier[error == kind], good) >= 0.8, kind
    margin = np.array([r["margin"] for r in scored])
    assert auc(margin[error == "other word"], margin[error == ""]) >= 0.9
    assert all(r["alignment_z"] is None for r in scored)
    assert made["rows"]["clip_scores"] == len(found) and made["metrics"]["clips"] == len(found)


def test_the_order_of_clips_does_not_matter_to_a_small_corpus(tmp_path: Path) -> None:
    found = digits()[::4]
    one, other = (
        {r["clip_id"]: r for r in rows(stage("outliers", p, {}, corpus(p, f)[0])["output"], "clip_scores")}
        for p, f in ((tmp_path / "a", found), (tmp_path / "b", found[::-1]))
    )
    assert one.keys() == other.keys()
    assert all(one[i]["outlier"] == pytest.approx(other[i]["outlier"], rel=1e-3) for i in one)


def test_a_file_that_cannot_be_read_is_counted_and_the_rest_goes_on(tmp_path: Path) -> None:
    found = digits()[:20]
    ids = [f"{n:064x}-0" for n in range(20)]
    audio = [{"clip_id": i, "opus": b"", "flac": flac(c.samples)} for i, c in zip(ids, found, strict=True)]
    audio[3]["flac"] = b"no sound"
    both = {
        "clips": [row(c, i) for c, i in zip(found, ids, strict=True)],
        "clip_audio": [a | {"whole_opus": None, "whole_flac": None} for a in audio],
    }
    made = stage("outliers", tmp_path, {}, folder(tmp_path / "in", both, stage="keywords.cut"))
    assert len(rows(made["output"], "clip_scores")) == 19
    (lost,) = rows(made["output"], "rejections")
    assert (lost["id"], lost["reason"], lost["unit"]) == (ids[3], "audio_corrupt", "clip")


def test_no_clips_and_clips_in_another_order_are_said(tmp_path: Path) -> None:
    empty = folder(tmp_path / "none", {"clips": [], "clip_audio": []}, stage="keywords.cut")
    assert "no clips" in stage("outliers", tmp_path, {}, empty, code=99)["stderr"]
    found = digits()[:2]
    audio = [{"clip_id": i, "opus": b"", "flac": b"", "whole_opus": None, "whole_flac": None} for i in ("b-0", "a-0")]
    mixed = folder(
        tmp_path / "mixed", {"clips": [row(c, i) for c, i in zip(found, ("a-0", "b-0"), strict=True)], "clip_audio": audio}
    )
    assert "not in the order of clips" in stage("outliers", tmp_path, {}, mixed, code=1)["stderr"]


def test_one_word_or_one_clip_has_scores_all_the_same(tmp_path: Path) -> None:
    found = [c for c in digits() if c.word == "two"][:6]
    scored = rows(stage("outliers", tmp_path, {}, corpus(tmp_path, found)[0])["output"], "clip_scores")
    assert all(r["margin"] is None and r["distance"] is not None and np.isfinite(r["outlier"]) for r in scored)
    single, _ = corpus(tmp_path / "1", found[:1], score=-3.0)
    (alone,) = rows(stage("outliers", tmp_path / "1", {}, single)["output"], "clip_scores")
    assert (alone["margin"], alone["distance"], alone["alignment_z"], alone["outlier"]) == (None, None, 0.0, 0.0)


def test_a_bad_alignment_score_is_an_outlier(tmp_path: Path) -> None:
    found = digits()[:40]
    given_, ids = corpus(tmp_path, found)
    scores = np.random.default_rng(1).normal(-4, 0.2, 40)
    scores[7] = -9
    both = {"clips": [row(c, i) | {"score": s} for c, i, s in zip(found, ids, scores, strict=True)]}
    both["clip_audio"] = rows(given_, "clip_audio")
    made = stage("outliers", tmp_path, {}, folder(tmp_path / "scored", both, stage="keywords.cut"))
    scored = rows(made["output"], "clip_scores")
    assert min(scored, key=lambda r: r["alignment_z"])["clip_id"] == ids[7]
    assert scored[7]["alignment_z"] < -5 and scored[7]["outlier"] >= 5


def test_google_speech_commands_loudness_rule(tmp_path: Path) -> None:
    found = digits()[:10]
    for clip, mean in ((found[0], 0.0039), (found[1], 0.0041)):
        clip.samples = np.where(np.arange(RATE) % 2, mean, -mean)
    scored = rows(stage("outliers", tmp_path, {}, corpus(tmp_path, found)[0])["output"], "clip_scores")
    assert [r["gsc_quiet"] for r in scored[:2]] == [True, False]
    assert scored[0]["mean_abs"] == pytest.approx(0.0039, rel=0.02)


def test_each_level_says_what_it_is_for() -> None:
    good = listen(word_like(), 5000, 11000)
    assert listen(word_like(0.02), 5000, 11000).level_db == pytest.approx(good.level_db - 20, abs=0.3)
    assert listen(word_like(0.02), 5000, 11000).snr_db == pytest.approx(good.snr_db - 20, abs=1)
    assert listen(word_like(), 5000, 8000).edge_db > good.edge_db + 10  # the word goes on beyond the edge
    assert listen(word_like(), 8000, 14000).outside_db > 0 > good.outside_db + 20
    assert listen(np.zeros(RATE, np.int16), 5000, 11000).contour_db == 0 < 5 < good.contour_db
    padded = word_like()
    padded[:4000] = 0
    assert listen(padded, 5000, 11000, before=4000).snr_db == pytest.approx(good.snr_db, abs=1)  # padding is not its noise
    assert listen(padded, 5000, 11000).snr_db > good.snr_db + 20


@settings(max_examples=60, deadline=None)
@given(st.integers(-9000, 25_000), st.integers(1, 40_000), st.sampled_from([0, 1, 32767]), st.integers(0, 3))
def test_whatever_the_edges_a_clip_can_be_heard(start: int, length: int, peak: int, seed: int) -> None:
    end = max(start + length, 1)
    samples = np.random.default_rng(seed).integers(-peak, peak + 1, RATE).astype(np.int16)
    sound = listen(samples, min(start, RATE - 1), end)
    assert sound.vector.shape == (SIZE,) and np.isfinite(sound.vector).all()
    figures = (sound.level_db, sound.snr_db, sound.outside_db, sound.edge_db, sound.contour_db, sound.mean_abs)
    assert np.isfinite(figures).all()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=60), st.integers(1, 5), st.integers(1, 20))
def test_a_sample_takes_no_more_of_a_word_than_asked(words: list[int], per_word: int, in_all: int) -> None:
    word = np.array(words)
    chosen = sample(word, per_word, in_all, 1)
    assert len(set(chosen.tolist())) == len(chosen) <= in_all
    taken = np.bincount(word[chosen], minlength=6)
    assert (taken <= np.minimum(np.bincount(word, minlength=6), per_word)).all()
    if in_all >= len(words):
        assert np.array_equal(taken, np.minimum(np.bincount(word, minlength=6), per_word))


def test_distances_leave_the_clip_itself_out() -> None:
    points = np.array([[2.0, 0], [2, 0], [2, 1], [-2, 0], [-2, 0], [-2, 0]])
    word = np.array([0, 0, 0, 1, 1, 1])
    distance, margin = distances(points, word)
    assert distance[2] == pytest.approx(1 / np.sqrt(5))  # to (2, 0), not to the mean with itself
    assert margin[2] == pytest.approx((1 - np.sqrt(17)) / 1)
    moved = np.array([0, 0, 1, 1, 1, 1])  # the third is said to be the other word
    assert distances(points, moved)[1][2] > 0


def test_the_space_spreads_words_alike_in_all_directions() -> None:
    rng = np.random.default_rng(1)
    word = np.repeat(np.arange(10), 60)
    vectors = rng.normal(size=(10, 20))[word] * 5 + rng.normal(size=(600, 20)) * np.linspace(2, 6, 20)
    centre, matrix = learn(vectors, word)
    points = (vectors - centre) @ matrix
    inside = points - np.stack([points[word == w].mean(axis=0) for w in range(10)])[word]
    spread = inside.std(axis=0)
    assert spread.max() / spread.min() < 1.5


def test_robust_deviations_do_not_follow_what_is_far_out() -> None:
    word = np.repeat([0, 1], 50)
    value = np.concatenate([np.random.default_rng(1).normal(0, 1, 50), np.random.default_rng(2).normal(100, 10, 50)])
    value[0], value[60] = 1e6, np.nan
    z = robust_z(value, word)
    assert z[0] > 1000 and np.isnan(z[60])
    assert 0.7 < np.nanstd(z[1:50]) < 1.4 and 0.7 < np.nanstd(z[50:]) < 1.6
