"""docker-compose.yaml as a person uses it: up, runs through the REST API, what is in the bucket, down."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.api import Api, ApiError, free_port

REPO = Path(__file__).resolve().parents[2]
UP_S, RUN_S = 420.0, 1500.0
"""Longest waits: a stack is healthy within a minute and a half on two idle cores, a run ends within four."""
COMPONENTS = ("scheduler", "dag_processor", "triggerer", "metadatabase")
BUCKET = """
import json, sys
from google.cloud import storage
bucket = storage.Client(project="speechmill").bucket("speech")
if sys.argv[1] == "get":
    sys.stdout.buffer.write(bucket.blob(sys.argv[2]).download_as_bytes())
else:
    print(json.dumps({b.name: b.crc32c for b in bucket.list_blobs(prefix=sys.argv[2])}))
"""
"""Run inside the network, as every client of the emulator is."""


class StackError(AssertionError):
    """The stack did not do what it was asked; the message has its last words."""


@dataclass
class Stack:
    """One project of compose, and the API of the Airflow in it."""

    project: str
    env: dict[str, str] = field(default_factory=dict)
    api: Api | None = None

    def compose(self, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run compose: the plugin, or docker-compose 1.29."""
        plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0
        program = ["docker", "compose"] if plugin else ["docker-compose"]
        command = [*program, "-p", self.project, "-f", str(REPO / "docker-compose.yaml"), *argv]
        done = subprocess.run(command, cwd=REPO, env=os.environ | self.env, capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise StackError(f"compose {argv[0]}: {done.stderr[-3000:]}")
        return done

    def up(self, dags: set[str]) -> Api:
        """Start it; its API once all components are healthy and the DAGs are there.

        Raises:
            StackError: it did not get there.
        """
        if self.compose("up", "-d", check=False).returncode:
            raise StackError(self.compose("logs", "--tail=30", check=False).stdout[-6000:])
        held = dict(x.split("=", 1) for x in (REPO / ".env").read_text().splitlines() if "=" in x)
        url = f"http://localhost:{self.env['SPEECHMILL_PORT']}"
        self.api = Api(url, "admin", held["SPEECHMILL_ADMIN_PASSWORD"])
        deadline = time.monotonic() + UP_S
        while not self.healthy(dags):
            if time.monotonic() > deadline:
                raise StackError(self.compose("logs", "--tail=20", check=False).stdout[-6000:])
            time.sleep(3)
        return self.api

    def healthy(self, dags: set[str]) -> bool:
        """Whether every component is, and the DAGs are there."""
        assert self.api is not None
        try:
            said = self.api.health()
            if any(said[c]["status"] != "healthy" for c in COMPONENTS):
                return False
            return dags <= {d["dag_id"] for d in self.api.call("GET", "/dags", limit=1000)["dags"]}
        except ApiError:
            return False

    def start(self, dag_id: str, key: str, conf: dict[str, Any]) -> str:
        """Trigger a run; its id."""
        assert self.api is not None
        self.api.pause(dag_id, False)
        return self.api.trigger(dag_id, key=key, conf=conf)

    def finish(self, dag_id: str, run_id: str) -> None:
        """Wait until a run has succeeded; an API that is away meanwhile is waited for.

        Raises:
            StackError: it failed, or took too long; the message has what the failed tasks said.
        """
        assert self.api is not None
        deadline = time.monotonic() + RUN_S
        state = ""
        while state not in ("success", "failed"):
            try:
                state = self.api.run(dag_id, run_id)["state"]
            except ApiError as error:
                state = str(error)
            if time.monotonic() > deadline:
                states = {t["task_id"]: t["state"] for t in self.api.tasks(dag_id, run_id)}
                raise StackError(f"{dag_id}: {state} after {RUN_S:.0f} s: {states}")
            time.sleep(3)
        if state == "failed":
            failed = [t for t in self.api.tasks(dag_id, run_id) if t["state"] == "failed"]
            raise StackError("\n".join(line for t in failed for line in self.api.log(dag_id, run_id, t)[-15:]))

    def run(self, dag_id: str, key: str, conf: dict[str, Any]) -> str:
        """Trigger a run and wait until it has succeeded; its id."""
        run_id = self.start(dag_id, key, conf)
        self.finish(dag_id, run_id)
        return run_id

    def _bucket(self, *argv: str) -> str:
        host = "STORAGE_EMULATOR_HOST=http://127.0.0.1:9023"
        return self.compose("exec", "-T", "-e", host, "gcs", "/opt/venv/bin/python", "-c", BUCKET, *argv).stdout

    def read(self, name: str) -> str:
        """A text object of the bucket."""
        return self._bucket("get", name)

    def listing(self, prefix: str) -> dict[str, str]:
        """Object → CRC32C, of all below a prefix."""
        return dict(json.loads(self._bucket("list", prefix)))

    def container(self, service: str) -> str:
        """The id of a service's container."""
        return self.compose("ps", "-q", service).stdout.strip()


@contextmanager
def stack(project: str, workers: int = 2) -> Iterator[Stack]:
    """A project of its own on a free port; everything of it is gone at the end, and a person's ``.env`` is as it was."""
    own = REPO / ".env"
    with tempfile.TemporaryDirectory() as kept:
        held = Path(kept) / ".env"
        if own.exists():
            shutil.move(own, held)
        env = {"SPEECHMILL_PORT": str(free_port()), "SPEECHMILL_NETWORK": project, "SPEECHMILL_WORKERS": str(workers)}
        made = Stack(project, env)
        try:
            yield made
        finally:
            made.compose("down", "-v", "--remove-orphans", check=False)
            own.unlink(missing_ok=True)
            if held.exists():
                shutil.move(held, own)
