"""Progress of long work on stderr: how far, how fast, how long still. One line now and then, fit for a log."""

from __future__ import annotations

import sys
import time


def clock(seconds: float) -> str:
    """A duration for a person.

    >>> clock(42), clock(3700)
    ('42 s', '1 h 01 min')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


class Progress:
    """Counts weighted work (weight = seconds of audio where there is audio) and prints a line every ``interval_s``."""

    def __init__(self, label: str, units: int, seconds: float, *, quiet: bool, interval_s: float = 10.0):
        """``units`` and ``seconds`` are the totals; ``seconds`` 0 means that the work is not audio."""
        self.label, self.units, self.seconds, self.quiet, self.interval_s = label, units, seconds, quiet, interval_s
        self.done_units, self.done_seconds = 0, 0.0
        self.started = self.last = time.monotonic()

    def advance(self, seconds: float = 0.0) -> None:
        """One more unit is done."""
        self.done_units += 1
        self.done_seconds += seconds
        now = time.monotonic()
        if not self.quiet and now - self.last >= self.interval_s:
            self.last = now
            print(self.line(now), file=sys.stderr, flush=True)

    def line(self, now: float | None = None) -> str:
        """The line as it would be printed now."""
        elapsed = max(1e-9, (time.monotonic() if now is None else now) - self.started)
        by_audio = self.seconds > 0
        share = self.done_seconds / self.seconds if by_audio else self.done_units / max(1, self.units)
        rate = f"{self.done_seconds / elapsed:.1f}× real time" if by_audio else f"{self.done_units / elapsed:.1f}/s"
        left = clock(elapsed / share - elapsed) if share > 0 else "unknown"
        return f"{self.label}: {self.done_units}/{self.units} ({share:.0%}), {rate}, {left} left"
