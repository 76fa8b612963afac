"""Stage ``split``: which segments of the corpus are released, in which subset, license group and split.

The policy decides what and as what, the groups decide where (:mod:`release.groups`). New assignments are appended to the record
before the output is visible: a retry reads them back and gives the same bytes. The record is not an input of the fingerprint:
what this release assigned is in it for ever, and later additions cannot change it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import Field

from release.assignments import extend, splits_uri
from release.attribution import attribution
from release.groups import build_graph, decide
from release.policy import Policy, unmatched
from release.versions import VERSION
from stagekit.stage import RUNTIME, Context, Params, Reason, stage
from stagekit.tables import LICENSE_COLUMNS


class SplitParams(Params):
    """The policy, and the release it is for."""

    dataset: str = Field(pattern=r"[a-z0-9_]+", description="such as peoples_speech")
    language: str = Field(pattern=r"[A-Za-z0-9-]+", description="BCP 47")
    version: str = Field(pattern=f"^{VERSION}$", description="version of the release")
    policy: Policy = Field(description="the policy file's content")
    root: str = Field(description="warehouse URI", json_schema_extra=RUNTIME)
    record: bool = Field(True, description="append new assignments to the record; false for a dry run")


@dataclass(frozen=True)
class _Corpus:
    """What is known about a segment's surroundings."""

    items: dict[str, Mapping[str, Any]]
    """Document → the item that its license is read from."""
    documents: Mapping[str, Mapping[str, Any]]
    recording_uri: dict[str, str]
    batch: dict[str, str]
    stopped: dict[str, tuple[Reason, str]]
    """Document → why none of its segments is released."""


@stage(
    "split",
    version=1,
    params=SplitParams,
    unit="segment",
    reads=["origins", "items", "recordings", "documents", "segments", "clusters", "rejections"],
    writes=["release_segments", "assignments"],
)
def run(ctx: Context[SplitParams]) -> None:
    """Inputs: the folders of ``collect`` and ``cluster``."""
    p, policy = ctx.params, ctx.params.policy
    items = ctx.read("items").to_pylist()
    documents = {
        d["document_id"]: d for d in ctx.rows("documents", columns=["document_id", "recording_id", "caption_provenance"])
    }
    clusters = ctx.read("clusters").to_pylist()
    uris = {r["recording_id"]: r["uri"] for r in ctx.rows("recordings", columns=["recording_id", "uri"])}
    graph = build_graph(uris, items, documents.values(), clusters, policy.splits.collective_creators)
    rules = (policy.splits.salt, policy.splits.dev, policy.splits.test)
    known = extend(
        splits_uri(p.root, p.dataset, p.language),
        lambda assigned: decide(graph, assigned, *rules).new,
        p.version,
        record=p.record,
    )
    decision = decide(graph, {k: s for k, (s, _) in known.items()}, *rules)
    for key in sorted({k for keys in graph.keys.values() for k in keys}):
        split, since = known[key]
        ctx.write("assignments", {"group_key": key, "split": split, "since": since})

    corpus = _corpus(ctx, policy, items, documents, clusters, uris)
    parts: dict[str, dict[str, float]] = {}
    for segment in ctx.rows("segments"):
        row, reason, detail = _judge(segment, policy, corpus, decision.split, decision.conflicts)
        start, end = segment["speech_start_s"], segment["speech_end_s"]
        ctx.enter(segment["segment_id"], end - start)
        if row is None:
            ctx.reject(segment["segment_id"], Reason(reason), detail, start_s=start, end_s=end, parent_id=segment["document_id"])
            continue
        ctx.write("release_segments", row)
        ctx.keep(segment["segment_id"], end - start)
        part = parts.setdefault(f"{row['split']} {row['subset']}-{row['license_group']}", {"units": 0, "seconds": 0.0})
        part["units"] += 1
        part["seconds"] = round(part["seconds"] + end - start, 6)
    warnings = unmatched(_matching_nothing(ctx, policy, items), "item and no recording of the batches")
    for warning in warnings:
        print(f"split: warning: {warning}", file=sys.stderr, flush=True)
    ctx.metrics.update(
        warnings=warnings,
        kept=dict(sorted(parts.items())),
        groups=len(graph.sets.groups()),
        conflicts=len(decision.conflicts),
        creators=len({k for keys in graph.keys.values() for k in keys if k.startswith("creator:")}),
        new_assignments=sum(since == p.version for _, since in known.values()),
    )


def _judge(
    segment: Mapping[str, Any], policy: Policy, corpus: _Corpus, split: Mapping[str, str], conflicts: Mapping[str, str]
) -> tuple[dict[str, Any] | None, str, str]:
    """The released row, or (None, reason, detail)."""
    document_id, recording_id = segment["document_id"], segment["recording_id"]
    if document_id in corpus.stopped:
        reason, detail = corpus.stopped[document_id]
        return None, reason, detail
    item = corpus.items[document_id]
    group = policy.license_group(item["license_family"])
    if group is None:
        return None, Reason.POLICY, f"license {item['license_family']} is in no license group"
    provenance = corpus.documents[document_id]["caption_provenance"]
    if provenance not in policy.caption_provenance:
        return None, Reason.POLICY, f"caption provenance {provenance} is not released"
    subset, why = policy.judge(segment)
    if subset is None:
        return None, Reason.POLICY, why
    if recording_id in conflicts:
        return None, Reason.SPLIT_CONFLICT, conflicts[recording_id]
    row = dict(segment) | {c.name: item[c.name] for c in LICENSE_COLUMNS}
    row |= {
        "split": split[recording_id],
        "subset": subset,
        "license_group": group,
        "item_id": item["item_id"],
        "title": item["title"],
        "creator": item["creator"],
        "source_url": item["url"],
        "attribution": attribution(item),
        "caption_provenance": provenance,
        "recording_uri": corpus.recording_uri[recording_id],
        "batch": corpus.batch[document_id],
    }
    return row, "", ""


