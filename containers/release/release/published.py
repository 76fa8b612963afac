"""What all releases share, whatever they hold: where they are, what makes them the same, what they follow, ``latest.json``."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from release.shards import shards_uri
from release.versions import VERSION, version_order
from stagekit.inputs import SUCCESS, Input
from stagekit.stage import RUNTIME, Params, StageError
from stagekit.storage import join, local_copy, resolve, sha256_file

FORMAT = 1
"""Version of ``release.json``."""


class ReleaseParams(Params):
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


def identity(release_json: bytes) -> str:
    """What a release is, whenever it was published."""
    about = {k: v for k, v in json.loads(release_json).items() if k != "published"}
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def parent_of(p: ReleaseParams, package: Input) -> dict[str, str] | None:
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
        raise StageError(
            f"package was not given {uri}/index as parent=: {p.parent} was published since this release was packed. "
            "Clear `split` with its downstream tasks; approval is asked for again"
        )
    return {"version": p.parent, "sha256": hashlib.sha256(store.read_bytes(path)).hexdigest()}


def links_of(p: ReleaseParams, shards: list[dict[str, Any]]) -> dict[str, str]:
    """The packed file behind each name in the release: {name: path in the store}."""
    links = {}
    for row in shards:
        uri = join(shards_uri(p.root, p.dataset, p.language), f"{row['sha256']}.parquet")
        store, path = resolve(uri)
        if not store.exists(path):
            raise StageError(f"{uri}: a packed file of this release is gone; remove the output of package and run it again")
        links[row["path"]] = path
    return links


def copy_index(package: Input, index: Path) -> None:
    """The folder of ``package`` without what tells of the machine: the next release's ``parent=``."""
    index.mkdir()
    success = dict(package.success or {})
    for name in success["files"]:
        with local_copy(join(package.uri, name)) as local:
            (index / name).write_bytes(local.read_bytes())
    kept = {k: success[k] for k in ("stage", "fingerprint", "files", "rows", "shards", "ledger", "versions")}
    metrics = {k: success["metrics"][k] for k in ("encoding", "policy", "cut_of") if k in success["metrics"]}
    write_json(index / SUCCESS, kept | {"metrics": metrics, "inputs": [], "params": {}})


def provenance(made: Input) -> dict[str, Any]:
    """What a stage was run with, so that the release can be built again."""
    success = made.success or {}
    params = {k: v for k, v in success["params"].items() if k != "root"}
    return {"stage": success["stage"], "fingerprint": success["fingerprint"], "params": params, "versions": success["versions"]}


def write_release(
    folder: Path, p: ReleaseParams, parent: Mapping[str, str] | None, pins: Sequence[Mapping[str, Any]],
    policy: Mapping[str, Any], sums: Mapping[str, str], **about: Any,
) -> str:
    """Write ``checksums.sha256`` and, last, ``release.json``; the release's identity.

    Args:
        folder: all that is new of the release, ``policy.yaml`` among it.
        p: of the publishing stage.
        parent: of `parent_of`.
        pins: the batches that are in it.
        policy: name and version of what ``policy.yaml`` holds.
        sums: path → sha256 of files whose digest is known: those that are linked in, and of those in the folder what was hashed.
        about: what else ``release.json`` says.
    """
    every = dict(sums)
    for file in sorted(f for f in folder.rglob("*") if f.is_file()):
        if (name := file.relative_to(folder).as_posix()) not in every:
            every[name] = sha256_file(file)
    checksums = folder / "checksums.sha256"
    checksums.write_text("".join(f"{s}  {n}\n" for n, s in sorted(every.items())), encoding="utf-8")
    head = {
        "format": FORMAT,
        "dataset": p.dataset,
        "language": p.language,
        "version": p.version,
        "parent": parent,
        "batches": [{"key": pin["key"], "sha256": pin["sha256"]} for pin in pins],
        "policy": {**policy, "sha256": every["policy.yaml"]},
        "checksums_sha256": sha256_file(checksums),
        "published": {"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())},
    }
    write_json(folder / "release.json", head | about)
    return identity((folder / "release.json").read_bytes())


def move_latest(p: ReleaseParams, uri: str) -> None:
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


def next_patch(version: str) -> str:
    """The version to take if one is published already.

    >>> next_patch("2026.10"), next_patch("2026.10.1")
    ('2026.10.1', '2026.10.2')
    """
    year, month, *patch = version.split(".")
    return f"{year}.{month}.{int(patch[0]) + 1 if patch else 1}"


def write_json(path: Path, value: Any) -> None:
    """Write JSON whose bytes depend on the value only."""
    path.write_text(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
