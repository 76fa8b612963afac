"""Kill a running package or publish at several moments: nothing half-made is visible, and the rerun gives the same bytes."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from release_corpus import DATASET, FIRST_MONTH, Warehouse


def command(stage: str, base: Path, inputs: list[str], params: dict[str, object]) -> list[str]:
    argv = [
        sys.executable,
        "-m",
        "release",
        stage,
        "--output",
        base.as_uri(),
        "--params",
        json.dumps(params),
        "--workers",
        "2",
        "--quiet",
    ]
    return argv + [x for uri in inputs for x in ("--input", uri)]


def content(folder: Path) -> dict[str, str]:
    """sha256 of every visible file but run metadata."""
    found = {}
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder).as_posix()
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(folder).parts):
            data = file.read_bytes()
            if file.name in ("release.json", "_SUCCESS.json"):
                about = {k: v for k, v in json.loads(data).items() if k not in ("published", "run", "params", "inputs")}
                data = json.dumps(about, sort_keys=True).encode().replace(str(folder.parents[0]).encode(), b"")
            found[name] = hashlib.sha256(data).hexdigest()
    return found


def kill_when(argv: list[str], root: Path, pattern: str) -> bool:
    """Start, and kill the whole group as soon as a file matches (hidden ones too); False if it had finished by then."""
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    while process.poll() is None:
        if next(root.glob(pattern), None):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return True
        time.sleep(0.0005)
    return False


def finish(argv: list[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_package_killed_at_any_moment_leaves_nothing_visible_and_its_rerun_the_same_bytes(warehouse: Warehouse):
    warehouse.month("2026.01", FIRST_MONTH[:4])
    cut = warehouse.release("2026.01", last="split")["split"].output
    base, shards = warehouse.root / "work" / "killed", warehouse.root / "shards"
    argv = command("package", base, [cut], {**DATASET, "shard_bytes": 1 << 18, "root": warehouse.root.as_uri()})
    finish(argv)
    reference = content(base), content(shards)
    moments = (
        "work/killed/.staging-*",
        "work/killed/.staging-*/.packing-*/spool-1",
        "shards/*/*/*.parquet",
        "work/killed/.staging-*/shards-*",
    )
    killed = 0
    for moment in moments:
        shutil.rmtree(base)
        shutil.rmtree(shards, ignore_errors=True)
        if kill_when(argv, warehouse.root, moment):
            killed += 1
            assert content(base) == {}, "no output folder"
            assert (content(shards) if shards.exists() else {}).items() <= reference[1].items(), (
                "a packed file is whole or not there"
            )
        finish(argv)
        assert (content(base), content(shards)) == reference
        assert [p.name for p in base.iterdir() if p.name.startswith(".")] == [], "what the killed run left is cleared away"
    assert killed >= 3


def test_publish_killed_at_any_moment_leaves_nothing_visible_and_its_rerun_the_same_release(warehouse: Warehouse):
    warehouse.month("2026.01", FIRST_MONTH[:4])
    got = warehouse.release("2026.01", last="package")
    cluster = warehouse.clusters(got["collect"])
    base, releases = warehouse.root / "work" / "killed", warehouse.root / "releases"
    params = {**DATASET, "version": "2026.01", "root": warehouse.root.as_uri()}
    argv = command("publish", base, [got[s].output for s in ("collect", "split", "package")] + [cluster], params)
    latest = releases / "peoples_speech/en/latest.json"

    def visible() -> dict[str, str]:
        return {n: d for n, d in content(releases).items() if not n.endswith("latest.json")} if releases.exists() else {}

    finish(argv)
    reference = visible()
    inside = "work/killed/.staging-*/.release-*/2026.01/"
    moments = (
        inside + "tables/*",
        inside + "figures/*",
        inside + "README.md",
        inside + "release.json",
        "releases/*/*/2026.01/release.json",
    )
    killed = 0
    for moment in moments:
        shutil.rmtree(base)
        shutil.rmtree(releases)
        if kill_when(argv, warehouse.root, moment):
            killed += 1
            assert visible() in ({}, reference), "the whole release or none of it"
            assert not latest.exists() or visible() == reference, "nothing points at a release that is not there"
        finish(argv)
        assert visible() == reference
        pointer = json.loads(latest.read_bytes())
        assert pointer["sha256"] == hashlib.sha256((releases / "peoples_speech/en/2026.01/release.json").read_bytes()).hexdigest()
    assert killed >= 4


def test_a_store_that_takes_no_more_is_a_clear_error_and_leaves_nothing(warehouse: Warehouse):
    """Files may not pass 4 kB, which stops the plots of a release as a full disk would."""
    warehouse.month("2026.01", FIRST_MONTH[:1])
    got = warehouse.release("2026.01", last="package")
    base = warehouse.root / "work" / "full"
    inputs = [got[s].output for s in ("collect", "split", "package")] + [warehouse.clusters(got["collect"])]
    argv = command("publish", base, inputs, {**DATASET, "version": "2026.01", "root": warehouse.root.as_uri()})
    limited = [
        sys.executable,
        "-c",
        "import os,resource,sys; resource.setrlimit(resource.RLIMIT_FSIZE,(4000,4000)); os.execv(sys.argv[1],sys.argv[1:])",
    ]
    done = subprocess.run([*limited, *argv], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.splitlines()[-1].startswith("release publish: File too large")
    assert content(base) == {} and not (warehouse.root / "releases").exists()
    finish(argv)
    assert (warehouse.folder("2026.01") / "release.json").exists()
