"""A written sentence to the words that were spoken, by the rules of its language (``config/languages.yaml``, ``text:``).

Each token knows the piece of the sentence it stands for. The rules are few and each can be tested on a sentence: which letters a
language has, how its capitals are lowered, what an apostrophe does, which marks are left out, whether small numerals are said.
A token that the rules cannot vouch for is never a keyword: either the whole sentence cannot be said (a numeral with several
readings, letters of another script), or only its spelling is foreign ("Łódź" in English), and then the token stands in the
letters of the language, so that an aligner can place it, beside a fault that says so.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Literal, NamedTuple

import regex
from num2words import CONVERTER_CLASSES, num2words
from pydantic import BaseModel, ConfigDict, Field, field_validator

from ingest import segmenters
from stagekit.tables import Reason
from stagekit.text.written import APOSTROPHES, GERSHAYIM, IRISH_PREFIX, JOINERS, elided, lower, plain

MOST_SPELLED = 99
"""Numerals up to here have one reading; 100, 1990 or 2,5 have several, and nobody knows which one was spoken."""
_FOLDS = {
    "ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ł": "l", "ı": "i", "ð": "d", "þ": "th", "ŋ": "ng", "ħ": "h", "ə": "e",
}  # fmt: skip


class TextRules(BaseModel):
    """How a language is written. Every field has a default that is safe for a language of which nothing is known."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    letters: str = Field(
        "", description="its letters, lower case, as the inside of a regex class (a-zäöüß, \\p{Thai}); empty: those of one script"
    )
    casing: Literal["plain", "turkish", "irish"] = Field("plain", description="how capitals are lowered")
    apostrophe: Literal["inside", "elision", "edges"] = Field(
        "inside",
        description="inside: kept between letters; elision: ends a word (l' oncle, po'); edges: kept at both ends of a word",
    )
    whole: list[str] = Field([], description="words that elision does not divide (aujourd'hui)")
    enclitics: list[str] = Field([], description="words that follow another's apostrophe and own it (Catalan's porta 'l)")
    replace: dict[str, str] = Field({}, description="letter → letter, after lowering (ي → ی)")
    strip: str = Field("", description="marks that are left out, as the inside of a regex class (vowel marks of Arabic)")
    numerals: Literal["spell", "reject"] = Field(
        "reject", description=f"spell: digits of 0 to {MOST_SPELLED} become words; for languages whose numerals do not inflect"
    )
    numeral_endings: list[str] = Field([], description="what inflects a numeral after a hyphen (Esperanto's 21-an, the 21st)")
    numerals_not_beside: list[str] = Field([], description="words beside which a numeral is said in another way (months)")
    segmenter: Literal["spaces", "jieba", "pycantonese", "pythainlp", "sudachi"] = Field(
        "spaces", description="what divides words"
    )
    chars_per_s: tuple[float, float] = Field(
        (0.7, 30.0), description="fewest and most letters, marks not counted, in a second of a clip that is whole"
    )

    @field_validator("letters", "strip")
    @classmethod
    def _compiles(cls, value: str) -> str:
        if value:
            regex.compile(f"[{value}]")
        return value


class Token(NamedTuple):
    """A spoken word, and the piece ``text[char_start:char_end]`` it stands for."""

    word: str
    char_start: int
    char_end: int


@dataclass(frozen=True)
class Fault:
    """What cannot be vouched for. ``token``: index of the one token that is no keyword; None: the whole sentence is none."""

    reason: Reason
    detail: str
    token: int | None = None


@dataclass
class Said:
    """A sentence, NFC, as :attr:`text`; its tokens and what is wrong with it."""

    text: str
    tokens: list[Token] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    @property
    def refused(self) -> Fault | None:
        """Why the whole sentence cannot be used."""
        return next((f for f in self.faults if f.token is None), None)

    @property
    def letters(self) -> int:
        """Letters of all tokens, marks not counted."""
        return sum(1 for t in self.tokens for c in t.word if unicodedata.category(c)[0] == "L")


def _pieces(prefix: str = "") -> regex.Pattern[str]:
    # A middle dot is inside a Catalan word (col·legi), and ends a Greek clause (μικρό· ο δρόμος).
    inside = rf"·(?=\p{{L}})|[{APOSTROPHES}](?=[\p{{L}}\p{{N}}])|{GERSHAYIM}"
    return regex.compile(
        rf"(?P<word>{prefix}[\p{{L}}\p{{M}}\p{{N}}](?:[\p{{L}}\p{{M}}\p{{N}}{JOINERS}]|{inside})*)"
        r"|(?P<symbol>[\p{Sc}%‰&@#°§+×÷±=<>~^\\€№]|(?<=\d)[-–−/:](?=\d))"
    )


