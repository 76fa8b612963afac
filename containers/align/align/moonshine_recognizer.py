"""The default recogniser on a CPU: Moonshine base, English (MIT), in 8 bits with onnxruntime.

An encoder–decoder transformer (Jeffries et al. 2024, arXiv:2410.15608) that knows no document, so what it hears is evidence by
itself. It gives words without times: they come from forced alignment of what it heard (`align.forced`). Greedy decoding.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession, SessionOptions

from align.features import cepstra
from align.forced import place_words
from align.models import model_file
from align.place import phones_of
from align.recognizer import HeardWord
from align.sphinx_model import load_model
from stagekit.text.normalize import normalize

ENCODER, DECODER = "moonshine-base/encoder.onnx", "moonshine-base/decoder.onnx"
LAYERS, HEADS, HEAD_SIZE = 8, 8, 52
START, END = 1, 2
"""Token ids."""
TOKENS_PER_S = 6.5
"""The most that its authors let it write: speech has fewer, what repeats itself without end has more."""
SHORTEST = 1600
"""Samples; less gives the encoder no frame."""
RATE = 16_000
REPEATS, REPEATED_WORDS, LONGEST_PHRASE = 3, 9, 24
"""A phrase of up to so many words that comes so often in a row, and is so many words in all, is the decoder in a loop: where it
understands nothing it may write one sentence until it has to stop."""
SHORTEST_HALF = 3 * RATE
"""Samples; a piece in whose words it loops, or in which it hears none (of clean speech, too, it may write nothing at all; this
only once, for music has none either), is heard again in two halves, unless they are shorter."""
PAD = 4800
"""Samples of silence put around what is decoded. Of 31 clips under 3 s (tuning side) the mean CER falls from 9.2 to 5.7 %:
without it a short clip may be written down twice."""


class MoonshineDecoder:
    """See `align.recognizer.Decoder`."""

    def transcribe(self, samples: NDArray[np.float32], halved: bool = False) -> list[str]:
        """Words heard, in the spoken form that transcripts have. ``halved``: it is half of a piece that was heard before."""
        if len(samples) < SHORTEST:
            return []
        words = spoken(_text(_tokens(np.pad(samples, PAD))))
        if len(samples) < 2 * SHORTEST_HALF or (not loops(words) if words else halved):
            return words
        middle = _quietest(samples)
        return self.transcribe(samples[:middle], True) + self.transcribe(samples[middle:], True)

    def hear(self, samples: NDArray[np.float32]) -> list[HeardWord]:
        """Words with their times. A word that alignment leaves out lies evenly between its neighbours; its score is None."""
        words = self.transcribe(samples)
        if not words:
            return []
        model = load_model()
        placed = place_words(model, cepstra(samples), [phones_of(model, w) for w in words]).words
        out: list[HeardWord] = []
        end_s = len(samples) / RATE
        for i, word in enumerate(placed):
            out += _between(words[len(out) : word.index], out[-1].end_s if out else 0.0, word.start_s)
            out.append(HeardWord(words[word.index], word.start_s, min(word.end_s, end_s), round(placed[i].score, 4)))
        return out + _between(words[len(out) :], out[-1].end_s if out else 0.0, end_s)


class MoonshineRecognizer:
    """English only. See `align.recognizer.Recognizer`."""

    name = "moonshine"
    biases = False

    def open(self) -> MoonshineDecoder:
        """The model as it is."""
        return MoonshineDecoder()

    def biased(self, words: Sequence[str]) -> MoonshineDecoder:
        """The same: it cannot be told what to expect, and hears well enough without."""
        return MoonshineDecoder()


def spoken(text: str) -> list[str]:
    """Words of what was heard.

    >>> spoken("Mr. O’Brien's well-known café, in 1465.")
    ['mister', "o'brien's", 'well', 'known', 'cafe', 'in', 'fourteen', 'sixty', 'five']
    """
    return [token.word for token in normalize(text, "en")]


def loops(words: Sequence[str]) -> bool:
    """Whether a phrase repeats itself as no speaker would.

    >>> loops("it was a county borough of the town of the town of the town".split())
    True
    >>> loops("no no no he said again and again and again and went".split())
    False
    """
    for n in range(1, LONGEST_PHRASE + 1):
        same = 0
        for word, before in zip(words[n:], words, strict=False):
            same = same + 1 if word == before else 0
            if same >= (REPEATS - 1) * n and same + n >= REPEATED_WORDS:
                return True
    return False


def _quietest(samples: NDArray[np.float32]) -> int:
    """Middle of the quietest 0.1 s, neither half shorter than `SHORTEST_HALF`."""
    step = RATE // 10
    inner = samples[SHORTEST_HALF : len(samples) - SHORTEST_HALF]
    power = np.square(inner[: len(inner) // step * step].reshape(-1, step)).mean(axis=1)
    return SHORTEST_HALF + int(power.argmin()) * step + step // 2 if len(power) else len(samples) // 2


def _between(words: Sequence[str], start_s: float, end_s: float) -> list[HeardWord]:
    step = max(0.0, end_s - start_s) / max(1, len(words))
    return [HeardWord(w, start_s + i * step, start_s + (i + 1) * step, None) for i, w in enumerate(words)]


def _tokens(samples: NDArray[np.float32]) -> list[int]:
    """Greedy decoding of one stretch of audio."""
    encoder, decoder = _sessions()
    hidden = encoder.run(None, {"input_values": samples[None].astype(np.float32)})[0]
    empty = np.zeros((0, HEADS, 1, HEAD_SIZE), np.float32)
    names = [f"past_key_values.{i}.{a}.{b}" for i in range(LAYERS) for a in ("decoder", "encoder") for b in ("key", "value")]
    past = dict.fromkeys(names, empty)
    token, out = START, []
    for step in range(int(len(samples) / RATE * TOKENS_PER_S) + 2):
        logits, *present = decoder.run(
            None,
            {
                "input_ids": np.array([[token]], np.int64), "encoder_hidden_states": hidden,
                "use_cache_branch": np.array([step > 0]), **past,
            },
        )  # fmt: skip
        token = int(logits[0, -1].argmax())
        if token == END:
            break
        out.append(token)
        # The encoder's keys are made in the first step and stay; later steps return empty ones.
        past = {n: v if step == 0 or "decoder" in n else past[n] for n, v in zip(names, present, strict=True)}
    return out


@functools.cache
def _sessions() -> tuple[InferenceSession, InferenceSession]:
    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # a worker has one core
    provider = ["CPUExecutionProvider"]
    encoder, decoder = (InferenceSession(str(model_file(n)), options, providers=provider) for n in (ENCODER, DECODER))
    return encoder, decoder


def _text(tokens: Sequence[int]) -> str:
    pieces = _pieces()
    return b"".join(pieces.get(t, b"") for t in tokens).decode("utf-8", "replace")


@functools.cache
def _pieces() -> dict[int, bytes]:
    """Token id → what it writes (SentencePiece with byte fallback); control tokens write nothing."""
    stored = json.loads(tokenizer_path().read_text(encoding="utf-8"))["model"]["vocab"]
    out = {}
    for piece, token in stored.items():
        if byte := re.fullmatch(r"<0x([0-9A-F]{2})>", piece):
            out[token] = bytes([int(byte[1], 16)])
        elif not re.fullmatch(r"<.*>", piece):
            out[token] = piece.replace("\u2581", " ").encode()
    return out


def tokenizer_path() -> Path:
    """tokenizer.json in the installed useful-moonshine-onnx wheel, whose code is not imported.

    Raises:
        FileNotFoundError: if the wheel is not installed.
    """
    spec = find_spec("moonshine_onnx")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (path := Path(folder) / "assets" / "tokenizer.json").is_file():
            return path
    raise FileNotFoundError("tokenizer.json: the useful-moonshine-onnx wheel is missing; reinstall containers/align")
