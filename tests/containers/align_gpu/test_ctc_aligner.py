"""Alignment with the CTC model that heard the recording: words where they were said, in a language that no other aligner knows.

The model has random weights, sharpened until it says something of its own at each sound. What it hears is its language: a text of
that is right, and a word that it does not hear there is wrong.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
import torch
from conftest import DATA, VOCABULARY, Saved, configuration, network
from numpy.typing import NDArray

from align.accept import CTC, accept
from align.aligners import make_aligner
from align.ctc.checkpoint import Choice, save_folder
from align.ctc.chunks import Geometry
from align.ctc.emissions import Emissions, Piece, by_document, packed, unpacked
from align.ctc.greedy import greedy
from align.ctc.tokens import Tokens
from align.ctc_aligner import CtcAligner, fitting, place_words
from align.language import letters_score
from align.place import TokenPlace
from align.recognizers import make_recognizer
from align.windows import Anchor, Window
from stagekit.audio import decode
from stagekit.errors import StageError
from stagekit.folder import TableWriter
from stagekit.tables import TABLES

REPO = Path(__file__).resolve().parents[3]
RATE = 16_000
TOKENS = Tokens.of(["-", "|", *"abcdefgh"])


def emission(likely: str) -> NDArray[np.float32]:
    """Frames that say one token each."""
    out = np.full((len(likely), len(TOKENS)), -12.0, np.float32)
    out[np.arange(len(likely)), [TOKENS.labels.index(c) for c in likely]] = -1e-4
    return out


def test_words_lie_where_their_letters_are() -> None:
    placed = place_words(emission("--a-bb-||c-d--|-ee-f"), TOKENS, ["ab", "cd", "ef"], {})
    assert [(p.index, p.start, p.end) for p in placed] == [(0, 2, 6), (1, 9, 12), (2, 16, 20)]
    assert all(p.score == pytest.approx(0.0, abs=1e-3) for p in placed)
    assert [n for _, n in placed[0].letters] == [1, 2]


@pytest.mark.parametrize("anchors", [{}, {0: 2, 2: 17}])
def test_what_nobody_said_pushes_nothing_aside(anchors: dict[int, int]) -> None:
    """A word too many in the text, and speech too much in the sound."""
    placed = place_words(emission("--a-bb-||ccddgahc|hgcd||e-f--"), TOKENS, ["ab", "hhhh", "ef"], anchors)
    assert [(p.index, p.start, p.end) for p in placed if p.index != 1] == [(0, 2, 6), (2, 24, 27)]
    wrong = placed[1]
    assert wrong.index == 1 and 6 <= wrong.start < wrong.end <= 24 and wrong.score < CTC.min_score


def test_a_model_without_a_separator_aligns_too() -> None:
    tokens = Tokens.of(["-", *"abcdef"])
    likely = emission("--a-bb--c-d--")[:, [0, 2, 3, 4, 5, 6, 7]]
    assert [(p.start, p.end) for p in place_words(likely, tokens, ["ab", "", "cd"], {})] == [(2, 6), (8, 11)]
    assert place_words(likely, tokens, ["", "\u4e00"], {}) == [] and place_words(likely[:0], tokens, ["ab"], {}) == []
    assert place_words(likely[:3], tokens, ["abcdef"], {}) == [], "too few frames"


def test_of_words_between_two_heard_ones_as_many_are_tried_as_can_be_said() -> None:
    window = Window(0, 100, 0, 100, 0.0, 60.0, 0)
    known = {10: Anchor(10, 5.0, 5.4), 50: Anchor(50, 6.4, 6.8)}
    ids = list(range(100))
    kept = fitting(ids, [5] * 100, known, window)
    assert {10, 50} <= set(kept) and kept == sorted(kept)
    between = [i for i in kept if 10 < i < 50]
    assert 0 < len(between) * 5 <= 25 * 1.3 and between[:2] == [11, 12] and between[-2:] == [48, 49]
    assert kept[0] == 0 and kept[-1] == 99, "there is time for what stands before and after"


@pytest.fixture(scope="module")
def babbler(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """A checkpoint that says some letters, a blank or a separator at every frame, by what it hears."""
    config, path = configuration("layer", layers=2), tmp_path_factory.mktemp("babbler")
    model = network(config)
    samples = decode(DATA / "librispeech/19-198-0001.flac")
    with torch.inference_mode():
        wave = torch.from_numpy((samples - samples.mean()) / samples.std())[None]
        logits = model(wave)[0][0]
    scale = 6.0 / logits.std(0)
    model.aux.weight.data *= scale[:, None]
    model.aux.bias.data = (model.aux.bias.data - logits.mean(0)) * scale
    model.aux.bias.data[[VOCABULARY[s] for s in ("<s>", "</s>", "<unk>")]] = -1e3
    model.aux.bias.data[VOCABULARY["<pad>"]] += 6.0
    model.aux.bias.data[VOCABULARY["|"]] += 4.0
    return Saved(path, save_folder(path, config, VOCABULARY, model, normalize=True), config)


def test_scores_tell_exchanged_words_from_misheard_ones(babbler: Saved) -> None:
    """In noise the model hears other letters than in the clear, where what it heard became the text."""
    recognizer: Any = make_recognizer("torchaudio", "de", Choice(str(babbler.path), babbler.sha256))
    encoder = recognizer.encoder
    tokens, rng = encoder.tokens, np.random.default_rng(5)
    right, wrong, kept, heard = [], [], 0, 0
    said: list[float] = []
    unsaid: list[float] = []
    others: list[list[str]] = []
    for path in sorted((DATA / "librispeech").glob("*.flac"))[:8]:
        samples = decode(path)
        text = [s.word for s in greedy(encoder.emissions([samples])[0], tokens)]
        exchanged = set(range(2, len(text) - 2, 7))
        for i in exchanged:
            text[i] = "".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), max(2, len(text[i]))))
        noise = rng.standard_normal(len(samples)).astype(np.float32) * np.sqrt(np.mean(samples**2)) * 10 ** (-25 / 20)
        emission = unpacked(packed(encoder.emissions([samples + noise])[0]))
        for of, claimed in ((said, text), *((unsaid, other) for other in others[-1:])):
            score = letters_score(emission, tokens, claimed[: len(text)], "seed")
            of += [] if score is None else [score]
        others.append(text)
        found = greedy(emission, tokens)
        places = []
        for p in place_words(emission, tokens, text, {}):
            anchored = any(s.word == text[p.index] and abs(s.start - p.start) < 10 for s in found)
            places.append(TokenPlace(p.index, p.start * 0.02, p.end * 0.02, p.score, anchored))
            heard += anchored
            if len(text[p.index]) > 1:
                (wrong if p.index in exchanged else right).append(p.score)
        spans = [(i, i + 1) for i in range(len(text))]
        runs, _ = accept(places, text, spans, (CTC.min_score, CTC.min_score - CTC.heard_margin), 1, None, CTC)
        kept += sum(w.token in exchanged for run in runs for w in run)
    assert heard < 0.25 * len(right), "it mishears most of them"
    assert len(said) == 8 and len(unsaid) >= 3 and min(said) > max(unsaid), "a text that is said, and one of another reading"
    assert np.mean(np.array(right)[:, None] > np.array(wrong)) > 0.98
    assert np.quantile(right, 0.1) > CTC.least > np.quantile(wrong, 0.9) and kept <= 0.1 * len(wrong)


@pytest.fixture(scope="module")
def sound() -> NDArray[np.float32]:
    """Two readers with a pause between them."""
    gap = np.random.default_rng(0).normal(0, 1e-4, RATE).astype(np.float32)
    reading, other = decode(DATA / "librispeech/19-198-0001.flac"), decode(DATA / "librispeech/118-47824-0000.flac")
    return np.concatenate([gap, reading, gap, other, gap])


class Chain:
    """Stages by hand, on one recording with one text."""

    def __init__(self, base: Path, model: Saved, samples: NDArray[np.float32], language: str = "de") -> None:
        self.base, self.samples, self.language = base, samples, language
        self.model = {"model": str(model.path), "model_sha256": model.sha256}

    def fetched(self, name: str, text: str) -> Path:
        """A folder such as `ingest fetch` leaves."""
        folder = self.base / name
        folder.mkdir()
        path = folder / "a.wav"
        soundfile.write(path, self.samples, RATE, subtype="PCM_16")
        tokens, at = [], 0
        for word in text.split():
            tokens.append({"word": word, "char_start": at, "char_end": at + len(word)})
            at += len(word) + 1
        made: dict[str, dict[str, Any]] = {
            "recordings": {
                "recording_id": "a", "uri": str(path), "bytes": path.stat().st_size, "duration_s": len(self.samples) / RATE,
                "samples": len(self.samples), "sample_rate": RATE, "channels": 1, "codec": "pcm_s16le", "container": "wav",
                "bit_rate": None, "fingerprint": [],
            },
            "documents": {
                "document_id": "doc", "recording_id": "a", "language": self.language, "text_language": self.language,
                "text_language_score": 1.0, "caption_kind": "txt", "caption_provenance": "human", "provenance_evidence": "test",
                "caption_raw": text, "text": text, "tokens": tokens,
            },
        }  # fmt: skip
        for table, row in made.items():
            writer = TableWriter(folder, TABLES[table], 0)
            writer.write(row)
            writer.close()
        files = {p.name: {"sha256": "0", "bytes": 0} for p in folder.glob("*.parquet")}
        (folder / "_SUCCESS.json").write_text(json.dumps({"fingerprint": name, "files": files}))
        return folder

    def run(self, stage: str, inputs: list[Path]) -> Path:
        """A stage's folder: torch is there for the first only, and its model."""
        receipt = self.base / f"{stage}-{inputs[0].name}.json"
        first = stage == "recognize"
        params = {"recognizer": "torchaudio"} | (self.model if first else {})
        python = sys.executable if first else str(REPO / ".venvs/align/bin/python")
        command = [python, "-m", "align", stage, "--output", str(self.base / stage), "--receipt", str(receipt), "--quiet"]
        for folder in inputs:
            command += ["--input", str(folder)]
        path = os.pathsep.join(str(REPO / "containers" / p) for p in ("stagekit", "align"))
        env = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        command += ["--params", json.dumps(params), "--workers", "1"]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return Path(json.loads(receipt.read_text())["output"])

    def to_the_end(self, name: str, text: str) -> tuple[Path, Path]:
        """The folders of align and of score."""
        fetched = self.fetched(name, text)
        heard = self.run("recognize", [fetched])
        aligned = self.run("align", [fetched, heard])
        return aligned, self.run("score", [fetched, heard, aligned])


