"""Sources: where items come from. One module a source, each with ``discover(…) -> Iterator[Item | Rejection]``.

They are listed in ``ingest.discover.SOURCES``; containers/ingest/README.md says how to add one.

Discovery reads only what a source says about its items (rights, files, claimed durations); no audio is opened. Every audio file
that a source holds comes out once: as an :class:`Item`, or as a :class:`Rejection`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ingest.licenses import ACCEPTED_FAMILIES, License, UnknownLicense, parse_license
from stagekit.errors import StageError
from stagekit.tables import ITEMS, LICENSE_COLUMNS, Reason

KINDS: dict[str, tuple[type, ...]] = {"string": (str,), "int64": (int,), "double": (float, int)}
"""Types of the columns of items, and Python's."""


@dataclass(frozen=True)
class Item:
    """One audio file with its caption and its license.

    ``row`` is a row of the items table; what may be null may be left out. The license columns are those of
    ``licenses.decide(…).columns()``.
    """

    row: dict[str, Any]

    @property
    def item_id(self) -> str:
        """``<source>:<identifier>/<audio file>``."""
        return str(self.row["item_id"])

    @property
    def seconds(self) -> float:
        """The duration that the source claims, 0 if it claims none."""
        return float(self.row["claimed_duration_s"] or 0.0)


@dataclass(frozen=True)
class Rejection:
    """One audio file (or an item where none can be named) that may not or cannot be used. ``seconds``: claimed, 0 if unknown."""

    item_id: str
    reason: Reason
    detail: str
    seconds: float = 0.0


Found = Item | Rejection
"""What discovery yields."""


def checked(item: Item, source: str) -> Item:
    """The item with all columns of the table.

    Raises:
        StageError: a column is unknown or lacks its value, the ids are not the source's, or the license columns are not what
            ``licenses.decide`` gives. It is an error of the source's module, not of what it read.
    """
    row: dict[str, Any] = {c.name: item.row.get(c.name) for c in ITEMS.columns}
    where = f"source {source!r}, item {row['item_id']!r}"
    if unknown := sorted(set(item.row) - set(row)):
        raise StageError(f"{where}: the table items has no column {', '.join(unknown)}")
    if lacking := [c.name for c in ITEMS.columns if row[c.name] is None and not c.nullable]:
        raise StageError(f"{where}: no value in column {', '.join(lacking)}")
    if other := [c.name for c in ITEMS.columns if row[c.name] is not None and not isinstance(row[c.name], KINDS[str(c.type)])]:
        raise StageError(f"{where}: column {other[0]} is {row[other[0]]!r}, the table has {ITEMS.schema.field(other[0]).type}")
    if row["claimed_duration_s"] is not None and not 0 <= row["claimed_duration_s"] < math.inf:
        raise StageError(f"{where}: column claimed_duration_s is {row['claimed_duration_s']!r}: seconds, or None if unknown")
    if row["source"] != source:
        raise StageError(f"{where}: column source is {row['source']!r}")
    if not row["item_id"].startswith(begin := f"{source}:{row['identifier']}/"):
        raise StageError(f"{where}: column item_id must be '{begin}<audio file>'")
    try:
        license = parse_license(row["license_url"])
    except UnknownLicense as error:
        raise StageError(f"{where}: column license_url: {error}; take the columns of licenses.decide()") from None
    stated = License(row["license_family"], row["license_version"], row["license_jurisdiction"])
    if stated != license or license.family not in ACCEPTED_FAMILIES:
        raise StageError(f"{where}: columns license_* say {stated}, license_url {license}; take those of licenses.decide()")
    if empty := [c.name for c in LICENSE_COLUMNS if row[c.name] == ""]:
        raise StageError(f"{where}: no value in column {', '.join(empty)}; take the columns of licenses.decide()")
    return Item(row)
