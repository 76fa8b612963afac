"""The figures say what was planted, the corpora's truth is the engine's and the labels', and the table holds every aligner."""

from __future__ import annotations

import ctypes.util
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sentence_rows import wav
from signal_tools import RATE, load
from speak import match, spoken_pieces, usable
from word_corpora import Utterance, digits, edges, hand_labelled, swapped, synthetic
from word_figures import against_each_other, against_truth, auc, by_sentence, sentence_score, summary, swap_auc

ESPEAK = ctypes.util.find_library("espeak-ng")
needs_espeak = pytest.mark.skipif(not ESPEAK, reason="eSpeak NG is not installed (apt-get install espeak-ng)")


TIMES = ((0.1, 0.5), (0.6, 1.0))


def utterance(name: str = "u", text: str = "one two", truth: tuple[tuple[float, float], ...] | None = TIMES) -> Utterance:
    return Utterance(name, "s", "en", text, wav(np.zeros(RATE)), 1.0, truth)


def rows(of: Utterance, times: list[tuple[float, float]], score: float = -1.0) -> list[dict[str, object]]:
    return [{"sentence_id": of.id, "index": i, "start_s": s, "end_s": e, "score": score} for i, (s, e) in enumerate(times)]


def test_planted_errors_are_measured() -> None:
    one, lost = utterance("a"), utterance("b")
    words = by_sentence(rows(one, [(0.125, 0.5), (0.55, 1.2)]))
    errors = against_truth([one, lost], words)
    assert (errors.words, errors.aligned) == (4, 2)
    assert errors.starts == pytest.approx([25.0, -50.0]) and errors.ends == pytest.approx([0.0, 200.0])
    starts = summary(errors.starts)
    assert starts is not None and starts.n == 2
    assert (starts.mean_ms, starts.median_ms, starts.bias_ms, starts.typical_ms) == pytest.approx((37.5, 37.5, -12.5, -12.5))
    assert starts.within == (0.0, 0.5, 1.0, 1.0)
    assert summary([]) is None


def test_a_boundary_without_a_truth_is_not_measured() -> None:
    one = Utterance("a", "s", "en", "one two", b"", 1.0, ((0.1, None), (None, 1.0)))
    errors = against_truth([one], by_sentence(rows(one, [(0.1, 0.5), (0.6, 1.0)])))
    assert (len(errors.starts), len(errors.ends)) == (1, 1)


def test_aligners_are_compared_over_the_words_that_both_have() -> None:
    one, other = utterance("a"), utterance("b")
    mine = by_sentence([*rows(one, [(0.1, 0.5), (0.6, 1.0)]), *rows(other, [(0.1, 0.5), (0.6, 1.0)])])
    theirs = by_sentence(rows(one, [(0.11, 0.5)]))
    assert against_each_other(mine, theirs).starts == pytest.approx([-10.0])


def test_auc_is_the_chance_of_a_right_text_to_score_higher() -> None:
    assert auc([3, 4], [1, 2]) == 1.0 and auc([1, 2], [3, 4]) == 0.0 and auc([1, 1], [1]) == 0.5
    rng = random.Random(1)
    right, wrong = ([rng.choice(range(20)) + d for _ in range(200)] for d in (3, 0))
    pairs = [(r > w) + 0.5 * (r == w) for r in right for w in wrong]
    assert auc(right, wrong) == pytest.approx(sum(pairs) / len(pairs))


def test_a_sentence_that_was_not_aligned_scores_lowest() -> None:
    assert sentence_score([]) == float("-inf")
    assert sentence_score([{"start_s": 0, "end_s": 3, "score": -1}, {"start_s": 3, "end_s": 4, "score": -5}]) == -2.0
    kept, lost = utterance("a"), utterance("b")
    assert swap_auc([kept, lost], {"b"}, by_sentence(rows(kept, [(0.1, 0.5)]))) == (1.0, 1, 1)


