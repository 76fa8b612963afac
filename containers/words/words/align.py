"""Stage ``align``: when each word of each sentence is spoken, by a model of ``train``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from stagekit.stage import Context, Crashed, Params, StageError, stage
from stagekit.storage import join, local_copy, resolve
from stagekit.tables import Reason
from words.change import CHANGE_WEIGHT, change, fine_mel, per_frame
from words.corpus import Refused, Sentence, normalise, read_sentences, samples, static_vectors
from words.decode import Utterance
from words.engine import DEVICES, Engine, engine_of
from words.features import RATE, with_slopes
from words.graph import PARTS, SILENCE, Trellis, build
from words.lexicon import key
from words.model import JSON, NPZ, Model
from words.refine import fused, refine
from words.score import low, word_scores
from words.units import spell

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

CHUNK_S = 600.0
"""Seconds of clips that a worker takes at once; a speaker's clips in it are normalised together."""


BAND_S = 0.15
"""Tied states are searched so near the best path of the states without context, as in training (words.estimate.Plan)."""


class AlignParams(Params):
    """What is accepted, and what is called implausible."""

    longest_s: float = Field(
        600.0, gt=0, description="longer clips are rejected, seconds; memory grows with the square: 600 s take 1.6 GB"
    )
    unaligned: float = Field(
        12.0, gt=0, description="a sentence so many times as far below the median score as the lower quartile: `unaligned`"
    )
    low_score: float = Field(6.0, gt=0, description="a word so many times as far below its median has the fault `low_score`")
    min_unit_s: float = Field(
        0.026, ge=0, description="a word whose letters or phones are shorter on average is `too_short`; three frames are 0.03"
    )
    max_unit_s: float = Field(0.4, gt=0, description="a word whose letters or phones are longer on average is `too_long`")
    device: str = Field("cpu", pattern=DEVICES, description="`cpu`, `cuda` (the GPU image), or `torch`: as cuda, on the CPU")
    fine: bool = Field(True, description="move boundaries to the nearest change of the spectrum (words.refine)")


@dataclass(frozen=True)
class Job:
    """Clips for one worker call."""

    sentences: list[Sentence]
    model: Model
    params: AlignParams


@stage(
    "align",
    version=1,
    params=AlignParams,
    unit="sentence",
    reads=["sentences", "sentence_audio"],
    writes=["sentence_words"],
    libraries=["numpy", "scipy", "numba"],
)
def run(ctx: Context[AlignParams]) -> None:
    """Inputs: folders with ``sentences`` and ``sentence_audio``, and ``model=`` the folder of ``train``."""
    model = load_model(ctx)
    faults: Counter[str] = Counter()
    for job, results in ctx.map(align_job, _jobs(ctx, model), seconds=lambda j: sum(s.duration_s for s in j.sentences)):
        for n, sentence in enumerate(job.sentences):
            ctx.enter(sentence.id, sentence.duration_s)
            result = Refused(Reason.CRASHED, results.detail) if isinstance(results, Crashed) else results[n]
            if isinstance(result, Refused):
                ctx.reject(sentence.id, result.reason, result.detail, end_s=sentence.duration_s)
                continue
            for row in result:
                ctx.write("sentence_words", row)
                if row["fault"]:
                    faults[row["fault"]] += 1
            ctx.keep(sentence.id, sentence.duration_s)
    ctx.metrics |= {"faults": dict(sorted(faults.items())), "model": model.about}


def load_model(ctx: Context[Any]) -> Model:
    """The model of the input ``model=``.

    Raises:
        StageError: there is no such input, or it holds no model.
    """
    given = ctx.input("model")
    if given is None:
        raise StageError("no model: give the folder of `words train` as --input model=URI")
    store, path = resolve(join(given.uri, "model", JSON))
    if not store.exists(path):
        raise StageError(f"{given.uri}: no model/{JSON} in it; expected the folder of `words train`")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        for name in (JSON, NPZ):
            local = stack.enter_context(local_copy(join(given.uri, "model", name)))
            (folder / name).symlink_to(local.resolve())
        return Model.load(folder)


