"""Stage ``check``: a suite over stage folders; a critical failure stops the DAG, a warning reaches the release card."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import Field, model_validator
from stagekit.errors import StageError
from stagekit.stage import RUNTIME, Context, Params, stage
from stagekit.storage import join, resolve

from quality.docs import TEMPLATE, render
from quality.suites import SUITES
from quality.suites.base import Suite
from quality.validate import validate
from quality.verdict import Verdict

VERDICT, DOCS = "verdict.json", "index.html"


class CheckParams(Params):
    """Parameters of ``check``."""

    suite: str = Field(description=f"what to check: {', '.join(sorted(SUITES))}")
    thresholds: dict[str, Any] = Field(default_factory=dict, description="limits that differ from the suite's defaults")
    title: str = Field("", description="heading of the Data Docs, such as 'peoples_speech en 2026.11'")
    report: str = Field(
        min_length=1, json_schema_extra=RUNTIME,
        description="folder for verdict.json and index.html, written whatever the verdict: a failed stage's output is not visible",
    )  # fmt: skip

    @model_validator(mode="after")
    def _known(self) -> CheckParams:
        if self.suite not in SUITES:
            raise ValueError(f"no suite '{self.suite}'; there are: {', '.join(sorted(SUITES))}")
        SUITES[self.suite].thresholds.model_validate(self.thresholds)
        return self


def read(ctx: Context[CheckParams], suite: Suite[Any]) -> dict[str, pa.Table]:
    """The suite's tables over all inputs. An input whose role is a table's name gives that table only.

    Raises:
        StageError: an input holds tables, but none of the suite's.
    """
    for source in ctx.inputs:
        held = sorted({name.rpartition("-")[0] for name in source.tables()})
        if held and not set(held) & set(suite.reads):
            raise StageError(f"input {source.uri} holds {', '.join(held)}; suite {suite.name} checks {', '.join(suite.reads)}")
    plain = sorted({i.role for i in ctx.inputs if i.role not in suite.reads})
    return {
        table: pa.concat_tables([ctx.read(table, role=role, columns=columns) for role in (*plain, table)])
        for table, columns in suite.reads.items()
    }


def template_digest(_params: CheckParams) -> dict[str, str]:
    """The Data Docs' template decides the output as the code does."""
    return {TEMPLATE: hashlib.sha256(files("quality").joinpath(TEMPLATE).read_bytes()).hexdigest()}


def failure(verdict: Verdict, report: str) -> str:
    """The one line that a failed gate prints."""
    more = f" (and {len(verdict.failures) - 1} more critical failures)" if len(verdict.failures) > 1 else ""
    return f"suite {verdict.suite} failed: {verdict.failures[0]}{more}. All of it: {join(report, DOCS)}"


@stage(
    "check",
    version=1,
    params=CheckParams,
    unit="table",
    reads=sorted({table for suite in SUITES.values() for table in suite.reads}),
    libraries=("great-expectations", "pandas"),
    model_digest=template_digest,
)
def run(ctx: Context[CheckParams]) -> None:
    """Check the inputs; write ``verdict.json`` and ``index.html`` here and to the report folder.

    Raises:
        StageError: a critical expectation failed, or the inputs are not what the suite checks.
    """
    suite, params = SUITES[ctx.params.suite], ctx.params
    tables = read(ctx, suite)
    verdict = validate(suite, tables, suite.thresholds.model_validate(params.thresholds))
    title = params.title or f"Suite {suite.name}"
    texts = {
        VERDICT: json.dumps(verdict.model_dump(mode="json"), indent=1, sort_keys=True, ensure_ascii=False) + "\n",
        DOCS: render(verdict, suite, title),
    }
    for name, text in texts.items():
        store, path = resolve(join(params.report, name))
        store.write_bytes(path, text.encode())
        Path(ctx.path(name)).write_text(text, encoding="utf-8")
    if not verdict.passed:
        raise StageError(failure(verdict, params.report))
    for table in suite.reads:
        ctx.enter(table)
        ctx.keep(table)
    ctx.metrics.update(
        suite=suite.name, checks=verdict.checks, rows=verdict.rows, warnings=verdict.warnings, infos=verdict.infos, notes=verdict.notes
    )
