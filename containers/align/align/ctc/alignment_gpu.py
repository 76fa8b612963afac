"""`align.ctc.alignment` for many texts at once on a GPU, in Triton: the same recurrence, tiles and roundings, so the same paths.

One launch a tile of frames: a program keeps four tiles' states of one text in registers for all frames of the tile, of which it
throws the first quarter away (what comes into them from the left is not known to it). One last launch finds the paths, a program
a text.
With ``TRITON_INTERPRET=1`` the kernels run on a CPU, which is how they are tested where there is no GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import triton
import triton.language as tl
from numpy.typing import NDArray

from align.ctc.alignment import TILE, Band, NoPath, Path, check, limits

WIDTH = 4
"""States of a program, in tiles; 3 of 4 are kept."""
NARROW = 2
"""States that the way back needs, in tiles: one more than a tile has frames, to the next power of two."""


@dataclass(frozen=True)
class Job:
    """One text in one emission: see `align.ctc.alignment.align_tokens`."""

    log_probs: torch.Tensor
    targets: NDArray[np.int32]
    band: Band | None = None


def memory_bytes(frames: int, n: int) -> int:
    """Of a job on the GPU, without its emission."""
    return 8 * (n + 1) * (-(-frames // TILE) + 1) + TILE * NARROW * TILE + 16 * frames


def align_batch(jobs: Sequence[Job], blank: int = 0, tile: int = TILE) -> list[Path]:
    """The best paths of several texts; their emissions are (frames, tokens) float32 on one device.

    Args:
        jobs: of like size, best: the largest decides what is asked of the memory.
        blank: the blank's token.
        tile: frames between kept scores, a power of two.

    Raises:
        NoPath: one of them has none.
    """
    if not jobs:
        return []
    device = jobs[0].log_probs.device
    frames = [len(job.log_probs) for job in jobs]
    for job, length in zip(jobs, frames, strict=True):
        check(length, job.targets, blank, job.log_probs.shape[1])
    count, most = len(jobs), max(frames)
    if not most:
        return [Path(np.zeros(0, np.int32), 0.0) for _ in jobs]
    states, tiles = max(len(job.targets) for job in jobs) + 1, -(-most // tile)
    bounds = np.zeros((count, tiles, 2), np.int32)
    tokens = np.zeros((count, states), np.int32)
    for b, job in enumerate(jobs):
        tokens[b, 1 : len(job.targets) + 1] = job.targets
        if frames[b]:
            own = limits(frames[b], len(job.targets), job.band, tile)
            bounds[b, : len(own)] = own
    if count == 1:
        emissions = jobs[0].log_probs.float().contiguous()[None]
    else:
        emissions = torch.nn.utils.rnn.pad_sequence([job.log_probs.float() for job in jobs], batch_first=True)
    blocks = -(-int((bounds[:, :, 1] - bounds[:, :, 0]).max() + 1) // ((WIDTH - 1) * tile))
    kept = torch.empty((count, tiles + 1, 2, states), device=device)
    top = torch.full((count, tiles, blocks), -float("inf"), device=device)
    names, edges = torch.from_numpy(tokens).to(device), torch.from_numpy(bounds).to(device)
    lengths = torch.tensor(frames, dtype=torch.int32, device=device)
    vocabulary = emissions.shape[2]
    for k in range(tiles):
        _advance[(count, blocks)](
            emissions, names, edges, lengths, kept, top, k, most, states, tiles, vocabulary, blank, blocks,
            STEP=tile, WIDTH=WIDTH * tile, BLOCKS=triton.next_power_of_2(blocks), num_warps=4,
        )  # fmt: skip
    paths = torch.full((count, most), -1, dtype=torch.int32, device=device)
    found = torch.zeros(count, dtype=torch.int32, device=device)
    totals = torch.tensor([len(job.targets) for job in jobs], dtype=torch.int32, device=device)
    came = torch.empty((count, tile, NARROW * tile), dtype=torch.uint8, device=device)
    _back[(count,)](
        emissions, names, edges, lengths, kept, top, came, paths, found, totals, most, states, tiles, vocabulary, blank, blocks,
        STEP=tile, WIDTH=NARROW * tile, BLOCKS=triton.next_power_of_2(blocks), num_warps=4,
    )  # fmt: skip
    visited = torch.where(paths >= 0, names.gather(1, (paths + 1).long()), blank)
    along = emissions.gather(2, visited.long()[:, :, None])[:, :, 0].double()
    inside = torch.arange(most, device=device)[None] < lengths[:, None]
    scores = torch.where(inside, along, 0.0).sum(1).tolist()
    if missing := [b for b, ok in enumerate(found.tolist()) if not ok and frames[b]]:
        raise NoPath(f"no path through text {missing[0]} of the batch; is the band too narrow?")
    host = paths.cpu().numpy()
    return [Path(host[b, : frames[b]].copy(), scores[b]) for b in range(count)]


@triton.jit
def _step(blanks, tokens, quiet, loud, skips, lane, WIDTH: tl.constexpr):  # type: ignore[no-untyped-def]
    """One frame: (blanks, tokens, the way into the token: 0 stay, 1 blank, 2 token, whether a blank comes from its token)."""
    never = -float("inf")
    left = tl.maximum(lane - 1, 0)
    before = tl.where(lane > 0, tl.gather(blanks, left, 0), never)
    jump = tl.where((lane > 0) & skips, tl.gather(tokens, left, 0), never)
    new_blanks = tl.where(tokens > blanks, tokens, blanks) + quiet
    best = tl.where(before > tokens, before, tokens)
    choice = tl.where(before > tokens, 1, 0)
    choice = tl.where(jump > best, 2, choice)
    best = tl.where(jump > best, jump, best)
    return new_blanks, best + loud, choice, tokens > blanks


@triton.jit
def _begin(kept, edges, top, b, tile, tiles, states, blocks, j, inside, BLOCKS: tl.constexpr):  # type: ignore[no-untyped-def]
    """Scores of states j before a tile: those that the tile before left, its best taken off."""
    never = -float("inf")
    if tile == 0:
        blanks = tl.where(inside & (j == 0), 0.0, never)
        tokens = tl.where(inside & (j < 0), 0.0, never)
    else:
        low = tl.load(edges + (b * tiles + tile - 1) * 2)
        high = tl.load(edges + (b * tiles + tile - 1) * 2 + 1)
        there = inside & (j >= low) & (j <= high)
        block = tl.arange(0, BLOCKS)
        best = tl.max(tl.load(top + (b * tiles + tile - 1) * blocks + block, mask=block < blocks, other=never), 0)
        base = kept + ((b * (tiles + 1) + tile) * 2).to(tl.int64) * states
        blanks = tl.where(there, tl.load(base + j, mask=there, other=0.0) - best, never)
        tokens = tl.where(there, tl.load(base + states + j, mask=there, other=0.0) - best, never)
    return blanks, tokens


@triton.jit
def _advance(  # type: ignore[no-untyped-def]
    emissions, names, edges, lengths, kept, top, tile, most, states, tiles, vocabulary, blank, blocks,
    STEP: tl.constexpr, WIDTH: tl.constexpr, BLOCKS: tl.constexpr,
):  # fmt: skip
    b, block = tl.program_id(0), tl.program_id(1)
    first = tile * STEP
    last = tl.minimum(tl.load(lengths + b), first + STEP)
    low = tl.load(edges + (b * tiles + tile) * 2)
    high = tl.load(edges + (b * tiles + tile) * 2 + 1)
    start = low + block * (WIDTH - STEP)
    if (first < last) & (start <= high):
        lane = tl.arange(0, WIDTH)
        j = start - STEP + lane
        inside = (j >= low) & (j <= high)
        name = tl.load(names + b * states + j, mask=inside, other=0)
        skips = inside & (j >= 2) & (name != tl.load(names + b * states + j - 1, mask=inside & (j >= 1), other=0))
        blanks, tokens = _begin(kept, edges, top, b, tile, tiles, states, blocks, j, inside, BLOCKS)
        said = inside & (j > 0)
        row = emissions + (b.to(tl.int64) * most + first) * vocabulary
        for _ in range(first, last):
            loud = tl.load(row + name, mask=said, other=-float("inf"))
            blanks, tokens, _choice, _from = _step(blanks, tokens, tl.load(row + blank), loud, skips, lane, WIDTH)
            row += vocabulary
        stored = inside & (lane >= STEP)
        base = kept + ((b * (tiles + 1) + tile + 1) * 2).to(tl.int64) * states
        tl.store(base + j, blanks, mask=stored)
        tl.store(base + states + j, tokens, mask=stored)
        best = tl.max(tl.where(stored, tl.maximum(blanks, tokens), -float("inf")), 0)
        tl.store(top + (b * tiles + tile) * blocks + block, best)


@triton.jit
def _back(  # type: ignore[no-untyped-def]
    emissions, names, edges, lengths, kept, top, came, paths, found, totals, most, states, tiles, vocabulary, blank, blocks,
    STEP: tl.constexpr, WIDTH: tl.constexpr, BLOCKS: tl.constexpr,
):  # fmt: skip
    b = tl.program_id(0)
    frames = tl.load(lengths + b)
    state = tl.load(totals + b)
    mine = (frames + STEP - 1) // STEP
    if mine > 0:
        end = kept + ((b * (tiles + 1) + mine) * 2).to(tl.int64) * states
        quiet_end = tl.load(end + state)
        loud_end = tl.load(end + states + state)
        good = tl.maximum(quiet_end, loud_end) > -float("inf")
        tl.store(found + b, good.to(tl.int32))
        in_blank = (quiet_end > loud_end).to(tl.int32)
        lane = tl.arange(0, WIDTH)
        codes = came + b * STEP * WIDTH
        for i in range(0, mine):
            tile = mine - 1 - i
            first = tile * STEP
            last = tl.minimum(frames, first + STEP)
            low = tl.load(edges + (b * tiles + tile) * 2)
            begin = tl.maximum(low, state - (last - first))
            j = begin - 1 + lane
            inside = (j >= begin) & (j <= state)
            name = tl.load(names + b * states + j, mask=inside, other=0)
            skips = inside & (j >= 2) & (name != tl.load(names + b * states + j - 1, mask=inside & (j >= 1), other=0))
            blanks, tokens = _begin(kept, edges, top, b, tile, tiles, states, blocks, j, inside, BLOCKS)
            said = inside & (j > 0)
            row = emissions + (b.to(tl.int64) * most + first) * vocabulary
            for t in range(0, last - first):
                loud = tl.load(row + name, mask=said, other=-float("inf"))
                blanks, tokens, choice, over = _step(blanks, tokens, tl.load(row + blank), loud, skips, lane, WIDTH)
                tl.store(codes + t * WIDTH + lane, (2 * choice + over.to(tl.int32)).to(tl.uint8))
                row += vocabulary
            tl.debug_barrier()
            for s in range(0, last - first):
                t = last - first - 1 - s
                code = tl.load(codes + t * WIDTH + (state - begin + 1)).to(tl.int32)
                tl.store(paths + b.to(tl.int64) * most + first + t, tl.where(in_blank == 1, -1, state - 1))
                choice = code // 2
                moved = (in_blank == 0) & (choice > 0)
                stays_blank = (in_blank == 1) & (code % 2 == 0)
                state = tl.where(moved, state - 1, state)
                in_blank = (stays_blank | (moved & (choice == 1))).to(tl.int32)
            tl.debug_barrier()
