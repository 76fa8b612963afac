"""A running Airflow of the tests' own: real DAGs, real stages, real recordings, schedules on."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts import server
from scripts.api import Api, ApiError

REPO = Path(__file__).resolve().parents[2]
HARVEST, RELEASE = "peoples_speech_harvest__en", "peoples_speech_release__en"
SPOKEN, SPOKEN_RELEASE = "spoken_words_harvest__ru", "spoken_words_release__ru"
WAIT_S = 1500.0
"""Longest wait for a run: under two minutes on an idle two-core machine, far more on one that does other things too."""

ANSWERED = ("success", "failed", "skipped", "up_for_retry")


def last_month() -> str:
    """The key that the schedule fires for today."""
    return (datetime.now(UTC).replace(day=1) - timedelta(days=1)).strftime("%Y.%m")


def samples() -> dict[str, list[str]]:
    """Month → recordings of samples/ that its source folder holds."""
    return {
        last_month(): ["inaugural_1961.flac"],
        "2025.01": ["abandoned_room_1.flac"],
        "2025.02": ["sonnet_002.mp3"],
        "2025.03": ["abandoned_room_2.flac"],
        "2025.04": [],
    }


@dataclass
class World:
    """An Airflow, its storage and its sources."""

    airflow: server.Server
    root: Path
    api: Api

    def batch(self, month: str, corpus: str = "peoples_speech/en") -> dict[str, Any] | None:
        """A month's seal."""
        path = self.root / f"batches/{corpus}/{month}/batch.json"
        return json.loads(path.read_text()) if path.exists() else None

    def release(self, version: str, corpus: str = "peoples_speech/en") -> dict[str, Any] | None:
        """A version's release.json."""
        path = self.root / f"releases/{corpus}/{version}/release.json"
        return json.loads(path.read_text()) if path.exists() else None

    def states(self, dag_id: str, run_id: str) -> dict[str, str]:
        """Task → state; of a mapped task, its instances' states, sorted."""
        found: dict[str, set[str]] = {}
        for task in self.api.tasks(dag_id, run_id):
            found.setdefault(task["task_id"], set()).add(str(task["state"]))
        return {task: "+".join(sorted(states)) for task, states in found.items()}

    def until(self, what: Callable[[], Any], seconds: float = WAIT_S) -> Any:
        """Wait for something to be true; it."""
        deadline = time.monotonic() + seconds
        while not (found := what()):
            assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain; see {self.airflow.home}/logs"
            time.sleep(0.5)
        return found

    def finish(self, dag_id: str, run_id: str) -> str:
        """Wait for a run's end; its state."""
        return str(self.until(lambda: (s := self.api.run(dag_id, run_id)["state"]) in ("success", "failed") and s))

    def until_state(self, run_id: str, task_id: str, state: str, dag_id: str = RELEASE) -> None:
        """Wait for a task to be in a state, or for the run to end without."""
        self.until(lambda: self.states(dag_id, run_id).get(task_id) == state or self.api.run(dag_id, run_id)["state"] == "failed")
        assert self.states(dag_id, run_id)[task_id] == state, self.why(dag_id, run_id)

    def answer(self, run_id: str, option: str) -> None:
        """Answer the approval of a release as a person does: not within the second in which the question was put.

        Airflow 3.3.2's scheduler takes a task that resumes before it has seen it park for one that failed; then it asks again.
        """
        path = f"/dags/{RELEASE}/dagRuns/{run_id}/taskInstances/approve/-1/hitlDetails"
        for _ in range(3):
            time.sleep(5)
            self.api.call("PATCH", path, {"chosen_options": [option], "params_input": {}})
            if self.until(lambda: (s := self.states(RELEASE, run_id).get("approve")) in ANSWERED and s) != "up_for_retry":
                return
            self.until_state(run_id, "approve", "awaiting_input")

    def why(self, dag_id: str, run_id: str) -> str:
        """Logs of the failed tasks of a run."""
        failed = [task for task in self.api.tasks(dag_id, run_id) if task["state"] == "failed"]
        lines = [line for task in failed for line in self.api.log(dag_id, run_id, task)[-15:]]
        return "\n".join(lines) or str(self.states(dag_id, run_id))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests of stopping stop the one Airflow that all share: they come last."""
    items.sort(key=lambda item: Path(item.path).name == "test_server.py")


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Airflow with the shipped DAGs; the registry's entry takes its months from folders."""
    base = tmp_path_factory.mktemp("world")
    config = base / "config"
    shutil.copytree(REPO / "config", config)
    entry = {"name": "English", "since": "2025.01", "source": "folder", "location": (base / "source").as_uri() + "/{month}"}
    russian = yaml.safe_load((config / "languages.yaml").read_text())["spoken_words"]["ru"]
    # 25 sentences: few words are in five of them.
    stages = {"train": {"min_sentences": 20}, "select": {"min_clips": 2}}
    russian |= {"since": "2025.01", "shard_clips": 10, "approval": "auto", "stages": stages}
    (config / "languages.yaml").write_text(yaml.safe_dump({"peoples_speech": {"en": entry}, "spoken_words": {"ru": russian}}))
    corpus = {"2025.01": {"version": "6.1", "location": str(REPO / "samples/spoken_words/cv-corpus-6.1-2020-12-11")}}
    (config / "sources.yaml").write_text(yaml.safe_dump({"common_voice": corpus}))
    for month, files in samples().items():
        make_source(base / "source" / month, files)
    settings = {"SPEECHMILL_ROOT": str(base / "warehouse"), "SPEECHMILL_CONFIG": str(config), "SPEECHMILL_SCHEDULES": "on"}
    airflow = server.start(base / "airflow", extra=settings)
    made = World(airflow, base / "warehouse", airflow.api())
    try:
        made.until(lambda: len(made.api.call("GET", "/dags")["dags"]) == 4)
        yield made
    finally:
        server.stop(base / "airflow")


def make_source(folder: Path, files: list[str]) -> None:
    """A source folder with some of the samples, as their metadata describes them."""
    folder.mkdir(parents=True)
    lines = []
    for home in (REPO / "samples/peoples_speech/en", REPO / "samples/peoples_speech_next/en"):
        for line in (home / "metadata.jsonl").read_text().splitlines():
            if json.loads(line)["file"] in files:
                lines.append(line)
                for file in home.glob(f"{Path(json.loads(line)['file']).stem}.*"):
                    shutil.copy(file, folder)
    if files:
        (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n")


__all__ = ["HARVEST", "RELEASE", "SPOKEN", "SPOKEN_RELEASE", "ApiError", "World", "last_month"]
