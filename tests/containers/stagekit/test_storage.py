"""Storage: whole or not at all, and nothing published is ever replaced."""

import threading

import pytest

from stagekit.errors import StageError
from stagekit.storage import LocalStorage, join, local_copy, resolve, to_uri


def test_only_one_of_many_writers_publishes(tmp_path):
    store, won = LocalStorage(), []
    target = str(tmp_path / "release.json")

    def publish(number):
        if store.write_new(target, f"{number}".encode()):
            won.append(number)

    threads = [threading.Thread(target=publish, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert store.read_bytes(target) == f"{won[0]}".encode()
    assert [f.name for f in tmp_path.iterdir()] == ["release.json"], "no temporary file is left"


def test_a_committed_folder_is_never_replaced(tmp_path):
    store = LocalStorage()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_text(name)
    assert store.commit_folder(tmp_path / "one", str(tmp_path / "out"))
    assert not store.commit_folder(tmp_path / "two", str(tmp_path / "out"))
    assert (tmp_path / "out" / "f").read_text() == "one"
    assert not (tmp_path / "two").exists()


def test_listing_is_sorted_and_hides_what_is_not_finished(tmp_path):
    for name in ("b/2", "a", "b/1", ".staging-x/z", "b/.tmp"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    assert [n for n, _ in LocalStorage().list(str(tmp_path))] == ["a", "b/1", "b/2"]


@pytest.mark.parametrize("name", ["plain", "with blank", "per%cent", "ümlaut", "hash#mark", "question?"])
def test_uris_of_odd_names(tmp_path, name):
    path = tmp_path / name
    path.write_text("x")
    with local_copy(to_uri(path)) as local:
        assert local == path
    assert resolve(join(to_uri(tmp_path), "a"))[1] == str(tmp_path / "a")


def test_unknown_schemes_and_missing_objects_say_so(tmp_path):
    with pytest.raises(StageError, match="no storage for 's3://'"):
        resolve("s3://bucket/x")
    with pytest.raises(StageError, match="not there"), local_copy(str(tmp_path / "x")):
        pass
