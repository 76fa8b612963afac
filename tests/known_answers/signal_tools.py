"""Audio for the known answers: decode, join, degrade, encode. All signals are float32 mono at 16 kHz, full scale 1.

Decoding goes through the ffmpeg binary of the imageio-ffmpeg wheel, not through the product's own reader, so that a fault
there shows as an error here. Every random step takes a seeded generator: the same corpus comes out each time.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import numpy.typing as npt

RATE = 16_000
"""Hz, of every signal here."""

Signal = npt.NDArray[np.float32]

FRAME = 80
"""Samples of one level frame: 5 ms, about one pitch period of a low voice, the finest step at which level means anything."""

SPEECH_LEVEL_PERCENTILE = 75
"""A clip's speech level is this percentile of its frame levels: above the pauses, below the loudest vowels."""


def ffmpeg() -> str:
    """Path of the ffmpeg binary."""
    return str(imageio_ffmpeg.get_ffmpeg_exe())


def load(path: Path | str) -> Signal:
    """Decode any audio file to 16 kHz mono.

    Raises:
        ValueError: ffmpeg could not decode it, or it holds no samples.
    """
    command = [ffmpeg(), "-v", "error", "-i", str(path), "-f", "f32le", "-ac", "1", "-ar", str(RATE), "-"]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode or not done.stdout:
        raise ValueError(f"{path}: ffmpeg cannot decode it: {done.stderr.decode(errors='replace').strip()[:300]}")
    return np.frombuffer(done.stdout, dtype="<f4").astype(np.float32)


