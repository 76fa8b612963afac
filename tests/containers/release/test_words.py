"""A release of spoken words: its rows and files, what a later month, a policy and a withdrawal change, names of folders."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import subprocess
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow.parquet as pq
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from release_corpus import REPOSITORY, Warehouse
from words_corpus import Words, corpus, packed

from release.words.names import folder_names, safe, stems
from release.words.speech_commands import paths


def test_every_pick_is_a_row_with_both_kinds_of_audio(first: dict[str, Any]) -> None:
    rows = packed(first["folder"])
    spoken = Counter(r["word"] for r in rows.values())
    # 30 sentences, six of each text; what is said twice in a sentence gives two clips (of k occurrences the original made k²).
    wanted = {"go": 36, "con": 24, "either/or": 12, "polish": 12, "Polish": 6, "straße": 12, "nul.txt": 6, "extraordinarily": 6}
    assert spoken == wanted
    for row in rows.values():
        low, rate = soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="int16")
        assert (len(low), rate) == (16_000, 16_000)
        high, rate = soundfile.read(io.BytesIO(row["opus"]["bytes"]))
        assert (len(high), rate) == (48_000, 48_000)
        assert (row["whole_audio"] is not None) == row["long_word"] == (row["word"] == "extraordinarily")
    about = json.loads((first["folder"] / "release.json").read_text())
    assert about["totals"]["clips"] == len(rows) == about["totals"]["clips_s"]
    assert about["totals"]["speech_s"] == pytest.approx(0.4 * (len(rows) - 6) + 1.2 * 6, abs=1e-6)


def test_datasets_opens_it(first: dict[str, Any], tmp_path: Path) -> None:
    python = REPOSITORY / ".venvs/hf/bin/python"
    assert python.exists(), "no .venvs/hf: make setup"
    script = """
import json, sys, datasets, pyarrow.parquet as pq
from pathlib import Path
out = {}
for split, clips in datasets.load_dataset(sys.argv[1], "words-by").items():
    assert clips.features["audio"] == datasets.Audio(sampling_rate=16000)
    assert clips.features["opus"] == datasets.Audio(sampling_rate=48000)
    mine = json.loads(pq.read_schema(sorted(Path(sys.argv[1]).glob("data/*/*.parquet"))[0]).metadata[b"huggingface"])
    assert mine == json.loads(clips.features.arrow_schema.metadata[b"huggingface"])
    out[split] = len(clips)
