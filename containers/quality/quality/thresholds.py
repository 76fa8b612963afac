"""Limits of the suites, without the suites.

So parameters are checked, and a rerun is seen to be one, without the seconds that importing Great Expectations takes.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

LICENSE_FAMILIES = ("by", "by-sa", "cc0", "pd", "us-gov")
"""The families of the data contract; NC, ND and unknown never get in."""

COLLECTIVE = ("", "various", "various artists", "various authors", "librivox", "librivox volunteers", "unknown", "anonymous")
"""Creators that are no one voice; they join no group. The release's policy hands in its own list."""


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
    max_alignment_score: float = Field(
        0.5, description="log-likelihood ratio against a free phone loop: 0 is best, up to rounding (warning)"
    )
    max_long_share: float = Field(
        0.25,
        gt=0,
        lt=1,
        description="segments over 14 s over all; 75 % of the original's `clean` are over 14.5 s, since it cut by length (warning)",
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


class ReleaseThresholds(Thresholds):
    """Limits of the suite ``release``; the policy's, so that gate and policy cannot drift apart."""

    subsets: dict[str, tuple[float, float]] = Field(
        {"clean": (0.0, 0.2), "noisy": (0.2, 0.38)}, description="subset → CER from (included) to (excluded)"
    )
    license_families: tuple[str, ...] = Field(LICENSE_FAMILIES, description="families that may be released")
    provenances: tuple[str, ...] = Field(("human", "unknown"), description="caption provenances that may be released")
    collective_creators: tuple[str, ...] = Field(COLLECTIVE, description="creators that are no one voice, lower case")
    min_duration_s: float = Field(1.0, gt=0, description="shortest segment, s")
    max_duration_s: float = Field(15.0, gt=0, description="longest segment, s")
    min_dev_s: float = Field(60.0, ge=0, description="least audio in dev, s (warning): below it no error rate means anything")
    min_test_s: float = Field(60.0, ge=0, description="least audio in test, s (warning)")
    min_train_share: float = Field(0.5, ge=0, le=1, description="train over all, in seconds (warning)")
    min_creator_share: float = Field(0.5, ge=0, le=1, description="segments with a creator over all (warning)")

    @model_validator(mode="after")
    def _ranges(self) -> ReleaseThresholds:
        for name, (low, high) in self.subsets.items():
            if not low < high:
                raise ValueError(f"subset {name}: {low}…{high} is no range")
        return self


THRESHOLDS: dict[str, type[Thresholds]] = {
    "recordings": RecordingsThresholds,
    "release": ReleaseThresholds,
    "segments": SegmentsThresholds,
}
"""Suite → its limits."""
