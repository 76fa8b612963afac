"""Sentences to spoken words: each rule on a sentence that needs it."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.sentence import TextRules, say
from stagekit.tables import Reason

EN: dict[str, Any] = {"letters": "a-z", "numerals": "spell"}
FR: dict[str, Any] = {"letters": "a-zàâæçéèêëîïôœùûüÿ", "apostrophe": "elision", "whole": ["aujourd'hui"]}
TR: dict[str, Any] = {"letters": "a-zçğıöşü", "casing": "turkish"}
BR: dict[str, Any] = {"letters": "a-zñ", "apostrophe": "edges"}


def words(text: str, rules: dict[str, Any], language: str = "en") -> list[str]:
    said = say(text, language, TextRules.model_validate(rules))
    assert said.refused is None, said.faults
    return [t.word for t in said.tokens]


def refusal(text: str, rules: dict[str, Any], language: str = "en") -> Reason:
    said = say(text, language, TextRules.model_validate(rules))
    assert said.refused is not None, said.tokens
    return said.refused.reason


@pytest.mark.parametrize("mark", "'’ʼ‘′`´＇")
def test_one_apostrophe(mark: str) -> None:
    assert words(f"Don{mark}t go.", EN) == ["don't", "go"]
    assert words(f"pelec{mark}h eo", BR, "br") == ["pelec'h", "eo"]


def test_a_digit_that_this_python_does_not_know_refuses_its_sentence() -> None:
    """U+1E5F1, of Unicode 16."""
    assert refusal("We have \U0001e5f1 to do.", EN | {"numerals": "spell"}) == Reason.NUMERAL


def test_quotation_marks_are_no_apostrophes() -> None:
    assert words("He said: ‘never’ and 'always', the boys’ way.", EN) == "he said never and always the boys way".split()


def test_an_elided_article_is_a_word_of_its_own_but_for_words_that_are_whole() -> None:
    assert words("Je serai l’oncle d'Anne aujourd’hui.", FR, "fr") == ["je", "serai", "l'", "oncle", "d'", "anne", "aujourd'hui"]


def test_apostrophes_at_a_words_ends_where_the_language_has_them() -> None:
    assert words("N'em eus ket 'peus da vez' c'hoar", BR, "br") == ["n'em", "eus", "ket", "'peus", "da", "vez'", "c'hoar"]


def test_a_quotation_in_apostrophes_leaves_no_mark_on_its_words() -> None:
    dutch, welsh = {"letters": "a-z", "apostrophe": "edges"}, {"letters": "a-z", "apostrophe": "edges"}
    assert words("'Ik ga naar huis', zei hij.", dutch, "nl") == ["ik", "ga", "naar", "huis", "zei", "hij"]
    assert words("‘Ik ga naar huis,’ zei hij.", dutch, "nl") == ["ik", "ga", "naar", "huis", "zei", "hij"]
    assert words("'s Avonds ga ik met z'n auto's.", dutch, "nl") == ["'s", "avonds", "ga", "ik", "met", "z'n", "auto's"]
    assert words("'dwi ddim yn gwybod'", welsh, "cy") == ["dwi", "ddim", "yn", "gwybod"]
    assert words("Ar ger 'c'hoar' a zo", BR, "br") == ["ar", "ger", "c'hoar", "a", "zo"]
    assert words("'l hemm ta' Malta", {"letters": "a-zħ", "apostrophe": "edges"}, "mt") == ["'l", "hemm", "ta'", "malta"]
    assert words("'bonjour l'ami'", FR, "fr") == ["bonjour", "l'", "ami"]
    assert words("un po' di 'pane' e l'acqua", FR, "it") == ["un", "po'", "di", "pane", "e", "l'", "acqua"]


def test_an_enclitic_owns_the_apostrophe_before_it() -> None:
    catalan = {"letters": "a-zàéèíïóòúüç·", "apostrophe": "elision", "enclitics": ["m", "n", "l"], "replace": {"ŀ": "l·"}}
    said = words("Dona'm l'home, vés-te'n al coŀlegi d'aquí.", catalan, "ca")
    assert said == ["dona", "'m", "l'", "home", "vés", "te", "'n", "al", "col·legi", "d'", "aquí"]


def test_an_irish_prefix_is_part_of_its_word_with_a_hyphen_and_without() -> None:
    irish = {"letters": "a-záéíóú", "casing": "irish", "apostrophe": "edges"}
    assert words("an t-uisce, an tUisce, ár n-athair", irish, "ga-IE") == ["an", "tuisce", "an", "tuisce", "ár", "nathair"]


def test_a_slash_divides_words() -> None:
    assert words("naon/sec'hed", BR, "br") == ["naon", "sec'hed"]


def test_turkish_capitals() -> None:
    assert words("IŞIK İstanbul'da IRMAK", TR, "tr") == ["ışık", "istanbul'da", "ırmak"]
    assert words("IRIS Iris İris", EN) == ["iris", "iris", "iris"]


def test_german_sharp_s_and_greek_final_sigma_survive_lowering() -> None:
    assert words("STRASSE Straße", {"letters": "a-zäöüß"}, "de") == ["strasse", "straße"]
    assert words("ΟΔΥΣΣΕΥΣ", {"letters": "α-ωάέήίόύώς"}, "el") == ["οδυσσευς"]


def test_a_middle_dot_is_inside_a_word_or_ends_it() -> None:
    greek = {"letters": "α-ωάέήίόύώς"}
    assert words("Είναι μικρό· ο δρόμος, μεγάλος\u0387", greek, "el") == ["είναι", "μικρό", "ο", "δρόμος", "μεγάλος"]
    assert words("El col·legi· i l'al·lot.", {"letters": "a-z·", "apostrophe": "elision"}, "ca") == (
        ["el", "col·legi", "i", "l'", "al·lot"]
    )


@pytest.mark.parametrize("mark", '״"”')
def test_a_hebrew_acronym_and_a_letter_with_a_geresh_divide_no_word(mark: str) -> None:
    assert words(f'צה{mark}ל אמר: "שלום", ג׳ירפה.', {}, "he") == ["צה״ל", "אמר", "שלום", "ג'ירפה"]
    assert words('He said "go"and"stop".', EN) == ["he", "said", "go", "and", "stop"]


def test_nfd_is_nfc() -> None:
    text = "Tiếng Việt được đọc"
    rules = {"letters": "a-zđếệượọ"}
    assert words(unicodedata.normalize("NFD", text), rules, "vi") == words(text, rules, "vi") == text.lower().split()


def test_vowel_marks_and_tatweel_are_left_out_of_arabic_and_kept_in_the_text() -> None:
    rules = TextRules.model_validate({"letters": "ء-غف-ي", "strip": "\\u064b-\\u0652\\u0670\\u0640"})
    said = say("يُؤْفَكُ عَنْهُ مَنْ كتـــاب", "ar", rules)
    assert [t.word for t in said.tokens] == ["يؤفك", "عنه", "من", "كتاب"]
    assert [said.text[t.char_start : t.char_end] for t in said.tokens][0] == "يُؤْفَكُ"


def test_small_numerals_are_spelled_and_those_with_several_readings_refused() -> None:
    assert words("I am 42 years old.", EN) == ["i", "am", "forty", "two", "years", "old"]
    assert words("Give me 5!", EN) == ["give", "me", "five"]
    several = ("in 1990", "at 10:30", "3.5 metres", "the 1st", "1,000 men", "5-6 men", "007", "½ litre", "B2", "100")
    for text in several:
        assert refusal(text, EN) == Reason.NUMERAL, text
    assert refusal("Il a 42 ans", FR, "fr") == Reason.NUMERAL  # not spelled in that language


def test_a_numeral_that_is_signed_inflected_or_a_date_is_refused() -> None:
    dated = EN | {"numerals_not_beside": ["may"]}
    assert words("Apollo-11, and 5 of us", dated) == ["apollo", "eleven", "and", "five", "of", "us"]
    for text in ("It was -5 outside", "−5 degrees", "on May 5", "the 5 May", "2 × 3"):
        assert refusal(text, dated) == Reason.NUMERAL, text
    inflected = EN | {"numeral_endings": ["a", "an"]}
    assert refusal("La 5-a de majo", inflected, "eo") == refusal("tahun 90-an", inflected, "id") == Reason.NUMERAL
    assert words("a 10-day trip", EN) == ["a", "ten", "day", "trip"]
    assert refusal("May 5 bata", EN, "fil") == Reason.NUMERAL  # no Filipino in num2words; Finnish is none


def test_roman_numerals_are_numerals() -> None:
    plain = {"letters": "a-zàâæçéèêëîïôœùûüÿıü"}
    french = ("au XIXe siècle", "XVIIᵉ siècle", "IIe")
    for text in (*french, "Felipe II", "siglo XIX", "Henry VIII's wife", "Gustav III:s", "al XIX-lea", "MCMXC it is"):
        assert refusal(text, plain) == Reason.NUMERAL, text
    assert words("A CD of DC, I said, in the MIX of L", plain) == "a cd of dc i said in the mix of l".split()
    assert words("HENRY VIII", plain) == ["henry", "viii"]  # in capitals nobody knows


def test_a_bar_is_a_danda_and_no_symbol() -> None:
    assert words("मैं हूँ|", {"letters": "\\u0900-\\u0963\\u0970-\\u097f"}, "hi") == ["मैं", "हूँ"]


@pytest.mark.parametrize("text", ["5 % of it", "$5", "me & you", "a+b", "home@work"])
def test_a_symbol_that_is_spoken_refuses_the_sentence(text: str) -> None:
    assert refusal(text, EN) == Reason.NUMERAL


def test_a_foreign_spelling_is_aligned_and_is_no_keyword() -> None:
    said = say("Born in Łódź near Besançon.", "en", TextRules.model_validate(EN))
    assert [t.word for t in said.tokens] == ["born", "in", "lodz", "near", "besancon"]
    assert said.refused is None
    assert [(f.token, f.reason) for f in said.faults] == [(2, Reason.FOREIGN_CHARACTERS), (4, Reason.FOREIGN_CHARACTERS)]
    assert "ó (U+00F3)" in said.faults[0].detail


@pytest.mark.parametrize("text", ["Он сказал hello", "hello мир", "日本 is far", "ρ is a letter"])
def test_letters_of_another_script_refuse_the_sentence(text: str) -> None:
    assert refusal(text, EN) == Reason.FOREIGN_CHARACTERS


def test_a_sentence_without_a_word_is_empty() -> None:
    for text in ("", " ", "...", "—", "\u200c", "’"):
        assert refusal(text, EN) == Reason.SENTENCE_EMPTY, text


def test_without_an_entry_the_letters_of_one_script_are_taken() -> None:
    assert words("Жаңы ээсине узатып", {}, "ky") == ["жаңы", "ээсине", "узатып"]
    assert refusal("Жаңы ээсине hello", {}, "ky") == Reason.FOREIGN_CHARACTERS
    assert refusal("Жаңы 5", {}, "ky") == Reason.NUMERAL


def test_thai_repetition_mark_repeats_the_word() -> None:
    rules = TextRules.model_validate({"letters": "ก-ฺเ-๎", "segmenter": "pythainlp"})
    said = say("สิ่งต่าง ๆ ที่ดี", "th", rules)
    found = [t.word for t in said.tokens]
    at = found.index("ต่าง")
    assert found[at + 1] == "ต่าง" and said.text[said.tokens[at + 1].char_start] == "ๆ"


def test_traditional_characters_are_cut_as_simplified_ones_and_cantonese_as_it_is_spoken() -> None:
    han = {"letters": "\\p{Han}", "segmenter": "jieba"}
    assert words("臺灣的學生", han, "zh-TW") == ["臺灣", "的", "學生"]
    assert words("面對現今國際外交的困境", han, "zh-TW") == ["面對", "現今", "國際", "外交", "的", "困境"]
    assert words("我地唔努力廣東話話真係會消失", han | {"segmenter": "pycantonese"}, "zh-HK") == (
        ["我地", "唔", "努力", "廣東話", "話", "真係", "會", "消失"]
    )


def test_joiners_divide_no_word() -> None:
    assert words("می\u200cخواهم", {"letters": "ء-غف-قل-وپچژکگیه"}, "fa") == ["میخواهم"]
    assert words("co\u00adoperate", EN) == ["cooperate"]


RULES = [TextRules.model_validate(r) for r in (EN, FR, TR, BR, {})]


@given(st.text(), st.sampled_from(RULES))
def test_pieces_lie_in_the_text_in_order_and_words_are_nfc(text: str, rules: TextRules) -> None:
    said = say(text, "en", rules)
    assert bool(said.tokens) or said.refused is not None
    last = (0, 0)
    for token in said.tokens:
        piece = (token.char_start, token.char_end)
        assert piece == last or last[1] <= piece[0] < piece[1] <= len(said.text)  # the words of a numeral share one
        last = piece
        assert token.word == unicodedata.normalize("NFC", token.word) and token.word.strip("'") and " " not in token.word
