"""Voice activity, windows, edges, acceptance: what stands between a decoder and a segment."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from align import sphinx_aligner
from align.accept import accept
from align.edges import HIDDEN_S, clear_cuts, close_gaps, open_gaps, refine, sounds
from align.find import find, near
from align.place import TokenPlace
from align.recognizer import HeardWord
from align.segment_types import AlignedWord
from align.vad import FRAME, RATE, Stretch, chunks, speech_probabilities, speech_stretches
from align.windows import LONGEST_S, chains, windows

Reading = tuple[NDArray[np.float32], list[str]]


def test_speech_is_found_and_silence_is_not(reading: Reading) -> None:
    samples = np.concatenate([np.zeros(3 * RATE, np.float32), reading[0], np.zeros(3 * RATE, np.float32)])
    found = speech_stretches(speech_probabilities([samples]), len(samples))
    assert found and found[0].start > 2.8 * RATE and found[-1].end < len(samples) - 2.5 * RATE
    assert sum(s.duration_s for s in found) > 0.6 * len(reading[0]) / RATE
    blocks = [samples[i : i + 7001] for i in range(0, len(samples), 7001)]
    assert speech_stretches(speech_probabilities(blocks), len(samples)) == found
    assert speech_stretches(speech_probabilities([np.zeros(RATE, np.float32)]), RATE) == []
    assert speech_stretches(speech_probabilities([]), 0) == []


@given(st.lists(st.floats(0, 1), max_size=400), st.floats(1, 20))
@settings(max_examples=60, deadline=None)
def test_stretches_and_pieces_are_in_order_and_bounded(probabilities: list[float], longest: float) -> None:
    p = np.array(probabilities, np.float32)
    samples = len(p) * FRAME
    stretches = speech_stretches(p, samples)
    pieces = chunks(stretches, p, longest, 0.6)
    for row in (stretches, pieces):
        assert all(0 <= s.start < s.end <= samples for s in row)
        assert all(a.end <= b.start for a, b in zip(row, row[1:], strict=False))
    assert all(s.duration_s <= longest + 1e-6 for s in pieces)
    assert all(any(c.start <= s.start and c.end >= min(s.end, s.start + 1) for c in pieces) for s in stretches)
    assert sum(s.duration_s for s in pieces) >= sum(s.duration_s for s in stretches) - 1e-6


def heard_at(words: list[str], pace_s: float = 0.4) -> list[HeardWord]:
    return [HeardWord(w, i * pace_s, i * pace_s + 0.35, None) for i, w in enumerate(words)]


@given(st.integers(20, 600), st.data())
@settings(max_examples=30, deadline=None)
def test_windows_give_each_token_at_most_one_place(n: int, data: st.DataObject) -> None:
    text = [f"w{i}" for i in range(n)]
    drop = data.draw(st.sets(st.integers(0, n - 1), max_size=n // 4))
    heard = heard_at([w for i, w in enumerate(text) if i not in drop])
    duration = len(heard) * 0.4 + 1.0
    made = windows(chains(find([h.word for h in heard], text, False), heard), n, duration)
    kept = [t for w in made for t in range(w.keep_first, w.keep_last)]
    assert len(kept) == len(set(kept))
    for w in made:
        assert w.first <= w.keep_first <= w.keep_last <= w.last <= n
        assert 0 <= w.start_s < w.end_s <= duration
        assert w.end_s - w.start_s < 2.5 * LONGEST_S


def test_a_paragraph_that_was_moved_starts_a_new_run() -> None:
    text = [f"w{i}" for i in range(80)]
    heard = heard_at(text[40:] + text[:40])
    runs = chains(find([h.word for h in heard], text, False), heard)
    assert [(run[0].token, run[-1].token) for run in runs] == [(40, 79), (0, 39)]


@pytest.mark.parametrize("independent", [False, True])
def test_what_changed_places_inside_a_stretch_is_found_in_a_second_look(independent: bool) -> None:
    text = [f"w{i}" for i in range(120)]
    heard = text[60:75] + text[:60] + text[75:]
    assert sorted(r for _, r in find(heard, text, independent)) == list(range(120))


@pytest.mark.parametrize("independent", [False, True])
def test_a_short_text_is_found_and_another_text_is_not(independent: bool) -> None:
    text = "the earth is nearly a hundred times lighter than the sun and much smaller".split()
    heard = "the earth is nearly hundred times lighter and the sun much smaller".split()
    assert len(find(heard, text, independent)) >= 9
    assert find("we are hosting some new events the sun from now and then".split(), text, independent) == []
    assert find([], text, independent) == find(heard, [], independent) == []


def test_a_sentence_beside_text_that_nobody_says_needs_a_recogniser_that_does_not_know_it() -> None:
    other = "la reconnaissance de la dignite inherente a tous les membres de la famille humaine".split()
    text = other + "the gardens are open to the public daily".split() + [f"{w}s" for w in other]
    heard = [f"v{i}" for i in range(30)] + "the gardens are open to the public daily".split() + [f"w{i}" for i in range(30)]
    assert find(heard, text, True) == [(30 + i, len(other) + i) for i in range(8)]
    assert find(heard, text, False) == [], "a decoder that is biased to the text says such a thing by itself"


def test_what_was_misheard_between_two_words_is_found_by_its_letters_and_something_else_is_not() -> None:
    text = "and during the medical assessments before the flight he slept".split()
    heard = "and during the medical assets meant before flies he slept".split()
    sure = [(i, i) for i in range(4)] + [(8, 8), (9, 9)]
    found = near(heard, text, sure)
    assert {text[r]: heard[h] for h, r in found} == {"assessments": "assets", "before": "before", "flight": "flies"}
    elsewhere = "and during the medical violin on his service he slept".split()
    assert near(elsewhere, text, sure) == []
    assert near(heard, text, []) == near(heard, text, sure[:1]) == []
    added = text[:8] + "though i cannot tell why those stage managers put me down for this shabby part".split() + text[8:]
    both_ends = [sure[3], (8, len(added) - 2)]
    assert {added[r]: heard[h] for h, r in near(heard, added, both_ends)} == {added[r]: heard[h] for h, r in found}
    ends = [(3, 3), (len(added) - 2, 8)]  # and the other way round: speech that the text lacks
    assert [text[r] for _, r in near(added, text, ends)] == text[4:8]


SAID = st.lists(st.text("abcdefg", min_size=1, max_size=7), max_size=14)


@given(SAID, SAID)
def test_what_is_found_by_letters_keeps_the_order_of_both_sides(heard: list[str], text: list[str]) -> None:
    heard, text = ["<s>", *heard, "</s>"], ["<s>", *text, "</s>"]
    ends = [(0, 0), (len(heard) - 1, len(text) - 1)]
    both = sorted(ends + near(heard, text, ends))
    assert all(a < b and c <= d for (c, a), (d, b) in itertools.pairwise(both))


def place(token: int, start: float, score: float = 0.5, anchored: bool = True, length: float = 0.3) -> TokenPlace:
    return TokenPlace(token, start, start + length, score, anchored)


def test_words_that_the_sound_refuses_are_given_up_with_a_reason() -> None:
    row = [place(i, i * 0.4, -11.0 if i == 6 else 0.3) for i in range(13)]
    words = [f"w{i}" for i in range(13)]
    runs, refused = accept(row, words, [(i, i + 1) for i in range(13)], (-2.5, -2.5), 3)
    assert "w6" not in [w.word for run in runs for w in run] and refused
    lonely, refused = accept([place(0, 0.0), place(5, 3.0)], words, [(i, i + 1) for i in range(13)], (-2.5, -2.5), 3)
    assert lonely == [] and len(refused) == 2


def test_a_word_that_was_heard_needs_less_of_the_sound() -> None:
    words = [f"w{i}" for i in range(9)]
    spans = [(i, i + 1) for i in range(9)]
    for score, unheard, believed in ((-3.0, 0, True), (-3.0, 1, False), (-2.0, 1, True), (-2.0, 5, False), (-4.0, 0, False)):
        row = [place(i, i * 0.4, score, anchored=abs(i - 4) * 2 >= unheard) for i in range(9)]
        runs, _ = accept(row, words, spans, (-1.7, -3.7), 3)
        assert ("w4" in [w.word for run in runs for w in run]) == believed, (score, unheard)


def test_a_word_that_was_not_heard_is_not_believed_for_its_neighbours_alone() -> None:
    words, spans = [f"w{i}" for i in range(9)], [(i, i + 1) for i in range(9)]
    for others, score, anchored, believed in (
        (1.0, -3.1, False, False), (1.0, -2.9, False, True), (1.0, -3.1, True, True), (-0.5, -4.4, False, True),
    ):  # fmt: skip
        row = [place(i, i * 0.4, score if i == 4 else others, anchored=anchored or i != 4, length=0.1) for i in range(9)]
        runs, refused = accept(row, words, spans, (-1.7, -3.7), 3)
        assert ("w4" in [w.word for run in runs for w in run]) == believed == (not refused)


def test_a_row_that_nobody_heard_is_not_believed() -> None:
    words = [f"w{i}" for i in range(6)]
    unheard = [place(i, i * 0.4, anchored=False) for i in range(6)]
    runs, _ = accept(unheard, words, [(i, i + 1) for i in range(6)], (-2.5, -2.5), 3)
    assert runs == []


def test_a_gap_that_the_sound_goes_through_is_no_pause() -> None:
    rng = np.random.default_rng(0)
    voiced = (0.2 * np.sin(2 * np.pi * 200 * np.arange(2 * RATE) / RATE)).astype(np.float32)
    voiced[RATE - 400 : RATE] *= 0.5  # the lowest level of the gap, 25 ms
    broken = voiced.copy()
    broken[RATE - 1600 : RATE + 1600] = rng.normal(0, 1e-4, 3200)
    words = [AlignedWord(0, "fun", 0, 3, 0.2, 0.85, 0.5, True), AlignedWord(1, "day", 4, 7, 1.15, 1.8, 0.5, True)]
    left, right = close_gaps(words, [], lambda a, b: voiced[a:b])
    assert left.end_s == right.start_s == pytest.approx(0.9875, abs=0.01)
    assert close_gaps(words, [], lambda a, b: broken[a:b]) == words
    assert close_gaps(words, [HeardWord("uh", 0.95, 1.05, None)], lambda a, b: voiced[a:b]) == words
    apart = [words[0], dataclasses.replace(words[1], start_s=1.5)]
    assert close_gaps(apart, [], lambda a, b: voiced[a:b]) == apart


def test_words_that_touch_are_parted_earlier_and_others_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    placed = [place(0, 1.0, length=0.5), place(1, 1.5, length=0.5), place(2, 2.1, length=0.015), place(3, 2.115, length=0.5)]
    monkeypatch.setattr(sphinx_aligner, "place_tokens", lambda *_: list(placed))
    out = sphinx_aligner.SphinxAligner().place(lambda a, b: np.zeros(b - a, np.float32), 3 * RATE, [], [], [])
    lag = sphinx_aligner.LAG_S
    assert (out[0].end_s, out[1].start_s) == (pytest.approx(1.5 - lag), pytest.approx(1.5 - lag))
    assert (out[0].start_s, out[1].end_s) == (1.0, placed[1].end_s) and out[2:] == placed[2:], "too short to give anything"


def test_a_pause_that_alignment_gave_to_a_word_is_one_where_the_text_stops() -> None:
    samples = np.random.default_rng(0).normal(0, 1e-4, 2 * RATE).astype(np.float32)
    tone = (0.2 * np.sin(2 * np.pi * 200 * np.arange(2 * RATE) / RATE)).astype(np.float32)
    for a, b in ((0.2, 0.8), (1.05, 1.8)):
        samples[int(a * RATE) : int(b * RATE)] = tone[int(a * RATE) : int(b * RATE)]
    words = [AlignedWord(0, "ground", 0, 6, 0.2, 0.78, 0.5, True), AlignedWord(1, "there", 8, 13, 0.78, 1.8, 0.5, True)]
    left, right = open_gaps(words, "ground. There", lambda a, b: samples[a:b])
    assert left.end_s == pytest.approx(0.8, abs=0.012) and right.start_s == pytest.approx(1.05, abs=0.012)
    longer = samples.copy()
    longer[int(1.0 * RATE) : int(1.6 * RATE)] = samples[int(0.8 * RATE)]
    _, right = open_gaps(words, "ground. There", lambda a, b: longer[a:b])
    assert right.start_s == pytest.approx(1.6, abs=0.012)
    assert open_gaps(words, "ground  there", lambda a, b: samples[a:b]) == words, "it may be a closure"
    shorter = [words[0], dataclasses.replace(words[1], start_s=0.84)]
    left, right = open_gaps(shorter, "ground  there", lambda a, b: samples[a:b])
    assert left.end_s == pytest.approx(0.8, abs=0.012) and right.start_s == pytest.approx(1.05, abs=0.012), "not here"
    for level in (0.2, 0.0):
        assert open_gaps(words, "ground. There", lambda a, b, level=level: tone[a:b] * level) == words  # type: ignore[misc]


def test_sound_between_words_is_found_where_the_background_is_far_under_it() -> None:
    rng = np.random.default_rng(0)
    tone = (0.2 * np.sin(2 * np.pi * 200 * np.arange(8 * RATE) / RATE)).astype(np.float32)
    samples = rng.normal(0, 1e-4, 8 * RATE).astype(np.float32)
    for a, b in ((1.0, 1.5), (1.5, 1.8), (2.0, 2.5), (5.0, 5.4), (5.48, 5.52)):  # the second and the last are no words
        samples[int(a * RATE) : int(b * RATE)] = tone[int(a * RATE) : int(b * RATE)]
    words = [AlignedWord(n, "one", 0, 3, a, b, 0.5, True) for n, (a, b) in enumerate(((1.0, 1.5), (2.0, 2.5), (5.0, 5.4)))]
    ((start, end),) = sounds(words, lambda a, b: samples[a:b], len(samples))
    assert start / RATE == pytest.approx(1.5, abs=0.012) and end / RATE == pytest.approx(1.8, abs=0.012)
    zeroed = samples.copy()
    zeroed[int(2.6 * RATE) : int(4.9 * RATE)] = 0.0
    assert sounds(words, lambda a, b: zeroed[a:b], len(zeroed)) == [(start, end)], "zeros make no sound of the background"
    noisy = samples + rng.normal(0, 0.03, len(samples)).astype(np.float32)
    assert sounds(words, lambda a, b: noisy[a:b], len(noisy)) == [] == sounds([], lambda a, b: samples[a:b], len(samples))


def test_it_is_clear_where_a_word_ends_if_sound_gives_way_to_quiet_there() -> None:
    rng = np.random.default_rng(0)
    samples = (0.2 * np.sin(2 * np.pi * 200 * np.arange(6 * RATE) / RATE)).astype(np.float32)
    # a closure, one that is too late, one and something soft, a pause
    for a, b in ((0.0, 0.5), (1.5, 1.55), (2.06, 2.1), (2.53, 2.6), (3.0, 3.2), (3.6, 6.0)):
        samples[int(a * RATE) : int(b * RATE)] = rng.normal(0, 1e-4, int(b * RATE) - int(a * RATE))
    times = ((0.5, 1.0), (1.0, 1.5), (1.5, 2.0), (2.0, 2.5), (2.64, 3.0), (3.2, 3.6))
    words = [AlignedWord(n, "one", 0, 3, a, b, 0.5, True) for n, (a, b) in enumerate(times)]
    assert clear_cuts(words, lambda a, b: samples[a:b], len(samples)) == [True, False, True, False, False, True]
    noisy = samples + rng.normal(0, 0.03, len(samples)).astype(np.float32)
    assert all(clear_cuts(words, lambda a, b: noisy[a:b], len(noisy))), "nothing can be said"
    long = (0.2 * np.sin(2 * np.pi * 200 * np.arange(12 * RATE) / RATE)).astype(np.float32)
    long[:RATE] = rng.normal(0, 1e-4, RATE)
    two = [AlignedWord(n, "one", 0, 3, a, a + 1.0, 0.5, True) for n, a in enumerate((5.0, 6.0))]
    assert clear_cuts(two, lambda a, b: long[a:b], len(long)) == [True, False], "nobody pauses for seconds around"
    cases = ((0.04, 0.12, True), (0.04, 0.04, False), (0.08, 0.08, False), (0.11, 0.11, True), (0.3, 0.1, False))
    for gap, quiet, is_clear in cases:
        times = ((0.5, 1.5 - gap / 2), (1.5 + gap / 2, 2.5))
        one = [AlignedWord(n, "one", 0, 3, a, b, 0.5, True) for n, (a, b) in enumerate(times)]
        samples = (0.2 * np.sin(2 * np.pi * 200 * np.arange(3 * RATE) / RATE)).astype(np.float32)
        for a, b in ((0.0, 0.5), (1.5 - quiet / 2, 1.5 + quiet / 2), (2.5, 3.0)):
            samples[round(a * RATE) : round(b * RATE)] = rng.normal(0, 1e-4, round(b * RATE) - round(a * RATE))
        assert clear_cuts(one, lambda a, b, s=samples: s[a:b], len(samples)) == [True, is_clear], gap  # type: ignore[misc]


def test_edges_at_pauses_go_to_where_the_level_changes() -> None:
    rng = np.random.default_rng(0)
    samples = rng.normal(0, 0.0005, 3 * RATE).astype(np.float32)
    tone = 0.2 * np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE)
    samples[RATE : 2 * RATE] += tone.astype(np.float32)

    def read(start: int, end: int) -> NDArray[np.float32]:
        return samples[start:end]

    moved = refine([place(0, 0.97, length=0.53), place(1, 1.5, length=0.56)], read, len(samples))
    assert abs(moved[0].start_s - 1.0) < 0.012 and abs(moved[1].end_s - 2.0) < 0.012
    assert moved[0].end_s == 1.5 and moved[1].start_s == 1.5  # no pause between them
    noise = rng.normal(0, 0.2, 3 * RATE).astype(np.float32)
    (hidden,) = refine([place(0, 1.0)], lambda a, b: noise[a:b], len(noise))
    assert hidden.start_s == 1.0 and hidden.end_s == pytest.approx(place(0, 1.0).end_s + HIDDEN_S)


def test_a_stretch_knows_its_length() -> None:
    assert Stretch(0, RATE).duration_s == 1.0
