"""Stage ``check``: a suite over stage folders; a critical failure stops the DAG, a warning reaches the release card."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import Field, model_validator

from quality.thresholds import POLICY, THRESHOLDS, Thresholds
from quality.verdict import Verdict
from stagekit.errors import StageError
from stagekit.stage import RUNTIME, Context, Params, stage
from stagekit.storage import join, resolve
from stagekit.tables import REJECTIONS

VERDICT, DOCS = "verdict.json", "index.html"
TEMPLATE = "templates/index.html.j2"
READS = (
    "assignments", "clip_scores", "clip_splits", "clips", "clusters", "documents", "items", "recordings", "rejections",
    "release_segments", "segments", "shard_rows", "word_splits", "words",
)  # fmt: skip
"""Tables of all suites."""
REPEATED = (
    "attribution", "caption_provenance", "encoder", "license_evidence", "license_seen_at", "license_url", "origin",
    "recording_uri", "source_version", "speaker_id",
)  # fmt: skip
"""Strings that many rows of a release share are held once each: half of its memory. None of them is computed with in Arrow."""


class CheckParams(Params):
    """Parameters of ``check``."""

    suite: str = Field(description=f"what to check: {', '.join(sorted(THRESHOLDS))}")
    thresholds: dict[str, Any] = Field(default_factory=dict, description="limits that differ from the suite's defaults")
    title: str = Field("", description="heading of the Data Docs, such as 'peoples_speech en 2026.11'")
    report: str = Field(
        min_length=1,
        json_schema_extra=RUNTIME,
        description="folder for verdict.json and index.html, written whatever the verdict: a failed stage leaves no output",
    )

    @model_validator(mode="after")
    def _known(self) -> CheckParams:
        if self.suite not in THRESHOLDS:
            raise ValueError(f"no suite '{self.suite}'; there are: {', '.join(sorted(THRESHOLDS))}")
        THRESHOLDS[self.suite].model_validate(self.thresholds)
        return self


def read(ctx: Context[CheckParams], suite: str, reads: Mapping[str, tuple[str, ...]]) -> dict[str, pa.Table]:
    """A suite's tables over all inputs. An input whose role is a table's name gives that table only.

    Raises:
        StageError: an input holds tables, but none of the suite's. One given for its ``rejections`` may hold none: a stage that
            rejected nothing writes no such file.
    """
    for source in ctx.inputs:
        held = sorted({name.rpartition("-")[0] for name in source.tables()})
        if held and source.role != REJECTIONS.name and not set(held) & set(reads):
            raise StageError(f"input {source.uri} holds {', '.join(held)}; suite {suite} checks {', '.join(reads)}")
    plain = sorted({i.role for i in ctx.inputs if i.role not in reads})
    return {
        table: _once_each(pa.concat_tables([ctx.read(table, role=role, columns=columns) for role in (*plain, table)]))
        for table, columns in reads.items()
    }


def _once_each(table: pa.Table) -> pa.Table:
    """The table with `REPEATED` columns as dictionaries."""
    for name in set(REPEATED) & set(table.column_names):
        table = table.set_column(table.column_names.index(name), name, table[name].dictionary_encode())
    return table


def thresholds(ctx: Context[CheckParams]) -> Thresholds:
    """The suite's limits: its defaults, what the stages among the inputs were given, the parameters; the later wins.

    That is the policy of ``release split`` or ``split_speakers``, and ``min_clips`` of ``keywords select``.
    """
    given = {(i.success or {}).get("stage"): (i.success or {}).get("params") or {} for i in ctx.inputs}
    made = [params.get("policy") or {} for params in given.values()]
    taken = {"release": POLICY, "spoken_words": ("require",)}.get(ctx.params.suite, ())
    policy = {k: v for p in made for k, v in p.items() if k in taken}
    if ctx.params.suite == "spoken_words" and "keywords.select" in given:
        policy["min_clips"] = given["keywords.select"]["min_clips"]
    return THRESHOLDS[ctx.params.suite].model_validate({**policy, **ctx.params.thresholds})


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
    reads=READS,
    libraries=("great-expectations", "pandas"),
    model_digest=template_digest,
)
def run(ctx: Context[CheckParams]) -> None:
    """Check the inputs; write ``verdict.json`` and ``index.html`` here and to the report folder.

    What the stages among the inputs warned of (metric ``warnings``) is among the verdict's warnings.

    Raises:
        StageError: a critical expectation failed, or the inputs are not what the suite checks.
    """
    from quality.docs import render  # here, not above: Great Expectations takes seconds to import, and a rerun needs none of it
    from quality.suites import SUITES
    from quality.validate import validate

    suite, params = SUITES[ctx.params.suite], ctx.params
    tables = read(ctx, suite.name, suite.reads)
    verdict = validate(suite, tables, thresholds(ctx))
    said = [str(w) for i in ctx.inputs for w in ((i.success or {}).get("metrics") or {}).get("warnings", ())]
    verdict = verdict.model_copy(update={"warnings": [*verdict.warnings, *said]})
    title = params.title or f"Suite {suite.name}"
    texts = {
        VERDICT: json.dumps(verdict.model_dump(mode="json"), indent=1, sort_keys=True, ensure_ascii=False) + "\n",
        DOCS: render(verdict, suite, title, said),
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
        suite=suite.name,
        checks=verdict.checks,
        rows=verdict.rows,
        warnings=verdict.warnings,
        infos=verdict.infos,
        notes=verdict.notes,
    )
