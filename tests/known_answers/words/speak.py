"""A corpus of synthetic speech whose word times are exact, in any language that eSpeak NG speaks.

    python tests/known_answers/words/speak.py OUT SENTENCES [--language de] [--utterances 200] [--seed 1]

A program of its own, like ``espeak.py``, whose engine it uses: eSpeak NG is GPL and is loaded nowhere else. SENTENCES is a text
file, one sentence a line. OUT gets ``<id>.wav`` (16 kHz) and ``truth.json``: {id: {speaker, text, duration_s, words:
[[char_start, char_end, start_s, end_s], …]}}. A word starts at its event and ends where its last phoneme that is not a pause
ends. A speaker is a voice variant with a speed and a pitch of its own; silence of 0.1–0.5 s goes around each sentence, and pink
noise 15–40 dB under the speech over all of it, one sentence in four in a reverberant room (its direct path has no delay, so
times stay true). Sentences of which the engine says two words as one ("of the"), or one as two, are left out, for their words
have no times.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import resample_poly

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from espeak import Voice  # noqa: E402
from signal_tools import RATE, mix_at_snr, pink_noise, room  # noqa: E402

VARIANTS = (
    "m1", "m2", "m3", "m4", "m5", "m6", "m7", "f1", "f4", "croak", "klatt", "klatt2", "klatt3", "Andy", "Annie", "Denis",
    "Gene", "Jacky", "Lee", "Mario", "Michael", "Steph", "Tweaky",
)  # fmt: skip
"""Voices whose samples are the same each time; f2, f3 and f5 have breath noise that nothing seeds."""
SPEED, PITCH = (130, 210), (30, 70)
"""Words a minute, and the engine's scale of pitch."""
PAD_S, SNR_DB = (0.1, 0.5), (15.0, 40.0)
ROOM_SHARE, ROOM_RT60_S, ROOM_DIRECT_DB = 0.25, 0.4, 6.0
WORDS = (3, 20)
PUNCTUATION = '.,;:!?"“”„«»()…—–¿¡।-'


def spoken_pieces(text: str) -> list[tuple[int, int]]:
    """[char_start, char_end) of the words of a text: pieces between blanks without the punctuation around them."""
    out, at = [], 0
    for piece in text.split():
        start = text.index(piece, at)
        at = start + len(piece)
        core = piece.strip(PUNCTUATION)
        if core:
            first = start + piece.index(core)
            out.append((first, first + len(core)))
    return out


def match(text: str, events: list[tuple[int, int, float, float]]) -> list[tuple[int, int, float, float]] | None:
    """The words of a text with the times of the engine's events; None unless each word has exactly one event, at its start."""
    pieces = spoken_pieces(text)
    said = [e for e in events if e[1] > e[0]]
    if len(pieces) != len(said) or any(p[0] != e[0] or e[3] <= e[2] for p, e in zip(pieces, said, strict=True)):
        return None
    return [(a, b, start, end) for (a, b), (_, _, start, end) in zip(pieces, said, strict=True)]


def usable(text: str) -> bool:
    """No digits and no symbols in it, and of a length that people read."""
    return WORDS[0] <= len(spoken_pieces(text)) <= WORDS[1] and not any(c.isdigit() or c in "&%$€@/" for c in text)


def main() -> None:
    """Make the corpus."""
    p = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    p.add_argument("out", type=Path)
    p.add_argument("sentences", type=Path)
    p.add_argument("--language", default="en-us")
    p.add_argument("--utterances", type=int, default=200)
    p.add_argument("--seed", type=int, default=1)
    a = p.parse_args()
    rng, noise = random.Random(a.seed), np.random.default_rng(a.seed)
    texts = [" ".join(line.split()) for line in a.sentences.read_text(encoding="utf-8").splitlines()]
    texts = sorted({t for t in texts if usable(t)})
    rng.shuffle(texts)
    speakers = [(v, rng.randint(*SPEED), rng.randint(*PITCH)) for v in VARIANTS]
    engine, truth, refused = Voice(), {}, set()
    a.out.mkdir(parents=True, exist_ok=True)
    n = 0
    while len(truth) < a.utterances:
        if len(refused) == len(texts):
            sys.exit(f"{a.sentences}: no sentence of which the engine says each word by itself")
        text, (variant, speed, pitch) = texts[n % len(texts)], speakers[len(truth) % len(speakers)]
        n += 1
        if text in refused:
            continue
        wave, events = engine.say(text, f"{a.language}+{variant}", speed, pitch)
        words = match(text, events)
        if words is None:
            refused.add(text)
            continue
        name = f"{a.language}_{len(truth):05d}"
        truth[name] = _write(a.out / f"{name}.wav", wave, engine.rate, words, rng, noise) | {"speaker": variant, "text": text}
    (a.out / "truth.json").write_text(json.dumps(truth, ensure_ascii=False, indent=0), encoding="utf-8")
    print(f"{len(truth)} utterances, {len(texts) - len(refused)} of {len(texts)} sentences", file=sys.stderr)


def _write(
    path: Path,
    wave: np.ndarray,
    rate: int,
    words: list[tuple[int, int, float, float]],
    rng: random.Random,
    noise: np.random.Generator,
) -> dict[str, object]:
    lead, tail = (np.zeros(int(rate * rng.uniform(*PAD_S)), np.float32) for _ in range(2))
    raw = np.concatenate([lead, wave, tail])
    common = math.gcd(RATE, rate)
    samples = resample_poly(raw * (0.5 / np.abs(raw).max()), RATE // common, rate // common)  # linear phase: times stay
    samples = samples.astype(np.float32)
    if rng.random() < ROOM_SHARE:
        samples = room(samples, noise, ROOM_RT60_S, ROOM_DIRECT_DB)[: len(samples)]
    samples = mix_at_snr(samples, pink_noise(len(samples), noise), rng.uniform(*SNR_DB), np.abs(samples) > 0.01)
    soundfile.write(path, np.clip(samples, -1, 1), RATE, subtype="PCM_16")
    off = len(lead) / rate
    times = [[a, b, round(off + start, 5), round(off + end, 5)] for a, b, start, end in words]
    return {"duration_s": len(samples) / RATE, "words": times}


if __name__ == "__main__":
    main()
