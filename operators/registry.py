"""The registry: which languages there are, and how each is harvested and released (``config/languages.yaml``)."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar, cast, get_type_hints

import yaml

from operators.profiles import PROFILES, STAGES

log = logging.getLogger(__name__)
SOURCES = ("folder", "internet_archive")
"""Of containers/ingest, ingest.discover; a test keeps both lists alike."""
RECOGNIZERS = ("moonshine", "pocketsphinx", "torchaudio")
"""Of containers/align, align.recognizers; a test keeps both lists alike."""
GPU_RECOGNIZERS = ("torchaudio",)
"""Those that run in the image's GPU environment."""
APPROVALS = ("required", "auto")


class RegistryError(ValueError):
    """An entry cannot be used; the message says which, where and what was expected."""


@dataclass(frozen=True)
class Language:
    """One language of one dataset: an entry of ``config/languages.yaml``.

    Attributes:
        code: ISO 639-1 code; part of every path and DAG id.
        name: English name.
        since: first month of its history, ``YYYY.MM``.
        source: default source of a harvest, one of ``SOURCES``.
        location: default location of the source; ``{month}`` in it becomes the month.
        shard_hours: hours of audio in one shard, the unit that tasks are mapped over.
        recognizer: what hears the recordings, one of ``RECOGNIZERS``.
        policy: file of ``config/policies/`` that makes subsets of scores.
        approval: default of the release's approval, one of ``APPROVALS``.
        stages: parameters of single stages, by stage name.
        pods: ``image.stage`` or ``image`` → profile, over those of `operators.profiles`: what so much audio needs on Kubernetes.
    """

    code: str
    name: str
    since: str
    source: str = "internet_archive"
    location: str = ""
    shard_hours: float = 10.0
    recognizer: str = "moonshine"
    policy: str = "peoples_speech"
    approval: str = "required"
    stages: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    pods: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the entry.

        Raises:
            RegistryError: a value cannot be used.
        """
        _expect(bool(re.fullmatch(r"[a-z]{2,3}", self.code)), f"'{self.code}'", "a language code of 2 or 3 letters")
        month = isinstance(self.since, str) and re.fullmatch(r"\d{4}\.(0[1-9]|1[0-2])", self.since)
        _expect(bool(month), f"{self.code}.since {self.since!r}", "a quoted YYYY.MM")
        _expect(self.source in SOURCES, f"{self.code}.source '{self.source}'", f"one of {', '.join(SOURCES)}")
        _expect(self.recognizer in RECOGNIZERS, f"{self.code}.recognizer '{self.recognizer}'", f"one of {', '.join(RECOGNIZERS)}")
        _expect(self.approval in APPROVALS, f"{self.code}.approval '{self.approval}'", f"one of {', '.join(APPROVALS)}")
        _expect(self.shard_hours > 0, f"{self.code}.shard_hours {self.shard_hours}", "more than 0")
        _expect(*known_profiles(self.code, self.pods))
        _expect(*parameters_of_stages(self.code, self.stages))

    def stage(self, name: str) -> dict[str, Any]:
        """Parameters of a stage."""
        return dict(self.stages.get(name, {}))


def known_profiles(code: str, pods: Any) -> tuple[bool, str, str]:
    """Whether a language's ``pods`` name images and profiles that there are; what was found, and what was expected."""
    images = {key.partition(".")[0] for key in STAGES}
    fine = isinstance(pods, Mapping) and all(
        isinstance(k, str) and k.partition(".")[0] in images and isinstance(p, str) and p in PROFILES for k, p in pods.items()
    )
    return fine, f"{code}.pods {pods!r}", f"image or image.stage (of {', '.join(sorted(images))}): one of {', '.join(PROFILES)}"


def parameters_of_stages(code: str, stages: Any) -> tuple[bool, str, str]:
    """As `known_profiles`, of a language's ``stages``."""
    fine = isinstance(stages, Mapping) and all(isinstance(params, Mapping) for params in stages.values())
    return fine, f"{code}.stages {stages!r}", "the parameters of each stage, by its name"


