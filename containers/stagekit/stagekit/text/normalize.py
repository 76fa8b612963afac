"""Text to the words that are spoken: lower case, each with the piece of text it stands for.

A regular expression of semiotic classes (after Sproat et al., "Normalization of non-standard words", 2001) cuts the text;
each class has a function that says it (those of figures in :mod:`stagekit.text.figures`), with numbers through num2words and
names of months, units and currencies from CLDR.
NeMo-text-processing was tried and left: see the README.

Every letter of the text lies in the piece of some token (but for an apostrophe by itself, which Unicode may call a letter),
pieces never overlap and never go back, and no input raises.
"""

from __future__ import annotations

import unicodedata
from typing import NamedTuple

import regex

from stagekit.text.abbreviations import AT_DATE, BARE, BEFORE_NAME, BEFORE_NUMBER, NUMBERED, REGNAL
from stagekit.text.figures import SAY as SAY_FIGURES
from stagekit.text.figures import Said, Say, Text, month_name
from stagekit.text.semiotic import APOSTROPHE, scanner
from stagekit.text.spoken import amount, fold, number, rules_for, split


class Token(NamedTuple):
    """A spoken word, lower case, and the piece ``text[char_start:char_end]`` it stands for.

    Words of one number share a piece, and so do letters of one initialism: no segment may part what is written as one.
    """

    word: str
    char_start: int
    char_end: int


_AFTER_STREET = (
    r"[ \u00a0]+(?:[NS]\.?[EW]\b|(?:North|South|East|West)\b"
    r"|(?:A|After|Although|And|As|At|Because|Before|But|By|Did|Do|Does|For|From|He|Her|Here|His|How|I|If|In|Is|It|Its|Let|My|No|Nobody"
    r"|Not|Now|Of|On|Or|Our|She|Since|So|Some|That|The|Their|Then|There|These|They|This|Those|To|Was|We|Were|What|When|Where|Which"
    r"|While|Who|Why|With|Yes|You|Your)(?![\p{L}.-]))"
)
"""What follows a street and no 'Saint': a quarter, or the first word of a sentence."""
_ROMAN = r"(?:X{0,3}(?:IX|IV|V?I{0,3})|(?:XL|L)X{0,3}(?:IX|IV|V?I{0,3}))"


def normalize(text: str, language: str = "en") -> list[Token]:
    """The tokens of a text.

    Args:
        text: Unicode, as written.
        language: BCP 47. English has the most rules; for other languages that num2words knows, numbers are said too; for the
            rest they stay digits. Scripts without blanks between words give one token a character.
    """
    rules = rules_for(language)
    if not text.isascii():  # `regex` knows a newer Unicode than Python: a digit that has no value here is no digit
        text = regex.sub(r"\d", lambda m: m[0] if m[0].isdecimal() else "\ufffd", text)
    letters = regex.findall(r"\p{L}", text[:20_000])
    whole = Text(text, rules, sum(c.isupper() for c in letters) > 0.6 * len(letters))
    tokens: list[Token] = []
    for match in scanner(rules).finditer(text):
        say = _SAY[match.lastgroup or "word"]
        for words, start, end in say(match, whole):
            tokens.extend(Token(word, start, end) for word in words if word.strip("'"))
    return tokens


# one function a class: yields (words, start, end) of pieces in order


def _say_word(m: regex.Match[str], t: Text) -> Said:
    start, end = m.span()
    raw = m[0]
    rules = t.rules
    lowered = raw.lower()
    dotted = t.text[end : end + 1] == "."
    if (expanded := _abbreviation(raw, lowered, start, end, dotted, t)) is not None:
        yield split(expanded, rules), start, end + dotted
        return
    if (numeral := _roman(raw, start, end, t)) is not None:
        yield numeral, start, end
        return
    if rules.language == "en" and (owner := regex.fullmatch(rf"([IVXL]{{2,}}){APOSTROPHE}s", raw)):
        numeral = _roman(owner[1], start, end, t, named=True)
        if numeral is not None:
            yield (*numeral[:-1], numeral[-1] + "'s"), start, end  # Elizabeth II's
            return
    if (
        2 <= len(raw) <= 5
        and raw.isascii()
        and raw.isupper()
        and not t.capitals
        and rules.language == "en"
        and not set(raw) & set("AEIOUY")
    ):
        yield list(lowered), start, end  # TV, NBC: nothing to pronounce but the letters
        return
    yield [fold(raw, rules)], start, end


