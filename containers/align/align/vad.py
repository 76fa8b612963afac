"""Voice activity: where a recording holds speech.

Model: Silero VAD (MIT), the ONNX file in its wheel, run with onnxruntime; the wheel's Python code, which needs torch, is not
imported. The model gives one probability for each 512 samples (32 ms) and keeps a state, so blocks are read in order.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

RATE = 16_000
FRAME = 512
"""Samples per probability."""
CONTEXT = 64
"""Samples of the frame before that the model wants to see again."""
ONSET, OFFSET = 0.5, 0.35
"""Probability at which speech begins, and below which it ends (the defaults of Silero's own `get_speech_timestamps`)."""
MIN_SPEECH_S, MIN_SILENCE_S, PAD_S = 0.1, 0.2, 0.1
"""Shorter speech is dropped, shorter silence bridged; each stretch is widened by the pad, for onsets the model is late on."""


@dataclass(frozen=True)
class Stretch:
    """Samples [start, end) at 16 kHz."""

    start: int
    end: int

    @property
    def duration_s(self) -> float:
        """Seconds."""
        return (self.end - self.start) / RATE


def model_path() -> Path:
    """The ONNX file in the installed silero-vad wheel.

    Raises:
        FileNotFoundError: if the wheel is not installed.
    """
    spec = find_spec("silero_vad")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (path := Path(folder) / "data" / "silero_vad.onnx").is_file():
            return path
    raise FileNotFoundError("silero_vad.onnx: the silero-vad wheel is missing; reinstall containers/align")


@functools.lru_cache(maxsize=1)
def _session() -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(model_path()), options, providers=["CPUExecutionProvider"])


def speech_probabilities(blocks: Iterable[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Probability of speech in each 32 ms frame.

    Args:
        blocks: consecutive blocks of 16 kHz mono audio in [-1, 1], of any lengths.

    Returns:
        (frames,) float32; the last frame is filled with silence.
    """
    session, state = _session(), np.zeros((2, 1, 128), np.float32)
    rate = np.array(RATE, np.int64)
    context: NDArray[np.float32] = np.zeros(CONTEXT, np.float32)
    out: list[float] = []
    rest: NDArray[np.float32] = np.zeros(0, np.float32)

    def run(frame: NDArray[np.float32]) -> None:
        nonlocal state, context
        joined = np.concatenate([context, frame])[None]
        probability, state = session.run(None, {"input": joined, "state": state, "sr": rate})
        out.append(float(probability[0, 0]))
        context = frame[-CONTEXT:]

    for block in blocks:
        rest = np.concatenate([rest, block.astype(np.float32)])
        whole = len(rest) // FRAME * FRAME
        for at in range(0, whole, FRAME):
            run(rest[at : at + FRAME])
        rest = rest[whole:]
    if len(rest):
        run(np.concatenate([rest, np.zeros(FRAME - len(rest), np.float32)]))
    return np.array(out, np.float32)


def speech_stretches(probability: NDArray[np.float32], samples: int) -> list[Stretch]:
    """Stretches of speech, in order and apart.

    Args:
        probability: (frames,) of `speech_probabilities`.
        samples: length of the recording, to which stretches are clipped.
    """
    runs: list[list[int]] = []
    inside = False
    for i, p in enumerate(probability):
        if not inside and p >= ONSET:
            runs.append([i, i + 1])
            inside = True
        elif inside and p >= OFFSET:
            runs[-1][1] = i + 1
        else:
            inside = False
    gap, pad = MIN_SILENCE_S * RATE, int(PAD_S * RATE)
    joined: list[list[int]] = []
    for first, last in runs:
        start, end = first * FRAME, last * FRAME
        if joined and start - joined[-1][1] < gap:
            joined[-1][1] = end
        else:
            joined.append([start, end])
    out: list[Stretch] = []
    for start, end in joined:
        if end - start < MIN_SPEECH_S * RATE:
            continue
        start, end = max(0, start - pad), min(samples, end + pad)
        if out and start <= out[-1].end:
            out[-1] = Stretch(out[-1].start, end)
        elif end > start:
            out.append(Stretch(start, end))
    return out


def chunks(
    stretches: Iterable[Stretch], probability: NDArray[np.float32], longest_s: float = 15.0, bridge_s: float = 0.6
) -> list[Stretch]:
    """Pieces to decode: neighbouring stretches joined up to a length, long ones cut where speech is least likely.

    Args:
        stretches: of `speech_stretches`.
        probability: of `speech_probabilities`.
        longest_s: no piece is longer.
        bridge_s: a longer pause is not bridged.
    """
    limit = int(longest_s * RATE)
    out: list[Stretch] = []
    for whole in stretches:
        start = whole.start
        while whole.end - start > limit:
            window = probability[(start + limit // 2) // FRAME : (start + limit) // FRAME]
            # The latest of the quietest frames; its middle, so that both pieces keep half of a pause.
            cut = (start + limit // 2) // FRAME * FRAME + (len(window) - 1 - int(np.argmin(window[::-1]))) * FRAME + FRAME // 2
            out.append(Stretch(start, cut))
            start = cut
        if out and start == whole.start and start - out[-1].end <= bridge_s * RATE and whole.end - out[-1].start <= limit:
            out[-1] = Stretch(out[-1].start, whole.end)
        else:
            out.append(Stretch(start, whole.end))
    return out