def variant(stage: str, params: Mapping[str, Any]) -> str:
    """Which of an image's environments a stage with these parameters needs: who reads what a model said needs none.

    >>> variant("recognize", {"recognizer": "torchaudio"}), variant("align", {"recognizer": "torchaudio"})
    ('gpu', '')
    """
    return "gpu" if stage == "recognize" and params.get("recognizer") in GPU_RECOGNIZERS else ""


class Entry(Protocol):
    """What the entries of all datasets have."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def policy(self) -> str:
        """File of ``config/policies/``."""


L = TypeVar("L", bound=Entry)


def load_languages(config: Path, dataset: str, *, usable: bool = False, only: str = "") -> list[Language]:
    """The languages of a dataset.

    Args:
        config: folder that holds ``languages.yaml``.
        dataset: its section there.
        usable: leave out what cannot be used, with a warning: no language stops the others. ``dags/registry.py`` refuses it.
        only: read the entry of this language alone, and refuse it if it cannot be used; empty: all.

    Raises:
        RegistryError: the file or an entry cannot be used.
    """
    path = config / "languages.yaml"
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise RegistryError(f"{path}: {error}") from error
    entries = (document or {}).get(dataset)
    if not isinstance(entries, dict) or not entries:
        raise RegistryError(f"{path}: no section '{dataset}' with at least one language")
    return read_entries(path, dataset, entries, Language, usable=usable, only=only)


def read_entries(path: Path, dataset: str, entries: Mapping[Any, Any], kind: type[L], *, usable: bool, only: str) -> list[L]:
    """The entries of a section of ``languages.yaml``; see `load_languages`."""
    languages, bad = [], []
    for code, entry in entries.items():
        if only and str(code) != only:
            continue
        try:
            languages.append(_entry(path, dataset, code, entry, kind))
        except RegistryError as error:
            bad.append(str(error))
    if bad and (only or not usable):
        raise RegistryError("\n".join(bad))
    for line in bad:
        log.warning("left out: %s", line)
    return languages


PLAIN: Mapping[Any, tuple[tuple[type, ...], str]] = {
    str: ((str,), "a text"), int: ((int,), "a whole number"), float: ((int, float), "a number"),
}  # fmt: skip
"""Type of a field → what YAML may give for it."""


def _entry(path: Path, dataset: str, code: Any, entry: Any, kind: type[L]) -> L:
    if not isinstance(entry, dict):
        raise RegistryError(f"{path}: {dataset}.{code} is no mapping")
    known = {f.name for f in fields(kind)} - {"code"}
    if unknown := {str(name) for name in entry} - known:
        raise RegistryError(f"{path}: {dataset}.{code} has unknown fields {sorted(unknown)}; known: {sorted(known)}")
    try:
        language: L = cast(Any, kind)(code=str(code), **entry)
        for name, hint in get_type_hints(kind).items():
            if name in entry and hint in PLAIN:
                kinds, expected = PLAIN[hint]
                _expect(type(entry[name]) in kinds, f"{code}.{name} {entry[name]!r}", expected)
        policy = path.parent / "policies" / f"{language.policy}.yaml"
        _expect(policy.is_file(), f"{code}.policy '{language.policy}'", f"a file {policy}")
        load_policy(path.parent, language.policy)
    except (RegistryError, TypeError) as error:
        raise RegistryError(f"{path}: {dataset}.{error}") from error
    return language


def load_policy(config: Path, name: str) -> dict[str, Any]:
    """A policy file, as the release stages take it in their parameters.

    Raises:
        RegistryError: it is not there or no mapping.
    """
    path = config / "policies" / f"{name}.yaml"
    try:
        policy = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise RegistryError(f"{path}: {error}") from error
    if not isinstance(policy, dict):
        raise RegistryError(f"{path}: expected a mapping")
    return policy


def _expect(ok: bool, what: str, expected: str) -> None:
    if not ok:
        raise RegistryError(f"{what}: expected {expected}")
