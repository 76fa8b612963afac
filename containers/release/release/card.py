"""The dataset card: ``README.md`` of a release, with the header that the Hugging Face hub and ``datasets`` read."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from release.features import FIRST, INTERNAL
from release.figures import Figures, empty_splits, hours, ledger_lines
from release.policy import Policy
from release.shards import SPLITS
from stagekit.tables import RELEASE_SEGMENTS

HUB_LICENSES = {
    ("by", "2.0"): "cc-by-2.0",
    ("by", "2.5"): "cc-by-2.5",
    ("by", "3.0"): "cc-by-3.0",
    ("by", "4.0"): "cc-by-4.0",
    ("by-sa", "3.0"): "cc-by-sa-3.0",
    ("by-sa", "4.0"): "cc-by-sa-4.0",
    ("cc0", "1.0"): "cc0-1.0",
}
"""Names that the hub knows; all else is `other` there, and named in full below."""

SIZES = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B")
"""The hub's size categories, each ten times the one before."""


@dataclass(frozen=True)
class Release:
    """What the card is about."""

    dataset: str
    language: str
    version: str
    parent: str | None
    changes: Mapping[str, int] | None
    """Against the parent: `release.shards.Plan.changes`."""
    batches: tuple[str, ...]
    policy: Policy
    figures: Figures
    ledger: Mapping[str, Any]
    plots: Mapping[str, str]
    warnings: tuple[str, ...]
    groups: int
    """Connected groups that the splits were drawn for."""
    content: str
    """Digest of the packed files."""

    @property
    def title(self) -> str:
        """Such as ``peoples_speech en 2026.01``."""
        return f"{self.dataset} {self.language} {self.version}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """A Markdown table with aligned columns."""
    cells = [list(head), *[list(r) for r in rows]]
    widths = [max(3, *(len(row[i]) for row in cells)) for i in range(len(head))]

    def line(row: Sequence[str]) -> str:
        return (
            "| "
            + " | ".join(c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
            + " |"
        )

    rule = "|" + "|".join("-" * (w + 1) + ":" if i in right else "-" * (w + 2) for i, w in enumerate(widths)) + "|"
    return "\n".join([line(cells[0]), rule, *map(line, cells[1:])])


def header(
    title: str, language: str, licenses: Iterable[tuple[str, str]], task: str, clips: int, parts: Collection[tuple[str, str]],
    content: str,
) -> str:  # fmt: skip
    """The YAML block that the Hugging Face hub and ``datasets`` read: configs with the files of each split, languages, licenses.

    Args:
        title: such as ``peoples_speech en 2026.01``.
        language: BCP 47. The hub takes a language without its region only, and the whole tag under a name of its own.
        licenses: (family, version) of each.
        task: of the hub's names.
        clips: how many there are.
        parts: (config, split) of each that has clips.
        content: digest of what is in the release. ``datasets`` keeps what it has read of a folder under the folder's name, the
            version here, and the configs: without something of its own, one language would be opened as the other's copy.
    """
    configs = [
        {
            "config_name": config,
            "description": f"{title} {content}",
            "data_files": [{"split": s, "path": f"data/{config}/{s}-*.parquet"} for s in SPLITS if (config, s) in parts],
        }
        for config in sorted({c for c, _ in parts})
    ]
    base = language.partition("-")[0].lower()
    block = {
        "pretty_name": title,
        "language": [base],
        **({"language_bcp47": [language]} if language != base else {}),
        "license": sorted({HUB_LICENSES.get(key, "other") for key in licenses}),
        "task_categories": [task],
        "size_categories": [SIZES[min(max(len(str(clips)) - 3, 0), len(SIZES) - 1)]],
        "configs": configs,
    }
    return "---\n" + yaml.safe_dump(block, sort_keys=False, allow_unicode=True) + "---\n"


def follows(parent: str | None, changes: Mapping[str, int] | None) -> str:
    """What a release follows, and what is other than there.

    >>> follows(None, None), follows("2026.01", {"more": 1200, "fewer": 3, "changed": 0})
    ('First release', 'Follows release 2026.01: 1,200 clips more, 3 fewer, 0 with other columns')
    """
    if not parent or not changes:
        return f"Follows release {parent}" if parent else "First release"
    counts = f"{changes['more']:,} clips more, {changes['fewer']:,} fewer, {changes['changed']:,} with other columns"
    return f"Follows release {parent}: {counts}"


def content_digest(shards: Iterable[Mapping[str, Any]]) -> str:
    """What rows of ``shards`` hold, in 12 hexadecimal digits."""
    return hashlib.sha256("\n".join(sorted(row["sha256"] for row in shards)).encode()).hexdigest()[:12]


def _overview(release: Release) -> str:
    rows = []
    for (config, split), p in sorted(release.figures.parts.items(), key=lambda x: (x[0][0], SPLITS.index(x[0][1]))):
        rows.append(
            [config, split, f"{p.clips:,}", hours(p.audio_s), f"{p.words:,}", str(len(p.recordings)), str(len(p.creators))]
        )
    text = table(["config", "split", "clips", "audio", "words", "recordings", "creators"], rows, right=range(2, 7))
    notes = [
        f"\n{split} is empty: whole groups are drawn (a group is all that a recording, an item, a creator or a duplicate joins), "
        f"and none of the {release.groups} groups so far was drawn for it."
        for split in empty_splits(release.figures)
    ]
    return text + "\n" + "\n".join(notes)


def _where(release: Release) -> str:
    lines = ledger_lines(release.ledger)
    rows = [[kind, name, hours(s), f"{share:.2%}"] for kind, name, s, share in lines]
    rows.append(["", "all input", hours(release.ledger["in"]["seconds"]), f"{sum(share for *_, share in lines):.2%}"])
    return table(["", "part or reason", "source seconds", "share"], rows, right=(2, 3))


def _policy(policy: Policy) -> str:
    rows = []
    for where, bounds in (("every clip", policy.require), *policy.subsets.items()):
        for name, bound in bounds.items():
            if bound.min is not None or bound.max is not None:
                low = f"≥ {bound.min:g}" if bound.min is not None else ""
                high = f"< {bound.max:g}" if bound.max is not None else ""
                rows.append([where, f"`{name}`", " and ".join(x for x in (low, high) if x)])
    return table(["for", "score", "bounds"], rows)


def _columns() -> str:
    docs = {c.name: c.doc for c in RELEASE_SEGMENTS.columns} | {"audio": "FLAC, 16 kHz, mono, 16 bit: `{bytes, path}`"}
    order = [*FIRST, *(n for n in docs if n not in FIRST and n not in INTERNAL)]
    return table(["column", "what it holds"], [[f"`{n}`", docs[n].replace("|", "\\|")] for n in order])


INTRODUCTION = """\
# {title}

