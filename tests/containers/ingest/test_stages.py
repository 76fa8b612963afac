"""The stages as an operator runs them: every second of input is accounted for, equal bytes are stored once, a rerun is free."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from test_folder import SRT, describe, tone

ROOT = Path(__file__).parents[3]
SAMPLES = ROOT / "samples" / "peoples_speech" / "en"
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT / 'containers' / 'stagekit'}{os.pathsep}{ROOT / 'containers' / 'ingest'}"}


def command(stage: str, tmp_path: Path, params: dict[str, Any], *inputs: str) -> list[str]:
    argv = [sys.executable, "-m", "ingest", stage, "--output", str(tmp_path / stage), "--params", json.dumps(params)]
    for one in inputs:
        argv += ["--input", one]
    return [*argv, "--receipt", str(tmp_path / f"{stage}.json"), "--workers", "2", "--quiet"]


def ingest(stage: str, tmp_path: Path, params: dict[str, Any], *inputs: str, code: int = 0) -> dict[str, Any]:
    """Run a stage to its end; its receipt, with stdout and stderr."""
    run = subprocess.run(command(stage, tmp_path, params, *inputs), env=ENVIRONMENT, capture_output=True, text=True, timeout=300)
    assert run.returncode == code, run.stderr
    receipt = json.loads((tmp_path / f"{stage}.json").read_text()) if code == 0 else {}
    return {**receipt, "stdout": run.stdout, "stderr": run.stderr}


def rows(folder: str, table: str) -> list[dict[str, Any]]:
    return [r for f in sorted(Path(folder).glob(f"{table}-*.parquet")) for r in pq.read_table(f).to_pylist()]


def ledger(folder: str) -> dict[str, Any]:
    return dict(json.loads((Path(folder) / "_SUCCESS.json").read_text())["ledger"])


def rejected(folder: str) -> dict[str, str]:
    return {r["id"].rpartition("/")[2]: r["reason"] for r in rows(folder, "rejections")}


def test_the_samples_end_as_their_list_says(tmp_path: Path) -> None:
    found = ingest("discover", tmp_path, {"location": str(SAMPLES), "shard_hours": 0.2})
    assert len(found["shards"]) > 1
    assert rejected(found["output"]) == {
        "no_caption.ogg": "no_caption",
        "synthetic_nc.wma": "license_noncommercial",
        "synthetic_nd.ogg": "license_no_derivatives",
        "synthetic_terms.wav": "license_unknown",
        "synthetic_unstated.mp4": "license_missing",
    }
    fetched = ingest("fetch", tmp_path, {"store": str(tmp_path / "recordings")}, found["output"])
    out = fetched["output"]
    assert rejected(out) == {
        "not_audio.wav": "audio_corrupt",
        "room_tone.flac": "audio_silent",
        "simplicissimus.mp3": "text_wrong_language",
        "sonnet_001_again.mp3": "duplicate_audio",
        "sonnet_broken.flac": "audio_corrupt",
        "weekly_address_trade.mp3": "caption_machine",
        "zero_bytes.wav": "audio_empty",
    }
    recordings, documents, items = (rows(out, t) for t in ("recordings", "documents", "items"))
    assert len(recordings) == len(documents) == len({r["recording_id"] for r in recordings})
    by_file = {i["item_id"].rpartition("/")[2]: i for i in items}
    same = {by_file[f]["recording_id"] for f in ("sonnet_001.mp3", "sonnet_001_again.mp3")}
    assert len(same) == 1 and by_file["sonnet_001.mp3"]["document_id"] == by_file["sonnet_001_again.mp3"]["document_id"]
    assert {i["document_id"] for i in items} == {d["document_id"] for d in documents}
    for recording in recordings:
        stored = Path(recording["uri"])
        assert stored.stat().st_size == recording["bytes"] and stored.stem == recording["recording_id"]
    assert len(list((tmp_path / "recordings" / "folder").iterdir())) == len(recordings)
    for document in documents:
        assert document["text_language"] == "en" and document["tokens"]
        assert all(document["text"][t["char_start"] : t["char_end"]].strip() for t in document["tokens"])
    sums = ledger(out)
    assert sums["in"]["units"] == ledger(found["output"])["out"]["units"]
    assert abs(sums["out"]["seconds"] - sum(r["duration_s"] for r in recordings)) < 0.01

    again = ingest("fetch", tmp_path, {"store": str(tmp_path / "recordings")}, found["output"])
    assert again["skipped"] and again["output"] == out


def test_bad_input_is_counted_with_its_reason(tmp_path: Path) -> None:
    sys.path.insert(0, str(Path(__file__).parents[2] / "support"))
    import bad_input

    cases = [
        c for c in bad_input.CASES if c in bad_input.CAPTION_CASES or c.name in ("zero_bytes", "holes", "surround", "png_as_mp3")
    ]
    expected = bad_input.write(tmp_path / "source", tuple(cases))
    found = ingest("discover", tmp_path, {"location": str(tmp_path / "source")})
    fetched = ingest("fetch", tmp_path, {"store": str(tmp_path / "recordings")}, found["shards"][0])
    got = {i["identifier"]: "kept" for i in rows(fetched["output"], "items")}
    got |= {r["id"].partition(":")[2].partition("/")[0]: r["reason"] for r in rows(fetched["output"], "rejections")}
    assert got == expected


def test_equal_bytes_meet_in_one_shard_and_people_s_text_is_taken(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for n, name in enumerate(("a", "b", "c", "d")):
        tone(source / f"{name}.wav", hz=300 if name in "ad" else 400 + n)
        (source / f"{name}.srt").write_text(SRT + f"\n2\n00:00:01,000 --> 00:00:02,000\nThis is {name}.\n")
    describe(source, {"file": "a.wav"}, {"file": "b.wav"}, {"file": "c.wav"}, {"file": "d.wav", "caption_provenance": "human"})
    found = ingest("discover", tmp_path, {"location": str(source), "shard_hours": 1e-4})
    assert [len(pq.read_table(f)) for f in sorted(Path(found["output"]).glob("items-*"))] == [2, 1, 1]
    fetched = ingest("fetch", tmp_path, {"store": str(tmp_path / "recordings")}, found["shards"][0])
    (document,) = rows(fetched["output"], "documents")
    assert document["caption_provenance"] == "human" and document["text"].endswith("This is d.")
    (rejection,) = rows(fetched["output"], "rejections")
    assert rejection["id"].endswith("a.wav") and rejection["reason"] == "duplicate_audio" and rejection["end_s"] == 1.5


def test_a_changed_folder_is_looked_at_again_and_an_unchanged_one_is_not(tmp_path: Path) -> None:
    source = tmp_path / "source"
    tone(source / "a.wav")
    (source / "a.srt").write_text(SRT)
    describe(source, {"file": "a.wav"})
    first = ingest("discover", tmp_path, {"location": str(source)})
    os.utime(source / "a.wav", (0, 0))
    assert ingest("discover", tmp_path, {"location": str(source)})["skipped"]
    (source / "a.srt").write_text(SRT.replace("there", "again"))
    assert ingest("discover", tmp_path, {"location": str(source)})["output"] != first["output"]


def test_a_file_that_changed_since_it_was_listed_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in "ab":
        tone(source / f"{name}.wav", hz=200 + ord(name))
        (source / f"{name}.srt").write_text(SRT)
    describe(source, {"file": "a.wav"}, {"file": "b.wav"})
    found = ingest("discover", tmp_path, {"location": str(source)})
    tone(source / "a.wav", hz=999)
    (source / "b.srt").unlink()
    fetched = ingest("fetch", tmp_path, {"store": str(tmp_path / "recordings")}, found["output"])
    assert rejected(fetched["output"]) == {"a.wav": "checksum_mismatch", "b.wav": "download_failed"}


@pytest.mark.parametrize(
    ("params", "code", "says"),
    [
        ({}, 1, "needs a location"),
        ({"location": "/nowhere/at/all"}, 1, "no such folder"),
        ({"source": "internet_archive"}, 1, "needs a month"),
        ({"source": "ftp"}, 1, "source"),
        ({"language": "xx-yy-zz", "location": "."}, 1, "no language"),
        ({"location": "EMPTY"}, 99, "nothing to do"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(tmp_path: Path, params: dict[str, Any], code: int, says: str) -> None:
    (tmp_path / "empty").mkdir()
    params = {k: str(tmp_path / "empty") if v == "EMPTY" else v for k, v in params.items()}
    done = ingest("discover", tmp_path, params, code=code)
    assert says in done["stderr"] and len(done["stderr"].strip().splitlines()) == 1


def test_what_earlier_batches_hold_is_left_out(tmp_path: Path) -> None:
    source, batches = tmp_path / "source", tmp_path / "batches"
    for name in "abc":
        tone(source / f"{name}.wav", hz=200 + ord(name))
        (source / f"{name}.srt").write_text(SRT)
    (source / "b.wav").write_bytes(b"broken")
    (source / "c.srt").unlink()
    describe(source, *({"file": f"{n}.wav"} for n in "abc"))
    month = batches / "2026.09"
    found = ingest("discover", tmp_path, {"location": str(source)})
    fetched = ingest("fetch", tmp_path, {"store": str(tmp_path / "recordings")}, found["output"])
    month.mkdir(parents=True)
    stages = {"ingest.discover": [{"path": found["output"]}], "ingest.fetch": [{"path": fetched["output"]}]}
    stages = {s: [{"path": Path(e["path"]).as_uri()} for e in entries] for s, entries in stages.items()}
    (month / "batch.json").write_text(json.dumps({"stages": stages}))
    later = {"location": str(source), "known": str(batches), "month": "2026.10"}
    assert "holds nothing new" in ingest("discover", tmp_path, later, code=99)["stderr"]
    # Its own month, or an earlier one, knows nothing of it.
    assert ingest("discover", tmp_path, {**later, "month": "2026.09"})["rows"]["items"] == 2
    # A caption that comes late.
    (source / "c.srt").write_text(SRT)
    late = ingest("discover", tmp_path, later)
    assert [i["item_id"] for i in rows(late["output"], "items")] == ["folder:c/c.wav"]


def test_a_rerun_of_a_sealed_month_is_free_though_an_earlier_one_was_sealed_after_it(tmp_path: Path) -> None:
    """What its ``discover`` took as known is what its rerun does; a month that is not sealed takes all seals there are."""
    source, batches = tmp_path / "source", tmp_path / "batches"

    def seal(month: str, *folders: dict[str, Any]) -> None:
        stages = {f"ingest.{Path(f['output']).parent.name}": [{"path": Path(f["output"]).as_uri()}] for f in folders}
        (batches / month).mkdir(parents=True)
        (batches / month / "batch.json").write_text(json.dumps({"stages": stages}))

    def talk(name: str) -> None:
        tone(source / f"{name}.wav", hz=200 + ord(name))
        (source / f"{name}.srt").write_text(SRT)

    params = {"location": str(source), "known": str(batches)}
    talk("a")
    describe(source, {"file": "a.wav"}, {"file": "b.wav"})
    seal("2026.01")  # a month with nothing in it
    talk("b")
    first = ingest("discover", tmp_path, {**params, "month": "2026.05"})
    fetched = ingest("fetch", tmp_path, {"store": str(tmp_path / "recordings")}, first["output"])
    assert first["metrics"]["seals"] == ["2026.01/batch.json"]
    seal("2026.05", first, fetched)
    seal("2026.03", first, fetched)  # late, and it holds the same
    again = ingest("discover", tmp_path, {**params, "month": "2026.05"})
    assert again["skipped"] and again["output"] == first["output"]
    talk("c")
    describe(source, *({"file": f"{name}.wav"} for name in "abc"))
    assert ingest("discover", tmp_path, {**params, "month": "2026.05"})["rows"]["items"] == 3, "its own month, looked at as then"
    late = ingest("discover", tmp_path, {**params, "month": "2026.04"})
    assert [i["item_id"] for i in rows(late["output"], "items")] == ["folder:c/c.wav"]
    assert late["metrics"]["seals"] == ["2026.01/batch.json", "2026.03/batch.json"]


def test_a_killed_fetch_leaves_nothing_visible_and_its_rerun_gives_the_same_bytes(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for n in range(12):
        tone(source / f"{n:02d}.wav", hz=200 + 10 * n, seconds=20)
        (source / f"{n:02d}.srt").write_text(SRT.replace("there", f"there {n}"))
    describe(source, *({"file": f"{n:02d}.wav"} for n in range(12)))
    found = ingest("discover", tmp_path, {"location": str(source)})
    store = tmp_path / "recordings"
    for stored in (1, 6):
        process = subprocess.Popen(command("fetch", tmp_path, {"store": str(store)}, found["output"]), env=ENVIRONMENT)
        deadline = time.monotonic() + 120
        while len(list(store.glob("folder/*.wav"))) < stored and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not list((tmp_path / "fetch").glob("*/_SUCCESS.json"))
    fetched = ingest("fetch", tmp_path, {"store": str(store)}, found["output"])
    (tmp_path / "clean").mkdir()
    clean = ingest("fetch", tmp_path / "clean", {"store": str(store)}, found["output"])
    files = [json.loads((Path(x["output"]) / "_SUCCESS.json").read_text())["files"] for x in (fetched, clean)]
    assert files[0] == files[1]
    assert not [p for p in store.rglob("*") if p.is_file() and p.suffix != ".wav"]


@pytest.mark.allow_hosts(["127.0.0.1", "::1"])
def test_what_a_source_names_twice_is_counted_twice(tmp_path: Path, archive: Any) -> None:
    files = [{"name": "t.mp3", "source": "derivative", "original": f"{side}.wav", "length": "10"} for side in "ab"]
    archive.add("talk", [*files, {"name": "t.srt", "format": "SubRip"}], content={})
    found = ingest("discover", tmp_path, {"source": "internet_archive", "location": archive.url, "month": "2026.10"})
    assert ledger(found["output"])["in"] == {"units": 2, "seconds": 20.0}
    named = {r["id"]: (r["reason"], r["detail"]) for r in rows(found["output"], "rejections")}
    named |= {i["item_id"]: ("item", "") for i in rows(found["output"], "items")}
    assert set(named) == {"internet_archive:talk/t.mp3", "internet_archive:talk/t.mp3 (2)"}
    reason, detail = named["internet_archive:talk/t.mp3 (2)"]
    assert reason == "item_unreadable" and "names internet_archive:talk/t.mp3 again" in detail


@pytest.mark.allow_hosts(["127.0.0.1", "::1"])
def test_from_the_internet_archive(tmp_path: Path, archive: Any) -> None:
    from archive_server import Fault

    talk, sonnet = (SAMPLES / "udhr_preamble.mp3").read_bytes(), (SAMPLES / "sonnet_001.mp3").read_bytes()
    text = b"1\n00:00:00,000 --> 00:00:09,000\nWhereas recognition of the inherent dignity of all members of the human family.\n"
    kinds = [{"name": "t.mp3", "format": "VBR MP3", "length": "2:28"}, {"name": "t.srt", "format": "SubRip"}]
    archive.add("talk", kinds, content={"t.mp3": talk, "t.srt": text})
    archive.add("talk-again", kinds, content={"t.mp3": talk, "t.srt": text})
    archive.add("machine", [kinds[0], {"name": "t.asr.srt", "format": "SubRip"}], content={"t.mp3": sonnet, "t.asr.srt": text})
    archive.add("broken", kinds, content={"t.mp3": b"nothing of the kind", "t.srt": text})
    archive.add("closed", kinds, content={"t.mp3": sonnet, "t.srt": text}, rights="All rights reserved")
    archive.faults += [Fault("t.mp3", "drop", 0.6), Fault("t.srt", "status", (503, {"Retry-After": "0"}))]
    found = ingest("discover", tmp_path, {"source": "internet_archive", "location": archive.url, "month": "2026.10"})
    assert rejected(found["output"]) == {"t.mp3": "license_conflict"}
    fetched = ingest("fetch", tmp_path, {"store": str(tmp_path / "recordings")}, found["shards"][0])
    assert {r["id"]: r["reason"] for r in rows(fetched["output"], "rejections")} == {
        "internet_archive:broken/t.mp3": "audio_corrupt",
        "internet_archive:machine/t.mp3": "caption_machine",
        "internet_archive:talk/t.mp3": "duplicate_audio",
    }
    (recording,) = rows(fetched["output"], "recordings")
    assert Path(recording["uri"]).read_bytes() == talk
    assert archive.count("machine/t.mp3") == 0  # its audio was not downloaded
    assert not [p for p in (tmp_path / "recordings" / ".incoming").rglob("*") if p.is_file()]


@pytest.mark.allow_hosts(["127.0.0.1", "::1"])
def test_a_fetch_that_is_told_to_stop_does_not_wait_for_its_downloads(tmp_path: Path, archive: Any) -> None:
    from archive_server import Fault

    talk = (SAMPLES / "udhr_preamble.mp3").read_bytes()
    text = SRT.replace("Hello there.", "Whereas recognition of the inherent dignity of all members of the human family.").encode()
    kinds = [{"name": "t.mp3", "format": "VBR MP3", "length": "2:28"}, {"name": "t.srt", "format": "SubRip"}]
    archive.add("talk", kinds, content={"t.mp3": talk, "t.srt": text})
    archive.faults.append(Fault("t.mp3", "slow", 20_000))  # a minute's worth
    found = ingest("discover", tmp_path, {"source": "internet_archive", "location": archive.url, "month": "2026.10"})
    argv = command("fetch", tmp_path, {"store": str(tmp_path / "recordings")}, found["output"])
    process = subprocess.Popen(argv, env=ENVIRONMENT, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not (arriving := list((tmp_path / "recordings" / ".incoming").rglob("*.part"))) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert arriving
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143
    assert time.monotonic() - started < 30
    assert not list((tmp_path / "fetch").glob("*"))
    assert list((tmp_path / "recordings" / ".incoming").rglob("*.part"))  # what has arrived stays


@pytest.mark.allow_hosts(["127.0.0.1", "::1"])
def test_an_item_whose_node_is_out_is_rejected_file_by_file(tmp_path: Path, archive: Any) -> None:
    from archive_server import Fault

    kinds = {"mp3": "VBR MP3", "srt": "SubRip"}
    files = [{"name": f"{n:02d}.{k}", "format": form, "length": "2:28"} for n in range(12) for k, form in kinds.items()]
    content = {f["name"]: b"a" if f["name"].endswith("mp3") else SRT.encode() for f in files}
    archive.add("book", files, content=content)
    found = ingest("discover", tmp_path, {"source": "internet_archive", "location": archive.url, "month": "2026.10"})
    archive.faults.append(Fault("/download/book/", "status", (503, {"Retry-After": "86400"}), times=999))
    fetched = ingest("fetch", tmp_path, {"store": str(tmp_path / "recordings")}, found["output"])
    assert fetched["rows"]["items"] == 0 and fetched["rows"]["rejections"] == 12


@pytest.mark.allow_hosts(["127.0.0.1", "::1"])
def test_an_archive_that_is_out_rejects_no_items(tmp_path: Path, archive: Any) -> None:
    from archive_server import Fault

    files = [{"name": "t.mp3", "format": "VBR MP3", "length": "2:28"}, {"name": "t.srt", "format": "SubRip"}]
    for n in range(12):
        archive.add(f"talk{n:02d}", files, content={"t.mp3": b"a", "t.srt": SRT.encode()})
    found = ingest("discover", tmp_path, {"source": "internet_archive", "location": archive.url, "month": "2026.10"})
    archive.faults.append(Fault("/download/", "status", (503, {"Retry-After": "86400"}), times=999))
    failed = ingest("fetch", tmp_path, {"store": str(tmp_path / "recordings")}, found["output"], code=75)
    assert "8 items in a row were not answered" in failed["stderr"] and "run again later" in failed["stderr"]
    assert not list((tmp_path / "fetch").glob("*"))