def rows(folder: Path, table: str) -> list[dict[str, Any]]:
    return [r for f in sorted(folder.glob(f"{table}-*.parquet")) for r in pq.read_table(f).to_pylist()]


def test_recognise_align_and_score_in_a_language_of_the_models_own(
    babbler: Saved, sound: NDArray[np.float32], tmp_path: Path
) -> None:
    """Words exchanged, words left out of the text and words that nobody says: the rest is kept, where it was heard."""
    chain = Chain(tmp_path, babbler, sound)
    heard = rows(chain.run("recognize", [chain.fetched("before", "x")]), "hypotheses")
    words = [h["word"] for h in heard]
    assert len(words) > 40 and len(set(words)) > 30
    rng, planted = np.random.default_rng(0), {}
    text = list(words)
    for i in range(12, len(words) - 5, 15):
        planted[i] = text[i] = "".join(rng.choice(list("abcdefghij"), max(4, len(words[i]))))
    # What lies after the exchanged words: five words that nobody says, and two that the text lacks.
    text[30:30] = ["qqqqq", "jjjjjj", "zzzzz", "wwwwww", "xqzjx"]
    del text[-4:-2]
    aligned, scored = chain.to_the_end("fetched", " ".join(text))
    segments, placed = rows(scored, "segments"), rows(aligned, "words")
    said = [w["word"] for w in placed]
    assert not {*planted.values(), "qqqqq", "jjjjjj", "zzzzz", "wwwwww", "xqzjx"} & set(said)
    assert len(said) > 0.6 * (len(words) - len(planted))
    by_word = {h["word"]: h for h in heard if words.count(h["word"]) == 1}
    apart = [abs(w["start_s"] - by_word[w["word"]]["start_s"]) for w in placed if w["word"] in by_word]
    assert len(apart) > 20 and np.median(apart) < 0.1 and max(apart) < 1.0
    for s in segments:
        assert s["language_score"] > 0.5 and s["alignment_score"] <= 0.0 and s["alignment_score_min"] > CTC.min_score
        assert s["cer"] is not None and s["language"] == "de"
    ledger = json.loads((aligned / "_SUCCESS.json").read_text())["ledger"]
    out = sum(s["speech_end_s"] - s["speech_start_s"] for s in segments)
    out += sum(r["end_s"] - r["start_s"] for r in rows(aligned, "rejections"))
    assert ledger["in"]["seconds"] == pytest.approx(out, abs=1e-3) == len(sound) / RATE


