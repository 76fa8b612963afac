"""The release policy: a versioned YAML file that says which clips are released and in which subset and license group."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from stagekit.errors import StageError
from stagekit.tables import SEGMENTS

SCORES = frozenset(c.name for c in SEGMENTS.columns if str(c.type) == "double")
"""Columns that a policy can bound."""

LICENSE_FAMILIES = ("by", "by-sa", "cc0", "pd", "us-gov")

TAKEDOWN = re.compile(r"[0-9a-f]{64}|[a-z][a-z0-9_]*:(?!//).*\S.*")
"""What an entry of ``takedowns`` can be: a recording_id, ``<source>:<identifier>``, or an item_id."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Bound(_Model):
    """A range of one score: ``min`` inclusive, ``max`` exclusive, None is off."""

    min: float | None = None
    max: float | None = None
    null_passes: bool = False

    def fails(self, name: str, value: float | None) -> str | None:
        """Why a value is outside, for a person; None if it is inside."""
        if self.min is None and self.max is None:
            return None
        if value is None:
            return None if self.null_passes else f"{name} is missing"
        if self.min is not None and not value >= self.min:
            return f"{name} {value:.4g} is below {self.min:g}"
        if self.max is not None and not value < self.max:
            return f"{name} {value:.4g} is not below {self.max:g}"
        return None


class Splits(_Model):
    """How groups are held out."""

    salt: str = Field(min_length=1)
    dev: float = Field(0.05, ge=0, lt=1)
    test: float = Field(0.05, ge=0, lt=1)
    collective_creators: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _leave_train(self) -> Splits:
        if self.dev + self.test >= 1:
            raise ValueError("dev and test together leave nothing for train")
        return self


class Policy(_Model):
    """The whole file."""

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    version: int = Field(ge=1)
    license_groups: dict[str, tuple[Literal["by", "by-sa", "cc0", "pd", "us-gov"], ...]]
    caption_provenance: tuple[Literal["human", "unknown", "machine"], ...] = ("human", "unknown")
    require: dict[str, Bound] = {}
    subsets: dict[str, dict[str, Bound]] = Field(min_length=1)
    drop_text_duplicates: bool = True
    splits: Splits
    takedowns: tuple[str, ...] = ()

    @field_validator("require")
    @classmethod
    def _known(cls, bounds: dict[str, Bound]) -> dict[str, Bound]:
        if unknown := sorted(set(bounds) - SCORES):
            raise ValueError(f"no score {unknown}; there are {sorted(SCORES)}")
        return bounds

    @field_validator("subsets")
    @classmethod
    def _all_known(cls, subsets: dict[str, dict[str, Bound]]) -> dict[str, dict[str, Bound]]:
        for name, bounds in subsets.items():
            if not name.isidentifier() or not name.islower():
                raise ValueError(f"subset {name!r}: lower-case letters, digits and _ only")
            cls._known(bounds)
        return subsets

    @field_validator("takedowns")
    @classmethod
    def _can_match(cls, takedowns: tuple[str, ...]) -> tuple[str, ...]:
        for entry in takedowns:
            if not TAKEDOWN.fullmatch(entry):
                raise ValueError(
                    f"{entry!r} can name nothing; write '<source>:<identifier>' for an item, all of its files (folder:talk-12), "
                    "'<source>:<identifier>/<file>' for one of them, or a recording's sha256 (64 hex digits, small letters)"
                )
        return takedowns

    @field_validator("license_groups")
    @classmethod
    def _each_once(cls, groups: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        families = [f for group in groups.values() for f in group]
        if len(families) != len(set(families)):
            raise ValueError("a license family stands in two groups")
        return groups

    def license_group(self, family: str) -> str | None:
        """The group of a license family; None if the policy releases none of it."""
        return next((name for name, families in self.license_groups.items() if family in families), None)

    def judge(self, segment: Mapping[str, Any]) -> tuple[str | None, str]:
        """The subset of a segment, or (None, the rule that it fails)."""
        for name, bound in self.require.items():
            if why := bound.fails(name, segment[name]):
                return None, why
        whys = []
        for subset, bounds in self.subsets.items():
            failed = [why for name, bound in bounds.items() if (why := bound.fails(name, segment[name]))]
            if not failed:
                return subset, ""
            whys.append(f"{subset}: {failed[0]}")
        return None, "; ".join(whys)


def parse_policy(text: str, where: str) -> Policy:
    """A policy from YAML.

    Raises:
        StageError: it is no YAML or no policy; says which field.
    """
    try:
        return Policy.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise StageError(f"{where}: not YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False))
        raise StageError(f"{where}: {problems}") from None


def unmatched(takedowns: Collection[str], what: str) -> list[str]:
    """A warning for each takedown that matched none of ``what``."""
    return [
        f"takedown {entry!r} matches no {what}: nothing was taken down for it; compare it with the source's spelling"
        for entry in takedowns
    ]


def dump_policy(policy: Policy) -> str:
    """The policy as YAML, canonical: the same policy gives the same bytes."""
    return yaml.safe_dump(policy.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
