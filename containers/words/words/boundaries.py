"""Stage ``refine``: better word boundaries for segments that another aligner has placed the words of.

A CTC model says where a word's letters are, late and briefly, on a grid of 20 ms; where the word before ends and this one begins
it does not say. The segments are a corpus: a model is learned from their sound and words alone, as ``train`` does, and aligns
each segment again. Where both agree on a word within ``agree_s`` the word gets these times; else it keeps its own. First words
keep their start and last words their end, which are the segments' and were set by the level.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from stagekit.audio import AudioError, open_pcm
from stagekit.stage import Context, Crashed, StageError, stage
from stagekit.tables import SAMPLE_RATE
from words.align import AlignParams, align_clips
from words.corpus import Refused, Sentence
from words.model import Model
from words.train import Learned, Sound, TooFew, TrainParams, digests, draw, learn, sound_of

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

SHORTEST_S = 0.01
"""No word may become shorter."""
CHUNK_S = 300.0
"""Seconds of segments that a worker takes at once; they are of one recording."""


class RefineParams(TrainParams):
    """What is learned, as in ``train``, and when the times are believed."""

    agree_s: float = Field(
        0.2, gt=0, description="a word whose start or end would move farther keeps its own times: one of the two engines is lost"
    )


@dataclass(frozen=True)
class Segment:
    """A segment and the rows of its words."""

    sentence: Sentence
    start_sample: int
    end_sample: int
    words: list[dict[str, Any]]

    @property
    def times(self) -> F64:
        """(words, 2) seconds from the clip's start."""
        return np.array([(w["start_s"], w["end_s"]) for w in self.words]) - self.start_sample / SAMPLE_RATE


@dataclass(frozen=True)
class Job:
    """Segments of one recording; with a model they are aligned, else only heard."""

    uri: str
    segments: list[Segment]
    params: RefineParams
    model: Model | None = None


@stage(
    "refine",
    version=1,
    params=RefineParams,
    unit="segment",
    reads=["recordings", "segments", "words"],
    writes=["words"],
    libraries=["numpy", "scipy", "numba"],
    model_digest=digests,
)
def run(ctx: Context[RefineParams]) -> None:
    """Inputs: the folders of ``ingest fetch`` and ``align align``."""
    segments = list(_segments(ctx))
    for _, segment in segments:
        ctx.enter(segment.sentence.id, segment.sentence.duration_s)
    learned = _learn(ctx, segments)
    model = learned.model if learned else None
    moved = total = 0
    timed = _map(ctx, time_job, segments, model) if model else [(Job("", [s for _, s in segments], ctx.params), None)]
    for job, results in timed:
        for n, segment in enumerate(job.segments):
            found = results[n] if isinstance(results, list) else None
            times, better = merged(segment.times, found, ctx.params.agree_s)
            at = segment.start_sample / SAMPLE_RATE
            for row, before, after, is_better in zip(segment.words, segment.times, times, better, strict=True):
                moves = zip(("start_s", "end_s"), after, before, strict=True)
                new = {side: round(at + float(t), 4) for side, t, own in moves if t != own}
                ctx.write("words", row | new | ({"timed_by": "refine"} if is_better else {}))
            moved, total = moved + int(better.sum()), total + len(better)
            ctx.keep(segment.sentence.id, segment.sentence.duration_s)
    ctx.metrics |= {"words": total, "refined": moved}
    if learned:
        learned.work.remove()


def _segments(ctx: Context[RefineParams]) -> Iterator[tuple[str, Segment]]:
    """Segments with the addresses of their recordings."""
    uris = {r["recording_id"]: r["uri"] for r in ctx.rows("recordings", columns=["recording_id", "uri"])}
    words: dict[str, list[dict[str, Any]]] = {}
    for row in ctx.rows("words"):
        words.setdefault(row["segment_id"], []).append(row)
    for row in ctx.rows("segments", columns=["segment_id", "recording_id", "start_sample", "end_sample", "text", "duration_s"]):
        mine = sorted(words.pop(row["segment_id"]), key=lambda w: w["index"])
        tokens = tuple((w["word"], w["char_start"], w["char_end"]) for w in mine)
        sentence = Sentence(row["segment_id"], row["recording_id"], row["text"], tokens, row["duration_s"], b"")
        yield uris[row["recording_id"]], Segment(sentence, row["start_sample"], row["end_sample"], mine)


