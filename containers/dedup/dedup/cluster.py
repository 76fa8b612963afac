"""Stage ``cluster``: every document and recording of a collected corpus, the duplicate cluster it is in, and whether it is kept.

Text clusters come from :mod:`dedup.text`, audio clusters from the fingerprints that fetch made (:mod:`stagekit.identity`). The
same text read by another reader is a text duplicate whose audio is new; whether releases drop it is the policy's decision
(``drop_text_duplicates``), but it is always in one cluster, and so never in two splits.

Where a corpus outgrows one process, :mod:`dedup.spark` finds the text clusters, and this stage takes them as its input
``text_clusters=URI``. The rows are the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import Field

from dedup import text
from dedup.keep import LAST, Standing, choose
from stagekit import identity
from stagekit.disjoint import DisjointSets
from stagekit.stage import Context, Crashed, Params, StageError, stage

GIVEN = "text_clusters"
"""Role of the input, and its table, where the text clusters are found already."""

LONG_ROWS = 100
"""Rows with all tokens, or the whole fingerprint, in memory at a time: as Python's objects an hour of speech takes 3 MB."""


class ClusterParams(Params):
    """Numbers of the text search; :mod:`dedup.text` derives them."""

    shingle_words: int = Field(text.SHINGLE_WORDS, ge=1, description="words per shingle")
    threshold: float = Field(text.THRESHOLD, gt=0, le=1, description="least exact Jaccard similarity of two copies")
    bands: int = Field(text.BANDS, ge=1, description="LSH bands")
    rows: int = Field(text.ROWS, ge=1, description="MinHash values in a band")
    min_words: int = Field(text.MIN_WORDS, ge=0, description="texts of fewer words are never clustered by text")


@dataclass(frozen=True)
class _Text:
    document_id: str
    words: list[str]
    shingle_words: int
    num_perm: int


def _sign(unit: _Text) -> tuple[str, np.ndarray]:
    """(digest of the words, MinHash values)."""
    return text.text_digest(unit.words), text.signature(text.shingles(unit.words, unit.shingle_words), unit.num_perm)


def _shingle(unit: _Text) -> tuple[str, np.ndarray]:
    """(digest of the words, runs)."""
    return text.text_digest(unit.words), text.shingles(unit.words, unit.shingle_words)


@stage(
    "cluster",
    version=1,
    params=ClusterParams,
    unit="member",
    reads=["origins", "items", "recordings", "documents", "segments", "text_clusters"],
    writes=["clusters"],
    libraries=["datasketch", "numpy"],
)
def run(ctx: Context[ClusterParams]) -> None:
    """Read a collected corpus, write ``clusters``: a row for each document and recording, singletons too."""
    documents = ctx.read("documents", columns=["document_id", "recording_id", "caption_provenance"]).to_pylist()
    recordings = {r["recording_id"]: r["duration_s"] for r in ctx.rows("recordings", columns=["recording_id", "duration_s"])}
    for recording_id, duration_s in recordings.items():
        ctx.enter(f"recording {recording_id}", duration_s)
    for row in documents:
        ctx.enter(f"document {row['document_id']}")

    by_document, by_recording = _standings(ctx, documents, list(recordings))
    prints = {
        r["recording_id"]: np.asarray(r["fingerprint"], dtype=np.uint32)
        for r in ctx.rows("recordings", columns=["recording_id", "fingerprint"], batch=LONG_ROWS)
    }
    kept_recordings = set()
    joined = identity.cluster(prints)
    alone = set(prints) - {r for members in joined for r in members}
    for members in sorted([*joined, *([r] for r in alone)]):
        kept = choose(members, by_recording)
        kept_recordings.add(kept)
        for member in members:
            similarity = 1.0 if member == kept else _audio_similarity(prints[kept], prints[member])
            _write(ctx, "audio", member, min(members), member == kept, similarity)
            ctx.keep(f"recording {member}", recordings[member])
        _count(ctx, "audio", len(members))

    recording_of = _recording(documents)
    standing = {d: replace(s, audio_kept=recording_of[d] in kept_recordings) for d, s in by_document.items()}
    _cluster_texts(ctx, standing)


