"""Stage ``collect``: the corpus of all sealed batches up to a key, one row an id.

Inputs are pinned by the digests of the seals (``batch.json``), so a batch that is sealed later gives another output. A unit that two
batches hold (an item that was found again in a trailing month) is taken from the first; its second account is a rejection, so that
the sum of the seals still adds up. ``words`` stay in the batches: no stage of a release reads them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import pyarrow as pa
from pydantic import Field
from stagekit.stage import RUNTIME, Context, EmptyInput, Params, Reason, StageError, stage

from release.ledger import CHAIN
from release.seals import BATCH_KEY, Seal, batch_keys, read_seal

FETCH, SCORE = ("ingest.fetch",), ("align.score",)


class CollectParams(Params):
    """Which batches."""

    dataset: str = Field(pattern=r"[a-z0-9_]+", description="such as peoples_speech")
    language: str = Field(pattern=r"[A-Za-z0-9-]+", description="BCP 47")
    until: str = Field(pattern=f"^{BATCH_KEY}$", description="last batch key to take in, YYYY.MM")
    root: str = Field(description="warehouse URI", json_schema_extra=RUNTIME)


def pinned(params: CollectParams) -> list[Seal]:
    """The seals that a run takes in, in order of keys."""
    return [
        read_seal(params.root, params.dataset, params.language, key)
        for key in batch_keys(params.root, params.dataset, params.language, params.until)
    ]


def _digests(params: CollectParams) -> Mapping[str, str]:
    return {seal.key: seal.sha256 for seal in pinned(params)}


@stage(
    "collect",
    version=1,
    params=CollectParams,
    unit="document",
    writes=["items", "recordings", "documents", "segments", "rejections", "origins"],
    model_digest=_digests,
)
def run(ctx: Context[CollectParams]) -> None:
    """No ``--input``: the seals name the folders. One output shard a batch."""
    seals = pinned(ctx.params)
    if not seals:
        raise EmptyInput(f"no sealed batch of {ctx.params.dataset}/{ctx.params.language} up to {ctx.params.until}")
    seen: dict[str, dict[str, str]] = {"item": {}, "recording": {}, "document": {}}
    repeated = {unit: 0 for unit in seen}
    for shard, seal in enumerate(seals):
        for unit, table, key in (("item", "items", "item_id"), ("recording", "recordings", "recording_id"), ("document", "documents", "document_id")):
            for row in seal.rows(table, FETCH):
                if row[key] not in seen[unit]:
                    seen[unit][row[key]] = seal.key
                    ctx.write(table, row, shard)
                    ctx.write("origins", {"unit": unit, "id": row[key], "batch": seal.key}, shard)
                else:
                    repeated[unit] += 1
        _segments(ctx, seal, seen["document"], shard)
        rejections = seal.read("rejections", CHAIN)
        if rejections.num_rows:
            ctx.write_table("rejections", rejections, shard)
    pins = [{"key": s.key, "sha256": s.sha256, "ledger": s.ledger} for s in seals]
    ctx.path("pins.json").write_text(json.dumps(pins, indent=1, sort_keys=True) + "\n")
    ctx.metrics.update(batches=[s.key for s in seals], repeated=repeated, **{f"{u}s": len(ids) for u, ids in seen.items()})


def _segments(ctx: Context[CollectParams], seal: Seal, first_batch: Mapping[str, str], shard: int) -> None:
    """A document's segments come from the batch that brought it first, each once; the rest is charged as already there."""
    segments = seal.read("segments", SCORE)
    accounts: dict[str, list[float]] = {}
    taken: list[bool] = []
    seen: set[str] = set()
    for row in segments.select(["segment_id", "document_id", "speech_start_s", "speech_end_s"]).to_pylist():
        document_id, seconds = row["document_id"], row["speech_end_s"] - row["speech_start_s"]
        if document_id not in first_batch:
            raise StageError(f"batch {seal.key}: segment {row['segment_id']} is of document {document_id}, which no batch up to it holds")
        new = first_batch[document_id] == seal.key and row["segment_id"] not in seen
        seen.add(row["segment_id"])
        taken.append(new)
        accounts.setdefault(document_id, [0.0, 0.0])[not new] += seconds
    for document_id, (kept, repeated) in sorted(accounts.items()):
        unit = f"{document_id} in {seal.key}"
        ctx.enter(unit, kept + repeated)
        if kept:
            ctx.keep(unit, kept)
        if repeated:
            detail = f"in batch {first_batch[document_id]} already, not taken from {seal.key} again"
            ctx.reject(unit, Reason.DUPLICATE_AUDIO, detail, end_s=repeated, row_id=document_id, shard=shard)
    if any(taken):
        ctx.write_table("segments", segments.filter(pa.array(taken)), shard)
