"""Evidence of a recogniser that knew nothing of the document, word by word."""

from __future__ import annotations

import pytest

from align.evidence import doubts, heard_speech, unexplained, with_sound
from align.place import TokenPlace
from align.recognizer import HeardWord
from align.segment_types import AlignedWord, Stretch
from stagekit.tables import SAMPLE_RATE, Reason

SECOND = SAMPLE_RATE


def places(*words: tuple[int, float, float, bool]) -> list[TokenPlace]:
    return [TokenPlace(token, start, end, 0.0, heard, ((1, 4),) * 5) for token, start, end, heard in words]


def word(token: int, start_s: float, end_s: float) -> AlignedWord:
    return AlignedWord(token, f"w{token}", token * 3, token * 3 + 2, start_s, end_s, 0.0, True)


USE, FILTERING = HeardWord("use", 1.0, 1.3, None), HeardWord("filtering", 2.0, 2.5, None)
PAIRS = [(0, 0), (1, 2)]


@pytest.mark.parametrize(
    ("start_s", "end_s", "speech", "refused"),
    [
        (1.3, 1.9, [(0, 3 * SECOND)], False),
        (1.3, 1.9, [(0, SECOND + 4800), (2 * SECOND, 3 * SECOND)], True),
        (1.15, 1.95, [(0, 3 * SECOND)], True),
    ],
    ids=["said", "in a pause", "too slow for five phones"],
)
def test_a_word_that_the_recogniser_left_out(start_s: float, end_s: float, speech: list[tuple[int, int]], refused: bool) -> None:
    placed = places((0, 1.0, start_s, True), (1, start_s, end_s, False), (2, 2.0, 2.5, True))
    (before, between, after) = doubts(placed, PAIRS, [USE, FILTERING], speech)
    assert (before, after) == ("", "") and bool(between) == refused


def test_two_words_that_nobody_heard_are_doubted_in_speech_too() -> None:
    placed = places((0, 1.0, 1.3, True), (1, 1.35, 1.6, False), (2, 1.65, 1.9, False), (3, 2.0, 2.5, True))
    found = doubts(placed, [(0, 0), (1, 3)], [USE, FILTERING], [(0, 3 * SECOND)])
    assert [bool(why) for why in found] == [False, True, True, False]


def test_a_word_far_from_where_it_was_heard_is_doubted() -> None:
    assert "from where it was heard" in doubts(places((0, 3.0, 3.4, True)), [(0, 0)], [USE], [(0, 4 * SECOND)])[0]


@pytest.mark.parametrize(("pause_s", "refused"), [(0.0, False), (0.4, True)])
def test_words_squeezed_by_the_recogniser_lie_where_the_row_has_them(pause_s: float, refused: bool) -> None:
    """Its times of "by the" are wrong: they follow on "dominated", and "sheet" on them. Across a pause nobody knows."""
    heard = [
        HeardWord("dominated", 1.0, 1.0, None),
        HeardWord("by", 1.0, 1.0, None),
        HeardWord("sheet", 2.3 + pause_s, 3.0, None),
    ]
    placed = places((0, 1.0, 1.6, True), (1, 1.62, 2.2, True), (2, 2.25 + pause_s, 3.0, True))
    assert [bool(why) for why in doubts(placed, [(0, 0), (1, 1), (2, 2)], heard, [(0, 3 * SECOND)])] == [False, refused, False]


@pytest.mark.parametrize(("end_s", "tokens", "there"), [(3.0, 2, True), (3.0, 1, False), (1.4, 2, True)])
def test_between_words_that_are_no_neighbours_speech_stays_speech(end_s: float, tokens: int, there: bool) -> None:
    """Two seconds of voice activity: a missing word of the text is in them, or nothing but breath."""
    words = [word(0, 0.5, 1.0), word(tokens, end_s, end_s + 0.5)]
    speech = [(0, 4 * SECOND)]
    gap = (SECOND, round(end_s * SECOND))
    assert (gap in heard_speech(speech, words, [])) == there
    refused = [Stretch(gap[0] + 160, gap[1] - 160, Reason.LOW_ALIGNMENT_SCORE, "x")]
    assert bool(with_sound(refused, [], words, speech)) == there


def test_in_a_pause_between_words_that_are_no_neighbours_nobody_spoke() -> None:
    words, speech = [word(0, 0.5, 1.0), word(2, 3.0, 3.5)], [(0, SECOND + 1600), (3 * SECOND - 1600, 4 * SECOND)]
    assert heard_speech(speech, words, []) == [(SECOND // 2, SECOND), (3 * SECOND, 7 * SECOND // 2)]


def test_what_was_heard_and_is_no_accepted_word_is_unexplained() -> None:
    assert unexplained(PAIRS, [USE, FILTERING], [word(0, 1.0, 1.3)]) == [FILTERING]
