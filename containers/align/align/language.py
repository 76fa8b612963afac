"""Whether the claimed text, in the claimed language, is what the audio holds.

Two measures, neither of which asks the recogniser:

* `language_score` of a segment: log likelihood per frame of its text, forced onto its audio word for word, above that of
  unrelated English words with as many phones. A text that was not said does no better than any other. Where a CTC model heard
  another language, `letters_score` compares the text with its own letters in another order.
* `rhythm` of a document: how far the lengths of its phones lie from those of English read aloud. Words that an English
  recogniser heard in Mandarin or German fit the sound, but have to stretch and squeeze their phones to do so.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from align.ctc.alignment import NoPath, align_tokens
from align.ctc.emissions import Emission
from align.ctc.tokens import Tokens
from align.features import cepstra
from align.forced import Penalties, place_words
from align.place import TokenPlace, phones_of
from align.sphinx_model import AcousticModel

NO_WAY_OUT = Penalties(skip=-1000.0, filler=-1000.0)
"""Every word must be taken."""
FINAL_PAUSE_S = 0.08
"""The last two phones before a pause of this length are lengthened by it, and do not count as rhythm."""

TYPICAL_LOG_FRAMES = {
    "AA": 2.26, "AE": 2.21, "AH": 1.53, "AO": 2.24, "AW": 2.55, "AY": 2.47, "B": 1.72, "CH": 2.32, "D": 1.63, "DH": 1.52,
    "EH": 1.94, "ER": 2.23, "EY": 2.35, "F": 2.22, "G": 1.98, "HH": 1.85, "IH": 1.68, "IY": 2.14, "JH": 2.2, "K": 2.17, "L":
    2.06, "M": 1.98, "N": 1.77, "NG": 2.17, "OW": 2.24, "P": 2.01, "R": 1.89, "S": 2.33, "SH": 2.42, "T": 1.82, "TH": 1.99,
    "UH": 1.99, "UW": 2.0, "V": 1.71, "W": 2.01, "Y": 2.11, "Z": 2.21,
}  # fmt: skip
"""Mean natural logarithm of each phone's length in frames of 10 ms, as aligned in 2,000 words of 40 readers (tuning side)."""
REACH = 5
"""Phones on each side over which the pace of speaking is averaged."""
FOREIGN_RHYTHM, FOREIGN_SCORE = 0.478, (-0.15, 0.25)
"""A document whose rhythm is above and whose mean alignment score is in between was not spoken in English. Measured per document
on the tuning side: English, clean, telephone, mp3, music and babble 0.35-0.443 (18 documents of 68-1,100 phones), in a room
0.468 and 0.415; captions that pocketsphinx made of German and Mandarin 0.494 and 0.523, with scores of 0.03. Words that a
recogniser chose fit the sound about as well as any phones do: a score far below 0 is bad sound (an English telephone recording:
rhythm 0.50, score -0.28), whose words are refused one by one."""
LEAST_PHONES = 150
"""Fewer phones give no judgement: the spread of 150 is known to 6 %."""
LEAST_LETTERS = 4
"""Of a text whose letters can be put into another order worth the name."""


def language_score(
    model: AcousticModel, samples: NDArray[np.float32], words: Sequence[str], pool: Sequence[str], seed: str
) -> float | None:
    """Log likelihood per frame of the words above that of unrelated ones, on a segment's audio.

    Args:
        model: the acoustic model.
        samples: the segment, 16 kHz mono.
        words: its words.
        pool: words to draw unrelated ones from.
        seed: makes the draw repeatable.

    Returns:
        Nats per frame: around 0 for a text that was not said, 1 and more for one that was. None where no path takes all words
        (more words than the audio has room for) or none has a pronunciation.
    """
    claimed = [p for w in words if (p := phones_of(model, w))]
    wanted = sum(len(p[0]) for p in claimed)
    if not claimed:
        return None
    draw, other, n = random.Random(seed), [], 0
    while n < wanted:
        phones = phones_of(model, draw.choice(pool))
        if phones and len(phones[0]) <= max(3, wanted - n + 1):
            other.append(phones)
            n += len(phones[0])
    cepstrum = cepstra(samples)
    scores = [place_words(model, cepstrum, text, penalties=NO_WAY_OUT) for text in (claimed, other)]
    complete = [len(s.words) == len(text) for s, text in zip(scores, (claimed, other), strict=True)]
    if not complete[0]:
        return None
    if not complete[1]:  # no room for the unrelated words: nothing to compare with but the free loop
        return scores[0].log_likelihood
    return scores[0].log_likelihood - scores[1].log_likelihood


def letters_score(emission: Emission, tokens: Tokens, words: Sequence[str], seed: str) -> float | None:
    """Log likelihood per frame of a text above that of its own letters in another order: no language model is needed for that.

    Args:
        emission: (frames, tokens), of the speech that is claimed to say it.
        tokens: what it is of.
        words: the text.
        seed: makes the order repeatable.

    Returns:
        Nats per frame: around 0 for a text that was not said. None for one that the frames have no room for, or that has fewer
        than `LEAST_LETTERS`, or fewer than three different ones.
    """
    targets, _ = tokens.targets(words)
    letters = [int(t) for t in targets if t != tokens.separator]
    if len(letters) < LEAST_LETTERS or len(set(letters)) < 3:
        return None
    draw, mixed = random.Random(seed), list(letters)
    while mixed == letters:
        draw.shuffle(mixed)
    drawn = iter(mixed)
    other = np.array([t if t == tokens.separator else next(drawn) for t in targets], np.int32)
    try:
        said, unsaid = (align_tokens(emission, ids, tokens.blank).score for ids in (targets, other))
    except NoPath:
        return None
    return float(said - unsaid) / len(emission)


def rhythm(model: AcousticModel, places: Sequence[TokenPlace]) -> tuple[float, int]:
    """Spread of phone lengths around the usual length of each phone.

    Args:
        model: names the phones.
        places: a document's words in the order of time.

    Returns:
        Standard deviation of the natural logarithm of phone lengths, less each phone's typical one and the pace of the phones
        around; number of phones.
    """
    rest: list[float] = []
    for i, place in enumerate(places):
        pause = i + 1 == len(places) or places[i + 1].start_s - place.end_s > FINAL_PAUSE_S
        inner = place.phones[: len(place.phones) - 2] if pause else place.phones
        for phone, frames in inner:
            typical = TYPICAL_LOG_FRAMES.get(model.phones[phone])
            if typical is not None:
                rest.append(math.log(frames) - typical)
    if len(rest) <= 2 * REACH:
        return 0.0, len(rest)
    values, width = np.array(rest), 2 * REACH + 1
    pace = np.convolve(np.pad(values, REACH, "reflect"), np.ones(width) / width, "valid")
    return float(np.std(values - pace)), len(rest)


def foreign(model: AcousticModel, places: Sequence[TokenPlace]) -> str | None:
    """Why a document's words, though the recogniser heard them, were not spoken in English; None if nothing says so."""
    spread, phones = rhythm(model, places)
    seconds = sum(p.end_s - p.start_s for p in places)
    if phones < LEAST_PHONES or not seconds:
        return None
    score = sum(p.score * (p.end_s - p.start_s) for p in places) / seconds
    if spread <= FOREIGN_RHYTHM or not FOREIGN_SCORE[0] <= score < FOREIGN_SCORE[1]:
        return None
    return (
        f"rhythm {spread:.2f} (English: under {FOREIGN_RHYTHM}) and score {score:.2f} (English: over {FOREIGN_SCORE[1]}) "
        f"over {phones} phones"
    )
