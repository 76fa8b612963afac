"""Audio identity: the fingerprint of a recording, by which a copy at another bitrate, container, loudness or trim is found.

Haitsma and Kalker, "A Highly Robust Audio Fingerprinting System", ISMIR 2002: 33 bands, logarithmically spaced over 300–2000 Hz
(what every codec and telephone line keeps, and where speech has its energy); bit m of a sub-fingerprint is the sign of the
change in time of the difference between the energies of bands m and m+1. Signs of differences of linear energies do not depend
on loudness.

Theirs come every 11.6 ms; ours every 100 ms, because a corpus of 30,000 hours must fit in memory (4 bytes x 10 a second: 1.7 MB
for 12 hours). So that a copy whose frames lie half a hop (50 ms) off still agrees, energies are smoothed over 1.1 s and
differences taken over 0.6 s. Chromaprint, the well-kept library, was measured beside it and left: the ffmpeg binaries of two
releases of one wheel differ in having it, and a fingerprint has to stay comparable for years. See
``containers/ingest/IDENTITY.md`` for the figures.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from stagekit.identity import FRAMES_PER_SECOND, Fingerprint
from stagekit.tables import SAMPLE_RATE

HOP = SAMPLE_RATE // FRAMES_PER_SECOND
"""Samples between frames: 100 ms."""
FRAME = 4096
"""Samples per frame, 256 ms: bins of 3.9 Hz, a fifth of the narrowest band."""
BANDS = 33
LOW_HZ, HIGH_HZ = 300.0, 2000.0
SMOOTH = 11
"""Frames per Hann-weighted mean of energies."""
LAG = 6
"""Frames between the two energies of a difference. With SMOOTH, the best of the (smooth, lag) tried: longer ones agree slightly
better on copies, but use up 0.6 s more of a short clip and let different clips come nearer."""
SILENCE = 1e-5
"""Of the energy of a loud frame (95th percentile): -50 dB. Below it there is only coding noise, and 0 is written: no
information."""
CHUNK = 256
"""Frames per FFT call: 2 MB of float32 at a time."""

_EDGES = np.round(np.geomspace(LOW_HZ, HIGH_HZ, BANDS + 1) * FRAME / SAMPLE_RATE).astype(np.int64)
_WINDOW = np.hanning(FRAME).astype(np.float32)


def fingerprint(samples: npt.NDArray[np.generic] | Iterable[npt.NDArray[np.generic]]) -> Fingerprint:
    """Sub-fingerprints of a recording.

    Args:
        samples: 16 kHz mono, float in [-1, 1] or int16; one array of shape (n,), or consecutive blocks of any length. Memory
            beyond a block: 1.4 kB per second of audio.

    Returns:
        uint32, ten a second, shape (max(0, 1 + (n - 4096) // 1600 - 16),): the last 1.9 s begin none. 0 where there is silence.

    Raises:
        ValueError: not flat, or not finite.
    """
    blocks = [samples] if isinstance(samples, np.ndarray) else samples
    rest: npt.NDArray[np.float32] = np.zeros(0, np.float32)
    energies: list[npt.NDArray[np.float32]] = []
    for block in blocks:
        rest = np.concatenate([rest, _as_float(block)])
        frames = 1 + (len(rest) - FRAME) // HOP
        if frames > 0:
            energies.append(_energies(rest, frames))
            rest = rest[frames * HOP :]
    if not energies:
        return np.zeros(0, np.uint32)
    return _bits(np.concatenate(energies))


def _as_float(block: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    if block.ndim != 1:
        raise ValueError(f"samples must be mono, of shape (n,), not {block.shape}")
    scale = 32768.0 if np.issubdtype(block.dtype, np.integer) else 1.0
    array = block.astype(np.float32) / np.float32(scale)
    if not np.isfinite(array).all():
        raise ValueError("samples hold NaN or infinity")
    return array


def _energies(samples: npt.NDArray[np.float32], frames: int) -> npt.NDArray[np.float32]:
    """Band energies, shape (frames, BANDS)."""
    view = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::HOP]
    out = np.empty((frames, BANDS), np.float32)
    for start in range(0, frames, CHUNK):
        spectrum = np.fft.rfft(view[start : min(start + CHUNK, frames)] * _WINDOW, axis=1)
        power = spectrum.real**2 + spectrum.imag**2
        out[start : start + CHUNK] = np.add.reduceat(power[:, : _EDGES[-1]], _EDGES[:-1], axis=1)
    return out


def _bits(energy: npt.NDArray[np.float32]) -> Fingerprint:
    """From band energies, shape (frames, BANDS), to sub-fingerprints."""
    if len(energy) < SMOOTH + LAG:
        return np.zeros(0, np.uint32)
    weights = np.hanning(SMOOTH + 2)[1:-1]
    weights /= weights.sum()
    value = np.zeros(len(energy) - SMOOTH + 1 - LAG, np.uint32)
    level = np.zeros(len(energy) - SMOOTH + 1)
    lower = np.convolve(energy[:, 0], weights, "valid")
    for band in range(BANDS - 1):
        level += lower
        upper = np.convolve(energy[:, band + 1], weights, "valid")
        step = lower - upper
        value |= (step[LAG:] > step[:-LAG]).astype(np.uint32) << np.uint32(band)
        lower = upper
    loud = np.quantile(level, 0.95)
    value[np.maximum(level[LAG:], level[:-LAG]) <= SILENCE * loud] = 0
    return value
