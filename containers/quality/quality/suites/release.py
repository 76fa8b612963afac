"""Suite ``release``: the rows of a release, their splits, duplicates and licenses, before anything is published."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

import great_expectations as gx
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from great_expectations import expectations as gxe
from great_expectations.expectations.row_conditions import Column

from quality.suites.base import (
    DATE,
    SHA256,
    Frame,
    Suite,
    Tables,
    always_true,
    complete,
    expect,
    frame,
    matches,
    one_of,
    unique,
    within,
)
from quality.suites.segments import segment_columns
from quality.thresholds import SCORES, Bound, ReleaseThresholds

SPLITS = ("train", "dev", "test")


def segments_suite(t: ReleaseThresholds) -> gx.ExpectationSuite:
    """Rows of the release: identity, text, license, scores, subset."""
    families = tuple(f for group in t.license_groups.values() for f in group)
    return gx.ExpectationSuite(
        name="release_segments",
        expectations=[
            complete("release_segments"),
            unique("segment_id_unique", "segment_id", "a clip is released once"),
            matches("segment_id_sha256", "segment_id", "the id is a sha256", SHA256),
            within("clip_duration", "duration_s", "1–15 s", t.min_duration_s, t.max_duration_s),
            within("clip_samples", "samples_off", "the duration is that of the samples", -1, 1),
            within("clip_text", "text_chars", "a clip has a text", 1, None),
            within("cer_not_negative", "cer", "an error rate", 0, None),
            within("wer_not_negative", "wer", "an error rate", 0, None),
            within("anchored_ratio", "anchored_ratio", "a share", 0, 1),
            within("speech_ratio", "speech_ratio", "a share", 0, 1),
            one_of("split_known", "split", "there are three splits", SPLITS),
            one_of("subset_known", "subset", "the policy names the subsets", tuple(t.subsets)),
            *bounds("require", t.require, None),
            *(e for name, scores in t.subsets.items() for e in bounds(name, scores, name)),
            one_of("license_family_allowed", "license_family", "NC, ND and unknown licenses never get in", families),
            always_true("license_group_right", "group_right", "share-alike and the rest are never mixed"),
            matches("license_url", "license_url", "each clip shows its license"),
            matches("license_evidence", "license_evidence", "and where it stood"),
            matches("license_seen_at", "license_seen_at", "and when it was read", DATE),
            matches("attribution", "attribution", "each clip names whom to thank"),
            one_of(
                "caption_provenance", "caption_provenance", "the policy says whose captions are released", t.caption_provenance
            ),
            matches("recording_uri", "recording_uri", "the clip is cut from somewhere"),
            matches("batch_key", "batch", "and came with a batch", r"^\d{4}\.\d{2}$"),
            one_of("no_duplicate", "duplicate_of", "of a duplicate cluster only the kept member is released", ("",)),
            expect(
                gxe.ExpectColumnProportionOfNonNullValuesToBeBetween,
                "creators_stated",
                "clips without a creator cannot be kept in one split by voice",
                "warning",
                column="creator",
                min_value=t.min_creator_share,
            ),
        ],
    )


def bounds(prefix: str, scores: Mapping[str, Bound], subset: str | None, only: str = "") -> Iterable[gxe.Expectation]:
    """A policy's bounds on the rows of a subset, on those where the boolean column ``only`` is true, or on all rows."""
    where: dict[str, Any] = {} if subset is None else {"row_condition": Column("subset") == subset}
    if only:
        where["row_condition"] = Column(only) == True  # noqa: E712 - an expression of the library's
    why = f"the policy says what is {subset}" if subset else "the policy says what every clip must meet"
    for score, b in scores.items():
        if b.min is None and b.max is None:
            continue
        yield expect(
            gxe.ExpectColumnValuesToBeBetween,
            f"{prefix}_{score}",
            why,
            column=score,
            min_value=b.min,
            max_value=b.max,
            strict_max=b.max is not None,
            **where,
        )
        if not b.null_passes:
            yield expect(gxe.ExpectColumnValuesToNotBeNull, f"{prefix}_{score}_there", why, column=score, **where)


def groups_suite(kind: str) -> gx.ExpectationSuite:
    """Groups of one kind: one split each, the one that was written down."""
    return gx.ExpectationSuite(
        name=f"{kind}_groups",
        expectations=[
            within(f"{kind}_one_split", "splits", "what belongs together is never in two splits", 1, 1),
            always_true(f"{kind}_as_assigned", "as_assigned", "a split, once given, never changes"),
        ],
    )


def clusters_suite(_t: ReleaseThresholds) -> gx.ExpectationSuite:
    """Duplicate clusters."""
    return gx.ExpectationSuite(
        name="clusters",
        expectations=[
            complete("clusters"),
            expect(gxe.ExpectCompoundColumnsToBeUnique, "member_once", "a member is in one cluster", column_list=["kind", "id"]),
            one_of("cluster_kind", "kind", "clusters are of texts or of audio", ("text", "audio")),
            within("similarity", "similarity", "a similarity", 0, 1),
            within("cluster_kept", "kept", "one member of each cluster is kept", 1, 1),
        ],
    )


