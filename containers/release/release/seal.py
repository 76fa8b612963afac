"""Stage ``seal``: which folders are this month's batch, and proof that its ledger adds up.

``batch.json`` pins every stage folder by the digest of its content and holds counts and seconds by reason. It is written once:
sealing the same content again changes nothing, other content is an error.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pyarrow.compute as pc
from pydantic import Field

from release.ledger import CHAIN, CHAINS, batch_ledger
from release.seals import BATCH_KEY, FORMAT, batch_uri
from stagekit.folder import read_files
from stagekit.inputs import Input
from stagekit.ledger import TOLERANCE_S
from stagekit.stage import RUNTIME, Context, Params, StageError, stage
from stagekit.storage import join, local_copy, resolve, to_uri


class SealParams(Params):
    """Which batch."""

    dataset: str = Field(pattern=r"[a-z0-9_]+", description="such as peoples_speech")
    language: str = Field(pattern=r"[A-Za-z0-9-]+", description="BCP 47")
    key: str = Field(pattern=f"^{BATCH_KEY}$", description="batch key, YYYY.MM")
    root: str = Field(description="warehouse URI", json_schema_extra=RUNTIME)


@stage("seal", version=1, params=SealParams, unit="stage folder")
def run(ctx: Context[SealParams]) -> None:
    """Inputs: all stage folders of the batch, in any order, none for a month in which there was nothing."""
    p = ctx.params
    uri = batch_uri(p.root, p.dataset, p.language, p.key)
    folders = {str(i.success["fingerprint"]): i for i in ctx.inputs if i.success}
    chain = CHAINS.get(p.dataset, CHAIN)
    _check_lineage(folders, chain)
    stages: dict[str, list[dict[str, Any]]] = {}
    for name, folder in sorted(folders.items()):
        ctx.enter(name)
        ctx.keep(name)
        success = folder.success or {}
        if folder.shard:
            raise StageError(f"{folder.uri}#{folder.shard}: a seal takes whole folders, not shards")
        entry = {"path": _relative(folder.uri, uri), "fingerprint": name, "digest": folder.digest, "rows": success["rows"]}
        stages.setdefault(success["stage"], []).append(entry)
    ledgers = {s: [f.success["ledger"] for f in folders.values() if f.success and f.success["stage"] == s] for s in stages}
    try:
        ledger = batch_ledger(ledgers, chain)
        if CHAIN[-1] in chain:  # of spoken words the last stage's rows are words, which its seconds (of sentences) are not
            _check_segments(ctx.inputs, ledger["kept"]["seconds"])
    except StageError as error:
        raise StageError(f"batch {p.dataset}/{p.language}/{p.key} is not sealed: {error}") from None
    content = {
        "format": FORMAT,
        "dataset": p.dataset,
        "language": p.language,
        "key": p.key,
        "stages": {s: stages[s] for s in sorted(stages)},
        "ledger": ledger,
    }
    data = (json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
    ctx.path("batch.json").write_bytes(data)
    ctx.metrics.update(
        batch=join(uri, "batch.json"),
        items=ledger["in"]["units"],
        input_s=ledger["in"]["seconds"],
        kept_s=ledger["kept"]["seconds"],
        segments=sum(e["rows"].get("segments", 0) for e in stages.get(CHAIN[-1], [])),
    )
    store, path = resolve(join(uri, "batch.json"))
    if not store.write_new(path, data) and store.read_bytes(path) != data:
        raise StageError(
            f"{join(uri, 'batch.json')}: this batch is sealed with other content and a seal never changes; "
            "take what is new into a later batch, or remove the batch by hand if no release holds it"
        )


def _check_lineage(folders: dict[str, Input], chain: Sequence[str]) -> None:
    """Every stage folder that one of the batch was made from is in the batch too.

    What earlier batches hold (``known=``) is not.
    """
    for folder in folders.values():
        success = folder.success or {}
        if success["stage"] not in chain:
            continue
        for source in success["inputs"]:
            if source["role"] == "known":
                continue
            made_by = source["uri"].rstrip("/").rpartition("/")[2]
            if len(made_by) == 32 and all(c in "0123456789abcdef" for c in made_by) and made_by not in folders:
                raise StageError(f"{folder.uri} was made from {source['uri']}, which is not among the folders to seal")


def _check_segments(inputs: list[Input], kept_s: float) -> None:
    """The speech of the last stage's segments is what its ledger says went on."""
    total, rows = 0.0, 0
    for folder in inputs:
        if not folder.success or folder.success["stage"] != CHAIN[-1]:
            continue
        for name in folder.tables():
            if name.startswith("segments-"):
                with local_copy(join(folder.uri, name)) as local:
                    table = read_files([local], "segments", ["speech_start_s", "speech_end_s"])
                total += pc.sum(table["speech_end_s"]).as_py() - pc.sum(table["speech_start_s"]).as_py() if len(table) else 0.0
                rows += len(table)
    if abs(total - kept_s) > TOLERANCE_S * max(1, rows):
        raise StageError(f"{CHAIN[-1]} let {kept_s:.3f} s through, but its {rows} segments hold {total:.3f} s of speech")


def _relative(uri: str, base: str) -> str:
    """A path below the batch's folder, so that the warehouse can be moved; else the URI, of a path that was given, too."""
    (store, path), (other, below) = resolve(uri), resolve(base)
    return path[len(below) + 1 :] if store is other and path.startswith(below + "/") else to_uri(uri)
