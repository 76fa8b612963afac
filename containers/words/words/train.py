"""Stage ``train``: an acoustic model from a corpus alone, from a flat start."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from stagekit.inputs import digest
from stagekit.run import fingerprint
from stagekit.stage import RUNTIME, Context, Crashed, EmptyInput, Params, StageError, stage
from stagekit.storage import local_copy, sha256_file
from stagekit.tables import Reason
from words.change import CHANGE_WEIGHT, change, fine_mel, per_frame
from words.corpus import Refused, Sentence, normalise, read_sentences, samples, static_vectors
from words.decode import Utterance
from words.engine import DEVICES, engine_of
from words.estimate import Estimator, Plan, State, arrays_of, state_of, threads_of, usual_scores
from words.features import RATE, Shape, with_slopes
from words.graph import Topology, build
from words.lexicon import key, read_lexicon
from words.model import Model, save_arrays
from words.units import OTHER, SIL, Speller, count, inventory

BATCH = 40
"""Clips decoded at a time by a worker."""


class TrainParams(Params):
    """What is trained, on how much."""

    lexicon: str = Field("", description="URI of a pronunciation lexicon, a line `word phone phone …`; empty: the spelling")
    max_hours: float = Field(
        10.0, gt=0, description="of a larger corpus, clips of so many hours are trained on, chosen by seed and id; 0.12 GB each"
    )
    min_sentences: int = Field(25, ge=2, description="fewer usable sentences are refused: too little to learn sounds from")
    longest_s: float = Field(60.0, gt=0, description="longer clips are not trained on (alignment takes them), seconds")
    rare: int = Field(8, ge=1, description="a letter seen less often loses its marks, or becomes the unknown sound")
    shift_ms: int = Field(10, ge=2, le=20, description="time between frames, milliseconds")
    leaves: int = Field(800, ge=1, description="most tied states")
    gaussians: int = Field(6000, ge=1, description="Gaussians of the tied states; fewer where frames are few")
    seed: int = Field(1, description="chooses the sample of a corpus above max_hours; nothing else is drawn by chance")
    device: str = Field("cpu", pattern=DEVICES, description="`cpu`, `cuda` (the GPU image), or `torch`: as cuda, on the CPU")
    work: str = Field("", description="folder for checkpoints; empty: beside the output", json_schema_extra=RUNTIME)

    @property
    def shape(self) -> Shape:
        """Of the features."""
        return Shape(shift=self.shift_ms * RATE // 1000)


class TooFew(StageError):
    """Too few sentences to learn from."""


def digests(params: TrainParams) -> dict[str, str]:
    """What decides the output beside code and parameters: the lexicon's content."""
    if not params.lexicon:
        return {}
    with local_copy(params.lexicon) as path:
        return {"lexicon": sha256_file(path)}


@dataclass(frozen=True)
class Job:
    """Clips for one worker call."""

    sentences: list[Sentence]
    shape: Shape
    longest_s: float


@stage(
    "train",
    version=1,
    params=TrainParams,
    unit="sentence",
    reads=["sentences", "sentence_audio"],
    libraries=["numpy", "scipy", "numba"],
    model_digest=digests,
)
def run(ctx: Context[TrainParams]) -> None:
    """Inputs: folders with ``sentences`` and ``sentence_audio``. Output: ``model/`` (words.model)."""
    kept, vectors = load(ctx, sample(ctx), ctx.params.shape)
    seconds = {s.id: s.duration_s for s in kept}

    def refuse(name: str, detail: str) -> None:
        ctx.reject(name, Reason.UNALIGNED, detail, end_s=seconds[name])

    learned = learn(ctx, kept, vectors, refuse)
    for name in learned.names:
        ctx.keep(name, seconds[name])
    for name in learned.left_out:
        refuse(name, "fits its text far worse than others: not learned from")
    ctx.metrics |= learned.model.about
    learned.model.save(ctx.path("model/model.json").parent)
    learned.work.remove()


@dataclass(frozen=True)
class Learned:
    """A model, ids of the sentences that it was learned from, and of those whose text fits far worse than others'."""

    model: Model
    names: list[str]
    left_out: list[str]
    work: Checkpoints
    """To be removed when the model is where it should be."""


