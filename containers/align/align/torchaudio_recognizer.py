"""Recognition by a CTC model of torchaudio, or of a checkpoint folder, on a GPU or a CPU: `align.ctc.checkpoint` says which.

It hears letters, so it knows no vocabulary, and by default no document: what it hears is evidence by itself. Words have the times
of their letters' frames (20 ms); CTC is late and brief with them, which forced alignment makes good.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from align.ctc.beam import BeamSearch
from align.ctc.checkpoint import Choice, load
from align.ctc.chunks import RATE, cut
from align.ctc.emissions import Emission
from align.ctc.encoder import Encoder
from align.ctc.greedy import Spoken, greedy
from align.recognizer import HeardWord
from stagekit.errors import StageError


class Search(Protocol):
    """From an emission to words."""

    def __call__(self, emission: Emission) -> list[Spoken]:
        """Words in the order of time; frames count from the emission's first."""
        ...


class CtcDecoder:
    """See `align.recognizer.Decoder`."""

    def __init__(self, encoder: Encoder, search: Search) -> None:
        """What hears, and what makes words of it."""
        self.encoder, self.search = encoder, search

    def transcribe(self, samples: NDArray[np.float32]) -> list[str]:
        """See `align.recognizer.Decoder.transcribe`."""
        return [w.word for w in self.hear(samples)]

    def hear(self, samples: NDArray[np.float32]) -> list[HeardWord]:
        """See `align.recognizer.Decoder.hear`; a word's score is the mean log probability of its letters' frames."""
        chunks = cut(self.encoder.geometry, len(samples))
        made = self.encoder.emissions([samples[c.start : c.end] for c in chunks])
        stride = self.encoder.geometry.stride
        return self.read(np.concatenate([e[c.inside(stride)] for e, c in zip(made, chunks, strict=True)])) if chunks else []

    def read(self, emission: Emission, first: int = 0) -> list[HeardWord]:
        """Words of an emission whose first frame is frame ``first`` of the audio that times count from."""
        at = self.encoder.geometry.seconds
        return [
            HeardWord(s.word, at(first + s.start), at(first + s.end), round(s.score, 4)) for s in self.search(emission)
        ]


class TorchaudioRecognizer:
    """Any language that there is a model of. See `align.recognizer.Recognizer`."""

    name = "torchaudio"

    def __init__(self, choice: Choice, language: str, biases: bool = False) -> None:
        """A recogniser.

        Args:
            choice: of `align.ctc.checkpoint.chosen`.
            language: what is spoken; English has general words beside a document's own.
            biases: whether `biased` is told of the document.
        """
        self.choice, self.language, self.biases = choice, language, biases

    @property
    def encoder(self) -> Encoder:
        """The model, loaded once in a process."""
        encoder = load_encoder(self.choice)
        if encoder.tokens.separator is None:
            raise StageError(f"model {self.choice.model} has no token between words: it can align, not recognise")
        return encoder

    def open(self) -> CtcDecoder:
        """Greedy."""
        tokens = self.encoder.tokens
        return CtcDecoder(self.encoder, lambda emission: greedy(emission, tokens))

    def biased(self, words: Sequence[str]) -> CtcDecoder:
        """Beam search with a trigram of the document, if the recogniser is to be biased; else as `open`."""
        if not self.biases:
            return self.open()
        from align.pocketsphinx_recognizer import general_unigrams  # here: only this needs pocketsphinx

        general = general_unigrams() if self.language.partition("-")[0].lower() == "en" else {}
        return CtcDecoder(self.encoder, BeamSearch(self.encoder.tokens, words, general))


@functools.lru_cache(maxsize=1)
def load_encoder(choice: Choice) -> Encoder:
    """A model on the process's device; the last one is kept."""
    return Encoder(load(choice))


__all__ = ["RATE", "CtcDecoder", "TorchaudioRecognizer", "load_encoder"]
