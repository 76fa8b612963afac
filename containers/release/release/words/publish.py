"""Stage ``publish_words``: a release of one-second clips that opens by itself, in three layouts, made visible in one step.

Parquet that ``datasets`` opens, the layout of the Multilingual Spoken Words Corpus (:mod:`release.words.mswc`) and that of Speech
Commands (:mod:`release.words.speech_commands`). All is built in a hidden folder and renamed into place, ``release.json`` last, as
:mod:`release.publish` does; a release that would hold what its parent holds is not made.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml
from pydantic import Field

from release.card import content_digest, follows
from release.published import (
    ReleaseParams,
    copy_index,
    identity,
    links_of,
    move_latest,
    next_patch,
    parent_of,
    provenance,
    releases_uri,
    write_json,
    write_release,
)
from release.shards import ROW_GROUP, shards_uri
from release.words import mswc, speech_commands
from release.words.admission import WordsPolicy
from release.words.archive import Archive
from release.words.card import WordFigures, card, count_words
from release.words.clips import COLUMNS, Names, name_clips
from release.words.names import safe
from release.words.parts import Parts
from release.words.plots import draw_word_plots
from stagekit.folder import TableWriter, read_files
from stagekit.inputs import Input
from stagekit.ledger import add_ledgers
from stagekit.stage import Context, StageError, stage
from stagekit.storage import join, local_copy, resolve
from stagekit.tables import TABLES

OWN = (
    "release.collect_words",
    "keywords.select",
    "keywords.cut",
    "keywords.outliers",
    "release.split_speakers",
    "release.package_words",
)
"""Stages that a release is made of, in order; ``keywords.cut`` has a folder a shard."""
COPIED = ("clip_scores", "word_splits", "assignments", "rejections")
"""Tables that a release gives as they are, in ``tables/``; ``keywords`` has what is released of each."""


class PublishWordsParams(ReleaseParams):
    """Which release, after which, of which language."""

    name: str = Field(min_length=1, description="English name of the language, for the card and the metadata")


@stage(
    "publish_words",
    version=1,
    params=PublishWordsParams,
    unit="packed file",
    reads=["shards", "sentences", "sentence_words", "keywords", "clip_splits", *COPIED],
    libraries=["soundfile", "pyarrow", "matplotlib"],
)
def run(ctx: Context[PublishWordsParams]) -> None:
    """Inputs: folders of ``collect_words``, ``select``, ``cut`` (all), ``outliers``, ``split_speakers``, ``package_words``.

    Raises:
        StageError: one of them is missing, or this version is published with other content.
    """
    p = ctx.params
    made: dict[str, list[Input]] = {}
    for given in ctx.inputs:
        made.setdefault(str((given.success or {}).get("stage")), []).append(given)
    if missing := [name for name in OWN if name not in made]:
        have = ", ".join(sorted(made))
        raise StageError(f"publish_words needs the folder of {', '.join(missing)} among its inputs; it has {have}")
    shards = ctx.read("shards").to_pylist()
    for row in shards:
        ctx.enter(row["path"], row["audio_s"])
        ctx.keep(row["path"], row["audio_s"])
    package = made["release.package_words"][0]
    parent = parent_of(p, package)
    packed = (package.success or {})["metrics"]
    if packed["equals_parent"] or not (shards or p.parent):
        why = f"it would hold the very clips of {p.parent}" if p.parent else "no clip was kept"
        print(f"release {p.dataset}/{p.language}/{p.version} is not made: {why}", flush=True)
        before = releases_uri(p.root, p.dataset, p.language, p.parent) if p.parent else ""
        ctx.metrics.update(published=False, why=why, release=before)
        return
    if not shards:
        raise StageError(f"no clip is left of {p.parent}: a release without clips is not made")
    uri = releases_uri(p.root, p.dataset, p.language, p.version)
    with tempfile.TemporaryDirectory(prefix=".release-", dir=ctx.staging) as scratch:
        folder = Path(scratch) / p.version
        folder.mkdir()
        store, path = resolve(uri)
        content, parts = _build(ctx, made, folder, shards, parent)
        done = store.commit_folder(folder, path, "release.json", links_of(p, shards) | parts.links)
        if not done and identity(store.read_bytes(f"{path}/release.json")) != content:
            raise StageError(
                f"{uri}: this version is published with other content and a release never changes; "
                f"publish {next_patch(p.version)}"
            )
    move_latest(p, uri)
    ctx.metrics.update(
        published=True, release=uri, card=join(uri, "README.md"), clips=packed["clips"], parts_made=parts.made,
        parts_kept=parts.kept, part_bytes_written=parts.bytes_written,
    )  # fmt: skip


def _build(
    ctx: Context[PublishWordsParams],
    made: Mapping[str, list[Input]],
    folder: Path,
    shards: list[dict[str, Any]],
    parent: dict[str, str] | None,
) -> tuple[str, Parts]:
    """Write the whole release; its identity, and the archives that are linked into it."""
    p = ctx.params
    with local_copy(join(made["release.collect_words"][0].uri, "pins.json")) as local:
        pins = json.loads(local.read_text())
    clips = list(_rows(ctx, shards, [*COLUMNS, "license_group"]))
    names = name_clips(clips, _by_sentence(ctx, ["index", "word"]))
    figures = count_words(clips)
    by_word = {r["clip_id"]: r["split_mswc"] for r in ctx.rows("clip_splits", columns=["clip_id", "split_mswc"])}
    title = f"{p.dataset} {p.language} {p.version}"
    mswc.write_lists(folder / "mswc", p.language, p.name, title, clips, names, by_word)
    _alignments(ctx, folder / f"mswc/alignments/{p.language}.tar.gz", {c["sentence_id"] for c in clips}, names)
    parts = _audio(ctx, shards, folder, clips, names)

    sums = {row["path"]: row["sha256"] for row in shards} | parts.sums
    copy_index(made["release.package_words"][0], folder / "index")
    _tables(ctx, folder / "tables", figures)
    split = made["release.split_speakers"][0].success or {}
    policy = WordsPolicy.model_validate(split["params"]["policy"])
    (folder / "policy.yaml").write_text(yaml.safe_dump(policy.model_dump(mode="json"), sort_keys=False), encoding="utf-8")
    ledger = {
        "batches": {pin["key"]: pin["ledger"] for pin in pins},
        "stages": {name: add_ledgers([(i.success or {})["ledger"] for i in made[name]]) for name in OWN[:-1]},
    }
    write_json(folder / "ledger.json", ledger)
    batches = [pin["key"] for pin in pins]
    warnings = list(dict.fromkeys([*split["metrics"]["warnings"], *p.warnings]))  # the gate repeats those of `split_speakers`
    plots = draw_word_plots(figures, folder / "figures")
    rules, content = _policy(policy, split), content_digest(shards)
    before = follows(p.parent, (made["release.package_words"][0].success or {})["metrics"].get("changes"))
    text = card(title, p.language, p.name, batches, before, figures, ledger, warnings, plots, rules, content)
    (folder / "README.md").write_text(text, encoding="utf-8")
    totals = {
        "clips": figures.total,
        "clips_s": float(figures.total),
        "speech_s": round(sum(figures.speech_s.values()), 3),
        "keywords": len(figures.by_word),
        "parts": {split: {"clips": n, "speakers": len(figures.speakers[split])} for split, n in figures.clips.items()},
    }
    stages = [provenance(i) for name in OWN for i in made[name]]
    named = {"name": policy.name, "version": policy.version}
    return write_release(folder, p, parent, pins, named, sums, stages=stages, totals=totals, warnings=warnings), parts


def _policy(policy: WordsPolicy, split: Mapping[str, Any]) -> str:
    """What kept clips out, for the card."""
    bounds = []
    for name, bound in policy.require.items():
        limits = [f"{word} {limit:g}" for word, limit in (("at least", bound.min), ("under", bound.max)) if limit is not None]
        if limits:
            bounds.append(f"`{name}` {' and '.join(limits)}")
    metrics = split["metrics"]
    out, gone = (metrics["kept_out"].get(why, 0) for why in ("policy", "takedown"))
    return (
        f"Policy `{policy.name}` {policy.version}: {', '.join(bounds) or 'no bounds'}. It kept {out:,} clips out, "
        f"and {gone:,} are taken down; {metrics['rare_words']:,} words had too few left. "
        "A score ranks clips and is no probability of an error: listen to `tables/clip_scores-00000.parquet` from the highest "
        "`outlier` on, or be stricter with the column of that name."
    )


def _rows(ctx: Context[PublishWordsParams], shards: list[dict[str, Any]], columns: list[str]) -> Iterator[dict[str, Any]]:
    """Columns of the packed rows, in the order of the packed files' paths."""
    p = ctx.params
    for shard in sorted(shards, key=lambda s: s["path"]):
        with local_copy(join(shards_uri(p.root, p.dataset, p.language), f"{shard['sha256']}.parquet")) as path:
            for batch in pq.ParquetFile(path).iter_batches(batch_size=ROW_GROUP, columns=columns):
                yield from batch.to_pylist()


