"""Audio in: what ffmpeg makes of real encodings, decoded exactly and in bounded memory."""

import random
import subprocess

import numpy as np
import pytest

from stagekit import audio

HEADER_ONLY = b"RIFF$\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80>\0\0\0}\0\0\x02\0\x10\0data\0\0\0\0"


def tone(path, *options, seconds=2.0, source="sine=frequency=440:sample_rate=48000"):
    command = [audio.ffmpeg(), "-v", "error", "-f", "lavfi", "-i", f"{source}:duration={seconds}", *options, "-y", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path


@pytest.mark.parametrize(
    ("name", "options", "codec", "channels", "rate"),
    [
        ("a.wav", ["-ac", "1"], "pcm_s16le", 1, 48000),
        ("a.wav", ["-ac", "1", "-ar", "8000", "-acodec", "pcm_u8"], "pcm_u8", 1, 8000),
        ("a.flac", ["-ac", "2", "-ar", "44100"], "flac", 2, 44100),
        ("a.mp3", ["-ac", "1", "-ar", "22050", "-b:a", "32k"], "mp3", 1, 22050),
        ("a.ogg", ["-ac", "2", "-acodec", "libvorbis"], "vorbis", 2, 48000),
        ("a.opus", ["-ac", "1", "-acodec", "libopus"], "opus", 1, 48000),
        ("a.m4a", ["-ac", "6"], "aac", 6, 48000),
        ("a.webm", ["-ac", "1", "-acodec", "libopus"], "opus", 1, 48000),
        ("a.wma", ["-ac", "2"], "wmav2", 2, 48000),
        ("a.mpg", ["-ac", "1", "-f", "mpegts", "-acodec", "mp2"], "mp2", 1, 48000),
    ],
)
def test_probe_and_decode(tmp_path, name, options, codec, channels, rate):
    path = tone(tmp_path / name, *options)
    probe = audio.probe(path)
    assert (probe.codec, probe.channels, probe.sample_rate) == (codec, channels, rate)
    assert probe.duration_s == pytest.approx(2.0, abs=0.1)
    with audio.open_pcm(path) as pcm:
        assert pcm.duration_s == pytest.approx(2.0, abs=0.1) and not pcm.complaints
        spectrum = np.abs(np.fft.rfft(pcm.read(8000, 24000)))
        assert np.argmax(spectrum) == pytest.approx(440, abs=2), "16,000 samples of one second: bin = Hz"


def test_all_complaints_are_counted_and_the_first_are_kept():
    said = [f"line {n}" for n in range(120)] + ["    Last message repeated 30 times"]
    pcm = audio.Pcm(np.zeros(16, "<i2"), said)
    assert pcm.errors == 150 and pcm.complaints == said[: audio.SHOWN]


def test_no_address_of_ffmpeg_is_in_a_complaint(tmp_path):
    path = tone(tmp_path / "a.mp3", "-ac", "1", "-b:a", "64k", seconds=20.0)
    raw = bytearray(path.read_bytes())
    for at in range(5_000, 100_000, 5_000):
        raw[at : at + 500] = bytes(500)
    path.write_bytes(raw)
    with audio.open_pcm(path) as pcm:
        assert pcm.complaints and not any("@ 0x" in line for line in pcm.complaints)


def test_a_wrong_extension_does_not_matter(tmp_path):
    path = tone(tmp_path / "a.mp3", "-ac", "1")
    assert audio.probe(path.rename(tmp_path / "a.wav")).codec == "mp3"


def test_channels_that_cancel_each_other_are_heard(tmp_path):
    inverted = tone(tmp_path / "inverted.wav", "-af", "pan=stereo|c0=c0|c1=-1*c0")
    alone = tone(tmp_path / "alone.wav", "-ac", "1")
    assert np.allclose(audio.decode(inverted), audio.decode(alone), atol=1e-3)
    assert not audio.decode(tone(tmp_path / "silence.wav", source="anullsrc=sample_rate=16000")).any()


def test_what_a_codec_leaves_of_channels_that_cancel_each_other_is_not_taken(tmp_path):
    noise, stereo = "anoisesrc=sample_rate=48000:color=pink:seed=1", ["-ac", "2", "-acodec", "libvorbis", "-q:a", "3"]
    inverted = audio.decode(tone(tmp_path / "inverted.ogg", "-af", "pan=stereo|c0=c0|c1=-1*c0", *stereo, source=noise))
    alone = audio.decode(tone(tmp_path / "alone.ogg", "-ac", "1", *stereo[2:], source=noise))
    assert np.std(inverted) == pytest.approx(np.std(alone), rel=0.1)


def test_of_many_channels_the_first_is_never_taken_alone(tmp_path):
    loud_first = "pan=5.1|c0=0.2*c0|c1=0*c0|c2=0.02*c0|c3=0*c0|c4=0*c0|c5=0*c0"
    mixed = audio.decode(tone(tmp_path / "a.wav", "-af", loud_first))
    first = audio.decode(tone(tmp_path / "b.wav", "-af", "pan=mono|c0=0.2*c0"))
    assert np.std(mixed) < 0.5 * np.std(first)


def test_a_faint_recording_is_mixed_all_the_same(tmp_path):
    left = audio.decode(tone(tmp_path / "left.wav", "-af", "pan=stereo|c0=0.01*c0|c1=0*c0"))
    both = audio.decode(tone(tmp_path / "both.wav", "-af", "pan=stereo|c0=0.01*c0|c1=0.01*c0"))
    assert np.std(left) == pytest.approx(np.std(both) / 2, rel=0.05)


def test_blocks_are_the_whole(tmp_path):
    with audio.open_pcm(tone(tmp_path / "a.flac", "-ac", "1")) as pcm:
        blocks = list(pcm.blocks(7000))
        assert [start for start, _ in blocks] == list(range(0, len(pcm), 7000))
        assert np.array_equal(np.concatenate([b for _, b in blocks]), pcm.read())


@pytest.mark.parametrize(("data", "said"), [(b"", "0 bytes"), (b"not audio" * 100, "Invalid data"), (HEADER_ONLY, "no samples")])
def test_what_is_not_audio_says_so(tmp_path, data, said):
    path = tmp_path / "a.wav"
    path.write_bytes(data)
    with pytest.raises(audio.AudioError, match=said):
        audio.decode(path)


def test_a_broken_file_is_decoded_as_far_as_it_goes_and_its_header_tells_on_it(tmp_path):
    path = tone(tmp_path / "a.flac", "-ac", "1", source="anoisesrc=sample_rate=16000", seconds=10)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 9000] = random.Random(1).randbytes(9000)
    path.write_bytes(bytes(data))
    with audio.open_pcm(path) as pcm:
        assert 5 < pcm.duration_s < audio.probe(path).duration_s - 0.1


def test_a_video_gives_its_sound_and_a_picture_gives_none(tmp_path):
    ffmpeg = [audio.ffmpeg(), "-v", "error", "-f", "lavfi", "-i", "testsrc=duration=1:size=64x64:rate=5"]
    subprocess.run([*ffmpeg, "-f", "lavfi", "-i", "sine=duration=1", "-shortest", "-y", str(tmp_path / "a.mp4")], check=True)
    assert audio.decode(tmp_path / "a.mp4").shape[0] == pytest.approx(16000, abs=1600)
    assert audio.probe(tmp_path / "a.mp4").video and not audio.probe(tone(tmp_path / "a.m4a")).video
    subprocess.run([*ffmpeg, "-y", str(tmp_path / "silent.mp4")], check=True)
    with pytest.raises(audio.AudioError, match="no audio stream"):
        audio.probe(tmp_path / "silent.mp4")
