"""A local Airflow: scheduler, DAG processor, triggerer and API server, in one session that starts and stops as a whole.

``python -m scripts.server start --port 8080`` returns when Airflow is healthy; ``stop`` ends all its processes; ``airflow …``
is Airflow's own command line in the environment of the server that runs.
State lies in ``.airflow/`` (``SPEECHMILL_AIRFLOW_HOME``): SQLite, logs, and ``server.json``, which names the session.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

from scripts.api import Api, ApiError, free_port

REPO = Path(__file__).resolve().parents[1]
AIRFLOW = REPO / ".venvs/airflow/bin/airflow"
PYTHON = REPO / ".venvs/airflow/bin/python"
READY_S = 600.0
"""Seconds until all four components must be healthy. Much, as a machine may be busy: a component that ends is seen at once."""
STOP_S = 8.0
"""Seconds between SIGTERM and SIGKILL: idle components end in about two; a scheduler with a running task would wait for it."""
USER = "admin"


class ServerError(RuntimeError):
    """Airflow does not run as it should; the message says what to look at."""


@dataclass(frozen=True)
class Server:
    """A running Airflow: its home, session (a process id) and port."""

    home: str
    session: int
    port: int

    @property
    def url(self) -> str:
        """Where its UI and API are."""
        return f"http://localhost:{self.port}"

    def api(self) -> Api:
        """A client that is logged in."""
        return Api(self.url, USER, password(Path(self.home)))


def default_home() -> Path:
    """``SPEECHMILL_AIRFLOW_HOME``, or .airflow in the checkout."""
    return Path(os.environ.get("SPEECHMILL_AIRFLOW_HOME") or REPO / ".airflow")


def environment(home: Path, port: int, extra: Mapping[str, str]) -> dict[str, str]:
    """Airflow's settings for one machine. A setting that the caller's environment has, or ``extra``, stays as it is."""
    url = f"http://localhost:{port}"
    secret = _secret(home)
    settings = {
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": str(max(2, len(os.sched_getaffinity(0)))),  # 32 would fork 32 idle workers
        "AIRFLOW__CORE__MAX_MAP_LENGTH": "10000",  # shards of a run, 1024 by default; containers/airflow/Dockerfile has it too
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "password.json"),
        "AIRFLOW__API_AUTH__JWT_SECRET": secret["jwt"],  # scheduler and API server must share it
        "AIRFLOW__CORE__FERNET_KEY": secret["fernet"],
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "300",  # parsing costs seconds of a core
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "AIRFLOW__TRIGGERER__CAPACITY": "100",
        "SPEECHMILL_SCHEDULES": "off",
    }
    fixed = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPO / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPO / "plugins"),
        # The port alone is not enough: tasks reach the API server by these addresses (base_url defaults to 8080).
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "PYTHONPATH": str(REPO),
        "PATH": f"{AIRFLOW.parent}:{os.environ.get('PATH', '')}",
    }
    return {**settings, **os.environ, **extra, **fixed}


def password(home: Path) -> str:
    """The password of ``USER``, made once."""
    return _private(home / "password.json", {USER: secrets.token_urlsafe(12)})[USER]


def _secret(home: Path) -> dict[str, str]:
    fernet = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    return _private(home / "secret.json", {"jwt": secrets.token_urlsafe(48), "fernet": fernet})


def _private(path: Path, new: dict[str, str]) -> dict[str, str]:
    """What a file that only its owner may read holds; made with ``new`` if it is not there."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps(new))
    content: dict[str, str] = json.loads(path.read_text())
    return content


def running(home: Path | None = None) -> Server | None:
    """The server of a home, if any of its processes lives."""
    path = (home or default_home()) / "server.json"
    if not path.exists():
        return None
    server = Server(**json.loads(path.read_text()))
    return server if members(server.session) else None


