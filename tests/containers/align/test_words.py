"""Pronunciations and the document's language model."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align.lm import write_document_lm
from align.pronounce import guess, pronunciations
from align.sphinx_model import load_dictionary, load_model

WORDS = st.lists(st.sampled_from(["a", "b", "c", "d", "e"]), min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("word", "phones"),
    [
        ("cat", "K AE T"), ("café", "K AH F EY"), ("nbc", "EH N B IY S IY"), ("airflow's", "EH R F L OW Z"),
        ("boss's", "B AO S IH Z"),
    ],  # fmt: skip
)
def test_pronunciations_of_known_words_and_their_forms(word: str, phones: str) -> None:
    assert tuple(phones.split()) in pronunciations(word)


def test_words_that_no_one_can_say_have_none() -> None:
    assert pronunciations("москва") == pronunciations("北京") == pronunciations("…") == pronunciations("x" * 50) == ()


def test_letter_to_sound_is_right_for_most_words_of_the_dictionary() -> None:
    words = [w for w in sorted(load_dictionary()) if w.isalpha() and len(w) > 3][::700]
    right = sum(any(g in load_dictionary()[w] for g in guess(w)) for w in words)
    assert right / len(words) > 0.75, f"{right} of {len(words)}"


@given(st.text(max_size=20))
@settings(max_examples=50, deadline=None)
def test_any_token_gives_phones_of_the_model(token: str) -> None:
    names = set(load_model().phones)
    assert all(p and set(p) <= names for p in pronunciations(token.lower()))


def read_arpa(path: Path) -> dict[tuple[str, ...], tuple[float, float]]:
    out = {}
    for line in path.read_text().splitlines():
        parts = line.split()
        if len(parts) > 1 and parts[0].lstrip("-").replace(".", "").isdigit():
            has_backoff = not parts[-1].replace("'", "").isalpha() and parts[-1] not in ("<s>", "</s>")
            words = parts[1:-1] if has_backoff else parts[1:]
            out[tuple(words)] = (10 ** float(parts[0]), 10 ** float(parts[-1]) if has_backoff else 1.0)
    return out


@given(WORDS)
@settings(max_examples=40, deadline=None)
def test_probabilities_after_any_history_sum_to_one(tmp_path_factory: pytest.TempPathFactory, words: list[str]) -> None:
    path = tmp_path_factory.mktemp("lm") / "x.arpa"
    vocabulary = write_document_lm(path, words, {"the": 0.6, "a": 0.4})
    grams = read_arpa(path)

    def p(history: tuple[str, ...], word: str) -> float:
        if (*history, word) in grams:
            return grams[(*history, word)][0]
        return grams.get(history, (0.0, 1.0))[1] * p(history[1:], word) if history else 0.0

    assert math.isclose(sum(p((), w) for w in [*vocabulary, "</s>"]), 1.0, abs_tol=1e-3)
    for history in [(words[0],), tuple(words[:2])]:
        total = sum(p(history, w) for w in [*vocabulary, "</s>"])
        assert math.isclose(total, 1.0, abs_tol=2e-3), (history, total)


def test_the_model_prefers_what_the_document_says(tmp_path: Path) -> None:
    text = "the cat sat on the mat".split()
    write_document_lm(tmp_path / "x.arpa", text, {"the": 1.0, "dog": 0.5})
    grams = read_arpa(tmp_path / "x.arpa")
    assert grams["on", "the", "mat"][0] > grams["the", "mat"][0] > grams["mat",][0] > grams["dog",][0]
    assert Counter(len(g) for g in grams) == {1: 8, 2: 5, 3: 4}


def test_no_words_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one word"):
        write_document_lm(tmp_path / "x.arpa", [], {})
