"""The torchaudio recogniser behind its interface, and the stage with it: many recordings in batches, heard as one at a time."""

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
from conftest import DATA, Saved
from numpy.typing import NDArray

from align.ctc.checkpoint import Choice
from align.ctc.greedy import greedy
from align.ctc.tokens import Tokens
from align.hear import find_speech, hear
from align.recognizers import RecognizerParams, digest, make_recognizer
from align.torchaudio_recognizer import CtcDecoder
from stagekit.audio import decode, open_pcm
from stagekit.errors import StageError
from stagekit.folder import TableWriter
from stagekit.tables import TABLES

REPO = Path(__file__).resolve().parents[3]
RATE = 16_000


@pytest.fixture(scope="module")
def decoder(saved: Saved) -> Any:
    return make_recognizer("torchaudio", "en", Choice(str(saved.path), saved.sha256)).open()


def test_words_have_times_in_order(decoder: CtcDecoder, reading: NDArray[np.float32]) -> None:
    heard = decoder.hear(reading)
    assert heard and [h.word for h in heard] == decoder.transcribe(reading)
    assert all(0 <= h.start_s <= h.end_s <= len(reading) / RATE and h.score is not None and h.score <= 0 for h in heard)
    assert all(a.end_s <= b.start_s for a, b in zip(heard, heard[1:], strict=False))
    assert decoder.hear(reading) == heard
    for n in (0, 1, 399):
        assert decoder.hear(np.zeros(n, np.float32)) == []


@pytest.mark.parametrize("saved", ["layer"], indirect=True)
def test_it_is_told_of_the_document_if_asked(saved: Saved, decoder: CtcDecoder, reading: NDArray[np.float32]) -> None:
    """Random weights hear letters at random: of a document's words, the ones that such letters spell are preferred."""
    choice = Choice(str(saved.path), saved.sha256)
    document = [w.word for w in decoder.hear(reading)][:40]
    told, alone = (make_recognizer("torchaudio", "de", choice, biases) for biases in (True, False))
    assert told.biases and not alone.biases
    heard = told.biased(document).hear(reading)
    assert alone.biased(document).transcribe(reading) == decoder.transcribe(reading)
    known = [h.word in document for h in heard]
    other = told.biased(["zzz"]).transcribe(reading)
    assert np.mean(known) > np.mean([w in document for w in other]) and all(h.end_s >= h.start_s for h in heard)


def test_greedy_writes_what_the_frames_say() -> None:
    tokens = Tokens.of(["-", "|", *"abc"])
    likely = "||aa-ab|-|c--c|"
    log_probs = np.full((len(likely), 5), -9.0, np.float32)
    for t, label in enumerate(likely):
        log_probs[t, tokens.labels.index(label)] = -0.1 * t
    found = greedy(log_probs, tokens)
    assert [(s.word, s.start, s.end) for s in found] == [("aab", 2, 7), ("cc", 10, 14)]
    assert found[1].score == pytest.approx(-1.15)


@pytest.mark.parametrize("saved", ["layer"], indirect=True)
def test_the_stage_hears_many_recordings_as_it_would_each_alone(saved: Saved, decoder: CtcDecoder, tmp_path: Path) -> None:
    fetched = tmp_path / "fetched"
    fetched.mkdir()
    readings = sorted((DATA / "librispeech").glob("*.flac"))[:2]
    sounds = {"a": decode(readings[0]), "b": np.zeros(2 * RATE, np.float32), "c": decode(readings[1])[: 6 * RATE]}
    tables = {name: TableWriter(fetched, TABLES[name], 0) for name in ("recordings", "documents")}
    for name, samples in sounds.items():
        path = fetched / f"{name}.wav"
        soundfile.write(path, samples, RATE, subtype="PCM_16")
        tables["recordings"].write({
            "recording_id": name, "uri": str(path), "bytes": path.stat().st_size, "duration_s": len(samples) / RATE,
            "samples": len(samples), "sample_rate": RATE, "channels": 1, "codec": "pcm_s16le", "container": "wav",
            "bit_rate": None, "fingerprint": [],
        })  # fmt: skip
        tables["documents"].write({
            "document_id": f"doc-{name}", "recording_id": name, "language": "en", "text_language": "en",
            "text_language_score": 1.0, "caption_kind": "txt", "caption_provenance": "human", "provenance_evidence": "test",
            "caption_raw": "one", "text": "one", "tokens": [{"word": "one", "char_start": 0, "char_end": 3}],
        })  # fmt: skip
    for table in tables.values():
        table.close()
    (fetched / "_SUCCESS.json").write_text(json.dumps({"fingerprint": "made-by-hand", "files": {}}))
    files = {p.name: {"sha256": "0", "bytes": 0} for p in fetched.glob("*.parquet")}
    (fetched / "_SUCCESS.json").write_text(json.dumps({"fingerprint": "made-by-hand", "files": files}))
    params = {"recognizer": "torchaudio", "model": str(saved.path), "model_sha256": saved.sha256}
    path = os.pathsep.join(str(REPO / "containers" / p) for p in ("stagekit", "align"))
    command = [sys.executable, "-m", "align", "recognize", "--input", str(fetched), "--output", str(tmp_path / "out")]
    command += ["--params", json.dumps(params), "--receipt", str(tmp_path / "receipt.json"), "--workers", "1", "--quiet"]
    env = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    out = Path(json.loads((tmp_path / "receipt.json").read_text())["output"])
    rows = [r for f in sorted(out.glob("hypotheses-*.parquet")) for r in pq.read_table(f).to_pylist()]
    for name in ("a", "c"):
        with open_pcm(fetched / f"{name}.wav") as pcm:
            want = hear(pcm, find_speech(pcm)[1], decoder)
        mine = [r for r in rows if r["document_id"] == f"doc-{name}"]
        assert {r["kind"] for r in mine} == {"open"} and [r["index"] for r in mine] == list(range(len(mine)))
        # Here each piece is given a second of context on both sides; alone it begins and ends in silence.
        assert len(mine) == pytest.approx(len(want), rel=0.5) and mine[-1]["end_s"] <= len(sounds[name]) / RATE
    rejected = [r for f in out.glob("rejections-*.parquet") for r in pq.read_table(f).to_pylist()]
    assert [(r["id"], r["reason"]) for r in rejected] == [("doc-b", "no_speech")]
    assert not list(tmp_path.glob("align-recognize-*")), "decoded samples are gone"


def test_fingerprints_hold_the_model(saved: Saved) -> None:
    one = digest(RecognizerParams(recognizer="torchaudio", model=str(saved.path), model_sha256=saved.sha256))
    assert one["sha256"] == saved.sha256 and {"torch", "torchaudio", "silero_vad"} <= set(one)
    with pytest.raises(StageError, match="not pinned"):
        digest(RecognizerParams(recognizer="torchaudio", model=str(saved.path)))
    with pytest.raises(StageError, match="no model for 'ru' of its own"):
        make_recognizer("torchaudio", "ru")
