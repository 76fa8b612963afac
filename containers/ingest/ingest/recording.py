"""A file of audio becomes a recording, or a reason why not: everything is decoded once, and what the header claims is compared.

The tolerances are measured on eight formats (WAV, FLAC, MP3, AAC, MP4, Vorbis, Opus, WMA), whole, cut off, and with 500-byte
holes: whole files decode to within 0.1 s of a claim that is a fact (0.4 s for AAC in ADTS, where it is an estimate), without
a word from the decoder; twenty holes give 0.2 complaints a second and more.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ingest.identity import fingerprint
from stagekit.audio import AudioError, Pcm, Probe, open_pcm, probe
from stagekit.tables import SAMPLE_RATE, Reason

MISSING_SHARE = 0.05
MISSING_S = 1.0
"""A lossy file that lacks more than both of what its header claims is truncated; encoders' delay and padding are under 0.1 s."""
LOSSLESS = frozenset({"flac", "alac", "wavpack", "ape", "tta", "shorten"})
LOSSLESS_MISSING_S = 0.1
"""A lossless file that lacks more has lost frames: its claim is exact."""
COMPLAINTS_PER_S = 0.2
"""More complaints of the decoder than this, of a lossy file, are damage all over it rather than a glitch."""
GLITCH_COMPLAINTS = 6
"""One hole of 500 bytes makes up to six."""
TRUNCATION_COMPLAINTS = 3
"""A file cut off inside a frame makes up to three complaints, about that frame."""
SILENT_RMS = 0.001
"""-60 dBFS in the loudest 100 ms: no room in which someone speaks is so quiet; digital silence with dither is 30 dB below."""
MAX_HOURS = 24.0

_EXTENSIONS = {
    "wav": "wav", "flac": "flac", "mp3": "mp3", "aac": "aac", "asf": "wma", "ogg": "ogg", "aiff": "aiff",
    "avi": "avi", "w64": "w64",
    "mpeg": "mpg", "mpegts": "ts", "caf": "caf", "amr": "amr", "flv": "flv", "au": "au", "nistsphere": "sph",
}  # fmt: skip


_MP3_FRAME = re.compile(
    rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb][^\xf0-\xff].(?P<counts>(?:.{2})?(?:.{9}|.{17}|.{32})(?:Xing|Info)|.{32}VBRI)?", re.S
)
"""A frame of layer III: its header, a checksum or none, the side information, and there what counts the file's frames."""


class AudioRejected(Exception):  # noqa: N818 - a decision, not a failure
    """A file cannot be a recording. ``seconds``: what of it could be decoded, 0 if nothing."""

    def __init__(self, reason: Reason, detail: str, seconds: float = 0.0):
        super().__init__(reason, detail, seconds)
        self.reason, self.detail, self.seconds = reason, detail, seconds


@dataclass(frozen=True)
class Audio:
    """What a recording is: columns of the recordings table, save where it is stored."""

    duration_s: float
    samples: int
    sample_rate: int
    channels: int
    codec: str
    container: str
    bit_rate: int | None
    fingerprint: list[int]
    extension: str

    def columns(self) -> dict[str, Any]:
        """The recordings table's columns."""
        return {name: value for name, value in vars(self).items() if name != "extension"}


def examine(path: str | Path, *, min_s: float = 1.0, max_hours: float = MAX_HOURS) -> Audio:
    """Decode a local file and describe it. Memory does not grow with its length, save 1.4 kB a second for the fingerprint.

    Args:
        path: the file.
        min_s: a shorter recording is rejected.
        max_hours: a longer one too.

    Raises:
        AudioRejected: it is empty, corrupt, cut off, silent, too short or too long.
    """
    path = Path(path)
    if path.stat().st_size == 0:
        raise AudioRejected(Reason.AUDIO_EMPTY, "the file has 0 bytes")
    said = _probe(path)
    claimed = _claim(path, said)
    if claimed is not None and claimed > max_hours * 3600:
        raise AudioRejected(Reason.AUDIO_TOO_LONG, f"{claimed / 3600:.1f} h, longer than {max_hours:g} h", claimed)
    try:
        with open_pcm(path) as pcm:
            _check_whole(pcm, said, claimed)
            if pcm.duration_s < min_s:
                raise AudioRejected(Reason.AUDIO_TOO_SHORT, f"{pcm.duration_s:.3f} s, shorter than {min_s:g} s", pcm.duration_s)
            if pcm.duration_s > max_hours * 3600:
                raise AudioRejected(
                    Reason.AUDIO_TOO_LONG, f"{pcm.duration_s / 3600:.1f} h, longer than {max_hours:g} h", pcm.duration_s
                )
            loudest = _loudest(pcm)
            if loudest < SILENT_RMS:
                detail = f"the loudest 100 ms have an RMS of {loudest:.6f}, below {SILENT_RMS}"
                raise AudioRejected(Reason.AUDIO_SILENT, detail, pcm.duration_s)
            prints = fingerprint(block for _, block in pcm.blocks())
            return Audio(
                duration_s=pcm.duration_s, samples=len(pcm), sample_rate=said.sample_rate, channels=said.channels,
                codec=said.codec, container=said.container, bit_rate=said.bit_rate, fingerprint=prints.tolist(),
                extension=_extension(said, path),
            )  # fmt: skip
    except AudioError as error:
        reason = Reason.AUDIO_EMPTY if "no samples" in str(error) else Reason.AUDIO_CORRUPT
        raise AudioRejected(reason, f"cannot be decoded: {error}") from None


