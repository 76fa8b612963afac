"""What a suite is: frames made of tables, and an ExpectationSuite for each frame.

A suite is code, not committed JSON: a function from thresholds to :class:`great_expectations.ExpectationSuite`. Checks over
several tables become a column of a frame (``recording_found``), so that each expectation looks at one frame and its examples
carry the key of the row at fault.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import great_expectations as gx
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from great_expectations import expectations as gxe
from great_expectations.expectations.metadata_types import FailureSeverity

from quality.thresholds import Thresholds
from stagekit.tables import TABLES

Severity = Literal["critical", "warning", "info"]

SHA256 = r"^[0-9a-f]{64}$"
DATE = r"^\d{4}-\d{2}-\d{2}$"
Tables = Mapping[str, pa.Table]


T = TypeVar("T", bound=Thresholds)


@dataclass(frozen=True)
class Frame(Generic[T]):
    """One table of rows to be checked.

    Attributes:
        name: of the frame: its table, or ``<table>_by_<what>`` where rows were grouped.
        key: columns that identify a row in an example.
        about: one line for the Data Docs.
        build: from the suite's tables and thresholds to the frame's rows; no rows in, no rows out.
        expectations: from the thresholds to the suite for this frame.
    """

    name: str
    key: tuple[str, ...]
    about: str
    build: Callable[[Tables, T], pd.DataFrame]
    expectations: Callable[[T], gx.ExpectationSuite]


@dataclass(frozen=True)
class Suite(Generic[T]):
    """A named set of frames.

    Attributes:
        name: on the command line.
        thresholds: its parameter model.
        reads: table → the columns read, and no others (never audio, never fingerprints).
        frames: what is checked, in the order of the report.
    """

    name: str
    thresholds: type[T]
    reads: Mapping[str, tuple[str, ...]]
    frames: tuple[Frame[T], ...]


def expect(kind: type[gxe.Expectation], name: str, why: str, severity: Severity = "critical", **kwargs: Any) -> gxe.Expectation:
    """An expectation with a name that is unique in its suite, a reason for a person and a severity."""
    return kind(severity=FailureSeverity(severity), notes=why, meta={"name": name}, **kwargs)


def unique(name: str, column: str, why: str) -> gxe.Expectation:
    """``column`` is unique."""
    return expect(gxe.ExpectColumnValuesToBeUnique, name, why, column=column)


def always_true(name: str, column: str, why: str, severity: Severity = "critical", mostly: float = 1.0) -> gxe.Expectation:
    """The boolean ``column`` is true in (the given share of) the rows where it is not null."""
    return expect(gxe.ExpectColumnValuesToBeInSet, name, why, severity, column=column, value_set=[True], mostly=mostly)


def within(
    name: str, column: str, why: str, low: float | None, high: float | None, severity: Severity = "critical", mostly: float = 1.0
) -> gxe.Expectation:
    """``column`` lies in [low, high] in (the given share of) the rows where it is not null."""
    return expect(
        gxe.ExpectColumnValuesToBeBetween, name, why, severity, column=column, min_value=low, max_value=high, mostly=mostly
    )


def matches(name: str, column: str, why: str, regex: str = r"\S") -> gxe.Expectation:
    """``column`` matches a regular expression; by default: it is not blank."""
    return expect(gxe.ExpectColumnValuesToMatchRegex, name, why, column=column, regex=regex)


def one_of(name: str, column: str, why: str, values: tuple[str, ...]) -> gxe.Expectation:
    """``column`` is one of a closed set."""
    return expect(gxe.ExpectColumnValuesToBeInSet, name, why, column=column, value_set=list(values))


def complete(frame: str) -> gxe.Expectation:
    """Nothing is null, NaN or infinite where the data contract says that a value stands (column ``unset``)."""
    return expect(
        gxe.ExpectColumnValuesToBeInSet,
        f"{frame}_complete",
        "the data contract allows no null, NaN or infinity in these columns",
        column="unset",
        value_set=[""],
    )


def unset(rows: pa.Table, table: str) -> pa.ChunkedArray:
    """Names of the columns that hold no value although the table's schema asks for one, joined by blanks, one string a row."""
    names = pa.chunked_array([pa.array([""] * rows.num_rows, pa.string())])
    for column in TABLES[table].columns:
        if column.nullable or column.name not in rows.column_names:
            continue
        values = rows[column.name]
        missing = pc.is_null(values, nan_is_null=pa.types.is_floating(values.type))
        if pa.types.is_floating(values.type):
            missing = pc.or_(missing, pc.fill_null(pc.is_inf(values), False))
        if pc.any(missing).as_py():
            names = pc.utf8_trim(pc.binary_join_element_wise(names, pc.if_else(missing, column.name, ""), " "), " ")
    return names


def frame(rows: pa.Table, table: str, drop: tuple[str, ...] = (), **derived: Any) -> pd.DataFrame:
    """Rows of a table as a frame, with ``unset`` and derived columns added and bulky ones dropped."""
    columns = {**{n: rows[n] for n in rows.column_names if n not in drop}, "unset": unset(rows, table), **derived}
    return pa.table(columns).to_pandas()


def distinct(rows: pd.DataFrame, key: str) -> pd.DataFrame:
    """Rows that are equal in everything, made once: two shards of a harvest may hold the same recording under two items."""
    return rows.drop_duplicates(ignore_index=True) if rows[key].duplicated().any() else rows


def length(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Characters of each string without blanks around it; 0 for null."""
    return pc.fill_null(pc.utf8_length(pc.utf8_trim_whitespace(values)), 0)


def found_in(values: pa.ChunkedArray, ids: pa.ChunkedArray) -> pa.ChunkedArray:
    """Whether each value is among the ids; false for null."""
    return pc.and_(pc.is_in(values, value_set=pc.unique(ids)), pc.is_valid(values))
