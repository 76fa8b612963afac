"""Cutting a recording into what a model takes at once, so that the cuts leave no trace; and putting chunks into batches.

Chunks begin on the model's frame grid and overlap: each is given context on both sides, and what the model says of the context is
trimmed. Frame t of a chunk that begins at sample s is then frame t + s / stride of the recording, exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

RATE = 16_000
LONGEST_S = 15.0
"""Of what is kept of a chunk: attention's cost stays below a tenth of the model's."""
CONTEXT_S = 1.0
"""On each side of it. wav2vec 2.0's convolutions see 0.4 s, its positional convolution 1.28 s to each side."""


@dataclass(frozen=True)
class Geometry:
    """How frames lie over samples.

    Attributes:
        stride: samples between frames.
        field: samples that a frame is made of.
    """

    stride: int
    field: int

    @classmethod
    def of(cls, kernels_and_strides: Iterable[tuple[int, int]]) -> Geometry:
        """Of a stack of convolutions without padding.

        >>> Geometry.of([(10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2)])
        Geometry(stride=320, field=400)
        """
        stride, field = 1, 1
        for kernel, step in kernels_and_strides:
            field += (kernel - 1) * stride
            stride *= step
        return cls(stride, field)

    def frames(self, samples: int) -> int:
        """Frames of so many samples.

        >>> Geometry(320, 400).frames(399), Geometry(320, 400).frames(16000)
        (0, 49)
        """
        return max(0, (samples - self.field) // self.stride + 1)

    def seconds(self, frame: float) -> float:
        """Where a frame begins: it stands for one stride of samples around the middle of its field."""
        return max(0.0, (frame * self.stride + (self.field - self.stride) / 2) / RATE) if frame else 0.0


@dataclass(frozen=True)
class Chunk:
    """Samples [start, end) of a recording go into the model; frames [first, last) of the recording are kept."""

    start: int
    end: int
    first: int
    last: int

    def inside(self, stride: int) -> slice:
        """The kept frames among the chunk's own."""
        return slice(self.first - self.start // stride, self.last - self.start // stride)


def cut(
    geometry: Geometry, samples: int, spans: Sequence[tuple[int, int]] | None = None,
    longest_s: float = LONGEST_S, context_s: float = CONTEXT_S,
) -> list[Chunk]:
    """Chunks whose kept frames tile each span once.

    Args:
        geometry: of the model.
        samples: length of the recording.
        spans: samples [start, end) that frames are wanted of; all of it if not given. A chunk never reaches over two.
        longest_s: most seconds kept of a chunk.
        context_s: seconds before and after it, as far as the recording goes.

    >>> [(c.first, c.last) for c in cut(Geometry(320, 400), 16000 * 20)]
    [(0, 500), (500, 999)]
    """
    step, total = geometry.stride, geometry.frames(samples)
    most, context = max(1, int(longest_s * RATE / step)), int(context_s * RATE / step)
    out: list[Chunk] = []
    for start, end in spans if spans is not None else [(0, samples)]:
        first, last = -(-start // step), min(total, start // step + geometry.frames(end - start // step * step))
        pieces = -(-(last - first) // most) if last > first else 0
        for k in range(pieces):  # of equal length, so that they share batches without padding
            a, b = first + (last - first) * k // pieces, first + (last - first) * (k + 1) // pieces
            begin = max(0, a - context) * step
            out.append(Chunk(begin, min(samples, (b - 1 + context) * step + geometry.field), a, b))
    return out


def bucket(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Indices in batches of similar length: padded samples of a batch stay within the budget, unless one alone is over it.

    The longest come first, so that what memory has to hold is asked for at once.

    >>> list(bucket([5, 1, 9, 2], 10))
    [[2], [0, 3], [1]]
    """
    batch: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if batch and lengths[batch[0]] * (len(batch) + 1) > budget:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
