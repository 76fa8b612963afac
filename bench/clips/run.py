"""Clips per second of selecting, cutting and encoding, beside the original's way: a decode, three sox calls, an encoder a clip.

Run from the repository's root; needs Debian's ``sox``, ``libsox-fmt-mp3`` and ``opus-tools`` for the original's side:
PYTHONPATH=containers/stagekit:containers/keywords:tests/containers:tests/containers/keywords \
    .venvs/keywords/bin/python bench/clips/run.py --release tests/known_answers/data/common_voice_6.1/en --write

Sentences are recordings of Common Voice (the tests', or a release's with ``--release``), each taken as often as the number asked
for needs; words lie in them in proportion to their letters (where a cut falls does not change what it costs). Both sides get the
same words and cores, in turn, round after round: wall time shares the machine with whatever else runs. CPU seconds are those of
all processes. Workers find bytecode on disk, as that of the libraries lies in the images; it is compiled before the clock starts.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from keywords import cut, opus, select
from stagekit.audio import decode
from stagekit.run import run_stage

RESULTS = Path(__file__).parents[1] / "results" / "clips.md"
REAL = Path(__file__).parents[2] / "tests/containers/ingest/data/common_voice"
TOOLS = ("sox", "soxi", "opusenc")


def corpus(wanted: int, folders: list[Path]) -> list[tuple[dict[str, Any], bytes, list[dict[str, Any]]]]:
    """So many (row of sentences, bytes, rows of sentence_words) of the releases whose lists lie in these folders."""
    from spoken import aligned, sentence  # here, not above: what this file imports, each worker imports again

    real = []
    for release in folders:
        with open(release / "validated.tsv", encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
                path = release / "clips" / row["path"]
                if not path.is_file() or not row["sentence"].split():
                    continue
                real.append((row["sentence"].strip('"'), path.read_bytes(), len(decode(path)) / 16000))
    found = []
    for n in range(wanted):
        text, data, seconds = real[n % len(real)]
        one = sentence(text, data, seconds, sentence_id=f"{n:064x}", speaker_id=f"speaker-{n}")
        letters = np.cumsum([0, *(len(t["word"]) for t in one["tokens"])])
        edges = 0.15 * seconds + 0.7 * seconds * letters / letters[-1]
        times = [("", float(a), float(b)) for a, b in zip(edges, edges[1:], strict=False)]
        found.append((one, data, aligned(one, times)))
    return found


def compile_bytecode(folder_: Path) -> None:
    """Bytecode of all that a worker imports, where the workers of this run look for it."""
    os.environ["PYTHONPYCACHEPREFIX"] = str(folder_)
    writing = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([sys.executable, __file__, "--help"], env=writing, check=True, stdout=subprocess.DEVNULL)


def cpu_s() -> float:
    """CPU seconds of this process and all that it has waited for."""
    both = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(u.ru_utime + u.ru_stime for u in both)


def ours(tmp: Path, sentences: list[Any], workers: int) -> tuple[int, float, float, list[dict[str, Any]], dict[str, float]]:
    """(clips, wall s, CPU s, picks, CPU s of each stage) of the two stages, all but the start of their command."""
    from speech_rows import folder
    from spoken import prepared

    source = prepared(tmp / "p", [s for s, _, _ in sentences], [a for _, a, _ in sentences])
    words = folder(tmp / "w", {"sentence_words": [w for _, _, rows in sentences for w in rows]})
    started, cpu = time.monotonic(), cpu_s()
    params = select.SelectParams.model_validate({"min_clips": 1, "min_graphemes": 1, "max_word_s": 10})
    picked = run_stage(select.run, [source, words], str(tmp / "s"), params, workers=workers, quiet=True)
    selecting = cpu_s() - cpu
    made = run_stage(cut.run, [source, picked.output + "#00000"], str(tmp / "c"), cut.CutParams(), workers=workers, quiet=True)
    wall, total = time.monotonic() - started, cpu_s() - cpu
    import pyarrow.parquet as pq

    picks = pq.read_table(Path(picked.output) / "picks-00000.parquet").to_pylist()
    return made.success["rows"]["clips"], wall, total, picks, {"select": selecting, "cut": total - selecting}


def original_clip(folder_: Path, mp3: Path, start_s: float, end_s: float) -> None:
    """One clip as the original made it, at its 48 kHz: padded with silence, faded, encoded; and the 16 kHz copy."""
    folder_.mkdir()
    wav, second, low, out = (str(folder_ / name) for name in ("a.wav", "b.wav", "c.wav", "d.opus"))
    length = end_s - start_s
    pad = max(0.0, (1 - length) / 2)

    def call(*argv: str) -> None:
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    call("sox", str(mp3), wav)
    call("soxi", "-D", wav)
    fades = ["fade", "q", "0.025", "reverse", "fade", "q", "0.025", "reverse"]
    call("sox", wav, second, "rate", "-h", "48000", "trim", f"{start_s}", f"{length}", *fades, "pad", f"{pad}", f"{pad}")
    call("sox", second, "-r", "16000", low)
    call("opusenc", "--quiet", "--bitrate", "32", second, out)
    shutil.rmtree(folder_)


def original(tmp: Path, sentences: list[Any], picks: list[dict[str, Any]], clips: int, workers: int) -> tuple[int, float, float]:
    """(clips, wall s, CPU s) of so many clips, spread evenly over the picks."""
    audio = {s["sentence_id"]: a for s, a, _ in sentences}
    chosen = [p for p in picks if p["end_s"] - p["start_s"] > 0.1][:: max(1, len(picks) // clips)][:clips]
    (tmp / "o").mkdir()
    jobs = []
    for n, pick in enumerate(chosen):
        mp3 = tmp / "o" / f"{n}.mp3"
        mp3.write_bytes(audio[pick["sentence_id"]])
        jobs.append((tmp / "o" / str(n), mp3, pick["start_s"], pick["end_s"]))
    started, cpu = time.monotonic(), cpu_s()
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda job: original_clip(*job), jobs))
    return len(jobs), time.monotonic() - started, cpu_s() - cpu


def spectral_distance_db(a: np.ndarray, b: np.ndarray) -> float:
    """Mean difference of two signals' levels, dB, over 20 ms frames and 20 bands up to 8 kHz, where there is sound."""
    levels = []
    for x in (a, b):
        frames = np.lib.stride_tricks.sliding_window_view(x, 960)[::480] * np.hanning(960)
        power = np.abs(np.fft.rfft(frames, axis=1))[:, 1:161].reshape(len(frames), 20, 8) ** 2
        levels.append(10 * np.log10(power.mean(axis=2) + 1e-7))
    loud = levels[0] > levels[0].max() - 50
    return float(np.abs(levels[0] - levels[1])[loud].mean())


