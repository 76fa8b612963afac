"""Releases of Common Voice and corpora like it, in every form they come in, and whatever may be wrong with them."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest
from archive_server import Fault
from voice_release import (
    DATA,
    EN,
    SAMROMUR_PARAMS,
    V18,
    V61,
    clips,
    member,
    pack,
    rejected,
    release,
    rows,
    set_row,
    stage,
    voices,
)  # fmt: skip

from ingest.archive import RATIO_FROM


def test_the_data_are_the_files_that_are_listed() -> None:
    listed = dict(reversed(line.split("  ", 1)) for line in (DATA / "SHA256SUMS").read_text().splitlines())
    here = {p.relative_to(DATA).as_posix() for p in DATA.rglob("*") if p.is_file()} - {"SHA256SUMS", "SOURCES.md"}
    assert set(listed) == here
    assert all(hashlib.sha256((DATA / name).read_bytes()).hexdigest() == digest for name, digest in listed.items())


def test_a_release_keeps_what_it_says_of_its_clips(tmp_path: Path) -> None:
    made = voices(tmp_path, V18)
    found = {r["clip"]: r for r in rows(made["output"], "readings")}
    assert len(found) == 11 and made["metrics"]["readings"] == 11
    row = found["common_voice_en_40353084.mp3"]
    assert row["source_version"] == "18.0" and row["license_family"] == "cc0" and "Common Voice" in row["license_evidence"]
    assert (row["gender"], row["age"], row["accent"], row["up_votes"], row["down_votes"]) == (
        "female_feminine", "teens", "United States English", 2, 0,
    )  # fmt: skip
    assert row["audio_id"] == hashlib.sha256(row["audio"]).hexdigest()
    assert found["common_voice_en_40257271.mp3"]["text"].startswith('"Fidchell" seems')
    claimed = sum(r["claimed_duration_s"] for r in found.values())
    assert made["seconds"]["in"] == pytest.approx(claimed) and claimed > 11
    older = {r["clip"]: r for r in rows(voices(tmp_path, V61)["output"], "readings")}
    assert older["common_voice_en_23376208.mp3"]["text"] == 'These feasts were of two kinds, "public" and "private".'
    assert older["common_voice_en_22173768.mp3"]["segment"] == "Benchmark"


@pytest.mark.parametrize("list_last", [True, False])
def test_an_archive_gives_what_the_folder_gives(tmp_path: Path, list_last: bool) -> None:
    archive = pack(V18 / "en", tmp_path / "cv-corpus-18.0-delta.tar.gz", list_last=list_last)
    packed = voices(tmp_path, archive)
    folder = voices(tmp_path, V18)

    def by_clip(receipt: dict[str, Any]) -> list[dict[str, Any]]:
        return sorted(rows(receipt["output"], "readings"), key=lambda r: str(r["clip"]))

    assert by_clip(packed) == by_clip(folder)


def test_an_archive_may_have_its_lists_at_the_top(tmp_path: Path) -> None:
    archive = tmp_path / "cv-corpus-18.0-flat.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(V18 / "en", ".")
    assert voices(tmp_path, archive)["metrics"]["readings"] == voices(tmp_path, V18)["metrics"]["readings"] > 0


def test_a_release_that_holds_none_of_its_clips_is_an_error(tmp_path: Path) -> None:
    folder = release(tmp_path)
    (folder / "clips").rename(folder / "audio")
    assert "holds none of the" in voices(tmp_path, folder.parent, code=1)["stderr"]


def test_a_later_release_that_lacks_its_one_new_clip_is_counted(tmp_path: Path) -> None:
    folder = release(tmp_path)
    first = stage("prepare", tmp_path, {"text": EN}, voices(tmp_path, folder.parent)["output"])["output"]
    lines = (folder / "validated.tsv").read_text(encoding="utf-8").rstrip("\n").split("\n")
    gone = lines[1].replace(lines[1].split("\t")[1], "gone.mp3")
    (folder / "validated.tsv").write_text("\n".join([*lines, gone]) + "\n", encoding="utf-8")
    again = voices(tmp_path / "again", folder.parent, f"known={first}")
    assert rejected(again["output"])["gone.mp3"][0] == "audio_missing"


@pytest.mark.parametrize("language", ["cnh", "rm-sursilv", "zoc"])
def test_a_language_that_cldr_does_not_name_comes_in(tmp_path: Path, language: str) -> None:
    assert voices(tmp_path, V18, language=language, locale="en")["metrics"]["readings"] > 0


def test_a_rerun_is_free_and_a_changed_clip_is_not(tmp_path: Path) -> None:
    folder = release(tmp_path)
    first = voices(tmp_path, folder.parent)
    assert voices(tmp_path, folder.parent)["skipped"]
    clip = next((folder / "clips").iterdir())
    clip.write_bytes(clip.read_bytes() + b"\0")
    again = voices(tmp_path, folder.parent)
    assert not again["skipped"] and again["output"] != first["output"]


def test_shards_hold_so_many_clips(tmp_path: Path) -> None:
    made = voices(tmp_path, V61, shard_clips=5)
    assert len(made["shards"]) == 3
    assert made["rows"]["readings"] == 12
    prepared = stage("prepare", tmp_path, {"text": EN}, made["shards"][0])
    assert prepared["rows"]["sentences"] == 5


def test_a_delta_on_top_of_the_last_release_brings_only_what_is_new(tmp_path: Path) -> None:
    first = stage("prepare", tmp_path, {"text": EN}, voices(tmp_path, V61)["output"])
    both = release(tmp_path / "whole", V18)
    for clip in (V61 / "en" / "clips").iterdir():
        shutil.copy(clip, both / "clips")
    header, *old = (V61 / "en" / "validated.tsv").read_text().splitlines()
    columns = (both / "validated.tsv").read_text().split("\n")[0].split("\t")
    with open(both / "validated.tsv", "a") as file:
        for line in old:
            row = dict(zip(header.split("\t"), line.split("\t"), strict=True))
            file.write("\t".join(row.get(c, "") for c in columns) + "\n")
    new = voices(tmp_path, both.parent, f"known={first['output']}")
    assert clips(new) == {p.name for p in (V18 / "en" / "clips").iterdir()}
    assert new["metrics"]["rows_known"] == 12
    nothing = voices(tmp_path, V61, f"known={first['output']}", code=99)
    assert "nothing new" in nothing["stderr"]


def test_what_a_later_release_says_otherwise_of_known_clips_is_told_and_a_changed_speaker_is_linked(tmp_path: Path) -> None:
    before = stage("prepare", tmp_path, {"text": EN}, voices(tmp_path, V61)["output"])
    told = {r["clip"]: r for r in rows(before["output"], "sentences")}
    corrected, renamed, dropped = sorted(told)[:3]
    folder = release(tmp_path)
    set_row(folder, corrected, sentence="Another sentence.")
    set_row(folder, renamed, client_id="another id")
    lines = (folder / "validated.tsv").read_text().split("\n")
    (folder / "validated.tsv").write_text("\n".join(line for line in lines if dropped not in line))
    made = voices(tmp_path, folder.parent, f"known={before['output']}")
    assert not clips(made) and made["metrics"]["rows_known"] == 11
    old = told[renamed]
    ids = sorted(("another id", old["speaker_id"]))
    assert rows(made["output"], "speaker_links") == [
        {"speaker_id": ids[0], "other_speaker_id": ids[1], "audio_id": old["audio_id"], "clip": renamed, "other_clip": renamed}
    ]
    assert json.loads(Path(made["output"], "report.json").read_text()) == {
        "corrected": [{"clip": corrected, "sentence_id": told[corrected]["sentence_id"], "now": "Another sentence."}],
        "dropped": [{"clip": dropped, "sentence_id": told[dropped]["sentence_id"]}], "invalid": [],
        "speakers": [{"speaker_id": old["speaker_id"], "now": "another id", "clip": renamed, "one_person": True}],
    }  # fmt: skip
    assert [w.split(",")[0] for w in made["metrics"]["warnings"]] == [
        "1 clips of earlier releases have another sentence now",
        "1 clips of earlier releases are in no readable row of validated.tsv any more",
        "1 speaker ids have another id now (`speakers` in report.json): both are one person to the splits",
    ]
    delta = voices(tmp_path, V18, f"known={before['output']}")
    assert delta["metrics"]["warnings"] == [] and delta["metrics"]["known_dropped"] == 0


def test_a_corrected_sentence_alone_is_told_and_its_report_stays(tmp_path: Path) -> None:
    before = stage("prepare", tmp_path, {"text": EN}, voices(tmp_path, V61)["output"])
    folder = release(tmp_path)
    set_row(folder, min(r["clip"] for r in rows(before["output"], "sentences")), sentence="Another sentence.")
    made = voices(tmp_path, folder.parent, f"known={before['output']}")
    assert len(json.loads(Path(made["output"], "report.json").read_text())["corrected"]) == 1 and not clips(made)
    assert made["metrics"]["known_corrected"] == 1 and made["metrics"]["speaker_links"] == 0


@pytest.mark.parametrize("to", ["anonymous", "turned"])
def test_speaker_ids_that_all_changed_make_nobody_one_person(tmp_path: Path, to: str) -> None:
    before = stage("prepare", tmp_path, {"text": EN}, voices(tmp_path, V61)["output"])
    speaker_of = {r["clip"]: r["speaker_id"] for r in rows(before["output"], "sentences")}
    ids = sorted(set(speaker_of.values()))
    after = {i: "anonymous" if to == "anonymous" else ids[n - 1] for n, i in enumerate(ids)}
    folder = release(tmp_path)
    for clip, speaker in speaker_of.items():
        set_row(folder, clip, client_id=after[speaker])
    made = voices(tmp_path, folder.parent, f"known={before['output']}")
    assert not rows(made["output"], "speaker_links") and len(ids) > 3
    assert f"{len(ids)} changes of a clip's speaker id have no one person behind them" in made["metrics"]["warnings"][0]


def test_another_corpus_comes_in_through_its_columns(tmp_path: Path) -> None:
    made = stage("voices", tmp_path, SAMROMUR_PARAMS)
    found = rows(made["output"], "readings")
    assert len(found) == 4
    assert {r["license_family"] for r in found} == {"by"} and all(r["gender"] for r in found)
    assert all(r["accent"] is None for r in found)  # NAN in the list
    missing = [r for r in rejected(made["output"]).values() if r[0] == "audio_missing"]
    assert len(missing) == 1
    prepared = stage("prepare", tmp_path, {"text": {"letters": "a-záéíóúýþæðö"}}, made["output"])
    assert prepared["rows"]["sentences"] == 4
    for row in rows(prepared["output"], "sentences"):
        assert row["codec"] == "flac" and row["language"] == "is" and len(row["tokens"]) > 2


def test_columns_that_the_list_lacks_are_named(tmp_path: Path) -> None:
    wrong = {**SAMROMUR_PARAMS, "columns": {**SAMROMUR_PARAMS["columns"], "text": "sentense"}}
    assert "lacks columns ['sentense']" in stage("voices", tmp_path, wrong, code=1)["stderr"]
    none = {k: v for k, v in SAMROMUR_PARAMS.items() if k != "columns"}
    assert "needs `columns`" in stage("voices", tmp_path, none, code=1)["stderr"]


def test_a_corpus_whose_license_asks_for_credit_is_not_taken_without_one(tmp_path: Path) -> None:
    nameless = {**SAMROMUR_PARAMS, "license_evidence": ""}
    assert "license asks for credit" in stage("voices", tmp_path, nameless, code=1)["stderr"]


def test_a_corpus_without_an_open_license_is_refused(tmp_path: Path) -> None:
    wrong = {**SAMROMUR_PARAMS, "license_url": "https://creativecommons.org/licenses/by-nc/4.0/"}
    assert "license_noncommercial" in stage("voices", tmp_path, wrong, code=1)["stderr"]
    none = {**SAMROMUR_PARAMS, "license_url": ""}
    assert "license_missing" in stage("voices", tmp_path, none, code=1)["stderr"]


def test_rows_and_files_that_do_not_fit_are_counted(tmp_path: Path) -> None:
    folder = release(tmp_path)
    names = sorted(p.name for p in (folder / "clips").iterdir())
    (folder / "clips" / names[0]).unlink()
    (folder / "clips" / names[1]).write_bytes(b"")
    with open(folder / "validated.tsv", "a", encoding="utf-8") as file:
        file.write(f"someone\t{names[2]}\tSaid twice.\t2\t0\t\t\t\ten\t\n")
        file.write("someone\tonly two\n")
        file.write(f"\tcommon_voice_en_1.mp3\tNobody\u2028said it.\t2\t0\t\t\t\ten\t\n")  # noqa: F541
    set_row(folder, names[3], locale="fr")
    made = voices(tmp_path, folder.parent)
    why = {name: reason for name, (reason, _) in rejected(made["output"]).items()}
    assert why == {
        names[0]: "audio_missing",
        names[1]: "audio_empty",
        names[3]: "policy",
        "validated.tsv:14": "row_duplicate",
        "validated.tsv:15": "row_unreadable",
        "validated.tsv:16": "row_unreadable",
    }
    assert len(clips(made)) == 9


def test_a_name_that_no_file_can_have_is_a_missing_clip(tmp_path: Path) -> None:
    folder = release(tmp_path)
    names = {"n" * 300 + ".mp3", "nul\0.mp3", "x/" * 3000 + ".mp3"}
    with open(folder / "validated.tsv", "a", encoding="utf-8") as file:
        file.writelines(f"someone\t{name}\tSaid here.\t2\t0\t\t\t\ten\t\n" for name in sorted(names))
    for location in (folder.parent, pack(folder, tmp_path / "cv-corpus-6.1.tar.gz")):
        made = voices(tmp_path, location)
        assert {name: why for name, (why, _) in rejected(made["output"]).items()} == dict.fromkeys(names, "audio_missing")
        assert len(clips(made)) == 12


def test_one_speaker_under_two_ids_is_found_by_identical_audio(tmp_path: Path) -> None:
    folder = release(tmp_path)
    first, second = [r.split("\t") for r in (folder / "validated.tsv").read_text().splitlines()[1:3]]
    shutil.copy(folder / "clips" / first[1], folder / "clips" / second[1])
    made = voices(tmp_path, folder.parent)
    links = rows(made["output"], "speaker_links")
    assert [(r["speaker_id"], r["other_speaker_id"]) for r in links] == [tuple(sorted((first[0], second[0])))]
    assert rejected(made["output"])[second[1]][0] == "duplicate_audio"


def test_archive_members_that_lead_elsewhere_are_refused_and_nothing_is_written_there(tmp_path: Path) -> None:
    clip = sorted(p.name for p in (V61 / "en" / "clips").iterdir())[0]
    inside = f"{V61.name}/en/clips/{clip}"
    extra = [
        member("/etc/speechmill-absolute", b"x"),
        member("../../speechmill-up", b"x"),
        member(inside, kind=tarfile.SYMTYPE, link="/etc/passwd"),
        member(f"{V61.name}/en/clips/hard.mp3", kind=tarfile.LNKTYPE, link="/etc/passwd"),
        member(f"{V61.name}/en/clips/fifo.mp3", kind=tarfile.FIFOTYPE),
        member("C:\\windows.mp3", b"x"),
        member(f"{V61.name}/en/clips/{sorted(p.name for p in (V61 / 'en' / 'clips').iterdir())[1]}", b"\0" * (9 << 20)),
    ]
    archive = pack(V61 / "en", tmp_path / "cv-corpus-6.1.tar.gz", extra=extra)
    made = voices(tmp_path, archive)
    assert made["metrics"]["members_refused"] == 7
    assert [reason for reason, _ in rejected(made["output"]).values()] == ["archive_member"] * 5
    assert len(clips(made)) == 12  # a link and a clip of 9 MiB had the names of two, whose real members came later
    assert not Path("/etc/speechmill-absolute").exists()
    assert not [p for p in tmp_path.parent.parent.glob("**/speechmill-up")]


def test_a_bomb_is_stopped(tmp_path: Path) -> None:
    extra = [member(f"{V61.name}/en/other/zeros-{i}.mp3", b"\0" * (RATIO_FROM // 4)) for i in range(8)]
    archive = pack(V61 / "en", tmp_path / "cv-corpus-6.1.tar.gz", extra=extra)
    assert archive.stat().st_size < 2 << 20
    assert "decompression bomb" in voices(tmp_path, archive, code=1)["stderr"]


def test_a_cut_off_archive_is_an_error_that_says_so(tmp_path: Path) -> None:
    whole = pack(V61 / "en", tmp_path / "cv-corpus-6.1.tar.gz")
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert "cut off, damaged or no tar.gz" in voices(tmp_path, whole, code=1)["stderr"]
    text = tmp_path / "cv-corpus-6.2.tar.gz"
    text.write_text("<html>not found</html>")
    assert "no tar.gz" in voices(tmp_path, text, code=1)["stderr"]


@pytest.mark.parametrize("what", ["header", "checksum"])
def test_a_damaged_archive_is_no_shorter_one(tmp_path: Path, what: str) -> None:
    """tarfile takes a broken header for the archive's end, and reads no further, so gzip compares no checksum."""
    whole = pack(V61 / "en", tmp_path / "cv-corpus-6.1.tar.gz", list_last=False)
    data = bytearray(gzip.decompress(whole.read_bytes()))
    middle = data.index(b"ustar", len(data) // 2) - 257  # of a clip's header
    if what == "header":
        data[middle] ^= 1
    packed = bytearray(gzip.compress(bytes(data)))
    packed[-8] ^= what == "checksum"
    whole.write_bytes(packed)
    assert "cut off, damaged or no tar.gz" in voices(tmp_path, whole, code=1)["stderr"]


@pytest.mark.timeout(60)
def test_a_member_that_claims_terabytes_does_not_hold_the_stage_up(tmp_path: Path) -> None:
    info, data = member("cv-corpus-6.1-2020-12-11/en/clips/large.mp3", b"short")
    info.pax_headers = {"size": str(10**14)}
    archive = pack(V61 / "en", tmp_path / "cv-corpus-6.1.tar.gz", extra=[(info, data)])
    assert "larger than all that is there" in voices(tmp_path, archive, code=1)["stderr"]


def test_a_release_must_be_the_one_whose_sha256_is_given(tmp_path: Path) -> None:
    archive = pack(V61 / "en", tmp_path / "cv-corpus-6.1.tar.gz")
    assert "expected 0000" in voices(tmp_path, archive, sha256="0" * 64, code=1)["stderr"]
    assert len(clips(voices(tmp_path, archive, sha256=hashlib.sha256(archive.read_bytes()).hexdigest()))) == 12
    assert "needs its publisher's sha256" in voices(tmp_path, "https://example.org/cv-corpus-6.1.tar.gz", code=1)["stderr"]


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_a_download_goes_on_where_it_broke_off(tmp_path: Path, archive: Any) -> None:
    body = pack(V61 / "en", tmp_path / "whole.tar.gz").read_bytes()
    sha256 = hashlib.sha256(body).hexdigest()
    archive.add("cv", content={"cv-corpus-6.1-2020-12-11.tar.gz": body})
    url, cache = f"{archive.url}/download/cv/cv-corpus-6.1-2020-12-11.tar.gz", tmp_path / "cache"
    archive.faults.append(Fault("cv-corpus", "drop", 0.5))
    made = voices(tmp_path, url, sha256=sha256, cache=str(cache))
    assert len(clips(made)) == 12
    ranges = [headers.get("Range") for path, _, headers in archive.requests if headers.get("Range")]
    assert ranges and int(ranges[0].removeprefix("bytes=").rstrip("-")) >= 1 << 16
    wrong = voices(tmp_path, url, sha256="1" * 64, cache=str(cache), code=1)
    assert "not the release that was asked for" in wrong["stderr"]


def test_a_locale_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    assert "found none" in voices(tmp_path, V61, language="sv-SE", code=1)["stderr"]
    archive = pack(V61 / "en", tmp_path / "cv-corpus-6.1.tar.gz")
    assert "no validated.tsv for the locale sv-SE" in voices(tmp_path, archive, language="sv-SE", code=1)["stderr"]
    assert "no language" in voices(tmp_path, V61, language="klingonese", code=1)["stderr"]
    assert "names no version" in voices(tmp_path, release(tmp_path / "x").parent.rename(tmp_path / "y"), code=1)["stderr"]
