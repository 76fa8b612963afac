"""Scores of a segment, as pure functions. Samples are mono float in [-1, 1] at 16 kHz; speech is [start, end) in samples."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import jiwer
import numpy as np
import numpy.typing as npt
import pyloudnorm

from stagekit.tables import SAMPLE_RATE

Samples = npt.NDArray[np.floating]
Ranges = Sequence[tuple[int, int]]

GATE_BLOCK_S = 0.4
"""Block length of ITU-R BS.1770-4: shorter sound has no integrated loudness."""

MIN_NOISE_S = 0.05
"""Less non-speech than this says nothing about the noise."""

PILE_UP_S = 14.0
"""Clips longer than this are *at the limit* of 15 s: in The People's Speech, half of ``clean`` (median 14.8 s)."""


def error_rates(reference: str, hypothesis: str) -> tuple[float, float]:
    """Character and word error rate of ``reference`` against ``hypothesis``, by jiwer; may pass 1.

    An empty reference has no rate by jiwer: against an empty hypothesis it is 0, against any other 1 (all of it is wrong).

    >>> error_rates("a b", "a c")
    (0.3333333333333333, 0.5)
    >>> error_rates("", ""), error_rates("", "x"), error_rates("x", "")
    ((0.0, 0.0), (1.0, 1.0), (1.0, 1.0))
    """
    reference, hypothesis = " ".join(reference.split()), " ".join(hypothesis.split())
    if not reference:
        rate = float(bool(hypothesis))
        return rate, rate
    return float(jiwer.cer(reference, hypothesis)), float(jiwer.wer(reference, hypothesis))


def speech_ratio(speech: Ranges, start: int, end: int) -> float:
    """Share of [start, end) that is speech, 0-1.

    Raises:
        ValueError: empty range.
    """
    if end <= start:
        raise ValueError(f"no samples between {start} and {end}")
    return float(_mask(speech, start, end).mean())


def snr_db(samples: Samples, speech: Ranges) -> float | None:
    """Level of speech over level of non-speech in dB; positions in ``speech`` count from the first of ``samples``.

    The power of the speech part is taken less the noise in it (as measured outside), so that a mixture made at a known ratio
    gives that ratio. None if there is no speech, less than 50 ms of non-speech, or digital silence outside the speech.
    At and below 0 dB it is floored at -20: the speech adds less than the spread of the noise. A constant offset is neither.

    Args:
        samples: shape (n,).
        speech: [start, end) in samples.
    """
    mask = _mask(speech, 0, len(samples))
    inside, outside = int(mask.sum()), int(len(samples) - mask.sum())
    if inside == 0 or outside < MIN_NOISE_S * SAMPLE_RATE:
        return None
    if np.ptp(samples[~mask]) == 0:
        return None
    noise, mixture = (float(np.var(samples[part], dtype=np.float64)) for part in (~mask, mask))
    return 10 * math.log10(max((mixture - noise) / noise, 0.01))


def loudness_lufs(samples: Samples) -> float | None:
    """Integrated loudness (ITU-R BS.1770-4, by pyloudnorm); None below 0.4 s or if every block is under the -70 LUFS gate."""
    if len(samples) < GATE_BLOCK_S * SAMPLE_RATE:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # log10(0) of digital silence
        value = pyloudnorm.Meter(SAMPLE_RATE).integrated_loudness(np.asarray(samples, dtype=np.float64))
    return float(value) if math.isfinite(value) and value > -70 else None


def edge_silence_s(start: int, speech_start: int, speech_end: int, end: int) -> float:
    """Silence kept at both ends of a clip, the smaller of the two, in seconds; arguments in samples.

    Raises:
        ValueError: not ``start <= speech_start <= speech_end <= end``.
    """
    if not start <= speech_start <= speech_end <= end:
        raise ValueError(f"clip {start}-{end} does not hold its speech {speech_start}-{speech_end}")
    return min(speech_start - start, end - speech_end) / SAMPLE_RATE


@dataclass(frozen=True)
class DurationSpread:
    """How clip durations spread.

    Attributes:
        clips: number of clips.
        seconds: their sum.
        p5: 5th percentile, seconds; likewise the others.
        p25: 25th.
        p50: median.
        p75: 75th.
        p95: 95th.
        at_limit: share of clips longer than ``PILE_UP_S``.
    """

    clips: int
    seconds: float
    p5: float
    p25: float
    p50: float
    p75: float
    p95: float
    at_limit: float


def duration_spread(durations: Sequence[float]) -> DurationSpread | None:
    """Percentiles of clip durations in seconds; None of none."""
    if len(durations) == 0:
        return None
    values = np.asarray(durations, dtype=np.float64)
    p5, p25, p50, p75, p95 = (float(x) for x in np.percentile(values, [5, 25, 50, 75, 95]))
    return DurationSpread(len(values), float(values.sum()), p5, p25, p50, p75, p95, float((values > PILE_UP_S).mean()))


def _mask(speech: Ranges, start: int, end: int) -> npt.NDArray[np.bool_]:
    mask = np.zeros(end - start, dtype=bool)
    for a, b in speech:
        if b > start and a < end:
            mask[max(a, start) - start : min(b, end) - start] = True
    return mask
