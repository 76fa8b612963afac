import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]


@pytest.fixture
def warehouse(tmp_path: Path):
    from release_corpus import Warehouse

    return Warehouse(tmp_path / "warehouse")
