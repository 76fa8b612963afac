"""WebVTT (W3C): blocks between blank lines; NOTE, STYLE and REGION blocks, cue identifiers and cue settings are not text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ingest.srt import BROKEN_TIMING, RawCue

_TIME = r"([-−]?)(?:(\d{1,6}):)?(\d{1,3}):(\d{1,2})(?:[.,](\d{1,3})\d*)?"
TIMING = re.compile(rf"^\s*{_TIME}\s*-->\s*{_TIME}(?P<settings>\s.*)?$")
WORD_TIME = re.compile(r"<(?:\d{1,4}:)?\d{1,2}:\d{1,2}[.,]\d{3}>")
"""A time inside a cue, as ``<00:00:00.560>``: when the next word appears."""


@dataclass(frozen=True)
class Vtt:
    """A parsed file.

    ``header`` holds ``Kind``, ``Language`` and the like; ``settings`` is one string a cue, '' if it has none.
    """

    cues: list[RawCue]
    settings: list[str]
    header: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def parse_vtt(text: str) -> Vtt:
    """The cues of a WebVTT file by start time. A missing ``WEBVTT`` line is forgiven; cues without text are kept.

    Times before 0 count as 0.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    header: dict[str, str] = {}
    position = 0
    if lines and lines[0].startswith("WEBVTT"):
        position = 1
        while position < len(lines) and lines[position].strip() and "-->" not in lines[position]:
            key, colon, value = lines[position].partition(":")
            if colon:
                header[key.strip()] = value.strip()
            position += 1
    found: list[tuple[RawCue, str]] = []
    notes: list[str] = []
    while position < len(lines):
        line = lines[position]
        if not line.strip():
            position += 1
        elif match := TIMING.match(line):
            body, position = _block(lines, position + 1)
            start_s, end_s = _seconds(match.group(1, 2, 3, 4, 5)), _seconds(match.group(6, 7, 8, 9, 10))
            found.append((RawCue(start_s, max(start_s, end_s), "\n".join(body)), (match["settings"] or "").strip()))
        elif re.match(r"(NOTE|STYLE|REGION)\b", line) and not _timing_follows(lines, position):
            body, position = _block(lines, position)
            if line.startswith("NOTE"):
                notes.append("\n".join(body)[4:].strip())
        else:  # a cue identifier, or stray text
            position += 1
    found.sort(key=lambda pair: pair[0].start_s or 0.0)
    return Vtt([cue for cue, _ in found], [settings for _, settings in found], header, notes)


def _timing_follows(lines: list[str], position: int) -> bool:
    """A cue may be called NOTE 1: its timing line comes next."""
    return position + 1 < len(lines) and bool(TIMING.match(lines[position + 1]))


def _block(lines: list[str], position: int) -> tuple[list[str], int]:
    """Lines up to an empty line or a timing line, and where to go on.

    A line of blanks is part of a cue (YouTube's start with one), unless a timing line or its identifier follows.
    """
    body = []
    while position < len(lines) and lines[position] and not TIMING.match(lines[position]):
        if not lines[position].strip() and any(TIMING.match(line) for line in lines[position + 1 : position + 3]):
            break
        if not BROKEN_TIMING.match(lines[position]):
            body.append(lines[position])
        position += 1
    return body, position


def _seconds(groups: tuple[str | None, ...]) -> float:
    sign, hours, minutes, seconds, fraction = groups
    if sign:
        return 0.0
    part = int((fraction or "0").ljust(3, "0")) / 1000
    return round(int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0) + part, 3)
