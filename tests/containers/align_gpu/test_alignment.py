"""Alignment finds torchaudio's paths, in bounded memory, and the GPU's kernels find the CPU's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torchaudio.functional import forced_align

from align.ctc.alignment import TILE, NoPath, align_tokens, band_around, limits, spans
from align.ctc.tokens import Tokens

Case = tuple[NDArray[np.float32], NDArray[np.int32]]


def emission(rng: np.random.Generator, frames: int, tokens: int) -> NDArray[np.float32]:
    return torch.log_softmax(torch.from_numpy(rng.normal(0, 2, (frames, tokens)).astype(np.float32)), -1).numpy()


def text(rng: np.random.Generator, n: int, tokens: int, blank: int = 0) -> NDArray[np.int32]:
    drawn = rng.integers(0, tokens - 1, n).astype(np.int32)
    return np.where(drawn >= blank, drawn + 1, drawn).astype(np.int32)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Case, int]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    tokens, frames = draw(st.integers(2, 8)), draw(st.integers(1, 3 * TILE))
    blank = draw(st.integers(0, tokens - 1))
    return (emission(rng, frames, tokens), text(rng, draw(st.integers(1, frames)), tokens, blank)), blank


def said(path: NDArray[np.int32], targets: NDArray[np.int32], blank: int) -> NDArray[np.int32]:
    return np.where(path >= 0, targets[path], blank)


@settings(max_examples=25, deadline=None)
@given(cases())
def test_it_is_torchaudios_path(case: tuple[Case, int]) -> None:
    (log_probs, targets), blank = case
    batch = torch.from_numpy(log_probs)[None], torch.from_numpy(targets)[None].long()
    if len(targets) + int((targets[1:] == targets[:-1]).sum()) > len(log_probs):
        with pytest.raises(NoPath, match="tokens need"):
            align_tokens(log_probs, targets, blank)
        return
    path = align_tokens(log_probs, targets, blank)
    theirs, scores = forced_align(*batch, blank=blank)
    assert path.score == pytest.approx(float(scores.double().sum()), abs=1e-6)
    assert (said(path.token, targets, blank) == theirs[0].numpy()).all()
    steps = path.token[path.token >= 0]
    assert (np.diff(steps) >= 0).all() and set(steps) == set(range(len(targets))), "every token, in order"


def test_threads_and_blocks_change_nothing() -> None:
    rng = np.random.default_rng(0)
    log_probs, targets = emission(rng, 12_000, 6), text(rng, 9000, 6)
    one, two = align_tokens(log_probs, targets), align_tokens(log_probs, targets, threads=2)
    assert (one.token == two.token).all() and one.score == two.score


def test_a_band_keeps_the_path_and_leaves_out_the_rest() -> None:
    rng = np.random.default_rng(1)
    n, frames = 2000, 6000
    targets = text(rng, n, 20)
    log_probs = rng.normal(-8, 1, (frames, 20)).astype(np.float32)
    log_probs[:, 0] = -1.0
    at = np.sort(rng.choice(np.arange(0, frames, 2), n, replace=False))
    log_probs[at, targets] = 0.0  # what is said
    whole = align_tokens(log_probs, targets)
    anchors = [(int(at[i]), i) for i in range(0, n, 50)]
    band = band_around(anchors, frames, n, margin_frames=100, margin_tokens=20)
    near = align_tokens(log_probs, targets, band=band)
    assert (near.token == whole.token).all()
    visited = limits(frames, n, band)
    assert (visited[:, 1] - visited[:, 0] + 1).sum() < 0.2 * (n + 1) * len(band)
    wrong = band_around([(5900, 10)], frames, n, margin_frames=10, margin_tokens=5)
    with pytest.raises(NoPath, match="band"):
        align_tokens(log_probs, targets, band=wrong)


def test_extremes() -> None:
    rng = np.random.default_rng(2)
    nothing = align_tokens(emission(rng, 5, 3), np.zeros(0, np.int32))
    assert (nothing.token == -1).all()
    assert align_tokens(np.zeros((0, 3), np.float32), np.zeros(0, np.int32)).score == 0.0
    full = align_tokens(emission(rng, 4, 3), np.array([1, 2, 1, 2], np.int32))
    assert full.token.tolist() == [0, 1, 2, 3]
    for wrong in ([0], [3], [-1]):
        with pytest.raises(ValueError, match="targets must be tokens below 3"):
            align_tokens(emission(rng, 4, 3), np.array(wrong, np.int32))


def test_hours_do_not_wear_the_scores_down() -> None:
    """Two places of a token, one better by 1e-4, after 70,000 frames: sums of float32 no longer tell them apart."""
    log_probs = np.full((70_000, 3), -40.0, np.float32)
    log_probs[:, 0] = -12.5
    log_probs[-3, 1], log_probs[-1, 1] = -12.5, -12.4999
    assert np.float32(70_000 * 12.5) + np.float32(1e-4) == np.float32(70_000 * 12.5)
    assert np.flatnonzero(align_tokens(log_probs, np.ones(1, np.int32)).token == 0).tolist() == [69_999]


def test_words_have_their_frames_and_their_scores() -> None:
    tokens = Tokens.of(["-", "|", *"abc"])
    targets, owner = tokens.targets(["ab", "c"])
    likely = ["-", "a", "a", "-", "b", "|", "-", "c", "-"]
    log_probs = np.full((len(likely), 5), -9.0, np.float32)
    for t, label in enumerate(likely):
        log_probs[t, tokens.labels.index(label)] = -0.5 * (t + 1)
    path = align_tokens(log_probs, targets)
    found = spans(path, log_probs, targets, owner)
    assert {w: (s.start, s.end) for w, s in found.items()} == {0: (1, 5), 1: (7, 8)}
    assert found[0].score == pytest.approx(-(1.0 + 1.5 + 2.5) / 3) and found[1].score == pytest.approx(-4.0)


TWIN = """
import numpy as np, torch
from align.ctc.alignment import TILE, NoPath, align_tokens, band_around
from align.ctc.alignment_gpu import Job, align_batch
rng = np.random.default_rng(3)
device, tile = "{device}", {tile}
for sizes in {sizes}:
    jobs, band = [], None
    for frames, n in sizes:
        log_probs = torch.log_softmax(torch.from_numpy(rng.normal(0, 2, (frames, 6)).astype(np.float32)), -1)
        if frames > 6 * tile:
            band = band_around([(frames // 2, n // 2)], frames, n, frames // 4, n // 4, tile)
        jobs.append(Job(log_probs.to(device), (np.cumsum(rng.integers(1, 5, n)) % 5 + 1).astype(np.int32), band))
    for job, found in zip(jobs, align_batch(jobs, tile=tile), strict=True):
        want = align_tokens(job.log_probs.cpu().numpy(), job.targets, band=job.band, tile=tile)
        assert (found.token == want.token).all() and found.score == want.score, (found.score, want.score)
try:
    align_batch([Job(torch.zeros((3, 4), device=device), np.array([1, 1, 1], np.int32))])
except NoPath as error:
    print("same paths;", error)
"""


def twin(device: str, sizes: list[list[tuple[int, int]]], tile: int = TILE, **env: str) -> None:
    """In a process of its own: whether Triton interprets is decided when it is imported."""
    import os
    import subprocess
    import sys

    program = TWIN.format(device=device, sizes=sizes, tile=tile)
    done = subprocess.run([sys.executable, "-c", program], env=os.environ | env, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "same paths; 3 tokens need 5 frames" in done.stdout, done.stderr[-3000:]


def test_the_gpus_kernels_find_the_same_paths() -> None:
    """Interpreted on the CPU, in small tiles: a text over seven of them with a band, one over three blocks of states, a batch."""
    twin("cpu", [[(26, 10)], [(40, 34)], [(9, 4), (0, 0), (5, 0), (3, 3)]], tile=4, TRITON_INTERPRET="1")


def test_the_size_of_tiles_changes_no_path() -> None:
    rng = np.random.default_rng(5)
    log_probs, targets = emission(rng, 300, 4), text(rng, 150, 4)
    assert len({align_tokens(log_probs, targets, tile=tile).token.tobytes() for tile in (1, 7, 64, TILE, 1000)}) == 1


def test_the_kernels_compile_for_a_t4_and_newer() -> None:
    """To machine code; a GPU is not asked."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from align.ctc import alignment_gpu

    kinds = {"emissions": "*fp32", "kept": "*fp32", "top": "*fp32", "came": "*u8"}
    kinds |= dict.fromkeys(("names", "edges", "lengths", "paths", "found", "totals"), "*i32")
    for kernel, width in ((alignment_gpu._advance, alignment_gpu.WIDTH), (alignment_gpu._back, alignment_gpu.NARROW)):
        fixed = {"STEP": TILE, "WIDTH": width * TILE, "BLOCKS": 128}
        signature = {n: "constexpr" if n in fixed else kinds.get(n, "i32") for n in kernel.arg_names}
        for capability in (75, 90):
            source = ASTSource(fn=kernel, signature=signature, constexprs=fixed)
            made = triton.compile(source, target=GPUTarget("cuda", capability, 32), options={"num_warps": 4})
            assert made.asm["cubin"] and made.metadata.shared < 48_000, "what any block may have"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_too() -> None:
    twin("cuda", [[(9 * TILE + 40, 1900)], [(5000, 900), (0, 0), (17, 0), (30, 12), (2000, 1400)], [(40_000, 9000)]])
