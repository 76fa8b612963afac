"""Synthetic speech whose word times are exact: eSpeak NG says when it begins each word and phoneme, in samples.

    python tests/known_answers/espeak.py OUT.wav OUT.json [--seconds 3600] [--seed 1]

A program of its own: eSpeak NG is GPL, so its library (Debian: `apt-get install espeak-ng`) is loaded here and nowhere else.
It reads whole chapters (the transcripts in data/librispeech), each with a voice, speed and pitch of its own, sentences 0.2–0.9 s
apart, over noise 35 dB under the speech. OUT.json holds the text and `words`: [char_start, char_end, start_s, end_s]. A word
starts at its event and ends where its last phoneme that is not a pause ends. Words that the engine says as one with the next
("of the") have no event of their own and are left out.
"""

from __future__ import annotations

import argparse
import ctypes
import ctypes.util
import json
import random
import sys
import tempfile
from pathlib import Path

import numpy as np
from signal_tools import RATE, load, save
from sources import DATA

SYNCHRONOUS, PHONEME_EVENTS, CHARS_UTF8 = 2, 1, 1
SPEED, PITCH = 1, 3
WORD_EVENT, PHONEME_EVENT = 1, 7
PAUSES = ("", "_", "_:", "_!", "_|")
VOICES = ("en-us+m3", "en-us+f2", "en-us+m1", "en-us+f4", "en-us+m7", "en-us+f1")
NOISE_DB = 35.0


class Event(ctypes.Structure):
    """`espeak_EVENT` of speak_lib.h."""

    _fields_ = [
        ("type", ctypes.c_int), ("unique_identifier", ctypes.c_uint), ("text_position", ctypes.c_int), ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int), ("sample", ctypes.c_int), ("user_data", ctypes.c_void_p), ("string", ctypes.c_char * 8),
    ]  # fmt: skip


class Voice:
    """One eSpeak NG engine."""

    def __init__(self) -> None:
        name = ctypes.util.find_library("espeak-ng") or "libespeak-ng.so.1"
        try:
            self.lib = ctypes.CDLL(name)
        except OSError:
            sys.exit("eSpeak NG is not installed: apt-get install espeak-ng")
        self.rate = int(self.lib.espeak_Initialize(SYNCHRONOUS, 0, None, PHONEME_EVENTS))
        self.samples: list[np.ndarray] = []
        self.events: list[tuple[int, int, int, int, str]] = []
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(Event))
        self._callback = kind(self._collect)
        self.lib.espeak_SetSynthCallback(self._callback)

    def _collect(self, wave, count: int, events) -> int:  # type: ignore[no-untyped-def]
        if wave and count:
            self.samples.append(np.ctypeslib.as_array(wave, shape=(count,)).copy())
        i = 0
        while events[i].type:
            e = events[i]
            if e.type in (WORD_EVENT, PHONEME_EVENT):
                name = bytes(e.string).split(b"\0")[0].decode("utf-8", "replace") if e.type == PHONEME_EVENT else ""
                self.events.append((e.type, e.sample, e.text_position, e.length, name))
            i += 1
        return 0

    def say(self, text: str, voice: str, speed: int, pitch: int) -> tuple[np.ndarray, list[tuple[int, int, float, float]]]:
        """Samples at `rate`, and [(char_start, char_end, start_s, end_s)]; the engine counts characters, not bytes."""
        if self.lib.espeak_SetVoiceByName(voice.encode()) != 0:
            sys.exit(f"eSpeak NG has no voice {voice}")
        self.lib.espeak_SetParameter(SPEED, speed, 0)
        self.lib.espeak_SetParameter(PITCH, pitch, 0)
        self.samples, self.events = [], []
        raw = text.encode("utf-8") + b"\0"
        self.lib.espeak_Synth(raw, len(raw), 0, 1, 0, CHARS_UTF8, None, None)
        wave = np.concatenate(self.samples).astype(np.float32) / 32768
        starts = [(sample, position - 1, length) for kind, sample, position, length, _ in self.events if kind == WORD_EVENT]
        phones = [(sample, name) for kind, sample, _, _, name in self.events if kind == PHONEME_EVENT]
        words = []
        for i, (start, at, length) in enumerate(starts):
            stop = starts[i + 1][0] if i + 1 < len(starts) else len(wave)
            ends = [sample for sample, name in phones if start < sample < stop and name in PAUSES]
            words.append((at, at + length, start / self.rate, (ends[0] if ends else stop) / self.rate))
        return wave, words


def chapters() -> list[list[str]]:
    """Sentences of the LibriSpeech chapters, written as sentences."""
    tables = sorted((DATA / "librispeech").glob("*.trans.txt"))
    lines = [[line.split(" ", 1)[1].capitalize() + "." for line in t.read_text(encoding="ascii").splitlines()] for t in tables]
    return lines


def make(seconds: float, seed: int) -> tuple[np.ndarray, dict[str, object]]:
    """Speech of about `seconds`, at the engine's rate, and its truth.

    Chapters are read from the start as often as needed; from the second round on with other voices.
    """
    engine, rng, noise = Voice(), random.Random(seed), np.random.default_rng(seed)
    parts: list[np.ndarray] = []
    words: list[tuple[int, int, float, float]] = []
    text, at, n = "", 0, 0
    while at / engine.rate < seconds:
        sentences = chapters()[n % 6]
        voice, speed, pitch = VOICES[(n + n // 6 + seed - 1) % len(VOICES)], rng.randint(140, 175), rng.randint(35, 65)
        text += "\n\n" if text else ""
        for k, sentence in enumerate(sentences):
            if at / engine.rate >= seconds:
                break
            gap = np.zeros(int(engine.rate * rng.uniform(0.2, 0.9)), np.float32)
            wave, said = engine.say(sentence, voice, speed, pitch)
            text += " " if k else ""
            begin = (at + len(gap)) / engine.rate
            words += [(len(text) + a, len(text) + b, begin + s, begin + e) for a, b, s, e in said if sentence[a:b].strip()]
            text += sentence
            parts += [gap, wave]
            at += len(gap) + len(wave)
        n += 1
    samples = np.concatenate([*parts, np.zeros(engine.rate // 2, np.float32)])
    samples *= 0.5 / np.abs(samples).max()
    level = float(np.sqrt(np.mean(samples**2))) * 10 ** (-NOISE_DB / 20)
    samples = samples + noise.normal(0, level, len(samples)).astype(np.float32)
    return samples, {"text": text.rstrip(), "words": [list(w) for w in words], "rate": engine.rate, "seed": seed}


def main() -> None:
    """Make one recording (16 kHz, in the format of the suffix) and its truth."""
    p = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    p.add_argument("audio", type=Path)
    p.add_argument("truth", type=Path)
    p.add_argument("--seconds", type=float, default=3600)
    p.add_argument("--seed", type=int, default=1)
    a = p.parse_args()
    samples, truth = make(a.seconds, a.seed)
    with tempfile.TemporaryDirectory() as folder:  # ffmpeg's resampler is linear-phase: times stay
        raw = Path(folder) / "raw.wav"
        import soundfile

        soundfile.write(raw, samples, truth["rate"], subtype="PCM_16")
        save(a.audio, load(raw))
    a.truth.write_text(
        json.dumps({**truth, "duration_s": len(samples) / int(str(truth["rate"])), "sample_rate": RATE}), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
