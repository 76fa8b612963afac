"""The DAGs through a running scheduler, with partition keys: when they fire, who waits for whom, what stops a release.

The tests run in order on one Airflow and one storage, as a year would.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from .conftest import HARVEST, RELEASE, World, last_month

pytestmark = [pytest.mark.allow_hosts(["127.0.0.1", "::1", "localhost"]), pytest.mark.timeout(3600)]


def test_the_schedule_fires_for_the_month_before_and_the_release_waits_for_its_seal(world: World) -> None:
    key = last_month()
    world.api.pause(RELEASE, False)
    release = world.until(lambda: world.api.runs(RELEASE))[0]
    assert (release["run_type"], release["partition_key"]) == ("scheduled", key)
    world.until_state(release["dag_run_id"], "wait", "deferred")
    assert world.states(RELEASE, release["dag_run_id"])["collect"] == "None" and world.batch(key) is None

    world.api.pause(HARVEST, False)
    harvest = world.until(lambda: world.api.runs(HARVEST))[0]
    assert (harvest["run_type"], harvest["partition_key"]) == ("scheduled", key)
    assert world.finish(HARVEST, harvest["dag_run_id"]) == "success", world.why(HARVEST, harvest["dag_run_id"])
    assert world.batch(key)["ledger"]["in"]["units"] == 1  # type: ignore[index]

    world.until_state(release["dag_run_id"], "approve", "awaiting_input")
    assert world.release(key) is None
    world.answer(release["dag_run_id"], "Approve")
    assert world.finish(RELEASE, release["dag_run_id"]) == "success", world.why(RELEASE, release["dag_run_id"])
    assert [batch["key"] for batch in world.release(key)["batches"]] == [key]  # type: ignore[index]


def test_a_run_without_a_key_fails_in_its_first_task_and_says_why(world: World) -> None:
    for dag_id, first, name in ((HARVEST, "discover", "month"), (RELEASE, "wait", "version")):
        run_id = world.api.trigger(dag_id)
        assert world.finish(dag_id, run_id) == "failed"
        assert world.states(dag_id, run_id)[first] == "failed"
        assert f"neither a partition key nor a {name}" in world.why(dag_id, run_id)


def test_a_key_that_is_no_month_is_refused(world: World) -> None:
    from scripts.api import ApiError

    with pytest.raises(ApiError, match="400"):
        world.api.trigger(HARVEST, key="october")


def test_a_backfill_of_three_months_makes_three_batches_and_no_release(world: World) -> None:
    releases = len(world.api.runs(RELEASE))
    body = {
        "dag_id": HARVEST, "from_date": "2025-01-01T00:00:00Z", "to_date": "2025-03-31T00:00:00Z", "run_backwards": False,
        "dag_run_conf": {}, "max_active_runs": 1, "reprocess_behavior": "none",
    }  # fmt: skip
    world.api.call("POST", "/backfills", body)
    world.until(lambda: sum(run["run_type"] == "backfill" for run in world.api.runs(HARVEST)) == 3)
    made = [run for run in world.api.runs(HARVEST) if run["run_type"] == "backfill"]
    for run in made:
        assert world.finish(HARVEST, run["dag_run_id"]) == "success", world.why(HARVEST, run["dag_run_id"])
    assert sorted(run["partition_key"] for run in made) == ["2025.01", "2025.02", "2025.03"]
    assert all(world.batch(month) for month in ("2025.01", "2025.02", "2025.03"))
    assert len(world.api.runs(RELEASE)) == releases and world.release("2025.03") is None


def test_one_release_by_hand_takes_all_three_in(world: World) -> None:
    run_id = world.api.trigger(RELEASE, conf={"version": "2025.03.1", "approval": "auto"})
    assert world.finish(RELEASE, run_id) == "success", world.why(RELEASE, run_id)
    release = world.release("2025.03.1")
    assert release is not None and [batch["key"] for batch in release["batches"]] == ["2025.01", "2025.02", "2025.03"]


def test_an_empty_month_is_sealed_and_a_release_that_would_equal_its_parent_is_not_made(world: World) -> None:
    harvest = world.api.trigger(HARVEST, conf={"month": "2025.04"})
    assert world.finish(HARVEST, harvest) == "success", world.why(HARVEST, harvest)
    states = world.states(HARVEST, harvest)
    assert (states["discover"], states["shard.score"], states["gate_segments"], states["seal"]) == ("skipped",) * 3 + ("success",)
    assert world.batch("2025.04")["ledger"]["in"]["units"] == 0  # type: ignore[index]

    run_id = world.api.trigger(RELEASE, key="2025.04")  # approval is required, but nobody is asked about nothing
    assert world.finish(RELEASE, run_id) == "success", world.why(RELEASE, run_id)
    assert world.states(RELEASE, run_id)["publish"] == "skipped" and world.release("2025.04") is None
    publish = next(task for task in world.api.tasks(RELEASE, run_id) if task["task_id"] == "publish")
    assert any("2025.03.1" in line for line in world.api.log(RELEASE, run_id, publish))


def test_a_dry_run_publishes_nothing(world: World) -> None:
    before = snapshot(world.root / "splits")
    run_id = world.api.trigger(RELEASE, conf={"version": "2025.02.1", "approval": "auto", "dry_run": True})
    assert world.finish(RELEASE, run_id) == "success", world.why(RELEASE, run_id)
    states = world.states(RELEASE, run_id)
    assert (states["gate"], states["approve"], states["publish"]) == ("success", "skipped", "skipped")
    assert world.release("2025.02.1") is None and snapshot(world.root / "splits") == before


def test_a_reject_publishes_nothing_and_a_planted_violation_stops_at_the_gate(world: World) -> None:
    run_id = world.api.trigger(RELEASE, conf={"version": "2025.02.2"})
    world.until_state(run_id, "approve", "awaiting_input")
    world.answer(run_id, "Reject")
    assert world.finish(RELEASE, run_id) == "success", world.why(RELEASE, run_id)
    assert world.states(RELEASE, run_id)["publish"] == "skipped" and world.release("2025.02.2") is None

    plant(next((world.root / "work/peoples_speech/en/2025.02.2/split").glob("*/_SUCCESS.json")).parent)
    run_id = world.api.trigger(RELEASE, conf={"version": "2025.02.2", "approval": "auto"})
    assert world.finish(RELEASE, run_id) == "failed"
    states = world.states(RELEASE, run_id)
    assert (states["split"], states["gate"], states["approve"], states["publish"]) == (
        "success", "failed", "upstream_failed", "upstream_failed",
    )  # fmt: skip
    assert "license_family_allowed" in world.why(RELEASE, run_id)
    assert world.release("2025.02.2") is None


def plant(folder: Path) -> None:
    """Make one clip of a finished ``split`` non-commercial, as a fault upstream of the gate would."""
    path = next(folder.glob("release_segments-*.parquet"))
    table = pq.read_table(path)
    families = ["by-nc", *table["license_family"].to_pylist()[1:]]
    position = table.schema.get_field_index("license_family")
    table = table.set_column(position, table.schema.field(position), pa.array(families, pa.string()))
    pq.write_table(table, path)
    success: dict[str, Any] = json.loads((folder / "_SUCCESS.json").read_text())
    success["files"][path.name]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "_SUCCESS.json").write_text(json.dumps(success))


def snapshot(folder: Path) -> dict[str, str]:
    """File → sha256."""
    files = sorted(f for f in folder.rglob("*") if f.is_file())
    return {str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}
