"""The kubernetes runner: the real operator and its trigger, a real stage in its image, a small Kubernetes that fails on order."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException, TaskDeferred
from conftest import LOCK, docker

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import gcs_server  # noqa: E402
from kube_server import LABEL, Cluster, Fault, serve  # noqa: E402

from operators import pods, profiles  # noqa: E402
from operators.stage import StageOperator  # noqa: E402


class TaskInstance(SimpleNamespace):
    """As much of one as the operators use."""

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


class Remembered(dict[str, Any]):
    """The task state store, as a retry finds it."""

    def set(self, key: str, value: Any, **_: Any) -> None:
        self[key] = value


@pytest.fixture
def gateway() -> str:
    """This machine as containers see it."""
    return str(json.loads(docker("network", "inspect", "bridge").stdout)[0]["IPAM"]["Config"][0].get("Gateway") or "172.17.0.1")


@pytest.fixture
def cloud(gateway: str, source: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[gcs_server.Cloud]:
    from operators import objects

    with gcs_server.serve(host=gateway) as running:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", running.url)
        objects._client.cache_clear()
        client = objects._client()
        for file in source.iterdir():
            client.bucket("speech").blob(f"source/{file.name}").upload_from_filename(str(file))
        yield running
        objects._client.cache_clear()


@pytest.fixture
def cluster(tmp_path: Path, cloud: gcs_server.Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    with serve() as running:
        config = tmp_path / "kubeconfig"
        config.write_text(yaml.safe_dump(running.kubeconfig()))
        held = yaml.safe_load(LOCK.read_text())["images"]
        lock = tmp_path / "lock.yaml"
        lock.write_text(yaml.safe_dump({"images": {n: {"digest": f"local/{n}@{e['image']}"} for n, e in held.items()}}))
        extra = {"conn_type": "kubernetes", "extra": {"kube_config_path": str(config)}}
        monkeypatch.setenv("AIRFLOW_CONN_KUBERNETES_DEFAULT", json.dumps(extra))
        monkeypatch.setenv("SPEECHMILL_RUNNER", "kubernetes")
        monkeypatch.setenv("SPEECHMILL_ROOT", "gs://speech/warehouse")
        monkeypatch.setenv("SPEECHMILL_IMAGES", str(lock))
        monkeypatch.setattr(pods, "POLL_S", 0.5)
        yield running


def context(store: Remembered | None = None, try_number: int = 1) -> Any:
    ti = TaskInstance(
        dag_id="d", run_id="r", task_id="discover", map_index=-1, try_number=try_number, start_date=datetime.now(UTC), pushed={}
    )  # fmt: skip
    run = SimpleNamespace(run_id="r", logical_date=None, partition_key="2026.10")
    return {
        "ti": ti, "dag_run": run, "run_id": "r", "dag": SimpleNamespace(dag_id="d"), "task": SimpleNamespace(task_id="discover"),
        "params": {}, "task_state_store": Remembered() if store is None else store,
    }  # fmt: skip


def make(**params: Any) -> StageOperator:
    given = {"source": "folder", "location": "gs://speech/source", "language": "en", "month": "2026.10", **params}
    return StageOperator(image="ingest", stage="discover", base="gs://speech/warehouse/work", stage_params=given)


def run(operator: StageOperator, given: Any) -> Any:
    """As scheduler and triggerer do: execute, then trigger and re-entry until it does not defer again."""
    step = lambda: operator.execute(given)  # noqa: E731
    for _ in range(50):
        try:
            return step()
        except TaskDeferred as deferred:
            event = asyncio.run(first(deferred.trigger))
            assert "Invalid connection" not in event.payload.get("message", ""), "the trigger never reached the API"
            step = lambda event=event: operator.trigger_reentry(given, event.payload)  # type: ignore[misc]  # noqa: E731
    raise AssertionError("it deferred 50 times")


async def first(trigger: Any) -> Any:
    async for event in trigger.run():
        return event
    raise AssertionError("the trigger ended without an event")


def left() -> list[str]:
    return docker("ps", "-aq", "--filter", f"label={LABEL}").stdout.split()


def at_work() -> None:
    """Wait until a pod's container is there."""
    import time

    deadline = time.monotonic() + 20
    while not left():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def gone(cluster: Cluster) -> bool:
    """Every pod was deleted, and no container of one is left or still to come."""
    import time

    deadline = time.monotonic() + 60
    while (any(node.is_alive() for node in cluster.nodes) or left()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return not cluster.pods and not left()


def test_a_stage_runs_to_the_end_and_its_pod_is_deleted(cluster: Cluster) -> None:
    given = context()
    made = run(make(), given)
    assert made["rows"]["items"] == 1 and made["output"].startswith("gs://speech/warehouse/work/")
    assert given["ti"].pushed["output"] == made["output"]
    assert len(cluster.created) == 1 and gone(cluster)


@pytest.mark.parametrize(
    ("params", "error", "words"),
    [
        ({"nonsense": 1}, AirflowFailException, "ingest discover: --params: nonsense"),
        ({"location": "gs://nowhere/x"}, AirflowFailException, "there is no bucket nowhere"),
        ({"location": "gs://speech/empty"}, AirflowSkipException, "nothing to do"),
    ],
)
def test_a_stages_own_end_is_final_and_in_its_words(
    cluster: Cluster, params: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        run(make(**params), context())
    assert gone(cluster)


@pytest.mark.parametrize("code", [409, 429, 500])
def test_an_api_that_stumbles_costs_nothing(cluster: Cluster, code: int) -> None:
    if code != 409:  # Kubernetes answers a conflict to a write alone
        cluster.faults += [Fault("status", "/pods", code, "GET", 2)]
    cluster.faults += [Fault("status", "/pods", code, "POST", 1)]
    assert run(make(), context())["rows"]["items"] == 1
    assert not any(fault.times for fault in cluster.faults) and gone(cluster)


def test_a_log_that_is_cut_costs_nothing(cluster: Cluster) -> None:
    cluster.faults.append(Fault("cut", value=20))
    assert run(make(), context())["rows"]["items"] == 1
    assert not cluster.faults[0].times and gone(cluster)


def test_a_pod_that_never_starts_says_what_it_waits_for(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    monkeypatch.setitem(profiles.PROFILES, "small", replace(profiles.PROFILES["small"], schedule_timeout_s=3))
    cluster.faults.append(Fault("pending", "ingest-discover"))
    with pytest.raises(AirflowException, match="Insufficient nvidia.com/gpu") as raised:
        run(make(), context())
    assert not isinstance(raised.value, AirflowFailException), "another try may find a node"
    assert gone(cluster)


def test_an_image_that_cannot_be_pulled_is_said_at_once(cluster: Cluster) -> None:
    """Left to the provider, a worker would wait for the end of a pod that never begins."""
    cluster.faults.append(Fault("no_image", "ingest-discover"))
    with pytest.raises(AirflowException, match="did not start .Pending: ErrImagePull"):
        run(make(), context())
    assert gone(cluster)


@pytest.mark.parametrize(("kind", "words"), [("preempt", "taken away: Terminated"), ("vanish", "was lost|not found")])
def test_a_node_that_is_taken_away_costs_a_try_and_no_byte(cluster: Cluster, cloud: Any, kind: str, words: str) -> None:
    """Half-way: the stage waits for its store then. The retry makes a new pod and ends well."""
    store = Remembered()
    cloud.faults.append(gcs_server.Fault("POST", "upload", "slow", 30, times=1))
    cluster.faults.append(Fault(kind, "ingest-discover", 6))
    with pytest.raises(AirflowException, match=words) as raised:
        run(make(), context(store))
    assert not isinstance(raised.value, AirflowFailException)
    assert not any(name.endswith("_SUCCESS.json") for name in cloud.names())
    cloud.faults.clear()
    assert run(make(), context(store, try_number=2))["rows"]["items"] == 1
    assert len(cluster.created) == 2 and gone(cluster)


def test_a_retry_finds_the_pod_of_a_try_that_lost_its_worker(cluster: Cluster) -> None:
    store = Remembered()
    with pytest.raises(TaskDeferred):
        make().execute(context(store))
    assert run(make(), context(store, try_number=2))["rows"]["items"] == 1
    assert len(cluster.created) == 1 and gone(cluster)


def test_a_task_that_is_killed_takes_its_pod_along(cluster: Cluster, cloud: Any) -> None:
    """As soon as a worker has made it, at work, and while it is deferred (the trigger's own on_kill)."""
    cloud.faults.append(gcs_server.Fault("POST", "upload", "slow", 30, times=3))
    for wait in (False, True):
        operator = make()
        with pytest.raises(TaskDeferred):
            operator.execute(context())
        if wait:
            at_work()
        operator.on_kill()
        assert gone(cluster)
    with pytest.raises(TaskDeferred) as deferred:
        make().execute(context())
    at_work()
    asyncio.run(deferred.value.trigger.on_kill())
    assert gone(cluster) and len(cluster.deleted) == 3
