"""The two DAGs of the spoken words: who waits for whom, what skips pass on, and a language that is one entry."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
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
    "gate": {"select", "outliers", "split", "package"},
    "approve": {"gate"},
    "publish": {"approve", "collect", "select", "outliers", "split", "package", "gate"},
}


def test_who_waits_for_whom(bag: Any) -> None:
    assert {task.task_id: task.upstream_task_ids for task in bag.dags[RELEASE].tasks} == RELEASE_EDGES


def test_a_shard_without_keywords_skips_nothing_else_and_nothing_slips_past_the_person(bag: Any) -> None:
    rules = {task.task_id: task.trigger_rule for task in bag.dags[RELEASE].tasks}
    assert {t for t, rule in rules.items() if rule == TriggerRule.NONE_FAILED} == {"outliers", "split", "package"}
    assert set(rules.values()) == {TriggerRule.ALL_SUCCESS, TriggerRule.NONE_FAILED}


def test_a_month_of_one_shard_is_a_list_of_one(bag: Any) -> None:
    sentences = bag.dags[HARVEST].task_dict["sentences"].python_callable
    assert sentences("file:///a") == ["file:///a"] and sentences(iter(["file:///a", "file:///b"])) == ["file:///a", "file:///b"]


def test_the_policy_travels_as_content(bag: Any) -> None:
    assert bag.dags[RELEASE].task_dict["split"].stage_params["policy"] == load_policy(REPO / "config", "spoken_words")


def test_a_language_is_one_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more entry in the registry, no line of code: both DAGs are there, and all others are as they were."""
    from airflow.dag_processing.dagbag import DagBag

    shutil.copytree(REPO / "config", tmp_path / "config")
    registry = tmp_path / "config/languages.yaml"
    languages = yaml.safe_load(registry.read_text())["spoken_words"]
    entry = {"name": "Upper Sorbian", "text": {"letters": "a-zčćěłńóřšž"}}
    registry.write_text(yaml.safe_dump({"spoken_words": {"ru": languages["ru"], "hsb": entry}}, allow_unicode=True))
    monkeypatch.setenv("SPEECHMILL_CONFIG", str(tmp_path / "config"))
    seen = {}
    for kind in ("harvest", "release"):
        bag = DagBag(dag_folder=str(REPO / f"dags/spoken_words_{kind}.py"))
        assert not bag.import_errors
        seen |= bag.dags
    assert sorted(seen) == [f"spoken_words_{kind}__{code}" for kind in ("harvest", "release") for code in ("hsb", "ru")]
    for kind in ("harvest", "release"):
        mine, other = (seen[f"spoken_words_{kind}__{code}"] for code in ("hsb", "ru"))
        assert [t.task_id for t in mine.tasks] == [t.task_id for t in other.tasks]
    assert seen["spoken_words_harvest__hsb"].task_dict["checked.prepare"].stage_params == {"text": entry["text"]}
