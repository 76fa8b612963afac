"""Stage ``check`` from the command line: exit codes, the verdict that stays when the gate fails, Data Docs that open alone."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from quality_tables import Rows, put, recordings_rows, release_rows, segments_rows

from quality.check import READS, CheckParams
from quality.suites import SUITES
from quality.thresholds import THRESHOLDS
from stagekit.cli import main
from stagekit.folder import TableWriter
from stagekit.stage import SUCCESS
from stagekit.storage import sha256_file
from stagekit.tables import TABLES

ROOT = Path(__file__).resolve().parents[3]


def stage_folder(folder: Path, rows: Rows, tables: tuple[str, ...] | None = None) -> Path:
    """A finished stage folder with these rows; what a column needs and the rows lack is filled in."""
    folder.mkdir(parents=True)
    fill: dict[Any, Any] = {pa.string(): "x", pa.float64(): 0.0, pa.int64(): 0}
    for name in tables or tuple(rows):
        writer = TableWriter(folder, TABLES[name], 0)
        for row in rows[name]:
            full = {c.name: row.get(c.name) for c in TABLES[name].columns}
            for column in TABLES[name].columns:
                if full[column.name] is None and not column.nullable:
                    full[column.name] = fill.get(column.type, [])
            writer.write(full)
        writer.close()
    files = {f.name: {"sha256": sha256_file(f), "bytes": f.stat().st_size} for f in sorted(folder.glob("*.parquet"))}
    (folder / SUCCESS).write_text(json.dumps({"fingerprint": sha256_file(folder / next(iter(files))), "files": files}))
    return folder


def arguments(tmp_path: Path, inputs: list[str], **params: Any) -> list[str]:
    argv = ["check", "--quiet", "--output", str(tmp_path / "out"), "--receipt", str(tmp_path / "receipt.json")]
    for uri in inputs:
        argv += ["--input", uri]
    return [*argv, "--params", json.dumps({"report": str(tmp_path / "report"), **params})]


def process(*argv: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT / "containers/stagekit"), str(ROOT / "containers/quality")])
    return subprocess.run(
        [sys.executable, *argv], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}, timeout=300, check=False
    )


@pytest.fixture
def check(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run the stage in this process, which has Great Expectations imported already: (exit code, stderr)."""

    def run(inputs: list[str], **params: Any) -> tuple[int, str]:
        with pytest.raises(SystemExit) as left:
            main("quality", {"check": "quality.check"}, arguments(tmp_path, inputs, **params))
        return int(left.value.code or 0), capfd.readouterr().err

    return run


def test_a_good_folder_passes_and_a_rerun_does_nothing(tmp_path: Path) -> None:
    source = stage_folder(tmp_path / "in", release_rows())
    done = process("-m", "quality", *arguments(tmp_path, [str(source)], suite="release", title="peoples_speech en 2026.11"))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    receipt = json.loads((tmp_path / "receipt.json").read_text())
    verdict = json.loads((tmp_path / "report/verdict.json").read_text())
    assert verdict["passed"] and verdict["warnings"] == receipt["metrics"]["warnings"] == []
    assert verdict["rows"] == receipt["metrics"]["rows"] == {"release_segments": 72, "clusters": 20, "assignments": 29}
    for name in ("verdict.json", "index.html"):
        assert Path(receipt["output"], name).read_bytes() == (tmp_path / "report" / name).read_bytes()
    again = process("-m", "quality", *arguments(tmp_path, [str(source)], suite="release", title="peoples_speech en 2026.11"))
    assert again.returncode == 0 and "nothing has changed" in again.stdout


def test_a_critical_failure_exits_1_with_one_line_and_leaves_its_verdict(tmp_path: Path) -> None:
    rows = release_rows()
    put("release_segments", split="test")(rows)
    source = stage_folder(tmp_path / "in", rows)
    done = process("-m", "quality", *arguments(tmp_path, [str(source)], suite="release"))
    assert done.returncode == 1
    assert re.fullmatch(
        r"quality check: suite release failed: recording_one_split: recording_groups: .*group=recording:.*index\.html\n",
        done.stderr,
    )
    assert not list((tmp_path / "out").iterdir()), "a failed stage leaves nothing visible"
    assert not (tmp_path / "receipt.json").exists()
    verdict = json.loads((tmp_path / "report/verdict.json").read_text())
    assert (
        not verdict["passed"]
        and len(verdict["failures"]) == 8  # recording, item, creator, cluster: in two splits, and not as assigned
    )  # the assignment, and recording, item, creator and clusters in two splits
    assert "recording_one_split" in (tmp_path / "report/index.html").read_text()


def test_a_warning_passes_and_reaches_verdict_and_receipt(tmp_path: Path, check: Callable[..., tuple[int, str]]) -> None:
    rows = recordings_rows()
    put("recordings", sample_rate=4000)(rows)
    code, err = check([str(stage_folder(tmp_path / "in", rows))], suite="recordings")
    assert code == 0, err
    metrics = json.loads((tmp_path / "receipt.json").read_text())["metrics"]
    assert len(metrics["warnings"]) == 1 and metrics["warnings"][0].startswith("recording_sample_rate: recordings: ")


