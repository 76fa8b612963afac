"""Every bad input ends as a counted rejection with the right reason, and every odd but good one is kept.

The stages run as a person runs them (``python -m ingest …``), on files that ``support/bad_input.py`` makes.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import bad_input
import pyarrow.parquet as pq
import pytest

REPO = Path(__file__).resolve().parents[3]
DISCOVER = {"source": "folder", "language": "en", "month": "2026.01"}


def command(stage: str, inputs: list[str], output: Path, params: dict[str, Any]) -> list[str]:
    """The argument vector of an ingest stage."""
    uris = [word for uri in inputs for word in ("--input", uri)]
    receipt = output.parent / f"{stage}.json"
    words = [sys.executable, "-m", "ingest", stage, *uris, "--output", str(output), "--params", json.dumps(params)]
    return [*words, "--receipt", str(receipt), "--quiet", "--workers", "2"]


def stage(name: str, inputs: list[str], output: Path, params: dict[str, Any], expect: int = 0, **options: Any) -> str:
    """Run a stage; the folder it wrote. Its error, if it should fail."""
    done = subprocess.run(command(name, inputs, output, params), capture_output=True, text=True, env=os.environ, **options)
    assert done.returncode == expect, done.stderr[-3000:]
    if expect:
        return done.stderr
    return str(json.loads((output.parent / f"{name}.json").read_text())["output"]).removeprefix("file://")


def harvest(source: Path, work: Path) -> tuple[str, str]:
    """discover, then fetch."""
    items = stage("discover", [], work / "discover", {**DISCOVER, "location": str(source)})
    return items, stage("fetch", [items], work / "fetch", {"store": str(work / "recordings")})


def rows(folder: str, table: str) -> list[dict[str, Any]]:
    """All rows of a table."""
    return [row for part in sorted(Path(folder).glob(f"{table}-*.parquet")) for row in pq.read_table(part).to_pylist()]


def ledger(folder: str) -> dict[str, Any]:
    """The ledger that a stage sealed."""
    return dict(json.loads((Path(folder) / "_SUCCESS.json").read_text())["ledger"])


def outcome(folders: tuple[str, str]) -> dict[str, str]:
    """Identifier → 'kept' or the reason, by what the tables say."""
    items, fetched = folders
    kept = {r["identifier"]: "kept" for r in rows(fetched, "items") if r["document_id"]}
    names = {r["item_id"]: r["identifier"] for r in rows(items, "items")}
    owner = {r["recording_id"]: r["identifier"] for r in rows(fetched, "items") if r["recording_id"]}
    stopped = {}
    for folder in folders:
        for r in rows(folder, "rejections"):
            ident = next((names.get(i) or owner.get(i) for i in (r["id"], r["parent_id"]) if names.get(i) or owner.get(i)), None)
            stopped[ident or r["id"].removeprefix("folder:").split("/")[0]] = r["reason"]
    return {**kept, **stopped}


@pytest.fixture(scope="module")
def harvested(tmp_path_factory: pytest.TempPathFactory) -> tuple[tuple[str, str], dict[str, str]]:
    """All cases in one folder, harvested; (folders, what each must be)."""
    work = tmp_path_factory.mktemp("bad")
    expected = bad_input.write(work / "source")
    return harvest(work / "source", work), expected


@pytest.mark.parametrize("name", [case.name for case in bad_input.CASES])
def test_each_case_ends_as_it_must(harvested: tuple[tuple[str, str], dict[str, str]], name: str) -> None:
    folders, expected = harvested
    assert outcome(folders).get(name) == expected[name]


def test_nothing_is_lost_or_counted_twice(harvested: tuple[tuple[str, str], dict[str, str]]) -> None:
    (items, fetched), expected = harvested
    first, second = ledger(items), ledger(fetched)
    assert first["in"]["units"] == len(expected)
    assert second["in"]["units"] == first["out"]["units"]
    for one in (first, second):
        assert one["in"]["units"] == one["out"]["units"] + sum(r["units"] for r in one["rejected"].values())
    reasons = Counter(reason for reason in expected.values() if reason != "kept")
    found: Counter[str] = Counter()
    for one in (first, second):
        found.update({reason: r["units"] for reason, r in one["rejected"].items()})
    assert found == reasons


def test_each_rejection_says_what_was_seen(harvested: tuple[tuple[str, str], dict[str, str]]) -> None:
    for folder in harvested[0]:
        for row in rows(folder, "rejections"):
            assert len(row["detail"]) > 5, row


def test_texts_in_broken_encodings_come_out_as_they_were_written(harvested: tuple[tuple[str, str], dict[str, str]]) -> None:
    _, fetched = harvested[0]
    names = {r["document_id"]: r["identifier"] for r in rows(fetched, "items")}
    texts = {names[d["document_id"]]: d["text"] for d in rows(fetched, "documents")}
    assert "my féllow Americans" in texts["caption_latin_1"]
    assert "“ask – not”" in texts["caption_windows_1252"].replace('"ask', "“ask").replace('not"', "not”")
    for name in ("caption_utf_16_le", "caption_utf_16_be", "caption_utf_8_bom_crlf"):
        assert texts[name].split() == bad_input.TEXT.split()


def test_one_bad_file_among_a_thousand_good_ones_stops_nothing(tmp_path: Path) -> None:
    bad = bad_input.many(tmp_path / "source")
    folders = harvest(tmp_path / "source", tmp_path)
    found = outcome(folders)
    assert found[bad] == "audio_corrupt"
    assert Counter(found.values()) == {"kept": 1000, "audio_corrupt": 1}
    assert ledger(folders[1])["out"]["units"] == 1000


def contents(folder: str) -> dict[str, bytes]:
    """The bytes of a stage's tables."""
    return {p.name: p.read_bytes() for p in sorted(Path(folder).glob("*.parquet"))}


