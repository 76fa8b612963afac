"""The pages inside Airflow: who may see them, what they show, and that they show nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import put, verdict
from fastapi.testclient import TestClient

REPO = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def airflow() -> None:
    """Airflow's own authentication, on a database of its own."""
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True, env=os.environ)
    from airflow.api_fastapi.app import create_auth_manager

    create_auth_manager().init()


def token(user: str, role: str) -> str:
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    return get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=user, role=role))


@pytest.fixture
def stranger(warehouse: Path, airflow: None) -> TestClient:
    """Nobody has logged in. Mounted as Airflow mounts it."""
    from fastapi import FastAPI

    from plugins.speechmill_pages.app import make_app

    server = FastAPI()
    server.mount("/speechmill", make_app(warehouse.as_uri()))
    return TestClient(server)


@pytest.fixture
def ada(stranger: TestClient) -> TestClient:
    """Somebody who has logged in: the cookie that the UI's frame sends."""
    stranger.cookies.set("_token", token("ada", "admin"))
    return stranger


PATHS = [
    "",
    "releases/peoples_speech/en/2026.11/",
    "releases/peoples_speech/en/2026.11/ATTRIBUTION.md",
    "releases/peoples_speech/en/2026.11/figures/hours.png",
    "quality/peoples_speech/en/2026.11/release/index.html",
]


@pytest.mark.parametrize("path", [*PATHS, "nothing/here", "docs", "openapi.json"])
def test_nobody_sees_anything_without_a_login(stranger: TestClient, path: str) -> None:
    assert stranger.get(f"/speechmill/{path}").status_code == 401
    assert stranger.get(f"/speechmill/{path}", headers={"Authorization": "Bearer wrong"}).status_code in (401, 403)


@pytest.mark.parametrize("path", PATHS)
def test_whoever_may_see_plugins_sees_the_pages(ada: TestClient, path: str) -> None:
    answer = ada.get(f"/speechmill/{path}")
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_overview_shows_releases_batches_and_what_was_stopped(ada: TestClient) -> None:
    page = ada.get("/speechmill/").text
    order = [
        "Stopped or waiting",
        "2026.12",
        "license_family_allowed",
        "Releases",
        "2026.11",
        "2026.9",
        "Batches",
        "2026.10",
        "2026.09",
    ]
    places = [page.index(f">{x}" if x[0].isupper() else x) for x in order]
    assert places == sorted(places), "the latest first"
    assert "2.1 h in 1,057 clips of 7 items, 2026-11-21, follows 2026.9" in page
    assert "low alignment score 5.0 min (4.0 %)" in page and "width:72.000%" in page
    assert "passed with 1 warning" in page and "dev_filled: release: dev_s is 0" in page
    assert "75 s kept of 1.7 min" in page
    assert "<script" not in page


def test_links_of_the_overview_lead_somewhere(ada: TestClient) -> None:
    import re

    links = re.findall(r'href="([^"]+)"', ada.get("/speechmill/").text)
    assert len(links) >= 11
    missing = [x for x in links if ada.get(f"/speechmill/{x}").status_code != 200]
    assert all(x.endswith("index.html") and "2026.11" not in x for x in missing), "only Data Docs that the test did not write"


def test_the_card_is_rendered_without_what_could_run(ada: TestClient) -> None:
    page = ada.get("/speechmill/releases/peoples_speech/en/2026.11/").text
    assert "<td>clean-by</td>" in page and 'src="figures/hours.png"' in page
    assert "pretty_name" not in page and "<script" not in page and 'href="javascript' not in page
    assert "passed with 1 warning" in page


OUTSIDE = [
    "releases/../../outside.json",
    "releases/..%2f..%2foutside.json",
    "releases/%2e%2e/%2e%2e/outside.json",
    "releases/peoples_speech/%2e%2e/%2e%2e/%2e%2e/outside.json",
    "releases//etc/passwd",
    "releases/%2Fetc%2Fpasswd",
    "releases/..%5c..%5coutside.json",
    "releases/peoples_speech/en/link.json",
    "releases/peoples_speech/en/folder/outside.json",
    "releases/peoples_speech/en/.hidden.json",
    "releases/peoples_speech/en/2026.11/README.md%00.png",
    "releases/peoples_speech/en/2026.11/data/clean-by/train-00000.parquet",
    "releases/peoples_speech/en/2026.11/figures",
    "quality/%2e%2e/releases/peoples_speech/en/2026.11/README.md",
    "quality/%2e%2e/batches/peoples_speech/en/2026.10/batch.json",
    "releases/../../x/y/",
    "batches/peoples_speech/en/2026.10/batch.json",
]


