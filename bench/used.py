"""What a command took: shared by benches that run stages as commands."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Used:
    """What one command took: of all its processes, but ``peak_mb`` of the largest, which is at least its parent's."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def run(argv: Sequence[str], env: Mapping[str, str] | None = None) -> tuple[int, list[str], Used]:
    """(Exit code, lines that it printed, what it took) of a command."""
    started = time.monotonic()
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        process = subprocess.Popen(argv, env=env, stdout=said, stderr=said)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        lines = said.read().strip().splitlines()
    took = Used(time.monotonic() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
    return process.returncode, lines, took
