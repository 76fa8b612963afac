"""Runs the demo image's stages as an operator does: as a process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
STAGEKIT = HERE.parents[2] / "containers" / "stagekit"
sys.path.insert(0, str(HERE.parents[1] / "support"))


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(STAGEKIT), str(HERE)])}


@pytest.fixture
def start():
    """Start ``python -m demo …`` and return the process."""
    started = []

    def go(*argv: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "demo", *argv], env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        started.append(process)
        return process

    yield go
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def demo(start):
    """Run ``python -m demo …`` to the end: (exit code, stdout, stderr)."""

    def go(*argv: str) -> tuple[int, str, str]:
        process = start(*argv)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    return go


@pytest.fixture
def recordings(tmp_path, demo):
    """A finished folder of five recordings in two shards; returns its URI."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.txt").write_text("0.5\n2\n3\n")
    (source / "b.txt").write_text("4\n0.25\n")
    code, _, err = demo(
        "first",
        "--input",
        str(source),
        "--output",
        str(tmp_path / "first"),
        "--receipt",
        str(tmp_path / "r.json"),
        "--workers",
        "0",
    )
    assert code == 0, err
    return json.loads((tmp_path / "r.json").read_text())
