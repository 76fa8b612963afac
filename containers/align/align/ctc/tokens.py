"""The tokens of a CTC model: how a word is spelled with them, and which words a path through them says."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SEPARATORS = ("|", " ", "▁")
"""What stands between words: fairseq's, a blank, SentencePiece's mark."""


@dataclass(frozen=True)
class Tokens:
    """Labels of a model's outputs, in the order of its outputs.

    Attributes:
        labels: one string an output; what is not one character (``<unk>``) spells nothing.
        blank: the output of CTC's blank.
        separator: the output that stands between words, or None: such a model aligns, but cannot tell words.
    """

    labels: tuple[str, ...]
    blank: int = 0
    separator: int | None = None

    @classmethod
    def of(cls, labels: Sequence[str], blank: int = 0) -> Tokens:
        """Tokens whose separator is found among the labels."""
        between = next((i for i, label in enumerate(labels) if label in SEPARATORS and i != blank), None)
        return cls(tuple(labels), blank, between)

    def __len__(self) -> int:
        """Number of outputs."""
        return len(self.labels)

    @functools.cached_property
    def _ids(self) -> dict[str, int]:
        skip = {self.blank, self.separator}
        return {label: i for i, label in enumerate(self.labels) if len(label) == 1 and i not in skip}

    @functools.cached_property
    def romanises(self) -> bool:
        """Whether other scripts, and marks, are put into plain Latin letters first (uroman): it knows no other letters."""
        return all(label.isascii() for label in self._ids)

    def spell(self, word: str) -> tuple[int, ...]:
        """Outputs that write a word; () if it has no letter that the model knows.

        A letter is looked for as it is, in the other case, and without its marks; what is not found then is left out.

        >>> Tokens.of("-|ABCDE'").spell("d'Abé")
        (5, 7, 2, 3, 6)
        """
        if self.romanises:
            word = romanised(word)
        out: list[int] = []
        for letter in word:
            bare = unicodedata.normalize("NFD", letter)[:1]
            for form in (letter, letter.upper(), letter.lower(), bare, bare.upper(), bare.lower()):
                if form in self._ids:
                    out.append(self._ids[form])
                    break
        return tuple(out)

    def write(self, ids: Sequence[int]) -> str:
        """The word that outputs write, in lower case.

        >>> Tokens.of("-|ABCDE'").write([3, 2, 4])
        'bac'
        """
        return "".join(self.labels[i] for i in ids if i not in (self.blank, self.separator)).lower()

    def targets(self, words: Sequence[str]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """A text for alignment: outputs with separators between words, and which word each belongs to (-1: a separator)."""
        ids: list[int] = []
        owner: list[int] = []
        for index, word in enumerate(words):
            spelled = self.spell(word)
            if not spelled:
                continue
            if ids and self.separator is not None:
                ids.append(self.separator)
                owner.append(-1)
            ids += spelled
            owner += [index] * len(spelled)
        return np.array(ids, np.int32), np.array(owner, np.int32)


def romanised(word: str) -> str:
    """A word in lower-case Latin letters and apostrophes (uroman, Hermjakob et al. 2018, aclanthology.org/P18-4003).

    >>> romanised("Café")
    'cafe'
    """
    bare = "".join(c for c in unicodedata.normalize("NFD", word) if not unicodedata.combining(c))
    if bare.isascii():  # without the six seconds that uroman's tables take to load
        return bare.lower()
    return str(_uroman().romanize_string(word)).lower()


@functools.lru_cache(maxsize=1)
def _uroman():  # type: ignore[no-untyped-def]
    from uroman import Uroman

    return Uroman()
