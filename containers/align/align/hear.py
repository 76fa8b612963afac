"""Runs a decoder over the speech of a recording, piece by piece, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from align.recognizer import Decoder, HeardWord
from align.vad import RATE, Stretch, chunks, speech_probabilities, speech_stretches
from stagekit.audio import Pcm


def find_speech(pcm: Pcm) -> tuple[list[Stretch], list[Stretch]]:
    """Stretches of speech, and the pieces of them to decode."""
    probability = speech_probabilities(block for _, block in pcm.blocks())
    stretches = speech_stretches(probability, len(pcm))
    return stretches, chunks(stretches, probability)


def hear(pcm: Pcm, pieces: Iterable[Stretch], decoder: Decoder) -> list[HeardWord]:
    """Words heard in all pieces, in time order; times count from the start of the recording."""
    out: list[HeardWord] = []
    for piece in pieces:
        offset, longest = piece.start / RATE, piece.end / RATE
        for word in decoder.hear(np.asarray(pcm.read(piece.start, piece.end))):
            start, end = offset + word.start_s, min(offset + word.end_s, longest)
            # A recogniser's word may reach back over its neighbour's end by a frame; order is kept, overlap is not.
            start = max(start, out[-1].end_s if out else 0.0)
            out.append(HeardWord(word.word, round(start, 3), round(max(start, end), 3), word.score))
    return out
