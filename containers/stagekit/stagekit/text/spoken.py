"""How a language says numbers, money, units and symbols: num2words and CLDR (babel), with the few words they lack.

:func:`rules_for` gives the rules of a language; a language that num2words does not know keeps its digits as they are written.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from functools import cache, lru_cache

import regex
from babel.core import Locale, UnknownLocaleError
from babel.dates import get_month_names
from babel.numbers import get_decimal_symbol, get_group_symbol
from babel.units import format_unit
from num2words import CONVERTER_CLASSES, num2words

from stagekit.text.abbreviations import ABBREVIATIONS, PHRASES, SYMBOLS

_ALPHABETS = {
    "en": "", "nl": "äëïöüéè", "de": "äöüß", "fr": "àâæçéèêëîïôœùûüÿ", "es": "áéíñóúü", "it": "àèéìíîòóùú", "pt": "ãáàâçéêíõóôúü",
}  # fmt: skip
"""Letters beyond a–z of languages whose words are folded to their own letters ('café' in English is 'cafe'). Words of other
languages keep every letter."""
_FOLDS = {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ł": "l", "ı": "i", "ð": "d", "þ": "th", "ŋ": "ng", "ħ": "h"}
_CURRENCIES = {"$": "USD", "US$": "USD", "£": "GBP", "€": "EUR", "¥": "JPY", "USD": "USD", "EUR": "EUR", "GBP": "GBP"}
_CURRENCY_NAMES = {
    ("en", "GBP"): (("pound", "pounds"), ("penny", "pence")),
    ("en", "EUR"): (("euro", "euros"), ("cent", "cents")),
}
UNITS = {
    "km": "length-kilometer", "m": "length-meter", "cm": "length-centimeter", "mm": "length-millimeter", "mi": "length-mile",
    "ft": "length-foot", "yd": "length-yard", "kg": "mass-kilogram", "g": "mass-gram", "mg": "mass-milligram", "lb": "mass-pound",
    "lbs": "mass-pound", "oz": "mass-ounce", "mph": "speed-mile-per-hour", "km/h": "speed-kilometer-per-hour",
    "kph": "speed-kilometer-per-hour", "Hz": "frequency-hertz", "kHz": "frequency-kilohertz", "MHz": "frequency-megahertz",
    "GHz": "frequency-gigahertz", "KB": "digital-kilobyte", "MB": "digital-megabyte", "GB": "digital-gigabyte",
    "TB": "digital-terabyte",
    "ml": "volume-milliliter", "°C": "temperature-celsius", "°F": "temperature-fahrenheit", "°": "angle-degree",
    "min": "duration-minute", "mins": "duration-minute", "hr": "duration-hour", "hrs": "duration-hour", "sec": "duration-second",
    "secs": "duration-second", "kW": "power-kilowatt", "MW": "power-megawatt", "V": "electric-volt", "%": "concentr-percent",
}  # fmt: skip
"""Symbols after a number → CLDR units."""
_WORD = regex.compile(r"[\p{L}\p{M}']+")
MAX_DIGITS = 15
"""Longer numbers are read digit by digit."""


@dataclass(frozen=True, eq=False)  # one instance a language: hashed by identity
class Rules:
    """What normalisation knows of a language. ``numbers`` is num2words' code, None if it has none."""

    language: str
    region: str
    numbers: str | None
    alphabet: frozenset[str] | None
    decimal: str
    group: str
    months: dict[str, int] = field(default_factory=dict)
    abbreviations: dict[str, str] = field(default_factory=dict)
    symbols: dict[str, str] = field(default_factory=dict)
    phrases: dict[str, str] = field(default_factory=dict)


@cache
def rules_for(language: str) -> Rules:
    """The rules of a language (BCP 47); generic ones if nothing is known of it."""
    code, _, rest = language.replace("_", "-").partition("-")
    code, region = code.lower(), rest.split("-")[-1].upper()
    try:
        locale: Locale | None = Locale(code)
    except (UnknownLocaleError, ValueError):
        locale = None
    months: dict[str, int] = {}
    if locale is not None:
        for width in ("wide", "abbreviated"):
            for context in ("format", "stand-alone"):
                for number, name in get_month_names(width, context, locale).items():
                    if name.rstrip(".").isalpha() and len(name) > 2:
                        months.setdefault(name.rstrip(".").lower(), number)
    if code == "en":
        months["sept"] = 9
    alphabet = _ALPHABETS.get(code)
    return Rules(
        language=code,
        region=region,
        numbers=code if code in CONVERTER_CLASSES else None,
        alphabet=None if alphabet is None else frozenset("abcdefghijklmnopqrstuvwxyz'" + alphabet),
        decimal=get_decimal_symbol(locale) if locale else ".",
        group=get_group_symbol(locale) if locale else ",",
        months=months,
        abbreviations=ABBREVIATIONS.get(code, {}),
        symbols=SYMBOLS.get(code, {}),
        phrases=PHRASES.get(code, {}),
    )


def fold(word: str, rules: Rules) -> str:
    """A word in lower case, in the letters of the language: accents it does not write go, letters of other scripts stay.

    >>> fold("Café", rules_for("en")), fold("Café", rules_for("fr"))
    ('cafe', 'café')
    """
    lowered = unicodedata.normalize("NFC", word.replace("’", "'").replace("ʼ", "'").replace("＇", "'").lower())
    if rules.alphabet is None or rules.alphabet.issuperset(lowered):
        return lowered
    folded = "".join(c if c in rules.alphabet else _FOLDS.get(c) or _base(c, rules.alphabet) for c in lowered)
    return folded if folded.strip("'") else lowered


def _base(char: str, alphabet: frozenset[str]) -> str:
    parts = [c for c in unicodedata.normalize("NFKD", char).lower() if not unicodedata.combining(c)]
    return "".join(parts) if parts and all(c in alphabet for c in parts) else char