def _abbreviation(raw: str, lowered: str, start: int, end: int, dotted: bool, t: Text) -> str | None:
    language = t.rules.language
    expansion = t.rules.abbreviations.get(lowered)
    if expansion is None:
        word = lowered in ("mar", "may", "dec", "jun", "sep", "mai", "set", "out") and not t.after(end + 1, r"[ \u00a0]+\d")
        if dotted and len(lowered) <= 4 and raw[0].isupper() and lowered in t.rules.months and not word:
            return month_name(t.rules.months[lowered], t.rules)
        return None
    if not dotted and not (lowered in BARE.get(language, ()) and raw[0].isupper() and t.after(end, r"[ \u00a0]+\p{Lu}")):
        return None
    if lowered in BEFORE_NUMBER.get(language, ()) and not t.after(end + 1, r"[ \u00a0]*\d"):
        return None
    if lowered in BEFORE_NAME.get(language, ()) and not (raw[0].isupper() and t.after(end + 1, r"[ \u00a0]+\p{Lu}")):
        return None
    if lowered in AT_DATE.get(language, ()) and not (raw[0].isupper() and t.after(end + 1, r",|[ \u00a0]+\d")):
        return None
    if language == "en" and lowered in ("dr", "st"):
        # 'Dr. Smith', 'St. Mary' before a name; 'Elm St.', '3rd St.' after one, or after a number.
        named = regex.search(r"(?:\p{Lu}[\p{L}'’]*|\d(?:st|nd|rd|th)?)[ \u00a0]$", t.text[max(0, start - 40) : start])
        follows = t.after(end + dotted, r"[ \u00a0]+\p{Lu}")
        if named and (lowered == "st" or not follows) and not (
            follows and lowered == "st" and not _street(t.text[:start], t, end + dotted)
        ):
            return {"dr": "drive", "st": "street"}[lowered]
        if not follows and not dotted:
            return None
        if not follows and lowered == "st":
            return "street"
    return expansion


def _street(before: str, t: Text, end: int) -> bool:
    """Whether a name before 'St.' is a street's: a number is with it ('3rd', '12 Elm'), or what follows is no saint's name."""
    numbered = regex.search(r"\d(?:st|nd|rd|th)?[ \u00a0]$|\d+[ \u00a0](?:\p{Lu}\p{L}*[ \u00a0])+$", before[-60:])
    other = regex.search(r"\b(?:Mount|Mont|Fort|Port|Lake|Saint)[ \u00a0]$", before)
    return bool(numbered) or (t.after(end, _AFTER_STREET) and not other)


def _roman(raw: str, start: int, end: int, t: Text, *, named: bool = False) -> tuple[str, ...] | None:
    """The words of a Roman numeral; ``named``: only after words that one belongs to."""
    if t.rules.numbers is None or not set(raw) <= set("IVXL") or not regex.fullmatch(_ROMAN, raw):
        return None
    before = regex.search(r"(\p{L}+)\.?[ \u00a0]+$", t.text[max(0, start - 40) : start])
    previous = before[1].lower() if before else ""
    value = _roman_value(raw)
    if previous in NUMBERED:
        return number(value, "cardinal", t.rules)
    if len(raw) < 2 or t.capitals or t.after(end, r"['’]\p{L}"):
        return None
    if t.rules.language == "en" and t.after(end, r"[ \u00a0-](?i:century|centuries|dynasty|olympiad|corps)\b"):
        return number(value, "ordinal", t.rules)
    if previous in REGNAL and t.rules.language == "en":
        return ("the", *number(value, "ordinal", t.rules))
    if named:
        return None
    return (
        number(value, "cardinal", t.rules)
        if (before and before[1][0].isupper()) or set(raw) != set("I") or len(raw) > 2
        else None
    )


