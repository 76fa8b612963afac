"""The docker runner: the same ends as a process has, and no container left behind."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import LOCK, docker

from operators.docker_runner import LABEL, DockerRunner
from operators.images import ImageLockError
from operators.runners import EXIT_EMPTY, StageCall
from operators.settings import Settings


@pytest.fixture
def settings(tmp_path: Path, source: Path) -> Settings:
    return Settings.from_env(
        {
            "SPEECHMILL_RUNNER": "docker",
            "SPEECHMILL_ROOT": str(tmp_path / "warehouse"),
            "SPEECHMILL_IMAGES": str(LOCK),
            "SPEECHMILL_DOCKER_MOUNTS": str(source),
        }
    )


def discover(settings: Settings, location: str, name: str = "r", **params: Any) -> StageCall:
    given = {"source": "folder", "location": location, "language": "en", "month": "2026.10", **params}
    return StageCall("ingest", "discover", [], f"{settings.root}/work", given, f"{settings.root}/{name}.json", 1)


def left() -> list[str]:
    return docker("ps", "-aq", "--filter", f"label={LABEL}").stdout.split()


def test_a_stage_runs_and_its_files_are_mine(settings: Settings, source: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    ended = DockerRunner(settings).run(discover(settings, source.as_uri()), lines.append)
    assert ended.code == 0, lines
    receipt = json.loads((tmp_path / "warehouse/r.json").read_text())
    assert receipt["rows"]["items"] == 1 and any("1 items in" in line for line in lines)
    assert (tmp_path / "warehouse/r.json").stat().st_uid == tmp_path.stat().st_uid
    again: list[str] = []
    assert DockerRunner(settings).run(discover(settings, source.as_uri()), again.append).code == 0
    assert any("nothing has changed" in line for line in again)
    assert left() == []


def test_a_stages_own_error_is_its_last_line(settings: Settings, source: Path) -> None:
    ended = DockerRunner(settings).run(discover(settings, source.as_uri(), nonsense=1), lambda _: None)
    assert ended.code == 1 and ended.final and "nonsense" in ended.explain()
    ended = DockerRunner(settings).run(discover(settings, "file:///nowhere"), lambda _: None)
    assert ended.final and "there is no such folder" in ended.explain()
    assert left() == []


def test_an_empty_input_is_exit_99(settings: Settings, source: Path) -> None:
    for file in source.iterdir():
        file.unlink()
    assert DockerRunner(settings).run(discover(settings, source.as_uri()), lambda _: None).code == EXIT_EMPTY


def test_an_image_that_is_not_there_says_what_to_do(settings: Settings, source: Path, tmp_path: Path) -> None:
    lock = tmp_path / "lock.yaml"
    lock.write_text(yaml.safe_dump({"images": {"ingest": {"image": "sha256:" + "0" * 64}}}))
    mine = Settings.from_env(
        {"SPEECHMILL_RUNNER": "docker", "SPEECHMILL_ROOT": str(tmp_path / "w"), "SPEECHMILL_IMAGES": str(lock)}
    )
    with pytest.raises(ImageLockError, match="make images"):
        DockerRunner(mine).run(discover(mine, source.as_uri()), lambda _: None)


def test_stop_ends_the_container_and_nothing_is_visible(settings: Settings, source: Path, tmp_path: Path) -> None:
    """Stopped while it is at work: align's recognition of the recording takes long enough."""
    runner = DockerRunner(settings)
    assert runner.run(discover(settings, source.as_uri()), lambda _: None).code == 0
    items = json.loads((tmp_path / "warehouse/r.json").read_text())["output"]
    fetch = StageCall(
        "ingest",
        "fetch",
        [items],
        f"{settings.root}/work",
        {"store": f"{settings.root}/recordings"},
        f"{settings.root}/f.json",
        1,
    )
    assert runner.run(fetch, lambda _: None).code == 0
    receipt = json.loads((tmp_path / "warehouse/f.json").read_text())
    assert receipt["rows"] == {"items": 1, "recordings": 1, "documents": 1}, "a worker in a container works"
    fetched = receipt["output"]
    hear = StageCall("align", "recognize", [fetched], f"{settings.root}/hear", {}, f"{settings.root}/h.json", 1)
    ended: list[Any] = []
    thread = threading.Thread(target=lambda: ended.append(runner.run(hear, lambda _: None)))
    thread.start()
    deadline = time.monotonic() + 60
    while not left():
        assert time.monotonic() < deadline
        time.sleep(0.2)
    time.sleep(1)
    runner.stop()
    thread.join(30)
    assert ended and ended[0].code in (143, 137) and not ended[0].final
    assert not list((tmp_path / "warehouse/hear").glob("*/_SUCCESS.json")) and left() == []


def test_a_container_that_a_killed_task_left_is_removed_by_its_retry(settings: Settings, source: Path) -> None:
    runner = DockerRunner(settings)
    call = discover(settings, source.as_uri())
    import hashlib

    task = hashlib.sha256(call.receipt.encode()).hexdigest()[:32]
    docker("run", "-d", "--label", f"{LABEL}={task}", "--entrypoint=sleep", runner.container(call, task)["image"], "600")
    assert len(left()) == 1
    assert runner.run(call, lambda _: None).code == 0
    assert left() == []
