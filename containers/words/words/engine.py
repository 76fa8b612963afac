"""What does the arithmetic of training and alignment: the compiled loops on a CPU's cores, or PyTorch on a GPU.

Both take the same utterances, search the same trellises in the same bands and add up the same sums; tests/containers/words_gpu
holds them against each other. Nothing else here knows of devices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from stagekit.errors import StageError
from words import kernels
from words.decode import Utterance, best_path, squared, table
from words.gmm import Mixtures, Sums
from words.graph import Trellis
from words.model import Acoustics
from words.score import ratios

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
A = TypeVar("A")
B = TypeVar("B")

CHUNKS = 16
"""Utterances are summed up in so many chunks, in a fixed order."""


class Engine(Protocol):
    """The arithmetic. Lists are one entry an utterance."""

    frames: int
    """How many it is best given at a time."""

    def tables(self, utterances: Sequence[Utterance], acoustics: Acoustics) -> Sequence[Any]:
        """Log likelihoods of all states, (frames, states), in the engine's own memory."""
        ...

    def paths(
        self,
        utterances: Sequence[Utterance],
        pdfs: Sequence[I64],
        acoustics: Acoustics,
        near: Sequence[I32] | None = None,
        width: int = 0,
        known: Sequence[Any] | None = None,
    ) -> list[I32 | None]:
        """Best state of each frame; None where no path fits. Arguments as of :func:`words.decode.best_path`."""
        ...

    def ratios(
        self, known: Sequence[Any], trellises: Sequence[Trellis], paths: Sequence[I32], plain: Acoustics, every: int
    ) -> list[F32]:
        """Log-likelihood ratio of each frame (:func:`words.score.ratios`); ``known`` are :meth:`tables` of ``plain``."""
        ...

    def sums(self, utterances: Sequence[Utterance], pdfs: Sequence[I64 | None], mixtures: Mixtures) -> Sums:
        """Sums of all frames for re-estimation; ``pdfs`` is the mixture of each frame, None: left out."""
        ...


class Compiled:
    """On a CPU: one utterance at a time, in as many threads as there are cores."""

    frames = 20_000

    def __init__(self, threads: int):
        """``threads``: how many."""
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def _map(self, one: Callable[[A], B], items: Iterable[A]) -> list[B]:
        return list(self._pool.map(one, items) if self._pool else map(one, items))

    def tables(self, utterances: Sequence[Utterance], acoustics: Acoustics) -> list[F32]:
        """See :class:`Engine`."""
        every, density = np.arange(len(acoustics.stay)), acoustics.density
        return self._map(lambda u: table(squared(u.x), every, density), utterances)

    def paths(
        self,
        utterances: Sequence[Utterance],
        pdfs: Sequence[I64],
        acoustics: Acoustics,
        near: Sequence[I32] | None = None,
        width: int = 0,
        known: Sequence[F32] | None = None,
    ) -> list[I32 | None]:
        """See :class:`Engine`."""
        density = acoustics.density

        def one(i: int) -> I32 | None:
            path, total = best_path(
                utterances[i], pdfs[i], density, near[i] if near else None, width, known[i] if known else None
            )
            return path if total > kernels.IMPOSSIBLE / 2 else None

        return self._map(one, range(len(utterances)))

    def ratios(
        self, known: Sequence[F32], trellises: Sequence[Trellis], paths: Sequence[I32], plain: Acoustics, every: int
    ) -> list[F32]:
        """See :class:`Engine`."""
        return self._map(lambda i: ratios(known[i], trellises[i], paths[i], plain, every), range(len(paths)))

    def sums(self, utterances: Sequence[Utterance], pdfs: Sequence[I64 | None], mixtures: Mixtures) -> Sums:
        """See :class:`Engine`."""
        density, size = mixtures.density(), mixtures.mean.shape[1]

        def one(k: int) -> Sums:
            sums = Sums.zeros(len(mixtures.weight), size)
            for i in range(k, len(utterances), CHUNKS):
                pdf = pdfs[i]
                if pdf is not None:
                    kernels.accumulate(squared(utterances[i].x), pdf, *density, sums.count, sums.moments)
            return sums

        whole = Sums.zeros(len(mixtures.weight), size)
        for part in self._map(one, range(CHUNKS)):
            whole.add(part)
        return whole


DEVICES = "^(cpu|cuda|torch)$"
"""``cpu``: compiled loops. ``cuda``: PyTorch on a GPU. ``torch``: the same on the CPU, to compare."""


def engine_of(device: str, threads: int) -> Engine:
    """The engine for a device.

    Raises:
        StageError: PyTorch or the GPU is not here.
    """
    if device == "cpu":
        return Compiled(threads)
    try:
        from words.batched import Batched
    except ImportError as error:
        raise StageError(
            f"device '{device}': {error.name or error} is not in this environment; it is in that of requirements-gpu.txt"
        ) from None
    return Batched("cuda" if device == "cuda" else "cpu")
