"""Suite ``spoken_words``: the clips of a release of spoken words, their keywords and speakers, before anything is published."""

from __future__ import annotations

import unicodedata

import great_expectations as gx
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from great_expectations import expectations as gxe

from quality.suites.base import (
    DATE,
    Frame,
    Suite,
    Tables,
    always_true,
    complete,
    expect,
    frame,
    length,
    matches,
    one_of,
    unique,
    within,
)
from quality.suites.release import SPLITS, bounds
from quality.thresholds import CLIP_SCORES, SpokenWordsThresholds
from stagekit.tables import SAMPLE_RATE, Reason

CLIP_ID = r"^[0-9a-f]{64}-\d+(?:-\d+)?$"
MANY = 10
"""Clips from which on a word can have some in dev and in test."""


def clips_suite(t: SpokenWordsThresholds) -> gx.ExpectationSuite:
    """Clips of the release: identity, word, place in the second, license, scores."""
    return gx.ExpectationSuite(
        name="clips",
        expectations=[
            complete("clips"),
            unique("clip_id_unique", "clip_id", "a word said k times is k clips, and no clip is there twice"),
            matches("clip_id", "clip_id", "the id is its sentence's and the token's position: no label, no file name", CLIP_ID),
            expect(
                gxe.ExpectCompoundColumnsToBeUnique, "token_once", "one token of a sentence is cut once",
                column_list=["sentence_id", "index", "word"],
            ),
            within("word_there", "word_chars", "a clip has a word", 1, None),
            always_true("word_nfc", "word_nfc", "two spellings of one word are one keyword"),
            always_true("same_word", "same_word", "splits were made of these very clips"),
            one_of("origin_known", "origin", "words read alone are told from words cut out", ("cut", "spoken_alone")),
            matches("source_version", "source_version", "each clip says which release of its source brought it"),
            within("word_seconds", "speech_s", "as long as a word lasts", t.min_word_s, t.max_word_s),
            within("word_samples", "samples_off", "the word's samples are its seconds", -2, 2),
            always_true("word_inside", "word_inside", "the word lies in its second, unless it is longer and says so"),
            always_true("long_words_whole", "whole_right", "a word over a second has its whole audio beside it, no other has"),
            within("some_sound", "padding", "a second is not all padding", 0, SAMPLE_RATE - 1),
            one_of("license_family_allowed", "license_family", "NC, ND and unknown licenses never get in", t.license_families),
            matches("license_url", "license_url", "each clip shows its license"),
            matches("license_evidence", "license_evidence", "and where it stood"),
            matches("license_seen_at", "license_seen_at", "and when it was read", DATE),
            always_true("scored", "scored", "each clip was heard, and says how much it looks like an error"),
            *bounds("require", t.require, None, "new"),
            within("padded", "padding", "most words have real context on both sides", 0, 0, "warning", t.min_context_share),
            expect(
                gxe.ExpectColumnUniqueValueCountToBeBetween, "one_encoder", "one encoder made all clips", "warning",
                column="encoder", min_value=1, max_value=1,
            ),
        ],
    )  # fmt: skip


def keywords_suite(t: SpokenWordsThresholds) -> gx.ExpectationSuite:
    """Keywords as released."""
    return gx.ExpectationSuite(
        name="keywords",
        expectations=[
            within("keyword_filled", "clips", "no folder is empty or under its minimum, after all gates", t.min_clips, None),
            always_true("as_counted", "as_counted", "the record of splits counts what is there"),
            within(
                "keyword_speakers", "speakers", "one person's word teaches that person's voice", 2, None, "warning", t.mostly
            ),
            always_true(
                "keyword_held_out", "held_out", f"words of {MANY} clips and more can be tested on", "warning", t.mostly
            ),
        ],
    )  # fmt: skip


def speakers_suite(_t: SpokenWordsThresholds) -> gx.ExpectationSuite:
    """Speakers: one split each, the one that was written down."""
    return gx.ExpectationSuite(
        name="speakers",
        expectations=[
            within("speaker_one_split", "splits", "no speaker is in two splits, for any word", 1, 1),
            always_true("speaker_as_assigned", "as_assigned", "a split, once given, never changes"),
        ],
    )


