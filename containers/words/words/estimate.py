"""From sound and words to a model: flat start, single states, then tied states, each round on better paths.

1. Flat start. The loud frames of each utterance are shared out evenly over its states; quiet stretches are pauses.
2. States without context, 14 rounds: best paths (in 9 of them), re-estimation, mixtures growing from 1 Gaussian to some 7.
3. Utterances whose words fit far worse than the others' are left out (wrong transcripts; :func:`outliers`).
4. A decision tree ties states in context; mixtures grow again over 10 rounds.

Paths are searched everywhere in the first 7 rounds, then within 300 ms of the last ones, and of 150 ms once states are tied.

The order of the sums is fixed (chunks of utterances, whatever the number of threads), so one seed gives one model.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from words import gmm, tree
from words.decode import Utterance
from words.engine import Engine
from words.gmm import Mixtures, Sums
from words.graph import SILENCE, Trellis
from words.model import Acoustics
from words.score import word_scores

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

BLOCK = 64
"""Utterances whose likelihoods of all states are in memory at a time."""


@dataclass(frozen=True)
class Plan:
    """How much of everything."""

    rounds: int = 14
    align_in: tuple[int, ...] = (0, 1, 2, 3, 4, 6, 8, 10, 12)
    gaussians: int = 600
    tied_rounds: int = 10
    leaves: int = 800
    tied_gaussians: int = 6000
    free_rounds: int = 7
    """After so many rounds, paths are searched only within ``wide_s`` of the last ones."""
    wide_s: float = 0.3
    band_s: float = 0.15
    """The same once states are tied."""
    outlier_deviations: float = 6.0


@dataclass(frozen=True)
class State:
    """Where training stands; all that is needed to go on."""

    phase: str
    round: int
    paths: list[I32 | None]
    """Best path of each utterance so far; None: left out."""
    acoustics: Acoustics
    tree: tree.Tree
    plain: Acoustics | None = None


class Estimator:
    """EM over a corpus in memory."""

    def __init__(self, utterances: Sequence[Utterance], units: int, shift_s: float, plan: Plan, engine: Engine):
        """``units``: number of units, silence included; ``shift_s``: seconds between frames."""
        self.utterances, self.units, self.plan, self.engine = utterances, units, plan, engine
        self.band, self.wide = round(plan.band_s / shift_s), round(plan.wide_s / shift_s)
        self.shift_s = shift_s
        self._tied_by: tree.Tree | None = None
        self._tied: list[I64] = []
        every = np.concatenate([u.x[:, ::7] for u in utterances], axis=1).astype(np.float64)
        self.floor = gmm.VARIANCE_FLOOR * every.var(axis=1)

    def run(self, state: State | None, save: Callable[[State], None]) -> State:
        """Train from ``state`` (None: from the start); ``save`` gets the state after every round.

        Returns:
            The last state, with ``plain`` and ``acoustics`` both filled.
        """
        plan = self.plan
        if state is None:
            state = self._start()
            save(state)
        while state.phase == "plain" and state.round < plan.rounds:
            band = self.wide if state.round >= plan.free_rounds else None
            state = self._round(state, state.round in plan.align_in, band, plan.gaussians, plan.rounds, 3)
            save(state)
        if state.phase == "plain":
            state = self._tie(self._drop_outliers(state))
            save(state)
        while state.round < plan.tied_rounds:
            state = self._round(state, state.round % 2 == 0, self.band, plan.tied_gaussians, plan.tied_rounds, 0)
            save(state)
        return state

    # phases

    def _start(self) -> State:
        plain = tree.untied(self.units)
        paths: list[I32 | None] = [flat_path(u.x[0], u.trellis, self.shift_s) for u in self.utterances]
        return State("plain", 0, paths, self._from_paths(plain, paths), plain)

    def _from_paths(self, ties: tree.Tree, paths: list[I32 | None]) -> Acoustics:
        return Acoustics(gmm.single(self._single_sums(ties, paths), self.floor), *self._stays(ties, paths))

    def _round(self, state: State, align: bool, band: int | None, wanted: int, rounds: int, hold: int) -> State:
        ties, acoustics, paths = state.tree, state.acoustics, state.paths
        if align:
            paths = self._paths(ties, acoustics, paths, band)
            acoustics = Acoustics(acoustics.mixtures, *self._stays(ties, paths))
        sums = self._sums(ties, acoustics.mixtures, paths)
        mixtures = gmm.update(acoustics.mixtures, sums, self.floor)
        grown = (state.round - hold + 1) / max(1, rounds - hold - 3)
        if 0 < grown <= 1:
            frames = np.add.reduceat(sums.count, acoustics.mixtures.first[:-1])
            have = len(mixtures.weight)
            mixtures = gmm.grow(mixtures, frames, int(len(mixtures) + (max(wanted, have) - len(mixtures)) * grown))
        return replace(state, round=state.round + 1, paths=paths, acoustics=Acoustics(mixtures, acoustics.stay, acoustics.go))

    def _drop_outliers(self, state: State) -> State:
        paths = self._paths(state.tree, state.acoustics, state.paths, self.wide)
        kept = [i for i, p in enumerate(paths) if p is not None]
        fits = np.full(len(paths), np.nan)
        some = self.utterances
        ratios = path_ratios(self.engine, [some[i] for i in kept], [paths[i] for i in kept], state.acoustics, self.shift_s)
        for i, each in zip(kept, ratios, strict=True):
            spoken = some[i].trellis.word[paths[i]] >= 0
            fits[i] = each[spoken].mean() if spoken.any() else np.nan
        bad = outliers(fits, self.plan.outlier_deviations)
        return replace(state, paths=[None if b else p for p, b in zip(paths, bad, strict=True)])

    def _tie(self, state: State) -> State:
        kept = [i for i, p in enumerate(state.paths) if p is not None]
        trellises = [self.utterances[i].trellis for i in kept]
        tables = [np.stack([t.unit, t.part, t.left, t.right], axis=1) for t in trellises]
        keys, which = np.unique(np.concatenate(tables), axis=0, return_inverse=True)
        ends = np.cumsum([len(t) for t in tables])
        each = dict(zip(kept, np.split(which.reshape(-1).astype(np.int64), ends[:-1]), strict=True))
        unit = Mixtures(np.arange(len(keys) + 1), np.ones(len(keys)), *self._blank(len(keys)))
        sums = self._collect(unit, state.paths, lambda i: each.get(i, which[:0]))
        middle = keys[:, 1] == 1
        count, total = np.zeros(self.units), np.zeros((self.units, len(self.floor)))
        np.add.at(count, keys[middle, 0], sums.count[middle])
        np.add.at(total, keys[middle, 0], sums.total[middle])
        spoken = np.flatnonzero(count > 0)
        spoken = spoken[spoken != SILENCE]
        means = total / np.maximum(count, 1.0)[:, None] / np.sqrt(self.floor / gmm.VARIANCE_FLOOR)
        sets = tree.questions(means, spoken)
        grown = tree.grow(keys.astype(np.int32), sums, sets, self.units, self.floor, self.plan.leaves)
        acoustics = self._from_paths(grown, state.paths)
        return State("tied", 0, state.paths, acoustics, grown, state.acoustics)

    # passes over the corpus

    def _ties(self, ties: tree.Tree, i: int) -> I64:
        if self._tied_by is not ties:
            every = (u.trellis for u in self.utterances)
            self._tied = [ties.find(t.unit, t.part, t.left, t.right).astype(np.int64) for t in every]
            self._tied_by = ties
        return self._tied[i]

    def _paths(self, ties: tree.Tree, acoustics: Acoustics, near: list[I32 | None], band: int | None) -> list[I32 | None]:
        """Best paths of all that have one; in a band, those that it holds no path of keep their old one."""
        kept = [(i, p) for i, p in enumerate(near) if p is not None]
        some = [self.utterances[i] for i, _ in kept]
        pdfs = [self._ties(ties, i) for i, _ in kept]
        found = self.engine.paths(some, pdfs, acoustics, [p for _, p in kept] if band else None, band or 0)
        out: list[I32 | None] = [None] * len(near)
        for (i, old), new in zip(kept, found, strict=True):
            out[i] = old if new is None and band else new
        return out

    def _collect(self, mixtures: Mixtures, paths: list[I32 | None], states: Callable[[int], I64]) -> Sums:
        pdfs = [None if p is None else states(i)[p] for i, p in enumerate(paths)]
        return self.engine.sums(self.utterances, pdfs, mixtures)

    def _sums(self, ties: tree.Tree, mixtures: Mixtures, paths: list[I32 | None]) -> Sums:
        return self._collect(mixtures, paths, lambda i: self._ties(ties, i))

    def _blank(self, n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return np.zeros((n, len(self.floor))), np.ones((n, len(self.floor)))

    def _single_sums(self, ties: tree.Tree, paths: list[I32 | None]) -> Sums:
        n = ties.leaves
        return self._sums(ties, Mixtures(np.arange(n + 1), np.ones(n), *self._blank(n)), paths)

    def _stays(self, ties: tree.Tree, paths: list[I32 | None]) -> tuple[F32, F32]:
        stay, go = np.full(ties.leaves, 2.0), np.full(ties.leaves, 1.0)
        for i, path in enumerate(paths):
            if path is not None:
                state = self._ties(ties, i)[path[:-1]]
                same = path[1:] == path[:-1]
                stay += np.bincount(state[same], minlength=ties.leaves)
                go += np.bincount(state[~same], minlength=ties.leaves)
        return np.log(stay / (stay + go)).astype(np.float32), np.log(go / (stay + go)).astype(np.float32)


def path_ratios(
    engine: Engine, utterances: Sequence[Utterance], paths: Sequence[I32 | None], plain: Acoustics, shift_s: float
) -> Iterator[F32]:
    """Log-likelihood ratio of each utterance's frames (words.score.ratios), under the states without context.

    Looked at every 10 ms, for a block of utterances at a time.
    """
    every = max(1, round(0.01 / shift_s))
    for a in range(0, len(utterances), BLOCK):
        some, chosen = utterances[a : a + BLOCK], [p for p in paths[a : a + BLOCK] if p is not None]
        yield from engine.ratios(engine.tables(some, plain), [u.trellis for u in some], chosen, plain, every)


SCORED = 400
"""Utterances whose scores say what is usual."""


def usual_scores(engine: Engine, utterances: Sequence[Utterance], state: State, shift_s: float) -> dict[str, list[float]]:
    """Quartiles of the scores of what was learned from, against which alignment calls a score low.

    Args:
        engine: does the arithmetic.
        utterances: the corpus.
        state: the last state; its paths are scored, at most ``SCORED`` of them evenly spread.
        shift_s: seconds between frames.

    Returns:
        ``{"words": [q25, q50], "sentences": [q25, q50]}``: mean ratio (:mod:`words.score`) of each word and of each utterance.
    """
    assert state.plain is not None
    kept = [i for i, p in enumerate(state.paths) if p is not None]
    kept = kept[:: max(1, -(-len(kept) // SCORED))]
    some, paths = [utterances[i] for i in kept], [state.paths[i] for i in kept]
    words: list[float] = []
    sentences: list[float] = []
    for u, path, each in zip(some, paths, path_ratios(engine, some, paths, state.plain, shift_s), strict=True):
        scores, mean = word_scores(each, u.trellis.word[path])
        words += [float(s) for s in scores]
        sentences.append(mean)
    return {
        "words": [float(v) for v in np.percentile(words, [25, 50])],
        "sentences": [float(v) for v in np.percentile(sentences, [25, 50])],
    }


QUIET = 0.35
"""Of the way from the 5th to the 95th percentile of the level: below is quiet."""
QUIET_S, SMOOTH_S = 0.1, 0.025
"""A shorter quiet stretch is a stop's closure, no pause; the level is a mean over so long. Where closures are pauses at first,
the letters before stops learn them later, and words that begin with stops start late: on Hindi, median error of starts 9.9 ms
with 0.04 s, 6.1 with 0.1, 4.9 with the level smoothed, 5.0 with 0.15."""


def flat_path(level: F32, trellis: Trellis, shift_s: float) -> I32:
    """Even shares of the loud frames for the states of words; quiet stretches are pauses, wherever they are.

    Not a path (its states may fall): only what the first models are made of. Where pauses are left to the first models to find,
    and the words of a corpus are few and said one by one, letters learn to be silent.

    Args:
        level: (frames,) first cepstrum, which follows the loudness.
        trellis: its first pronunciations are taken.
        shift_s: seconds between frames.
    """
    frames = len(level)
    side = round(SMOOTH_S / shift_s) // 2
    smooth = np.convolve(np.pad(level, side, mode="edge"), np.full(2 * side + 1, 1 / (2 * side + 1)), mode="valid")
    low, high = np.percentile(smooth, [5, 95])
    quiet = smooth <= low + QUIET * (high - low)
    edges = np.flatnonzero(np.diff(quiet, prepend=not quiet[0], append=not quiet[-1]))
    path = np.zeros(frames, np.int32)
    parts = int((trellis.token == 0).sum())
    for a, b in zip(edges[:-1], edges[1:], strict=True):
        if quiet[a] and (b - a >= round(QUIET_S / shift_s) or a == 0 or b == frames):
            path[a:b] = np.arange(b - a) * parts // (b - a)
        else:
            quiet[a:b] = False
    states = first_pronunciations(trellis)
    loud = np.flatnonzero(~quiet)
    if len(loud) < len(states):
        loud = np.arange(frames)
    path[loud] = states[np.arange(len(loud)) * len(states) // len(loud)]
    return path


def first_pronunciations(trellis: Trellis) -> I32:
    """States of words along the path that takes the first pronunciation of each."""
    chosen, s = [], 0
    n = len(trellis.word)
    following: dict[int, int] = {}
    for t in range(n - 1, -1, -1):
        for k in range(trellis.arc[t], trellis.arc[t + 1]):
            following[int(trellis.source[k])] = t  # the lowest successor: within a pronunciation, or the pause after it
    while s is not None and s < n:
        if trellis.word[s] >= 0:
            chosen.append(s)
        s = following.get(s)  # type: ignore[assignment]
    return np.array(chosen, np.int32)


LEAST_SPREAD = 0.4
"""Deviation of right transcripts' fits that is always allowed for, nats a frame. Measured on synthetic sentences and on spoken
digits: right ones lie above -3.7, of swapped ones 95 % below -3.8; digits, which few letters explain, have next to no spread."""


def outliers(fits: NDArray[np.float64], deviations: float) -> NDArray[np.bool_]:
    """Which utterances fit too badly to learn from: far below the better half.

    The better half is taken as right, as if it were the upper part of a normal distribution, whose spread the upper quantiles
    give. With a third of the transcripts wrong the bound still lies in the tail of the right ones.
    """
    known = fits[~np.isnan(fits)]
    if len(known) < 10:
        return np.isnan(fits)
    q50, q75, q90 = np.percentile(known, [50, 75, 90])
    spread = max((q90 - q75) / 0.607, LEAST_SPREAD)  # 0.607 deviations lie between these quantiles of a normal distribution
    return np.isnan(fits) | (fits < q75 - 0.674 * spread - deviations * spread)


def threads_of(workers: int) -> int:
    """Threads for so many workers."""
    return workers if workers > 0 else len(os.sched_getaffinity(0))


def arrays_of(state: State) -> dict[str, NDArray[Any]]:
    """A state for an npz."""
    from words.model import tree_arrays

    kept = np.array([p is not None for p in state.paths])
    out: dict[str, NDArray[Any]] = {
        "phase": np.array(state.phase),
        "round": np.array(state.round),
        "kept": kept,
        "frames": np.array([0 if p is None else len(p) for p in state.paths]),
        "paths": np.concatenate([p for p in state.paths if p is not None] or [np.zeros(0, np.int32)]),
    }
    out |= state.acoustics.arrays("now") | tree_arrays(state.tree)
    return out | (state.plain.arrays("plain") if state.plain else {})


def state_of(arrays: Any) -> State:
    """The state of an npz."""
    from words.model import tree_of

    ends = np.cumsum(arrays["frames"])
    pieces = np.split(arrays["paths"], ends[:-1])
    paths = [p if k else None for p, k in zip(pieces, arrays["kept"], strict=True)]
    plain = Acoustics.of(arrays, "plain") if "plain_first" in arrays else None
    return State(str(arrays["phase"]), int(arrays["round"]), paths, Acoustics.of(arrays, "now"), tree_of(arrays), plain)
