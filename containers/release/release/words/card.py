"""The card of a release of spoken words: ``README.md``, with the header that the Hugging Face hub and ``datasets`` read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from release.card import header, table
from release.features import CLIPS
from release.figures import hours
from release.ledger import WORDS_CHAIN
from release.shards import SPLITS
from stagekit.ledger import add_ledgers
from stagekit.tables import RELEASE_CLIPS

TIERS = ((10.0, "low"), (100.0, "medium"))
"""Hours of clips below which a language is of a tier, as the original has them; above it is high."""
LENGTH_EDGES_S = tuple(round(0.05 * n, 2) for n in range(31))
"""Of the histogram of words' lengths."""


@dataclass
class OneWord:
    """Sums over the clips of one keyword."""

    clips: int = 0
    alone: int = 0
    speech_s: float = 0.0
    speakers: set[str] = field(default_factory=set)


@dataclass
class WordFigures:
    """Sums over the clips of a release. ``gender`` is as stated: split → gender → clips."""

    clips: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SPLITS, 0))
    speech_s: dict[str, float] = field(default_factory=lambda: dict.fromkeys(SPLITS, 0.0))
    speakers: dict[str, set[str]] = field(default_factory=lambda: {s: set() for s in SPLITS})
    words: dict[str, set[str]] = field(default_factory=lambda: {s: set() for s in SPLITS})
    gender: dict[str, dict[str, int]] = field(default_factory=lambda: {s: {} for s in SPLITS})
    by_word: dict[str, OneWord] = field(default_factory=dict)
    sources: dict[tuple[str, str, str, str | None, str, str], int] = field(default_factory=dict)
    """(source, version, license family, license version, license URL, where that is stated) → clips."""
    lengths: list[int] = field(default_factory=lambda: [0] * (len(LENGTH_EDGES_S) - 1))
    """Clips by how long their word lasts: between ``LENGTH_EDGES_S``, what is longer in the last."""
    long_words: int = 0
    spoken_alone: int = 0
    parts: set[tuple[str, str]] = field(default_factory=set)
    """(config, split)"""

    @property
    def total(self) -> int:
        """Clips; each is a second."""
        return sum(self.clips.values())

    @property
    def tier(self) -> str:
        """``low``, ``medium`` or ``high``."""
        return next((name for limit, name in TIERS if self.total / 3600 < limit), "high")


def count_words(clips: Iterable[Mapping[str, Any]]) -> WordFigures:
    """The figures of ``release_clips``."""
    f = WordFigures()
    for clip in clips:
        split, word = clip["split"], clip["word"]
        f.clips[split] += 1
        f.speech_s[split] += clip["speech_s"]
        f.speakers[split].add(clip["speaker_id"])
        f.words[split].add(word)
        f.lengths[min(int(clip["speech_s"] / LENGTH_EDGES_S[1]), len(f.lengths) - 1)] += 1
        gender = clip["gender"] or "not stated"
        f.gender[split][gender] = f.gender[split].get(gender, 0) + 1
        mine = f.by_word.setdefault(word, OneWord())
        mine.clips += 1
        mine.alone += clip["origin"] == "spoken_alone"
        mine.speech_s += clip["speech_s"]
        mine.speakers.add(clip["speaker_id"])
        source = (
            clip["source"], clip["source_version"], clip["license_family"], clip["license_version"], clip["license_url"],
            clip["license_evidence"],
        )  # fmt: skip
        f.sources[source] = f.sources.get(source, 0) + 1
        f.long_words += clip["long_word"]
        f.spoken_alone += clip["origin"] == "spoken_alone"
        f.parts.add((f"words-{clip['license_group']}", split))
    return f


def _splits(f: WordFigures) -> str:
    rows = [
        [s, f"{f.clips[s]:,}", hours(f.clips[s]), hours(f.speech_s[s]), f"{len(f.words[s]):,}", f"{len(f.speakers[s]):,}"]
        for s in SPLITS
    ]
    both = (f.total, sum(f.speech_s.values()), len(set().union(*f.words.values())), len(set().union(*f.speakers.values())))
    rows.append(["all", f"{both[0]:,}", hours(both[0]), hours(both[1]), f"{both[2]:,}", f"{both[3]:,}"])
    return table(["split", "clips", "clips, time", "speech, time", "keywords", "speakers"], rows, right=range(1, 6))


def _genders(f: WordFigures) -> str:
    names = sorted({g for counts in f.gender.values() for g in counts})
    rows = [[g, *(f"{f.gender[s].get(g, 0):,}" for s in SPLITS)] for g in names]
    return table(["gender, as stated", *(f"clips in {s}" for s in SPLITS)], rows, right=range(1, 4))


def _lengths(f: WordFigures) -> str:
    bounds = ((1, 4), (5, 9), (10, 49), (50, 199), (200, 999), (1000, 0))
    rows = []
    for low, high in bounds:
        held = [w.clips for w in f.by_word.values() if w.clips >= low and (not high or w.clips <= high)]
        if held:
            rows.append([f"{low:,} to {high:,}" if high else f"{low:,} and more", f"{len(held):,}", f"{sum(held):,}"])
    return table(["clips of the keyword", "keywords", "clips"], rows, right=(1, 2))


def _sources(f: WordFigures) -> str:
    def credit(evidence: str) -> str:
        return "" if evidence.startswith("--params") else " ".join(evidence.split()).replace("|", "\\|")

    rows = [
        [source, version, f"{family} {number or ''}".strip(), url, credit(evidence), f"{n:,}"]
        for (source, version, family, number, url, evidence), n in sorted(f.sources.items(), key=str)
    ]
    head = ["source", "version", "license", "license URL", "credit, and where the license is stated", "clips"]
    return table(head, rows, right=(5,))


