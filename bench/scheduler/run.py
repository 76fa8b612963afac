"""What Airflow adds to a shard: a DAG of mapped tasks that do nothing, through a real scheduler.

Run from the repository's root:
.venvs/airflow/bin/python bench/scheduler/run.py --shards 300 --write

The server is the one of ``make serve`` (LocalExecutor, as many tasks at once as there are cores, SQLite), in a folder of its own
with one DAG: ``list`` returns so many names, ``work`` is mapped over them and returns. Wall seconds depend on what else the
machine does; CPU seconds of all of Airflow's processes hardly do.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
RESULTS = REPO / "bench/results/scheduler.md"
DAG = '''
from airflow.sdk import dag, task

@dag(schedule=None)
def bench():
    @task
    def list():
        return [str(n) for n in range({shards})]

    @task
    def work(shard):
        return None

    work.expand(shard=list())

bench()
'''
WAIT_S = 3 * 3600
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_s(session: int) -> float:
    """CPU seconds that a session's processes, and the children that they have waited for, have taken so far."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(") ")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session:
            total += sum(int(fields[n]) for n in (11, 12, 13, 14))
    return total / TICKS


def measure(shards: int, home: Path) -> tuple[float, float]:
    """(wall seconds of the run, CPU seconds of Airflow meanwhile)."""
    for name in ("scripts", "operators", "config", "plugins"):
        shutil.copytree(REPO / name, home / name, ignore=shutil.ignore_patterns("__pycache__"))
    (home / ".venvs").symlink_to(REPO / ".venvs")
    (home / "dags").mkdir()
    (home / "dags/bench.py").write_text(DAG.format(shards=shards))
    sys.path.insert(0, str(home))
    from scripts import server
    from scripts.api import ApiError

    airflow = server.start(home / "airflow")
    try:
        api = airflow.api()
        deadline = time.monotonic() + WAIT_S
        while "bench" not in {d["dag_id"] for d in api.call("GET", "/dags")["dags"]}:
            assert time.monotonic() < deadline
            time.sleep(1)
        before = cpu_s(airflow.session)
        api.pause("bench", False)
        run_id = api.trigger("bench")
        run: dict[str, str] = {"state": ""}
        while run["state"] not in ("success", "failed"):
            assert time.monotonic() < deadline
            time.sleep(5)
            try:
                run = api.run("bench", run_id)
            except ApiError:  # it is busy
                continue
        assert run["state"] == "success"
        wall = datetime.fromisoformat(run["end_date"]) - datetime.fromisoformat(run["start_date"])
        return wall.total_seconds(), cpu_s(airflow.session) - before
    finally:
        server.stop(home / "airflow")


def main() -> None:
    """Measure and print; ``--write`` keeps the line in bench/results."""
    parser = argparse.ArgumentParser(description="Seconds that Airflow adds to a shard.")
    parser.add_argument("--shards", type=int, default=300)
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.relative_to(REPO)}")
    args = parser.parse_args()
    load = os.getloadavg()[2]
    with tempfile.TemporaryDirectory() as scratch:
        wall, cpu = measure(args.shards, Path(scratch))
    locked = subprocess.run([REPO / ".venvs/airflow/bin/airflow", "version"], capture_output=True, text=True, check=True)
    text = (
        f"# Mapped tasks through the scheduler\n\n`bench/scheduler/run.py`: {args.shards} mapped tasks that do nothing, "
        f"LocalExecutor on SQLite. Airflow {locked.stdout.split()[-1]}, {platform.machine()}, {os.cpu_count()} cores "
        f"(load average {load:.0f} before), Python {platform.python_version()}, {datetime.now(UTC):%Y-%m-%d}.\n\n"
        "| mapped tasks | run, s | wall s a shard | CPU s a shard, all of Airflow |\n|---:|---:|---:|---:|\n"
        f"| {args.shards} | {wall:.0f} | {wall / args.shards:.2f} | {cpu / args.shards:.2f} |\n"
    )
    print(text)
    if args.write:
        RESULTS.write_text(text)


if __name__ == "__main__":
    main()
