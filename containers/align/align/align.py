"""Stage ``align``: where each part of the text was said, cut into segments; the rest, second by second, with a reason.

Caption times are not used. The search finds stretches of text in what was heard, forced alignment of the *text* places its words
and scores them, words that the sound refuses are dropped, and what is left is cut at pauses.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from pydantic import Field

from align.accept import CTC, SPHINX, accept
from align.again import look_again
from align.aligners import make_aligner
from align.ctc.emissions import Emissions, by_document
from align.documents import Document, read_documents
from align.edges import clear_cuts, close_gaps, open_gaps, refine, sounds
from align.evidence import doubts, heard_speech, unexplained, with_sound
from align.find import find, near
from align.recognizer import HeardWord
from align.recognizers import RecognizerName
from align.segment import segment
from align.segment_cuts import boundary_kind
from align.segment_types import SegmentDraft, Stretch
from align.windows import chains, windows
from stagekit.audio import open_pcm
from stagekit.stage import Context, Crashed, Reason, stage
from stagekit.tables import SAMPLE_RATE

FOUND_SHARE = 0.1
"""Of the words heard: where fewer lie in any stretch of the text, the text is not the recording's."""

SPARSE_SHARE, SPARSE_RUN = 0.25, 8
"""Where fewer than this are found, as much as a recogniser may write of cognates in another language ("liberté, justice" over an
English text), a row needs so many words. Of a text that covers a part of its recording only, rows are longer by far."""


class AlignParams(RecognizerName):
    """What places the words, as what heard them has it, and what is accepted."""

    min_score: float | None = Field(
        None,
        description="lowest score of a word, smoothed over its neighbours; empty: the aligner's own, "
        f"{SPHINX.min_score:g} with pocketsphinx's acoustic model and {CTC.min_score:g} with a CTC model (align.accept)",
    )
    min_run: int = Field(3, ge=1, description="fewest accepted words in a row")


@dataclass(frozen=True)
class Job:
    """One document and what was heard of it."""

    document: Document
    speech: list[tuple[int, int]]
    heard: list[HeardWord]
    by_itself: bool
    """The recogniser knew nothing of the document, so that what it heard, and what it did not, is evidence."""
    emissions: Emissions | None
    """What a CTC recogniser said of it."""
    params: AlignParams


@dataclass(frozen=True)
class Aligned:
    """What became of a document; together the pieces tile the recording."""

    segments: list[SegmentDraft]
    stretches: list[Stretch]
    samples: int


@stage(
    "align",
    version=2,
    params=AlignParams,
    unit="document",
    reads=["recordings", "documents", "speech", "hypotheses", "emissions"],
    writes=["segments", "words"],
    libraries=["numba", "pocketsphinx", "uroman"],
)
def run(ctx: Context[AlignParams]) -> None:
    """Inputs: the folders of ``fetch`` and ``recognize``."""
    for job, aligned in ctx.map(align_document, _jobs(ctx), seconds=lambda job: job.document.duration_s):
        document = job.document
        ctx.enter(document.id, document.duration_s)
        if isinstance(aligned, Crashed):
            ctx.reject(
                document.id, Reason.CRASHED, aligned.detail, end_s=document.duration_s, parent_id=document.row["recording_id"]
            )
            continue
        for draft in aligned.segments:
            _write(ctx, document, draft)
            ctx.keep(document.id, draft.speech_end_s - draft.speech_start_s)
        for stretch in aligned.stretches:
            ctx.reject(
                document.id, stretch.reason, stretch.detail, start_s=stretch.start_s, end_s=stretch.end_s,
                unit="recording", row_id=document.row["recording_id"], parent_id=document.id,
            )  # fmt: skip


def _jobs(ctx: Context[AlignParams]) -> list[Job]:
    speech: dict[str, list[tuple[int, int]]] = {}
    for row in ctx.rows("speech"):
        speech.setdefault(row["document_id"], []).append((row["start_sample"], row["end_sample"]))
    heard: dict[str, list[HeardWord]] = {}
    biased: set[str] = set()
    for row in ctx.rows("hypotheses"):
        heard.setdefault(row["document_id"], []).append(HeardWord(row["word"], row["start_s"], row["end_s"], row["score"]))
        if row["kind"] == "biased":
            biased.add(row["document_id"])
    documents = [d for d in read_documents(ctx) if d.id in speech]
    said = by_document(ctx.rows("emissions"))
    for d in documents:
        make_aligner(ctx.params.recognizer, d.row["language"], said.get(d.id))  # says here, once, what it does not know
    return [Job(d, speech[d.id], heard.get(d.id, []), d.id not in biased, said.get(d.id), ctx.params) for d in documents]


