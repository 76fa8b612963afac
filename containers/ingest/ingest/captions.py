"""A caption or text file becomes cues of speech.

Times are kept as stated and never trusted; the raw text stays with the document.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import ftfy
from ftfy.badness import is_bad

from ingest import cues as cue_parser
from ingest.decode import decode
from ingest.errors import CaptionEmpty, CaptionUnreadable
from ingest.hyphens import join_words
from ingest.rolling import collapse
from ingest.srt import TIMING, RawCue, parse_srt
from ingest.timestamps import without_timestamps
from ingest.vtt import Vtt, parse_vtt

KINDS = ("srt", "vtt", "txt")
_NOT_TEXT = (
    (re.compile(r"\s*(?:<!doctype html|<html)\b", re.I), "an HTML page"),
    (re.compile(r"\s*\{\\rtf"), "an RTF document"),
    (re.compile(r"\s*%PDF-"), "a PDF document"),
    (re.compile(r"\s*<\?xml\b"), "an XML document"),
    (re.compile(r"PK\x03\x04"), "a ZIP archive"),
)


@dataclass(frozen=True)
class Cue:
    """What one speaker says in one cue.

    Seconds are the caption's claim, None in plain text; ``speaker`` only where it is named.
    """

    start_s: float | None
    end_s: float | None
    speaker: str | None
    text: str
    sounds: tuple[str, ...] = ()


@dataclass(frozen=True)
class Caption:
    """A parsed file.

    Attributes:
        kind: `srt`, `vtt` or `txt`, by what is in it.
        cues: pieces of speech in order, and cues that hold only sounds (empty ``text``).
        text: speech only: pieces joined by a blank, by a line break where the speaker changes; plain text keeps its lines,
            save that a word which a line end divides stands whole on the first.
        raw: the file as Unicode, untouched.
        encoding: how it was decoded.
        raw_cues: cues as they stand in the file, markup included; what provenance is told from.
        vtt: header, notes and cue settings of a WebVTT file.
    """

    kind: str
    cues: tuple[Cue, ...]
    text: str
    raw: str = field(repr=False)
    encoding: str = "utf-8"
    raw_cues: tuple[RawCue, ...] = field(default=(), repr=False)
    vtt: Vtt | None = field(default=None, repr=False)


def parse_caption(data: bytes, kind: str, language: str | None = None) -> Caption:
    """Parse a caption or text file.

    Args:
        data: the file's bytes.
        kind: what it claims to be, `srt`, `vtt` or `txt`. What it is decides: a WebVTT file named ``.srt`` is read as WebVTT.
        language: language it claims (BCP 47), for the code pages of old files.

    Raises:
        CaptionUnreadable: it is not text, or has no timing line.
        CaptionEmpty: no cue, or no speech in any cue.
    """
    if kind not in KINDS:
        raise ValueError(f"caption kind {kind!r}; known: {', '.join(KINDS)}")
    if not data.strip(b"\0 \t\r\n"):
        raise CaptionEmpty(f"the file is empty ({len(data)} bytes)")
    decoded = decode(data, language)
    for pattern, what in _NOT_TEXT:
        if pattern.match(decoded.text):
            raise CaptionUnreadable(f"{what}, not {kind}")
    text = _unbroken(decoded.text)
    kind = _sniff(text, kind)
    vtt = parse_vtt(text) if kind == "vtt" else None
    raw_cues = vtt.cues if vtt else parse_srt(text) if kind == "srt" else _paragraphs(text)
    if not raw_cues:
        if kind == "srt":
            raise CaptionUnreadable("no timing line (00:00:01,000 --> 00:00:02,000) in it")
        raise CaptionEmpty("0 cues")
    cues, joined = _speech(raw_cues, kind)
    if not re.search(r"[^\W_]", joined):
        raise CaptionEmpty(f"no speech in its {len(raw_cues)} cues")
    return Caption(kind, tuple(cues), joined, decoded.text, decoded.encoding, tuple(raw_cues), vtt)


def _unbroken(text: str) -> str:
    """Repair mojibake (``itâ€™s``) line by line; ftfy changes only what its badness measure is sure of."""
    if text.isascii() or not is_bad(text):
        return text
    return "\n".join(ftfy.fix_encoding(line) if is_bad(line) else line for line in text.split("\n"))


def _sniff(text: str, kind: str) -> str:
    head = text.lstrip("\ufeff \t\r\n")
    if re.match(r"WEBVTT\b", head):
        return "vtt"
    if kind == "txt" and sum(1 for line in text.splitlines() if "-->" in line and TIMING.match(line)) >= 2:
        return "srt"
    if kind == "vtt" and not any("-->" in line for line in text.splitlines()):
        raise CaptionUnreadable("neither WEBVTT nor a timing line in it")
    return kind


def _paragraphs(text: str) -> list[RawCue]:
    parts = re.split(r"\n[ \t]*(?:\n[ \t]*)+", text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n\n"))
    return [RawCue(None, None, part) for part in without_timestamps([part for part in parts if part.strip()])]


def _speech(raw_cues: list[RawCue], kind: str) -> tuple[list[Cue], str]:
    """Cues of speech, and the document's text."""
    captions = kind != "txt"
    lines = [cue_parser.plain_lines(cue.text) for cue in raw_cues]
    if captions:
        lines = collapse(lines, [(cue.start_s, cue.end_s) for cue in raw_cues])
    lines = join_words(lines)
    names = cue_parser.speaker_names(lines)
    capitals = cue_parser.in_capitals(lines)
    cues: list[Cue] = []
    joined: list[str] = []
    for cue, cue_lines in zip(raw_cues, lines, strict=True):
        for number, piece in enumerate(cue_parser.pieces(cue_lines, names, captions=captions, capitals=capitals)):
            cues.append(Cue(cue.start_s, cue.end_s, piece.speaker, piece.text, piece.sounds))
            if piece.text:
                if joined:
                    joined.append("\n\n" if not captions and number == 0 else "\n" if piece.turn else " ")
                joined.append(piece.text)
    return cues, "".join(joined)
