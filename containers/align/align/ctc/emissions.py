"""What a CTC model said of a recording, kept: stage `recognize` asks the model once, `align` and `score` read its answer.

Rows of the table `emissions`: a byte a token and frame, which is how far its log probability lies below the frame's best, in
thirty-seconds of a nat; 255 is 8 nats or more. An hour of 29 tokens has 5 MB so, of which Parquet's compression leaves half
(of three minutes of the small model of the tests, which is seldom sure). What lies between the rows was silence to the voice
activity detector and never decoded: it reads as blanks.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from align.ctc.chunks import Geometry
from align.ctc.tokens import Tokens

Emission = NDArray[np.float32]
"""(frames, tokens) log probabilities."""
STEPS = 32.0
"""Of a byte in a nat."""
FLOOR = -255 / STEPS
"""The least that is kept, in nats below a frame's best."""


def packed(emission: Emission) -> NDArray[np.uint8]:
    """An emission in bytes. A frame's best token has 0, and no other has.

    >>> packed(np.log(np.array([[0.5, 0.499, 1e-9]], np.float32))).tolist()
    [[0, 1, 255]]
    """
    if not len(emission):
        return np.zeros(emission.shape, np.uint8)
    best = emission.argmax(1)
    below = emission[np.arange(len(emission)), best][:, None] - emission
    out = np.clip(np.rint(below * STEPS), 1, 255).astype(np.uint8)
    out[np.arange(len(out)), best] = 0
    return out


def unpacked(codes: NDArray[np.uint8]) -> Emission:
    """Log probabilities below each frame's best, in nats: its best token has 0, the least has `FLOOR`."""
    return codes.astype(np.float32) * np.float32(-1 / STEPS)


@dataclass(frozen=True)
class Piece:
    """Frames [first, first + len(codes)) of a recording."""

    first: int
    codes: NDArray[np.uint8]


@dataclass(frozen=True)
class Emissions:
    """What a model said of one recording.

    Attributes:
        tokens: the model's.
        geometry: how its frames lie over samples.
        pieces: in the order of time, without overlap.
    """

    tokens: Tokens
    geometry: Geometry
    pieces: Sequence[Piece]

    def between(self, first: int, last: int) -> Emission:
        """Frames [first, last): log probabilities below each frame's best (`unpacked`); blanks where nothing was decoded."""
        codes = np.full((max(0, last - first), len(self.tokens)), 255, np.uint8)
        codes[:, self.tokens.blank] = 0
        k = max(0, bisect_right(self.pieces, first, key=lambda p: p.first) - 1)
        while k < len(self.pieces) and self.pieces[k].first < last:
            piece = self.pieces[k]
            a, b = max(first, piece.first), min(last, piece.first + len(piece.codes))
            if a < b:
                codes[a - first : b - first] = piece.codes[a - piece.first : b - piece.first]
            k += 1
        return unpacked(codes)

    def inside(self, start_sample: int, end_sample: int) -> tuple[int, Emission]:
        """The first frame that begins in a stretch of samples, and the frames that lie inside it."""
        first = -(-start_sample // self.geometry.stride)
        return first, self.between(first, first + self.geometry.frames(end_sample - first * self.geometry.stride))

    def rows(self) -> list[dict[str, Any]]:
        """Rows of `emissions`, without their document; one at least, so that it is known that a model was asked."""
        same = {
            "labels": list(self.tokens.labels), "blank": self.tokens.blank,
            "stride": self.geometry.stride, "field": self.geometry.field,
        }  # fmt: skip
        return [
            {"first_frame": p.first, "frames": len(p.codes), "log_probs": p.codes.tobytes(), **same}
            for p in self.pieces or (Piece(0, np.zeros((0, len(self.tokens)), np.uint8)),)
        ]


def by_document(rows: Iterable[Mapping[str, Any]]) -> dict[str, Emissions]:
    """Rows of `emissions`, by document."""
    pieces: dict[str, list[Piece]] = {}
    models: dict[str, tuple[Tokens, Geometry]] = {}
    for row in rows:
        document, labels = row["document_id"], row["labels"]
        if document not in models:
            models[document] = Tokens.of(labels, row["blank"]), Geometry(row["stride"], row["field"])
        codes = np.frombuffer(row["log_probs"], np.uint8).reshape(row["frames"], len(labels))
        pieces.setdefault(document, []).append(Piece(row["first_frame"], codes))
    return {d: Emissions(*models[d], sorted(found, key=lambda p: p.first)) for d, found in pieces.items()}
