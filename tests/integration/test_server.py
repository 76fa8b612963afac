"""``make serve`` and ``make stop``: any port works, and stopping leaves no process behind, not even a stage at work."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import server

from .conftest import HARVEST, World, make_source

pytestmark = [pytest.mark.allow_hosts(["127.0.0.1", "::1", "localhost"]), pytest.mark.timeout(3600)]


def commands(session: int) -> list[str]:
    """Command lines of a session's processes."""
    return [Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode() for pid in server.members(session)]


def test_a_second_start_finds_the_first_and_refuses_another_port(world: World) -> None:
    home = Path(world.airflow.home)
    assert server.start(home) == world.airflow
    with pytest.raises(server.ServerError, match="already runs"):
        server.start(home, world.airflow.port + 1)


def test_a_wrong_password_is_refused(world: World) -> None:
    from scripts.api import Api, ApiError

    with pytest.raises(ApiError, match="401"):
        Api(world.airflow.url, server.USER, "wrong").call("GET", "/dags")


def test_stop_ends_every_process_with_the_stage_that_runs(world: World, tmp_path: Path) -> None:
    make_source(tmp_path / "source", ["udhr_preamble.mp3"])
    world.api.pause(HARVEST, False)
    world.api.trigger(HARVEST, key="2025.06", conf={"source": "folder", "location": (tmp_path / "source").as_uri()})
    world.until(lambda: [c for c in commands(world.airflow.session) if "-m align recognize" in c])
    assert len(server.members(world.airflow.session)) > 5
    assert server.stop(Path(world.airflow.home))
    assert commands(world.airflow.session) == []
    assert server.running(Path(world.airflow.home)) is None and not server.stop(Path(world.airflow.home))
    staging = list((world.root / "batches/peoples_speech/en/2025.06/recognize").glob("*/_SUCCESS.json"))
    assert staging == [], "a stage that was ended leaves nothing visible"
