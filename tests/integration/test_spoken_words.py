"""The spoken words through a running scheduler: 25 real clips in three shards, one model, every word placed; then a release."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from scripts import server

from .conftest import SPOKEN, SPOKEN_RELEASE, World

pytestmark = [pytest.mark.allow_hosts(["127.0.0.1", "::1", "localhost"]), pytest.mark.timeout(3600)]
CORPUS = "spoken_words/ru"


def test_a_release_of_common_voice_becomes_words_with_times(world: World) -> None:
    world.api.pause(SPOKEN, False)
    run_id = world.api.trigger(SPOKEN, key="2025.01")
    assert world.finish(SPOKEN, run_id) == "success", world.why(SPOKEN, run_id)
    seal = world.batch("2025.01", CORPUS)
    assert seal is not None and {s: len(f) for s, f in seal["stages"].items()} == {
        "ingest.voices": 1, "ingest.prepare": 3, "words.train": 1, "words.align": 3,
    }  # fmt: skip
    # The list has 100 rows, of which 75 name clips that are not there.
    assert seal["ledger"]["in"]["units"] == 100 and seal["ledger"]["rejected"]["audio_missing"]["units"] == 75
    folders = [world.root / f"batches/{CORPUS}/2025.01" / f["path"] for f in seal["stages"]["words.align"]]
    files = [file for folder in folders for file in folder.glob("sentence_words-*.parquet")]
    words = [row for file in files for row in pq.read_table(file).to_pylist()]
    assert len(words) > 200 and all(0 <= w["start_s"] < w["end_s"] for w in words)
    assert seal["ledger"]["kept"]["seconds"] > 100


def test_what_a_sealed_month_holds_is_not_taken_again_and_a_month_without_a_release_is_sealed(world: World) -> None:
    again = str(world.batch("2025.01", CORPUS) and next((world.root.parent / "config").glob("sources.yaml")).read_text())
    location = again.split("location: ")[1].splitlines()[0]
    for month, conf in (("2025.02", {"location": location, "version": "6.1"}), ("2025.03", {})):
        run_id = world.api.trigger(SPOKEN, key=month, conf=conf)
        assert world.finish(SPOKEN, run_id) == "success", world.why(SPOKEN, run_id)
        seal = world.batch(month, CORPUS)
        assert seal is not None and seal["ledger"]["kept"]["seconds"] == 0, month


def test_a_dry_run_of_a_backfill_says_its_months_and_touches_no_run(world: World) -> None:
    before = {dag_id: {r["dag_run_id"]: r["state"] for r in world.api.runs(dag_id)} for dag_id in (SPOKEN, SPOKEN_RELEASE)}
    dates = ["--from-date", "2025-05-01", "--to-date", "2025-07-31", "--max-active-runs", "1"]
    argv = ["backfill", "create", "--dag-id", SPOKEN, *dates, "--dry-run"]
    extra = {"COLUMNS": "200", "SPEECHMILL_ROOT": world.root.as_uri(), "SPEECHMILL_CONFIG": str(world.root.parent / "config")}
    env = server.environment(Path(world.airflow.home), world.airflow.port, extra)
    done = subprocess.run([server.AIRFLOW, *argv], cwd=server.REPO, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Performing dry run of backfill." in done.stdout and all(f"2025.0{n}" in done.stdout for n in (5, 6, 7))
    after = {dag_id: {r["dag_run_id"]: r["state"] for r in world.api.runs(dag_id)} for dag_id in before}
    assert after == before


def test_the_sealed_months_become_a_release_that_waits_for_its_own_month_only(world: World) -> None:
    world.api.pause(SPOKEN_RELEASE, False)
    run_id = world.api.trigger(SPOKEN_RELEASE, key="2025.03")
    assert world.finish(SPOKEN_RELEASE, run_id) == "success", world.why(SPOKEN_RELEASE, run_id)
    about = world.release("2025.03", CORPUS)
    assert about is not None and [b["key"] for b in about["batches"]] == ["2025.01", "2025.02", "2025.03"]
    assert about["totals"]["keywords"] >= 3 and about["totals"]["clips"] >= 2 * about["totals"]["keywords"]
    folder = world.root / f"releases/{CORPUS}/2025.03"
    rows = [r for f in (folder / "data").rglob("*.parquet") for r in pq.ParquetFile(f).read(["word", "split"]).to_pylist()]
    assert len(rows) == about["totals"]["clips"]
    opus = []
    for part in (folder / "mswc/audio").glob("ru-*.tar.gz"):
        with tarfile.open(part) as archive:
            opus += [m for m in archive.getnames() if m.startswith("ru/clips/") and m.endswith(".opus")]
    assert len(opus) == len(set(opus)) == len(rows)
    with tarfile.open(folder / "speech_commands/ru-lists.tar.gz") as archive:
        assert {"validation_list.txt", "testing_list.txt", "_background_noise_/white_noise.wav"} <= set(archive.getnames())
    again = world.api.trigger(SPOKEN_RELEASE, conf={"version": "2025.03.1"})
    assert world.finish(SPOKEN_RELEASE, again) == "success", world.why(SPOKEN_RELEASE, again)
    assert world.states(SPOKEN_RELEASE, again)["publish"] == "skipped" and world.release("2025.03.1", CORPUS) is None
