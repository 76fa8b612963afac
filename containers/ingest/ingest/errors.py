"""What can be wrong with one item. Each error carries the reason that the ledger counts it under."""

from __future__ import annotations

from stagekit.tables import Reason


class CaptionError(Exception):
    """A caption or text file cannot be used. The message says what was seen."""

    reason = Reason.CAPTION_UNREADABLE


class CaptionUnreadable(CaptionError):  # noqa: N818 - reads as what it is where it is raised
    """The bytes are not text, or not of the format they claim."""


class CaptionEmpty(CaptionError):  # noqa: N818
    """The file has no cue, or no word of speech in its cues."""

    reason = Reason.CAPTION_EMPTY
