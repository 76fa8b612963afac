"""Words to units of sound, by spelling alone, in any script.

A unit is what a reader of the script would call a letter that sounds. The rules are those of Unicode properties, not of
languages (The Unicode Standard 16, chapters 9 to 18; UAX 29 for what belongs to one letter):

- Text is taken apart (NFD), so that it does not matter how it was typed; Hangul syllables so become their letters (jamo).
- A mark over or under a Latin, Greek or Cyrillic letter makes another letter of it: ``é`` is not ``e``. Tone marks of Vietnamese
  and of others come along. Letters that are too rare in the corpus lose their marks first (:func:`inventory`).
- Vowel signs of Brahmi scripts, of Thai, Lao, Khmer, Arabic and Hebrew are units of their own. Viramas, tone marks of Thai and
  Lao, sukun and the like have no sound of their own and are left out; nukta, dagesh and shadda stay with their letter.
- Thai and Lao vowels that are written before their consonant are spoken after it, and so they are moved.
- Hanzi and all other letters stand for themselves.

Apostrophes, hyphens and punctuation have no sound. A word in which nothing sounds (digits, emoji) is one :data:`OTHER`.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

SIL = "<sil>"
OTHER = "<other>"
"""A sound whose letter the model does not know."""

_BEFORE = set(range(0x0E40, 0x0E45)) | set(range(0x0EC0, 0x0EC5)) | {0xAAB5, 0xAAB6, 0xAAB9, 0xAABB, 0xAABC}
"""Logical_Order_Exception: vowels written before the consonant that they follow in speech."""
_STAYS = {7, 21, 33}
"""Combining classes of nukta, dagesh and shadda."""
_SILENT = {9, 34, 103, 107, 118, 122}
"""Combining classes of viramas, sukun, and the tone marks and signs of Thai and Lao that are no vowels (see _VOWEL)."""
_VOWEL = set(range(0x0E31, 0x0E3B)) | {0x0E4D} | set(range(0x0EB1, 0x0EBD)) | {0x0ECD}
_SCRIPTS_WITH_SIGNS = (
    (0x0590, 0x08FF),  # Hebrew, Arabic, Syriac, Thaana, NKo, Samaritan, Mandaic, Arabic supplements
    (0x0900, 0x109F),  # Devanagari to Myanmar, Thai, Lao, Tibetan
    (0x1700, 0x18AF),  # Philippine scripts, Khmer, Mongolian
    (0x1900, 0x1C7F),  # Limbu to Ol Chiki
    (0xA800, 0xAAFF),
    (0xABC0, 0xABFF),
    (0x11000, 0x11FFF),
)


def _sign_script(letter: str) -> bool:
    code = ord(letter)
    return any(a <= code <= b for a, b in _SCRIPTS_WITH_SIGNS)


def spell(word: str) -> list[str]:
    r"""The units of a word before rare ones are merged; [] if nothing in it sounds.

    >>> spell("Don't"), spell("e\u0301t\u00e9"), spell("\u0e40\u0e01\u0e21")
    (['d', 'o', 'n', 't'], ['é', 't', 'é'], ['ก', 'เ', 'ม'])
    """
    units: list[str] = []
    held = ""
    for char in unicodedata.normalize("NFD", word.lower()):
        kind, combining = unicodedata.category(char), unicodedata.combining(char)
        if kind[0] == "M" or ord(char) in _VOWEL:
            if not units:
                continue
            if not _sign_script(char):
                units[-1] += char
            elif combining in _STAYS:  # in canonical order it may come after the vowel that it precedes
                letter = max((i for i, u in enumerate(units) if unicodedata.category(u[0])[0] == "L"), default=len(units) - 1)
                units[letter] += char
            elif ord(char) in _VOWEL or combining not in _SILENT:
                units.append(char)
        elif kind[0] == "L":
            if ord(char) in _BEFORE:
                held += char
                continue
            units.append(char)
            if held:
                units.extend(held)
                held = ""
    units.extend(held)
    return [unicodedata.normalize("NFC", u) for u in units]


def inventory(counts: Mapping[str, int], least: int) -> dict[str, str]:
    """What each spelled unit is modelled as: itself if it is seen ``least`` times, else without its marks, else OTHER.

    >>> inventory({"e": 50, "é": 2, "ж": 1}, 5)
    {'e': 'e', 'é': 'e', 'ж': '<other>'}
    """
    merged: Counter[str] = Counter(counts)
    bare = {u: unicodedata.normalize("NFD", u)[0] for u in counts}
    for unit, n in counts.items():
        if n < least and bare[unit] != unit:
            merged[bare[unit]] += n
    out = {}
    for unit, n in sorted(counts.items()):
        out[unit] = unit if n >= least else bare[unit] if merged[bare[unit]] >= least else OTHER
    for unit in sorted(set(bare.values())):
        if unit not in out and merged[unit] >= least:
            out[unit] = unit
    return out


class Speller:
    """Words to unit numbers, by a lexicon where the word is in it, else by spelling."""

    def __init__(self, units: Sequence[str], mapping: Mapping[str, str], lexicon: Mapping[str, Sequence[Sequence[str]]]):
        """``units``: names by number, [SIL, OTHER, …]; ``mapping``: of :func:`inventory`; ``lexicon``: pronunciations."""
        self.units, self.mapping, self.lexicon = list(units), dict(mapping), lexicon
        self._number = {u: i for i, u in enumerate(self.units)}

    def __call__(self, word: str) -> list[list[int]]:
        """The pronunciations of a word, at least one."""
        if word in self.lexicon:
            return [[self._number.get(p, 1) for p in phones] for phones in self.lexicon[word]]
        return [[self._of(u) for u in spell(word)] or [1]]

    def _of(self, unit: str) -> int:
        known = self.mapping.get(unit) or self.mapping.get(unicodedata.normalize("NFD", unit)[0], OTHER)
        return self._number.get(known, 1)


def count(words: Iterable[str]) -> Counter[str]:
    """How often each spelled unit occurs."""
    seen: Counter[str] = Counter()
    for word in words:
        seen.update(spell(word))
    return seen
