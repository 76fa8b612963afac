"""The image of the Montreal Forced Aligner, made from a base that has it: both of its stages in containers, on real clips.

It is there where somebody has built it: `make images ONLY=mfa` takes the aligner from conda-forge, `mfa_base/Dockerfile` makes a
base without it.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from conftest import LOCK, REPO, docker

from operators.docker_runner import DockerRunner
from operators.runners import StageCall
from operators.settings import Settings

CORPUS = """
import sys
from pathlib import Path
from sentence_rows import write_folder
from test_stages import clip_rows
write_folder(Path(sys.argv[1]), clip_rows(40))
"""


@pytest.fixture
def image(lock: dict[str, dict[str, Any]]) -> str:
    if "mfa" not in lock or docker("image", "inspect", lock["mfa"]["image"], check=False).returncode:
        pytest.skip("no image mfa: it needs a base (tests/stack/mfa_base/Dockerfile, or conda-forge) and `make images ONLY=mfa`")
    return str(lock["mfa"]["image"])


def corpus(folder: Path) -> None:
    """Forty clips of Common Voice; made in the environment that the image's own tests have."""
    paths = ("containers/stagekit", "containers/mfa", "tests/containers", "tests/containers/mfa")
    env = os.environ | {"PYTHONPATH": os.pathsep.join(str(REPO / p) for p in paths)}
    subprocess.run([REPO / ".venvs/mfa/bin/python", "-c", CORPUS, folder], env=env, check=True)


def test_it_trains_and_aligns_as_nobody_on_a_read_only_root(image: str, tmp_path: Path) -> None:
    settings = Settings.from_env(
        {"SPEECHMILL_RUNNER": "docker", "SPEECHMILL_ROOT": str(tmp_path), "SPEECHMILL_IMAGES": str(LOCK)}
    )
    corpus(tmp_path / "corpus")

    def run(stage: str, *inputs: str, **params: Any) -> dict[str, Any]:
        lines: list[str] = []
        call = StageCall("mfa", stage, list(inputs), f"{settings.root}/{stage}", params, f"{settings.root}/{stage}.json", 2)
        ended = DockerRunner(settings).run(call, lines.append)
        assert ended.code == 0, lines[-20:]
        return dict(json.loads((tmp_path / f"{stage}.json").read_text()))

    sentences = f"{settings.root}/corpus"
    model = run("train", sentences, recipe="monophone")["output"]
    aligned = run("align", sentences, f"model={model}")["output"].removeprefix("file://")
    words = pq.read_table(f"{aligned}/sentence_words-00000.parquet", columns=["start_s", "end_s"]).to_pylist()
    assert len(words) > 200 and all(0 <= word["start_s"] < word["end_s"] < 30 for word in words)
    labels = json.loads(docker("image", "inspect", image).stdout)[0]["Config"]["Labels"]
    assert labels["org.opencontainers.image.title"] == "speechmill/mfa"
