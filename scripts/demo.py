"""``make demo``: harvests ``samples/`` and releases it, by the DAGs that run on a cluster, in an Airflow of its own.

First The People's Speech, then the spoken words of two small languages. Ends with where every second of the input went. A second
run finds everything made, and says so.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from operators import objects, paths
from operators.settings import Settings
from scripts import server
from scripts.api import Api, ApiError

REPO = Path(__file__).resolve().parents[1]
SAMPLES = REPO / "samples/peoples_speech/en"
DATASET, LANGUAGE, MONTH = "peoples_speech", "en", "2026.10"
"""The month is the demo's own and fixed, so that a second demo finds the first."""
SPOKEN_WORDS, SPOKEN_LANGUAGES = "spoken_words", ("en", "ru")
SENTENCES = REPO / "samples/spoken_words/cv-corpus-6.1-2020-12-11"
FEW = {"min_sentences": 20}, {"min_clips": 2}
"""Of the harvest and the release: the samples are 100 and 25 sentences, too few for what is asked of a corpus."""
DONE = ("success", "failed", "skipped", "upstream_failed", "removed")
POLL_S = 1.0
NEWS_S = 5.0
"""A running stage's own progress line is repeated at most this often."""


class DemoError(RuntimeError):
    """A run did not succeed; the message has the task's own error."""


