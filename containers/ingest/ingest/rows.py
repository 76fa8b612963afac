"""Rows of a tab-separated list, as Common Voice writes them: one line a row, fields quoted in some releases and bare in others.

Releases up to 2021 quote a field that holds a quotation mark (``"He said ""no""."``); later ones write it bare, so that a
mark at a field's start may be speech and never close. A reader that always takes it for quoting swallows the rows that follow;
one that never does keeps marks that nobody wrote. So: a line is cut at its tabs; if it has as many fields as the header, each
is unquoted only if it is quoted as a whole. If not, or if its last field is left open and what follows is no row, the line may
be the start of a quoted row with tabs or line breaks inside: that is tried with :mod:`csv`, and else the line is unreadable.

Lines end at line feeds only: U+2028, U+0085 or a vertical tab in a sentence breaks no row.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from stagekit.errors import StageError

MOST_LINES = 20
"""Lines that one quoted row may take."""
MOST_BYTES = 1 << 20
"""Bytes of one line: a longer one is no list."""


@dataclass(frozen=True)
class Row:
    """One row: its line in the file, counted from 1, and {column: value}."""

    line: int
    values: dict[str, str]


@dataclass(frozen=True)
class BadRow:
    """One line that is no row, and why."""

    line: int
    detail: str


def read_rows(stream: BinaryIO, name: str, delimiter: str = "\t") -> Iterator[Row | BadRow]:
    """The rows after the header, in the order of the file; blank lines are left out.

    Args:
        stream: the file, opened for bytes: UTF-8, with or without a mark.
        name: what errors call it.
        delimiter: one character.

    Raises:
        StageError: the file is empty, or its header names a column twice.
    """
    lines = _Lines(stream)
    header = lines.next()
    if header is None:
        raise StageError(f"{name}: the list is empty; expected a header line")
    try:
        columns = [c.strip() for c in header.decode("utf-8-sig").rstrip("\r\n").split(delimiter)]
    except UnicodeDecodeError as error:
        raise StageError(f"{name}: the header is not UTF-8 ({error})") from None
    if len(columns) != len(set(columns)):
        raise StageError(f"{name}: the header names a column twice: {sorted({c for c in columns if columns.count(c) > 1})}")
    while (raw := lines.next()) is not None:
        number = lines.number
        if not raw.strip():
            continue
        if len(raw) > MOST_BYTES:
            yield BadRow(number, f"a line of over {MOST_BYTES} bytes")
            continue
        try:
            text = raw.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            yield BadRow(number, f"not UTF-8: byte {raw[error.start]:#04x} at {error.start}")
            continue
        fields = text.split(delimiter)
        if len(fields) == len(columns) and (more := _broken(raw, fields[-1], lines, len(columns), delimiter)) is not None:
            yield Row(number, dict(zip(columns, more, strict=True)))
        elif len(fields) == len(columns):
            yield Row(number, dict(zip(columns, map(_unquoted, fields), strict=True)))
        elif '"' in text and (quoted := _quoted(raw, lines, len(columns), delimiter)) is not None:
            yield Row(number, dict(zip(columns, quoted, strict=True)))
        else:
            yield BadRow(number, f"{len(fields)} fields, the header has {len(columns)}: {text[:200]}")


class _Lines:
    """Lines of a stream, with a look ahead that can be taken back."""

    def __init__(self, stream: BinaryIO):
        self._stream, self._ahead, self.number = stream, list[bytes](), 0

    def next(self) -> bytes | None:
        line = self._ahead.pop(0) if self._ahead else self._read()
        self.number += line is not None
        return line

    def peek(self, count: int) -> list[bytes]:
        while len(self._ahead) < count and (line := self._read()) is not None:
            self._ahead.append(line)
        return self._ahead[:count]

    def _read(self) -> bytes | None:
        line = self._stream.readline(MOST_BYTES + 2)
        if len(line) > MOST_BYTES:  # read on to its end without keeping it
            while (more := self._stream.readline(MOST_BYTES)) and not more.endswith(b"\n"):
                pass
        return line or None


def _unquoted(field: str) -> str:
    """A field without the quoting that surrounds it as a whole; else as it is."""
    if len(field) >= 2 and field[0] == field[-1] == '"':
        inner = field[1:-1]
        if '"' not in inner.replace('""', ""):
            return inner.replace('""', '"')
    return field


def _broken(first: bytes, last: str, lines: _Lines, columns: int, delimiter: str) -> list[str] | None:
    """The fields of a row whose last field is quoted and broken over lines that are no rows themselves; None if it is not."""
    if not last.startswith('"') or last.count('"') % 2 == 0:
        return None
    ahead = lines.peek(MOST_LINES)
    closing = next((i for i, line in enumerate(ahead) if line.count(b'"') % 2), None)
    mark = delimiter.encode()
    if closing is None or any(line.count(mark) >= columns - 1 for line in ahead[: closing + 1]):
        return None
    return _quoted(first, lines, columns, delimiter)


def _quoted(first: bytes, lines: _Lines, columns: int, delimiter: str) -> list[str] | None:
    """The fields of a row with delimiters or line breaks inside quotation marks, or None; takes the lines it used."""
    text = first.decode("utf-8")
    following = lines.peek(MOST_LINES)
    for used in range(len(following) + 1):
        if used:
            try:
                text += following[used - 1].decode("utf-8")
            except UnicodeDecodeError:
                return None
        try:
            rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
        except csv.Error:  # the quoted field goes on
            continue
        if len(rows) == 1 and len(rows[0]) == columns:
            for _ in range(used):
                lines.next()
            return rows[0]
        return None
    return None
