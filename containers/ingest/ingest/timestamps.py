"""Timestamps in plain text, which transcription services put at each turn and nobody says.

    Speaker 1 (00:15):        Jane Doe  0:15        [00:00:15] So we went        00:15        0:00:15.000,0:00:18.200

They are known by being many, at most paragraphs, and in order; a clock time in a text that was read is none of these.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_CLOCK = r"(?:\d{1,3}:)?[0-5]?\d:[0-5]\d(?:[.,]\d{1,3})?"
_FIRST = re.compile(
    rf"(?P<open>[\[(])?(?P<clock>{_CLOCK})(?: ?(?:-->|[-–—,]) ?{_CLOCK})?(?(open)[\])])(?![\w:.,])(?! ?[ap]\.?m\b)"
    r" ?(?:[-–—:|] )?",
    re.I,
)
_LAST = re.compile(rf" (?P<open>[\[(])?(?P<clock>{_CLOCK})(?(open)[\])]) ?:? ?$")
_NAME = re.compile(r"[^\W\d_][\w.'’-]*(?: [\w.'’-]+){0,3}(?<!\.) ?:?")
LEAST = 3
"""Fewer are no timestamps."""


def without_timestamps(paragraphs: Sequence[str]) -> list[str]:
    r"""Paragraphs without them; a name that one stands behind has a colon then. Unchanged if they are no timestamps.

    >>> without_timestamps(["Jane Doe  0:15\nYes.", "Speaker 2 (00:17):\nNo.", "Jane Doe  0:19\nAt 5:30 then."])
    ['Jane Doe:\nYes.', 'Speaker 2:\nNo.', 'Jane Doe:\nAt 5:30 then.']
    """
    read = [[_read(" ".join(line.split())) for line in paragraph.split("\n") if line.strip()] for paragraph in paragraphs]
    times = [time_s for lines in read for _, time_s in lines if time_s is not None]
    stamped = sum(any(time_s is not None for _, time_s in lines) for lines in read)
    many = 2 * stamped >= len(paragraphs) > 1 or 4 * len(times) >= sum(map(len, read))
    if len(times) < LEAST or not many or times != sorted(times):
        return list(paragraphs)
    left = ["\n".join(line for line, _ in lines if line) for lines in read]
    return [paragraph for paragraph in left if paragraph]


def _read(line: str) -> tuple[str, float | None]:
    """A line (single blanks) without its timestamp, and that in seconds; None if it has none."""
    if match := _FIRST.match(line):
        return line[match.end() :], _seconds(match["clock"])
    if match := _LAST.search(line):
        before = line[: match.start()]
        if _NAME.fullmatch(before):
            return f"{before.rstrip(' :')}:", _seconds(match["clock"])
        if match["open"]:
            return before, _seconds(match["clock"])
    return line, None


def _seconds(clock: str) -> float:
    seconds = 0.0
    for part in clock.replace(",", ".").split(":"):
        seconds = 60 * seconds + float(part)
    return seconds
