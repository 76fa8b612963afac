"""Makes a hypothesis of a text with known truth: recognition errors, missing text, reordered chapters, boilerplate."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """A hypothesis, a transcript, and the pairs (hypothesis word, transcript word) that are right."""

    name: str
    hypothesis: list[str]
    transcript: list[str]
    truth: dict[int, int]


def said(words: list[str], origin: list[int], wer: float, rng: random.Random) -> tuple[list[str], dict[int, int]]:
    """What a recogniser with this word error rate hears of ``words``: 70 % of errors substitutions, the rest halved.

    Wrong words are drawn from the text itself: a biased language model has no others.
    """
    out: list[str] = []
    truth: dict[int, int] = {}
    for word, at in zip(words, origin, strict=True):
        dice = rng.random()
        if dice >= wer:
            if at >= 0:
                truth[len(out)] = at
            out.append(word)
        elif dice < 0.7 * wer:
            out.append(rng.choice(words))
        elif dice < 0.85 * wer:
            out += [word, rng.choice(words)]
            if at >= 0:
                truth[len(out) - 2] = at
    return out, truth


def noisy(words: list[str], wer: float, rng: random.Random) -> Case:
    """All of the text is read, in order."""
    hypothesis, truth = said(words, list(range(len(words))), wer, rng)
    return Case(f"WER {wer}", hypothesis, words, truth)


def missing(words: list[str], wer: float, rng: random.Random, share: float = 0.2, block: int = 200) -> Case:
    """``share`` of what is said, in blocks, is not in the transcript."""
    transcript: list[str] = []
    origin: list[int] = []
    for start in range(0, len(words), block):
        piece = words[start : start + block]
        if rng.random() < share:
            origin += [-1] * len(piece)
        else:
            origin += range(len(transcript), len(transcript) + len(piece))
            transcript += piece
    hypothesis, truth = said(words, origin, wer, rng)
    return Case(f"WER {wer}, {share:.0%} of the text missing", hypothesis, transcript, truth)


def added(words: list[str], wer: float, rng: random.Random, share: float = 0.2, block: int = 200) -> Case:
    """``share`` of the transcript, in blocks, is not said."""
    spoken: list[str] = []
    origin: list[int] = []
    for start in range(0, len(words), block):
        if rng.random() >= share:
            spoken += words[start : start + block]
            origin += range(start, min(start + block, len(words)))
    hypothesis, truth = said(spoken, origin, wer, rng)
    return Case(f"WER {wer}, {share:.0%} of the text not said", hypothesis, words, truth)


def reordered(words: list[str], wer: float, rng: random.Random, chapters: int = 12) -> Case:
    """The chapters are read in another order."""
    bounds = [len(words) * i // chapters for i in range(chapters + 1)]
    order = list(range(chapters))
    rng.shuffle(order)
    origin = [i for c in order for i in range(bounds[c], bounds[c + 1])]
    hypothesis, truth = said([words[i] for i in origin], origin, wer, rng)
    return Case(f"WER {wer}, {chapters} chapters shuffled", hypothesis, words, truth)


def boilerplate(words: list[str], wer: float, rng: random.Random, every: int = 150) -> Case:
    """The same 25 words stand after every ``every`` words, on both sides."""
    phrase = words[1000:1025] if len(words) > 1025 else words[:25]
    text = [w for i in range(0, len(words), every) for w in words[i : i + every] + phrase]
    hypothesis, truth = said(text, list(range(len(text))), wer, rng)
    return Case(f"WER {wer}, boilerplate of 25 words every {every}", hypothesis, text, truth)


def babble(words: list[str], count: int, rng: random.Random, order: int = 2) -> list[str]:
    """What a decoder biased to ``words`` hears of other speech: a walk over the text's own n-grams, shape (count,)."""
    following: dict[tuple[str, ...], list[int]] = {}
    for i in range(len(words) - order + 1):
        following.setdefault(tuple(words[i : i + order - 1]), []).append(i + order - 1)
    out: list[str] = []
    at = rng.randrange(len(words))
    while len(out) < count:
        out.append(words[at])
        options = following.get(tuple(words[max(0, at - order + 2) : at + 1]), [])
        at = rng.choice(options) if options and rng.random() < 0.8 else rng.randrange(len(words))
    return out