def assignments_suite(_t: SpokenWordsThresholds) -> gx.ExpectationSuite:
    """Split assignments."""
    return gx.ExpectationSuite(
        name="assignments",
        expectations=[
            complete("assignments"),
            unique("group_once", "group_key", "a speaker is assigned once, for ever"),
            matches("group_key", "group_key", "a key is a speaker's, or of a file that two handed in", r"^(?:speaker|audio):."),
            one_of("assigned_split_known", "split", "there are three splits", SPLITS),
            matches("assigned_since", "since", "an assignment names its release"),
        ],
    )


def release_suite(t: SpokenWordsThresholds) -> gx.ExpectationSuite:
    """The release as a whole."""
    low, high = t.held_out_share
    women, men = t.female_share
    return gx.ExpectationSuite(
        name="release",
        expectations=[
            within("hours_enough", "hours", "too little to train a model on", t.min_hours, None, "warning"),
            within("speakers_enough", "speakers", "too few voices to learn words from", t.min_speakers, None, "warning"),
            within("dev_share", "dev_share", "dev is a tenth of the clips", low, high, "warning"),
            within("test_share", "test_share", "test is a tenth of the clips", low, high, "warning"),
            within("dev_balance", "dev_female", "dev has women and men alike", women, men, "warning"),
            within("test_balance", "test_female", "test has women and men alike", women, men, "warning"),
            within(
                "kept_out", "kept_out_share", "so many clips look like errors that the alignment may be one", 0,
                t.max_kept_out_share, "warning",
            ),
            within("kept_in", "kept_out_share", "most clips look like errors: nothing here can be trusted", 0, 0.5),
        ],
    )  # fmt: skip


def _released(tables: Tables) -> pd.DataFrame:
    splits = tables["clip_splits"].to_pandas()
    return splits.rename(columns={"word": "split_word", "gender": "split_gender", "speaker_id": "split_speaker"})


def build_clips(tables: Tables, _t: SpokenWordsThresholds) -> pd.DataFrame:
    """Released clips with what they should agree with; ``new``: not in the release before (true, or null)."""
    clips, splits, scores = tables["clips"], tables["clip_splits"], tables["clip_scores"]
    place = pc.index_in(clips["clip_id"], value_set=splits["clip_id"])
    rows, place = clips.filter(pc.is_valid(place)), place.drop_null()
    heard = pc.index_in(rows["clip_id"], value_set=scores["clip_id"])
    in_second = pc.and_(pc.greater_equal(rows["word_start_sample"], 0), pc.less_equal(rows["word_end_sample"], SAMPLE_RATE))
    samples = pc.subtract(rows["word_end_sample"], rows["word_start_sample"])
    composed = [w for w in pc.unique(rows["word"]).to_pylist() if unicodedata.is_normalized("NFC", w)]
    return frame(
        rows,
        "clips",
        word_chars=length(rows["word"]),
        word_nfc=pc.is_in(rows["word"], value_set=pa.array(composed, pa.string())),
        samples_off=pc.subtract(pc.cast(samples, pa.float64()), pc.multiply(rows["speech_s"], float(SAMPLE_RATE))),
        word_inside=pc.or_(in_second, rows["long_word"]),
        whole_right=pc.equal(pc.is_valid(rows["whole_samples"]), rows["long_word"]),
        padding=pc.add(rows["padding_before"], rows["padding_after"]),
        same_word=pc.fill_null(pc.equal(rows["word"], splits["word"].take(place)), False),
        scored=pc.is_valid(heard),
        new=pc.invert(pc.is_in(rows["clip_id"], value_set=tables["shard_rows"]["segment_id"])),
        **{name: scores[name].take(heard) for name in scores.column_names if name not in rows.column_names},
    )  # fmt: skip


