"""What every aligner has in common: from windows of a document to its words where the sound has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from align.accept import Limits
from align.place import TokenPlace
from align.windows import Anchor, Window

Read = Callable[[int, int], NDArray[np.float32]]
"""Samples [start, end) of a recording, 16 kHz mono."""


class Aligner(Protocol):
    """Places words. Construction is cheap; models are loaded on use and shared inside a process."""

    limits: Limits
    """What its scores have to reach."""

    def place(
        self, read: Read, samples: int, words: Sequence[str], cuts: Sequence[Window], runs: Sequence[Sequence[Anchor]]
    ) -> list[TokenPlace]:
        """Words of a document, in the order of time and without overlap; a token twice only if it was said twice.

        Args:
            read: the recording.
            samples: its length.
            words: the document's tokens.
            cuts: windows, in the order of time.
            runs: anchors by run. A token that another run holds is not looked for in this one.
        """
        ...

    def foreign(self, places: Sequence[TokenPlace]) -> str | None:
        """Why words that a biased recogniser heard were not spoken in the document's language; None if nothing says so."""
        ...
