"""How words are written, where two stages must agree: a sentence read by ingest, and a keyword that a person types."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterator

import regex

APOSTROPHES = "'’ʼ‘‛ʹ′`´＇ʻʾʿ\u0091\u0092\u05f3"
"""All become U+0027 between letters, Hebrew's geresh (ג׳ירפה) too."""
GERSHAYIM = r"(?<=\p{Hebrew})[\"”\u05f4](?=\p{Hebrew})"
"""In a Hebrew acronym, which is one word (צה״ל); typed as a quotation mark as often as not. A quotation that begins inside a word
(ב"הארץ") looks the same, and is joined."""
JOINERS = "\u200c\u200d\u00ad\u2060\ufeff\u200e\u200f\u061c"
"""No letters: left out of words without dividing them. ZWNJ and ZWJ only say how letters join."""
IRISH_PREFIX = r"[nt]-(?=[aeiouáéíóú])"
"""What a hyphen parts from its word: t-uisce, n-athair, which are tUisce and nAthair where the word has a capital."""

_PLAIN = str.maketrans(dict.fromkeys(APOSTROPHES, "'") | dict.fromkeys(JOINERS, ""))
_MARK = regex.compile(f"[{APOSTROPHES}]")
_ACRONYM = regex.compile(GERSHAYIM)
_COMPAT = regex.compile(r"[\uff01-\uff5e\ufb00-\ufb06\ufb13-\ufb17\ufb1d-\ufb4f\ufb50-\ufdff\ufe70-\ufefc]+")


def plain(raw: str) -> str:
    """With one apostrophe, one gershayim, without joiners; full-width letters, ligatures and presentation forms as letters."""
    text = _COMPAT.sub(lambda m: unicodedata.normalize("NFKC", m[0]), raw.translate(_PLAIN))
    return _ACRONYM.sub("\u05f4", text)


def lower(text: str, casing: str) -> str:
    """In lower case; ``casing``: plain, turkish (I is ı) or irish (tUisce and t-uisce are one word)."""
    if casing == "turkish":
        text = text.replace("I", "ı")
    text = text.replace("İ", "i").lower()
    return regex.sub(rf"(?<![\p{{L}}\p{{N}}]){IRISH_PREFIX}", lambda m: m[0][0], text) if casing == "irish" else text


def elided(raw: str, whole: Collection[str], enclitics: Collection[str]) -> Iterator[tuple[int, int]]:
    """Where the words of a piece lie in it, where an apostrophe ends a word: l'oncle is l' and oncle.

    ``whole``: words that are not divided (aujourd'hui). ``enclitics``: words that own the mark before them (porta'l).
    """
    if plain(raw).lower() in whole:
        yield 0, len(raw)
        return
    at = 0
    for mark in _MARK.finditer(raw):
        # l' oncle, but porta 'l: elided words have one letter before the mark, those with an enclitic more
        cut = mark.start() if mark.start() - at > 1 and plain(raw[mark.end() :]).lower() in enclitics else mark.end()
        yield at, cut
        at = cut
    if at < len(raw):
        yield at, len(raw)