def assignments_suite(_t: ReleaseThresholds) -> gx.ExpectationSuite:
    """Split assignments."""
    return gx.ExpectationSuite(
        name="assignments",
        expectations=[
            complete("assignments"),
            unique("group_once", "group_key", "a group is assigned once, for ever"),
            matches("group_key", "group_key", "a key names its kind", r"^(?:recording|item|creator|cluster:(?:text|audio)):."),
            one_of("assigned_split_known", "split", "there are three splits", SPLITS),
            matches("assigned_since", "since", "an assignment names its release"),
        ],
    )


def release_suite(t: ReleaseThresholds) -> gx.ExpectationSuite:
    """The release as a whole."""
    return gx.ExpectationSuite(
        name="release",
        expectations=[
            within("dev_filled", "dev_s", "too little speech in dev to measure with", t.min_dev_s, None, "warning"),
            within("test_filled", "test_s", "too little speech in test to measure with", t.min_test_s, None, "warning"),
            within(
                "creators_join",
                "joined_share",
                "few creators hold recordings together: is the field filled with names?",
                t.min_joined_share,
                None,
                "warning",
            ),
            within("train_share", "train_share", "most of the speech is to train with", t.min_train_share, None, "warning"),
        ],
    )


def build_segments(tables: Tables, t: ReleaseThresholds) -> pd.DataFrame:
    """Rows without their texts, with ``duplicate_of`` (cluster, or '') and ``group_right``."""
    rows = tables["release_segments"]
    dropped = tables["clusters"].filter(pc.invert(tables["clusters"]["keep"]))
    audio, text = (dropped.filter(pc.equal(dropped["kind"], kind)) for kind in ("audio", "text"))
    duplicate_of = _look_up(rows["recording_id"], audio)
    if t.drop_text_duplicates:
        duplicate_of = pc.coalesce(duplicate_of, _look_up(rows["document_id"], text))
    pairs = pa.array([f"{group} {family}" for group, families in t.license_groups.items() for family in families], pa.string())
    return frame(
        rows,
        "release_segments",
        drop=("text", "start_sample", "end_sample", "speech_start_s", "speech_end_s"),
        **segment_columns(rows),
        group_right=pc.is_in(pc.binary_join_element_wise(rows["license_group"], rows["license_family"], " "), value_set=pairs),
        duplicate_of=pc.fill_null(duplicate_of, ""),
    )


def _look_up(values: pa.ChunkedArray, members: pa.Table) -> pa.ChunkedArray:
    """The cluster of each value; null where it is no member."""
    return pc.take(members["cluster_id"], pc.index_in(values, value_set=members["id"].combine_chunks()))


