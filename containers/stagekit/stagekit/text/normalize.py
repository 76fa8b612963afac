"""Text to the words that are spoken: lower case, each with the piece of text it stands for.

A regular expression of semiotic classes (after Sproat et al., "Normalization of non-standard words", 2001) cuts the text;
each class has a function that says it, with numbers through num2words and names of months, units and currencies from CLDR.
NeMo-text-processing was tried and left: see the README.

Every letter of the text lies in the piece of some token (but for an apostrophe by itself, which Unicode may call a letter),
pieces never overlap and never go back, and no input raises.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import regex

from stagekit.text.abbreviations import AT_DATE, BARE, BEFORE_NAME, BEFORE_NUMBER, NUMBERED, REGNAL, SHORT_SCALES
from stagekit.text.semiotic import APOSTROPHE, scanner
from stagekit.text.spoken import Rules, amount, digits, fold, money, number, parse_number, rules_for, split, unit_name


class Token(NamedTuple):
    """A spoken word, lower case, and the piece ``text[char_start:char_end]`` it stands for.

    Words of one number share a piece, and so do letters of one initialism: no segment may part what is written as one.
    """

    word: str
    char_start: int
    char_end: int


@dataclass(frozen=True)
class _Text:
    text: str
    rules: Rules
    capitals: bool
    """The text is written in capitals, so capitals mean nothing."""

    def after(self, at: int, pattern: str) -> bool:
        return bool(regex.compile(pattern).match(self.text, at))


_Said = Iterator[tuple[tuple[str, ...] | list[str], int, int]]

_FRACTIONS = {"½": (1, 2), "⅓": (1, 3), "⅔": (2, 3), "¼": (1, 4), "¾": (3, 4), "⅛": (1, 8), "⅜": (3, 8), "⅝": (5, 8), "⅞": (7, 8)}
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
        rest they
            stay digits. Scripts without blanks between words give one token a character.
    """
    rules = rules_for(language)
    if not text.isascii():  # `regex` knows a newer Unicode than Python: a digit that has no value here is no digit
        text = regex.sub(r"\d", lambda m: m[0] if m[0].isdecimal() else "\ufffd", text)
    letters = regex.findall(r"\p{L}", text[:20_000])
    whole = _Text(text, rules, sum(c.isupper() for c in letters) > 0.6 * len(letters))
    tokens: list[Token] = []
    for match in scanner(rules).finditer(text):
        say = _SAY[match.lastgroup or "word"]
        for words, start, end in say(match, whole):
            tokens.extend(Token(word, start, end) for word in words if word.strip("'"))
    return tokens


# one function a class: yields (words, start, end) of pieces in order


def _say_word(m: regex.Match[str], t: _Text) -> _Said:
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


def _abbreviation(raw: str, lowered: str, start: int, end: int, dotted: bool, t: _Text) -> str | None:
    language = t.rules.language
    expansion = t.rules.abbreviations.get(lowered)
    if expansion is None:
        word = lowered in ("mar", "may", "dec", "jun", "sep", "mai", "set", "out") and not t.after(end + 1, r"[ \u00a0]+\d")
        if dotted and len(lowered) <= 4 and raw[0].isupper() and lowered in t.rules.months and not word:
            return _month_name(t.rules.months[lowered], t.rules)
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


def _street(before: str, t: _Text, end: int) -> bool:
    """Whether a name before 'St.' is a street's: a number is with it ('3rd', '12 Elm'), or what follows is no saint's name."""
    numbered = regex.search(r"\d(?:st|nd|rd|th)?[ \u00a0]$|\d+[ \u00a0](?:\p{Lu}\p{L}*[ \u00a0])+$", before[-60:])
    other = regex.search(r"\b(?:Mount|Mont|Fort|Port|Lake|Saint)[ \u00a0]$", before)
    return bool(numbered) or (t.after(end, _AFTER_STREET) and not other)


def _roman(raw: str, start: int, end: int, t: _Text, *, named: bool = False) -> tuple[str, ...] | None:
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


def _say_initials(m: regex.Match[str], t: _Text) -> _Said:
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


def _say_joined(m: regex.Match[str], t: _Text) -> _Said:
    words = ["and" if c == "&" else c.lower() for c in m[0] if c == "&" or c.isupper()]
    if m[0].endswith("s"):
        words[-1] += "'s"
    yield words, *m.span()


