"""Every recogniser keeps its interface's promises; model files are what their list says."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import tarfile
from pathlib import Path

import jiwer
import numpy as np
import pytest
from numpy.typing import NDArray

from align import models, moonshine_recognizer
from align.aligners import make_aligner
from align.models import Package, fetch
from align.moonshine_recognizer import spoken
from align.recognizer import Decoder
from align.recognizers import RECOGNIZERS, RecognizerParams, digest, make_recognizer
from align.sphinx_aligner import SphinxAligner
from stagekit.errors import StageError
from stagekit.tables import SAMPLE_RATE

Reading = tuple[NDArray[np.float32], list[str]]
WORST_WER = {"moonshine": 0.05, "pocketsphinx": 0.45}
"""Without the document. Measured on the two readings: 0 and 0; 0.41 and 0.18."""


@pytest.fixture(scope="module", params=sorted(name for name, (made, _) in RECOGNIZERS.items() if made))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def decoder(name: str) -> Decoder:
    return make_recognizer(name, "en").open()


def test_it_hears_what_is_said(name: str, decoder: Decoder, reading: Reading, speech_of_kennedy: Reading) -> None:
    for samples, words in (reading, speech_of_kennedy):
        assert jiwer.wer(" ".join(words), " ".join(decoder.transcribe(samples))) <= WORST_WER[name]


def test_words_have_times_in_order(decoder: Decoder, reading: Reading) -> None:
    samples, words = reading
    heard = decoder.hear(samples)
    assert [h.word for h in heard] == decoder.transcribe(samples)
    assert all(0 <= h.start_s <= h.end_s <= len(samples) / SAMPLE_RATE for h in heard)
    assert all(a.end_s <= b.start_s + 0.011 for a, b in zip(heard, heard[1:], strict=False))
    # The same audio, later: the times move with it.
    later = decoder.hear(np.concatenate([np.zeros(SAMPLE_RATE, np.float32), samples]))
    shift = [b.start_s - a.start_s for a, b in zip(heard, later, strict=False) if a.word == b.word]
    assert np.median(shift) == pytest.approx(1.0, abs=0.05)


def test_the_same_samples_give_the_same_words_whatever_came_before(decoder: Decoder, reading: Reading) -> None:
    samples = reading[0]
    first = decoder.hear(samples)
    decoder.hear(samples[: 3 * SAMPLE_RATE])
    assert decoder.hear(samples) == first


def test_nothing_makes_nothing(decoder: Decoder) -> None:
    for n in (0, 1, 399, 1599):
        assert decoder.hear(np.zeros(n, np.float32)) == decoder.transcribe(np.zeros(n, np.float32)) == []


def test_silence_and_noise_do_not_make_words_without_end(decoder: Decoder) -> None:
    noise = np.random.default_rng(1).normal(0, 0.05, 10 * SAMPLE_RATE).astype(np.float32)
    for samples in (np.zeros(10 * SAMPLE_RATE, np.float32), noise):
        assert len(decoder.transcribe(samples)) <= 70


def test_another_language_is_refused_by_name(name: str) -> None:
    with pytest.raises(StageError, match=rf"'{name}' knows en, not 'ru'"):
        make_recognizer(name, "ru")
    with pytest.raises(StageError, match="no recogniser 'hal'; there are: moonshine, pocketsphinx, torchaudio"):
        make_recognizer("hal", "en")


def test_alignment_refuses_what_a_recogniser_may_know() -> None:
    assert isinstance(make_aligner("moonshine", "en-GB", None), SphinxAligner)
    with pytest.raises(StageError, match="knows English only, not de; .*recognizer: torchaudio"):
        make_aligner("moonshine", "de", None)


def test_fingerprints_hold_the_model_files() -> None:
    assert {"moonshine", "tokenizer", "silero_vad"} <= set(digest(RecognizerParams()))
    assert "moonshine" not in digest(RecognizerParams(recognizer="pocketsphinx"))


def test_what_needs_torch_says_where_it_is() -> None:
    with pytest.raises(StageError, match="needs the environment with torch: .venvs/align-gpu, or the image align-gpu"):
        make_recognizer("torchaudio", "en")


def test_what_was_heard_becomes_words() -> None:
    assert spoken(" I don\u2019t -- \u201cknow\u201d. Mrs. Hall\u2026") == ["i", "don't", "know", "missus", "hall"]
    assert spoken(" ... ") == []


def package(folder: Path, content: bytes = b"weights") -> tuple[Package, Path]:
    archive = folder / "made.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        info = tarfile.TarInfo("package/model.onnx")
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    files = {"tiny/model.onnx": ("package/model.onnx", hashlib.sha256(content).hexdigest())}
    return Package("tiny", archive.as_uri(), sha256, "MIT", files), archive


def test_a_model_is_fetched_once_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPEECHMILL_MODELS", str(tmp_path / "models"))
    wanted, archive = package(tmp_path)
    with pytest.raises(StageError, match="model file is missing"):
        models.model_file("tiny/model.onnx")
    assert fetch(wanted) and not fetch(wanted)
    assert models.model_file("tiny/model.onnx").read_bytes() == b"weights"
    (tmp_path / "models/tiny/model.onnx").write_bytes(b"damaged")
    assert fetch(wanted, archive)
    assert models.model_file("tiny/model.onnx").read_bytes() == b"weights"


def test_a_package_that_is_not_the_expected_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPEECHMILL_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(models, "TRIES", 1)
    wanted, _ = package(tmp_path)
    for wrong, line in (
        (dataclasses.replace(wanted, sha256="0" * 64), "sha256 is .*, expected 0000"),
        (dataclasses.replace(wanted, url=(tmp_path / "nowhere").as_uri()), "nowhere.*get the file elsewhere"),
        (dataclasses.replace(wanted, files={"m": ("package/model.onnx", "1" * 64)}), "package/model.onnx: sha256"),
        (dataclasses.replace(wanted, files={"m": ("package/other.onnx", "1" * 64)}), "other.onnx"),
    ):
        with pytest.raises(StageError, match=line):
            fetch(wrong)
    assert not list((tmp_path / "models").rglob("*.onnx"))


def test_a_decoder_in_a_loop_hears_again_in_halves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: it writes one phrase without end wherever it gets more than six seconds."""
    lengths: list[int] = []

    def tokens(samples: NDArray[np.float32]) -> list[int]:
        lengths.append(len(samples) - 2 * moonshine_recognizer.PAD)
        return [0] if lengths[-1] > 6 * SAMPLE_RATE else [len(lengths)]

    monkeypatch.setattr(moonshine_recognizer, "_tokens", tokens)
    monkeypatch.setattr(moonshine_recognizer, "_text", lambda ids: "of the town " * 9 if ids == [0] else f"piece {ids[0]:x}")
    samples = np.ones(12 * SAMPLE_RATE, np.float32)
    samples[5 * SAMPLE_RATE : 5 * SAMPLE_RATE + 1600] = 0  # where the first cut belongs
    heard = moonshine_recognizer.MoonshineDecoder().transcribe(samples)
    assert lengths[:2] == [12 * SAMPLE_RATE, 5 * SAMPLE_RATE + 800]
    assert "town" not in heard and heard.count("piece") == len(lengths) - lengths.count(12 * SAMPLE_RATE) - 1
    assert sum(lengths[1:2] + lengths[3:]) == 12 * SAMPLE_RATE, "every sample is heard once in the end"


