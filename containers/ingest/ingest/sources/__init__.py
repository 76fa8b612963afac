"""Sources: where items come from. One module a source, each with ``discover(params, …) -> Iterator[Item | Rejection]``.

Discovery reads only what a source says about its items (rights, files, claimed durations); no audio is opened. Every audio file
that a source holds comes out once: as an :class:`Item`, or as a :class:`Rejection`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stagekit.tables import Reason


@dataclass(frozen=True)
class Item:
    """One audio file with its caption and its license. ``row`` is a row of the items table, ids of the content null."""

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