{clips:,} clips, {audio} of speech with its text, aligned, scored and licensed one by one, from {items} source items
harvested in {batches}. {parent}. Made by Speechmill.

{overview}

Configs are `<subset>-<license group>`. `by` holds CC BY, public domain, CC0 and works of the US government; `by-sa` is
share-alike and kept apart. No recording, known creator or duplicate is in two splits, nor will it be in any later release.

## Use

```python
from datasets import load_dataset

clips = load_dataset("path/of/this/folder", "{example}", split="{split}")
clips[0]["audio"]  # decoded at 16 kHz; needs torchcodec and FFmpeg
```

One file is enough to start with: each Parquet file under `data/` opens by itself. For NVIDIA NeMo, `nemo/<config>/<split>.json`
are manifests. Run in this folder, this unpacks the audio to where they point (Speechmill's `python -m release export-nemo` does
so elsewhere, or makes tar files):

```python
from pathlib import Path
import pyarrow.parquet as pq

for file in Path("data").glob("*/*.parquet"):
    for batch in pq.ParquetFile(file).iter_batches(100, columns=["segment_id", "audio"]):
        for clip in batch.to_pylist():
            path = Path("nemo", file.parent.name, "audio", clip["segment_id"][:2], clip["segment_id"] + ".flac")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(clip["audio"]["bytes"])
```

## Where every second went

{ledger}

Source seconds do not count the padding around clips, so they are fewer than the clips' own. Decoded durations are counted, not
claimed ones. `tables/rejections-00000.parquet` has every rejection with its reason and detail.
"""

SCORES = """\
## Scores and subsets

Policy `{policy}`, version {policy_version} (`policy.yaml`). All scores stay with the clip: choose other bounds freely.

{bounds}

Both ends of {pauses} of the clips lie in a pause of 100 ms and more.

## Known limits

- `cer` and `wer` compare the text with what a recogniser heard without that text's language model. They mix the recogniser's
  errors with the text's.
- Captions of `unknown` provenance may have been made by a machine; those known to be are left out.
- `creator` is what the source states. Readers that share a collective name (LibriVox, various) or have none cannot be told apart:
  one voice may be in two splits under two items.
- `synthetic_voice_score` is a hint. What it can tell and what not is written in the README of the image `align`.
- Licenses are as stated at the source on the date given; a statement can be wrong.

## Warnings of the quality gate

{warnings}

## Licenses and attribution

Each clip shows its license, where and when it was read, and its line of attribution. `ATTRIBUTION.md` and `attribution.csv` list
all source items.

{licenses}

## Columns

{columns}

## Files

`data/` clips; `index/` which clip is in which file, with a digest of each row; `nemo/` manifests; `tables/` rejections, split
assignments, duplicate clusters; `figures/`; `ledger.json`; `policy.yaml`; `checksums.sha256`; `release.json` what this
was made of.
"""


def card(release: Release) -> str:
    """The whole README.md."""
    f, policy, batches = release.figures, release.policy, release.batches
    config, split = next(iter(sorted(f.parts, key=lambda part: (part[0], SPLITS.index(part[1])))), ("clean-by", "train"))
    introduction = INTRODUCTION.format(
        title=release.title,
        clips=f.clips,
        audio=hours(f.audio_s),
        items=len(f.credits),
        batches=", ".join(batches if len(batches) <= 3 else (batches[0], "…", batches[-1])),
        parent=follows(release.parent, release.changes),
        overview=_overview(release),
        example=config,
        split=split,
        ledger=_where(release),
    )
    licenses = [[family, version or "–", hours(h * 3600)] for (family, version), h in sorted(f.licenses.items())]
    scores = SCORES.format(
        policy=policy.name,
        policy_version=policy.version,
        bounds=_policy(policy),
        pauses=f"{f.cut_at_pause / f.clips:.1%}" if f.clips else "none",
        warnings="\n".join(f"- {w}" for w in release.warnings) or "None.",
        licenses=table(["family", "version", "audio"], licenses, right=(2,)),
        columns=_columns(),
    )
    plots = "\n\n".join(f"![{title}](figures/{name})" for name, title in release.plots.items())
    task = "automatic-speech-recognition"
    head = header(release.title, release.language, f.licenses, task, f.clips, f.parts.keys(), release.content)
    return "\n".join([head, introduction, plots + "\n", scores])
