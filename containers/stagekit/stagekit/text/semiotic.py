"""The semiotic classes that normalisation cuts a text into, as one regular expression a language.

After Sproat et al., "Normalization of non-standard words" (2001): dates, times, money, measures, ordinals, … and plain words.
How each is said is in ``stagekit.text.normalize``.
"""

from __future__ import annotations

from functools import cache

import regex

from stagekit.text.abbreviations import SCALES
from stagekit.text.spoken import UNITS, Rules

_CJK = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"
APOSTROPHE = r"['’ʼ＇]"
_LETTERS = rf"(?:(?!{_CJK})\p{{L}}\p{{M}}*)+"
_ORDINALS = {
    "en": r"(?<![\d.,])(?P<or>\d[\d,]*)(?i:st|nd|rd|th)\b",
    "fr": r"\b(?P<or>\d+)(?:ers?|res?|e|es|è[mr]es?|nde?)\b",
    "es": r"\b(?P<or>\d+)[ºª]",
    "it": r"\b(?P<or>\d+)[ºª°]",
    "pt": r"\b(?P<or>\d+)[ºª]",
    "nl": r"\b(?P<or>\d+)(?:e|de|ste)\b",
}
_INITIALS = {"en": r"|\bPh\.D\b\.?", "de": r"|\b(?:[zZ]\.[ ]B|[dD]\.[ ]h|[uU]\.[ ]a)\.(?!\p{L})"}
"""Initials that are not single letters with a dot each, without a blank."""
_MINUS = (
    r"(?<!\b(?i:minus|negative|moins|menos|meno)[ ])(?:(?<![\w)])−|(?<![\w)][ ]?)(?<!-)-|(?<=\w\)?[ ])(?<!\d\w{0,12}\)?[ ])-%s)"
    r"(?=\d)(?!\d[\d,]*(?:(?i:st|nd|rd|th|s|ers?|e)\b|['’]s|[/⁄:^]\d))"
)
_OF_DEGREES = r"degrees?|percent|per[ ]cent|points?|Grad|Prozent|degrés?|pour[ ]cent|grados?|por[ ]ciento"
_MINUS_FIGURE = _MINUS % rf"(?=\d+[.,]\d+(?![.,]?\d)|\d+[ -](?i:{_OF_DEGREES})\b)"
_MINUS_UNIT = _MINUS % ""
"""U+2212 where no word or bracket touches it, a hyphen where no word stands before it; after a word it may be a stray one ('type
-2', 'the -1990s') and counts before a unit, a decimal or degrees alone, unless a number stands before ('3 -5%')."""
_JOINED = (
    r"(?<![\p{L}\d&'’.-])(?:[A-Z](?:&[A-Z])+|[A-Z]{2,3}&[B-HJ-TV-Z]|[B-HJ-TV-Z]&[A-Z]{2,3})"
    rf"(?:{APOSTROPHE}?s\b|(?![\p{{L}}\d&]))"
)
"""R&D, AT&T, but not what may be words in capitals: DOG&CAT, YOU&I."""
_HEIGHT = r"""(?<![\w.,'’′°/:-]|°[ ])(?P<he_f>[1-9])['’′][ ]?(?P<he_i>1[01]|\d)(?:["”″]|''|’’)(?![\p{L}\d])"""
_POWER = r"(?<![\w.,^-])(?P<po_b>\d{1,3})\^(?P<po_e>\d{1,2})(?![\w^]|[.,]\d)"


