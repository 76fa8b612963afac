"""Acoustic forced alignment of the transcript: where each word lies, and how well the sound supports it.

Viterbi over the triphone states of the text, with optional silence and filler everywhere and every word optional. A word's
score is its log-likelihood ratio per frame against a free loop of context-independent phones on the same frames (goodness of
pronunciation; Witt & Young 2000, doi:10.1016/S0167-6393(99)00044-8). No language model takes part, so a model biased to the
document cannot flatter it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from align.features import HOP, RATE, features
from align.graph import FILLER_STATE, Pronunciations, build_graph
from align.senones import senone_scores
from align.sphinx_model import AcousticModel
from align.viterbi import best_path, phone_loop

FRAME_OFFSET_S = 0.0078
"""A frame stands for the 10 ms around the middle of its 25.6 ms window: frame t begins at 10 t + 7.8 ms."""
PHONE_INSERTION = -6.0
"""Log penalty of a phone in the free loop."""


@dataclass(frozen=True)
class Penalties:
    """Log weights of what a text-true alignment should not need."""

    skip: float = -15.0
    """Of a word that nothing but the text speaks for."""
    skip_between: float = -60.0
    """Of one of a few words between two that the recogniser has heard: names, mostly, that it does not know."""
    skip_heard: float = -100.0
    """Of a word that the recogniser, too, has heard here."""
    silence: float = -2.0
    filler: float = -8.0
    filler_frame: float = 2.5
    """Taken off the free loop's log likelihood in each filler frame; words must beat the rest."""


@dataclass(frozen=True)
class PlacedWord:
    """A word of the text where the sound has it. Times in seconds from the start of the audio given."""

    index: int
    start_s: float
    end_s: float
    score: float
    """Log-likelihood ratio per frame against the free phone loop; 0 is as good as any phones."""
    phones: tuple[tuple[int, int], ...] = ()
    """(phone id, frames of 10 ms) of the pronunciation that fits best."""


@dataclass(frozen=True)
class Placement:
    """Result of one window: the words that were found, and the stretches that the text does not explain."""

    words: tuple[PlacedWord, ...]
    filler: tuple[tuple[float, float], ...]
    log_likelihood: float
    """Per frame, of the best path, relative to the free loop."""
    feature: NDArray[np.float32]
    """(frames, 3, 13) what was aligned."""
    senone: NDArray[np.int32]
    """(frames,) senone of the best path at each frame, -1 in filler."""


def place_words(
    model: AcousticModel, cepstrum: NDArray[np.float32], words: Sequence[Pronunciations],
    skips: Sequence[float] | None = None, penalties: Penalties | None = None,
) -> Placement:
    """Aligns words, in order, with audio.

    Args:
        model: the acoustic model.
        cepstrum: (frames, 13) of `align.features.cepstra`; a minute at most keeps memory under 200 MB.
        words: pronunciations of each word.
        skips: log weight of leaving each word out; `penalties.skip` for all if not given.
        penalties: log weights; the tuned ones if not given.

    Returns:
        The words found, in order. With no audio, none.
    """
    p = penalties or Penalties()
    if not len(cepstrum):
        return Placement((), (), 0.0, features(cepstrum), np.zeros(0, np.int32))
    skip = skips or [p.skip] * len(words)
    graph = build_graph(model, words, skip=skip, silence=p.silence, filler=p.filler)
    loop_senones = model.sequences[model.monophones].ravel()
    every, inverse = np.unique(np.concatenate([graph.senones, loop_senones]), return_inverse=True)
    feature = features(cepstrum)
    scores = senone_scores(model, feature, every.astype(np.int32))
    loop_scores = np.ascontiguousarray(scores[:, inverse[len(graph.senones) :]])
    loop_path = phone_loop(loop_scores, model.self_loop, model.advance, PHONE_INSERTION)
    free = loop_scores[np.arange(len(loop_scores)), loop_path]
    emitted = np.concatenate([scores[:, inverse[: len(graph.senones)]], (free - p.filler_frame)[:, None]], 1)
    path, total = best_path(
        emitted, graph.column, graph.first_arc, graph.source, graph.weight, graph.initial, graph.final, graph.nulls
    )
    if path[0] < 0:
        return Placement((), ((0.0, len(cepstrum) * HOP / RATE),), float("-inf"), feature, np.full(len(path), -1, np.int32))
    ratio = emitted[np.arange(len(path)), graph.column[path]] - free
    owner = graph.word[path]
    edges = np.flatnonzero(np.diff(owner)) + 1
    found, filler = [], []
    for first, last in zip(np.append(0, edges), np.append(edges, len(owner)), strict=True):
        start, end = _seconds(first), _seconds(last)
        if owner[first] >= 0:
            inside = path[first:last]
            at, frames = np.unique(graph.position[inside], return_counts=True)
            names = graph.phone[inside[np.searchsorted(graph.position[inside], at)]]
            phones = tuple((int(p), int(n)) for p, n in zip(names, frames, strict=True))
            found.append(PlacedWord(int(owner[first]), start, end, float(ratio[first:last].mean()), phones))
        elif owner[first] == FILLER_STATE:
            filler.append((start, end))
    senone = np.append(graph.senones, -1)[graph.column[path]].astype(np.int32)
    return Placement(tuple(found), tuple(filler), float((total - free.sum()) / len(path)), feature, senone)


def _seconds(frame: int) -> float:
    return round(float(frame) * HOP / RATE + (FRAME_OFFSET_S if frame else 0.0), 4)
