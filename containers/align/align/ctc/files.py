"""From recordings to words, and to what a model said, with one model on one device, many recordings at a time.

Worker processes decode and find speech (`align.listen`); here the pieces of several recordings are put into batches of like
length, computed, and put back into the order of their recordings. Pieces are given context on both sides (`align.ctc.chunks`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from align.ctc.chunks import RATE, Chunk, cut
from align.ctc.emissions import Emission, Emissions, Piece, packed
from align.ctc.encoder import Encoder
from align.listen import Listened
from align.recognizer import HeardWord
from align.torchaudio_recognizer import CtcDecoder
from stagekit.audio import Pcm

T = TypeVar("T")
GROUP = 4
"""Batches whose pieces are sorted together: the rest of a group does not fill its last batch."""
MOST_GROUP_S = 7200.0
"""However large the budget is: what is decoded waits on the disk."""


_Made = tuple[list[HeardWord], Emissions]


@dataclass
class _Waiting(Generic[T]):
    job: T
    listened: Listened
    chunks: list[Chunk]
    samples: NDArray[np.int16]


def hear_files(
    listened: Iterable[tuple[T, Listened]], encoder: Encoder, decoder: Callable[[T], CtcDecoder], threads: int = 1
) -> Iterator[tuple[T, Listened, list[HeardWord], Emissions]]:
    """Words of recordings and what the model said, in their order; times count from each one's start.

    Args:
        listened: (whatever the caller wants back, the recording made ready).
        encoder: the model.
        decoder: from the caller's part to what makes words of its emissions.
        threads: for making words, while the next group is computed.
    """
    with ThreadPoolExecutor(max(1, threads)) as pool:
        before: list[tuple[_Waiting[T], Future[_Made]]] = []
        for group in _groups(listened, encoder):
            parts = iter(encoder.emissions([stretch for w in group for stretch in _stretches(w)]))
            made = [(w, pool.submit(_words, decoder, w, [next(parts) for _ in w.chunks])) for w in group]
            yield from _finished(before)
            before = made
        yield from _finished(before)


def _finished(
    made: Iterable[tuple[_Waiting[T], Future[_Made]]],
) -> Iterator[tuple[T, Listened, list[HeardWord], Emissions]]:
    for waiting, future in made:
        words, emissions = future.result()
        if waiting.listened.raw:
            Path(waiting.listened.raw).unlink(missing_ok=True)
        yield waiting.job, waiting.listened, words, emissions


def _groups(listened: Iterable[tuple[T, Listened]], encoder: Encoder) -> Iterator[list[_Waiting[T]]]:
    group: list[_Waiting[T]] = []
    waiting = 0
    for job, one in listened:
        samples = np.memmap(one.raw, dtype="<i2", mode="r") if one.raw else np.zeros(0, np.int16)
        chunks = cut(encoder.geometry, len(samples), [(p.start, p.end) for p in one.pieces]) if one.raw else []
        group.append(_Waiting(job, one, chunks, samples))
        waiting += sum(c.end - c.start for c in chunks)
        if waiting >= min(GROUP * encoder.budget.samples, MOST_GROUP_S * RATE):
            yield group
            group, waiting = [], 0
    if group:
        yield group


def _stretches(waiting: _Waiting[T]) -> list[NDArray[np.float32]]:
    pcm = Pcm(waiting.samples, [])
    return [np.asarray(pcm.read(c.start, c.end)) for c in waiting.chunks]


def _words(decoder: Callable[[T], CtcDecoder], waiting: _Waiting[T], emissions: list[Emission]) -> _Made:
    """A piece's chunks are read as one; a word's times are kept inside the piece, and behind the word before."""
    reader = decoder(waiting.job)
    stride = reader.encoder.geometry.stride
    out: list[HeardWord] = []
    pieces: list[Piece] = []
    k = 0
    while k < len(emissions):
        last = k
        while last + 1 < len(emissions) and waiting.chunks[last + 1].first == waiting.chunks[last].last:
            last += 1
        joined = np.concatenate([emissions[i][waiting.chunks[i].inside(stride)] for i in range(k, last + 1)])
        pieces.append(Piece(waiting.chunks[k].first, packed(joined)))
        for word in reader.read(joined, waiting.chunks[k].first):
            start = max(word.start_s, out[-1].end_s if out else 0.0)
            out.append(HeardWord(word.word, round(start, 3), round(max(start, word.end_s), 3), word.score))
        k = last + 1
    return out, Emissions(reader.encoder.tokens, reader.encoder.geometry, pieces)
