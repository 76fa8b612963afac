"""What every image of stages promises: who it runs as, what it can write, what it lacks."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from conftest import REPO, STAGES, docker

LARGEST_MB = 1300
"""A pod waits for its image: none of a CPU stage is larger."""


@pytest.mark.parametrize("image", STAGES)
def test_it_runs_as_nobody_on_a_read_only_root_without_network(image: str, lock: dict[str, dict[str, Any]]) -> None:
    run = ("run", "--rm", "--read-only", "--network=none", "--cap-drop=ALL", "--user=12345:12345", "--tmpfs=/tmp")
    described = json.loads(docker(*run, lock[image]["image"], "describe").stdout)
    assert {stage["image"] for stage in described} == {image}
    said = docker("run", "--rm", "--entrypoint=id", lock[image]["image"], "-u").stdout
    assert int(said) == 65532


@pytest.mark.parametrize("image", STAGES)
def test_it_says_what_it_was_made_of(image: str, lock: dict[str, dict[str, Any]]) -> None:
    about = json.loads(docker("image", "inspect", lock[image]["image"]).stdout)[0]
    labels = about["Config"]["Labels"]
    assert labels["org.speechmill.inputs"] == lock[image]["inputs"]
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", labels["org.opencontainers.image.revision"])
    assert labels["org.opencontainers.image.source"] and labels["org.opencontainers.image.title"] == f"speechmill/{image}"
    assert about["Size"] < LARGEST_MB * 1e6


@pytest.mark.parametrize("image", STAGES)
def test_it_has_no_compiler_and_no_way_to_install(image: str, lock: dict[str, dict[str, Any]]) -> None:
    tools = "gcc cc g++ make ld pip pip3 uv conda curl wget git"
    looked = docker("run", "--rm", "--entrypoint=sh", lock[image]["image"], "-c", f"command -v {tools}; true").stdout
    assert looked.split() == []


def test_the_code_in_an_image_is_the_code_here(lock: dict[str, dict[str, Any]]) -> None:
    """A stage's fingerprint is the same in the image and in .venvs: what one made the other reuses."""
    code = "from stagekit import code; print(code.digest('dedup.cluster'))"
    inside = docker("run", "--rm", "--entrypoint=/opt/venv/bin/python", lock["dedup"]["image"], "-c", code).stdout
    import os
    import subprocess

    env = os.environ | {"PYTHONPATH": f"{REPO}/containers/stagekit:{REPO}/containers/dedup"}
    outside = subprocess.run([REPO / ".venvs/dedup/bin/python", "-c", code], env=env, capture_output=True, text=True, check=True)
    assert inside == outside.stdout


def test_airflow_starts_as_the_official_chart_starts_and_probes_it(lock: dict[str, dict[str, Any]]) -> None:
    """deploy/gke/values.yaml: the chart calls bash, `airflow …` and /entrypoint, and imports the pools after the migration."""
    import yaml

    image, run = lock["airflow"]["image"], ("run", "--rm", "--network=none", "--user=50000:0")
    version = docker(*run, image, "bash", "-c", "exec airflow version").stdout.split()[-1]
    assert docker(*run, "--entrypoint=/entrypoint", image, "airflow", "version").stdout.split()[-1] == version
    values = yaml.safe_load((REPO / "deploy/gke/values.yaml").read_text())
    assert version == values["airflowVersion"]
    migrate = values["migrateDatabaseJob"]["args"]
    said = docker(*run, image, *migrate[:-1], migrate[-1] + " && airflow pools list -o plain").stdout
    assert "gpu_t4" in said


def test_nothing_names_an_image_by_latest() -> None:
    files = [*REPO.glob("containers/**/Dockerfile"), REPO / "docker-compose.yaml", *REPO.glob("deploy/**/*.y*ml")]
    named = {}
    for file in files:
        for line in file.read_text().splitlines():
            found = re.match(r"\s*(?:FROM|image:|ARG BASE=)\s*(\S+)", line)
            if found and re.search(r":latest\b", found[1]):
                named[str(Path(file).relative_to(REPO))] = line
            if line.startswith("ARG BASE="):
                assert "@sha256:" in line, f"{file}: a base without a digest may be another one tomorrow"
    assert not named
