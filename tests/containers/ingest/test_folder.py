"""Every audio file of a folder, every line about one and every caption without one comes out once: as an item or with its
reason."""

from __future__ import annotations

import json
import os
import shutil
import wave
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np
import pytest

from ingest.sources import Found, Item, Rejection
from ingest.sources.folder import SOURCE, digest, discover
from stagekit.errors import StageError
from stagekit.storage import resolve, sha256_file
from stagekit.tables import TABLES, Reason

BY = "https://creativecommons.org/licenses/by/4.0/"
SRT = "1\n00:00:00,000 --> 00:00:01,000\nHello there.\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    root.mkdir()
    return root


def tone(path: Path, seconds: float = 1.5, hz: float = 300) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes((8000 * np.sin(2 * np.pi * hz * np.arange(int(seconds * 8000)) / 8000)).astype("<i2").tobytes())


def describe(folder: Path, *rows: dict[str, Any] | str) -> None:
    lines = [r if isinstance(r, str) else json.dumps({"license_url": BY, **r}) for r in rows]
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def look(folder: Path, **kwargs: Any) -> dict[str, Found]:
    found = list(discover(str(folder), kwargs.pop("language", "en"), **kwargs))
    assert len({f.item_id for f in found}) == len(found)
    return {f.item_id: f for f in found}


def reasons(found: dict[str, Found]) -> dict[str, str]:
    return {i: str(f.reason) if isinstance(f, Rejection) else "item" for i, f in found.items()}


def test_an_item_has_every_column_and_keeps_what_else_was_said(folder: Path) -> None:
    tone(folder / "talk.wav")
    (folder / "talk.srt").write_text(SRT)
    describe(
        folder,
        {
            "file": "talk.wav",
            "id": 7,
            "title": "A talk",
            "creator": ["Ann", "Bob"],
            "source_url": "https://e.org/7",
            "speaker": "x",
        },
    )
    item = look(folder)["folder:7/talk.wav"]
    assert isinstance(item, Item)
    row = dict(item.row)
    assert set(row) == set(TABLES["items"].names)
    assert row.pop("license_seen_at")[:2] == "20"
    assert row.pop("audio_uri") == (folder / "talk.wav").as_uri() and row.pop("caption_uri") == (folder / "talk.srt").as_uri()
    assert len(row.pop("audio_md5")) == 32
    assert row == {
        "item_id": "folder:7/talk.wav", "source": "folder", "identifier": "7", "url": "https://e.org/7", "title": "A talk",
        "creator": "Ann; Bob", "language": "en", "license_family": "by", "license_version": "4.0", "license_jurisdiction": None,
        "license_url": BY, "license_evidence": f"metadata.jsonl line 1 license_url: {BY}", "audio_bytes": 24044,
        "caption_kind": "srt",
        "claimed_duration_s": 1.5, "added_at": None, "extra": '{"speaker": "x"}', "recording_id": None, "document_id": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("captions", "chosen"),
    [
        (["talk.srt"], "talk.srt"),
        (["talk.en.srt"], "talk.en.srt"),
        (["talk.eng.vtt", "talk.fr.srt"], "talk.eng.vtt"),
        (["talk.txt", "talk.vtt", "talk.srt"], "talk.srt"),
        (["talk.asr.srt", "talk.txt"], "talk.txt"),
        (["talk.asr.srt"], "talk.asr.srt"),
        (["talk.en.auto.vtt", "talk.en.vtt"], "talk.en.vtt"),
        (["talk.SRT"], "talk.SRT"),
        (["talk.en-GB.txt"], "talk.en-GB.txt"),
        (["talk.fr.srt"], None),
        (["talks.srt"], None),
        (["talk.notes.srt"], None),
        (["other.srt"], None),
        ([], None),
    ],
)
def test_which_caption_goes_with_the_audio(folder: Path, captions: list[str], chosen: str | None) -> None:
    tone(folder / "talk.wav")
    for name in captions:
        (folder / name).write_text(SRT)
    describe(folder, {"file": "talk.wav", "id": "t"})
    found = look(folder)["folder:t/talk.wav"]
    if chosen is None:
        assert isinstance(found, Rejection) and found.reason == Reason.NO_CAPTION and found.seconds == 1.5
    else:
        assert isinstance(found, Item) and found.row["caption_uri"].endswith(chosen)
        assert found.row["caption_kind"] == chosen[-3:].lower()


