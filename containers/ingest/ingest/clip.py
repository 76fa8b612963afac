"""One short clip: what its file is, and whether it is whole; one ffmpeg process does both."""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ingest.recording import GLITCH_COMPLAINTS, LOSSLESS, SILENT_RMS, AudioRejected
from stagekit.audio import ffmpeg
from stagekit.tables import SAMPLE_RATE, Reason

MOST_S = 15.0
"""Common Voice records no longer sentences; what is longer was left running."""
LEAST_S = 0.2
"""No word takes less with its beginning and end."""
MISSING_SHARE, MISSING_S = 0.05, 0.15
"""A clip that lacks more than both of what its list states is cut off. Decoded and stated durations of the 326 clips of the
18.0 delta's sample agree to the millisecond."""
TIMEOUT_S = 120
MOST_DECODED_S = 120.0
"""Decoding stops here: a clip that states no length may be a bomb."""


@dataclass(frozen=True)
class Clip:
    """A clip that can be used. ``samples`` at 16 kHz mono, as :mod:`stagekit.audio` decodes."""

    samples: int
    codec: str

    @property
    def duration_s(self) -> float:
        """Seconds."""
        return self.samples / SAMPLE_RATE


def examine_clip(data: bytes, claimed_s: float | None) -> Clip:
    """Decode a clip and check it.

    Args:
        data: its file.
        claimed_s: duration that the source states, None if it states none.

    Raises:
        AudioRejected: it is empty, no audio, damaged, cut off, silent, too short or too long.
    """
    if not data:
        raise AudioRejected(Reason.AUDIO_EMPTY, "the clip has 0 bytes", claimed_s or 0.0)
    with tempfile.NamedTemporaryFile(dir=_scratch()) as file:
        file.write(data)
        file.flush()
        argv = [
            ffmpeg(), "-nostdin", "-hide_banner", "-nostats", "-v", "level+info", "-i", file.name, "-map", "0:a:0",
            "-vn", "-sn", "-dn", "-t", str(MOST_DECODED_S), "-ac", "1", "-ar", str(SAMPLE_RATE), "-bitexact",
            "-f", "s16le", "-acodec", "pcm_s16le", "-",
        ]  # fmt: skip
        try:
            run = subprocess.run(argv, capture_output=True, timeout=TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired:
            raise AudioRejected(Reason.AUDIO_CORRUPT, f"ffmpeg took over {TIMEOUT_S} s to decode it") from None
    said = run.stderr.decode("utf-8", "replace")
    complaints = [m[1].strip() for m in re.finditer(r"^(?:\[[^\]]*\] )*\[(?:error|fatal)\] (.*)$", said, re.M)]
    pcm = np.frombuffer(run.stdout[: len(run.stdout) // 2 * 2], dtype="<i2")
    stream = re.search(r"Stream #0:\d+\S*: Audio: ([\w-]+)", said)
    if stream is None or not len(pcm):
        detail = complaints[-1][-300:] if complaints else "no samples in it"
        empty = stream is not None and not complaints
        raise AudioRejected(Reason.AUDIO_EMPTY if empty else Reason.AUDIO_CORRUPT, f"cannot be decoded: {detail}")
    clip = Clip(len(pcm), stream[1])
    _check(clip, pcm, complaints, claimed_s)
    return clip


def _check(clip: Clip, pcm: np.ndarray, complaints: list[str], claimed_s: float | None) -> None:
    seconds = clip.duration_s
    missing = (claimed_s or 0.0) - seconds
    if claimed_s and missing > max(MISSING_S, MISSING_SHARE * claimed_s):
        raise AudioRejected(
            Reason.AUDIO_TRUNCATED, f"{seconds:.2f} s of the {claimed_s:.2f} s that the source states can be decoded", seconds
        )
    if len(complaints) > (0 if clip.codec in LOSSLESS else GLITCH_COMPLAINTS):
        raise AudioRejected(Reason.AUDIO_CORRUPT, f"{len(complaints)} errors in {seconds:.1f} s: {complaints[0][-200:]}", seconds)
    if seconds > MOST_S:
        raise AudioRejected(Reason.AUDIO_TOO_LONG, f"{seconds:.2f} s, longer than {MOST_S:g} s", seconds)
    if seconds < LEAST_S:
        raise AudioRejected(Reason.AUDIO_TOO_SHORT, f"{seconds:.3f} s, shorter than {LEAST_S:g} s", seconds)
    size = SAMPLE_RATE // 10
    blocks = pcm[: len(pcm) // size * size].astype(np.float64).reshape(-1, size) / 32768
    loudest = float(np.sqrt(np.mean(np.square(blocks), axis=1)).max())
    if loudest < SILENT_RMS:
        detail = f"the loudest 100 ms have an RMS of {loudest:.6f}, below {SILENT_RMS}"
        raise AudioRejected(Reason.AUDIO_SILENT, detail, seconds)


def _scratch() -> str | None:
    """Memory, where there is some to write to: a clip is there for milliseconds."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