def complexities(sentences: list[Any], clips: int) -> list[tuple[int, float, float, float, float]]:
    """(complexity, CPU ms a clip, bytes a clip, SNR dB, spectral distance to the source) of libopus on the same clips."""
    import io

    import soundfile

    sounds = [cut.decode_48k(a, s["samples"]) for s, a, _ in sentences[:20]]
    pieces = [s[i : i + 48000] for s in sounds for i in range(0, len(s) - 48000, 12000)][:clips]
    found = []
    for level in (0, 3, 5, 7, 10):
        encoder = opus.Encoder(level)
        at = time.process_time()
        files = [opus.encode(p, p[:0], str(n), encoder) for n, p in enumerate(pieces)]
        spent = (time.process_time() - at) / len(pieces)
        decoded = [soundfile.read(io.BytesIO(f))[0] for f in files]
        apart = np.mean([spectral_distance_db(p, d) for p, d in zip(pieces, decoded, strict=True)])
        snr = np.median([10 * np.log10(np.sum(p**2) / np.sum((p - d) ** 2)) for p, d in zip(pieces, decoded, strict=True)])
        found.append((level, spent * 1000, float(np.mean([len(f) for f in files])), float(snr), float(apart)))
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sentences", type=int, default=2400)
    parser.add_argument("--release", type=Path, help="folder of a validated.tsv and clips/; default: the tests' English clips")
    parser.add_argument("--original-clips", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    args = parser.parse_args()
    if missing := [t for t in TOOLS if shutil.which(t) is None]:
        raise SystemExit(f"not there: {', '.join(missing)}; apt-get install sox libsox-fmt-mp3 opus-tools")
    sentences = corpus(args.sentences, [args.release] if args.release else sorted(REAL.glob("cv-corpus-*/en")))
    source = "a release's" if args.release else "the tests'"
    seconds = sum(s["duration_s"] for s, _, _ in sentences) / len(sentences)
    rounds = []
    with tempfile.TemporaryDirectory() as name:
        compile_bytecode(Path(name) / "bytecode")
        for number in range(args.rounds):
            tmp = Path(name) / str(number)
            clips, wall, cpu, picks, stages = ours(tmp, sentences, args.workers)
            theirs, their_wall, their_cpu = original(tmp, sentences, picks, args.original_clips, args.workers)
            shutil.rmtree(tmp)
            rounds.append((clips, wall, cpu, theirs, their_wall, their_cpu, stages["select"]))
            print(f"round {number + 1}: {wall:.1f} s, {their_wall:.1f} s", file=sys.stderr, flush=True)
    levels = complexities(sentences, 40)
    clips, wall, cpu, theirs, their_wall, their_cpu, selecting = map(sum, zip(*rounds, strict=True))
    rate, their_rate = clips / wall, theirs / their_wall
    by_wall = [c / w / (t / tw) for c, w, _, t, tw, _, _ in rounds]
    by_cpu = [tc / t / (p / c) for c, _, p, t, _, tc, _ in rounds]
    lines = [
        "# Clips: selecting, cutting and encoding",
        "",
        f"`bench/clips/run.py --sentences {args.sentences}`, {platform.machine()}, Python {platform.python_version()}, "
        f"{args.workers} workers on {len(os.sched_getaffinity(0))} cores; {clips // args.rounds} clips of "
        f"{args.sentences} sentences ({source}, {seconds:.1f} s each), {theirs // args.rounds} of these the original's way, "
        f"{args.rounds} rounds. CPU: of all processes, their starts included.",
        "",
        "| | clips | wall s | clips a second | CPU ms a clip |",
        "|---|---|---|---|---|",
        f"| `select` and `cut` (Opus, and FLAC at 16 kHz) | {clips} | {wall:.1f} | {rate:.0f} | {1000 * cpu / clips:.2f} |",
        f"| the original's way | {theirs} | {their_wall:.1f} | {their_rate:.1f} | {1000 * their_cpu / theirs:.1f} |",
        f"| ratio | | | {rate / their_rate:.1f} | {their_cpu / theirs / (cpu / clips):.1f} |",
        "",
        f"Ratio of each round: {', '.join(f'{r:.1f}' for r in by_wall)} (median {statistics.median(by_wall):.1f}) in wall time, "
        f"{', '.join(f'{r:.1f}' for r in by_cpu)} (median {statistics.median(by_cpu):.1f}) in CPU time. "
        f"Of the CPU time: `select` {1000 * selecting / clips:.2f} ms a clip, `cut` {1000 * (cpu - selecting) / clips:.2f}.",
        "",
        "libopus at 32 kbit/s on the same clips; distance: mean difference of levels to the source, 20 bands to 8 kHz:",
        "",
        "| complexity | CPU ms a clip | bytes a clip | SNR dB (median) | distance dB |",
        "|---|---|---|---|---|",
        *(
            f"| {level}{' (used)' if level == opus.COMPLEXITY else ''} | {ms:.2f} | {size:.0f} | {snr:.1f} | {apart:.2f} |"
            for level, ms, size, snr, apart in levels
        ),
        "",
    ]  # fmt: skip
    print("\n".join(lines))
    if args.write:
        RESULTS.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
