"""Clips of words spoken alone, with their edges found by level, and errors planted in one of them in six.

Sources, each a folder as its authors publish it (a few clips of the first are in ``data``): ``fsdd``
(free-spoken-digit-dataset/recordings), ``gsc`` (Speech Commands, a folder a word), ``an4`` (CMU AN4, one-word utterances) and
``arabic`` (arabic-speech-commands-dataset/dataset).
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

RATE = 16_000
KINDS = ("other word", "shifted 300 ms", "cut in half", "silence", "noise")
SHARE = 1 / 6
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass
class Clip:
    """A second with a word in it: [start, end) are where an aligner would say it is. ``error``: what was planted, or ''."""

    name: str
    word: str
    speaker: str
    samples: np.ndarray
    start: int
    end: int
    error: str = ""


def read(source: str, folder: Path) -> Iterator[tuple[str, str, str, np.ndarray]]:
    """(name, word, speaker, float64 samples at 16 kHz) of a source's recordings, in order."""
    if source == "fsdd":
        for path in sorted(folder.glob("*.wav")):
            digit, speaker, _ = path.stem.split("_")
            yield path.stem, DIGITS[int(digit)], f"fsdd-{speaker}", _samples(path)
    elif source in ("gsc", "arabic"):
        for path in sorted(folder.glob("[!_]*/*.wav")):
            yield f"{path.parent.name}-{path.stem}", path.parent.name, f"{source}-{path.stem.split('_')[0]}", _samples(path)
    elif source == "an4":
        texts = {}
        for name in ("an4_train", "an4_test"):
            for line in (folder / f"etc/{name}.transcription").read_text().splitlines():
                if match := re.fullmatch(r"(?:<s> )?(\S+) (?:</s> )?\((\S+)\)", line.strip()):
                    texts[match[2]] = match[1].lower()
        for path in sorted(folder.glob("wav/*/*/*.*")):
            if path.stem in texts:
                yield path.stem, texts[path.stem], f"an4-{path.stem.split('-')[1]}", _samples(path)
    else:
        raise ValueError(f"no source {source}")


def _samples(path: Path) -> np.ndarray:
    data, rate = soundfile.read(path)
    mono = data if data.ndim == 1 else data.mean(axis=1)
    return mono if rate == RATE else soxr.resample(mono, rate, RATE)


def edges(samples: np.ndarray) -> tuple[int, int] | None:
    """Where the word is: within 30 dB of the loudest, gaps up to 0.15 s bridged; None if that is under 0.1 s, or over 1 s."""
    blocks = samples[: len(samples) // 160 * 160].reshape(-1, 160)
    level = 10 * np.log10((blocks**2).mean(axis=1) + 1e-10)
    floor = max(level.max() - 30, np.percentile(level, 10) + 6)
    loud = np.flatnonzero(level > floor)
    if not len(loud):
        return None
    groups = np.split(loud, np.flatnonzero(np.diff(loud) > 15) + 1)
    best = max(groups, key=lambda g: float((10 ** (level[g] / 10)).sum()))
    start, end = int(best[0]) * 160, (int(best[-1]) + 1) * 160
    return (start, end) if 1600 <= end - start <= RATE else None


def clips(sources: dict[str, Path], rng: np.random.Generator) -> list[Clip]:
    """Every recording as a clip around its word; what lacks of the second is the recording's own quiet, as noise."""
    found = []
    for source, folder in sources.items():
        for name, word, speaker, samples in read(source, folder):
            if (at := edges(samples)) is not None:
                found.append(_centred(f"{source}-{name}", word, speaker, samples, *at, rng))
    return found


def _quiet(samples: np.ndarray) -> float:
    blocks = samples[: len(samples) // 160 * 160].reshape(-1, 160)
    return float(max(np.sqrt(np.percentile((blocks**2).mean(axis=1), 5)), 1e-4))


def _centred(
    name: str, word: str, speaker: str, samples: np.ndarray, start: int, end: int, rng: np.random.Generator
) -> Clip:  # fmt: skip
    room = np.concatenate([rng.normal(0, _quiet(samples), RATE), samples, rng.normal(0, _quiet(samples), RATE)])
    first = RATE + (start + end) // 2 - RATE // 2
    return Clip(name, word, speaker, room[first : first + RATE].copy(), start - first + RATE, end - first + RATE)


def plant(found: list[Clip], rng: np.random.Generator) -> list[Clip]:
    """Turn :data:`SHARE` of the clips into errors, kinds in turn.

    Times are what an aligner that must put the word somewhere would say: around the speech of another word; unmoved for a shift
    and where there is no speech; around what is left of half a word.
    """
    chosen = rng.permutation(len(found))[: round(SHARE * len(found))]
    sound = {i: found[i] for i in range(len(found))}
    for turn, i in enumerate(chosen.tolist()):
        clip, kind = sound[i], KINDS[turn % len(KINDS)]
        samples, start, end, quiet = clip.samples.copy(), clip.start, clip.end, _quiet(clip.samples)
        if kind == "other word":
            others = [c for c in sound.values() if c.word != clip.word and not c.error]
            other = others[int(rng.integers(len(others)))]
            samples, start, end = other.samples.copy(), other.start, other.end
        elif kind == "shifted 300 ms":
            by = int(rng.choice([-4800, 4800]))
            samples = np.roll(samples, by)
            gap = slice(0, by) if by > 0 else slice(by, None)
            samples[gap] = rng.normal(0, quiet, 4800)
        elif kind == "cut in half":
            middle = (start + end) // 2
            gone = slice(middle, RATE) if rng.random() < 0.5 else slice(0, middle)
            samples[gone] = rng.normal(0, quiet, len(samples[gone]))
            half = (start, middle) if gone.start else (middle, end)
            back = _centred(clip.name, clip.word, clip.speaker, samples, *half, rng)
            samples, start, end = back.samples, back.start, back.end
        elif kind == "silence":
            samples = np.zeros(RATE) if rng.random() < 0.5 else rng.normal(0, quiet, RATE)
        else:
            spectrum = np.fft.rfft(rng.normal(size=RATE))
            pink = np.fft.irfft(spectrum / np.sqrt(np.arange(len(spectrum)) + 20.0))
            samples = pink / np.sqrt((pink**2).mean()) * np.sqrt((samples[start:end] ** 2).mean())
        found[i] = Clip(clip.name, clip.word, clip.speaker, samples, start, end, kind)
    return found


def flac(samples: np.ndarray) -> bytes:
    """A clip's file."""
    file = io.BytesIO()
    soundfile.write(file, np.clip(samples, -1, 32767 / 32768), RATE, format="FLAC", subtype="PCM_16")
    return file.getvalue()
