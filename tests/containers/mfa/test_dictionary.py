"""Tokens of any script become phones, or are known to have none."""

from __future__ import annotations

import doctest
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mfa.dictionary
from mfa.dictionary import Dictionary, graphemes, phone_code, phone_name, read_lexicon
from stagekit.errors import StageError


def test_examples() -> None:
    assert doctest.testmod(mfa.dictionary).failed == 0


@pytest.mark.parametrize(
    ("word", "phones"),
    [
        ("Straße", "straße"),
        ("hasn’t", "hasnt"),
        ("twenty-one", "twentyone"),
        ("Подъезд", "подъезд"),
        ("हिन्दी", "हिनदी"),  # the virama is no sound
        ("สวัสดี", "สวัสดี"),
        ("น้ำ", "นํา"),  # NFKC takes sara am apart; the tone mark is no sound
        ("مَدْرَسَة", "مَدرَسَة"),  # the sukun is no sound, short vowels are
        ("普通话", "普通话"),
        ("ﬁne", "fine"),
        ("m̀", "m"),  # no composed letter: the tone is no sound of its own
    ],
)
def test_letters_and_vowel_signs_are_phones(word: str, phones: str) -> None:
    assert "".join(graphemes(word)) == phones


@pytest.mark.parametrize("word", ["1455", "b2b", "50%", "a+b", "☃", "'", "", "$"])
def test_a_word_with_anything_else_has_no_pronunciation(word: str) -> None:
    assert graphemes(word) == ()


@pytest.mark.parametrize("word", ["fullorðinstönnin", "Ñandú", "한국어", "tiếng", "हिन्दी", "ქართული"])
def test_composed_or_decomposed_is_one_spelling(word: str) -> None:
    assert graphemes(unicodedata.normalize("NFD", word)) == graphemes(unicodedata.normalize("NFC", word)) != ()


@given(st.text())
def test_codes_are_safe_and_come_back(text: str) -> None:
    for grapheme in graphemes(text):
        code = phone_code(grapheme)
        assert code.isascii() and code.isalnum() and not code[0].isdigit() and phone_name(code) == grapheme


@given(st.lists(st.text(min_size=1), max_size=20))
def test_each_token_has_a_code_of_its_own_whatever_the_order(tokens: list[str]) -> None:
    one, other = Dictionary(tokens), Dictionary(reversed(tokens))
    assert one.codes == other.codes and len(set(one.codes.values())) == len(set(tokens))


def test_a_phone_that_the_model_does_not_know_leaves_the_word_without_a_pronunciation(tmp_path: Path) -> None:
    dictionary = Dictionary(["add", "dada", "cab"], known=frozenset("ad"))
    assert [w for w in ("add", "dada", "cab") if dictionary.speakable(w)] == ["add", "dada"]
    dictionary.write(tmp_path / "d", ["cab", "add"])
    assert (tmp_path / "d").read_text() == f"{dictionary.codes['add']}\ta d d\n"


def test_a_lexicon_is_found_by_any_spelling_of_the_word_and_may_have_several_pronunciations(tmp_path: Path) -> None:
    path = tmp_path / "lexicon.txt"
    path.write_text("DON'T\td oʊ n t\ndon't  d ə n\n\nété e t e\n", encoding="utf-8")
    lexicon = read_lexicon(path)
    dictionary = Dictionary(["don’t", unicodedata.normalize("NFD", "été"), "missing"], lexicon)
    assert dictionary.pronunciations["don’t"] == [("d", "oʊ", "n", "t"), ("d", "ə", "n")]
    assert dictionary.shortest("don’t") == 3 and dictionary.speakable(unicodedata.normalize("NFD", "été"))
    assert not dictionary.speakable("missing")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"word\n", "line 1: 'word' has no phones"),
        (b"a\tb\nword 0.5 w\n", "line 2: '0.5' cannot be a phone"),
        (b"word w 1\n", "'1' cannot be a phone"),
        (b"word spn\n", "'spn' cannot be a phone"),
        (b"\n", "no words in it"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_a_lexicon_that_mfa_would_misread_is_refused(tmp_path: Path, text: bytes, said: str) -> None:
    path = tmp_path / "lexicon.txt"
    path.write_bytes(text)
    with pytest.raises(StageError, match=said):
        read_lexicon(path)
