"""``gs://`` on a bad line: retried, or one clear error; never half a file, never two versions of one folder."""

import json
import os
import signal
import threading
import time

import pytest
from gcs_server import Fault
from stores import Place, place

from stagekit.errors import StageError

pytestmark = pytest.mark.allow_hosts(["127.0.0.1", "::1"])


@pytest.fixture
def gs(tmp_path):
    with place("server", tmp_path, patience_s=5.0) as made:
        yield made


def folder(tmp_path, name, files):
    path = tmp_path / name
    for file, data in files.items():
        target = path / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return path


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_bad_minutes_are_sat_out(gs: Place, code):
    gs.cloud.faults += [Fault(m, "speech", "status", code, times=3) for m in ("GET", "POST")]
    gs.store.write_bytes(gs.path("x"), b"data")
    gs.cloud.faults += [Fault("GET", "speech", "status", code, times=3)]
    assert gs.store.read_bytes(gs.path("x")) == b"data"
    assert [n for n, _ in gs.store.list(gs.folder)] == ["x"]
    assert all(fault.times == 0 for fault in gs.cloud.faults if fault.method == "POST")


def test_what_does_not_end_is_given_up_with_the_last_answer(gs: Place):
    gs.cloud.faults.append(Fault("POST", "upload", "status", 503, times=10_000, message="Backend Error"))
    started = time.monotonic()
    with pytest.raises(StageError, match=r"cannot write gs://speech/.*x: given up after retries \(.*503.*Backend Error"):
        gs.store.write_new(gs.path("x"), b"data")
    assert time.monotonic() - started < 20 and gs.cloud.names() == []


@pytest.mark.parametrize("after", [0, 100_000, 9_000_000])
def test_a_connection_that_breaks_in_an_upload_costs_no_byte(gs: Place, tmp_path, after):
    data = os.urandom(12_000_000)
    (tmp_path / "big").write_bytes(data)
    gs.cloud.faults.append(Fault("PUT", "upload_id", "reset", after, times=2))
    assert gs.store.put_new(tmp_path / "big", gs.path("big"))
    assert gs.store.read_bytes(gs.path("big")) == data


def test_nothing_is_visible_of_an_upload_that_never_ends(gs: Place, tmp_path):
    (tmp_path / "big").write_bytes(os.urandom(12_000_000))
    gs.cloud.faults.append(Fault("PUT", "upload_id", "reset", 1_000_000, times=10_000))
    with pytest.raises(StageError, match="cannot write"):
        gs.store.put_new(tmp_path / "big", gs.path("big"))
    assert gs.cloud.names() == []


def test_a_small_upload_that_breaks_is_sent_again(gs: Place):
    gs.cloud.faults.append(Fault("POST", "upload", "reset", 50, times=2))
    assert gs.store.write_new(gs.path("x"), b"data" * 100)
    assert gs.store.read_bytes(gs.path("x")) == b"data" * 100


@pytest.mark.parametrize("size", [100, 12_000_000])
def test_an_upload_whose_answer_was_lost_is_known_as_ones_own(gs: Place, tmp_path, size):
    (tmp_path / "f").write_bytes(os.urandom(size))
    gs.cloud.faults.append(Fault("POST" if size < 1000 else "PUT", "upload", "lost"))
    assert gs.store.put_new(tmp_path / "f", gs.path("f")), "it was written, and by this call"
    assert len(gs.cloud.names()) == 1


