"""Stage ``cut``: one second of audio for each pick, exact to the sample, with the sentence around the word.

A sentence is decoded once, at 48 kHz, for all of its words. A clip is the second around the word's middle: 48,000 samples for
Opus, and the same samples at 16 kHz, which are 16,000 (the whole sentence is resampled before it is cut, so there is no edge in
it). Only where the sentence ends is there silence, and its length is recorded. Nothing is faded, nothing is normalised, nothing
is encoded twice. A word over a second lacks its ends in its clip, says so, and has its whole audio beside it.
"""

from __future__ import annotations

import io
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from pydantic import Field

from keywords.before import Before, Known
from keywords.opus import RATE, encode, encoder_name
from stagekit.audio import AudioError, ffmpeg
from stagekit.errors import EmptyInput, StageError
from stagekit.stage import RUNTIME, Context, Crashed, Params, stage
from stagekit.tables import SAMPLE_RATE, Reason

CLIP = SAMPLE_RATE
"""Samples of a clip at 16 kHz."""
UP = RATE // SAMPLE_RATE
CONTEXT = SAMPLE_RATE // 10
"""Samples kept on both sides of a long word's whole audio: aligned boundaries are off by tens of milliseconds."""
TIMEOUT_S = 120


class CutParams(Params):
    """Nothing to choose: one second is what consumers expect, and another encoder would be another release."""

    before: str = Field("", description="URI of the `index` of the release before, to copy from", json_schema_extra=RUNTIME)
    root: str = Field("", description="warehouse URI, in which what it names lies", json_schema_extra=RUNTIME)


@dataclass(frozen=True)
class Job:
    """A sentence with its audio's file and its picks, in order; empty audio if none of them has to be cut."""

    sentence: dict[str, Any]
    audio: bytes
    picks: list[dict[str, Any]]
    """Those that have to be cut."""


@dataclass(frozen=True)
class Place:
    """Where a clip lies, in samples at 16 kHz of its sentence's audio; ``word_*`` count from the clip's start."""

    start: int
    before: int
    after: int
    word_start: int
    word_end: int
    whole: tuple[int, int] | None
    """A long word's whole audio: [start, end)."""


def place(start_s: float, end_s: float, samples: int) -> Place:
    """Where the clip of a word lies.

    Args:
        start_s: start of the word in its sentence's audio.
        end_s: its end.
        samples: of the sentence's audio at 16 kHz.

    >>> place(0.1, 0.3, 40000)
    Place(start=-4800, before=4800, after=0, word_start=6400, word_end=9600, whole=None)
    """
    first, last = round(start_s * SAMPLE_RATE), round(end_s * SAMPLE_RATE)
    start = (first + last) // 2 - CLIP // 2
    whole = (max(0, first - CONTEXT), min(samples, last + CONTEXT)) if last - first > CLIP else None
    return Place(start, max(0, -start), max(0, start + CLIP - samples), first - start, last - start, whole)


@stage(
    "cut",
    version=1,
    params=CutParams,
    unit="clip",
    reads=["sentences", "sentence_audio", "picks"],
    writes=["clips", "clip_audio"],
    by_content=True,
    libraries=["opuslib-next-bundled", "soundfile", "soxr", "imageio-ffmpeg", "numpy"],
)
def run(ctx: Context[CutParams]) -> None:
    """Inputs: a folder, or one shard, of ``prepare``, and the shard of ``select``'s picks that was made of it.

    Raises:
        EmptyInput: no picks.
        StageError: picks of sentences that are not in the input.
    """
    picks: dict[str, list[dict[str, Any]]] = {}
    for pick in ctx.rows("picks"):
        picks.setdefault(pick["sentence_id"], []).append(pick)
    if not picks:
        raise EmptyInput("no picks in " + ", ".join(i.uri + (f"#{i.shard}" if i.shard else "") for i in ctx.inputs))
    long_words = padded = copied = 0
    audio_digest = next(i.digest for i in ctx.inputs if any(n.startswith("sentence_audio-") for n in i.tables()))
    known: dict[str, Known] = {}
    with Before(ctx.params.before, ctx.params.root, audio_digest) as before:
        jobs = _jobs(ctx, picks, before, known)
        for job, result in ctx.map(cut_sentence, jobs, seconds=lambda job: job.sentence["duration_s"], total=len(picks)):
            sentence_id = job.sentence["sentence_id"]
            if isinstance(result, Crashed):
                result = (Reason.CRASHED, result.detail)
            made: Known = known.pop(sentence_id)
            copied += len(made)
            if not isinstance(result, tuple):
                made |= {clip["clip_id"]: (clip, audio) for clip, audio in result}
            for pick in picks[sentence_id]:
                clip_id, seconds = pick["clip_id"], pick["end_s"] - pick["start_s"]
                ctx.enter(clip_id, seconds)
                if clip_id not in made:
                    assert isinstance(result, tuple)
                    ctx.reject(clip_id, result[0], result[1], end_s=seconds, parent_id=sentence_id)
                    continue
                clip, audio = made[clip_id]
                ctx.write("clips", clip)
                ctx.write("clip_audio", audio)
                ctx.keep(clip_id, seconds)
                long_words += clip["long_word"]
                padded += clip["padding_before"] + clip["padding_after"] > 0
    ctx.metrics.update(long_words=long_words, padded=padded, encoder=encoder_name(), audio=audio_digest, copied=copied)


