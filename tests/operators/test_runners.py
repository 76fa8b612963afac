"""The process runner: exit codes, the stage's own words, and that nothing outlives a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from operators.runners import EXIT_EMPTY, Exit, ProcessRunner, StageCall
from operators.settings import REPO


def call(tmp_path: Path, **params: object) -> StageCall:
    return StageCall("echo", "echo", [], (tmp_path / "out").as_uri(), params, (tmp_path / "receipt.json").as_uri(), 1)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def until(condition: object, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def test_argv_is_the_stage_contract() -> None:
    made = StageCall("align", "align", ["file:///a", "parent=file:///b#00003"], "file:///out", {"é": 1}, "file:///r.json", 2).argv
    assert made == [
        "-m", "align", "align", "--input", "file:///a", "--input", "parent=file:///b#00003", "--output", "file:///out",
        "--params", '{"é": 1}', "--receipt", "file:///r.json", "--workers", "2",
    ]  # fmt: skip


def test_success_leaves_a_receipt_and_every_line_in_the_log(repo: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    assert ProcessRunner(repo).run(call(tmp_path, word="hé"), lines.append).code == 0
    assert "saying hé" in lines
    receipt = json.loads((tmp_path / "receipt.json").read_text())
    assert receipt["metrics"]["word"] == "hé" and not receipt["skipped"]


def test_empty_input_is_exit_99(repo: Path, tmp_path: Path) -> None:
    ended = ProcessRunner(repo).run(call(tmp_path, empty=True), lambda _: None)
    assert ended.code == EXIT_EMPTY and "no words" in ended.last_line


def test_failure_is_explained_by_the_last_line(repo: Path, tmp_path: Path) -> None:
    ended = ProcessRunner(repo).run(call(tmp_path, fail="row 7 of x: expected a number"), lambda _: None)
    assert ended.code == 1 and ended.explain() == "echo echo: row 7 of x: expected a number"


def test_a_kill_from_outside_is_named(repo: Path, tmp_path: Path) -> None:
    assert "SIGKILL" in ProcessRunner(repo).run(call(tmp_path, kill=True), lambda _: None).explain()


def test_silence_is_explained_too() -> None:
    assert Exit(3, "").explain() == "exit code 3 without a word"


def test_an_image_without_environment_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="make setup"):
        ProcessRunner(tmp_path).run(call(tmp_path), lambda _: None)


def test_a_stage_sees_nothing_of_airflow(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "secret")
    monkeypatch.setenv("PYTHONSTARTUP", "x")
    env = ProcessRunner(repo)._environment("echo")
    assert not [k for k in env if k.startswith("AIRFLOW")] and "PYTHONSTARTUP" not in env
    assert env["PYTHONPATH"] == f"{repo}/containers/stagekit:{repo}/containers/echo"


def test_stop_ends_the_stage_and_workers_that_do_not_listen(repo: Path, tmp_path: Path) -> None:
    runner, ended, child = ProcessRunner(repo), [], tmp_path / "pid"
    long = call(tmp_path, seconds=600, child=str(child))
    thread = threading.Thread(target=lambda: ended.append(runner.run(long, lambda _: None)))
    thread.start()
    until(lambda: child.exists() and child.read_text())
    worker = int(child.read_text())
    runner.stop()
    thread.join(20)
    assert not thread.is_alive() and ended[0].code != 0
    until(lambda: not alive(worker))
    assert not list((tmp_path / "out").glob("*/_SUCCESS.json"))


def test_a_task_that_is_killed_takes_its_stage_along(repo: Path, tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from operators.runners import ProcessRunner, StageCall\n"
        f"ProcessRunner(Path({str(repo)!r})).run(StageCall('echo', 'echo', [], {(tmp_path / 'out').as_uri()!r},"
        " {'seconds': 600, 'word': 'long'}), lambda line: print(line, flush=True))"
    )
    env = os.environ | {"PYTHONPATH": str(REPO)}
    task = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=env)
    assert task.stdout is not None and "saying long" in task.stdout.readline()
    stage = int(Path(f"/proc/{task.pid}/task/{task.pid}/children").read_text().split()[0])
    task.send_signal(signal.SIGKILL)
    task.wait()
    until(lambda: not alive(stage))
    assert not list((tmp_path / "out").glob("*/_SUCCESS.json"))
