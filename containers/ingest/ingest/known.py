"""What earlier batches hold: items that need not be harvested again, and rejections that need not be said again."""

from __future__ import annotations

import hashlib
import json
import re

from stagekit.errors import StageError
from stagekit.folder import iterate_files
from stagekit.inputs import Input
from stagekit.storage import join, local_copy, resolve
from stagekit.tables import Reason

SEAL = re.compile(r"(?P<key>\d{4}\.\d{2})/batch\.json")
STAGES = ("ingest.discover", "ingest.fetch")
TEMPORARY = frozenset({Reason.DOWNLOAD_FAILED, Reason.CHECKSUM_MISMATCH, Reason.ITEM_UNREADABLE, Reason.CRASHED})
"""Reasons that another day may undo: the item is looked at again."""


def seals(batches: str, before: str) -> dict[str, bytes]:
    """The seals of a dataset's earlier batches.

    Args:
        batches: URI of ``<root>/batches/<dataset>/<language>``; nothing there is no error: it may be the first.
        before: batch key YYYY.MM; '' takes all.
    """
    store, path = resolve(batches)
    found = {}
    for name, _size in store.list(path):
        match = SEAL.fullmatch(name)
        if match and (not before or match["key"] < before):
            found[name] = store.read_bytes(f"{path}/{name}")
    return found


def digests(batches: str, before: str) -> dict[str, str]:
    """sha256 of each of :func:`seals`: what decides which items are known."""
    return {name: hashlib.sha256(data).hexdigest() for name, data in seals(batches, before).items()}


def known_items(batches: str, before: str) -> dict[str, str]:
    """item_id → "" for an item that a sealed batch fetched, for good or ill, → its reason for one that ``discover`` rejected.

    Whatever may be different next time (:data:`TEMPORARY`) is not known. What ``discover`` rejected is looked at again, since
    captions and rights change; what was fetched is not.

    Raises:
        StageError: a seal names a folder that is not there.
    """
    known: dict[str, str] = {}
    for name, data in sorted(seals(batches, before).items()):
        base = join(batches, name.partition("/")[0])
        stages = json.loads(data)["stages"]
        for stage in STAGES:
            for entry in stages.get(stage, []):
                uri = entry["path"] if "://" in entry["path"] else join(base, entry["path"])
                try:
                    folder = Input.parse(uri, raw_allowed=False)
                except StageError as error:
                    raise StageError(f"{join(batches, name)} names a folder that cannot be read: {error}") from None
                _add(known, folder, stage)
    return known


def _add(known: dict[str, str], folder: Input, stage: str) -> None:
    for name in folder.tables():
        table = name.rpartition("-")[0]
        with local_copy(join(folder.uri, name)) as path:
            if table == "rejections":
                for row in iterate_files([path], table, ["unit", "id", "reason"]):
                    if row["unit"] == "item" and row["reason"] not in TEMPORARY and known.get(row["id"]) != "":
                        known[row["id"]] = row["reason"] if stage == "ingest.discover" else ""
            elif table == "items" and stage == "ingest.fetch":
                for row in iterate_files([path], table, ["item_id"]):
                    known[row["item_id"]] = ""
