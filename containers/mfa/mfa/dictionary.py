"""Words and phones as MFA sees them: codes, so that its text processing has nothing to change.

MFA lower-cases, normalises to NFC or NFKC, cuts quotes off, splits at hyphens and clitics, and renames what stands in brackets
before it looks a word up; a label then has to be brought back to the token it came from. Here a corpus's distinct tokens are
numbered, and the corpus and the dictionary say ``w000017``: a label *is* its token, whatever that was written with.

Phones are graphemes unless a lexicon is given. A grapheme is a letter, or a mark that is a sound of its own:

- NFC, lower case, compatibility forms folded (NFKC), so that one letter is one phone however it was typed;
- Hangul syllables are taken apart into jamo (some 67 phones instead of thousands);
- vowel signs and other marks of Indic, Thai, Hebrew and Arabic scripts are phones; tone marks, viramas, nuktas, shadda and sukun,
  and combining diacritics that NFC could not join are not, for they are no stretch of sound of their own;
- apostrophes, hyphens, joiners and other punctuation inside a word are left out.

A word with anything else in it (digits, symbols) has no pronunciation: MFA then takes it as noise (``spn``).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path

from stagekit.errors import StageError

HANGUL = ("\uac00", "\ud7a3")
SOUNDLESS = frozenset({7, 9, 33, 34, *range(103, 108)})
"""Canonical combining classes: nukta, virama, shadda, sukun, Thai tone marks (107; vowel signs below are 103)."""
THAI_VOWELS_BELOW = frozenset("\u0e38\u0e39")
RESERVED = frozenset({"spn", "sil", "sp", "<eps>", "#0"})

Lexicon = Mapping[str, list[tuple[str, ...]]]
"""Word (NFC, lower case) → its pronunciations."""


def key(word: str) -> str:
    """The form under which a lexicon holds a word: NFC, lower case, straight apostrophes.

    >>> key("Don’t")
    "don't"
    """
    return unicodedata.normalize("NFC", word).lower().replace("’", "'").replace("ʼ", "'")


def graphemes(word: str) -> tuple[str, ...]:
    """A word's phones, one character each; empty if it holds anything that is not a letter, a mark or word-inner punctuation.

    >>> graphemes("O’Neill"), graphemes("naïve"), graphemes("1455")
    (('o', 'n', 'e', 'i', 'l', 'l'), ('n', 'a', 'ï', 'v', 'e'), ())
    >>> graphemes("한국")
    ('ᄒ', 'ᅡ', 'ᆫ', 'ᄀ', 'ᅮ', 'ᆨ')
    """
    out: list[str] = []
    for character in unicodedata.normalize("NFKC", word).lower():
        kind = unicodedata.category(character)
        if HANGUL[0] <= character <= HANGUL[1]:
            out += unicodedata.normalize("NFD", character)
        elif kind.startswith("L"):
            out.append(character)
        elif kind in ("Mn", "Mc"):
            soundless = unicodedata.combining(character) in SOUNDLESS and character not in THAI_VOWELS_BELOW
            if not soundless and not "\u0300" <= character <= "\u036f":
                out.append(character)
        elif not (kind.startswith("P") or kind in ("Cf", "Sk")):
            return ()
    return tuple(out)


def phone_code(grapheme: str) -> str:
    """The name of a grapheme among MFA's phones: itself if it is a letter of ASCII, else its code point.

    >>> phone_code("a"), phone_code("ß")
    ('a', 'u00df')
    """
    return grapheme if grapheme.isascii() else f"u{ord(grapheme):04x}"


def phone_name(code: str) -> str:
    """The grapheme of a code; other names (``spn``, phones of a lexicon) are returned as they are.

    >>> phone_name("u00df"), phone_name("spn")
    ('ß', 'spn')
    """
    return chr(int(code[1:], 16)) if re.fullmatch(r"u[0-9a-f]{4,6}", code) else code


def read_lexicon(path: Path) -> dict[str, list[tuple[str, ...]]]:
    """A pronunciation lexicon: a line ``word phone phone …`` (tab or blanks), several lines a word if it has several.

    Raises:
        StageError: not UTF-8, a word without phones, or a phone that MFA would take for something else (``spn``, ``sil``, or a
            number, which it reads as the probability of the pronunciation).
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise StageError(f"lexicon {path}: not UTF-8 (byte {error.start})") from None
    lexicon: dict[str, list[tuple[str, ...]]] = {}
    for number, line in enumerate(lines, 1):
        fields = line.split()
        if not fields:
            continue
        word, phones = fields[0], tuple(fields[1:])
        if not phones:
            raise StageError(f"lexicon {path}, line {number}: '{word}' has no phones; expected `word phone phone …`")
        for phone in phones:
            if phone.lower() in RESERVED or re.fullmatch(r"[\d.]+", phone):
                raise StageError(f"lexicon {path}, line {number}: '{phone}' cannot be a phone; probabilities are not read")
        spoken = lexicon.setdefault(key(word), [])
        if phones not in spoken:
            spoken.append(phones)
    if not lexicon:
        raise StageError(f"lexicon {path}: no words in it")
    return lexicon


class Dictionary:
    """The distinct tokens of a corpus, their codes and their pronunciations.

    Codes depend on the set of tokens only, not on their order.
    """

    def __init__(self, tokens: Iterable[str], lexicon: Lexicon | None = None, known: frozenset[str] | None = None):
        """From tokens.

        Args:
            tokens: tokens as they stand in `sentences`, in any order and number.
            lexicon: their pronunciations; None for graphemes.
            known: the phones of the model to be used; pronunciations with others are left out. None: all are.
        """
        self.codes = {token: f"w{i:06d}" for i, token in enumerate(sorted(set(tokens)))}
        self.pronunciations = {token: _pronounce(token, lexicon, known) for token in self.codes}

    def speakable(self, token: str) -> bool:
        """Whether it has a pronunciation."""
        return bool(self.pronunciations[token])

    def shortest(self, token: str) -> int:
        """Fewest phones with which it is said; 1 (noise) if it has no pronunciation."""
        return min((len(p) for p in self.pronunciations[token]), default=1)

    def phones_of(self, tokens: Iterable[str]) -> frozenset[str]:
        """All phones that the pronunciations of some tokens use."""
        return frozenset(p for t in set(tokens) for phones in self.pronunciations[t] for p in phones)

    def write(self, path: Path, tokens: Iterable[str]) -> None:
        """Some tokens as MFA reads them: code, tab, phones; one without a pronunciation is left out: noise to MFA."""
        lines = [f"{self.codes[t]}\t{' '.join(p)}\n" for t in sorted(set(tokens)) for p in self.pronunciations[t]]
        path.write_text("".join(lines), encoding="utf-8")


def _pronounce(token: str, lexicon: Lexicon | None, known: frozenset[str] | None) -> list[tuple[str, ...]]:
    if lexicon is not None:
        spoken = list(lexicon.get(key(token), []))
    else:
        phones = tuple(phone_code(g) for g in graphemes(token))
        spoken = [phones] if phones else []
    return [p for p in spoken if known is None or known.issuperset(p)]
