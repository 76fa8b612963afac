"""Which placed words are believed: the sound must support them, in company."""

from __future__ import annotations

from collections.abc import Sequence

from align.place import TokenPlace
from align.segment_types import AlignedWord, Stretch
from stagekit.tables import SAMPLE_RATE, Reason

REACH = 2
"""Neighbours on each side that a word's score is smoothed with: one short word says little by itself."""


def accept(
    placed: Sequence[TokenPlace], words: Sequence[str], spans: Sequence[tuple[int, int]], min_score: float, min_run: int
) -> tuple[list[list[AlignedWord]], list[Stretch]]:
    """Runs of accepted words, and the stretches of the refused ones.

    A run is a maximal row of placed words whose tokens follow each other. In it a word is refused if its score, averaged over
    time with its neighbours', is under ``min_score``; what is left of a run is refused if it has fewer than ``min_run`` words or
    no anchored one.

    Args:
        placed: words where the sound has them, in the order of time.
        words: the document's tokens.
        spans: their (char_start, char_end).
        min_score: log-likelihood ratio per frame.
        min_run: words.
    """
    runs: list[list[AlignedWord]] = []
    refused: list[Stretch] = []
    for row in _rows(placed):
        good: list[TokenPlace] = []
        for i, place in enumerate(row):
            score = _smoothed(row, i)
            if score >= min_score:
                good.append(place)
                continue
            _close(good, runs, refused, words, spans, min_run)
            good = []
            refused.append(_stretch([place], f"{words[place.token]!r} has a score of {score:.2f}, below {min_score:g}"))
        _close(good, runs, refused, words, spans, min_run)
    return runs, [s for s in refused if s.end_sample > s.start_sample]


def _rows(placed: Sequence[TokenPlace]) -> list[list[TokenPlace]]:
    rows: list[list[TokenPlace]] = []
    for place in placed:
        if rows and rows[-1][-1].token + 1 == place.token:
            rows[-1].append(place)
        else:
            rows.append([place])
    return rows


def _smoothed(row: Sequence[TokenPlace], i: int) -> float:
    near = row[max(0, i - REACH) : i + REACH + 1]
    return sum(p.score * (p.end_s - p.start_s) for p in near) / sum(p.end_s - p.start_s for p in near)


def _close(
    good: list[TokenPlace],
    runs: list[list[AlignedWord]],
    refused: list[Stretch],
    words: Sequence[str],
    spans: Sequence[tuple[int, int]],
    min_run: int,
) -> None:
    if not good:
        return
    if len(good) < min_run or not any(p.anchored for p in good):
        refused.append(_stretch(good, f"{len(good)} words, {sum(p.anchored for p in good)} heard by the recogniser: too few"))
        return
    runs.append([AlignedWord(p.token, words[p.token], *spans[p.token], p.start_s, p.end_s, p.score, p.anchored) for p in good])


def _stretch(places: Sequence[TokenPlace], detail: str) -> Stretch:
    start, end = round(places[0].start_s * SAMPLE_RATE), round(places[-1].end_s * SAMPLE_RATE)
    return Stretch(start, end, Reason.LOW_ALIGNMENT_SCORE, detail)
