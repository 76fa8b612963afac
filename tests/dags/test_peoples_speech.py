"""The two DAGs of The People's Speech: who waits for whom, what a gate closes, and what the form takes."""

from __future__ import annotations

import json
import runpy
from typing import Any

import pytest
from airflow.sdk import TriggerRule

from operators.profiles import PROFILES
from operators.registry import Language, load_policy
from operators.settings import REPO, Settings

HARVEST, RELEASE = "peoples_speech_harvest__en", "peoples_speech_release__en"

HARVEST_EDGES = {
    "discover": set(),
    "shard.fetch": {"discover"},
    "shard.recognize": {"shard.fetch"},
    "shard.align": {"shard.fetch", "shard.recognize"},
    "shard.score": {"shard.fetch", "shard.recognize", "shard.align"},
    "gate_recordings": {"shard.fetch"},
    "gate_segments": {"shard.recognize", "shard.align", "shard.score"},
    "seal": {"discover", "shard.fetch", "shard.recognize", "shard.align", "shard.score", "gate_recordings", "gate_segments"},
}
RELEASE_EDGES = {
    "wait": set(),
    "collect": {"wait"},
    "cluster": {"collect"},
    "split": {"collect", "cluster"},
    "package": {"split"},
    "gate": {"package", "split", "cluster"},
    "approve": {"gate"},
    "publish": {"approve", "gate", "package", "split", "cluster", "collect"},
}


@pytest.mark.parametrize(("name", "edges"), [(HARVEST, HARVEST_EDGES), (RELEASE, RELEASE_EDGES)])
def test_who_waits_for_whom(bag: Any, name: str, edges: dict[str, set[str]]) -> None:
    assert {task.task_id: task.upstream_task_ids for task in bag.dags[name].tasks} == edges


def test_what_a_ctc_model_placed_is_refined_before_the_gate() -> None:
    language = Language("de", "German", "2026.01", recognizer="torchaudio", stages={"refine": {"agree_s": 0.1}})
    made = runpy.run_path(str(REPO / "dags/peoples_speech_harvest.py"))["make_harvest"](Settings.from_env({}), language)
    edges = {t.task_id: t.upstream_task_ids for t in made.tasks}
    assert edges["shard.refine"] == {"shard.fetch", "shard.align"} and edges["shard.score"] == HARVEST_EDGES["shard.score"]
    assert edges["gate_segments"] == {"shard.recognize", "shard.align", "shard.score", "shard.refine"}
    assert edges["seal"] == HARVEST_EDGES["seal"] | {"shard.refine"}
    assert len(made.task_dict["seal"].inputs) == 6
    assert made.task_dict["shard.refine"].image == "words" and made.task_dict["shard.refine"].stage_params == {"agree_s": 0.1}


def test_where_there_is_spark_it_finds_the_text_clusters() -> None:
    given = {"SPEECHMILL_ROOT": "gs://speech/warehouse", "SPEECHMILL_DATAPROC": "p/europe-west4/speechmill-spark"}
    language = Language("en", "English", "2026.01", stages={"cluster": {"threshold": 0.6}})
    made = runpy.run_path(str(REPO / "dags/peoples_speech_release.py"))["make_release"](Settings.from_env(given), language)
    wanted = RELEASE_EDGES | {"spark_code": set(), "text_clusters": {"collect", "spark_code"}}
    assert {t.task_id: t.upstream_task_ids for t in made.tasks} == wanted | {"cluster": {"collect", "text_clusters"}}
    spark, cluster = made.task_dict["text_clusters"], made.task_dict["cluster"]
    assert set(cluster.roles) == {"text_clusters"} and spark.stage_params == cluster.stage_params == {"threshold": 0.6}


def test_a_folder_is_sealed_once(bag: Any) -> None:
    assert len(bag.dags[HARVEST].task_dict["seal"].inputs) == 5


def test_a_shard_is_mapped_as_a_whole(bag: Any) -> None:
    from airflow.sdk.definitions.taskgroup import MappedTaskGroup

    group = bag.dags[HARVEST].task_group_dict["shard"]
    assert isinstance(group, MappedTaskGroup) and set(group.children) == {t for t in HARVEST_EDGES if t.startswith("shard.")}


def test_skips_do_not_skip_the_seal_and_do_not_open_a_gate(bag: Any) -> None:
    tasks = bag.dags[HARVEST].task_dict
    assert tasks["seal"].trigger_rule == TriggerRule.NONE_FAILED
    rules = {tasks[f"gate_{suite}"].trigger_rule for suite in ("recordings", "segments")}
    assert rules == {TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS}


def test_nothing_slips_past_the_gate_or_the_person(bag: Any) -> None:
    for task in bag.dags[RELEASE].tasks:
        assert task.trigger_rule == TriggerRule.ALL_SUCCESS, task.task_id
    approve = bag.dags[RELEASE].task_dict["approve"]
    assert approve.defaults == ["Reject"] and approve.response_timeout and approve.ignore_downstream_trigger_rules


def test_gates_are_not_tried_again(bag: Any) -> None:
    gates = [t for dag in bag.dags.values() for t in dag.tasks if "gate" in t.task_id]
    releases = [name for name in bag.dags if name.startswith("spoken_words_release__")]
    assert len(gates) == 3 + len(releases) and {t.retries for t in gates} == {0}


def test_every_pool_is_declared(bag: Any) -> None:
    pools = json.loads((REPO / "config/pools.json").read_text())
    of_pods = {profile.pool for profile in PROFILES.values()}  # taken by what runs on a GPU, on Kubernetes
    assert {t.pool for dag in bag.dags.values() for t in dag.tasks} - {"default_pool"} == set(pools) - of_pods
    assert all(pool["include_deferred"] and pool["slots"] > 0 and pool["description"] for pool in pools.values())


def test_the_policy_travels_as_content(bag: Any) -> None:
    assert bag.dags[RELEASE].task_dict["split"].stage_params["policy"] == load_policy(REPO / "config", "peoples_speech")
