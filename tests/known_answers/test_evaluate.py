"""The evaluator finds errors that are planted in perfect output, and only those."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from corpus import Document, Placed, documents
from drift import figures
from evaluate import Segment, Word, char_map, evaluate
from intervals import quantile, share, slope, wilson
from pipeline import Run
from sources import DATA, READERS, english_clips, long_recordings, side, side_by_hash
from truth import measure


def placed(name: str, start: float, text: str, char_start: int | None) -> Placed:
    """A clip of 4 s whose speech runs from 0.5 to 3.5 s with sharp edges."""
    end = None if char_start is None else char_start + len(text)
    speech = (start + 0.5, start + 3.5)
    return Placed(name, "r", start, start + 4, *speech, True, True, [speech], text, char_start, end)


A, B, C = "One two three four.", "Five six seven eight.", "Nine ten eleven twelve."
TEXT = f"{A} {B}\n\nNobody says this at all.\n\n{C}"
DOC = Document(
    "d", "added", "measure", "d.flac", TEXT, 15.0,
    [placed("a", 1, A, 0), placed("b", 5.5, B, TEXT.index(B)), placed("c", 10, C, TEXT.index(C))],
    [(TEXT.index("Nobody"), TEXT.index("\n\nNine"))],
)  # fmt: skip


def perfect(doc: Document = DOC) -> list[Segment]:
    """One segment a clip, words evenly over its speech."""
    out = []
    for clip in doc.clips:
        if clip.char_start is None:
            continue
        found = list(re.finditer(r"\S+", doc.text[clip.char_start : clip.char_end]))
        step = (clip.offset_s - clip.onset_s) / len(found)
        words = [
            Word(m[0].strip(".").lower(), clip.onset_s + i * step, clip.onset_s + (i + 1) * step,
                 clip.char_start + m.start(), clip.char_start + len(m[0].rstrip(".")) + m.start())
            for i, m in enumerate(found)
        ]  # fmt: skip
        out.append(Segment(clip.id, clip.onset_s - 0.1, clip.offset_s + 0.1, clip.onset_s, clip.offset_s, words, {"cer": 0.0}))
    return out


def everything(_: Segment) -> bool:
    return True


def test_perfect_output_has_no_fault() -> None:
    counts = evaluate(DOC, TEXT, perfect(), everything)
    assert share(counts.kept).value == pytest.approx(1)
    assert share(counts.kept_text).value == 1
    assert share(counts.wrong).value == 0 == share(counts.misplaced).value == share(counts.untold).value
    assert share(counts.added_kept).value == 0
    assert counts.start_errors == pytest.approx([0] * 3) and counts.end_errors == pytest.approx([0] * 3)
    assert counts.first_word_errors == pytest.approx([0] * 3)


def test_a_segment_in_another_clips_place_is_wrong_in_all_its_words() -> None:
    segments = perfect()
    moved = [replace(w, start_s=w.start_s + 4.5, end_s=w.end_s + 4.5) for w in segments[0].words]
    counts = evaluate(DOC, TEXT, [replace(segments[0], words=moved), *segments[1:]], everything)
    assert share(counts.wrong).value == pytest.approx(4 / 12)
    assert "'one' at 6.38 s: said in a" in counts.wrong_words[0]


def test_a_kept_added_word_is_wrong_and_counted_as_kept() -> None:
    segments = perfect()
    at = TEXT.index("Nobody")
    extra = Word("nobody", 9.0, 9.3, at, at + 6)
    segments[1] = replace(segments[1], words=[*segments[1].words, extra])
    counts = evaluate(DOC, TEXT, segments, everything)
    assert counts.added_kept == [(1.0, 5.0)]
    assert sum(p for p, _ in counts.wrong) == 1


def test_a_word_far_from_its_place_in_the_clip_is_misplaced() -> None:
    segments = perfect()
    late = replace(segments[0].words[0], start_s=3.6, end_s=3.9)
    segments[0] = replace(segments[0], words=[late, *segments[0].words[1:]])
    counts = evaluate(DOC, TEXT, segments, everything)
    assert sum(p for p, _ in counts.misplaced) == 1 and sum(p for p, _ in counts.wrong) == 0


def test_speech_that_no_segment_keeps_is_lost_by_policy_or_by_alignment() -> None:
    segments = perfect()
    segments[2] = replace(segments[2], columns={"cer": 0.9})
    counts = evaluate(DOC, TEXT, segments[1:], lambda s: float(str(s.columns["cer"])) < 0.38)
    assert share(counts.kept).value == pytest.approx(1 / 3)
    assert share(counts.aligned).value == pytest.approx(2 / 3)
    assert share(counts.kept_text).value == pytest.approx(1 / 3)


def test_speech_without_text_inside_a_segment_is_untold() -> None:
    gone = replace(DOC, clips=[DOC.clips[0], replace(DOC.clips[1], char_start=None, char_end=None), DOC.clips[2]])
    segments = perfect(gone)
    longer = replace(segments[0], end_s=7.0)
    counts = evaluate(gone, TEXT, [longer, segments[1]], everything)
    assert counts.untold[0] == (pytest.approx(1.0), pytest.approx(7.0 - 1.4)) and counts.untold[1][0] == 0


def test_edge_errors_carry_their_sign_and_unsharp_edges_none() -> None:
    segments = perfect()
    segments[0] = replace(segments[0], speech_start_s=segments[0].speech_start_s - 0.05)
    segments[1] = replace(segments[1], speech_end_s=segments[1].speech_end_s + 0.07)
    doc = replace(DOC, clips=[*DOC.clips[:2], replace(DOC.clips[2], sharp_onset=False, sharp_offset=False)])
    counts = evaluate(doc, TEXT, segments, everything)
    assert counts.start_errors == pytest.approx([-0.05, 0]) and counts.end_errors == pytest.approx([0, 0.07])


def test_a_segment_that_begins_inside_a_clip_has_no_edge_error() -> None:
    segments = perfect()
    segments[0] = replace(segments[0], words=segments[0].words[1:], speech_start_s=segments[0].words[1].start_s)
    assert len(evaluate(DOC, TEXT, segments, everything).start_errors) == 2


def test_survival_is_seconds_kept_over_seconds_said() -> None:
    assert share(evaluate(DOC, TEXT, perfect()[:1], everything).survived).value == pytest.approx(1 / 3)


@pytest.mark.parametrize("product", [TEXT, TEXT.replace("\n\n", " "), TEXT.replace("One", "“Oné”"), "Zero. " + TEXT])
def test_characters_are_found_again_in_a_text_that_was_normalised(product: str) -> None:
    at = char_map(product, TEXT)
    assert TEXT[at[product.index("seven")]] == "s" and at[product.index("twelve")] == TEXT.index("twelve")


def test_intervals() -> None:
    assert wilson(0, 100)[1] == pytest.approx(0.037, abs=0.001)
    assert share([(0, 10)] * 50).high == pytest.approx(0.071, abs=0.001)
    assert share([(1, 2)] * 5 + [(2, 2)] * 5).low < 0.75 < share([(1, 2)] * 5 + [(2, 2)] * 5).high
    assert quantile(range(101), 0.5).value == 50 and quantile([], 0.5).n == 0
    assert slope([0, 1, 2, 3], [0, 2, 4, 6]).value == pytest.approx(2)


def test_onset_of_a_tone_burst_is_measured_and_a_slow_rise_is_not_sharp() -> None:
    rng = np.random.default_rng(0)
    t = np.arange(16000) / 16000
    noise = 1e-4 * rng.normal(size=3 * 16000)
    sharp, slow = noise.copy(), noise.copy()
    sharp[16000:32000] += 0.3 * np.sin(2 * np.pi * 200 * t)
    slow[16000:32000] += 0.3 * np.sin(2 * np.pi * 200 * t) * np.linspace(0, 1, 16000) ** 2
    found = measure(sharp.astype(np.float32))
    assert found.sharp_onset and found.sharp_offset
    assert (found.onset_s, found.offset_s) == (pytest.approx(1.0, abs=0.006), pytest.approx(2.0, abs=0.006))
    assert not measure(slow.astype(np.float32)).sharp_onset


def test_a_click_at_the_end_is_no_speech() -> None:
    rng = np.random.default_rng(0)
    sound = (1e-4 * rng.normal(size=3 * 16000)).astype(np.float32)
    sound[8000:24000] += np.float32(0.3) * np.sin(2 * np.pi * 200 * np.arange(16000) / 16000).astype(np.float32)
    sound[40000:41000] += (0.1 * rng.normal(size=1000)).astype(np.float32)
    found = measure(sound)
    assert found.offset_s == pytest.approx(1.5, abs=0.006) and found.sharp_offset
    assert len(found.active) == 1 and found.active[0][1] == pytest.approx(1.5, abs=0.02)


def test_rumble_beside_a_word_is_no_speech() -> None:
    times = np.arange(3 * 16000) / 16000
    sound = (1e-4 * np.random.default_rng(0).normal(size=len(times)) + 0.3 * np.sin(2 * np.pi * 40 * times)).astype(np.float32)
    sound[16000:32000] += np.float32(0.1) * np.sin(2 * np.pi * 400 * times[:16000]).astype(np.float32)
    ((start, end),) = measure(sound).active
    assert start == pytest.approx(1.0, abs=0.05) and end == pytest.approx(2.0, abs=0.05)


def test_readers_keep_their_side_and_all_are_listed() -> None:
    clips = [*english_clips(), *long_recordings()]
    assert len({c.reader for c in clips}) >= 198 and all(side(c.reader) in ("tune", "measure") for c in clips)
    assert sum(side(c.reader) != side_by_hash(c.reader) for c in clips) == 0
    assert READERS.exists() and DATA.exists()


@pytest.mark.parametrize("condition", ["added", "missing", "swapped", "other_language", "wrong"])
def test_documents_say_what_was_done_to_them(condition: str) -> None:
    doc, samples = next(documents("tune", (condition,), 1.0))
    assert len(samples) / 16000 == pytest.approx(doc.duration_s)
    listed = [c for c in doc.clips if c.char_start is not None]
    assert all(doc.text[c.char_start : c.char_end] == c.text for c in listed)
    assert all(c.start_s <= c.onset_s < c.offset_s <= c.end_s for c in doc.clips)
    assert all(doc.clips[i].end_s + 0.29 < doc.clips[i + 1].start_s for i in range(len(doc.clips) - 1))
    assert (len(listed) == len(doc.clips)) == (condition in ("added", "swapped"))
    assert bool(doc.added) == (condition in ("added", "other_language", "wrong"))
    said = {c.text for c in doc.clips}
    assert not any(text in doc.text[a:b] for a, b in doc.added for text in said)
    counts = evaluate(doc, doc.text, perfect(doc), everything)
    assert share(counts.wrong).value in (0,) if listed else counts.wrong == []


def test_exchanged_words_are_known_and_counted_as_wrong_where_kept() -> None:
    doc, _ = next(documents("tune", ("exchanged",), 1.0))
    words = sum(len(c.text.split()) for c in doc.clips)
    assert words / 10 < len(doc.added) < words / 5
    inside = [next(c for c in doc.clips if c.char_start <= a and b <= c.char_end) for a, b in doc.added]
    assert all(re.search(rf"(?<!\w){doc.text[a:b]}(?!\w)", doc.text[a - 1 : b + 1]) for a, b in doc.added)
    assert all(len(doc.text[c.char_start : c.char_end].split()) == len(c.text.split()) for c in doc.clips)
    assert len({c.id for c in inside}) > len(doc.clips) / 2
    right = {(doc.text[c.char_start : c.char_end] == c.text) for c in doc.clips if c not in inside}
    assert right <= {True} and not any(doc.text[c.char_start : c.char_end] == c.text for c in inside)
    counts = evaluate(doc, doc.text, perfect(doc), everything)
    assert share(counts.added_kept).value == 1
    wrong = sum(a for a, _ in counts.wrong)
    assert 0.9 * len(doc.added) <= wrong <= len(doc.added), "halves of hyphenated words are no words here"


def test_cuts_inside_words_are_counted_where_the_engine_tells_words_apart(tmp_path: Path) -> None:
    """Five seconds of "One of the three four.", a word a second; "of the" is one event."""
    text = "One of the three four."
    at = [text.index(w) for w in ("One", "of", "three", "four")]
    spans = [(0.0, 1.0), (1.0, 3.0), (3.0, 4.0), (4.0, 5.0)]
    events = [[a, a + 2, *s] for a, s in zip(at, spans, strict=True)]
    (tmp_path / "truth.json").write_text(json.dumps({"text": text, "words": events}))

    def cut(start: float, end: float) -> tuple[float, int]:
        words = [Word("of", 1.0, 2.0, at[1], at[1] + 2), Word("three", 3.0, end, at[2], at[2] + 5)]
        run = Run({"hour": text}, {"hour": [Segment("s", start, end, start, end, words)]})
        found = figures(run, tmp_path / "truth.json", everything)
        assert found["word ends, 95th percentile, ms"].n == 1, "only of the word that is told apart"
        return found["cuts inside a word, %"].value, found["cuts inside a word, %"].n

    assert cut(1.02, 4.0) == (0.0, 1), "nobody knows where in 'of the' the second word begins"
    assert cut(1.0, 3.5) == (0.5, 2)
    assert cut(0.5, 4.4) == (1.0, 2)
