"""Keywords are counted as often as they can be cut, and every second in which a word is spoken is accounted for."""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from spoken import aligned, prepared, rows, sentence, stage, words

from keywords.select import graphemes
from keywords.wanted import Wanted

SAFE = re.compile(r"[0-9a-f]{64}-\d+(-\d+)?")


def corpus(texts: list[str], **given: Any) -> list[dict[str, Any]]:
    """Sentences, each by a speaker of its own, each recording another."""
    return [sentence(t, f"{t} {i}".encode(), speaker_id=f"speaker-{i}", **given) for i, t in enumerate(texts)]


def select(
    tmp_path: Path, texts: list[str], code: int = 0, spoil: Any = None, unfit: Any = None, **params: Any
) -> dict[str, Any]:
    """Run select over sentences whose words are aligned; ``spoil`` changes the aligned rows."""
    sentences = corpus(texts)
    spoken = [w for s in sentences for w in aligned(s)]
    if spoil:
        spoken = spoil(spoken)
    folder = prepared(tmp_path / "p", sentences, unfit=unfit(sentences) if unfit else None)
    return stage("select", tmp_path, params, folder, words(tmp_path / "w", spoken), code=code)


def keywords(made: dict[str, Any]) -> dict[str, int]:
    return {r["word"]: r["clips"] for r in rows(made["output"], "keywords")}


def refused(made: dict[str, Any], word: str) -> list[tuple[str, str]]:
    return [(r["reason"], r["detail"]) for r in rows(made["output"], "rejections") if r["id"] == word]


def report(made: dict[str, Any]) -> dict[str, Any]:
    return dict(json.loads((Path(made["output"]) / "report.json").read_text()))


def test_words_that_are_long_and_frequent_enough_become_keywords(tmp_path: Path) -> None:
    made = select(tmp_path, ["we saw a house"] * 5 + ["the house"])
    assert keywords(made) == {"house": 6, "saw": 5}
    assert refused(made, "a") == [("word_short", "1 grapheme clusters")]
    assert refused(made, "the") == [("word_rare", "1 clips")]
    picks = rows(made["output"], "picks")
    assert len(picks) == 11 and all(SAFE.fullmatch(p["clip_id"]) for p in picks)
    assert {p["word_raw"] for p in picks} == {"saw", "house"}


def test_words_the_aligner_doubts_or_that_are_foreign_are_not_counted(tmp_path: Path) -> None:
    def spoil(spoken: list[dict[str, Any]]) -> list[dict[str, Any]]:
        house = [w for w in spoken if w["word"] == "house"]
        house[0]["fault"] = "score"
        house[1].update(start_s=1.0, end_s=1.02)
        house[2].update(start_s=3.8, end_s=4.2)  # the audio has 4 s
        return spoken

    made = select(tmp_path, ["my house"] * 8, spoil=spoil, unfit=lambda s: [f"{s[3]['sentence_id']}-1"])
    assert keywords(made) == {}
    assert refused(made, "house") == [
        ("foreign_characters", "1 of its 8 occurrences"),
        ("word_implausible", "3 of its 8 occurrences"),
        ("word_rare", "4 clips"),
    ]


def test_the_aligners_score_may_be_a_gate(tmp_path: Path) -> None:
    assert keywords(select(tmp_path / "a", ["my house"] * 5, min_score=-2.0)) == {"house": 5}
    assert keywords(select(tmp_path / "b", ["my house"] * 5, min_score=-0.5)) == {}


def test_a_cap_takes_from_every_speaker_in_turn_and_always_the_same(tmp_path: Path) -> None:
    many = [sentence("my house", f"many {i}".encode(), speaker_id="talker") for i in range(20)]
    few = [sentence("my house", f"few {i}".encode(), speaker_id=f"guest-{i}") for i in range(4)]

    def capped(path: Path, sentences: list[dict[str, Any]]) -> dict[str, Any]:
        folder = prepared(path / "p", sentences)
        spoken = words(path / "w", [w for s in sentences for w in aligned(s)])
        return stage("select", path, {"max_clips": 8}, folder, spoken)

    made = capped(tmp_path / "one", many + few)
    (house,) = rows(made["output"], "keywords")
    assert (house["clips"], house["speakers"], house["left_out"]) == (8, 5, 16)
    assert refused(made, "house") == [("word_cap", "16 of 24 clips")]
    again = capped(tmp_path / "two", few + many)
    assert {p["clip_id"] for p in rows(made["output"], "picks")} == {p["clip_id"] for p in rows(again["output"], "picks")}


