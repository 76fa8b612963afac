"""Time, memory, storage and cost of a release of a language the size of English: 2 million sentences, 10 million clips.

From the repository's root; needs eSpeak NG:
.venvs/align/bin/python bench/spoken_words/scale.py --work /tmp/scale --write

A corpus of synthetic speech in the layout of Common Voice (MP3 at 48 kHz, 22 sentences a speaker, words drawn by Zipf's law from
CMUdict) goes through every stage of both DAGs, with the registry's entry of English: two shards of 5,000 sentences, and four. A
stage that is mapped over shards takes of each of 400 what it took of these; one that takes the language as a whole, a constant
and so much a unit, by the line through the two, which its memory follows too. `words train` learns from ten hours at most:
bench/results/words-scale.md has its figures.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import sys
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from itertools import accumulate
from pathlib import Path
from textwrap import fill
from typing import Any

import soundfile
import soxr
from run import REPO, Chain, config, speak, write_list

sys.path[:0] = [str(REPO), str(REPO / "tests/known_answers/words"), str(REPO / "tests/known_answers")]

from used import Used  # noqa: E402
from word_aligners import machine  # noqa: E402

from operators.profiles import PROFILES, profile_name  # noqa: E402

RECORDS = REPO / "bench/results/spoken-words-scale.json"
TABLE = RECORDS.with_suffix(".md")
DICTIONARY = REPO / ".venvs/align/lib/python3.11/site-packages/pocketsphinx/model/en-us/cmudict-en-us.dict"
SENTENCES, CLIPS, SHARD = 2_000_000, 10_000_000, 5_000
SIZES = 2 * SHARD, 4 * SHARD
"""Sentences that are measured. The larger gives more clips than `keywords outliers` learns from (60,000), the smaller some
57,000, so that nearly all of what grows is in both."""
PER_SPEAKER = 22
"""Common Voice's English has about 90,000 speakers."""
VOCABULARY, WORDS = 38_000, (5, 15)
"""Keywords of the original's English; words of a sentence."""
MAPPED = ("ingest prepare", "words align", "keywords cut")
"""One task a shard."""
TRAIN = "words train"
PER_SENTENCE = ("ingest voices", "release seal", "release collect_words", "keywords select")
"""What goes by sentences; all else of what takes the whole language goes by clips."""
PARALLEL = (*MAPPED, "keywords outliers")
"""Stages with worker processes; others leave all but one of a pod's cores idle, which are paid for."""


def sentences(wanted: int, seed: int) -> list[str]:
    """Sentences of words drawn by Zipf's law, short ones the more often."""
    rng = random.Random(seed)
    words = [line.split()[0] for line in DICTIONARY.read_text(encoding="utf-8").splitlines() if re.match(r"[a-z]+ ", line)]
    words = sorted(words, key=lambda w: len(w) + rng.gauss(0, 2))[:VOCABULARY]
    weights = list(accumulate(1 / (rank + 2.7) for rank in range(len(words))))
    found: dict[str, None] = {}
    while len(found) < wanted:
        text = " ".join(rng.choices(words, cum_weights=weights, k=rng.randint(*WORDS)))
        found[text[0].upper() + text[1:] + "."] = None
    return list(found)


def _mp3(job: tuple[Path, Path]) -> None:
    source, target = job
    samples, rate = soundfile.read(source, dtype="float32")
    soundfile.write(target, soxr.resample(samples, rate, 48_000), 48_000, format="MP3")
    source.unlink()


