"""Placing words with the acoustic model in pocketsphinx's wheel: English only, phones, every word and pause optional."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from align.accept import SPHINX
from align.aligner import Read
from align.language import foreign
from align.place import TokenPlace, place_tokens
from align.sphinx_model import AcousticModel, load_model
from align.windows import Anchor, Window


class SphinxAligner:
    """See `align.aligner.Aligner`."""

    limits = SPHINX

    def place(
        self, read: Read, samples: int, words: Sequence[str], cuts: Sequence[Window], runs: Sequence[Sequence[Anchor]]
    ) -> list[TokenPlace]:
        """See `align.aligner.Aligner.place`, and `align.place`."""
        return place_tokens(_model(), read, words, cuts, runs)

    def foreign(self, places: Sequence[TokenPlace]) -> str | None:
        """See `align.aligner.Aligner.foreign`, and `align.language`."""
        return foreign(_model(), places)


@functools.cache
def _model() -> AcousticModel:
    return load_model()
