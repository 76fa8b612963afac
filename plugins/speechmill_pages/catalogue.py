"""What is in the warehouse, for people: releases (``release.json``), batches (``batch.json``) and the verdicts of their gates.

Read anew for each page: the files are small, and what is shown is what is there. A file that cannot be read is shown as
such, and hides nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PRODUCTS = {"releases": "release.json", "batches": "batch.json"}
"""Folder of the warehouse → the file that says that something in it is finished."""


@dataclass(frozen=True)
class Share:
    """One stretch of a ledger bar."""

    name: str
    seconds: float
    percent: float
    kept: bool


@dataclass(frozen=True)
class Gate:
    """A verdict of Great Expectations."""

    suite: str
    passed: bool
    failures: tuple[str, ...]
    warnings: tuple[str, ...]
    docs: str
    """Path of its Data Docs below the pages' address."""


@dataclass(frozen=True)
class Entry:
    """A release, a batch, or what a gate stopped before it became one."""

    dataset: str
    language: str
    key: str
    """Version of a release, month of a batch."""
    about: Mapping[str, Any]
    """``release.json`` or ``batch.json``; empty if there is none."""
    ledger: tuple[Share, ...]
    gates: tuple[Gate, ...]
    error: str = ""

    @property
    def place(self) -> str:
        """``dataset/language/key``."""
        return f"{self.dataset}/{self.language}/{self.key}"

    @property
    def seconds_in(self) -> float:
        """Source seconds of the whole bar."""
        return sum(s.seconds for s in self.ledger)

    @property
    def seconds_kept(self) -> float:
        """Source seconds that were kept."""
        return sum(s.seconds for s in self.ledger if s.kept)


def duration(seconds: float) -> str:
    """A duration for a person.

    >>> duration(42), duration(600), duration(7260)
    ('42 s', '10.0 min', '2.0 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:,.1f} h"


def shares(ledger: Mapping[str, Any]) -> tuple[Share, ...]:
    """A ledger's bar: what was kept (of a batch one number, of a release one a part), then what was rejected, largest first."""
    kept = ledger["kept"]
    parts = {"kept": kept} if "seconds" in kept else kept
    rows = [(name, float(v["seconds"]), True) for name, v in sorted(parts.items())]
    rejected = sorted(ledger["rejected"].items(), key=lambda r: (-r[1]["seconds"], r[0]))
    rows += [(name.replace("_", " "), float(v["seconds"]), False) for name, v in rejected]
    total = sum(r[1] for r in rows) or 1.0
    return tuple(Share(name, seconds, 100 * seconds / total, is_kept) for name, seconds, is_kept in rows if seconds > 0)


def gates(root: Path, place: str) -> tuple[Gate, ...]:
    """Verdicts below ``quality/<place>``, by suite."""
    found = []
    for file in sorted((root / "quality" / place).glob("*/verdict.json")):
        suite = file.parent.name
        try:
            verdict = json.loads(file.read_bytes())
            lines = tuple(verdict["failures"]), tuple(verdict["warnings"])
            found.append(Gate(suite, bool(verdict["passed"]), *lines, f"quality/{place}/{suite}/index.html"))
        except (OSError, ValueError, KeyError, TypeError) as error:
            found.append(Gate(suite, False, (f"{file.name} cannot be read: {error}",), (), f"quality/{place}/{suite}/index.html"))
    return tuple(found)


def releases(root: Path) -> list[Entry]:
    """Published releases, the latest first."""
    return _newest_first(_entry(root, file) for file in (root / "releases").glob("*/*/*/release.json"))


def batches(root: Path) -> list[Entry]:
    """Sealed batches, the latest first."""
    return _newest_first(_entry(root, file) for file in (root / "batches").glob("*/*/*/batch.json"))


def stopped(root: Path) -> list[Entry]:
    """What was checked, and is neither sealed nor published: a gate stopped it, or it waits for a person."""
    waiting = []
    for folder in (root / "quality").glob("*/*/*"):
        dataset, language, key = folder.parts[-3:]
        place = f"{dataset}/{language}/{key}"
        for product, mine in _by_product(gates(root, place)).items():
            if mine and not (root / product / place / PRODUCTS[product]).is_file():
                waiting.append(Entry(dataset, language, key, {}, (), mine))
    return _newest_first(waiting)


def _by_product(found: Iterable[Gate]) -> dict[str, tuple[Gate, ...]]:
    """Gates by what they let through: suite ``release`` a release, the others a batch of the same month."""
    listed = list(found)
    release = tuple(g for g in listed if g.suite == "release")
    return {"releases": release, "batches": tuple(g for g in listed if g.suite != "release")}


def _entry(root: Path, file: Path) -> Entry:
    dataset, language, key = file.parent.parts[-3:]
    place = f"{dataset}/{language}/{key}"
    mine = _by_product(gates(root, place))[file.parents[3].name]
    try:
        about = json.loads(file.read_bytes())
        ledger = about["ledger"] if "ledger" in about else json.loads(file.with_name("ledger.json").read_bytes())
        return Entry(dataset, language, key, about, shares(ledger), mine)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Entry(dataset, language, key, {}, (), mine, f"{file.name} cannot be read: {type(error).__name__}: {error}")


def _newest_first(entries: Iterable[Entry]) -> list[Entry]:
    def order(entry: Entry) -> tuple[str, str, list[int]]:
        return entry.dataset, entry.language, [-int(n) if n.isdigit() else 0 for n in entry.key.split(".")]

    return sorted(entries, key=order)
