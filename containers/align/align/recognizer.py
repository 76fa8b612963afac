"""What every recogniser has in common, so that another (CTC on a GPU) can take the place of the one on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class HeardWord:
    """A word that a recogniser heard; seconds from the start of the audio it was given."""

    word: str
    start_s: float
    end_s: float
    score: float | None


class Decoder(Protocol):
    """A recogniser made ready for one kind of decoding."""

    def transcribe(self, samples: NDArray[np.float32]) -> list[str]:
        """The words alone."""
        ...

    def hear(self, samples: NDArray[np.float32]) -> list[HeardWord]:
        """Words in 16 kHz mono audio in [-1, 1], in time order. The same samples give the same words, whatever came before."""
        ...


class Recognizer(Protocol):
    """Makes decoders. Construction is cheap; models are loaded on use and shared inside a process."""

    name: str
    biases: bool
    """Whether `biased` knows the document; otherwise it is `open`."""

    def open(self) -> Decoder:
        """A decoder with the recogniser's own language model: it knows nothing of any document."""
        ...

    def biased(self, words: Sequence[str]) -> Decoder:
        """A decoder that expects a document.

        Args:
            words: its tokens in order: spoken form, lower case.
        """
        ...
