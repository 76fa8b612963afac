"""Limits of the suites, without the suites.

So parameters are checked, and a rerun is seen to be one, without the seconds that importing Great Expectations takes.
"""

from __future__ import annotations

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, model_validator

from stagekit.tables import CLIP_SCORES as CLIP_SCORES_TABLE
from stagekit.tables import SEGMENTS

LICENSE_FAMILIES = ("by", "by-sa", "cc0", "pd", "us-gov")
"""The families of the data contract; NC, ND and unknown never get in."""

SCORES = tuple(c.name for c in SEGMENTS.columns if c.type == pa.float64())
"""Columns of a segment that a policy can bound."""

CLIP_SCORES = tuple(c.name for c in CLIP_SCORES_TABLE.columns if c.type == pa.float64())
"""The same of a spoken word."""


class Thresholds(BaseModel):
    """Base of a suite's thresholds: nothing unknown, immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RecordingsThresholds(Thresholds):
    """Limits of the suite ``recordings``."""

    license_families: tuple[str, ...] = Field(LICENSE_FAMILIES, description="families that may be in a batch")
    provenances: tuple[str, ...] = Field(("human", "unknown"), description="caption provenances that may be in a batch")
    min_duration_s: float = Field(1.0, gt=0, description="shortest recording, s: the shortest segment")
    max_duration_s: float = Field(24 * 3600.0, gt=0, description="longest recording, s")
    min_sample_rate: int = Field(8000, description="Hz; below it not even the telephone band is there (warning)")
    min_chars_per_s: float = Field(1.0, description="text over recording; less is a fragment or another text (warning, mostly)")
    max_chars_per_s: float = Field(30.0, description="likewise; 30 is twice the pace of fast reading (warning, mostly)")
    mostly: float = Field(
        0.95, gt=0, le=1, description="share of documents that must be in that range and in the claimed language"
    )
    min_creator_share: float = Field(
        0.5, ge=0, le=1, description="share of items with a creator: without, voices may cross splits (warning)"
    )
    max_fault_share: float = Field(0.05, ge=0, le=1, description="units lost to faults over all units (warning)")


class SegmentsThresholds(Thresholds):
    """Limits of the suite ``segments``."""

    min_duration_s: float = Field(1.0, gt=0, description="shortest segment, s")
    max_duration_s: float = Field(15.0, gt=0, description="longest segment, s")
    max_alignment_score: float = Field(4.0, description="nats per frame; clean readings reach 2 (warning)")
    max_long_share: float = Field(
        0.25,
        gt=0,
        lt=1,
        description="segments over 14 s over all; 75 % of the original's `clean` are over 14.5 s (warning)",
    )
    min_pause_share: float = Field(0.8, gt=0, le=1, description="segments cut in pauses at both ends over all (warning)")
    min_chars_per_s: float = Field(2.0, description="text over speech of a segment, characters a second (warning, mostly)")
    max_chars_per_s: float = Field(30.0, description="likewise; 30 is twice the pace of fast reading (warning, mostly)")
    mostly: float = Field(0.98, gt=0, le=1, description="share of segments that must be inside a range marked 'mostly'")
    max_median_cer: float = Field(
        0.2, gt=0, description="half of the segments at least must reach the release's `clean` (warning)"
    )
    min_kept_share: float = Field(0.3, ge=0, le=1, description="speech kept over speech found, silence not counted (warning)")
    max_fault_share: float = Field(
        0.02, ge=0, le=1, description="rejections that are faults over all rejections and segments (warning)"
    )


class Bound(Thresholds):
    """A range of one score as a release policy states it: ``min`` included, ``max`` excluded, None is off."""

    min: float | None = None
    max: float | None = None
    null_passes: bool = False

    @model_validator(mode="after")
    def _range(self) -> Bound:
        if self.min is not None and self.max is not None and not self.min < self.max:
            raise ValueError(f"{self.min}…{self.max} is no range")
        return self


class ReleaseThresholds(Thresholds):
    """Limits of the suite ``release``.

    Those named in :data:`POLICY` are the policy's, taken from the folder of ``release split`` among the inputs: the rows are held
    against the very policy that chose them.
    """

    license_groups: dict[str, tuple[str, ...]] = Field(
        {"by": ("by", "pd", "cc0", "us-gov"), "by-sa": ("by-sa",)}, description="license group → families that it may hold"
    )
    caption_provenance: tuple[str, ...] = Field(("human", "unknown"), description="caption provenances that may be released")
    require: dict[str, Bound] = Field(default_factory=dict, description="score → range that every clip is in")
    subsets: dict[str, dict[str, Bound]] = Field(
        {"clean": {"cer": Bound(max=0.2)}, "noisy": {"cer": Bound(min=0.2, max=0.38)}}, description="subset → score → range"
    )
    drop_text_duplicates: bool = Field(True, description="of a cluster of equal texts only the kept one is released")
    min_duration_s: float = Field(1.0, gt=0, description="shortest clip, s")
    max_duration_s: float = Field(15.0, gt=0, description="longest clip, s")
    min_dev_s: float = Field(60.0, ge=0, description="least audio in dev, s (warning): below it no error rate means anything")
    min_test_s: float = Field(60.0, ge=0, description="least audio in test, s (warning)")
    min_train_share: float = Field(0.5, ge=0, le=1, description="train over all, in seconds (warning)")
    min_creator_share: float = Field(0.5, ge=0, le=1, description="clips with a creator over all (warning)")
    min_joined_share: float = Field(
        0.2,
        ge=0,
        le=1,
        description="creators that hold recordings together over creators stated; the rest is collective (warning)",
    )

    @model_validator(mode="after")
    def _scores(self) -> ReleaseThresholds:
        for bounds in (self.require, *self.subsets.values()):
            if unknown := sorted(set(bounds) - set(SCORES)):
                raise ValueError(f"no score {', '.join(unknown)}; there are {', '.join(SCORES)}")
        return self


POLICY = ("license_groups", "caption_provenance", "require", "subsets", "drop_text_duplicates")
"""Fields of a release policy that are limits of this gate."""


class SpokenWordsThresholds(Thresholds):
    """Limits of the suite ``spoken_words``.

    ``require`` is the policy's and ``min_clips`` is ``keywords select``'s, both taken from the inputs.
    """

    require: dict[str, Bound] = Field(default_factory=dict, description="score → range that every clip new in the release is in")
    min_clips: int = Field(5, ge=1, description="fewest clips of a keyword")
    license_families: tuple[str, ...] = Field(LICENSE_FAMILIES, description="families that may be released")
    min_word_s: float = Field(0.02, gt=0, description="shortest word, s")
    max_word_s: float = Field(10.0, gt=0, description="longest word or phrase, s")
    min_context_share: float = Field(
        0.5, ge=0, le=1, description="clips without padding over all (warning); most sentences begin and end with a keyword"
    )
    mostly: float = Field(0.8, gt=0, le=1, description="share of keywords of two speakers, and held out (warning)")
    min_hours: float = Field(1.0, ge=0, description="hours of clips (warning); Google's Speech Commands has 29")
    min_speakers: int = Field(30, ge=0, description="speakers (warning)")
    held_out_share: tuple[float, float] = Field((0.05, 0.15), description="clips in dev, and in test, over all (warning)")
    female_share: tuple[float, float] = Field(
        (0.3, 0.7), description="clips of women in dev, and in test, over those with a known gender, where both exist (warning)"
    )
    max_kept_out_share: float = Field(0.1, ge=0, le=1, description="clips that the policy kept out over all (warning)")

    @model_validator(mode="after")
    def _scores(self) -> SpokenWordsThresholds:
        if unknown := sorted(set(self.require) - set(CLIP_SCORES)):
            raise ValueError(f"no score {', '.join(unknown)}; there are {', '.join(CLIP_SCORES)}")
        return self


THRESHOLDS: dict[str, type[Thresholds]] = {
    "recordings": RecordingsThresholds,
    "release": ReleaseThresholds,
    "segments": SegmentsThresholds,
    "spoken_words": SpokenWordsThresholds,
}
"""Suite → its limits."""
