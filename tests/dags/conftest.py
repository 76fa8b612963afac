"""The DAGs of this checkout, parsed once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def bag():  # type: ignore[no-untyped-def]
    """All DAGs, as the DAG processor reads them."""
    for name in [n for n in os.environ if n.startswith("SPEECHMILL_")]:
        del os.environ[name]
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(dag_folder=str(REPO / "dags"))
