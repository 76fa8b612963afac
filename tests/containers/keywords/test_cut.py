"""Clips are exact to the sample, hold what the sentence holds, and are encoded once."""

from __future__ import annotations

import csv
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spoken import REAL, aligned, noise, prepared, rows, sentence, sound, stage, wav, words

from keywords.cut import CLIP, CONTEXT, _by_ffmpeg, _in_process, decode_48k, place, to_16k
from keywords.opus import encode
from stagekit.audio import decode, ffmpeg

Cut = list[tuple[dict[str, Any], dict[str, Any]]]


def cut(tmp_path: Path, sentences: list[dict[str, Any]], audio: list[bytes], times: Any = None, **params: Any) -> Cut:
    """Select every word and cut it: rows of clips with their audio."""
    folder = prepared(tmp_path / "p", sentences, audio)
    spoken = [w for i, s in enumerate(sentences) for w in aligned(s, times[i] if times else None)]
    given_ = {"min_clips": 1, "min_graphemes": 1, **params}
    picked = stage("select", tmp_path, given_, folder, words(tmp_path / "w", spoken))
    made = stage("cut", tmp_path, {}, folder, picked["shards"][0])
    clips, sounds = rows(made["output"], "clips"), rows(made["output"], "clip_audio")
    assert [c["clip_id"] for c in clips] == [a["clip_id"] for a in sounds]
    return list(zip(clips, sounds, strict=True))


def real(name: str = "Defines the genre.") -> tuple[dict[str, Any], bytes]:
    """A recorded sentence of Common Voice with its text."""
    release = REAL / "cv-corpus-18.0-delta-2024-06-14/en"
    with open(release / "validated.tsv", encoding="utf-8", newline="") as file:
        row = next(r for r in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE) if r["sentence"] == name)
    data = (release / "clips" / row["path"]).read_bytes()
    return sentence(name, data, seconds=len(decode(release / "clips" / row["path"])) / 16000, clip=row["path"]), data


def ffmpeg_samples(data: bytes, rate: int) -> int:
    argv = [ffmpeg(), "-v", "error", "-i", "pipe:0", "-f", "s16le", "-ac", "1", "-ar", str(rate), "-"]
    run = subprocess.run(argv, input=data, capture_output=True, check=True)
    assert not run.stderr
    return len(run.stdout) // 2


@settings(deadline=None)
@given(st.floats(0, 14), st.floats(0.06, 3), st.integers(800, 240_000))
def test_a_place_is_one_second_around_the_words_middle(start: float, length: float, samples: int) -> None:
    end = min(start + length, samples / 16000)
    if end - start < 0.06:
        return
    at = place(start, end, samples)
    assert abs((at.word_start + at.word_end) / 2 - CLIP / 2) <= 1
    assert at.before == max(0, -at.start) and at.after == max(0, at.start + CLIP - samples)
    assert at.before + at.after < CLIP  # the word's middle lies in the audio
    assert (at.whole is not None) == (at.word_end - at.word_start > CLIP)
    if at.whole:
        assert 0 <= at.whole[0] <= at.start + at.word_start and at.start + at.word_end <= at.whole[1] <= samples


def test_clips_hold_the_sentences_own_samples(tmp_path: Path) -> None:
    samples = noise(4.0, 48000)
    data = wav(samples, 48000)
    decoded = decode_48k(data, 64000)
    expected = to_16k(decoded)
    assert np.array_equal(decoded, samples.astype(np.float32) / 32768)
    for clip, audio in cut(tmp_path, [sentence("one two three four", data)], [data]):
        flac, rate = sound(audio["flac"])
        assert rate == 16000
        start = clip["start_sample"]
        inside = expected[max(0, start) : start + CLIP]
        padded = np.concatenate([np.zeros(clip["padding_before"]), inside / 32768, np.zeros(clip["padding_after"])])
        assert np.array_equal(flac, padded)
        assert clip["word_start_s"] * 16000 == clip["word_start_sample"]
        assert clip["start_sample"] + clip["word_start_sample"] == round(16000 * (0.3 + 0.5 * clip["index"]))


def test_opus_holds_the_same_second(tmp_path: Path) -> None:
    row, data = real()
    source = decode_48k(data, row["samples"])
    for clip, audio in cut(tmp_path, [row], [data]):
        opus, rate = sound(audio["opus"])
        assert rate == 48000
        start = clip["start_sample"] * 3
        original = np.zeros(48000)
        inside = source[max(0, start) : start + 48000]
        original[max(0, -start) : max(0, -start) + len(inside)] = inside
        error = np.sum((opus - original) ** 2) / np.sum(original**2)
        late = np.sum((opus[48:] - original[:-48]) ** 2) / np.sum(original**2)
        assert error < 0.1 < late  # the same second, not one a millisecond off