def _probe(path: Path) -> Probe:
    try:
        return probe(path)
    except AudioError as error:
        if _wav_data(path) == (0, 0):
            raise AudioRejected(Reason.AUDIO_EMPTY, "a WAV header without samples") from None
        raise AudioRejected(Reason.AUDIO_CORRUPT, f"not audio that can be read: {error}") from None


def _claim(path: Path, said: Probe) -> float | None:
    """The duration that the file states as a fact; None where it is an estimate or absent."""
    if said.codec == "mp3" and said.container == "mp3":
        # Without a Xing or VBRI header ffmpeg guesses from the bit rate of the first frame.
        return said.duration_s if _mp3_counts_frames(path) else None
    if said.container == "aac":
        return None
    if said.container == "wav" and (data := _wav_data(path)) is not None:
        stated, there = data
        # ffmpeg shortens its claim to what is there; streams state the largest number that fits.
        if there < stated < 0x7FFF0000 and said.duration_s and there:
            return said.duration_s * stated / there
    return said.duration_s


def _mp3_counts_frames(path: Path) -> bool:
    """Whether the first frame of an MP3 file, behind its ID3v2 tags, is a Xing, Info or VBRI header."""
    with open(path, "rb") as file:
        start = 0
        while len(tag := file.read(10)) == 10 and tag[:3] == b"ID3":
            start += 10 + sum((byte & 0x7F) << shift for byte, shift in zip(tag[6:], (21, 14, 7, 0), strict=True))
            file.seek(start)
        file.seek(start)
        frame = _MP3_FRAME.search(file.read(1 << 16))
    return frame is not None and frame["counts"] is not None


def _wav_data(path: Path) -> tuple[int, int] | None:
    """(bytes that a WAV file's data chunk states, bytes there are); None if it is not one."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        if not re.fullmatch(rb"RIFF....WAVE", file.read(12), re.S):
            return None
        while len(head := file.read(8)) == 8:
            name, length = struct.unpack("<4sI", head)
            if name == b"data":
                return length, size - file.tell()
            file.seek(length + (length & 1), 1)
    return None


def _check_whole(pcm: Pcm, said: Probe, claimed: float | None) -> None:
    """Refuse what was cut off or damaged.

    Raises:
        AudioRejected: it was.
    """
    complaints = pcm.errors
    missing = (claimed or 0.0) - pcm.duration_s
    lossless = said.codec in LOSSLESS
    cut_off = missing > (LOSSLESS_MISSING_S if lossless else max(MISSING_S, MISSING_SHARE * (claimed or 0.0)))
    if said.video and not complaints and not lossless and said.container != "flv":
        cut_off = False  # the container claims the picture's length, which may be longer; of a cut FLV the decoder says nothing
    spoken = f"; the decoder says: {pcm.complaints[0]}" if pcm.complaints else ""
    if cut_off:
        at_end = complaints <= TRUNCATION_COMPLAINTS and not any("mismatch" in c or "exceeds" in c for c in pcm.complaints)
        # Holes in the middle of a FLAC file are skipped without a word; one that was cut off complains of its last frame.
        reason = Reason.AUDIO_TRUNCATED if at_end and (complaints or not lossless) else Reason.AUDIO_CORRUPT
        raise AudioRejected(
            reason, f"{pcm.duration_s:.2f} s of the {claimed:.2f} s it states can be decoded{spoken}", pcm.duration_s
        )
    if lossless and complaints:
        raise AudioRejected(Reason.AUDIO_CORRUPT, f"{complaints} errors in a lossless file{spoken}", pcm.duration_s)
    if complaints > max(GLITCH_COMPLAINTS, COMPLAINTS_PER_S * pcm.duration_s):
        raise AudioRejected(Reason.AUDIO_CORRUPT, f"{complaints} errors in {pcm.duration_s:.1f} s{spoken}", pcm.duration_s)


def _loudest(pcm: Pcm) -> float:
    """RMS of the loudest 100 ms."""
    size = SAMPLE_RATE // 10
    loudest = 0.0
    for _, block in pcm.blocks():
        whole = block[: len(block) // size * size].reshape(-1, size) if len(block) >= size else block.reshape(1, -1)
        if whole.size:
            loudest = max(loudest, float(np.sqrt(np.mean(np.square(whole, dtype=np.float64), axis=1)).max()))
        if loudest >= SILENT_RMS:
            break
    return loudest


def _extension(said: Probe, path: Path) -> str:
    """By what the file is, not by its name."""
    container = said.container.split(",")
    if "mp4" in container:
        return "m4a" if path.suffix.lower() == ".m4a" else "mp4"
    if "webm" in container:
        return "webm" if said.codec in ("opus", "vorbis") else "mkv"
    if said.container == "ogg" and said.codec == "opus":
        return "opus"
    return _EXTENSIONS.get(said.container) or re.sub(r"[^a-z0-9]", "", path.suffix.lower())[:8] or "bin"
