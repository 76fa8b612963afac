"""Stage ``split_speakers``: which speakers of spoken words are in train, dev and test, for every word and release the same.

Speakers joined by a file that both handed in are one group. A group keeps what it was given (:mod:`release.assignments`); the
splits of new ones are chosen together so that every word comes near its shares and dev and test have as many women as men
(:mod:`release.speakers`), and are then in the record for ever. ``word_splits`` and ``report.json`` say how far that came, beside
a salted hash. The original's way, word by word, is a column of its own.

Before that, the policy keeps out clips whose scores are beyond its bounds (:mod:`release.words.admission`), and what a keyword
has left when all gates are through is counted once more: one with too few clips is left out, so that no folder is empty.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, model_validator

from release.assignments import extend, splits_uri
from release.groups import Decision, Graph, draw, settle
from release.policy import unmatched
from release.speakers import (
    DEV,
    FEMALE,
    GENDERS,
    MALE,
    OTHER,
    SPLITS,
    TEST,
    Counts,
    Targets,
    count,
    distance,
    gender_class,
    legacy,
    optimise,
    targets,
)  # fmt: skip
from release.versions import VERSION
from release.words.admission import Admission, Beside, WordsPolicy
from stagekit.errors import EmptyInput, StageError
from stagekit.folder import check_schema
from stagekit.stage import RUNTIME, Context, Params, stage
from stagekit.tables import ROW_GROUP, TABLES, Reason

BATCH = 100_000


class SplitSpeakersParams(Params):
    """Shares, and the release they are for."""

    dataset: str = Field(pattern=r"[a-z0-9_]+", description="such as spoken_words")
    language: str = Field(pattern=r"[A-Za-z0-9-]+", description="BCP 47")
    version: str = Field(pattern=f"^{VERSION}$", description="version of the release")
    salt: str = Field("spoken_words", description="of the hash that new speakers start from; fixed for the life of a dataset")
    dev: float = Field(0.1, gt=0, le=0.25, description="share of each word's clips in dev")
    test: float = Field(0.1, gt=0, le=0.25, description="share in test")
    root: str = Field(description="warehouse URI", json_schema_extra=RUNTIME)
    record: bool = Field(True, description="append new assignments to the record; false for a dry run")
    policy: WordsPolicy = Field(WordsPolicy(), description="the policy file's content; without one every clip is let in")

    @model_validator(mode="after")
    def _salted(self) -> SplitSpeakersParams:
        if not self.salt:
            raise ValueError("salt is empty")
        return self


@dataclass(frozen=True)
class Clips:
    """All clips as codes, in the order of the inputs; arrays of shape (clips,)."""

    words: list[str]
    speakers: list[str]
    word: np.ndarray
    speaker: np.ndarray
    gender: np.ndarray
    seconds: np.ndarray


@dataclass(frozen=True)
class Choice:
    """What came out."""

    decision: Decision
    groups: list[str]
    """Names: each group's smallest key."""
    counts: Counts
    pair: np.ndarray
    """Of each clip whose speaker is in the release."""
    inside: np.ndarray
    """Whether a clip's speaker is in the release, bool."""
    goal: Targets
    split: np.ndarray
    """Of each group, int8."""
    hashed: np.ndarray
    """What the hash alone would have given."""
    history: list[float]
    rare: np.ndarray
    """Whether a clip is left out because its word has too few, bool, shape (clips,)."""


