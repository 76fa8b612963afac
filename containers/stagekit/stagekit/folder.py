"""Reading and writing the Parquet files of a stage folder, validated against ``stagekit.tables``.

Files are named ``<table>-NNNNN.parquet``; NNNNN is the shard. The same rows give the same bytes: one library version (locked),
fixed compression and row-group size, no time stamps.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stagekit.errors import StageError
from stagekit.tables import TABLES, Table

FILE_NAME = re.compile(r"(?P<table>[a-z_]+)-(?P<shard>\d{5})\.parquet")


def file_name(table: str, shard: int) -> str:
    """The name of a table's file of one shard.

    >>> file_name("items", 3)
    'items-00003.parquet'
    """
    return f"{table}-{shard:05d}.parquet"


class TableWriter:
    """Writes the rows of one table and shard; nothing is on disk until a row group is full or :meth:`close`."""

    def __init__(self, folder: Path, table: Table, shard: int):
        """Open ``folder/<table>-<shard>.parquet``; the file is made even if no row follows."""
        self.table, self.path, self.rows = table, folder / file_name(table.name, shard), 0
        self._names = set(table.names)
        self._required = [c.name for c in table.columns if not c.nullable]
        self._buffer: list[Mapping[str, Any]] = []
        self._writer = pq.ParquetWriter(self.path, table.schema, compression="zstd", write_page_index=False)

    def write(self, row: Mapping[str, Any]) -> None:
        """Append one row; every column of the table must be there, and no other.

        Raises:
            StageError: a column is missing, unknown, or null where it may not be.
        """
        if set(row) != self._names:
            missing, unknown = self._names - set(row), set(row) - self._names
            raise StageError(f"table {self.table.name}: row lacks {sorted(missing)}, has unknown {sorted(unknown)}")
        for name in self._required:
            if row[name] is None:
                raise StageError(f"table {self.table.name}: {name} is null in row {_key(self.table, row)}")
        self._buffer.append(row)
        self.rows += 1
        if len(self._buffer) >= self.table.row_group:
            self._flush()

    def write_table(self, table: pa.Table) -> None:
        """Append many rows at once, cast to the schema.

        Raises:
            StageError: the columns differ, or a null stands where none may.
        """
        if set(table.column_names) != self._names:
            missing, unknown = self._names - set(table.column_names), set(table.column_names) - self._names
            raise StageError(f"table {self.table.name}: lacks columns {sorted(missing)}, has unknown {sorted(unknown)}")
        for name in self._required:
            if table.column(name).null_count:
                raise StageError(f"table {self.table.name}: {table.column(name).null_count} rows have no {name}")
        self._flush()
        self.rows += table.num_rows
        self._writer.write_table(table.select(self.table.names).cast(self.table.schema), row_group_size=self.table.row_group)

    def _flush(self) -> None:
        if self._buffer:
            try:
                rows = pa.Table.from_pylist(self._buffer, schema=self.table.schema)
            except (pa.ArrowException, TypeError, OverflowError) as error:
                raise StageError(f"table {self.table.name}: a row does not fit its schema: {error}") from error
            self._writer.write_table(rows)
            self._buffer = []

    def close(self) -> None:
        """Write what is buffered and the file's footer."""
        self._flush()
        self._writer.close()


def _key(table: Table, row: Mapping[str, Any]) -> str:
    return ", ".join(f"{k}={row.get(k)!r}" for k in table.key)


def check_schema(path: str, table: Table, schema: pa.Schema) -> None:
    """Refuse a file that is not of the table's version.

    Raises:
        StageError: the version or the columns differ.
    """
    metadata = schema.metadata or {}
    version = metadata.get(b"speechmill.version", b"none").decode()
    if version != str(table.version):
        raise StageError(
            f"{path}: version {version} of table {table.name}, this code reads {table.version}; run the stage that made it again"
        )
    if missing := set(table.names) - set(schema.names):
        raise StageError(f"{path}: table {table.name} lacks columns {sorted(missing)}; run the stage that made it again")


def read_files(paths: Sequence[Path], table_name: str, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of several files of one table, in the order given; an empty table if there are none."""
    table = TABLES[table_name]
    wanted = list(columns) if columns is not None else table.names
    schema = pa.schema([table.schema.field(n) for n in wanted])
    parts = []
    for path in paths:
        file = pq.ParquetFile(path)
        check_schema(str(path), table, file.schema_arrow)
        parts.append(file.read(columns=wanted).select(wanted).cast(schema))
    return pa.concat_tables(parts) if parts else schema.empty_table()


def iterate_files(
    paths: Iterable[Path], table_name: str, columns: Sequence[str] | None = None, batch: int | None = None
) -> Iterator[dict[str, Any]]:
    """The same rows one by one as dicts, ``batch`` of them in memory at a time: the table's row group, if not given."""
    table = TABLES[table_name]
    for path in paths:
        file = pq.ParquetFile(path)
        check_schema(str(path), table, file.schema_arrow)
        for rows in file.iter_batches(batch_size=batch or table.row_group, columns=list(columns) if columns else table.names):
            yield from rows.to_pylist()
