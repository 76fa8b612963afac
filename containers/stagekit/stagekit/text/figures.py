"""How figures are said: dates, money, phone numbers, times of day, fractions, ranges, measures, plain numbers.

One function a class of :mod:`stagekit.text.semiotic`; :mod:`stagekit.text.normalize` has those of words and calls all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import regex

from stagekit.text.abbreviations import SHORT_SCALES
from stagekit.text.spoken import Rules, amount, digits, fold, money, number, parse_number, split, unit_name


@dataclass(frozen=True)
class Text:
    """A text that is being said, and by which rules."""

    text: str
    rules: Rules
    capitals: bool
    """The text is written in capitals, so capitals mean nothing."""

    def after(self, at: int, pattern: str) -> bool:
        """Whether ``pattern`` matches from ``at`` on."""
        return bool(regex.compile(pattern).match(self.text, at))


Said = Iterator[tuple[tuple[str, ...] | list[str], int, int]]
"""(words, start, end) of pieces in order."""

Say = Callable[[regex.Match[str], Text], Said]

_FRACTIONS = {"½": (1, 2), "⅓": (1, 3), "⅔": (2, 3), "¼": (1, 4), "¾": (3, 4), "⅛": (1, 8), "⅜": (3, 8), "⅝": (5, 8), "⅞": (7, 8)}


def month_name(month: int, rules: Rules) -> str:
    """The month's name, from 1 to 12."""
    return next((name for name, n in rules.months.items() if n == month), str(month))


def _year(text: str, rules: Rules) -> tuple[str, ...]:
    return amount(text, rules, years=True)


def _say_date_en(m: regex.Match[str], t: Text) -> Said:
    yield split(month_name(t.rules.months[m["de_m"].lower()], t.rules), t.rules), *m.span("de_m")
    yield number(int(m["de_d"]), "ordinal", t.rules), m.start("de_d"), _tail(m.end("de_d"), "(?i:st|nd|rd|th)", t)
    if m["de_y"]:
        yield _year(m["de_y"], t.rules), *m.span("de_y")


def _tail(at: int, pattern: str, t: Text) -> int:
    match = regex.compile(pattern).match(t.text, at)
    return match.end() if match else at


def _say_date_dm(m: regex.Match[str], t: Text) -> Said:
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
    said_month = month_name(rules.months[name], rules) if dotted or rules.language == "en" else name
    yield split(said_month, rules), *m.span("dm_m")
    if m["dm_y"]:
        for word in regex.finditer(r"(?:\p{L}\p{M}*)+", t.text, pos=m.end("dm_m"), endpos=m.start("dm_y")):
            yield [fold(word[0], rules)], *word.span()
        yield _year(m["dm_y"], rules), *m.span("dm_y")


def _say_date(year: str, month: int, day: int, m: regex.Match[str], t: Text) -> Said:
    rules = t.rules
    name = split(month_name(month, rules), rules)
    if rules.language == "en":
        said = (*name, *number(day, "ordinal", rules), *_year(year, rules))
    elif rules.language == "de":
        said = (*(w + "r" for w in number(day, "ordinal", rules)), *name, *_year(year, rules))
    else:
        of = ("de",) if rules.language in ("es", "pt") else ()
        said = (*number(day, "cardinal", rules), *of, *name, *of, *_year(year, rules))
    yield said, *m.span()


def _say_date_iso(m: regex.Match[str], t: Text) -> Said:
    yield from _say_date(m["iso_y"], int(m["iso_m"]), int(m["iso_d"]), m, t)


def _say_date_num(m: regex.Match[str], t: Text) -> Said:
    first, second = int(m["dn_a"]), int(m["dn_b"])
    american = t.rules.language == "en" and t.rules.region in ("", "US") and m["dn_s"] == "/"
    month, day = (first, second) if (american and first <= 12) or second > 12 else (second, first)
    if 1 <= month <= 12 and 1 <= day <= 31:
        yield from _say_date(m["dn_y"], month, day, m, t)
    else:
        yield tuple(w for part in regex.findall(r"\d+", m[0]) for w in amount(part, t.rules)), *m.span()