def test_a_dotted_name_is_not_a_suffix_of_a_shorter_one(folder: Path) -> None:
    for name in ("talk.wav", "talk.en.wav"):
        tone(folder / name)
    (folder / "talk.en.srt").write_text(SRT)
    describe(folder, {"file": "talk.wav", "id": "a"}, {"file": "talk.en.wav", "id": "b"})
    assert reasons(look(folder)) == {"folder:a/talk.wav": "no_caption", "folder:b/talk.en.wav": "item"}


def test_what_is_wrong_with_one_recording_stops_only_that_one(folder: Path) -> None:
    for name in "abcdefghijk":
        tone(folder / f"{name}.wav", hz=200 + ord(name))
        (folder / f"{name}.txt").write_text("Hello.")
    describe(
        folder,
        {"file": "a.wav", "id": "a"},
        '{"file": "b.wav", "id": "b", "title": ',
        {"file": "c.wav", "id": "a"},
        {"file": "d.wav", "id": "d", "title": {"en": "x"}},
        {"file": "e.wav", "id": "e", "language": "Klingonese"},
        {"file": "f.wav", "id": "f", "language": "fr"},
        {"file": "g.wav", "id": "g", "license_url": "https://creativecommons.org/licenses/by-nc/4.0/"},
        {"file": "h.wav", "id": "h", "license_url": None},
        {"file": "i.wav", "id": "i"},
        {"file": "i.wav", "id": "i2", "license_url": "https://creativecommons.org/licenses/by-nd/4.0/"},
        {"file": "j.wav", "id": "j", "rights": "All rights reserved"},
        "[1, 2]",
        "nonsense",
        {"id": "nofile"},
        {"file": "../escape.wav", "id": "out"},
        {"file": "gone.wav", "id": "gone"},
    )
    (folder / "orphan.srt").write_text(SRT)
    (folder / "README.txt").write_text("About.")
    found = look(folder)
    assert reasons(found) == {
        "folder:a/a.wav": "item",
        "folder:b/b.wav": "item_unreadable",
        "folder:c.wav": "item_unreadable",
        "folder:d/d.wav": "item_unreadable",
        "folder:e/e.wav": "item_unreadable",
        "folder:f/f.wav": "text_wrong_language",
        "folder:g/g.wav": "license_noncommercial",
        "folder:h/h.wav": "license_missing",
        "folder:i/i.wav": "license_conflict",
        "folder:j/j.wav": "license_conflict",
        "folder:k/k.wav": "license_missing",
        "folder:metadata.jsonl line 10": "item_unreadable",
        "folder:metadata.jsonl line 12": "item_unreadable",
        "folder:metadata.jsonl line 13": "item_unreadable",
        "folder:metadata.jsonl line 14": "item_unreadable",
        "folder:metadata.jsonl line 15": "item_unreadable",
        "folder:gone/gone.wav": "no_audio",
        "folder:orphan.srt": "no_audio",
    }
    details = {i: f.detail for i, f in found.items() if isinstance(f, Rejection)}
    assert "line 2" in details["folder:b/b.wav"] and "not JSON" in details["folder:b/b.wav"]
    assert "already that of a.wav" in details["folder:c.wav"]
    assert "no line of metadata.jsonl describes k.wav" in details["folder:k/k.wav"]
    assert all(f.seconds == 1.5 for i, f in found.items() if i.endswith(".wav") and "gone" not in i)


