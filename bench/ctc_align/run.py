"""CTC forced alignment on a CPU: this one beside torchaudio's and ctc-segmentation, in one run: bench/results/ctc-align.md.

    export PYTHONPATH=containers/stagekit:containers/align
    .venvs/align-gpu/bin/python bench/ctc_align/run.py --peer /path/to/an/environment/with/ctc-segmentation

ctc-segmentation (PyPI, Apache-2.0; Kürzinger et al. 2020) is no dependency; an environment with it is made by
``uv venv X && uv pip install -p X/bin/python "numpy<2" setuptools ctc-segmentation==1.7.5``. It is timed in a process of its own,
on the same emission. Times are CPU seconds of one thread, the best of three, for other work may run on the machine. The emission
is random, with the text in it.
"""

from __future__ import annotations

import argparse
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torchaudio.functional import forced_align

from align.ctc.alignment import align_tokens, band_around

REPO = Path(__file__).resolve().parents[2]
PEER = """
import json, sys, time
import numpy as np
from ctc_segmentation import CtcSegmentationParameters, ctc_segmentation
log_probs, targets = np.load(sys.argv[1]), np.load(sys.argv[2])
config = CtcSegmentationParameters(index_duration=0.02)
config.char_list = [str(i) for i in range(log_probs.shape[1])]
truth = np.concatenate([[-1], targets]).reshape(-1, 1)
took = []
for _ in range(int(sys.argv[3])):
    start = time.process_time()
    ctc_segmentation(config, log_probs, truth)
    took.append(time.process_time() - start)
print(json.dumps(min(took)))
"""


def case(frames: int, n: int) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.int64]]:
    """An emission in which a text is said, somewhat unclearly; the text; the frame of each token."""
    rng = np.random.default_rng(0)
    targets = (np.cumsum(rng.integers(1, 28, n)) % 28 + 1).astype(np.int32)
    logits = rng.normal(0, 2, (frames, 29)).astype(np.float32)
    at = np.sort(rng.choice(frames, n, replace=False))
    logits[:, 0] += 4
    logits[at, targets] += 6
    return torch.log_softmax(torch.from_numpy(logits), -1).numpy(), targets, at


def best(fn: Callable[[], Any], times: int = 3) -> float:
    """CPU seconds."""
    took = []
    for _ in range(times):
        start = time.process_time()
        fn()
        took.append(time.process_time() - start)
    return min(took)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peer", help="environment that has ctc-segmentation")
    parser.add_argument("--short", action="store_true", help="small sizes: a test of this script")
    parser.add_argument("--out", type=Path, default=REPO / "bench/results/ctc-align.md")
    args = parser.parse_args()
    torch.set_num_threads(1)
    align_tokens(*case(300, 50)[:2])  # compiled
    sizes = [(500, 150), (1500, 400)] if args.short else [(750, 200), (3000, 800), (15_000, 4000)]
    lines = [
        "# CTC forced alignment on a CPU",
        "",
        f"Made by `bench/ctc_align/run.py` on {datetime.now(UTC):%Y-%m-%d}: {cpu()}, one thread, CPU seconds, best of three; "
        f"torch {torch.__version__}, Python {platform.python_version()}. 29 tokens, 50 frames a second.",
        "",
        "| audio | tokens | here | torchaudio forced_align | ctc-segmentation | here: in a band | same path as torchaudio |",
        "|---|---|---|---|---|---|---|",
    ]
    for frames, n in sizes:
        log_probs, targets, at = case(frames, n)
        batch = torch.from_numpy(log_probs)[None], torch.from_numpy(targets).long()[None]
        mine, (theirs, _) = align_tokens(log_probs, targets), forced_align(*batch, blank=0)
        same = bool((np.where(mine.token >= 0, targets[mine.token], 0) == theirs[0].numpy()).all())
        band = band_around([(int(at[i]), i) for i in range(0, n, 100)], frames, n, 100, 30)
        lines.append(
            f"| {frames / 50:.0f} s | {n:,} | {best(lambda: align_tokens(log_probs, targets)):.4f} | "  # noqa: B023
            f"{best(lambda: forced_align(*batch, blank=0)):.4f} | {peer(args.peer, log_probs, targets)} | "  # noqa: B023
            f"{best(lambda: align_tokens(log_probs, targets, band=band)):.4f} | {'yes' if same else 'no'} |"  # noqa: B023
        )
    frames, n = (3000, 1000) if args.short else (180_000, 50_000)
    log_probs, targets, at = case(frames, n)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    took = best(lambda: align_tokens(log_probs, targets), 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    band = band_around([(int(at[i]), i) for i in range(0, n, 100)], frames, n, 250, 100)
    near = best(lambda: align_tokens(log_probs, targets, band=band), 1)
    lines += [
        "",
        f"{frames / 50 / 3600:.2f} h against {n:,} tokens: all states {took:.2f} s and at most {(peak - before) / 1e6:.2f} GB "
        f"more than before (the process as a whole, with torch: {peak / 1e6:.2f} GB); in a band around an anchor every "
        f"100 tokens {near:.2f} s. "
        "torchaudio would need a byte for each frame and state: "
        f"{frames * (2 * n + 1) / 1e9:.0f} GB.",
    ]
    args.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def peer(environment: str | None, log_probs: NDArray[np.float32], targets: NDArray[np.int32]) -> str:
    """Seconds of ctc-segmentation, or why there are none."""
    if not environment:
        return "not run"
    with tempfile.TemporaryDirectory() as folder:
        names = [f"{folder}/{name}.npy" for name in ("log_probs", "targets")]
        for name, array in zip(names, (log_probs, targets), strict=True):
            np.save(name, array)
        python = Path(environment) / "bin/python"
        done = subprocess.run([python, "-c", PEER, *names, "3"], capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        return "failed"
    return f"{float(done.stdout):.4f}"


def cpu() -> str:
    """Its name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    main()
