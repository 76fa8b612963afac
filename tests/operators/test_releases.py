"""Which release a new one follows."""

from __future__ import annotations

import json
from pathlib import Path

from operators.releases import parent_of, published, sealed_folders


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


def test_a_sealed_month_keeps_what_it_took_as_known(tmp_path: Path) -> None:
    place = (tmp_path.as_uri(), "spoken_words", "ru")
    batches = tmp_path / "batches/spoken_words/ru"

    def folder(key: str, name: str, stage: str = "ingest.prepare") -> str:
        return f"{(batches / key).as_uri()}/{stage.partition('.')[2]}/{name}"

    def seal(key: str, name: str, known: list[str]) -> None:
        voices = batches / key / "voices" / f"v{name}"
        voices.mkdir(parents=True)
        inputs = [{"role": "known", "uri": uri} for uri in known]
        (voices / "_SUCCESS.json").write_text(json.dumps({"inputs": [*inputs, {"role": "", "uri": "x"}]}))
        stages = {"ingest.voices": [{"path": f"voices/v{name}"}], "ingest.prepare": [{"path": f"prepare/{name}"}]}
        (batches / key / "batch.json").write_text(json.dumps({"stages": stages}))

    assert sealed_folders(*place, "ingest.prepare", "2026.02") == []
    seal("2026.01", "a", [])
    assert sealed_folders(*place, "ingest.prepare", "2026.05") == [folder("2026.01", "a")]
    seal("2026.05", "c", [folder("2026.01", "a")])
    seal("2026.03", "b", [folder("2026.01", "a")])  # late
    assert sealed_folders(*place, "ingest.prepare", "2026.05") == [folder("2026.01", "a")]
    assert sealed_folders(*place, "ingest.prepare", "2026.01") == []
    all_three = [folder("2026.01", "a"), folder("2026.03", "b"), folder("2026.05", "c")]
    assert sealed_folders(*place, "ingest.prepare", "2026.06") == all_three
    (batches / "2026.05/voices/vc/_SUCCESS.json").unlink()
    assert sealed_folders(*place, "ingest.prepare", "2026.05") == [folder("2026.01", "a"), folder("2026.03", "b")]
