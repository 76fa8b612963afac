"""The Spark batch: what Dataproc's own client takes, word for word in golden/batches, and no second one for the same work."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, TaskDeferred
from google.cloud.dataproc_v1 import Batch

from operators import dataproc, objects
from operators.dataproc import TextClusters

GOLDEN = Path(__file__).parent / "golden/batches/text_clusters.json"
WORK = "gs://speech/warehouse/work/peoples_speech/en/2026.10"


def make(**given: Any) -> TextClusters:
    """The task, its templates rendered."""
    return TextClusters(
        task_id="text_clusters", site="p/europe-west4/speechmill-spark", code=f"{WORK}/spark_code/c0de",
        documents=f"{WORK}/collect/d0c5", base=f"{WORK}/text_clusters", **given,
    )  # fmt: skip


def test_the_batch_is_the_golden_one() -> None:
    """`GOLDEN=write` writes it anew; the diff is for a person's eyes."""
    task = make(stage_params={"threshold": 0.6})
    batch = task.make().batch
    text = json.dumps(batch, indent=1, sort_keys=True) + "\n"
    if os.environ.get("GOLDEN") == "write":
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()
    known = Batch(batch)  # refuses fields that the API does not have
    assert list(known.pyspark_batch.args) == [
        "--documents", task.documents, "--output", task.folder, "--params", '{"threshold": 0.6}',
    ]  # fmt: skip
    execution = known.environment_config.execution_config
    assert execution.ttl == dataproc.TTL
    assert execution.authentication_config.user_workload_authentication_type.name == "SERVICE_ACCOUNT"


def test_the_folder_is_named_after_what_it_is_made_of() -> None:
    folder = make().folder
    assert folder == make(stage_params={}).folder != make(stage_params={"threshold": 0.6}).folder
    assert folder.startswith(f"{WORK}/text_clusters/")
    other = make()
    other.code = f"{WORK}/spark_code/c1"
    assert other.folder != folder


@pytest.fixture
def context() -> Any:
    ti = SimpleNamespace(xcom_push=lambda key, value: None)
    return {"ti": ti, "task_instance": ti, "task": make()}


def test_it_submits_defers_and_returns_the_folder(context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "exists", lambda uri: False)
    sent: list[dict[str, Any]] = []

    def create_batch(**given: Any) -> Any:
        sent.append(given)
        return SimpleNamespace(metadata=SimpleNamespace(batch=f"projects/p/locations/r/batches/{given['batch_id']}"))

    monkeypatch.setattr("airflow.providers.google.cloud.operators.dataproc.DataprocHook", lambda **_: SimpleNamespace(
        create_batch=create_batch
    ))  # fmt: skip
    task = make()
    with pytest.raises(TaskDeferred) as deferred:
        task.execute(context)
    assert (sent[0]["project_id"], sent[0]["region"]) == ("p", "europe-west4")
    trigger: Any = deferred.value.trigger
    assert trigger.batch_id == sent[0]["batch_id"] and 4 <= len(trigger.batch_id) <= 63, "Dataproc's bounds"
    event = {"batch_id": trigger.batch_id, "batch_state": "SUCCEEDED", "batch_state_message": ""}
    assert getattr(task, deferred.value.method_name)(context, event) == task.folder
    with pytest.raises(AirflowException, match="failed with error: no quota"):
        task.execute_complete(context, event | {"batch_state": "FAILED", "batch_state_message": "no quota"})


def test_what_is_made_already_takes_no_batch(context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    task = make()
    monkeypatch.setattr(objects, "exists", lambda uri: uri == f"{task.folder}/_SUCCESS.json")
    assert task.execute(context) == task.folder
