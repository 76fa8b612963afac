"""Cutting clips from recordings: FLAC, 16 kHz, mono, 16 bit, sample for sample what the aligner saw."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import soundfile

from stagekit.audio import AudioError, open_pcm
from stagekit.errors import StageError
from stagekit.tables import SAMPLE_RATE


@dataclass(frozen=True)
class Cut:
    """One clip: samples [start, end) of its recording."""

    segment_id: str
    start: int
    end: int


@dataclass(frozen=True)
class Job:
    """The clips wanted of one recording, and a file that takes them one behind the other."""

    recording_id: str
    uri: str
    cuts: tuple[Cut, ...]
    spool: str


@dataclass(frozen=True)
class Spooled:
    """Where the encoded audio of a clip lies."""

    file: str
    offset: int
    size: int

    def read(self) -> bytes:
        """The FLAC file."""
        with open(self.file, "rb") as stream:
            stream.seek(self.offset)
            return stream.read(self.size)


def encode(samples: np.ndarray) -> bytes:
    """A FLAC file of int16 samples, shape (n,), 16 kHz mono. The same samples give the same bytes (one libsndfile, locked)."""
    sink = io.BytesIO()
    soundfile.write(sink, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return sink.getvalue()


def cut(job: Job) -> dict[str, Spooled]:
    """Decode a recording once and encode its clips into the spool file: segment_id → where.

    Raises:
        StageError: the recording cannot be decoded, or is shorter than a clip says.
    """
    found: dict[str, Spooled] = {}
    if not job.cuts:
        return found
    try:
        with open_pcm(job.uri) as pcm, open(job.spool, "wb") as sink:
            for wanted in job.cuts:
                if not 0 <= wanted.start < wanted.end <= len(pcm):
                    raise StageError(
                        f"{job.uri}: clip {wanted.segment_id} is samples {wanted.start} to {wanted.end}, the recording has "
                        f"{len(pcm)}: it is not the file that was aligned"
                    )
                data = encode(np.asarray(pcm.samples[wanted.start : wanted.end]))
                found[wanted.segment_id] = Spooled(job.spool, sink.tell(), len(data))
                sink.write(data)
    except AudioError as error:
        raise StageError(f"{job.uri}: cannot be decoded any more: {error}") from None
    return found
