"""The trigger forms: what a person reads, and what they may fill in."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

HARVEST, RELEASE = "peoples_speech_harvest__en", "peoples_speech_release__en"
SPOKEN, SPOKEN_RELEASE = "spoken_words_harvest__ru", "spoken_words_release__ru"
RELEASES = [
    ("version", ["", "2026.10", "2026.10.1"], ["2026.10.0", "v1", "2026.1"]),
    ("approval", ["required", "auto"], ["maybe"]),
    ("dry_run", [True, False], ["yes"]),
]


@pytest.mark.parametrize("name", [HARVEST, RELEASE, SPOKEN, SPOKEN_RELEASE])
def test_the_form_is_complete(bag: Any, name: str) -> None:
    """Each field has a title, a section, words, and a default that its own schema takes: a schedule has nobody to ask."""
    for key in bag.dags[name].params:
        param = bag.dags[name].params.get_param(key)
        assert param.schema.get("title") and param.schema.get("section") and param.description, key
        jsonschema.validate(param.value, param.schema)


@pytest.mark.parametrize(
    ("name", "key", "good", "bad"),
    [
        (HARVEST, "month", ["", "2026.10"], ["2026.13", "2026-10", "2026.10.1"]),
        (HARVEST, "source", ["folder", "internet_archive"], ["youtube"]),
        (HARVEST, "limit", [0, 100], [-1, "many"]),
        (HARVEST, "shard_hours", [0.1, 10], [0, "x"]),
        (SPOKEN, "limit", [0, 100], [-1, "many"]),
        (SPOKEN, "shard_clips", [1, 5000], [0, "x"]),
        (SPOKEN, "min_sentences", [None, 2, 25], [1, "x"]),
        (SPOKEN_RELEASE, "min_clips", [None, 1, 5], [0, "x"]),
        (SPOKEN_RELEASE, "keywords", [[], ["go", "light*", "turn on"]], ["go", [1]]),
        *((name, *field) for name in (RELEASE, SPOKEN_RELEASE) for field in RELEASES),
    ],
)
def test_the_form_takes_and_refuses(bag: Any, name: str, key: str, good: list[Any], bad: list[Any]) -> None:
    schema = bag.dags[name].params.get_param(key).schema
    for value in good:
        jsonschema.validate(value, schema)
    for value in bad:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(value, schema)