def _jobs(
    ctx: Context[CutParams], picks: dict[str, list[dict[str, Any]]], before: Before, known: dict[str, Known]
) -> Iterator[Job]:
    """A job for each sentence with picks; ``known`` gets, by sentence, the clips that need not be cut."""
    missing = set(picks)
    for sentence, sound in zip(ctx.rows("sentences"), ctx.rows("sentence_audio"), strict=True):
        sentence_id = sentence["sentence_id"]
        if sound["sentence_id"] != sentence_id:
            raise StageError(f"sentence_audio is not in the order of sentences: {sound['sentence_id']} beside {sentence_id}")
        cut_before = before.of(sentence_id)
        if sentence_id in picks:
            missing.discard(sentence_id)
            mine = picks[sentence_id]
            there = {p["clip_id"]: cut_before[p["clip_id"]] for p in mine if p["clip_id"] in cut_before}
            known[sentence_id] = {p["clip_id"]: there[p["clip_id"]] for p in mine
                                  if p["clip_id"] in there and is_same(there[p["clip_id"]][0], sentence, p)}  # fmt: skip
            rest = [p for p in mine if p["clip_id"] not in known[sentence_id]]
            yield Job(sentence, sound["audio"] if rest else b"", rest)
    if missing:
        raise StageError(f"the input lacks {len(missing)} sentences of the picks, such as {min(missing)}: another shard's picks?")


_SAME = (
    "language", "source", "source_version", "speaker_id", "gender", "age", "accent", "origin",
    "license_family", "license_version", "license_jurisdiction", "license_url", "license_evidence", "license_seen_at",
)  # fmt: skip


def clip_row(sentence: dict[str, Any], pick: dict[str, Any], at: Place) -> dict[str, Any]:
    """A row of ``clips``."""
    row = {name: sentence[name] for name in _SAME} | {"source_clip": sentence["clip"], "encoder": encoder_name()}
    row |= {name: pick[name] for name in ("clip_id", "sentence_id", "index", "tokens", "word", "word_raw", "score")}
    return row | {
        "start_sample": at.start, "padding_before": at.before, "padding_after": at.after,
        "word_start_sample": at.word_start, "word_end_sample": at.word_end, "word_start_s": at.word_start / SAMPLE_RATE,
        "word_end_s": at.word_end / SAMPLE_RATE, "speech_s": pick["end_s"] - pick["start_s"],
        "long_word": at.whole is not None, "whole_start_sample": at.whole[0] if at.whole else None,
        "whole_samples": at.whole[1] - at.whole[0] if at.whole else None,
    }  # fmt: skip


def is_same(old: dict[str, Any], sentence: dict[str, Any], pick: dict[str, Any]) -> bool:
    """Whether a clip that was cut before is the one that would be cut now.

    Where the sentence ends is not compared: that is its audio's, which its id names.
    """
    new = clip_row(sentence, pick, place(pick["start_s"], pick["end_s"], sentence["samples"]))
    return all(old[name] == value for name, value in new.items() if name not in ("padding_after", "whole_samples"))


