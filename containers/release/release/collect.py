"""Stage ``collect``: the corpus of all sealed batches up to a key, one row an id.

Inputs are pinned by the digests of the seals (``batch.json``), so a batch that is sealed later gives another output. A unit
that two batches hold (an item that was found again in a trailing month) is taken from the first; its second account is a
rejection, so that the sum of the seals still adds up. ``words`` stay in the batches: no stage of a release reads them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from pydantic import Field

from release.ledger import CHAIN
from release.seals import BATCH_KEY, Seal, batch_keys, read_seal
from stagekit.stage import RUNTIME, Context, EmptyInput, Params, Reason, StageError, stage

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


@dataclass
class _Corpus:
    """What has been taken so far, from which batch."""

    batch: dict[str, dict[str, str]] = field(default_factory=lambda: {"item": {}, "recording": {}, "document": {}})
    left: dict[str, int] = field(default_factory=lambda: {"item": 0, "recording": 0, "document": 0})
    """Rows that were not taken."""
    held: set[str] = field(default_factory=set)
    """Recordings that an item names. One that came when its item was known with other audio is not taken."""

    def take(self, unit: str, row: Mapping[str, Any], key: str) -> bool:
        """Whether a row is new; it is then remembered."""
        ids = self.batch[unit]
        if row[f"{unit}_id"] in ids or (unit != "item" and row["recording_id"] not in self.held):
            self.left[unit] += 1
            return False
        ids[row[f"{unit}_id"]] = key
        if unit == "item":
            self.held.add(row["recording_id"])
        return True


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
    corpus = _Corpus()
    for shard, seal in enumerate(seals):
        for unit, table in (("item", "items"), ("recording", "recordings"), ("document", "documents")):
            for row in seal.rows(table, FETCH):
                if corpus.take(unit, row, seal.key):
                    ctx.write(table, row, shard)
                    ctx.write("origins", {"unit": unit, "id": row[f"{unit}_id"], "batch": seal.key}, shard)
        _segments(ctx, seal, corpus, shard)
        rejections = seal.read("rejections", CHAIN)
        if rejections.num_rows:
            ctx.write_table("rejections", rejections, shard)
    pins = [{"key": s.key, "sha256": s.sha256, "ledger": s.ledger} for s in seals]
    ctx.path("pins.json").write_text(json.dumps(pins, indent=1, sort_keys=True) + "\n")
    ctx.metrics.update(
        batches=[s.key for s in seals], repeated=corpus.left, **{f"{u}s": len(ids) for u, ids in corpus.batch.items()}
    )


def _segments(ctx: Context[CollectParams], seal: Seal, corpus: _Corpus, shard: int) -> None:
    """A document's segments come from the batch that brought it first, each once; the rest is charged as already there."""
    first_batch = corpus.batch["document"]
    brought = {row["document_id"] for row in seal.rows("documents", FETCH, ["document_id"])}
    segments = seal.read("segments", SCORE)
    accounts: dict[str, list[float]] = {}
    taken: list[bool] = []
    seen: set[str] = set()
    for row in segments.select(["segment_id", "document_id", "speech_start_s", "speech_end_s"]).to_pylist():
        document_id, seconds = row["document_id"], row["speech_end_s"] - row["speech_start_s"]
        if document_id not in brought:
            raise StageError(
                f"batch {seal.key}: segment {row['segment_id']} is of document {document_id}, which its fetch did not bring"
            )
        new = first_batch.get(document_id) == seal.key and row["segment_id"] not in seen
        seen.add(row["segment_id"])
        taken.append(new)
        accounts.setdefault(document_id, [0.0, 0.0])[not new] += seconds
    for document_id, (kept, repeated) in sorted(accounts.items()):
        unit = f"{document_id} in {seal.key}"
        ctx.enter(unit, kept + repeated)
        if kept:
            ctx.keep(unit, kept)
        if repeated:
            there = first_batch.get(document_id)
            why = f"in batch {there} already, not taken again" if there else "its item is in an earlier batch with other audio"
            ctx.reject(unit, Reason.DUPLICATE_AUDIO, why, end_s=repeated, row_id=document_id, shard=shard)
    if any(taken):
        ctx.write_table("segments", segments.filter(pa.array(taken)), shard)
