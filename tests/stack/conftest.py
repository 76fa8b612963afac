"""What the stack's tests share: this machine's Docker engine, the images' lock, and a corpus small enough for minutes."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

REPO = Path(__file__).resolve().parents[2]
LOCK = REPO / "containers/images.lock.yaml"
STAGES = ("align", "dedup", "ingest", "keywords", "quality", "release", "words")


def docker(*argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *argv], capture_output=True, text=True, check=check)


@pytest.fixture(scope="session")
def lock() -> dict[str, dict[str, Any]]:
    """Image → its entry; `make images` has been run before."""
    return dict(yaml.safe_load(LOCK.read_text())["images"])


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Path]:
    """A source folder with one short recording, world-readable: containers run as somebody else."""
    folder = tmp_path / "source"
    folder.mkdir()
    home = REPO / "samples/peoples_speech/en"
    lines = [x for x in (home / "metadata.jsonl").read_text().splitlines() if json.loads(x)["file"] == "sonnet_002.mp3"]
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n")
    for file in home.glob("sonnet_002.*"):
        shutil.copy(file, folder)
    for path in (*folder.parents[: len(folder.parents) - 1], folder):
        if path.is_relative_to("/tmp") and path != Path("/tmp"):
            path.chmod(0o755)
    yield folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """These tests talk to what they start themselves: the engine, servers on its bridge, the stack's port."""
    for item in items:
        if Path(item.path).parent == Path(__file__).parent:
            item.add_marker(pytest.mark.enable_socket)
