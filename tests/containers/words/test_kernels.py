"""The compiled loops against slow, plain ones."""

import itertools

import numpy as np
import pytest

from words import kernels
from words.decode import QUIET_WEIGHT, Density, Utterance, best_path, squared, table
from words.gmm import Mixtures, Sums, grow, single, update
from words.graph import SILENCE, Topology, build
from words.score import free_loop


def mixtures(rng: np.random.Generator, states: int, size: int, each: int = 3) -> Mixtures:
    n = states * each
    weight = rng.random(n) + 0.2
    weight = (weight.reshape(states, each) / weight.reshape(states, each).sum(1, keepdims=True)).ravel()
    return Mixtures(np.arange(states + 1) * each, weight, rng.normal(size=(n, size)), rng.random((n, size)) + 0.5)


def terms(m: Mixtures, x: np.ndarray) -> np.ndarray:
    """(gaussians, frames) log weight and density, in float64."""
    diff = x[None].astype(np.float64) - m.mean[:, :, None]
    v = m.variance[:, :, None]
    return np.log(m.weight)[:, None] - 0.5 * (np.log(2 * np.pi * v) + diff**2 / v).sum(axis=1)


@pytest.mark.parametrize("size", [1, 4, 13, 39])
def test_likelihoods_are_those_of_the_largest_gaussian(size: int) -> None:
    rng = np.random.default_rng(size)
    m = mixtures(rng, 5, size)
    x = rng.normal(size=(size, 40)).astype(np.float32)
    every = terms(m, x)
    none = np.zeros(5, np.float32)
    density = Density(*m.density(), none, none)
    found = table(squared(x), np.array([4, 0]), density)
    np.testing.assert_allclose(found, np.stack([every[12:15].max(0), every[:3].max(0)], axis=1), rtol=1e-4, atol=1e-3)
    pdf, start, stop = np.array([4, 0, 2]), np.array([0, 7, 39]), np.array([40, 7, 40])
    at = np.arange(40) * 3
    out = np.full(120, np.nan, np.float32)
    kernels.band_likelihoods(squared(x), pdf, start, stop, density.first, density.constant, density.linear, at, out)
    np.testing.assert_allclose(out[::3], every[12:15].max(0), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(out[119], every[6:9, 39].max(), rtol=1e-4, atol=1e-3)
    assert np.isnan(out.reshape(40, 3)[:, 1]).all() and np.isnan(out.reshape(40, 3)[:39, 2]).all(), "no other place is written"


def test_the_path_is_the_best_of_all_paths() -> None:
    rng = np.random.default_rng(3)
    trellis = build([[[1], [2]], [[1]]], Topology(silence_parts=1, pause=0.3))
    pdf = (trellis.unit * 3 + trellis.part).astype(np.int64)
    frames, size = 8, 2
    m = mixtures(rng, 9, size, 1)
    stay = np.log(rng.random(9)).astype(np.float32)
    go = np.log(rng.random(9)).astype(np.float32)
    x = rng.normal(size=(size, frames)).astype(np.float32)
    change = rng.normal(size=frames).astype(np.float32)
    utterance = Utterance(x, trellis, change)
    path, total = best_path(utterance, pdf, Density(*m.density(), stay, go))

    obs = terms(m, x)
    assert np.abs(utterance.quiet).max() == np.float32(QUIET_WEIGHT)
    obs[SILENCE * 3 : SILENCE * 3 + 3] += utterance.quiet
    arcs = {
        (int(trellis.source[k]), s): float(trellis.weight[k] + go[pdf[trellis.source[k]]]) + 1j * float(trellis.crossing[k])
        for s in range(len(pdf))
        for k in range(trellis.arc[s], trellis.arc[s + 1])
    }
    best, chosen = -np.inf, None
    for states in itertools.combinations_with_replacement(range(len(pdf)), frames):
        value = trellis.entry[states[0]] + trellis.leave[states[-1]] + obs[pdf[states[0]], 0]
        for t in range(1, frames):
            a, b = states[t - 1], states[t]
            if a == b:
                value += stay[pdf[a]]
            elif (a, b) in arcs:
                value += arcs[a, b].real + arcs[a, b].imag * change[t]
            else:
                value = -np.inf
                break
            value += obs[pdf[b], t]
        if value > best:
            best, chosen = value, states
    assert tuple(path) == chosen
    assert total == pytest.approx(best, abs=1e-3)


def test_a_band_that_holds_the_path_changes_nothing_and_one_that_does_not_finds_none() -> None:
    rng = np.random.default_rng(4)
    trellis = build([[[1, 2]], [[3]], [[2, 1, 3]]], Topology())
    pdf = (trellis.unit * 3 + trellis.part).astype(np.int64)
    m = mixtures(rng, 12, 5)
    half = np.full(12, np.log(0.5), np.float32)
    density = Density(*m.density(), half, half)
    x = rng.normal(size=(5, 90)).astype(np.float32)
    none = np.zeros(90, np.float32)
    utterance = Utterance(x, trellis, none)
    path, total = best_path(utterance, pdf, density)
    again, same = best_path(utterance, pdf, density, near=path, width=6)
    assert (again == path).all() and same == pytest.approx(total)
    given, too = best_path(utterance, pdf, density, known=table(squared(x), np.arange(12), density))
    assert (given == path).all() and too == pytest.approx(total)
    _, lost = best_path(Utterance(x[:, :10], trellis, none[:10]), pdf, density)
    assert lost < kernels.IMPOSSIBLE / 2, "18 states do not fit in 10 frames"
    assert trellis.shortest == 18


def test_every_word_is_on_every_path_and_pauses_only_where_they_may_be() -> None:
    rng = np.random.default_rng(5)
    words = [[[1, 2], [3]], [[2]], [[3, 3]]]
    trellis = build(words, Topology(pause=0.5))
    pdf = (trellis.unit * 3 + trellis.part).astype(np.int64)
    for seed in range(20):
        x = np.random.default_rng(seed).normal(size=(4, 60)).astype(np.float32)
        m = mixtures(rng, 12, 4)
        half = np.full(12, np.log(0.5), np.float32)
        path, _ = best_path(Utterance(x, trellis, np.zeros(60, np.float32)), pdf, Density(*m.density(), half, half))
        order = [int(w) for w, _ in itertools.groupby(trellis.word[path]) if w >= 0]
        assert order == [0, 1, 2]
        said = [int(trellis.unit[path[i]]) for i in np.flatnonzero(np.diff(trellis.token[path], prepend=-1))]
        letters = [u for u in said if u != SILENCE]
        assert letters in ([1, 2, 2, 3, 3], [3, 2, 3, 3])


def test_sums_and_updates_are_those_of_expectation_and_maximisation() -> None:
    rng = np.random.default_rng(6)
    m = mixtures(rng, 2, 3)
    x = rng.normal(size=(3, 400)).astype(np.float32)
    pdf = np.repeat([0, 1, -1], [200, 190, 10])
    sums = Sums.zeros(6, 3)
    kernels.accumulate(squared(x), pdf, *m.density(), sums.count, sums.moments)
    every = terms(m, x)
    for p, frames in ((0, slice(0, 200)), (1, slice(200, 390))):
        post = np.exp(every[3 * p : 3 * p + 3, frames])
        post /= post.sum(0)
        np.testing.assert_allclose(sums.count[3 * p : 3 * p + 3], post.sum(1), rtol=0.01, atol=0.3)
    new = update(m, sums, np.full(3, 1e-3))

    def likelihood(model: Mixtures) -> float:
        t = terms(model, x)
        return sum(np.logaddexp.reduce(t[3 * p : 3 * p + 3, f]).sum() for p, f in ((0, slice(0, 200)), (1, slice(200, 390))))

    assert likelihood(new) > likelihood(m)
    grown = grow(new, np.array([200.0, 190.0]), 8, each=10.0)
    assert len(grown.weight) == 8
    assert np.add.reduceat(grown.weight, grown.first[:-1]) == pytest.approx([1, 1])


def test_a_state_without_frames_gets_the_mean_of_all() -> None:
    sums = Sums(np.array([100.0, 0.0]), np.array([[200.0, 500.0], [0.0, 0.0]]))
    m = single(sums, np.array([0.1]))
    assert m.mean[1] == m.mean[0] == 2.0 and m.variance[1] == 1.0


def test_the_free_loop_is_at_least_as_good_as_any_path_of_units() -> None:
    rng = np.random.default_rng(7)
    obs = rng.normal(size=(12, 6)).astype(np.float32)
    zero = np.zeros(6)
    got = free_loop(obs, zero, zero, 3, 0.0)
    forced = obs[np.arange(12), np.repeat([3, 4, 5, 0, 1, 2], 2)]
    assert got.sum() >= forced.sum()
