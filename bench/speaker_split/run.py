"""Seconds and memory of choosing a language's splits by speaker, and how near they come, on synthetic metadata.

PYTHONPATH=containers/stagekit:containers/release .venvs/release/bin/python bench/speaker_split/run.py --write
(smaller: --clips 1000000 --speakers 9000 --words 10000)

Clips a speaker and clips a word are spread as in Common Voice's English (a few give thousands, most give a handful; Zipf over
words); a third of the speakers state no gender, of the others a quarter are women. Some pairs of speakers handed in the same
file. A fifth of the speakers came later: the first release is split without them, and nobody moves in the second.
"""

from __future__ import annotations

import argparse
import platform
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np

from release.speakers import distance, legacy
from release.split_speakers import Choice, Clips, choose, link

RESULTS = Path(__file__).parents[1] / "results" / "speaker-split.md"


def synthetic(clips: int, speakers: int, words: int, seed: int = 1) -> Clips:
    """Clips of so many speakers; every word has at least five."""
    rng = np.random.default_rng(seed)
    size = rng.pareto(0.9, speakers) + 1
    size = np.minimum(size, size.sum() * 0.002)
    speaker = rng.choice(speakers, clips, p=size / size.sum()).astype(np.int32)
    rank = 1 / (np.arange(words) + 8.0)
    word = rng.choice(words, clips, p=rank / rank.sum()).astype(np.int32)
    word[: 5 * words] = np.repeat(np.arange(words), 5)
    gender = rng.choice(3, speakers, p=[0.17, 0.5, 0.33]).astype(np.int8)
    names = [f"{n:0128x}" for n in range(speakers)]
    return Clips([f"w{n:06d}" for n in range(words)], names, word, speaker, gender[speaker], np.full(clips, 0.4))


def of_first(clips: Clips, known: int) -> Clips:
    """Those of the first so many speakers."""
    chosen = clips.speaker < known
    parts = (a[chosen] for a in (clips.word, clips.speaker, clips.gender, clips.seconds))
    return Clips(clips.words, clips.speakers[:known], *parts)


def links(speakers: list[str], share: float, seed: int = 2) -> list[dict[str, str]]:
    """Pairs of speakers with a file in common."""
    rng = np.random.default_rng(seed)
    pairs = rng.choice(len(speakers), (round(share * len(speakers)), 2))
    return [{"speaker_id": speakers[a], "other_speaker_id": speakers[b], "audio_id": f"{a}-{b}"} for a, b in pairs if a != b]


def measure(clips: Clips, pairs: list[dict[str, str]], assigned: dict[str, str]) -> tuple[Choice, float, float]:
    """The choice, CPU seconds, wall seconds."""
    cpu, wall = time.process_time(), time.monotonic()
    choice = choose(clips, link(clips.speakers, pairs), assigned, "bench", 0.1, 0.1)
    return choice, time.process_time() - cpu, time.monotonic() - wall


def peak_gb() -> float:
    """Of this process, so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=10_000_000)
    parser.add_argument("--speakers", type=int, default=90_000)
    parser.add_argument("--words", type=int, default=38_000)
    parser.add_argument("--write", action="store_true", help=f"to {RESULTS.name}")
    asked = parser.parse_args()
    clips = synthetic(asked.clips, asked.speakers, asked.words)
    early = of_first(clips, asked.speakers * 4 // 5)
    pairs = links(clips.speakers, 0.005)
    before = links(early.speakers, 0.005)
    rows: list[str] = []

    def add(what: str, choice: Choice, cpu: float, wall: float) -> None:
        for name, split in (("search", choice.split), ("hash", choice.hashed)):
            d: dict[str, Any] = distance(choice.counts, choice.goal, split)
            spent = f"{cpu:.0f} | {wall:.0f} | {peak_gb():.1f}" if name == "search" else "| | "
            rows.append(
                f"| {what} | {choice.counts.clips.sum():,} | {name} | {100 * d['clips_off']:.2f} | {100 * d['gender_off']:.2f} | "
                f"{100 * d['mean_share_off']:.2f} | {d['words_without']:,} | {spent} |"
            )
            print(rows[-1], flush=True)

    whole = measure(clips, pairs, {})
    add("all at once", *whole)
    first = measure(early, before, {})
    add("first release", *first)
    second = measure(clips, [*before, *pairs], first[0].decision.new)
    add("the next, with a fifth more speakers", *second)
    kept = first[0].decision.split
    moved = sum(second[0].decision.split.get(s, split) != split for s, split in kept.items())
    cpu = time.process_time()
    legacy(whole[0].counts, whole[0].groups, "bench", 0.1, 0.1)
    cpu = time.process_time() - cpu
    text = f"""# Splits by speaker

Made by `bench/speaker_split/run.py --clips {asked.clips} --speakers {asked.speakers} --words {asked.words}`, one core of
{platform.processor() or platform.machine()}, Python {platform.python_version()}; synthetic metadata. Other work may have run
beside it: wall time is over CPU time then. The promise: 10 million clips and 90,000 speakers in 5 minutes and 8 GB.

*Clips off*: clips that dev and test have too many or too few, summed over words, per 100 they should have. *Gender off*: the same
for clips of women and of men. *Share off*: mean over words with ten clips and more of |share - 10 %|, in points. *Without*: such
words that have no clip in dev or none in test.

| release | clips | way | clips off % | gender off % | share off, points | words without | CPU s | wall s | peak GB |
|---|---|---|---|---|---|---|---|---|---|
{chr(10).join(rows)}

Speakers who moved between the two releases: {moved}; left out because a new link joined two splits: \
{len(second[0].decision.conflicts)}.
Counting and the search are in these seconds; the original's view, word by word, takes {cpu:.0f} CPU s more.
"""
    print(text)
    if asked.write:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