def learn(ctx: Context[Any], kept: list[Sentence], vectors: list[Sound], refuse: Callable[[str, str], None]) -> Learned:
    """A model of sentences and their sound.

    Args:
        ctx: its parameters are `TrainParams`, or more; training goes on from what it left beside the output.
        kept: the sentences.
        vectors: what was heard of each.
        refuse: gets the id of a sentence whose text is longer than its sound, and the detail.

    Raises:
        TooFew: there are not enough of them.
    """
    given: TrainParams = ctx.params
    lexicon: dict[str, list[list[str]]] = {}
    if given.lexicon:
        with local_copy(given.lexicon) as path:
            lexicon = read_lexicon(path)
    shape = given.shape
    if len(kept) < given.min_sentences:
        raise TooFew(
            f"{len(kept)} usable sentences; training needs {given.min_sentences} (parameter min_sentences; the README says what "
            "so few are worth)"
        )
    speller = make_speller(kept, lexicon, given.rare)
    topology = Topology()
    utterances: list[Utterance] = []
    names: list[str] = []
    statics = normalise([static for static, _ in vectors], [s.speaker for s in kept])
    for sentence, static, (_, curve) in zip(kept, statics, vectors, strict=True):
        trellis = build([speller(key(w)) for w in sentence.words], topology)
        need = trellis.shortest * shape.shift / RATE
        if trellis.shortest > static.shape[1]:
            refuse(sentence.id, f"{sentence.duration_s:.2f} s of sound for a text that takes {need:.2f} s at least")
            continue
        boundaries = per_frame(curve, static.shape[1], shape.shift, CHANGE_WEIGHT)
        utterances.append(Utterance(with_slopes(static, shape), trellis, boundaries))
        names.append(sentence.id)
    if len(utterances) < given.min_sentences:
        raise TooFew(f"{len(utterances)} sentences whose text fits their sound; training needs {given.min_sentences}")
    plan = Plan(leaves=given.leaves, tied_gaussians=given.gaussians)
    seconds = {s.id: s.duration_s for s in kept}
    engine = engine_of(given.device, threads_of(ctx.workers))
    estimator = Estimator(utterances, len(speller.units), shape.shift / RATE, plan, engine)
    work = Checkpoints(ctx, digest([names, asdict(plan)]))
    before = work.last()
    if before is not None and not ctx.quiet:
        print(f"{ctx.stage.name}: goes on after {before.phase} round {before.round}", file=sys.stderr, flush=True)
    final = estimator.run(before, work.save)
    assert final.plain is not None
    used = [name for name, best in zip(names, final.paths, strict=True) if best is not None]
    about = {
        "sentences": len(used),
        "left_out": len(names) - len(used),
        "hours": round(sum(seconds[n] for n in names) / 3600, 4),
        "tied_states": final.tree.leaves,
        "gaussians": len(final.acoustics.mixtures.weight),
        "scores": usual_scores(engine, utterances, final, shape.shift / RATE),
    }
    model = Model(shape, topology, speller, final.plain, final.acoustics, final.tree, about)
    return Learned(model, used, [n for n, best in zip(names, final.paths, strict=True) if best is None], work)


def sample(ctx: Context[TrainParams]) -> set[str]:
    """Ids to train on; every sentence is counted in, the rest kept.

    Raises:
        EmptyInput: there is none.
    """
    seconds: dict[str, float] = {}
    for row in ctx.rows("sentences", columns=["sentence_id", "duration_s"]):
        seconds[row["sentence_id"]] = row["duration_s"]
        ctx.enter(row["sentence_id"], row["duration_s"])
    if not seconds:
        raise EmptyInput("no sentences")
    chosen = draw(seconds, ctx.params)
    for name in seconds.keys() - chosen:
        ctx.keep(name, seconds[name])
    return chosen


def draw(seconds: Mapping[str, float], given: TrainParams) -> set[str]:
    """All ids, or as many hours as allowed in the order of a hash; ``seconds``: of each."""
    left = given.max_hours * 3600
    if sum(seconds.values()) <= left:
        return set(seconds)
    chosen = set()
    for _, name in sorted((hashlib.sha256(f"{given.seed} {name}".encode()).hexdigest(), name) for name in seconds):
        if 0 < seconds[name] <= min(left, given.longest_s):
            chosen.add(name)
            left -= seconds[name]
    return chosen


