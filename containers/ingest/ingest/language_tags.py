"""Language names as archives write them ('eng', 'English', 'en_US', 'pt-br') to BCP 47, with the tables of CLDR (babel)."""

from __future__ import annotations

import re
from functools import cache

from babel import Locale
from babel.core import get_global

_EXTRA_NAMES = {"castilian": "es", "mandarin": "zh", "deutsch": "de", "español": "es", "français": "fr", "farsi": "fa"}


@cache
def _names() -> dict[str, str]:
    english = {name.lower(): code.replace("_", "-") for code, name in Locale("en").languages.items()}
    return {**english, **_EXTRA_NAMES}


@cache
def bcp47(text: str) -> str | None:
    """The BCP 47 tag of a language's code or English name; None if it is neither, or names none ('und', 'mul').

    >>> bcp47("eng"), bcp47("Spanish; Castilian"), bcp47("pt_br"), bcp47("Klingonese")
    ('en', 'es', 'pt-BR', None)
    """
    text = text.strip()
    if found := _names().get(text.lower()):
        return found
    tag = re.fullmatch(r"([A-Za-z]{2,3})(?:[-_]([A-Za-z]{4}))?(?:[-_]([A-Za-z]{2}|\d{3}))?", text)
    if tag:
        code = str(get_global("language_aliases").get(tag[1].lower(), tag[1].lower()))
        known = code in Locale("en").languages and code not in ("und", "mul", "zxx", "mis")
        region = tag[3].upper() if tag[3] else None
        if not known or (region and region not in Locale("en").territories):
            return None
        return "-".join(part for part in (code, tag[2].title() if tag[2] else None, region) if part)
    first = re.split(r"[;,/(]", text)[0].strip()
    return bcp47(first) if first != text else None
