"""The append-only record of which group key has which split: ``<root>/splits/<dataset>/<language>/assignments-NNNNN.parquet``.

A file, once written, never changes; new assignments are a new file with the next number. Two writers cannot take the same number:
the one that comes second reads again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pyarrow as pa
import pyarrow.parquet as pq

from stagekit.errors import StageError
from stagekit.folder import file_name, read_files
from stagekit.storage import join, local_copy, resolve
from stagekit.tables import ASSIGNMENTS

Assigned = dict[str, tuple[str, str]]
"""Key → (split, version of the release that first assigned it)."""


def splits_uri(root: str, dataset: str, language: str) -> str:
    """The folder of the record."""
    return join(root, "splits", dataset, language)


def load(uri: str) -> tuple[Assigned, int]:
    """All assignments, and the number of the next file.

    Raises:
        StageError: a key has two splits, or a file of the sequence is missing: the record was tampered with.
    """
    store, path = resolve(uri)
    names = sorted(name for name, _ in store.list(path) if name.startswith("assignments-"))
    if names != [file_name(ASSIGNMENTS.name, n) for n in range(len(names))]:
        raise StageError(f"{uri}: assignment files are missing ({', '.join(names)}); splits would move, restore them")
    found: Assigned = {}
    for name in names:
        with local_copy(join(uri, name)) as local:
            for row in read_files([local], ASSIGNMENTS.name).to_pylist():
                have = found.setdefault(row["group_key"], (row["split"], row["since"]))
                if have[0] != row["split"]:
                    raise StageError(
                        f"{join(uri, name)}: {row['group_key']} is in {row['split']}, and in {have[0]} since {have[1]}"
                    )
    return found, len(names)


def append(uri: str, number: int, new: Mapping[str, str], version: str) -> bool:
    """Write file ``number`` with new assignments; False, and nothing written, if the number is taken."""
    rows = [{"group_key": k, "split": s, "since": version} for k, s in sorted(new.items())]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, schema=ASSIGNMENTS.schema), sink, compression="zstd")
    store, path = resolve(join(uri, file_name(ASSIGNMENTS.name, number)))
    return store.write_new(path, sink.getvalue().to_pybytes())


def extend(uri: str, new_of: Callable[[Mapping[str, str]], Mapping[str, str]], version: str, *, record: bool) -> Assigned:
    """Add what ``new_of`` makes of the assignments so far, and return all of them.

    Args:
        uri: folder of the record.
        new_of: from key → split so far to key → split of keys that have none.
        version: release that asks.
        record: False leaves the record as it is (a dry run).
    """
    while True:
        assigned, number = load(uri)
        new = new_of({k: s for k, (s, _) in assigned.items()})
        if not new or not record or append(uri, number, new, version):
            return {**assigned, **{k: (s, version) for k, s in new.items()}}
