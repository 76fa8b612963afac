"""A local Internet Archive for the tests that need one."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))


@pytest.fixture
def archive():
    """An empty archive on 127.0.0.1."""
    from archive_server import serve

    with serve() as running:
        yield running
