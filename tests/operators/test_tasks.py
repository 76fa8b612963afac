"""What a run is asked for, before a stage begins: months, parameters and locations that cannot be meant."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from operators import keys
from operators.registry import Language
from operators.settings import REPO, Settings
from operators.spoken_words import SpokenLanguage
from operators.tasks import Pipeline

RUN = SimpleNamespace(partition_key="2026.10")
FORM = ("month", "source", "location", "version")


@pytest.fixture(autouse=True)
def november(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "this_month", lambda: "2026.11")


def harvest(runner: str = "process") -> dict[str, Any]:
    settings = Settings.from_env({"SPEECHMILL_RUNNER": runner, "SPEECHMILL_ROOT": "gs://b/w"})
    return Pipeline(settings, "peoples_speech", Language("en", "English", "2026.01")).harvest_macros(FORM)


def spoken_words() -> dict[str, Any]:
    return Pipeline(Settings.from_env({}), "spoken_words", SpokenLanguage("ru", "Russian")).spoken_words_macros(FORM)


def params(**given: Any) -> dict[str, Any]:
    return {"month": "", "source": "folder", "location": "", **given}


@pytest.mark.parametrize("macros", [harvest, spoken_words])
def test_a_month_that_has_not_begun_is_refused(macros: Any) -> None:
    with pytest.raises(AirflowFailException, match="month 2026.12 has not begun .it is 2026.11."):
        macros()["batch"](SimpleNamespace(partition_key="2026.12"), params())


@pytest.mark.parametrize(
    ("macros", "source", "words"),
    [
        (harvest, "internet_archive", "search some before again"),
        (harvest, "folder", "harvests the same folder"),
        (spoken_words, "", "given to a later month"),
    ],
)
def test_of_the_month_that_it_is_the_log_says_what_is_missed(
    macros: Any, source: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        macros()["location"](RUN, params(source=source))
        assert not caplog.text
        macros()["location"](SimpleNamespace(partition_key="2026.11"), params(source=source))
    assert "2026.11 is not over, and is sealed now: " in caplog.text and words in caplog.text


def test_what_the_form_does_not_have_is_refused_by_name() -> None:
    language = SpokenLanguage("ru", "Russian")
    release = Pipeline(Settings.from_env({}), "spoken_words", language).release_macros(("version", "dry_run"))
    of_harvests = "location, month, source, version"
    for macro, known in (
        (harvest()["month"], of_harvests), (spoken_words()["location"], of_harvests), (release["seal"], "dry_run, version"),
    ):  # fmt: skip
        with pytest.raises(AirflowFailException, match=f"unknown parameters: locatoin, nonsense; known: {known}"):
            macro(RUN, {"nonsense": 1, "locatoin": "/data"})
    assert harvest()["month"](RUN, params(openlineage={})) == "2026.10", "Airflow's own"


def test_a_location_that_is_relative_says_to_what() -> None:
    place = harvest()["location"]
    with pytest.raises(AirflowFailException, match=f"location src/2026.10: there is no such folder or file in {REPO}, which"):
        place(RUN, params(location="src/{month}"))
    with pytest.raises(AirflowFailException, match="location ru.tar.gz: there is no such"):
        spoken_words()["location"](RUN, params(location="ru.tar.gz", version="1"))
    with pytest.raises(AirflowFailException, match="location samples is relative, but stages run in containers"):
        harvest("docker")["location"](RUN, params(location="samples"))
    for fine in ("samples", "/not/there", "gs://b/{month}", ""):
        assert place(RUN, params(location=fine)) == fine.replace("{month}", "2026.10")


@pytest.mark.parametrize("field", ["text: a-z", "stages: {train: 5}", "stages: [train]"])
def test_an_entry_that_would_break_a_dag_is_refused(tmp_path: Path, field: str) -> None:
    from operators.registry import RegistryError
    from operators.spoken_words import load_spoken_languages

    (tmp_path / "languages.yaml").write_text(f"spoken_words: {{de: {{name: German, {field}}}}}")
    with pytest.raises(RegistryError, match=f"de.{field.partition(':')[0]}"):
        load_spoken_languages(tmp_path)
