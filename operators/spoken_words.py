"""The registry of the spoken words: its languages (``config/languages.yaml``), and which release a month holds.

The latter is in ``config/sources.yaml``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from operators.registry import APPROVALS, RegistryError, known_profiles, parameters_of_stages, read_entries

DATASET = "spoken_words"
ALIGNERS = {"flat_start": "words", "mfa": "mfa"}
"""Name in the registry → image. Both have the stages ``train`` and ``align`` over the same tables."""


@dataclass(frozen=True)
class SpokenLanguage:
    """One language of the spoken words.

    Attributes:
        code: BCP 47; part of every path and DAG id.
        name: English name.
        text: how it is written: ingest/sentence.py, class TextRules.
        aligner: where word boundaries come from, one of ``ALIGNERS``.
        since: first month of its history, ``YYYY.MM``.
        locale: its folder in a Common Voice release; empty: the code.
        shard_clips: clips in one shard, the unit that tasks are mapped over.
        approval: default of the release's approval.
        policy: file of ``config/policies/`` that says which clips a release lets in.
        stages: parameters of single stages, by stage name.
        pods: ``image.stage`` or ``image`` → profile, over those of `operators.profiles`: what so much audio needs on Kubernetes.
    """

    code: str
    name: str
    text: Mapping[str, Any] | None = None
    aligner: str = "flat_start"
    since: str = "2020.12"
    locale: str = ""
    shard_clips: int = 5000
    approval: str = "required"
    policy: str = "spoken_words"
    stages: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    pods: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the entry.

        Raises:
            RegistryError: a value cannot be used.
        """
        month = isinstance(self.since, str) and re.fullmatch(r"\d{4}\.(0[1-9]|1[0-2])", self.since)
        for ok, what, expected in (
            (re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]+)*", self.code), f"'{self.code}'", "a language tag (BCP 47)"),
            (self.aligner in ALIGNERS, f"{self.code}.aligner '{self.aligner}'", f"one of {', '.join(ALIGNERS)}"),
            (month, f"{self.code}.since {self.since!r}", "a quoted YYYY.MM"),
            (self.approval in APPROVALS, f"{self.code}.approval '{self.approval}'", f"one of {', '.join(APPROVALS)}"),
            (self.shard_clips > 0, f"{self.code}.shard_clips {self.shard_clips}", "more than 0"),
            (self.text is None or isinstance(self.text, Mapping), f"{self.code}.text {self.text!r}", "a mapping"),
            known_profiles(self.code, self.pods),
            parameters_of_stages(self.code, self.stages),
        ):
            if not ok:
                raise RegistryError(f"{what}: expected {expected}")

    def stage(self, name: str) -> dict[str, Any]:
        """Parameters of a stage."""
        return dict(self.stages.get(name, {}))


def load_spoken_languages(config: Path, *, usable: bool = False, only: str = "") -> list[SpokenLanguage]:
    """The languages of the spoken words; ``usable`` and ``only`` as for `operators.registry.load_languages`.

    Raises:
        RegistryError: the file or an entry cannot be used.
    """
    path = config / "languages.yaml"
    return read_entries(path, DATASET, _read(path).get(DATASET) or {}, SpokenLanguage, usable=usable, only=only)


def release_of(config: Path, month: str, language: SpokenLanguage) -> Mapping[str, str]:
    """What ``config/sources.yaml`` says Common Voice released in a month: ``version`` and ``location``, both empty for none.

    In a location ``{language}`` becomes the language's folder in the release.

    Raises:
        RegistryError: the file cannot be used.
    """
    path = config / "sources.yaml"
    entry = (_read(path).get("common_voice") or {}).get(month)
    if entry is None:
        return {"version": "", "location": ""}
    texts = isinstance(entry, dict) and all(isinstance(v, str) for v in entry.values())
    if not texts or set(entry) != {"version", "location"}:
        raise RegistryError(f"{path}: common_voice.{month}: expected version and location, both quoted")
    return {"version": entry["version"], "location": entry["location"].replace("{language}", language.locale or language.code)}


def _read(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise RegistryError(f"{path}: {error}") from error
    return document if isinstance(document, dict) else {}
