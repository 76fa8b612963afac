"""Waiting for a seal: at once if it is there, deferred if not, not at all for a release by hand."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowException, TaskDeferred

from operators.seal_sensor import SealSensor, SealTrigger


def test_goes_on_at_once_if_the_seal_is_there(tmp_path: Path) -> None:
    seal = tmp_path / "batch.json"
    seal.write_text("{}")
    assert SealSensor(task_id="wait", seal=seal.as_uri()).execute({}) == seal.as_uri()


def test_waits_for_nothing_by_hand() -> None:
    assert SealSensor(task_id="wait", seal="").execute({}) is None


def test_defers_and_resumes_when_the_seal_comes(tmp_path: Path) -> None:
    seal = tmp_path / "batch.json"
    sensor = SealSensor(task_id="wait", seal=seal.as_uri(), poll_s=0.01)
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute({})
    path, arguments = deferred.value.trigger.serialize()
    assert path == "operators.seal_sensor.SealTrigger"
    trigger = SealTrigger(**arguments)

    async def fire() -> str:
        waiting = asyncio.ensure_future(anext(aiter(trigger.run())))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        seal.write_text("{}")
        event = await asyncio.wait_for(waiting, 5)
        return str(event.payload)

    assert sensor.sealed({}, asyncio.run(fire())) == seal.as_uri()
    seal.unlink()
    with pytest.raises(AirflowException, match="is gone"):
        sensor.sealed({}, seal.as_uri())
