"""Audio in: what a file holds, and its samples at 16 kHz mono, in bounded memory.

ffmpeg decodes everything (the binary that the ``imageio-ffmpeg`` wheel carries, run as a subprocess), so one decoder decides
what a recording's samples are. Decoded audio lies in a temporary file of 16-bit samples and is read through a memory map:
a 12-hour recording takes 1.4 GB of disk and next to no memory, and any stretch of it can be read exactly.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np

from stagekit.storage import local_copy
from stagekit.tables import SAMPLE_RATE

BLOCK_SAMPLES = 30 * SAMPLE_RATE
"""Samples per block of :meth:`Pcm.blocks`."""

FAINT = 1036
"""-30 dBFS. The first of two channels alone is taken for a mixdown whose root mean square is smaller, if that is …"""
CANCELLED_DB = 12.0
"""… so far under the channel's: channels of opposite sign cancel, but for what a lossy codec leaves of them."""
LOOKED_AT = 120
"""Blocks, spread evenly, in which that is measured."""

SHOWN = 50
"""Complaints of the decoder that are kept; all are counted."""

NO_CONVERTERS = {"GCONV_PATH": "/nonexistent"}
"""For ffmpeg's environment: a static binary that loads this machine's character converters dies of it, at the names of the
programmes in an MPEG transport stream. Without them it leaves such names as they are."""

PROBE_TIMEOUT_S = 120
DECODE_STALL_S = 24 * 3600


class AudioError(Exception):
    """A file cannot be decoded as audio. The message is ffmpeg's, shortened."""


@cache
def ffmpeg() -> str:
    """Path of the ffmpeg binary."""
    import imageio_ffmpeg

    return imageio_ffmpeg.get_ffmpeg_exe()


@dataclass(frozen=True)
class Probe:
    """What a file says about itself.

    ``duration_s`` is the container's claim, None if it makes none; ``video``: it holds moving pictures too, not just a cover.
    """

    container: str
    codec: str
    sample_rate: int
    channels: int
    bit_rate: int | None
    duration_s: float | None
    video: bool = False


_LAYOUTS = {"mono": 1, "stereo": 2, "2.1": 3, "3.0": 3, "quad": 4, "4.0": 4, "5.0": 5, "5.1": 6, "6.1": 7, "7.1": 8}


def probe(path: str | Path) -> Probe:
    """Read a local file's headers.

    Raises:
        AudioError: ffmpeg finds no audio stream in it.
    """
    if os.path.getsize(path) == 0:
        raise AudioError("file is empty (0 bytes)")
    try:
        run = subprocess.run(
            [ffmpeg(), "-nostdin", "-hide_banner", "-i", str(path)],
            capture_output=True, timeout=PROBE_TIMEOUT_S, check=False, env=os.environ | NO_CONVERTERS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise AudioError(f"ffmpeg took over {PROBE_TIMEOUT_S} s to read its headers") from None
    said = run.stderr.decode("utf-8", "replace")
    container = re.search(r"^Input #0, (\S+),? from ", said, re.M)
    stream = re.search(r"^\s+Stream #0:\d+\S*: Audio: (?P<codec>[\w-]+)(?P<rest>.*)$", said, re.M)
    if run.returncode < 0:
        raise AudioError(f"ffmpeg was killed by signal {-run.returncode} when it read its headers")
    if not container:
        raise AudioError(_complaint(said) or "not a media file")
    if not stream:
        raise AudioError("no audio stream in it")
    rest = stream["rest"]
    rate = re.search(r", (\d+) Hz", rest)
    layout = re.search(r"Hz, ([\w.]+)(?:\([\w]+\))?(?: channels)?", rest)
    bit_rate = re.search(r", (\d+) kb/s", rest)
    claimed = re.search(r"Duration: (\d+):(\d\d):(\d\d\.\d+)", said)
    return Probe(
        container=container[1].rstrip(","),
        codec=stream["codec"],
        sample_rate=int(rate[1]) if rate else 0,
        channels=_channels(layout[1]) if layout else 0,
        bit_rate=int(bit_rate[1]) * 1000 if bit_rate else None,
        duration_s=int(claimed[1]) * 3600 + int(claimed[2]) * 60 + float(claimed[3]) if claimed else None,
        video=bool(re.search(r"^\s+Stream #0:\d+\S*: Video: (?!.*\(attached pic\))", said, re.M)),
    )


def _channels(layout: str) -> int:
    if layout in _LAYOUTS:
        return _LAYOUTS[layout]
    return int(layout) if layout.isdigit() else 0


def _complaint(stderr: str) -> str:
    """The last thing ffmpeg complained of, without its addresses."""
    lines = [_plain(line) for line in stderr.splitlines() if line.strip()]
    return lines[-1][-300:] if lines else ""


def _plain(line: str) -> str:
    """A line of ffmpeg without who says it, which may be several: ``[aist#0:0/mp3 @ 0x55d0] [dec:mp3float @ 0x55e8] …``."""
    return re.sub(r"^(?:\[[^\]]*\]\s*)+", "", line).strip()


class Pcm:
    """Decoded audio: 16-bit samples at 16 kHz mono in a memory map. Positions are samples."""

    def __init__(self, samples: np.ndarray, complaints: list[str]):
        """``samples``: int16, shape (n,); ``complaints``: what the decoder said on the way, [] for a clean file.

        The first :data:`SHOWN` are kept. ``errors`` counts all, those too that ffmpeg only says were repeated.
        """
        self.samples, self.complaints = samples, complaints[:SHOWN]
        repeated = (re.search(r"Last message repeated (\d+) times", c) for c in complaints)
        self.errors = sum(int(m[1]) if m else 1 for m in repeated)

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.samples)

    @property
    def duration_s(self) -> float:
        """Seconds."""
        return len(self.samples) / SAMPLE_RATE

    def read(self, start: int = 0, end: int | None = None) -> np.ndarray:
        """Samples [start, end) as float32 in [-1, 1), clipped to the recording."""
        start, end = max(0, start), len(self) if end is None else min(len(self), end)
        return np.asarray(self.samples[start : max(start, end)], dtype=np.float32) / 32768.0

    def blocks(self, size: int = BLOCK_SAMPLES) -> Iterator[tuple[int, np.ndarray]]:
        """(first sample, float32 samples) of consecutive blocks; the last may be shorter."""
        for start in range(0, len(self), size):
            yield start, self.read(start, start + size)