def test_an_own_list_with_wildcards_and_phrases_says_what_is_not_there(tmp_path: Path) -> None:
    asked = ["GO", "light*", "turn  on", "don’t", "l?ght", "zebra", "o*", "turn * light"]
    texts = ["please turn on the light go"] * 5 + ["lights don't go"] * 5 + ["lightning"]
    made = select(tmp_path, texts, keywords=asked)
    assert keywords(made) == {"go": 10, "light": 5, "lights": 5, "turn on": 5, "don't": 5}
    assert report(made)["found"]["light*"] == ["light", "lights"]
    assert {e["keyword"]: e["why"] for e in report(made)["not_there"]} == {
        "zebra": "in no sentence, in this spelling",
        "o*": "'on' is too short; name it without a wildcard",
        "turn * light": "in no sentence, in this spelling",  # there are two words between
    }
    assert made["metrics"]["not_there"] == ["zebra", "o*", "turn * light"]
    assert refused(made, "lightning") == [("word_rare", "1 clips")] and not refused(made, "please")
    phrase = [p for p in rows(made["output"], "picks") if p["tokens"] == 2]
    assert len(phrase) == 5 and phrase[0]["word_raw"] == "turn on" and phrase[0]["clip_id"].endswith("-1-2")
    assert (phrase[0]["start_s"], phrase[0]["end_s"]) == (0.8, 1.7)


def test_a_phrase_is_not_made_of_words_with_one_between(tmp_path: Path) -> None:
    gone = lambda spoken: [w for w in spoken if w["word"] != "never"]  # noqa: E731
    made = select(tmp_path, ["turn never on"] * 5, keywords=["turn on"], spoil=gone)
    assert keywords(made) == {} and report(made)["not_there"][0]["why"] == "in no sentence, in this spelling"


def test_brackets_in_an_own_list_are_letters(tmp_path: Path) -> None:
    assert keywords(select(tmp_path, ["my house"] * 5, keywords=["[h]ouse", "h(ou)se", "house"])) == {"house": 5}
    assert "an entry is empty" in select(tmp_path / "x", ["my house"], keywords=[" "], code=1)["stderr"]


def test_turkish_capitals_in_an_own_list(tmp_path: Path) -> None:
    sentences = corpus(["ışık yandı"] * 5, language="tr")
    spoken = words(tmp_path / "w", [w for s in sentences for w in aligned(s)])
    made = stage("select", tmp_path, {"keywords": ["IŞIK"]}, prepared(tmp_path / "p", sentences), spoken)
    assert keywords(made) == {"ışık": 5}


