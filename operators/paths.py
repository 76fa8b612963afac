"""The storage layout (docs/architecture.md, *Storage*), in one place. URIs have no trailing slash."""

from __future__ import annotations

import re


def batch(root: str, dataset: str, language: str, key: str) -> str:
    """What a harvest made for one month.

    >>> batch("file:///w", "peoples_speech", "en", "2026.10")
    'file:///w/batches/peoples_speech/en/2026.10'
    """
    return f"{root}/batches/{dataset}/{language}/{key}"


def batches(root: str, dataset: str, language: str) -> str:
    """All months of a language."""
    return f"{root}/batches/{dataset}/{language}"


def seal(root: str, dataset: str, language: str, key: str) -> str:
    """The object that says that a month is complete."""
    return f"{batch(root, dataset, language, key)}/batch.json"


def work(root: str, dataset: str, language: str, version: str) -> str:
    """A release's own stages, before it is published."""
    return f"{root}/work/{dataset}/{language}/{version}"


def clips(root: str, dataset: str, language: str) -> str:
    """Where spoken words are cut to, for all releases: a shard that has not changed is not cut again."""
    return f"{root}/work/{dataset}/{language}/clips"


def splits(root: str, dataset: str, language: str) -> str:
    """Split assignments of a language, append-only."""
    return f"{root}/splits/{dataset}/{language}"


def shards(root: str, dataset: str, language: str) -> str:
    """Packed shards, content-addressed, shared by all releases of a language."""
    return f"{root}/shards/{dataset}/{language}"


def releases(root: str, dataset: str, language: str) -> str:
    """All published versions of a language."""
    return f"{root}/releases/{dataset}/{language}"


def release(root: str, dataset: str, language: str, version: str) -> str:
    """One published version.

    >>> release("file:///w", "peoples_speech", "en", "2026.10.1")
    'file:///w/releases/peoples_speech/en/2026.10.1'
    """
    return f"{releases(root, dataset, language)}/{version}"


def recordings(root: str) -> str:
    """Raw recordings, content-addressed, shared by all runs."""
    return f"{root}/recordings"


def quality(root: str, dataset: str, language: str, key: str) -> str:
    """Verdicts and Data Docs of one batch or release."""
    return f"{root}/quality/{dataset}/{language}/{key}"


def receipt(root: str, dag_id: str, run_id: str, task_id: str, map_index: int) -> str:
    """Where a task's stage writes what came out; run ids hold ``:`` and ``+``, which are made plain.

    >>> receipt("file:///w", "d", "manual__2026-11-01T00:00:00+00:00", "shard.fetch", 2)
    'file:///w/runs/d/manual__2026-11-01T00-00-00-00-00/shard.fetch-2.json'
    """
    return f"{root}/runs/{dag_id}/{re.sub(r'[^A-Za-z0-9._-]', '-', run_id)}/{task_id}-{map_index}.json"
