"""Figures about a release: computed once, used by the card, the plots and the report."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from release.creators import creator_names

DURATION_EDGES_S = tuple(float(x) for x in range(0, 17))
CER_EDGES = tuple(round(0.02 * x, 2) for x in range(0, 21))


@dataclass
class Part:
    """One split of one config."""

    clips: int = 0
    audio_s: float = 0.0
    speech_s: float = 0.0
    words: int = 0
    recordings: set[str] = field(default_factory=set)
    creators: set[str] = field(default_factory=set)
    """As `release split` tells them apart: one for all spellings of a name, none for collective ones."""


@dataclass
class Figures:
    """What a card shows of the clips: parts by (config, split), histograms, credits by item."""

    parts: dict[tuple[str, str], Part] = field(default_factory=dict)
    durations: np.ndarray = field(default_factory=lambda: np.zeros(len(DURATION_EDGES_S) - 1, dtype=np.int64))
    cer: np.ndarray = field(default_factory=lambda: np.zeros(len(CER_EDGES) - 1, dtype=np.int64))
    cut_at_pause: int = 0
    licenses: dict[tuple[str, str], float] = field(default_factory=dict)
    """(family, version) → hours of clips."""
    credits: dict[str, dict[str, Any]] = field(default_factory=dict)
    """item_id → its license and attribution columns, with clips and seconds."""

    @property
    def clips(self) -> int:
        """All clips."""
        return sum(p.clips for p in self.parts.values())

    @property
    def audio_s(self) -> float:
        """Seconds of all clips, padding included."""
        return sum(p.audio_s for p in self.parts.values())


CREDIT = (
    "title",
    "creator",
    "source_url",
    "license_family",
    "license_version",
    "license_jurisdiction",
    "license_url",
    "license_evidence",
    "license_seen_at",
    "attribution",
)


def collect_figures(rows: Iterable[Mapping[str, Any]], collective: Collection[str] = ()) -> Figures:
    """Go once through the rows of ``release_segments``. ``collective``: further creator names that stand for nobody."""
    figures = Figures()
    names = cache(lambda stated: creator_names(stated, collective))
    durations: list[float] = []
    cer: list[float] = []
    for row in rows:
        config = f"{row['subset']}-{row['license_group']}"
        part = figures.parts.setdefault((config, row["split"]), Part())
        part.clips += 1
        part.audio_s += row["duration_s"]
        part.speech_s += row["speech_end_s"] - row["speech_start_s"]
        part.words += len(row["text"].split())
        part.recordings.add(row["recording_id"])
        part.creators.update(names(row["creator"]))
        figures.cut_at_pause += row["cut_at_pause"]
        key = (row["license_family"], row["license_version"] or "")
        figures.licenses[key] = figures.licenses.get(key, 0.0) + row["duration_s"] / 3600
        credit = figures.credits.setdefault(row["item_id"], {n: row[n] for n in CREDIT} | {"clips": 0, "seconds": 0.0})
        credit["clips"] += 1
        credit["seconds"] += row["duration_s"]
        durations.append(row["duration_s"])
        if row["cer"] is not None:
            cer.append(row["cer"])
        if len(durations) >= 100_000:
            _bin(figures, durations, cer)
    _bin(figures, durations, cer)
    return figures


def _bin(figures: Figures, durations: list[float], cer: list[float]) -> None:
    figures.durations += np.histogram(np.clip(durations, 0, DURATION_EDGES_S[-1]), DURATION_EDGES_S)[0]
    figures.cer += np.histogram(np.clip(cer, 0, CER_EDGES[-1]), CER_EDGES)[0]
    durations.clear()
    cer.clear()


def hours(seconds: float) -> str:
    """Hours, or minutes where that says more.

    >>> hours(30), hours(5400), hours(360000)
    ('0.5 min', '1.50 h', '100.0 h')
    """
    if seconds < 3600:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.2f} h" if seconds < 36_000 else f"{seconds / 3600:,.1f} h"


def ledger_lines(ledger: Mapping[str, Any]) -> list[tuple[str, str, float, float]]:
    """Where every second went: (kept or rejected, part or reason, seconds, share of input); shares sum to 1."""
    total = ledger["in"]["seconds"] or 1.0
    lines = [("kept", part, k["seconds"], k["seconds"] / total) for part, k in ledger["kept"].items()]
    rejected = sorted(ledger["rejected"].items(), key=lambda r: (-r[1]["seconds"], r[0]))
    return lines + [("rejected", reason, r["seconds"], r["seconds"] / total) for reason, r in rejected]


def empty_splits(figures: Figures) -> list[str]:
    """Held-out splits that have no clip."""
    return [s for s in ("dev", "test") if not any(split == s and p.clips for (_, split), p in figures.parts.items())]
