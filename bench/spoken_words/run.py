"""Real releases of Common Voice, and its like, through every stage of both DAGs, from the list of clips to a published release.

From the repository's root, with folders as SOURCES of ``samples/spoken_words`` names them (each may be left out):
python3.11 bench/spoken_words/run.py --work /tmp/spoken --write \
    --cv61 cv-corpus-6.1-2020-12-11 --delta cv-corpus-18.0-delta-2024-06-14 --samromur demo_data \
    --languages ru,ar,hi,th,zh-CN,rw --espeak sentences.txt --espeak-language de --utterances 400

Each stage runs as the process runner runs it, with the registry's own entry of the language (``config/languages.yaml``), but for
what so few sentences need: a model from 12 sentences on, keywords from two clips on. The figures are the receipts'.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "bench"))

from used import Used, run  # noqa: E402

RESULTS = REPO / "bench/results/spoken-words.md"
DATASET = "spoken_words"
FEW = {"train": {"min_sentences": 12}, "select": {"min_clips": 2}}
SAMROMUR = {
    "source": "tsv", "listed": "metadata.tsv", "clips": "", "license_url": "https://creativecommons.org/licenses/by/4.0/",
    "license_evidence": "README: The Samromur speech corpus is an open (CC-BY 4 licence) and accessible database of voices",
    "columns": {
        "clip": "audio/{status}/{speaker_id}/{filename}", "text": "sentence", "speaker": "speaker_id", "gender": "gender",
        "age": "age", "accent": "dialect", "duration_s": "duration", "keep": {"is_valid": ["1.0"]}, "null": ["NAN"],
    },
}  # fmt: skip


class StageFailed(RuntimeError):
    """A stage ended with another code than 0 and 99; the message is its last line."""


@dataclass
class Chain:
    """One language of a warehouse of its own, from a month's release of its source to releases of ours."""

    code: str
    name: str
    root: Path
    text: dict[str, Any] | None
    workers: int
    few: dict[str, dict[str, Any]] = field(default_factory=lambda: FEW)
    """Parameters of single stages that differ from their defaults."""
    used: list[tuple[str, Used]] = field(default_factory=list)
    """Each run of a stage, and what it took, in their order."""

    def stage(self, image: str, name: str, base: str, inputs: list[str], /, **params: Any) -> dict[str, Any]:
        """Run a stage; its receipt, empty where there was nothing to do.

        Raises:
            StageFailed: it failed.
        """
        receipt = self.root / "receipt.json"
        receipt.unlink(missing_ok=True)
        argv = [str(REPO / f".venvs/{image}/bin/python"), "-m", image, name, "--output", (self.root / base / name).as_uri()]
        argv += [x for uri in inputs for x in ("--input", uri)]
        argv += ["--params", json.dumps(params), "--receipt", receipt.as_uri(), "--workers", str(self.workers), "--quiet"]
        path = os.pathsep.join(str(REPO / "containers" / part) for part in ("stagekit", image))
        code, lines, used = run(argv, os.environ | {"PYTHONPATH": path})
        self.used.append((f"{image} {name}", used))
        if code == 99:
            return {}
        if code:
            raise StageFailed(f"{image} {name}: {lines[-1] if lines else code}")
        return dict(json.loads(receipt.read_text()))

    @property
    def place(self) -> dict[str, str]:
        """Parameters of the stages of a release."""
        return {"root": self.root.as_uri(), "dataset": DATASET, "language": self.code}

    def harvest(self, month: str, known: list[str], **source: Any) -> list[str]:
        """A month's harvest, sealed; the folders of ``prepare`` that it made."""
        base = f"batches/{DATASET}/{self.code}/{month}"
        before = [f"known={uri}" for uri in known]
        voices = self.stage("ingest", "voices", base, before, language=self.code, **source)
        prepared = []
        for shard in voices.get("shards", []):
            prepared.append(self.stage("ingest", "prepare", base, [shard], text=self.text).get("output", ""))
        prepared = [uri for uri in prepared if uri]
        made = [voices["output"]] if voices else []
        if prepared:
            train = self.stage("words", "train", base, [*prepared, *before], **self.few.get("train", {}))["output"]
            words = [self.stage("words", "align", base, [uri, f"model={train}"]).get("output", "") for uri in prepared]
            made += [train, *prepared, *(uri for uri in words if uri)]
        self.stage("release", "seal", base, made, **self.place, key=month)
        return prepared

    def release(self, version: str, parent: str = "") -> dict[str, Any]:
        """A release; ``release.json`` and the gate's metrics, or why there is none."""
        base, before = f"work/{DATASET}/{self.code}/{version}", []
        if parent:
            before = [(self.root / f"releases/{DATASET}/{self.code}/{parent}/index").as_uri()]
        policy = config("policies/spoken_words.yaml")
        collect = self.stage("release", "collect_words", base, [], **self.place, until=version[:7])
        select = self.stage("keywords", "select", base, [collect["output"]], text=self.text or {}, **self.few.get("select", {}))
        clips = f"work/{DATASET}/{self.code}/clips"
        cuts = [
            self.stage("keywords", "cut", clips, [audio, f"{select['output']}#{n:05d}"]).get("output", "")
            for n, audio in enumerate(collect["metrics"]["audio"])
        ]
        cuts = [uri for uri in cuts if uri]
        if not cuts:
            raise StageFailed("keywords select: no word has clips enough")
        scores = self.stage("keywords", "outliers", clips, cuts)["output"]
        inputs = [collect["output"], select["output"], *cuts, scores]
        old = [f"parent={uri}" for uri in before]
        split = self.stage("release", "split_speakers", base, [*inputs, *old], **self.place, version=version, policy=policy)
        inputs = [collect["output"], *cuts, scores, split["output"], *old]
        package = self.stage("release", "package_words", base, inputs, **self.place)
        cuts = package["metrics"]["cuts"]
        inputs = [select["output"], *cuts, scores, split["output"], *(f"shard_rows={uri}" for uri in before)]
        gate = self.stage("quality", "check", base, inputs, suite=DATASET, report=(self.root / "quality").as_uri())
        inputs = [collect["output"], select["output"], *cuts, scores, split["output"], package["output"]]
        about = {"version": version, "parent": parent, "name": self.name, "warnings": gate["metrics"]["warnings"]}
        done = self.stage("release", "publish_words", base, inputs, **self.place, **about)
        if not done["metrics"]["published"]:
            raise StageFailed(f"publish_words: {done['metrics']['why']}")
        folder = self.root / f"releases/{DATASET}/{self.code}/{version}"
        return {
            "about": json.loads((folder / "release.json").read_text()),
            "ledger": json.loads((folder / "ledger.json").read_text()),
            "split": split["metrics"],
        }