def test_swaps_exchange_texts_of_like_length_and_drop_their_truth() -> None:
    all_of = [utterance(f"u{i}", " ".join(["word"] * (2 + i // 2) + [str(i)]), None) for i in range(20)]
    made, wrong = swapped(all_of, 0.3)
    assert len(wrong) == 6 and sorted(u.text for u in made) == sorted(u.text for u in all_of)
    changed = {u.name for u, v in zip(made, all_of, strict=True) if u.text != v.text}
    assert changed == wrong and swapped(all_of, 0.3)[1] == wrong
    assert all(abs(len(u.text) - len(v.text)) <= 5 for u, v in zip(made, all_of, strict=True))


def test_pieces_of_a_text_are_its_words_without_punctuation() -> None:
    text = "«Да», сказал он — и ушёл."
    assert [text[a:b] for a, b in spoken_pieces(text)] == ["Да", "сказал", "он", "и", "ушёл"]
    assert not usable("only 2 of them came") and not usable("too short") and usable("that is long enough")


def test_a_sentence_of_which_two_words_are_said_as_one_has_no_times() -> None:
    assert match("of the year", [(0, 2, 0.0, 0.1), (3, 6, 0.1, 0.2), (7, 11, 0.2, 0.5)]) is not None
    assert match("of the year", [(0, 6, 0.0, 0.2), (7, 11, 0.2, 0.5)]) is None
    assert match("of the", [(0, 2, 0.0, 0.1), (4, 6, 0.1, 0.2)]) is None


@needs_espeak
def test_the_synthesiser_gives_the_same_corpus_twice_with_times_inside_it(tmp_path: Path) -> None:
    one, again = synthetic("hi", 6, tmp_path / "a"), synthetic("hi", 6, tmp_path / "b")
    assert [u.id for u in one] == [u.id for u in again] and len({u.speaker for u in one}) == 6
    for u in one:
        assert u.truth is not None and len(u.truth) == len(u.text.split())
        flat = [t for pair in u.truth for t in pair if t is not None]
        assert flat == sorted(flat) and 0.1 <= flat[0] and flat[-1] <= u.duration_s - 0.1


@needs_espeak
def test_the_times_are_those_of_the_sound(tmp_path: Path) -> None:
    """Before the first word and after the last there is only the noise that was put under everything."""
    for u in synthetic("en", 4, tmp_path / "a"):
        (tmp_path / "u.wav").write_bytes(u.audio)
        samples = load(tmp_path / "u.wav")
        assert u.truth is not None
        first, last = u.truth[0][0], u.truth[-1][1]
        level = [float(np.sqrt(np.mean(part**2))) for part in np.split(samples, [round(first * RATE), round(last * RATE)])]  # type: ignore[operator]
        assert level[1] > 3 * level[0]


def test_the_library_of_the_synthesiser_is_loaded_by_no_module_but_its_tools() -> None:
    code = f"import sys; sys.path[:0] = {sys.path!r}; import word_corpora, word_figures; print('espeak' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_ends_of_a_word_said_alone_are_found_by_level() -> None:
    rng = np.random.default_rng(1)
    clip = rng.normal(0, 1e-4, RATE).astype(np.float32)
    clip[4000:9600] += rng.normal(0, 0.1, 5600).astype(np.float32)
    assert edges(clip) == pytest.approx((0.25, 0.6), abs=0.011)
    assert edges(clip[4000:]) is None  # it begins with the word
    assert edges(rng.normal(0, 0.1, RATE).astype(np.float32)) is None


def test_digits_stand_where_the_truth_says() -> None:
    for u in digits(4):
        assert u.truth is not None and len(u.truth) == 5 == len(u.text.split())
        times = [t for pair in u.truth for t in pair]
        assert times == sorted(times) and times[-1] <= u.duration_s  # type: ignore[type-var, operator]


def test_hand_labels_are_read_and_shared_sounds_are_not_taken_as_known() -> None:
    found = {u.name: u for u in hand_labelled()}
    assert len(found) == 9 and sum(len(u.truth or ()) for u in found.values()) == 62
    assert found["mary"].text == "mary rolled the barrel"
    assert found["mary"].truth[2] == pytest.approx((0.98391, 1.06373), abs=1e-4)  # type: ignore[index]
    assert found["bobby"].text == "bobby ripped the ledger"
    considered, beautiful = found["msajc003"].truth[5:7]  # type: ignore[index]
    assert considered[1] is None and beautiful[0] is None and beautiful[1] == pytest.approx(2.604, abs=1e-3)
