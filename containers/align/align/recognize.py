"""Stage ``recognize``: where a recording holds speech, and what a recogniser hears there.

The words are for the search, which finds where in the text the speech lies. A recogniser that can be is biased to the document
(its words and word order); what it hears is kept as `biased`, else as `open`. Silence is never decoded. What a CTC model said is
kept whole, for the stages after this one: the GPU is needed here only.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from align.ctc.emissions import Emissions
from align.documents import Document, read_documents
from align.hear import find_speech, hear
from align.listen import Listened, listen
from align.recognizer import HeardWord
from align.recognizers import CTC_RECOGNIZERS, RecognizerParams, digest, make_recognizer
from align.vad import Stretch
from stagekit.audio import AudioError, open_pcm
from stagekit.stage import Context, Crashed, Reason, stage


class RecognizeParams(RecognizerParams):
    """Which recogniser."""

    biased: bool = Field(
        False, description="torchaudio: beam search with a trigram of the document; what it hears is then no evidence by itself"
    )


@dataclass(frozen=True)
class Heard:
    """What was heard of one document's recording; ``error`` says why nothing could be."""

    speech: list[Stretch]
    kind: str
    words: list[HeardWord]
    error: str = ""
    emissions: Emissions | None = None


@stage(
    "recognize",
    version=3,
    params=RecognizeParams,
    unit="document",
    reads=["recordings", "documents"],
    writes=["speech", "hypotheses", "emissions"],
    libraries=["pocketsphinx", "silero-vad", "onnxruntime"],
    model_digest=lambda params: digest(params),
)
def run(ctx: Context[RecognizeParams]) -> None:
    """Input: the folder of ``fetch``."""
    speech_s = 0.0
    for document, heard in (_in_batches if ctx.params.recognizer in CTC_RECOGNIZERS else _one_by_one)(ctx):
        ctx.enter(document.id, document.duration_s)
        if isinstance(heard, Crashed):
            _reject(ctx, document, Reason.CRASHED, heard.detail)
        elif heard.error:
            _reject(ctx, document, Reason.RECOGNIZER_FAILED, heard.error)
        elif not heard.speech:
            _reject(ctx, document, Reason.NO_SPEECH, "voice activity finds no speech in it")
        else:
            _write(ctx, document, heard)
            ctx.keep(document.id, document.duration_s)
            speech_s += sum(s.duration_s for s in heard.speech)
    ctx.metrics["speech_s"] = round(speech_s, 3)


def _one_by_one(ctx: Context[RecognizeParams]) -> Iterator[tuple[Document, Heard | Crashed]]:
    jobs = [(document, ctx.params) for document in read_documents(ctx)]
    for (document, _), heard in ctx.map(recognize_document, jobs, seconds=lambda job: job[0].duration_s):
        yield document, heard


def _in_batches(ctx: Context[RecognizeParams]) -> Iterator[tuple[Document, Heard | Crashed]]:
    """Workers decode and find speech; one model in this process hears pieces of many recordings at once."""
    documents = list(read_documents(ctx))
    languages = sorted({d.row["language"] for d in documents})
    wanted = ctx.params
    made = {code: make_recognizer(wanted.recognizer, code, wanted.choice, wanted.biased) for code in languages}
    from align.ctc.files import hear_files  # in the environment with torch only, as make_recognizer has seen

    with tempfile.TemporaryDirectory(prefix="align-recognize-") as scratch:
        for code in languages:
            jobs = [(d, scratch) for d in documents if d.row["language"] == code]
            mapped = ctx.map(listen_document, jobs, seconds=lambda job: job[0].duration_s)
            recognizer: Any = made[code]
            ready = ((job, Listened("", [], []) if isinstance(one, Crashed) else one, one) for job, one in mapped)
            crashed: dict[str, Crashed] = {}

            def listened(ready: Any = ready, crashed: dict[str, Crashed] = crashed) -> Iterator[tuple[Document, Listened]]:
                for (document, _), one, was in ready:
                    if isinstance(was, Crashed):
                        crashed[document.id] = was
                    yield document, one

            def decoder(document: Document, recognizer: Any = recognizer) -> Any:
                return recognizer.biased(document.words)

            kind = "biased" if recognizer.biases else "open"
            for document, one, words, emissions in hear_files(listened(), recognizer.encoder, decoder, ctx.workers):
                yield document, crashed.get(document.id) or Heard(one.speech, kind, words, one.error, emissions)


def listen_document(job: tuple[Document, str]) -> Listened:
    """Decoding and voice activity of one document's recording."""
    document, scratch = job
    return listen(document.uri, scratch)


def recognize_document(job: tuple[Document, RecognizeParams]) -> Heard:
    """Voice activity and decoding of one document."""
    document, params = job
    recognizer = make_recognizer(params.recognizer, document.row["language"], params.choice)
    try:
        with open_pcm(document.uri) as pcm:
            speech, pieces = find_speech(pcm)
            words = hear(pcm, pieces, recognizer.biased(document.words)) if pieces else []
    except AudioError as error:
        return Heard([], "", [], f"{document.uri}: {error}")
    return Heard(speech, "biased" if recognizer.biases else "open", words)


def _reject(ctx: Context[RecognizeParams], document: Document, reason: Reason, detail: str) -> None:
    ctx.reject(document.id, reason, detail, end_s=document.duration_s, parent_id=document.row["recording_id"])


def _write(ctx: Context[RecognizeParams], document: Document, heard: Heard) -> None:
    ids: dict[str, Any] = {"document_id": document.id, "recording_id": document.row["recording_id"]}
    for stretch in heard.speech:
        ctx.write("speech", {**ids, "start_sample": stretch.start, "end_sample": stretch.end})
    for index, w in enumerate(heard.words):
        row = {"kind": heard.kind, "index": index, "word": w.word, "start_s": w.start_s, "end_s": w.end_s, "score": w.score}
        ctx.write("hypotheses", {**ids, **row})
    for piece in heard.emissions.rows() if heard.emissions else ():
        ctx.write("emissions", {**ids, **piece})
