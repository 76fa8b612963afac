"""A release of spoken words is read by what reads the originals: ``datasets``, the corpus of 2021's layout, Speech Commands'."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import tarfile
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from release_corpus import REPOSITORY, Warehouse
from words_corpus import Words, corpus

from release.words.names import folder_names, safe, stems
from release.words.speech_commands import paths, which_set


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Words:
    made = Words(Warehouse(tmp_path_factory.mktemp("words") / "warehouse"))
    made.month("2026.01", corpus(0, 30))
    return made


@pytest.fixture(scope="module")
def first(world: Words) -> dict[str, Any]:
    return world.release("2026.01")


def packed(folder: Path) -> dict[str, dict[str, Any]]:
    """clip_id → row, of all packed files of a release."""
    files = sorted((folder / "data").rglob("*.parquet"))
    return {r["clip_id"]: r for f in files for r in pq.ParquetFile(f).read().to_pylist()}


def unpack(file: Path, target: Path) -> None:
    with tarfile.open(file) as archive:
        archive.extractall(target, filter="data")


@pytest.fixture(scope="module")
def mswc(first: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archives of the corpus of 2021's layout, unpacked into one folder."""
    target = tmp_path_factory.mktemp("mswc")
    for file in (first["folder"] / "mswc").glob("*/*.tar.gz"):
        unpack(file, target)
    return target / "en"


def read(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


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


def test_the_lists_of_the_corpus_of_2021_name_each_clip_once_and_no_speaker_twice(mswc: Path, first: dict[str, Any]) -> None:
    splits = read(mswc / "en_splits.csv")
    assert list(splits[0]) == ["SET", "LINK", "WORD", "VALID", "SPEAKER", "GENDER"]
    links = [r["LINK"] for r in splits]
    assert len(set(links)) == len(links) == len(packed(first["folder"]))
    assert set(links) == {f.relative_to(mswc / "clips").as_posix() for f in (mswc / "clips").rglob("*.opus")}
    for name in ("train", "dev", "test"):
        listed = read(mswc / f"en_{name}.csv")
        assert [{k: v for k, v in r.items() if k != "SET"} for r in splits if r["SET"] == name.upper()] == listed
    sets: dict[str, set[str]] = {}
    for row in splits:
        sets.setdefault(row["SPEAKER"], set()).add(row["SET"])
    assert all(len(s) == 1 for s in sets.values()), "a speaker is in two splits"
    assert {r["GENDER"] for r in splits} == {"MALE", "FEMALE", "NAN"} and {r["VALID"] for r in splits} == {"True"}
    by_word = read(mswc / "en_splits_by_word.csv")
    assert sorted(r["LINK"] for r in by_word) == sorted(links)


def test_the_metadata_of_the_corpus_of_2021_counts_what_is_there(mswc: Path, first: dict[str, Any]) -> None:
    with gzip.open(first["folder"] / "mswc/metadata.json.gz") as stream:
        metadata = json.load(stream)
    about = metadata["en"]
    assert about["language"] == "English" and set(metadata) == {"en", "version"}
    assert metadata["version"].startswith("spoken_words en 2026.01"), "it does not say that it is the original"
    folders = {f.name: sorted(c.name for c in f.iterdir()) for f in (mswc / "clips").iterdir()}
    assert {w: sorted(f) for w, f in about["filenames"].items()} == folders
    assert about["wordcounts"] == {w: len(f) for w, f in folders.items()} and about["number_of_words"] == len(folders)
    assert min(about["wordcounts"].values()) >= 2, "no empty keyword"
    words = {r["folder"]: r["word"] for r in read(first["folder"] / "mswc/words.csv")}
    assert {r["LINK"].split("/")[0]: r["WORD"] for r in read(mswc / "en_splits.csv")} == words
    assert words["%63on"] == "con" and words["either%2For"] == "either/or" and words["%50olish"] == "Polish"


def test_a_word_said_twice_has_the_originals_suffix(mswc: Path) -> None:
    names = Counter(f.stem.endswith("__2") for f in (mswc / "clips/go").iterdir())
    assert names == {True: 6, False: 30}


def intervals(path: Path) -> list[tuple[float, float, str]]:
    """The first tier of a TextGrid, by the format's description (Praat's manual, "TextGrid file formats")."""
    tier = path.read_text(encoding="utf-8").split("item [2]:")[0]
    pattern = r'intervals \[\d+\]:\s+xmin = ([\d.]+)\s+xmax = ([\d.]+)\s+text = "((?:[^"]|"")*)"'
    return [(float(a), float(b), text.replace('""', '"')) for a, b, text in re.findall(pattern, tier)]


def test_the_alignments_of_the_corpus_of_2021_say_where_each_clips_word_is(mswc: Path, first: dict[str, Any]) -> None:
    grids = {f.stem: intervals(f) for f in (mswc / "alignments").rglob("*.TextGrid")}
    for spans in grids.values():
        assert spans[0][0] == 0 and spans[-1][1] == 4.0
        assert all(a[1] == b[0] for a, b in zip(spans, spans[1:], strict=False)), "intervals tile the clip"
    for row in read(mswc / "en_splits.csv"):
        stem = Path(row["LINK"]).stem.removesuffix("__2")
        folder = (mswc / "clips" / row["LINK"]).parent
        clips = [f for f in folder.iterdir() if f.stem.removesuffix("__2") == stem]
        assert sum(text == row["WORD"] for _, _, text in grids[stem]) == len(clips) >= 1
    assert {f.parent.name for f in (mswc / "alignments").rglob("*.TextGrid")} == {f"speaker-{n}" for n in range(8)}


def test_speech_commands_readers_read_it(first: dict[str, Any], tmp_path: Path) -> None:
    """As torchaudio.datasets.SPEECHCOMMANDS does: lists, then all ``*/*_nohash_*.wav`` that are in none and not in the noise."""
    for file in (first["folder"] / "speech_commands").iterdir():
        unpack(file, tmp_path)
    lists = {n: (tmp_path / f"{n}_list.txt").read_text(encoding="utf-8").splitlines() for n in ("validation", "testing")}
    walker = sorted(str(p.relative_to(tmp_path).as_posix()) for p in tmp_path.glob("*/*.wav"))
    excluded = {*lists["validation"], *lists["testing"]}
    training = [w for w in walker if "_nohash_" in w and "_background_noise_" not in w and w not in excluded]
    sets = {"train": training, "dev": lists["validation"], "test": lists["testing"]}
    words = {r["folder"]: r["word"] for r in read(first["folder"] / "mswc/words.csv")}
    rows = packed(first["folder"])
    assert {s: len(files) for s, files in sets.items()} == dict(Counter(r["split"] for r in rows.values())) | {
        s: 0 for s in sets if s not in {r["split"] for r in rows.values()}
    }
    samples: Counter[tuple[str, str, bytes]] = Counter()
    speakers: dict[str, set[str]] = {}
    for split, files in sets.items():
        for file in files:
            label, name = file.split("/")
            speaker, number = Path(name).stem.split("_nohash_")
            assert int(number) >= 0
            speakers.setdefault(speaker, set()).add(split)
            sound, rate = soundfile.read(tmp_path / file, dtype="int16")
            assert (rate, sound.shape) == (16_000, (16_000,))
            samples[split, words[label], sound.tobytes()] += 1
    assert len(speakers) == 8 and all(len(s) == 1 for s in speakers.values())
    assert speakers == {s: {which_set(s)} for s in speakers}, "the original's function divides them as its lists do"
    wanted: Counter[tuple[str, str, bytes]] = Counter()
    for row in rows.values():
        sound, _ = soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="int16")
        wanted[row["split"], row["word"], sound.tobytes()] += 1
    assert samples == wanted, "the WAV files are the 16 kHz samples, under the right word and split"
    for noise in ("white_noise", "pink_noise"):
        sound, rate = soundfile.read(tmp_path / f"_background_noise_/{noise}.wav", dtype="int16")
        assert len(sound) == 60 * rate and 300 < np.abs(sound).mean() < 8000


