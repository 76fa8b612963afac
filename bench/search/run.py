"""How the search grows, and what it finds: ``PYTHONPATH=containers/align .venvs/align/bin/python bench/search/run.py``.

Each row runs in a process of its own, pinned to one core, so that its peak memory is its own (interpreter and libraries
included). ``--text`` takes plain-text books; at least 200,000 words are wanted for the largest rows, and the last book is the
unrelated one. Without it words are drawn with Zipf frequencies. ``--out`` writes a Markdown report.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import platform
import random
import re
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import corrupt

from align.search import DEFAULT, search

SIZES = (10_000, 20_000, 50_000, 100_000, 200_000)
CASES: tuple[Callable[[list[str], float, random.Random], corrupt.Case], ...] = (
    corrupt.noisy, corrupt.missing, corrupt.added, corrupt.reordered, corrupt.boilerplate,
)


def words_of(path: str) -> list[str]:
    """Lower-case words of a text file."""
    return re.findall(r"[a-z']+", Path(path).read_text(encoding="utf-8", errors="replace").lower())


def zipf(count: int, seed: int) -> list[str]:
    """Words with Zipf frequencies (vocabulary 30,000), in no order."""
    rng = random.Random(seed)
    weights = [1 / (rank + 2.7) for rank in range(30_000)]
    return rng.choices([f"w{i}" for i in range(30_000)], weights, k=count)


def measure(case: corrupt.Case) -> dict[str, float | str]:
    """Runs one case: ``found`` is the share of the right pairs found, ``right`` that of the found pairs that are right."""
    search(case.hypothesis[:200], case.transcript[:200])  # loads the compiled kernels
    start, cpu = time.perf_counter(), time.process_time()
    islands = search(case.hypothesis, case.transcript)
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    got = {int(h): int(r) for island in islands for h, r in island.pairs}
    right = sum(case.truth.get(h) == r for h, r in got.items())
    return {
        "case": case.name, "hypothesis": len(case.hypothesis), "transcript": len(case.transcript), "islands": len(islands),
        "pairs": len(got), "found": right / max(1, len(case.truth)), "right": right / max(1, len(got)),
        "wall_s": wall, "cpu_s": cpu, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _job(job: tuple[str, list[str], list[str], float, int]) -> dict[str, float | str]:
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[0]})
    kind, words, other, wer, seed = job
    rng = random.Random(seed)
    if kind == "unrelated":
        return measure(corrupt.Case("unrelated text", other, words, {}))
    if kind.startswith("babble"):
        order = int(kind[-1])
        heard = corrupt.babble(words, len(words), rng, order)
        return measure(corrupt.Case(f"a walk over the text's own {order}-grams", heard, words, {}))
    return measure({f.__name__: f for f in CASES}[kind](words, wer, rng))


def main() -> None:
    """Runs all rows and prints the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", nargs="*", default=[], help="plain-text books; the last one is the unrelated text")
    parser.add_argument("--about", default="", help="one line that says what the texts are")
    parser.add_argument("--out", type=Path, help="Markdown report")
    parser.add_argument("--sizes", type=int, nargs="*", default=list(SIZES))
    args = parser.parse_args()
    books = [words_of(p) for p in args.text] if args.text else [zipf(250_000, 1), zipf(150_000, 2)]
    words, other = [w for b in books for w in b], books[-1]
    jobs: list[tuple[str, list[str], list[str], float, int]] = [
        (f.__name__, words[:n], [], wer, n) for n in args.sizes for f in CASES for wer in (0.1, 0.3)
    ]
    jobs += [("noisy", words[:100_000], [], wer, 1) for wer in (0.5, 0.7)]
    first = books[0]
    for n in (300, 1000, 10_000, 100_000):
        jobs += [(kind, first[:n], other[:n], 0.0, n) for kind in ("unrelated", "babble2", "babble3")]
    rows = []
    context = multiprocessing.get_context("spawn")
    for job in jobs:
        with context.Pool(1) as pool:
            rows.append(pool.apply(_job, (job,)))
        print(json.dumps(rows[-1]), flush=True)
    if args.out:
        args.out.write_text(report(rows, books, args.about), encoding="utf-8")


def report(rows: list[dict[str, float | str]], books: list[list[str]], about: str) -> str:
    """Markdown: the machine, the growth, every row."""
    model = next((x.split(":")[1].strip() for x in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in x), "?")
    digest = hashlib.sha256("\n".join(w for b in books for w in b).encode()).hexdigest()[:16]
    lines = [
        "# Text search", "",
        f"Made by `bench/search/run.py` on {time.strftime('%Y-%m-%d')}, one core: {model}, Python {platform.python_version()}.",
        f"Text: {about or 'words drawn with Zipf frequencies'} (sha256 of the words begins {digest}). Settings: `{DEFAULT}`.",
        "", "Other work ran on the machine at the same time where wall time is far above CPU time.",
        "The promise: a 10-hour hypothesis (100,000 words) against 100,000 words in under 60 s and 2 GB on one core.", "",
        "## Growth (all cases of a size: median, worst)", "",
        "| words | median CPU s | worst CPU s | worst wall s | worst peak MB |", "|---|---|---|---|---|",
    ]
    growth = [r for r in rows if str(r["case"]).startswith("WER 0.1") or str(r["case"]).startswith("WER 0.3")]
    sizes = sorted({round(max(float(r["hypothesis"]), float(r["transcript"])), -4) for r in growth})
    for size in [s for s in SIZES if any(abs(s - x) < 0.3 * s for x in sizes)]:
        near = [r for r in growth if 0.75 * size < max(float(r["hypothesis"]), float(r["transcript"])) < 1.3 * size]
        wall, cpu = [float(r["wall_s"]) for r in near], [float(r["cpu_s"]) for r in near]
        peak = max(float(r["peak_mb"]) for r in near)
        lines.append(f"| {size:,} | {statistics.median(cpu):.2f} | {max(cpu):.2f} | {max(wall):.2f} | {peak:.0f} |")
    lines += [
        "", "## Every row", "",
        "*found*: share of the right pairs that were found; *right*: share of the found pairs that are right (an equal word one",
        "place off counts as wrong). Substituted and inserted words are drawn from the text itself, as a biased decoder's are.",
        "For an unrelated text and for the n-gram walk every pair is wrong: their column is *pairs*.", "",
        "| case | hypothesis | transcript | islands | pairs | found | right | CPU s | wall s | peak MB |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        unrelated = not str(r["case"]).startswith("WER")
        shares = "– | –" if unrelated else f"{r['found']:.4f} | {r['right']:.4f}"
        lines.append(
            f"| {r['case']} | {r['hypothesis']:,} | {r['transcript']:,} | {r['islands']} | {r['pairs']:,} | {shares} "
            f"| {r['cpu_s']:.2f} | {r['wall_s']:.2f} | {r['peak_mb']:.0f} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
