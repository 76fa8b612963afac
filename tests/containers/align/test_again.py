"""Words that were heard and placed elsewhere are found where they were heard: planted in the placements of a real reading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from align.again import look_again
from align.aligner import Aligner, Read
from align.aligners import make_aligner
from align.place import TokenPlace
from align.recognizer import HeardWord
from align.windows import Window, chains, windows
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


class Watched:
    """An aligner that keeps what it was asked for."""

    def __init__(self, aligner: Aligner) -> None:
        self.aligner, self.limits, self.cuts = aligner, aligner.limits, list[Window]()

    def place(self, read: Read, samples: int, words: Sequence[str], cuts: Sequence[Window], runs: Any) -> list[TokenPlace]:
        self.cuts = list(cuts)
        return self.aligner.place(read, samples, words, cuts, runs)

    def foreign(self, places: Sequence[TokenPlace]) -> str | None:
        return self.aligner.foreign(places)


def again(
    placed: list[TokenPlace], right: Placed, reading: Reading, heard: list[HeardWord] | None = None, stops: Sequence[int] = (),
    more: tuple[tuple[int, int], ...] = (), unheard: Sequence[int] = (), windows_made: int | None = None,
) -> list[TokenPlace]:
    samples, words = reading
    pairs = [*((i, i) for i in range(len(words)) if i not in unheard), *more]
    watched = Watched(right[2])
    after = [i in stops for i in range(len(words))]
    out = look_again(placed, pairs, heard or right[1], watched, lambda a, b: samples[a:b], len(samples), words, after)
    assert all(w.end_s - w.start_s < 3 for w in watched.cuts)
    assert windows_made is None or len(watched.cuts) == windows_made
    return out


def shifted(place: TokenPlace, by_s: float) -> TokenPlace:
    return replace(place, start_s=place.start_s + by_s, end_s=place.end_s + by_s, score=place.score - 2)


def test_what_lies_where_it_was_heard_stays(right: Placed, reading: Reading) -> None:
    assert again(right[0], right, reading, windows_made=0) == right[0]


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
        assert found[token].score > right[0][token].score - 0.5, "it has its neighbours' context"


def test_nothing_is_put_among_words_that_are_not_its_neighbours(right: Placed, reading: Reading) -> None:
    """It was heard in the pause after word 15."""
    assert right[0][16].start_s - right[0][15].end_s > 1
    elsewhere = list(right[1])
    elsewhere[7] = replace(elsewhere[7], start_s=right[0][15].end_s + 0.2, end_s=right[0][15].end_s + 0.4)
    placed = [p for p in right[0] if p.token != 7]
    assert again(placed, right, reading, elsewhere, range(27), windows_made=0) == placed


def test_words_on_both_sides_of_a_pause_are_looked_for_apart(right: Placed, reading: Reading) -> None:
    found = again([p for p in right[0] if p.token not in (15, 16)], right, reading, stops=[15], windows_made=2)
    assert [p.start_s for p in found] == pytest.approx([p.start_s for p in right[0]], abs=0.08)


def test_a_word_that_nobody_heard_leaves_its_neighbours_their_sound(right: Placed, reading: Reading) -> None:
    found = again([p for p in right[0] if p.token not in (4, 5, 6)], right, reading, unheard=[5], windows_made=2)
    assert [p.token for p in found] == [p.token for p in right[0] if p.token != 5]
    for token, place in ((4, found[4]), (6, found[5])):
        assert place.start_s == pytest.approx(right[0][token].start_s, abs=0.1)


@pytest.mark.parametrize("score", [3.0, -3.0])
def test_a_lost_word_does_not_lie_on_one_that_was_found(right: Placed, reading: Reading, score: float) -> None:
    """Word 20 lies over 7, and what was heard of it among strangers; 7 lies nowhere."""
    over = replace(right[0][20], start_s=right[0][7].start_s, end_s=right[0][7].end_s, score=score)
    placed = sorted([*(p for p in right[0] if p.token not in (7, 20)), over], key=lambda p: p.start_s)
    elsewhere = list(right[1])
    elsewhere[20] = replace(elsewhere[20], start_s=right[0][15].end_s + 0.2, end_s=right[0][15].end_s + 0.4)
    found = again(placed, right, reading, elsewhere, windows_made=1)
    assert [p.token for p in found] == [p.token for p in right[0] if p.token != 20]


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
    assert (7 in {p.token for p in again(later, right, reading, heard, [] if stop is None else [stop])}) == found