def build_keywords(tables: Tables, _t: SpokenWordsThresholds) -> pd.DataFrame:
    """One row a keyword; ``held_out`` is null for words of few clips."""
    rows = _released(tables)
    if rows.empty:
        return pd.DataFrame(columns=["word", "clips", "speakers", "as_counted", "held_out"])
    made = rows.groupby("split_word").agg(
        clips=("clip_id", "size"), speakers=("split_speaker", "nunique"), parts=("split", lambda s: len({*s} & {"dev", "test"}))
    )
    made = made.reset_index(names="word")
    counted = dict(zip(tables["word_splits"]["word"].to_pylist(), tables["word_splits"]["clips"].to_pylist(), strict=True))
    made["as_counted"] = [counted.get(w) == n for w, n in zip(made["word"], made["clips"], strict=True)]
    held_out = [p == 2 if n >= MANY else None for p, n in zip(made["parts"], made["clips"], strict=True)]
    made["held_out"] = pd.array(held_out, "boolean")
    return made.drop(columns=["parts"])


def build_speakers(tables: Tables, _t: SpokenWordsThresholds) -> pd.DataFrame:
    """One row a speaker: ``splits`` (a count), ``which``, and whether it is the one assigned."""
    assigned = dict(zip(tables["assignments"]["group_key"].to_pylist(), tables["assignments"]["split"].to_pylist(), strict=True))
    pairs = _released(tables)[["split_speaker", "split"]].drop_duplicates().sort_values(["split_speaker", "split"])
    made = pairs.groupby("split_speaker")["split"].agg(splits="size", which=" ".join).reset_index(names="speaker_id")
    made["as_assigned"] = [assigned.get(f"speaker:{s}") == w for s, w in zip(made["speaker_id"], made["which"], strict=True)]
    return made


def build_assignments(tables: Tables, _t: SpokenWordsThresholds) -> pd.DataFrame:
    """Assignments as they are."""
    return frame(tables["assignments"], "assignments")


def build_release(tables: Tables, _t: SpokenWordsThresholds) -> pd.DataFrame:
    """One row: hours of clips, speakers, shares of dev and test and of women in them, and of clips that the policy kept out."""
    names = ["release", "hours", "speakers", "dev_share", "test_share", "dev_female", "test_female", "kept_out_share"]
    rows, refused = _released(tables), tables["rejections"].to_pandas()
    refused = refused[(refused["unit"] == "clip") & (refused["stage"] == "split_speakers")]
    out = int((refused["reason"] == str(Reason.POLICY)).sum())
    every = len(rows) + len(refused)
    if not every:
        return pd.DataFrame(columns=names)
    made = {"release": "release", "hours": len(rows) / 3600, "speakers": rows["split_speaker"].nunique()}
    known = rows[rows["split_gender"].isin(["female", "male"])]
    both = known["split_gender"].nunique() == 2
    for part in ("dev", "test"):
        made[f"{part}_share"] = (rows["split"] == part).mean() if len(rows) else None
        mine = known[known["split"] == part]["split_gender"]
        made[f"{part}_female"] = (mine == "female").mean() if both and len(mine) else None
    return pd.DataFrame([made | {"kept_out_share": out / every}], columns=names)


SUITE: Suite[SpokenWordsThresholds] = Suite(
    name="spoken_words",
    thresholds=SpokenWordsThresholds,
    reads={
        "clips": tuple(
            "clip_id sentence_id index word source_version speaker_id origin padding_before padding_after word_start_sample "
            "word_end_sample speech_s long_word whole_samples encoder license_family license_url license_evidence "
            "license_seen_at".split()
        ),
        "clip_scores": ("clip_id", *CLIP_SCORES),
        "clip_splits": ("clip_id", "word", "speaker_id", "gender", "split"),
        "word_splits": ("word", "clips"),
        "assignments": ("group_key", "split", "since"),
        "rejections": ("unit", "id", "stage", "reason"),
        "shard_rows": ("segment_id",),
    },
    frames=(
        Frame("clips", ("clip_id",), "one clip of the release", build_clips, clips_suite),
        Frame("keywords", ("word",), "one keyword", build_keywords, keywords_suite),
        Frame("speakers", ("speaker_id", "which"), "one speaker", build_speakers, speakers_suite),
        Frame("assignments", ("group_key",), "one speaker's split, or a file's", build_assignments, assignments_suite),
        Frame("release", ("release",), "the release as a whole", build_release, release_suite),
    ),
)
"""The suite. ``shard_rows`` is the release before's, given under that role: its clips are not held against the bounds again."""
