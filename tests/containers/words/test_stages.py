"""Both stages on real voices with known times, and on everything that can be wrong with a clip or its text.

The corpus is spoken digits, each said alone by one of many people, joined with the noise of their own rooms between them: the
level alone says where words begin and end (tests/known_answers/words).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from sentence_rows import RATE, sentence, wav, write_folder
from word_corpora import Utterance, digits

from words.model import Model

REPO = Path(__file__).resolve().parents[3]
ENV = {**os.environ, "PYTHONPATH": os.pathsep.join(str(REPO / "containers" / p) for p in ("stagekit", "words"))}
SMALL = {"shift_ms": 10, "leaves": 60, "gaussians": 600}


def command(stage: str, inputs: list[str], out: Path, params: dict[str, Any], workers: int = 2) -> list[str]:
    made = [sys.executable, "-m", "words", stage, "--output", str(out), "--params", json.dumps(params), "--quiet"]
    made += ["--workers", str(workers), "--receipt", str(out / f"{stage}.json")]
    for uri in inputs:
        made += ["--input", uri]
    return made


@dataclass(frozen=True)
class Output:
    """What a stage wrote."""

    folder: Path
    success: dict[str, Any]

    def rows(self, table: str) -> list[dict[str, Any]]:
        return pq.read_table(self.folder / f"{table}-00000.parquet").to_pylist()  # type: ignore[no-any-return]


def run(stage: str, inputs: list[str], out: Path, params: dict[str, Any] | None = None, workers: int = 2) -> Output:
    line = command(stage, inputs, out, params or {}, workers)
    done = subprocess.run(line, env=ENV, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    folder = Path(json.loads((out / f"{stage}.json").read_text())["output"])
    return Output(folder, json.loads((folder / "_SUCCESS.json").read_text()))


def fails(stage: str, inputs: list[str], out: Path, params: dict[str, Any] | None = None) -> str:
    done = subprocess.run(command(stage, inputs, out, params or {}), env=ENV, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and not list(out.glob("*/_SUCCESS.json"))
    return done.stderr


@dataclass(frozen=True)
class Corpus:
    """Sentences with known times, a model learned from them, and its answers."""

    utterances: list[Utterance]
    folder: Path
    trained: Output
    aligned: Output

    def words(self) -> dict[str, list[dict[str, Any]]]:
        out: dict[str, list[dict[str, Any]]] = {}
        for row in self.aligned.rows("sentence_words"):
            out.setdefault(row["sentence_id"], []).append(row)
        return out


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    base = tmp_path_factory.mktemp("digits")
    utterances = digits(60)
    folder = write_folder(base / "in", [(u.row(), u.audio) for u in utterances])
    trained = run("train", [str(folder)], base / "model", SMALL)
    aligned = run("align", [str(folder), f"model={trained.folder}"], base / "out")
    assert not aligned.success["ledger"]["rejected"]
    return Corpus(utterances, folder, trained, aligned)


def test_words_are_found_where_they_were_said(corpus: Corpus) -> None:
    words = corpus.words()
    starts, ends = [], []
    for u in corpus.utterances:
        rows = words[u.id]
        assert [r["word"] for r in rows] == u.text.split() and [r["index"] for r in rows] == list(range(len(rows)))
        for row, (start, end) in zip(rows, u.truth, strict=True):
            starts.append(row["start_s"] - start)
            ends.append(row["end_s"] - end)
            assert u.text[row["char_start"] : row["char_end"]] == row["word_raw"] == row["word"]
            assert 0 <= row["start_s"] <= row["end_s"] <= u.duration_s
            assert row["phones"][0]["start_s"] == row["start_s"] and row["phones"][-1]["end_s"] == row["end_s"]
            assert [p["phone"] for p in row["phones"]] == list(row["word"])
        assert all(a["end_s"] <= b["start_s"] for a, b in zip(rows, rows[1:], strict=False))
    assert np.median(np.abs(starts)) < 0.03 and np.median(np.abs(ends)) < 0.07
    assert np.mean(np.abs(starts) < 0.1) > 0.8 and np.mean(np.abs(ends) < 0.1) > 0.7


def test_the_ledger_adds_up(corpus: Corpus) -> None:
    for output in (corpus.trained, corpus.aligned):
        ledger = output.success["ledger"]
        assert ledger["in"]["units"] == len(corpus.utterances)
        assert ledger["in"]["seconds"] == pytest.approx(sum(u.duration_s for u in corpus.utterances), abs=1e-3)


def test_a_model_is_two_plain_files_and_is_the_same_whatever_the_workers(corpus: Corpus, tmp_path: Path) -> None:
    files = {p.name for p in (corpus.trained.folder / "model").iterdir()}
    assert files == {"model.json", "model.npz"}
    with np.load(corpus.trained.folder / "model/model.npz", allow_pickle=False) as arrays:
        assert all(a.dtype != object for a in arrays.values())
    again = run("train", [str(corpus.folder)], tmp_path, SMALL, workers=1)
    for name in files:
        assert (again.folder / "model" / name).read_bytes() == (corpus.trained.folder / "model" / name).read_bytes(), name
    assert not list(tmp_path.glob(".work-*")), "checkpoints go when training is over"


def test_a_killed_training_goes_on_from_its_last_round_and_ends_the_same(corpus: Corpus, tmp_path: Path) -> None:
    process = subprocess.Popen(command("train", [str(corpus.folder)], tmp_path, SMALL), env=ENV, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 200
    while not list(tmp_path.glob(".work-*/plain-00[3-9].npz")) and time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = sorted(p.name for p in tmp_path.glob(".work-*/*.npz"))
    assert kept and not list(tmp_path.glob("*/_SUCCESS.json"))
    loud = [part for part in command("train", [str(corpus.folder)], tmp_path, SMALL) if part != "--quiet"]
    again = subprocess.run(loud, env=ENV, capture_output=True, text=True, check=True)
    phase, number = kept[-1].removesuffix(".npz").split("-")
    assert f"goes on after {phase} round {int(number)}" in again.stderr
    folder = Path(json.loads((tmp_path / "train.json").read_text())["output"])
    for name in ("model.json", "model.npz"):
        assert (folder / "model" / name).read_bytes() == (corpus.trained.folder / "model" / name).read_bytes()


def test_a_wrong_text_scores_lower(corpus: Corpus, tmp_path: Path) -> None:
    swapped = []
    for a, b in zip(corpus.utterances[:30], corpus.utterances[30:], strict=True):
        text = " ".join({"nine": "six"}.get(w, "nine") for w in b.text.split()) if a.text == b.text else b.text
        swapped.append((sentence(text, a.audio, a.speaker, a.duration_s), a.audio))
    folder = write_folder(tmp_path / "in", swapped)
    wrong = run("align", [str(folder), f"model={corpus.trained.folder}"], tmp_path / "out", {"unaligned": 1000.0})
    said = {row["sentence_id"]: u.text.split() for (row, _), u in zip(swapped, corpus.utterances[:30], strict=True)}
    found = wrong.rows("sentence_words")
    bad = np.array([r["score"] for r in found if r["word"] != said[r["sentence_id"]][r["index"]]])
    good = np.array([r["score"] for rows in corpus.words().values() for r in rows])
    auc = (good[:, None] > bad[None]).mean()
    assert auc > 0.9, auc


def test_what_cannot_be_aligned_is_counted_with_its_reason(corpus: Corpus, tmp_path: Path) -> None:
    good = corpus.utterances[0]
    noise = np.random.default_rng(1).normal(0, 0.05, 4 * RATE)
    silence, short = wav(np.zeros(2 * RATE)), wav(noise[: RATE // 20])
    broken = b"RIFF" + b"not a frame" * 40
    rows: dict[str, list[tuple[dict[str, Any], bytes | None]]] = {
        "sentence_empty": [(sentence("…", good.audio, "a", good.duration_s, tokens=[]), good.audio)],
        "no_audio": [(sentence(good.text, b"none", "b", 1.0), None)],
        "audio_corrupt": [(sentence(good.text, broken, "c", 1.0), broken)],
        "audio_silent": [(sentence(good.text, silence, "e", 2.0), silence)],
        "audio_too_long": [(sentence(good.text, good.audio, "f", good.duration_s + 4000), good.audio)],
        "unaligned": [
            (sentence("seven " * 9, short, "g", 0.05), short),
            (sentence(good.text, wav(noise), "h", 4.0), wav(noise)),
        ],
    }
    folder = write_folder(tmp_path / "in", [(good.row(), good.audio), *(r for some in rows.values() for r in some)])
    done = run("align", [str(folder), f"model={corpus.trained.folder}"], tmp_path / "out", {"unaligned": 4.0})
    reasons: dict[str, int] = {}
    for row in done.rows("rejections"):
        reasons[row["reason"]] = reasons.get(row["reason"], 0) + 1
        assert len(row["detail"]) > 8
    assert reasons == {reason: len(some) for reason, some in rows.items()}
    assert {r["sentence_id"] for r in done.rows("sentence_words")} == {good.id}


def test_odd_words_are_aligned_and_say_what_is_odd(corpus: Corpus, tmp_path: Path) -> None:
    one = corpus.utterances[1]
    first, *rest = one.text.split()
    texts = {
        "unknown letters": " ".join(["жук", *rest]),
        "another script among them": " ".join([first + "中", *rest]),
        "digits": " ".join(["7", *rest]),
        "nothing that sounds": " ".join(["'", *rest]),
        "one letter": " ".join([first[0], *rest]),
        "decomposed, marks the model never saw": unicodedata.normalize("NFD", " ".join([first.replace("e", "é"), *rest])),
    }
    clips = []
    for name, text in texts.items():
        pieces, at = [], 0
        for piece in text.split(" "):
            pieces.append({"word": piece, "char_start": at, "char_end": at + len(piece)})
            at += len(piece) + 1
        clips.append((sentence(text, one.audio + name.encode(), name, one.duration_s, tokens=pieces), one.audio))
    folder = write_folder(tmp_path / "in", clips)
    done = run("align", [str(folder), f"model={corpus.trained.folder}"], tmp_path / "out", {"unaligned": 1000.0})
    rows = {(r["sentence_id"], r["index"]): r for r in done.rows("sentence_words")}
    assert len(rows) == 5 * len(clips)
    faults = {name: rows[row["sentence_id"], 0]["fault"] for name, (row, _) in zip(texts, clips, strict=True)}
    assert faults["unknown letters"] == faults["digits"] == faults["nothing that sounds"] == "no_pronunciation"
    assert faults["one letter"] in (None, "low_score", "too_long"), "a word of one letter is a word"
    marked = next(row for name, (row, _) in zip(texts, clips, strict=True) if name.startswith("decomposed"))
    assert "<other>" not in [p["phone"] for p in rows[marked["sentence_id"], 0]["phones"]]
    for (row, _), name in zip(clips, texts, strict=True):
        later = [rows[row["sentence_id"], k] for k in range(1, 5)]
        off = [abs(r["start_s"] - right["start_s"]) for r, right in zip(later, corpus.words()[one.id][1:], strict=True)]
        assert np.median(off) < 0.08, f"{name}: the other words stay where they are ({off})"


def test_three_minutes_in_one_piece(corpus: Corpus, tmp_path: Path) -> None:
    from stagekit.audio import decode

    parts, texts, truth, at, k = [], [], [], 0.0, 0
    while at < 180:
        u = corpus.utterances[k % 60]
        path = tmp_path / f"{k}.wav"
        path.write_bytes(u.audio)
        x = decode(path)
        parts.append(x)
        texts.append(u.text)
        truth += [(at + a, at + b) for a, b in u.truth]
        at += len(x) / RATE
        k += 1
    audio = wav(np.concatenate(parts))
    folder = write_folder(tmp_path / "in", [(sentence(" ".join(texts), audio, "long", at), audio)])
    done = run("align", [str(folder), f"model={corpus.trained.folder}"], tmp_path / "out")
    off = [abs(r["start_s"] - t[0]) for r, t in zip(done.rows("sentence_words"), truth, strict=True)]
    assert np.median(off) < 0.04


def test_defect_02_training_refuses_what_it_cannot_learn_from(corpus: Corpus, tmp_path: Path) -> None:
    few = write_folder(tmp_path / "few", [(u.row(), u.audio) for u in corpus.utterances[:24]])
    assert "24 usable sentences; training needs 25" in fails("train", [str(few)], tmp_path / "a", SMALL)
    assert "no model" in fails("align", [str(few)], tmp_path / "b")
    assert "no model/model.json" in fails("align", [str(few), f"model={few}"], tmp_path / "c")


def test_training_survives_a_third_of_wrong_texts_and_counts_what_it_cannot_use(corpus: Corpus, tmp_path: Path) -> None:
    wrong = {u.id: v.text for u, v in zip(corpus.utterances[:18], corpus.utterances[18:36], strict=True)}
    clips = []
    for u in corpus.utterances:
        row = sentence(wrong.get(u.id, u.text), u.audio, u.speaker, u.duration_s)
        clips.append((row | {"sentence_id": u.id}, u.audio))
    unusable = {
        "sentence_empty": (sentence("…", u.audio, "a", 1.0, tokens=[]), u.audio),
        "no_audio": (sentence("one", b"none", "b", 1.0), None),
        "audio_corrupt": (sentence("one", b"RIFF not a clip", "c", 1.0), b"RIFF not a clip"),
        "audio_silent": (sentence("one", wav(np.zeros(RATE)), "d", 1.0), wav(np.zeros(RATE))),
        "audio_too_long": (sentence("one", u.audio, "e", 61.0), u.audio),
        "unaligned": (sentence("seven " * 9, wav(np.full(RATE // 20, 0.1)), "f", 0.05), wav(np.full(RATE // 20, 0.1))),
    }
    folder = write_folder(tmp_path / "in", [*clips, *unusable.values()])
    trained = run("train", [str(folder)], tmp_path / "model", SMALL)
    reasons = {r["id"]: r["reason"] for r in trained.rows("rejections")}
    assert {reason: reasons[row["sentence_id"]] for reason, (row, _) in unusable.items()} == {r: r for r in unusable}
    aligned = run("align", [str(corpus.folder), f"model={trained.folder}"], tmp_path / "out", {"unaligned": 1000.0})
    truth = {u.id: u.truth for u in corpus.utterances}
    off = [abs(r["start_s"] - truth[r["sentence_id"]][r["index"]][0]) for r in aligned.rows("sentence_words")]
    assert np.median(off) < 0.05 and np.mean(np.array(off) < 0.1) > 0.8


def test_a_lexicon_names_the_sounds(corpus: Corpus, tmp_path: Path) -> None:
    lexicon = tmp_path / "digits.dict"
    lexicon.write_text(
        "zero Z IH R OW\none W AH N\ntwo T UW\nthree TH R IY\nfour F AO R\nfive F AY V\nsix S IH K S\nseven S EH V AH N\n"
        "eight EY T\nnine N AY N\n"
    )
    trained = run("train", [str(corpus.folder)], tmp_path / "model", SMALL | {"lexicon": str(lexicon)})
    assert set(Model.load(trained.folder / "model").speller.units) >= {"AY", "S", "TH"}
    aligned = run("align", [str(corpus.folder), f"model={trained.folder}"], tmp_path / "out")
    phones = {r["word"]: [p["phone"] for p in r["phones"]] for r in aligned.rows("sentence_words")}
    assert phones["six"] == ["S", "IH", "K", "S"]


def test_a_sample_is_trained_on_and_the_rest_is_kept(corpus: Corpus, tmp_path: Path) -> None:
    hours = sum(u.duration_s for u in corpus.utterances) / 3600
    done = run("train", [str(corpus.folder)], tmp_path, SMALL | {"max_hours": hours / 2})
    assert 25 <= done.success["metrics"]["sentences"] + done.success["metrics"]["left_out"] <= 33
    assert done.success["ledger"]["in"]["units"] == 60