def test_a_text_of_something_else_leaves_nothing(babbler: Saved, sound: NDArray[np.float32], tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    text = " ".join("".join(rng.choice(list("abcdefghijkl"), rng.integers(2, 9))) for _ in range(80))
    aligned, scored = Chain(tmp_path, babbler, sound).to_the_end("fetched", text)
    assert rows(scored, "segments") == [] and {r["reason"] for r in rows(aligned, "rejections")} == {
        "silence", "transcript_not_found",
    }  # fmt: skip


def test_what_a_model_said_comes_back_as_it_was(babbler: Saved, sound: NDArray[np.float32]) -> None:
    """From the table: the words that it heard, log probabilities to a 64th of a nat, blanks where nothing was decoded."""
    recognizer: Any = make_recognizer("torchaudio", "de", Choice(str(babbler.path), babbler.sha256))
    encoder = recognizer.encoder
    emission = encoder.emissions([sound])[0]
    parts = (Piece(50, packed(emission[50:300])), Piece(300, packed(emission[300:420])), Piece(600, packed(emission[600:640])))
    made = Emissions(encoder.tokens, encoder.geometry, parts)
    back = by_document([{"document_id": "doc", **row} for row in made.rows()[::-1]])["doc"]
    assert (back.tokens, back.geometry) == (made.tokens, made.geometry)
    held = back.between(0, 700)
    below = emission - emission.max(1, keepdims=True)
    for a, b in ((50, 420), (600, 640)):
        assert (held[a:b].argmax(1) == emission[a:b].argmax(1)).all()
        assert np.abs(held[a:b] - np.maximum(below[a:b], held.min())).max() <= 1 / 32
        assert greedy(held[a:b], encoder.tokens)[0].word == greedy(emission[a:b], encoder.tokens)[0].word
    for a, b in ((0, 50), (420, 600), (640, 700)):
        assert (held[a:b, encoder.tokens.blank] == 0).all() and (np.delete(held[a:b], encoder.tokens.blank, 1) < -7.9).all()
    nothing = Emissions(encoder.tokens, encoder.geometry, ())
    assert len(by_document([{"document_id": "doc", **row} for row in nothing.rows()])["doc"].between(0, 9)) == 9
    stride, field = encoder.geometry.stride, encoder.geometry.field
    for start, end in ((0, field - 1), (0, field), (1, field + stride), (stride * 3, stride * 9 + field)):
        first, frames = back.inside(start, end)
        assert first * stride >= start and (first + len(frames) - 1) * stride + field <= max(end, first * stride + field - stride)
    assert len(back.inside(stride * 3, stride * 9 + field)[1]) == 7 and len(back.inside(40, 20)[1]) == 0


def test_without_what_the_model_said_it_is_told_so() -> None:
    with pytest.raises(StageError, match="no emissions of a document in the folder of recognize"):
        make_aligner("torchaudio", "ka", None)
    assert isinstance(make_aligner("torchaudio", "ka", Emissions(TOKENS, Geometry(320, 400), ())), CtcAligner)
