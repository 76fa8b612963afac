"""How fast words are searched for on a GPU, with data in memory, and how near to what the machine can do.

    .venvs/words-gpu/bin/python bench/words_speed/gpu.py MODEL CORPUS [--device cuda] [--times 5] [--tflops 67] [--tb 4.8]

MODEL is a folder of `words train`, CORPUS one with `sentences` and `sentence_audio`. Clips are decoded and made into vectors
first, which is not timed: what is, is all that alignment does from there to paths and ratios (`words.align.search`), trellises
to the device and paths back included. Operations are the products of vectors and Gaussians (two a multiply-add), without which
nothing is known; bytes are the likelihoods written and read once by each of both searches, and the ways back written once.
Their shares of the machine's ceiling (float32 outside tensor cores, and memory: those of an H200 unless given) say what is
left. `--device torch` tries it on a CPU.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPO / "containers/stagekit"), str(REPO / "containers/words")]

import pyarrow.parquet as pq  # noqa: E402

from words.align import Prepared, prepare, search  # noqa: E402
from words.corpus import Refused, Sentence, normalise, samples, static_vectors  # noqa: E402
from words.decode import Utterance  # noqa: E402
from words.model import Model  # noqa: E402


def load(corpus: Path, model: Model) -> list[Utterance]:
    """All utterances of a corpus that can be searched."""
    audio = {r["sentence_id"]: r["audio"] for p in sorted(corpus.glob("sentence_audio-*")) for r in pq.read_table(p).to_pylist()}
    kept, clips = [], []
    for path in sorted(corpus.glob("sentences-*")):
        for r in pq.read_table(path).to_pylist():
            tokens = tuple((t["word"], t["char_start"], t["char_end"]) for t in r["tokens"])
            key = r["sentence_id"]
            sentence = Sentence(key, r["speaker_id"], r["text_raw"], tokens, r["duration_s"], audio[key])
            clip = samples(sentence, 600.0)
            if not isinstance(clip, Refused):
                kept.append(sentence)
                clips.append(clip)
    statics = normalise([static_vectors(c, model.shape) for c in clips], [s.speaker for s in kept])
    found = [prepare(s, c, x, model) for s, c, x in zip(kept, clips, statics, strict=True)]
    utterances = [p.utterance for p in found if isinstance(p, Prepared)]
    for u in utterances:
        u.quiet  # noqa: B018 - made when it is first asked for
    return utterances


def main() -> None:
    """Command line."""
    p = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    p.add_argument("model", type=Path)
    p.add_argument("corpus", type=Path)
    p.add_argument("--device", default="cuda")
    p.add_argument("--times", type=int, default=5)
    p.add_argument("--tflops", type=float, default=67.0, help="ceiling of float32 products, 10^12 a second")
    p.add_argument("--tb", type=float, default=4.8, help="ceiling of memory traffic, 10^12 bytes a second")
    a = p.parse_args()
    model = Model.load(a.model / "model")
    utterances = load(a.corpus, model)
    frames = sum(len(u.change) for u in utterances)
    seconds = frames * model.shape.shift / 16000
    gaussians = len(model.plain.mixtures.weight) + len(model.tied.mixtures.weight)
    pdfs = len(model.plain.stay) + len(model.tied.stay)
    cells = sum(len(u.change) * len(u.trellis.word) for u in utterances) + frames * len(model.plain.stay) // 2
    operations = frames * gaussians * 2 * 2 * model.shape.size
    bytes_moved = frames * pdfs * 4 * 3 + 2 * cells
    search(utterances[:64], model, a.device)
    best = float("inf")
    for _ in range(a.times):
        started = time.perf_counter()
        found = search(utterances, model, a.device)
        best = min(best, time.perf_counter() - started)
    lost = sum(f is None for f in found)
    tera, giga = operations / best / 1e12, bytes_moved / best / 1e9
    print(f"{a.device}: {len(utterances)} utterances, {seconds / 3600:.2f} h, {lost} without a path")
    print(f"  best of {a.times}: {best:.2f} s, {seconds / best:,.0f} times real time; {gaussians} Gaussians")
    print(f"  {tera:.2f} TFLOP/s of products, {100 * tera / a.tflops:.1f} % of {a.tflops:g}")
    print(f"  {giga:.1f} GB/s of likelihoods and ways back, {giga / a.tb / 10:.1f} % of {a.tb:g} TB/s")


if __name__ == "__main__":
    main()
