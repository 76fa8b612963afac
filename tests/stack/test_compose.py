"""docker-compose.yaml, as a newcomer uses it: up, a harvest and a release of both datasets through the REST API, down."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import docker

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from compose import REPO, Stack, stack  # noqa: E402

HARVEST, RELEASE = "peoples_speech_harvest__en", "peoples_speech_release__en"
SPOKEN, SPOKEN_RELEASE = "spoken_words_harvest__en", "spoken_words_release__en"
MONTH = "2026.10"

pytestmark = pytest.mark.timeout(3600)  # two minutes a run on two idle cores, and far more where they do other things too


@pytest.fixture(scope="module")
def up() -> Iterator[Stack]:
    """The stack, up and healthy."""
    with stack("speechmill-test") as made:
        made.up({HARVEST, RELEASE, SPOKEN, SPOKEN_RELEASE})
        yield made


def test_from_nothing_to_a_release_in_the_bucket(up: Stack) -> None:
    assert (REPO / ".env").stat().st_mode & 0o777 == 0o600
    up.run(HARVEST, MONTH, {"source": "folder", "location": "gs://speech/sources/peoples_speech/en"})
    up.run(RELEASE, MONTH, {"approval": "auto"})
    folder = f"warehouse/releases/peoples_speech/en/{MONTH}"
    release = json.loads(up.read(f"{folder}/release.json"))
    assert release["version"] == MONTH and release["totals"]["clips"] > 20
    assert json.loads(up.read("warehouse/releases/peoples_speech/en/latest.json"))["version"] == MONTH
    sums = up.read(f"{folder}/checksums.sha256").splitlines()
    held = up.listing(f"{folder}/")
    assert {f"{folder}/{line.split(maxsplit=1)[1]}" for line in sums} <= set(held)
    assert any(line.endswith(".parquet") and "data/" in line for line in sums)


def test_the_spoken_words_likewise(up: Stack) -> None:
    """A hundred clips: enough for a model, and for the commonest words."""
    location = "gs://speech/sources/spoken_words/cv-corpus-6.1-2020-12-11.tar.gz"
    up.run(SPOKEN, MONTH, {"location": location})
    up.run(SPOKEN_RELEASE, MONTH, {"approval": "auto"})
    release = json.loads(up.read(f"warehouse/releases/spoken_words/en/{MONTH}/release.json"))
    assert release["version"] == MONTH and release["totals"]["keywords"] > 5


def test_the_pages_show_the_release_and_ask_who_one_is(up: Stack) -> None:
    assert up.api is not None
    url = f"{up.api.url}/speechmill/"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(url)
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {up.api._token}"})
    assert MONTH in urllib.request.urlopen(request).read().decode()


def test_no_container_of_a_stage_is_left(up: Stack) -> None:
    assert docker("ps", "-aq", "--filter", "label=org.speechmill.task").stdout.split() == []


def test_every_service_is_healthy_and_none_but_two_is_root(up: Stack) -> None:
    about = json.loads(docker("inspect", *up.compose("ps", "-q").stdout.split()).stdout)
    named = {a["Config"]["Labels"]["com.docker.compose.service"]: a for a in about}
    assert {n for n, a in named.items() if a["State"].get("Health", {}).get("Status") == "unhealthy"} == set()
    root = {n for n, a in named.items() if a["Config"]["User"] in ("", "0", "0:0", "root") and n != "postgres"}
    assert root <= {"scheduler", "init"}


def test_secrets_are_drawn_once(tmp_path: Path) -> None:
    from scripts.stack import make_secrets

    env = tmp_path / ".env"
    env.write_text("SPEECHMILL_PORT=9090\n")
    first = make_secrets(env)
    assert make_secrets(env) == first and env.read_text().startswith("SPEECHMILL_PORT=9090\n")
    assert len(set(first.values())) == 4 and min(map(len, first.values())) >= 16
