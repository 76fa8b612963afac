"""The suites by name."""

from __future__ import annotations

from typing import Any

from quality.suites import recordings, release, segments, spoken_words
from quality.suites.base import Suite

SUITES: dict[str, Suite[Any]] = {s.name: s for s in (recordings.SUITE, segments.SUITE, release.SUITE, spoken_words.SUITE)}
"""Name → suite."""
