"""The search finds what was said in what was written, and nothing else."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align.search import Island, SearchParams, search

VOCABULARY = 3000


def prose(count: int, seed: int) -> list[str]:
    """Words with English-like (Zipf) frequencies, so that a few are everywhere and most are rare."""
    rng = random.Random(seed)
    weights = [1 / (rank + 2.7) for rank in range(VOCABULARY)]
    return rng.choices([f"w{i}" for i in range(VOCABULARY)], weights, k=count)


def heard(words: list[str], origin: list[int], wer: float, rng: random.Random) -> tuple[list[str], dict[int, int]]:
    """Substitutions, deletions and insertions by words of the same text; truth as hypothesis index -> transcript index."""
    out: list[str] = []
    truth: dict[int, int] = {}
    for word, at in zip(words, origin, strict=True):
        dice = rng.random()
        if dice < 0.6 * wer:
            out.append(rng.choice(words))
        elif dice < 0.8 * wer:
            out += [rng.choice(words), word]
            truth[len(out) - 1] = at
        elif dice >= wer:
            out.append(word)
            truth[len(out) - 1] = at
    return out, {h: r for h, r in truth.items() if r >= 0}


def found(islands: list[Island]) -> dict[int, int]:
    return {int(h): int(r) for island in islands for h, r in island.pairs}


def recall(truth: dict[int, int], got: dict[int, int]) -> float:
    return sum(got.get(h) == r for h, r in truth.items()) / max(1, len(truth))


def precision(truth: dict[int, int], got: dict[int, int]) -> float:
    return sum(truth.get(h) == r for h, r in got.items()) / max(1, len(got))


def check_form(islands: list[Island], hypothesis: list[str], transcript: list[str]) -> None:
    """What holds for every answer, right or wrong."""
    end = 0
    for island in islands:
        assert end <= island.hyp_start < island.hyp_end <= len(hypothesis)
        end = island.hyp_end
        assert 0 <= island.ref_start < island.ref_end <= len(transcript)
        assert island.pairs.shape == (len(island.pairs), 2) and len(island.pairs)
        assert (np.diff(island.pairs, axis=0) > 0).all()
        assert island.hyp_start <= island.pairs[0, 0] and island.pairs[-1, 0] < island.hyp_end
        assert island.ref_start <= island.pairs[0, 1] and island.pairs[-1, 1] < island.ref_end
        assert all(hypothesis[h] == transcript[r] for h, r in island.pairs)


def test_nothing_in_nothing_out() -> None:
    assert search([], []) == search(["a"], []) == search([], ["a"]) == []
    assert search(["a", "b"], ["c", "d"]) == []


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 400), st.integers(1, 60), st.integers(0, 2**32))
def test_a_text_is_found_in_itself(count: int, vocabulary: int, seed: int) -> None:
    rng = random.Random(seed)
    words = [f"w{rng.randrange(vocabulary)}" for _ in range(count)]
    (island,) = search(words, words)
    assert (island.hyp_start, island.hyp_end, island.ref_start, island.ref_end) == (0, count, 0, count)
    assert (island.pairs == np.arange(count)[:, None]).all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from("abcdefgh"), max_size=120), st.lists(st.sampled_from("abcdefghx"), max_size=120))
def test_any_two_word_lists_give_a_well_formed_answer(hypothesis: list[str], transcript: list[str]) -> None:
    check_form(search(hypothesis, transcript), hypothesis, transcript)


@settings(max_examples=25, deadline=None)
@given(st.integers(300, 3000), st.floats(0, 0.4), st.integers(0, 2**32))
def test_recognition_errors(count: int, wer: float, seed: int) -> None:
    words = prose(count, seed)
    hypothesis, truth = heard(words, list(range(count)), wer, random.Random(seed))
    islands = search(hypothesis, words)
    check_form(islands, hypothesis, words)
    got = found(islands)
    missed = sum(got.get(h) != r for h, r in truth.items())
    wrong = sum(truth.get(h) != r for h, r in got.items())
    assert missed <= 0.02 * len(truth) + 8
    assert wrong <= 0.03 * len(got) + 8


@settings(max_examples=25, deadline=None)
@given(st.integers(7, 27), st.floats(0, 0.3), st.integers(0, 2**32))
def test_blocks_missing_added_and_shuffled(paragraphs: int, wer: float, seed: int) -> None:
    rng = random.Random(seed)
    count = 150 * paragraphs
    words = prose(count, seed)
    blocks = [range(i, i + 150) for i in range(0, count, 150)]
    written = [b for b in blocks if rng.random() > 0.2]
    place = {i: k for k, i in enumerate(i for b in written for i in b)}
    spoken = [b for b in blocks if rng.random() > 0.2]
    rng.shuffle(spoken)
    said = [i for b in spoken for i in b]
    hypothesis, truth = heard([words[i] for i in said], [place.get(i, -1) for i in said], wer, rng)
    transcript = [words[i] for i in place]
    islands = search(hypothesis, transcript)
    check_form(islands, hypothesis, transcript)
    got = found(islands)
    assert recall(truth, got) >= 0.96
    assert precision(truth, got) >= 0.95
    # what is not said is not claimed: at most bursts at the edges of blocks
    unsaid = set(range(len(transcript))) - set(truth.values())
    spurious = sum(r in unsaid for r in got.values())
    assert spurious <= 0.02 * max(1, len(got))


def test_a_second_reading_takes_the_same_transcript_words() -> None:
    words = prose(600, 1)
    hypothesis = words[:400] + words[100:400] + words[400:]
    islands = search(hypothesis, words)
    check_form(islands, hypothesis, words)
    got = found(islands)
    assert len(got) >= 0.98 * len(hypothesis)
    times = Counter(got.values())
    assert sum(times[i] == 2 for i in range(100, 400)) >= 290
    assert all(times[i] == 1 for i in range(0, 90)) and all(times[i] == 1 for i in range(410, 600))


def test_transcript_written_twice_but_said_once_is_claimed_once() -> None:
    words = prose(300, 2)
    islands = search(words, words + words)
    assert len(found(islands)) == 300
    assert max(Counter(found(islands).values()).values()) == 1


def test_boilerplate_does_not_confuse_the_order() -> None:
    words, phrase = prose(6000, 3), prose(30, 4)
    text = [w for i in range(0, 6000, 100) for w in words[i : i + 100] + phrase]
    hypothesis, truth = heard(text, list(range(len(text))), 0.2, random.Random(5))
    got = found(search(hypothesis, text))
    assert recall(truth, got) >= 0.99 and precision(truth, got) >= 0.98


@pytest.mark.parametrize(("period", "times"), [(300, 60), (40, 100), (1, 2000)])
def test_a_text_that_repeats_itself_throughout(period: int, times: int) -> None:
    """Which of the equal copies is meant cannot be known; that the words are there can."""
    text = prose(period, 11) * times
    (island,) = search(text, text)
    assert len(island.pairs) == len(text)
    if period > 1:
        hypothesis, truth = heard(text, list(range(len(text))), 0.2, random.Random(12))
        islands = search(hypothesis, text)
        check_form(islands, hypothesis, text)
        assert len(found(islands)) >= 0.97 * len(truth)


def test_a_burst_of_errors_stays_inside_the_island() -> None:
    """The text under a burst is the acoustic aligner's to judge: the search must not drop it."""
    words = prose(400, 6)
    hypothesis = [*words[:200], *[f"x{i}" for i in range(25)], *words[225:]]
    (island,) = search(hypothesis, words)
    assert (island.ref_start, island.ref_end) == (0, 400) and len(island.pairs) == 375


