"""Sentences with their audio as a stage would have written them: for tests of the word aligners."""

from __future__ import annotations

import hashlib
import io
import json
import wave
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from stagekit.folder import TableWriter
from stagekit.inputs import SUCCESS
from stagekit.storage import sha256_file
from stagekit.tables import SENTENCE_AUDIO, SENTENCES

RATE = 16_000


def wav(samples: np.ndarray) -> bytes:
    """Float samples in [-1, 1] at 16 kHz as the bytes of a WAV file."""
    stream = io.BytesIO()
    with wave.open(stream, "wb") as out:
        out.setparams((1, 2, RATE, len(samples), "NONE", ""))
        out.writeframes(np.round(np.clip(samples, -1, 32767 / 32768) * 32768).astype("<i2").tobytes())
    return stream.getvalue()


def tokens(text: str) -> list[dict[str, Any]]:
    """Tokens at blanks: lower case, without punctuation at their edges."""
    out, at = [], 0
    for piece in text.split():
        start = text.index(piece, at)
        at = start + len(piece)
        word = piece.strip(".,;:!?\"“”„«»()…—–¿¡").lower()
        if word:
            begin = start + piece.lower().index(word)
            out.append({"word": word, "char_start": begin, "char_end": begin + len(word)})
    return out


def sentence(text: str, audio: bytes, speaker: str, duration_s: float, **given: Any) -> dict[str, Any]:
    """A row of `sentences`."""
    audio_id = hashlib.sha256(audio).hexdigest()
    row = {
        "sentence_id": hashlib.sha256(f"{audio_id}\n{text}".encode()).hexdigest(),
        "audio_id": audio_id,
        "source": "tsv",
        "source_version": "1",
        "clip": f"{audio_id[:8]}.wav",
        "language": "en",
        "speaker_id": speaker,
        "gender": None,
        "age": None,
        "accent": None,
        "up_votes": None,
        "down_votes": None,
        "text_raw": text,
        "tokens": tokens(text),
        "origin": "cut",
        "duration_s": duration_s,
        "samples": round(duration_s * RATE),
        "codec": "pcm_s16le",
        "license_family": "cc0",
        "license_version": "1.0",
        "license_jurisdiction": None,
        "license_url": "https://creativecommons.org/publicdomain/zero/1.0/",
        "license_evidence": "test",
        "license_seen_at": "2026-01-15",
    }
    return row | given


def write_folder(folder: Path, clips: Iterable[tuple[dict[str, Any], bytes | None]]) -> Path:
    """A finished stage folder with `sentences` and `sentence_audio`; a clip whose audio is None has no row in the latter."""
    folder.mkdir(parents=True)
    sentences, audio = TableWriter(folder, SENTENCES, 0), TableWriter(folder, SENTENCE_AUDIO, 0)
    for row, data in clips:
        sentences.write(row)
        if data is not None:
            audio.write({"sentence_id": row["sentence_id"], "audio": data})
    sentences.close()
    audio.close()
    files = {f.name: {"sha256": sha256_file(f), "bytes": f.stat().st_size} for f in sorted(folder.glob("*.parquet"))}
    digest = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()
    (folder / SUCCESS).write_text(json.dumps({"fingerprint": digest[:32], "files": files, "shards": ["00000"]}))
    return folder