def test_a_line_nested_beyond_measure_is_one_rejection(folder: Path) -> None:
    tone(folder / "talk.wav")
    (folder / "talk.srt").write_text(SRT)
    (folder / "metadata.jsonl").write_text('{"file": "talk.wav", "more": ' + "[" * 100_000 + "]" * 100_000 + "}\n")
    assert reasons(look(folder)) == {"folder:talk/talk.wav": "item_unreadable"}


def test_a_folder_without_metadata_has_no_license(folder: Path) -> None:
    tone(folder / "talk.wav")
    (folder / "talk.srt").write_text(SRT)
    assert reasons(look(folder)) == {"folder:talk/talk.wav": "license_missing"}


def test_subfolders_each_with_its_own_metadata(folder: Path) -> None:
    for place in ("one", "two"):
        tone(folder / place / "talk.wav", hz=len(place) * 100 + ord(place[0]))
        (folder / place / "talk.srt").write_text(SRT)
        describe(folder / place, {"file": "talk.wav"})
    assert reasons(look(folder)) == {"folder:one/talk/talk.wav": "item", "folder:two/talk/talk.wav": "item"}


def test_odd_names_survive(folder: Path) -> None:
    name = "a #1 100% ünï?.wav"
    tone(folder / name)
    (folder / name.replace(".wav", ".srt")).write_text(SRT)
    describe(folder, {"file": name, "id": "odd"})
    item = look(folder)[f"folder:odd/{name}"]
    assert isinstance(item, Item) and item.row["claimed_duration_s"] == 1.5


@pytest.mark.parametrize(
    ("name", "other"),
    [("talk%20one.wav", "talk one.wav"), ("two\nlines.wav", "twolines.wav"), ("a%2F..%2F..%2Fout.wav", "../out.wav")],
)
def test_a_name_is_read_as_it_is_written(folder: Path, name: str, other: str) -> None:
    for each, seconds in ((name, 1.5), (other, 3.0)):
        tone(folder / each, seconds)
        (folder / each).with_suffix(".txt").write_text(each)
    describe(folder, {"file": name, "id": "odd"})
    found = look(folder)[f"folder:odd/{name}"]
    assert isinstance(found, Item) and found.row["claimed_duration_s"] == 1.5
    assert Path(resolve(found.row["caption_uri"])[1]).read_text() == name
    assert digest(folder.as_uri())[name] == sha256_file(folder / name)


def test_names_that_macos_took_apart_are_found(folder: Path) -> None:
    apart, whole = (normalize(form, "café.wav") for form in ("NFD", "NFC"))
    for name in (apart, whole, normalize("NFD", "thé.wav")):
        tone(folder / name)
    describe(folder, {"file": whole, "id": "whole"}, {"file": apart, "id": "apart"}, {"file": "thé.wav", "id": "thé"})
    expected = {f"folder:whole/{whole}", f"folder:apart/{apart}", f"folder:thé/{normalize('NFD', 'thé.wav')}"}
    assert set(reasons(look(folder)).items()) == {(item_id, "no_caption") for item_id in expected}


def test_captions_of_names_that_macos_took_apart_are_found(folder: Path) -> None:
    apart, whole = (normalize(form, "café") for form in ("NFD", "NFC"))
    names = apart, whole, normalize("NFD", "thé")
    for name in names:
        tone(folder / f"{name}.wav")
    describe(folder, *({"file": f"{name}.wav", "id": str(n)} for n, name in enumerate(names)))
    for name in (f"{apart}.en.srt", f"{whole}.en.srt", "thé.en.srt", "thé.de.srt"):
        (folder / name).write_text(SRT)
    found = look(folder)
    captions = {i[7]: Path(resolve(f.row["caption_uri"])[1]).name for i, f in found.items() if isinstance(f, Item)}
    assert captions == {"0": f"{apart}.en.srt", "1": f"{whole}.en.srt", "2": "thé.en.srt"}
    assert all(f.row["language"] == "en" for f in found.values() if isinstance(f, Item))


