"""What comes before a batched recogniser, recording by recording, in worker processes: decoded samples, and where speech is."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from align.hear import find_speech
from align.vad import Stretch
from stagekit.audio import AudioError, Pcm, open_pcm


@dataclass(frozen=True)
class Listened:
    """A recording made ready.

    Attributes:
        raw: file of its samples (16-bit, 16 kHz, mono); who reads it removes it. Empty where there is no speech.
        speech: stretches of speech.
        pieces: what is to be recognised of them.
        error: why it cannot be decoded, or empty.
    """

    raw: str
    speech: list[Stretch]
    pieces: list[Stretch]
    error: str = ""


def listen(uri: str, scratch: str) -> Listened:
    """Decode a recording into a folder and find its speech."""
    try:
        with open_pcm(uri, scratch) as pcm:
            speech, pieces = find_speech(pcm)
            return Listened(_kept(pcm, scratch) if pieces else "", speech, pieces)
    except AudioError as error:
        return Listened("", [], [], f"{uri}: {error}")


def _kept(pcm: Pcm, scratch: str) -> str:
    """A second name for the decoded samples, for the first goes with the block that made it."""
    fd, name = tempfile.mkstemp(suffix=".raw", dir=scratch)
    os.close(fd)
    Path(name).unlink()
    os.link(pcm.samples.filename, name)  # type: ignore[attr-defined]
    return name
