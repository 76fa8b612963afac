"""Stage ``publish``: a release folder that opens by itself, made visible in one step.

Everything is written to a hidden folder, ``release.json`` last, and renamed into place: a killed run leaves nothing visible,
and its retry makes the same bytes (but for ``published`` in ``release.json``). A release that is there never changes; one that
would hold what its parent holds is not made.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from release.attribution import write_credits
from release.card import Release, card
from release.figures import Figures, collect_figures
from release.ledger import release_ledger
from release.nemo import write_manifests
from release.plots import draw_plots
from release.policy import Policy, dump_policy
from release.shards import shards_uri
from release.versions import VERSION, version_order
from stagekit.folder import TableWriter
from stagekit.inputs import SUCCESS, Input
from stagekit.stage import RUNTIME, Context, Params, StageError, stage
from stagekit.storage import join, local_copy, resolve, sha256_file
from stagekit.tables import TABLES

FORMAT = 1
"""Version of ``release.json``."""

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


class PublishParams(Params):
    """Which release, after which."""

    dataset: str = Field(pattern=r"[a-z0-9_]+", description="such as peoples_speech")
    language: str = Field(pattern=r"[A-Za-z0-9-]+", description="BCP 47")
    version: str = Field(pattern=f"^{VERSION}$", description="version of the release")
    parent: str = Field("", pattern=f"^({VERSION})?$", description="version of the release before; empty for the first")
    warnings: tuple[str, ...] = Field((), description="what the quality gate warned of, for the card")
    root: str = Field(description="warehouse URI", json_schema_extra=RUNTIME)


def releases_uri(root: str, dataset: str, language: str, version: str = "") -> str:
    """The folder of a release, or of all releases of a dataset and language."""
    return join(root, "releases", dataset, language, *([version] if version else []))


@stage(
    "publish",
    version=1,
    params=PublishParams,
    unit="packed file",
    reads=["shards", "shard_rows", "release_segments", "rejections", "assignments", "clusters"],
    libraries=["matplotlib"],
)
def run(ctx: Context[PublishParams]) -> None:
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
    parent = _parent(p, made["release.package"])
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
        links = _links(p, shards)
        content = _build(ctx, made, folder, shards, parent)
        done = store.commit_folder(folder, path, "release.json", links)
        if not done and _identity(store.read_bytes(f"{path}/release.json")) != content:
            raise StageError(
                f"{uri}: this version is published with other content and a release never changes; publish {_next(p.version)}"
            )
    _move_latest(p, uri)
    ctx.metrics.update(published=True, release=uri, card=join(uri, "README.md"), clips=packed["clips"], audio_s=packed["audio_s"])


def _build(
    ctx: Context[PublishParams],
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
    figures = collect_figures(ctx.rows("release_segments", columns=CARD_COLUMNS))

    sums = {row["path"]: row["sha256"] for row in shards}
    _copy_index(made["release.package"], folder / "index")
    _write_tables(ctx, folder / "tables")
    write_manifests(ctx.rows("release_segments", columns=CARD_COLUMNS), folder / "nemo")
    plots = draw_plots(figures, ledger, folder / "figures")
    release = Release(
        p.dataset,
        p.language,
        p.version,
        p.parent or None,
        tuple(pin["key"] for pin in pins),
        policy,
        figures,
        ledger,
        plots,
        p.warnings,
        split["metrics"]["groups"],
    )
    (folder / "README.md").write_text(card(release), encoding="utf-8")
    write_credits(figures.credits, folder, release.title)
    (folder / "policy.yaml").write_text(dump_policy(policy), encoding="utf-8")
    _write_json(folder / "ledger.json", ledger)
    for file in sorted(f for f in folder.rglob("*") if f.is_file()):
        name = file.relative_to(folder).as_posix()
        if name not in sums:
            sums[name] = sha256_file(file)
    (folder / "checksums.sha256").write_text("".join(f"{s}  {n}\n" for n, s in sorted(sums.items())))
    about = {
        "format": FORMAT,
        "dataset": p.dataset,
        "language": p.language,
        "version": p.version,
        "parent": parent,
        "batches": [{"key": pin["key"], "sha256": pin["sha256"]} for pin in pins],
        "policy": {"name": policy.name, "version": policy.version, "sha256": sums["policy.yaml"]},
        "stages": [_provenance(made[name]) for name in sorted(made)],
        "totals": _totals(figures),
        "groups": split["metrics"]["groups"],
        "warnings": list(p.warnings),
        "checksums_sha256": sha256_file(folder / "checksums.sha256"),
    }
    about["published"] = {"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    _write_json(folder / "release.json", about)
    return _identity((folder / "release.json").read_bytes())


def _identity(release_json: bytes) -> str:
    """What a release is, whenever it was published."""
    about = {k: v for k, v in json.loads(release_json).items() if k != "published"}
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _parent(p: PublishParams, package: Input) -> dict[str, str] | None:
    """Version and sha256 of the parent; checks that packaging had the same one.

    Raises:
        StageError: it is not published, not earlier, or not what ``package`` was given.
    """
    given = next((i["digest"] for i in (package.success or {})["inputs"] if i["role"] == "parent"), None)
    if not p.parent:
        if given:
            raise StageError("package had a parent release, publish is told of none; give parent=<version>")
        return None
    if version_order(p.parent) >= version_order(p.version):
        raise StageError(f"parent {p.parent} is not before {p.version}")
    uri = releases_uri(p.root, p.dataset, p.language, p.parent)
    store, path = resolve(f"{uri}/release.json")
    if not store.exists(path):
        raise StageError(f"{uri}: the parent release is not published (no release.json)")
    if Input.parse(join(uri, "index"), raw_allowed=False).digest != given:
        raise StageError(f"package was not given {uri}/index as parent=; package again")
    return {"version": p.parent, "sha256": hashlib.sha256(store.read_bytes(path)).hexdigest()}


def _links(p: PublishParams, shards: list[dict[str, Any]]) -> dict[str, str]:
    """The packed file behind each name in the release: {name: path in the store}."""
    links = {}
    for row in shards:
        uri = join(shards_uri(p.root, p.dataset, p.language), f"{row['sha256']}.parquet")
        store, path = resolve(uri)
        if not store.exists(path):
            raise StageError(f"{uri}: a packed file of this release is gone; remove the output of package and run it again")
        links[row["path"]] = path
    return links


def _copy_index(package: Input, index: Path) -> None:
    """The folder of ``package`` without what tells of the machine: the next release's ``parent=``."""
    index.mkdir()
    success = dict(package.success or {})
    for name in success["files"]:
        with local_copy(join(package.uri, name)) as local:
            (index / name).write_bytes(local.read_bytes())
    kept = {k: success[k] for k in ("stage", "fingerprint", "files", "rows", "shards", "ledger", "versions")}
    _write_json(index / SUCCESS, kept | {"metrics": {"encoding": success["metrics"]["encoding"]}, "inputs": [], "params": {}})


