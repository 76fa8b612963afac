"""Boundaries found in sound that is made of two halves: no model, no bias."""

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from words import refine as module
from words.change import change, fine_mel, per_frame
from words.features import RATE, Shape, cepstra, log_mel
from words.refine import fused, refine

SECOND = RATE


def hiss(rng: np.random.Generator, seconds: float, low: float, high: float, level: float) -> np.ndarray:
    """Noise between two frequencies."""
    n = round(seconds * SECOND)
    spectrum = np.fft.rfft(rng.normal(size=n))
    at = np.fft.rfftfreq(n, 1 / RATE)
    spectrum[(at < low) | (at > high)] = 0
    x = np.fft.irfft(spectrum, n)
    return (level * x / x.std()).astype(np.float32)


def test_frames_are_centred_on_half_a_shift_past_their_number() -> None:
    x = np.zeros(SECOND, np.float32)
    x[8000 : 8000 + 160] = 0.5 * np.sin(np.arange(160))
    energy = log_mel(x, 160).sum(axis=1)
    assert len(energy) == 100
    assert energy.argmax() == 50, "sound in 0.500 to 0.510 s is frame 50"
    np.testing.assert_allclose(energy[49], energy[51], atol=12.0)


def test_digital_silence_has_numbers_for_vectors() -> None:
    assert np.isfinite(cepstra(np.zeros(1000, np.float32), Shape())).all()
    for n in (0, 1, 79, 80, 161, 400):
        assert cepstra(np.zeros(n, np.float32), Shape()).shape == (13, Shape().frames(n))


def test_a_boundary_between_touching_words_goes_to_where_the_spectrum_changes() -> None:
    rng = np.random.default_rng(1)
    errors = []
    for k in range(20):
        cut = 0.5 + 0.0037 * k
        x = np.concatenate([hiss(rng, cut, 100, 1500, 0.1), hiss(rng, 1.1 - cut, 2000, 7000, 0.1)])
        mel = fine_mel(x)
        for off in (0.003, 0.025):
            words = np.array([[0.2, cut + off], [cut + off, 1.0]])
            errors.append(refine(words, change(mel), len(x) / RATE)[0, 1] - cut)
    assert np.abs(errors).max() < 0.006
    assert abs(np.mean(errors)) < 0.001


def test_words_begin_and_end_where_the_pause_gives_way() -> None:
    rng = np.random.default_rng(2)
    starts, ends = [], []
    for k in range(20):
        begin, end = 0.4 + 0.0031 * k, 0.9 + 0.0017 * k
        x = hiss(rng, 1.4, 60, 7600, 0.002)
        word = hiss(rng, end - begin, 200, 4000, 0.1)
        x[round(begin * RATE) : round(begin * RATE) + len(word)] += word
        mel = fine_mel(x)
        ((a, b),) = refine(np.array([[begin - 0.015, end + 0.015]]), change(mel), 1.4)
        starts.append(a - begin)
        ends.append(b - end)
    assert np.abs(starts).max() < 0.012 and np.abs(ends).max() < 0.012
    assert abs(np.mean(starts)) < 0.006 and abs(np.mean(ends)) < 0.006


def test_refined_words_stay_in_order_and_in_the_clip() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(0, 0.1, 2 * SECOND).astype(np.float32)
    mel = fine_mel(x)
    for _ in range(50):
        words = np.sort(rng.uniform(0, 2, 20)).reshape(10, 2)
        touching = rng.random(9) < 0.5
        words[1:, 0] = np.where(touching, words[:-1, 1], words[1:, 0])
        out = refine(words, change(mel), 2.0)
        flat = out.ravel()
        assert (np.diff(flat) >= -1e-9).all() and flat[0] >= 0 and flat[-1] <= 2.0
        assert (out[1:, 0][touching] == out[:-1, 1][touching]).all()


@st.composite
def paths(draw: st.DrawFn, words: int) -> np.ndarray:
    """Times of words as a path has them: frames of 10 ms, three at least a word, pauses or none between."""
    steps = [draw(st.integers(0, 4)), *(draw(st.integers(3 * odd, 4 + 5 * odd)) for _ in range(words) for odd in (1, 0))]
    return np.cumsum(steps[:-1]).reshape(words, 2) / 100


@given(st.data(), st.integers(1, 4))
def test_words_of_two_models_stay_in_order_and_none_is_empty(data: st.DataObject, words: int) -> None:
    tied, alone = data.draw(paths(words)), data.draw(paths(words))
    duration = max(tied[-1, 1], alone[-1, 1]) + data.draw(st.sampled_from([0.0, 0.1]))
    both = fused(tied, alone, duration)
    assert (np.diff(both.ravel()) >= -1e-9).all()
    assert (both[:, 1] - both[:, 0] >= (tied[:, 1] - tied[:, 0]) / 2 - 1e-9).all()
    assert ((both == tied) | np.isclose(both, (tied + alone) / 2)).all()
    curve = np.zeros(round(duration / module.STEP) + 1, np.float32)
    curve[data.draw(st.lists(st.integers(0, len(curve) - 1), max_size=20))] = 1.0
    out = refine(both, curve, duration)
    assert (np.diff(out.ravel()) >= -1e-9).all() and (out[:, 1] > out[:, 0]).all() and out.min() >= 0 and out.max() <= duration


def test_where_two_models_agree_is_their_mean() -> None:
    assert doctest.testmod(module).failed == 0
    tied = np.array([(0.1, 0.3), (0.3, 0.5), (0.6, 0.9)])
    pause = np.array([(0.1, 0.3), (0.32, 0.5), (0.6, 0.9)])
    assert (fused(tied, pause, 1.0)[:2, 1] == tied[:2, 1]).all() and fused(tied, pause, 1.0)[1, 0] == 0.3, "a pause or none"
    assert fused(tied, tied + [(0, 0), (0, 0), (0, 0.1)], 1.0)[2, 1] == 0.9, "it runs to the end of the clip"
    assert fused(tied, tied - [(0, 0), (0, 0), (0.02, 0.04)], 1.0)[2].tolist() == pytest.approx([0.59, 0.88])


@pytest.mark.parametrize("samples", [0, 1, 100, 500])
def test_the_shortest_clips_have_a_curve(samples: int) -> None:
    curve = change(fine_mel(np.zeros(samples, np.float32)))
    if samples:
        assert np.isfinite(per_frame(curve, 3, 80, 5.0)).all()
