"""Makes bad and odd input for the `folder` source: audio and captions that a harvest meets sooner or later.

Each case is a function that writes into a folder, and a line in `CASES` that says what must become of it. Audio is made from
one real recording (JFK, 11 s) with the ffmpeg of the imageio-ffmpeg wheel, so that only what the case is about is bad.
`twelve_hours` makes a 12-hour file; nothing of the kind is kept in the repository.
"""

from __future__ import annotations

import json
import random
import struct
import subprocess
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import numpy as np

DATA = Path(__file__).resolve().parents[1] / "known_answers" / "data"
SPEECH = DATA / "jfk" / "jfk.flac"
TEXT = (DATA / "jfk" / "jfk.txt").read_text(encoding="utf-8").strip() + "\n"
BY = "https://creativecommons.org/licenses/by/4.0/"


@dataclass(frozen=True)
class Case:
    """One bad input. `expected` is a Reason, or `kept` where the file is odd but good."""

    name: str
    suffix: str
    caption: str
    expected: str
    make: Callable[[Path], None]
    """Writes the audio file."""
    text: bytes = TEXT.encode()


def ffmpeg(*arguments: str | Path) -> None:
    """Run ffmpeg quietly.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)], check=True, capture_output=True)


def converted(*arguments: str) -> Callable[[Path], None]:
    """The speech, encoded with these arguments."""
    return lambda path: ffmpeg("-i", SPEECH, *arguments, path)


def cut(share: float, *arguments: str) -> Callable[[Path], None]:
    """The speech, encoded, then cut off at `share` of its bytes: a broken download."""

    def make(path: Path) -> None:
        ffmpeg("-i", SPEECH, *arguments, path)
        raw = path.read_bytes()
        path.write_bytes(raw[: int(len(raw) * share)])

    return make


def generated(filter_graph: str, *arguments: str) -> Callable[[Path], None]:
    """A signal of ffmpeg's own generators."""
    return lambda path: ffmpeg("-f", "lavfi", "-i", filter_graph, *arguments, path)


def put(path: Path, raw: bytes) -> None:
    """Write bytes."""
    path.write_bytes(raw)


def written(raw: bytes) -> Callable[[Path], None]:
    """These bytes, whatever the suffix says."""
    return lambda path: put(path, raw)


def copied(source: str) -> Callable[[Path], None]:
    """A file of data/ as it is."""
    return lambda path: put(path, (DATA / source).read_bytes())


def renamed(real_suffix: str) -> Callable[[Path], None]:
    """Good audio of another format than its name says."""

    def make(path: Path) -> None:
        other = path.with_suffix(real_suffix)
        ffmpeg("-i", SPEECH, other)
        other.rename(path)

    return make


def wav_header(claimed_bytes: int) -> bytes:
    """A 16 kHz mono 16-bit WAV header that claims so many bytes of samples."""
    rest = struct.pack("<4sIHHIIHH4sI", b"fmt ", 16, 1, 1, 16000, 32000, 2, 16, b"data", claimed_bytes)
    return struct.pack("<4sI4s", b"RIFF", 36 + claimed_bytes, b"WAVE") + rest


def holed(share: float) -> Callable[[Path], None]:
    """FLAC with every `1/share`-th kilobyte overwritten by noise: a bad disk."""

    def make(path: Path) -> None:
        ffmpeg("-i", SPEECH, path)
        raw, rng = bytearray(path.read_bytes()), random.Random(1)
        for start in range(8192, len(raw) - 1024, int(1024 / share)):
            raw[start : start + 1024] = rng.randbytes(1024)
        path.write_bytes(bytes(raw))

    return make


PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c6360000002000001e221bc330000000049454e44ae426082"
)
"""A picture of one pixel."""
SRT = f"1\n00:00:00,000 --> 00:00:11,000\n{TEXT}"
TWO_CUES = b"1\n00:00:00,000 --> 00:00:04,000\n%s\n\n2\n00:00:05,000 --> 00:00:09,000\n%s\n"

