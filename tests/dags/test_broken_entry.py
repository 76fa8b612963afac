"""A bad entry of the registry is loud, and stops no other language: neither its DAGs nor its tasks that run."""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from operators.registry import RegistryError
from operators.settings import REPO

LANGUAGES = """
peoples_speech:
  en: {name: English, since: "2026.01"}
  xx: {name: Broken, since: "2026.01", recognizer: nobody}
  zz: {name: Broken, since: "2026.01", location: 5}
spoken_words:
  ru: {name: Russian}
  xx: {name: Broken, pliicy: spoken_words}
  yy: {name: Broken too, policy: not_there}
  zz: {name: Broken, shard_clips: 2.5}
  pp: {name: Broken, policy: no_yaml}
"""
FILES = ("peoples_speech_harvest", "peoples_speech_release", "spoken_words_harvest", "spoken_words_release")


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(REPO / "config/policies", tmp_path / "policies")
    (tmp_path / "policies/no_yaml.yaml").write_text("a: [")
    (tmp_path / "languages.yaml").write_text(LANGUAGES)
    monkeypatch.setenv("SPEECHMILL_CONFIG", str(tmp_path))


def made(file: str) -> list[str]:
    return [dag.dag_id for dag in runpy.run_path(str(REPO / f"dags/{file}.py")).values() if isinstance(dag, DAG)]


def test_the_other_languages_keep_their_dags_and_the_bad_entry_is_an_import_error() -> None:
    from airflow.dag_processing.dagbag import DagBag

    bag: Any = DagBag(dag_folder=str(REPO / "dags"))
    assert sorted(bag.dags) == [f"{file}__{'en' if file.startswith('peoples') else 'ru'}" for file in FILES]
    assert [Path(file).name for file in bag.import_errors] == ["registry.py"]
    said = next(iter(bag.import_errors.values()))
    wrong = ("xx.recognizer", "zz.location 5", "xx has unknown", "yy.policy 'not_there'", "zz.shard_clips 2.5", "no_yaml")
    assert [part for part in wrong if part not in said] == []


@pytest.mark.parametrize("file", FILES)
def test_a_task_reads_its_own_entry_and_that_one_strictly(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a worker parses: only the DAG of the task is made."""
    code = "en" if file.startswith("peoples") else "ru"
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", f"{file}__{code}")
    assert made(file) == [f"{file}__{code}"]
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", f"{file}__xx")
    with pytest.raises(RegistryError, match="xx"):
        made(file)


def test_a_policy_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "languages.yaml").write_text(LANGUAGES)
    with pytest.raises(RegistryError, match="yy.policy 'not_there'"):
        runpy.run_path(str(REPO / "dags/registry.py"))
