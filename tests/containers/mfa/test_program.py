"""The program is found, or its absence said; what it starts never outlives the stage."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mfa import program
from stagekit.errors import StageError


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(program.VARIABLE, raising=False)
    program.version.cache_clear()


def script(path: Path, body: str) -> Path:
    """A program in the aligner's place: what is tested is how a program is run, not what it computes."""
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def test_without_the_program_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StageError, match="no `mfa` on PATH and SPEECHMILL_MFA is not set.*conda-forge"):
        program.find()


def test_a_wrong_path_is_an_error_even_if_there_is_one_on_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script(tmp_path / "mfa", "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program.find() == tmp_path / "mfa"
    monkeypatch.setenv(program.VARIABLE, str(tmp_path / "elsewhere"))
    with pytest.raises(StageError, match="elsewhere: no such program"):
        program.find()


def test_another_major_version_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(program.VARIABLE, str(script(tmp_path / "mfa", "echo 2.2.17")))
    with pytest.raises(StageError, match="version 2.2.17"):
        program.version()


def test_a_run_that_fails_says_why_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    body = "printf '╭─ Traceback ─╮\\n│ x │\\n╰──╯\\nCorpusError: there is\\n\\nnothing here\\n'; exit 3"
    monkeypatch.setenv(program.VARIABLE, str(script(tmp_path / "mfa", body)))
    with pytest.raises(program.ProgramFailed, match="`mfa align` ended with status 3: CorpusError: there is nothing here$"):
        program.run(["align"], tmp_path, quiet=True)


def test_each_run_writes_below_its_own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYTHONPATH", "/ours")
    body = f'echo "$MFA_ROOT_DIR|$TMPDIR|$NUMBA_CACHE_DIR|$OMP_NUM_THREADS|$PYTHONPATH|$1" > {tmp_path}/said'
    monkeypatch.setenv(program.VARIABLE, str(script(tmp_path / "mfa", body)))
    (tmp_path / "run").mkdir()
    program.run(["train"], tmp_path / "run", quiet=True)
    root, temporary, cache, threads, path, argument = (tmp_path / "said").read_text().strip().split("|")
    assert all(Path(p).is_dir() and tmp_path / "run" in Path(p).parents for p in (root, temporary, cache))
    assert (threads, path, argument) == ("1", "", "train")


def test_a_run_that_hangs_is_ended_and_started_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    body = f'echo INFO at work; echo $$ >> {tmp_path}/pids; [ $(wc -l < {tmp_path}/pids) = 2 ] || sleep 60'
    monkeypatch.setenv(program.VARIABLE, str(script(tmp_path / "mfa", body)))
    monkeypatch.setattr(program, "STALL_S", 0.5)
    program.run(["align"], tmp_path, quiet=True)
    pids = [int(line) for line in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 2 and not any(map(alive, pids)) and not (tmp_path / "attempt-1").exists()


def test_a_run_that_hangs_every_time_is_an_error_and_one_that_computes_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(program, "STALL_S", 0.5)
    monkeypatch.setattr(program, "STALL_CPU_S", 0.05)
    monkeypatch.setenv(program.VARIABLE, str(script(tmp_path / "mfa", "echo INFO Generating MFCCs; sleep 60")))
    with pytest.raises(program.ProgramFailed, match="computed nothing for 0.5 s after: INFO Generating MFCCs, 2 times"):
        program.run(["align"], tmp_path, quiet=True)
    busy = "i=0; while [ $i -lt 1500000 ]; do i=$((i+1)); done"
    monkeypatch.setenv(program.VARIABLE, str(script(tmp_path / "mfa", busy)))
    monkeypatch.setattr(program, "STALL_S", 1.0)
    monkeypatch.setattr(program, "STALL_CPU_S", 0.0)  # any at all: on a busy machine it may get a hundredth of a core
    (tmp_path / "busy").mkdir()
    program.run(["align"], tmp_path / "busy", quiet=True)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_stage_ends_all_that_the_program_started(tmp_path: Path, end: signal.Signals) -> None:
    """Its workers ignore SIGTERM, as a process in a system call does: they are killed after a grace."""
    worker = f"(trap '' TERM; sh -c 'echo $PPID > {tmp_path}/worker'; sleep 60) & wait"
    target = script(tmp_path / "mfa", worker)
    code = (
        "import signal, sys\n"
        "from pathlib import Path\n"
        "from mfa import program\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background job ignores it
        "program.GRACE_S = 0.2\n"
        f"program.run(['train'], Path({str(tmp_path)!r}), quiet=True)\n"
    )
    env = os.environ | {program.VARIABLE: str(target), "PYTHONPATH": os.pathsep.join(sys.path)}
    stage = subprocess.Popen([sys.executable, "-c", code], env=env, stderr=subprocess.DEVNULL)
    pid = int(until(lambda: (tmp_path / "worker").exists() and (tmp_path / "worker").read_text().strip()))
    stage.send_signal(end)
    assert stage.wait(20) != 0
    until(lambda: not alive(pid))


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(what: object, seconds: float = 15.0) -> str:
    deadline = time.monotonic() + seconds
    while not (found := what()):  # type: ignore[operator]
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return str(found)
