"""From windows to words: forced alignment of each, and one placement for each token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from align.adapt import Statistics, adapted, collect
from align.features import cepstra, features
from align.forced import Penalties, Placement, place_words
from align.graph import Pronunciations
from align.pronounce import pronunciations
from align.sphinx_model import AcousticModel
from align.windows import Anchor, Window

RATE = 16_000
RECORDING_FRAMES = 500.0
"""The whole recording counts as so many frames when the model is fitted to one window."""
BETWEEN_TOKENS = 4
"""Longest run of unmatched tokens between two matched ones that is held to have been said unless the sound says no."""
MIDDLE_TOKENS = 60
"""Of more unmatched tokens than twice this between two anchors of a window, only the ones next to the anchors are tried."""


@dataclass(frozen=True)
class TokenPlace:
    """A token of the document where the sound has it; seconds from the start of the recording."""

    token: int
    start_s: float
    end_s: float
    score: float
    anchored: bool
    phones: tuple[tuple[int, int], ...] = ()
    """(phone id, frames of 10 ms) of the pronunciation that fits best."""


def phones_of(model: AcousticModel, word: str) -> Pronunciations:
    """Pronunciations as phone ids of the model; () if it has none."""
    return tuple(tuple(model.phone_id(p) for p in phones) for phones in pronunciations(word))


def place_tokens(
    model: AcousticModel, read: Callable[[int, int], NDArray[np.float32]], words: Sequence[str], cuts: Sequence[Window],
    runs: Sequence[Sequence[Anchor]], penalties: Penalties | None = None,
) -> list[TokenPlace]:
    """Aligns every window.

    Args:
        model: the acoustic model.
        read: samples [start, end) of the recording, 16 kHz.
        words: the document's tokens.
        cuts: windows, in the order of time.
        runs: anchors by run. A token that another run holds is not looked for in this one.
        penalties: see `align.forced`.

    Returns:
        Placements in the order of time; a token twice only if it was said twice.
    """
    held = [frozenset(a.token for a in run) for run in runs]
    everything = frozenset().union(*held)
    paths: list[NDArray[np.int32]] = []
    whole: Statistics | None = None
    for window in cuts:  # statistics of a window take 2 MB: only their sum is kept
        anchored = held[window.run]
        ids = candidates(window, anchored, everything - anchored)
        rough = _place(model, _listen(read, window), ids, words, anchored, penalties)
        own = collect(model, rough.feature, rough.senone)
        whole = own if whole is None else whole + own
        paths.append(rough.senone)
    out: list[TokenPlace] = []
    for window, path in zip(cuts, paths, strict=True):
        anchored = held[window.run]
        ids, cepstrum = candidates(window, anchored, everything - anchored), _listen(read, window)
        own = collect(model, features(cepstrum), path)
        if whole is not None:
            own = own + whole.scaled(min(whole.frames, RECORDING_FRAMES))
        for word in _place(adapted(model, own), cepstrum, ids, words, anchored, penalties).words:
            token = ids[word.index]
            if window.keep_first <= token < window.keep_last:
                at = int(window.start_s * RATE) / RATE
                out.append(TokenPlace(token, at + word.start_s, at + word.end_s, word.score, token in anchored, word.phones))
    return monotone(out)


def _listen(read: Callable[[int, int], NDArray[np.float32]], window: Window) -> NDArray[np.float32]:
    """Cepstra of a window."""
    return cepstra(read(int(window.start_s * RATE), int(window.end_s * RATE)))


def _place(
    model: AcousticModel, cepstrum: NDArray[np.float32], ids: Sequence[int], words: Sequence[str], anchored: frozenset[int],
    penalties: Penalties | None,
) -> Placement:
    """Where the tokens lie in one window."""
    p = penalties or Penalties()
    return place_words(model, cepstrum, [phones_of(model, words[i]) for i in ids], _skips(ids, anchored, p), p)


def _skips(ids: Sequence[int], anchored: frozenset[int], p: Penalties) -> list[float]:
    """Log weight of leaving each token out."""
    out = [p.skip_heard if i in anchored else p.skip for i in ids]
    run: list[int] = []
    for k, token in enumerate(ids):
        if token not in anchored:
            run.append(k)
            continue
        if run and run[0] > 0 and len(run) <= BETWEEN_TOKENS:
            out[run[0] : k] = [p.skip_between] * len(run)
        run = []
    return out


def candidates(window: Window, anchored: frozenset[int], elsewhere: frozenset[int]) -> list[int]:
    """Tokens to try: not those held elsewhere, nor the middle of a long run of unmatched ones."""
    out: list[int] = []
    run: list[int] = []
    for token in range(window.first, window.last + 1):
        if token in elsewhere and token < window.last:
            continue
        if token < window.last and token not in anchored:
            run.append(token)
            continue
        out += run if len(run) <= 2 * MIDDLE_TOKENS else run[:MIDDLE_TOKENS] + run[-MIDDLE_TOKENS:]
        run = []
        if token < window.last:
            out.append(token)
    return out


def monotone(places: list[TokenPlace]) -> list[TokenPlace]:
    """Removes overlaps in time between neighbouring windows: of two that overlap by over half, the better one stays."""
    out: list[TokenPlace] = []
    for place in sorted(places, key=lambda p: (p.start_s, p.end_s)):
        if out and place.start_s < out[-1].end_s:
            last = out[-1]
            shared = last.end_s - place.start_s
            if shared > 0.5 * min(last.end_s - last.start_s, place.end_s - place.start_s):
                if (place.anchored, place.score) > (last.anchored, last.score):
                    out[-1] = place
                continue
            place = replace(place, start_s=last.end_s, end_s=max(place.end_s, last.end_s))
        out.append(place)
    return out
