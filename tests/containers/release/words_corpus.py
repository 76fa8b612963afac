"""Sealed batches of sentences with their words, as a harvest leaves them, and the stages from there to a release."""

from __future__ import annotations

import io
import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import soundfile
import speech_rows
from release_corpus import REPOSITORY, Warehouse, local
from sentence_rows import sentence

from release import seal, split_speakers
from release.words import collect, package, publish

RATE = 16_000
LANGUAGE = {"dataset": "spoken_words", "language": "en"}
TEXTS = (
    "go con either/or go",
    "polish Polish straße go",
    "con nul.txt go either/or",
    "straße polish go con",
    "extraordinarily go con",
)
"""Device names, a slash, twins, a word twice in a sentence, and one that lasts 1.2 s."""


def said(number: int, text: str, speaker: str, gender: str | None) -> tuple[dict[str, Any], bytes, list[dict[str, Any]]]:
    """A sentence, its audio (noise that no other has) and its words: 0.4 s each from 0.5 s on, a long one 1.2 s."""
    seconds = 4.0
    samples = np.random.default_rng(number).integers(-3000, 3000, round(seconds * RATE)).astype(np.int16)
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="WAV", subtype="PCM_16")
    given = {
        "clip": f"common_voice_en_{1000 + number}.wav", "source": "common_voice", "source_version": "6.1", "gender": gender,
        "license_evidence": "stated at: read there",
    }  # fmt: skip
    row = sentence(text, file.getvalue(), speaker, seconds, **given)
    words, at = [], 0.5
    for index, token in enumerate(row["tokens"]):
        word = row["text_raw"][token["char_start"] : token["char_end"]]
        end = at + (1.2 if word == "extraordinarily" else 0.4)
        words.append(
            {
                "sentence_id": row["sentence_id"], "index": index,
                "char_start": token["char_start"], "char_end": token["char_end"],
                "word": word, "word_raw": word, "start_s": at, "end_s": end, "score": -1.0, "fault": None,
                "phones": [{"phone": word[0], "start_s": at, "end_s": end}],
            }
        )  # fmt: skip
        at = end + 0.1
    return row, file.getvalue(), words


def corpus(first: int, last: int, speakers: int = 8) -> list[tuple[dict[str, Any], bytes, list[dict[str, Any]]]]:
    """Sentences number ``first`` to ``last``; every fourth speaker's gender is not stated."""
    genders = ("female", "male", "male_masculine", None)
    return [said(n, TEXTS[n % len(TEXTS)], f"speaker-{n % speakers}", genders[n % speakers % 4]) for n in range(first, last)]


@dataclass
class Words:
    """A warehouse of the spoken words."""

    home: Warehouse
    folders: int = 0
    skipped: list[tuple[str, bool]] = field(default_factory=list)
    """Stages of the image ``keywords`` as they ran: name, whether its output was there already."""

    def month(self, key: str, sentences: list[tuple[dict[str, Any], bytes, list[dict[str, Any]]]]) -> None:
        """Seal a batch of two shards."""
        half = len(sentences) // 2
        uris = []
        for part in (sentences[:half], sentences[half:]):
            seconds = sum(s["duration_s"] for s, _, _ in part)
            side = {"units": len(part), "seconds": seconds}
            account = {"unit": "sentence", "in": side, "out": side, "rejected": {}}
            audio = [{"sentence_id": s["sentence_id"], "audio": a} for s, a, _ in part]
            for stage, tables in (
                ("ingest.prepare", {"sentences": [s for s, _, _ in part], "sentence_audio": audio}),
                ("words.align", {"sentence_words": [w for _, _, words in part for w in words]}),
            ):
                self.folders += 1
                path = self.home.root / f"batches/spoken_words/en/{key}/{stage}/{self.folders:032x}"
                uris.append(speech_rows.folder(path, tables, stage=stage, ledger=account))
        self.home.stage(seal.run, f"batches/spoken_words/en/{key}/seal", uris, **LANGUAGE, key=key)

    def keywords(self, stage: str, base: str, inputs: list[str], **params: Any) -> str:
        """Run a stage of the image ``keywords`` in its own environment; its output, empty where there was nothing to do."""
        receipt = self.home.root / "receipt.json"
        argv = [str(REPOSITORY / ".venvs/keywords/bin/python"), "-m", "keywords", stage, "--output", self.home.uri(base)]
        argv += [x for uri in inputs for x in ("--input", uri)]
        argv += ["--params", json.dumps(params), "--receipt", receipt.as_uri(), "--workers", "1", "--quiet"]
        path = os.pathsep.join(str(REPOSITORY / "containers" / name) for name in ("stagekit", "keywords"))
        run = subprocess.run(argv, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False)
        assert run.returncode in (0, 99), run.stderr
        if run.returncode == 99:
            return ""
        said = json.loads(receipt.read_text())
        self.skipped.append((stage, said["skipped"]))
        return str(said["output"])

    def release(
        self, version: str, parent: str = "", min_clips: int = 2, policy: dict[str, Any] | None = None, **given: Any
    ) -> dict[str, Any]:
        """All stages of a release; stage → outcome or output, and ``folder``. Noise has no policy unless one is given."""
        base, home = f"work/spoken_words/en/{version}", self.home
        got = home.stage(collect.run, f"{base}/collect", [], **LANGUAGE, until=version[:7])
        copy = {"before": home.uri("releases/spoken_words/en", parent, "index") if parent else "", "root": home.uri("")}
        selected = self.keywords("select", f"{base}/select", [got.output], min_clips=min_clips, min_graphemes=2)
        cuts = [
            self.keywords("cut", "work/spoken_words/en/clips/cut", [audio, f"{selected}#{n:05d}"], **copy)
            for n, audio in enumerate(got.success["metrics"]["audio"])
        ]
        cuts = [uri for uri in cuts if uri]
        scores = self.keywords("outliers", "work/spoken_words/en/clips/outliers", cuts)
        before = [f"parent={home.uri('releases/spoken_words/en', parent, 'index')}"] if parent else []
        inputs = [got.output, selected, *cuts, scores, *before]
        split = home.stage(split_speakers.run, f"{base}/split", inputs, **LANGUAGE, version=version, policy=policy or {})
        inputs = [got.output, *cuts, scores, split.output, *before]
        packed = home.stage(package.run, f"{base}/package", inputs, **LANGUAGE, **given)
        inputs = [got.output, selected, *packed.success["metrics"]["cuts"], scores, split.output, packed.output]
        place = {**LANGUAGE, "version": version, "parent": parent, "name": "English"}
        published = home.stage(publish.run, f"{base}/publish", inputs, **place)
        return {
            "collect": got, "select": selected, "cut": cuts, "outliers": scores, "split": split, "package": packed,
            "publish": published, "folder": home.root / "releases/spoken_words/en" / version,
        }  # fmt: skip


__all__ = ["RATE", "Words", "corpus", "local"]


def packed(folder: Path) -> dict[str, dict[str, Any]]:
    """clip_id → row, of all packed files of a release."""
    files = sorted((folder / "data").rglob("*.parquet"))
    return {r["clip_id"]: r for f in files for r in pq.ParquetFile(f).read().to_pylist()}