_PIECE = _pieces()
_IRISH_PIECE = _pieces(rf"(?:(?i:(?<![\p{{L}}\p{{N}}]){IRISH_PREFIX}))?")
_NUMBER_PART = regex.compile(r"[.,:/'’\-–−]\d")
_ROMAN = regex.compile(
    rf"(?=[IVX]{{2}}|[MDCLXVI]{{4}})M{{0,3}}(?:CM|CD|D?C{{0,3}})(?:XC|XL|L?X{{0,3}})(?:IX|IV|V?I{{0,3}})"
    rf"(?:[{APOSTROPHES}].*|[\p{{Ll}}\p{{Lm}}]{{1,4}})?"
)
"""A Roman numeral, with its ending ("XIXe", "VIII's"): two or more of I, V and X, or four or more of all seven letters; shorter
ones with the others are abbreviations as often (CD, DC, XL)."""


def say(text: str, language: str, rules: TextRules) -> Said:
    """The tokens of a sentence and their faults.

    Args:
        text: as written, in any normalisation form.
        language: BCP 47, for numerals.
        rules: of the language.
    """
    said = Said(unicodedata.normalize("NFC", text).strip())
    speller = _Speller(language, rules)
    script = None if rules.letters else _script(said.text)
    quotes = _quotes(said.text, rules)
    for match in (_IRISH_PIECE if rules.casing == "irish" else _PIECE).finditer(said.text):
        if match.lastgroup == "symbol":
            detail = f"'{match[0]}' is spoken, and there is more than one way to"
            said.faults.append(Fault(Reason.NUMERAL, detail))
            continue
        for start, end in _spans(match, said.text, rules, quotes):
            _add(said, start, end, speller, script)
    if not said.tokens and not said.faults:
        said.faults.append(Fault(Reason.SENTENCE_EMPTY, f"no word in it: {said.text[:200]!r}"))
    return said


_OPENING = regex.compile(rf"(?<![\p{{L}}\p{{N}}])[{APOSTROPHES}](?=[\p{{L}}\p{{N}}])")
_ENDING_MARK = regex.compile(rf"(?<=[\p{{L}}\p{{N}}])[{APOSTROPHES}](?![\p{{L}}\p{{N}}])")
_CLOSING = regex.compile(
    rf"(?<=[\p{{L}}\p{{N}}])[{APOSTROPHES}](?=[\p{{P}}--[{APOSTROPHES}]]|$)|(?<=[.,;:!?…])[{APOSTROPHES}]", regex.V1
)
"""What can close a quotation of several words; a mark at a word's end inside a clause may be the word's own (po', ta')."""


def _quotes(text: str, rules: TextRules) -> set[int]:
    """Where the apostrophes are that are quotation marks, in languages whose words begin or end with one."""
    found: set[int] = set()
    for opening in _OPENING.finditer(text) if rules.apostrophe != "inside" else ():
        at = opening.start()
        if found and at < max(found):
            continue
        mark, closing = _ENDING_MARK.search(text, at + 1), _CLOSING.search(text, at + 1)
        if mark:
            one_word = plain(text[at + 1 : mark.start()]).replace("'", "").isalpha()
            closing = mark if one_word or (rules.apostrophe == "elision" and not closing) else closing
        if closing:
            found |= {at, closing.start()}
    return found


def _spans(match: regex.Match[str], text: str, rules: TextRules, quotes: set[int]) -> Iterator[tuple[int, int]]:
    """Pieces of a run of letters that are one word each."""
    start, end = match.span()
    after = end < len(text) and text[end] in APOSTROPHES and end not in quotes
    if rules.apostrophe == "edges":
        before = start > 0 and text[start - 1] in APOSTROPHES and (start < 2 or not text[start - 2].isalnum())
        start, end = start - (before and start - 1 not in quotes), end + after
    elif rules.apostrophe == "elision":
        end += after
    if rules.segmenter == "spaces":
        yield start, end
        return
    run = regex.split(rf"(\p{{Nd}}+|[{APOSTROPHES}{JOINERS}·]+)", text[start:end])
    at = start
    for part in run:
        # ๆ repeats the word before it, and is spoken; it is a word of its own here.
        for word in _divided(part, rules.segmenter) if part else []:
            if regex.search(r"[\p{L}\p{N}]", word):
                yield at, at + len(word)
            at += len(word)


def _divided(part: str, segmenter: str) -> Iterator[str]:
    for word in segmenters.words(part, segmenter) if regex.search(r"\p{L}", part) else [part]:
        yield from (w for w in regex.split("(ๆ)", word) if w)


