"""A trigram model of one document, as an ARPA file.

Method: Witten-Bell smoothing (Witten & Bell 1991), whose backed-off form is exact: for a history h seen c(h) times with t(h)
different continuations, p(w|h) = (c(hw) + t(h) p(w|h')) / (c(h) + t(h)), and its back-off weight is t(h) / (c(h) + t(h)).
Unigrams are the document's, mixed with those of general English, so that speech which the text does not hold comes out as
other words rather than as the document's.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

GENERAL_SHARE = 0.15
"""Unigram mass of general English."""
END_PROBABILITY = 0.02
"""Unigram of the sentence end: decoded pieces end at pauses, wherever these lie in the text."""
FLOOR = -99.0


def write_document_lm(
    path: str | Path, words: Sequence[str], general: Mapping[str, float], general_share: float = GENERAL_SHARE
) -> list[str]:
    """Writes the model and returns its vocabulary, sorted.

    Args:
        path: file to write.
        words: the document in order; the caller has removed words without a pronunciation.
        general: unigram probabilities of general English; any scale.
        general_share: their share of the unigram mass; all of it for a document without words.

    Raises:
        ValueError: if both `words` and `general` are empty.
    """
    count = Counter(words)
    vocabulary = sorted(set(count) | set(general))
    if not vocabulary:
        raise ValueError("a language model needs at least one word")
    share = (general_share if general else 0.0) if count else 1.0
    mass = sum(general.values()) or 1.0
    unigram = {
        w: (1.0 - END_PROBABILITY)
        * ((1.0 - share) * count[w] / max(1, len(words)) + share * general.get(w, 0.0) / mass)
        for w in vocabulary
    }
    pairs: dict[str, Counter[str]] = defaultdict(Counter)
    triples: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for a, b in zip(words, words[1:], strict=False):
        pairs[a][b] += 1
    for a, b, c in zip(words, words[1:], words[2:], strict=False):
        triples[a, b][c] += 1

    def after(history: Counter[str], word: str, lower: float) -> float:
        n, t = history.total(), len(history)
        return (history[word] + t * lower) / (n + t)

    def backoff(history: Counter[str]) -> float:
        n, t = history.total(), len(history)
        return _log(t / (n + t)) if n else 0.0

    empty: Counter[str] = Counter()
    n2, n3 = sum(map(len, pairs.values())), sum(map(len, triples.values()))
    with open(path, "w", encoding="utf-8") as out:
        out.write(f"\\data\\\nngram 1={len(vocabulary) + 2}\nngram 2={n2}\nngram 3={n3}\n\n\\1-grams:\n")
        out.write(f"{FLOOR:.4f} <s> 0.0000\n{_log(END_PROBABILITY):.4f} </s> 0.0000\n")
        for w in vocabulary:
            out.write(f"{_log(unigram[w]):.4f} {w} {backoff(pairs.get(w, empty)):.4f}\n")
        out.write("\n\\2-grams:\n")
        for a in sorted(pairs):
            for b in sorted(pairs[a]):
                out.write(f"{_log(after(pairs[a], b, unigram[b])):.4f} {a} {b} {backoff(triples.get((a, b), empty)):.4f}\n")
        out.write("\n\\3-grams:\n")
        for a, b in sorted(triples):
            history = triples[a, b]
            for c in sorted(history):
                out.write(f"{_log(after(history, c, after(pairs[b], c, unigram[c]))):.4f} {a} {b} {c}\n")
        out.write("\n\\end\\\n")
    return vocabulary


def _log(p: float) -> float:
    return math.log10(p) if p > 0 else FLOOR
