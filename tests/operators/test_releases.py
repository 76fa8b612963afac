"""Which release a new one follows."""

from __future__ import annotations

import json
from pathlib import Path

from operators.releases import parent_of, published


def test_the_parent_is_the_last_before_or_the_one_that_is_recorded(tmp_path: Path) -> None:
    place = (tmp_path.as_uri(), "peoples_speech", "en")

    def publish(version: str, parent: str) -> None:
        folder = tmp_path / "releases/peoples_speech/en" / version
        folder.mkdir(parents=True)
        (folder / "release.json").write_text(json.dumps({"parent": {"version": parent} if parent else None}))

    assert published(*place) == [] and parent_of(*place, "2026.10") == ""
    publish("2026.02", "")
    publish("2026.10", "2026.02")
    (tmp_path / "releases/peoples_speech/en/2026.11").mkdir()  # not finished
    assert parent_of(*place, "2026.11") == "2026.10"
    assert parent_of(*place, "2026.03.1") == "2026.02"
    assert parent_of(*place, "2026.02") == ""
    publish("2026.09.2", "2026.02")
    assert published(*place) == ["2026.02", "2026.09.2", "2026.10"]
    assert parent_of(*place, "2026.10") == "2026.02", "a release that is published keeps its parent"
