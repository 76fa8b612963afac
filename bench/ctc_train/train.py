"""Trains a small CTC model from nothing: eSpeak NG's voices, and public-domain recordings if a list of them is given.

    export PYTHONPATH=containers/stagekit:containers/align
    .venvs/align-gpu/bin/python bench/ctc_train/train.py --out /tmp/small --steps 20000    # on a GPU
    .venvs/align-gpu/bin/python bench/ctc_train/train.py --out /tmp/small --smoke          # on a CPU: that it runs

``espeak-ng`` (GPL) is run as a program. ``--text`` is a plain text whose sentences are said, by voices, speeds and pitches drawn
at random; ``--recordings`` a JSON lines file of {"audio": path, "text": what is said}. What comes out is a checkpoint folder as
`align.ctc.checkpoint` reads it, under 10 MB in half precision: ``recognizer: torchaudio``, ``model: <folder>``. It knows the
voices that it was taught by; it is for trying the pipeline out, and no substitute for a model that was trained on people.

The last line says CTC loss and letter error rate on sentences that were held out.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein
from torch.nn import functional
from torchaudio.models import wav2vec2_model

from align.ctc.checkpoint import architecture, save_folder
from align.ctc.greedy import greedy
from align.ctc.tokens import Tokens
from stagekit.audio import decode

REPO = Path(__file__).resolve().parents[2]
RATE = 16_000
LABELS = ("<pad>", "<unk>", "|", *"abcdefghijklmnopqrstuvwxyz'")
VOCABULARY = {label: i for i, label in enumerate(LABELS)}
VOICES = tuple(f"{accent}+{voice}" for accent in ("en-us", "en-gb", "en-gb-scotland") for voice in ("m1", "m3", "m7", "f2", "f4"))
CONFIG: dict[str, Any] = {
    "model_type": "wav2vec2", "architectures": ["Wav2Vec2ForCTC"], "hidden_act": "gelu", "vocab_size": len(LABELS),
    "pad_token_id": 0, "feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True,
    "conv_dim": [128] * 7, "conv_kernel": [10, 3, 3, 3, 3, 2, 2], "conv_stride": [5, 2, 2, 2, 2, 2, 2],
    "hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 1024,
    "num_conv_pos_embeddings": 64, "num_conv_pos_embedding_groups": 16, "license": "Apache-2.0",
}  # fmt: skip
"""3.9 million parameters: 7.8 MB in half precision."""


@dataclass(frozen=True)
class Utterance:
    """Audio and the labels of what is said in it."""

    samples: NDArray[np.float32]
    targets: NDArray[np.int64]


def sentences(text: str) -> list[str]:
    """Pieces of three to ten words, in lower-case letters."""
    words = re.findall(r"[a-z']+", text.lower().replace("\u2019", "'"))
    rng = np.random.default_rng(0)
    out, at = [], 0
    while at < len(words):
        n = int(rng.integers(3, 11))
        out.append(" ".join(words[at : at + n]))
        at += n
    return out


def targets_of(text: str) -> NDArray[np.int64]:
    """Labels of a text."""
    return np.array([VOCABULARY[c] for c in text.replace(" ", "|") if c in VOCABULARY or c == "|"], np.int64)


def say(text: str, rng: np.random.Generator) -> Utterance:
    """One sentence by a voice that is drawn, with some noise."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as wave:
        argv = ["espeak-ng", "-v", str(rng.choice(VOICES)), "-s", str(rng.integers(130, 200)), "-p", str(rng.integers(30, 70))]
        subprocess.run([*argv, "-w", wave.name, text], check=True, stdin=subprocess.DEVNULL)
        samples = decode(wave.name)
    noise = rng.normal(0, 10 ** rng.uniform(-4, -2), len(samples)).astype(np.float32)
    return Utterance(samples * np.float32(rng.uniform(0.3, 1.0)) + noise, targets_of(text))