@pytest.mark.parametrize("path", OUTSIDE)
def test_nothing_else_is_served(ada: TestClient, warehouse: Path, path: str) -> None:
    here = warehouse / "releases/peoples_speech/en"
    (here / "link.json").symlink_to(warehouse.parent / "outside.json")
    (here / "folder").symlink_to(warehouse.parent)
    put(here / ".hidden.json", "{}")
    answer = ada.get(f"/speechmill/{path}")
    assert answer.status_code == 404 and "secret" not in answer.text


@pytest.mark.parametrize(
    "path", ["../outside.json", "a/../../outside.json", "/etc/hosts", "a//b.json", "..", "", ".", "a\\..\\b.json", "\0.json"]
)
def test_paths_that_lead_out_are_not_even_tried(warehouse: Path, path: str) -> None:
    """The client above resolves some of them before they are sent; here they arrive as they are."""
    from plugins.speechmill_pages.files import find

    assert find(warehouse, path) is None
    assert find(warehouse, "releases/peoples_speech/en/2026.11/README.md") is not None


def test_a_release_without_release_json_is_not_shown(ada: TestClient, warehouse: Path) -> None:
    put(warehouse / "releases/peoples_speech/en/2026.12/README.md", "half")
    assert ada.get("/speechmill/releases/peoples_speech/en/2026.12/").status_code == 404


def test_a_file_that_cannot_be_read_is_said_and_hides_nothing(ada: TestClient, warehouse: Path) -> None:
    put(warehouse / "batches/peoples_speech/en/2026.10/batch.json", "{")
    put(warehouse / "releases/peoples_speech/en/2026.9/ledger.json", "[]")
    put(warehouse / "quality/peoples_speech/en/2026.09/segments/verdict.json", "")
    page = ada.get("/speechmill/")
    assert page.status_code == 200
    for said in ("batch.json cannot be read", "release.json cannot be read", "verdict.json cannot be read", "2026.11"):
        assert said in page.text


def test_a_release_that_its_gate_stopped_is_seen_beside_the_batch_of_that_month(ada: TestClient, warehouse: Path) -> None:
    put(
        warehouse / "quality/peoples_speech/en/2026.10/release/verdict.json",
        verdict(False, ("attribution: release_segments: none",)),
    )
    stopped, released = ada.get("/speechmill/").text.split("<h2>Releases</h2>")
    assert "attribution: release_segments: none" in stopped and "attribution: release" not in released


def test_an_empty_warehouse_says_what_to_do(ada: TestClient, warehouse: Path) -> None:
    import shutil

    shutil.rmtree(warehouse)
    page = ada.get("/speechmill/").text
    assert page.count("None yet.") == 2 and "make demo" in page


def test_airflow_loads_the_registration_and_nothing_else() -> None:
    """In a process of its own, as each Airflow process does: no page is built, nothing heavy imported."""
    code = (
        "import sys; from airflow import plugins_manager as p;"
        "found = [(x.name, [a['url_prefix'] for a in x.fastapi_apps], [v['url_route'] for v in x.external_views])"
        " for x in p._get_plugins()[0] if 'speechmill' in str(x.name)];"
        "print(found, p._get_plugins()[1], 'plugins.speechmill_pages.app' in sys.modules, 'catalogue' in sys.modules)"
    )
    env = {**os.environ, "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPO / "plugins"), "PYTHONPATH": str(REPO)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False)
    assert done.stdout.splitlines()[-1:] == ["[('speechmill_pages', ['/speechmill'], ['speechmill'])] {} False False"], (
        done.stderr
    )


def test_the_registration_is_thin() -> None:
    assert len((REPO / "plugins/register_pages.py").read_text().splitlines()) <= 25
    assert sorted(p.name for p in (REPO / "plugins").glob("*.py")) == ["__init__.py", "register_pages.py"]
