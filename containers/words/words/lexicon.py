"""A pronunciation lexicon: a line ``word phone phone …`` as in MFA's dictionaries, several lines a word if it has several."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from stagekit.errors import StageError
from words.units import OTHER, SIL

RESERVED = {SIL, OTHER, "sil", "spn", "sp"}


def key(word: str) -> str:
    """What words are compared by: NFC, lower case."""
    return unicodedata.normalize("NFC", word).lower()


def read_lexicon(path: Path) -> dict[str, list[list[str]]]:
    """Word → pronunciations.

    Numbers after the word, which MFA's dictionaries may have (probabilities), are left out.

    Raises:
        StageError: not UTF-8, empty, a word without phones, or a phone that is a pause.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise StageError(f"lexicon {path}: not UTF-8 (byte {error.start})") from None
    found: dict[str, list[list[str]]] = {}
    for number, line in enumerate(lines, 1):
        fields = line.split()
        if not fields:
            continue
        word, rest = fields[0], fields[1:]
        while rest and re.fullmatch(r"[\d.]+", rest[0]):
            rest = rest[1:]
        if not rest:
            raise StageError(f"lexicon {path}, line {number}: '{word}' has no phones; expected `word phone phone …`")
        if wrong := RESERVED.intersection(rest):
            raise StageError(f"lexicon {path}, line {number}: '{sorted(wrong)[0]}' cannot be a phone of a word")
        spoken = found.setdefault(key(word), [])
        if rest not in spoken:
            spoken.append(rest)
    if not found:
        raise StageError(f"lexicon {path}: no words in it")
    return found
