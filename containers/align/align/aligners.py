"""Which aligner places a document's words: the one that goes with its recogniser."""

from __future__ import annotations

from collections.abc import Mapping

from align.aligner import Aligner
from align.ctc.checkpoint import chosen, identity, language_of
from align.recognizers import RecognizerParams, needs_torch
from align.sphinx_aligner import SphinxAligner
from stagekit.errors import StageError


def make_aligner(params: RecognizerParams, language: str) -> Aligner:
    """An aligner for a language: with ``recognizer: torchaudio`` the CTC model's, else pocketsphinx's acoustic model.

    Raises:
        StageError: it does not know the language.
    """
    if params.recognizer == "torchaudio":
        needs_torch()
        from align.ctc_aligner import CtcAligner

        return CtcAligner(chosen(params.choice, language))
    if language.partition("-")[0].lower() != "en":
        raise StageError(
            f"forced alignment with pocketsphinx's acoustic model knows English only, not {language}; "
            "what a CTC model has heard is aligned with it: recognizer: torchaudio, and its model"
        )
    return SphinxAligner()


def digest(params: RecognizerParams) -> Mapping[str, str]:
    """What decides the placing beside code: the CTC model. Pocketsphinx's is in its wheel."""
    if params.recognizer != "torchaudio":
        return {}
    needs_torch()
    return identity(chosen(params.choice, language_of(params.choice)))
