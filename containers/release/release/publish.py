"""Stage ``publish``: a release folder that opens by itself, made visible in one step.

Everything is written to a hidden folder, ``release.json`` last, and renamed into place: a killed run leaves nothing visible,
and its retry makes the same bytes (but for ``published`` in ``release.json``). A release that is there never changes; one that
would hold what its parent holds is not made.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from release.attribution import write_credits
from release.card import Release, card, content_digest
from release.figures import Figures, collect_figures
from release.ledger import release_ledger
from release.nemo import write_manifests
from release.plots import draw_plots
from release.policy import Policy, dump_policy
from release.published import (
    ReleaseParams,
    copy_index,
    identity,
    links_of,
    move_latest,
    next_patch,
    parent_of,
    provenance,
    releases_uri,
    write_json,
    write_release,
)
from stagekit.folder import TableWriter
from stagekit.inputs import Input
from stagekit.stage import Context, StageError, stage
from stagekit.storage import join, local_copy, resolve
from stagekit.tables import TABLES

CARD_COLUMNS = (
    "segment_id",
    "recording_id",
    "language",
    "split",
    "subset",
    "license_group",
    "duration_s",
    "speech_start_s",
    "speech_end_s",
    "text",
    "cut_at_pause",
    "cer",
    "item_id",
    "title",
    "creator",
    "source_url",
    "license_family",
    "license_version",
    "license_jurisdiction",
    "license_url",
    "license_evidence",
    "license_seen_at",
    "attribution",
)


@stage(
    "publish",
    version=1,
    params=ReleaseParams,
    unit="packed file",
    reads=["shards", "shard_rows", "release_segments", "rejections", "assignments", "clusters"],
    libraries=["matplotlib"],
)
def run(ctx: Context[ReleaseParams]) -> None:
    """Inputs: the folders of ``collect``, ``cluster``, ``split`` and ``package``, in any order."""
    p = ctx.params
    made = {str((i.success or {}).get("stage")): i for i in ctx.inputs}
    for needed in ("release.collect", "dedup.cluster", "release.split", "release.package"):
        if needed not in made:
            raise StageError(f"publish needs the folder of {needed} among its inputs; it has {', '.join(sorted(made))}")
    shards = ctx.read("shards").to_pylist()
    for row in shards:
        ctx.enter(row["path"], row["audio_s"])
        ctx.keep(row["path"], row["audio_s"])
    uri = releases_uri(p.root, p.dataset, p.language, p.version)
    parent = parent_of(p, made["release.package"])
    packed = (made["release.package"].success or {})["metrics"]
    if packed["equals_parent"] or not (shards or p.parent):
        why = f"it would hold the very clips of {p.parent}" if p.parent else "no clip was kept"
        print(f"release {p.dataset}/{p.language}/{p.version} is not made: {why}", flush=True)
        ctx.metrics.update(
            published=False, why=why, release=releases_uri(p.root, p.dataset, p.language, p.parent) if p.parent else ""
        )
        return
    with tempfile.TemporaryDirectory(prefix=".release-", dir=ctx.staging) as scratch:
        folder = Path(scratch) / p.version
        folder.mkdir()
        store, path = resolve(uri)
        links = links_of(p, shards)
        content = _build(ctx, made, folder, shards, parent)
        done = store.commit_folder(folder, path, "release.json", links)
        if not done and identity(store.read_bytes(f"{path}/release.json")) != content:
            raise StageError(
                f"{uri}: this version is published with other content and a release never changes; "
                f"publish {next_patch(p.version)}"
            )
    move_latest(p, uri)
    ctx.metrics.update(published=True, release=uri, card=join(uri, "README.md"), clips=packed["clips"], audio_s=packed["audio_s"])


def _build(
    ctx: Context[ReleaseParams],
    made: Mapping[str, Input],
    folder: Path,
    shards: list[dict[str, Any]],
    parent: dict[str, str] | None,
) -> str:
    """Write the whole release; its identity."""
    p = ctx.params
    split = made["release.split"].success or {}
    policy = Policy.model_validate(split["params"]["policy"])
    with local_copy(join(made["release.collect"].uri, "pins.json")) as local:
        pins = json.loads(local.read_text())
    own = [(made[s].success or {})["ledger"] for s in ("release.collect", "release.split")]
    ledger = release_ledger({pin["key"]: pin["ledger"] for pin in pins}, own, split["metrics"]["kept"])
    figures = collect_figures(ctx.rows("release_segments", columns=CARD_COLUMNS), policy.splits.collective_creators)
    warnings = tuple(dict.fromkeys([*split["metrics"].get("warnings", ()), *p.warnings]))  # the gate repeats those of `split`

    sums = {row["path"]: row["sha256"] for row in shards}
    copy_index(made["release.package"], folder / "index")
    _write_tables(ctx, folder / "tables")
    write_manifests(ctx.rows("release_segments", columns=CARD_COLUMNS), folder / "nemo")
    plots = draw_plots(figures, ledger, folder / "figures")
    release = Release(
        p.dataset,
        p.language,
        p.version,
        p.parent or None,
        (made["release.package"].success or {})["metrics"].get("changes"),
        tuple(pin["key"] for pin in pins),
        policy,
        figures,
        ledger,
        plots,
        warnings,
        split["metrics"]["groups"],
        content_digest(shards),
    )
    (folder / "README.md").write_text(card(release), encoding="utf-8")
    write_credits(figures.credits, folder, release.title)
    (folder / "policy.yaml").write_text(dump_policy(policy), encoding="utf-8")
    write_json(folder / "ledger.json", ledger)
    named = {"name": policy.name, "version": policy.version}
    return write_release(
        folder, p, parent, pins, named, sums, stages=[provenance(made[name]) for name in sorted(made)],
        totals=_totals(figures), groups=split["metrics"]["groups"], warnings=list(warnings),
    )  # fmt: skip


def _write_tables(ctx: Context[ReleaseParams], folder: Path) -> None:
    folder.mkdir()
    for name in ("rejections", "assignments", "clusters"):
        writer = TableWriter(folder, TABLES[name], 0)
        for row in ctx.rows(name):
            writer.write(row)
        writer.close()


def _totals(figures: Figures) -> dict[str, Any]:
    parts = {
        f"{config} {split}": {"clips": part.clips, "audio_s": round(part.audio_s, 3), "recordings": len(part.recordings)}
        for (config, split), part in sorted(figures.parts.items())
    }
    return {"clips": figures.clips, "audio_s": round(figures.audio_s, 3), "items": len(figures.credits), "parts": parts}