def _add(said: Said, start: int, end: int, speller: _Speller, script: str | None) -> None:
    """Add the tokens of one piece, or the fault it has."""
    raw, rules = said.text[start:end], speller.rules
    if regex.search(r"\p{N}", raw):
        if _alone(said.text, start, end, rules) and (words := speller.numeral(raw)):
            said.tokens += [Token(w, start, end) for w in words]
        else:
            said.faults.append(Fault(Reason.NUMERAL, f"'{raw}' has more than one reading"))
        return
    if _ROMAN.fullmatch(raw) and regex.search(r"\p{Ll}", said.text):
        said.faults.append(Fault(Reason.NUMERAL, f"'{raw}' may be a numeral, of more than one reading"))
        return
    if raw == "ๆ":
        if said.tokens:
            said.tokens.append(Token(said.tokens[-1].word, start, end))
        else:
            said.faults.append(Fault(Reason.FOREIGN_CHARACTERS, "ๆ repeats a word that is not there"))
        return
    divided = elided(raw, rules.whole, rules.enclitics) if rules.apostrophe == "elision" else [(0, len(raw))]
    for first, last in divided:
        word = speller.word(raw[first:last])
        if not word.strip("'"):
            continue
        verdict = speller.check(word, script)
        if verdict is None:
            said.tokens.append(Token(word, start + first, start + last))
        elif folded := speller.fold(word):
            detail = f"'{raw[first:last]}': {verdict}; aligned as '{folded}'"
            said.faults.append(Fault(Reason.FOREIGN_CHARACTERS, detail, len(said.tokens)))
            said.tokens.append(Token(folded, start + first, start + last))
        else:
            said.faults.append(Fault(Reason.FOREIGN_CHARACTERS, f"'{raw[first:last]}': {verdict}"))


def _alone(text: str, start: int, end: int, rules: TextRules) -> bool:
    """Whether the digits at [start, end) are a numeral by themselves: no part of another, no date, nothing that inflects them."""
    before, after = text[:start], text[end:]
    ending = regex.match(r"-(\p{Ll}+)", after)
    inflected = ending and ending[1] in rules.numeral_endings
    if inflected or _NUMBER_PART.match(after) or regex.search(r"(?:\d[.,:/'’\-–−]|(?<!\S)[-–−])$", before[-2:]):
        return False
    beside = (regex.search(r"(\p{L}+)\W*$", before[-30:]), regex.match(r"\W*(\p{L}+)", after[:30]))
    return not any(word and word[1].lower() in rules.numerals_not_beside for word in beside)


@dataclass(frozen=True)
class _Speller:
    language: str
    rules: TextRules

    def word(self, raw: str) -> str:
        """A piece in lower case, NFC, with one apostrophe, without marks that are left out."""
        text = lower(plain(raw), self.rules.casing)
        if self.rules.replace:
            text = "".join(self.rules.replace.get(c, c) for c in text)
        if self.rules.strip:
            text = _class(self.rules.strip)(text)
        text = unicodedata.normalize("NFC", text)
        return text if self.rules.apostrophe != "inside" else text.strip("'")

    def check(self, word: str, script: str | None) -> str | None:
        """What is foreign in a word, None if nothing is."""
        wanted = self.rules.letters or (rf"\p{{{script}}}\p{{M}}" if script else r"\p{L}\p{M}")
        rest = _class(wanted)(word).replace("'", "")
        if not rest:
            return None
        return "not of this language: " + " ".join(f"{c} (U+{ord(c):04X})" for c in dict.fromkeys(rest))

    def fold(self, word: str) -> str | None:
        """A Latin word in the letters of the language, None if that cannot be."""
        if not self.rules.letters:
            return None
        own = _class(self.rules.letters)
        out = []
        for c in word:
            if c == "'" or not own(c):
                out.append(c)
                continue
            base = _FOLDS.get(c) or "".join(b for b in unicodedata.normalize("NFD", c) if not unicodedata.combining(b))
            if not base or not base.isascii() or own(base):
                return None
            out.append(base)
        return unicodedata.normalize("NFC", "".join(out))

    def numeral(self, raw: str) -> list[str]:
        """The words of a numeral that has one reading; [] if it has several, or the language's are not spelled."""
        if self.rules.numerals != "spell" or not raw.isdecimal() or len(raw) > 2 or (len(raw) == 2 and int(raw) < 10):
            return []  # `isdecimal`, not \p{Nd}: `regex` knows newer digits than `int`
        plain = self.language.partition("-")[0]
        code = self.language.replace("-", "_") if self.language.replace("-", "_") in CONVERTER_CLASSES else plain
        if code not in CONVERTER_CLASSES:
            return []
        spoken = num2words(int(raw), lang=code)
        words = [self.word(w) for w in regex.findall(r"[\p{L}\p{M}]+", spoken)]
        return words if words and not any(self.check(w, None) for w in words) else []


@cache
def _class(letters: str) -> Callable[[str], str]:
    """A function that takes all characters of a class out of a string."""
    pattern = regex.compile(f"[{letters}]+")
    return lambda text: pattern.sub("", text)


@cache
def _scripts() -> dict[str, regex.Pattern[str]]:
    names = (
        "Latin Cyrillic Greek Arabic Hebrew Devanagari Bengali Gurmukhi Gujarati Oriya Tamil Telugu Kannada Malayalam Sinhala "
        "Thai Lao Khmer Myanmar Tibetan Georgian Armenian Ethiopic Hangul Han Hiragana Katakana Thaana Mongolian Tifinagh Nko"
    ).split()
    return {name: regex.compile(rf"\p{{{name}}}") for name in names}


def _script(text: str) -> str | None:
    """The script that most letters of a text are of, None if it is none of those known."""
    counts = {name: len(pattern.findall(text)) for name, pattern in _scripts().items()}
    best = max(counts, key=lambda name: counts[name])
    return best if counts[best] else None