@pytest.mark.parametrize(
    ("language", "rules", "typed", "said"),
    [
        ("fr", {"apostrophe": "elision", "whole": ["aujourd'hui"]}, ["Peut-être", "l’oncle", "aujourd'hui"],
         ["peut être", "l' oncle", "aujourd'hui"]),
        ("ca", {"apostrophe": "elision", "enclitics": ["l", "n"]}, ["Porta'l", "'l", "l'ha'n"],
         ["porta 'l", "'l", "l' ha 'n"]),
        ("it", {"apostrophe": "elision"}, ["'ndrangheta", "po'"], ["ndrangheta", "po'"]),
        ("fa", {"replace": {"ك": "ک"}}, ["می\u200cخواهم", "كتاب"], ["میخواهم", "کتاب"]),
        ("ro", {"replace": {"ş": "ș"}}, ["Şi"], ["și"]),
        ("ar", {"strip": "\\u064b-\\u0652"}, ["كِتاب"], ["كتاب"]),
        ("ga-IE", {"casing": "irish"}, ["t-uisce", "tUisce"], ["tuisce", "tuisce"]),
        ("haw", {"apostrophe": "edges"}, ["ʻohana"], ["'ohana"]),
        ("en", {"apostrophe": "inside"}, ["dogs'", "’Tis"], ["dogs", "tis"]),
        ("en", {}, ["ｌｉｇｈｔ", "ﬁre"], ["light", "fire"]),
        ("el", {"apostrophe": "elision"}, ["ΚΟΣ*", "ΣΟΦΟΣ*", "σοφοσ?"], ["κοσμος", "σοφος", "σοφοσα"]),
        ("he", {}, ['צה"ל', "ג׳ירפה"], ["צה״ל", "ג'ירפה"]),
    ],
)  # fmt: skip
def test_an_own_list_is_written_as_people_write(language: str, rules: dict[str, Any], typed: list[str], said: list[str]) -> None:
    wanted = Wanted(typed, language, rules)
    for entry in said:
        parts = entry.split(" ")
        phrases = list(wanted.phrases(parts, range(len(parts))))
        assert wanted.word(entry) if len(parts) == 1 else phrases == [(0, len(parts), entry)]


def test_an_entry_that_the_segmenter_divided_is_found(tmp_path: Path) -> None:
    sentences = corpus(["高い 東京 タワー へ"] * 5, language="ja")
    spoken = words(tmp_path / "w", [w for s in sentences for w in aligned(s)])
    params = {"keywords": ["東京タワー", "タワー", "高いへ"], "text": {"segmenter": "sudachi"}}
    made = stage("select", tmp_path, params, prepared(tmp_path / "p", sentences), spoken)
    assert keywords(made) == {"東京タワー": 5, "タワー": 5} and made["metrics"]["not_there"] == ["高いへ"]
    whole = [p for p in rows(made["output"], "picks") if p["word"] == "東京タワー"]
    assert {(p["index"], p["tokens"], p["clip_id"][-4:]) for p in whole} == {(1, 2, "-1-2")}


def test_whole_words_of_two_syllable_signs_are_no_short_words(tmp_path: Path) -> None:
    for n, (language, word) in enumerate({"ja": "学校", "ko": "학교", "yue": "而家"}.items()):
        sentences = corpus([f"{word} 駅"] * 5, language=language)
        spoken = words(tmp_path / f"w{n}", [w for s in sentences for w in aligned(s)])
        made = stage("select", tmp_path / str(n), {}, prepared(tmp_path / f"p{n}", sentences), spoken)
        assert keywords(made) == {word: 5}


@pytest.mark.parametrize(
    ("word", "clusters"),
    [("été", 3), (unicodedata.normalize("NFD", "été"), 3), ("நீங்கள்", 4), ("don't", 4), ("中国", 2), ("हूँ", 1), ("go", 2)],
)
def test_length_is_counted_in_grapheme_clusters(word: str, clusters: int) -> None:
    assert graphemes(word) == clusters


def test_chinese_words_of_two_characters_are_long_enough(tmp_path: Path) -> None:
    for language, expected in (("zh-CN", {"中国": 5}), ("en", {})):
        sentences = corpus(["中国 的"] * 5, language=language)
        path = tmp_path / language
        spoken = words(path / "w", [w for s in sentences for w in aligned(s)])
        assert keywords(stage("select", path, {}, prepared(path / "p", sentences), spoken)) == expected


def test_picks_lie_in_the_order_of_the_sentences_files_over_all_inputs(tmp_path: Path) -> None:
    parts = [corpus([f"my house {name}"] * 3) for name in ("one", "two", "three")]
    folders = [prepared(tmp_path / f"p{i}", part) for i, part in enumerate(parts)]
    spoken = [words(tmp_path / f"w{i}", [w for s in part for w in aligned(s)]) for i, part in enumerate(parts)]
    made = stage("select", tmp_path, {}, *folders, *spoken)
    assert [s.rpartition("#")[2] for s in made["shards"]] == ["00000", "00001", "00002"]
    for number, part in enumerate(parts):
        file = pq.read_table(Path(made["output"]) / f"picks-{number:05d}.parquet")
        assert set(file["sentence_id"].to_pylist()) == {s["sentence_id"] for s in part} and file.num_rows == 3