@dataclass
class _Found:
    """Text clusters, and what their similarities are computed from."""

    sets: DisjointSets
    stands_for: dict[str, str]
    """Document → the one that stands for all of its very words; only those that are searched for."""
    runs: dict[str, np.ndarray]
    """Runs of those that stand for others, and have been met."""

    def similarity(self, a: str, b: str) -> float:
        """Jaccard similarity of two members of a cluster."""
        one, other = self.stands_for.get(a, a), self.stands_for.get(b, b)
        return 1.0 if one == other else text.jaccard(self.runs[one], self.runs[other])


def _cluster_texts(ctx: Context[ClusterParams], standing: Mapping[str, Standing]) -> None:
    """Write the text clusters; the words of all documents are never in memory at once."""
    found = _take(ctx, standing) if ctx.input(GIVEN) else _search(ctx, standing)
    for cluster_id, members in found.sets.groups().items():
        kept = choose(members, standing)
        for member in members:
            _write(ctx, "text", member, cluster_id, member == kept, found.similarity(member, kept))
            ctx.keep(f"document {member}")
        _count(ctx, "text", len(members))


def _search(ctx: Context[ClusterParams], standing: Mapping[str, Standing]) -> _Found:
    """Find them here: MinHash, bands, and each candidate verified."""
    p = ctx.params
    num_perm = p.bands * p.rows
    found = _Found(DisjointSets(standing), {}, {})
    first: dict[str, str] = {}
    signatures: dict[str, np.ndarray] = {}
    for unit, result in ctx.map(_sign, _texts(ctx, num_perm, min_words=p.min_words), total=len(standing)):
        digest, values = _checked(unit, result)
        # Texts of the very same words are joined here, and only one of them is searched with:
        # ten thousand copies of a notice are not fifty million pairs.
        known = found.stands_for[unit.document_id] = first.setdefault(digest, unit.document_id)
        found.sets.join(known, unit.document_id)
        if known == unit.document_id:
            signatures[known] = values

    pairs = list(text.candidate_pairs(signatures, p.bands, p.rows))
    wanted = {d for pair in pairs for d in pair}
    for unit, result in ctx.map(_shingle, _texts(ctx, num_perm, wanted), total=len(wanted)):
        found.runs[unit.document_id] = _checked(unit, result)[1]
    verified = [(a, b) for a, b in pairs if text.jaccard(found.runs[a], found.runs[b]) >= p.threshold]
    for a, b in verified:
        found.sets.join(a, b)
    ctx.metrics.update(text_candidate_pairs=len(pairs), text_verified_pairs=len(verified))
    return found


def _take(ctx: Context[ClusterParams], standing: Mapping[str, Standing]) -> _Found:
    """Those that :mod:`dedup.spark` found.

    Raises:
        StageError: it found them in another corpus, or by other parameters.
    """
    given = ctx.input(GIVEN)
    assert given is not None and given.success is not None
    corpora = [i.digest for i in ctx.inputs if i is not given]
    if [i["digest"] for i in given.success["inputs"]] != corpora:
        raise StageError(f"{given.uri}: these are clusters of another corpus ({given.success['inputs'][0]['uri']})")
    if given.success["params"] != ctx.params.model_dump():
        raise StageError(f"{given.uri}: these clusters were found by other parameters: {given.success['params']}")
    found = _Found(DisjointSets(standing), {}, {})
    for row in ctx.rows(GIVEN, role=GIVEN):
        found.sets.join(row["document_id"], row["cluster_id"])
    copies = {m for members in found.sets.groups().values() if len(members) > 1 for m in members}
    first: dict[str, str] = {}
    for unit, result in ctx.map(_shingle, _texts(ctx, 0, copies), total=len(copies)):
        digest, runs = _checked(unit, result)
        known = found.stands_for[unit.document_id] = first.setdefault(digest, unit.document_id)
        if known == unit.document_id:
            found.runs[known] = runs
    return found


