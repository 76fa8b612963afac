"""Settings, keys and the registry: what is refused, and in which words."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowFailException

from operators import keys
from operators.registry import RegistryError, load_languages, load_policy
from operators.settings import REPO, Settings
from operators.spoken_words import load_spoken_languages

ENTRY = 'peoples_speech:\n  en: {name: English, since: "2026.01"}\n'


def test_defaults() -> None:
    settings = Settings.from_env({})
    assert settings == Settings((REPO / "warehouse").as_uri(), "process", REPO / "config", str(REPO / ".cache"), 0, True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RUNNER", "nothing"), ("ROOT", "gs://"), ("ROOT", "s3://bucket"), ("CLUSTER", "c"), ("PROFILES", "x"), ("WORKERS", "-1"),
        ("SCHEDULES", "perhaps"), ("DATAPROC", "p/r"), ("DATAPROC", "p/r/s"),
    ],
)
def test_what_cannot_be_used_is_named(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"SPEECHMILL_{name}={value}"):
        Settings.from_env({f"SPEECHMILL_{name}": value})


def test_a_path_becomes_a_uri(tmp_path: Path) -> None:
    assert Settings.from_env({"SPEECHMILL_ROOT": str(tmp_path / "a b")}).root == f"file://{tmp_path}/a%20b"


@pytest.mark.parametrize(
    ("partition_key", "param", "key"),
    [("2026.10", "", "2026.10"), (None, "2026.09", "2026.09"), ("2026.10", "2026.10", "2026.10")],
)
def test_the_key_of_a_run(partition_key: str | None, param: str, key: str) -> None:
    assert keys.batch_key(SimpleNamespace(partition_key=partition_key), {"month": param}) == key


@pytest.mark.parametrize(
    ("partition_key", "param", "words"),
    [
        (None, "", "neither"),
        ("2026.10", "2026.09", "give one"),
        ("2026.1", "", "form YYYY.MM"),
        (None, "2026.10.1", "form YYYY.MM"),
    ],
)
def test_a_run_without_a_key_says_so(partition_key: str | None, param: str, words: str) -> None:
    with pytest.raises(AirflowFailException, match=words):
        keys.batch_key(SimpleNamespace(partition_key=partition_key), {"month": param})


def test_a_version_may_carry_a_patch() -> None:
    version = keys.release_version(SimpleNamespace(partition_key=None), {"version": "2026.10.12"})
    assert keys.by_hand(version) and keys.month_of(version) == "2026.10"
    with pytest.raises(AirflowFailException):
        keys.release_version(SimpleNamespace(partition_key=None), {"version": "2026.10.0"})


def test_the_registry_that_is_shipped() -> None:
    languages = load_languages(REPO / "config", "peoples_speech")
    assert "en" in [language.code for language in languages]
    for language in languages:
        assert load_policy(REPO / "config", language.policy)["name"] == language.policy


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mswc: {}\n", "no section 'peoples_speech'"),
        ("peoples_speech: {en: [1]}\n", "en is no mapping"),
        ("peoples_speech: {en: {name: English}}\n", "since"),
        ("peoples_speech: {en: {name: English, since: 2026.11}}\n", "quoted YYYY.MM"),
        ("peoples_speech: {English: {name: English, since: '2026.01'}}\n", "language code"),
        ("peoples_speech: {en: {name: English, since: '2026.01', sauce: x}}\n", "unknown fields .'sauce'"),
        ("peoples_speech: {en: {name: English, since: '2026.01', source: youtube}}\n", "one of folder, internet_archive"),
        ("peoples_speech: {en: {name: English, since: '2026.01', shard_hours: 0}}\n", "more than 0"),
        ("peoples_speech: {en: {name: English, since: '2026.01', approval: never}}\n", "one of required, auto"),
        ("peoples_speech: {en: {name: English, since: '2026.01', pods: {release: huge}}}\n", "one of small, cpu, large"),
        ("peoples_speech: {en: {name: English, since: '2026.01', pods: {relase: bulk}}}\n", "image or image.stage .of align"),
        ("peoples_speech: {en: {name: English, since: '2026.01', pods: {release: [bulk]}}}\n", "one of small, cpu, large"),
        ("peoples_speech: {en: {name: English, since: '2026.01', pods: large}}\n", "one of small, cpu, large"),
        ("peoples_speech: [\n", "languages.yaml"),
    ],
)
def test_a_bad_entry_is_named(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "languages.yaml").write_text(text)
    with pytest.raises(RegistryError, match=words):
        load_languages(tmp_path, "peoples_speech")


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("{name: German, aligner: htk}", "de.aligner 'htk': expected one of flat_start, mfa"),
        ("{name: German, shard_clips: 0}", "more than 0"),
        ("{name: German, since: 2026.01}", "quoted YYYY.MM"),
        ("{name: German, sauce: x}", "unknown fields .'sauce'"),
        ("{name: German, pods: {release: huge}}", "one of small, cpu, large"),
        ("[1]", "de is no mapping"),
    ],
)
def test_a_bad_entry_of_the_spoken_words_is_named(tmp_path: Path, entry: str, words: str) -> None:
    (tmp_path / "languages.yaml").write_text(f"spoken_words: {{de: {entry}}}\n")
    with pytest.raises(RegistryError, match=words):
        load_spoken_languages(tmp_path)


def test_a_policy_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="policies/x.yaml"):
        load_policy(tmp_path, "x")
