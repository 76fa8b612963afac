"""What MFA writes, read back: its JSON a file, its ``alignment_analysis.csv`` and the likelihoods in its database.

MFA's times are 32-bit floats printed as doubles (0.6000000238418579) on a grid of 10 ms, but for an end that is cut to the length
of the audio. Pauses are gaps between entries. The cut can make two entries overlap (the last phone but one then ends after the
last begins): the earlier one gives way. A word without a pronunciation has the phone ``spn``; one in brackets is renamed
``[bracketed]`` (not here, where words are codes: mfa.dictionary).
"""

from __future__ import annotations

import csv
import json
import math
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DIGITS = 5
"""Decimals kept of a time: a 32-bit float of 60 s is good to 4 µs."""
SILENT_PHONES = frozenset({"sil", "sp", "<eps>", ""})


class OutputError(Exception):
    """A file is not what MFA is known to write; the message says what was seen."""


@dataclass(frozen=True)
class Interval:
    """A label from ``start_s`` to ``end_s``."""

    label: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Word:
    """A word and the phones in it, in time order."""

    label: str
    start_s: float
    end_s: float
    phones: tuple[Interval, ...]

    @property
    def spoken_noise(self) -> bool:
        """MFA had no pronunciation for it."""
        return any(p.label == "spn" for p in self.phones)


def read_words(path: Path) -> list[Word]:
    """The words of one JSON file of ``mfa align --output_format json``, in time order, none overlapping.

    Raises:
        OutputError: not such a file, a tier missing, or times that do not run forward.
    """
    try:
        tiers = json.loads(path.read_text(encoding="utf-8"))["tiers"]
        words, phones = (_intervals(tiers[name]["entries"], f"{path.name}, tier {name}") for name in ("words", "phones"))
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError) as error:
        raise OutputError(f"{path.name}: not MFA's JSON of one speaker ({type(error).__name__}: {error})") from None
    found, at = [], 0
    for word in words:
        first = at
        while at < len(phones) and (phones[at].start_s + phones[at].end_s) / 2 < word.end_s:
            at += 1
        inside = tuple(p for p in phones[first:at] if (p.start_s + p.end_s) / 2 > word.start_s)
        if word.label not in SILENT_PHONES:
            found.append(Word(word.label, word.start_s, word.end_s, inside))
    return found


def _intervals(entries: list[list[Any]], where: str) -> list[Interval]:
    """Entries [begin, end, label] as intervals: rounded, pauses left out, overlaps cut."""
    out: list[Interval] = []
    for begin, end, label in entries:
        start_s, end_s = round(float(begin), DIGITS), round(float(end), DIGITS)
        if not (math.isfinite(start_s) and math.isfinite(end_s) and 0 <= start_s <= end_s):
            raise OutputError(f"{where}: '{label}' runs from {begin} to {end}")
        if label in SILENT_PHONES:
            continue
        if out and start_s < out[-1].end_s:
            if start_s < out[-1].start_s:
                raise OutputError(f"{where}: '{label}' at {begin} begins before '{out[-1].label}'")
            out[-1] = Interval(out[-1].label, out[-1].start_s, start_s)
        out.append(Interval(label, start_s, end_s))
    return out


@dataclass(frozen=True)
class Analysis:
    """One utterance in ``alignment_analysis.csv``; None where MFA left a field empty (it did not align it)."""

    log_likelihood: float | None
    """Per frame, silence included."""
    speech_log_likelihood: float | None
    """Mean over the phones of their mean log-likelihood a frame."""
    duration_deviation: float | None
    """Largest deviation of a phone's duration from its mean, in standard deviations."""
    snr_db: float | None


def read_analysis(path: Path) -> dict[tuple[str, str], Analysis]:
    """(speaker, file) → analysis; {} if there is no such file (MFA writes none where it aligned nothing).

    The same file name may stand for several speakers: only both together are a key.

    Raises:
        OutputError: the columns are not those of MFA 3.
    """
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as stream:
        try:
            return {
                (row["speaker"], row["file"]): Analysis(
                    _number(row["overall_log_likelihood"]), _number(row["speech_log_likelihood"]),
                    _number(row["phone_duration_deviation"]), _number(row["snr"]),
                )
                for row in csv.DictReader(stream)
            }  # fmt: skip
        except (KeyError, ValueError) as error:
            raise OutputError(f"{path.name}: not MFA 3's table ({type(error).__name__}: {error})") from None


def _number(text: str | None) -> float | None:
    value = float(text) if text else None
    return value if value is not None and math.isfinite(value) else None


@dataclass
class Likelihoods:
    """Log-likelihoods a frame of every phone, by utterance: what the database knows and no file says."""

    phones: dict[tuple[str, str], list[tuple[float, float, float]]] = field(default_factory=dict)
    """(speaker, file) → [(start_s, end_s, log-likelihood a frame)]."""

    def of(self, speaker: str, file: str, word: Word) -> float | None:
        """A word's mean over its frames; None where the database says nothing of it."""
        inside = [
            (end - start, value)
            for start, end, value in self.phones.get((speaker, file), [])
            if word.start_s < (start + end) / 2 < word.end_s and end > start
        ]
        total = sum(seconds for seconds, _ in inside)
        return sum(seconds * value for seconds, value in inside) / total if total else None


QUERY = """
SELECT speaker.name, file.name, phone_interval.begin, phone_interval.end, phone_interval.phone_goodness
FROM phone_interval JOIN utterance ON utterance.id = phone_interval.utterance_id
JOIN file ON file.id = utterance.file_id JOIN speaker ON speaker.id = utterance.speaker_id
WHERE phone_interval.word_interval_id IS NOT NULL AND phone_interval.phone_goodness <> 0
ORDER BY utterance.id, phone_interval.begin
"""


def read_likelihoods(root: Path) -> Likelihoods:
    """From the SQLite database that a run left below its MFA_ROOT_DIR; empty where it has none, or another schema."""
    found = Likelihoods()
    for path in sorted(root.rglob("*.db")):
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
            try:
                for speaker, file, begin, end, value in database.execute(QUERY):
                    found.phones.setdefault((speaker, file), []).append((float(begin), float(end), float(value)))
            except sqlite3.DatabaseError:
                continue
    return found
