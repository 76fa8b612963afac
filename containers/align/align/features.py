"""Cepstral features exactly as the model in pocketsphinx's wheel wants them.

Method: CMU Sphinx front end (`sphinxbase/fe`): pre-emphasis 0.97, Hamming window of 25.625 ms every 10 ms, 512-point power
spectrum, 25 mel filters of 130–6800 Hz, noise removal on the mel spectrum, log, DCT-II to 13, liftering 22; then mean
normalisation, deltas (±2) and accelerations (±3 of deltas). The test compares with what the library itself writes.
"""

from __future__ import annotations

import functools

import numba
import numpy as np
from numpy.typing import NDArray

RATE = 16_000
HOP = 160
"""Samples per frame (10 ms)."""
WINDOW = 410
N_FFT = 512
N_FILTERS, N_CEPSTRA, LIFTER = 25, 13, 22
LOW_HZ, HIGH_HZ = 130.0, 6800.0


@functools.lru_cache(maxsize=1)
def _filters() -> NDArray[np.float64]:
    """(257, 25) triangular mel filters of unit area, edges rounded to spectral points."""

    def mel(hz: float) -> float:
        return 2595.0 * np.log10(1.0 + hz / 700.0)

    def hertz(value: float) -> float:
        return 700.0 * (10.0 ** (value / 2595.0) - 1.0)

    step, low = (mel(HIGH_HZ) - mel(LOW_HZ)) / (N_FILTERS + 1), mel(LOW_HZ)
    point = RATE / N_FFT
    out = np.zeros((N_FFT // 2 + 1, N_FILTERS))
    hz = np.arange(N_FFT // 2 + 1) * point
    for i in range(N_FILTERS):
        left, centre, right = (round(hertz(low + (i + k) * step) / point) * point for k in range(3))
        up, down = (hz - left) / (centre - left), (right - hz) / (right - centre)
        out[:, i] = np.where((hz > left) & (hz < right), np.minimum(up, down), 0.0) * 2.0 / (right - left)
    return out


@functools.lru_cache(maxsize=1)
def _transform() -> NDArray[np.float64]:
    """(25, 13) orthonormal DCT-II times the lifter."""
    i, j = np.arange(N_FILTERS) + 0.5, np.arange(N_CEPSTRA)
    dct = np.cos(np.pi / N_FILTERS * np.outer(i, j)) * np.sqrt(2.0 / N_FILTERS)
    dct[:, 0] *= np.sqrt(0.5)
    return dct * (1.0 + LIFTER / 2.0 * np.sin(j * np.pi / LIFTER))


@numba.njit(cache=True)
def _remove_noise(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sphinx's `fe_remove_noise`: lower-envelope noise tracking, temporal masking, gains smoothed over ±4 filters."""
    frames, filters = mel.shape
    out = np.empty_like(mel)
    power, noise = mel[0].copy(), mel[0] / 20.0
    floor, peak = mel[0] / 20.0, np.zeros(filters)
    signal, gain = np.empty(filters), np.empty(filters)
    for t in range(frames):
        for i in range(filters):
            power[i] = 0.7 * power[i] + 0.3 * mel[t, i]
            rate = 0.995 if power[i] >= noise[i] else 0.5
            noise[i] = rate * noise[i] + (1.0 - rate) * power[i]
            signal[i] = max(power[i] - noise[i], 1.0)
            rate = 0.995 if signal[i] >= floor[i] else 0.5
            floor[i] = rate * floor[i] + (1.0 - rate) * signal[i]
            value = signal[i]
            peak[i] *= 0.85
            if signal[i] < 0.85 * peak[i]:
                signal[i] = peak[i] * 0.2
            if value > peak[i]:
                peak[i] = value
            signal[i] = max(signal[i], floor[i])
            gain[i] = signal[i] / power[i] if signal[i] < 20.0 * power[i] else 20.0
            gain[i] = max(gain[i], 0.05)
        for i in range(filters):
            low, high = max(0, i - 4), min(filters, i + 5)
            out[t, i] = mel[t, i] * gain[low:high].sum() / (high - low)
    return out


def cepstra(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mel cepstra of 16 kHz mono audio in [-1, 1].

    Returns:
        (frames, 13) float32; frame t covers samples [160 t, 160 t + 410); audio shorter than a window gives 0 frames.
    """
    n = (len(samples) - WINDOW) // HOP + 1 if len(samples) >= WINDOW else 0
    if n <= 0:
        return np.zeros((0, N_CEPSTRA), np.float32)
    x = np.asarray(samples, np.float64) * 32768.0
    x = np.concatenate([[x[0] - 0.97 * 0.0], x[1:] - 0.97 * x[:-1]])
    frames = np.lib.stride_tricks.sliding_window_view(x, WINDOW)[::HOP][:n]
    window = 0.54 - 0.46 * np.cos(2.0 * np.pi * np.arange(WINDOW) / (WINDOW - 1))
    mel: NDArray[np.float64] = np.empty((n, N_FILTERS))
    for at in range(0, n, 4000):  # bounds the memory of the spectra
        power = np.abs(np.fft.rfft(frames[at : at + 4000] * window, N_FFT)) ** 2
        mel[at : at + 4000] = power @ _filters()
    mel = _remove_noise(np.maximum(mel, 1e-10))
    return (np.log(mel + 1e-4) @ _transform()).astype(np.float32)


MEAN_SECONDS = 2.0
"""The cepstral mean at a frame is that of the frames within so many seconds on either side: readers and channels change."""


def moving_mean(cepstrum: NDArray[np.float32], seconds: float = MEAN_SECONDS) -> NDArray[np.float32]:
    """(frames, 13) mean of the frames within `seconds` of each."""
    n, half = len(cepstrum), int(seconds * RATE / HOP)
    total = np.concatenate([np.zeros((1, cepstrum.shape[1])), np.cumsum(cepstrum, 0, dtype=np.float64)])
    low, high = np.maximum(np.arange(n) - half, 0), np.minimum(np.arange(n) + half + 1, n)
    return ((total[high] - total[low]) / (high - low)[:, None]).astype(np.float32)


def features(cepstrum: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cepstra less their moving mean, with deltas and accelerations.

    Args:
        cepstrum: (frames, 13) of `cepstra`.

    Returns:
        (frames, 3, 13) float32: the model's three streams.
    """
    if not len(cepstrum):
        return np.zeros((0, 3, N_CEPSTRA), np.float32)
    c = cepstrum - moving_mean(cepstrum)
    padded = np.concatenate([np.repeat(c[:1], 3, 0), c, np.repeat(c[-1:], 3, 0)])
    n = len(c)

    def at(offset: int) -> NDArray[np.float32]:
        return padded[3 + offset : 3 + offset + n]

    return np.stack([c, at(2) - at(-2), (at(3) - at(-1)) - (at(1) - at(-3))], 1).astype(np.float32)
