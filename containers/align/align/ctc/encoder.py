"""A CTC model on a device: from stretches of audio to log probabilities of tokens, whatever else is in the batch.

The model is torchaudio's. Two of its layers look at a whole stretch at once, and with padding would see that too: the
normalisation of the waveform, and the group norm of base models. Both are done here over each stretch's own samples, so that its
result does not depend on what shares its batch. On a GPU the model runs in half precision (bf16 where the GPU multiplies it, else
fp16: a T4), log probabilities are float32; batches are copied from pinned memory while the one before is computed.

Memory: what a second of audio takes is measured when the first batch is due; a batch that does not fit after all is halved, and
so is the budget. A GPU that died is an UnavailableError: the stage exits with 75, and Airflow tries again elsewhere.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from align.ctc.checkpoint import Checkpoint
from align.ctc.chunks import RATE, Geometry, bucket
from align.ctc.emissions import Emission
from stagekit.errors import StageError, UnavailableError

CPU_BUDGET_S = 40.0
"""Seconds of padded audio in a batch on a CPU: the base model then needs 1 GB at most."""
MOST_S = 3600.0
"""The same on a GPU, however much memory it has: larger batches are no faster."""
MEMORY_SHARE = 0.8
"""Of the free memory; the rest is for what the allocator cannot use."""
PROBE_S = (5.0, 15.0)
"""Two lengths whose memory gives what one second takes."""


@dataclass
class Budget:
    """Most samples of a padded batch; halved where that was too much."""

    samples: int

    def halve(self, failed: int) -> None:
        """After a batch of so many samples did not fit."""
        self.samples = max(1, min(self.samples, failed) // 2)


class Encoder:
    """A checkpoint on a device. Not for several threads."""

    def __init__(self, checkpoint: Checkpoint, device: str = "", dtype: torch.dtype | None = None) -> None:
        """Moves the model.

        Args:
            checkpoint: the model.
            device: ``cuda``, ``cuda:1``, ``cpu``; empty: a GPU if there is one.
            dtype: of its arithmetic; the best of the device if not given.
        """
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.dtype = dtype or best_dtype(self.device)
        self.tokens, self.normalize = checkpoint.tokens, checkpoint.normalize
        plain(checkpoint.network)
        with alive():
            self.network = checkpoint.network.to(self.device, self.dtype).eval()
        self._layers = list(self.network.feature_extractor.conv_layers)
        self.geometry = Geometry.of((layer.kernel_size, layer.stride) for layer in self._layers)
        self._budget: Budget | None = None

    @property
    def budget(self) -> Budget:
        """Samples of a padded batch that fit; found when first asked for."""
        if self._budget is None:
            self._budget = Budget(int(RATE * (self._probe() if self.device.type == "cuda" else CPU_BUDGET_S)))
        return self._budget

    def _probe(self) -> float:
        """Seconds of audio that fit, by what short batches take."""
        used = []
        with alive():
            for seconds in PROBE_S:
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats(self.device)
                before = torch.cuda.memory_allocated(self.device)
                samples = int(seconds * RATE)  # one is padded, which takes more than four of a length
                self.forward(torch.zeros((4, samples), device=self.device), [samples] * 3 + [samples - RATE])
                used.append((torch.cuda.max_memory_allocated(self.device) - before) / (4 * seconds))
            free, _ = torch.cuda.mem_get_info(self.device)
        return min(MOST_S, MEMORY_SHARE * free / max(used))

    @torch.inference_mode()
    def forward(self, waves: torch.Tensor, lengths: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Log probabilities of a batch.

        Args:
            waves: (batch, samples) float32 on the device, zero after each one's length.
            lengths: samples of each.

        Returns:
            (batch, frames, tokens) float32 and (batch,) frames of each, on the device.
        """
        length = torch.as_tensor(lengths, device=self.device)
        whole = len(set(lengths)) == 1 and lengths[0] == waves.shape[1]
        if self.normalize:
            waves = _normalized(waves, length)
        hidden = waves.to(self.dtype).unsqueeze(1)
        for block in self._layers:
            hidden = block.conv(hidden)
            length = torch.div(length - block.kernel_size, block.stride, rounding_mode="floor") + 1
            if isinstance(block.layer_norm, torch.nn.GroupNorm) and not whole:
                hidden = _group_norm(hidden, length, block.layer_norm)
            elif block.layer_norm is not None:
                hidden = block.layer_norm(hidden)
            hidden = functional.gelu(hidden)
        hidden = self.network.encoder(hidden.transpose(1, 2), None if whole else length)
        return functional.log_softmax(self.network.aux(hidden).float(), -1), length

    def emissions(self, stretches: Sequence[NDArray[np.float32]]) -> list[Emission]:
        """Log probabilities of many stretches of audio, in their order.

        Args:
            stretches: 16 kHz mono in [-1, 1]; one shorter than a frame's field has no frames.

        Raises:
            UnavailableError: the device died.
            StageError: one stretch alone is too much for the memory.
        """
        out: list[Emission] = [np.zeros((0, len(self.tokens)), np.float32)] * len(stretches)
        wanted = [i for i, s in enumerate(stretches) if len(s) >= self.geometry.field]
        # One alone needs no budget: finding one would ask for the memory that others on this GPU use.
        budget = self.budget if len(wanted) > 1 else Budget(max(map(len, stretches), default=0))
        todo = [[wanted[k] for k in batch] for batch in bucket([len(stretches[i]) for i in wanted], budget.samples)]
        for batch, made in run_batches(todo, [len(s) for s in stretches], budget, lambda b: self._start(stretches, b)):
            for i, emission in zip(batch, made(), strict=True):
                out[i] = emission
        return out

    def _start(self, stretches: Sequence[NDArray[np.float32]], batch: Sequence[int]) -> Callable[[], list[Emission]]:
        """Queue a batch on the device; the result is asked for later, so that the next one is prepared meanwhile."""
        lengths = [len(stretches[i]) for i in batch]
        cuda = self.device.type == "cuda"
        with alive():
            waves = torch.zeros((len(batch), max(lengths)), pin_memory=cuda)
            for row, i in zip(waves.numpy(), batch, strict=True):
                row[: len(stretches[i])] = stretches[i]
            log_probs, frames = self.forward(waves.to(self.device, non_blocking=True), lengths)
            host, done = log_probs, None
            if cuda:  # into pinned memory: a copy to any other waits for the batch
                host = torch.empty(log_probs.shape, dtype=log_probs.dtype, pin_memory=True)
                host.copy_(log_probs, non_blocking=True)
                done = torch.cuda.Event()
                done.record()

        def finish() -> list[Emission]:
            with alive():
                if done is not None:
                    done.synchronize()
                return [np.ascontiguousarray(e[:n]) for e, n in zip(host.numpy(), frames.tolist(), strict=True)]

        return finish


