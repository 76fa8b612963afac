"""SubRip: numbered cues with ``00:00:02,590 --> 00:00:07,630``. Missing numbers and missing or extra blank lines are fine."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

CENTISECOND_SHARE = 0.5
"""A file in which more than half of the fractions have two digits counts in centiseconds. The Internet Archive's ``.asr.srt``
files do: 3,422 of 3,430 fractions of BOS2015April7.asr.srt have two digits, the other 8 are ``,100``; the times only ascend
if every fraction is read as n/100."""

_TIME = r"([-−]?)(?:(\d{1,6}):)?(\d{1,3}):(\d{1,2})(?:[,.;:](\d{1,3})\d*)?"
TIMING = re.compile(rf"^\s*{_TIME}\s*[-–—]{{1,3}}\s?>\s*{_TIME}(?:\s.*)?$")
"""A timing line of SubRip, with the variants that players accept, and times before 0, which count as 0."""
BROKEN_TIMING = re.compile(r"^\s*[-−]?\d+:\d+\S*\s*-->")
"""The start of a timing line; one that cannot be read is no text."""


@dataclass(frozen=True)
class RawCue:
    """One cue as it stands in the file: seconds (None in plain text) and its lines, markup included."""

    start_s: float | None
    end_s: float | None
    text: str


def parse_srt(text: str) -> list[RawCue]:
    """The cues of a SubRip file by start time (cues of equal start keep their order); [] if there is no timing line.

    A cue's text reaches to the next timing line that can be read; numbers before timing lines are not part of it.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    timings = [(i, match) for i, line in enumerate(lines) if "-" in line and ">" in line and (match := TIMING.match(line))]
    unit = _fraction_unit([f for _, m in timings for f in (m[5], m[10]) if f])
    cues = []
    for place, (at, match) in enumerate(timings):
        last = place + 1 == len(timings)
        end = len(lines) if last else timings[place + 1][0]
        body = _without_broken_timings(lines[at + 1 : end])
        if not last:
            body = _without_number(body)
        start_s, end_s = (_seconds(match.group(*groups), unit) for groups in ((1, 2, 3, 4, 5), (6, 7, 8, 9, 10)))
        cues.append(RawCue(start_s, max(start_s, end_s), "\n".join(line.strip() for line in body if line.strip())))
    return sorted(cues, key=lambda cue: cue.start_s or 0.0)


def _without_broken_timings(body: list[str]) -> list[str]:
    kept: list[str] = []
    for line in body:
        if BROKEN_TIMING.match(line):
            kept = _without_number(kept)
        else:
            kept.append(line)
    return kept


def _without_number(body: list[str]) -> list[str]:
    """Drop the next cue's number: digits right before its timing line, or on a line of their own between blank lines."""
    filled = [i for i, line in enumerate(body) if line.strip()]
    if filled and body[filled[-1]].strip().isdigit():
        last = filled[-1]
        if last == len(body) - 1 or (last > 0 and not body[last - 1].strip()):
            return body[:last]
    return body


def _fraction_unit(fractions: list[str]) -> float:
    """Seconds of one unit of the fraction: 1/100 or 1/1000, decided for the whole file (see :data:`CENTISECOND_SHARE`).

    Fewer digits are a smaller number, as players read them: in a file of milliseconds ``,5`` is 5 ms.
    """
    digits = Counter(map(len, fractions))
    return 0.01 if fractions and digits[2] > CENTISECOND_SHARE * len(fractions) else 0.001


def _seconds(groups: tuple[str | None, ...], unit: float) -> float:
    sign, hours, minutes, seconds, fraction = groups
    if sign:
        return 0.0
    return round(int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0) + int(fraction or 0) * unit, 3)