def test_words_of_no_known_sentence_are_an_error(tmp_path: Path) -> None:
    folder = prepared(tmp_path / "p", corpus(["my house"]))
    strange = words(tmp_path / "w", aligned(sentence("other words")))
    assert "which no input holds" in stage("select", tmp_path, {}, folder, strange, code=1)["stderr"]
    empty = prepared(tmp_path / "e", [])
    assert "no sentences" in stage("select", tmp_path, {}, empty, words(tmp_path / "n", []), code=99)["stderr"]


# what the original did wrong: mswc-2021, section 7


def test_defect_03_a_word_said_k_times_gives_k_clips(tmp_path: Path) -> None:
    made = select(tmp_path, ["again and again and again"] * 2)
    picks = [p for p in rows(made["output"], "picks") if p["word"] == "again"]
    assert len(picks) == 6 == len({p["clip_id"] for p in picks})
    assert sorted(p["index"] for p in picks) == [0, 0, 2, 2, 4, 4]
    assert keywords(made) == {"again": 6}


def test_defect_05_no_keyword_has_fewer_clips_than_it_must_or_none(tmp_path: Path) -> None:
    doubted = lambda spoken: [{**w, "fault": "score"} if w["word"] == "house" and i % 2 else w for i, w in enumerate(spoken)]  # noqa: E731
    made = select(tmp_path, ["my house stood there"] * 9, spoil=doubted)
    counted = keywords(made)
    cut: dict[str, int] = {}
    for pick in rows(made["output"], "picks"):
        cut[pick["word"]] = cut.get(pick["word"], 0) + 1
    assert counted == cut and min(counted.values()) >= 5


def test_defect_11_ids_are_unique_over_words_releases_and_languages(tmp_path: Path) -> None:
    same_name = corpus(["my house stood", "his house stood"], clip="common_voice_en_1.mp3")
    folder = prepared(tmp_path / "p", same_name)
    made = stage("select", tmp_path, {"min_clips": 1}, folder, words(tmp_path / "w", [w for s in same_name for w in aligned(s)]))
    picks = rows(made["output"], "picks")
    assert len({p["clip_id"] for p in picks}) == len(picks) == 5


def test_defect_17_labels_are_data_and_never_names(tmp_path: Path) -> None:
    """Windows device names, slashes, case and normalisation twins: one label each, ids that any file system takes."""
    nfd = unicodedata.normalize("NFD", "café")
    texts = ["con aux nul and/or café"] * 3 + [f"con aux nul and/or {nfd}"] * 3
    made = select(tmp_path, texts)
    assert keywords(made) == {"con": 6, "aux": 6, "nul": 6, "and/or": 6, "café": 6}
    picks = rows(made["output"], "picks")
    assert all(SAFE.fullmatch(p["clip_id"]) for p in picks)
    assert len({p["clip_id"].lower() for p in picks}) == len(picks) == 30


def test_defect_18_languages_are_never_mixed(tmp_path: Path) -> None:
    mixed = corpus(["will you"], language="en") + corpus(["will ich"], language="de")
    spoken = words(tmp_path / "w", [w for s in mixed for w in aligned(s)])
    assert "a language at a time" in stage("select", tmp_path, {}, prepared(tmp_path / "p", mixed), spoken, code=1)["stderr"]


def test_a_corpus_without_any_keyword_has_no_picks_and_says_so(tmp_path: Path) -> None:
    made = select(tmp_path, ["one two", "three four"])
    assert keywords(made) == {} and rows(made["output"], "picks") == [] and made["metrics"]["keywords"] == 0
    assert "no picks" in stage("cut", tmp_path, {}, f"{made['output']}#00000", (tmp_path / "p").as_uri(), code=99)["stderr"]
