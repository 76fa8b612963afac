"""Input folders of a stage: where they are, what is in them, and a digest of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stagekit.errors import StageError
from stagekit.folder import FILE_NAME
from stagekit.storage import below, local_copy, resolve, sha256_file

SUCCESS = "_SUCCESS.json"
"""Written last into a stage's output folder: with it the folder is finished and never changes."""


def digest(value: Any) -> str:
    """Hex sha256 of a JSON value, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    # Names of files may be no Unicode: Python holds their bytes as lone surrogates.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def folder_digest(success: Mapping[str, Any], shard: str = "") -> str:
    """The digest of a finished folder, or of one shard of it, by what its ``_SUCCESS.json`` says."""
    files = {n: f["sha256"] for n, f in success["files"].items() if not shard or f"-{shard}." in n}
    return digest({"fingerprint": success["fingerprint"], "files": files})


@dataclass
class Input:
    """One input folder, or one shard of it."""

    role: str
    uri: str
    shard: str | None
    digest: str
    success: dict[str, Any] | None

    @classmethod
    def parse(cls, text: str, raw_allowed: bool) -> Input:
        """From ``[ROLE=]URI[#SHARD]``.

        Raises:
            StageError: the folder has not been finished, or is not there.
        """
        role, separator, rest = text.partition("=")
        if not separator or not role.isidentifier():
            role, rest = "", text
        uri, _, shard = rest.partition("#")
        store, path = resolve(uri)
        marker = f"{path}/{SUCCESS}"
        if store.exists(marker):
            success = json.loads(store.read_bytes(marker))
            return cls(role, uri, shard or None, folder_digest(success, shard), success)
        listing = [(name, size) for name, size in store.list(path)]
        if not raw_allowed:
            raise StageError(f"input {uri}: no {SUCCESS} in it; the stage that makes it has not finished, or the URI is wrong")
        if not listing and not store.exists(path):
            local = store.local(path)
            if local is None or not local.is_dir():
                raise StageError(f"input {uri}: there is no such folder")
        files = {}
        for name, _size in listing:
            with local_copy(below(uri, name)) as local_path:
                files[name] = sha256_file(local_path)
        return cls(role, uri, shard or None, digest(files), None)

    def content(self, tables: Sequence[str]) -> str:
        """A digest of what its files of these tables hold, whatever made them."""
        if self.success is None:
            return self.digest
        wanted = {n: self.success["files"][n]["sha256"] for n in self.tables() if FILE_NAME.fullmatch(n)["table"] in tables}  # type: ignore[index]
        return digest(wanted)

    def tables(self) -> list[str]:
        """Names of its Parquet files."""
        if self.success is None:
            return []
        return [n for n in self.success["files"] if FILE_NAME.fullmatch(n) and (self.shard is None or f"-{self.shard}." in n)]
