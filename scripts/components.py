"""Airflow's components in the foreground: makes the database, then runs all four; when one ends, all end.

Started by ``scripts.server`` as the leader of a session of its own. The components are forked from one process that has imported
what they share, instead of being four commands: importing Airflow takes 5 to 7 CPU seconds, and each of them would pay it.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NoReturn

COMPONENTS = {
    "api-server": ["api-server"],
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}
SHARED = (
    "airflow.cli.cli_parser",
    "airflow.jobs.scheduler_job_runner",
    "airflow.executors.local_executor",
    "airflow.sdk.execution_time.task_runner",
    "airflow.dag_processing.manager",
    "airflow.dag_processing.processor",
    "airflow.jobs.triggerer_job_runner",
    "airflow.providers.standard.operators.hitl",
)
"""Imported before the fork. None of them starts a thread or connects; ``operators`` is not among them, so that an edit counts."""


def main() -> NoReturn:
    """Run until a component ends or SIGTERM comes."""
    for module in SHARED:
        importlib.import_module(module)
    # In a child, for an open database connection must not be inherited.
    if _wait(_fork(lambda: prepare(Path(os.environ["AIRFLOW_HOME"])))):
        sys.exit("the database could not be made")
    children = {_fork(lambda argv=argv: _airflow(argv)): name for name, argv in COMPONENTS.items()}  # type: ignore[misc]

    def terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
        _terminate(children)
        sys.exit(0)

    signal.signal(signal.SIGTERM, terminate)
    pid, status = os.wait()
    name = children.pop(pid, "a component")
    print(f"{name} ended with code {os.waitstatus_to_exitcode(status)}: stopping all", flush=True)
    _terminate(children)
    sys.exit(1)


def _airflow(argv: list[str]) -> None:
    from airflow.__main__ import main as command_line

    sys.argv = ["airflow", *argv]
    command_line()


def _fork(run: Callable[[], None]) -> int:
    """Run a function in a child; its process id."""
    sys.stdout.flush()
    if pid := os.fork():
        return pid
    code = 1
    try:
        run()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _wait(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _terminate(children: dict[int, str]) -> None:
    for pid in children:
        try:
            os.kill(pid, signal.SIGTERM)
        except ProcessLookupError:
            pass


def prepare(home: Path) -> None:
    """Make the database and its pools, unless that has been done with this Airflow and these pools."""
    from importlib.metadata import version

    from operators.settings import Settings

    pools = (Settings.from_env().config / "pools.json").read_bytes()
    wanted = f"{version('apache-airflow')} {hashlib.sha256(pools).hexdigest()}"
    stamp = home / "prepared"
    if stamp.exists() and stamp.read_text() == wanted and (home / "airflow.db").exists():
        return
    from airflow.models import Pool
    from airflow.utils.db import initdb

    initdb()
    for name, pool in json.loads(pools).items():
        Pool.create_or_update_pool(name, pool["slots"], pool["description"], pool["include_deferred"])
    stamp.write_text(wanted)


if __name__ == "__main__":
    main()