def _say_syllable(m: regex.Match[str], t: _Text) -> _Said:
    yield [fold(m[0], t.rules)], *m.span()


def _say_numeral(m: regex.Match[str], t: _Text) -> _Said:
    yield number(int(unicodedata.numeric(m[0])), "cardinal", t.rules), *m.span()


def _say_symbol(m: regex.Match[str], t: _Text) -> _Said:
    said = t.rules.symbols.get(m[0], "")
    between_numbers = regex.search(r"\d[ ]?$", t.text[max(0, m.start() - 2) : m.start()]) or t.after(m.end(), r"[ ]?\d")
    if m[0] in "&%§" or between_numbers:
        yield split(said, t.rules), *m.span()


def _say_nothing(m: regex.Match[str], t: _Text) -> _Said:
    return iter(())


def _say_url(m: regex.Match[str], t: _Text) -> _Said:
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


def _month_name(month: int, rules: Rules) -> str:
    return next((name for name, n in rules.months.items() if n == month), str(month))


def _year(text: str, rules: Rules) -> tuple[str, ...]:
    return amount(text, rules, years=True)


def _say_date_en(m: regex.Match[str], t: _Text) -> _Said:
    yield split(_month_name(t.rules.months[m["de_m"].lower()], t.rules), t.rules), *m.span("de_m")
    yield number(int(m["de_d"]), "ordinal", t.rules), m.start("de_d"), _tail(m.end("de_d"), "(?i:st|nd|rd|th)", t)
    if m["de_y"]:
        yield _year(m["de_y"], t.rules), *m.span("de_y")


def _tail(at: int, pattern: str, t: _Text) -> int:
    match = regex.compile(pattern).match(t.text, at)
    return match.end() if match else at


def _say_date_dm(m: regex.Match[str], t: _Text) -> _Said:
    day, rules = int(m["dm_d"]), t.rules
    end = _tail(m.end("dm_d"), r"(?i:st|nd|rd|th|er|º)|\.", t)
    between = t.text[end : m.start("dm_m")].split()
    if rules.language == "en":
        article = () if regex.search(r"(?i)\bthe[ ]$", t.text[max(0, m.start() - 4) : m.start()]) else ("the",)
        yield (*article, *number(day, "ordinal", rules), *(() if between else ("of",))), m.start(), end
    elif rules.language in ("de", "nl") or (rules.language in ("fr", "es", "it", "pt") and day == 1 and end > m.end("dm_d")):
        kind = "ordinal" if rules.language != "nl" else "cardinal"
        said = number(day, kind, rules)
        if rules.language == "de" and regex.search(
            r"(?i)\b(?:am|vom|zum|beim|dem|den|im)[ ]$", t.text[max(0, m.start() - 6) : m.start()]
        ):
            said = (*said[:-1], said[-1] + "n")  # am siebten April
        elif rules.language == "de":
            said = (*said[:-1], said[-1] + "r")  # siebter April
        yield said, m.start(), end
    else:
        yield number(day, "cardinal", rules), m.start(), end
    for word in regex.finditer(r"(?:\p{L}\p{M}*)+", t.text, pos=end, endpos=m.start("dm_m")):
        yield [fold(word[0], rules)], *word.span()
    name = m["dm_m"].lower()
    dotted = t.text[m.end("dm_m") : m.end("dm_m") + 1] == "."
    said_month = _month_name(rules.months[name], rules) if dotted or rules.language == "en" else name
    yield split(said_month, rules), *m.span("dm_m")
    if m["dm_y"]:
        for word in regex.finditer(r"(?:\p{L}\p{M}*)+", t.text, pos=m.end("dm_m"), endpos=m.start("dm_y")):
            yield [fold(word[0], rules)], *word.span()
        yield _year(m["dm_y"], rules), *m.span("dm_y")


def _say_date(year: str, month: int, day: int, m: regex.Match[str], t: _Text) -> _Said:
    rules = t.rules
    name = split(_month_name(month, rules), rules)
    if rules.language == "en":
        said = (*name, *number(day, "ordinal", rules), *_year(year, rules))
    elif rules.language == "de":
        said = (*(w + "r" for w in number(day, "ordinal", rules)), *name, *_year(year, rules))
    else:
        of = ("de",) if rules.language in ("es", "pt") else ()
        said = (*number(day, "cardinal", rules), *of, *name, *of, *_year(year, rules))
    yield said, *m.span()


