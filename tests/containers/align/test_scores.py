"""What the columns say of texts and voices."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from align.language import FOREIGN_RHYTHM, foreign, language_score, rhythm
from align.place import TokenPlace
from align.pocketsphinx_recognizer import general_unigrams
from align.sphinx_model import load_model
from align.synthetic import pitch_roughness, synthetic_voice_score

Reading = tuple[NDArray[np.float32], list[str]]


def test_the_right_text_stands_above_unrelated_words(reading: Reading, speech_of_kennedy: Reading) -> None:
    pool = sorted(general_unigrams())
    right = language_score(load_model(), reading[0], reading[1], pool, "a")
    wrong = language_score(load_model(), reading[0], speech_of_kennedy[1], pool, "a")
    assert right is not None and wrong is not None
    assert right > 0.8 and wrong < 0.5 and right > wrong + 0.5
    assert right == language_score(load_model(), reading[0], reading[1], pool, "a")


def test_a_text_that_cannot_fit_has_no_score(reading: Reading) -> None:
    assert language_score(load_model(), reading[0][:8000], reading[1], sorted(general_unigrams()), "a") is None
    assert language_score(load_model(), reading[0], ["москва"], ["the"], "a") is None


def places(spread: float, score: float, n: int = 400) -> list[TokenPlace]:
    model, rng = load_model(), np.random.default_rng(1)
    typical = {"AH": 1.53, "T": 1.82, "IY": 2.14}
    out, at = [], 0.0
    for i in range(n):
        phones = tuple((model.phone_id(p), max(3, round(math.exp(rng.normal(m, spread))))) for p, m in typical.items())
        length = sum(f for _, f in phones) / 100
        out.append(TokenPlace(i, at, at + length, score, True, phones))
        at += length
    return out


def test_foreign_speech_is_told_by_rhythm_and_score_together() -> None:
    model = load_model()
    assert rhythm(model, places(0.3, 0.8))[0] < FOREIGN_RHYTHM < rhythm(model, places(0.7, 0.8))[0]
    assert foreign(model, places(0.3, 0.0)) is None and foreign(model, places(0.7, 0.8)) is None
    assert "rhythm" in (foreign(model, places(0.7, 0.0)) or "")
    assert foreign(model, places(0.7, 0.0, n=20)) is None, "too little to judge"
    assert foreign(model, []) is None


def test_a_perfectly_smooth_pitch_is_taken_for_a_synthesiser_and_a_reader_is_not(reading: Reading) -> None:
    t = np.arange(2 * 16_000) / 16_000
    phase = 2 * np.pi * np.cumsum(120 + 20 * np.sin(2 * np.pi * 0.5 * t)) / 16_000
    buzz = sum(np.sin(k * phase) / k for k in range(1, 20)).astype(np.float32) * 0.1
    machine, person = synthetic_voice_score(buzz), synthetic_voice_score(reading[0])
    assert machine is not None and person is not None and machine > 0.8 and person < 0.5
    assert pitch_roughness(np.zeros(16_000, np.float32)) is None
    assert synthetic_voice_score(np.zeros(100, np.float32)) is None
