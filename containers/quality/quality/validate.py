"""Run a suite over tables with Great Expectations, in memory: no project folder, no telemetry, no network."""

from __future__ import annotations

import math
import os
from typing import Any

os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read when the package is imported

import great_expectations as gx
import pandas as pd
from great_expectations.core import ExpectationValidationResult
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.render.renderer.inline_renderer import InlineRenderer

from quality.suites.base import Frame, Suite, Tables, Thresholds
from quality.verdict import EXAMPLES, Finding, Verdict, make
from stagekit.errors import StageError


def validate(suite: Suite[Any], tables: Tables, thresholds: Thresholds) -> Verdict:
    """Build a suite's frames and check each.

    Args:
        suite: what to check.
        tables: the tables it reads, with (at least) the columns it names; a missing one counts as empty.
        thresholds: an instance of the suite's model.

    Raises:
        StageError: an expectation could not be evaluated.
    """
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    source = context.data_sources.add_pandas(suite.name)
    findings, notes = [], []
    for frame in suite.frames:
        rows = frame.build(tables, thresholds)
        expectations = frame.expectations(thresholds)
        if rows.empty:
            notes.append(f"{frame.name} is empty: nothing was looked at")
            continue
        batch = source.add_dataframe_asset(frame.name).add_batch_definition_whole_dataframe("all").get_batch({"dataframe": rows})
        result = batch.validate(expectations, result_format=_format(frame))
        order = {(e.meta or {})["name"]: i for i, e in enumerate(expectations.expectations)}
        found = [finding(frame, r, len(rows)) for r in result.results]
        findings += sorted(found, key=lambda f: order[f.name])
    counts = {name: tables[name].num_rows for name in suite.reads}
    return make(suite.name, counts, findings, notes, thresholds.model_dump(mode="json"), gx.__version__)


def _format(frame: Frame[Any]) -> dict[str, Any]:
    return {"result_format": "SUMMARY", "unexpected_index_column_names": list(frame.key), "partial_unexpected_count": EXAMPLES}


def finding(frame: Frame[Any], result: ExpectationValidationResult, rows: int) -> Finding:
    """One result as a finding.

    Raises:
        StageError: Great Expectations raised while it looked.
    """
    config = result.expectation_config
    assert config is not None  # a result of a suite has one
    problems = result.exception_info or {}
    nested = [p for p in (problems, *problems.values()) if isinstance(p, dict) and p.get("raised_exception")]
    if nested:
        raise StageError(
            f"expectation {config.meta['name']} on {frame.name} could not be evaluated: {nested[0]['exception_message']}"
        )
    seen = result.result
    examples = [_clean(e) for e in seen.get("partial_unexpected_index_list") or []]
    words, observed = _words(result)
    return Finding(
        name=config.meta["name"],
        frame=frame.name,
        severity=str(config.severity.value),
        passed=bool(result.success),
        expectation=words,
        why=str(config.notes or ""),
        observed=observed,
        rows=seen.get("element_count", rows) - seen.get("missing_count", 0),
        failed_rows=seen.get("unexpected_count", 0),
        examples=examples,
    )


def _words(result: ExpectationValidationResult) -> tuple[str, str]:
    """The expectation and what was observed, worded by Great Expectations' own renderer."""
    texts = {}
    for content in InlineRenderer(render_object=result).get_rendered_content():
        value: dict[str, Any] = content.to_json_dict()["value"]  # type: ignore[assignment]
        text: str = value.get("template") or ""
        params = value.get("params") or {}
        for name in sorted(params, key=len, reverse=True):
            text = text.replace(f"${name}", _text(params[name]["value"]))
        texts[content.name.partition(".")[2]] = text
    return texts["prescriptive.summary"], texts["diagnostic.observed_value"]


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "''" if value == "" else str(value)


def _clean(row: dict[str, Any]) -> dict[str, Any]:
    """JSON values; NaN becomes null."""
    plain = {k: v.item() if hasattr(v, "item") else v for k, v in row.items()}
    return {k: None if v is pd.NA or (isinstance(v, float) and not math.isfinite(v)) else v for k, v in plain.items()}
