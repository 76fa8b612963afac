"""Stage ``score``: columns that say how far a segment can be trusted; nothing is dropped here.

CER and WER compare the text with what a recogniser that knows nothing of the document hears in the clip itself, as it will be
released: a wrong text cannot make itself look right, and speech at the clip's edges that the text lacks counts against it. A CTC
model is not asked again: what it said of the clip's frames is read, greedily and without the document.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from align.aligners import needed
from align.ctc.emissions import Emissions, by_document
from align.ctc.greedy import greedy
from align.documents import Document, read_documents
from align.language import language_score, letters_score
from align.metrics import duration_spread, edge_silence_s, error_rates, loudness_lufs, snr_db, speech_ratio
from align.pocketsphinx_recognizer import general_unigrams
from align.recognizers import CTC_RECOGNIZERS, RecognizerName, digest, make_recognizer
from align.sphinx_model import load_model
from align.synthetic import synthetic_voice_score
from stagekit.audio import open_pcm
from stagekit.stage import Context, Crashed, StageError, stage
from stagekit.tables import SAMPLE_RATE

Hear = Callable[[dict[str, Any], Any], list[str]]
"""From a row of `segments` and its samples to words."""


class ScoreParams(RecognizerName):
    """What judges: it decodes without the document."""


@dataclass(frozen=True)
class Job:
    """One document's segments."""

    document: Document
    segments: list[dict[str, Any]]
    speech: list[tuple[int, int]]
    emissions: Emissions | None
    params: ScoreParams


@stage(
    "score",
    version=3,
    params=ScoreParams,
    unit="segment",
    reads=["recordings", "documents", "segments", "speech", "emissions"],
    writes=["segments"],
    libraries=["jiwer", "pyloudnorm", "pocketsphinx", "onnxruntime", "numba", "uroman"],
    model_digest=lambda params: digest(params),
)
def run(ctx: Context[ScoreParams]) -> None:
    """Inputs: the folders of ``fetch``, ``recognize`` and ``align``."""
    durations = []
    for job, rows in ctx.map(score_document, _jobs(ctx), seconds=lambda job: job.document.duration_s):
        if isinstance(rows, Crashed):
            raise StageError(f"document {job.document.id}: {rows.detail}")
        for row in rows:
            seconds = row["speech_end_s"] - row["speech_start_s"]
            ctx.enter(row["segment_id"], seconds)
            ctx.write("segments", row)
            ctx.keep(row["segment_id"], seconds)
            durations.append(row["duration_s"])
    if spread := duration_spread(durations):
        ctx.metrics["durations"] = {k: round(v, 3) for k, v in vars(spread).items()}


def _jobs(ctx: Context[ScoreParams]) -> list[Job]:
    segments: dict[str, list[dict[str, Any]]] = {}
    for row in ctx.rows("segments"):
        segments.setdefault(row["document_id"], []).append(row)
    speech: dict[str, list[tuple[int, int]]] = {}
    for row in ctx.rows("speech"):
        speech.setdefault(row["document_id"], []).append((row["start_sample"], row["end_sample"]))
    said = by_document(ctx.rows("emissions"))
    documents = [d for d in read_documents(ctx) if d.id in segments]
    return [Job(d, segments[d.id], speech.get(d.id, []), said.get(d.id), ctx.params) for d in documents]


def score_document(job: Job) -> list[dict[str, Any]]:
    """The rows of one document's segments, scored."""
    hear = _hears(job)
    with open_pcm(job.document.uri) as pcm:
        return [_scored(row, job, hear, pcm.read(row["start_sample"], row["end_sample"])) for row in job.segments]


def _hears(job: Job) -> Hear:
    """What hears a segment's clip."""
    recognizer, language = job.params.recognizer, job.document.row["language"]
    if recognizer in CTC_RECOGNIZERS:
        said = needed(job.emissions, recognizer)
        return lambda row, _: [w.word for w in greedy(said.inside(row["start_sample"], row["end_sample"])[1], said.tokens)]
    decoder = make_recognizer(recognizer, language).open()
    return lambda _, samples: decoder.transcribe(samples)


def _scored(row: dict[str, Any], job: Job, hear: Hear, samples: Any) -> dict[str, Any]:
    start, end = row["start_sample"], row["end_sample"]
    speech = [(max(a, start) - start, min(b, end) - start) for a, b in job.speech if a < end and b > start]
    hypothesis = " ".join(hear(row, samples))
    cer, wer = error_rates(row["text"], hypothesis)
    first, last = (round(row[name] * SAMPLE_RATE) for name in ("speech_start_s", "speech_end_s"))
    return row | {
        "hypothesis": hypothesis,
        "cer": cer,
        "wer": wer,
        "edge_silence_s": edge_silence_s(start, first, last, end),
        "speech_ratio": speech_ratio(speech, 0, end - start),
        "snr_db": snr_db(samples, speech),
        "loudness_lufs": loudness_lufs(samples),
        "language_score": _language_score(samples[max(0, first - start) : last - start], row, job.emissions, first, last),
        "synthetic_voice_score": synthetic_voice_score(samples),
    }


def _language_score(said: Any, row: dict[str, Any], emissions: Emissions | None, first: int, last: int) -> float | None:
    """By English phones, or in another language by the letters of the model that heard it."""
    words = row["text"].split()
    if row["language"].partition("-")[0].lower() == "en":
        return language_score(load_model(), said, words, sorted(general_unigrams()), row["segment_id"])
    if emissions is None:
        return None
    return letters_score(emissions.inside(first, last)[1], emissions.tokens, words, row["segment_id"])
