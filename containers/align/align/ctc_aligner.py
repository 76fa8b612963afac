"""Placing words with a CTC model, in whatever language and script it writes: `align.ctc.alignment` in windows between anchors.

CTC's trellis takes every letter that it is given, and a caption is a claim. So a *filler* stands before, between and after the
words, which takes separators and what the text does not hold; no token is ever less likely than `FLOOR` below a frame's best, so
that a word which nobody said costs little and pushes nothing aside; and of words between two that were heard only as many are
looked for as there is time to say. Acceptance then refuses what the sound does not support.

A word's score is the log likelihood of what the text wants from its first letter to its last, over that of the model's best
tokens there, for each letter: 0 where the text is what greedy decoding hears. For each frame, wrong words would look better than
they are: their letters find their like far apart, and the blanks between cost nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from align.accept import CTC
from align.aligner import Read
from align.ctc.alignment import NoPath, Path, align_tokens, band_around
from align.ctc.chunks import RATE
from align.ctc.emissions import FLOOR, Emission, Emissions
from align.ctc.tokens import Tokens
from align.place import TokenPlace, candidates, monotone
from align.windows import Anchor, Window

FILLER, SILENCE = -3.0, -0.5
"""Log likelihood of a frame of filler, below the model's best token, which a word must beat; and below a blank's."""
LETTERS_S = 25.0
"""Most letters said in a second (300 words a minute have about 25), and so looked for between two words that were heard …"""
SLACK_S = 0.3
"""… in the time between them and so much more."""
TILE, MARGIN_S, MARGIN_LETTERS = 32, 1.0, 8
"""The band: frames of a tile, and how far a word that was heard may lie from where it was heard."""


@dataclass(frozen=True)
class Placed:
    """A word of the text in an emission: frames [start, end) from its first letter to its last, and frames of each letter."""

    index: int
    start: int
    end: int
    score: float
    letters: tuple[tuple[int, int], ...]


class CtcAligner:
    """See `align.aligner.Aligner`."""

    limits = CTC

    def __init__(self, emissions: Emissions) -> None:
        """``emissions``: of the recording, by a model with or without a separator between words."""
        self.emissions = emissions

    def place(
        self, read: Read, samples: int, words: Sequence[str], cuts: Sequence[Window], runs: Sequence[Sequence[Anchor]]
    ) -> list[TokenPlace]:
        """See `align.aligner.Aligner.place`."""
        geometry, tokens = self.emissions.geometry, self.emissions.tokens
        held = [frozenset(a.token for a in run) for run in runs]
        everything = frozenset().union(*held)
        out: list[TokenPlace] = []
        for window in cuts:
            first, emission = self.emissions.inside(int(window.start_s * RATE), min(samples, int(window.end_s * RATE)))
            known = {a.token: a for a in runs[window.run] if window.start_s <= (a.start_s + a.end_s) / 2 <= window.end_s}
            ids = candidates(window, held[window.run], everything - held[window.run])
            ids = fitting(ids, [len(tokens.spell(words[i])) for i in ids], known, window)
            rate = RATE / geometry.stride
            anchors = {k: int(known[i].start_s * rate) - first for k, i in enumerate(ids) if i in known}
            for word in place_words(emission, tokens, [words[i] for i in ids], anchors, round(MARGIN_S * rate)):
                token = ids[word.index]
                if window.keep_first <= token < window.keep_last:
                    start, end = (geometry.seconds(first + f) for f in (word.start, word.end))
                    letters = tuple((letter, round(n * geometry.stride / RATE * 100)) for letter, n in word.letters)
                    anchored = token in held[window.run]
                    out.append(TokenPlace(token, round(start, 4), round(end, 4), word.score, anchored, letters))
        return monotone(out)

    def foreign(self, places: Sequence[TokenPlace]) -> str | None:
        """Nothing: a CTC model's letters are of its own language."""
        return None


