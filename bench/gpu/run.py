"""Recognition and alignment on a GPU, stage by stage, beside the machine's ceilings: bench/results/gpu.md.

    export PYTHONPATH=containers/stagekit:containers/align:.
    .venvs/align-gpu/bin/python bench/gpu/run.py                    # on a machine with a GPU, 10 minutes
    .venvs/align-gpu/bin/python bench/gpu/run.py --tiny --out /tmp/x.md   # on a CPU, to see that it runs; figures mean nothing

Triton builds its launchers with a C compiler, which must be there. Weights are drawn at random: they change no speed.
Recordings are eSpeak's reading of a text where it is installed, else noise, as MP3 at 64 kb/s. The T4 is a projection: the same
kernels, each bound by that card's arithmetic or memory, times what this GPU takes beyond its own bounds. Tests that need a GPU
are run first. A part whose packages are not there (the files' part needs all of the image's) is said to be left out.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

REPO = Path(__file__).resolve().parents[2]
RATE = 16_000
T4_FLOPS, T4_BYTES = 65e12, 320e9
"""NVIDIA T4: fp16 tensor cores and GDDR6, both nominal (T4 datasheet)."""
NOMINAL = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L4": 121e12, "T4": 65e12}
"""Dense half-precision tensor FLOP/s by the datasheets: what share of its own this GPU reaches, a T4 is taken to reach."""
ASKED = (
    ("95 M: GPU work alone", "≥ 10,000×", "alone_95"), ("95 M: from compressed files, 16 cores", "≥ 5,000×", "files_95"),
    ("95 M: of the measured matrix ceiling", "≥ 40 %", "share_95"), ("alignment: against torchaudio's", "≥ 20×", "align"),
    ("an hour against 50,000 tokens", "< 2 s", "hour_s"), ("the same: memory", "< 2 GB", "hour_gb"),
    ("T4, projected", "> 600×", "t4_95"),
)  # fmt: skip


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tiny", action="store_true", help="small sizes, on a CPU too: a test of this script")
    parser.add_argument("--out", type=Path, help="where to write, default bench/results/gpu.md")
    parser.add_argument("--hours", type=float, default=20.0, help="hours of compressed audio")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)), help="processes that decode")
    args = parser.parse_args()
    if not args.tiny:
        import torch

        if not torch.cuda.is_available():
            sys.exit("no GPU: run this on a machine that has one (or --tiny --out FILE, to see that it runs)")
        args.out = args.out or REPO / "bench/results/gpu.md"
    else:
        os.environ["TRITON_INTERPRET"] = "1"
        if not args.out or REPO / "bench" in args.out.resolve().parents:
            sys.exit("--tiny needs --out, and not in bench/: its figures mean nothing")
        args.hours, args.workers = 0.01, 1
    lines = list(report(args))
    args.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def report(args: argparse.Namespace) -> Iterator[str]:
    """The lines of the table."""
    import torch

    device = torch.device("cuda" if torch.cuda.is_available() and not args.tiny else "cpu")
    found: dict[str, str] = {}
    flops, moved = ceilings(device, args.tiny)
    yield "# Recognition and alignment on a GPU"
    yield ""
    yield f"Made by `bench/gpu/run.py` on {datetime.now(UTC):%Y-%m-%d} on {about(device)}."
    yield f"Measured ceilings: {flops / 1e12:.0f} TFLOP/s (half-precision matrix product), {moved / 1e9:.0f} GB/s (copy)."
    if device.type == "cuda":
        yield f"Tests that need a GPU: {tests()}."
    body: list[str] = []
    for name in ("95 M", "300 M"):
        body += model(name, device, flops, moved, args, found)
    body += alignment(device, args.tiny, found)
    yield from ["", "| | asked | measured |", "|---|---|---|"]
    yield from (f"| {what} | {asked} | {found.get(key, 'not measured')} |" for what, asked, key in ASKED)
    yield from body


def about(device: Any) -> str:
    """Device, driver, versions."""
    import torch

    if device.type == "cpu":
        return f"a CPU: these figures mean nothing (torch {torch.__version__})"
    query = ["nvidia-smi", "--query-gpu=name,driver_version,power.limit", "--format=csv,noheader"]
    said = subprocess.run(query, capture_output=True, text=True, check=False).stdout.strip().splitlines()
    cores = len(os.sched_getaffinity(0))
    return f"{said[0] if said else torch.cuda.get_device_name()}, {cores} cores, torch {torch.__version__}"


def tests() -> str:
    """How they ended."""
    argv = [sys.executable, "-m", "pytest", "-q", "-o", "addopts=", "tests/containers/align_gpu", "-k", "gpu"]
    done = subprocess.run(argv, cwd=REPO, capture_output=True, text=True, check=False)
    print(done.stdout[-3000:], done.stderr[-1000:], file=sys.stderr)
    return (done.stdout.strip().splitlines() or ["none could be run"])[-1].strip("= ")


def sync(device: Any) -> None:
    """Wait for the device."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize()


