"""The flat start, and what is left out of training."""

import numpy as np
import pytest

from words.estimate import flat_path, outliers
from words.graph import Topology, build


@pytest.mark.parametrize("shift_s", [0.005, 0.01])
def test_a_closure_belongs_to_the_letters_and_a_pause_to_none(shift_s: float) -> None:
    trellis = build([[[1, 2, 3]], [[2, 1]]], Topology())
    rng = np.random.default_rng(1)
    level = rng.normal(0, 1, round(1.5 / shift_s))
    time = np.arange(len(level)) * shift_s
    closure, pause, ends = (time >= 0.4) & (time < 0.46), (time >= 0.8) & (time < 1.0), (time < 0.1) | (time >= 1.4)
    level[closure | pause | ends] -= 20
    word = trellis.word[flat_path(level.astype(np.float32), trellis, shift_s)]
    assert (word[closure] >= 0).all()
    edge = 3 * round(0.01 / shift_s)  # smoothing rounds corners
    for quiet in (np.flatnonzero(pause), np.flatnonzero(time < 0.1), np.flatnonzero(time >= 1.4)):
        assert (word[quiet[edge:-edge]] == -1).all()
    loud = word[word >= 0]
    assert (np.diff(loud) >= 0).all() and np.bincount(loud) / len(loud) == pytest.approx([0.6, 0.4], abs=0.02)


def test_a_third_of_wrong_texts_is_left_out_and_none_of_a_good_corpus() -> None:
    rng = np.random.default_rng(2)
    right, wrong = rng.normal(-1.5, 0.4, 140), rng.normal(-6, 1, 60)
    found = outliers(np.concatenate([right, wrong, [np.nan]]), 6.0)
    assert found[140:].mean() > 0.9 and found[-1] and not found[:140].any()
    assert not outliers(rng.normal(-1.5, 0.01, 100), 6.0).any()