def test_torchaudio_reads_it(first: dict[str, Any], tmp_path: Path) -> None:
    """torchaudio's own reader of Speech Commands finds each clip under its word, and in the subset of its speaker."""
    python = REPOSITORY / ".venvs/align-gpu/bin/python"
    assert python.exists(), "no .venvs/align-gpu: make setup"
    target = tmp_path / "SpeechCommands/speech_commands_v0.02"
    for file in (first["folder"] / "speech_commands").iterdir():
        unpack(file, target)
    script = """
import json, sys
from torchaudio.datasets import SPEECHCOMMANDS
out = {}
for subset in ("training", "validation", "testing"):
    clips = SPEECHCOMMANDS(sys.argv[1], subset=subset)
    out[subset] = [clips.get_metadata(n) for n in range(len(clips))]
print(json.dumps(out))
"""
    done = subprocess.run([python, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    seen = json.loads(done.stdout.splitlines()[-1])
    words = {r["folder"]: r["word"] for r in read(first["folder"] / "mswc/words.csv")}
    names = {"training": "train", "validation": "dev", "testing": "test"}
    found = Counter((names[subset], words[label]) for subset, rows in seen.items() for _, _, label, _, _ in rows)
    assert found == Counter((r["split"], r["word"]) for r in packed(first["folder"]).values())
    assert {rate for rows in seen.values() for _, rate, _, _, _ in rows} == {16_000}
    speakers = {subset: {speaker for _, _, _, speaker, _ in rows} for subset, rows in seen.items()}
    assert sum(map(len, speakers.values())) == len(set().union(*speakers.values())) == 8, "a speaker is in two subsets"


def test_pink_noise_falls_by_three_decibels_an_octave(first: dict[str, Any]) -> None:
    with tarfile.open(first["folder"] / "speech_commands/en-lists.tar.gz") as archive:
        data = archive.extractfile("_background_noise_/pink_noise.wav").read()  # type: ignore[union-attr]
    power = np.abs(np.fft.rfft(soundfile.read(io.BytesIO(data))[0])) ** 2
    bands = [10 * np.log10(power[60 * f : 120 * f].mean()) for f in (125, 250, 500, 1000, 2000)]
    assert np.allclose(np.diff(bands), -3.0, atol=1.0)


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


def test_speech_commands_numbers_do_not_depend_on_the_order_of_clips() -> None:
    clips = [{"clip_id": f"{n}", "speaker_id": f"s{n % 2}", "word": "go", "split": "train"} for n in range(6)]
    assert paths(clips, {"go": "go"}) == paths(clips[::-1], {"go": "go"})
    assert len(set(paths(clips, {"go": "go"}).values())) == 6
