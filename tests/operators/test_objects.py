"""What Airflow's side asks of storage, on ``file://`` and on ``gs://``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from operators import objects, paths, releases

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import gcs_server  # noqa: E402

pytestmark = pytest.mark.allow_hosts(["127.0.0.1", "::1"])
Put = Callable[[str, bytes], None]


@pytest.fixture(params=["file", "gs"])
def root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Put]]:
    """A storage root, and a way to put an object below it."""
    if request.param == "file":

        def write(name: str, data: bytes) -> None:
            (tmp_path / "w" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "w" / name).write_bytes(data)

        yield (tmp_path / "w").as_uri(), write
        return
    with gcs_server.serve() as cloud:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", cloud.url)
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        objects._client.cache_clear()

        def upload(name: str, data: bytes) -> None:
            objects._client().bucket("speech").blob(f"w/{name}").upload_from_string(data)

        yield "gs://speech/w", upload
        objects._client.cache_clear()


def test_objects_are_found_and_read(root: tuple[str, Put]) -> None:
    uri, put = root
    assert not objects.exists(f"{uri}/a/b.json")
    with pytest.raises(FileNotFoundError):
        objects.read_json(f"{uri}/a/b.json")
    put("a/b.json", b'{"x": 1}')
    assert objects.exists(f"{uri}/a/b.json") and objects.read_json(f"{uri}/a/b.json") == {"x": 1}
    assert not objects.exists(f"{uri}/a"), "a folder is no object"
    put("a/c/d", b"1")
    assert list(objects.below(f"{uri}/a")) == [f"{uri}/a/b.json", f"{uri}/a/c/d"]


def test_a_release_follows_the_one_before_it(root: tuple[str, Put]) -> None:
    uri, put = root
    place = (uri, "peoples_speech", "en")
    assert releases.parent_of(*place, "2026.10") == ""
    for version in ("2026.08", "2026.10", "2026.09.1", "2026.11"):
        put(f"releases/peoples_speech/en/{version}/release.json", b'{"parent": {"version": "x"}}')
    put("releases/peoples_speech/en/2026.09.2/README.md", b"not finished")
    put("releases/peoples_speech/en/latest.json", b"{}")
    assert releases.published(*place) == ["2026.08", "2026.09.1", "2026.10", "2026.11"]
    assert releases.parent_of(*place, "2026.09.2") == "2026.09.1"
    assert releases.parent_of(*place, "2026.10") == "x", "what it says itself, once it is published"


def test_the_mirror_holds_small_files_as_they_are_now(root: tuple[str, Put]) -> None:
    uri, put = root
    put("releases/d/en/1/release.json", b"{}")
    put("releases/d/en/1/data/x.parquet", b"audio")
    folder = objects.mirror(uri, ("releases",), (".json",))
    assert (folder / "releases/d/en/1/release.json").read_bytes() == b"{}"
    assert (folder / "releases/d/en/1/data/x.parquet").exists() == uri.startswith("file")
    put("releases/d/en/1/release.json", b'{"new": true}')
    assert json.loads((objects.mirror(uri, ("releases",), (".json",)) / "releases/d/en/1/release.json").read_bytes()) == {
        "new": True
    }
    if uri.startswith("gs"):
        objects._client().bucket("speech").blob("w/releases/d/en/1/release.json").delete()
        assert not (objects.mirror(uri, ("releases",), (".json",)) / "releases/d/en/1/release.json").exists()


def test_paths_are_the_documented_ones_on_any_root(root: tuple[str, Put]) -> None:
    uri, _ = root
    assert paths.release(uri, "d", "en", "2026.10") == f"{uri}/releases/d/en/2026.10"