def timed(device: Any, fn: Callable[[], Any], least_s: float = 1.0) -> float:
    """Median seconds of a call, after two that do not count."""
    fn(), fn()
    sync(device)
    took: list[float] = []
    while sum(took) < least_s or len(took) < 3:
        start = time.perf_counter()
        fn()
        sync(device)
        took.append(time.perf_counter() - start)
    return sorted(took)[len(took) // 2]


def ceilings(device: Any, tiny: bool) -> tuple[float, float]:
    """FLOP/s of the best matrix product, bytes/s of a copy (read and written)."""
    import torch

    from align.ctc.encoder import best_dtype

    dtype, best = best_dtype(device), 0.0
    for n in (256,) if tiny else (4096, 8192, 16384):
        a, b = (torch.randn((n, n), device=device, dtype=dtype) for _ in range(2))
        best = max(best, 2 * n**3 / timed(device, lambda a=a, b=b: a @ b, 0.1 if tiny else 1.0))  # type: ignore[misc]
    x = torch.empty(1 << (20 if tiny else 30), dtype=torch.uint8, device=device)
    y = torch.empty_like(x)
    return best, 2 * x.numel() / timed(device, lambda: y.copy_(x), 0.1 if tiny else 0.5)


def network(name: str, tiny: bool) -> tuple[Any, bool]:
    """(network with random weights, whether audio is normalised first): wav2vec 2.0 base, or large as its 300 M children are."""
    from torchaudio import models, pipelines

    about = pipelines.WAV2VEC2_ASR_BASE_960H if name == "95 M" else pipelines.WAV2VEC2_ASR_LARGE_LV60K_960H
    wanted = dict(about._params)
    if tiny:
        wanted |= {
            "extractor_conv_layer_config": [(16, k, s) for _, k, s in wanted["extractor_conv_layer_config"]],
            "encoder_embed_dim": 32, "encoder_num_layers": 1, "encoder_num_heads": 4, "encoder_ff_interm_features": 32,
            "encoder_pos_conv_groups": 4,
        }  # fmt: skip
    return models.wav2vec2_model(**wanted), bool(about._normalize_waveform)


def encoder_of(name: str, device: Any, tiny: bool) -> Any:
    """The model on the device."""
    from torchaudio import pipelines

    from align.ctc.checkpoint import Checkpoint
    from align.ctc.encoder import Encoder
    from align.ctc.tokens import Tokens

    made, normalize = network(name, tiny)
    labels = pipelines.WAV2VEC2_ASR_BASE_960H.get_labels()
    return Encoder(Checkpoint(name, made.eval(), Tokens.of(labels), normalize, "random"), str(device))


def model(name: str, device: Any, flops: float, moved: float, args: argparse.Namespace, found: dict[str, str]) -> list[str]:
    """The part on one architecture."""
    import torch

    from align.ctc.encoder import plain
    from bench.gpu.count import Count, least_seconds

    encoder = encoder_of(name, device, args.tiny)
    chunk_s = 2.0 if args.tiny else 15.0
    parameters = sum(p.numel() for p in encoder.network.parameters()) / 1e6
    batch = max(1, min(256, int(encoder.budget.samples / (chunk_s * RATE)))) if not args.tiny else 2
    lines = ["", f"## wav2vec 2.0, {name} ({parameters:.0f} M parameters, {str(encoder.dtype).removeprefix('torch.')})", ""]
    made, _ = network(name, args.tiny)
    plain(made)
    ghost = made.eval().to("meta", encoder.dtype)
    counted = type(encoder).__new__(type(encoder))
    counted.__dict__.update(encoder.__dict__)
    counted.network, counted.device, counted.normalize = ghost, torch.device("meta"), False
    counted._layers = list(ghost.feature_extractor.conv_layers)
    with Count() as count:
        counted.forward(torch.empty((batch, int(chunk_s * RATE)), device="meta"), [int(chunk_s * RATE)] * batch)
    audio = batch * chunk_s
    total = sum(f for f, _ in count.each)
    bound = least_seconds(count.each, flops, moved)
    lines += [
        f"A second of audio is {total / audio / 1e9:.1f} GFLOP and {sum(b for _, b in count.each) / audio / 1e6:.0f} MB of "
        f"memory traffic, counted kernel by kernel. Batches of {batch} chunks of {chunk_s:.0f} s.",
        "", "| part of a pass | GFLOP/s of audio | MB/s of audio | least ms/s of audio here | bound by |",
        "|---|---|---|---|---|",
    ]  # fmt: skip
    for kind, k in sorted(count.kinds.items(), key=lambda x: -max(x[1].flops / flops, x[1].bytes / moved))[:8]:
        a, b = k.flops / flops, k.bytes / moved
        lines.append(
            f"| {kind} | {k.flops / audio / 1e9:.2f} | {k.bytes / audio / 1e6:.1f} | {1e3 * max(a, b) / audio:.4f} | "
            f"{'arithmetic' if a > b else 'memory'} |"
        )
    waves = torch.randn((batch, int(chunk_s * RATE)), device=device) * 0.1
    lengths = [int(chunk_s * RATE)] * batch
    ways = {"as it is": lambda: encoder.forward(waves, lengths)}
    if not args.tiny:
        fused = torch.compile(encoder.network.encoder)
        eager = encoder.network.encoder

        def compiled() -> Any:
            encoder.network.encoder = fused
            try:
                return encoder.forward(waves, lengths)
            finally:
                encoder.network.encoder = eager

        ways["transformer compiled"] = compiled
    lines += ["", "| GPU work alone | × real time | share of the matrix ceiling | of the kernels' own bounds |"]
    lines.append("|---|---|---|---|")
    best = 0.0
    for way, fn in ways.items():
        try:
            took = timed(device, fn, 0.2 if args.tiny else 3.0)
        except Exception as error:  # of the compiler: the rest is still worth measuring
            if way == "as it is":
                raise
            lines.append(f"| {way}: failed ({type(error).__name__}) | | | |")
            continue
        if way == "as it is":
            alone, share, over = audio / took, total / took / flops, took / bound
        best = max(best, audio / took)
        lines.append(f"| {way} | {audio / took:,.0f} | {100 * total / took / flops:.0f} % | {100 * bound / took:.0f} % |")
    nominal = next((v for k, v in NOMINAL.items() if device.type == "cuda" and k in torch.cuda.get_device_name()), flops)
    t4 = audio / (over * least_seconds(count.each, T4_FLOPS * min(1.0, flops / nominal), T4_BYTES * 0.85))
    lines += [
        "", f"T4, projected: {t4:,.0f}× real time (its kernels' bounds with {100 * min(1.0, flops / nominal):.0f} % of its "
        f"nominal 65 TFLOP/s, as this GPU reaches of its own, and 85 % of 320 GB/s; times {over:.2f}, as above).",
    ]  # fmt: skip
    key = name.partition(" ")[0]
    found[f"alone_{key}"], found[f"share_{key}"] = f"{alone:,.0f}× ({best:,.0f}× compiled)", f"{100 * share:.0f} %"
    found[f"t4_{key}"] = f"{t4:,.0f}× (projection)"
    try:
        lines += files(encoder, args, found, key)
    except ImportError as error:
        lines += ["", f"From compressed files: not measured ({error})."]
    return lines


def files(encoder: Any, args: argparse.Namespace, found: dict[str, str], key: str) -> list[str]:
    """From compressed files to words, and each step alone."""
    from align.ctc.files import hear_files
    from align.ctc.greedy import greedy
    from align.torchaudio_recognizer import CtcDecoder

    decoder = CtcDecoder(encoder, lambda emission: greedy(emission, encoder.tokens))
    with tempfile.TemporaryDirectory(prefix="bench-gpu-") as folder:
        paths, hours = recordings(Path(folder), args.hours)
        jobs = [(str(p), folder) for p in paths]
        encoder.emissions([_noise(2.0)])
        start = time.perf_counter()
        with get_context("spawn").Pool(args.workers, _one_thread) as pool:
            pool.map(_nothing, range(args.workers))  # started, and its imports done
            start = time.perf_counter()
            heard = [(w, said) for *_, w, said in hear_files(pool.imap(_listen, jobs), encoder, lambda _: decoder, args.workers)]
            whole = time.perf_counter() - start
            words = sum(len(w) for w, _ in heard)
            start = time.perf_counter()
            for _ in pool.imap(_decode, jobs):
                pass
            decode_s = time.perf_counter() - start
            start = time.perf_counter()
            for _, one in pool.imap(_listen, jobs):
                Path(one.raw).unlink(missing_ok=True)
            listen_s = time.perf_counter() - start
    place_s = placing(*heard[0])
    audio = hours * 3600
    found[f"files_{key}"] = f"{audio / whole:,.0f}× ({args.workers} cores)"
    return [
        "", f"From {len(paths)} MP3 files ({hours:.2f} h) to {words:,} words, {args.workers} processes decoding:", "",
        "| step | × real time |", "|---|---|", f"| all of it | {audio / whole:,.0f} |",
        f"| decoding alone (ffmpeg) | {audio / decode_s:,.0f} |",
        f"| decoding and voice activity | {audio / listen_s:,.0f} |",
        f"| words placed, as the stage `align` does of what the model said: one core | {audio / len(paths) / place_s:,.0f} |",
    ]  # fmt: skip


def placing(heard: Any, said: Any) -> float:
    """Seconds of placing the words that were heard in a recording in what the model said of it."""
    from align.ctc_aligner import CtcAligner
    from align.windows import Anchor, windows

    runs = [[Anchor(i, w.start_s, w.end_s) for i, w in enumerate(heard)]] if heard else []
    last = said.pieces[-1].first + len(said.pieces[-1].codes) if said.pieces else 0
    samples = (last + 1) * said.geometry.stride
    cuts = windows(runs, len(heard), samples / RATE)
    words = [w.word for w in heard]
    CtcAligner(said).place(_no_audio, samples, words, cuts, runs)  # compiles
    start = time.perf_counter()
    CtcAligner(said).place(_no_audio, samples, words, cuts, runs)
    return time.perf_counter() - start


def _no_audio(start: int, end: int) -> Any:
    raise AssertionError("what the model said is enough")


def _noise(seconds: float) -> Any:
    import numpy as np

    return np.random.default_rng(0).normal(0, 0.05, int(seconds * RATE)).astype(np.float32)


def recordings(folder: Path, hours: float) -> tuple[list[Path], float]:
    """Copies of one spoken recording of some minutes as MP3."""
    from stagekit.audio import decode, ffmpeg

    text = (REPO / "tests/known_answers/data/jfk/jfk.txt").read_text()
    wave = folder / "voice.wav"
    if shutil.which("espeak-ng"):
        subprocess.run(["espeak-ng", "-w", wave, " ".join([text] * (2 if hours < 1 else 60))], check=True)
    else:
        import soundfile

        soundfile.write(wave, _noise(600.0), RATE)
    one = folder / "voice.mp3"
    subprocess.run([ffmpeg(), "-v", "error", "-i", wave, "-ar", "44100", "-b:a", "64k", "-y", one], check=True)
    seconds = len(decode(one)) / RATE
    paths = [folder / f"{i:04}.mp3" for i in range(max(1, round(hours * 3600 / seconds)))]
    for path in paths:
        os.link(one, path)
    return paths, len(paths) * seconds / 3600


def _one_thread() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"


def _nothing(_: int) -> None:
    import align.listen  # noqa: F401


def _decode(job: tuple[str, str]) -> int:
    from stagekit.audio import open_pcm

    with open_pcm(job[0], job[1]) as pcm:
        return len(pcm)


def _listen(job: tuple[str, str]) -> Any:
    from align.listen import listen

    return job, listen(*job)


def alignment(device: Any, tiny: bool, found: dict[str, str]) -> list[str]:
    """The kernels beside torchaudio's forced_align on the same device, and an hour at once."""
    import numpy as np
    import torch
    from torchaudio.functional import forced_align

    from align.ctc.alignment_gpu import Job, align_batch

    rng = np.random.default_rng(0)

    def job(frames: int, n: int) -> Job:
        drawn = torch.log_softmax(torch.randn((frames, 29), device=device) * 2, -1)
        return Job(drawn, (np.cumsum(rng.integers(1, 28, n)) % 28 + 1).astype(np.int32))

    lines = ["", "## Forced alignment", "", "| texts × (frames, tokens) | here, ms | torchaudio, ms | ratio |"]
    lines.append("|---|---|---|---|")
    ratios = []
    for count, frames, n in ((2, 40, 10),) if tiny else ((64, 750, 200), (256, 750, 200), (16, 3000, 800), (1, 30_000, 8000)):
        jobs = [job(frames, n) for _ in range(count)]

        def theirs(jobs: list[Job] = jobs) -> list[Any]:
            return [forced_align(j.log_probs[None], torch.from_numpy(j.targets).long().to(device)[None], blank=0) for j in jobs]

        ours, reference = align_batch(jobs), theirs()
        for mine, (tokens, scores), j in zip(ours, reference, jobs, strict=True):
            said = np.where(mine.token >= 0, j.targets[mine.token], 0)
            assert abs(mine.score - float(scores.double().sum())) < 1e-3 and (said == tokens[0].cpu().numpy()).all()
        a = timed(device, lambda jobs=jobs: align_batch(jobs), 0.2 if tiny else 1.0)  # type: ignore[misc]
        b = timed(device, theirs, 0.2 if tiny else 1.0)
        ratios.append(b / a)
        lines.append(f"| {count} × ({frames:,}, {n:,}) | {1e3 * a:.2f} | {1e3 * b:.1f} | {b / a:.0f} |")
    lines += ["", "Paths and scores were the same in all of them."]
    frames, n = (600, 300) if tiny else (180_000, 50_000)
    long = job(frames, n)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    took = timed(device, lambda: align_batch([long]), 0.1)
    peak = torch.cuda.max_memory_allocated() / 1e9 if device.type == "cuda" else 0.0
    lines.append(f"{frames / 50 / 3600:.2f} h ({frames:,} frames) against {n:,} tokens, all states: {took:.2f} s, {peak:.2f} GB.")
    found["align"] = f"{min(ratios):.0f} to {max(ratios):.0f}×"
    found["hour_s"], found["hour_gb"] = f"{took:.2f} s", f"{peak:.2f} GB"
    return lines


if __name__ == "__main__":
    main()
