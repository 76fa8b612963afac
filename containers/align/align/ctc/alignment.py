"""Exact CTC forced alignment of long audio in bounded memory, on a CPU. `alignment_gpu` does the same on a GPU, state for state.

The best path through a text's tokens with CTC's blanks between them (Viterbi; Kürzinger et al. 2020, arXiv:2007.09127, and
torchaudio's ``forced_align`` solve the same) usually keeps a back pointer for each frame and token: 18 GB for an hour and 50,000
tokens. Here the frames are cut into tiles, and only the scores at the beginning of each tile are kept. Tile by tile from the
end, the path's states inside are found again from them: in K frames a path moves by K tokens at most, so a tile costs K × K
steps, whatever the length of the text. Time grows with frames × tokens, unless a band around what is known (the search's anchors)
is given; memory with (frames / K) × tokens, or × the band.

State j of a row is token j (1 … n); its blank is the one behind it, and blank 0 precedes the text:

    blank'[j] = max(blank[j], token[j]) + log p(blank)
    token'[j] = max(token[j], blank[j-1], token[j-1] if it is another) + log p(token j)

Scores are float32, with the best of each tile's beginning as 0, so that they lose nothing over hours. On a tie a path stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

TILE = 256
"""Frames between kept scores (K)."""
BLOCK = 4096
"""Tokens that are worked on at once: their scores stay in a core's cache for a whole tile. The K before are computed twice."""
NEVER = np.float32(-np.inf)

Band = NDArray[np.int64]
"""(tiles, 2) first and last state j that may be visited in the frames of each tile."""


@dataclass(frozen=True)
class Path:
    """The best path.

    Attributes:
        token: (frames,) index in the text of the token at each frame, -1 in blanks.
        score: log probability of the path.
    """

    token: NDArray[np.int32]
    score: float


@dataclass(frozen=True)
class Span:
    """Frames [start, end) of something, and the mean log probability of its tokens' frames."""

    start: int
    end: int
    score: float


class NoPath(ValueError):  # noqa: N818 - says what there is not
    """The text cannot be said in these frames (or in the band)."""


def align_tokens(
    log_probs: NDArray[np.float32], targets: NDArray[np.int32], blank: int = 0, band: Band | None = None, threads: int = 1,
    tile: int = TILE,
) -> Path:
    """The best path of a text through an emission.

    Args:
        log_probs: (frames, tokens).
        targets: (n,) the text's tokens, without blanks.
        blank: the blank's token.
        band: of `band_around`; all states if not given. The path is the best one inside of it.
        threads: cores to use.
        tile: K; it changes what is kept, and no path.

    Raises:
        NoPath: there are too few frames, or the band leaves no way.
    """
    log_probs = np.ascontiguousarray(log_probs, np.float32)
    targets = np.ascontiguousarray(targets, np.int32)
    frames, n = len(log_probs), len(targets)
    check(frames, targets, blank, log_probs.shape[1])
    if not frames:
        return Path(np.zeros(0, np.int32), 0.0)
    bounds = limits(frames, n, band, tile)
    token, skip = padded(targets)
    sizes = bounds[:, 1] - bounds[:, 0] + 1
    starts = np.concatenate([[0], np.cumsum(sizes)])
    kept_blank, kept_token = np.empty(starts[-1], np.float32), np.empty(starts[-1], np.float32)
    now = np.full((2, n + 1), NEVER, np.float32)
    now[0, 0] = 0.0
    then = np.full((2, n + 1), NEVER, np.float32)
    with ThreadPoolExecutor(max(1, threads)) as pool:
        for k, (lo, hi) in enumerate(bounds):
            first, last = k * tile, min(frames, (k + 1) * tile)
            if k and lo > bounds[k - 1, 0]:
                now[:, bounds[k - 1, 0] : lo] = NEVER
            if k and hi < bounds[k - 1, 1]:
                now[:, hi + 1 : bounds[k - 1, 1] + 1] = NEVER
            kept_blank[starts[k] : starts[k + 1]] = now[0, lo : hi + 1]
            kept_token[starts[k] : starts[k + 1]] = now[1, lo : hi + 1]
            blocks = range(int(lo), int(hi) + 1, BLOCK)
            args = [(log_probs, first, last, token, skip, blank, now, then, lo, a, min(int(hi) + 1, a + BLOCK)) for a in blocks]
            best = max(pool.map(lambda a: _advance(*a), args) if threads > 1 and len(args) > 1 else (_advance(*a) for a in args))
            if best == NEVER:
                raise NoPath(f"no path is left after frame {last} of {frames}; is the band too narrow?")
            then[:, lo : hi + 1] -= best
            now, then = then, now
    if max(now[0, n], now[1, n]) == NEVER:
        raise NoPath("the path does not reach the text's end; is the band too narrow?")
    path = np.empty(frames, np.int32)
    _back(log_probs, token, skip, blank, tile, bounds, starts, kept_blank, kept_token, now[0, n] > now[1, n], path)
    visited = np.where(path >= 0, targets[path] if n else blank, blank)
    return Path(path, float(log_probs[np.arange(frames), visited].sum(dtype=np.float64)))