def fitting(ids: Sequence[int], letters: Sequence[int], known: Mapping[int, Anchor], window: Window) -> list[int]:
    """Tokens less those, farthest from the words that were heard around them, that nobody has the time to say.

    Args:
        ids: tokens of a window, in order.
        letters: of each.
        known: those that were heard.
        window: where they are looked for.
    """
    out: list[int] = []
    run: list[tuple[int, int]] = []
    before: Anchor | None = None
    for k in range(len(ids) + 1):
        anchor = known.get(ids[k]) if k < len(ids) else None
        if k < len(ids) and anchor is None:
            run.append((ids[k], letters[k]))
            continue
        start, end = before.end_s if before else window.start_s, anchor.start_s if anchor else window.end_s
        room = LETTERS_S * (max(0.0, end - start) + SLACK_S)
        if sum(n for _, n in run) > room:
            both = before is not None and anchor is not None
            head = _first(run, room / 2 if both else room) if before else []
            tail = _first(run[::-1], room / 2 if both else room)[::-1] if anchor else []
            run = head + tail
        out += [token for token, _ in run]
        run = []
        if k < len(ids):
            out.append(ids[k])
            before = anchor
    return out


def _first(run: Sequence[tuple[int, int]], room: float) -> list[tuple[int, int]]:
    """As many from the beginning as there is room for."""
    total = np.cumsum([n for _, n in run])
    return list(run[: int(np.searchsorted(total, room, "right"))])


def place_words(
    emission: Emission, tokens: Tokens, words: Sequence[str], anchors: Mapping[int, int], margin: int = 50
) -> list[Placed]:
    """Where each word of a text lies in an emission.

    Args:
        emission: (frames, tokens) log probabilities.
        tokens: what they are of.
        words: of the text; one without a letter that the model knows is left out.
        anchors: word → frame where it is known to begin, ascending in both.
        margin: how far an anchor may be off, in frames.

    Returns:
        Words in order; none if they do not fit.
    """
    filler = len(tokens)
    ids, owner, first = [filler], [-1], {}
    for index, word in enumerate(words):
        spelled = tokens.spell(word)
        if spelled:
            first[index] = len(ids)
            ids += [*spelled, filler]
            owner += [*[index] * len(spelled), -1]
    if not first or not len(emission):
        return []
    likely = _likely(emission, tokens)
    targets = np.array(ids, np.int32)
    path = _path(likely, targets, tokens.blank, [(f + 1, first[k]) for k, f in sorted(anchors.items()) if k in first], margin)
    if path is None:
        return []
    at = np.flatnonzero(path.token >= 0)
    counts = np.bincount(path.token[at], minlength=len(ids))
    score = likely[np.arange(len(likely)), np.where(path.token >= 0, targets[path.token], tokens.blank)]
    spoken = np.array(owner)[path.token[at]]
    out = []
    for index, start in first.items():
        frames = at[spoken == index]
        a, b = int(frames[0]), int(frames[-1]) + 1  # of `likely`, which has a frame more before the first
        n = len(tokens.spell(words[index]))
        letters = tuple((ids[j], int(counts[j])) for j in range(start, start + n))
        out.append(Placed(index, a - 1, b - 1, float(score[a:b].sum(dtype=np.float64)) / n, letters))
    return out


def _likely(emission: Emission, tokens: Tokens) -> NDArray[np.float32]:
    """Log likelihoods below each frame's best, (frames + 2, tokens + 1): the filler last, a frame of silence at both ends."""
    out = np.full((len(emission) + 2, len(tokens) + 1), np.float32(FLOOR))
    out[[0, -1], tokens.blank] = out[[0, -1], -1] = 0.0
    inside = out[1:-1]
    inside[:, :-1] = np.maximum(emission - emission.max(1, keepdims=True), np.float32(FLOOR))
    inside[:, -1] = np.maximum(inside[:, tokens.blank] + np.float32(SILENCE), np.float32(FILLER))
    if tokens.separator is not None:
        inside[:, -1] = np.maximum(inside[:, -1], inside[:, tokens.separator])
    return out


def _path(
    likely: NDArray[np.float32], targets: NDArray[np.int32], blank: int, anchors: Sequence[tuple[int, int]], margin: int
) -> Path | None:
    """The best path, near the anchors if there is one there."""
    frames, known = len(likely), list[tuple[int, int]]()
    for frame, target in anchors:
        known.append((min(max(frame, known[-1][0] if known else 0), frames - 1), target))
    band = band_around(known, frames, len(targets), margin, MARGIN_LETTERS, TILE)
    for within in (band, None):
        try:
            return align_tokens(likely, targets, blank, within, tile=TILE)
        except NoPath:
            continue
    return None
