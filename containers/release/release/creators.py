"""Creator names as keys: one person's spellings fall together, names that stand for no one person fall away."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection

COLLECTIVE = frozenset(
    {
        "librivox",
        "librivox volunteers",
        "librivoxorg",
        "various",
        "various artists",
        "various authors",
        "various readers",
        "various speakers",
        "various contributors",
        "multiple",
        "multiple authors",
        "multiple artists",
        "et al",
        "and others",
        "others",
        "unknown",
        "unknown artist",
        "unknown author",
        "unknown creator",
        "unspecified",
        "not specified",
        "anonymous",
        "anon",
        "author unknown",
        "none",
        "null",
        "na",
        "n a",
        "user",
        "admin",
        "uploader",
        "internet archive",
        "archiveorg",
        "community audio",
        "public domain",
        "collective",
        "volunteers",
        "staff",
        "cast",
        "full cast",
        "dramatic reading",
        "ensemble",
    }
)
"""Normalised names that make no edge between recordings: readers under them have nothing in common. The list is part of the
documented behaviour (containers/release/README.md); a policy can add to it. Groups that are assigned already keep their split."""


COLLECTIVE_PREFIXES = ("various ", "librivox ", "unknown ", "anonymous ")
"""So do names that begin like this (``Various readers, see notes``)."""


def normalise(name: str) -> str:
    """A name for comparison: NFKC, case folded, marks and punctuation removed, blanks single.

    >>> normalise("  Dr. José  O’Neil ")
    'dr jose oneil'
    """
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold())
    text = "".join(c for c in text if not unicodedata.combining(c))
    text = re.sub(r"['’.`]", "", text)
    return " ".join(re.sub(r"[^\w]+|_", " ", text).split())


def creator_names(stated: str | None, collective: Collection[str] = ()) -> list[str]:
    """The persons or bodies that a creator field names, normalised; [] if it names none that could be told apart.

    ``Last, First`` and ``First Last`` fall together; dates of birth and death (``Twain, Mark, 1835-1910``) fall away.

    Args:
        stated: the field; several names joined with ';'.
        collective: further names that stand for nobody.

    >>> creator_names("Twain, Mark, 1835-1910; LibriVox")
    ['mark twain']
    """
    excluded = COLLECTIVE | {normalise(c) for c in collective}
    found = set()
    for name in (stated or "").split(";"):
        name = re.sub(r",?\s*\(?\b(1[0-9]|20)\d\d\s*[-–]?\s*((1[0-9]|20)\d\d)?\)?", "", name).strip(" ,")
        last, comma, first = name.partition(",")
        if comma and "," not in first:
            name = f"{first} {last}"
        key = normalise(name)
        if key and key not in excluded and not key.startswith(COLLECTIVE_PREFIXES) and not key.isdigit():
            found.add(key)
    return sorted(found)
