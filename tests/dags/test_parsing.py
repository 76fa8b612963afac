"""Every DAG file is accounted for, parses, parses fast, and its schedule gives the keys that the storage layout is made of."""

from __future__ import annotations

import sys
from pathlib import Path

import pendulum
import pytest

from operators.registry import load_languages
from operators.settings import REPO
from operators.spoken_words import load_spoken_languages

FACTORIES = {
    "peoples_speech_harvest.py": "peoples_speech_harvest__{}",
    "peoples_speech_release.py": "peoples_speech_release__{}",
    "spoken_words_harvest.py": "spoken_words_harvest__{}",
    "spoken_words_release.py": "spoken_words_release__{}",
}
"""DAG file → the DAG that it makes for each language of its dataset."""
PARSE_S = 15.0
"""Budget for parsing one file, after Airflow itself is imported: 0.3 s of CPU time measured, seconds where others work too."""
HEAVY = ("pandas", "pyarrow", "torch", "great_expectations", "kubernetes", "docker", "google.cloud", "sklearn")


def test_no_import_errors(bag) -> None:  # type: ignore[no-untyped-def]
    assert bag.import_errors == {}


def test_every_dag_file_is_accounted_for() -> None:
    assert sorted(p.name for p in (REPO / "dags").glob("*.py")) == sorted([*FACTORIES, "registry.py"])


def test_each_factory_makes_one_dag_a_language(bag) -> None:  # type: ignore[no-untyped-def]
    codes = {
        "peoples_speech": [language.code for language in load_languages(REPO / "config", "peoples_speech")],
        "spoken_words": [language.code for language in load_spoken_languages(REPO / "config")],
    }
    expected = [name.format(code) for file, name in FACTORIES.items() for code in codes["_".join(file.split("_")[:2])]]
    assert sorted(bag.dags) == sorted(expected)


def test_parse_time(bag) -> None:  # type: ignore[no-untyped-def]
    slow = {stat.file: stat.duration.total_seconds() for stat in bag.dagbag_stats if stat.duration.total_seconds() > PARSE_S}
    assert not slow


def test_parsing_imports_nothing_heavy() -> None:
    import subprocess

    code = (
        "import sys, airflow.sdk, airflow.providers.standard.operators.hitl\nbefore = set(sys.modules)\n"
        "import runpy, glob\nfor f in sorted(glob.glob('dags/*.py')): runpy.run_path(f)\n"
        f"print([m for m in {HEAVY!r} if m in set(sys.modules) - before])"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=REPO, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_dag_files_are_wiring_only() -> None:
    for path in (REPO / "dags").glob("*.py"):
        assert len(path.read_text().splitlines()) <= 150, path.name


@pytest.mark.parametrize("name", [name.format("en") for name in FACTORIES.values()])
def test_the_docstring_is_the_runbook(bag, name: str) -> None:  # type: ignore[no-untyped-def]
    doc = bag.dags[name].doc_md
    for section in ("What it does.", "When.", "By hand.", "When it fails."):
        assert f"**{section}**" in doc


@pytest.mark.parametrize("name", [name.format("en") for name in FACTORIES.values()])
def test_the_schedule_gives_the_month_before(bag, name: str) -> None:  # type: ignore[no-untyped-def]
    from airflow.serialization.serialized_objects import DagSerialization, LazyDeserializedDAG
    from airflow.timetables.base import TimeRestriction

    dag = bag.dags[name]
    assert dag.catchup is False
    data = DagSerialization.to_dict(dag)
    assert data == DagSerialization.to_dict(dag), "a DAG that serializes differently each time makes endless versions"
    timetable = LazyDeserializedDAG(data=data).timetable
    first = pendulum.datetime(2026, 1, 1, tz="UTC")
    info = timetable.next_dagrun_info_v2(last_dagrun_info=None, restriction=TimeRestriction(first, None, True))
    seen = []
    for _ in range(4):
        seen.append((info.run_after.isoformat(), info.partition_key))
        info = timetable.next_dagrun_info_v2(last_dagrun_info=info, restriction=TimeRestriction(first, None, True))
    assert seen == [
        ("2026-01-01T04:00:00+00:00", "2025.12"),
        ("2026-02-01T04:00:00+00:00", "2026.01"),
        ("2026-03-01T04:00:00+00:00", "2026.02"),
        ("2026-04-01T04:00:00+00:00", "2026.03"),
    ]


def test_no_dag_file_hides_from_the_linter() -> None:
    for path in Path(REPO, "dags").glob("*.py"):
        assert "noqa" not in path.read_text(), path.name
