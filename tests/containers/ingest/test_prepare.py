"""Sentences that are prepared: their clips decoded and checked, their words by the rules of the language."""

from __future__ import annotations

import hashlib
import unicodedata
from pathlib import Path

import pytest
import yaml
from voice_release import DATA, EN, SAMROMUR_PARAMS, V18, V61, rejected, release, rows, set_row, sound, stage, voices


def test_clips_are_checked_by_decoding_them(tmp_path: Path) -> None:
    folder = release(tmp_path, V18)
    names = sorted(p.name for p in (folder / "clips").iterdir())
    path = [folder / "clips" / n for n in names]
    path[0].write_bytes(path[0].read_bytes()[: path[0].stat().st_size // 2])
    path[1].write_bytes(b"ID3 no audio at all" * 20)
    sound(path[2], "-f", "lavfi", "-i", "sine=duration=16")
    sound(path[3], "-f", "lavfi", "-i", "anullsrc=r=32000:cl=mono", "-t", "4")
    set_row(folder, names[4], sentence=" ".join(["internationalisation"] * 30))
    (folder / "clip_durations.tsv").write_text(
        "\n".join(
            line for line in (folder / "clip_durations.tsv").read_text().splitlines() if not line.startswith(tuple(names[2:4]))
        )
    )
    made = stage("prepare", tmp_path, {"text": EN}, voices(tmp_path, folder.parent)["output"])
    assert {name: reason for name, (reason, _) in rejected(made["output"]).items()} == {
        names[0]: "audio_truncated",
        names[1]: "audio_corrupt",
        names[2]: "audio_too_long",
        names[3]: "audio_silent",
        names[4]: "speech_rate",
    }
    assert made["rows"] == {"sentences": 6, "sentence_audio": 6, "rejections": 5}


def test_sentences_have_their_words_and_bytes(tmp_path: Path) -> None:
    made = stage("prepare", tmp_path, {"text": EN}, voices(tmp_path, V61)["output"])
    sentences, audio = rows(made["output"], "sentences"), rows(made["output"], "sentence_audio")
    assert [s["sentence_id"] for s in sentences] == [a["sentence_id"] for a in audio]
    for sentence, sound_row in zip(sentences, audio, strict=True):
        assert sentence["audio_id"] == hashlib.sha256(sound_row["audio"]).hexdigest()
        key = f"{sentence['audio_id']}\n{sentence['text_raw']}"
        assert sentence["sentence_id"] == hashlib.sha256(key.encode()).hexdigest()
        assert sentence["duration_s"] == sentence["samples"] / 16000
    by_text = {s["text_raw"]: s for s in sentences}
    assert [t["word"] for t in by_text["And that's another thing."]["tokens"]] == ["and", "that's", "another", "thing"]


def test_a_foreign_spelling_is_a_rejected_word_of_a_kept_sentence(tmp_path: Path) -> None:
    folder = release(tmp_path)
    clip = next(r.split("\t")[1] for r in (folder / "validated.tsv").read_text().splitlines()[1:] if "Barry" in r)
    set_row(folder, clip, sentence="His name is Barrý Łódź.")
    made = stage("prepare", tmp_path, {"text": EN}, voices(tmp_path, folder.parent)["output"])
    sentence = next(s for s in rows(made["output"], "sentences") if s["clip"] == clip)
    assert [t["word"] for t in sentence["tokens"]] == ["his", "name", "is", "barry", "lodz"]
    refused = [r for r in rows(made["output"], "rejections") if r["unit"] == "word"]
    assert [(r["id"], r["reason"]) for r in refused] == [
        (f"{sentence['sentence_id']}-3", "foreign_characters"),
        (f"{sentence['sentence_id']}-4", "foreign_characters"),
    ]
    assert made["rows"]["sentences"] == 12


def test_a_language_without_an_entry_gets_defaults_and_a_warning(tmp_path: Path) -> None:
    made = stage("prepare", tmp_path, {}, voices(tmp_path, V61)["output"])
    assert "no text rules for en" in made["stderr"] and made["metrics"]["warnings"]
    assert made["rows"]["sentences"] == 12


def test_a_language_that_is_rejected_whole_is_counted_and_makes_no_sentence(tmp_path: Path) -> None:
    made = stage("prepare", tmp_path, {"text": {"letters": "а-яё"}}, voices(tmp_path, V61)["output"])
    assert made["rows"] == {"sentences": 0, "sentence_audio": 0, "rejections": 12}
    assert {reason for reason, _ in rejected(made["output"]).values()} == {"foreign_characters"}


@pytest.mark.parametrize("language", ["th", "zh-CN", "ar"])
def test_other_scripts(tmp_path: Path, language: str) -> None:

    entry = yaml.safe_load((DATA.parents[4] / "config" / "languages.yaml").read_text(encoding="utf-8"))["spoken_words"][language]
    made = stage("prepare", tmp_path, {"text": entry["text"]}, voices(tmp_path, V61, language=language)["output"])
    assert made["rows"]["sentences"] == 3
    assert all(len(s["tokens"]) > 1 for s in rows(made["output"], "sentences"))


# what the original did wrong: mswc-2021, section 7


def test_defect_04_one_word_one_label_and_the_text_as_written_beside_it(tmp_path: Path) -> None:
    folder = release(tmp_path)
    names = sorted(p.name for p in (folder / "clips").iterdir())[:3]
    for name, text in zip(names, ("Don't you?", "DON’T you!", "don\u02bct you"), strict=True):
        set_row(folder, name, sentence=text)
    made = stage("prepare", tmp_path, {"text": EN}, voices(tmp_path, folder.parent)["output"])
    found = [s for s in rows(made["output"], "sentences") if s["clip"] in names]
    assert {s["tokens"][0]["word"] for s in found} == {"don't"}
    assert {s["text_raw"][: s["tokens"][0]["char_end"]] for s in found} == {"Don't", "DON’T", "don\u02bct"}


def test_defect_14_only_validated_rows_come_in(tmp_path: Path) -> None:
    folder = release(tmp_path)
    (folder / "validated.tsv").rename(folder / "other.tsv")
    assert "validated.tsv" in voices(tmp_path, folder.parent, code=1)["stderr"]
    unchecked = {**SAMROMUR_PARAMS, "columns": {**SAMROMUR_PARAMS["columns"], "keep": {"is_valid": ["yes"]}}}
    made = stage("voices", tmp_path, unchecked)
    assert made["rows"]["readings"] == 0
    assert {reason for reason, _ in rejected(made["output"]).values()} == {"policy"}


def test_defect_16_zero_length_clips_and_texts_that_do_not_fit_are_stopped(tmp_path: Path) -> None:
    folder = release(tmp_path)
    names = sorted(p.name for p in (folder / "clips").iterdir())
    (folder / "clips" / names[0]).write_bytes(b"")
    set_row(folder, names[1], sentence="A very long text that nobody could have read in the time that it took. " * 4)
    read = voices(tmp_path, folder.parent)
    made = stage("prepare", tmp_path, {"text": EN}, read["output"])
    assert rejected(read["output"])[names[0]][0] == "audio_empty"
    assert rejected(made["output"])[names[1]][0] == "speech_rate"


def test_defect_17_nfd_and_nfc_twins_are_one_word(tmp_path: Path) -> None:
    folder = release(tmp_path)
    names = sorted(p.name for p in (folder / "clips").iterdir())[:2]
    for name, form in zip(names, ("NFC", "NFD"), strict=True):
        set_row(folder, name, sentence=unicodedata.normalize(form, "Été con"))  # type: ignore[arg-type]
    made = stage("prepare", tmp_path, {"text": {"letters": "a-zé"}}, voices(tmp_path, folder.parent)["output"])
    found = [s for s in rows(made["output"], "sentences") if s["clip"] in names]
    assert {t["word"] for s in found for t in s["tokens"]} == {"été", "con"} and len(found) == 2


def test_defect_20_single_words_are_told_from_words_of_sentences(tmp_path: Path) -> None:
    read = voices(tmp_path, V61)
    made = stage("prepare", tmp_path, {"text": EN}, read["output"])
    alone = {s["clip"] for s in rows(made["output"], "sentences") if s["origin"] == "spoken_alone"}
    assert alone == {r["clip"] for r in rows(read["output"], "readings") if r["segment"] == "Benchmark"} and len(alone) == 4