@stage(
    "split_speakers",
    version=1,
    params=SplitSpeakersParams,
    unit="speaker",
    reads=["clips", "clip_scores", "speaker_links", "shard_rows", "sentences"],
    writes=["clip_splits", "word_splits", "assignments"],
    libraries=["numpy"],
)
def run(ctx: Context[SplitSpeakersParams]) -> None:
    """Inputs: all folders of ``keywords cut`` (clips) and the one of ``collect_words`` (speaker_links; sentences).

    That of ``keywords outliers``, if the policy has bounds; that of ``keywords select``, whose ``min_clips`` then holds here too;
    as ``parent=`` the ``index`` of the release before.

    Raises:
        EmptyInput: no clips.
        StageError: the policy bounds scores that no input holds.
    """
    p = ctx.params
    made = {str((i.success or {}).get("stage")): i for i in ctx.inputs}
    admission = Admission(p.policy, scored="keywords.outliers" in made)
    if p.policy.require and not admission.scored:
        raise StageError(f"policy {p.policy.name} bounds {', '.join(p.policy.require)}, but keywords outliers is no input")
    clips, present = read_clips(ctx, admission)
    parent = ctx.input("parent")
    same = parent is not None and ((parent.success or {}).get("metrics") or {}).get("policy") == p.policy.digest
    stayed = admission.keep_released(ctx.rows("shard_rows", role="parent")) if same else 0
    least = int(((made["keywords.select"].success or {})["params"])["min_clips"]) if "keywords.select" in made else 1
    admitted = present.copy()
    admitted[list(admission.refused)] = False
    graph = link(clips.speakers, ctx.rows("speaker_links", columns=["speaker_id", "other_speaker_id", "audio_id"]))
    uri = splits_uri(p.root, p.dataset, p.language)
    chosen: dict[str, Choice] = {}

    def new_of(assigned: Any) -> dict[str, str]:
        chosen["last"] = choose(clips, graph, assigned, p.salt, p.dev, p.test, admitted, least)
        return chosen["last"].decision.new

    known = extend(uri, new_of, p.version, record=p.record)
    choice = chosen["last"]
    for key in sorted({k for keys in graph.keys.values() for k in keys}):
        ctx.write("assignments", {"group_key": key, "split": known[key][0], "since": known[key][1]})
    _account(ctx, clips, choice, present, admission)
    old = legacy(choice.counts, choice.groups, p.salt, p.dev, p.test)
    _write_clips(ctx, clips, choice, old, least)
    for row in _word_rows(clips.words, choice):
        ctx.write("word_splits", row)
    report = _report(clips, choice)
    told = unmatched(_matching_nothing(ctx, admission), "clip, sentence or speaker of the batches, nor a released clip")
    for warning in [*told, *_same_person(clips, graph, p.policy.takedowns)]:
        report["warnings"].append(warning)
        print(f"split_speakers: warning: {warning}", file=sys.stderr, flush=True)
    ctx.path("report.json").write_text(json.dumps(report, ensure_ascii=False, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    refused = [why for _, why, _ in admission.refused.values()]
    ctx.metrics.update(
        report, new_assignments=sum(since == p.version for _, since in known.values()), policy=p.policy.digest,
        kept_out={str(why): refused.count(why) for why in sorted(set(refused))}, let_in_again=stayed,
        rare_words=len(np.unique(clips.word[choice.rare])),
    )  # fmt: skip


def read_clips(ctx: Context[SplitSpeakersParams], admission: Admission) -> tuple[Clips, np.ndarray]:
    """Every clip's word, speaker, gender and seconds, strings held once; and which clips there are, bool of shape (clips,)."""
    scores = Beside(ctx.files("clip_scores"), list(admission.policy.require)) if admission.scored else None
    first = 0
    codes: dict[str, dict[str | None, int]] = {"word": {}, "speaker_id": {}, "gender": {}}
    parts: dict[str, list[np.ndarray]] = {"word": [], "speaker_id": [], "gender": [], "speech_s": []}
    for path in ctx.files("clips"):
        file = pq.ParquetFile(path)
        check_schema(str(path), TABLES["clips"], file.schema_arrow)
        for batch in file.iter_batches(batch_size=BATCH, columns=[*parts, "clip_id", "sentence_id"]):
            admission.judge(first, batch, scores)
            first += batch.num_rows
            for name, known in codes.items():
                column = batch.column(name).dictionary_encode(null_encoding="encode")
                local = np.array([known.setdefault(v, len(known)) for v in column.dictionary.to_pylist()], dtype=np.int32)
                parts[name].append(local[column.indices.to_numpy(zero_copy_only=False)])
            parts["speech_s"].append(batch.column("speech_s").to_numpy())
    whole = {name: np.concatenate(arrays) if arrays else np.zeros(0) for name, arrays in parts.items()}
    if scores is not None:
        scores.done()
    if not len(whole["word"]):
        raise EmptyInput("no clips in " + ", ".join(i.uri for i in ctx.inputs))
    # Codes in alphabetical order, so that nothing depends on the order of the inputs.
    made = {}
    for name in ("word", "speaker_id"):
        names = sorted(str(v) for v in codes[name])
        place = {v: n for n, v in enumerate(names)}
        made[name] = names, np.array([place[str(v)] for v in codes[name]], dtype=np.int32)[whole[name]]
    gender = np.array([gender_class(v) for v in codes["gender"]], dtype=np.int8)[whole["gender"]]
    clips = Clips(made["word"][0], made["speaker_id"][0], made["word"][1], made["speaker_id"][1], gender, whole["speech_s"])
    return clips, np.concatenate(admission.present)


def _matching_nothing(ctx: Context[SplitSpeakersParams], admission: Admission) -> list[str]:
    """Takedowns that are of nothing: no clip, no sentence or word of any batch (it need not be cut now), none released."""
    left = dict.fromkeys(t for t in admission.policy.takedowns if t not in admission.matched)
    if left:
        for row in ctx.rows("shard_rows", role="parent", columns=["segment_id"]):
            left.pop(row["segment_id"], None)
        clips_of: dict[str, list[str]] = {}
        for entry in left:
            clips_of.setdefault(entry.partition("-")[0], []).append(entry)  # a clip_id begins with its sentence's
        numbered = any("-" in entry for entry in left)  # tokens are most of a sentence
        for row in ctx.rows("sentences", columns=["sentence_id", "speaker_id", *(["tokens"] if numbered else [])]):
            left.pop(row["speaker_id"], None)
            for entry in clips_of.get(row["sentence_id"], ()):
                if all(i.isdecimal() and int(i) < len(row["tokens"]) for i in entry.split("-")[1:]):
                    left.pop(entry, None)
    return list(left)


def _same_person(clips: Clips, graph: Graph, takedowns: Collection[str]) -> list[str]:
    """A warning for each speaker taken down who is known by another id as well, whose clips stay."""
    gone = {graph.sets.find(f"speaker:{t}"): t for t in takedowns if t in graph.keys}
    others: dict[str, list[str]] = {}
    for speaker in clips.speakers:
        if speaker not in takedowns and (taken := gone.get(graph.sets.find(f"speaker:{speaker}"))):
            others.setdefault(taken, []).append(speaker)
    return [
        f"takedown {taken!r}: the same person is {', '.join(map(repr, ids))} too, whose clips stay; "
        "name all ids of a person who withdraws"
        for taken, ids in others.items()
    ]


def link(speakers: list[str], links: Any) -> Graph:
    """Speakers, and the files that two of them handed in, as keys of one graph."""
    graph = Graph(unit="speaker")
    for speaker in speakers:
        graph.add(speaker)
    for row in links:
        for speaker in (row["speaker_id"], row["other_speaker_id"]):
            graph.add(speaker, f"audio:{row['audio_id']}")
    return graph


def choose(
    clips: Clips, graph: Graph, assigned: Any, salt: str, dev: float, test: float,
    admitted: np.ndarray | None = None, min_clips: int = 1,
) -> Choice:  # fmt: skip
    """Splits for all speakers, given what was assigned before.

    Args:
        clips: all.
        graph: of their speakers.
        assigned: key → split.
        salt: of the hash.
        dev: share.
        test: share.
        admitted: clips that passed the gates, bool of shape (clips,); None for all.
        min_clips: a word with fewer of them, those of speakers in conflict left out, has none.
    """
    known = settle(graph, assigned, lambda _root: "train")  # who is left out does not depend on new groups
    members = graph.sets.groups()
    names = list(members)
    number = {name: n for n, name in enumerate(names)}
    of_speaker = np.array([number[graph.sets.find(f"speaker:{s}")] for s in clips.speakers], dtype=np.int32)
    left_out = np.array([s in known.conflicts for s in clips.speakers], dtype=bool)
    inside = ~left_out[clips.speaker]
    if admitted is not None:
        inside &= admitted
    many = np.bincount(clips.word[inside], minlength=len(clips.words)) >= min_clips
    rare = inside & ~many[clips.word]
    inside &= ~rare
    group, word, gender = of_speaker[clips.speaker][inside], clips.word[inside], clips.gender[inside]
    counts, pair = count(group, word, gender, len(names), len(clips.words))
    goal = targets(counts, dev, test)
    frozen = np.array([any(k in assigned for k in keys) for keys in members.values()], dtype=bool)
    hashed = np.array([SPLITS.index(draw(salt, n, dev, test)) for n in names], dtype=np.int8)
    begin = hashed.copy()
    for i in np.flatnonzero(frozen):
        present = {assigned[k] for k in members[names[i]] if k in assigned}
        begin[i] = max(SPLITS.index(s) for s in present)  # test over dev over train, as settle has it
    split, history = optimise(counts, goal, begin, frozen)
    decision = settle(graph, assigned, lambda root: SPLITS[split[number[root]]])
    return Choice(decision, names, counts, pair, inside, goal, split, hashed, history, rare)


def _account(
    ctx: Context[SplitSpeakersParams], clips: Clips, choice: Choice, present: np.ndarray, admission: Admission
) -> None:
    """Each speaker's seconds are kept, or refused by clip or as a whole; rare words' are refused where clips are written."""
    entered, kept = (np.bincount(clips.speaker[m], clips.seconds[m], len(clips.speakers)) for m in (present, choice.inside))
    stopped = present & ~choice.inside & ~choice.rare
    stopped[list(admission.refused)] = False
    conflict = np.bincount(clips.speaker[stopped], clips.seconds[stopped], len(clips.speakers))
    here, some = (np.bincount(clips.speaker[m], minlength=len(clips.speakers)) > 0 for m in (present, choice.inside))
    for n in np.flatnonzero(here).tolist():
        speaker = clips.speakers[n]
        ctx.enter(speaker, entered[n])
        if some[n]:
            ctx.keep(speaker, kept[n])
        if conflict[n]:
            ctx.reject(speaker, Reason.SPLIT_CONFLICT, choice.decision.conflicts[speaker], end_s=conflict[n])
    for n, (clip_id, why, detail) in sorted(admission.refused.items()):
        _refuse(ctx, clips, n, clip_id, why, detail)


def _refuse(ctx: Context[SplitSpeakersParams], clips: Clips, n: int, clip_id: str, why: Reason, detail: str) -> None:
    speaker = clips.speakers[clips.speaker[n]]
    ctx.reject(speaker, why, detail, end_s=float(clips.seconds[n]), unit="clip", row_id=clip_id, parent_id=speaker)


def _write_clips(ctx: Context[SplitSpeakersParams], clips: Clips, choice: Choice, old: np.ndarray, least: int) -> None:
    left = np.bincount(clips.word[choice.rare], minlength=len(clips.words))
    names = pa.array(SPLITS)
    group = choice.counts.group.astype(np.int32)
    of_clip = np.full(len(choice.inside), -1, dtype=np.int32)
    of_clip[choice.inside] = choice.pair
    at = 0
    for number, path in enumerate(ctx.files("clips")):
        ctx.write_table("clip_splits", TABLES["clip_splits"].schema.empty_table(), number)
        for batch in pq.ParquetFile(path).iter_batches(batch_size=4 * ROW_GROUP, columns=["clip_id", "word", "speaker_id"]):
            for n in np.flatnonzero(choice.rare[at : at + batch.num_rows]).tolist():
                why = f"{left[clips.word[at + n]]} clips are left of its word after all gates, {least} are needed"
                _refuse(ctx, clips, at + n, batch.column("clip_id")[n].as_py(), Reason.WORD_RARE, why)
            pair = of_clip[at : at + batch.num_rows]
            at += batch.num_rows
            kept = pair >= 0
            pair = pair[kept]
            rows = pa.Table.from_batches([batch]).filter(pa.array(kept))
            rows = rows.append_column("gender", pa.array(GENDERS).take(pa.array(choice.counts.gender[group[pair]])))
            rows = rows.append_column("split", names.take(pa.array(choice.split[group[pair]])))
            rows = rows.append_column("split_mswc", names.take(pa.array(old[pair])))
            ctx.write_table("clip_splits", rows, number)


def _word_rows(words: list[str], choice: Choice) -> list[dict[str, Any]]:
    counts, goal = choice.counts, choice.goal
    speakers = np.bincount(counts.word, minlength=counts.words)
    have = [counts.by_word(choice.split == s) for s in range(3)]
    hashed = {s: counts.by_word(choice.hashed == s) for s in (DEV, TEST)}
    parts = {(s, g): counts.by_word((choice.split == s) & (counts.gender == g)) for s in (DEV, TEST) for g in (FEMALE, MALE)}
    rows = []
    for n, word in enumerate(words):
        row: dict[str, Any] = {"word": word, "clips": int(sum(h[n] for h in have)), "speakers": int(speakers[n])}
        if not row["clips"]:
            continue  # all its speakers were left out
        row |= {name: int(have[s][n]) for s, name in enumerate(SPLITS)}
        for s in (DEV, TEST):
            row |= {f"{SPLITS[s]}_target": float(goal.clips[n, s - 1]), f"{SPLITS[s]}_hash": int(hashed[s][n])}
            for g in (FEMALE, MALE):
                name = f"{SPLITS[s]}_{GENDERS[g]}"
                row |= {name: int(parts[s, g][n]), f"{name}_target": float(goal.gender[n, g, s - 1])}
        rows.append(row)
    return rows


def _report(clips: Clips, choice: Choice) -> dict[str, Any]:
    counts = choice.counts
    clip_total = int(counts.clips.sum())
    sizes = np.add.reduceat(np.append(counts.clips, 0), counts.start[:-1]) * (np.diff(counts.start) > 0)
    present = sizes > 0
    genders = np.bincount(counts.gender[present], minlength=3)
    warnings = []
    if present.sum() < 3:
        warnings.append(
            f"{int(present.sum())} speakers: speakers are not divided, so three splits cannot all have clips; of test and dev at "
            "least one is empty"
        )
    if (genders[FEMALE] == 0) != (genders[MALE] == 0):
        there = GENDERS[FEMALE if genders[FEMALE] else MALE]
        warnings.append(f"every speaker whose gender is stated is {there}: dev and test cannot be balanced")
    elif genders[FEMALE] + genders[MALE] == 0:
        warnings.append("no speaker's gender is stated: dev and test may be unbalanced")
    mixed = _mixed(clips)
    if mixed:
        warnings.append(
            f"{len(mixed)} speaker ids state both genders: several people may share each (such as "
            f"{clips.speakers[mixed[0]][:16]}); "
            "they count as one, so their voices are all in one split"
        )
    shares = {}
    for s, name in enumerate(SPLITS):
        where = choice.split == s
        by_gender = {g: int(sizes[where & (counts.gender == n)].sum()) for n, g in enumerate(GENDERS[:OTHER])}
        shares[name] = {"clips": int(sizes[where].sum()), "speakers": int((where & present).sum()), **by_gender}
        if present.sum() >= 3 and s in (DEV, TEST) and not shares[name]["clips"]:
            warnings.append(f"{name} has no clips: no speaker is small enough for it, or all were assigned before")
    return {
        "words": int((counts.by_word(np.ones(counts.groups, dtype=bool)) > 0).sum()),
        "clips": clip_total,
        "speakers": int(present.sum()),
        "conflicts": len(choice.decision.conflicts),
        "of_both_genders": len(mixed),
        "splits": shares,
        "from_targets": {k: round(v, 6) for k, v in distance(counts, choice.goal, choice.split).items()},
        "from_targets_hash": {k: round(v, 6) for k, v in distance(counts, choice.goal, choice.hashed).items()},
        "warnings": warnings,
    }


def _mixed(clips: Clips) -> list[int]:
    """Speakers of whose clips some state a woman and some a man."""
    states = [np.bincount(clips.speaker[clips.gender == g], minlength=len(clips.speakers)) > 0 for g in (FEMALE, MALE)]
    return [int(n) for n in np.flatnonzero(states[0] & states[1])]
