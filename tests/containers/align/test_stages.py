"""The three stages as a person runs them: every second accounted for, wrong texts gone, the same bytes again."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
from numpy.typing import NDArray

from stagekit.folder import TableWriter
from stagekit.tables import SAMPLE_RATE, TABLES

REPO = Path(__file__).resolve().parents[3]
Reading = tuple[NDArray[np.float32], list[str]]
WRONG = (
    "Call me Ishmael. Some years ago, never mind how long precisely, having little or no money in my purse, and nothing "
    "particular to interest me on shore, I thought I would sail about a little and see the watery part of the world."
)


def tokens(text: str) -> list[dict[str, Any]]:
    return [{"word": m.group().lower(), "char_start": m.start(), "char_end": m.end()} for m in re.finditer(r"[A-Za-z']+", text)]


def write_fetched(folder: Path, audio: dict[str, NDArray[np.float32]], texts: dict[str, str]) -> Path:
    """A folder such as `ingest fetch` leaves: one recording and one document for each name."""
    folder.mkdir()
    recordings, documents = (TableWriter(folder, TABLES[t], 0) for t in ("recordings", "documents"))
    for name, samples in audio.items():
        path = folder / f"{name}.wav"
        soundfile.write(path, samples, SAMPLE_RATE, subtype="PCM_16")
        recordings.write(
            {
                "recording_id": name, "uri": str(path), "bytes": path.stat().st_size, "duration_s": len(samples) / SAMPLE_RATE,
                "samples": len(samples), "sample_rate": SAMPLE_RATE, "channels": 1, "codec": "pcm_s16le", "container": "wav",
                "bit_rate": None, "fingerprint": [],
            }
        )  # fmt: skip
        documents.write(
            {
                "document_id": f"doc-{name}", "recording_id": name, "language": "en", "text_language": "en",
                "text_language_score": 1.0, "caption_kind": "txt", "caption_provenance": "human", "provenance_evidence": "test",
                "caption_raw": texts[name], "text": texts[name], "tokens": tokens(texts[name]),
            }
        )  # fmt: skip
    recordings.close()
    documents.close()
    files = {p.name: {"sha256": hashlib.sha256(p.read_bytes()).hexdigest(), "bytes": 0} for p in folder.glob("*.parquet")}
    (folder / "_SUCCESS.json").write_text(json.dumps({"fingerprint": "made-by-hand", "files": files}))
    return folder


def command_of(stage: str, inputs: list[str], out: Path) -> tuple[list[str], dict[str, str]]:
    receipt = out / f"{stage}.json"
    command = [sys.executable, "-m", "align", stage, "--output", str(out / stage), "--receipt", str(receipt), "--quiet"]
    for uri in inputs:
        command += ["--input", uri]
    path = os.pathsep.join(str(REPO / "containers" / p) for p in ("stagekit", "align"))
    return [*command, "--workers", "2"], {**os.environ, "PYTHONPATH": path}


def run(stage: str, inputs: list[str], out: Path) -> Path:
    command, env = command_of(stage, inputs, out)
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Path(json.loads((out / f"{stage}.json").read_text())["output"])


def rows(folder: Path, table: str) -> list[dict[str, Any]]:
    return [r for f in sorted(folder.glob(f"{table}-*.parquet")) for r in pq.read_table(f).to_pylist()]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, reading: Reading, speech_of_kennedy: Reading) -> dict[str, Path]:
    """Both readings joined, with a right text that lacks Kennedy's first words, and with a wrong one; and silence."""
    base = tmp_path_factory.mktemp("stages")
    gap = np.random.default_rng(0).normal(0, 1e-4, SAMPLE_RATE).astype(np.float32)
    joined = np.concatenate([gap, reading[0], gap, speech_of_kennedy[0], gap])
    text = " ".join(reading[1]) + ". " + " ".join(speech_of_kennedy[1][5:])
    audio = {"right": joined, "wrong": joined, "silence": np.zeros(3 * SAMPLE_RATE, np.float32)}
    fetched = write_fetched(base / "fetched", audio, {"right": text, "wrong": WRONG, "silence": WRONG})
    heard = run("recognize", [str(fetched)], base)
    aligned = run("align", [str(fetched), str(heard)], base)
    return {"base": base, "fetched": fetched, "heard": heard, "aligned": aligned,
            "scored": run("score", [str(fetched), str(heard), str(aligned)], base)}  # fmt: skip


def test_every_second_is_in_a_segment_or_has_a_reason(folders: dict[str, Path]) -> None:
    ledger = json.loads((folders["aligned"] / "_SUCCESS.json").read_text())["ledger"]
    rejected = sum(r["end_s"] - r["start_s"] for r in rows(folders["aligned"], "rejections"))
    kept = sum(s["speech_end_s"] - s["speech_start_s"] for s in rows(folders["aligned"], "segments"))
    assert ledger["in"]["seconds"] == pytest.approx(kept + rejected, abs=1e-3)
    for recording in ("right", "wrong"):
        rejected_here = [r for r in rows(folders["aligned"], "rejections") if r["parent_id"] == f"doc-{recording}"]
        pieces = [(r["start_s"], r["end_s"]) for r in rejected_here]
        pieces += [(s["speech_start_s"], s["speech_end_s"]) for s in rows(folders["aligned"], "segments")
                   if s["recording_id"] == recording]  # fmt: skip
        pieces.sort()
        assert pieces[0][0] == 0.0
        assert all(a[1] == pytest.approx(b[0], abs=1e-4) for a, b in zip(pieces, pieces[1:], strict=False))