def _say_money(m: regex.Match[str], t: Text) -> Said:
    if m["mo_cent"]:
        yield (*number(int(m["mo_cent"]), "cardinal", t.rules), "cent" if m["mo_cent"] == "1" else "cents"), *m.span()
        return
    symbol, figure, scale = m["mo_c"] or m["mo_c2"], m["mo_n"] or m["mo_n2"], m["mo_s"] or m["mo_s2"]
    scale = SHORT_SCALES.get(scale.lower(), scale) if scale else None
    yield money(symbol, figure, scale, t.rules), *m.span()


def _say_phone(m: regex.Match[str], t: Text) -> Said:
    for i, part in enumerate(regex.finditer(r"\d+", t.text, pos=m.start(), endpos=m.end())):
        hundreds = t.rules.language == "en" and i == 1 and m[0][1] in "-." and part[0] in ("800", "900")
        yield number(int(part[0]), "cardinal", t.rules) if hundreds else digits(part[0], t.rules), *part.span()


def _say_height(m: regex.Match[str], t: Text) -> Said:
    feet, inches = (number(int(m[group]), "cardinal", t.rules) for group in ("he_f", "he_i"))
    yield (*feet, "foot", *inches) if int(m["he_i"]) else (*feet, "foot" if m["he_f"] == "1" else "feet"), *m.span()


def _say_power(m: regex.Match[str], t: Text) -> Said:
    base, exponent = number(int(m["po_b"]), "cardinal", t.rules), int(m["po_e"])
    said = {2: ("squared",), 3: ("cubed",)}.get(exponent) or ("to", "the", *number(exponent, "ordinal", t.rules))
    yield (*base, *said), *m.span()


def _say_clock(m: regex.Match[str], t: Text) -> Said:
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


def _say_plural(m: regex.Match[str], t: Text) -> Said:
    text = m["dc"].lstrip("'’ʼ＇")
    said = list(amount(text, t.rules, years=True))
    last = said[-1]
    said[-1] = last[:-1] + "ies" if last.endswith("y") else last + ("es" if last.endswith("x") else "s")
    yield said, *m.span()


def _say_ordinal(m: regex.Match[str], t: Text) -> Said:
    whole, _ = parse_number(m["or"], t.rules)
    yield number(int(whole), "ordinal", t.rules) if len(whole) <= 12 else digits(whole, t.rules), *m.span()


def _say_fraction(m: regex.Match[str], t: Text) -> Said:
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


def _say_range(m: regex.Match[str], t: Text) -> Said:
    yield amount(m["ra_a"], t.rules, years=True), *m.span("ra_a")
    yield split(t.rules.phrases.get("to", ""), t.rules), m.end("ra_a"), m.start("ra_b")
    yield amount(m["ra_b"], t.rules, years=True), *m.span("ra_b")


def _say_unit(m: regex.Match[str], t: Text) -> Said:
    rules = t.rules
    whole, fraction = parse_number(m["un_n"], rules)
    attributive = m["un_g"][0] == "-"
    said = unit_name(m["un_u"], (whole == "1" and not fraction) or attributive, rules)
    minus = split(rules.phrases.get("minus", ""), rules) if m["un_m"] else []
    yield (*minus, *amount(m["un_n"], rules)), m.start(), m.end("un_n")
    yield said or [fold(p, rules) for p in regex.findall(r"\p{L}+", m["un_u"])], *m.span("un_u")


def _say_figure(m: regex.Match[str], t: Text) -> Said:
    rules = t.rules
    start = m.start()
    words: tuple[str, ...] = ()
    if m["fi_m"]:
        words += tuple(split(rules.phrases.get("minus", ""), rules))
    if m["fi_h"]:
        words += tuple(split(rules.phrases.get("number", ""), rules))
    yield (*words, *amount(m["fi_n"], rules, years=not m["fi_h"])), start, m.end()


def _say_point(m: regex.Match[str], t: Text) -> Said:
    yield (*split(t.rules.phrases.get("point", ""), t.rules), *digits(m["po"], t.rules)), *m.span()


SAY: dict[str, Say] = {
    "date_en": _say_date_en, "date_dm": _say_date_dm, "date_iso": _say_date_iso, "date_num": _say_date_num,
    "money": _say_money, "phone": _say_phone, "height": _say_height, "power": _say_power, "clock": _say_clock,
    "plural": _say_plural, "ordinal": _say_ordinal, "fraction": _say_fraction, "range": _say_range, "unit": _say_unit,
    "figure": _say_figure, "point": _say_point,
}  # fmt: skip
"""By the name of the scanner's group."""
