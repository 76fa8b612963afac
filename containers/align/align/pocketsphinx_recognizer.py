"""A recogniser that can be biased to a document: pocketsphinx 5 with the en-us model in its wheel (BSD)."""

from __future__ import annotations

import functools
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pocketsphinx
from numpy.typing import NDArray

from align.lm import write_document_lm
from align.pronounce import pronunciations
from align.recognizer import HeardWord
from align.sphinx_model import load_dictionary, model_folder

GENERAL_WORDS = 2_000
"""How many of the most frequent English words a document's model knows besides its own."""
OPEN_SEARCH = {"fwdflat": False, "maxhmmpf": 5000}
"""One pass instead of two and at most 5,000 active states: the same precision as the default (0.92 and 0.71 of the words heard
on two recordings) in three fifths of its time."""
BIASED_SEARCH = {"fwdflat": False}
SHORTEST = 1600
"""Samples; less has no feature frames worth decoding."""
FRAME_S = 0.01


class PocketsphinxDecoder:
    """One configured decoder; see `align.recognizer.Decoder`."""

    def __init__(self, decoder: pocketsphinx.Decoder) -> None:
        """Takes a decoder that no one else uses."""
        self._decoder = decoder

    def transcribe(self, samples: NDArray[np.float32]) -> list[str]:
        """See `align.recognizer.Decoder.transcribe`."""
        return [w.word for w in self.hear(samples)]

    def hear(self, samples: NDArray[np.float32]) -> list[HeardWord]:
        """See `align.recognizer.Decoder.hear`; a word's score is its log posterior (0 where there is no lattice)."""
        if len(samples) < SHORTEST:
            return []
        pcm = np.clip(np.round(samples * 32768.0), -32768, 32767).astype("<i2").tobytes()
        self._decoder.start_stream()  # forgets the noise of what came before
        self._decoder.start_utt()
        self._decoder.process_raw(pcm, full_utt=True)
        self._decoder.end_utt()
        if self._decoder.hyp() is None:
            return []
        log = self._decoder.get_logmath()
        return [
            HeardWord(
                re.sub(r"\(\d+\)$", "", s.word), s.start_frame * FRAME_S, (s.end_frame + 1) * FRAME_S,
                round(log.log_to_ln(s.prob) if isinstance(s.prob, int) else float(s.prob), 4),
            )
            for s in self._decoder.seg()
            if s.word[0] not in "<[+"
        ]  # fmt: skip


class PocketsphinxRecognizer:
    """English only. See `align.recognizer.Recognizer`."""

    name = "pocketsphinx"
    biases = True

    def open(self) -> PocketsphinxDecoder:
        """With the wheel's general English model."""
        return _open_decoder()

    def biased(self, words: Sequence[str]) -> PocketsphinxDecoder:
        """With a trigram model of the document and pronunciations of its own words; words without one are left out."""
        own = [w for w in words if pronunciations(w)]
        with tempfile.TemporaryDirectory(prefix="align-lm-") as folder:
            lm, dictionary = Path(folder) / "document.arpa", Path(folder) / "document.dict"
            vocabulary = write_document_lm(lm, own, general_unigrams())
            with open(dictionary, "w", encoding="utf-8") as out:
                for word in vocabulary:
                    for i, phones in enumerate(pronunciations(word)):
                        out.write(f"{word}{f'({i + 1})' if i else ''} {' '.join(phones)}\n")
            return PocketsphinxDecoder(_decoder(lm=str(lm), dict=str(dictionary), **BIASED_SEARCH))


def _decoder(**settings: object) -> pocketsphinx.Decoder:
    return pocketsphinx.Decoder(loglevel="FATAL", cmn="batch", **settings)


@functools.lru_cache(maxsize=1)
def _open_decoder() -> PocketsphinxDecoder:
    return PocketsphinxDecoder(_decoder(**OPEN_SEARCH))


@functools.lru_cache(maxsize=1)
def general_unigrams() -> dict[str, float]:
    """Probabilities of the most frequent words of the wheel's English model."""
    decoder = pocketsphinx.Decoder(loglevel="FATAL", lm=None, dict=None, hmm=str(model_folder() / "en-us"))
    model = pocketsphinx.NGramModel(decoder.config, decoder.logmath, str(model_folder() / "en-us.lm.bin"))
    scored = [(decoder.logmath.exp(model.prob([w])), w) for w in load_dictionary() if w.replace("'", "").isalpha()]
    return {w: p for p, w in sorted(scored, key=lambda s: (-s[0], s[1]))[:GENERAL_WORDS]}