def _corpus(
    ctx: Context[SplitParams],
    policy: Policy,
    items: list[dict[str, Any]],
    documents: Mapping[str, Mapping[str, Any]],
    clusters: list[dict[str, Any]],
    uris: dict[str, str],
) -> _Corpus:
    batch = {r["id"]: r["batch"] for r in ctx.rows("origins") if r["unit"] == "document"}
    of_recording: dict[str, list[dict[str, Any]]] = {}
    for item in items:
        if item["recording_id"] is not None:
            of_recording.setdefault(item["recording_id"], []).append(item)
    chosen: dict[str, Mapping[str, Any]] = {}
    for document_id, row in documents.items():
        chosen[document_id] = min(of_recording[row["recording_id"]], key=partial(_license_rank, document_id))
    return _Corpus(chosen, documents, uris, batch, _stopped(ctx, policy, of_recording, documents, clusters))


def _license_rank(document_id: str, item: Mapping[str, Any]) -> tuple[bool, bool, str, str]:
    """Which of several items that hold a recording is its source.

    Share-alike binds whoever else offers it; then the item that the text came with; then the earliest.
    """
    return (item["license_family"] != "by-sa", item["document_id"] != document_id, item["added_at"] or "\uffff", item["item_id"])


def _names(items: Iterable[Mapping[str, Any]]) -> set[str]:
    """All that a takedown can call these items by."""
    return {n for i in items for n in (i["recording_id"], i["item_id"], f"{i['source']}:{i['identifier']}")}


def _matching_nothing(ctx: Context[SplitParams], policy: Policy, items: list[dict[str, Any]]) -> list[str]:
    """Takedowns that are of nothing in any batch. What the harvest rejected is not released, but it is there."""
    names = _names(items) if policy.takedowns else set()
    left = [t for t in dict.fromkeys(policy.takedowns) if t not in names]
    if left:
        rejected = {r["id"] for r in ctx.rows("rejections", columns=["unit", "id"]) if r["unit"] in ("item", "recording")}
        left = [t for t in left if not any(name == t or name.startswith(f"{t}/") for name in rejected)]
    return left


def best_text(rivals: Iterable[str], documents: Mapping[str, Mapping[str, Any]], aligned: Mapping[str, float]) -> str:
    """Which of several texts of one recording is kept: one of which speech was aligned, by people, with most of it aligned."""

    def rank(document_id: str) -> tuple[bool, bool, float, str]:
        seconds = round(aligned.get(document_id, 0.0), 3)
        return (seconds <= 0, documents[document_id]["caption_provenance"] != "human", -seconds, document_id)

    return min(rivals, key=rank)


def _stopped(
    ctx: Context[SplitParams],
    policy: Policy,
    of_recording: Mapping[str, list[dict[str, Any]]],
    documents: Mapping[str, Mapping[str, Any]],
    clusters: list[dict[str, Any]],
) -> dict[str, tuple[Reason, str]]:
    """Documents that are taken down, or copies of one that is kept."""
    cluster_of = {(c["kind"], c["id"]): c["cluster_id"] for c in clusters}
    kept = {(c["kind"], c["cluster_id"]): c["id"] for c in clusters if c["keep"]}
    taken_down = set(policy.takedowns)
    down = set()
    for recording_id, holders in of_recording.items():
        if _names(holders) & taken_down:
            down.add(cluster_of[("audio", recording_id)])
    aligned: dict[str, float] = {}
    for s in ctx.rows("segments", columns=["document_id", "speech_start_s", "speech_end_s"]):
        aligned[s["document_id"]] = aligned.get(s["document_id"], 0.0) + s["speech_end_s"] - s["speech_start_s"]

    stopped: dict[str, tuple[Reason, str]] = {}
    left: dict[str, list[str]] = {}
    for document_id, row in documents.items():
        recording_id = row["recording_id"]
        audio = cluster_of[("audio", recording_id)]
        text = kept[("text", cluster_of[("text", document_id)])]
        if audio in down:
            stopped[document_id] = (Reason.TAKEDOWN, "taken down, with every copy of its audio")
        elif kept[("audio", audio)] != recording_id:
            stopped[document_id] = (Reason.DUPLICATE_AUDIO, f"same audio as recording {kept[('audio', audio)]}, which is kept")
        elif policy.drop_text_duplicates and text != document_id:
            gone = cluster_of[("audio", documents[text]["recording_id"])] in down
            fate = "taken down; other readings of its text stay out with it" if gone else "kept"
            stopped[document_id] = (Reason.DUPLICATE_TEXT, f"same text as document {text}, which is {fate}")
        else:
            left.setdefault(recording_id, []).append(document_id)
    for rivals in left.values():
        best = best_text(rivals, documents, aligned)
        for document_id in rivals:
            if document_id != best:
                stopped[document_id] = (Reason.DUPLICATE_AUDIO, f"document {best} of the same recording is kept")
    return stopped