def split(spoken: str, rules: Rules) -> list[str]:
    """The words of a spoken form.

    >>> split("one hundred, twenty-three", rules_for("en"))
    ['one', 'hundred', 'twenty', 'three']
    """
    return [word for part in _WORD.findall(spoken) if (word := fold(part, rules)).strip("'")]


@lru_cache(maxsize=50_000)
def number(value: int, kind: str, rules: Rules) -> tuple[str, ...]:
    """The words of an integer as ``cardinal``, ``ordinal`` or ``year``; its digits one by one if num2words cannot say it."""
    if rules.numbers is None:
        return (str(value),)
    if abs(value) >= 10**MAX_DIGITS:
        return digits(str(abs(value)), rules)
    try:
        words = split(num2words(value, lang=rules.numbers, to=kind), rules)
    except (NotImplementedError, OverflowError, ValueError, TypeError, KeyError, IndexError, AttributeError):
        words = split(num2words(value, lang=rules.numbers), rules) if kind != "cardinal" else []
    if rules.language == "en" and rules.region not in ("GB", "AU", "IE", "NZ", "ZA", "IN"):
        words = [w for w in words if w != "and"]  # American: one hundred twenty
    return tuple(words) or (str(value),)


def digits(text: str, rules: Rules) -> tuple[str, ...]:
    """Each digit by itself."""
    return tuple(w for c in text if c.isdigit() for w in number(int(c), "cardinal", rules))


def parse_number(text: str, rules: Rules) -> tuple[str, str]:
    """(integer digits, fraction digits) of a number as written in the language; separators it does not use are tolerated.

    >>> parse_number("1,234.5", rules_for("en")), parse_number("1.234,5", rules_for("de")), parse_number("3.5", rules_for("de"))
    (('1234', '5'), ('1234', '5'), ('3', '5'))
    """
    plain = "".join(str(unicodedata.digit(c)) if c.isdigit() else c for c in text)
    if not all(c.isdigit() or not c.isalnum() for c in plain):
        return plain, ""
    parts = regex.split(r"\D+", plain)
    marks = regex.findall(r"\D+", plain)
    if not marks:
        return plain, ""
    grouped = all(len(p) == 3 for p in parts[1:]) and len(parts[0]) <= 3
    if len(marks) == 1 and marks[0] == rules.decimal:
        return parts[0], parts[1]
    if grouped and (len(marks) == 1 or len(set(marks)) == 1):
        return "".join(parts), ""
    return "".join(parts[:-1]), parts[-1]


def amount(text: str, rules: Rules, *, years: bool = False) -> tuple[str, ...]:
    """The words of a number as written: integer, decimal, year (four digits without a separator, 1100–2099, if ``years``)."""
    whole, fraction = parse_number(text, rules)
    if rules.numbers is None:
        return (whole + ("." + fraction if fraction else ""),)
    if fraction:
        return (
            *number(int(whole or 0), "cardinal", rules),
            *split(rules.phrases.get("point", ""), rules),
            *digits(fraction, rules),
        )
    if (len(whole) > 1 and whole[0] == "0") or len(whole) >= 10 and whole == text:
        return digits(whole, rules)
    value = int(whole)
    if years and whole == text and len(whole) == 4 and 1100 <= value <= 2099:
        return number(value, "year", rules)
    return number(value, "cardinal", rules)


def unit_name(symbol: str, one: bool, rules: Rules) -> tuple[str, ...]:
    """The name of a unit after a number, from CLDR; () if the symbol is unknown or the language has no data."""
    if symbol not in UNITS:
        return ()
    return _unit(UNITS[symbol], one, rules)


@cache
def _unit(unit: str, one: bool, rules: Rules) -> tuple[str, ...]:
    try:
        said = format_unit(1 if one else 2, unit, "long", locale=rules.language)
    except (UnknownLocaleError, ValueError, KeyError):
        return ()
    return tuple(split(said, rules))


def money(symbol: str, figure: str, scale: str | None, rules: Rules) -> tuple[str, ...]:
    """The words of a sum: ``$5.50`` → five dollars and fifty cents; ``$5.5 million`` → five point five million dollars."""
    whole, fraction = parse_number(figure, rules)
    names = _currency(symbol, rules)
    if names is None:
        return (*amount(figure, rules), *(split(scale, rules) if scale else ()))
    (one, many), (cent, cents) = names
    if scale or len(fraction) not in (0, 2) or not int(fraction or 0):
        figure_words = (
            amount(figure, rules) if fraction and (scale or int(fraction)) else number(int(whole or 0), "cardinal", rules)
        )
        name = one if whole == "1" and not fraction and not scale else many
        return (*figure_words, *(split(scale, rules) if scale else ()), *split(name, rules))
    minor = (*number(int(fraction), "cardinal", rules), *split(cent if int(fraction) == 1 else cents, rules))
    if not int(whole or 0):
        return minor
    major = (*number(int(whole), "cardinal", rules), *split(one if whole == "1" else many, rules))
    return (*major, *split(rules.phrases.get("money_and", ""), rules), *minor)


@cache
def _currency(symbol: str, rules: Rules) -> tuple[tuple[str, str], tuple[str, str]] | None:
    code = _CURRENCIES.get(symbol, symbol)
    if rules.numbers is None:
        return None
    forms = _CURRENCY_NAMES.get((rules.language, code)) or getattr(CONVERTER_CLASSES[rules.numbers], "CURRENCY_FORMS", {}).get(
        code
    )
    if not forms:
        return (("yen", "yen"), ("sen", "sen")) if code == "JPY" else None
    return (forms[0][0], forms[0][-1]), (forms[1][0], forms[1][-1])