def test_a_paragraph_that_was_not_said_lies_outside_every_island() -> None:
    words = prose(400, 7)
    first, second = search(words[:150] + words[250:], words)
    assert first.ref_end == 150 and second.ref_start == 250


def test_first_and_last_words_misheard() -> None:
    words = prose(60, 8)
    (island,) = search(["x", "y", *words[2:-1], "z"], words)
    assert (island.hyp_start, island.hyp_end, island.ref_start, island.ref_end) == (0, 60, 0, 60)


@pytest.mark.parametrize("seed", range(5))
def test_unrelated_words_give_nothing(seed: int) -> None:
    """Same vocabulary, same frequencies, other text."""
    assert search(prose(5000, 2 * seed), prose(5000, 2 * seed + 1)) == []


@pytest.mark.parametrize("size", [1000, 10_000])
def test_a_decoder_that_babbles_the_documents_own_trigrams_gives_almost_nothing(size: int) -> None:
    """The hypothesis of other speech under this document's language model is made of the document's own phrases."""
    words = prose(size, 9)
    following: dict[tuple[str, str], list[int]] = {}
    for i in range(len(words) - 2):
        following.setdefault((words[i], words[i + 1]), []).append(i + 2)
    rng = random.Random(10)
    hypothesis: list[str] = []
    at = 1
    while len(hypothesis) < size:
        hypothesis.append(words[at])
        options = following.get((words[at - 1], words[at]), [])
        at = rng.choice(options) if options and rng.random() < 0.8 else rng.randrange(1, size)
    assert sum(len(i.pairs) for i in search(hypothesis, words)) <= 0.02 * size


@pytest.mark.parametrize("text", ["yes", "go forward ten meters", "ask not what your country can do for you"])
def test_a_very_short_text_is_found(text: str) -> None:
    words = text.split()
    (island,) = search(words, words)
    assert len(island.pairs) == len(words)


def test_parameters_are_honoured() -> None:
    words = prose(400, 6)
    hypothesis = [*words[:200], *[f"x{i}" for i in range(25)], *words[225:]]
    assert len(search(hypothesis, words, SearchParams(bridge_words=10))) == 2
