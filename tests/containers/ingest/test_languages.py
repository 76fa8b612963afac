"""Every entry of the registry's spoken words, on 40 real sentences of its language."""

from __future__ import annotations

import csv
import unicodedata
from pathlib import Path
from typing import Any

import pytest
import regex
import yaml

from ingest.sentence import TextRules, say

ROOT = Path(__file__).parents[3]
ENTRIES: dict[str, Any] = yaml.safe_load((ROOT / "config" / "languages.yaml").read_text(encoding="utf-8"))["spoken_words"]
with open(Path(__file__).parent / "data" / "common_voice" / "sentences.tsv", encoding="utf-8", newline="") as _file:
    SENTENCES = [(r["language"], r["sentence"]) for r in csv.DictReader(_file, delimiter="\t", quoting=csv.QUOTE_NONE)]


def rules(language: str) -> TextRules:
    return TextRules.model_validate(ENTRIES[language]["text"])


ORIGINAL = (
    "ar as br ca cnh cs cv cy de dv el en eo es et eu fa fr fy-NL ga-IE gn ha ia id it ka ky lt lv mn mt nl or pl pt rm-sursilv "
    "rm-vallader ro ru rw sah sk sl sv-SE ta tr tt uk vi zh-CN"
).split()
"""The fifty languages of the Multilingual Spoken Words Corpus 1.0."""


def test_all_languages_of_the_original_are_there_and_each_has_its_sentences() -> None:
    assert len(ORIGINAL) == 50 and set(ORIGINAL) <= set(ENTRIES)
    for language in ENTRIES:
        assert sum(1 for code, _ in SENTENCES if code == language) == 40, language


@pytest.mark.parametrize("language", sorted(ENTRIES))
def test_real_sentences_are_said_in_the_letters_of_their_language(language: str) -> None:
    own, wanted = rules(language), regex.compile(f"[{ENTRIES[language]['text']['letters']}']+")
    refused, foreign, tokens = [], 0, 0
    for _, text in (s for s in SENTENCES if s[0] == language):
        said = say(text, language, own)
        if said.refused:
            refused.append(said.refused)
            continue
        foreign += len(said.faults)
        tokens += len(said.tokens)
        at = 0
        for token in said.tokens:
            piece = said.text[token.char_start : token.char_end]
            assert at <= token.char_start and token.word == unicodedata.normalize("NFC", token.word)
            assert wanted.fullmatch(token.word), (token, text)
            assert regex.search(r"\p{L}", piece)
            at = token.char_end
        spoken = regex.sub(r"[^\p{L}]", "", said.text)
        pieces = regex.sub(r"[^\p{L}]", "", "".join(said.text[t.char_start : t.char_end] for t in said.tokens))
        assert pieces == spoken.replace("ـ", "") or pieces == spoken, text  # no letter is lost
    assert len(refused) <= 1, refused
    assert foreign <= tokens / 100


EXPECTED = {
    "ar": ("يُؤْفَكُ عَنْهُ مَنْ أُفِكَ", "يؤفك عنه من أفك"),
    "as": ("ল’ৰা-ছোৱালীকেইটা", "ল'ৰা ছোৱালীকেইটা"),
    "br": ("dec'h e pesketes.", "dec'h e pesketes"),
    "ca": ("L’home d'aquí, col·lega", "l' home d' aquí col·lega"),
    "cs": ("Příliš žluťoučký kůň", "příliš žluťoučký kůň"),
    "cv": ("Папкăри хутсене прокурора парса хăвартăм", "папкӑри хутсене прокурора парса хӑвартӑм"),
    "de": ("Schließlich ging Großmutter über die Brücke.", "schließlich ging großmutter über die brücke"),
    "el": ("Απ' όλα ΤΑ ΠΑΙΔΙΑ", "απ' όλα τα παιδια"),
    "en": ("Strong passwords don't have to be hard to remember.", "strong passwords don't have to be hard to remember"),
    "eo": ("Ĉu vi ŝatas 12 ĵurnalojn?", "ĉu vi ŝatas dek du ĵurnalojn"),
    "es": ("¿Cómo está el pingüino?", "cómo está el pingüino"),
    "fa": ("می‌خواهم كتاب بخوانم.", "میخواهم کتاب بخوانم"),
    "fr": ("Cet obélisque était dressé devant l'œuvre.", "cet obélisque était dressé devant l' œuvre"),
    "ga-IE": ("An tAthair agus na nAithreacha", "an tathair agus na naithreacha"),
    "gn": ("Ipahápe og̃uahẽ, ha’ekuéra oñe’ẽ", "ipahápe og̃uahẽ ha'ekuéra oñe'ẽ"),
    "ha": ("'Yan sanda, “cuta corona” ma’aikacin", "'yan sanda cuta corona ma'aikacin"),
    "hi": ("मैं मोहन के साथ गेंद खेलने जा रहा हूँ।", "मैं मोहन के साथ गेंद खेलने जा रहा हूँ"),
    "it": ("L'acqua dell’isola è più blu.", "l' acqua dell' isola è più blu"),
    "ja": ("わたしは日曜日も働いています。", "わたし は 日曜 日 も 働い て い ます"),
    "kab": ("Ɛeddi nnig isefreg, εeddi", "ɛeddi nnig isefreg ɛeddi"),
    "mt": ("Jiġifieri d-deċiżjoni kien jeħodha l-Manager?", "jiġifieri d deċiżjoni kien jeħodha l manager"),
    "nl": ("Zo'n foto's, 's avonds", "zo'n foto's 's avonds"),
    "or": ("ସା’ନ୍ତେ ବିରକ୍ତ 'ମା ଲୋ' କରି ।", "ସା'ନ୍ତେ ବିରକ୍ତ ମା ଲୋ କରି"),
    "pl": ("Zażółć gęślą jaźń", "zażółć gęślą jaźń"),
    "pt": ("A ação não é à toa", "a ação não é à toa"),
    "rm-vallader": ("El s’ha tschantà", "el s' ha tschantà"),
    "ro": ("Aşa ţară şi țară", "așa țară și țară"),
    "ru": ("Мы по-прежнему просим Её.", "мы по прежнему просим её"),
    "rw": ("“Abo twarahiranye n’abandi", "abo twarahiranye n' abandi"),
    "sv-SE": ("Är du på väg till idén?", "är du på väg till idén"),
    "ta": ("நீங்கள் எங்கே", "நீங்கள் எங்கே"),
    "th": ("คุณสามารถรับทราบเมื่อข้อความนี้ถูกอ่านแล้ว", "คุณ สามารถ รับทราบ เมื่อ ข้อความ นี้ ถูก อ่าน แล้ว"),
    "tr": ("Işık İzmir'de yandı.", "ışık izmir'de yandı"),
    "uk": ("Iдiть, ïхнє iм'я — Ґанок", "ідіть їхнє ім'я ґанок"),
    "vi": ("Tôi có 5 con mèo ở Hà Nội.", "tôi có năm con mèo ở hà nội"),
    "zh-CN": ("贝弗利大教堂是位于英国的一座教堂。", "贝弗利 大 教堂 是 位于 英国 的 一座 教堂"),
}


@pytest.mark.parametrize("language", sorted(EXPECTED))
def test_words_as_a_reader_of_the_language_expects_them(language: str) -> None:
    text, expected = EXPECTED[language]
    said = say(text, language, rules(language))
    assert said.faults == []
    assert " ".join(t.word for t in said.tokens) == expected
