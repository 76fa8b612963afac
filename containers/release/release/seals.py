"""Sealed batches in storage: where they are, what they pin, and reading the tables that they pin."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from stagekit.errors import StageError
from stagekit.folder import FILE_NAME, iterate_files, read_files
from stagekit.inputs import SUCCESS, Input
from stagekit.storage import join, local_copy, resolve, sha256_file

BATCH_KEY = r"\d{4}\.(0[1-9]|1[0-2])"
"""YYYY.MM"""

FORMAT = 1
"""Version of ``batch.json``."""


def batch_uri(root: str, dataset: str, language: str, key: str = "") -> str:
    """The folder of a batch, or of all batches of a dataset and language."""
    return join(root, "batches", dataset, language, *([key] if key else []))


def folder_digest(uri: str) -> str:
    """What a finished stage folder's content comes to, whatever the time and place of the run that made it."""
    return Input.parse(uri, raw_allowed=False).digest


@dataclass(frozen=True)
class Seal:
    """One batch as ``batch.json`` says: its key, where it is, and the file's own sha256."""

    key: str
    uri: str
    sha256: str
    content: dict[str, Any]

    @property
    def ledger(self) -> dict[str, Any]:
        """The batch's ledger (:func:`release.ledger.batch_ledger`)."""
        return dict(self.content["ledger"])

    def folders(self, stages: Sequence[str]) -> list[tuple[str, str]]:
        """(URI, pinned digest) of the folders of these stages, in the order of the seal."""
        found = []
        for stage in stages:
            for entry in self.content["stages"].get(stage, []):
                path = entry["path"]
                found.append((path if "://" in path else join(self.uri, path), entry["digest"]))
        return found

    def paths(self, table: str, stages: Sequence[str]) -> Iterator[Path]:
        """Local paths of a table's files, each checked against what was sealed."""
        for _uri, _name, path in self.files(table, stages):
            yield path

    def files(self, table: str, stages: Sequence[str]) -> Iterator[tuple[str, str, Path]]:
        """(URI of the folder, name, local path) of a table's files, each checked against what was sealed.

        Raises:
            StageError: a folder or a file is not what was sealed.
        """
        for uri, digest in self.folders(stages):
            if folder_digest(uri) != digest:
                raise StageError(
                    f"{uri}: not what {self.uri}/batch.json sealed; restore it, it cannot be made again under this seal"
                )
            store, path = resolve(uri)
            files = json.loads(store.read_bytes(f"{path}/{SUCCESS}"))["files"]
            for name in sorted(files):
                match = FILE_NAME.fullmatch(name)
                if match and match["table"] == table:
                    with local_copy(join(uri, name)) as local:
                        if sha256_file(local) != files[name]["sha256"]:
                            raise StageError(f"{join(uri, name)}: its bytes are not the sealed ones (sha256 differs)")
                        yield uri, name, local

    def rows(self, table: str, stages: Sequence[str], columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
        """Rows of a table of these stages, one by one."""
        for path in self.paths(table, stages):
            yield from iterate_files([path], table, columns)

    def read(self, table: str, stages: Sequence[str], columns: Sequence[str] | None = None) -> pa.Table:
        """All rows of a table of these stages."""
        parts = [read_files([path], table, columns) for path in self.paths(table, stages)]
        return pa.concat_tables(parts) if parts else read_files([], table, columns)


def batch_keys(root: str, dataset: str, language: str, until: str) -> list[str]:
    """Keys of the sealed batches up to and with ``until``, sorted."""
    store, path = resolve(batch_uri(root, dataset, language))
    local = store.local(path)
    if local is not None:
        names = [p.parent.name for p in local.glob("*/batch.json")]
    else:
        names = [n.partition("/")[0] for n, _ in store.list(path) if n.count("/") == 1 and n.endswith("/batch.json")]
    return sorted(n for n in names if re.fullmatch(BATCH_KEY, n) and n <= until)


def read_seal(root: str, dataset: str, language: str, key: str) -> Seal:
    """The seal of one batch.

    Raises:
        StageError: it is not sealed, or sealed in a format that this code does not read.
    """
    uri = batch_uri(root, dataset, language, key)
    store, path = resolve(join(uri, "batch.json"))
    try:
        data = store.read_bytes(path)
    except FileNotFoundError:
        raise StageError(f"{uri}: this batch is not sealed (no batch.json)") from None
    content = json.loads(data)
    if content.get("format") != FORMAT:
        raise StageError(f"{uri}/batch.json: format {content.get('format')}, this code reads {FORMAT}")
    return Seal(key, uri, hashlib.sha256(data).hexdigest(), content)