def _write_tables(ctx: Context[PublishParams], folder: Path) -> None:
    folder.mkdir()
    for name in ("rejections", "assignments", "clusters"):
        writer = TableWriter(folder, TABLES[name], 0)
        for row in ctx.rows(name):
            writer.write(row)
        writer.close()


def _provenance(made: Input) -> dict[str, Any]:
    """What a stage was run with, so that the release can be built again."""
    success = made.success or {}
    params = {k: v for k, v in success["params"].items() if k != "root"}
    return {"stage": success["stage"], "fingerprint": success["fingerprint"], "params": params, "versions": success["versions"]}


def _totals(figures: Figures) -> dict[str, Any]:
    parts = {
        f"{config} {split}": {"clips": part.clips, "audio_s": round(part.audio_s, 3), "recordings": len(part.recordings)}
        for (config, split), part in sorted(figures.parts.items())
    }
    return {"clips": figures.clips, "audio_s": round(figures.audio_s, 3), "items": len(figures.credits), "parts": parts}


def _move_latest(p: PublishParams, uri: str) -> None:
    """Point ``latest.json`` here, unless it points at a later version; never two writers at once."""
    store, path = resolve(join(releases_uri(p.root, p.dataset, p.language), "latest.json"))
    release, release_path = resolve(f"{uri}/release.json")
    sha256 = hashlib.sha256(release.read_bytes(release_path)).hexdigest()
    data = (json.dumps({"version": p.version, "sha256": sha256}, sort_keys=True) + "\n").encode()
    while True:
        before = store.read_bytes(path) if store.exists(path) else None
        if before and version_order(json.loads(before)["version"]) >= version_order(p.version):
            return
        if store.replace_if(path, before, data):
            return


def _next(version: str) -> str:
    year, month, *patch = version.split(".")
    return f"{year}.{month}.{int(patch[0]) + 1 if patch else 1}"


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
