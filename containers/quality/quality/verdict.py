"""A suite's verdict: what each expectation found, which failures stop a release and which go on its card."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

EXAMPLES = 5
"""Rows at fault that are named for each failure."""


class Finding(BaseModel):
    """What one expectation found."""

    model_config = ConfigDict(frozen=True)

    name: str
    """Unique in its suite."""
    frame: str
    severity: str
    passed: bool
    expectation: str
    """What was expected, as Great Expectations words it."""
    why: str
    observed: str
    """What was seen, in words."""
    rows: int
    """Rows looked at: those that are not null and meet the expectation's condition."""
    failed_rows: int
    """Rows at fault; 0 where the expectation is about the whole column."""
    examples: list[dict[str, Any]]
    """Up to ``EXAMPLES`` rows at fault: their key and values."""

    def line(self) -> str:
        """One line for a person: expectation, table and examples."""
        shown = "; ".join(", ".join(f"{k}={_short(v)}" for k, v in e.items()) for e in self.examples[:2])
        where = f" in {self.failed_rows} of {self.rows} rows" if self.failed_rows else ""
        return f"{self.name}: {self.frame}: {self.expectation} — {self.observed}{where}{f', such as {shown}' if shown else ''}"


class Verdict(BaseModel):
    """What a suite found in a folder. It holds no time and no host: the same tables give the same bytes."""

    model_config = ConfigDict(frozen=True)

    suite: str
    passed: bool
    """No critical expectation failed."""
    rows: dict[str, int]
    """Rows of each table read."""
    checks: int
    """Expectations looked at."""
    failures: list[str]
    """Lines of the critical failures: each stops the DAG."""
    warnings: list[str]
    """Lines of the warnings, and those of the stages looked at: they go to the person who approves, and on the release card."""
    infos: list[str]
    notes: list[str]
    """What was not checked, and why."""
    findings: list[Finding]
    thresholds: dict[str, Any]
    great_expectations: str
    """Version of the library."""


def make(
    suite: str, rows: dict[str, int], findings: list[Finding], notes: list[str], thresholds: dict[str, Any], version: str
) -> Verdict:
    """Sum findings up."""
    lines: dict[str, list[str]] = {"critical": [], "warning": [], "info": []}
    for finding in findings:
        if not finding.passed:
            lines[finding.severity].append(finding.line())
    return Verdict(
        suite=suite,
        passed=not lines["critical"],
        rows=rows,
        checks=len(findings),
        failures=lines["critical"],
        warnings=lines["warning"],
        infos=lines["info"],
        notes=notes,
        findings=findings,
        thresholds=thresholds,
        great_expectations=version,
    )


def _short(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 24 else f"{text[:20]}…"