def test_the_same_clip_has_the_same_bytes_whatever_came_before() -> None:
    tone = (noise(2.0, 48000) / 32768).astype(np.float32)
    first = encode(tone[:48000], tone[48000:], "a-1")
    encode(tone[20000:68000], tone[68000:], "b-2")
    assert encode(tone[:48000], tone[48000:], "a-1") == first
    assert encode(tone[:48000], tone[48000:], "c-3") != first  # its serial number


@settings(deadline=None)
@given(st.integers(1, 400_000))
def test_an_opus_file_decodes_to_as_many_samples_as_it_was_given(samples: int) -> None:
    tone = (np.sin(np.arange(samples) / 20) * 0.3).astype(np.float32)
    decoded, rate = sound(encode(tone, tone[:0], "x"))
    assert (len(decoded), rate) == (samples, 48000)


@pytest.mark.parametrize("kind", ["mp3 of 6.1", "mp3 of 18.0", "flac of Samrómur"])
def test_decoding_in_this_process_gives_ffmpegs_samples(kind: str) -> None:
    name = {"mp3 of 6.1": "*-6.1-*/*", "mp3 of 18.0": "*-18.0-*/*", "flac of Samrómur": "samromur/*"}[kind]
    files = [p for p in REAL.glob(f"{name}/**/*") if p.suffix in (".mp3", ".flac")]
    assert len(files) >= 4
    for path in files:
        data = path.read_bytes()
        here, there = _in_process(data), _by_ffmpeg(data)
        assert here is not None and len(here) == len(there)
        if path.suffix == ".flac":  # 16 kHz: resampled up by one library or the other, and down again
            here, there = to_16k(here).astype(float), to_16k(there).astype(float)
        snr_db = 10 * np.log10(np.sum(there**2) / np.sum((here - there) ** 2))
        assert snr_db > (90 if path.suffix == ".mp3" else 45), path


def test_what_libsndfile_counts_otherwise_or_cannot_read_is_left_to_ffmpeg(tmp_path: Path) -> None:
    stereo = np.stack([noise(2.0, 48000), noise(2.0, 48000, seed=5)], axis=1)
    mixed = decode_48k(wav(stereo, 48000), 32000)
    assert np.corrcoef(mixed, stereo.astype(float).sum(axis=1))[0, 1] > 0.999 and mixed.shape == (96000,)
    path = tmp_path / "a.m4a"
    argv = [ffmpeg(), "-v", "error", "-f", "lavfi", "-i", "sine=duration=2", "-c:a", "aac", str(path)]
    subprocess.run(argv, check=True)
    assert _in_process(path.read_bytes()) is None and len(decode_48k(path.read_bytes(), 32000)) >= 96000
    _, data = real()
    assert np.array_equal(decode_48k(data, 1), _by_ffmpeg(data))


def test_a_rerun_and_another_order_give_the_same_clips(tmp_path: Path) -> None:
    row, data = real()
    other = sentence("Two words", wav(noise(2.0)), seconds=2.0)
    one = cut(tmp_path / "a", [row, other], [data, wav(noise(2.0))])
    two = cut(tmp_path / "b", [other, row], [wav(noise(2.0)), data])
    assert sorted(map(str, one)) == sorted(map(str, two))


def test_audio_that_cannot_be_decoded_costs_its_own_clips_only(tmp_path: Path) -> None:
    good, bad = sentence("one two", wav(noise(2.0)), seconds=2.0), sentence("three four", b"bad", seconds=2.0)
    folder = prepared(tmp_path / "p", [good, bad], [wav(noise(2.0)), b"no audio"])
    spoken = words(tmp_path / "w", [*aligned(good), *aligned(bad)])
    picked = stage("select", tmp_path, {"min_clips": 1}, folder, spoken)
    made = stage("cut", tmp_path, {}, folder, picked["shards"][0])
    assert made["rows"] == {"clips": 2, "clip_audio": 2, "rejections": 2}
    assert {r["reason"] for r in rows(made["output"], "rejections")} == {"audio_corrupt"}


def test_another_shards_picks_are_an_error(tmp_path: Path) -> None:
    one, two = sentence("one word", seconds=2.0), sentence("another word", seconds=2.0)
    first, second = prepared(tmp_path / "p1", [one]), prepared(tmp_path / "p2", [two])
    spoken = words(tmp_path / "w", [*aligned(one), *aligned(two)])
    picked = stage("select", tmp_path, {"min_clips": 1}, first, second, spoken)
    assert "another shard's picks" in stage("cut", tmp_path, {}, first, picked["shards"][1], code=1)["stderr"]