def _recording(documents: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    return {d["document_id"]: d["recording_id"] for d in documents}


def _standings(
    ctx: Context[ClusterParams], documents: Sequence[Mapping[str, Any]], recordings: Sequence[str]
) -> tuple[dict[str, Standing], dict[str, Standing]]:
    """What speaks for each document and each recording: {document_id: …}, {recording_id: …}."""
    batch = {(r["unit"], r["id"]): r["batch"] for r in ctx.rows("origins")}
    aligned: dict[str, float] = {}
    for s in ctx.rows("segments", columns=["document_id", "speech_start_s", "speech_end_s"]):
        aligned[s["document_id"]] = aligned.get(s["document_id"], 0.0) + s["speech_end_s"] - s["speech_start_s"]
    added: dict[str, str] = {}
    for item in ctx.rows("items", columns=["recording_id", "document_id", "added_at"]):
        for unit in (item["recording_id"], item["document_id"]):
            if unit is not None:
                added[unit] = min(added.get(unit, LAST), item["added_at"] or LAST)
    of_documents = {
        d["document_id"]: Standing(
            d["document_id"],
            d["caption_provenance"] == "human",
            batch.get(("document", d["document_id"]), LAST),
            aligned.get(d["document_id"], 0.0),
            added.get(d["document_id"], LAST),
        )
        for d in documents
    }
    best: dict[str, Standing] = {}
    for document_id, recording_id in _recording(documents).items():
        mine = of_documents[document_id]
        best[recording_id] = min(best.get(recording_id, mine), mine, key=Standing.rank)
    of_recordings = {
        r: Standing(
            r,
            r in best and best[r].human,
            batch.get(("recording", r), LAST),
            best[r].aligned_s if r in best else 0.0,
            added.get(r, LAST),
        )
        for r in recordings
    }
    return of_documents, of_recordings


def _texts(ctx: Context[ClusterParams], num_perm: int, wanted: set[str] | None = None, min_words: int = 0) -> Iterator[_Text]:
    """Texts of at least so many words, or those that are wanted. Of their tokens only the words become Python's objects."""
    for path in ctx.files("documents"):
        for batch in pq.ParquetFile(path).iter_batches(LONG_ROWS, columns=["document_id", "tokens.list.element.word"]):
            if wanted is not None:
                batch = batch.filter(pc.is_in(batch["document_id"], pa.array(wanted, pa.string())))
            tokens = batch["tokens"]
            words = pa.ListArray.from_arrays(tokens.offsets, tokens.values.field("word")).to_pylist()
            for document_id, text_words in zip(batch["document_id"].to_pylist(), words, strict=True):
                if len(text_words) >= min_words:
                    yield _Text(document_id, text_words, ctx.params.shingle_words, num_perm)


def _audio_similarity(kept: np.ndarray, other: np.ndarray) -> float:
    found = identity.match(kept, other)
    return found.similarity if found else 0.0  # members of one cluster that are alike only by way of a third


def _checked(unit: _Text, result: Any) -> Any:
    if isinstance(result, Crashed):
        raise StageError(f"document {unit.document_id} ({len(unit.words)} words): {result.detail}")
    return result


def _write(ctx: Context[ClusterParams], kind: str, member: str, cluster_id: str, keep: bool, similarity: float) -> None:
    row = {"kind": kind, "id": member, "cluster_id": cluster_id, "keep": keep, "similarity": float(similarity)}
    ctx.write("clusters", row)


def _count(ctx: Context[ClusterParams], kind: str, members: int) -> None:
    for name, by in ((f"{kind}_clusters", int(members > 1)), (f"{kind}_duplicates", members - 1)):
        ctx.metrics[name] = ctx.metrics.get(name, 0) + by