def _jobs(ctx: Context[AlignParams], model: Model) -> Iterator[Job]:
    batch: list[Sentence] = []
    seconds = 0.0
    for sentence in read_sentences(ctx):
        if batch and seconds + sentence.duration_s > CHUNK_S:
            yield Job(batch, model, ctx.params)
            batch, seconds = [], 0.0
        batch.append(sentence)
        seconds += sentence.duration_s
    if batch:
        yield Job(batch, model, ctx.params)


def align_job(job: Job) -> list[list[dict[str, Any]] | Refused]:
    """Rows of ``sentence_words`` of each sentence, or why there are none."""
    clips = [samples(sentence, job.params.longest_s) for sentence in job.sentences]
    return align_clips(job.sentences, clips, job.model, job.params)


def align_clips(
    sentences: list[Sentence], clips: list[F32 | Refused], model: Model, params: AlignParams
) -> list[list[dict[str, Any]] | Refused]:
    """The same of sentences whose samples are there."""
    heard: dict[int, F32] = {}
    out: dict[int, list[dict[str, Any]] | Refused] = {}
    for n, clip in enumerate(clips):
        if isinstance(clip, Refused):
            out[n] = clip
        else:
            heard[n] = clip
    cepstra = [static_vectors(clip, model.shape) for clip in heard.values()]
    statics = normalise(cepstra, [sentences[n].speaker for n in heard])
    ready: dict[int, Prepared] = {}
    for n, static in zip(heard, statics, strict=True):
        prepared = prepare(sentences[n], heard[n], static, model)
        if isinstance(prepared, Refused):
            out[n] = prepared
        else:
            ready[n] = prepared
    found = search([p.utterance for p in ready.values()], model, params.device)
    for n, best in zip(ready, found, strict=True):
        out[n] = rows_of(sentences[n], ready[n], best, model, params)
    return [out[n] for n in range(len(sentences))]


@dataclass(frozen=True)
class Prepared:
    """A sentence that may be searched."""

    utterance: Utterance
    curve: F32
    """words.change"""
    duration_s: float


def prepare(sentence: Sentence, clip: F32, static: F32, model: Model) -> Prepared | Refused:
    """The utterance of a clip's samples and normalised cepstra (cepstra, frames), or why its text cannot lie in it."""
    trellis = build([model.speller(key(w)) for w in sentence.words], model.topology)
    duration_s, frames = len(clip) / RATE, static.shape[1]
    if trellis.shortest > frames:
        need = trellis.shortest * model.shape.shift / RATE
        return Refused(Reason.UNALIGNED, f"{duration_s:.2f} s of sound for a text that takes {need:.2f} s at least")
    curve = change(fine_mel(clip))
    boundaries = per_frame(curve, frames, model.shape.shift, CHANGE_WEIGHT)
    return Prepared(Utterance(with_slopes(static, model.shape), trellis, boundaries), curve, duration_s)


@dataclass(frozen=True)
class Found:
    """Of each frame: best state by tied states and by those without context, and log-likelihood ratio (words.score)."""

    path: I32
    alone: I32
    ratio: F32


def search(utterances: list[Utterance], model: Model, device: str) -> list[Found | None]:
    """Paths and ratios: first with the states without context, then with the tied ones near that path; None: no path fits."""
    engine, plain, step = _engine(device), model.plain, model.shape.shift / RATE
    out: list[Found | None] = []
    for some in blocks(utterances, engine.frames):
        known = engine.tables(some, plain)
        alone = [(u.trellis.unit * PARTS + u.trellis.part).astype(np.int64) for u in some]
        first = engine.paths(some, alone, plain, known=known)
        fit = [i for i, p in enumerate(first) if p is not None]
        ties = model.states([some[i].trellis for i in fit])
        near = [p for p in first if p is not None]
        tied = engine.paths([some[i] for i in fit], ties, model.tied, near, round(BAND_S / step))
        paths = [n if t is None else t for n, t in zip(near, tied, strict=True)]
        ratios = engine.ratios([known[i] for i in fit], [some[i].trellis for i in fit], paths, plain, max(1, round(0.01 / step)))
        found = {i: Found(p, n, r) for i, p, n, r in zip(fit, paths, near, ratios, strict=True)}
        out += [found.get(i) for i in range(len(some))]
    return out


