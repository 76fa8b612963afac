"""Sentences, their audio and their aligned words, for tests: times by hand, audio real or of known samples."""

from __future__ import annotations

import contextlib
import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import soundfile
from speech_rows import folder

from keywords.__main__ import STAGES
from stagekit.cli import load_stage
from stagekit.errors import EmptyInput, StageError
from stagekit.run import run_stage

REAL = Path(__file__).parents[1] / "ingest/data/common_voice"
RATE = 16_000
Times = list[tuple[str, float, float]]


def sentence(text: str, audio: bytes = b"", seconds: float = 4.0, **given: Any) -> dict[str, Any]:
    """A row of ``sentences``; its tokens are the words between blanks, lower case."""
    tokens, at = [], 0
    for word in text.split():
        start = text.index(word, at)
        at = start + len(word)
        tokens.append({"word": word.strip(".,?!").lower(), "char_start": start, "char_end": at})
    audio_id = hashlib.sha256(audio or text.encode()).hexdigest()
    row = {
        "sentence_id": hashlib.sha256(f"{audio_id}\n{text}".encode()).hexdigest(), "audio_id": audio_id, "source": "common_voice",
        "source_version": "6.1", "clip": "common_voice_en_1.mp3", "language": "en", "speaker_id": "speaker-1", "gender": "female",
        "age": "teens", "accent": None, "up_votes": 2, "down_votes": 0, "text_raw": text, "tokens": tokens,
        "origin": "spoken_alone" if len(tokens) == 1 else "cut", "duration_s": seconds, "samples": round(seconds * RATE),
        "codec": "mp3", "license_family": "cc0", "license_version": "1.0", "license_jurisdiction": None,
        "license_url": "https://creativecommons.org/publicdomain/zero/1.0/", "license_evidence": "test",
        "license_seen_at": "2026-11-01",
    }  # fmt: skip
    row.update(given)
    return row


def aligned(row: dict[str, Any], times: Times | None = None, **given: Any) -> list[dict[str, Any]]:
    """Rows of ``sentence_words``: the sentence's tokens at these times, or half a second each from 0.3 s on."""
    tokens = row["tokens"]
    when = [(s, e) for _, s, e in times] if times else [(0.3 + 0.5 * i, 0.7 + 0.5 * i) for i in range(len(tokens))]
    return [
        {
            "sentence_id": row["sentence_id"], "index": i, "char_start": t["char_start"], "char_end": t["char_end"],
            "word": t["word"], "word_raw": row["text_raw"][t["char_start"] : t["char_end"]], "start_s": s, "end_s": e,
            "score": -1.0, "fault": None, "phones": [], **given,
        }
        for i, (t, (s, e)) in enumerate(zip(tokens, when, strict=True))
    ]  # fmt: skip


def prepared(
    path: Path, sentences: list[dict[str, Any]], audio: list[bytes] | None = None, unfit: list[str] | None = None
) -> str:
    """A finished folder as ``ingest prepare`` makes it; its URI. ``unfit``: ids of words that are no keywords."""
    sounds = audio or [b""] * len(sentences)
    refused = [
        {
            "unit": "word", "id": i, "parent_id": i.partition("-")[0], "start_s": 0.0, "end_s": 0.0, "stage": "prepare",
            "reason": "foreign_characters", "detail": "test",
        }
        for i in unfit or []
    ]  # fmt: skip
    pairs = [{"sentence_id": s["sentence_id"], "audio": a} for s, a in zip(sentences, sounds, strict=True)]
    return folder(path, {"sentences": sentences, "sentence_audio": pairs, "rejections": refused}, stage="ingest.prepare")


def words(path: Path, rows_: list[dict[str, Any]]) -> str:
    return folder(path, {"sentence_words": rows_}, stage="words.align")


def stage(name: str, tmp_path: Path, params: dict[str, Any], *inputs: str, code: int = 0) -> dict[str, Any]:
    """Run a stage in this process to the end that its command would have (exit code 0, 1 or 99); its receipt, with the error."""
    one, said, ended, receipt = load_stage("keywords", STAGES, name), io.StringIO(), 0, dict[str, Any]()
    with contextlib.redirect_stderr(said):
        try:
            given = one.params.model_validate(params)
            receipt = run_stage(one, inputs, str(tmp_path / name), given, workers=0, quiet=True).receipt()
        except (StageError, EmptyInput) as error:
            ended = 1 if isinstance(error, StageError) else 99
            said.write(str(error))
    assert ended == code, said.getvalue()
    return {**receipt, "stderr": said.getvalue()}


def rows(folder_: str, table: str) -> list[dict[str, Any]]:
    files = sorted(Path(folder_.removeprefix("file://")).glob(f"{table}-*.parquet"))
    return [r for f in files for r in pq.read_table(f).to_pylist()]


def wav(samples: np.ndarray, rate: int = RATE) -> bytes:
    """16-bit samples as a WAV file."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


def noise(seconds: float, rate: int = RATE, seed: int = 1) -> np.ndarray:
    """Noise that is nowhere zero and nowhere the same: int16, shape (seconds × rate,)."""
    loud = np.random.default_rng(seed).integers(100, 4000, round(seconds * rate))
    return (loud * np.random.default_rng(seed + 1).choice([-1, 1], len(loud))).astype(np.int16)


def sound(data: bytes) -> tuple[np.ndarray, int]:
    """A file's samples as float64, and its rate."""
    samples, rate = soundfile.read(io.BytesIO(data))
    return samples, rate
