"""Which member of a duplicate cluster is kept, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

LAST = "\uffff"
"""Sorts after every date and batch key: an unknown date is the latest."""


@dataclass(frozen=True)
class Standing:
    """What speaks for a document or a recording."""

    id: str
    human: bool
    """Its text is known to be written by people."""
    batch: str
    """Batch that brought it first, YYYY.MM."""
    aligned_s: float
    """Seconds of speech that were aligned to its text."""
    added_at: str
    """Date the source added it, ISO 8601; LAST if unknown."""
    audio_kept: bool = True
    """For a document: its recording is the one that is kept of its audio cluster."""

    def rank(self) -> tuple[bool, bool, bool, str, float, str, str]:
        """Sort key; the smallest is kept.

        In this order: its recording is kept; speech was aligned at all, for what has none is in no release and would only keep
        its copies out; human text over text of unknown origin; the batch that came first, so that a new copy takes nothing out
        of a release that is out; more aligned speech; added earlier; the smaller id.
        """
        aligned_s = round(self.aligned_s, 3)
        return (not self.audio_kept, aligned_s <= 0, not self.human, self.batch, -aligned_s, self.added_at or LAST, self.id)


def choose(members: Iterable[str], standings: Mapping[str, Standing]) -> str:
    """The member that is kept."""
    return min((standings[m] for m in members), key=Standing.rank).id
