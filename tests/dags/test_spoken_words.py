"""The two DAGs of the spoken words: who waits for whom, what skips pass on, and a language that is one entry."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from airflow.sdk import TriggerRule

from operators.registry import load_policy
from operators.settings import REPO

HARVEST, RELEASE = "spoken_words_harvest__ru", "spoken_words_release__ru"

RELEASE_EDGES = {
    "wait": set(),
    "collect": {"wait"},
    "select": {"collect"},
    "clips.cut": {"select", "collect"},
    "outliers": {"clips.cut"},
    "split": {"collect", "select", "clips.cut", "outliers"},
    "package": {"collect", "clips.cut", "outliers", "split"},
    "approve": {"package"},
    "publish": {"approve", "collect", "select", "outliers", "split", "package"},
}


def test_who_waits_for_whom(bag: Any) -> None:
    assert {task.task_id: task.upstream_task_ids for task in bag.dags[RELEASE].tasks} == RELEASE_EDGES


def test_a_shard_without_keywords_skips_nothing_else_and_nothing_slips_past_the_person(bag: Any) -> None:
    rules = {task.task_id: task.trigger_rule for task in bag.dags[RELEASE].tasks}
    assert {t for t, rule in rules.items() if rule == TriggerRule.NONE_FAILED} == {"outliers", "split", "package"}
    assert set(rules.values()) == {TriggerRule.ALL_SUCCESS, TriggerRule.NONE_FAILED}


def test_the_policy_travels_as_content(bag: Any) -> None:
    assert bag.dags[RELEASE].task_dict["split"].stage_params["policy"] == load_policy(REPO / "config", "spoken_words")


@pytest.mark.parametrize("name", [HARVEST, RELEASE])
def test_the_form_is_complete(bag: Any, name: str) -> None:
    for key in bag.dags[name].params:
        param = bag.dags[name].params.get_param(key)
        assert param.schema.get("title") and param.schema.get("section") and param.description, key
        jsonschema.validate(param.value, param.schema)


@pytest.mark.parametrize(
    ("name", "key", "good", "bad"),
    [
        (HARVEST, "limit", [0, 100], [-1, "many"]),
        (HARVEST, "shard_clips", [1, 5000], [0, "x"]),
        (RELEASE, "version", ["", "2026.10", "2026.10.1"], ["2026.10.0", "v1", "2026.1"]),
        (RELEASE, "keywords", [[], ["go", "light*", "turn on"]], ["go", [1]]),
        (RELEASE, "approval", ["required", "auto"], ["maybe"]),
        (RELEASE, "dry_run", [True, False], ["yes"]),
    ],
)
def test_the_form_takes_and_refuses(bag: Any, name: str, key: str, good: list[Any], bad: list[Any]) -> None:
    schema = bag.dags[name].params.get_param(key).schema
    for value in good:
        jsonschema.validate(value, schema)
    for value in bad:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(value, schema)