def _say_date_iso(m: regex.Match[str], t: _Text) -> _Said:
    yield from _say_date(m["iso_y"], int(m["iso_m"]), int(m["iso_d"]), m, t)


def _say_date_num(m: regex.Match[str], t: _Text) -> _Said:
    first, second = int(m["dn_a"]), int(m["dn_b"])
    american = t.rules.language == "en" and t.rules.region in ("", "US") and m["dn_s"] == "/"
    month, day = (first, second) if (american and first <= 12) or second > 12 else (second, first)
    if 1 <= month <= 12 and 1 <= day <= 31:
        yield from _say_date(m["dn_y"], month, day, m, t)
    else:
        yield tuple(w for part in regex.findall(r"\d+", m[0]) for w in amount(part, t.rules)), *m.span()


def _say_money(m: regex.Match[str], t: _Text) -> _Said:
    if m["mo_cent"]:
        yield (*number(int(m["mo_cent"]), "cardinal", t.rules), "cent" if m["mo_cent"] == "1" else "cents"), *m.span()
        return
    symbol, figure, scale = m["mo_c"] or m["mo_c2"], m["mo_n"] or m["mo_n2"], m["mo_s"] or m["mo_s2"]
    scale = SHORT_SCALES.get(scale.lower(), scale) if scale else None
    yield money(symbol, figure, scale, t.rules), *m.span()


def _say_phone(m: regex.Match[str], t: _Text) -> _Said:
    for i, part in enumerate(regex.finditer(r"\d+", t.text, pos=m.start(), endpos=m.end())):
        hundreds = t.rules.language == "en" and i == 1 and m[0][1] in "-." and part[0] in ("800", "900")
        yield number(int(part[0]), "cardinal", t.rules) if hundreds else digits(part[0], t.rules), *part.span()


def _say_height(m: regex.Match[str], t: _Text) -> _Said:
    feet, inches = (number(int(m[group]), "cardinal", t.rules) for group in ("he_f", "he_i"))
    yield (*feet, "foot", *inches) if int(m["he_i"]) else (*feet, "foot" if m["he_f"] == "1" else "feet"), *m.span()


def _say_power(m: regex.Match[str], t: _Text) -> _Said:
    base, exponent = number(int(m["po_b"]), "cardinal", t.rules), int(m["po_e"])
    said = {2: ("squared",), 3: ("cubed",)}.get(exponent) or ("to", "the", *number(exponent, "ordinal", t.rules))
    yield (*base, *said), *m.span()


def _say_clock(m: regex.Match[str], t: _Text) -> _Said:
    rules = t.rules
    hour, minute, half = m["cl_h"] or m["cl_h2"], m["cl_m"], "cl_x" if m["cl_x"] else "cl_x2"
    end = m.end("cl_s") if m["cl_s"] else m.end("cl_m") if minute else m.end("cl_h2")
    said: tuple[str, ...] = number(int(hour), "cardinal", rules)
    if minute and rules.language == "en":
        if m["cl_s"]:
            said = tuple(w for x in (hour, minute, m["cl_s"]) for w in number(int(x), "cardinal", rules))
        elif minute == "00":
            said += () if m[half] else ("hundred",) if int(hour) > 12 else ("o'clock",)
        else:
            said += (*(("oh",) if minute[0] == "0" else ()), *number(int(minute), "cardinal", rules))
    elif minute:
        word = rules.phrases.get("clock", "")
        said += tuple(split(word, rules)) if word and (minute != "00" or m["cl_w"]) else ()
        said += number(int(minute), "cardinal", rules) if minute != "00" else ()
        end = m.end("cl_w") if m["cl_w"] else end  # 9:30 Uhr: neun uhr dreißig
    yield said, m.start(), end
    if m[half]:
        yield [c.lower() for c in regex.findall(r"\p{L}", m[half])], *m.span(half)


def _say_plural(m: regex.Match[str], t: _Text) -> _Said:
    text = m["dc"].lstrip("'’ʼ＇")
    said = list(amount(text, t.rules, years=True))
    last = said[-1]
    said[-1] = last[:-1] + "ies" if last.endswith("y") else last + ("es" if last.endswith("x") else "s")
    yield said, *m.span()


