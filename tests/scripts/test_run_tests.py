"""The test command: every folder of tests runs somewhere, and counts are what pytest said."""

from __future__ import annotations

import json
from pathlib import Path

from scripts import demo, run_tests, typecheck

REPO = Path(__file__).resolve().parents[2]


def test_every_test_file_belongs_to_one_part() -> None:
    files = {str(p.relative_to(REPO)) for p in (REPO / "tests").rglob("test_*.py")}
    homes = {f: [p.name for p in run_tests.parts() if any(f == t or f.startswith(t + "/") for t in p.targets)] for f in files}
    assert not {f: parts for f, parts in homes.items() if len(parts) != 1}


def test_an_image_is_tested_and_typed_in_its_own_environment() -> None:
    parts = {part.name: part for part in run_tests.parts()}
    assert parts["containers/dedup"].venv == "dedup"
    assert parts["containers/dedup"].paths == ("containers/stagekit", "containers/dedup")
    assert parts["containers/align_gpu"].venv == "align-gpu"
    assert parts["containers/align_gpu"].paths == ("containers/stagekit", "containers/align")
    assert parts["containers/dedup_spark"].venv == "dedup-spark"
    assert parts["containers/dedup_spark"].paths == ("containers/stagekit", "containers/dedup")
    assert parts["dags"].venv == "airflow" and list(parts)[-1] == "integration"
    images = {lock.parent.name for lock in REPO.glob("containers/*/requirements.txt")}
    assert len(images) > 5 and {venv for venv, _, _ in typecheck.jobs()} == {"airflow", *images}


def test_errors_count_as_failures(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text('<testsuites><testsuite tests="9" failures="2" errors="1" skipped="1"/></testsuites>')
    assert run_tests.read(report) == {"passed": 5, "failed": 3, "skipped": 1}


def test_the_demo_counts_what_it_found_made(tmp_path: Path) -> None:
    folder = tmp_path / "runs/d/r-1"
    folder.mkdir(parents=True)
    for number, skipped in enumerate((True, False, True)):
        (folder / f"task-{number}.json").write_text(json.dumps({"skipped": skipped}))
    assert demo.reused(tmp_path.as_uri(), "d", "r:1") == (2, 3)