def corpus(wanted: int, folder: Path, workers: int) -> Path:
    """A release in the layout of Common Voice; its folder. Made once."""
    release = folder / "cv-corpus-synthetic"
    if (release / "en/validated.tsv").exists():
        return release
    spoken, clips = folder / "spoken", release / "en/clips"
    clips.mkdir(parents=True, exist_ok=True)
    folder.joinpath("sentences.txt").write_text("\n".join(sentences(wanted + wanted // 4, wanted)) + "\n", encoding="utf-8")
    rows, jobs = [], []
    for n, (name, one) in enumerate(speak(folder / "sentences.txt", "en-us", wanted, spoken).items()):
        speaker, clip = n // PER_SPEAKER, f"common_voice_en_{n}.mp3"
        jobs.append((spoken / f"{name}.wav", clips / clip))
        rows.append((f"speaker-{speaker}", clip, one["text"], ("male", "female", "")[speaker % 3]))
    with ProcessPoolExecutor(workers) as pool:
        list(pool.map(_mp3, jobs, chunksize=50))
    shutil.rmtree(spoken)
    write_list(release / "en", "en", rows)
    return release


def part(whole: Path, wanted: int, folder: Path) -> Path:
    """The release of the first so many rows of another; its folder."""
    made, source = folder / whole.name, whole / "en"
    (made / "en/clips").mkdir(parents=True, exist_ok=True)
    lines = (source / "validated.tsv").read_text(encoding="utf-8").split("\n")[: wanted + 1]
    for line in lines[1:]:
        clip = made / "en/clips" / line.split("\t")[1]
        clip.unlink(missing_ok=True)
        os.link(source / "clips" / clip.name, clip)
    (made / "en/validated.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return made


def measure(source: Path, work: Path, workers: int) -> dict[str, Any]:
    """Both DAGs on a release, from nothing."""
    root = work / "warehouse"
    shutil.rmtree(root, ignore_errors=True)
    entry = config("languages.yaml")["spoken_words"]["en"]
    chain = Chain("en", entry["name"], root, entry["text"], workers, few={})
    chain.harvest("2024.06", [], location=str(source), version="synthetic", shard_clips=SHARD)
    made = chain.release("2024.06")
    totals, taken = made["about"]["totals"], made["ledger"]["stages"]["release.collect_words"]["out"]
    return {
        "sentences": taken["units"], "audio_s": taken["seconds"], "clips": totals["clips"], "keywords": totals["keywords"],
        "date": time.strftime("%Y-%m-%d"), "machine": machine(),
        "used": [{"stage": stage, **vars(used)} for stage, used in chain.used],
        "bytes": {name: _bytes(root / name) for name in ("batches", "work", "releases")}, "source": _bytes(source),
    }  # fmt: skip


def _bytes(folder: Path) -> int:
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())


def runs(record: dict[str, Any]) -> dict[str, list[Used]]:
    """Stage → its runs, in order."""
    found: dict[str, list[Used]] = defaultdict(list)
    for one in record["used"]:
        found[one["stage"]].append(Used(**{k: v for k, v in one.items() if k != "stage"}))
    return dict(found)


def projected(name: str, small: dict[str, Any], large: dict[str, Any]) -> tuple[float, float, str]:
    """(CPU seconds, MB of the largest process, what that is made of) of a stage over the whole language."""
    few, many = runs(small)[name], runs(large)[name]
    if name in MAPPED:
        all_of = few + many
        unit, whole = ("clips", CLIPS) if name == "keywords cut" else ("sentences", SENTENCES)
        each = sum(u.cpu_s for u in all_of) / (small[unit] + large[unit])
        return each * whole, max(u.peak_mb for u in all_of), f"{1000 * each:.2f} ms a {unit[:-1]}"
    unit, whole = ("sentences", SENTENCES) if name in PER_SENTENCE else ("clips", CLIPS)
    a, b = float(small[unit]), float(large[unit])
    each_s, each_mb = (max(0.0, (getattr(many[0], k) - getattr(few[0], k)) / (b - a)) for k in ("cpu_s", "peak_mb"))
    cpu, mb = many[0].cpu_s + each_s * (whole - b), many[0].peak_mb + each_mb * (whole - b)
    return cpu, mb, f"{1000 * each_s:.3f} ms, {1024 * each_mb:.2f} kB a {unit[:-1]}"


def table(small: dict[str, Any], large: dict[str, Any], core_usd: float, month_usd: float) -> str:
    """What was measured, and what follows."""
    pods = dict(config("languages.yaml")["spoken_words"]["en"].get("pods", {}))
    rows, total_s, paid_s, longest = [], 0.0, 0.0, ("", 0.0)
    for name in runs(large):
        if name == TRAIN:
            continue
        cpu, mb, made_of = projected(name, small, large)
        if name not in MAPPED:
            longest = max(longest, (name, cpu), key=lambda one: one[1])
        profile = profile_name(*name.split(), pods)
        total_s, paid_s = total_s + cpu, paid_s + cpu * (1 if name in PARALLEL else PROFILES[profile].cpu)
        took, grew = (
            " → ".join(f"{how(getattr(u, field) for u in runs(r)[name]):.0f}" for r in (small, large))
            for field, how in (("cpu_s", sum), ("peak_mb", max))
        )
        pod = f"{profile} ({PROFILES[profile].memory_gib})"
        rows.append(f"| {' | '.join([name, took, grew, made_of, f'{cpu / 3600:.1f}', f'{mb / 1024:.1f}', pod])} |")
    apart = {k: large[k] - small[k] for k in ("sentences", "clips")}
    gb = {name: (large["bytes"][name] - small["bytes"][name]) / 1e9 for name in large["bytes"]}
    gb = {k: v / apart["sentences"] * SENTENCES if k == "batches" else v / apart["clips"] * CLIPS for k, v in gb.items()}
    both = [
        f"- {r['sentences']:,} sentences ({r['audio_s'] / 3600:.2f} h), {r['clips']:,} clips of {r['keywords']:,} keywords, "
        f"{r['machine']}, {r['date']}"
        for r in (small, large)
    ]
    how = f"""Projected from these, not measured: {SENTENCES:,} sentences in {SENTENCES // SHARD} shards, {CLIPS:,} clips. CPU
        time is that of all of a stage's processes, memory that of the largest one. What is projected by a line through two
        sizes is an upper bound where something is full only at the larger: the clips that `outliers` learns from (60,000),
        buffers of rows."""
    monthly = sum(gb.values()) * month_usd
    what = f"""In all **{total_s / 3600:.0f} CPU hours**; `words train` learns from ten hours at most and adds minutes
        (words-scale.md). The longest task over the whole language is `{longest[0]}`: {longest[1] / 3600:.1f} CPU h. Stored:
        batches {gb["batches"]:.0f} GB, clips and work {gb["work"]:.0f} GB, the release {gb["releases"]:.0f} GB. Paid for
        are a pod's cores, though most stages over the whole language use one: {paid_s / 3600:.0f} core hours; start-up,
        disks and waiting are not counted. At {core_usd:g} $ a core and hour and {month_usd:g} $ a GB and month, which are
        assumptions (`--core-usd`, `--month-usd`), that is {paid_s / 3600 * core_usd:.0f} $ to make it and {monthly:.0f} $ a
        month to keep it."""
    about = "Made by `bench/spoken_words/scale.py`: every stage of both DAGs on synthetic speech in the layout of Common Voice."
    head = "| stage | CPU s | MB | projected by | **CPU h** | **GB** | pod (its GiB) |\n|---|---|---|---|---|---|---|"
    how, what = (fill(" ".join(text.split()), 130) for text in (how, what))
    title = "# Spoken words: a language the size of English"
    return "\n\n".join([title, about, "\n".join(both), how, "\n".join([head, *rows]), what]) + "\n"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--core-usd", type=float, default=0.05, help="US dollars a core and hour")
    parser.add_argument("--month-usd", type=float, default=0.02, help="US dollars a GB and month")
    parser.add_argument("--keep", action="store_true", help="take the records that are in --work")
    parser.add_argument("--write", action="store_true", help=f"to {TABLE.name} and {RECORDS.name}")
    asked = parser.parse_args()
    work, records = asked.work.resolve(), []
    for size in SIZES:
        kept = work / str(size) / "record.json"
        if not (asked.keep and kept.exists()):
            whole = corpus(SIZES[1], work / str(SIZES[1]) / "corpus", asked.workers)
            source = whole if size == SIZES[1] else part(whole, size, work / str(size) / "corpus")
            kept.write_text(json.dumps(measure(source, work / str(size), asked.workers)), encoding="utf-8")
        records.append(json.loads(kept.read_text(encoding="utf-8")))
        print(f"{size} sentences: {sum(u['wall_s'] for u in records[-1]['used']):.0f} s", file=sys.stderr, flush=True)
    text = table(*records, asked.core_usd, asked.month_usd)
    print(text)
    if asked.write:
        RECORDS.write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")
        TABLE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
