"""How far an aligner's word times lie from the truth, or from another aligner's; and whether its score tells a wrong text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from word_corpora import Utterance

WITHIN_MS = (10, 25, 50, 100)
GRID_MS = 1e-3
"""An error of exactly 25 ms counts as within 25 ms, whatever its last binary digit."""
Words = Mapping[str, Sequence[Mapping[str, Any]]]
"""sentence_id → rows of `sentence_words`, by index."""


@dataclass
class Errors:
    """Signed errors in milliseconds (aligner minus truth), and how many words had a truth."""

    starts: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    words: int = 0
    """Words of the corpus, aligned or not."""
    aligned: int = 0


@dataclass(frozen=True)
class Summary:
    """Figures of one side (starts or ends)."""

    n: int
    mean_ms: float
    median_ms: float
    bias_ms: float
    """Mean of the signed errors."""
    typical_ms: float
    """Their median: what is left of the bias without a few large errors."""
    within: tuple[float, ...]
    """Shares within WITHIN_MS, 0–1."""


def by_sentence(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Rows of `sentence_words` by sentence, in the order of the tokens."""
    out: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        out.setdefault(row["sentence_id"], []).append(row)
    for found in out.values():
        found.sort(key=lambda r: r["index"])
    return out


def against_truth(utterances: Iterable[Utterance], words: Words) -> Errors:
    """Errors over all words whose times are known."""
    out = Errors()
    for utterance in utterances:
        if utterance.truth is None:
            continue
        out.words += len(utterance.truth)
        rows = words.get(utterance.id, [])
        out.aligned += len(rows)
        for row in rows:
            start, end = utterance.truth[row["index"]]
            if start is not None:
                out.starts.append(1000 * (row["start_s"] - start))
            if end is not None:
                out.ends.append(1000 * (row["end_s"] - end))
    return out


def against_each_other(one: Words, other: Words) -> Errors:
    """Differences (one minus other) over the words that both aligned."""
    out = Errors()
    for name in one.keys() & other.keys():
        theirs = {row["index"]: row for row in other[name]}
        for row in one[name]:
            if row["index"] in theirs:
                out.starts.append(1000 * (row["start_s"] - theirs[row["index"]]["start_s"]))
                out.ends.append(1000 * (row["end_s"] - theirs[row["index"]]["end_s"]))
    out.words = out.aligned = len(out.starts)
    return out


def summary(errors: Sequence[float]) -> Summary | None:
    """Mean and median of the absolute error, mean of the signed one, shares within bounds; None of nothing."""
    if not errors:
        return None
    signed = np.asarray(errors)
    size = np.abs(signed)
    within = tuple(float(np.mean(size <= bound + GRID_MS)) for bound in WITHIN_MS)
    mean, median = float(size.mean()), float(np.median(size))
    return Summary(len(signed), mean, median, float(signed.mean()), float(np.median(signed)), within)


def sentence_score(rows: Sequence[Mapping[str, Any]]) -> float:
    """Mean of the words' scores, weighted by their seconds; minus infinity for a sentence that was not aligned."""
    scored = [(r["end_s"] - r["start_s"], r["score"]) for r in rows if r["score"] is not None]
    total = sum(seconds for seconds, _ in scored)
    return sum(seconds * score for seconds, score in scored) / total if total > 0 else float("-inf")


def auc(right: Sequence[float], wrong: Sequence[float]) -> float:
    """Chance that a right text scores higher than a wrong one, ties counted half: 1 tells them apart, 0.5 does not.

    The Mann–Whitney statistic, by ranks.
    """
    values = np.concatenate([np.asarray(right, float), np.asarray(wrong, float)])
    order = np.argsort(values, kind="stable")
    ranks = np.empty(len(values))
    ranks[order] = np.arange(1, len(values) + 1)
    for value in np.unique(values):
        same = values == value
        ranks[same] = ranks[same].mean()
    n, m = len(right), len(wrong)
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))


def swap_auc(utterances: Iterable[Utterance], wrong: set[str], words: Words) -> tuple[float, int, int]:
    """AUC of the sentence scores of a corpus with planted swaps; numbers of right and wrong sentences."""
    scores: dict[bool, list[float]] = {True: [], False: []}
    for utterance in utterances:
        scores[utterance.name in wrong].append(sentence_score(words.get(utterance.id, [])))
    return auc(scores[False], scores[True]), len(scores[False]), len(scores[True])
