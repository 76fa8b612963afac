"""What every stage owes, asked of each image through its own command line: a chain that cannot break before it runs."""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

REPO = Path(__file__).resolve().parents[2]
IMAGES = sorted(p.parent.name for p in REPO.glob("containers/*/requirements.txt"))
HARVEST = (
    ("ingest", "discover"), ("ingest", "fetch"), ("align", "recognize"), ("align", "align"), ("words", "refine"),
    ("align", "score"),
)  # fmt: skip
RELEASE = (("release", "collect"), ("dedup", "cluster"), ("release", "split"), ("release", "package"), ("release", "publish"))

WORDS = (("ingest", "voices"), ("ingest", "prepare"), ("words", "align"))
WORDS_RELEASE = (
    ("release", "collect_words"),
    ("keywords", "select"),
    ("keywords", "cut"),
    ("keywords", "outliers"),
    ("release", "split_speakers"),
    ("release", "package_words"),
    ("release", "publish_words"),
)


@functools.cache
def stages(image: str) -> dict[str, dict[str, Any]]:
    """Stage → what it says of itself."""
    python = REPO / ".venvs" / image / "bin" / "python"
    path = os.pathsep.join([str(REPO / "containers" / "stagekit"), str(REPO / "containers" / image)])
    run = subprocess.run(
        [python, "-m", image, "describe"], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    return {s["stage"]: s for s in json.loads(run.stdout)}


@pytest.mark.parametrize("image", IMAGES)
def test_each_stage_says_what_it_is_and_what_its_parameters_mean(image: str) -> None:
    readme = (REPO / "containers" / image / "README.md").read_text()
    for name, stage in stages(image).items():
        assert stage["summary"].endswith((".", ":", ";")) or len(stage["summary"]) > 20, f"{image} {name}: no module docstring"
        assert re.search(rf"\b{name}\b", readme), f"containers/{image}/README.md does not mention {name}"
        assert stage["params"]["additionalProperties"] is False, f"{image} {name} takes unknown parameters"
        for parameter, schema in stage["params"].get("properties", {}).items():
            assert schema.get("description"), f"{image} {name}: parameter {parameter} has no description"


@pytest.mark.parametrize("chain", [HARVEST, RELEASE, WORDS + WORDS_RELEASE], ids=["harvest", "release", "spoken_words"])
def test_what_a_stage_reads_an_earlier_one_writes(chain: tuple[tuple[str, str], ...]) -> None:
    written: set[str] = set()
    for image, name in chain:
        stage = stages(image)[name]
        missing = set(stage["reads"]) - written - {"rejections"}
        if name in ("package", "package_words", "split_speakers"):
            missing -= {"shards", "shard_rows"}  # of the parent release
        if name == "voices":
            missing -= {"sentences"}  # of the months before
        missing -= {"text_clusters"}  # of Spark, where that has been asked
        assert not missing, f"{image} {name} reads {sorted(missing)}, which no stage before it writes"
        written |= set(stage["writes"]) | {"rejections"}


def test_one_version_of_what_decides_bytes_in_all_images() -> None:
    """Samples are those of one decoder, and files those of one writer, in whichever image they are made."""
    for package in ("imageio-ffmpeg", "pyarrow", "numpy", "pydantic"):
        pins = {}
        for image in IMAGES:
            lock = (REPO / "containers" / image / "requirements.txt").read_text()
            if match := re.search(rf"^{package}==(\S+)", lock, re.M):
                pins[image] = match[1]
        assert len(set(pins.values())) == 1, f"{package}: {pins}"
