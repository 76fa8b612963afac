"""Suite ``release``: the rows of a release, their splits, duplicates and licenses, before anything is published."""

from __future__ import annotations

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
from quality.thresholds import ReleaseThresholds

SPLITS = ("train", "dev", "test")


def segments_suite(t: ReleaseThresholds) -> gx.ExpectationSuite:
    """Rows of the release: identity, text, license, scores, subset."""
    ranges = [
        expect(
            gxe.ExpectColumnValuesToBeBetween,
            f"cer_{name}",
            f"CER decides what is {name}",
            column="cer",
            min_value=low,
            max_value=high,
            strict_max=True,
            row_condition=Column("subset") == name,
        )
        for name, (low, high) in t.subsets.items()
    ]
    return gx.ExpectationSuite(
        name="release_segments",
        expectations=[
            complete("release_segments"),
            unique("segment_id_unique", "segment_id", "a clip is released once"),
            matches("segment_id_sha256", "segment_id", "the id is a sha256", SHA256),
            within("clip_duration", "duration_s", "1–15 s", t.min_duration_s, t.max_duration_s),
            within("clip_samples", "samples_off", "the duration is that of the samples", -1, 1),
            within("clip_text", "text_chars", "a clip has a text", 1, None),
            expect(gxe.ExpectColumnValuesToNotBeNull, "cer_there", "the subset was decided by it", column="cer"),
            within("cer_not_negative", "cer", "an error rate", 0, None),
            within("wer_not_negative", "wer", "an error rate", 0, None),
            within("anchored_ratio", "anchored_ratio", "a share", 0, 1),
            within("speech_ratio", "speech_ratio", "a share", 0, 1),
            one_of("split_known", "split", "there are three splits", SPLITS),
            one_of("subset_known", "subset", "the policy names the subsets", tuple(t.subsets)),
            *ranges,
            one_of("license_family_allowed", "license_family", "NC, ND and unknown licenses never get in", t.license_families),
            one_of("license_group_known", "license_group", "there are two groups", ("by", "by-sa")),
            always_true("license_group_right", "group_right", "share-alike and the rest are never mixed"),
            matches("license_url", "license_url", "each clip shows its license"),
            matches("license_evidence", "license_evidence", "and where it stood"),
            matches("license_seen_at", "license_seen_at", "and when it was read", DATE),
            matches("attribution", "attribution", "each clip names whom to thank"),
            one_of(
                "caption_provenance",
                "caption_provenance",
                "machine captions stay out unless the policy says otherwise",
                t.provenances,
            ),
            matches("recording_uri", "recording_uri", "the clip is cut from somewhere"),
            matches("batch_key", "batch", "and came with a batch", r"^\d{4}\.\d{2}$"),
            matches_empty("no_duplicate", "duplicate_of", "of a duplicate cluster only the kept member is released"),
            always_true("split_as_assigned", "split_as_assigned", "a split, once given, never changes"),
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


def matches_empty(name: str, column: str, why: str) -> gxe.Expectation:
    """``column`` is the empty string in each row."""
    return one_of(name, column, why, ("",))


def splits_suite(name: str) -> gx.ExpectationSuite:
    """A grouping of the release: one split a group."""
    return gx.ExpectationSuite(
        name=name,
        expectations=[within(f"{name}_one_split", "splits", "what belongs together is never in two splits", 1, 1)],
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
            within("train_share", "train_share", "most of the speech is to train with", t.min_train_share, None, "warning"),
        ],
    )


def build_segments(tables: Tables, _t: ReleaseThresholds) -> pd.DataFrame:
    """Rows without their texts, with ``duplicate_of``, ``group_right`` and ``split_as_assigned``."""
    rows = tables["release_segments"]
    share_alike = pc.equal(rows["license_family"], "by-sa")
    dropped = tables["clusters"].filter(pc.invert(tables["clusters"]["keep"]))
    cluster_of = {
        kind: dropped.filter(pc.equal(dropped["kind"], kind)).select(["id", "cluster_id"]) for kind in ("text", "audio")
    }
    duplicate_of = pc.coalesce(
        _look_up(rows["document_id"], cluster_of["text"], "cluster_id"),
        _look_up(rows["recording_id"], cluster_of["audio"], "cluster_id"),
        "",
    )
    assigned = tables["assignments"].rename_columns({"group_key": "id", "split": "split"})
    given = _look_up(pc.binary_join_element_wise("recording", rows["recording_id"], ":"), assigned, "split")
    return frame(
        rows,
        "release_segments",
        drop=("text", "start_sample", "end_sample", "speech_start_s", "speech_end_s"),
        **segment_columns(rows),
        group_right=pc.equal(pc.if_else(share_alike, "by-sa", "by"), rows["license_group"]),
        duplicate_of=duplicate_of,
        split_as_assigned=pc.fill_null(pc.equal(given, rows["split"]), False),
    )


def _look_up(values: pa.ChunkedArray, table: pa.Table, column: str) -> pa.ChunkedArray:
    """``column`` of the row of ``table`` whose ``id`` is the value; null where there is none."""
    return pc.take(table[column], pc.index_in(values, value_set=table["id"].combine_chunks()))


def _grouped(pairs: pd.DataFrame, key: str) -> pd.DataFrame:
    """Groups with the number of splits they are in and which."""
    pairs = pairs.drop_duplicates().sort_values([key, "split"], kind="stable")
    return pairs.groupby(key, sort=True)["split"].agg(splits="size", which=" ".join).reset_index()


def build_by(column: str, tables: Tables) -> pd.DataFrame:
    """One row for each value of a column, with ``splits`` (a count) and ``which``."""
    return _grouped(tables["release_segments"].select([column, "split"]).to_pandas(), column)


def build_creators(tables: Tables, t: ReleaseThresholds) -> pd.DataFrame:
    """One row a creator, collective ones left out; several creators of one item are separated by '; '."""
    pairs = tables["release_segments"].select(["creator", "split"]).to_pandas().drop_duplicates().dropna()
    pairs = pairs.assign(creator=pairs["creator"].str.split(";")).explode("creator")
    pairs["creator"] = pairs["creator"].str.strip().str.casefold()
    return _grouped(pairs[~pairs["creator"].isin(t.collective_creators)], "creator")


def build_clusters_in_splits(tables: Tables, _t: ReleaseThresholds) -> pd.DataFrame:
    """One row a duplicate cluster that has rows in the release."""
    rows = tables["release_segments"].select(["document_id", "recording_id", "split"]).to_pandas()
    clusters = tables["clusters"].select(["kind", "id", "cluster_id"]).to_pandas()
    parts = []
    for kind, column in (("text", "document_id"), ("audio", "recording_id")):
        members = clusters[clusters["kind"] == kind]
        joined = rows[[column, "split"]].drop_duplicates().merge(members, left_on=column, right_on="id")
        parts.append(joined.assign(cluster=kind + ":" + joined["cluster_id"])[["cluster", "split"]])
    return _grouped(pd.concat(parts), "cluster")


def build_clusters(tables: Tables, _t: ReleaseThresholds) -> pd.DataFrame:
    """Members, with ``kept``: how many members of their cluster are kept."""
    members = frame(tables["clusters"], "clusters")
    members["kept"] = members.groupby(["kind", "cluster_id"])["keep"].transform("sum").astype("int64")
    return members


def build_assignments(tables: Tables, _t: ReleaseThresholds) -> pd.DataFrame:
    """Assignments as they are."""
    return frame(tables["assignments"], "assignments")


def build_release(tables: Tables, _t: ReleaseThresholds) -> pd.DataFrame:
    """One row: seconds by split."""
    rows = tables["release_segments"].select(["split", "duration_s"]).to_pandas()
    names = ["release", *(f"{s}_s" for s in SPLITS), "train_share"]
    if rows.empty:
        return pd.DataFrame(columns=names)
    seconds = rows.groupby("split")["duration_s"].sum().reindex(SPLITS, fill_value=0.0)
    return pd.DataFrame([["release", *seconds, seconds["train"] / rows["duration_s"].sum()]], columns=names)


def _by(name: str, column: str) -> Frame[ReleaseThresholds]:
    return Frame(
        name,
        (column,),
        f"rows of the release by {column}",
        lambda tables, _t: build_by(column, tables),
        lambda _t: splits_suite(name),
    )


SUITE: Suite[ReleaseThresholds] = Suite(
    name="release",
    thresholds=ReleaseThresholds,
    reads={
        "release_segments": (
            "segment_id",
            "document_id",
            "recording_id",
            "item_id",
            "start_sample",
            "end_sample",
            "speech_start_s",
            "speech_end_s",
            "duration_s",
            "text",
            "cer",
            "wer",
            "anchored_ratio",
            "speech_ratio",
            "split",
            "subset",
            "license_family",
            "license_group",
            "license_url",
            "license_evidence",
            "license_seen_at",
            "attribution",
            "creator",
            "caption_provenance",
            "recording_uri",
            "batch",
        ),
        "clusters": ("kind", "id", "cluster_id", "keep", "similarity"),
        "assignments": ("group_key", "split", "since"),
    },
    frames=(
        Frame("release_segments", ("segment_id",), "one clip of the release", build_segments, segments_suite),
        _by("recordings_in_splits", "recording_id"),
        _by("items_in_splits", "item_id"),
        Frame(
            "creators_in_splits",
            ("creator",),
            "rows by creator, collective ones left out",
            build_creators,
            lambda _t: splits_suite("creators_in_splits"),
        ),
        Frame(
            "clusters_in_splits",
            ("cluster",),
            "rows by duplicate cluster",
            build_clusters_in_splits,
            lambda _t: splits_suite("clusters_in_splits"),
        ),
        Frame("clusters", ("kind", "id"), "one member of a duplicate cluster", build_clusters, clusters_suite),
        Frame("assignments", ("group_key",), "one group and its split", build_assignments, assignments_suite),
        Frame("release", ("release",), "the release as a whole", build_release, release_suite),
    ),
)