def _roman_value(raw: str) -> int:
    values = [{"I": 1, "V": 5, "X": 10, "L": 50}[c] for c in raw]
    return sum(-v if v < max(values[i + 1 :], default=0) else v for i, v in enumerate(values))


def _say_initials(m: regex.Match[str], t: Text) -> Said:
    start, end = m.span()
    stem = m[0].rstrip(".").lower().replace(" ", "")
    if stem in t.rules.abbreviations:
        yield split(t.rules.abbreviations[stem], t.rules), start, end
        return
    possessive = (
        regex.search(rf"{APOSTROPHE}?s$", m[0]) if regex.search(rf"\.{APOSTROPHE}?s$|\p{{L}}{APOSTROPHE}s$", m[0]) else None
    )
    body_end = start + possessive.start() if possessive and possessive.start() > 1 else end
    letters = [fold(c, t.rules) for c in regex.findall(r"\p{L}", t.text[start:body_end])]
    if body_end < end:
        letters[-1] += "'s"
    yield letters, start, end


def _say_joined(m: regex.Match[str], t: Text) -> Said:
    words = ["and" if c == "&" else c.lower() for c in m[0] if c == "&" or c.isupper()]
    if m[0].endswith("s"):
        words[-1] += "'s"
    yield words, *m.span()


def _say_syllable(m: regex.Match[str], t: Text) -> Said:
    yield [fold(m[0], t.rules)], *m.span()


def _say_numeral(m: regex.Match[str], t: Text) -> Said:
    yield number(int(unicodedata.numeric(m[0])), "cardinal", t.rules), *m.span()


def _say_symbol(m: regex.Match[str], t: Text) -> Said:
    said = t.rules.symbols.get(m[0], "")
    between_numbers = regex.search(r"\d[ ]?$", t.text[max(0, m.start() - 2) : m.start()]) or t.after(m.end(), r"[ ]?\d")
    if m[0] in "&%§" or between_numbers:
        yield split(said, t.rules), *m.span()


def _say_nothing(m: regex.Match[str], t: Text) -> Said:
    return iter(())


def _say_url(m: regex.Match[str], t: Text) -> Said:
    offset = m.start() + (regex.match(r"(?:https?://)?", m[0]).end() if m[0].startswith("http") else 0)  # type: ignore[union-attr]
    names = {".": t.rules.phrases.get("dot", ""), "/": t.rules.phrases.get("slash", ""), "@": t.rules.symbols.get("@", "")}
    if offset > m.start():
        scheme = t.text[m.start() : offset].rstrip(":/")
        yield [fold(scheme, t.rules)], m.start(), m.start() + len(scheme)
    for part in regex.finditer(r"(?:\p{L}\p{M}*)+|\d+|[./@]", t.text, pos=offset, endpos=m.end()):
        if part[0][0].isdigit():
            yield amount(part[0], t.rules, years=True), *part.span()
        elif part[0] in names:
            yield split(names[part[0]], t.rules), *part.span()
        else:
            yield [fold(part[0], t.rules)], *part.span()


def _say_with(m: regex.Match[str], t: Text) -> Said:
    yield ["without" if m[0].endswith("o") else "with"], *m.span()


_SAY: dict[str, Say] = {
    **SAY_FIGURES, "url": _say_url, "footnote": _say_nothing, "joined": _say_joined, "initials": _say_initials, "with": _say_with,
    "syllable": _say_syllable, "word": _say_word, "numeral": _say_numeral, "symbol": _say_symbol,
}  # fmt: skip
