"""The arithmetic in PyTorch, many utterances at a time: what a GPU is given.

The same search and the same sums as the compiled loops (:mod:`words.kernels`, :mod:`words.score`), laid out for a machine that
does one thing to thousands of numbers: utterances of like length side by side, padded to the longest; all states of all of them
take one step in time together; all Gaussians are multiplied with all frames, and a band is a mask. Sums of likelihoods along a
path are float64, products of matrices float32 without TF32, sums over frames float32 for ``FRAMES`` of them and float64 beyond.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from stagekit.errors import StageError
from words.decode import Utterance, band
from words.gmm import LEAST_SHARE, Mixtures, Sums
from words.graph import IMPOSSIBLE, PARTS, SILENCE, Trellis
from words.model import Acoustics
from words.score import PENALTY

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

BUDGET = 2**31
"""Bytes of a batch: likelihoods (4 a frame and mixture), ways back (1 a frame and state) and vectors."""
FRAMES = 8192
"""Frames that are multiplied with all Gaussians at once: 6,000 of them then take 200 MB."""


@dataclass(frozen=True)
class _Model:
    """Acoustics on the device."""

    owner: Tensor
    """(gaussians,) the mixture of each."""
    constant: Tensor
    linear: Tensor
    stay: Tensor
    go: Tensor


@dataclass(frozen=True)
class _Lattice:
    """Trellises of a batch, padded: (batch, states) and, for the arcs into each state, (batch, states, most arcs)."""

    pdf: Tensor
    silent: Tensor
    stay: Tensor
    entry: Tensor
    leave: Tensor
    source: Tensor
    weight: Tensor
    crossing: Tensor


class Batched:
    """See :class:`words.engine.Engine`."""

    frames = 2**20

    def __init__(self, device: str):
        """``device``: ``cuda`` or ``cpu``.

        Raises:
            StageError: there is no such device.
        """
        if device == "cuda" and not torch.cuda.is_available():
            raise StageError("device 'cuda': PyTorch sees no GPU here")
        self.device = torch.device(device)

    def tables(self, utterances: Sequence[Utterance], acoustics: Acoustics) -> list[Tensor]:
        """Log likelihoods of all states, (frames, states), on the device."""
        model = self._model(acoustics)
        whole = self._likelihoods(self._vectors(utterances), model)
        return list(whole.split([u.x.shape[1] for u in utterances]))

    def paths(
        self,
        utterances: Sequence[Utterance],
        pdfs: Sequence[I64],
        acoustics: Acoustics,
        near: Sequence[I32] | None = None,
        width: int = 0,
        known: Sequence[Tensor] | None = None,
    ) -> list[I32 | None]:
        """Best state of each frame; None where no path fits."""
        out: list[I32 | None] = [None] * len(utterances)
        model = self._model(acoustics)
        for some in batches(utterances, len(acoustics.stay)):
            us = [utterances[i] for i in some]
            tables = [known[i] for i in some] if known else self.tables(us, acoustics)
            lattice = self._lattice([u.trellis for u in us], [pdfs[i] for i in some], model)
            bands = [band(near[i], width, len(pdfs[i])) for i in some] if near else None
            found, total = self._search(us, tables, lattice, bands)
            for n, i in enumerate(some):
                if total[n] > IMPOSSIBLE / 2:
                    out[i] = found[n, : utterances[i].x.shape[1]].astype(np.int32)
        return out

    def ratios(
        self, known: Sequence[Tensor], trellises: Sequence[Trellis], paths: Sequence[I32], plain: Acoustics, every: int
    ) -> list[F32]:
        """Log-likelihood ratio of each frame, forced path over free loop."""
        if not known:
            return []
        obs = pad_sequence([k[::every] for k in known], batch_first=True)
        at = [path[::every] for path in paths]
        states = [t.unit[a].astype(np.int64) * PARTS + t.part[a] for t, a in zip(trellises, at, strict=True)]
        own = obs.gather(2, self._put(padded(states))[..., None])[..., 0]
        ratio = (own - self._free_loop(obs, [len(a) for a in at], self._model(plain))).cpu().numpy()
        return [np.repeat(ratio[n], every)[: len(path)] for n, path in enumerate(paths)]

    def sums(self, utterances: Sequence[Utterance], pdfs: Sequence[I64 | None], mixtures: Mixtures) -> Sums:
        """Sums of all frames for re-estimation: all Gaussians are tried, those of other mixtures get no share."""
        first, constant, linear = mixtures.density()
        owner = self._put(np.repeat(np.arange(len(mixtures)), np.diff(first)))
        weights, offsets = self._put(linear), self._put(constant)
        count = torch.zeros(len(constant), dtype=torch.float64, device=self.device)
        moments = torch.zeros(linear.shape, dtype=torch.float64, device=self.device)
        kept = [(u, pdf) for u, pdf in zip(utterances, pdfs, strict=True) if pdf is not None]
        for some in _portions([u.x.shape[1] for u, _ in kept], FRAMES):
            v = self._vectors([kept[i][0] for i in some])
            pdf = self._put(np.concatenate([kept[i][1] for i in some]))
            v, pdf = v[pdf >= 0], pdf[pdf >= 0]
            score = v @ weights.T + offsets
            score = score.masked_fill(pdf[:, None] != owner, -torch.inf)
            post = torch.softmax(score, dim=1)
            post = torch.where(post > LEAST_SHARE, post, 0.0)
            count += post.sum(0, dtype=torch.float64)
            moments += (post.T @ v).double()
        return Sums(count.cpu().numpy(), moments.cpu().numpy())

    # pieces

    def _put(self, array: NDArray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)

    def _model(self, acoustics: Acoustics) -> _Model:
        d = acoustics.density
        owner = np.repeat(np.arange(len(d.stay)), np.diff(d.first))
        return _Model(*(self._put(a) for a in (owner, d.constant, d.linear, d.stay, d.go)))

    def _vectors(self, utterances: Sequence[Utterance]) -> Tensor:
        """All frames of all utterances, one after the other, with their squares: (frames, 2 * size)."""
        x = self._put(np.concatenate([u.x for u in utterances], axis=1)).T
        return torch.cat([x, x * x], dim=1)

    def _likelihoods(self, v: Tensor, model: _Model) -> Tensor:
        """Largest term of each mixture at each frame, (frames, pdfs)."""
        pdfs = len(model.stay)
        out = torch.empty((len(v), pdfs), dtype=torch.float32, device=self.device)
        for a in range(0, len(v), FRAMES):
            score = v[a : a + FRAMES] @ model.linear.T + model.constant
            best = torch.full((len(score), pdfs), -torch.inf, device=self.device)
            out[a : a + FRAMES] = best.scatter_reduce_(1, model.owner.expand(len(score), -1), score, "amax")
        return out

    def _lattice(self, trellises: Sequence[Trellis], pdfs: Sequence[I64], model: _Model) -> _Lattice:
        states, most = max(map(len, pdfs)), max(int(np.diff(t.arc).max()) for t in trellises)
        shape = len(trellises), states
        pdf, silent = np.zeros(shape, np.int64), np.zeros(shape, np.float32)
        entry, leave = np.full(shape, IMPOSSIBLE, np.float32), np.full(shape, IMPOSSIBLE, np.float32)
        source = np.zeros((*shape, most), np.int64)
        weight, crossing = np.full(source.shape, IMPOSSIBLE, np.float32), np.zeros(source.shape, np.float32)
        for n, (t, p) in enumerate(zip(trellises, pdfs, strict=True)):
            own = slice(0, len(p))
            pdf[n, own], silent[n, own], entry[n, own], leave[n, own] = p, t.unit == SILENCE, t.entry, t.leave
            into = np.repeat(np.arange(len(p)), np.diff(t.arc))
            place = n, into, np.arange(len(into)) - t.arc[into]
            source[place], weight[place], crossing[place] = t.source, t.weight, t.crossing
        on = _Lattice(*(self._put(a) for a in (pdf, silent, pdf, entry, leave, source, weight, crossing)))
        leaving = model.go[on.pdf].gather(1, on.source.flatten(1)).view(on.source.shape)
        return _Lattice(on.pdf, on.silent, model.stay[on.pdf], on.entry, on.leave, on.source, on.weight + leaving, on.crossing)

    def _search(
        self, utterances: Sequence[Utterance], tables: Sequence[Tensor], lattice: _Lattice, bands: list[tuple[I32, I32]] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Viterbi of a batch: the paths, (batch, frames), and their log probabilities."""
        known = pad_sequence(list(tables), batch_first=True)
        change, quiet = self._put(padded([u.change for u in utterances])), self._put(padded([u.quiet for u in utterances]))
        frames = self._put(np.array([u.x.shape[1] for u in utterances]))
        (batch, states), most = lattice.pdf.shape, known.shape[1]
        every = torch.arange(states, device=self.device)
        low = high = None
        if bands:
            low, high = self._put(padded([a for a, _ in bands])), self._put(padded([b for _, b in bands]))
        back = torch.zeros((most, batch, states), dtype=torch.uint8, device=self.device)
        sources = lattice.source.flatten(1)

        def seen(t: int, score: Tensor) -> Tensor:
            """With the likelihood of frame ``t``, and impossible outside the band."""
            score = score + known[:, t].gather(1, lattice.pdf) + lattice.silent * quiet[:, t, None]
            if low is not None and high is not None:
                score = score.masked_fill((every < low[:, t, None]) | (every >= high[:, t, None]), IMPOSSIBLE)
            return score.clamp_min(IMPOSSIBLE)

        score = seen(0, lattice.entry.double())
        for t in range(1, most):
            came = score.gather(1, sources).view(lattice.source.shape) + lattice.weight
            came, which = (came + lattice.crossing * change[:, t, None, None]).max(dim=2)
            held = score + lattice.stay
            back[t] = torch.where(came > held, which + 1, 0)
            score = torch.where((t < frames)[:, None], seen(t, torch.maximum(came, held)), score)
        total, state = (score + lattice.leave).max(dim=1)
        path = torch.empty((batch, most), dtype=torch.int64, device=self.device)
        for t in range(most - 1, -1, -1):
            path[:, t] = state
            way = back[t].gather(1, state[:, None])[:, 0].long()
            before = lattice.source[torch.arange(batch, device=self.device), state, (way - 1).clamp_min(0)]
            state = torch.where((way > 0) & (t < frames), before, state)
        return path.cpu().numpy(), total.cpu().numpy()

    def _free_loop(self, obs: Tensor, lengths: Sequence[int], model: _Model) -> Tensor:
        """Log likelihood of each frame's state on the best path of units in any order, (batch, frames).

        Args:
            obs: (batch, frames, states), padded.
            lengths: frames of each.
            model: the states without context.
        """
        frames = self._put(np.array(lengths))
        batch, most, states = obs.shape
        first = torch.arange(states, device=self.device) % PARTS == 0
        score = torch.where(first, obs[:, 0].double(), IMPOSSIBLE)
        back = torch.zeros((most, batch, states), dtype=torch.bool, device=self.device)
        ender = torch.zeros((most, batch), dtype=torch.int64, device=self.device)
        for t in range(1, most):
            gone = score + model.go
            top, unit = gone[:, PARTS - 1 :: PARTS].max(dim=1)
            ender[t] = unit * PARTS + PARTS - 1
            came = torch.where(first, top[:, None] + PENALTY, gone.roll(1, dims=1))
            held = score + model.stay
            back[t] = came > held
            score = torch.where((t < frames)[:, None], torch.maximum(came, held) + obs[:, t], score)
        state = score.argmax(dim=1)
        out = torch.empty((batch, most), dtype=torch.float32, device=self.device)
        for t in range(most - 1, -1, -1):
            out[:, t] = obs[:, t].gather(1, state[:, None])[:, 0]
            moved = back[t].gather(1, state[:, None])[:, 0] & (t < frames)
            state = torch.where(moved, torch.where(state % PARTS == 0, ender[t], state - 1), state)
        return out


