"""Stage ``train``: an acoustic model from a corpus alone, by ``mfa train`` from a flat start."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from pydantic import Field

from mfa import program
from mfa.corpus import Sentence, read_sentences, usable, write_corpus
from mfa.dictionary import Dictionary, read_lexicon
from mfa.model import save
from mfa.options import COMMON, Recipe, training
from stagekit.stage import Context, EmptyInput, Params, StageError, stage
from stagekit.storage import local_copy, sha256_file


class TrainParams(Params):
    """What is trained, on how much."""

    recipe: Recipe = Field(
        "full", description="`full`: MFA's own steps (mfa.options); `monophone`: only the first, 20 iterations, to try a corpus"
    )
    lexicon: str = Field("", description="URI of a pronunciation lexicon, a line `word phone phone …`; empty: graphemes")
    max_hours: float = Field(
        50.0, gt=0, description="of a larger corpus, clips of so many hours are trained on, chosen by their ids"
    )
    min_sentences: int = Field(25, ge=1, description="fewer usable sentences are refused: too little to learn phones from")
    longest_s: float = Field(60.0, gt=0, description="longer clips are rejected, seconds")
    jobs: int = Field(2, ge=1, description="processes of MFA; in the fingerprint: its sums depend on how the corpus is divided")


def digests(params: TrainParams) -> dict[str, str]:
    """What decides the output beside code and parameters: the aligner's version and the lexicon's content."""
    found = {"mfa": program.version()}
    if params.lexicon:
        with local_copy(params.lexicon) as path:
            found["lexicon"] = sha256_file(path)
    return found


@stage(
    "train",
    version=1,
    params=TrainParams,
    unit="sentence",
    reads=["sentences", "sentence_audio"],
    model_digest=digests,
)
def run(ctx: Context[TrainParams]) -> None:
    """Inputs: folders with ``sentences`` and ``sentence_audio``. Output: ``model/`` (mfa.model)."""
    sentences = read_sentences(ctx)
    if not sentences:
        raise EmptyInput("no sentences")
    for sentence in sentences:
        ctx.enter(sentence.id, sentence.duration_s)
    with tempfile.TemporaryDirectory(prefix="speechmill-mfa-") as name:
        scratch = Path(name)
        lexicon = None
        if ctx.params.lexicon:
            with local_copy(ctx.params.lexicon) as path:
                lexicon = Path(shutil.copyfile(path, scratch / "lexicon.txt"))
        dictionary = Dictionary((w for s in sentences for w in s.words), read_lexicon(lexicon) if lexicon else None)
        fit = usable(ctx, sentences, dictionary)
        chosen = _sample(fit, ctx.params.max_hours)
        utterances = write_corpus(ctx, scratch / "corpus", [s for s in fit if s.id in chosen], dictionary, ctx.params.longest_s)
        for sentence in (s for s in fit if s.id not in chosen):
            ctx.keep(sentence.id, sentence.duration_s)
        if len(utterances) < ctx.params.min_sentences:
            raise StageError(f"{len(utterances)} usable sentences of {len(sentences)}; training needs {ctx.params.min_sentences}")
        words = [w for u in utterances for w in u.sentence.words]
        dictionary.write(scratch / "words.dict", words)
        (scratch / "training.yaml").write_text(training(ctx.params.recipe), encoding="utf-8")
        (scratch / "run").mkdir()
        program.run(
            [
                "train", str(scratch / "corpus"), str(scratch / "words.dict"), str(scratch / "acoustic.zip"),
                "--config_path", str(scratch / "training.yaml"), "--num_jobs", str(ctx.params.jobs), *COMMON,
            ],
            scratch / "run", quiet=ctx.quiet,
        )  # fmt: skip
        if not (scratch / "acoustic.zip").exists():
            raise StageError("`mfa train` ended without a model")
        seconds = sum(u.sentence.duration_s for u in utterances)
        about: dict[str, Any] = {
            "mfa": program.version(),
            "recipe": ctx.params.recipe,
            "phones": sorted(dictionary.phones_of(words)),
            "sentences": len(utterances),
            "speakers": len({u.speaker for u in utterances}),
            "seconds": round(seconds, 3),
        }
        save(ctx, scratch / "acoustic.zip", lexicon, about)
    for utterance in utterances:
        ctx.keep(utterance.sentence.id, utterance.sentence.duration_s)
    unknown = sum(not dictionary.speakable(w) for w in words)
    ctx.metrics |= {k: v for k, v in about.items() if k != "phones"}
    ctx.metrics |= {"phones": len(about["phones"]), "words": len(words), "words_without_pronunciation": unknown}
    ctx.metrics["sentences_not_sampled"] = len(fit) - len(chosen)


def _sample(sentences: list[Sentence], hours: float) -> set[str]:
    """Ids of a part of so many hours: in the order of the ids, which are hashes: a fair part, and always the same."""
    chosen, seconds = set(), 0.0
    for sentence in sorted(sentences, key=lambda s: s.id):
        if seconds + sentence.duration_s > hours * 3600:
            continue
        chosen.add(sentence.id)
        seconds += sentence.duration_s
    return chosen