@contextmanager
def open_pcm(uri: str | Path, scratch: str | Path | None = None) -> Iterator[Pcm]:
    """Decode a recording; the samples are there until the block ends.

    Channels are mixed down to mono, where they do not cancel each other, and resampled to 16 kHz by ffmpeg. A file that breaks
    off is decoded as far as it goes; ``complaints`` then is not empty.

    Args:
        uri: path or URI of the file.
        scratch: folder for the decoded samples, default the system's temporary folder.

    Raises:
        AudioError: nothing can be decoded.
    """
    new = partial(tempfile.NamedTemporaryFile, suffix=".s16le", dir=scratch)
    with local_copy(str(uri)) as path, new() as raw, new() as other:
        if os.path.getsize(path) == 0:
            raise AudioError("file is empty (0 bytes)")
        said = _decode(path, raw.name)
        samples = _samples(raw.name)
        if samples is not None and (level := _rms(samples)) < FAINT and probe(path).channels == 2:
            of_first = _decode(path, other.name, "-af", "pan=mono|c0=c0")
            alone = _samples(other.name)
            if alone is not None and _rms(alone) > level * 10 ** (CANCELLED_DB / 20):
                said, samples = of_first, alone
        if samples is None:
            raise AudioError(_complaint(said) or "no samples in it")
        complaints = [_plain(line) for line in said.splitlines() if line.strip()]
        yield Pcm(samples, complaints)


def _decode(path: str | Path, raw: str, *options: str) -> str:
    """Write a file's samples to ``raw``; what the decoder complained of."""
    run = subprocess.run(
        [
            ffmpeg(), "-nostdin", "-hide_banner", "-v", "error", "-i", str(path), "-map", "0:a:0", "-vn", "-sn", "-dn", *options,
            "-ac", "1", "-ar", str(SAMPLE_RATE), "-bitexact", "-f", "s16le", "-acodec", "pcm_s16le", "-y", raw,
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=DECODE_STALL_S, check=False,
        env=os.environ | NO_CONVERTERS,
    )  # fmt: skip
    said = run.stderr.decode("utf-8", "replace")
    if "No space left on device" in said:
        raise OSError(28, "No space left on device", raw)
    return said


def _samples(raw: str) -> np.ndarray | None:
    size = os.path.getsize(raw) // 2
    return np.memmap(raw, dtype="<i2", mode="r", shape=(size,)) if size else None


def _rms(samples: np.ndarray) -> float:
    """Root mean square, of at most :data:`LOOKED_AT` blocks."""
    starts = range(0, len(samples), BLOCK_SAMPLES)
    blocks = (samples[i : i + BLOCK_SAMPLES].astype(np.float64) for i in starts[:: -(-len(starts) // LOOKED_AT)])
    sums = [(float(np.square(b).sum()), len(b)) for b in blocks]
    return float(np.sqrt(sum(s for s, _ in sums) / sum(n for _, n in sums)))


def decode(uri: str | Path) -> np.ndarray:
    """All samples of a short file: float32 at 16 kHz mono, shape (n,).

    Raises:
        AudioError: nothing can be decoded.
    """
    with open_pcm(uri) as pcm:
        return pcm.read()