@pytest.mark.parametrize("stored", [0, 5, 30])
def test_a_kill_leaves_nothing_visible_and_the_rerun_gives_the_same_bytes(tmp_path: Path, stored: int) -> None:
    """SIGKILL to the stage and its workers when so many recordings are in the store."""
    bad_input.many(tmp_path / "source", good=40)
    items = stage("discover", [], tmp_path / "discover", {**DISCOVER, "location": str(tmp_path / "source")})
    params = {"store": str(tmp_path / "recordings")}
    process = subprocess.Popen(command("fetch", [items], tmp_path / "fetch", params), env=os.environ, start_new_session=True)
    while process.poll() is None and sum(p.is_file() for p in tmp_path.glob("recordings/**/*")) < stored:
        time.sleep(0.005)
    ended = process.poll() is not None
    if not ended:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if not ended:
        assert not [p for p in (tmp_path / "fetch").glob("*/_SUCCESS.json") if not p.parent.name.startswith(".")]
    rerun = stage("fetch", [items], tmp_path / "fetch", params)
    shutil.rmtree(tmp_path / "recordings")
    fresh = stage("fetch", [items], tmp_path / "again" / "fetch", params)
    assert contents(rerun) == contents(fresh) and contents(rerun)
    stored = sorted(p.stem for p in (tmp_path / "recordings").rglob("*") if p.is_file())
    assert stored == sorted(r["recording_id"] for r in rows(fresh, "recordings"))


def test_a_full_disk_is_one_clear_line_and_the_rerun_goes_on(tmp_path: Path) -> None:
    """The disk is full for one file: the limit on the size of files stands in for it, as no test may fill a disk."""
    case = next(c for c in bad_input.ODD_CASES if c.name == "surround")
    bad_input.write(tmp_path / "source", (case,))
    items = stage("discover", [], tmp_path / "discover", {**DISCOVER, "location": str(tmp_path / "source")})
    params = {"store": str(tmp_path / "recordings")}

    def little() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    said = stage("fetch", [items], tmp_path / "fetch", params, expect=1, preexec_fn=little)
    assert "ingest fetch:" in said.strip().splitlines()[-1]
    assert not list((tmp_path / "fetch").glob("[!.]*/_SUCCESS.json"))
    assert outcome((items, stage("fetch", [items], tmp_path / "fetch", params))) == {"surround": "kept"}


@pytest.mark.slow
def test_twelve_hours_pass_in_under_two_gigabytes(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    seconds = bad_input.twelve_hours(source / "long.mp3")
    (source / "long.txt").write_text(bad_input.TEXT * 500, encoding="utf-8")
    (source / "metadata.jsonl").write_text(json.dumps(bad_input.metadata("long", "long.mp3")) + "\n", encoding="utf-8")
    folders = harvest(source, tmp_path)
    assert rows(folders[1], "recordings")[0]["duration_s"] == pytest.approx(seconds, rel=0.01)
    assert seconds > 12 * 3600
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 2_000_000, "kilobytes of the largest child so far"
