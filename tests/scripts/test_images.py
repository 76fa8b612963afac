"""Which images there are, and when one has changed; what they are on an engine, tests/stack asks."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml

from scripts import images

REPO = images.REPO


def test_every_environment_of_stages_has_an_image() -> None:
    locked = {p.parent.name for p in REPO.glob("containers/*/requirements.txt")}
    found = {image.name: image.dockerfile for image in images.images()}
    on_gpu = {f"{p.parent.name}-gpu" for p in REPO.glob("containers/*/requirements-gpu.txt")}
    assert on_gpu and locked | on_gpu | {"airflow", "emulator"} == set(found)
    assert all(found[name] == "containers/Dockerfile" for name in on_gpu), "its lock is the recipe's build argument"
    assert found["align"] == "containers/Dockerfile" and found["airflow"] == "containers/airflow/Dockerfile"
    assert all((REPO / path).exists() for image in images.images() for path in image.paths())


def test_only_what_goes_into_an_image_changes_it(tmp_path: Path) -> None:
    for name in ("containers/Dockerfile", "requirements-uv.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPO / name, tmp_path / name)
    for folder in ("containers/dedup", "containers/stagekit"):
        shutil.copytree(REPO / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    dedup = images.Image("dedup", "containers/Dockerfile")
    before = images.digest(dedup, "base", tmp_path)
    (tmp_path / "containers/other").mkdir()
    (tmp_path / "containers/other/x.py").write_text("x")
    assert images.digest(dedup, "base", tmp_path) == before
    assert images.digest(dedup, "another base", tmp_path) != before
    changed = {before}
    for name in ("containers/dedup/requirements.txt", "containers/stagekit/stagekit/pool.py", "containers/Dockerfile"):
        (tmp_path / name).write_text((tmp_path / name).read_text() + "\n")
        changed.add(images.digest(dedup, "base", tmp_path))
    assert len(changed) == 4


def test_the_lock_keeps_what_was_not_built_now(tmp_path: Path) -> None:
    lock = tmp_path / "lock.yaml"
    images.write_lock({"a": {"image": "1"}}, lock)
    images.write_lock({"b": {"image": "2"}}, lock)
    images.write_lock({"a": {"image": "3"}}, lock)
    assert yaml.safe_load(lock.read_text())["images"] == {"a": {"image": "3"}, "b": {"image": "2"}}


def test_every_image_can_read_gs() -> None:
    """Stages run wherever the store is: none is without the client."""
    versions = {}
    for lock in REPO.glob("containers/*/requirements.txt"):
        found = [line.split()[0] for line in lock.read_text().splitlines() if line.startswith("google-cloud-storage==")]
        versions[lock.parent.name] = found
    assert {tuple(found) for found in versions.values()} == {("google-cloud-storage==3.17.1",)}, versions


def test_compose_builds_every_image_that_its_dags_run() -> None:
    stack = yaml.safe_load((REPO / "docker-compose.yaml").read_text())
    built = {name.removeprefix("image-") for name in stack["services"] if name.startswith("image-")}
    for name in built:
        assert stack["services"][f"image-{name}"]["image"] == f"speechmill/{name}:stack"
        assert f"image-{name}" in stack["services"]["init"]["depends_on"]
    run = set()
    for dag in REPO.glob("dags/peoples_speech_*.py"):
        text = dag.read_text()
        run |= {image for image in ("ingest", "align", "quality", "release", "dedup") if f'"{image}"' in text}
    assert run <= built
