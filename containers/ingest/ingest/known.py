"""What earlier batches hold: items that need not be harvested again, and rejections that need not be said again."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping

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
    """The seals of a dataset's earlier batches. If ``before`` is sealed itself: those that its ``discover`` took.

    An earlier month that was sealed after it changes nothing in it, so that its rerun finds all as it was.

    Args:
        batches: URI of ``<root>/batches/<dataset>/<language>``; nothing there is no error: it may be the first.
        before: batch key YYYY.MM; '' takes all.
    """
    store, path = resolve(batches)
    listed = [(name, match["key"]) for name, _size in store.list(path) if (match := SEAL.fullmatch(name))]
    own = [name for name, key in listed if key == before]
    taken = _taken(batches, own[0], store.read_bytes(f"{path}/{own[0]}")) if own else None
    return {
        name: store.read_bytes(f"{path}/{name}")
        for name, key in listed
        if (not before or key < before) and (taken is None or name in taken)
    }


def _taken(batches: str, name: str, seal: bytes) -> set[str] | None:
    """Names of the seals that the ``discover`` of a sealed batch took; None if nothing says so: it had no items, or is gone."""
    try:
        said = [(folder.success or {})["metrics"].get("seals") for folder in _folders(batches, name, seal, STAGES[0])]
    except StageError:
        return None
    return None if not said or None in said else {taken for names in said for taken in names}


def _folders(batches: str, name: str, seal: bytes, stage: str) -> list[Input]:
    """The folders of a stage that a seal names.

    Raises:
        StageError: one is not there.
    """
    base, found = join(batches, name.partition("/")[0]), []
    for entry in json.loads(seal)["stages"].get(stage, []):
        uri = entry["path"] if "://" in entry["path"] else join(base, entry["path"])
        try:
            found.append(Input.parse(uri, raw_allowed=False))
        except StageError as error:
            raise StageError(f"{join(batches, name)} names a folder that cannot be read: {error}") from None
    return found


def digests(batches: str, before: str) -> dict[str, str]:
    """sha256 of each of :func:`seals`: what decides which items are known."""
    return {name: hashlib.sha256(data).hexdigest() for name, data in seals(batches, before).items()}


def known_items(batches: str, sealed: Mapping[str, bytes]) -> dict[str, str]:
    """item_id → "" for an item that a sealed batch fetched, for good or ill, → its reason for one that ``discover`` rejected.

    Whatever may be different next time (:data:`TEMPORARY`) is not known. What ``discover`` rejected is looked at again, since
    captions and rights change; what was fetched is not.

    Args:
        batches: as for :func:`seals`.
        sealed: what that gave.

    Raises:
        StageError: a seal names a folder that is not there.
    """
    known: dict[str, str] = {}
    for name, data in sorted(sealed.items()):
        for stage in STAGES:
            for folder in _folders(batches, name, data, stage):
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