def padded(arrays: Sequence[NDArray]) -> NDArray:
    """Arrays of one dimension side by side, zeros behind the shorter: (arrays, longest)."""
    out = np.zeros((len(arrays), max(map(len, arrays))), arrays[0].dtype)
    for row, array in zip(out, arrays, strict=True):
        row[: len(array)] = array
    return out


def batches(utterances: Sequence[Utterance], pdfs: int) -> Iterator[list[int]]:
    """Indices of utterances of like length, whose likelihoods, ways back and vectors fit the budget together."""
    order = sorted(range(len(utterances)), key=lambda i: utterances[i].x.shape[1])
    some: list[int] = []
    states = 0
    for i in order:
        frames, wide = utterances[i].x.shape[1], max(states, len(utterances[i].trellis.word))
        if some and (len(some) + 1) * frames * (8 * pdfs + wide + 8 * len(utterances[i].x)) > BUDGET:
            yield some
            some, wide = [], len(utterances[i].trellis.word)
        some.append(i)
        states = wide
    if some:
        yield some


def _portions(frames: Sequence[int], most: int) -> Iterator[list[int]]:
    """Indices in order, as many at a time as have ``most`` frames together, at least one."""
    some: list[int] = []
    total = 0
    for i, n in enumerate(frames):
        if some and total + n > most:
            yield some
            some, total = [], 0
        some.append(i)
        total += n
    if some:
        yield some