def config(name: str) -> Any:
    """A file of ``config/``, read in an environment that has a YAML parser."""
    code = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1], encoding='utf-8'))))"
    argv = [str(REPO / ".venvs/release/bin/python"), "-c", code, str(REPO / "config" / name)]
    return json.loads(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)


def row(chain: Chain, what: str, made: dict[str, Any]) -> str:
    """A line of the table."""
    about, split, stages = made["about"], made["split"], made["ledger"]["stages"]
    batches = made["ledger"]["batches"].values()
    sentences = stages["release.collect_words"]["out"]
    words = sum(b["stages"]["words.align"]["in"]["seconds"] for b in batches if "words.align" in b["stages"])
    listed = sum(b["in"]["units"] for b in batches)
    parts = "/".join(str(about["totals"]["parts"][s]["clips"]) for s in ("train", "dev", "test"))
    cells = [
        what, f"{listed:,}", f"{sentences['units']:,}", f"{words / 60:.1f}", f"{about['totals']['keywords']:,}",
        f"{about['totals']['clips']:,}", f"{about['totals']['speech_s']:.1f}", str(split["speakers"]),
        str(split["kept_out"].get("policy", 0)), parts, f"{sum(used.wall_s for _, used in chain.used):.0f}",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def speak(sentences: Path, language: str, utterances: int, target: Path) -> dict[str, dict[str, Any]]:
    """Synthetic speech: ``<name>.wav`` for each name of what comes back, with its ``speaker`` and ``text``."""
    argv = [str(REPO / ".venvs/align/bin/python"), str(REPO / "tests/known_answers/words/speak.py"), str(target)]
    argv += [str(sentences), "--language", language, "--utterances", str(utterances)]
    path = os.pathsep.join(str(REPO / "containers" / part) for part in ("stagekit", "align"))
    subprocess.run(argv, env=os.environ | {"PYTHONPATH": path}, check=True)
    return dict(sorted(json.loads((target / "truth.json").read_text(encoding="utf-8")).items()))


def write_list(folder: Path, language: str, clips: Iterable[tuple[str, str, str, str]]) -> None:
    """The list of a release of Common Voice, of (speaker, clip, text, gender)."""
    lines = ["client_id\tpath\tsentence\tup_votes\tdown_votes\tage\tgender\taccent\tlocale\tsegment"]
    lines += [f"{speaker}\t{clip}\t{text}\t2\t0\t\t{gender}\t\t{language}\t" for speaker, clip, text, gender in clips]
    (folder / "validated.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def espeak(sentences: Path, language: str, utterances: int, target: Path) -> Path:
    """A corpus of synthetic speech in the layout of Common Voice; its folder. Made once."""
    folder = target / "cv-corpus-espeak" / language
    if (folder / "validated.tsv").exists():
        return folder.parent
    truth = speak(sentences, language, utterances, target / "spoken")
    (folder / "clips").mkdir(parents=True)
    clips = []
    for number, (name, one) in enumerate(truth.items()):
        clips.append((one["speaker"], f"common_voice_{language}_{number}.wav", one["text"], ""))
        shutil.copy(target / f"spoken/{name}.wav", folder / "clips" / clips[-1][1])
    write_list(folder, language, clips)
    return folder.parent


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("work", "cv61", "delta", "samromur", "espeak"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--languages", default="", help="of --cv61, beside English")
    parser.add_argument("--espeak-language", default="de")
    parser.add_argument("--utterances", type=int, default=400)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--write", action="store_true", help=f"to {RESULTS.name}")
    asked = parser.parse_args()
    registry = config("languages.yaml")[DATASET]
    rows: list[str] = []
    said: list[str] = []

    def chain(code: str, label: str) -> Chain:
        entry = registry[code]
        return Chain(code, entry["name"], asked.work.resolve() / label, entry.get("text"), asked.workers)

    def attempt(one: Chain, what: str, months: list[tuple[str, dict[str, Any]]]) -> None:
        """Harvest and release each month on top of the last."""
        known: list[str] = []
        parent = ""
        for month, source in months:
            label = f"{what} {source['version']}" + (" on top" if parent else "")
            try:
                known += one.harvest(month, known, **source)
                made = one.release(month, parent)
            except StageFailed as error:
                said.append(f"- {label}: no release: {error}")
                print(said[-1], file=sys.stderr)
                return
            parent = month
            rows.append(row(one, label, made))
            said.append(f"- {label}:")
            said.extend(f"  - {warning}" for warning in made["about"]["warnings"])
            print(rows[-1], flush=True)

    if asked.cv61:
        months = [("2020.12", {"location": str(asked.cv61.resolve()), "version": "6.1"})]
        if asked.delta:
            months.append(("2024.06", {"location": str(asked.delta.resolve()), "version": "18.0", "clips": "validated_clips"}))
        attempt(chain("en", "en"), "English", months)
        for code in filter(None, asked.languages.split(",")):
            one = chain(code, code)
            attempt(one, one.name, [("2020.12", {"location": str(asked.cv61.resolve()), "version": "6.1"})])
    if asked.samromur:
        source = {"location": str(asked.samromur.resolve()), "version": "demo", **SAMROMUR}
        attempt(chain("is", "is"), "Icelandic (Samrómur)", [("2024.06", source)])
    if asked.espeak:
        folder = espeak(asked.espeak, asked.espeak_language, asked.utterances, asked.work.resolve() / "espeak")
        one = chain(asked.espeak_language, f"espeak-{asked.espeak_language}")
        attempt(one, f"{one.name} (eSpeak NG)", [("2024.06", {"location": str(folder), "version": "espeak"})])
    columns = "corpus, rows listed, sentences, minutes, keywords, clips, words s, speakers, kept out, train/dev/test, wall s"
    head = f"| {columns.replace(', ', ' | ')} |"
    text = [
        "# Spoken words: real releases, end to end", "",
        "Made by `bench/spoken_words/run.py`: every stage of both DAGs on real clips of Common Voice and Samrómur. The lists are",
        "whole, the clips are samples: what has no clip is rejected (`no_audio`) and counted. A model from 12 sentences on and",
        "keywords from two clips on, where a corpus has 25 sentences and five clips: these releases show that the chain holds,",
        "not that so little is worth training on, and they say so themselves (below). `minutes` are of audio aligned, `words s`",
        "the seconds in which the keywords are spoken, `kept out` clips beyond the policy's bound.", "",
        head, f"|---{'|---' * (head.count('|') - 2)}|", *rows, "", "## What the releases warn of", "", *said,
    ]  # fmt: skip
    print("\n".join(text))
    if asked.write:
        RESULTS.write_text("\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