def _map(ctx: Context[RefineParams], work: Any, segments: list[tuple[str, Segment]], model: Model | None) -> Any:
    """Jobs over worker processes."""

    def jobs() -> Iterator[Job]:
        batch: list[Segment] = []
        seconds, before = 0.0, ""
        for uri, segment in segments:
            if batch and (uri != before or seconds + segment.sentence.duration_s > CHUNK_S):
                yield Job(before, batch, ctx.params, model)
                batch, seconds = [], 0.0
            batch.append(segment)
            seconds, before = seconds + segment.sentence.duration_s, uri
        if batch:
            yield Job(before, batch, ctx.params, model)

    return ctx.map(work, jobs(), seconds=lambda job: sum(s.sentence.duration_s for s in job.segments))


def _learn(ctx: Context[RefineParams], segments: list[tuple[str, Segment]]) -> Learned | None:
    """A model of the segments; None where they are too few to learn from."""
    chosen = draw({s.sentence.id: s.sentence.duration_s for _, s in segments}, ctx.params)
    sentences: list[Sentence] = []
    sounds: list[Sound] = []
    for job, results in _map(ctx, hear_job, [s for s in segments if s[1].sentence.id in chosen], None):
        if isinstance(results, Crashed):
            continue
        for segment, sound in zip(job.segments, results, strict=True):
            if not isinstance(sound, Refused):
                sentences.append(segment.sentence)
                sounds.append(sound)
    try:
        learned = learn(ctx, sentences, sounds, lambda *_: None)
    except TooFew as why:
        ctx.metrics["unrefined"] = str(why)
        return None
    ctx.metrics["model"] = learned.model.about
    return learned


def hear_job(job: Job) -> list[Sound | Refused]:
    """Sound of each segment."""
    return [c if isinstance(c, Refused) else sound_of(c, job.params.shape) for c in _clips(job)]


def time_job(job: Job) -> list[F64 | None]:
    """(words, 2) times of each segment's words by the model, seconds from its start; None where no path fits."""
    assert job.model is not None
    given = AlignParams.model_validate({"device": job.params.device})
    sentences = [s.sentence for s in job.segments]
    found = align_clips(sentences, _clips(job), job.model, given)
    return [None if isinstance(r, Refused) else np.array([(w["start_s"], w["end_s"]) for w in r]) for r in found]


def _clips(job: Job) -> list[F32 | Refused]:
    """Samples of each segment."""
    try:
        with open_pcm(job.uri) as pcm:
            return [np.asarray(pcm.read(s.start_sample, s.end_sample), np.float32) for s in job.segments]
    except AudioError as error:
        raise StageError(f"{job.uri}: {error}") from error


def merged(own: F64, other: F64 | None, agree_s: float) -> tuple[F64, NDArray[np.bool_]]:
    """Times of words, from two engines.

    Args:
        own: (words, 2) starts and ends, in order.
        other: the same by the other engine, or None.
        agree_s: farthest that a start or an end may lie from the other's.

    Returns:
        (words, 2) in order and without overlap, and which words have the other's times. The first start and the last end are
        its own.

    >>> own = np.array([(0.0, 0.3), (0.5, 0.9), (1.0, 1.4)])
    >>> times, better = merged(own, np.array([(0.1, 0.4), (0.4, 0.8), (1.6, 1.9)]), 0.2)
    >>> times.tolist(), better.tolist()
    ([[0.0, 0.4], [0.4, 0.8], [1.0, 1.4]], [True, True, False])
    """
    if other is None:
        return own, np.zeros(len(own), bool)
    better: NDArray[np.bool_] = np.all(np.abs(own - other) <= agree_s, axis=1)
    while True:
        out = np.where(better[:, None], other, own)
        out[0, 0], out[-1, 1] = own[0, 0], own[-1, 1]
        for k in np.flatnonzero(out[1:, 0] < out[:-1, 1]):  # of two that overlap the better one is right
            out[k, 1] = out[k + 1, 0] = out[k + 1, 0] if better[k + 1] else out[k, 1]
        short = out[:, 1] - out[:, 0] < SHORTEST_S
        near = short | np.append(short[1:], False) | np.append(False, short[:-1])
        if not (near & better).any():
            return out, better
        better &= ~near
