"""A corpus as MFA wants it: ``<speaker>/<clip>.wav`` and ``.lab``, made of clips that were decoded and found sound before.

MFA ends a whole run at one broken file (a header without samples, a file of 0 bytes), and aligns a file that was cut off, or
nothing but zeros, as if it were right. So every clip is decoded here, by the decoder that all stages share, and written as 16-bit
WAV at 16 kHz; what cannot be aligned is rejected with its reason before MFA sees it. Speakers and clips have numbers for names
(``s00003/u00000017``): MFA names an utterance by speaker and file name, and two sources may use a name twice.
"""

from __future__ import annotations

import tempfile
import wave
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mfa.dictionary import Dictionary
from stagekit.audio import AudioError, open_pcm
from stagekit.stage import Context, Crashed, Reason
from stagekit.tables import SAMPLE_RATE

SILENT_PEAK = 32
"""Of 32768 (-60 dB of full scale): a clip whose loudest sample is no louder holds no speech. MFA gave 3 s of zeros a likelihood
above the median of good clips."""
PHONE_FRAMES_S = 0.01
"""Shortest phone of MFA's acoustic models: one frame."""
SHORTEST_S = 0.1
"""MFA makes no features of a shorter clip, and ends the run if it has no other."""
CLIPS_A_READ = 200
"""Clips read at a time: 200 of 10 s as WAV are 64 MB."""
COLUMNS = ("sentence_id", "speaker_id", "text_raw", "tokens", "duration_s")


@dataclass(frozen=True)
class Sentence:
    """A row of `sentences`, as far as aligning needs it."""

    id: str
    speaker_id: str
    text_raw: str
    tokens: tuple[dict[str, Any], ...]
    duration_s: float

    @property
    def words(self) -> list[str]:
        """Its tokens' words."""
        return [token["word"] for token in self.tokens]


def read_sentences(ctx: Context[Any]) -> list[Sentence]:
    """All sentences of the inputs, in their order."""
    return [
        Sentence(r["sentence_id"], r["speaker_id"], r["text_raw"], tuple(r["tokens"]), r["duration_s"])
        for r in ctx.rows("sentences", columns=COLUMNS)
    ]


@dataclass(frozen=True)
class Utterance:
    """A sentence in the corpus folder, by the names that MFA knows it by."""

    sentence: Sentence
    speaker: str
    file: str


@dataclass(frozen=True)
class _Job:
    sentence: Sentence
    audio: bytes
    target: str
    lab: str
    shortest_s: float
    longest_s: float


def usable(ctx: Context[Any], sentences: Iterable[Sentence], dictionary: Dictionary) -> list[Sentence]:
    """Those with text that can be aligned and with a row of audio; the others are rejected."""
    heard = set(ctx.read("sentence_audio", columns=["sentence_id"]).column("sentence_id").to_pylist())
    kept = []
    for sentence in sentences:
        if not sentence.tokens:
            reject(ctx, sentence, Reason.SENTENCE_EMPTY, "no tokens")
        elif not any(map(dictionary.speakable, sentence.words)):
            said = " ".join(sentence.words)[:200]
            reject(ctx, sentence, Reason.UNALIGNED, f"no word of it has a pronunciation in dictionary and model: {said}")
        elif sentence.id not in heard:
            reject(ctx, sentence, Reason.NO_AUDIO, "sentence_audio has no row for it")
        else:
            kept.append(sentence)
    return kept


def write_corpus(
    ctx: Context[Any], folder: Path, sentences: Sequence[Sentence], dictionary: Dictionary, longest_s: float
) -> list[Utterance]:
    """Decode, check and write clips; those that MFA cannot use are rejected.

    Args:
        ctx: the stage's context.
        folder: the corpus folder, made here.
        sentences: which, in the order of the input.
        dictionary: codes of their words.
        longest_s: longer clips are rejected (memory of the search grows with the length).

    Returns:
        What stands in the folder, in the order of the input.
    """
    speakers = {s: f"s{i:05d}" for i, s in enumerate(sorted({s.speaker_id for s in sentences}))}
    for name in speakers.values():
        (folder / name).mkdir(parents=True)
    jobs = _jobs(ctx, folder, sentences, speakers, dictionary, longest_s)
    written = []
    for job, fault in ctx.map(write_clip, jobs, seconds=lambda job: job.sentence.duration_s, total=len(sentences)):
        if isinstance(fault, Crashed):
            reject(ctx, job.sentence, Reason.CRASHED, fault.detail)
        elif fault is not None:
            reject(ctx, job.sentence, *fault)
        else:
            target = Path(job.target)
            written.append(Utterance(job.sentence, target.parent.name, target.name))
    return written


def _jobs(
    ctx: Context[Any],
    folder: Path,
    sentences: Sequence[Sentence],
    speakers: dict[str, str],
    dictionary: Dictionary,
    longest_s: float,
) -> Iterator[_Job]:
    wanted = {s.id: (i, s) for i, s in enumerate(sentences)}
    for row in ctx.rows("sentence_audio", batch=CLIPS_A_READ):
        if row["sentence_id"] not in wanted:
            continue
        i, sentence = wanted.pop(row["sentence_id"])
        yield _Job(
            sentence,
            row["audio"],
            str(folder / speakers[sentence.speaker_id] / f"u{i:08d}"),
            " ".join(dictionary.codes[w] for w in sentence.words),
            PHONE_FRAMES_S * sum(map(dictionary.shortest, sentence.words)),
            longest_s,
        )


def write_clip(job: _Job) -> tuple[Reason, str] | None:
    """Write ``<target>.wav`` and ``<target>.lab``; or say why not."""
    with tempfile.NamedTemporaryFile(dir=Path(job.target).parents[1]) as file:
        file.write(job.audio)
        file.flush()
        try:
            with open_pcm(file.name) as pcm:
                samples, complaints = np.array(pcm.samples), pcm.complaints
        except AudioError as error:
            return (Reason.AUDIO_CORRUPT if job.audio else Reason.AUDIO_EMPTY), str(error)
    seconds = len(samples) / SAMPLE_RATE
    if complaints and seconds < 0.5 * job.sentence.duration_s:
        return Reason.AUDIO_TRUNCATED, f"{seconds:.2f} s of {job.sentence.duration_s:.2f} s can be decoded: {complaints[0]}"
    if seconds > job.longest_s:
        return Reason.AUDIO_TOO_LONG, f"{seconds:.1f} s; the longest taken is {job.longest_s:g} s"
    if np.abs(samples.astype(np.int32)).max() <= SILENT_PEAK:
        return Reason.AUDIO_SILENT, f"no sample above {SILENT_PEAK} of 32768"
    if seconds < max(job.shortest_s, SHORTEST_S):
        phones = round(job.shortest_s / PHONE_FRAMES_S)
        return Reason.AUDIO_TOO_SHORT, f"{seconds:.2f} s of audio for {phones} phones of {PHONE_FRAMES_S:g} s and more"
    with wave.open(f"{job.target}.wav", "wb") as out:
        out.setparams((1, 2, SAMPLE_RATE, len(samples), "NONE", ""))
        out.writeframes(samples.astype("<i2").tobytes())
    Path(f"{job.target}.lab").write_text(job.lab + "\n", encoding="ascii")
    return None


def reject(ctx: Context[Any], sentence: Sentence, reason: Reason, detail: str) -> None:
    """A sentence stops here, with all its seconds."""
    ctx.reject(sentence.id, reason, detail, end_s=sentence.duration_s)
