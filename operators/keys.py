"""Batch keys (``YYYY.MM``) and release versions (``YYYY.MM`` by schedule, ``YYYY.MM.<patch>`` by hand) of a run."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn

KEY = r"\d{4}\.(?:0[1-9]|1[0-2])"
KEY_PATTERN = rf"^(?:{KEY})?$"
VERSION_PATTERN = rf"^(?:{KEY}(?:\.[1-9]\d*)?)?$"
KEY_FORMAT = "%Y.%m"
FROM_AIRFLOW = frozenset({"openlineage"})
"""What Airflow itself adds to a run's conf: where another DAG triggered it, and lineage is on."""


def batch_key(dag_run: Any, params: Mapping[str, Any]) -> str:
    """The month of a harvest: the run's partition key, or the parameter ``month``.

    Raises:
        AirflowFailException: neither is given, they differ, it is no month, or one that has not begun.
    """
    key = _resolve(dag_run.partition_key, params.get("month"), "month", KEY_PATTERN, "YYYY.MM")
    if key > (now := this_month()):
        _refuse(f"month {key} has not begun (it is {now}): it would be sealed now, and a sealed month never changes")
    return key


def release_version(dag_run: Any, params: Mapping[str, Any]) -> str:
    """The version of a release: the run's partition key, or the parameter ``version``.

    Raises:
        AirflowFailException: as for :func:`batch_key`.
    """
    return _resolve(dag_run.partition_key, params.get("version"), "version", VERSION_PATTERN, "YYYY.MM or YYYY.MM.<patch>")


def this_month() -> str:
    """The month that it is, in UTC, as a key."""
    return datetime.now(UTC).strftime(KEY_FORMAT)


def month_of(version: str) -> str:
    """The last month that a version takes in.

    >>> month_of("2026.10.2")
    '2026.10'
    """
    return version[:7]


def version_order(version: str) -> tuple[int, ...]:
    """A sort key of versions.

    >>> version_order("2026.02") < version_order("2026.02.1") < version_order("2026.10")
    True
    """
    return tuple(int(part) for part in version.split("."))


def by_hand(version: str) -> bool:
    """Whether a version carries a patch number, and so waits for nobody.

    >>> by_hand("2026.10"), by_hand("2026.10.2")
    (False, True)
    """
    return version.count(".") == 2


def check_names(params: Mapping[str, Any], form: Collection[str]) -> None:
    """Refuse what no field of the trigger form is called: Airflow takes it without a word, and a misspelt field has its default.

    Raises:
        AirflowFailException: there is such a name.
    """
    if unknown := sorted(set(params) - set(form) - FROM_AIRFLOW):
        _refuse(f"this run was given unknown parameters: {', '.join(unknown)}; known: {', '.join(sorted(form))}")


def _resolve(partition_key: str | None, param: str | None, name: str, pattern: str, form: str) -> str:
    if partition_key and param and partition_key != param:
        _refuse(f"this run has partition key {partition_key} and parameter {name}={param}: give one of them")
    value = partition_key or param
    if not value:
        _refuse(f"this run has neither a partition key nor a {name}: trigger it with one of them ({form})")
    if not re.fullmatch(pattern, value):
        _refuse(f"{name} '{value}' is not of the form {form}")
    return value


def _refuse(why: str) -> NoReturn:
    from airflow.sdk.exceptions import AirflowFailException

    raise AirflowFailException(why)