def _audio(
    ctx: Context[PublishWordsParams], shards: list[dict[str, Any]], folder: Path, clips: list[dict[str, Any]], names: Names
) -> Parts:
    """Both layouts' audio: a part for each packed file, and the lists and noise of Speech Commands.

    Args:
        ctx: of the run.
        shards: packed files.
        folder: of the release.
        clips: rows of all packed files, in the order of their paths.
        names: of the clips.
    """
    p = ctx.params
    where = speech_commands.paths(clips, names.folder)
    lists = Archive(folder / f"speech_commands/{p.language}-lists.tar.gz")
    speech_commands.write_lists(lists, clips, where)
    speech_commands.write_noise(lists)
    lists.close()
    parts, first = Parts(p.root, p.dataset, p.language, folder.parent), 0
    for shard in sorted(shards, key=lambda s: s["path"]):
        mine = clips[first : first + shard["rows"]]
        first += shard["rows"]

        def rows(columns: list[str], shard: dict[str, Any] = shard) -> Iterator[dict[str, Any]]:
            return _rows(ctx, [shard], columns)

        parts.add("mswc", shard, [f"{p.language}/clips/{names.link(c)}" for c in mine], rows)
        parts.add("speech_commands", shard, [where[c["clip_id"]] for c in mine], rows)
    return parts


