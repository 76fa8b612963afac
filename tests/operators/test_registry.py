"""What the registry says must be what the images know; Airflow's environment cannot import them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from operators.registry import RECOGNIZERS, SOURCES


@pytest.mark.parametrize(
    ("module", "table", "names"),
    [("align/align/recognizers.py", "RECOGNIZERS", RECOGNIZERS), ("ingest/ingest/discover.py", "SOURCES", SOURCES)],
)
def test_the_names_of_the_form_are_those_of_the_image(module: str, table: str, names: tuple[str, ...]) -> None:
    source = Path(__file__).resolve().parents[2] / "containers" / module
    found = [
        node.value
        for node in ast.parse(source.read_text()).body
        if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == table
    ]
    assert len(found) == 1 and isinstance(found[0], ast.Dict)
    assert tuple(sorted(key.value for key in found[0].keys if isinstance(key, ast.Constant))) == names
