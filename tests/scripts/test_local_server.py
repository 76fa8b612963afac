"""The local server's settings, and Airflow's command line beside it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from scripts import server


def test_every_airflow_maps_over_as_many_shards(tmp_path: Path) -> None:
    """The image's is that of docker-compose.yaml and of deploy/gke."""
    image = re.search(r"AIRFLOW__CORE__MAX_MAP_LENGTH=(\d+)", (server.REPO / "containers/airflow/Dockerfile").read_text())
    assert image and image[1] == server.environment(tmp_path, 8080, {})["AIRFLOW__CORE__MAX_MAP_LENGTH"] == "10000"


def test_the_command_line_has_the_environment_of_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPEECHMILL_AIRFLOW_HOME", str(tmp_path))
    with pytest.raises(SystemExit, match="make serve"):
        server.airflow(["version"])
    env = server.environment(tmp_path, 1234, {"SPEECHMILL_SCHEDULES": "on", "SPEECHMILL_ROOT": "/some where"})
    process = subprocess.Popen(["sleep", "60"], env=env, start_new_session=True)
    try:
        (tmp_path / "server.json").write_text(json.dumps({"home": str(tmp_path), "session": process.pid, "port": 1234}))
        called = []
        monkeypatch.setattr(os, "chdir", lambda _folder: None)
        monkeypatch.setattr(os, "execve", lambda *given: called.append(given))
        monkeypatch.setattr("sys.argv", ["server", "airflow", "backfill", "create", "--dag-id", "x", "--port", "1"])
        with pytest.raises(SystemExit):  # for nothing was become here
            server.main()
    finally:
        process.kill()
        process.wait()
    [(program, argv, given)] = called
    assert program == server.AIRFLOW and argv == ["airflow", "backfill", "create", "--dag-id", "x", "--port", "1"]
    assert given == {**os.environ, **env}
