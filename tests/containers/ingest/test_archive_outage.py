"""Items of a month come out of an archive once each, though it refuses, breaks off, lies or has to be asked again."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from archive_items import QUICK, TALK, ids, reasons
from archive_server import Fault

from ingest.http import Client, Manners
from ingest.sources import Rejection
from ingest.sources.archive_search import ArchiveParams, search
from ingest.sources.internet_archive import discover
from stagekit.errors import StageError, UnavailableError
from stagekit.tables import Reason

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])


def test_429_503_and_pages_that_are_no_json_are_sat_out(archive, found):
    for i in range(150):
        archive.add(f"i{i:03d}", TALK)
    archive.faults += [
        Fault("/scrape", "status", (503, {})),
        Fault("cursor=", "html"),
        Fault("/metadata/i007", "status", (429, {"Retry-After": "1"})),
        Fault("/metadata/", "status", (503, {}), times=5),
        Fault("/metadata/i149", "html"),
    ]
    assert len(ids(found(page_size=100))) == 150


def test_one_item_that_cannot_be_read_is_a_rejection_many_are_an_outage(archive, found, tmp_path):
    for i in range(20):
        archive.add(f"i{i:02d}", TALK)
    archive.faults.append(Fault("/metadata/i03", "status", (500, {}), times=999))
    archive.faults.append(Fault("/metadata/i04", "status", (403, {}), times=999))
    results = found(state=tmp_path)
    assert len(ids(results)) == 18
    assert reasons(results) == {"i03": Reason.ITEM_UNREADABLE, "i04": Reason.ITEM_UNREADABLE}
    archive.faults.clear()
    asked = archive.count("/metadata/")
    assert len(ids(found(state=tmp_path))) == 20, "what failed is not kept"
    assert archive.count("/metadata/") == asked + 2
    archive.faults.append(Fault("/metadata/", "status", (403, {}), times=999))
    with pytest.raises(UnavailableError, match="answers too few requests"):
        found()


def test_some_items_in_many_that_never_answer_stop_no_run_and_five_in_a_row_do(archive, found):
    for i in range(200):
        archive.add(f"i{i:03d}", TALK)
    for i in range(0, 180, 20):
        archive.faults.append(Fault(f"/metadata/i{i:03d}", "status", (403, {}), times=999))
    results = found()
    assert len(ids(results)) == 191 and list(reasons(results).values()) == [Reason.ITEM_UNREADABLE] * 9
    archive.faults.append(Fault("/metadata/i190", "status", (403, {}), times=999))
    with pytest.raises(UnavailableError, match="10 of 200 items unread"):
        found()
    archive.faults.clear()
    for i in range(60, 65):
        archive.faults.append(Fault(f"/metadata/i{i:03d}", "status", (403, {}), times=999))
    with pytest.raises(UnavailableError, match="5 of 200 items unread"):
        found()


def test_a_search_that_is_refused_or_ends_early_is_an_error(archive, found):
    archive.add("x", TALK)
    archive.total = 200
    with pytest.raises(UnavailableError, match="ended after 1 of 200"):
        found()
    archive.faults.append(Fault("/scrape", "status", (400, {})))
    with pytest.raises(StageError, match="refuses the search"):
        found()
    archive.faults.append(Fault("/scrape", "status", (503, {"Retry-After": "86400"})))
    with pytest.raises(UnavailableError, match="gave up"):
        found()


def test_an_empty_answer_and_another_query_s_are_no_end_of_the_search(archive, tmp_path):
    params = ArchiveParams(month="2026.10", base_url=archive.url, page_size=100)
    for i in range(250):
        archive.add(f"i{i:03d}", TALK)

    def again():
        return search(params, Client(QUICK), tmp_path, {})

    nothing = {"items": [], "count": 0, "previous": "WzFd", "total": None}
    archive.faults.append(Fault("cursor=", "json", nothing))
    with pytest.raises(UnavailableError, match="no items and no total"):
        again()
    archive.faults.append(Fault("cursor=MjAw", "json", {"items": [], "count": 0}))
    with pytest.raises(UnavailableError, match="no items and no total"):
        again()
    archive.faults.append(Fault("cursor=MjAw", "json", {"items": [{"identifier": "i001"}], "count": 1}))
    with pytest.raises(UnavailableError, match="ended after 200 of 250"):
        again()
    others = [{"identifier": f"other{i}", "addeddate": "2019-05-06T07:08:09Z"} for i in range(100)]
    archive.faults.append(Fault("/scrape", "json", {"items": others, "count": 100, "total": 100}))
    with pytest.raises(UnavailableError, match="another query: 100 of 100 items were not added in 2026-07-01/2026-10-31"):
        again()
    stray = {"items": [{"identifier": f"i{i:03d}", "addeddate": "2026-10-10 08:00:00"} for i in range(100)], "total": 101}
    stray["items"][7]["addeddate"] = "2026-06-30T23:59:59Z"
    archive.faults.append(Fault("/scrape", "json", stray | {"cursor": "MTAw"}))
    archive.faults.append(Fault("cursor=MTAw", "json", {"items": [], "count": 0}))
    assert len(again()) == 100, "one wrong date is none of another query's, and nothing is what comes after all"
    archive_params = params.model_copy(update={"trailing_months": 2})
    assert len(search(archive_params, Client(QUICK), tmp_path / "other", {})) == 250


def test_an_error_with_status_200_is_not_taken_for_metadata(archive, found, tmp_path):
    for i in range(20):
        archive.add(f"i{i:02d}", TALK)
    archive.faults.append(Fault("/metadata/i03", "json", {"error": "Couldn't connect to the item's server"}))
    archive.faults.append(Fault("/metadata/i04", "json", {"created": 1790000000, "servers_unavailable": True, "d1": "ia600300"}))
    metrics = {}
    results = found(state=tmp_path, metrics=metrics)
    assert reasons(results) == {"i03": Reason.ITEM_UNREADABLE, "i04": Reason.ITEM_UNREADABLE}
    assert metrics["unreadable"] == 2 and "Couldn't connect" in next(r.detail for r in results if isinstance(r, Rejection))
    assert len(ids(found(state=tmp_path))) == 20, "what failed is not kept"
    archive.faults.append(Fault("/metadata/", "json", {"error": "overloaded"}, times=999))
    with pytest.raises(UnavailableError, match="overloaded"):
        found()


def test_a_cursor_that_expired_starts_the_search_over(archive, found, tmp_path):
    for i in range(250):
        archive.add(f"i{i:03d}", TALK)
    archive.faults.append(Fault("cursor=MjAw", "status", (403, {})))
    with pytest.raises(StageError):
        found(page_size=100, state=tmp_path)
    archive.faults.append(Fault("cursor=MjAw", "status", (400, {})))
    assert len(ids(found(page_size=100, state=tmp_path))) == 250


def test_a_killed_discovery_goes_on_where_it_was(archive, tmp_path):
    for i in range(250):
        archive.add(f"i{i:03d}", TALK)
    for i in range(100, 250):
        archive.faults.append(Fault(f"/metadata/i{i}", "status", (503, {}), times=1))
    code = (
        "import sys, pathlib; from ingest.http import *; from ingest.sources.internet_archive import *\n"
        "p = ArchiveParams(month='2026.10', base_url=sys.argv[1], page_size=100)\n"
        "m = Manners(backoff_s=0.05, connections=2)\n"
        "print(sum(1 for _ in discover(p, state=pathlib.Path(sys.argv[2]), client=Client(m))))"
    )
    path = os.pathsep.join(str(Path(__file__).parents[3] / "containers" / name) for name in ("stagekit", "ingest"))
    argv = [sys.executable, "-c", code, archive.url, str(tmp_path)]

    def start():
        return subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
        )

    first = start()
    deadline = time.monotonic() + 30
    while archive.statuses("/metadata/").count(200) < 120 and time.monotonic() < deadline:
        time.sleep(0.005)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    time.sleep(0.2)
    answered, searched = archive.statuses("/metadata/").count(200), archive.count("/scrape")
    assert 120 <= answered < 250
    out, err = start().communicate(timeout=60)
    assert out.strip() == "250", err
    again = archive.statuses("/metadata/").count(200) - answered
    assert again <= 250 - answered + 2, "at most what two threads had in hand is asked for twice"
    assert archive.count("/scrape") == searched


def test_whoever_stops_reading_is_not_kept_waiting(archive):
    for i in range(50):
        archive.add(f"i{i:02d}", TALK)
    for i in range(1, 50):
        archive.faults.append(Fault(f"/metadata/i{i:02d}", "status", (503, {"Retry-After": "60"}), times=9))
    results = discover(ArchiveParams(month="2026.10", base_url=archive.url), client=Client(Manners(connections=3)))
    assert next(results).item_id == "internet_archive:i00/talk.mp3"
    results.close()
    deadline = time.monotonic() + 5
    while any(t.name.startswith("metadata") for t in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert time.monotonic() < deadline
