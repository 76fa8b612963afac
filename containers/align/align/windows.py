"""Cuts a document into short problems: which tokens to look for in which stretch of audio.

The search has found words that transcript and hypothesis share (anchors). Between anchors the text may hold words that were
not said, and the audio speech that is not in the text; a window holds both and lets the acoustics decide. Windows meet at
anchors, overlap there by a few words of context, and are about twenty seconds long, so nothing can drift.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from align.find import Pair
from align.recognizer import HeardWord

TARGET_S = 15.0
"""A window ends at the longest pause between anchors after so many seconds …"""
LONGEST_S = 30.0
"""… and before so many, if an anchor lies there."""
CONTEXT_WORDS = 3
"""Anchored words beyond a window's ends that keep its first and last words in place."""
EDGE_S = 12.0
"""Audio beyond the last anchor of a chain in which unmatched words are looked for."""
EDGE_TOKENS = 40
"""Tokens looked for there: twelve seconds of fast speech."""


@dataclass(frozen=True)
class Window:
    """Tokens [first, last) are to be placed in [start_s, end_s); results outside [keep_first, keep_last) are context.

    Attributes:
        run: index of the run of anchors that it belongs to.
    """

    first: int
    last: int
    keep_first: int
    keep_last: int
    start_s: float
    end_s: float
    run: int


@dataclass(frozen=True)
class Anchor:
    """A token that the recogniser heard, and when."""

    token: int
    start_s: float
    end_s: float


def chains(pairs: Sequence[Pair], heard: Sequence[HeardWord], longest_gap_s: float = LONGEST_S) -> list[list[Anchor]]:
    """Runs of anchors that follow each other in both text and time, from pairs of `align.find`.

    A new run begins where the text goes back, or where no anchor lies in `longest_gap_s` of audio.
    """
    out: list[list[Anchor]] = []
    for h, r in sorted(pairs):
        anchor = Anchor(r, heard[h].start_s, heard[h].end_s)
        last = out[-1][-1] if out else None
        if last is None or r <= last.token or anchor.start_s - last.end_s > longest_gap_s:
            out.append([anchor])
        else:
            out[-1].append(anchor)
    return out


def windows(runs: Sequence[Sequence[Anchor]], tokens: int, duration_s: float) -> list[Window]:
    """All windows of a document, in the order of time.

    Args:
        runs: of `chains`.
        tokens: number of tokens of the document.
        duration_s: of the recording.
    """
    claimed: NDArray[np.bool_] = np.zeros(tokens, bool)
    for run in runs:
        claimed[run[0].token : run[-1].token + 1] = True
    out: list[Window] = []
    for i, run in enumerate(runs):
        before = runs[i - 1][-1].end_s if i else 0.0
        after = runs[i + 1][0].start_s if i + 1 < len(runs) else duration_s
        first = _free(claimed, run[0].token, -1)
        last = _free(claimed, run[-1].token, +1)
        # A gap's tokens are shared between the runs on its two sides, or they would be found twice.
        if i and 0 <= runs[i - 1][-1].token < run[0].token:
            first = max(first, (runs[i - 1][-1].token + run[0].token + 1) // 2)
        if i + 1 < len(runs) and runs[i + 1][0].token > run[-1].token:
            last = min(last, (run[-1].token + runs[i + 1][0].token + 1) // 2)
        start = max(before, run[0].start_s - EDGE_S, 0.0)
        end = min(after, run[-1].end_s + EDGE_S, duration_s)
        out += _cut(run, i, first, last, start, end)
    return out


def _free(claimed: NDArray[np.bool_], token: int, step: int) -> int:
    """How far tokens are unclaimed before (first index) or after (one past the last index) a token."""
    edge = token
    while abs(edge + step - token) <= EDGE_TOKENS and 0 <= edge + step < len(claimed) and not claimed[edge + step]:
        edge += step
    return edge if step < 0 else edge + 1


def _cut(run: Sequence[Anchor], index: int, first: int, last: int, start_s: float, end_s: float) -> list[Window]:
    """Windows of one run: cut after anchor k where the pause to anchor k + 1, its direct neighbour in the text, is longest."""
    cuts: list[int] = []
    k, origin = 0, start_s
    while True:
        limit = [
            j for j in range(k, len(run) - 1)
            if run[j].end_s - origin >= TARGET_S and run[j].end_s - origin <= LONGEST_S and _neighbours(run, j)
        ]  # fmt: skip
        if not limit:  # no anchor in reach: the first one later on
            limit = [j for j in range(k, len(run) - 1) if run[j].end_s - origin > LONGEST_S and _neighbours(run, j)][:1]
        if not limit or end_s - origin <= LONGEST_S:
            break
        best = max(limit, key=lambda j: (round(run[j + 1].start_s - run[j].end_s, 3), -j))
        cuts.append(best)
        k, origin = best + 1, run[best].end_s
    edges = [-1, *cuts, len(run) - 1]
    out = []
    for a, b in zip(edges, edges[1:], strict=False):
        opening, closing = a < 0, b == len(run) - 1
        left, right = max(0, a + 1 - CONTEXT_WORDS), min(len(run) - 1, b + CONTEXT_WORDS)
        out.append(
            Window(
                first if opening else run[left].token,
                last if closing else run[right].token + 1,
                first if opening else run[a].token + 1,
                last if closing else run[b].token + 1,
                start_s if opening else max(start_s, run[left].start_s - 0.1),
                end_s if closing else min(end_s, run[right].end_s + 0.1),
                index,
            )
        )
    return out


def _neighbours(run: Sequence[Anchor], j: int) -> bool:
    """Whether anchors j and j + 1, and those beside them, are direct neighbours in the text: a safe place to cut."""
    low, high = max(0, j - 1), min(len(run) - 1, j + 2)
    return run[high].token - run[low].token == high - low
