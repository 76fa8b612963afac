"""Stage ``collect_words``: the sentences of all sealed batches up to a key and their words; their audio stays where it is.

Inputs are pinned by the digests of the seals, as in :mod:`release.collect`. A sentence that two batches hold is taken from the
first. File n of ``sentences`` is a file of one folder of ``ingest prepare``; the metric ``audio`` names these, in this order, so
that ``keywords cut`` reads the audio from there: it is never copied.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import pyarrow as pa

from release.collect import CollectParams, pinned
from release.ledger import WORDS_CHAIN
from release.seals import Seal
from stagekit.folder import FILE_NAME, read_files
from stagekit.stage import Context, EmptyInput, Reason, stage

VOICES, PREPARE, ALIGN = ("ingest.voices",), ("ingest.prepare",), ("words.align", "mfa.align")


def _digests(params: CollectParams) -> Mapping[str, str]:
    return {seal.key: seal.sha256 for seal in pinned(params)}


@stage(
    "collect_words",
    version=1,
    params=CollectParams,
    unit="sentence",
    writes=["sentences", "sentence_words", "speaker_links", "rejections", "origins"],
    model_digest=_digests,
)
def run(ctx: Context[CollectParams]) -> None:
    """No ``--input``: the seals name the folders.

    Raises:
        EmptyInput: nothing is sealed, or no sealed batch has a sentence.
    """
    p = ctx.params
    seals = pinned(p)
    if not seals:
        raise EmptyInput(f"no sealed batch of {p.dataset}/{p.language} up to {p.until}")
    audio: list[str] = []
    first: dict[str, str] = {}
    repeated = 0
    for batch, seal in enumerate(seals):
        repeated += _sentences(ctx, seal, batch, first, audio)
        for path in seal.paths("sentence_words", ALIGN):
            words = read_files([path], "sentence_words")
            taken = pa.array([first.get(i) == seal.key for i in words["sentence_id"].to_pylist()], pa.bool_())
            ctx.write_table("sentence_words", words.filter(taken), batch)
        for table, stages in (("speaker_links", VOICES), ("rejections", WORDS_CHAIN)):
            rows = seal.read(table, stages)
            if rows.num_rows:
                ctx.write_table(table, rows, batch)
    if not first:
        raise EmptyInput(f"no sentence in {p.dataset}/{p.language}, batches {', '.join(s.key for s in seals)}")
    pins = [{"key": s.key, "sha256": s.sha256, "ledger": s.ledger} for s in seals]
    ctx.path("pins.json").write_text(json.dumps(pins, indent=1, sort_keys=True) + "\n")
    ctx.metrics.update(batches=[s.key for s in seals], sentences=len(first), repeated=repeated, audio=audio)


def _sentences(ctx: Context[CollectParams], seal: Seal, batch: int, first: dict[str, str], audio: list[str]) -> int:
    """Take a batch's sentences; how many an earlier one has."""
    repeated = 0
    for uri, name, path in seal.files("sentences", PREPARE):
        rows = read_files([path], "sentences")
        new = []
        for sentence_id, seconds in zip(rows["sentence_id"].to_pylist(), rows["duration_s"].to_pylist(), strict=True):
            unit, before = f"{sentence_id} in {seal.key}", first.setdefault(sentence_id, seal.key)
            new.append(before == seal.key)
            ctx.enter(unit, seconds)
            if new[-1]:
                ctx.keep(unit, seconds)
                ctx.write("origins", {"unit": "sentence", "id": sentence_id, "batch": seal.key}, batch)
            else:
                repeated += 1
                why = f"in batch {before} already, not taken again"
                ctx.reject(unit, Reason.DUPLICATE_AUDIO, why, end_s=seconds, row_id=sentence_id, shard=batch)
        ctx.write_table("sentences", rows.filter(pa.array(new, pa.bool_())), len(audio))
        audio.append(f"{uri}#{FILE_NAME.fullmatch(name)['shard']}")  # type: ignore[index]
    return repeated
