"""Words of every script come apart into letters that sound, however they were typed."""

import doctest
import unicodedata

import pytest

from stagekit.errors import StageError
from words import lexicon, units
from words.units import OTHER, SIL, Speller, count, inventory, spell


def test_the_examples_in_the_documentation_hold() -> None:
    assert doctest.testmod(units).failed == 0


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("naïve", list("naïve")),
        ("Straße", list("straße")),
        ("rock-’n’-roll", list("rocknroll")),
        ("việt", ["v", "i", "ệ", "t"]),
        ("ёлка", list("ёлка")),
        ("هٰذَا", ["ه", "ٰ", "ذ", "َ", "ا"]),
        ("سُكُّر", ["س", "ُ", "كّ", "ُ", "ر"]),
        ("שָׁלוֹם", None),
        ("हिन्दी", ["ह", "ि", "न", "द", "ी"]),
        ("क़लम", ["क़", "ल", "म"]),
        ("เกม", ["ก", "เ", "ม"]),
        ("น้ำ", ["น", "ำ"]),
        ("ກ່ອນ", ["ກ", "ອ", "ນ"]),
        ("中文", ["中", "文"]),
        ("한국", ["ᄒ", "ᅡ", "ᆫ", "ᄀ", "ᅮ", "ᆨ"]),
        ("カメラー", ["カ", "メ", "ラ", "ー"]),
        ("თბილისი", list("თბილისი")),
        ("mp3-плеер", ["m", "p", *"плеер"]),
        ("1984", []),
        ("👍", []),
        ("'", []),
        ("", []),
    ],
)
def test_a_word_becomes_its_letters(word: str, expected: list[str] | None) -> None:
    got = spell(word)
    assert got == spell(unicodedata.normalize("NFD", word)) == spell(unicodedata.normalize("NFC", word))
    if expected is not None:
        assert got == [unicodedata.normalize("NFC", u) for u in expected]
    assert all(unicodedata.category(u[0])[0] in "LM" for u in got)


def test_rare_letters_lose_their_marks_then_their_name() -> None:
    seen = count(["été"] * 10 + ["où"] + ["ж"])
    mapping = inventory(seen, 5)
    assert mapping["é"] == "é"
    assert mapping["ù"] == OTHER  # u is as rare as ù
    assert mapping["ж"] == OTHER
    assert inventory(count(["tu"] * 9 + ["où"]), 5)["ù"] == "u"


def test_a_lexicon_goes_before_the_spelling() -> None:
    speller = Speller([SIL, OTHER, "a", "b", "IY"], {"a": "a", "b": "b"}, {"be": [["b", "IY"], ["b", "EH"]]})
    assert speller("be") == [[3, 4], [3, 1]]
    assert speller("ab") == [[2, 3]]
    assert speller("á") == [[2]], "a letter that training never saw loses its marks"
    assert speller("7") == [[1]]


def test_what_a_lexicon_may_hold(tmp_path) -> None:
    path = tmp_path / "lexicon.dict"
    path.write_text("Tea\tT IY\nTEA 0.4 T EY\n\n", encoding="utf-8")
    assert lexicon.read_lexicon(path) == {"tea": [["T", "IY"], ["T", "EY"]]}
    for text, said in (("tea\n", "no phones"), ("tea T spn\n", "cannot be a phone"), ("\n", "no words")):
        path.write_text(text)
        with pytest.raises(StageError, match=said):
            lexicon.read_lexicon(path)
    path.write_bytes(b"t\xff T")
    with pytest.raises(StageError, match="not UTF-8"):
        lexicon.read_lexicon(path)