def best_dtype(device: torch.device) -> torch.dtype:
    """bf16 where tensor cores multiply it (Ampere and newer), fp16 on older GPUs (T4), float32 on a CPU."""
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16


def plain(network: Any) -> None:
    """Fold the positional convolution's weight norm into its weight: it would be computed in every pass."""
    convolution = network.encoder.transformer.pos_conv_embed.conv
    if torch.nn.utils.parametrize.is_parametrized(convolution):
        torch.nn.utils.parametrize.remove_parametrizations(convolution, "weight")


def _mask(length: torch.Tensor, most: int) -> torch.Tensor:
    return torch.arange(most, device=length.device)[None] < length[:, None]


def _normalized(waves: torch.Tensor, length: torch.Tensor) -> torch.Tensor:
    """Each row's own samples at mean 0 and variance 1."""
    inside, n = _mask(length, waves.shape[1]), length[:, None].float()
    mean = (waves * inside).sum(1, keepdim=True) / n
    centred = (waves - mean) * inside
    return centred * torch.rsqrt(centred.square().sum(1, keepdim=True) / n + 1e-5)


def _group_norm(hidden: torch.Tensor, length: torch.Tensor, norm: torch.nn.GroupNorm) -> torch.Tensor:
    """Group norm with a group a channel, over each row's own frames: (batch, channels, frames)."""
    inside, n = _mask(length, hidden.shape[2])[:, None], length[:, None, None].float()
    mean = (hidden * inside).sum(2, keepdim=True, dtype=torch.float32) / n
    centred = (hidden.float() - mean) * inside
    scale = torch.rsqrt(centred.square().sum(2, keepdim=True) / n + norm.eps)
    return (centred * scale).to(hidden.dtype) * norm.weight[:, None] + norm.bias[:, None]


class alive:
    """What a dying device says becomes an UnavailableError; out of memory stays what it is."""

    def __enter__(self) -> None:
        """Nothing."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        """See the class."""
        if isinstance(error, torch.OutOfMemoryError):
            return
        if isinstance(error, torch.AcceleratorError) or (isinstance(error, RuntimeError) and "CUDA" in str(error)):
            first = str(error).strip().partition("\n")[0]
            raise UnavailableError(f"the GPU failed ({first}); another try may get another one") from error


def run_batches(
    batches: Sequence[Sequence[int]], lengths: Sequence[int], budget: Budget,
    start: Callable[[Sequence[int]], Callable[[], list[Emission]]],
) -> Iterator[tuple[Sequence[int], Callable[[], list[Emission]]]]:
    """Start batches one ahead of the one that is handed out; one that does not fit is halved, and so are all later ones.

    Args:
        batches: indices; the first of each is the longest.
        lengths: samples of each index.
        budget: shrinks where it was too large.
        start: queues a batch and gives what waits for its result.

    Raises:
        StageError: a batch of one does not fit.
    """
    todo = [list(b) for b in reversed(batches)]
    waiting: tuple[list[int], Callable[[], list[Emission]]] | None = None
    while todo:
        batch = todo.pop()
        size = lengths[batch[0]] * len(batch)
        if size > budget.samples and len(batch) > 1:
            todo += [batch[len(batch) // 2 :], batch[: len(batch) // 2]]
            continue
        started, failed = None, ""
        try:
            started = batch, start(batch)
        except torch.OutOfMemoryError as error:
            failed = str(error)
        if started is None:  # the exception is gone by now, and what its frames held
            if waiting is not None:  # what it holds may be all that is missing
                yield waiting
                waiting = None
            elif len(batch) == 1:
                raise StageError(f"{size / RATE:.0f} s of audio alone are too much for the GPU's memory: {failed}")
            if len(batch) > 1:
                budget.halve(size)
                was, now = size / RATE, budget.samples / RATE
                print(f"out of memory with {was:.2g} s in a batch: going on with {now:.2g} s", file=sys.stderr)
            torch.cuda.empty_cache()
            todo.append(batch)
            continue
        if waiting is not None:
            yield waiting
        waiting = started
    if waiting is not None:
        yield waiting