def test_what_a_stage_warned_of_is_among_the_gate_s_warnings(tmp_path: Path, check: Callable[..., tuple[int, str]]) -> None:
    source = stage_folder(tmp_path / "in", release_rows())
    success = json.loads((source / SUCCESS).read_text())
    (source / SUCCESS).write_text(json.dumps(success | {"metrics": {"warnings": ["takedown '<x>' matches no item"]}}))
    code, err = check([str(source)], suite="release")
    assert code == 0, err
    metrics = json.loads((tmp_path / "receipt.json").read_text())["metrics"]
    assert metrics["warnings"] == ["takedown '<x>' matches no item"]
    assert json.loads((tmp_path / "report/verdict.json").read_text())["warnings"] == metrics["warnings"]
    assert "takedown &#39;&lt;x&gt;&#39; matches no item" in (tmp_path / "report/index.html").read_text()


def test_an_empty_month_passes(tmp_path: Path, check: Callable[..., tuple[int, str]]) -> None:
    source = stage_folder(tmp_path / "in", {"segments": [], "words": [], "rejections": []})
    code, err = check([str(source)], suite="segments")
    assert code == 0, err
    verdict = json.loads((tmp_path / "report/verdict.json").read_text())
    assert verdict["passed"] and verdict["notes"] == [
        "segments is empty: nothing was looked at",
        "alignment is empty: nothing was looked at",
    ]


def test_an_input_with_a_tables_name_as_role_gives_that_table_only(tmp_path: Path, check: Callable[..., tuple[int, str]]) -> None:
    """Align's segments are unscored and score's scored: of align only the rejections are wanted."""
    score = stage_folder(tmp_path / "score", segments_rows(), ("segments", "words"))
    align = stage_folder(tmp_path / "align", segments_rows())
    code, err = check([str(score), f"rejections={align}"], suite="segments")
    assert code == 0, err
    assert json.loads((tmp_path / "report/verdict.json").read_text())["rows"] == {"segments": 8, "words": 16, "rejections": 2}


def test_the_policy_that_chose_the_rows_is_the_one_they_are_held_against(
    tmp_path: Path, check: Callable[..., tuple[int, str]]
) -> None:
    source = stage_folder(tmp_path / "in", release_rows())
    success = json.loads((source / SUCCESS).read_text())
    policy = {"name": "strict", "subsets": {"clean": {"cer": {"max": 0.01}}, "noisy": {"cer": {"min": 0.01, "max": 0.38}}}}
    (source / SUCCESS).write_text(json.dumps({**success, "params": {"policy": policy}}))
    code, err = check([str(source)], suite="release")
    assert code == 1 and "clean_cer: release_segments: If subset == clean" in err


def test_a_folder_of_another_stage_is_refused(tmp_path: Path, check: Callable[..., tuple[int, str]]) -> None:
    source = stage_folder(tmp_path / "in", recordings_rows(), ("items", "recordings"))
    code, err = check([str(source)], suite="segments")
    assert code == 1
    assert err == f"quality check: input {source} holds items, recordings; suite segments checks segments, words, rejections\n"


def test_a_folder_without_rejections_may_be_given_for_them(tmp_path: Path, check: Callable[..., tuple[int, str]]) -> None:
    source = stage_folder(tmp_path / "in", segments_rows())
    other = stage_folder(tmp_path / "other", recordings_rows(), ("items", "recordings"))
    assert check([str(source), f"rejections={other}"], suite="segments") == (0, "")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"suite": "words"}, "no suite 'words'; there are: recordings, release, segments, spoken_words"),
        ({"suite": "segments", "thresholds": {"max_cer": 1}}, "max_cer"),
        ({"suite": "release", "thresholds": {"subsets": {"clean": {"cer": {"min": 0.3, "max": 0.2}}}}}, "0.3…0.2 is no range"),
        ({"suite": "release", "thresholds": {"subsets": {"clean": {"title": {"min": 1}}}}}, "no score title"),
        ({"suite": "segments", "report": ""}, "report"),
    ],
)
def test_wrong_parameters_are_named(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        CheckParams(**{"report": "r", **params})


def test_data_docs_need_no_other_file_and_escape_what_they_show(tmp_path: Path, check: Callable[..., tuple[int, str]]) -> None:
    rows = recordings_rows()
    put("items", license_family="<script>alert(1)</script>")(rows)
    code, _ = check([str(stage_folder(tmp_path / "in", rows))], suite="recordings", title="<b>x</b>")
    assert code == 1
    page = (tmp_path / "report/index.html").read_text()
    assert "<script" not in page and "&lt;script&gt;alert(1)" in page and "&lt;b&gt;x&lt;/b&gt;" in page
    assert not re.search(r"https?://(?!creativecommons)", page) and not re.search(r"<(link|img|iframe)\b", page)
    for name in ("license_family_allowed", "recording_duration", "faults"):
        assert f'id="{name}"' in page


def test_what_check_declares_is_what_the_suites_say() -> None:
    assert READS == tuple(sorted({table for suite in SUITES.values() for table in suite.reads}))
    assert {name: suite.thresholds for name, suite in SUITES.items()} == THRESHOLDS


def test_a_rerun_does_not_import_great_expectations() -> None:
    done = process("-c", "import sys, quality.check; print({'great_expectations', 'pandas'} & set(sys.modules))")
    assert done.stdout == "set()\n", done.stderr


def test_no_suite_reads_audio_or_fingerprints() -> None:
    for suite in SUITES.values():
        for table, columns in suite.reads.items():
            assert set(columns) <= set(TABLES[table].names)
            assert not {"fingerprint", "tokens", "audio", "caption_raw", "hypothesis"} & set(columns)