def _groups(pairs: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    """From (group, split) to one row a group: ``splits`` (a count), ``which``, and whether it is the one assigned."""
    assigned = dict(zip(tables["assignments"]["group_key"].to_pylist(), tables["assignments"]["split"].to_pylist(), strict=True))
    pairs = pairs[["group", "split"]].drop_duplicates().sort_values(["group", "split"], kind="stable")
    rows = pairs.groupby("group", sort=True)["split"].agg(splits="size", which=" ".join).reset_index()
    rows["assigned"] = [assigned.get(g) for g in rows["group"]]
    rows["as_assigned"] = rows["which"] == rows["assigned"]
    return rows


def _distinct(tables: Tables, *columns: str) -> pd.DataFrame:
    return tables["release_segments"].select([*columns, "split"]).group_by([*columns, "split"]).aggregate([]).to_pandas()


def _keys(tables: Tables, kind: str) -> list[str]:
    return [k for k in tables["assignments"]["group_key"].to_pylist() if k and k.startswith(f"{kind}:")]


def build_recordings(tables: Tables, _t: ReleaseThresholds) -> pd.DataFrame:
    """One row a recording."""
    rows = _distinct(tables, "recording_id")
    return _groups(rows.assign(group="recording:" + rows["recording_id"]), tables)


def build_items(tables: Tables, _t: ReleaseThresholds) -> pd.DataFrame:
    """One row a source item: all files of an album are one. An ``item_id`` is ``<key>/<file>``, and both may hold slashes."""
    known = set(_keys(tables, "item"))
    rows = _distinct(tables, "item_id")

    def key(item_id: str) -> str:
        parts = item_id.split("/")
        prefixes = ("item:" + "/".join(parts[:n]) for n in range(len(parts) - 1, 0, -1))
        return next((p for p in prefixes if p in known), f"item:{item_id}")

    return _groups(rows.assign(group=[key(i) for i in rows["item_id"]]), tables)


def name_words(name: str) -> tuple[str, ...]:
    """The words of a name, sorted, without case, marks, punctuation and years: spellings of one person fall together.

    >>> name_words("Twain, Mark, 1835-1910") == name_words("mark twain")
    True
    """
    plain = "".join(c for c in unicodedata.normalize("NFKD", name.casefold()) if not unicodedata.combining(c))
    return tuple(sorted({w for w in re.findall(r"[^\W_]+", re.sub(r"['’.`]", "", plain)) if not w.isdigit()}))


def build_creators(tables: Tables, _t: ReleaseThresholds) -> pd.DataFrame:
    """One row a creator that has an assignment. Others are collective names (LibriVox, various), which hold nothing together."""
    keys: dict[tuple[str, ...], list[str]] = {}
    for k in _keys(tables, "creator"):
        keys.setdefault(name_words(k.partition(":")[2]), []).append(k)
    rows = _creators(tables)
    found = [keys.get(name_words(n), []) for n in rows["name"]]
    rows["group"] = pd.Series([f[0] if len(f) == 1 else None for f in found], index=rows.index, dtype="str")
    return _groups(rows.dropna(subset=["group"]), tables)


def _creators(tables: Tables) -> pd.DataFrame:
    """Creator names, one a row, with the splits they are in; ``creator`` joins several with ';'."""
    rows = _distinct(tables, "creator").dropna(subset=["creator"])
    return rows.assign(name=rows["creator"].str.split(";")).explode("name", ignore_index=True)


def build_cluster_groups(tables: Tables, _t: ReleaseThresholds) -> pd.DataFrame:
    """One row a duplicate cluster of two or more that has rows in the release."""
    rows = _distinct(tables, "document_id", "recording_id")
    clusters = tables["clusters"].select(["kind", "id", "cluster_id"]).to_pandas()
    clusters = clusters[clusters.duplicated(["kind", "cluster_id"], keep=False)]
    parts = []
    for kind, column in (("text", "document_id"), ("audio", "recording_id")):
        joined = rows.merge(clusters[clusters["kind"] == kind], left_on=column, right_on="id")
        parts.append(joined.assign(group=f"cluster:{kind}:" + joined["cluster_id"]))
    return _groups(pd.concat(parts), tables)


def build_clusters(tables: Tables, _t: ReleaseThresholds) -> pd.DataFrame:
    """Members, with ``kept``: how many members of their cluster are kept."""
    members = frame(tables["clusters"], "clusters")
    members["kept"] = members.groupby(["kind", "cluster_id"])["keep"].transform("sum").astype("int64")
    return members


def build_assignments(tables: Tables, _t: ReleaseThresholds) -> pd.DataFrame:
    """Assignments as they are."""
    return frame(tables["assignments"], "assignments")


def build_release(tables: Tables, t: ReleaseThresholds) -> pd.DataFrame:
    """One row: seconds by split, and how many of the creators stated hold recordings together."""
    rows = tables["release_segments"].select(["split", "duration_s"]).to_pandas()
    names = ["release", *(f"{s}_s" for s in SPLITS), "train_share", "joined_share"]
    if rows.empty:
        return pd.DataFrame(columns=names)
    seconds = rows.groupby("split")["duration_s"].sum().reindex(SPLITS, fill_value=0.0)
    stated = len({name_words(n) for n in _creators(tables)["name"]} - {()})
    joined = len(build_creators(tables, t)) / stated if stated else None
    return pd.DataFrame([["release", *seconds, seconds["train"] / rows["duration_s"].sum(), joined]], columns=names)


SUITE: Suite[ReleaseThresholds] = Suite(
    name="release",
    thresholds=ReleaseThresholds,
    reads={
        "release_segments": tuple(
            "segment_id document_id recording_id item_id start_sample end_sample text split subset license_family license_group "
            "license_url license_evidence license_seen_at attribution creator caption_provenance recording_uri batch".split()
        )
        + SCORES,
        "clusters": ("kind", "id", "cluster_id", "keep", "similarity"),
        "assignments": ("group_key", "split", "since"),
    },
    frames=(
        Frame("release_segments", ("segment_id",), "one clip of the release", build_segments, segments_suite),
        Frame("recording_groups", ("group", "which"), "one recording", build_recordings, lambda _t: groups_suite("recording")),
        Frame("item_groups", ("group", "which"), "one source item", build_items, lambda _t: groups_suite("item")),
        Frame("creator_groups", ("group", "which"), "one creator", build_creators, lambda _t: groups_suite("creator")),
        Frame(
            "cluster_groups",
            ("group", "which"),
            "one cluster of duplicates",
            build_cluster_groups,
            lambda _t: groups_suite("cluster"),
        ),
        Frame("clusters", ("kind", "id"), "one member of a duplicate cluster", build_clusters, clusters_suite),
        Frame("assignments", ("group_key",), "one group and its split", build_assignments, assignments_suite),
        Frame("release", ("release",), "the release as a whole", build_release, release_suite),
    ),
)
