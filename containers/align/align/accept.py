"""Which placed words are believed: the sound must support them, in company."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from align.place import TokenPlace
from align.segment_types import AlignedWord, Stretch
from stagekit.tables import SAMPLE_RATE, Reason

REACH = 2
"""Neighbours on each side that a word's score is smoothed with: one short word says little by itself."""
AROUND = 3
"""Neighbours on each side that a word that was not heard is compared with."""


@dataclass(frozen=True)
class Limits:
    """What an aligner's scores have to reach.

    Attributes:
        min_score: lowest score of a word, smoothed over its neighbours.
        heard_margin: a word that a recogniser heard there without knowing the document may have a score lower by this.
        among_heard_margin: the same of a word that was not heard itself, with heard ones near it on both sides (`REACH`).
        least_total: score times frames of 10 ms of a whole word.
        longest_phone: frames a phone (or letter) of a word of two or more, on average.
        least: lowest score by itself of a word that no recogniser heard there.
        beneath: so far at most its score may lie under the median of the words around it (`AROUND` on each side).
    """

    min_score: float
    heard_margin: float
    among_heard_margin: float
    least_total: float
    longest_phone: float
    least: float = -math.inf
    beneath: float = math.inf


SPHINX = Limits(min_score=-1.7, heard_margin=2.0, among_heard_margin=1.0, least_total=-180.0, longest_phone=32.0, beneath=4.0)
"""Of a log-likelihood ratio per frame against a loop of phones. 1 in 1,000 right words has a score under -1.6; the worst total of
3,521 right words, degraded audio included, was -174; the longest right word had 26 frames a phone, words that get stretched over
a passage which the text lacks had 37 and 40 (tuning side). Of 11,987 words that were believed, all conditions, 445 had not been
heard; 11 of these lie more than 4 under those around them. So do 56 of 81 that were believed of 138 words exchanged for others in
the text of six readers of LibriSpeech. A bound of the score itself, -2.5, refuses 37 and 57: in noise all scores are low."""
CTC = Limits(min_score=-2.5, heard_margin=2.0, among_heard_margin=1.0, least_total=-math.inf, longest_phone=32.0, least=-3.0)
"""Of a CTC model's tokens against its best ones, a letter (`align.ctc_aligner`). Measured with the small model of
tests/containers/align_gpu/data, which hears one word in seven: in 200 sentences that it had not seen, 214 words exchanged against
others of the text; 98 % of right words have over -3.0, 4 % of exchanged ones, and 6 of these are kept. With a model of random
weights whose own words are the text, in noise (`test_ctc_aligner.py`), 5 of 244. A better model's right words are nearer to 0."""


def accept(
    placed: Sequence[TokenPlace], words: Sequence[str], spans: Sequence[tuple[int, int]], min_score: tuple[float, float],
    min_run: int, doubts: Sequence[str] | None = None, limits: Limits = SPHINX,
) -> tuple[list[list[AlignedWord]], list[Stretch]]:
    """Runs of accepted words, and the stretches of the refused ones.

    A run is a maximal row of placed words whose tokens follow each other. In it a word is refused if its score, averaged over
    time with its neighbours', is under ``min_score``; what is left of a run is refused if it has fewer than ``min_run`` words or
    no anchored one.

    Args:
        placed: words where the sound has them, in the order of time.
        words: the document's tokens.
        spans: their (char_start, char_end).
        min_score: log-likelihood ratio per frame: of a word that no recogniser heard there, and of one that did hear it.
        min_run: words.
        doubts: what else speaks against each placed word (`align.evidence`), or ''.
        limits: of the aligner that placed them.
    """
    runs: list[list[AlignedWord]] = []
    refused: list[Stretch] = []
    doubted = dict(zip(map(id, placed), doubts or [], strict=False))
    for row in _rows(placed):
        good: list[TokenPlace] = []
        for i, place in enumerate(row):
            doubt = doubted.get(id(place))
            fault = f"{words[place.token]!r}: {doubt}" if doubt else _fault(row, i, words, min_score, limits)
            if not fault:
                good.append(place)
                continue
            _close(good, runs, refused, words, spans, min_run)
            good = []
            refused.append(_stretch([place], fault))
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


def _fault(
    row: Sequence[TokenPlace], i: int, words: Sequence[str], min_score: tuple[float, float], limits: Limits
) -> str:
    """Why a word is not believed, or nothing."""
    place, word = row[i], repr(words[row[i].token])
    score, frames = _smoothed(row, i), (place.end_s - place.start_s) * 100
    least = min_score[place.anchored]
    if not place.anchored and min_score[1] < min_score[0] and _among_heard(row, i):
        least -= limits.among_heard_margin
    if score < least:
        return f"{word} has a score of {score:.2f}, below {least:g}"
    if place.score * frames < limits.least_total * (2.0 if place.anchored and min_score[1] < min_score[0] else 1.0):
        return f"{word} by itself has a log-likelihood ratio of {place.score * frames:.0f}, below {limits.least_total:g}"
    if not place.anchored and place.score < limits.least:
        return f"{word} by itself has a score of {place.score:.2f}, below {limits.least:g}"
    if not place.anchored and (under := _beneath(row, i)) > limits.beneath:
        return f"{word}, which was not heard, has a score {under:.2f} under those around it, over {limits.beneath:g}"
    if len(place.phones) > 1 and frames > limits.longest_phone * len(place.phones):
        return f"{word} takes {frames / 100:.2f} s, over {limits.longest_phone * 10:.0f} ms a phone"
    return ""


def _among_heard(row: Sequence[TokenPlace], i: int) -> bool:
    return any(p.anchored for p in row[max(0, i - REACH) : i]) and any(p.anchored for p in row[i + 1 : i + REACH + 1])


def _beneath(row: Sequence[TokenPlace], i: int) -> float:
    around = [*row[max(0, i - AROUND) : i], *row[i + 1 : i + AROUND + 1]]
    return statistics.median(p.score for p in around) - row[i].score if around else 0.0


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
