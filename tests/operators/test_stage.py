"""StageOperator: what it asks of a stage, what it makes of the answer."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from operators import paths, stage
from operators.runners import Exit, ProcessRunner, StageCall
from operators.settings import Settings
from operators.stage import StageOperator


class TaskInstance(SimpleNamespace):
    """As much of one as the operator uses."""

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


@pytest.fixture
def context(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("SPEECHMILL_ROOT", str(tmp_path / "warehouse"))
    monkeypatch.setattr(stage, "make_runner", lambda _settings: ProcessRunner(repo))
    ti = TaskInstance(dag_id="d", run_id="manual__2026-11-01T00:00:00+00:00", task_id="echo", map_index=-1, pushed={})
    return {"ti": ti, "params": {"word": "hello", "seconds": 0.0, "fail": ""}}


def make(tmp_path: Path, **kwargs: Any) -> StageOperator:
    return StageOperator(image="echo", stage="echo", base=(tmp_path / "warehouse/work").as_uri(), **kwargs)


def test_returns_the_receipt_and_pushes_the_output(context: dict[str, Any], tmp_path: Path) -> None:
    made = make(tmp_path, from_run=["word"]).execute(context)
    assert made["metrics"]["word"] == "hello" and made["output"].startswith((tmp_path / "warehouse/work").as_uri())
    assert context["ti"].pushed == {"output": made["output"]}
    receipt = tmp_path / "warehouse/runs/d/manual__2026-11-01T00-00-00-00-00/echo--1.json"
    assert json.loads(receipt.read_text())["output"] == made["output"]


def test_returns_what_can_be_mapped_over(context: dict[str, Any], tmp_path: Path) -> None:
    assert make(tmp_path, returns="shards").execute(context) == []
    assert make(tmp_path, returns="word", from_run=["word"]).execute(context) == "hello", "of the metrics too"


@pytest.mark.parametrize(("field", "larger"), [("shard_hours", "raise Hours in a shard .shard_hours., or "), ("word", "")])
def test_more_than_airflow_maps_over_is_final_and_says_what_to_raise(
    context: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str, larger: str
) -> None:
    operator = make(tmp_path, returns="shards", from_run=[field])
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "2")
    receipt = {"output": "file:///w/a", "shards": [f"file:///w/a#{n:05}" for n in range(3)], "metrics": {}}
    monkeypatch.setattr(stage.objects, "read_json", lambda _uri: receipt)
    call, context["shard"] = StageCall("echo", "echo", [], ""), ""
    words = f"^3 shards, but Airflow maps over 2 at most: {larger}raise AIRFLOW__CORE__MAX_MAP_LENGTH, for"
    with pytest.raises(AirflowFailException, match=words):
        operator._finish(context, call, Exit(0, ""))
    assert not context["ti"].pushed
    receipt["shards"].pop()  # type: ignore[attr-defined]
    assert operator._finish(context, call, Exit(0, "")) == receipt["shards"]


def test_run_parameters_keep_their_types_and_empty_ones_are_left_out(context: dict[str, Any], tmp_path: Path) -> None:
    operator = make(tmp_path, from_run=["word", "seconds", "fail"], stage_params={"empty": False})
    assert operator.call(context, Settings.from_env()).params == {"empty": False, "word": "hello", "seconds": 0.0}


def test_inputs_of_mapped_tasks_are_flattened_and_roles_named(context: dict[str, Any], tmp_path: Path) -> None:
    lazy = iter(["file:///b", "file:///c"])
    operator = make(tmp_path, inputs=["file:///a", lazy, None, ""], roles={"parent": "", "gate": "file:///g"})
    assert operator.call(context, Settings.from_env()).inputs == ["file:///a", "file:///b", "file:///c", "gate=file:///g"]


@pytest.mark.parametrize(
    ("params", "error", "words"),
    [
        ({"empty": True}, AirflowSkipException, "no words"),
        ({"fail": "row 7: expected a number"}, AirflowException, "row 7: expected a number"),
        ({"nonsense": 1}, AirflowException, "nonsense"),
    ],
)
def test_endings(context: dict[str, Any], tmp_path: Path, params: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make(tmp_path, stage_params=params).execute(context)
    assert not context["ti"].pushed


def test_empty_can_be_a_failure(context: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(AirflowFailException, match="no words"):
        make(tmp_path, stage_params={"empty": True}, fail_if_empty=True).execute(context)


def test_a_metric_can_skip_what_follows(context: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(AirflowSkipException, match="it was said before"):
        make(tmp_path, stage_params={"word": "again"}, skip_unless="published").execute(context)


def test_paths_are_the_documented_ones() -> None:
    place = ("file:///w", "peoples_speech", "en")
    assert paths.seal(*place, "2026.10") == "file:///w/batches/peoples_speech/en/2026.10/batch.json"
    assert paths.work(*place, "2026.10.1") == "file:///w/work/peoples_speech/en/2026.10.1"
    assert paths.releases(*place) == "file:///w/releases/peoples_speech/en"
    assert paths.quality(*place, "2026.10") == "file:///w/quality/peoples_speech/en/2026.10"
    assert paths.recordings("file:///w") == "file:///w/recordings"


def test_a_metric_that_is_asked_for_is_handed_on(context: dict[str, Any], tmp_path: Path) -> None:
    operator = make(tmp_path, from_run=["word"])
    assert operator.metric("word").key == "metric_word"
    operator.execute(context)
    assert context["ti"].pushed["metric_word"] == "hello"
