"""Word boundaries of a CTC model, and what ``words refine`` makes of them, against exact ones: bench/results/ctc-boundaries.md.

    python tests/known_answers/words/speak.py build/said SENTENCES.txt --utterances 400 --seed 7
    .venvs/align/bin/python bench/ctc_align/boundaries.py --spoken build/said --model FOLDER --model-sha256 …

Sentences of one voice become one recording, whose text is theirs; the stages are run as anybody would, each in its environment:
recognize and align with the model, then refine. A word counts where it was kept; its error is its time less the true one.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import soundfile

REPO = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPO / "containers/stagekit"), str(REPO / "tests/containers")]
RATE = 16_000

Truth = dict[tuple[str, int], tuple[float, float]]
"""(document, char_start) → seconds."""


def corpus(spoken: Path, folder: Path) -> tuple[str, Truth]:
    """A folder such as `ingest fetch` leaves, a recording a voice; and the words' true times."""
    from speech_rows import document, recording
    from speech_rows import folder as write

    tables: dict[str, list[dict[str, Any]]] = {"recordings": [], "documents": []}
    truth: Truth = {}
    by_voice: dict[str, list[tuple[str, Any]]] = {}
    for name, row in json.loads((spoken / "truth.json").read_text(encoding="utf-8")).items():
        by_voice.setdefault(row["speaker"], []).append((name, row))
    for voice, sentences in by_voice.items():
        sounds, text, tokens, at = [], "", [], 0
        for name, row in sentences:
            samples = soundfile.read(spoken / f"{name}.wav", dtype="int16")[0]
            for a, b, start, end in row["words"]:
                tokens.append({"word": letters(row["text"][a:b]), "char_start": len(text) + a, "char_end": len(text) + b})
                truth[f"doc-{voice}", len(text) + a] = (at / RATE + start, at / RATE + end)
            sounds.append(samples)
            text, at = text + row["text"] + "\n", at + len(samples)
        path = folder.parent / f"{voice}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.concatenate(sounds), RATE, subtype="PCM_16")
        tables["recordings"].append(recording(voice, str(path), at))
        tables["documents"].append(document(f"doc-{voice}", voice, text, tokens=tokens))
    return write(folder, tables, stage="ingest.fetch"), truth


def letters(text: str) -> str:
    """A word in lower-case letters."""
    plain = unicodedata.normalize("NFKD", text.lower().replace("\u2019", "'")).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z']", "", plain)


def run(venv: str, image: str, stage: str, inputs: list[str], out: Path, params: Mapping[str, Any]) -> str:
    """Run a stage; its folder."""
    receipt = out / f"{stage}.json"
    command = [str(REPO / f".venvs/{venv}/bin/python"), "-m", image, stage, "--output", str(out / stage), "--quiet"]
    command += ["--receipt", str(receipt), "--params", json.dumps(params), "--workers", "1"]
    for uri in inputs:
        command += ["--input", uri]
    path = os.pathsep.join(str(REPO / "containers" / p) for p in ("stagekit", image))
    subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, check=True)
    return str(json.loads(receipt.read_text())["output"])


def rows(folder: str, table: str) -> list[dict[str, Any]]:
    """All rows of a table."""
    files = sorted(Path(folder.removeprefix("file://")).glob(f"{table}-*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def errors(words: list[dict[str, Any]], documents: Mapping[str, str], truth: Truth) -> dict[str, Any]:
    """Errors of starts and of ends in milliseconds, each first start and last end of a segment left out."""
    last = {w["segment_id"]: w["index"] for w in words}
    found: dict[str, list[float]] = {"starts": [], "ends": []}
    for w in words:
        true = truth[documents[w["segment_id"]], w["char_start"]]
        if w["index"]:
            found["starts"].append(1000 * (w["start_s"] - true[0]))
        if w["index"] < last[w["segment_id"]]:
            found["ends"].append(1000 * (w["end_s"] - true[1]))
    return {k: np.array(v) for k, v in found.items()}


def line(name: str, found: Mapping[str, Any]) -> str:
    """A row of the table."""
    cells = []
    for side in ("starts", "ends"):
        x = found[side]
        size = np.abs(x)
        cells.append(f"{np.median(x):+.0f} | {np.median(size):.0f} | {size.mean():.0f} | {100 * np.mean(size <= 50):.0f}")
    return f"| {name} | {len(found['starts'])} | {' | '.join(cells)} |"


def main() -> None:
    """Command line."""
    p = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    p.add_argument("--spoken", type=Path, required=True, help="folder of speak.py")
    p.add_argument("--model", required=True, help="checkpoint folder")
    p.add_argument("--model-sha256", required=True)
    p.add_argument("--biased", action="store_true", help="the recogniser is told of the document, as a weak model has to be")
    p.add_argument("--out", type=Path, default=REPO / "bench/results/ctc-boundaries.md")
    a = p.parse_args()
    with tempfile.TemporaryDirectory(prefix="boundaries-") as scratch:
        base = Path(scratch)
        fetched, truth = corpus(a.spoken, base / "fetched")
        model = {"recognizer": "torchaudio", "model": a.model, "model_sha256": a.model_sha256}
        heard = run("align-gpu", "align", "recognize", [fetched], base, model | {"biased": a.biased})
        aligned = run("align", "align", "align", [fetched, heard], base, {"recognizer": "torchaudio"})
        refined = run("words", "words", "refine", [fetched, aligned], base, {})
        documents = {s["segment_id"]: s["document_id"] for s in rows(aligned, "segments")}
        before, after = rows(aligned, "words"), rows(refined, "words")
        hours = sum(r["duration_s"] for r in rows(fetched, "recordings")) / 3600
    better = sum(w["timed_by"] == "refine" for w in after)
    table = [
        "# Word boundaries of a CTC model, and refined", "",
        f"`bench/ctc_align/boundaries.py`, {datetime.now(UTC):%Y-%m-%d}: {hours:.2f} h said by eSpeak NG in "
        f"{len(set(documents.values()))} voices, with exact word times; model_sha256 {a.model_sha256[:12]}…. {len(before)} of "
        f"{len(truth)} words were kept by `align`, {better} of these got new times from `refine`. Milliseconds; inside segments, "
        "whose own edges stay.", "",
        "| times of | words | starts: median | size: median | mean | within 50 ms, % "
        "| ends: median | size: median | mean | within 50 ms, % |",
        "|---|---|---|---|---|---|---|---|---|---|",
        line("`align`, the CTC model", errors(before, documents, truth)),
        line("`refine`", errors(after, documents, truth)),
    ]  # fmt: skip
    a.out.write_text("\n".join(table) + "\n", encoding="utf-8")
    print("\n".join(table))


if __name__ == "__main__":
    main()