AUDIO_CASES = (
    Case("zero_bytes", ".wav", ".txt", "audio_empty", written(b"")),
    Case("header_only", ".wav", ".txt", "audio_empty", written(wav_header(0))),
    Case("header_only_upstream", ".wav", ".txt", "audio_empty", copied("aeneas/mono.zero.wav")),
    Case("header_claims_more", ".wav", ".txt", "audio_truncated", written(wav_header(320000) + b"\x01\x02" * 16000)),
    Case("truncated_flac", ".flac", ".txt", "audio_truncated", cut(0.6)),
    Case("truncated_wav", ".wav", ".txt", "audio_truncated", cut(0.6)),
    Case("truncated_mp4", ".mp4", ".txt", "audio_corrupt", cut(0.6, "-vn")),
    Case("holes", ".flac", ".txt", "audio_corrupt", holed(0.2)),
    Case("broken_upstream", ".flac", ".txt", "audio_corrupt", copied("aeneas/broken.flac")),
    Case("text_as_mp3", ".mp3", ".txt", "audio_corrupt", written(TEXT.encode() * 20)),
    Case("noise_as_flac", ".flac", ".txt", "audio_corrupt", written(random.Random(2).randbytes(50_000))),
    Case("png_as_mp3", ".mp3", ".txt", "audio_corrupt", written(PNG)),
    Case("silence", ".flac", ".txt", "audio_silent", generated("anullsrc=r=16000:cl=mono", "-t", "20")),
    Case("almost_silence", ".flac", ".txt", "audio_silent", generated("anoisesrc=d=20:a=0.00004:r=16000", "-sample_fmt", "s16")),
    Case("blink", ".wav", ".txt", "audio_too_short", generated("sine=f=300:d=0.2")),
)
ODD_CASES = (
    Case("mp3_named_wav", ".wav", ".txt", "kept", renamed(".mp3")),
    Case("flac_named_mp3", ".mp3", ".txt", "kept", renamed(".flac")),
    Case("surround", ".wav", ".txt", "kept", converted("-ac", "6")),
    Case("surround_ogg", ".ogg", ".txt", "kept", converted("-ac", "6", "-ar", "48000")),
    Case("eight_bit", ".wav", ".txt", "kept", converted("-c:a", "pcm_u8", "-ar", "8000")),
    Case("mu_law", ".wav", ".txt", "kept", converted("-c:a", "pcm_mulaw", "-ar", "8000", "-ac", "1")),
    Case("float_96k", ".wav", ".txt", "kept", converted("-c:a", "pcm_f32le", "-ar", "96000")),
    Case("wma", ".wma", ".txt", "kept", converted("-b:a", "64k")),
    Case("music", ".ogg", ".txt", "kept", copied("music/Kevin_MacLeod_-_Vibe_Ace.ogg")),
)


def _captions() -> tuple[Case, ...]:
    rows: list[tuple[str, str, str, bytes]] = [
        ("no_bytes", ".srt", "caption_empty", b""),
        ("no_cues", ".srt", "caption_empty", b"\n\n\n"),
        ("vtt_header_only", ".vtt", "caption_empty", b"WEBVTT\n\n"),
        ("empty_cues", ".srt", "caption_empty", TWO_CUES % (b"", b"   ")),
        ("sounds_only", ".srt", "caption_empty", TWO_CUES % (b"[applause]", b"(music)")),
        ("binary", ".srt", "caption_unreadable", random.Random(3).randbytes(4000)),
        ("png", ".txt", "caption_unreadable", PNG * 20),
        ("machine_name", ".asr.srt", "caption_machine", SRT.encode()),
        ("latin_1", ".srt", "kept", SRT.replace("fellow", "féllow").encode("latin-1")),
        ("windows_1252", ".srt", "kept", SRT.replace("ask not", "“ask – not”").encode("cp1252")),
        ("utf_16_le", ".srt", "kept", b"\xff\xfe" + SRT.encode("utf-16-le")),
        ("utf_16_be", ".srt", "kept", b"\xfe\xff" + SRT.encode("utf-16-be")),
        ("utf_8_bom_crlf", ".srt", "kept", b"\xef\xbb\xbf" + SRT.replace("\n", "\r\n").encode()),
        ("broken_utf_8", ".txt", "kept", TEXT.encode() + b"\xc3 and \xff so on.\n"),
        ("no_end_times", ".srt", "kept", SRT.replace("> 00:00:11,000", "> ").encode() + SRT.encode()),
    ]
    # Each on audio of its own: a tag in the file makes the bytes differ, so that no two are one recording.
    return tuple(
        Case(f"caption_{n}", ".flac", suffix, expected, converted("-metadata", f"title={n}", "-ac", "1", "-ar", "16000"), text)
        for n, suffix, expected, text in rows
    )