def start(
    home: Path | None = None, port: int = 0, *, extra: Mapping[str, str] | None = None, timeout_s: float = READY_S
) -> Server:
    """Start Airflow and wait until it is healthy; a second start finds the first.

    Args:
        home: its state; default :func:`default_home`.
        port: of the UI and API; 0: any free one.
        extra: environment variables for it.
        timeout_s: how long it may take.

    Raises:
        ServerError: it did not become healthy; whatever had started is ended.
    """
    home = home or default_home()
    if server := running(home):
        if port and server.port != port:
            raise ServerError(f"Airflow already runs at {server.url}: `make stop` it first, or use that port")
        return server
    password(home)
    (home / "logs").mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    with (home / "logs/server.log").open("ab") as log:
        process = subprocess.Popen(
            [str(PYTHON), "-m", "scripts.components"],
            cwd=REPO, env=environment(home, port, extra or {}),
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    server = Server(str(home), process.pid, port)
    (home / "server.json").write_text(json.dumps(asdict(server)))
    try:
        _wait_until_healthy(server, process, timeout_s)
    except BaseException:
        stop(home)
        raise
    return server


def _wait_until_healthy(server: Server, process: subprocess.Popen[bytes], timeout_s: float) -> None:
    api, deadline, health = server.api(), time.monotonic() + timeout_s, {}
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ServerError(f"Airflow ended with code {process.returncode}; see {server.home}/logs/server.log")
        try:
            health = {part: state["status"] for part, state in api.health().items()}
        except ApiError:
            health = {}
        if health and all(state == "healthy" for state in health.values()):
            return
        time.sleep(0.5)
    state = health or "no answer"
    raise ServerError(f"Airflow was not healthy after {timeout_s:.0f} s ({state}); see {server.home}/logs/server.log")


def stop(home: Path | None = None) -> bool:
    """End every process of the home's Airflow, with the stages that run in it; False if none ran."""
    home = home or default_home()
    server = running(home)
    if server is not None:
        _signal(members(server.session), signal.SIGTERM)
        deadline = time.monotonic() + STOP_S
        while (left := members(server.session)) and time.monotonic() < deadline:
            time.sleep(0.1)
        _signal(left, signal.SIGKILL)
        while members(server.session) and time.monotonic() < deadline + STOP_S:
            time.sleep(0.05)
    (home / "server.json").unlink(missing_ok=True)
    return server is not None


def members(session: int) -> list[int]:
    """Living processes of a session. Airflow and our runner make process groups of their own, but never a session."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            state, _parent, _group, its_session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
        except (OSError, ValueError):
            continue
        if int(its_session) == session and state != "Z":
            found.append(int(entry.name))
    return found


def airflow(arguments: list[str]) -> NoReturn:
    """Become Airflow's command line, with the very environment that the running server was given."""
    server = running()
    if server is None:
        sys.exit("No Airflow is running: `make serve` first.")
    given = Path(f"/proc/{server.session}/environ").read_text().split("\0")
    env = {**os.environ, **dict(line.split("=", 1) for line in given if "=" in line)}
    os.chdir(REPO)
    os.execve(AIRFLOW, ["airflow", *arguments], env)


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def main() -> None:
    """Command line; see the module."""
    parser = argparse.ArgumentParser(prog="python -m scripts.server", description="A local Airflow.")
    parser.add_argument("what", choices=["start", "stop", "status", "airflow"])
    parser.add_argument("--port", type=int, default=8080)
    if sys.argv[1:2] == ["airflow"]:  # what follows is Airflow's to parse
        airflow(sys.argv[2:])
    args = parser.parse_args()
    if args.what == "stop":
        print("Airflow is stopped." if stop() else "No Airflow was running.")
        return
    if args.what == "status":
        server = running()
        print(f"Airflow runs at {server.url}" if server else "No Airflow is running.")
        return
    print(f"Starting Airflow on port {args.port} …", flush=True)
    try:
        server = start(port=args.port)
    except ServerError as error:
        sys.exit(str(error))
    schedules = os.environ.get("SPEECHMILL_SCHEDULES", "off")
    print(
        f"Airflow runs at {server.url}\n  user: {USER}   password: {password(Path(server.home))}\n  logs: {server.home}/logs\n"
        f"  schedules are {schedules}{' (make serve SCHEDULES=on)' if schedules == 'off' else ''}\n  stop: make stop"
    )


if __name__ == "__main__":
    main()
