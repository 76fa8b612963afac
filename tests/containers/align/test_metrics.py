"""Each score says what it claims to, on sounds and texts whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from align import metrics
from stagekit.tables import SAMPLE_RATE


def tone(seconds: float, level: float, hz: float = 997.0) -> np.ndarray:
    """A sine of peak ``level``."""
    return level * np.sin(2 * np.pi * hz * np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE)


def test_error_rates() -> None:
    cer, wer = metrics.error_rates("we the people", "we a people")
    assert wer == pytest.approx(1 / 3) and cer == pytest.approx(3 / 13)
    assert metrics.error_rates("same text", "same  text ") == (0, 0)
    assert metrics.error_rates("a", "a b c d")[1] == 3
    assert metrics.error_rates(" ", "") == (0, 0)
    assert metrics.error_rates("", "noise") == metrics.error_rates("words", "") == (1, 1)


def test_speech_ratio() -> None:
    assert metrics.speech_ratio([(0, 100), (150, 400)], 50, 250) == 0.75
    assert metrics.speech_ratio([(50, 150), (100, 200)], 0, 200) == 0.75  # overlaps count once
    assert metrics.speech_ratio([], 0, 10) == 0
    with pytest.raises(ValueError, match="no samples"):
        metrics.speech_ratio([], 5, 5)


@pytest.mark.parametrize("snr", [-3.0, 0.0, 5.0, 10.0, 20.0, 40.0])
def test_snr_of_a_mixture_is_the_ratio_it_was_made_with(snr: float) -> None:
    rng = np.random.default_rng(round(snr) + 10)
    speech = [(SAMPLE_RATE, 3 * SAMPLE_RATE), (4 * SAMPLE_RATE, 6 * SAMPLE_RATE)]
    clean = np.zeros(7 * SAMPLE_RATE)
    for a, b in speech:  # noise with the slow swell of syllables
        clean[a:b] = rng.normal(size=b - a) * (1 + np.sin(2 * np.pi * 4 * np.arange(b - a) / SAMPLE_RATE)) * 0.05
    power = np.mean(np.concatenate([clean[a:b] for a, b in speech]) ** 2)
    noise = rng.normal(size=len(clean)) * math.sqrt(power / 10 ** (snr / 10))
    measured = metrics.snr_db(clean + noise, speech)
    assert measured is not None and abs(measured - snr) < 0.5
    assert metrics.snr_db(clean + noise + 0.35, speech) == pytest.approx(measured, abs=1e-6), "an offset is no noise"


def test_snr_where_there_is_nothing_to_compare() -> None:
    sound = tone(2, 0.5)
    assert metrics.snr_db(sound, [(0, len(sound))]) is None
    assert metrics.snr_db(sound, []) is None
    assert metrics.snr_db(np.concatenate([sound, np.zeros(SAMPLE_RATE)]), [(0, len(sound))]) is None  # digital silence
    assert metrics.snr_db(np.zeros(0), []) is None
    floor = metrics.snr_db(sound, [(0, SAMPLE_RATE)])  # the "speech" is no louder than the rest
    assert floor is not None and floor <= -10


def test_loudness() -> None:
    """BS.1770: a sine of 997 Hz at full scale in one channel is -3.01 LKFS."""
    for peak_db in (0, -20, -40):
        assert metrics.loudness_lufs(tone(3, 10 ** (peak_db / 20))) == pytest.approx(peak_db - 3.01, abs=0.15)
    assert metrics.loudness_lufs(np.zeros(SAMPLE_RATE)) is None
    assert metrics.loudness_lufs(tone(3, 1e-5)) is None
    assert metrics.loudness_lufs(tone(0.3, 0.5)) is None
    assert metrics.loudness_lufs(tone(0.4, 0.5).astype(np.float32)) is not None


def test_edge_silence() -> None:
    assert metrics.edge_silence_s(0, 1600, 30_000, 30_800) == 0.05
    assert metrics.edge_silence_s(5, 5, 10, 20) == 0
    with pytest.raises(ValueError, match="does not hold"):
        metrics.edge_silence_s(10, 5, 20, 30)


def test_duration_spread() -> None:
    assert metrics.duration_spread([]) is None
    spread = metrics.duration_spread([1.0, 5.0, 9.0, 14.9])
    assert spread is not None
    assert (spread.clips, spread.seconds, spread.p50, spread.at_limit) == (4, pytest.approx(29.9), 7.0, 0.25)
