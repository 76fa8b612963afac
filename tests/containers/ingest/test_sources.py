"""A new source, as the README says: a module, an entry in the table. What it gets wrong is named."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ingest import discover, licenses
from ingest.sources import Found, Item, Rejection, checked
from stagekit.errors import StageError
from stagekit.run import Outcome, run_stage
from stagekit.storage import sha256_file

PD = "https://creativecommons.org/publicdomain/mark/1.0/"


def entry(name: str, **more: Any) -> dict[str, Any]:
    """A line of a catalogue: what it says of one recording."""
    return {"id": name, "audio": f"/talks/{name}.mp3", "text": f"/talks/{name}.txt", "license": PD} | more


def row(line: Mapping[str, Any], source: str = "catalogue") -> dict[str, Any]:
    """A row without any of the columns that may be null, but for those of the license."""
    decision = licenses.decide([licenses.Statement(line["license"], "catalogue license", "2026-01-02")])
    assert isinstance(decision, licenses.Accepted)
    return {
        "item_id": f"{source}:{line['id']}/{line['id']}.mp3", "source": source, "identifier": line["id"], **decision.columns(),
        "audio_uri": line["audio"], "caption_uri": line["text"], "caption_kind": "txt", "extra": "{}",
    }  # fmt: skip


def find(p: discover.DiscoverParams, known: Mapping[str, str], _metrics: dict[str, Any]) -> Iterator[Found]:
    for line in map(json.loads, Path(discover.location(p)).read_text().splitlines()):
        item_id = f"catalogue:{line['id']}/{line['id']}.mp3"
        if line["license"] is None:
            yield Rejection(item_id, licenses.Reason.LICENSE_MISSING, "the catalogue states none")
        elif known.get(item_id) != "":
            yield Item(row(line))


def digest(p: discover.DiscoverParams) -> dict[str, str]:
    return {"catalogue": sha256_file(Path(discover.location(p)))}


def write(path: Path, *lines: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def look(tmp_path: Path, listed: Path) -> Outcome:
    p = discover.DiscoverParams(source="catalogue", location=str(listed))
    return run_stage(discover.run, [], str(tmp_path / "out"), p, workers=0, quiet=True)


def test_a_source_is_an_entry_in_the_table_and_its_changes_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="no source 'catalogue'; there are folder, internet_archive"):
        discover.DiscoverParams(source="catalogue")
    monkeypatch.setitem(discover.SOURCES, "catalogue", discover.Source(find, digest))
    listed = write(tmp_path / "list.jsonl", entry("a"), entry("b", license=None))
    first = look(tmp_path, listed)
    assert first.success["rows"] == {"items": 1, "rejections": 1} and look(tmp_path, listed).skipped
    write(listed, entry("a"), entry("b", license=None), entry("c"))
    again = look(tmp_path, listed)
    assert not again.skipped and again.success["rows"] == {"items": 2, "rejections": 1}
    (item, _) = pq.read_table(Path(again.output.removeprefix("file://")) / "items-00000.parquet").to_pylist()
    assert (item["audio_md5"], item["title"], item["license_family"], item["language"]) == (None, None, "pd", "en")


def test_a_source_that_cannot_tell_of_changes_is_always_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(discover.SOURCES, "catalogue", discover.Source(find))
    listed = write(tmp_path / "list.jsonl", entry("a"))
    assert not look(tmp_path, listed).skipped and not look(tmp_path, listed).skipped


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"audio_uri": None}, "no value in column audio_uri"),
        ({"caption_uri": ..., "extra": ...}, "no value in column caption_uri, extra"),
        ({"licence": "pd"}, "has no column licence"),
        ({"license_url": ..., "license_evidence": ..., "license_seen_at": ...}, "no value in column license_url, license_evide"),
        ({"license_url": "https://example.org/free"}, "column license_url: 'example.org' is not a host"),
        ({"license_family": "by"}, "columns license_. say by 1.0, license_url pd 1.0; take those of licenses.decide"),
        ({"license_family": "by-nc", "license_version": "4.0", "license_url": "https://creativecommons.org/licenses/by-nc/4.0/"},
         "license_url by-nc 4.0"),
        ({"license_evidence": ""}, "no value in column license_evidence"),
        ({"source": "folder"}, "column source is 'folder'"),
        ({"item_id": "a.mp3"}, "column item_id must be 'catalogue:a/<audio file>'"),
        ({"claimed_duration_s": float("nan")}, "column claimed_duration_s is nan: seconds, or None"),
        ({"claimed_duration_s": -5.0}, "column claimed_duration_s is -5.0"),
        ({"audio_bytes": "12"}, "column audio_bytes is '12', the table has int64"),
    ],
)  # fmt: skip
def test_a_row_that_is_none_names_the_source_and_the_column(change: dict[str, Any], message: str) -> None:
    assert checked(Item(row(entry("a"))), "catalogue").row["audio_md5"] is None
    wrong = {k: v for k, v in (row(entry("a")) | change).items() if v is not ...}
    with pytest.raises(StageError, match=message) as error:
        checked(Item(wrong), "catalogue")
    assert str(error.value).startswith("source 'catalogue', item ")
