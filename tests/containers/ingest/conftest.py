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


@pytest.fixture
def found(archive):
    """What a search of October 2026 finds in it; options are those of the search and of `discover`."""
    from archive_items import QUICK

    from ingest.http import Client
    from ingest.sources.archive_search import ArchiveParams
    from ingest.sources.internet_archive import discover

    def go(**options):
        known, state, metrics = options.pop("known", None), options.pop("state", None), options.pop("metrics", None)
        params = ArchiveParams(**{"month": "2026.10", "base_url": archive.url} | options)
        return list(discover(params, known=known, state=state, client=Client(QUICK), metrics=metrics))

    return go