@dataclass
class Follower:
    """Prints what a run does, as it does it."""

    api: Api
    dag_id: str
    run_id: str
    started: float
    seen: dict[str, str] = field(default_factory=dict)
    told: dict[str, tuple[float, str]] = field(default_factory=dict)

    def follow(self) -> list[dict[str, Any]]:
        """Until the run ends; its task instances.

        Raises:
            DemoError: it failed.
        """
        while True:
            state = self.api.run(self.dag_id, self.run_id)["state"]
            tasks = self.api.tasks(self.dag_id, self.run_id)
            for task in sorted(tasks, key=lambda t: str(t["start_date"])):
                self._tell(task)
            if state in ("success", "failed"):
                break
            time.sleep(POLL_S)
        failed = [task for task in tasks if task["state"] == "failed"]
        if state == "failed":
            raise DemoError("\n".join(self._why(task) for task in failed) or f"{self.dag_id} failed: see {self.api.url}")
        return tasks

    def _tell(self, task: dict[str, Any]) -> None:
        name = task["task_id"] + (f" {task['map_index']:05d}" if task["map_index"] >= 0 else "")
        state = task["state"] or "none"
        if state == "running":
            if name not in self.told:
                self._print(name, "…")
                self.told[name] = (time.monotonic(), "")
            elif time.monotonic() - self.told[name][0] > NEWS_S:
                line = next((x for x in reversed(self._log(task)) if x.endswith(" left")), "")
                if line and line != self.told[name][1]:
                    self._print(name, line)
                self.told[name] = (time.monotonic(), line)
        elif state in DONE and self.seen.get(name) != state:
            took = f" in {task['duration']:.0f} s" if task["duration"] else ""
            self._print(name, {"success": "done", "upstream_failed": "not run"}.get(state, state) + took, task["end_date"])
        self.seen[name] = state

    def _why(self, task: dict[str, Any]) -> str:
        error = [x for x in self._log(task) if x.strip() and not x.startswith("::")][-12:]
        return f"{self.dag_id} {task['task_id']} failed:\n  " + "\n  ".join(error)

    def _log(self, task: dict[str, Any]) -> list[str]:
        try:
            return self.api.log(self.dag_id, self.run_id, task)
        except ApiError:
            return []

    def _print(self, name: str, what: str, at: str | None = None) -> None:
        """``at``: when it happened, ISO 8601; by default now."""
        ago_s = (datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds() if at else 0.0
        passed = int(time.monotonic() - self.started - ago_s)
        print(f"  {passed // 60:02d}:{passed % 60:02d}  {name:<24} {what}", flush=True)


def reused(root: str, dag_id: str, run_id: str) -> tuple[int, int]:
    """(stages that found their output made before, stages) of a run, by its receipts."""
    folder = paths.receipt(root, dag_id, run_id, "x", 0).rpartition("/")[0]
    receipts = [objects.read_json(uri) for uri in objects.below(folder) if uri.endswith(".json")]
    return sum(receipt["skipped"] for receipt in receipts), len(receipts)


def wait_for_dags(api: Api, dag_ids: Iterable[str], timeout_s: float = 120.0) -> None:
    """Until the DAG processor has read them.

    Raises:
        DemoError: it has not, or cannot; with its import error.
    """
    deadline = time.monotonic() + timeout_s
    missing = set(dag_ids)
    while missing and time.monotonic() < deadline:
        for dag_id in sorted(missing):
            missing -= {dag["dag_id"] for dag in api.call("GET", "/dags", dag_id_pattern=dag_id)["dags"]}
        if missing:
            time.sleep(POLL_S)
    if missing:
        errors = [error["stack_trace"] for error in api.call("GET", "/importErrors")["import_errors"]]
        raise DemoError(f"Airflow has no DAG {', '.join(sorted(missing))} after {timeout_s:.0f} s\n" + "\n".join(errors))


def run_dags(api: Api, runs: dict[str, dict[str, Any]], started: float) -> dict[str, str]:
    """Trigger DAGs for the demo's month, all at once, and follow them, one after the other; DAG → run id.

    Args:
        api: Airflow's.
        runs: DAG → what its form is filled in with.
        started: when the demo was.
    """
    made = {}
    for dag_id, conf in runs.items():
        api.pause(dag_id, False)
        made[dag_id] = api.trigger(dag_id, key=MONTH, conf=conf)
    for dag_id, run_id in made.items():
        print(f"\n{dag_id}, partition key {MONTH}", flush=True)
        Follower(api, dag_id, run_id, started).follow()
    return made


def demo(airflow: server.Server, root: str, started: float) -> None:
    """The DAGs of both datasets, and how much of their work was there already."""
    api = airflow.api()
    harvest, release = f"{DATASET}_harvest__{LANGUAGE}", f"{DATASET}_release__{LANGUAGE}"
    sentences = {"location": str(SENTENCES), "version": "6.1", **FEW[0]}
    harvests = {f"{SPOKEN_WORDS}_harvest__{code}": sentences for code in SPOKEN_LANGUAGES}
    releases = {f"{SPOKEN_WORDS}_release__{code}": {"approval": "auto", **FEW[1]} for code in SPOKEN_LANGUAGES}
    wait_for_dags(api, [harvest, release, *harvests, *releases])
    runs = run_dags(api, {harvest: {"source": "folder", "location": SAMPLES.as_uri()}}, started)
    runs |= run_dags(api, {release: {"approval": "auto"}}, started)
    runs |= run_dags(api, harvests, started)
    runs |= run_dags(api, releases, started)
    for code in SPOKEN_LANGUAGES:
        uri = paths.release(root, SPOKEN_WORDS, code, MONTH)
        totals = objects.read_json(f"{uri}/release.json")["totals"]
        print(f"\n{SPOKEN_WORDS} {code}: {totals['clips']} clips of {totals['keywords']} keywords in {uri}", flush=True)
    counts = [reused(root, dag_id, run_id) for dag_id, run_id in runs.items()]
    before, total = sum(c[0] for c in counts), sum(c[1] for c in counts)
    if before == total:
        print(f"\nNothing has changed: all {total} stages found what they had made before.")
    elif before:
        print(f"\n{before} of {total} stages found what they had made before.")


def report(root: str) -> int:
    """Where every second went; the exit code of the report."""
    containers = REPO / "containers"
    env = {**os.environ, "PYTHONPATH": f"{containers / 'stagekit'}:{containers / 'release'}"}
    release = paths.release(root, DATASET, LANGUAGE, MONTH)
    print(flush=True)
    python = REPO / ".venvs/release/bin/python"
    return subprocess.run([python, "-m", "release", "report", "--release", release], env=env, check=False).returncode


def main() -> None:
    """Start Airflow unless it runs, run the demo, stop what was started."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    started = time.monotonic()
    root = Settings.from_env().root
    mine = server.running() is None
    try:
        print("Starting Airflow …" if mine else "Using the Airflow that is running.", flush=True)
        airflow = server.start()
        print(f"  {airflow.url} after {time.monotonic() - started:.0f} s", flush=True)
        demo(airflow, root, started)
    except (DemoError, ApiError, server.ServerError) as error:
        sys.exit(f"\n{error}")
    except KeyboardInterrupt:
        sys.exit("\nStopped. What was finished is kept: the next demo goes on from there.")
    finally:
        if mine:
            server.stop()
    code = report(root)
    print(f"\n{time.monotonic() - started:.0f} s in all. To look around in Airflow: make serve", flush=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