print(json.dumps(out))
"""
    env = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "PYTHONPATH": ""}
    done = subprocess.run([python, "-c", script, str(first["folder"])], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    parts = json.loads((first["folder"] / "release.json").read_text())["totals"]["parts"]
    assert json.loads(done.stdout.splitlines()[-1]) == {s: p["clips"] for s, p in parts.items() if p["clips"]}


def test_releases_of_two_languages_are_opened_as_what_they_are(first: dict[str, Any], tmp_path: Path) -> None:
    """``datasets`` keeps what it read by folder name and configs, which two languages' releases of a month share."""
    script = """
import sys, datasets
for folder in sys.argv[1:]:
    print(len(datasets.load_dataset(folder, "words-by", split="train")))
"""
    world = Words(Warehouse(tmp_path / "other"))
    world.month("2026.01", corpus(50, 60))
    folders = [first["folder"], world.release("2026.01")["folder"]]
    env = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "PYTHONPATH": ""}
    python = REPOSITORY / ".venvs/hf/bin/python"
    done = subprocess.run([python, "-c", script, *folders], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    trained = [json.loads((f / "release.json").read_text())["totals"]["parts"]["train"]["clips"] for f in folders]
    assert list(map(int, done.stdout.split())) == trained and trained[0] != trained[1]


def test_the_checksums_are_of_every_file_and_the_card_says_both_kinds_of_hours(first: dict[str, Any]) -> None:
    folder = first["folder"]
    sums = dict(line.split("  ")[::-1] for line in (folder / "checksums.sha256").read_text().splitlines())
    files = {f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file()}
    assert files - set(sums) == {"checksums.sha256", "release.json"} and set(sums) <= files
    for name, sha256 in sums.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == sha256, name
    card = (folder / "README.md").read_text()
    shown = re.findall(r"\(figures/(\w+\.png)\)", card)
    assert shown == ["length.png", "clips.png", "gender.png"]
    assert all((folder / "figures" / file).stat().st_size > 3000 for file in shown)
    assert "Policy `none` 1: no bounds. It kept 0 clips out, and 0 are taken down" in card
    assert "In 6 clips the word lasts over a second" in card, "six clips of one keyword"
    assert "| words.align" in card and "| ingest.prepare" in card, "what the harvest left out is part of all input"
    assert "stated at: read there" in card and "converted to FLAC and Opus" in card, "the credit, and that clips are changed"
    for text in ("speech, time", "clips, time", "male_masculine", "Resource tier:\nlow", "CC0" if "CC0" in card else "cc0"):
        assert text in card, text
    assert not re.search(r"\{[a-z_:,]+\}", card.split("## Columns")[0].replace("{bytes, path}", "")), "a field was not filled in"
    for file in (folder / "release.json", folder / "ledger.json", folder / "README.md"):
        assert str(folder.parents[3]) not in file.read_text(), "nothing names this machine"


def test_publishing_again_makes_the_same_and_a_later_month_packs_only_what_is_new(world: Words, first: dict[str, Any]) -> None:
    before = {f: f.stat().st_mtime_ns for f in first["folder"].rglob("*")}
    again = world.release("2026.01")
    assert again["publish"].skipped and {f: f.stat().st_mtime_ns for f in first["folder"].rglob("*")} == before
    world.month("2026.02", corpus(100, 110, speakers=5))
    later = world.release("2026.02", "2026.01")
    old, new = packed(first["folder"]), packed(later["folder"])
    assert set(old) < set(new) and {k: new[k] for k in old} == old, "what was released stays as it is, in the split it was in"
    counts = later["package"].success["metrics"]
    assert counts["shards_kept"] == len(list((first["folder"] / "data").rglob("*.parquet"))) and counts["shards_rewritten"] == 0
    for kind in ("data", "mswc/audio", "speech_commands"):
        kept = {f.name: f.stat().st_ino for f in (first["folder"] / kind).rglob("*-train-*" if kind == "mswc/audio" else "*-0*")}
        assert kept and kept.items() <= {f.name: f.stat().st_ino for f in (later["folder"] / kind).rglob("*")}.items()
    world.month("2026.03", [])
    nothing = world.release("2026.03", "2026.02")
    assert not nothing["folder"].exists() and "very clips of 2026.02" in nothing["publish"].success["metrics"]["why"]
    latest = json.loads((first["folder"].parent / "latest.json").read_text())
    assert latest["version"] == "2026.02"


def test_a_policy_keeps_clips_out_and_the_card_says_so(tmp_path: Path) -> None:
    world = Words(Warehouse(tmp_path / "warehouse"))
    world.month("2026.01", corpus(0, 20))
    open_ = packed(world.release("2026.01")["folder"])
    bound = sorted(r["outlier"] for r in open_.values())[-5]
    policy = {"name": "strict", "version": 2, "require": {"outlier": {"max": bound}}}
    folder = world.release("2026.01.1", "2026.01", policy=policy)["folder"]
    rows = packed(folder)
    assert len(open_) - len(rows) >= 5 and all(r["outlier"] < bound for r in rows.values())
    assert min(Counter(r["word"] for r in rows.values()).values()) >= 2, "no keyword is under its minimum"
    card = (folder / "README.md").read_text()
    assert f"Policy `strict` 2: `outlier` under {bound:g}. It kept 5 clips out" in card
    table = pq.read_table(folder / "tables/clip_scores-00000.parquet").to_pylist()
    assert {r["clip_id"] for r in table} == set(open_), "those kept out have their scores there too"
    about = json.loads((folder / "release.json").read_text())
    assert about["policy"]["name"] == "strict" and "max: " in (folder / "policy.yaml").read_text()


def test_who_withdraws_is_in_nothing_of_the_next_release_and_the_card_says_how_many_clips_went(tmp_path: Path) -> None:
    world = Words(Warehouse(tmp_path / "warehouse"))
    world.month("2026.01", corpus(0, 20))
    before = packed(world.release("2026.01")["folder"])
    gone = {clip_id for clip_id, r in before.items() if r["speaker_id"] == "speaker-1"}
    world.month("2026.02", corpus(100, 110))
    policy = {"name": "p", "version": 2, "takedowns": ["speaker-1"]}
    folder = world.release("2026.02", "2026.01", policy=policy)["folder"]
    rows = packed(folder)
    assert gone and set(before) - gone < set(rows) and not {r["speaker_id"] for r in rows.values()} & {"speaker-1"}
    card = (folder / "README.md").read_text()
    more, fewer = len(set(rows) - set(before)), len(set(before) - set(rows))
    assert f"Follows release 2026.01: {more} clips more, {fewer} fewer, 0 with other columns." in card
    assert "it is drawn anew for each release" in card, "unlike the splits of speakers:"
    assert all(rows[c]["split"] == before[c]["split"] and rows[c]["audio"] == before[c]["audio"] for c in set(before) - gone)
    taken = [r for r in pq.read_table(folder / "tables/rejections-00000.parquet").to_pylist() if r["reason"] == "takedown"]
    assert gone < {r["id"] for r in taken}
    assert f"kept 0 clips out, and {len(taken)} are taken down" in card


def test_a_month_that_changes_no_shard_cuts_and_encodes_nothing(tmp_path: Path) -> None:
    """A month without a sentence: nothing is cut. One whose clip makes no new keyword: the old shards and archives stay."""
    world = Words(Warehouse(tmp_path / "warehouse"))
    world.month("2026.01", corpus(0, 10))
    first = world.release("2026.01")
    clips = tmp_path / "warehouse/work/spoken_words/en/clips/cut"
    before = {f: f.stat().st_mtime_ns for f in clips.rglob("*")}
    world.month("2026.02", [])
    world.skipped.clear()
    world.release("2026.02", "2026.01")
    assert world.skipped == [("select", False), ("cut", True), ("cut", True), ("outliers", True)]
    assert {f: f.stat().st_mtime_ns for f in clips.rglob("*")} == before, "not a byte was cut again"
    world.month("2026.03", corpus(100, 102))
    world.skipped.clear()
    later = world.release("2026.03", "2026.01")
    assert world.skipped.count(("cut", True)) == 2
    made = later["publish"].success["metrics"]
    old, new = (len(list((r["folder"] / "data").rglob("*.parquet"))) for r in (first, later))
    assert made["parts_kept"] == 2 * old and made["parts_made"] == 2 * (new - old)
    written = sum(f.stat().st_size for f in (tmp_path / "warehouse/shards").rglob("*.tar.gz"))
    assert made["part_bytes_written"] == written - first["publish"].success["metrics"]["part_bytes_written"]


def test_a_shard_that_gets_more_picks_copies_what_was_cut_and_the_bytes_are_the_same(tmp_path: Path) -> None:
    """A new sentence makes words frequent that an old shard has too: only these are decoded and encoded there."""
    world = Words(Warehouse(tmp_path / "warehouse"))
    world.month("2026.01", corpus(0, 10))
    first = world.release("2026.01", min_clips=3)
    world.month("2026.02", corpus(100, 105))
    later = world.release("2026.02", "2026.01", min_clips=3)
    old = {r["clip_id"]: r["word"] for r in packed(first["folder"]).values()}
    made = [json.loads((Path(uri.removeprefix("file://")) / "_SUCCESS.json").read_text()) for uri in later["cut"]]
    copied = [m["metrics"]["copied"] for m in made]
    assert len(packed(later["folder"])) > len(old) + sum(copied[2:]) and sum(copied) == len(old)
    for n, audio in enumerate(later["collect"].success["metrics"]["audio"]):
        plain = world.keywords("cut", "elsewhere", [audio, f"{later['select']}#{n:05d}"])
        sums = json.loads((Path(plain.removeprefix("file://")) / "_SUCCESS.json").read_text())["files"]
        assert sums == made[n]["files"]


def test_defect_01_words_are_those_of_the_release_that_brought_the_sentence(tmp_path: Path) -> None:
    """The original cut version 7 by alignments of versions 3 and 4: here a clip names its version, and its words are of it."""
    world = Words(Warehouse(tmp_path / "warehouse"))
    made = {"6.1": corpus(0, 6), "18.0": corpus(4, 12)}
    for n, (version, sentences) in enumerate(made.items(), 1):
        for row, _, words in sentences:
            row["source_version"] = version
            for word in words:
                word["score"] = float(n)  # tells whose alignment it is
        world.month(f"2026.0{n}", sentences)
    rows = packed(world.release("2026.02", min_clips=1)["folder"]).values()
    assert Counter((r["source_version"], r["score"], r["batch"]) for r in rows) == {
        ("6.1", 1.0, "2026.01"): sum(len(w) for _, _, w in made["6.1"]),
        ("18.0", 2.0, "2026.02"): sum(len(w) for _, _, w in made["18.0"][2:]),
    }


def test_defect_12_no_script_and_a_word_is_found_without_reading_the_rest(first: dict[str, Any]) -> None:
    """The original's loader ran code and made readers scan; ``datasets`` opens this, and row groups say which words they hold."""
    assert not [f for f in first["folder"].rglob("*") if f.suffix in (".py", ".sh", ".exe")]
    for file in (first["folder"] / "data").rglob("*.parquet"):
        meta = pq.ParquetFile(file).metadata
        column = meta.schema.names.index("word") if "word" in meta.schema.names else -1
        place = next(n for n in range(meta.num_columns) if meta.row_group(0).column(n).path_in_schema == "word")
        assert column >= 0 and all(meta.row_group(g).column(place).statistics.has_min_max for g in range(meta.num_row_groups))


def test_defect_13_keywords_and_splits_are_kept_with_their_hashes(first: dict[str, Any]) -> None:
    """The paper's keyword list and splits were never archived."""
    folder = first["folder"]
    sums = dict(line.split("  ")[::-1] for line in (folder / "checksums.sha256").read_text().splitlines())
    about = json.loads((folder / "release.json").read_text())
    assert hashlib.sha256((folder / "checksums.sha256").read_bytes()).hexdigest() == about["checksums_sha256"]
    names = ("tables/keywords-00000.parquet", "tables/assignments-00000.parquet", "policy.yaml", "mswc/splits/en.tar.gz")
    assert all(sums[name] == hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names)
    keywords = {r["word"]: r["clips"] for r in pq.read_table(folder / names[0]).to_pylist()}
    assert keywords == Counter(r["word"] for r in packed(folder).values())
    given = {s["stage"]: s["params"] for s in about["stages"]}
    assert given["keywords.select"]["min_clips"] == 2 and given["release.split_speakers"]["salt"] == "spoken_words"


def test_defect_15_files_are_small_and_each_can_be_checked(tmp_path: Path) -> None:
    """The original was one archive of 132 GB: whoever lost the connection began again."""
    world = Words(Warehouse(tmp_path / "warehouse"))
    world.month("2026.01", corpus(0, 20))
    folder = world.release("2026.01", shard_bytes=1 << 19)["folder"]
    files = list((folder / "data").rglob("*.parquet")) + list((folder / "mswc/audio").iterdir())
    sums = (folder / "checksums.sha256").read_text()
    assert len(files) >= 8 and all(f.stat().st_size < 2 * (1 << 19) for f in files)
    assert all(f"  {f.relative_to(folder).as_posix()}\n" in sums for f in files)


def test_a_sentence_in_two_batches_is_taken_from_the_first(tmp_path: Path) -> None:
    world = Words(Warehouse(tmp_path / "warehouse"))
    world.month("2026.01", corpus(0, 6))
    world.month("2026.02", corpus(4, 10))
    got = world.release("2026.02", min_clips=1)
    assert got["collect"].success["metrics"]["repeated"] == 2
    assert Counter(r["batch"] for r in packed(got["folder"]).values())["2026.02"] == sum(len(w) for _, _, w in corpus(6, 10))
    account = got["collect"].success["ledger"]
    assert account["in"]["units"] == 12 and account["rejected"]["duplicate_audio"]["units"] == 2


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12), min_size=1, max_size=20))
def test_folders_are_safe_everywhere_apart_everywhere_and_give_the_word_back(words: list[str]) -> None:
    names = folder_names(words)
    assert {unquote(n) for n in names.values()} == set(words) and all(unquote(n) == w for w, n in names.items())
    alike = {unicodedata.normalize("NFC", unicodedata.normalize("NFD", n).casefold()) for n in names.values()}
    assert len(alike) == len(names), "two are one on some file system"
    for name in names.values():
        assert not re.search(r'[<>:"/\\|?*\x00-\x1f]', name) and name[0] not in "._ " and name[-1] not in ". "
        devices = {"CON", "PRN", "AUX", "NUL", *(f"{d}{n}" for d in ("COM", "LPT") for n in range(10))}
        assert name.split(".")[0].upper() not in devices