def _say_ordinal(m: regex.Match[str], t: _Text) -> _Said:
    whole, _ = parse_number(m["or"], t.rules)
    yield number(int(whole), "ordinal", t.rules) if len(whole) <= 12 else digits(whole, t.rules), *m.span()


def _say_fraction(m: regex.Match[str], t: _Text) -> _Said:
    rules = t.rules
    top, bottom = _FRACTIONS[m["fr_c"]] if m["fr_c"] else (int(m["fr_a"]), int(m["fr_b"]))
    mixed = regex.search(r"(?<![\d/.,:⁄])\d{1,3}[ \u00a0-]?$", t.text[max(0, m.start() - 5) : m.start()])
    if rules.language == "en" and 0 < top < bottom and (bottom <= 10 or bottom in (12, 16, 20, 32, 50, 64, 100)):
        name = {2: "half", 4: "quarter"}.get(bottom) or " ".join(number(bottom, "ordinal", rules))
        plural = {"half": "halves"}.get(name, name + "s")
        count = ("a",) if mixed and top == 1 and bottom in (2, 4) else number(top, "cardinal", rules)
        yield (*(("and",) if mixed else ()), *count, *split(name if top == 1 else plural, rules)), *m.span()
    elif m["fr_c"]:
        yield (*number(top, "cardinal", rules), *number(bottom, "cardinal", rules)), *m.span()
    else:
        yield amount(m["fr_a"], rules), *m.span("fr_a")
        yield amount(m["fr_b"], rules), *m.span("fr_b")


def _say_range(m: regex.Match[str], t: _Text) -> _Said:
    yield amount(m["ra_a"], t.rules, years=True), *m.span("ra_a")
    yield split(t.rules.phrases.get("to", ""), t.rules), m.end("ra_a"), m.start("ra_b")
    yield amount(m["ra_b"], t.rules, years=True), *m.span("ra_b")


def _say_unit(m: regex.Match[str], t: _Text) -> _Said:
    rules = t.rules
    whole, fraction = parse_number(m["un_n"], rules)
    attributive = m["un_g"][0] == "-"
    said = unit_name(m["un_u"], (whole == "1" and not fraction) or attributive, rules)
    minus = split(rules.phrases.get("minus", ""), rules) if m["un_m"] else []
    yield (*minus, *amount(m["un_n"], rules)), m.start(), m.end("un_n")
    yield said or [fold(p, rules) for p in regex.findall(r"\p{L}+", m["un_u"])], *m.span("un_u")


def _say_figure(m: regex.Match[str], t: _Text) -> _Said:
    rules = t.rules
    start = m.start()
    words: tuple[str, ...] = ()
    if m["fi_m"]:
        words += tuple(split(rules.phrases.get("minus", ""), rules))
    if m["fi_h"]:
        words += tuple(split(rules.phrases.get("number", ""), rules))
    yield (*words, *amount(m["fi_n"], rules, years=not m["fi_h"])), start, m.end()


def _say_point(m: regex.Match[str], t: _Text) -> _Said:
    yield (*split(t.rules.phrases.get("point", ""), t.rules), *digits(m["po"], t.rules)), *m.span()


def _say_with(m: regex.Match[str], t: _Text) -> _Said:
    yield ["without" if m[0].endswith("o") else "with"], *m.span()


_SAY: dict[str, Callable[[regex.Match[str], _Text], _Said]] = {
    "url": _say_url, "footnote": _say_nothing, "date_en": _say_date_en, "date_dm": _say_date_dm, "date_iso": _say_date_iso,
    "date_num": _say_date_num, "money": _say_money, "phone": _say_phone, "height": _say_height, "power": _say_power,
    "clock": _say_clock, "plural": _say_plural, "ordinal": _say_ordinal, "fraction": _say_fraction, "range": _say_range,
    "unit": _say_unit, "figure": _say_figure, "point": _say_point, "joined": _say_joined, "initials": _say_initials,
    "with": _say_with, "syllable": _say_syllable, "word": _say_word, "numeral": _say_numeral, "symbol": _say_symbol,
}  # fmt: skip
