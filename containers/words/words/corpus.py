"""Clips and their words, read from the tables, decoded in worker processes and sorted into those that can be aligned and not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stagekit.audio import AudioError
from stagekit.stage import Context
from stagekit.tables import Reason
from words.clips import samples_of
from words.features import Shape, cepstra

F32 = NDArray[np.float32]

SILENT_PEAK = 2e-3
"""A clip that never gets this loud (-54 dB of full scale) holds no speech."""


@dataclass(frozen=True)
class Sentence:
    """A row of ``sentences`` without what alignment does not need, and the bytes of its clip."""

    id: str
    speaker: str
    text: str
    tokens: tuple[tuple[str, int, int], ...]
    duration_s: float
    audio: bytes

    @property
    def words(self) -> list[str]:
        """Its words in order."""
        return [w for w, _, _ in self.tokens]


@dataclass(frozen=True)
class Refused:
    """Why a sentence stops here."""

    reason: Reason
    detail: str


def read_sentences(ctx: Context[Any]) -> Iterator[Sentence]:
    """Sentences with their clips, one row at a time; both tables are in the same order, or nearly so."""
    clips = ctx.rows("sentence_audio", batch=CLIPS_A_READ)
    waiting: dict[str, bytes] = {}
    for row in ctx.rows("sentences", columns=["sentence_id", "speaker_id", "text_raw", "tokens", "duration_s"]):
        wanted = row["sentence_id"]
        while wanted not in waiting:
            clip = next(clips, None)
            if clip is None:
                waiting[wanted] = b""
            else:
                waiting[clip["sentence_id"]] = clip["audio"]
        tokens = tuple((t["word"], t["char_start"], t["char_end"]) for t in row["tokens"])
        yield Sentence(wanted, row["speaker_id"], row["text_raw"], tokens, row["duration_s"], waiting.pop(wanted))


CLIPS_A_READ = 200
"""Clips in memory at a time per reader: 200 of 10 s as wav are 64 MB."""


def samples(sentence: Sentence, longest_s: float) -> F32 | Refused:
    """Decoded samples, or why the clip cannot be used."""
    if not sentence.tokens or not any(w.strip() for w in sentence.words):
        return Refused(Reason.SENTENCE_EMPTY, "no word to align")
    if sentence.duration_s > longest_s:
        return Refused(Reason.AUDIO_TOO_LONG, f"{sentence.duration_s:.1f} s; at most {longest_s:g} s are aligned in one piece")
    if not sentence.audio:
        return Refused(Reason.NO_AUDIO, "sentence_audio has no bytes for it")
    try:
        x = samples_of(sentence.audio)
    except AudioError as error:
        return Refused(Reason.AUDIO_CORRUPT, str(error))
    peak = float(np.abs(x).max())
    if peak < SILENT_PEAK:
        return Refused(Reason.AUDIO_SILENT, f"peak {peak:.5f} of full scale")
    return x


def normalise(clips: list[F32], speakers: list[str]) -> list[F32]:
    """Each cepstrum with its speaker's mean taken off and divided by the standard deviation; shapes (cepstra, frames).

    Atal, "Effectiveness of linear prediction characteristics of the speech wave for automatic speaker identification and
    verification", JASA 55, 1974 (the mean); Viikki and Laurila, "Cepstral domain segmental feature vector normalization for noise
    robust speech recognition", Speech Communication 25, 1998 (the variance).
    """
    groups: dict[str, list[int]] = {}
    for i, speaker in enumerate(speakers):
        groups.setdefault(speaker, []).append(i)
    out = list(clips)
    for members in groups.values():
        n = sum(clips[i].shape[1] for i in members)
        mean = sum(clips[i].sum(axis=1, dtype=np.float64) for i in members) / n
        square = sum((clips[i].astype(np.float64) ** 2).sum(axis=1) for i in members) / n
        deviation = np.sqrt(np.maximum(square - mean**2, 1e-4))
        for i in members:
            out[i] = ((clips[i] - mean[:, None]) / deviation[:, None]).astype(np.float32)
    return out


def static_vectors(x: F32, shape: Shape) -> F32:
    """Cepstra of a clip, (cepstra, frames)."""
    return cepstra(x, shape)