def load(ctx: Context[TrainParams], chosen: set[str], shape: Shape) -> tuple[list[Sentence], list[Sound]]:
    """Sentences (without their bytes) and sound of those that can be used; the others are rejected."""

    def jobs() -> Iterator[Job]:
        batch: list[Sentence] = []
        for sentence in read_sentences(ctx):
            if sentence.id in chosen:
                batch.append(sentence)
            if len(batch) == BATCH:
                yield Job(batch, shape, ctx.params.longest_s)
                batch = []
        if batch:
            yield Job(batch, shape, ctx.params.longest_s)

    kept: list[Sentence] = []
    vectors: list[Sound] = []
    total = -(-len(chosen) // BATCH)
    for job, results in ctx.map(vectors_of, jobs(), seconds=lambda j: sum(s.duration_s for s in j.sentences), total=total):
        for n, sentence in enumerate(job.sentences):
            result = Refused(Reason.CRASHED, results.detail) if isinstance(results, Crashed) else results[n]
            if isinstance(result, Refused):
                ctx.reject(sentence.id, result.reason, result.detail, end_s=sentence.duration_s)
            else:
                kept.append(Sentence(sentence.id, sentence.speaker, "", sentence.tokens, sentence.duration_s, b""))
                vectors.append(result)
    return kept, vectors


Sound = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Cepstra (cepstra, frames), and the curve of change (words.change)."""


def vectors_of(job: Job) -> list[Sound | Refused]:
    """Cepstra and change of each clip, or why there are none."""
    out: list[Sound | Refused] = []
    for sentence in job.sentences:
        x = samples(sentence, job.longest_s)
        out.append(x if isinstance(x, Refused) else sound_of(x, job.shape))
    return out


def sound_of(clip: NDArray[np.float32], shape: Shape) -> Sound:
    """Cepstra and change of a clip."""
    return static_vectors(clip, shape), change(fine_mel(clip))


def make_speller(sentences: list[Sentence], lexicon: dict[str, list[list[str]]], rare: int) -> Speller:
    """The units of a corpus: the phones of its words in the lexicon, and the letters of the other words."""
    seen: Counter[str] = Counter()
    phones: Counter[str] = Counter()
    for sentence in sentences:
        for word in map(key, sentence.words):
            if word in lexicon:
                phones.update(lexicon[word][0])
            else:
                seen.update(count([word]))
    mapping = inventory(seen, rare)
    units = sorted(set(mapping.values()) - {OTHER} | {p for p, n in phones.items() if n >= rare})
    return Speller([SIL, OTHER, *units], mapping, lexicon)


class Checkpoints:
    """The state of training after each round, in a folder named by the stage's fingerprint; the last two are kept."""

    def __init__(self, ctx: Context[TrainParams], content: str):
        """``content``: digest of what is trained on; a checkpoint of other content is not used."""
        name = fingerprint(ctx.stage, ctx.params, ctx.inputs)
        base = Path(ctx.params.work) if ctx.params.work else ctx.staging.parent
        self.folder, self.content = base / f".work-{name}", content

    def last(self) -> State | None:
        """The newest state that can be read."""
        for path in sorted(self.folder.glob("*.npz"), reverse=True):
            try:
                with np.load(path, allow_pickle=False) as arrays:
                    if str(arrays["content"]) == self.content:
                        return state_of(arrays)
            except (OSError, ValueError, KeyError, EOFError):
                continue  # cut short; the one before it will do
        return None

    def save(self, state: State) -> None:
        """Write the state, in one step."""
        self.folder.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, NDArray[Any]] = arrays_of(state) | {"content": np.array(self.content)}
        path = self.folder / f"{'tied' if state.phase == 'tied' else 'plain'}-{state.round:03d}.npz"
        half = path.with_suffix(".part")
        save_arrays(half, arrays)
        half.replace(path)
        for old in sorted(self.folder.glob("*.npz"))[:-2]:
            old.unlink()

    def remove(self) -> None:
        """Training is over."""
        shutil.rmtree(self.folder, ignore_errors=True)
