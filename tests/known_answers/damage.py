"""Text of a document, right or with a fault that is known."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np
from sources import Clip, foreign_paragraphs

EXCHANGED = "exchanged"
EVERY = 7
"""`exchanged`: one word in so many is another one than is said."""
LIKE = dict(
    pair.split("/")
    for pair in "he/she she/he the/a a/the his/her her/his in/on on/in at/by of/in to/for for/of and/but but/and was/is is/was "
    "had/has were/are this/that that/what".split()
)
"""What stands for a function word; another word is exchanged for one of as many letters."""


@dataclass
class Piece:
    """A piece of text: of clip `clip`, or (None) said by nobody. A block is a list of pieces that become one paragraph."""

    text: str
    clip: int | None
    exchanged: list[tuple[int, int]] = field(default_factory=list)
    """[start, end) of words of it that nobody says."""


Blocks = list[list[Piece]]


def blocks_of(clips: list[Clip], rng: np.random.Generator) -> Blocks:
    """Right text: paragraphs of two to four clips, in order."""
    out: Blocks = []
    i = 0
    while i < len(clips):
        n = int(rng.integers(2, 5))
        out.append([Piece(c.text, i + j) for j, c in enumerate(clips[i : i + n])])
        i += n
    return out


def damage_text(condition: str, blocks: Blocks, spare: list[str], rng: np.random.Generator) -> Blocks:
    """Text with the condition's fault. `spare` are paragraphs and sentences of recordings that are not in the document."""
    if condition == "added":  # about as many paragraphs again as a third of the document's
        for text in spare[: max(2, len(blocks) // 3)]:
            blocks.insert(int(rng.integers(0, len(blocks) + 1)), [Piece(text, None)])
    elif condition == "missing":  # every fifth paragraph, and at least one
        drop = set(rng.choice(len(blocks), max(1, len(blocks) // 5), replace=False).tolist())
        blocks = [b for i, b in enumerate(blocks) if i not in drop]
    elif condition == "swapped":  # halves of neighbouring pairs change places, and the first quarter goes to the end
        for i in range(0, len(blocks) - 1, 2):
            blocks[i], blocks[i + 1] = blocks[i + 1], blocks[i]
        quarter = max(1, len(blocks) // 4)
        blocks = blocks[quarter:] + blocks[:quarter]
    elif condition == "other_language":  # a paragraph in four stands in German, French or Mandarin instead
        foreign = foreign_paragraphs()
        for i in range(int(rng.integers(0, 3)), len(blocks), 4):
            blocks[i] = [Piece(foreign[int(rng.integers(len(foreign)))], None)]
    elif condition in ("wrong", "english_over_foreign"):
        blocks = [[Piece(text, None)] for text in spare]
    elif condition == EXCHANGED:
        words = sorted({w.lower() for text in spare for w in re.findall(r"[A-Za-z]{4,}", text)})
        blocks = [[exchanged(piece, words, rng) for piece in block] for block in blocks]
    return blocks


def exchanged(piece: Piece, words: list[str], rng: np.random.Generator) -> Piece:
    """The same piece with every seventh word exchanged, but for those that have no word of their length among `words`."""
    text, at, spans = "", 0, []
    for match in list(re.finditer(r"[A-Za-z']+", piece.text))[EVERY // 2 :: EVERY]:
        old = match[0].lower()
        like = [LIKE[old]] if old in LIKE else [w for w in words if len(w) == len(old) and w != old]
        if like:
            new = like[int(rng.integers(len(like)))]
            new = new.upper() if match[0].isupper() else new
            text += piece.text[at : match.start()]
            spans.append((len(text), len(text) + len(new)))
            text, at = text + new, match.end()
    return Piece(text + piece.text[at:], piece.clip, spans)
