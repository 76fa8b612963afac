r"""What stands in a cue: speech, who speaks, sounds, markup.

Conventions read here: BBC and Netflix style guides and FCC-era captions agree on ``>>`` or a dash for a change of speaker,
names in capitals before a colon, sounds in brackets or parentheses, music between notes; WebVTT adds voice tags, ASS its
``{\an8}``.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_VOICE_OPEN, _VOICE_CLOSE = "\ue000", "\ue001"
_VOICE_TAG = re.compile(r"<v(?:\.[\w.-]+)?[ \t]+([^<>]{1,200})>", re.I)
_BREAK = re.compile(r"<br\s*/?>|\\[Nn](?=\W|[A-Z\\]|$)|</?p\b[^<>]*>", re.I)
_RUBY = re.compile(r"<rt\b[^<>]*>.*?(?:</rt>|(?=</ruby>)|$)", re.I | re.S)
_TAG = re.compile(
    r"</?(?:i|b|u|s|c|v|em|strong|font|span|lang|ruby|rt|tt|small|big|sub|sup|div|body|a|an)\b(?:[^<>]{0,300}>|[^<>]{0,40}$)"
    r"|</?c\.[^<>]{0,200}>|<(?:\d{1,4}:)?\d{1,2}:\d{1,2}[.,]\d{3}>",
    re.I | re.M,
)
_ESCAPED_TAG = re.compile(r"</?(?:i|b|u|s|em|strong|font)\b[^<>]{0,300}>", re.I)
"""Of what was escaped, only formatting is markup: who writes of HTML escapes, too."""
_REFERENCE = re.compile(r"&#?\w{1,31};")
_ASS = re.compile(r"\{[^{}\n]*\\[^{}\n]*\}|\{[YyCcFfSs]:[^{}\n]{1,40}\}")
_SOFT_BREAK = re.compile(r"\u00ad[ \t]*\n[ \t]*")
_INVISIBLE = re.compile(
    "[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\ufffe\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f]"
)

_MUSIC = re.compile(r"[♪♫♬♩🎵🎶]+([^♪♫♬♩🎵🎶]*)(?:[♪♫♬♩🎵🎶]+|$)")
_SOUND_AND_SPEECH = re.compile(
    r"[♪♫♬♩🎵🎶]+\s*(?=(?:\[(?P<sound>[^\[\]]*)\]|\((?P<aside>[^()]*)\))\s*[^\s♪♫♬♩🎵🎶][^♪♫♬♩🎵🎶]*$)"
)
"""Notes that nothing closes, before a sound in brackets and speech: `♪ [upbeat music] And welcome`."""
_SUNG = re.compile(r"(?i)\b(?:sing|song|choir|chorus|chant|vocal|lyric)")
"""After such a sound come lyrics."""
_BRACKETS = re.compile(r"(\[[^\[\]]{0,300}\]|【[^【】]{0,300}】)(\s*:(?=\s|$))?")
_OPEN_BRACKET = re.compile(r"\[([^\[\]\n]{1,40})$", re.M)
_PARENTHESES = re.compile(r"(\([^()]{1,200}\)|（[^（）]{1,200}）)(\s*:(?=\s|$))?")
_STARS = re.compile(r"(?<![\w*])\*([^*\n]{1,40})\*(?![\w*])")

_CHEVRONS = re.compile(r"[ \t]*(?:>{2,}|»{2,}|›{2,})[ \t]*")
_MARK = re.compile(r"\s*(?:(?P<chevron>>>+)|[-–—−‐]+(?=\s*[^\s\d–—-]))\s*")
_NAME = re.compile(r"(?P<name>[^\W\d_][\w.'’&()/,# -]{0,38}?)\s*:(?=\s|$)")
_ROLES = re.compile(
    r"(?:(?:male|female|young|old|unidentified|unknown|first|second|third|\d(?:st|nd|rd|th))\s+)*"
    r"(?:speaker|voice|interviewer|interviewee|narrator|host|guest|reporter|moderator|man|woman|boy|girl|child|audience|student|teacher|"
    r"question|answer|announcer|operator|caller|officer|clerk|chair|chairman|chairwoman|chairperson|sprecher|sprecherin|locuteur|"
    r"hablante|narrador|erzähler|narrateur|q|a)(?:[\s_#]*(?:\d{1,3}|[a-z]))?",
    re.I,
)
_TITLES = re.compile(
    r"(?:mr|mrs|ms|miss|dr|prof|professor|sen|senator|rep|representative|gov|governor|president|secretary|judge|justice|mayor|"
    r"councilor|councillor|councilman|councilwoman|chairman|chairwoman|chair|father|sister|captain|sir|lady|herr|frau|monsieur|madame|"
    r"señor|señora)\b\.?\s+\S",
    re.I,
)
_NOT_NAMES = frozenset(
    "chapter part section book act scene verse step article item note page figure table volume canto "
    "stanza lesson exercise rule psalm "
    "kapitel teil abschnitt buch chapitre partie livre capítulo parte libro warning caution ps re subject http https".split()
)
_IN_CLAUSES = frozenset(
    "a an the and or but so if then now because that this these those here there it he she we they i you me him her us them "
    "my your his its our their who what when where why how which in on at of to from for with by as about into is are was "
    "were be been am do does did has have had will would can could should may might must let let's not no yes one two three "
    "first second third last next only also just remember listen look imagine consider think note thing things point reason "
    "answer problem".split()
)
"""Words of clauses that end in a colon, and hardly ever of names; what a document in capitals is read by."""
SOUND_WORDS = frozenset(
    "music musical song singing applause clapping laughter laughs laughing laugh chuckles chuckling "
    "giggles cheers cheering crowd chatter "
    "crosstalk inaudible unintelligible indistinct silence pause sigh sighs sighing cough coughs "
    "coughing gasps sobs sobbing crying cries "
    "groans grunts moans screams screaming shouts shouting whispers whispering mumbles muttering "
    "mutters bell bells buzzing beep beeping "
    "ringing rings knock knocking knocks door footsteps thunder wind gunshot gunshots gunfire explosion "
    "engine siren sirens horn barking "
    "barks roaring squawk static noise noises sound sounds audio video captioned captioning foreign "
    "speaking instrumental theme humming "
    "whistling whistles clears throat sniffles bleep gavel beat "
    "musik applaus gelächter lachen lacht beifall seufzt musique applaudissements rires rire música musica aplausos risas risa "
    "applausi risate muziek applaus gelach музыка аплодисменты смех 音楽 拍手 笑 音乐 掌声 笑声".split()
)
"""Words that name a sound; a parenthesis with one of them is not speech."""

MIN_NAME_COUNT = 3
"""A capitalised word before a colon at a line's start is a speaker's name if the document has it so often ('Note:' may come
once)."""
CAPITALS_SHARE = 0.6
"""A document of whose letters more are capitals is written in capitals, which then mean nothing."""


@dataclass(frozen=True)
class Piece:
    """Part of a cue said by one speaker. ``speaker`` is None unless the cue names one; ``turn`` marks a change of speaker."""

    speaker: str | None
    turn: bool
    text: str
    sounds: tuple[str, ...]


def plain_lines(text: str) -> list[str]:
    """A cue's lines without markup and invisible characters. A voice tag stays as a private mark for :func:`pieces`.

    Character references count as what they stand for, tags of formatting too; so do references that were escaped once more.
    """
    text = text.replace(_VOICE_OPEN, "").replace(_VOICE_CLOSE, "")
    text = _RUBY.sub("", _VOICE_TAG.sub(lambda m: f"\n{_VOICE_OPEN}{m[1].strip()}{_VOICE_CLOSE}", text))
    text = _TAG.sub("", _BREAK.sub("\n", _ASS.sub("", text))).replace("\\h", " ")
    text = _REFERENCE.sub(lambda m: html.unescape(m[0]), html.unescape(text))
    text = _ESCAPED_TAG.sub("", re.sub(r"(?i)<br\s*/?>", "\n", text))
    text = text.replace("\x85", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    text = _INVISIBLE.sub("", _SOFT_BREAK.sub("", text))
    return [" ".join(line.split(None)) for line in text.split("\n") if line.strip(" \t\xa0")]


def speaker_names(cues: Iterable[Sequence[str]]) -> frozenset[str]:
    """Capitalised names that stand before a colon at the start of at least :data:`MIN_NAME_COUNT` lines of the document."""
    counts: Counter[str] = Counter()
    for lines in cues:
        for line in lines:
            if (match := _NAME.match(line)) and _capitalised(match["name"]) and not _excluded(match["name"]):
                counts[match["name"]] += 1
    return frozenset(name for name, n in counts.items() if n >= MIN_NAME_COUNT)


def in_capitals(cues: Iterable[Sequence[str]]) -> bool:
    """Whether a document is written in capitals (:data:`CAPITALS_SHARE`)."""
    letters = [c.isupper() for lines in cues for line in lines for c in line if c.isalpha()]
    return sum(letters) > CAPITALS_SHARE * len(letters)


def pieces(
    lines: Sequence[str], names: frozenset[str] = frozenset(), *, captions: bool = True, capitals: bool = False
) -> list[Piece]:
    """Split a cue's plain lines into what each speaker says and the sounds between.

    Args:
        lines: from :func:`plain_lines`.
        names: from :func:`speaker_names`.
        captions: False for plain text, where a parenthesis is speech unless it names a sound.
        capitals: from :func:`in_capitals`.

    Returns:
        Pieces in order; one without text if the cue holds only sounds; [] for an empty cue.
    """
    sounds: list[str] = []

    def take(content: str) -> str:
        cleaned = " ".join(content.split())
        if cleaned:
            sounds.append(cleaned)
        return " "

    def at_start(match: re.Match[str]) -> bool:
        return not match.string[: match.start()].rpartition("\n")[2].strip(" ->»–—")

    def bracket(match: re.Match[str]) -> str:
        inner = match[1][1:-1].strip()
        if at_start(match) and ((match[2] and is_name(inner, True, names)) or _ROLES.fullmatch(inner)):
            return f"\n{_VOICE_OPEN}{inner}{_VOICE_CLOSE}"
        return take(inner)

    def parenthesis(match: re.Match[str]) -> str:
        inner = match[1][1:-1].strip()
        if match[2] and at_start(match) and is_name(inner, True, names):
            return f"\n{_VOICE_OPEN}{inner}{_VOICE_CLOSE}"
        alone = at_start(match) and not match.string[match.end() :].partition("\n")[0].strip()
        return take(inner) if _is_sound(inner, alone and captions, capitals) else match[0]

    def note(match: re.Match[str]) -> str:
        sung = _SUNG.search(match["sound"] or match["aside"] or "")
        return match[0] if sung or (match["aside"] and not _is_sound(match["aside"], False, capitals)) else ""

    text = _SOUND_AND_SPEECH.sub(note, "\n".join(lines))
    text = _MUSIC.sub(lambda m: take(m[1] or "♪"), text)
    text = _OPEN_BRACKET.sub(lambda m: take(m[1]), _BRACKETS.sub(bracket, text))
    text = _PARENTHESES.sub(parenthesis, text)
    text = _STARS.sub(lambda m: take(m[1]) if _is_sound(m[1], False, capitals) else m[0], text)
    text = _CHEVRONS.sub("\n>> ", text)

    found: list[tuple[str | None, bool, list[str]]] = []
    for line in text.split("\n"):
        starts = not any(parts for _, _, parts in found)
        speaker, turn, speech = _split_speaker(line.strip(), names, captions, capitals, starts)
        if turn or speaker is not None or not found:
            found.append((speaker, turn or speaker is not None, [speech] if speech else []))
        elif speech:
            found[-1][2].append(speech)
    joiner = " " if captions else "\n"
    out = [Piece(s, turn, joiner.join(" ".join(p.split()) for p in parts), ()) for s, turn, parts in found if parts]
    if not out:
        named = next((s for s, _, _ in found if s), None)
        return [Piece(named, bool(named), "", tuple(sounds))] if sounds or named else []
    out[0] = Piece(out[0].speaker, out[0].turn, out[0].text, tuple(sounds))
    return out


def _split_speaker(
    line: str, names: frozenset[str], captions: bool, capitals: bool, starts: bool
) -> tuple[str | None, bool, str]:
    """(speaker named, whether the line starts a turn, what is said). ``starts``: nothing is said before it in the cue."""
    if line.startswith(_VOICE_OPEN):
        name, _, rest = line[1:].partition(_VOICE_CLOSE)
        return name or None, True, rest.strip()
    line = line.replace(_VOICE_OPEN, "").replace(_VOICE_CLOSE, "")
    turn, chevron = False, False
    if mark := _MARK.match(line):
        if captions or mark["chevron"]:
            turn, chevron, line = True, bool(mark["chevron"]), line[mark.end() :]
    if match := _NAME.match(line):
        name = match["name"].strip()
        if _named_in_capitals(name, starts or turn, names) if capitals else is_name(name, chevron, names):
            return name, True, line[match.end() :].strip()
    return None, turn, line.strip()


def is_name(text: str, marked: bool, names: frozenset[str] = frozenset()) -> bool:
    """Whether what stands before a colon at a line's start names a speaker.

    Args:
        text: what stands there.
        marked: ``>>`` or brackets say that a speaker is named, so capitals at word starts are enough.
        names: names known from the rest of the document.
    """
    text = text.strip()
    if not text or len(text.split()) > 5 or _excluded(text) or not text[0].isalpha():
        return False
    if text in names or _ROLES.fullmatch(text) or _TITLES.match(text):
        return True
    letters = [c for c in re.sub(r"\bMc|\bMac|\([^)]*\)", "", text) if c.isalpha()]
    if letters and all(c == c.upper() and c != c.lower() for c in letters):
        return True
    return marked and _capitalised(text)


def _named_in_capitals(text: str, starts: bool, names: frozenset[str]) -> bool:
    """Whether what stands before a colon in a document in capitals names a speaker; losing speech is worse than saying a name.

    ``starts``: it starts a cue or a turn.
    """
    words = [word.strip(".,").lower() for word in re.sub(r"\([^)]*\)", "", text).split()]
    clause = "," in text or len(words) > 3 or not _IN_CLAUSES.isdisjoint(words)
    known = text in names or _ROLES.fullmatch(text) or (_TITLES.match(text) and _IN_CLAUSES.isdisjoint(words))
    return bool(known or (starts and not clause)) and is_name(text, True, names)


def _capitalised(text: str) -> bool:
    words = [w for w in text.split() if w[0].isalpha()]
    return (
        0 < len(words) <= 3
        and all(w[0].isupper() or w in ("de", "la", "van", "von", "der", "of") for w in words)
        and words[0][0].isupper()
    )


def _excluded(text: str) -> bool:
    return text.split()[0].strip(".,").lower() in _NOT_NAMES


def _is_sound(text: str, alone: bool, capitals: bool) -> bool:
    """Whether a parenthesis describes a sound rather than being said.

    ``alone``: it stands on a line of its own in a caption, where asides hardly ever do. ``capitals``: the document is written in
    capitals.
    """
    words = re.findall(r"\w+", text.lower())
    if not words:
        return True
    if any(w in SOUND_WORDS for w in words) and len(words) <= 8:
        return True
    upper = not capitals and text == text.upper() and text != text.lower()
    return (upper and (alone or len(words) > 1)) or (alone and (len(words) <= 4 or words[0].endswith("ing")))
