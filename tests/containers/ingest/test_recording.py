"""A broken recording is refused for what is wrong with it; an odd but whole one is described."""

from __future__ import annotations

import resource
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from ingest.recording import AudioRejected, examine
from stagekit.tables import TABLES, Reason

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))
import bad_input


@pytest.mark.parametrize("case", bad_input.AUDIO_CASES, ids=lambda c: c.name)
def test_bad_audio_has_its_reason(case: bad_input.Case, tmp_path: Path) -> None:
    path = tmp_path / f"{case.name}{case.suffix}"
    case.make(path)
    with pytest.raises(AudioRejected) as info:
        examine(path)
    assert (info.value.reason, bool(info.value.detail)) == (case.expected, True)


@pytest.mark.parametrize("case", bad_input.ODD_CASES, ids=lambda c: c.name)
def test_odd_audio_is_described(case: bad_input.Case, tmp_path: Path) -> None:
    path = tmp_path / f"{case.name}{case.suffix}"
    case.make(path)
    audio = examine(path)
    assert audio.samples == round(audio.duration_s * 16000) and audio.duration_s > 8
    assert set(audio.columns()) == set(TABLES["recordings"].names) - {"recording_id", "uri", "bytes"}
    extensions = {"mp3_named_wav": "mp3", "flac_named_mp3": "flac", "wma": "wma", "surround_ogg": "ogg", "eight_bit": "wav"}
    assert audio.extension == extensions.get(case.name, audio.extension)
    channels = {"surround": 6, "surround_ogg": 6, "eight_bit": 2, "mu_law": 1}
    assert audio.channels == channels.get(case.name, audio.channels)


@pytest.mark.parametrize("arguments", [
    (".mp3", "-b:a", "64k"), (".opus",), (".ogg",), (".m4a",), (".webm",), (".wma",), (".aac",), (".wav",), (".flac",)
])  # fmt: skip
def test_whole_files_of_every_format_pass(arguments: tuple[str, ...], tmp_path: Path) -> None:
    suffix, *options = arguments
    path = tmp_path / f"talk{suffix}"
    bad_input.converted(*options)(path)
    assert abs(examine(path).duration_s - 11.0) < 0.1
    assert examine(path).extension == suffix[1:]


@pytest.mark.parametrize(
    ("suffix", "share", "reason"),
    [(".mp3", 0.5, Reason.AUDIO_TRUNCATED), (".webm", 0.5, Reason.AUDIO_TRUNCATED), (".flac", 0.9, Reason.AUDIO_TRUNCATED),
     (".m4a", 0.5, Reason.AUDIO_CORRUPT)],
)  # fmt: skip
def test_cut_off(suffix: str, share: float, reason: Reason, tmp_path: Path) -> None:
    path = tmp_path / f"talk{suffix}"
    bad_input.cut(share)(path)
    with pytest.raises(AudioRejected) as info:
        examine(path)
    assert info.value.reason == reason
    assert "of the 11.0" in info.value.detail or reason == Reason.AUDIO_CORRUPT


@pytest.mark.parametrize(("suffix", "options"), [(".mp4", ("-movflags", "+faststart")), (".webm", ())])
def test_a_picture_that_runs_longer_than_the_sound_is_no_truncation(
    suffix: str, options: tuple[str, ...], tmp_path: Path
) -> None:
    path = tmp_path / f"lecture{suffix}"
    bad_input.ffmpeg("-f", "lavfi", "-i", "testsrc=d=40:s=64x64:r=5", "-i", bad_input.SPEECH, *options, path)
    assert abs(examine(path).duration_s - 11.0) < 0.1
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    with pytest.raises(AudioRejected) as info:
        examine(path)
    assert info.value.reason == Reason.AUDIO_TRUNCATED and "of the 40.0" in info.value.detail


def test_a_cut_off_flv_of_which_the_decoder_says_nothing_is_found(tmp_path: Path) -> None:
    path = tmp_path / "talk.flv"
    bad_input.ffmpeg("-f", "lavfi", "-i", "testsrc=d=11:s=64x64:r=5", "-i", bad_input.SPEECH, "-ar", "22050", path)
    assert abs(examine(path).duration_s - 11.0) < 0.2
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(AudioRejected, match="of the 11") as info:
        examine(path)
    assert info.value.reason == Reason.AUDIO_TRUNCATED


