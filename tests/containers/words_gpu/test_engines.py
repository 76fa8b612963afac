"""Compiled loops and PyTorch find the same paths, ratios, sums and models; on the CPU here, and on a GPU where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from stagekit.errors import StageError
from words import batched
from words.batched import Batched, batches
from words.decode import Utterance
from words.engine import Compiled, Engine, engine_of
from words.estimate import Estimator, Plan
from words.gmm import Mixtures
from words.graph import PARTS, Topology, build
from words.model import Acoustics

SIZE, UNITS = 6, 5
GPU = pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here"))


@pytest.fixture(params=["torch", GPU])
def engine(request: pytest.FixtureRequest) -> Engine:
    return engine_of(request.param, 1)


def acoustics(rng: np.random.Generator, each: int = 3) -> Acoustics:
    states = UNITS * PARTS
    many = rng.integers(1, each + 1, states)
    first = np.concatenate([[0], np.cumsum(many)])
    weight = np.concatenate([np.full(n, 1 / n) for n in many])
    n = int(first[-1])
    stay = rng.uniform(0.3, 0.9, states)
    mixtures = Mixtures(first, weight, rng.normal(size=(n, SIZE)), rng.uniform(0.5, 1.5, (n, SIZE)))
    return Acoustics(mixtures, np.log(stay).astype(np.float32), np.log(1 - stay).astype(np.float32))


def corpus(rng: np.random.Generator, n: int = 12) -> list[Utterance]:
    """Words of one or two pronunciations in noise; the last has more states than frames, so that no path fits."""
    out = []
    for i in range(n):
        words = [
            [rng.integers(1, UNITS, rng.integers(1, 4)).tolist() for _ in range(rng.integers(1, 3))]
            for _ in range(rng.integers(1, 6))
        ]
        trellis = build(words, Topology(pause=0.3))
        frames = int(rng.integers(trellis.shortest + 3, 150)) if i < n - 1 else trellis.shortest - 1
        x = rng.normal(size=(SIZE, frames)).astype(np.float32)
        out.append(Utterance(x, trellis, rng.normal(size=frames).astype(np.float32)))
    return out


def alone(utterance: Utterance) -> np.ndarray:
    return (utterance.trellis.unit * PARTS + utterance.trellis.part).astype(np.int64)


def same(pdfs: list[np.ndarray], one: Sequence[np.ndarray | None], two: Sequence[np.ndarray | None]) -> bool:
    """Whether paths see the same states; which of two equal pronunciations they are of does not matter."""
    found = zip(pdfs, one, two, strict=True)
    return all(a is b if a is None or b is None else (pdf[a] == pdf[b]).all() for pdf, a, b in found)


@pytest.mark.parametrize("seed", range(3))
def test_paths_with_and_without_a_band_are_the_same(engine: Engine, seed: int) -> None:
    rng = np.random.default_rng(seed)
    model, other, some = acoustics(rng), acoustics(rng), corpus(rng)
    pdfs = [alone(u) for u in some]
    expected, found = (e.paths(some, pdfs, model) for e in (Compiled(1), engine))
    assert expected[-1] is None and found[-1] is None
    assert same(pdfs[:-1], expected[:-1], found[:-1])
    near = [p for p in expected if p is not None]
    for width in (4, 12):
        one, two = (e.paths(some[:-1], pdfs[:-1], other, near, width) for e in (Compiled(1), engine))
        assert same(pdfs[:-1], one, two)
    free = Compiled(1).paths(some[:-1], pdfs[:-1], other)
    assert not same(pdfs[:-1], one, free), "the band is felt"


def test_a_small_budget_and_known_likelihoods_change_nothing(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    model, some = acoustics(rng), corpus(rng)
    pdfs = [alone(u) for u in some]
    expected = engine.paths(some, pdfs, model)
    monkeypatch.setattr(batched, "BUDGET", 40_000)
    monkeypatch.setattr(batched, "FRAMES", 64)
    parts = list(batches(some, UNITS * PARTS))
    assert len(parts) > 3 and sorted(i for p in parts for i in p) == list(range(len(some)))
    found = engine.paths(some, pdfs, model, known=engine.tables(some, model))
    assert same(pdfs, expected, found)


def test_likelihoods_and_ratios_are_the_same(engine: Engine) -> None:
    rng = np.random.default_rng(5)
    model, some = acoustics(rng), corpus(rng)[:-1]
    paths = [p for p in Compiled(1).paths(some, [alone(u) for u in some], model) if p is not None]
    trellises = [u.trellis for u in some]
    ours = Compiled(1)
    one, two = ours.tables(some, model), engine.tables(some, model)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, torch.as_tensor(b).cpu().numpy(), rtol=1e-4, atol=1e-4)
    for every in (1, 2):
        expected = ours.ratios(one, trellises, paths, model, every)
        found = engine.ratios(two, trellises, paths, model, every)
        for a, b in zip(expected, found, strict=True):
            np.testing.assert_allclose(a, b, atol=2e-3)


def test_sums_are_the_same(engine: Engine) -> None:
    rng = np.random.default_rng(6)
    model, some = acoustics(rng, 5), corpus(rng)[:-1]
    paths = Compiled(1).paths(some, [alone(u) for u in some], model)
    pdfs = [None if p is None or i == 2 else alone(u)[p] for i, (u, p) in enumerate(zip(some, paths, strict=True))]
    pdfs[0][:5] = -1  # type: ignore[index]
    expected, found = (e.sums(some, pdfs, model.mixtures) for e in (Compiled(2), engine))
    assert expected.count.sum() > 500
    np.testing.assert_allclose(found.count, expected.count, rtol=1e-3, atol=1e-2)
    np.testing.assert_allclose(found.moments, expected.moments, rtol=1e-3, atol=2e-2)


def test_training_ends_with_the_same_paths(engine: Engine) -> None:
    """Letters that differ: what two engines learn from a flat start lies within a frame of each other."""
    rng = np.random.default_rng(7)
    means = rng.normal(size=(UNITS, SIZE)) * 3
    means[0] = [-12, 0, 0, 0, 0, 0]
    some = []
    for _ in range(40):
        words = [rng.integers(1, UNITS, 2).tolist() for _ in range(3)]
        said = [0, *(u for w in words for u in w), 0]
        x = np.concatenate([rng.normal(size=(12, SIZE)) + means[u] for u in said]).T.astype(np.float32)
        some.append(Utterance(x, build([[w] for w in words], Topology()), np.zeros(x.shape[1], np.float32)))
    plan = replace(Plan(), gaussians=20, tied_gaussians=40, leaves=20)
    one, two = (Estimator(some, UNITS, 0.005, plan, e).run(None, lambda s: None) for e in (Compiled(1), engine))
    off = [np.abs(np.flatnonzero(np.diff(u.trellis.token[a])) - np.flatnonzero(np.diff(u.trellis.token[b])))
           for u, a, b in zip(some, one.paths, two.paths, strict=True)]  # fmt: skip
    assert np.mean(np.concatenate(off) <= 1) > 0.99
    assert len(two.acoustics.mixtures.weight) == pytest.approx(len(one.acoustics.mixtures.weight), rel=0.05)


def test_a_device_that_is_not_here_is_said() -> None:
    if not torch.cuda.is_available():
        with pytest.raises(StageError, match="PyTorch sees no GPU"):
            engine_of("cuda", 1)
    assert isinstance(engine_of("torch", 1), Batched)
