"""Storage: whole or not at all, and nothing published is ever replaced; on the file system and on ``gs://``."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from stores import Place, place

from stagekit.errors import StageError
from stagekit.storage import LocalStorage, _temporary_beside, below, join, local_copy, resolve, to_uri

pytestmark = pytest.mark.allow_hosts(["127.0.0.1", "::1"])


@pytest.fixture(params=["file", "emulator", "server"])
def any_place(request, tmp_path):
    with place(request.param, tmp_path) as made:
        yield made


@pytest.fixture(params=["file", "server"])
def strict_place(request, tmp_path):
    """Stores that enforce preconditions; the emulator takes them and does not."""
    with place(request.param, tmp_path) as made:
        yield made


def folder(tmp_path, name, **files):
    path = tmp_path / name
    for file, text in files.items():
        target = path / file.replace("__", "/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return path


# what every store does


def test_what_is_written_is_read(any_place: Place):
    store, path = any_place.store, any_place.path("a/ü b.json")
    assert not store.exists(path)
    with pytest.raises(FileNotFoundError):
        store.read_bytes(path)
    for data in (b"", b"one", os.urandom(100_000)):
        store.write_bytes(path, data)
        assert store.exists(path) and store.read_bytes(path) == data


def test_large_files_go_up_in_pieces_and_come_down_whole(any_place: Place, tmp_path):
    big, back = tmp_path / "big", tmp_path / "back"
    big.write_bytes(os.urandom(20_000_001))
    assert any_place.store.put_new(big, any_place.path("big.flac"))
    any_place.store.download(any_place.path("big.flac"), back)
    assert back.read_bytes() == big.read_bytes()


def test_ranges_are_put_together_again(any_place: Place, tmp_path, monkeypatch):
    monkeypatch.setattr("stagekit.gcs.PARALLEL_FROM", 1 << 20)
    monkeypatch.setattr("stagekit.gcs.PIECE", 256 << 10)
    big, back = tmp_path / "big", tmp_path / "back"
    big.write_bytes(os.urandom(2_000_003))
    assert any_place.store.put_new(big, any_place.path("big.flac"))
    any_place.store.download(any_place.path("big.flac"), back)
    assert back.read_bytes() == big.read_bytes()


def test_listing_is_sorted_and_hides_what_is_not_finished(any_place: Place):
    for name in ("b/2", "a", "b/1", ".staging-x/z", "b/.tmp", "b-c", "other/x", *(f"many/{n:02d}" for n in range(12))):
        any_place.store.write_bytes(any_place.path(name), b"x" * len(name))
    names = ["a", "b/1", "b/2", "b-c", *(f"many/{n:02d}" for n in range(12)), "other/x"]
    assert list(any_place.store.list(any_place.folder)) == [(n, len(n)) for n in names]
    assert list(any_place.store.list(any_place.path("nowhere"))) == []
    assert [n for n, _ in any_place.store.list(any_place.path("othe"))] == [], "a prefix is not a folder"


def test_a_folder_becomes_visible_with_its_links(any_place: Place, tmp_path):
    any_place.store.write_bytes(any_place.path("shards/ab.parquet"), b"packed")
    staging = folder(tmp_path, "staging", **{"_SUCCESS.json": "{}", "sub__f": "one"})
    links = {"train/0.parquet": any_place.path("shards/ab.parquet")}
    if any_place.scheme == "file":
        (staging / "train").mkdir()
    out = any_place.path("out")
    assert any_place.store.commit_folder(staging, out, "_SUCCESS.json", links)
    assert [n for n, _ in any_place.store.list(out)] == ["_SUCCESS.json", "sub/f", "train/0.parquet"]
    assert any_place.store.read_bytes(f"{out}/train/0.parquet") == b"packed"


def test_a_committed_folder_is_never_replaced(any_place: Place, tmp_path):
    out = any_place.path("out")
    assert any_place.store.commit_folder(folder(tmp_path, "one", f="one", m="1"), out, "m")
    assert not any_place.store.commit_folder(folder(tmp_path, "two", f="two", m="2"), out, "m")
    assert any_place.store.read_bytes(f"{out}/f") == b"one" and any_place.store.read_bytes(f"{out}/m") == b"1"
    assert not (tmp_path / "two").exists()


def test_delete_folder_takes_all_of_it_and_nothing_else(any_place: Place):
    for name in ("a/1", "a/.hidden", "ab/1"):
        any_place.store.write_bytes(any_place.path(name), b"x")
    any_place.store.delete_folder(any_place.path("a"))
    assert not any_place.store.exists(any_place.path("a/.hidden"))
    assert [n for n, _ in any_place.store.list(any_place.folder)] == ["ab/1"]


def test_local_copy_is_a_path_as_long_as_it_is_needed(any_place: Place):
    any_place.store.write_bytes(any_place.path("x.flac"), b"sound")
    uri = to_uri(any_place.path("x.flac")) if any_place.scheme == "file" else any_place.uri("x.flac")
    with local_copy(uri) as path:
        assert path.read_bytes() == b"sound" and path.suffix == ".flac"
    assert path.exists() == (any_place.scheme == "file")
    with pytest.raises(StageError, match="not there"), local_copy(uri + "x"):
        pass


# what only a store with preconditions can do


def test_only_one_of_many_writers_publishes(strict_place: Place):
    won, target = [], strict_place.path("release.json")

    def publish(number):
        if strict_place.store.write_new(target, f"{number}".encode()):
            won.append(number)

    threads = [threading.Thread(target=publish, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert strict_place.store.read_bytes(target) == f"{won[0]}".encode()
    assert [n for n, _ in strict_place.store.list(strict_place.folder)] == ["release.json"], "no temporary file is left"


def test_a_pointer_is_moved_by_one_of_those_who_saw_the_same(strict_place: Place):
    store, path = strict_place.store, strict_place.path("latest.json")
    assert not store.replace_if(path, b"1", b"2") and not store.exists(path)
    assert store.replace_if(path, None, b"1")
    assert not store.replace_if(path, None, b"2")
    assert not store.replace_if(path, b"0", b"2") and store.read_bytes(path) == b"1"
    assert store.replace_if(path, b"1", b"2") and store.read_bytes(path) == b"2"


def test_a_counter_loses_no_step(strict_place: Place):
    store, path = strict_place.store, strict_place.path("n")
    store.write_bytes(path, b"0")

    def step():
        while not store.replace_if(path, before := store.read_bytes(path), str(int(before) + 1).encode()):
            pass

    threads = [threading.Thread(target=step) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.read_bytes(path) == b"8"


def test_an_object_is_put_once(strict_place: Place, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
    assert strict_place.store.put_new(tmp_path / "one", strict_place.path("x"))
    assert not strict_place.store.put_new(tmp_path / "two", strict_place.path("x"))
    assert strict_place.store.read_bytes(strict_place.path("x")) == b"one"


def test_a_copy_does_not_replace(strict_place: Place):
    store = strict_place.store
    store.write_bytes(strict_place.path("a"), b"a")
    store.write_bytes(strict_place.path("b"), b"b")
    with pytest.raises(FileExistsError):
        store.link_or_copy(strict_place.path("a"), strict_place.path("b"))
    assert store.read_bytes(strict_place.path("b")) == b"b"


def test_an_object_is_found_below_its_folder_by_the_name_that_is_listed(strict_place: Place):
    """The emulator unquotes names twice."""
    names = ["100%20.flac", "a/b#1?.flac", "ü b.flac"]
    for name in names:
        strict_place.store.write_bytes(strict_place.path(name), name.encode())
    folder = to_uri(strict_place.folder) if strict_place.scheme == "file" else f"gs://{strict_place.folder}"
    assert [name for name, _ in strict_place.store.list(strict_place.folder)] == names
    for name in names:
        with local_copy(below(folder, name)) as path:
            assert path.read_bytes() == name.encode()


# what only file systems have


def test_links_are_followed_once_and_what_cannot_be_opened_is_listed(tmp_path):
    root = folder(tmp_path, "root", sub__f="one")
    folder(tmp_path, "elsewhere", g="two!")
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "gone").symlink_to(tmp_path / "nothing")
    (root / "sub" / "up").symlink_to(root)
    (root / "sub" / "further up").symlink_to(tmp_path)
    (tmp_path / "elsewhere" / "across").symlink_to(root / "sub")
    store = LocalStorage()
    assert list(store.list(str(root))) == [("gone", 0), ("linked/g", 4), ("sub/f", 3)]
    (root / "again").symlink_to(tmp_path / "elsewhere")
    (root / "latest").symlink_to(root / "sub")
    folder(root, ".kept", h="three")
    (root / "shown").symlink_to(root / ".kept")
    names = [name for name, _ in store.list(str(root))]
    assert names == ["again/g", "gone", "shown/h", "sub/f"], "elsewhere once, latest is sub"
    assert not store.exists(str(root / "gone"))


# URIs


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
    assert isinstance(resolve(str(tmp_path))[0], LocalStorage)


def test_what_a_killed_writer_left_does_not_stay(tmp_path: Path) -> None:
    store, target = LocalStorage(), tmp_path / "a"
    killed = "import os, sys, pathlib; from stagekit import storage as s\n"
    killed += "with s._temporary_beside(pathlib.Path(sys.argv[1])) as t:\n"
    for left in ("t.write_bytes(b'half of it')", "t.write_bytes(b'whole'); os.link(t, sys.argv[1])"):
        subprocess.run([sys.executable, "-c", f"{killed}    {left}; os.kill(os.getpid(), 9)", str(target)], check=False)
        assert len([f for f in tmp_path.iterdir() if f.name.startswith(".")]) == 1
        before = target.open("rb") if target.exists() else None
        store.write_bytes(str(target), b"new")
        assert [f.name for f in tmp_path.iterdir()] == ["a"] and target.read_bytes() == b"new"
        if before:
            assert before.read() == b"whole", "a reader of the old one is not disturbed"
            before.close()
        target.unlink()


def test_two_may_write_one_file_at_the_same_time(tmp_path: Path) -> None:
    target = tmp_path / "a"
    with _temporary_beside(target) as first, _temporary_beside(target) as second:
        assert first != second
        first.write_bytes(b"1")
        second.write_bytes(b"2")
        assert first.read_bytes() == b"1"
    assert not list(tmp_path.iterdir())
