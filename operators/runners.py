"""How a stage is run. A runner knows a command line and nothing of what the stage does; a stage knows nothing of runners."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from operators.settings import REPO, Settings

EXIT_EMPTY = 99
"""A stage found its input empty (docs/architecture.md, *The stage contract*)."""

EXIT_FINAL = (1, 2)
"""A stage's own error, and a command line that it does not know: the next try would end the same way."""

GRACE_S = 3.0
"""Seconds between SIGTERM and SIGKILL. Airflow's supervisor kills the task itself 5 s after its own SIGTERM."""


@dataclass(frozen=True)
class StageCall:
    """One call of a stage, as every runner gives it.

    Attributes:
        image: folder under containers/, and the package of the same name in it.
        stage: name of the stage.
        inputs: ``[ROLE=]URI[#SHARD]``.
        output: folder in which the stage makes its output folder.
        params: its parameters.
        receipt: where it writes what came out.
        workers: processes it may use; 0: all cores.
        variant: which environment of the image's, such as ``gpu``; empty: its own.
    """

    image: str
    stage: str
    inputs: Sequence[str]
    output: str
    params: Mapping[str, Any] = field(default_factory=dict)
    receipt: str = ""
    workers: int = 0
    variant: str = ""

    @property
    def environment(self) -> str:
        """Name of the environment, and of the image made of it: ``align``, ``align-gpu``."""
        return f"{self.image}-{self.variant}" if self.variant else self.image

    @property
    def argv(self) -> list[str]:
        """Arguments after the interpreter; the same in every runner."""
        argv = ["-m", self.image, self.stage]
        for uri in self.inputs:
            argv += ["--input", uri]
        argv += ["--output", self.output, "--params", json.dumps(self.params, sort_keys=True, ensure_ascii=False)]
        if self.receipt:
            argv += ["--receipt", self.receipt]
        if self.workers:
            argv += ["--workers", str(self.workers)]
        return argv


@dataclass(frozen=True)
class Exit:
    """How a stage ended: its exit code (negative: the signal that killed it) and the last line that it wrote."""

    code: int
    last_line: str

    @property
    def final(self) -> bool:
        """Whether another try would end the same way: the stage says what is wrong, or its memory does not do.

        Anything else may be the machine's fault: a node that was taken away (143), a store that was out for minutes (75).
        """
        return self.code in EXIT_FINAL

    def explain(self) -> str:
        """One line for the task's error."""
        if self.code < 0:
            name = signal.Signals(-self.code).name
            hint = "; out of memory?" if name == "SIGKILL" else ""
            return f"killed by {name}{hint} (last line: {self.last_line or 'none'})"
        return self.last_line or f"exit code {self.code} without a word"


class Runner(Protocol):
    """What an operator asks of a runner."""

    def run(self, call: StageCall, log: Callable[[str], None]) -> Exit:
        """Run to the end; every line that the stage writes goes to ``log`` as it comes."""

    def stop(self) -> None:
        """End the running stage, from another thread or a signal handler."""


class ProcessRunner:
    """A subprocess in the image's own virtual environment, ``.venvs/<image>``, made by ``make setup``."""

    def __init__(self, repo: Path = REPO) -> None:
        """Stages are taken from ``repo``/containers."""
        self.repo = repo
        self._process: subprocess.Popen[str] | None = None

    def run(self, call: StageCall, log: Callable[[str], None]) -> Exit:
        """See :class:`Runner`.

        Raises:
            FileNotFoundError: the image's environment has not been made.
        """
        python = self.repo / ".venvs" / call.environment / "bin" / "python"
        if not python.exists():
            raise FileNotFoundError(f"image '{call.environment}' has no environment at {python}: run `make setup`")
        self._process = subprocess.Popen(
            [str(python), *call.argv],
            cwd=self.repo,
            env=self._environment(call.image),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            process_group=0,  # its workers are ended with it, this task is not
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        )
        last = ""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if text := line.rstrip():
                last = text
                log(text)
        return Exit(self._process.wait(), last)

    def stop(self) -> None:
        """SIGTERM to the stage and its workers, then SIGKILL to whatever is left."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        _signal_group(process.pid, signal.SIGTERM)
        try:
            process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            pass
        _signal_group(process.pid, signal.SIGKILL)

    def _environment(self, image: str) -> dict[str, str]:
        """This environment without Airflow's: a stage must not find what it will lack in a container."""
        env = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "_AIRFLOW", "PYTHON", "VIRTUAL_ENV"))}
        containers = self.repo / "containers"
        return env | {"PYTHONPATH": f"{containers / 'stagekit'}:{containers / image}", "PYTHONUNBUFFERED": "1"}


def _signal_group(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        pass


def _end_with_parent() -> None:
    """In the child, before exec: SIGTERM when the task's process dies without having said so (prctl PR_SET_PDEATHSIG = 1)."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def make_runner(settings: Settings) -> Runner:
    """The runner that the settings name, of those that wait for their stage; pods are ``operators.pods``'."""
    if settings.runner == "docker":
        from operators.docker_runner import DockerRunner  # here: this module is imported by every parse

        return DockerRunner(settings)
    return ProcessRunner()
