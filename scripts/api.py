"""The few calls of Airflow's REST API that the demo and the tests make."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlencode


class ApiError(RuntimeError):
    """The API did not answer, or said no."""


class Api:
    """A client of one Airflow; logs in when it has to.

    Args:
        url: its address.
        user: who asks.
        password: of that user.
    """

    def __init__(self, url: str, user: str, password: str) -> None:
        """See the class."""
        self.url, self.user, self.password = url, user, password
        self._token = ""

    def health(self) -> dict[str, dict[str, Any]]:
        """Status of each component."""
        answer: dict[str, dict[str, Any]] = self._send("GET", "/api/v2/monitor/health")
        return answer

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """One call below ``/api/v2``; the JSON answer.

        Raises:
            ApiError: no answer, or a status of 400 and above.
        """
        if not self._token:
            token = self._send("POST", "/auth/token", {"username": self.user, "password": self.password})
            self._token = token["access_token"]
        return self._send(method, f"/api/v2{path}{'?' + urlencode(query) if query else ''}", body)

    def trigger(self, dag_id: str, *, key: str | None = None, conf: dict[str, Any] | None = None) -> str:
        """Start a run; its id."""
        run = self.call("POST", f"/dags/{dag_id}/dagRuns", {"logical_date": None, "partition_key": key, "conf": conf or {}})
        return str(run["dag_run_id"])

    def pause(self, dag_id: str, paused: bool) -> None:
        """Pause or unpause a DAG."""
        self.call("PATCH", f"/dags/{dag_id}", {"is_paused": paused}, update_mask="is_paused")

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """One run."""
        answer: dict[str, Any] = self.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}")
        return answer

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """The runs of a DAG."""
        answer: list[dict[str, Any]] = self.call("GET", f"/dags/{dag_id}/dagRuns", limit=100)["dag_runs"]
        return answer

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """The task instances of a run."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        answer: list[dict[str, Any]] = self.call("GET", path, limit=1000)["task_instances"]
        return answer

    def log(self, dag_id: str, run_id: str, task: dict[str, Any]) -> list[str]:
        """The log lines of a task's last try; an exception is its type and message."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task['task_id']}/logs/{max(1, task['try_number'])}"
        content = self.call("GET", path, map_index=task["map_index"])["content"]
        return [text for line in content for text in _log_text(line)]

    def _send(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                content = response.read()
        except urllib.error.HTTPError as error:
            raise ApiError(f"{method} {path}: {error.code} {error.read().decode(errors='replace')[:500]}") from error
        except (OSError, ValueError) as error:
            raise ApiError(f"{method} {path}: {error}") from error
        return json.loads(content) if content else None


def _log_text(line: Any) -> list[str]:
    if not isinstance(line, dict):
        return [str(line)]
    errors = [f"{error['exc_type']}: {error['exc_value']}" for error in line.get("error_detail") or []]
    return [str(line["event"]), *errors]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
