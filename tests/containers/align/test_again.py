"""Words that were heard and placed elsewhere are found where they were heard: planted in the placements of a real reading."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from align.again import look_again
from align.aligner import Aligner
from align.aligners import make_aligner
from align.place import TokenPlace
from align.recognizer import HeardWord
from align.windows import chains, windows
from stagekit.tables import SAMPLE_RATE

Reading = tuple[NDArray[np.float32], list[str]]
Placed = tuple[list[TokenPlace], list[HeardWord], Aligner]


@pytest.fixture(scope="module")
def right(reading: Reading) -> Placed:
    """Placements of all words of the reading, and the same as what was heard."""
    samples, words = reading
    aligner = make_aligner("moonshine", "en", None)
    evenly = [HeardWord(w, i * 12 / len(words), (i + 1) * 12 / len(words), None) for i, w in enumerate(words)]
    runs = chains([(i, i) for i in range(len(words))], evenly)
    cuts = windows(runs, len(words), len(samples) / SAMPLE_RATE)
    placed = aligner.place(lambda a, b: samples[a:b], len(samples), words, cuts, runs)
    assert [p.token for p in placed] == list(range(len(words)))
    return placed, [HeardWord(words[p.token], p.start_s, p.end_s, p.score) for p in placed], aligner


def again(
    placed: list[TokenPlace], right: Placed, reading: Reading, heard: list[HeardWord] | None = None, stop: int | None = None,
    more: tuple[tuple[int, int], ...] = (),
) -> list[TokenPlace]:
    samples, words = reading
    pairs = [*((i, i) for i in range(len(words))), *more]
    stops = [i == stop for i in range(len(words))]
    return look_again(placed, pairs, heard or right[1], right[2], lambda a, b: samples[a:b], len(samples), words, stops)


def shifted(place: TokenPlace, by_s: float) -> TokenPlace:
    return replace(place, start_s=place.start_s + by_s, end_s=place.end_s + by_s, score=place.score - 2)


def test_what_lies_where_it_was_heard_stays(right: Placed, reading: Reading) -> None:
    assert again(right[0], right, reading) == right[0]


@pytest.mark.parametrize("lost", [[0], [7], [12, 13], [5, 20]])
@pytest.mark.parametrize("left_out", [False, True])
def test_a_word_far_from_where_it_was_heard_is_found_there(
    right: Placed, reading: Reading, lost: list[int], left_out: bool
) -> None:
    placed = [p for p in right[0] if p.token not in lost]
    if not left_out:  # seconds away, as in the noise of a pause
        placed = sorted([*placed, *(shifted(right[0][t], 0.8 + 14 - t / 10) for t in lost)], key=lambda p: p.start_s)
    found = again(placed, right, reading)
    assert [p.token for p in found] == [p.token for p in right[0]]
    for token in lost:
        assert found[token].start_s == pytest.approx(right[0][token].start_s, abs=0.08)
        assert found[token].end_s == pytest.approx(right[0][token].end_s, abs=0.08)
        assert found[token].anchored


def test_nothing_is_put_among_words_that_are_not_its_neighbours(right: Placed, reading: Reading) -> None:
    elsewhere = list(right[1])
    elsewhere[7] = replace(elsewhere[7], start_s=elsewhere[20].start_s, end_s=elsewhere[20].end_s)
    placed = [p for p in right[0] if p.token != 7]
    assert again(placed, right, reading, elsewhere) == placed


def test_a_word_heard_twice_is_left_to_the_first_look(right: Placed, reading: Reading) -> None:
    placed = [p for p in right[0] if p.token != 7]
    assert again(placed, right, reading, more=((8, 7),)) == placed


@pytest.mark.parametrize(("stop", "found"), [(None, False), (6, False), (7, True)])
def test_a_word_is_near_the_next_unless_a_stop_parts_them(
    right: Placed, reading: Reading, stop: int | None, found: bool
) -> None:
    """The word after it lies two seconds later."""
    later = [shifted(p, 2.0) if p.token > 7 else p for p in right[0] if p.token != 7]
    heard = [replace(h, start_s=h.start_s + 2, end_s=h.end_s + 2) if i > 7 else h for i, h in enumerate(right[1])]
    assert (7 in {p.token for p in again(later, right, reading, heard, stop)}) == found
