"""Emissions are the model's own: whatever shares the batch, however a recording is cut, and through failures of the device."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import Saved
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from align.ctc.checkpoint import Choice, load
from align.ctc.chunks import Geometry, bucket, cut
from align.ctc.encoder import Budget, Encoder, alive, run_batches
from stagekit.errors import StageError, UnavailableError

RATE = 16_000
WAV2VEC2 = Geometry(320, 400)


@pytest.fixture(scope="module")
def encoder(saved: Saved) -> Encoder:
    return Encoder(load(Choice(str(saved.path), saved.sha256)), "cpu")


def alone(saved: Saved, wave: NDArray[np.float32]) -> NDArray[np.float32]:
    """By torchaudio's own model, one stretch at a time."""
    made = load(Choice(str(saved.path), saved.sha256))
    with torch.inference_mode():
        row = torch.from_numpy(wave)[None]
        row = torch.nn.functional.layer_norm(row, row.shape) if made.normalize else row
        return torch.log_softmax(made.network(row)[0], -1)[0].numpy()


def test_a_batch_is_what_each_of_it_is_alone(saved: Saved, encoder: Encoder, reading: NDArray[np.float32]) -> None:
    waves = [reading[:n] for n in (RATE, 5000, 399, 400, 2 * RATE, 31_999)]
    for made, wave in zip(encoder.emissions(waves), waves, strict=True):
        assert len(made) == encoder.geometry.frames(len(wave))
        if len(made):
            np.testing.assert_allclose(made, alone(saved, wave), atol=1e-4)


def test_cuts_leave_no_trace(encoder: Encoder, reading: NDArray[np.float32]) -> None:
    """A chunk's loudness and attention are not the whole's: frames differ a little, but no more beside a cut than elsewhere."""
    (whole,) = encoder.emissions([reading])

    def difference(context_s: float) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        chunks = cut(encoder.geometry, len(reading), longest_s=3.0, context_s=context_s)
        made = encoder.emissions([reading[c.start : c.end] for c in chunks])
        joined = np.concatenate([e[c.inside(320)] for e, c in zip(made, chunks, strict=True)])
        assert len(chunks) == 4 and joined.shape == whole.shape
        cuts = np.array([c.first for c in chunks[1:]])
        near = np.abs(np.arange(len(whole))[:, None] - cuts).min(1) < 8
        return np.abs(joined - whole).mean(1), near

    with_context, near = difference(1.0)
    assert with_context.mean() < 0.05, "log probabilities of these random weights are around -3.4"
    assert with_context[near].mean() < 1.5 * with_context[~near].mean()
    bare, near = difference(0.0)
    assert bare[near].mean() > 2.0 * with_context[near].mean(), "context is what does it"


@given(st.integers(0, 2_000_000), st.floats(0.5, 30), st.floats(0, 3))
def test_chunks_tile_every_frame_once(samples: int, longest_s: float, context_s: float) -> None:
    chunks = cut(WAV2VEC2, samples, longest_s=longest_s, context_s=context_s)
    kept = [f for c in chunks for f in (c.first, c.last)]
    assert kept == sorted(kept) and (kept[:1], kept[-1:]) == (([0], [WAV2VEC2.frames(samples)]) if chunks else ([], []))
    assert all(a.last == b.first for a, b in zip(chunks, chunks[1:], strict=False))
    for c in chunks:
        inside = c.inside(320)
        assert c.start % 320 == 0 and 0 <= c.start < c.end <= samples
        assert 0 <= inside.start < inside.stop <= WAV2VEC2.frames(c.end - c.start)


@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 40_000)), max_size=6))
def test_spans_keep_their_frames_to_themselves(gaps: list[tuple[int, int]]) -> None:
    spans, at = [], 0
    for gap, length in gaps:
        spans.append((at + gap, at + gap + length))
        at += gap + length
    for start, end in spans:
        for c in cut(WAV2VEC2, at, [(start, end)]):
            assert start <= c.first * 320 and (c.last - 1) * 320 + 400 <= max(end, start // 320 * 320 + end - start // 320 * 320)


@given(st.lists(st.integers(1, 1000), max_size=40), st.integers(1, 3000))
def test_batches_hold_everything_once_within_the_budget(lengths: list[int], budget: int) -> None:
    batches = list(bucket(lengths, budget))
    assert sorted(i for b in batches for i in b) == list(range(len(lengths)))
    assert all(len(b) == 1 or max(lengths[i] for i in b) * len(b) <= budget for b in batches)


class Small:
    """A device with memory for so many samples: asks for more fail as CUDA's do; the work is the model's."""

    def __init__(self, encoder: Encoder, samples: int) -> None:
        self.encoder, self.samples, self.sizes = encoder, samples, []

    def run(self, waves: list[NDArray[np.float32]], budget: Budget) -> dict[int, NDArray[np.float32]]:
        lengths = [len(w) for w in waves]

        def start(batch: list[int]):  # type: ignore[no-untyped-def]
            size = max(lengths[i] for i in batch) * len(batch)
            if size > self.samples:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            self.sizes.append(size)
            return self.encoder._start(waves, batch)

        made = run_batches(list(bucket(lengths, budget.samples)), lengths, budget, start)
        return {i: e for batch, finish in made for i, e in zip(batch, finish(), strict=True)}


def test_out_of_memory_halves_and_goes_on(
    encoder: Encoder, reading: NDArray[np.float32], capsys: pytest.CaptureFixture[str]
) -> None:
    waves = [reading[k * 4000 : k * 4000 + 8000] for k in range(12)]
    device, budget = Small(encoder, 20_000), Budget(96_000)
    made = device.run(waves, budget)
    for i, emission in enumerate(encoder.emissions(waves)):
        np.testing.assert_allclose(made[i], emission, atol=1e-4)
    assert max(device.sizes) <= 20_000 and budget.samples <= 20_000
    assert "out of memory with 6 s in a batch: going on with 3 s" in capsys.readouterr().err
    with pytest.raises(StageError, match="alone are too much for the GPU's memory"):
        Small(encoder, 4000).run(waves[:1], Budget(96_000))


def test_a_gpu_that_died_is_for_another_try() -> None:
    for error in (torch.AcceleratorError("CUDA error: unspecified launch failure\nmore"), RuntimeError("CUDA error: an illegal")):
        with pytest.raises(UnavailableError, match="the GPU failed .CUDA error: .*another try may get another one"), alive():
            raise error
    with pytest.raises(ValueError, match="shape"), alive():
        raise ValueError("shape")
    with pytest.raises(torch.OutOfMemoryError), alive():
        raise torch.OutOfMemoryError("CUDA out of memory")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_half_precision_on_a_gpu_says_the_same(saved: Saved, encoder: Encoder, reading: NDArray[np.float32]) -> None:
    gpu = Encoder(load(Choice(str(saved.path), saved.sha256)), "cuda")
    waves = [reading, reading[: 3 * RATE]]
    for a, b in zip(gpu.emissions(waves), encoder.emissions(waves), strict=True):
        assert np.abs(a - b).max() < 0.1
