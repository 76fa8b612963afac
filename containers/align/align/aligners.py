"""Which aligner places a document's words: the one that goes with its recogniser."""

from __future__ import annotations

from align.aligner import Aligner
from align.ctc.emissions import Emissions
from align.ctc_aligner import CtcAligner
from align.recognizers import CTC_RECOGNIZERS
from align.sphinx_aligner import SphinxAligner
from stagekit.errors import StageError


def make_aligner(recognizer: str, language: str, emissions: Emissions | None) -> Aligner:
    """An aligner for a language: pocketsphinx's acoustic model, or what the CTC model said that heard the recording.

    Args:
        recognizer: which of `align.recognizers` heard it.
        language: BCP 47.
        emissions: of the recording, where the recogniser is one of `CTC_RECOGNIZERS`.

    Raises:
        StageError: it does not know the language, or there are no emissions.
    """
    if recognizer in CTC_RECOGNIZERS:
        return CtcAligner(needed(emissions, recognizer))
    if language.partition("-")[0].lower() != "en":
        raise StageError(
            f"forced alignment with pocketsphinx's acoustic model knows English only, not {language}; "
            "what a CTC model has heard is aligned with it: recognizer: torchaudio, and its model"
        )
    return SphinxAligner()


def needed(emissions: Emissions | None, recognizer: str) -> Emissions:
    """The emissions.

    Raises:
        StageError: there are none.
    """
    if emissions is None:
        raise StageError(
            f"no emissions of a document in the folder of recognize: was it made with another recogniser than {recognizer}?"
        )
    return emissions