def save(path: Path, samples: Signal, *codec: str) -> None:
    """Encode to `path` with the ffmpeg arguments `codec` (none: by the suffix). Parent folders are made.

    Raises:
        ValueError: ffmpeg could not encode it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    pcm = (np.clip(samples, -1, 1) * 32767).round().astype("<i2").tobytes()
    command = [ffmpeg(), "-v", "error", "-y", "-f", "s16le", "-ar", str(RATE), "-ac", "1", "-i", "-", *codec, str(path)]
    done = subprocess.run(command, input=pcm, capture_output=True, check=False)
    if done.returncode:
        raise ValueError(f"{path}: ffmpeg cannot encode it: {done.stderr.decode(errors='replace').strip()[:300]}")


def through_codec(samples: Signal, suffix: str, *codec: str) -> Signal:
    """Encode to a file and decode it, trimmed or padded to the same length.

    A file, not a pipe: only where it can go back does the encoder write the tag by which the decoder removes its delay (1,105
    samples for mp3).
    """
    pcm = (np.clip(samples, -1, 1) * 32767).round().astype("<i2").tobytes()
    with tempfile.NamedTemporaryFile(suffix=f".{suffix}") as coded:
        encode = [ffmpeg(), "-v", "error", "-y", "-f", "s16le", "-ar", str(RATE), "-ac", "1", "-i", "-", *codec, coded.name]
        subprocess.run(encode, input=pcm, capture_output=True, check=True)
        decode = [ffmpeg(), "-v", "error", "-i", coded.name, "-f", "f32le", "-ac", "1", "-ar", str(RATE), "-"]
        out = np.frombuffer(subprocess.run(decode, capture_output=True, check=True).stdout, dtype="<f4")
    return fit(out.astype(np.float32), len(samples))


def fit(samples: Signal, length: int) -> Signal:
    """Cut to `length` samples, or pad with zeros."""
    return np.pad(samples[:length], (0, max(0, length - len(samples)))).astype(np.float32)


def frame_levels(samples: Signal, frame: int = FRAME) -> npt.NDArray[np.float64]:
    """RMS level in dB (full scale) of each whole frame; -120 for digital silence."""
    whole = len(samples) // frame * frame
    power = np.mean(samples[:whole].reshape(-1, frame).astype(np.float64) ** 2, axis=1)
    return np.asarray(10 * np.log10(np.maximum(power, 1e-12)))


def speech_level(samples: Signal) -> float:
    """Level of the speech in a clip, dB full scale."""
    return float(np.percentile(frame_levels(samples, 4 * FRAME), SPEECH_LEVEL_PERCENTILE))


def to_level(samples: Signal, level_db: float) -> Signal:
    """Scale a clip so that its speech level is `level_db`, without clipping."""
    gain = 10 ** ((level_db - speech_level(samples)) / 20)
    peak = float(np.abs(samples).max()) or 1.0
    return (samples * min(gain, 0.99 / peak)).astype(np.float32)


def room_noise(clip: Signal, length: int, rng: np.random.Generator) -> Signal:
    """Noise at the level and with the rough spectrum of the clip's own quiet frames.

    The quietest tenth of 20 ms frames gives level and magnitude spectrum; phases are random, so nothing is repeated.
    Digital silence in the clip gives noise at -80 dB, since a real recording has no zeros.
    """
    frame = 4 * FRAME
    frames = clip[: len(clip) // frame * frame].reshape(-1, frame)
    levels = frame_levels(clip, frame)
    loud_enough = levels > -100
    if not loud_enough.any():
        return rng.normal(0, 1e-4, length).astype(np.float32)
    cut = float(np.percentile(levels[loud_enough], 10))
    quiet = frames[loud_enough & (levels <= cut)]
    magnitude = np.sqrt(np.mean(np.abs(np.fft.rfft(quiet, axis=1)) ** 2, axis=0))
    spectrum = np.fft.rfft(rng.normal(size=length))
    shape = np.interp(np.linspace(0, 1, len(spectrum)), np.linspace(0, 1, len(magnitude)), magnitude)
    noise = np.fft.irfft(spectrum * shape, n=length)
    target = float(max(10 ** (cut / 20), 1e-4))
    return (noise * target / max(float(np.sqrt(np.mean(noise**2))), 1e-12)).astype(np.float32)


# --- degradations -------------------------------------------------------------------------------------------------------


def mix_at_snr(speech: Signal, noise: Signal, snr_db: float, active: npt.NDArray[np.bool_] | None = None) -> Signal:
    """Add noise so that speech (its active samples) is `snr_db` above it; rescaled if the sum would clip."""
    voiced = speech if active is None or not active.any() else speech[active]
    loud, noisy = (float(np.mean(x.astype(np.float64) ** 2)) for x in (voiced, noise))
    gain = (loud / max(noisy, 1e-12)) ** 0.5
    out = speech + noise * np.float32(gain * 10 ** (-snr_db / 20))
    return (out / max(1.0, float(np.abs(out).max()) / 0.99)).astype(np.float32)


def pink_noise(length: int, rng: np.random.Generator) -> Signal:
    """Noise with power falling 3 dB an octave, RMS 1."""
    spectrum = np.fft.rfft(rng.normal(size=length))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))
    out = np.fft.irfft(spectrum, n=length)
    return (out / np.sqrt(np.mean(out**2))).astype(np.float32)


def babble(voices: list[Signal], length: int, rng: np.random.Generator, talkers: int = 8) -> Signal:
    """`talkers` voices at once, each looped from a random place, RMS 1: no single one can be followed."""
    out = np.zeros(length, np.float32)
    for i in range(talkers):
        out += np.resize(np.roll(to_level(voices[i % len(voices)], -25), int(rng.integers(1 << 30))), length)
    return (out / np.sqrt(np.mean(out**2))).astype(np.float32)


def room(samples: Signal, rng: np.random.Generator, rt60_s: float = 0.5, direct_to_reverberant_db: float = 3.0) -> Signal:
    """A room: a direct path at delay 0 and an exponentially decaying white tail that starts 5 ms later.

    The tail falls 60 dB in `rt60_s`; its energy is `direct_to_reverberant_db` under the direct path's, which is what a
    microphone about a metre away hears in a living room. The direct path has no delay, so known times stay true.
    """
    n, gap = int(rt60_s * RATE), int(0.005 * RATE)
    tail = rng.normal(size=n) * 10 ** (-3 * np.arange(n) / n)
    tail *= 10 ** (-direct_to_reverberant_db / 20) / np.sqrt(np.sum(tail**2))
    response = np.concatenate([[1.0], np.zeros(gap), tail])
    size = 1 << int(np.ceil(np.log2(len(samples) + len(response))))
    out = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(response, size), size)[: len(samples)]
    return (out / max(1.0, float(np.abs(out).max()) / 0.99)).astype(np.float32)


def telephone(samples: Signal) -> Signal:
    """The telephone band, 300–3400 Hz, with 30 Hz slopes, zero phase."""
    spectrum = np.fft.rfft(samples)
    f = np.fft.rfftfreq(len(samples), 1 / RATE)
    gain = np.clip((f - 285) / 30, 0, 1) * np.clip((3415 - f) / 30, 0, 1)
    return np.fft.irfft(spectrum * gain, n=len(samples)).astype(np.float32)


def mp3_32k(samples: Signal) -> Signal:
    """Through MP3 at 32 kb/s."""
    return through_codec(samples, "mp3", "-c:a", "libmp3lame", "-b:a", "32k")