def align_document(job: Job) -> Aligned:
    """Search, place, accept and segment one document."""
    words = job.document.words
    heard_words = [h.word for h in job.heard]
    pairs = find(heard_words, words, job.by_itself)
    if job.by_itself:
        pairs = sorted(pairs + near(heard_words, words, pairs))
    runs = chains(pairs, job.heard)
    anchored = frozenset(a.token for run in runs for a in run)
    tokens = job.document.row["tokens"]
    aligner = make_aligner(job.params.recognizer, job.document.row["language"], job.emissions)
    spans = [(t["char_start"], t["char_end"]) for t in tokens]
    with open_pcm(job.document.uri) as pcm:
        cuts = windows(runs, len(words), pcm.duration_s)
        samples = len(pcm)
        placed = aligner.place(pcm.read, samples, words, cuts, runs)
        if job.by_itself:
            placed = look_again(placed, pairs, job.heard, aligner, pcm.read, samples, words, _stops(job.document, words, spans))
        placed = refine(placed, pcm.read, samples)
        if not job.by_itself and (why := aligner.foreign(placed)):
            return Aligned([], _tile(job.speech, samples, Reason.SPEECH_WRONG_LANGUAGE, why), samples)
        limits = aligner.limits
        unheard = limits.min_score if job.params.min_score is None else job.params.min_score
        least = unheard, unheard - (limits.heard_margin if job.by_itself else 0.0)
        doubted = doubts(placed, pairs, job.heard, job.speech) if job.by_itself else None
        sparse = len(anchored) < SPARSE_SHARE * len(job.heard)
        min_run = max(job.params.min_run, SPARSE_RUN) if sparse else job.params.min_run
        accepted, refused = accept(placed, words, spans, least, min_run, doubted, limits)
        speech = job.speech
        if job.by_itself:
            others = unexplained(pairs, job.heard, [w for run in accepted for w in run])
            accepted = [close_gaps(run, others, pcm.read) for run in accepted]
        accepted = [open_gaps(run, job.document.row["text"], pcm.read) for run in accepted]
        if job.by_itself:
            flat = [w for run in accepted for w in run]
            speech = heard_speech(speech, flat, others)
            refused = with_sound(refused, job.heard, flat, job.speech)
        said = [w for run in accepted for w in run]
        loud, clear = sounds(said, pcm.read, samples), clear_cuts(said, pcm.read, samples)
    segments, stretches = segment(
        accepted, job.document.row["text"], speech, samples, spans=spans, rejected=refused, sound=loud, clear=clear
    )
    if len(anchored) < FOUND_SHARE * len(job.heard):
        stretches = [_not_found(s, len(anchored), len(job.heard)) for s in stretches]
    return Aligned(segments, stretches, samples)


def _stops(document: Document, words: Sequence[str], spans: Sequence[tuple[int, int]]) -> list[bool]:
    """Of each word, whether a stop, a comma or the text's end follows."""
    beside = zip(words, pairwise(spans), strict=False)
    return [boundary_kind(document.row["text"], word, a[1], b[0]) != "none" for word, (a, b) in beside] + [True] * bool(words)


def _tile(speech: list[tuple[int, int]], samples: int, reason: Reason, detail: str) -> list[Stretch]:
    """The whole recording as stretches: speech for a reason, silence between."""
    out, at = [], 0
    for start, end in sorted(speech):
        if start > at:
            out.append(Stretch(at, start, Reason.SILENCE, "no speech"))
        out.append(Stretch(max(at, start), end, reason, detail))
        at = end
    return [*out, Stretch(at, samples, Reason.SILENCE, "no speech")] if at < samples else out


def _not_found(stretch: Stretch, found: int, heard: int) -> Stretch:
    if stretch.reason != Reason.NOT_IN_TRANSCRIPT:
        return stretch
    detail = f"{found} of {heard} words heard lie in the text: it is of something else"
    return Stretch(stretch.start_sample, stretch.end_sample, Reason.TRANSCRIPT_NOT_FOUND, detail)


def segment_id(document_id: str, start_sample: int, end_sample: int) -> str:
    """Content-addressed id of a segment, hex sha256."""
    return hashlib.sha256(f"{document_id}\n{start_sample}\n{end_sample}".encode()).hexdigest()


def _write(ctx: Context[AlignParams], document: Document, draft: SegmentDraft) -> None:
    row_id = segment_id(document.id, draft.start_sample, draft.end_sample)
    frames = [max(w.end_s - w.start_s, 0.01) for w in draft.words]
    scores = [w.score for w in draft.words]
    text = document.row["text"]
    ctx.write(
        "segments",
        {
            "segment_id": row_id,
            "document_id": document.id,
            "recording_id": document.row["recording_id"],
            "language": document.row["language"],
            "start_sample": draft.start_sample,
            "end_sample": draft.end_sample,
            "speech_start_s": draft.speech_start_s,
            "speech_end_s": draft.speech_end_s,
            "duration_s": (draft.end_sample - draft.start_sample) / SAMPLE_RATE,
            "char_start": draft.char_start,
            "char_end": draft.char_end,
            "text": draft.text,
            "text_raw": draft.text_raw,
            "cut_at_pause": draft.cut_at_pause,
            "pause_before_s": draft.pause_before_s,
            "pause_after_s": draft.pause_after_s,
            "alignment_score": sum(s * f for s, f in zip(scores, frames, strict=True)) / sum(frames),
            "alignment_score_min": min(smoothed(scores)),
            "anchored_ratio": sum(w.anchored for w in draft.words) / len(draft.words),
            **dict.fromkeys(UNSCORED),
        },
    )
    for index, w in enumerate(draft.words):
        ctx.write(
            "words",
            {
                "segment_id": row_id, "index": index, "char_start": w.char_start, "char_end": w.char_end, "word": w.word,
                "word_raw": text[w.char_start : w.char_end], "start_s": w.start_s, "end_s": w.end_s, "score": w.score,
                "timed_by": "align",
            },
        )  # fmt: skip


UNSCORED = (
    "language_score", "hypothesis", "cer", "wer", "edge_silence_s", "speech_ratio", "snr_db", "loudness_lufs",
    "synthetic_voice_score",
)  # fmt: skip
"""Columns of `segments` that the stage ``score`` fills."""


def smoothed(scores: list[float]) -> list[float]:
    """Mean of each score and its two neighbours.

    >>> smoothed([0.0, -3.0, 0.0])
    [-1.5, -1.0, -1.5]
    """
    return [sum(part) / len(part) for i in range(len(scores)) if (part := scores[max(0, i - 1) : i + 2])]
