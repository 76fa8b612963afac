"""Runs the product's own stages on a source folder, as a person would from a shell, and reads what they wrote."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from evaluate import Keep, Segment, Word
from signal_tools import RATE

REPO = Path(__file__).resolve().parents[2]
POLICY = REPO / "config" / "policies" / "peoples_speech.yaml"


class StageFailed(RuntimeError):
    """A stage ended with an exit code other than 0. The message holds its last lines."""


@dataclass
class Run:
    """What the stages made of a source folder."""

    documents: dict[str, str] = field(default_factory=dict)
    """Item identifier → `documents.text`; items that ingest turned away are missing."""
    segments: dict[str, list[Segment]] = field(default_factory=dict)
    rejections: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Item identifier → rejections of the item, its document or stretches of its recording."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Stage → wall seconds."""


def run_stage(
    image: str, stage: str, inputs: list[str], output: Path, params: Mapping[str, object], workers: int | None = None
) -> str:
    """Run one stage in its image's environment (with torch, where its recogniser needs that); the folder it wrote.

    Raises:
        StageFailed: exit code other than 0.
    """
    receipt = output / "receipts" / f"{image}-{stage}.json"
    receipt.parent.mkdir(parents=True, exist_ok=True)
    venv = f"{image}-gpu" if stage == "recognize" and params.get("recognizer") == "torchaudio" else image
    command = [str(REPO / f".venvs/{venv}/bin/python"), "-m", image, stage]
    for uri in inputs:
        command += ["--input", uri]
    command += ["--output", str(output / stage), "--params", json.dumps(params), "--receipt", str(receipt), "--quiet"]
    command += [] if workers is None else ["--workers", str(workers)]
    path = os.pathsep.join(str(REPO / "containers" / p) for p in ("stagekit", image))
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StageFailed(f"{image} {stage} exited {done.returncode}: {done.stderr.strip()[-2000:]}")
    return str(json.loads(receipt.read_text())["output"])


def rows(folder: str, table: str) -> list[dict[str, Any]]:
    """All rows of a table in a stage's folder."""
    out: list[dict[str, Any]] = []
    for part in sorted(Path(folder.removeprefix("file://")).glob(f"{table}-*.parquet")):
        out += pq.read_table(part).to_pylist()
    return out


def ingest(source: Path, work: Path) -> tuple[str, str]:
    """discover and fetch a source folder."""
    params = {"source": "folder", "location": str(source), "language": "en", "month": "2026.01"}
    items = run_stage("ingest", "discover", [], work, params)
    return items, run_stage("ingest", "fetch", [items], work, {"store": str(work / "recordings")})


def harvest(
    source: Path, work: Path, workers: int | None = None, listening: Mapping[str, object] | None = None, biased: bool = False
) -> Run:
    """Run ingest and align on a source folder.

    Args:
        source: the source folder.
        work: where the stages write.
        workers: of each stage.
        listening: parameters of recognize; align and score get the recogniser's name.
        biased: recognize is told of the document.

    Raises:
        StageFailed: a stage did not end well.
    """
    run = Run()
    started = time.monotonic()

    def took(stage: str) -> None:
        nonlocal started
        run.seconds[stage], started = time.monotonic() - started, time.monotonic()

    items, fetched = ingest(source, work)
    took("ingest")
    given = listening or {}
    heard = run_stage("align", "recognize", [fetched], work, {**given, **({"biased": True} if biased else {})}, workers)
    took("recognize")
    reading = {"recognizer": given["recognizer"]} if "recognizer" in given else {}
    aligned = run_stage("align", "align", [fetched, heard], work, reading, workers)
    took("align")
    scored = run_stage("align", "score", [fetched, heard, aligned], work, reading, workers)
    took("score")
    read(run, [items, fetched, heard, aligned, scored])
    return run


def read(run: Run, folders: list[str]) -> None:
    """Fill a Run from the folders of discover, fetch, recognize, align and score."""
    _, fetched, _, aligned, scored = folders
    of_document = {i["document_id"]: i["identifier"] for i in rows(fetched, "items") if i["document_id"]}
    of_recording = {i["recording_id"]: i["identifier"] for i in rows(fetched, "items") if i["recording_id"]}
    for document in rows(fetched, "documents"):
        if document["document_id"] in of_document:
            run.documents[of_document[document["document_id"]]] = document["text"]
    words: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for word in rows(aligned, "words"):
        words[word["segment_id"]].append(word)
    found: dict[str, list[Segment]] = defaultdict(list)
    for s in rows(scored, "segments"):
        ordered = sorted(words[s["segment_id"]], key=lambda w: w["index"])
        found[of_document[s["document_id"]]].append(
            Segment(
                s["segment_id"], s["start_sample"] / RATE, s["end_sample"] / RATE, s["speech_start_s"], s["speech_end_s"],
                [Word(w["word"], w["start_s"], w["end_s"], w["char_start"], w["char_end"]) for w in ordered], s,
            )
        )  # fmt: skip
    run.segments = {k: sorted(v, key=lambda s: s.start_s) for k, v in found.items()}
    rejected: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for folder in folders:
        for r in rows(folder, "rejections"):
            ident = str(r["id"])
            item = (
                of_recording.get(ident)
                or of_document.get(ident)
                or of_document.get(str(r["parent_id"]))
                or ident.split("/")[0].split(":")[-1]
            )
            rejected[item].append(r)
    run.rejections = dict(rejected)


def everything(_: Segment) -> bool:
    """Keeps what alignment kept."""
    return True


def policy(path: Path = POLICY) -> Keep:
    """The release policy's clip bounds as a function. YAML is read in the release image's environment, which has a parser."""
    script = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))"
    done = subprocess.run(
        [str(REPO / ".venvs/release/bin/python"), "-c", script, str(path)], capture_output=True, text=True, check=True
    )
    rules = json.loads(done.stdout)

    def within(segment: Segment, bounds: Mapping[str, Mapping[str, Any]]) -> bool:
        for column, bound in bounds.items():
            low, high = bound.get("min"), bound.get("max")
            value = segment.columns[column]
            if low is None and high is None:
                continue
            if value is None:
                if not bound.get("null_passes"):
                    return False
                continue
            number = float(str(value))
            if (low is not None and number < low) or (high is not None and number >= high):
                return False
        return True

    def keep(segment: Segment) -> bool:
        return within(segment, rules["require"]) and any(within(segment, subset) for subset in rules["subsets"].values())

    return keep


def reasons(run: Run, identifier: str) -> Counter[str]:
    """Reasons of an item's rejections, with their seconds (1 where a rejection has none)."""
    out: Counter[str] = Counter()
    for r in run.rejections.get(identifier, []):
        out[r["reason"]] += max(r["end_s"] - r["start_s"], 0) or 1
    return out
