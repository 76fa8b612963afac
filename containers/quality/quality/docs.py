"""Data Docs: one HTML page that opens from ``file://``.

Great Expectations' own site needs style sheets and scripts from eight hosts and loads its logo with the data context's id from a
ninth; without a network it is bare, and with one it tells. So the library's renderer words each expectation, and the page around
is ours: no script, no font, no other file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from quality.suites.base import Suite
from quality.verdict import Finding, Verdict


def render(verdict: Verdict, suite: Suite[Any], title: str, said: Sequence[str] = ()) -> str:
    """The page of a verdict; all is escaped. ``said``: warnings that are of no expectation."""
    environment = Environment(
        loader=PackageLoader("quality", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    frames = [(f, [x for x in verdict.findings if x.frame == f.name]) for f in suite.frames]
    return environment.get_template("index.html.j2").render(
        verdict=verdict, title=title, frames=frames, said=said, status=status,
        failed=[f for f in verdict.findings if not f.passed],
    )


def status(finding: Finding) -> str:
    """What the page shows beside an expectation: ``passed`` or the severity of its failure."""
    return "passed" if finding.passed else finding.severity
