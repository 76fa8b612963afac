"""``refine``: times that are late, brief and on a grid become what the sound says; nothing else of a word changes."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from speech_rows import folder, recording, segment
from test_stages import SMALL, Output, fails, run
from word_corpora import digits

from words.boundaries import merged

GRID_S = 0.02


@dataclass(frozen=True)
class Corpus:
    """Segments with the times of a bad aligner, their true times by (segment, index), and what `refine` made of them."""

    inputs: list[str]
    words: list[dict[str, Any]]
    truth: dict[tuple[str, int], tuple[float, float]]
    lost: set[tuple[str, int]]
    refined: Output


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    base = tmp_path_factory.mktemp("segments")
    rng, rate = np.random.default_rng(0), 16_000
    tables: dict[str, list[dict[str, Any]]] = {"recordings": [], "segments": [], "words": []}
    truth: dict[tuple[str, int], tuple[float, float]] = {}
    lost = set()
    sounds: dict[str, list[Any]] = {}
    for n, u in enumerate(sorted(digits(60), key=lambda u: u.speaker)):
        samples, _ = soundfile.read(io.BytesIO(u.audio), dtype="float32")
        gap = rng.normal(0, 1e-3, rate // 2 + 37 * n).astype(np.float32)
        sound = sounds.setdefault(u.speaker, [])
        sound.append(gap)
        at = sum(map(len, sound)) / rate
        sound.append(samples)
        row = segment(f"d{u.speaker}", u.speaker, at, at + u.duration_s, u.text)
        tables["segments"].append(row)
        assert u.truth is not None
        char = 0
        for k, (word, (start, end)) in enumerate(zip(u.text.split(), u.truth, strict=True)):
            assert start is not None and end is not None
            late = start + rng.uniform(0.02, 0.10), end - rng.uniform(0.0, 0.08)
            if rng.random() < 0.05 and 0 < k < 4:
                late = late[1] - 0.03, late[1]
                if end - start > 0.33:
                    lost.add((row["segment_id"], k))
            a, b = (at + round(t / GRID_S) * GRID_S for t in late)
            truth[row["segment_id"], k] = (at + start, at + end)
            tables["words"].append({
                "segment_id": row["segment_id"], "index": k, "char_start": char, "char_end": char + len(word), "word": word,
                "word_raw": word, "start_s": a, "end_s": max(b, a + GRID_S), "score": -0.1 * k, "timed_by": "align",
            })  # fmt: skip
            char += len(word) + 1
    for name, parts in sounds.items():
        path = base / f"{name}.wav"
        soundfile.write(path, np.concatenate(parts), rate, subtype="PCM_16")
        tables["recordings"].append(recording(name, str(path), sum(map(len, parts))))
    fetched = folder(base / "fetched", {"recordings": tables["recordings"]}, stage="ingest.fetch")
    aligned = folder(base / "aligned", {t: tables[t] for t in ("segments", "words")}, stage="align.align")
    return Corpus([fetched, aligned], tables["words"], truth, lost, run("refine", [fetched, aligned], base / "out", SMALL))


def test_words_begin_nearer_to_the_truth(corpus: Corpus) -> None:
    """Of ends the truth, a level, says too little (word_corpora.edges)."""
    starts: dict[str, list[float]] = {"before": [], "after": []}
    for when, rows in (("before", corpus.words), ("after", corpus.refined.rows("words"))):
        for row in (r for r in rows if (r["segment_id"], r["index"]) not in corpus.lost):
            if row["index"] > 0:
                starts[when].append(abs(row["start_s"] - corpus.truth[row["segment_id"], row["index"]][0]))
    assert np.mean(starts["after"]) < 0.7 * np.mean(starts["before"])
    assert np.median(starts["after"]) < 0.5 * np.median(starts["before"])


def test_nothing_but_times_changes_and_the_outer_ones_stay(corpus: Corpus) -> None:
    after = corpus.refined.rows("words")
    assert len(after) == len(corpus.words)
    changing = ("start_s", "end_s", "timed_by")
    by_segment: dict[str, list[dict[str, Any]]] = {}
    for old, new in zip(corpus.words, after, strict=True):
        assert {k: v for k, v in old.items() if k not in changing} == {k: v for k, v in new.items() if k not in changing}
        by_segment.setdefault(new["segment_id"], []).append(new)
        if new["timed_by"] == "refine":
            assert abs(new["start_s"] - old["start_s"]) <= 0.2001 and abs(new["end_s"] - old["end_s"]) <= 0.2001
        if new["index"] == 0:
            assert new["start_s"] == old["start_s"]
        if new["index"] == 4:
            assert new["end_s"] == old["end_s"]
    for rows in by_segment.values():
        assert all(r["start_s"] < r["end_s"] for r in rows)
        assert all(a["end_s"] <= b["start_s"] + 1e-3 for a, b in zip(rows, rows[1:], strict=False))
    refined = [r for r in after if r["timed_by"] == "refine"]
    assert len(refined) > 0.7 * len(after) and corpus.refined.success["metrics"]["refined"] == len(refined)
    ledger = corpus.refined.success["ledger"]
    assert ledger["in"] == ledger["out"] and not ledger["rejected"]


def test_a_word_on_which_the_engines_disagree_keeps_its_times(corpus: Corpus) -> None:
    assert corpus.lost
    after = {(r["segment_id"], r["index"]): r for r in corpus.refined.rows("words")}
    assert np.mean([after[key]["timed_by"] == "align" for key in corpus.lost]) > 0.7


def test_workers_change_nothing(corpus: Corpus, tmp_path: Path) -> None:
    again = run("refine", corpus.inputs, tmp_path, SMALL, workers=1)
    assert again.rows("words") == corpus.refined.rows("words") and again.folder.name == corpus.refined.folder.name
    assert not list(tmp_path.glob(".work-*"))


def test_too_few_segments_pass_as_they_are(corpus: Corpus, tmp_path: Path) -> None:
    same = run("refine", corpus.inputs, tmp_path, SMALL | {"min_sentences": 61})
    assert same.rows("words") == corpus.words and "61" in same.success["metrics"]["unrefined"]
    assert "lexicon" in fails("refine", corpus.inputs, tmp_path / "other", {"lexicon": str(tmp_path / "lexicon")})


@given(st.lists(st.tuples(st.floats(0.02, 1), st.floats(0, 0.5)), min_size=1, max_size=8), st.data())
def test_two_engines_times_never_overlap(lengths: list[tuple[float, float]], data: st.DataObject) -> None:
    def row(pieces: list[tuple[float, float]]) -> Any:
        edges = np.cumsum([x for length, gap in pieces for x in (gap, length)])
        return edges.reshape(-1, 2)

    own = row(lengths)
    moves = st.tuples(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3))
    other = row([(max(0.011, a + data.draw(moves)[0]), max(0.0, b + data.draw(moves)[1])) for a, b in lengths])
    times, better = merged(own, other, 0.2)
    assert (times[1:, 0] >= times[:-1, 1] - 1e-9).all() and (times[:, 1] - times[:, 0] > 0.009).all()
    assert times[0, 0] == own[0, 0] and times[-1, 1] == own[-1, 1]
    untouched = ~better & ~np.append(better[1:], False) & ~np.append(False, better[:-1])
    assert (times[untouched] == own[untouched]).all()
