import sys
from pathlib import Path
from typing import Any

import pytest

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]


@pytest.fixture
def warehouse(tmp_path: Path):
    from release_corpus import Warehouse

    return Warehouse(tmp_path / "warehouse")


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory):
    """A warehouse with one month of spoken words."""
    from release_corpus import Warehouse
    from words_corpus import Words, corpus

    made = Words(Warehouse(tmp_path_factory.mktemp("words") / "warehouse"))
    made.month("2026.01", corpus(0, 30))
    return made


@pytest.fixture(scope="session")
def first(world) -> dict[str, Any]:
    """Its first release: folder and URIs of each stage."""
    return world.release("2026.01")