@pytest.mark.parametrize("after", [0, 100, 700_000])
def test_a_connection_that_breaks_in_a_download_is_resumed(gs: Place, tmp_path, after):
    data = os.urandom(1_500_000)
    gs.store.write_bytes(gs.path("x"), data)
    gs.cloud.faults.append(Fault("GET", "alt=media", "reset", after, times=2))
    gs.store.download(gs.path("x"), tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == data


def test_bytes_that_changed_on_the_way_are_sent_again(gs: Place, tmp_path):
    data = os.urandom(9_000_000)
    (tmp_path / "big").write_bytes(data)
    gs.cloud.faults += [Fault("POST", "uploadType=multipart", "flip"), Fault("PUT", "upload_id", "flip")]
    gs.store.write_bytes(gs.path("small"), b"data" * 1000)
    assert gs.store.put_new(tmp_path / "big", gs.path("big"))
    assert gs.store.read_bytes(gs.path("small")) == b"data" * 1000 and gs.store.read_bytes(gs.path("big")) == data
    assert not any(fault.times for fault in gs.cloud.faults)


def test_bytes_that_changed_on_the_way_back_are_fetched_again(gs: Place, tmp_path):
    gs.store.write_bytes(gs.path("x"), b"data" * 1000)
    gs.cloud.faults.append(Fault("GET", "alt=media", "flip", times=2))
    assert gs.store.read_bytes(gs.path("x")) == b"data" * 1000
    gs.cloud.faults.append(Fault("GET", "alt=media", "flip", times=2))
    gs.store.download(gs.path("x"), tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == b"data" * 1000


def test_a_line_that_always_changes_bytes_is_named(gs: Place, tmp_path):
    gs.store.write_bytes(gs.path("x"), b"data")
    gs.cloud.faults.append(Fault("GET", "alt=media", "flip", times=100))
    with pytest.raises(StageError, match="cannot read gs://speech/.*its CRC32C was wrong 3 times"):
        gs.store.read_bytes(gs.path("x"))
    gs.cloud.faults.append(Fault("POST", "upload", "flip", times=100))
    with pytest.raises(StageError, match="cannot write gs://speech/"):
        gs.store.write_new(gs.path("y"), b"y" * 1000)
    assert not gs.store.exists(gs.path("y"))


@pytest.mark.parametrize(
    ("code", "message", "words"),
    [
        (401, "Invalid Credentials", "no valid Google credentials .*Workload Identity"),
        (403, "sa@p.iam has no storage.objects.create access", "permission denied .403: .*sa@p.iam.*roles/storage.objectUser"),
    ],
)
def test_who_may_not_is_told_at_once(gs: Place, code, message, words):
    gs.cloud.faults += [Fault(m, "speech", "status", code, times=1000, message=message) for m in ("GET", "POST")]
    started = time.monotonic()
    for act in (
        lambda: gs.store.write_new(gs.path("x"), b"1"),
        lambda: gs.store.read_bytes(gs.path("x")),
        lambda: gs.store.exists(gs.path("x")),
        lambda: list(gs.store.list(gs.folder)),
    ):
        with pytest.raises(StageError, match=words):
            act()
    assert time.monotonic() - started < 10, "a refusal is not retried"


def test_a_bucket_that_is_not_there_is_named(gs: Place):
    with pytest.raises(StageError, match="there is no bucket nowhere"):
        gs.store.write_new("nowhere/x", b"1")
    with pytest.raises(StageError, match="there is no bucket nowhere"):
        list(gs.store.list("nowhere/x"))


def test_no_credentials_say_what_to_do(tmp_path, monkeypatch):
    from stagekit.gcs import GcsStorage

    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(StageError, match="no valid Google credentials.*Workload Identity"):
        GcsStorage().exists("speech/x")


def test_a_disk_that_is_too_small_is_seen_before_the_download(gs: Place, tmp_path, monkeypatch):
    gs.store.write_bytes(gs.path("x"), b"data")
    monkeypatch.setattr("stagekit.gcs.RESERVE", 1 << 60)
    with pytest.raises(OSError, match="no room for 4 bytes of gs://speech/"):
        gs.store.download(gs.path("x"), tmp_path / "x")


# folders


FILES = {f"part-{n:05d}.parquet": bytes([n]) * 1000 for n in range(12)} | {"_SUCCESS.json": b"{}"}


def test_a_folder_is_finished_by_its_marker_and_by_nothing_else(gs: Place, tmp_path):
    gs.cloud.faults.append(Fault("POST", "upload", "slow", 0.01, times=100))
    assert gs.store.commit_folder(folder(tmp_path, "a", FILES), gs.path("out"), "_SUCCESS.json")
    generations = {name.rpartition("/")[2]: thing.generation for (_, name), thing in gs.cloud.objects.items()}
    order = sorted(generations, key=lambda name: generations[name])
    assert order[-1] == "_SUCCESS.json" and len(order) == len(FILES)


def test_a_commit_that_broke_off_goes_on_where_it_was(gs: Place, tmp_path):
    gs.cloud.faults.append(Fault("POST", "upload", "slow", 0.0, times=6))
    gs.cloud.faults.append(Fault("POST", "upload", "status", 403, times=100))
    out = gs.path("out")
    with pytest.raises(StageError, match="permission denied"):
        gs.store.commit_folder(folder(tmp_path, "a", FILES), out, "_SUCCESS.json")
    left = len(gs.cloud.names())
    assert 0 < left < len(FILES) and not gs.store.exists(f"{out}/_SUCCESS.json")
    gs.cloud.faults.clear()
    gs.cloud.requests.clear()
    assert gs.store.commit_folder(tmp_path / "a", out, "_SUCCESS.json")
    assert sum(m == "POST" for m, _ in gs.cloud.requests) == len(FILES) - left, "what was there is not sent again"
    assert {n for n, _ in gs.store.list(out)} == set(FILES)


def test_what_a_killed_run_left_is_removed_only_when_it_is_old(gs: Place, tmp_path):
    out = gs.path("out")
    gs.store.write_bytes(f"{out}/part-00000.parquet", b"other")
    gs.store.write_bytes(f"{out}/part-99999.parquet", b"not wanted")
    with pytest.raises(StageError, match="holds other content of a run that has not finished .part-00000.*again in 15 min"):
        gs.store.commit_folder(folder(tmp_path, "a", FILES), out, "_SUCCESS.json")
    for thing in gs.cloud.objects.values():
        thing.updated -= 1000
    assert gs.store.commit_folder(tmp_path / "a", out, "_SUCCESS.json")
    assert {n: gs.store.read_bytes(f"{out}/{n}") for n, _ in gs.store.list(out)} == FILES


def test_a_rival_with_other_content_never_mixes_in(gs: Place, tmp_path):
    """A rival's object comes between the look and the write: the folder is not finished."""
    out = gs.path("out")
    gs.cloud.faults.append(Fault("POST", "upload", "slow", 1.0, times=1))
    failed = []

    def commit():
        try:
            gs.store.commit_folder(folder(tmp_path, "a", FILES), out, "_SUCCESS.json")
        except StageError as error:
            failed.append(str(error))

    thread = threading.Thread(target=commit)
    thread.start()
    while not any("upload" in path for _, path in gs.cloud.requests):
        time.sleep(0.005)
    gs.store.write_new(f"{out}/rival", b"mine")
    thread.join()
    assert failed and "another writer" in failed[0]
    assert not gs.store.exists(f"{out}/_SUCCESS.json")


# whole stages, as processes


def gs_run(start, gs, recordings, out, **params):
    more = ["--workers", "1", "--params", json.dumps(params), "--receipt", f"{out}.json"]
    return start("longer", "--input", recordings["output"], "--output", out, *more)


def test_a_stage_reads_and_writes_gs(gs: Place, start, demo, recordings, tmp_path):
    """Raw input, tables, receipt and parameters on gs://; the same fingerprint and the same bytes as on file://."""
    for name in ("a.txt", "b.txt"):
        gs.store.write_bytes(gs.path(f"source/{name}"), (tmp_path / "source" / name).read_bytes())
    code, out, err = demo("first", "--input", gs.uri("source"), "--output", gs.uri("first"), "--receipt", gs.uri("r.json"))
    assert code == 0, err
    receipt = json.loads(gs.store.read_bytes(gs.path("r.json")))
    assert receipt["output"].rpartition("/")[2] == recordings["output"].rpartition("/")[2]
    made = receipt["output"].removeprefix("gs://")
    for name, _ in gs.store.list(made):
        if name != "_SUCCESS.json":
            assert gs.store.read_bytes(f"{made}/{name}") == open(f"{recordings['output']}/{name}", "rb").read()
    code, out, err = demo("longer", "--input", receipt["shards"][1], "--output", gs.uri("longer"), "--workers", "1")
    assert code == 0 and "2 recordings in" in out, err
    code, out, _ = demo("longer", "--input", receipt["shards"][1], "--output", gs.uri("longer"), "--workers", "1")
    assert code == 0 and "nothing has changed" in out


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_stage_leaves_nothing_visible_and_its_retry_the_same_bytes(gs: Place, start, recordings, how):
    gs.cloud.faults.append(Fault("POST", "upload", "slow", 30, times=2))
    process = gs_run(start, gs, recordings, gs.uri("out"))
    while not any("upload" in path for _, path in gs.cloud.requests):
        time.sleep(0.02)
        assert process.poll() is None, process.communicate()
    process.send_signal(how)
    process.wait(10)
    assert not any(name.endswith("_SUCCESS.json") for name in gs.cloud.names())
    gs.cloud.faults.clear()
    again = gs_run(start, gs, recordings, gs.uri("out"))
    assert again.wait(60) == 0, again.stderr.read()
    assert sum(name.endswith("_SUCCESS.json") for name in gs.cloud.names()) == 1


def test_a_stage_without_permission_fails_with_one_line(gs: Place, start, recordings):
    gs.cloud.faults.append(Fault("POST", "upload", "status", 403, times=100, message="sa@p.iam has no storage.objects.create"))
    process = gs_run(start, gs, recordings, gs.uri("out"))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    last = err.strip().splitlines()[-1]
    assert last.startswith("demo longer: cannot write gs://speech/") and "sa@p.iam has no storage.objects.create" in last
    assert gs.cloud.names() == []


def test_a_stage_whose_store_is_out_asks_for_another_try(gs: Place, start, recordings, monkeypatch):
    monkeypatch.setenv("SPEECHMILL_STORAGE_PATIENCE_S", "1")
    gs.cloud.faults.append(Fault("POST", "upload", "status", 503, times=10_000, message="Backend Error"))
    process = gs_run(start, gs, recordings, gs.uri("out"))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 75 and "given up after retries" in err.strip().splitlines()[-1], err
