"""Sound to vectors: mel cepstra with slopes, frames centred so that times come out unbiased.

Frame ``t`` is centred on ``(t + 1/2) * shift``: a change of state between frames ``t - 1`` and ``t`` is best placed half-way
between their centres, which is ``t * shift`` exactly. (Frames that start at ``t * shift``, the usual choice, put every boundary
half a window minus half a shift early.)

Davis and Mermelstein, "Comparison of parametric representations for monosyllabic word recognition", IEEE ASSP 28(4), 1980;
Furui, "Speaker-independent isolated word recognition using dynamic features of speech spectrum", IEEE ASSP 34(1), 1986.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct, rfft

RATE = 16_000
WINDOW = 400
"""Samples of a frame (25 ms)."""
FFT = 512
MELS = 26
LOW_HZ, HIGH_HZ = 60.0, 7_600.0
CEPSTRA = 13
SLOPE_S = 0.02
"""Half the span over which slopes are fitted, seconds: the same at every frame shift."""
DITHER = 1.0 / 32768
"""RMS of the white noise whose expected power every band is given: one step of 16-bit sound. Digital silence is then merely
quiet, without a random number being drawn."""

Frames = NDArray[np.float32]


@dataclass(frozen=True)
class Shape:
    """How vectors are made; part of a model."""

    shift: int = 160
    """Samples between frames."""
    cepstra: int = CEPSTRA
    slopes: int = 2
    """Orders of slopes appended."""

    @property
    def size(self) -> int:
        """Rows of a vector."""
        return self.cepstra * (1 + self.slopes)

    def frames(self, samples: int) -> int:
        """Frames of a clip: those whose centre lies in it."""
        return max(0, (samples + self.shift // 2) // self.shift)


def log_mel(samples: NDArray[np.float32], shift: int, window: int = WINDOW) -> Frames:
    """Log mel energies, shape (frames, MELS)."""
    count = max(0, (len(samples) + shift // 2) // shift)
    if count == 0:
        return np.zeros((0, MELS), np.float32)
    left = window // 2 - shift // 2
    need = (count - 1) * shift + window
    right = max(0, need - left - len(samples))
    padded = np.pad(samples, (left + 1, right), mode="reflect" if len(samples) > max(left + 1, right) else "edge")
    emphasised = padded[1:] - np.float32(0.97) * padded[:-1]
    frames = np.lib.stride_tricks.sliding_window_view(emphasised, window)[::shift][:count]
    size = FFT if window > FFT // 2 else FFT // 2
    spectrum = rfft(frames * _window(window), size, axis=1)
    power = spectrum.real**2 + spectrum.imag**2
    bank = _mel_bank(size)
    energy = power @ bank
    energy += np.float32(DITHER**2 * float((_window(window) ** 2).sum())) * bank.sum(axis=0)
    return np.log(energy)


def cepstra(samples: NDArray[np.float32], shape: Shape) -> Frames:
    """Cepstra without slopes, shape (cepstra, frames), time along the fast axis."""
    mel = log_mel(samples, shape.shift)
    return np.ascontiguousarray(dct(mel, axis=1, norm="ortho")[:, : shape.cepstra].T.astype(np.float32))


def with_slopes(static: Frames, shape: Shape) -> Frames:
    """Vectors with their slopes below them, shape (size, frames)."""
    parts, last = [static], static
    for _ in range(shape.slopes):
        last = slope(last, max(1, round(SLOPE_S * RATE / shape.shift)))
        parts.append(last)
    return np.concatenate(parts, axis=0)


def slope(x: Frames, half: int) -> Frames:
    """Least-squares slope over ``2 * half + 1`` frames, edges repeated; per 10 ms of a 10 ms shift, per frame otherwise."""
    frames = x.shape[1]
    padded = np.pad(x, ((0, 0), (half, half)), mode="edge")
    out = np.zeros_like(x)
    for k in range(1, half + 1):
        out += np.float32(k) * (padded[:, half + k : half + k + frames] - padded[:, half - k : half - k + frames])
    return out / np.float32(2 * sum(k * k for k in range(1, half + 1)))


@cache
def _window(size: int) -> NDArray[np.float32]:
    return np.hanning(size + 1)[:-1].astype(np.float32)


@cache
def _mel_bank(size: int) -> NDArray[np.float32]:
    """Triangles evenly spaced on the mel scale, shape (size // 2 + 1, MELS)."""

    def mel(hz: NDArray[np.float64] | float) -> NDArray[np.float64]:
        return 1127.0 * np.log1p(np.asarray(hz) / 700.0)

    edges = np.linspace(mel(LOW_HZ), mel(HIGH_HZ), MELS + 2)
    at = mel(np.arange(size // 2 + 1) * RATE / size)[:, None]
    rise = (at - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - at) / (edges[2:] - edges[1:-1])
    return np.maximum(0.0, np.minimum(rise, fall)).astype(np.float32)