def check(frames: int, targets: NDArray[np.int32], blank: int, tokens: int) -> None:
    """Whether a text can be aligned at all.

    Raises:
        NoPath: it cannot; ValueError: a target is no token.
    """
    if len(targets) and (targets.min() < 0 or targets.max() >= tokens or (targets == blank).any()):
        raise ValueError(f"targets must be tokens below {tokens}, and not the blank ({blank})")
    least = len(targets) + int((targets[1:] == targets[:-1]).sum())
    if least > frames:
        raise NoPath(f"{len(targets)} tokens need {least} frames at least, there are {frames}")


def padded(targets: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """(n + 1,) token of each state (state 0 has none) and what coming from the token before costs: 0, or -inf."""
    token = np.zeros(len(targets) + 1, np.int32)
    token[1:] = targets
    skip = np.full(len(targets) + 1, NEVER, np.float32)
    skip[2:] = np.where(targets[1:] != targets[:-1], np.float32(0), NEVER)
    return token, skip


def limits(frames: int, n: int, band: Band | None, tile: int = TILE) -> Band:
    """States that a complete path can visit in each tile, and that the band allows."""
    tiles = -(-frames // tile)
    first = np.arange(tiles) * tile
    last = np.minimum(frames, first + tile)
    # In frame t at most t + 1 tokens are begun, and at most frames - 1 - t are still to come. The beginning of a tile is in it.
    out = np.stack([np.maximum(0, n - (frames - first)), np.minimum(n, last)], 1)
    if band is not None:
        if band.shape != out.shape:
            raise ValueError(f"the band has shape {band.shape}, expected {out.shape}: a row for each {tile} frames")
        out = np.stack([np.maximum(out[:, 0], band[:, 0]), np.minimum(out[:, 1], band[:, 1])], 1)
        if (out[:, 0] > out[:, 1]).any():
            raise NoPath("the band leaves a tile without a state")
    return out


def band_around(
    anchors: Sequence[tuple[int, int]], frames: int, n: int, margin_frames: int, margin_tokens: int, tile: int = TILE
) -> Band:
    """A band around places that are known.

    Args:
        anchors: (frame, token index), both ascending: token i is about there.
        frames: of the emission.
        n: tokens of the text.
        margin_frames: how far an anchor may be off, in frames …
        margin_tokens: … and in tokens.
        tile: of the alignment.

    Returns:
        For each tile the states between the anchors around it, widened.
    """
    tiles = -(-frames // tile)
    first = np.arange(tiles) * tile
    at = np.array([-1, *(f for f, _ in anchors), frames], np.int64)
    state = np.array([0, *(i + 1 for _, i in anchors), n], np.int64)
    before = np.maximum(np.searchsorted(at, first - margin_frames, "right") - 1, 0)
    after = np.minimum(np.searchsorted(at, first + tile + margin_frames, "left"), len(at) - 1)
    return np.stack([np.maximum(0, state[before] - margin_tokens), np.minimum(n, state[after] + margin_tokens)], 1)


def spans(path: Path, log_probs: NDArray[np.float32], targets: NDArray[np.int32], owner: NDArray[np.int32]) -> dict[int, Span]:
    """Where each word of a text lies.

    Args:
        path: of `align_tokens`.
        log_probs: (frames, tokens) that it was found in.
        targets: (n,) tokens of the text.
        owner: (n,) word of each token, -1 for what belongs to none (separators).

    Returns:
        Word → its frames from its first token to its last, and its score: the mean log probability of its tokens' frames.
    """
    at = np.flatnonzero(path.token >= 0)
    word = owner[path.token[at]]
    at, word = at[word >= 0], word[word >= 0]
    if not len(at):
        return {}
    score = log_probs[at, targets[path.token[at]]]
    edges = np.concatenate([[0], np.flatnonzero(np.diff(word)) + 1, [len(word)]])
    return {
        int(word[a]): Span(int(at[a]), int(at[b - 1]) + 1, float(score[a:b].mean(dtype=np.float64)))
        for a, b in zip(edges[:-1], edges[1:], strict=True)
    }


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _advance(
    log_probs: NDArray[np.float32], first: int, last: int, token: NDArray[np.int32], skip: NDArray[np.float32], blank: int,
    now: NDArray[np.float32], then: NDArray[np.float32], lo: int, start: int, end: int,
) -> np.float32:  # fmt: skip
    """States [start, end) after frames [first, last), from the scores before them; the best of them.

    They depend on the `last - first` states before them, which are computed along and thrown away.
    """
    begin = max(lo, start - (last - first))
    size = end - begin + 1  # one before the first, that nothing comes from
    blanks, tokens = np.empty(size, np.float32), np.empty(size, np.float32)
    new_blanks, new_tokens = np.empty(size, np.float32), np.empty(size, np.float32)
    blanks[0] = tokens[0] = new_blanks[0] = new_tokens[0] = NEVER
    blanks[1:] = now[0, begin:end]
    tokens[1:] = now[1, begin:end]
    names, skips = token[begin:end], skip[begin:end]
    for t in range(first, last):
        row = log_probs[t]
        quiet = row[blank]
        for i in range(1, size):
            b, s = blanks[i], tokens[i]
            new_blanks[i] = (s if s > b else b) + quiet
            before = blanks[i - 1]
            jump = tokens[i - 1] + skips[i - 1]
            best = before if before > s else s
            best = jump if jump > best else best
            new_tokens[i] = best + row[names[i - 1]]
        if begin == 0:
            new_tokens[1] = NEVER  # state 0 is no token
        blanks, new_blanks = new_blanks, blanks
        tokens, new_tokens = new_tokens, tokens
    top = NEVER
    for i in range(start - begin + 1, size):
        j = begin + i - 1
        then[0, j] = blanks[i]
        then[1, j] = tokens[i]
        top = max(top, blanks[i], tokens[i])
    return top


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _back(
    log_probs: NDArray[np.float32], token: NDArray[np.int32], skip: NDArray[np.float32], blank: int, tile: int,
    bounds: NDArray[np.int64], starts: NDArray[np.int64], kept_blank: NDArray[np.float32], kept_token: NDArray[np.float32],
    in_blank: bool, path: NDArray[np.int32],
) -> None:  # fmt: skip
    """Fill the path from its end, tile by tile, out of the scores that were kept."""
    frames = len(path)
    state = len(token) - 1
    came = np.empty((tile, tile + 2), np.uint8)  # low bit: the blank's (1: from the token); above it the token's (0, 1, 2)
    blanks, tokens = np.empty(tile + 2, np.float32), np.empty(tile + 2, np.float32)
    new_blanks, new_tokens = np.empty(tile + 2, np.float32), np.empty(tile + 2, np.float32)
    for k in range(len(bounds) - 1, -1, -1):
        first, last = k * tile, min(frames, (k + 1) * tile)
        begin = max(bounds[k, 0], state - (last - first))
        size = state - begin + 2
        blanks[0] = tokens[0] = new_blanks[0] = new_tokens[0] = NEVER
        for i in range(1, size):
            blanks[i] = kept_blank[starts[k] + begin - bounds[k, 0] + i - 1]
            tokens[i] = kept_token[starts[k] + begin - bounds[k, 0] + i - 1]
        for t in range(first, last):
            row = log_probs[t]
            for i in range(1, size):
                b, s = blanks[i], tokens[i]
                new_blanks[i] = (s if s > b else b) + row[blank]
                before, jump = blanks[i - 1], tokens[i - 1] + skip[begin + i - 1]
                best, choice = s, 0
                if before > best:
                    best, choice = before, 1
                if jump > best:
                    best, choice = jump, 2
                new_tokens[i] = best + row[token[begin + i - 1]]
                came[t - first, i] = 2 * choice + (1 if s > b else 0)
            if begin == 0:
                new_tokens[1] = NEVER
            blanks, new_blanks = new_blanks, blanks
            tokens, new_tokens = new_tokens, tokens
        for t in range(last - 1, first - 1, -1):
            code = came[t - first, state - begin + 1]
            if in_blank:
                path[t] = -1
                in_blank = code & 1 == 0
            else:
                path[t] = state - 1
                choice = code >> 1
                if choice:
                    state -= 1
                    in_blank = choice == 1