def id3v2(frame: bytes, content: bytes) -> bytes:
    body = frame + struct.pack(">I", len(content)) + b"\0\0" + content
    size = bytes(len(body) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\0\0" + size + body


def test_a_comment_is_no_header_of_an_mp3(tmp_path: Path) -> None:
    plain, quiet, joined = tmp_path / "plain.mp3", tmp_path / "quiet.mp3", tmp_path / "joined.mp3"
    # Two seconds of silence at 8 kb/s, then speech at 128: guessed from its first frame, the file would last minutes.
    bad_input.ffmpeg(
        "-f", "lavfi", "-i", "anullsrc=r=16000:cl=mono:d=2", "-b:a", "8k", "-write_xing", "0", "-id3v2_version", "0", quiet
    )
    bad_input.converted("-ar", "16000", "-ac", "1", "-b:a", "128k", "-write_xing", "0", "-id3v2_version", "0")(plain)
    joined.write_bytes(id3v2(b"COMM", b"\0eng\0More Info at example.org") + quiet.read_bytes() + plain.read_bytes())
    assert abs(examine(joined).duration_s - 13.0) < 0.3


def test_a_header_behind_a_large_cover_is_found(tmp_path: Path) -> None:
    path = tmp_path / "talk.mp3"
    bad_input.converted("-b:a", "64k", "-id3v2_version", "0")(path)
    tags = id3v2(b"TIT2", b"\0Talk") + id3v2(b"APIC", bytes(600_000))
    whole = tags + path.read_bytes()
    path.write_bytes(whole)
    assert abs(examine(path).duration_s - 11.0) < 0.1
    path.write_bytes(whole[:-40_000])
    with pytest.raises(AudioRejected) as info:
        examine(path)
    assert info.value.reason == Reason.AUDIO_TRUNCATED


def test_bytes_appended_or_a_single_glitch_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "talk.mp3"
    bad_input.converted("-b:a", "64k")(path)
    raw = bytearray(path.read_bytes())
    raw[40_000:40_300] = bytes(300)
    path.write_bytes(bytes(raw) + b"TAG" + bytes(125))
    assert examine(path).duration_s > 10.8


def test_damage_all_over_a_long_file_is_found(tmp_path: Path) -> None:
    path = tmp_path / "talk.mp3"
    bad_input.ffmpeg("-stream_loop", "54", "-i", bad_input.SPEECH, "-ar", "16000", "-ac", "1", "-b:a", "32k", path)
    raw = bytearray(path.read_bytes())
    for at in range(20_000, len(raw) - 20_000, 20_000):
        raw[at : at + 300] = bytes(300)
    path.write_bytes(raw)
    with pytest.raises(AudioRejected, match=r"\d{3} errors in \d{3}\.\d s; .* Header missing") as info:
        examine(path)
    assert info.value.reason == Reason.AUDIO_CORRUPT


def test_too_long(tmp_path: Path) -> None:
    path = tmp_path / "talk.mp3"
    bad_input.converted("-b:a", "64k")(path)
    with pytest.raises(AudioRejected) as info:
        examine(path, max_hours=0.001)
    assert info.value.reason == Reason.AUDIO_TOO_LONG and abs(info.value.seconds - 11) < 0.2


def test_silence_is_measured_in_the_loudest_tenth_of_a_second(tmp_path: Path) -> None:
    import wave

    path = tmp_path / "click.wav"
    samples = np.zeros(160_000, "<i2")
    samples[80_000:83_200] = 400
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16000)
        out.writeframes(samples.tobytes())
    assert examine(path).duration_s == 10


def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    path = tmp_path / "long.flac"
    bad_input.generated("anoisesrc=d=1200:a=0.1:r=8000", "-sample_fmt", "s16")(path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert examine(path).duration_s == 1200
    # 38 MB of samples are mapped; as float64 at once they would be 154 MB.
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 100