def cut_sentence(job: Job) -> list[tuple[dict[str, Any], dict[str, Any]]] | tuple[Reason, str]:
    """Rows of ``clips`` and ``clip_audio`` for each pick, or why there are none."""
    if not job.picks:
        return []
    try:
        sound = decode_48k(job.audio, job.sentence["samples"])
    except AudioError as error:
        return Reason.AUDIO_CORRUPT, str(error)
    low = to_16k(sound)
    rows = []
    for pick in job.picks:
        at = place(pick["start_s"], pick["end_s"], len(low))
        opus, flac = _files(sound, low, at.start, at.start + CLIP, pick["clip_id"])
        whole = _files(sound, low, *at.whole, pick["clip_id"] + "-whole") if at.whole else (None, None)
        audio = {"clip_id": pick["clip_id"], "opus": opus, "flac": flac, "whole_opus": whole[0], "whole_flac": whole[1]}
        rows.append((clip_row(job.sentence, pick, at), audio))
    return rows


def _files(sound: np.ndarray, low: np.ndarray, start: int, end: int, name: str) -> tuple[bytes, bytes]:
    """(Ogg Opus, FLAC) of samples [start, end) at 16 kHz of a sentence; outside of it there is silence."""
    opus = encode(stretch(sound, start * UP, end * UP), sound[max(0, end * UP) : max(0, end * UP) + RATE // 10], name)
    file = io.BytesIO()
    soundfile.write(file, stretch(low, start, end), SAMPLE_RATE, format="FLAC", subtype="PCM_16", compression_level=0.0)
    return opus, file.getvalue()


def stretch(samples: np.ndarray, start: int, end: int) -> np.ndarray:
    """Samples [start, end); silence where there are none."""
    inside = samples[max(0, start) : max(0, end)]
    if len(inside) == end - start:
        return inside
    padded = np.zeros(end - start, dtype=samples.dtype)
    padded[max(0, -start) : max(0, -start) + len(inside)] = inside
    return padded


def decode_48k(data: bytes, samples: int) -> np.ndarray:
    """A file's samples: float32 at 48 kHz mono, shape (n,).

    In this process, by libsndfile, where that gives as many samples as ffmpeg did when the clip was checked: for MP3 the two are
    then 100 dB and more alike (tested on real clips), and a process costs more than the decoding. All else
    is decoded by ffmpeg, as :mod:`stagekit.audio` does but for the rate.

    Args:
        data: the file.
        samples: what ffmpeg gave at 16 kHz (``sentences.samples``).

    Raises:
        AudioError: nothing can be decoded.
    """
    found = _in_process(data)
    if found is not None and abs(-(-len(found) // UP) - samples) <= 1:
        return found
    return _by_ffmpeg(data)


def _in_process(data: bytes) -> np.ndarray | None:
    """The samples as libsndfile decodes them; None for what it cannot, and for several channels."""
    try:
        sound, rate = soundfile.read(io.BytesIO(data), dtype="float32")
    except (soundfile.LibsndfileError, OSError):
        return None
    if sound.ndim != 1 or not len(sound):
        return None
    return sound if rate == RATE else soxr.resample(sound, rate, RATE, quality="HQ")


def _by_ffmpeg(data: bytes) -> np.ndarray:
    with tempfile.NamedTemporaryFile(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as file:
        file.write(data)
        file.flush()
        argv = [
            ffmpeg(), "-nostdin", "-hide_banner", "-v", "error", "-i", file.name, "-map", "0:a:0", "-vn", "-sn", "-dn",
            "-ac", "1", "-ar", str(RATE), "-bitexact", "-f", "f32le", "-acodec", "pcm_f32le", "-",
        ]  # fmt: skip
        run = subprocess.run(argv, capture_output=True, timeout=TIMEOUT_S, check=False)
    if len(run.stdout) < 4:
        raise AudioError(run.stderr.decode("utf-8", "replace").strip()[-300:] or "no samples in it")
    return np.frombuffer(run.stdout[: len(run.stdout) // 4 * 4], dtype="<f4")


def to_16k(sound: np.ndarray) -> np.ndarray:
    """The same at 16 kHz: int16, shape (ceil(n / 3),)."""
    low = soxr.resample(sound, RATE, SAMPLE_RATE, quality="HQ")
    return np.clip(np.round(low * 32768.0), -32768, 32767).astype(np.int16)
