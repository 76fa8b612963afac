"""What can be heard of a word in its clip: levels, edges, noise; and the word's sound as one vector.

The vector is the cepstrum (13 coefficients, means taken out) of the word and its change, at 16 moments evenly spread over it: two
people who say the same word at different speeds come out alike. Mel cepstra after Davis and Mermelstein (1980), linear time
normalisation as in the first word recognisers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from stagekit.tables import SAMPLE_RATE

HOP, WINDOW, FFT = 160, 400, 512
"""10 ms, 25 ms."""
BANDS, LOW_HZ, HIGH_HZ = 32, 80.0, 3800.0
"""Up to what a telephone passes: sources of several bandwidths come together, and the band is not the word."""
CEPSTRA, MOMENTS = 13, 16
SIZE = CEPSTRA * MOMENTS * 2
"""Of a vector."""
EDGE = 320
"""Samples on both sides of an edge that are listened to: 20 ms."""
FLOOR = 1e-5
"""Amplitude below which everything is silence: -100 dBFS."""
GSC_QUIET = 0.004
"""Google Speech Commands leaves out a second whose mean of |x| is below this (`extract_loudest_section`)."""


@dataclass(frozen=True)
class Sound:
    """One clip, heard."""

    level_db: float
    """Root mean square inside the word, dBFS."""
    snr_db: float
    """That over the quietest tenth of the rest of the clip, padding left out."""
    outside_db: float
    """Loudest 0.1 s outside the word, over the word's level."""
    edge_db: float
    """The louder of the 20 ms inside the word's two edges, over the word's level: a cut word has no soft end."""
    contour_db: float
    """How much the level moves inside the word: standard deviation over 10 ms windows, dB, down to 60 under the loudest."""
    mean_abs: float
    """Mean of |x| over the clip, full scale 1."""
    vector: np.ndarray
    """float32, shape (SIZE,)."""


def listen(samples: np.ndarray, start: int, end: int, before: int = 0, after: int = 0) -> Sound:
    """Describe a clip.

    Args:
        samples: the clip, int16 at 16 kHz, shape (n,).
        start: first sample of the word; may be negative.
        end: one past its last; may be beyond the clip.
        before: samples of padding at the clip's start.
        after: samples of padding at its end.
    """
    x = samples.astype(np.float32) / 32768.0
    start, end = max(0, start), min(len(x), end)
    end = max(end, start + 1)
    power = x * x
    level = _db(float(power[start:end].mean()))
    outside = np.concatenate([power[before:start], power[end : len(x) - after]])
    blocks = outside[: len(outside) // HOP * HOP].reshape(-1, HOP).mean(axis=1)
    quiet = _db(float(np.percentile(blocks, 10))) if len(blocks) >= 5 else _db(0.0)
    longer = np.convolve(blocks, np.full(10, 0.1), "valid") if len(blocks) >= 10 else np.zeros(1)
    edges = (power[start : min(end, start + EDGE)], power[max(start, end - EDGE) : end])
    blocks = power[start : start + (end - start) // HOP * HOP].reshape(-1, HOP).mean(axis=1)
    inside = 10 * np.log10(blocks + FLOOR**2)
    contour = float(np.maximum(inside, inside.max() - 60).std()) if len(inside) else 0.0
    return Sound(
        level, level - quiet, _db(float(longer.max())) - level, max(_db(float(e.mean())) for e in edges) - level,
        contour, float(np.abs(x).mean()), vector(x, start, end),
    )  # fmt: skip


def vector(x: np.ndarray, start: int, end: int) -> np.ndarray:
    """The sound of [start, end) of a clip (float32, full scale 1), as float32 of shape (SIZE,)."""
    first = max(0, start - 2 * HOP) // HOP
    padded = np.concatenate([np.zeros(WINDOW // 2, np.float32), x, np.zeros(WINDOW, np.float32)])
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[:: HOP][first : -(-end // HOP) + 3]
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(WINDOW).astype(np.float32), FFT)) ** 2
    bands = np.log(spectrum @ _mel().T + FLOOR**2 * WINDOW)
    # The quietest 60 dB below the loudest are noise of the room, which differs from clip to clip.
    bands = np.maximum(bands, bands.max() - 60 / 4.343)
    cepstra = bands @ _cosines().T
    cepstra -= cepstra.mean(axis=0)
    change = np.gradient(cepstra, axis=0) if len(cepstra) > 1 else np.zeros_like(cepstra)
    at = np.linspace(0, len(cepstra) - 1, MOMENTS)
    below = np.floor(at).astype(int)
    above, part = np.minimum(below + 1, len(cepstra) - 1), (at - below)[:, None]
    both = np.concatenate([cepstra, 3 * change], axis=1)
    return ((1 - part) * both[below] + part * both[above]).astype(np.float32).ravel()


def _db(power: float) -> float:
    return 10 * float(np.log10(max(power, FLOOR**2)))


@cache
def _mel() -> np.ndarray:
    """Triangles, evenly spaced on the mel scale; float32, shape (BANDS, FFT // 2 + 1)."""
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (LOW_HZ, HIGH_HZ))
    corners = 700 * (10 ** (np.linspace(low, high, BANDS + 2) / 2595) - 1)
    hz = np.fft.rfftfreq(FFT, 1 / SAMPLE_RATE)
    up = (hz - corners[:-2, None]) / np.diff(corners)[:-1, None]
    down = (corners[2:, None] - hz) / np.diff(corners)[1:, None]
    return np.maximum(0, np.minimum(up, down)).astype(np.float32)


@cache
def _cosines() -> np.ndarray:
    """The first of a cosine transform; shape (CEPSTRA, BANDS)."""
    n = np.arange(BANDS)
    return np.cos(np.pi * np.arange(CEPSTRA)[:, None] * (n + 0.5) / BANDS) * np.sqrt(2 / BANDS)