@pytest.mark.parametrize("name", ["book.m4b", "talk.AAC", "x.aiff", "film.mkv", "film.mov", "old.oga"])
def test_what_the_internet_archive_source_takes_is_taken_here_too(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"audio")
    assert reasons(look(folder)) == {f"folder:{Path(name).stem}/{name}": "license_missing"}
    (folder / name).with_suffix(".txt").write_text("Hello.")
    describe(folder, {"file": name, "id": "a"})
    assert reasons(look(folder)) == {f"folder:a/{name}": "item"}


def test_a_described_file_of_another_kind_is_not_called_missing(folder: Path) -> None:
    (folder / "book.ape").write_bytes(b"audio")
    describe(folder, {"file": "book.ape"})
    (found,) = look(folder).values()
    assert isinstance(found, Rejection) and found.reason == Reason.NO_AUDIO
    assert "book.ape is of no kind that is read (" in found.detail and ".m4b" in found.detail


def test_equal_ids_are_told_apart_whatever_else_is_wrong(folder: Path) -> None:
    for place in ("cd1", "cd2", "cd3"):
        tone(folder / place / "01.wav")
        (folder / place / "01.txt").write_text("Hello.")
    describe(
        folder,
        {"file": "cd1/01.wav", "id": "book"},
        {"file": "cd2/01.wav", "id": "book", "language": ""},
        {"file": "cd3/01.wav", "id": "cd2"},
        {"file": "cd4/01.wav", "id": "book"},
    )
    found = look(folder)
    assert reasons(found) == {
        "folder:book/01.wav": "item",
        "folder:cd2/01.wav": "item_unreadable",
        "folder:cd3/01.wav": "item_unreadable",
        "folder:cd4/01.wav": "no_audio",
    }
    faulty = found["folder:cd2/01.wav"]
    assert isinstance(faulty, Rejection) and "language" in faulty.detail


def test_a_restriction_in_a_second_line_counts(folder: Path) -> None:
    tone(folder / "a.wav")
    (folder / "a.txt").write_text("Hello.")
    describe(folder, {"file": "a.wav"}, {"file": "a.wav", "rights": "Non-commercial use only"})
    found = look(folder)
    assert reasons(found) == {"folder:a/a.wav": "license_conflict", "folder:metadata.jsonl line 2": "item_unreadable"}
    assert "line 1 and 2 rights" in found["folder:a/a.wav"].detail  # type: ignore[union-attr]
    describe(folder, {"file": "a.wav", "rights": "As the license says."}, {"file": "a.wav", "rights": "Not for sale"})
    assert reasons(look(folder))["folder:a/a.wav"] == "license_conflict"


def test_what_cannot_be_read_stops_nothing_else(folder: Path) -> None:
    for name in ("good", "half"):
        tone(folder / f"{name}.wav")
        (folder / f"{name}.txt").write_text("Hello.")
    (folder / "link.wav").symlink_to(folder / "gone.wav")
    (folder / "linked").symlink_to(folder / "nowhere")
    Path(os.fsdecode(bytes(folder) + b"/caf\xe9.wav")).write_bytes(b"audio")
    describe(
        folder,
        {"file": "good.wav", "id": "good"},
        {"file": "link.wav", "id": "link"},
        '{"file": "half.wav", "id": "half", "title": "The boat \\ud83d"}',
        '{"file": "half \\ud83d.wav"}',
    )
    found = look(folder)
    assert reasons(found) == {
        "folder:good/good.wav": "item",
        "folder:half/half.wav": "item_unreadable",
        "folder:link/link.wav": "item_unreadable",
        "folder:linked": "item_unreadable",
        "folder:caf\\xe9.wav": "item_unreadable",
        "folder:metadata.jsonl line 4": "item_unreadable",
    }
    for one in found.values():
        f"{one}".encode()
    assert set(digest(str(folder))) == {
        "good.wav", "good.txt", "half.wav", "half.txt", "metadata.jsonl", "link.wav", "linked", "caf\\xe9.wav",
    }  # fmt: skip