def _alignments(ctx: Context[PublishWordsParams], path: Path, sentences: set[str], names: Names) -> None:
    """A TextGrid of each sentence that a clip was cut from."""
    about = {
        r["sentence_id"]: (r["speaker_id"], r["duration_s"])
        for r in ctx.rows("sentences", columns=["sentence_id", "speaker_id", "duration_s"])
        if r["sentence_id"] in sentences
    }
    archive = Archive(path)
    for sentence_id, words in _by_sentence(ctx, ["index", "word", "start_s", "end_s", "phones"]):
        if sentence_id in about:
            speaker, duration_s = about[sentence_id]
            name = f"{ctx.params.language}/alignments/{safe(speaker)}/{names.stem[sentence_id]}.TextGrid"
            archive.add(name, mswc.textgrid(duration_s, words))
    archive.close()


def _by_sentence(ctx: Context[PublishWordsParams], columns: list[str]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    rows_of = ctx.rows("sentence_words", columns=["sentence_id", *columns])
    for sentence_id, rows in groupby(rows_of, key=lambda r: r["sentence_id"]):
        yield sentence_id, sorted(rows, key=lambda r: r["index"])


def _tables(ctx: Context[PublishWordsParams], folder: Path, figures: WordFigures) -> None:
    folder.mkdir()
    for name in COPIED:
        writer = TableWriter(folder, TABLES[name], 0)
        for file in ctx.files(name):
            writer.write_table(read_files([file], name))
        writer.close()
    writer = TableWriter(folder, TABLES["keywords"], 0)
    for row in ctx.rows("keywords"):
        if word := figures.by_word.get(row["word"]):
            now = {"clips": word.clips, "spoken_alone": word.alone, "speakers": len(word.speakers), "speech_s": word.speech_s}
            writer.write(row | now | {"left_out": row["left_out"] + row["clips"] - word.clips})
    writer.close()