@pytest.mark.parametrize(("longest_s", "heard", "times"), [(8, ["piece", "piece"], 3), (6, ["piece"], 3), (0, [], 3)])
def test_a_decoder_that_writes_nothing_hears_again_in_halves_once(
    monkeypatch: pytest.MonkeyPatch, longest_s: int, heard: list[str], times: int
) -> None:
    """Planted: it writes nothing of what is longer. The halves have 5.05 and 6.95 s."""
    lengths: list[int] = []

    def tokens(samples: NDArray[np.float32]) -> list[int]:
        lengths.append(len(samples) - 2 * moonshine_recognizer.PAD)
        return [lengths[-1]]

    monkeypatch.setattr(moonshine_recognizer, "_tokens", tokens)
    monkeypatch.setattr(moonshine_recognizer, "_text", lambda ids: "piece" if ids[0] <= longest_s * SAMPLE_RATE else "")
    samples = np.ones(12 * SAMPLE_RATE, np.float32)
    samples[5 * SAMPLE_RATE : 5 * SAMPLE_RATE + 1600] = 0
    assert moonshine_recognizer.MoonshineDecoder().transcribe(samples) == heard and len(lengths) == times


def test_what_stays_a_loop_in_the_shortest_piece_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moonshine_recognizer, "_tokens", lambda samples: [len(samples)])
    monkeypatch.setattr(moonshine_recognizer, "_text", lambda ids: "of the town " * 9)
    heard = moonshine_recognizer.MoonshineDecoder().transcribe(np.ones(7 * SAMPLE_RATE, np.float32))
    assert heard == "of the town".split() * 18