CAPTION_CASES = _captions()
CASES = (*AUDIO_CASES, *ODD_CASES, *CAPTION_CASES)


def metadata(ident: str, file: str) -> dict[str, str]:
    """A row of metadata.jsonl that nothing is wrong with."""
    return {"file": file, "id": ident, "title": ident, "creator": f"maker of {ident}", "language": "en", "license_url": BY,
            "source_url": "https://example.org/bad-input"}  # fmt: skip


def write(folder: Path, cases: tuple[Case, ...] = CASES) -> dict[str, str]:
    """Write the cases as a source folder; {id: expected}."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for case in cases:
        case.make(folder / f"{case.name}{case.suffix}")
        (folder / f"{case.name}{case.caption}").write_bytes(case.text)
        rows.append(metadata(case.name, f"{case.name}{case.suffix}"))
    (folder / "metadata.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return {case.name: case.expected for case in cases}


def many(folder: Path, good: int = 1000) -> str:
    """`good` tiny good files (1.5 s of a tone of its own at 8 kHz, 24 kB) and one broken among them; the broken one's id."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, bad = [], f"n{good // 2:04d}_bad"
    t = np.arange(12_000) / 8000
    for i in range(good):
        name = f"n{i:04d}"
        with wave.open(str(folder / f"{name}.wav"), "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(8000)
            tone = 8000 * np.sin(2 * np.pi * (200 + i) * t) * np.sin(9 * t)
            out.writeframes(tone.astype("<i2").tobytes())
        (folder / f"{name}.txt").write_text(f"This is sentence number {i} and nobody says it.\n", encoding="utf-8")
        rows.append(metadata(name, f"{name}.wav"))
    (folder / f"{bad}.flac").write_bytes(b"fLaC" + random.Random(4).randbytes(3000))
    (folder / f"{bad}.txt").write_text(TEXT, encoding="utf-8")
    rows.append(metadata(bad, f"{bad}.flac"))
    (folder / "metadata.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return bad


def twelve_hours(path: Path, hours: float = 12.0) -> float:
    """A file of `hours` (MP3, 24 kb/s): four minutes of readings and one of silence, over and over. Returns its seconds."""
    readings = sorted((DATA / "librispeech").glob("669-*.flac")) + sorted((DATA / "librispeech").glob("1867-*.flac"))
    inputs: list[str | Path] = []
    for reading in readings:
        inputs += ["-i", reading]
    joined = "".join(f"[{i}:a]" for i in range(len(readings)))
    round_path = path.with_name("round.mp3")
    graph = f"{joined}concat=n={len(readings)}:v=0:a=1,apad=pad_dur=60"
    ffmpeg(*inputs, "-filter_complex", graph, "-ar", "16000", "-ac", "1", "-b:a", "24k", round_path)
    seconds = round_path.stat().st_size * 8 / 24_000
    times = int(hours * 3600 / seconds)
    ffmpeg("-stream_loop", str(times), "-i", round_path, "-c", "copy", path)
    round_path.unlink()
    return (times + 1) * seconds