def test_links_to_folders_are_followed(folder: Path, tmp_path: Path) -> None:
    tone(tmp_path / "disc" / "talk.wav")
    (tmp_path / "disc" / "talk.txt").write_text("Hello.")
    (folder / "disc1").symlink_to(tmp_path / "disc")
    (tmp_path / "disc" / "up").symlink_to(folder)
    describe(folder, {"file": "disc1/talk.wav", "id": "talk"})
    assert reasons(look(folder)) == {"folder:talk/talk.wav": "item"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_metadata_in_the_encodings_that_say_what_they_are(folder: Path, encoding: str) -> None:
    tone(folder / "a.wav")
    (folder / "a.txt").write_text("Hello.")
    line = json.dumps({"file": "a.wav", "license_url": BY, "creator": "José\u2028Muñoz"}, ensure_ascii=False)
    (folder / "metadata.jsonl").write_bytes(f"{line}\r\n".encode(encoding))
    item = look(folder)["folder:a/a.wav"]
    assert isinstance(item, Item) and item.row["creator"] == "José\u2028Muñoz"


def test_a_line_that_is_not_utf_8_is_refused_and_the_next_is_read(folder: Path) -> None:
    for name in ("a", "b"):
        tone(folder / f"{name}.wav")
        (folder / f"{name}.txt").write_text("Hello.")
    lines = [
        json.dumps({"file": f, "license_url": BY, "creator": "José"}, ensure_ascii=False) for f in ("a.wav", "é.wav", "b.wav")
    ]
    data = [lines[0].encode("latin-1"), lines[1].encode("latin-1"), lines[2].encode()]
    (folder / "metadata.jsonl").write_bytes(b"\n".join(data))
    found = look(folder)
    assert reasons(found) == {
        "folder:a/a.wav": "item_unreadable",
        "folder:b/b.wav": "item",
        "folder:metadata.jsonl line 2": "item_unreadable",
    }
    assert all("not UTF-8" in f.detail for f in found.values() if isinstance(f, Rejection))
    (folder / "metadata.jsonl").write_bytes(lines[2].encode("utf-16")[:-1])
    found = look(folder)
    assert reasons(found)["folder:metadata.jsonl"] == "item_unreadable"
    assert reasons(found)["folder:b/b.wav"] == "license_missing"


def test_unreadable_audio_is_an_item_for_fetch_to_judge(folder: Path) -> None:
    (folder / "bad.mp3").write_bytes(b"no audio at all")
    (folder / "bad.srt").write_text(SRT)
    describe(folder, {"file": "bad.mp3", "id": "bad"})
    item = look(folder)["folder:bad/bad.mp3"]
    assert isinstance(item, Item) and item.row["claimed_duration_s"] is None and item.seconds == 0.0


def test_known_items_and_repeated_rejections_are_left_out(folder: Path) -> None:
    for name in "abc":
        tone(folder / f"{name}.wav", hz=200 + ord(name))
    (folder / "a.srt").write_text(SRT)
    (folder / "b.srt").write_text(SRT)
    describe(folder, *({"file": f"{n}.wav", "id": n} for n in "abc"))
    known = {"folder:a/a.wav": "", "folder:b/b.wav": "no_caption", "folder:c/c.wav": "no_caption"}
    assert reasons(look(folder, known=known)) == {"folder:b/b.wav": "item"}  # its caption came late


def test_limit_takes_the_first_files(folder: Path) -> None:
    for name in "abc":
        tone(folder / f"{name}.wav")
    assert list(look(folder, limit=2)) == ["folder:a/a.wav", "folder:b/b.wav"]


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="no such folder"):
        list(discover(str(tmp_path / "nope"), "en"))


def test_the_digest_changes_with_any_file(folder: Path) -> None:
    tone(folder / "a.wav")
    before = digest(str(folder))
    assert set(before) == {"a.wav"} and digest(folder.as_uri()) == before
    shutil.copy(folder / "a.wav", folder / "b.wav")
    assert digest(str(folder)) != before
    assert SOURCE == "folder"
