"""Airflow's components in the foreground: makes the database, then runs all four; when one ends, all end.

Started by ``scripts.server`` as the leader of a session of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn

COMPONENTS = {
    "api-server": ["api-server"],
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}


def main() -> NoReturn:
    """Run until a component ends or SIGTERM comes."""
    prepare(Path(os.environ["AIRFLOW_HOME"]))
    processes = {name: subprocess.Popen(["airflow", *argv], stdin=subprocess.DEVNULL) for name, argv in COMPONENTS.items()}

    def terminate(_signal: int, _frame: FrameType | None) -> None:
        for process in processes.values():
            process.terminate()
        sys.exit(0)

    signal.signal(signal.SIGTERM, terminate)
    while True:
        for name, process in processes.items():
            if (code := process.poll()) is not None:
                print(f"{name} ended with code {code}: stopping all", flush=True)
                for other in processes.values():
                    other.terminate()
                sys.exit(1)
        time.sleep(0.5)


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