def blocks(utterances: list[Utterance], frames: int) -> Iterator[list[Utterance]]:
    """Utterances in order, of so many frames together, at least one at a time."""
    some: list[Utterance] = []
    total = 0
    for u in utterances:
        if some and total + len(u.change) > frames:
            yield some
            some, total = [], 0
        some.append(u)
        total += len(u.change)
    if some:
        yield some


@cache
def _engine(device: str) -> Engine:
    """Of this process, which is one of the pool's: one thread."""
    return engine_of(device, 1)


def rows_of(
    sentence: Sentence, prepared: Prepared, found: Found | None, model: Model, params: AlignParams
) -> list[dict[str, Any]] | Refused:
    """Rows of one sentence."""
    trellis, step = prepared.utterance.trellis, model.shape.shift / RATE
    if found is None:
        return Refused(Reason.UNALIGNED, "no path through the text fits the sound")
    scores, mean = word_scores(found.ratio, trellis.word[found.path])
    usual = model.about["scores"]
    if mean < (bound := low(usual["sentences"], params.unaligned)):
        return Refused(Reason.UNALIGNED, f"score {mean:.2f}, usual are over {bound:.2f}: wrong text or bad sound")
    owned, alone = (spans(path, trellis, step) for path in (found.path, found.alone))
    times = fused(edges(owned), edges(alone), prepared.duration_s)
    times = refine(times, prepared.curve, prepared.duration_s) if params.fine else np.minimum(times, prepared.duration_s)
    rows = []
    for w, (word, a, b) in enumerate(sentence.tokens):
        own, (start, end) = owned[w], (float(t) for t in times[w])
        cuts = [start, *(t[0] for t in own[1:]), end]
        cuts = list(np.clip(np.maximum.accumulate(cuts), start, end))
        score = float(scores[w])
        rows.append(
            {
                "sentence_id": sentence.id,
                "index": w,
                "char_start": a,
                "char_end": b,
                "word": word,
                "word_raw": sentence.text[a:b],
                "start_s": round(start, 7),
                "end_s": round(end, 7),
                "score": round(score, 4),
                "fault": fault(word, start, end, len(own), score, model, params),
                "phones": [
                    {"phone": model.speller.units[t[2]], "start_s": round(float(p), 7), "end_s": round(float(q), 7)}
                    for t, p, q in zip(own, cuts[:-1], cuts[1:], strict=True)
                ],
            }
        )
    return rows


Span = tuple[float, float, int]
"""Start and end of a unit, seconds, and its number."""


def spans(path: I32, trellis: Trellis, step: float) -> list[list[Span]]:
    """The units of each word, as the path has them."""
    token = trellis.token[path]
    starts = np.flatnonzero(np.diff(token, prepend=-1))
    ends = np.append(starts[1:], len(path))
    out: list[list[Span]] = [[] for _ in range(int(trellis.word.max()) + 1)]
    for a, b in zip(starts, ends, strict=True):
        if (unit := int(trellis.unit[path[a]])) != SILENCE:
            out[trellis.word[path[a]]].append((float(a * step), float(b * step), unit))
    return out


def edges(words: list[list[Span]]) -> F64:
    """(words, 2) start and end of each word, seconds."""
    return np.array([(units[0][0], units[-1][1]) for units in words])


def fault(word: str, start: float, end: float, units: int, score: float, model: Model, params: AlignParams) -> str | None:
    """``no_pronunciation``, ``too_short``, ``too_long`` or ``low_score``; None if nothing speaks against the word."""
    known = key(word) in model.speller.lexicon or any(u in model.speller.mapping for u in spell(word))
    if not known:
        return "no_pronunciation"
    each = (end - start) / units
    if each < params.min_unit_s:
        return "too_short"
    if each > params.max_unit_s:
        return "too_long"
    return "low_score" if score < low(model.about["scores"]["words"], params.low_score) else None
