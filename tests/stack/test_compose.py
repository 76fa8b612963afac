"""docker-compose.yaml, as a newcomer uses it: up, a harvest and a release through the REST API, down."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import REPO, docker

from scripts.api import Api, ApiError, free_port

PROJECT = "speechmill-test"
HARVEST, RELEASE = "peoples_speech_harvest__en", "peoples_speech_release__en"
MONTH = "2026.10"
UP_S, RUN_S = 420, 900


def compose(env: dict[str, str], *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    program = ["docker", "compose"] if docker("compose", "version", check=False).returncode == 0 else ["docker-compose"]
    command = [*program, "-p", PROJECT, "-f", str(REPO / "docker-compose.yaml"), *argv]
    return subprocess.run(command, cwd=REPO, env=os.environ | env, capture_output=True, text=True, check=check)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Api, dict[str, str]]]:
    """The stack, up and healthy."""
    kept = tmp_path_factory.mktemp("env") / ".env"
    if (REPO / ".env").exists():  # a person's own
        shutil.copy2(REPO / ".env", kept)
    env = {"SPEECHMILL_PORT": str(free_port()), "SPEECHMILL_NETWORK": PROJECT, "SPEECHMILL_WORKERS": "2"}
    try:
        up = compose(env, "up", "-d", check=False)
        assert up.returncode == 0, up.stderr[-3000:] + compose(env, "logs", "--tail=30", check=False).stdout[-6000:]
        secrets = dict(x.split("=", 1) for x in (REPO / ".env").read_text().splitlines() if "=" in x)
        assert (REPO / ".env").stat().st_mode & 0o777 == 0o600
        api = Api(f"http://localhost:{env['SPEECHMILL_PORT']}", "admin", secrets["SPEECHMILL_ADMIN_PASSWORD"])
        deadline = time.monotonic() + UP_S
        while not _up(api):
            assert time.monotonic() < deadline, compose(env, "logs", "--tail=20").stdout[-6000:]
            time.sleep(3)
        yield api, env
    finally:
        compose(env, "down", "-v", "--remove-orphans", check=False)
        (REPO / ".env").unlink(missing_ok=True)
        if kept.exists():
            shutil.copy2(kept, REPO / ".env")


def _up(api: Api) -> bool:
    try:
        said = api.health()
        if any(said[c]["status"] != "healthy" for c in ("scheduler", "dag_processor", "triggerer", "metadatabase")):
            return False
        return {HARVEST, RELEASE} <= {d["dag_id"] for d in api.call("GET", "/dags", limit=1000)["dags"]}
    except ApiError:
        return False


def run(api: Api, dag_id: str, conf: dict[str, Any]) -> None:
    api.pause(dag_id, False)
    run_id = api.trigger(dag_id, key=MONTH, conf=conf)
    deadline = time.monotonic() + RUN_S
    while (state := api.run(dag_id, run_id)["state"]) not in ("success", "failed"):
        assert time.monotonic() < deadline, {t["task_id"]: t["state"] for t in api.tasks(dag_id, run_id)}
        time.sleep(3)
    failed = [t for t in api.tasks(dag_id, run_id) if t["state"] == "failed"]
    assert state == "success", "\n".join(line for t in failed for line in api.log(dag_id, run_id, t)[-15:])


def in_bucket(env: dict[str, str], name: str) -> bytes:
    """An object, read from inside the network as every client does."""
    code = f"import urllib.request as u, urllib.parse as p, sys; sys.stdout.buffer.write(u.urlopen('http://127.0.0.1:9023/download/storage/v1/b/speech/o/' + p.quote({name!r}, safe='') + '?alt=media').read())"  # noqa: E501
    return compose(env, "exec", "-T", "gcs", "python3.11", "-c", code).stdout.encode()


def test_from_nothing_to_a_release_in_the_bucket(stack: tuple[Api, dict[str, str]]) -> None:
    api, env = stack
    run(api, HARVEST, {"source": "folder", "location": "gs://speech/sources/peoples_speech/en"})
    run(api, RELEASE, {"approval": "auto"})
    release = json.loads(in_bucket(env, f"warehouse/releases/peoples_speech/en/{MONTH}/release.json"))
    assert release["version"] == MONTH and release["totals"]["clips"] > 20
    latest = json.loads(in_bucket(env, "warehouse/releases/peoples_speech/en/latest.json"))
    assert latest["version"] == MONTH
    sums = in_bucket(env, f"warehouse/releases/peoples_speech/en/{MONTH}/checksums.sha256").decode()
    assert any(line.endswith(".parquet") and "data/" in line for line in sums.splitlines())


def test_the_pages_show_the_release_and_ask_who_one_is(stack: tuple[Api, dict[str, str]]) -> None:
    api, env = stack
    url = f"{api.url}/speechmill/"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(url)
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {api._token}"})
    assert MONTH in urllib.request.urlopen(request).read().decode()


def test_no_container_of_a_stage_is_left(stack: tuple[Api, dict[str, str]]) -> None:
    assert docker("ps", "-aq", "--filter", "label=org.speechmill.task").stdout.split() == []


def test_every_service_is_healthy_and_none_but_two_is_root(stack: tuple[Api, dict[str, str]]) -> None:
    _, env = stack
    ids = compose(env, "ps", "-q").stdout.split()
    about = json.loads(docker("inspect", *ids).stdout)
    named = {a["Config"]["Labels"]["com.docker.compose.service"]: a for a in about}
    assert {n for n, a in named.items() if a["State"].get("Health", {}).get("Status") == "unhealthy"} == set()
    root = {n for n, a in named.items() if a["Config"]["User"] in ("", "0", "0:0", "root") and n != "postgres"}
    assert root <= {"scheduler", "init"}


def test_secrets_are_drawn_once(tmp_path: Path) -> None:
    from scripts.stack import make_secrets

    env = tmp_path / ".env"
    env.write_text("SPEECHMILL_PORT=9090\n")
    first = make_secrets(env)
    assert make_secrets(env) == first and env.read_text().startswith("SPEECHMILL_PORT=9090\n")
    assert len(set(first.values())) == 4 and min(map(len, first.values())) >= 16