def test_silence_stops_at_recognition(folders: dict[str, Path]) -> None:
    assert [(r["id"], r["reason"]) for r in rows(folders["heard"], "rejections")] == [("doc-silence", "no_speech")]


def test_right_text_is_kept_and_what_it_lacks_is_not(folders: dict[str, Path], reading: Reading) -> None:
    segments = [s for s in rows(folders["scored"], "segments") if s["recording_id"] == "right"]
    said = " ".join(s["text"] for s in segments).split()
    assert len(said) > 0.9 * (len(reading[1]) + 17)
    for s in segments:
        assert s["cer"] is not None and s["language_score"] > 0.3 and s["alignment_score"] > -0.5
        assert s["start_sample"] / SAMPLE_RATE <= s["speech_start_s"] < s["speech_end_s"] <= s["end_sample"] / SAMPLE_RATE
    reasons = {r["reason"] for r in rows(folders["aligned"], "rejections") if r["parent_id"] == "doc-right"}
    assert reasons & {"not_in_transcript", "untranscribed_edge"}


def test_wrong_text_leaves_nothing(folders: dict[str, Path]) -> None:
    assert [s for s in rows(folders["aligned"], "segments") if s["recording_id"] == "wrong"] == []
    speech = [r for r in rows(folders["aligned"], "rejections") if r["parent_id"] == "doc-wrong" and r["reason"] != "silence"]
    assert {r["reason"] for r in speech} == {"transcript_not_found"}


def test_words_lie_in_their_segments_in_order(folders: dict[str, Path]) -> None:
    segments = {s["segment_id"]: s for s in rows(folders["scored"], "segments")}
    words = rows(folders["aligned"], "words")
    assert {w["segment_id"] for w in words} == set(segments)
    for ident, s in segments.items():
        mine = [w for w in words if w["segment_id"] == ident]
        assert " ".join(w["word"] for w in mine) == s["text"]
        assert all(a["end_s"] <= b["start_s"] + 1e-9 for a, b in zip(mine, mine[1:], strict=False))
        assert mine[0]["start_s"] >= s["speech_start_s"] - 1e-3 and mine[-1]["end_s"] <= s["speech_end_s"] + 1e-3


def test_a_second_run_elsewhere_gives_the_same_bytes(folders: dict[str, Path], tmp_path: Path) -> None:
    heard = run("recognize", [str(folders["fetched"])], tmp_path)
    aligned = run("align", [str(folders["fetched"]), str(heard)], tmp_path)
    for before, after in ((folders["heard"], heard), (folders["aligned"], aligned)):
        assert before.name == after.name
        for file in before.glob("*.parquet"):
            assert file.read_bytes() == (after / file.name).read_bytes(), file.name


def kill_at_work(command: list[str], env: dict[str, str], seconds: float, output: Path, stage: str, whole: Path) -> None:
    """SIGKILL to a stage that has run for so long: for less, if it was done by then, as on a machine that was busy before."""
    receipt = output / f"{stage}.json"
    while True:
        process = subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            process.wait(seconds)
            assert process.returncode == 0
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            markers = list((output / stage).glob("*/_SUCCESS.json"))
            if not markers:
                assert not receipt.exists(), "a receipt of what is not there"
                return
            for file in whole.glob("*.parquet"):
                assert file.read_bytes() == (markers[0].parent / file.name).read_bytes(), "a marker of what is not whole"
        assert seconds > 0.5, "it is always done"
        seconds *= 0.7
        shutil.rmtree(output / stage)
        receipt.unlink(missing_ok=True)


@pytest.mark.parametrize("stage", ["recognize", "align", "score"])
def test_a_killed_stage_leaves_nothing_and_its_rerun_gives_the_same_bytes(
    stage: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    """SIGKILL to the stage and its workers, early and late in its work."""
    before = {"recognize": "heard", "align": "aligned", "score": "scored"}[stage]
    inputs = [str(folders[k]) for k in ("fetched", "heard", "aligned")[: ("recognize", "align", "score").index(stage) + 1]]
    started = time.monotonic()
    whole = run(stage, inputs, tmp_path / "whole")
    took = time.monotonic() - started
    command, env = command_of(stage, inputs, tmp_path)
    for share in (0.3, 0.7):
        kill_at_work(command, env, took * share, tmp_path, stage, whole)
    after = run(stage, inputs, tmp_path)
    assert after.name == whole.name == folders[before].name
    for file in folders[before].glob("*.parquet"):
        assert file.read_bytes() == (after / file.name).read_bytes(), file.name
