"""Stage ``recognize``: where a recording holds speech, and what a recogniser hears there.

The words are for the search, which finds where in the text the speech lies. A recogniser that can be is biased to the document
(its words and word order); what it hears is kept as `biased`, else as `open`. Silence is never decoded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import Field

from align.documents import Document, read_documents
from align.hear import find_speech, hear
from align.recognizer import HeardWord
from align.recognizers import digest, make_recognizer
from align.vad import Stretch
from stagekit.audio import AudioError, open_pcm
from stagekit.stage import Context, Crashed, Params, Reason, stage


class RecognizeParams(Params):
    """Which recogniser."""

    recognizer: str = Field("moonshine", description="name of a recogniser of align.recognizers")


@dataclass(frozen=True)
class Heard:
    """What was heard of one document's recording; ``error`` says why nothing could be."""

    speech: list[Stretch]
    kind: str
    words: list[HeardWord]
    error: str = ""


@stage(
    "recognize",
    version=2,
    params=RecognizeParams,
    unit="document",
    reads=["recordings", "documents"],
    writes=["speech", "hypotheses"],
    libraries=["pocketsphinx", "silero-vad", "onnxruntime"],
    model_digest=lambda params: digest(params.recognizer),
)
def run(ctx: Context[RecognizeParams]) -> None:
    """Input: the folder of ``fetch``."""
    jobs = [(document, ctx.params.recognizer) for document in read_documents(ctx)]
    speech_s = 0.0
    for (document, _), heard in ctx.map(recognize_document, jobs, seconds=lambda job: job[0].duration_s):
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


def recognize_document(job: tuple[Document, str]) -> Heard:
    """Voice activity and decoding of one document."""
    document, name = job
    recognizer = make_recognizer(name, document.row["language"])
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