@pytest.mark.parametrize("word", ["con", "AUX", "nul", "com1", "lpt9.txt", "COM¹", "conin$"])
def test_windows_device_names_are_quoted(word: str) -> None:
    assert safe(word) != word and unquote(safe(word)) == word


def test_a_very_long_word_has_a_name_of_its_own() -> None:
    one, other = folder_names(["ж" * 300, "ж" * 301]).values()
    assert one != other and all(len(n.encode()) <= 255 for n in (one, other))


def test_clips_of_the_same_name_in_two_sources_are_kept_apart() -> None:
    named = stems([("a" * 64, "one.mp3"), ("b" * 64, "one.wav"), ("c" * 64, "two.mp3")])
    assert named == {"a" * 64: "one", "b" * 64: "one_" + "b" * 16, "c" * 64: "two"}


def test_a_clip_in_a_folder_is_called_the_same_whatever_else_is_released() -> None:
    clips = [("a" * 64, "ann/001.wav"), ("b" * 64, "bob/001.wav"), ("c" * 64, "train/bob/0.1.wav")]
    assert stems(clips) == {"a" * 64: "ann-001", "b" * 64: "bob-001", "c" * 64: "train-bob-0.1"}
    assert stems(clips[1:2]) == {"b" * 64: "bob-001"}


def test_speech_commands_numbers_do_not_depend_on_the_order_of_clips() -> None:
    clips = [{"clip_id": f"{n}", "speaker_id": f"s{n % 2}", "word": "go", "split": "train"} for n in range(6)]
    assert paths(clips, {"go": "go"}) == paths(clips[::-1], {"go": "go"})
    assert len(set(paths(clips, {"go": "go"}).values())) == 6
