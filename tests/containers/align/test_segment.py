"""Segments are cut where people pause, and every sample is accounted for."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align.segment import AlignedWord, SegmentDraft, SegmentParams, Stretch, segment
from align.segment_cuts import boundary_kind
from stagekit.tables import SAMPLE_RATE, Reason

PARAMS = SegmentParams()
Speech = list[tuple[int, int]]


def say(text: str, gaps: Sequence[float] = (), word_s: float = 0.3, at: float = 0.5) -> list[AlignedWord]:
    """Words of ``text`` one after the other; ``gaps[i]`` seconds after word i (0 where the list ends)."""
    out: list[AlignedWord] = []
    position = 0
    for i, raw in enumerate(text.split()):
        start = text.index(raw, position)
        bare = raw.strip("\"'“”.,;:!?()")
        inner = start + raw.index(bare)
        out.append(AlignedWord(i, bare.lower(), inner, inner + len(bare), at, at + word_s, 0.0, True))
        position = start + len(raw)
        at += word_s + (gaps[i] if i < len(gaps) else 0.0)
    return out


def seconds(*ranges: tuple[float, float]) -> Speech:
    return [(round(a * SAMPLE_RATE), round(b * SAMPLE_RATE)) for a, b in ranges]


def check_tiles(segments: list[SegmentDraft], rest: list[Stretch], duration: int) -> None:
    pieces = [(s.speech_start_sample, s.speech_end_sample) for s in segments]
    pieces += [(r.start_sample, r.end_sample) for r in rest]
    at = 0
    for a, b in sorted(pieces):
        assert a == at and b > a
        at = b
    assert at == duration


def check_clips(segments: list[SegmentDraft], runs: list[list[AlignedWord]], text: str, duration: int, p: SegmentParams) -> None:
    """No clip cuts a word, is too long or short, overlaps another, or has half of a written token."""
    words = [(round(w.start_s * SAMPLE_RATE), round(w.end_s * SAMPLE_RATE)) for run in runs for w in run]
    for s in segments:
        assert 0 <= s.start_sample <= s.speech_start_sample < s.speech_end_sample <= s.end_sample <= duration
        assert p.min_s * SAMPLE_RATE <= s.end_sample - s.start_sample <= p.max_s * SAMPLE_RATE
        for a, b in words:
            inside = s.start_sample <= a and b <= s.end_sample
            assert inside or b <= s.start_sample or a >= s.end_sample
        tokens = [w.token for w in s.words]
        assert tokens == list(range(tokens[0], tokens[-1] + 1))
        assert s.text == " ".join(w.word for w in s.words)
        assert s.text_raw == text[s.char_start : s.char_end]
        assert s.char_start <= s.words[0].char_start and s.words[-1].char_end <= s.char_end
    for one, other in zip(segments[:-1], segments[1:], strict=True):
        assert one.end_sample <= other.start_sample


def prose(count: int, rng: random.Random) -> tuple[str, list[float]]:
    """Sentences of 4-30 words with commas, and the pauses that a reader makes: 57 % of word gaps without any."""
    words: list[str] = []
    gaps: list[float] = []
    while len(words) < count:
        length = rng.randint(4, 30)
        for i in range(length):
            word = rng.choice(["the", "river", "of", "glass", "ran", "softly", "and", "nobody", "knew", "where"])
            last = i == length - 1
            comma = not last and rng.random() < 0.1
            words.append((word.capitalize() if i == 0 else word) + ("." if last else "," if comma else ""))
            if last:
                gaps.append(rng.uniform(0.25, 1.0))
            elif comma:
                gaps.append(rng.uniform(0.05, 0.4))
            else:
                gaps.append(rng.choice([0, 0, 0, 0, 0.02, 0.04, 0.08, rng.uniform(0, 0.3)]))
    return " ".join(words), gaps


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_pieces_tile_the_recording_whatever_comes_in(data: st.DataObject) -> None:
    """Any pauses, rejected words, voice activity, tokens of several words: nothing is lost, nothing counted twice."""
    rng = random.Random(data.draw(st.integers(0, 2**32)))
    text, gaps = prose(rng.randint(1, 150), rng)
    words = say(text, gaps, word_s=rng.uniform(0.05, 0.8))
    for _ in range(rng.randint(0, 5)):  # written tokens of several words, as "$5.50"
        i = rng.randrange(len(words))
        j = min(len(words), i + rng.randint(2, 4))
        lo, hi = words[i].char_start, words[j - 1].char_end
        words[i:j] = [AlignedWord(w.token, w.word, lo, hi, w.start_s, w.end_s, w.score, True) for w in words[i:j]]
    spans = [(w.char_start, w.char_end) for w in words]
    runs: list[list[AlignedWord]] = [[]]
    rejected: list[Stretch] = []
    for w in words:
        if rng.random() < 0.05:
            runs.append([])
            if rng.random() < 0.5:
                a, b = round(w.start_s * SAMPLE_RATE), round(w.end_s * SAMPLE_RATE)
                rejected.append(Stretch(a, b, Reason.LOW_ALIGNMENT_SCORE, "low"))
        else:
            runs[-1].append(w)
    duration = round((words[-1].end_s + rng.uniform(0, 2)) * SAMPLE_RATE)
    points = sorted(rng.randrange(duration) for _ in range(2 * rng.randint(0, 20)))
    speech = [(a, b) for a, b in zip(points[::2], points[1::2], strict=True) if a < b]
    known = spans if rng.random() < 0.5 else None
    segments, rest = segment(runs, text, speech, duration, spans=known, rejected=rejected)
    check_tiles(segments, rest, duration)
    check_clips(segments, runs, text, duration, PARAMS)
    pieces: dict[tuple[int, int], set[int]] = {}
    for w in words:
        pieces.setdefault((w.char_start, w.char_end), set()).add(w.token)
    if known is not None:
        for s in segments:
            inside = {w.token for w in s.words}
            assert all(pieces[(w.char_start, w.char_end)] <= inside for w in s.words)


def test_nothing_aligned() -> None:
    segments, rest = segment([], "text", seconds((1, 2)), 5 * SAMPLE_RATE)
    assert segments == []
    assert [(r.start_s, r.end_s, r.reason) for r in rest] == [
        (0, 1, Reason.SILENCE), (1, 2, Reason.NOT_IN_TRANSCRIPT), (2, 5, Reason.SILENCE)
    ]


def test_empty_recording() -> None:
    assert segment([], "", [], 0) == ([], [])


def test_one_sentence_is_padded_into_silence_and_keeps_its_punctuation() -> None:
    text = 'He said: "Do we go (now)?" Yes.'
    words = say(text)[2:6]
    segments, rest = segment([words], text, seconds((1.1, 2.3)), 4 * SAMPLE_RATE)
    (s,) = segments
    assert s.text_raw == '"Do we go (now)?"' and s.text == "do we go now"
    assert (s.start_sample, s.end_sample) == (round(0.95 * SAMPLE_RATE), round(2.45 * SAMPLE_RATE))
    assert s.cut_at_pause and s.pause_before_s == pytest.approx(1.1) and s.pause_after_s == pytest.approx(1.7)
    assert [r.reason for r in rest] == [Reason.SILENCE, Reason.SILENCE]


def test_padding_stops_before_the_neighbouring_word_and_before_other_speech() -> None:
    text = "one two three four five six"
    words = say(text, [0, 0, 0.0, 0.0, 0.0], word_s=0.4, at=1.0)
    # other speech until 0.92 s, and again from 3.5 s (the last word ends at 3.4 s)
    segments, _ = segment([words], text, seconds((0.3, 0.92), (1.0, 3.4), (3.5, 4.5)), 5 * SAMPLE_RATE)
    (s,) = segments
    assert s.start_sample == round(0.92 * SAMPLE_RATE) and s.end_sample == round(3.5 * SAMPLE_RATE)
    assert s.pause_before_s == pytest.approx(0.08) and not s.cut_at_pause


def test_a_clip_does_not_reach_into_sound_and_is_cut_elsewhere_if_it_can_be() -> None:
    text = "one two three four five six seven eight"
    words = say(text, [0, 0, 0.2, 0.3, 0, 0, 0])
    gap = (words[3].end_s, words[4].start_s)
    plain, _ = segment([words], text, [], 5 * SAMPLE_RATE, SegmentParams(max_s=2.2))
    assert [s.text for s in plain] == ["one two three four", "five six seven eight"]
    assert plain[0].pause_after_s == pytest.approx(0.3)
    loud = [(int(gap[0] * SAMPLE_RATE), int(gap[1] * SAMPLE_RATE))]
    made, rest = segment([words], text, [], 5 * SAMPLE_RATE, SegmentParams(max_s=2.2), sound=loud)
    check_tiles(made, rest, 5 * SAMPLE_RATE)
    assert [s.text for s in made] == ["one two three", "four five six seven eight"]
    (both, *_), _ = segment([words[:4]], text, seconds((2.05, 3.0)), 5 * SAMPLE_RATE, sound=[(30560, 32000)])
    assert both.end_sample == 30560 == both.speech_end_sample + 160, "nor where other speech lies behind it"
    only, _ = segment([words[:4]], text, [], 5 * SAMPLE_RATE, sound=loud)
    assert only[0].pause_after_s == 0.0 and only[0].end_sample == only[0].speech_end_sample and not only[0].cut_at_pause


def test_a_segment_that_is_glued_to_other_speech_gives_up_words_until_a_cut_between_known_words() -> None:
    text = "alpha beta gamma delta epsilon zeta eta theta iota kappa"
    words = say(text, [0, 0.2, 0, 0, 0, 0, 0, 0, 0], at=2.0)  # a pause after "beta"
    end = words[-1].end_s
    segments, rest = segment([words], text, seconds((0.5, end)), round((end + 1) * SAMPLE_RATE))
    (s,) = segments
    assert s.words[0].word in ("beta", "gamma") and s.words[-1].word == "kappa"
    edge = [r for r in rest if r.reason is Reason.UNTRANSCRIBED_EDGE]
    assert len(edge) == 1 and edge[0].start_s == 2.0 and "alpha" in edge[0].detail
    assert any(r.reason is Reason.NOT_IN_TRANSCRIPT and (r.start_s, r.end_s) == (0.5, 2.0) for r in rest)
    check_tiles(segments, rest, round((end + 1) * SAMPLE_RATE))


def test_words_are_given_up_until_it_is_clear_where_one_ends_but_no_more_than_a_second() -> None:
    text = "alpha beta gamma delta epsilon zeta eta theta iota kappa"
    words = say(text, at=2.0)
    end = words[-1].end_s

    def first_word(clear: list[bool]) -> str:
        (s,), rest = segment([words], text, seconds((0.5, end)), round((end + 1) * SAMPLE_RATE), clear=clear)
        check_tiles([s], rest, round((end + 1) * SAMPLE_RATE))
        return s.words[0].word

    assert first_word([True] * 10) == "beta"
    assert first_word([True, False, False, True, True, True, True, True, True, True]) == "delta"
    assert first_word([True] + [False] * 8 + [True]) == "beta", "too much to give up"


def test_a_long_sentence_is_cut_where_it_is_clear_that_a_word_has_ended() -> None:
    text = " ".join(["word"] * 60)
    words = say(text)
    end = round((words[-1].end_s + 1) * SAMPLE_RATE)
    clear = [i in (0, 23) for i in range(60)]
    made, _ = segment([words], text, [], end, clear=clear)
    assert [s.words[0].token for s in made] == [0, 23] and sum(len(s.words) for s in made) == 60


def test_clear_is_told_of_each_word_of_all_runs() -> None:
    text = " ".join(["word"] * 20) + " $5.50 " + " ".join(["word"] * 60)
    at = text.index("$")
    words = say(text)
    amount = say("five dollars and fifty cents", at=words[20].start_s)
    written = [dataclasses.replace(w, char_start=at, char_end=at + 5) for w in amount]
    after = [dataclasses.replace(w, start_s=w.start_s + 1.2, end_s=w.end_s + 1.2) for w in words[21:]]
    all_words = [dataclasses.replace(w, token=n) for n, w in enumerate([*words[:20], *written, *after])]
    end = round((all_words[-1].end_s + 1) * SAMPLE_RATE)
    clear = [n in (0, 40) for n in range(len(all_words))]
    made, _ = segment([all_words], text, [], end, clear=clear)
    assert [s.words[0].token for s in made] == [0, 40] and sum(len(s.words) for s in made) == len(all_words)
    run = [dataclasses.replace(w, token=w.token + 200, start_s=w.start_s + 40, end_s=w.end_s + 40) for w in say(text)[:20]]
    made, _ = segment([run, *[[dataclasses.replace(w, start_s=w.start_s + 60, end_s=w.end_s + 60) for w in all_words]]], text, [],
                      end + 60 * SAMPLE_RATE, clear=[True] + [False] * 19 + clear)  # fmt: skip
    assert [s.words[0].token for s in made] == [200, 0, 40]


def test_a_clip_does_not_end_at_a_word_of_a_parted_token_where_that_is_unclear() -> None:
    text = "alpha beta gamma delta $5.50 more"
    at = text.index("$")
    words = say("alpha beta gamma delta five", at=1.0)
    words[4] = dataclasses.replace(words[4], char_start=at, char_end=at + 5)
    spans = [(w.char_start, w.char_end) for w in words] + [(at, at + 5), (text.index("more"), len(text))]

    def said(clear: list[bool]) -> tuple[str, set[Reason]]:
        (made,), rest = segment([words], text, [], 5 * SAMPLE_RATE, spans=spans, clear=clear)
        return made.text, {r.reason for r in rest} - {Reason.SILENCE}

    token = {Reason.LOW_ALIGNMENT_SCORE}  # "five" of "$5.50"
    assert said([True] * 5) == ("alpha beta gamma delta", token)
    assert said([True, True, True, True, False]) == ("alpha beta gamma", token | {Reason.UNCLEAR_CUT})
    assert said([False] * 5) == ("alpha beta gamma delta", token), "no cut is better"


def test_sound_after_the_last_word_is_no_word_that_might_be_unclear() -> None:
    text = "alpha beta gamma delta epsilon"
    words = say(text)
    after = seconds((words[-1].end_s, words[-1].end_s + 0.3))
    (made,), _ = segment([words], text, [], 5 * SAMPLE_RATE, sound=after, clear=[True] * 5)
    assert made.text == text


def test_speech_that_the_text_lacks_inside_a_pause_parts_the_segments() -> None:
    text = "one two three four five six seven eight nine ten"
    words = say(text, [0, 0, 0, 0, 1.6], word_s=0.4)
    gap = words[4].end_s
    speech = seconds((0.5, gap), (gap + 0.5, gap + 1.0), (gap + 1.6, gap + 3.6))
    segments, rest = segment([words], text, speech, 8 * SAMPLE_RATE)
    assert [s.text for s in segments] == ["one two three four five", "six seven eight nine ten"]
    assert [r.reason for r in rest].count(Reason.NOT_IN_TRANSCRIPT) == 1


def test_two_segments_share_a_short_pause_without_overlap() -> None:
    text = " ".join(f"Word{i}." if i in (19, 39) else f"word{i}" for i in range(60))
    words = say(text, [0.2 if i in (19, 39) else 0.0 for i in range(60)], word_s=0.4)
    duration = round((words[-1].end_s + 1) * SAMPLE_RATE)
    segments, rest = segment([words], text, [], duration)
    assert [len(s.words) for s in segments] == [20, 20, 20]
    check_clips(segments, [words], text, duration, PARAMS)
    assert all(s.cut_at_pause for s in segments)


def test_words_of_one_written_token_are_never_parted() -> None:
    text = "it costs $5.50 today"
    words = [
        AlignedWord(0, "it", 0, 2, 0.5, 0.9, 0.0, True), AlignedWord(1, "costs", 3, 8, 0.9, 1.6, 0.0, True),
        AlignedWord(2, "five", 9, 14, 1.6, 2.0, 0.0, True), AlignedWord(3, "dollars", 9, 14, 8.0, 8.4, 0.0, True),
        AlignedWord(4, "fifty", 9, 14, 8.4, 8.8, 0.0, True), AlignedWord(5, "today", 15, 20, 8.8, 9.9, 0.0, True),
    ]
    spans = [(w.char_start, w.char_end) for w in words]
    for runs in ([words[:3], words[3:]], [words[:2] + words[2:3], words[4:]]):
        for known in (spans, None):
            segments, rest = segment(runs, text, [], 12 * SAMPLE_RATE, spans=known)
            assert all("5" not in s.text_raw and "five" not in s.text and "fifty" not in s.text for s in segments)
            assert any(r.reason is Reason.LOW_ALIGNMENT_SCORE for r in rest)
            check_tiles(segments, rest, 12 * SAMPLE_RATE)


def test_missing_tokens_part_a_run_so_that_the_text_holds_only_what_was_said() -> None:
    text = "one two three four five six seven eight nine ten eleven twelve"
    words = say(text, word_s=0.4)
    segments, _ = segment([words[:5] + words[7:]], text, [], 8 * SAMPLE_RATE)
    assert [s.text_raw for s in segments] == ["one two three four five", "eight nine ten eleven twelve"]


def test_too_short_and_too_long() -> None:
    short = say("yes", at=0.1)
    _, rest = segment([short], "yes", [], round(0.9 * SAMPLE_RATE))
    assert [(r.reason, r.start_s) for r in rest if r.reason is not Reason.SILENCE] == [(Reason.TOO_SHORT, 0.1)]
    few = say("yes no", word_s=0.1, at=0.1)
    _, rest = segment([few], "yes no", [], round(0.78 * SAMPLE_RATE), clear=[True, False])
    assert [r.reason for r in rest if r.reason is not Reason.SILENCE] == [Reason.TOO_SHORT], "whatever is clear"
    long = [AlignedWord(0, "aum", 0, 3, 0.0, 20.0, 0.0, True)]
    _, rest = segment([long], "aum", [], 30 * SAMPLE_RATE)
    assert rest[0].reason is Reason.TOO_LONG


def test_a_word_said_by_itself_gets_the_silence_that_it_needs_and_no_more() -> None:
    word = say("yes", at=1.0)[0]
    (made,), rest = segment([[word]], "yes", [], 3 * SAMPLE_RATE)
    assert made.end_sample - made.start_sample == SAMPLE_RATE and made.text == "yes"
    assert abs((made.speech_start_sample - made.start_sample) - (made.end_sample - made.speech_end_sample)) <= 1
    check_tiles([made], rest, 3 * SAMPLE_RATE)
    other = seconds((word.end_s + 0.32, word.end_s + 1.5))  # speech that the text lacks: the other side gives more
    (made,), _ = segment([[word]], "yes", other, 3 * SAMPLE_RATE)
    assert made.end_sample - made.start_sample == SAMPLE_RATE and made.end_sample <= other[0][0]
    _, rest = segment([[word]], "yes", [*seconds((0.2, 0.9)), *other], 3 * SAMPLE_RATE)
    assert Reason.TOO_SHORT in [r.reason for r in rest]


def test_rejected_words_give_their_reason() -> None:
    text = "one two three four five six seven"
    words = say(text, word_s=0.4)
    bad = Stretch(round(2.5 * SAMPLE_RATE), round(3.3 * SAMPLE_RATE), Reason.LOW_ALIGNMENT_SCORE, "six seven")
    segments, rest = segment([words[:5]], text, seconds((0.5, 3.3)), 4 * SAMPLE_RATE, rejected=[bad])
    assert (Reason.LOW_ALIGNMENT_SCORE, 2.5, 3.3) in [(r.reason, r.start_s, r.end_s) for r in rest]
    check_tiles(segments, rest, 4 * SAMPLE_RATE)
    assert segments == [] or segments[0].words[-1].word != "five"  # glued to the rejected words


def test_a_rejected_stretch_may_pass_the_recordings_end_but_not_be_backwards() -> None:
    late = Stretch(2 * SAMPLE_RATE, 9 * SAMPLE_RATE, Reason.LOW_ALIGNMENT_SCORE, "late")
    beyond = Stretch(5 * SAMPLE_RATE, 6 * SAMPLE_RATE, Reason.LOW_ALIGNMENT_SCORE, "beyond")
    segments, rest = segment([], "", [], 3 * SAMPLE_RATE, rejected=[late, beyond])
    check_tiles(segments, rest, 3 * SAMPLE_RATE)
    with pytest.raises(ValueError, match="no range"):
        segment([], "", [], SAMPLE_RATE, rejected=[Stretch(5, 4, Reason.SILENCE, "")])


@pytest.mark.parametrize("words", [
    [AlignedWord(0, "a", 0, 1, 1.0, 2.0, 0, True), AlignedWord(1, "b", 2, 3, 1.5, 2.5, 0, True)],
    [AlignedWord(0, "a", 0, 1, 1.0, 1.0, 0, True)],
    [AlignedWord(0, "a", 0, 1, 9.0, 11.0, 0, True)],
    [AlignedWord(0, "a", 0, 1, -1.0, 1.0, 0, True)],
])
def test_impossible_times_are_a_clear_error(words: list[AlignedWord]) -> None:
    with pytest.raises(ValueError, match="aligned word"):
        segment([words], "a b", [], 10 * SAMPLE_RATE)


@pytest.mark.parametrize(("before", "between", "after", "kind"), [
    ("river", ". ", "The", "sentence"), ("river", '." ', "The", "sentence"), ("river", "? ", "the", "sentence"),
    ("mr", ". ", "Smith", "none"), ("j", ". ", "Smith", "none"), ("i", ". ", "He", "sentence"), ("river", ". ", "the", "clause"),
    ("river", ", ", "the", "clause"), ("river", " — ", "the", "clause"), ("river", " ", "the", "none"),
    ("river", "\n\n", "The", "sentence"), ("水", "。", "我", "sentence"),
])
def test_sentence_ends(before: str, between: str, after: str, kind: str) -> None:
    text = before + between + after
    assert boundary_kind(text, before, len(before), len(before) + len(between)) == kind


def test_cuts_lie_in_pauses_or_at_sentence_ends_and_durations_spread() -> None:
    """An hour of drawn speech: the original piled up at 15 s and cut 57 % of its clips in pauses under 50 ms."""
    rng = random.Random(7)
    text, gaps = prose(10_000, rng)
    words = say(text, gaps)
    duration = round((words[-1].end_s + 1) * SAMPLE_RATE)
    segments, rest = segment([words], text, [], duration)
    check_tiles(segments, rest, duration)
    check_clips(segments, [words], text, duration, PARAMS)
    inner = [s.pause_after_s for s in segments[:-1]]
    sentence = [s.text_raw.endswith(".") for s in segments[:-1]]
    assert np.mean([p >= 0.1 for p in inner]) >= 0.98
    assert np.mean([p < 0.05 for p in inner]) <= 0.005
    assert np.mean(sentence) >= 0.8
    lengths = np.array([(s.end_sample - s.start_sample) / SAMPLE_RATE for s in segments])
    assert np.mean(lengths > 14) <= 0.05
    low, mid, high = np.percentile(lengths, [10, 50, 90])
    assert low < 5 and 4 < mid < 10 and high > 8
    assert sum(r.end_sample - r.start_sample for r in rest if r.reason is not Reason.SILENCE) == 0