def _ledger(ledger: Mapping[str, Any]) -> str:
    """The harvest's stages, summed over the batches, and the release's."""
    harvest: dict[str, list[dict[str, Any]]] = {}
    for batch in ledger["batches"].values():
        for name, account in batch["stages"].items():
            harvest.setdefault(name, []).append(account)
    stages = {name: add_ledgers(harvest[name]) for name in WORDS_CHAIN if name in harvest}
    rows = []
    for name, account in (stages | ledger["stages"]).items():
        rows.append([name, account["unit"], f"{account['in']['units']:,}", hours(account["in"]["seconds"]), "in"])
        for reason, lost in account["rejected"].items():
            rows.append(["", account["unit"], f"{int(lost['units']):,}", hours(lost["seconds"]), reason])
        rows.append(["", account["unit"], f"{account['out']['units']:,}", hours(account["out"]["seconds"]), "out"])
    return table(["stage", "unit", "units", "time", "in, out, or why not"], rows, right=(2, 3))


def _columns() -> str:
    docs = {c.name: c.doc for c in RELEASE_CLIPS.columns}
    docs |= {
        "audio": "FLAC, 16 kHz, mono, 16 bit, 16,000 samples: `{bytes, path}`",
        "opus": "Ogg Opus, 48 kHz, mono, 48,000 samples, of the same second of the source",
        "whole_audio": "words over a second: all of it, with 0.1 s at both ends, FLAC; else null",
        "whole_opus": "the same in Opus",
    }
    order = [*CLIPS.first, *(n for n in docs if n not in CLIPS.first)]
    return table(["column", "what it holds"], [[f"`{n}`", docs[n].replace("|", "\\|")] for n in order])


CARD = """\
# {title}

{clips:,} clips of one second, {words:,} keywords, {speakers:,} speakers of {name}, from {batches}. {parent}. Resource tier:
{tier} (hours of clips, as in the Multilingual Spoken Words Corpus of 2021). Made by Speechmill.

{splits}

*Speech, time* is what the keywords themselves last; the rest of a clip is what was said around the word, or, where its sentence
ends, silence (`padding_before`, `padding_after`). No speaker is in two splits, for any word, nor will be in a later release.
In {long_words:,} clips the word lasts over a second (`long_word`: see `whole_audio`); {alone:,} were recorded alone, not cut
from a sentence.

{genders}

{lengths}

{plots}

{policy}

## Use

```python
from datasets import load_dataset

clips = load_dataset("path/of/this/folder", "{example}", split="{split}")
clips[0]["audio"], clips[0]["word"]  # decoded at 16 kHz; needs torchcodec and FFmpeg
```

Two other layouts of the same clips, for programs that read them:

- `mswc/`: as the Multilingual Spoken Words Corpus was given out. Unpack all of `audio/`, `splits/` and `alignments/` into one
  folder: `mkdir there; for f in mswc/*/*.tar.gz; do tar -xzf $f -C there; done`. `{language}_splits.csv` divides speakers;
  `{language}_splits_by_word.csv` divides each word's clips by themselves, as the original did, and has speakers in several
  splits; it is drawn anew for each release, so a clip of it may be in another split in the next.
- `speech_commands/`: as Google's Speech Commands, to be unpacked into one folder: 16 kHz WAV, `validation_list.txt`,
  `testing_list.txt`; speakers are named so that the original's `which_set` divides them as these lists do.

A word's folder is the word, but where that is no safe name on every file system: `mswc/words.csv` has both.

## Sources and licenses

{sources}

Each clip is a second cut from one of their recordings, converted to FLAC and Opus; nobody named here endorses this dataset.

## What became of all input

{ledger}

Each stage's time is that of its own unit: sentences, as far as their source states their length (`ingest.voices`) and as decoded,
then the words in them. `tables/rejections-00000.parquet` has every
rejection.

## Warnings

{warnings}

## Columns

{columns}
"""


def card(
    title: str,
    language: str,
    name: str,
    batches: Sequence[str],
    parent: str,
    figures: WordFigures,
    ledger: Mapping[str, Any],
    warnings: Sequence[str],
    plots: Mapping[str, str],
    policy: str,
    content: str,
) -> str:
    """The whole file.

    ``parent``: what `release.card.follows` says; ``plots``: file in ``figures/`` → what it shows; ``policy``: what it is and kept
    out, a paragraph; ``content``: digest of the packed files.
    """
    example, split = min(figures.parts, key=lambda p: (p[0], SPLITS.index(p[1])))
    speakers = len(set().union(*figures.speakers.values()))
    text = CARD.format(
        title=title, clips=figures.total, words=len(figures.by_word), speakers=speakers, name=name, batches=", ".join(batches),
        parent=parent, tier=figures.tier, splits=_splits(figures),
        long_words=figures.long_words, alone=figures.spoken_alone, genders=_genders(figures), lengths=_lengths(figures),
        example=example, split=split, language=language, sources=_sources(figures), ledger=_ledger(ledger),
        warnings="\n".join(f"- {w}" for w in warnings) or "None.", columns=_columns(), policy=policy,
        plots="\n\n".join(f"![{title}](figures/{file})" for file, title in plots.items()),
    )  # fmt: skip
    licenses = {(family, version or "") for _, _, family, version, _, _ in figures.sources}
    return header(title, language, licenses, "audio-classification", figures.total, figures.parts, content) + text