def recorded(path: Path) -> list[Utterance]:
    """Recordings of a list."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [Utterance(decode(row["audio"]), targets_of(" ".join(re.findall(r"[a-z']+", row["text"].lower())))) for row in rows]


def batches(utterances: list[Utterance], seconds: float, rng: np.random.Generator) -> Iterator[list[Utterance]]:
    """Batches of like length without end: so many padded seconds each."""
    while True:
        order = sorted(range(len(utterances)), key=lambda i: len(utterances[i].samples) * rng.uniform(0.9, 1.1))
        made: list[list[Utterance]] = [[]]
        for i in order:
            if made[-1] and len(utterances[i].samples) * (len(made[-1]) + 1) > seconds * RATE:
                made.append([])
            made[-1].append(utterances[i])
        rng.shuffle(made)  # type: ignore[arg-type]
        yield from made


def loss_of(model: Any, batch: list[Utterance], device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """CTC loss of a batch, its log probabilities and frames."""
    waves = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(u.samples) for u in batch], batch_first=True).to(device)
    targets = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(u.targets) for u in batch], batch_first=True).to(device)
    lengths = torch.tensor([len(u.samples) for u in batch], device=device)
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        logits, frames = model(waves, lengths)
    log_probs = logits.float().log_softmax(-1)
    sizes = torch.tensor([len(u.targets) for u in batch], device=device)
    return functional.ctc_loss(log_probs.transpose(0, 1), targets, frames, sizes, zero_infinity=True), log_probs, frames


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="checkpoint folder to make")
    parser.add_argument("--text", type=Path, nargs="*", default=[], help="plain texts to say")
    parser.add_argument("--recordings", type=Path, help='JSON lines: {"audio": …, "text": …}')
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--sentences", type=int, default=30_000, help="how many of the texts' sentences are said")
    parser.add_argument("--batch-s", type=float, default=240.0, help="padded seconds in a batch")
    parser.add_argument("--smoke", action="store_true", help="a minute on a CPU: that it runs")
    args = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    config = dict(CONFIG)
    if args.smoke:
        args.steps, args.sentences, args.batch_s = 3, 6, 8.0
        config |= {"conv_dim": [16] * 7, "hidden_size": 32, "num_hidden_layers": 1, "intermediate_size": 32}
    paths = args.text or sorted((REPO / "tests/known_answers/data").rglob("*.txt"))
    texts = sentences(" ".join(p.read_text(encoding="utf-8", errors="replace") for p in paths))
    rng = np.random.default_rng(0)
    rng.shuffle(texts)
    texts = (texts * (1 + args.sentences // max(1, len(texts))))[: args.sentences]
    seeds = rng.spawn(len(texts))
    with ThreadPoolExecutor() as pool:
        said = list(pool.map(say, texts, seeds))
    said += recorded(args.recordings) if args.recordings else []
    held = said[:: max(2, len(said) // 200)]
    train = [u for u in said if not any(u is h for h in held)]
    hours = sum(len(u.samples) for u in train) / RATE / 3600
    print(f"{len(train):,} utterances, {hours:.2f} h; {len(held)} held out", flush=True)
    torch.manual_seed(0)
    model = wav2vec2_model(aux_num_out=len(LABELS), **architecture(config)).to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, betas=(0.9, 0.98), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=args.steps, pct_start=0.1)
    start, source = time.monotonic(), batches(train, args.batch_s, rng)
    for step in range(1, args.steps + 1):
        loss, _, _ = loss_of(model, next(source), device)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % max(1, args.steps // 100) == 0:
            print(f"{step} steps, {time.monotonic() - start:.0f} s: CTC loss {float(loss.detach()):.3f}", flush=True)
    model.eval()
    tokens, wrong, letters, losses = Tokens.of(LABELS), 0, 0, []
    with torch.inference_mode():
        for utterance in held:
            loss, log_probs, _ = loss_of(model, [utterance], device)
            losses.append(float(loss))
            heard = " ".join(s.word for s in greedy(log_probs[0].cpu().numpy(), tokens))
            truth = "".join(LABELS[i] for i in utterance.targets).replace("|", " ")
            wrong, letters = wrong + Levenshtein.distance(heard, truth), letters + len(truth)
    digest = save_folder(args.out, config, VOCABULARY, model.half(), normalize=False)
    size = sum(p.stat().st_size for p in args.out.iterdir()) / 1e6
    print(f"{args.out}: {size:.1f} MB, model_sha256 {digest}")
    print(f"held out: CTC loss {np.mean(losses):.3f}, letter error rate {100 * wrong / max(1, letters):.1f} %")


if __name__ == "__main__":
    sys.exit(main())
