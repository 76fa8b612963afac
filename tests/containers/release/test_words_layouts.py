"""The layouts of a release of spoken words, read as the consumers of their originals read them: MSWC (2021), Speech Commands."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import subprocess
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from release_corpus import REPOSITORY, Warehouse
from words_corpus import Words, corpus, packed

from release.words.clips import name_clips
from release.words.mswc import write_lists
from release.words.speech_commands import which_set


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


def test_a_clip_that_is_taken_down_leaves_its_name_to_no_other(tmp_path: Path) -> None:
    world = Words(Warehouse(tmp_path / "warehouse"))
    world.month("2026.01", corpus(0, 10))
    before = world.release("2026.01")
    words = [r for r in packed(before["folder"]).values() if r["word"] == "go"]
    gone, stays = sorted((r for r in words if r["sentence_id"] == corpus(0, 1)[0][0]["sentence_id"]), key=lambda r: r["index"])
    after = world.release("2026.01.1", parent="2026.01", policy={"version": 2, "takedowns": [gone["clip_id"]]})
    links = []
    for number, made in enumerate((before, after)):
        for part in (made["folder"] / "mswc/audio").iterdir():
            unpack(part, tmp_path / f"{number}")
        clips = tmp_path / f"{number}/en/clips"
        links.append({f.relative_to(clips).as_posix(): f.read_bytes() for f in clips.rglob("*.opus")})
    assert links[0]["go/common_voice_en_1000.opus"] == gone["opus"]["bytes"]
    assert links[0]["go/common_voice_en_1000__2.opus"] == stays["opus"]["bytes"]
    assert links[1] == {name: sound for name, sound in links[0].items() if name != "go/common_voice_en_1000.opus"}


@pytest.mark.parametrize(
    ("said", "word", "index", "number"),
    [
        ("turn on or turn on", "turn on", 3, 2),
        ("go go go", "go", 1, 2),
        ("東京タワー と 東京 タワー", "東京タワー", 2, 2),
        ("got go", "go", 1, 1),
        ("cafe\u0301 caf\u00e9", "caf\u00e9", 1, 2),
    ],
)
def test_a_name_counts_what_is_said_before(said: str, word: str, index: int, number: int) -> None:
    clip = {"clip_id": "s-1", "sentence_id": "s", "index": index, "word": word, "source_clip": "c.mp3"}
    rows = [{"index": n, "word": w} for n, w in enumerate(said.split())]
    assert name_clips([clip], [("s", rows)]).number == {"s-1": number}


@pytest.mark.parametrize(
    ("stated", "listed"),
    [("Female", "FEMALE"), ("m", "MALE"), ("male_masculine", "MALE"), ("do_not_wish_to_say", "OTHER"), (None, "NAN")],
)
def test_the_lists_know_the_genders_that_the_splits_know(tmp_path: Path, stated: str | None, listed: str) -> None:
    clip = {
        "clip_id": "s-0", "sentence_id": "s", "index": 0, "word": "go", "source_clip": "c.mp3", "split": "train",
        "speaker_id": "me", "gender": stated,
    }  # fmt: skip
    names = name_clips([clip], [("s", [{"index": 0, "word": "go"}])])
    write_lists(tmp_path, "en", "English", "a title", [clip], names, {"s-0": "train"})
    unpack(tmp_path / "splits/en.tar.gz", tmp_path)
    assert [r["GENDER"] for r in read(tmp_path / "en/en_splits.csv")] == [listed]


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
