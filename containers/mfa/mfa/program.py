"""The program ``mfa``: where it is, which version, and one run of it that leaves nothing behind.

It is found by ``SPEECHMILL_MFA`` (the path of the program) or on ``PATH``. It runs with an ``MFA_ROOT_DIR`` of its own, for two
runs that share one destroy each other's database; in a process group of its own, for it starts workers that outlive a killed
parent; with one BLAS thread a worker, for its jobs are what runs in parallel; and under watch, for it can hang.
"""

from __future__ import annotations

import ctypes
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from functools import cache
from pathlib import Path

from stagekit.errors import StageError
from stagekit.pool import ONE_THREAD

VARIABLE = "SPEECHMILL_MFA"
PACKAGES = ("montreal-forced-aligner", "kalpy-kaldi")
SUPPORTED = "3."
"""Releases whose options and files this image knows; recorded and tested with 3.4.3."""
GRACE_S = 5.0
TAIL = 40
STALL_S, STALL_CPU_S = 300.0, 3.0
"""A run that says nothing for so long and takes less CPU time meanwhile than this hangs. One that works takes that much
even where it gets a hundredth of a core; one that hangs still polls its queues. MFA 3.4.3 was seen to stand still for two
minutes, all threads waiting, while it made features on an overloaded machine; nothing of it ends such a run."""
ATTEMPTS = 2
_LIBC = ctypes.CDLL(None)
_ASK = "import importlib.metadata as m, sys; print(*(d.version for p in sys.argv[1:] for d in m.distributions(name=p)))"


class ProgramFailed(StageError):
    """A run ended with another status than 0. The message holds the last that it said."""


def find() -> Path:
    """The program's path.

    Raises:
        StageError: it is nowhere, or is no program.
    """
    named = os.environ.get(VARIABLE) or None
    found = Path(named) if named else shutil.which("mfa")
    if found is None:
        raise StageError(
            f"the Montreal Forced Aligner is not here: no `mfa` on PATH and {VARIABLE} is not set; "
            "run this in the image of containers/mfa, or install it (conda-forge: montreal-forced-aligner)"
        )
    path = Path(found).absolute()
    if not path.is_file() or not os.access(path, os.X_OK):
        raise StageError(f"{VARIABLE}={named}: no such program")
    return path


@cache
def version() -> str:
    """Version of the aligner and of its Kaldi binding, such as ``3.4.3 0.10.5``: part of every fingerprint.

    Raises:
        StageError: it does not say, or is no release that this image knows.
    """
    program = find()
    python = program.with_name("python")
    command = [str(python), "-c", _ASK, *PACKAGES] if python.exists() else [str(program), "version"]
    asked = subprocess.run(command, env=_environment(program), capture_output=True, text=True, timeout=300, check=False)
    lines = asked.stdout.strip().splitlines()
    if asked.returncode or not lines:
        said = (asked.stderr.strip().splitlines() or ["nothing"])[-1]
        raise StageError(f"{program}: does not say its version: {said}")
    if not lines[-1].startswith(SUPPORTED):
        raise StageError(f"{program}: version {lines[-1]}; this image knows releases {SUPPORTED}x")
    return lines[-1]


def run(arguments: list[str], root: Path, *, quiet: bool) -> None:
    """Run ``mfa`` to its end; its messages go to stderr unless ``quiet``. A run that stalls is ended and started again, once.

    Args:
        arguments: the command line after ``mfa``.
        root: an existing folder that only this run uses (MFA_ROOT_DIR, caches, temporary files).
        quiet: say nothing.

    Raises:
        ProgramFailed: it ended with another status than 0, or stalled twice.
    """
    for attempt in range(1, ATTEMPTS + 1):
        folder = root / f"attempt-{attempt}"
        folder.mkdir()
        try:
            return _once(arguments, folder, quiet)
        except _Stalled as stalled:
            if attempt == ATTEMPTS:
                raise ProgramFailed(f"`mfa {arguments[0]}` {stalled}, {ATTEMPTS} times") from None
            print(f"  mfa: {stalled}; started again", file=sys.stderr, flush=True)
            shutil.rmtree(folder, ignore_errors=True)


class _Stalled(Exception):  # noqa: N818 - caught here
    pass


def _once(arguments: list[str], root: Path, quiet: bool) -> None:
    program = find()
    tail: deque[str] = deque(maxlen=TAIL)
    process = subprocess.Popen(
        [str(program), *arguments], env=_environment(program, root), cwd=root, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", errors="replace",
        start_new_session=True, preexec_fn=_die_with_parent,
    )  # fmt: skip
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(process, lines), daemon=True).start()
    since, cpu = time.monotonic(), 0.0
    try:
        while True:
            try:
                line = lines.get(timeout=min(5.0, STALL_S))
            except queue.Empty:
                used = _cpu_s(process.pid)
                if used - cpu > STALL_CPU_S:
                    since, cpu = time.monotonic(), used
                elif time.monotonic() - since > STALL_S:
                    last = tail[-1] if tail else "its start"
                    raise _Stalled(f"said nothing and computed nothing for {STALL_S:g} s after: {last}") from None
                continue
            if line is None:
                break
            since = time.monotonic()
            line = line.rstrip()
            if "━" in line or not line:  # progress bars
                continue
            tail.append(line)
            if not quiet and line.lstrip().startswith(("INFO", "WARNING", "ERROR")):
                print(f"  mfa: {' '.join(line.split()[1:])}", file=sys.stderr, flush=True)
        status = process.wait()
    finally:
        _end(process)
    if status:
        raise ProgramFailed(f"`mfa {arguments[0]}` ended with status {status}: {complaint(list(tail))}")


def _read(process: subprocess.Popen[str], lines: queue.SimpleQueue[str | None]) -> None:
    """Hand on what a process says, line by line; None at its end."""
    assert process.stdout is not None
    try:
        for line in process.stdout:
            lines.put(line)
    except ValueError:  # closed while it was read: the run was ended
        pass
    lines.put(None)


def _cpu_s(group: int) -> float:
    """CPU seconds of all processes of a process group, and of those of their children that have ended (Linux; 0 elsewhere)."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group:
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def complaint(lines: list[str]) -> str:
    """What a failed run said last, in one line: its exception without the traceback's boxes."""
    said = [re.sub(r"[│╭╮╰╯─❱]+", " ", line) for line in lines]
    said = [" ".join(line.split()) for line in said]
    named = [i for i, line in enumerate(said) if re.match(r"(\w+\.)*\w*(Error|Exception)\b", line)]
    kept = [line for line in said[named[-1] if named else -5 :] if line]
    return " ".join(kept)[-600:] or "it said nothing"


def _environment(program: Path, root: Path | None = None) -> dict[str, str]:
    """The caller's, without its Python, and with everything that the run may write below ``root``."""
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "MFA_PROFILE")}
    kept |= dict.fromkeys(ONE_THREAD, "1")
    kept |= {"PATH": f"{program.parent}{os.pathsep}{kept.get('PATH', os.defpath)}", "PYTHONUTF8": "1", "COLUMNS": "200"}
    if root is not None:
        for name in ("MFA_ROOT_DIR", "TMPDIR", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR", "MPLCONFIGDIR"):
            kept[name] = str(root / name.lower())
            (root / name.lower()).mkdir(exist_ok=True)
    return kept


def _die_with_parent() -> None:
    _LIBC.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _end(process: subprocess.Popen[str]) -> None:
    """Nothing of the run's process group stays alive."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
        except ProcessLookupError:
            break
        try:
            process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            continue
    if process.stdout is not None:
        process.stdout.close()