def test_a_clip_shows_where_it_comes_from(tmp_path: Path) -> None:
    row, data = real()
    clip, _ = cut(tmp_path, [row], [data])[1]
    assert (clip["word"], clip["word_raw"], clip["source_clip"]) == ("the", "the", row["clip"])
    assert clip["license_family"] == "cc0" and clip["license_evidence"] == "test" and clip["speaker_id"] == "speaker-1"
    assert "libopus" in clip["encoder"] and "32k" in clip["encoder"]


# what the original did wrong: mswc-2021, section 7


@pytest.mark.parametrize("rate", [16000, 22050, 32000, 44100, 48000])
def test_defect_06_every_clip_is_exactly_a_second_in_both_forms(tmp_path: Path, rate: int) -> None:
    data = wav(noise(2.01, rate), rate)
    row = sentence("a b c d", data, seconds=2.01)
    times = [("a", 0.0, 0.1), ("b", 0.3333, 0.7777), ("c", 0.9, 1.31), ("d", 1.9, 2.0)]
    for _, audio in cut(tmp_path, [row], [data], [times]):
        assert len(sound(audio["flac"])[0]) == 16000 and len(sound(audio["opus"])[0]) == 48000
        assert ffmpeg_samples(audio["opus"], 48000) == 48000 and ffmpeg_samples(audio["flac"], 16000) == 16000


def test_defect_07_real_context_no_fades_and_silence_only_where_the_sentence_ends(tmp_path: Path) -> None:
    data = wav(noise(3.0))
    times = [("a", 0.1, 0.3), ("b", 1.4, 1.6), ("c", 2.8, 2.95)]
    made = cut(tmp_path, [sentence("a b c", data, seconds=3.0)], [data], [times])
    paddings = [(c["padding_before"], c["padding_after"]) for c, _ in made]
    assert paddings == [(4800, 0), (0, 0), (0, 6000)]
    for clip, audio in made:
        flac = sound(audio["flac"])[0]
        silent = np.flatnonzero(flac == 0)
        before, after = clip["padding_before"], clip["padding_after"]
        assert not flac[:before].any() and not flac[CLIP - after :].any()
        assert len(silent) < before + after + 40  # noise crosses zero by chance only
        edge = flac[before : before + 400] if before else flac[CLIP - after - 400 : CLIP - after]
        middle = flac[7000:9000]
        assert np.std(edge) > 0.8 * np.std(middle)  # no fade: the first 25 ms are as loud as the rest


def test_defect_08_long_words_are_flagged_and_kept_whole(tmp_path: Path) -> None:
    samples = noise(4.0, 48000)
    data = wav(samples, 48000)
    times = [("short", 0.2, 0.6), ("internationalisation", 1.0, 2.6)]
    made = cut(tmp_path, [sentence("short internationalisation", data)], [data], [times])
    (short, short_audio), (long, long_audio) = made
    assert not short["long_word"] and short["whole_samples"] is None and short_audio["whole_opus"] is None
    assert long["long_word"] and (long["word_start_sample"], long["word_end_sample"]) == (-4800, 20800)
    assert (long["whole_start_sample"], long["whole_samples"]) == (16000 - CONTEXT, 25600 + 2 * CONTEXT)
    whole = sound(long_audio["whole_flac"])[0]
    expected = to_16k(samples.astype(np.float32) / 32768)[16000 - CONTEXT : 41600 + CONTEXT]
    assert np.array_equal(whole, expected / 32768)
    assert len(sound(long_audio["whole_opus"])[0]) == 3 * long["whole_samples"]
    assert len(sound(long_audio["flac"])[0]) == 16000


def test_defect_09_hours_of_speech_are_not_hours_of_clips(tmp_path: Path) -> None:
    data = wav(noise(3.0))
    row = sentence("one two three", data, seconds=3.0)
    folder = prepared(tmp_path / "p", [row], [data])
    picked = stage("select", tmp_path, {"min_clips": 1}, folder, words(tmp_path / "w", aligned(row)))
    made = stage("cut", tmp_path, {}, folder, picked["shards"][0])
    assert made["rows"]["clips"] == 3  # three seconds of clips
    assert made["seconds"]["out"] == pytest.approx(1.2)  # of speech
    assert sum(r["speech_s"] for r in rows(picked["output"], "keywords")) == pytest.approx(1.2)


def test_defect_20_words_spoken_alone_are_told_from_words_cut(tmp_path: Path) -> None:
    data = wav(noise(2.0))
    made = cut(tmp_path, [sentence("seven", data, seconds=2.0), sentence("seven men", b"x", seconds=2.0)], [data, data])
    assert [(c["word"], c["origin"]) for c, _ in made] == [("seven", "spoken_alone"), ("seven", "cut"), ("men", "cut")]
