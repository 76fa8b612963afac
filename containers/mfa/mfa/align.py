"""Stage ``align``: where each token of a sentence was said, by ``mfa align`` with the model of a training.

A file that MFA writes is no sign of a right transcript, nor is a likelihood: it aligns another clip's text, white noise and
silence with likelihoods like those of good clips. ``score`` says how well the sound fits, ``fault`` what is implausible; whether
the transcript is right is for a later stage to judge.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from pydantic import Field

from mfa import program
from mfa.corpus import Utterance, read_sentences, reject, usable, write_corpus
from mfa.dictionary import Dictionary, phone_name
from mfa.model import Model, open_model
from mfa.options import BEAM, COMMON, JSON_OUTPUT, RETRY_BEAM
from mfa.output import Analysis, Likelihoods, OutputError, Word, read_analysis, read_likelihoods, read_words
from stagekit.stage import Context, EmptyInput, Params, Reason, stage

NOTHING_ALIGNED = "NoAlignmentsError"
"""MFA's exception where not one utterance could be aligned: each of them is then a rejection, as when some could."""


class AlignParams(Params):
    """How wide it searches, and what is implausible."""

    beam: int = Field(BEAM, ge=1, description="beam of the first search; see mfa.options")
    retry_beam: int = Field(RETRY_BEAM, ge=1, description="beam of the second search, of what the first lost")
    min_phone_s: float = Field(
        0.02, ge=0, description="a word whose phones are shorter on average is `too_short`; squeezed texts have such words"
    )
    max_phone_s: float = Field(
        0.4, gt=0, description="a word whose phones are longer on average is `too_long`; recorded good clips: 1 word of 468"
    )
    longest_s: float = Field(60.0, gt=0, description="longer clips are rejected, seconds")
    jobs: int = Field(2, ge=1, description="processes of MFA; in the fingerprint, as in training")


@stage(
    "align",
    version=1,
    params=AlignParams,
    unit="sentence",
    reads=["sentences", "sentence_audio"],
    writes=["sentence_words"],
    model_digest=lambda params: {"mfa": program.version()},
)
def run(ctx: Context[AlignParams]) -> None:
    """Inputs: folders with ``sentences`` and ``sentence_audio``, and ``model=`` the folder of ``train``."""
    with open_model(ctx) as model, tempfile.TemporaryDirectory(prefix="speechmill-mfa-") as name:
        sentences = read_sentences(ctx)
        if not sentences:
            raise EmptyInput("no sentences")
        for sentence in sentences:
            ctx.enter(sentence.id, sentence.duration_s)
        scratch = Path(name)
        dictionary = Dictionary((w for s in sentences for w in s.words), model.lexicon, model.phones)
        fit = usable(ctx, sentences, dictionary)
        utterances = write_corpus(ctx, scratch / "corpus", fit, dictionary, ctx.params.longest_s)
        if utterances:
            try:
                _align(ctx, scratch, model, dictionary, utterances)
            except program.ProgramFailed as failed:
                if NOTHING_ALIGNED not in str(failed):
                    raise
            _collect(ctx, scratch, model, dictionary, utterances)


def _align(ctx: Context[AlignParams], scratch: Path, model: Model, dictionary: Dictionary, utterances: list[Utterance]) -> None:
    dictionary.write(scratch / "words.dict", (w for u in utterances for w in u.sentence.words))
    (scratch / "run").mkdir()
    given = ctx.params
    program.run(
        [
            "align", str(scratch / "corpus"), str(scratch / "words.dict"), str(model.acoustic), str(scratch / "out"),
            "--beam", str(given.beam), "--retry_beam", str(given.retry_beam), "--num_jobs", str(given.jobs),
            *JSON_OUTPUT, *COMMON,
        ],
        scratch / "run", quiet=ctx.quiet,
    )  # fmt: skip


def _collect(ctx: Context[AlignParams], scratch: Path, model: Model, dictionary: Dictionary, utterances: list[Utterance]) -> None:
    """Rows of what was aligned; a rejection of everything else."""
    analyses = read_analysis(scratch / "out" / "alignment_analysis.csv")
    likelihoods = read_likelihoods(scratch / "run")
    faults: dict[str, int] = {}
    for utterance in utterances:
        file = scratch / "out" / utterance.speaker / f"{utterance.file}.json"
        analysis = analyses.get((utterance.speaker, utterance.file))
        if not file.exists():
            reject(ctx, utterance.sentence, Reason.UNALIGNED, f"MFA wrote no file for it; {_said(analysis)}")
            continue
        try:
            words = read_words(file)
            _check(words, [dictionary.codes[w] for w in utterance.sentence.words])
        except OutputError as error:
            reject(ctx, utterance.sentence, Reason.UNALIGNED, f"MFA's file cannot be used: {error}")
            continue
        for row in rows(utterance, words, analysis, likelihoods, ctx.params, graphemic=model.lexicon is None):
            ctx.write("sentence_words", row)
            if row["fault"]:
                faults[row["fault"]] = faults.get(row["fault"], 0) + 1
        ctx.keep(utterance.sentence.id, utterance.sentence.duration_s)
    ctx.metrics |= {"faults": faults, "word_scores": "phones" if likelihoods.phones else "utterance", "mfa": program.version()}


def _said(analysis: Analysis | None) -> str:
    if analysis is None or analysis.log_likelihood is None:
        return "no path through the text fits the sound within the beam"
    return f"log-likelihood {analysis.log_likelihood:.1f} a frame"


def _check(words: list[Word], codes: list[str]) -> None:
    """Labels are the sentence's words, in order."""
    labels = [w.label for w in words]
    if labels != codes:
        raise OutputError(f"{len(labels)} words where {len(codes)} were said, or others: {' '.join(labels)[:200]}")


def rows(
    utterance: Utterance,
    words: list[Word],
    analysis: Analysis | None,
    likelihoods: Likelihoods,
    params: AlignParams,
    *,
    graphemic: bool,
) -> list[dict[str, Any]]:
    """Rows of ``sentence_words``, one a token; ``words`` are MFA's, as many and in the same order."""
    overall = analysis.speech_log_likelihood if analysis else None
    out = []
    for index, (token, word) in enumerate(zip(utterance.sentence.tokens, words, strict=True)):
        own = likelihoods.of(utterance.speaker, utterance.file, word)
        phones = [
            {"phone": phone_name(p.label) if graphemic else p.label, "start_s": p.start_s, "end_s": p.end_s} for p in word.phones
        ]
        out.append(
            {
                "sentence_id": utterance.sentence.id,
                "index": index,
                "char_start": token["char_start"],
                "char_end": token["char_end"],
                "word": token["word"],
                "word_raw": utterance.sentence.text_raw[token["char_start"] : token["char_end"]],
                "start_s": word.start_s,
                "end_s": word.end_s,
                "score": own if own is not None else overall,
                "fault": fault(word, params),
                "phones": phones,
            }
        )
    return out


def fault(word: Word, params: AlignParams) -> str | None:
    """``no_pronunciation``, ``too_short`` or ``too_long``; None if nothing speaks against it."""
    if word.spoken_noise or not word.phones:
        return "no_pronunciation"
    each = (word.end_s - word.start_s) / len(word.phones)
    return "too_short" if each < params.min_phone_s else "too_long" if each > params.max_phone_s else None