@cache
def scanner(rules: Rules) -> regex.Pattern[str]:
    """The classes in order of precedence; each is a named group, and the last one to match names the class."""
    blank = " " if rules.group in ("\u00a0", "\u202f") else ""
    group = blank + "".join({rules.group, "\u00a0", "\u202f", "'", "’"} - {".", ","}) + ("." if rules.decimal == "," else ",")
    grouped = rf"\d{{1,3}}(?:[{regex.escape(group)}]\d{{3}})+(?!\d)(?:[{regex.escape(rules.decimal)}]\d+)?"
    n = rf"(?:{grouped}|\d+[.,]\d+(?![.,]?\d)|\d+)"
    months = "|".join(sorted(map(regex.escape, rules.months), key=len, reverse=True)) or r"(?!)"
    units = "|".join(sorted(map(regex.escape, UNITS), key=len, reverse=True))
    english = rules.language == "en"
    scales = "|".join(sorted(SCALES.get(rules.language, frozenset({"(?!)"})), key=len, reverse=True))
    if english:
        scales += r"|(?<=\d)[bt](?![-’'])"  # $1.2B, but $20 T-shirts
    money_sign = r"(?:US\$|[$£€¥])"
    classes = {
        "url": r"https?://[^\s<>\"]*[\p{L}\d/]|www\.[^\s<>\"]*[\p{L}\d/]|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
        r"|(?<![\w.])[\w-]{2,}\.(?:com|org|net|gov|edu|info)\b",
        "footnote": r"\[\d{1,3}\]",
        "date_en": rf"(?P<de_m>(?i:{months}))\b\.?[ \u00a0]+(?P<de_d>\d{{1,2}})(?i:st|nd|rd|th)?(?![\d:%]|[.,/]\d)"
        r"(?:,?[ \u00a0]+(?P<de_y>\d{4})(?!\d))?" if english else r"(?!)",
        "date_dm": rf"\b(?P<dm_d>\d{{1,2}})(?i:st|nd|rd|th|\.|er|º)?[ \u00a0]+(?i:of[ ]|de[ ])?(?P<dm_m>(?i:{months}))\b\.?"
        r"(?:,?[ \u00a0]+(?i:del?[ ])?(?P<dm_y>\d{4})(?!\d))?",
        "date_iso": r"\b(?P<iso_y>[12]\d{3})-(?P<iso_m>0?[1-9]|1[0-2])-(?P<iso_d>0?[1-9]|[12]\d|3[01])\b(?!-)",
        "date_num": r"\b(?P<dn_a>\d{1,2})(?P<dn_s>[/.])(?P<dn_b>\d{1,2})(?P=dn_s)(?P<dn_y>[12]\d{3}|\d{2})\b(?![/.]?\d)",
        "money": rf"(?P<mo_c>{money_sign})[ \u00a0]?(?P<mo_n>{n})(?:[ \u00a0-]?(?P<mo_s>(?i:{scales}))\b)?"
        rf"|(?P<mo_n2>{n})(?:[ \u00a0](?P<mo_s2>(?i:{scales})))?[ \u00a0]?(?P<mo_c2>[£€]|\$(?!\d))|(?P<mo_cent>\d{{1,2}})¢",
        "phone": r"(?<![\d.,-])(?:(?<!\p{L})1[-.](?=\d{3}[-.]\d{3}[-.]))?(?:\(\d{3}\)[ ]?|\d{3}[-. ]|(?!\d\d0-\d\d00))"
        r"\d{3}[-.]\d{4}(?![\d-])",
        "height": _HEIGHT if english else r"(?!)",
        "power": _POWER if english else r"(?!)",
        "clock": r"\b(?P<cl_h>[01]?\d|2[0-4]):(?P<cl_m>[0-5]\d)(?::(?P<cl_s>[0-5]\d))?(?![\d:])"
        r"(?:[ \u00a0]+(?P<cl_w>(?i:uhr|heures|uur))\b)?(?:[ \u00a0]?(?P<cl_x>(?i:[ap])\.?[ ]?(?i:m)\b\.?))?"
        r"|\b(?P<cl_h2>1[0-2]|[1-9])[ \u00a0]?(?P<cl_x2>(?i:[ap])\.?(?i:m)\b\.?)",
        "plural": rf"(?<![\d.,])(?P<dc>{APOSTROPHE}?\d{{1,4}}){APOSTROPHE}?s\b" if english else r"(?!)",
        "ordinal": _ORDINALS.get(rules.language, r"(?!)"),
        "fraction": r"(?:(?<![\d/.,])(?P<fr_a>\d{1,3})[/⁄](?P<fr_b>\d{1,3})(?![\d/]|[.,]\d))|(?P<fr_c>[½⅓⅔¼¾⅛⅜⅝⅞])",
        "range": rf"(?<![\p{{L}}\d.,-])(?P<ra_a>{n})[ ]?[–-][ ]?(?P<ra_b>{n})(?![\p{{L}}\d-]|[–][ ]?\d)",
        "unit": rf"(?P<un_m>{_MINUS_UNIT})?(?P<un_n>{n})(?P<un_g>[ \u00a0-]?(?P<un_u>{units})(?![\p{{L}}\d]))",
        "figure": rf"(?P<fi_m>{_MINUS_FIGURE})?(?P<fi_h>[#№][ ]?)?(?P<fi_n>{n})",
        "point": r"(?<![\d\p{L}])[.](?P<po>\d+)",
        "joined": _JOINED if english else r"(?!)",
        "initials": rf"(?<![\p{{L}}.])(?:\p{{L}}\.){{2,}}(?:\p{{L}}(?![\p{{L}}]))?(?:{APOSTROPHE}?s\b)?"
        r"|(?<![\p{L}.])\p{L}\.\p{L}(?![\p{L}.])" + _INITIALS.get(rules.language, ""),
        "with": r"\bw/o\b|\bw/(?=[ \p{L}])" if english else r"(?!)",
        "syllable": rf"{_CJK}\p{{M}}*",
        "word": rf"(?:(?<!\w){APOSTROPHE}(?=(?i:tis|twas|em|cause|til|bout|n)\b))?{_LETTERS}(?:{APOSTROPHE}{_LETTERS})*",
        "numeral": "[\u2160-\u217f]",
        "symbol": "[" + regex.escape("".join(rules.symbols) or "&") + "]",
    }  # fmt: skip
    return regex.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in classes.items()))
