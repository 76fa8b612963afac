"""Trains a small CTC model from nothing: eSpeak NG's voices, and recordings if a list of them is given.

    export PYTHONPATH=containers/stagekit:containers/align
    train=".venvs/align-gpu/bin/python bench/ctc_train/train.py"
    $train --out /tmp/small --text BOOK.txt … --minutes 90 --threads 1      # a core of a CPU
    $train --out /tmp/small --text BOOK.txt … --minutes 30 --batch-s 600    # a GPU, if there is one
    $train --out /tmp/small --smoke                                         # that it runs

``espeak-ng`` (GPL) is run as a program. ``--text`` is a plain text whose pieces are said, by voices, speeds and pitches drawn at
random; ``--spoken`` a folder of ``tests/known_answers/words/speak.py``, whose sentences are taken whole and, since their words
have times, in short pieces, from which CTC learns first; ``--recordings`` a JSON lines file of {"audio": path, "text": what is
said}. What comes out is a checkpoint folder as `align.ctc.checkpoint` reads it, under 10 MB in half precision: ``recognizer:
torchaudio``, ``model: <folder>``. It knows the voices that it was taught by; it is for trying the pipeline out, and no substitute
for a model that was trained on people.

The architecture is wav2vec 2.0's (Baevski et al. 2020, arXiv:2006.11477) with convolutions that are cheap on a CPU: the first
begins as a mel filter bank in four phases, whose rectified sum is about the magnitude, at 100 frames a second; two more make 50.
The first pass goes from short to long (Amodei et al. 2016, arXiv:1512.02595, section 3.2). It is small: a core of a CPU computes
losses and gradients of some minutes of sound in a second.

A state is written every few minutes beside OUT; the same command goes on from it. On SIGTERM or SIGINT it stops where it is, and
exports. The last lines say CTC loss and letter error rate of texts, and of recordings, that were held out.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
import unicodedata
import wave
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein
from torch.nn import functional
from torchaudio.functional import melscale_fbanks, resample
from torchaudio.models import wav2vec2_model

from align.ctc.checkpoint import architecture, save_folder
from align.ctc.encoder import Encoder
from align.ctc.greedy import greedy
from align.ctc.tokens import Tokens
from stagekit.audio import decode

REPO = Path(__file__).resolve().parents[2]
RATE = 16_000
LABELS = ("<pad>", "<unk>", "|", *"abcdefghijklmnopqrstuvwxyz'")
VOCABULARY = {label: i for i, label in enumerate(LABELS)}
ACCENTS = ("en-us", "en-gb", "en-gb-scotland")
VARIANTS = (*"m1 m2 m3 m4 m5 m6 m7 f1 f2 f4".split(), *"Andy Annie Gene Lee Mario Michael Steph".split())
MELS, PHASES = 40, 4
CONFIG: dict[str, Any] = {
    "model_type": "wav2vec2", "architectures": ["Wav2Vec2ForCTC"], "hidden_act": "gelu", "vocab_size": len(LABELS),
    "pad_token_id": 0, "feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True,
    "conv_dim": [MELS * PHASES, 192, 192], "conv_kernel": [400, 3, 3], "conv_stride": [160, 2, 1],
    "hidden_size": 192, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 768,
    "num_conv_pos_embeddings": 64, "num_conv_pos_embedding_groups": 16, "license": "Apache-2.0",
}  # fmt: skip
"""Under 2 million parameters."""
WARM_UP, LAST_RATE = 0.03, 0.02
"""Share of the training in which the learning rate rises; what is left of it at the end."""
EVERY_S = 240.0
"""Between two states."""
HELD_OUT = 200


@dataclass(frozen=True)
class Utterance:
    """Audio and the labels of what is said in it."""

    samples: NDArray[np.int16]
    targets: NDArray[np.int64]


def pieces(text: str, rng: np.random.Generator) -> list[str]:
    """Pieces of two to ten words, in lower-case letters; each once."""
    words = re.findall(r"[a-z]+(?:'[a-z]+)*", text.lower().replace("\u2019", "'"))
    out: dict[str, None] = {}
    at = 0
    while at < len(words):
        n = int(rng.integers(2, 11))
        out[" ".join(words[at : at + n])] = None
        at += n
    return list(out)


def targets_of(text: str) -> NDArray[np.int64]:
    """Labels of a text."""
    return np.array([VOCABULARY[c] for c in text.replace(" ", "|") if c in VOCABULARY], np.int64)


def say(text: str, rng: np.random.Generator) -> Utterance:
    """One piece by a voice that is drawn, with up to 0.3 s of silence on both sides."""
    voice = f"{rng.choice(ACCENTS)}+{rng.choice(VARIANTS)}"
    argv = ["espeak-ng", "-v", voice, "-s", str(rng.integers(120, 190)), "-p", str(rng.integers(30, 70)), "--stdout", text]
    said = subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, capture_output=True).stdout
    with wave.open(io.BytesIO(said)) as f:
        rate, raw = f.getframerate(), np.frombuffer(f.readframes(1 << 30), "<i2")
    samples = resample(torch.from_numpy(raw.astype(np.float32)), rate, RATE).numpy()
    around = (rng.uniform(0, 0.3, 2) * RATE).astype(int)
    return Utterance(np.pad(np.clip(samples, -32768, 32767).astype(np.int16), around), targets_of(text))


def said_before(kept: Path, texts: list[str], seeds: list[np.random.Generator], threads: int) -> list[Utterance]:
    """Each text, said; from the file where an earlier run left them, if it said the same."""
    if kept.exists():
        with np.load(kept) as stored:
            if stored["texts"].tolist() == texts:
                parts = np.split(stored["samples"], np.cumsum(stored["lengths"])[:-1])
                return [Utterance(x, targets_of(t)) for x, t in zip(parts, texts, strict=True)]
    with ThreadPoolExecutor(threads) as pool:
        out = list(pool.map(say, texts, seeds))
    if out:
        lengths, samples = [len(u.samples) for u in out], np.concatenate([u.samples for u in out])
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(kept, texts=np.array(texts), lengths=lengths, samples=samples)
    return out


def spoken(folder: Path, held: float, rng: np.random.Generator) -> tuple[list[Utterance], list[Utterance]]:
    """(Sentences and their pieces of one to four words, sentences whose texts are in none of them) of a folder of speak.py."""
    truth = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    texts = sorted({row["text"] for row in truth.values()})
    rng.shuffle(texts)
    apart = set(texts[: int(len(texts) * held)])
    train, out = [], []
    for name, row in truth.items():
        samples = soundfile.read(folder / f"{name}.wav", dtype="int16")[0]
        words = [(_letters(row["text"][a:b]), start, end) for a, b, start, end in row["words"]]
        whole = Utterance(samples, targets_of(" ".join(w for w, _, _ in words)))
        if row["text"] in apart:
            out.append(whole)
            continue
        train.append(whole)
        at = 0
        while at < len(words):
            some = words[at : at + int(rng.integers(1, 5))]
            first, last = (int(t * RATE) for t in (some[0][1] - 0.03, some[-1][2] + 0.03))
            train.append(Utterance(samples[max(0, first) : last], targets_of(" ".join(w for w, _, _ in some))))
            at += len(some)
    return train, out


def _letters(text: str) -> str:
    """Of a word, in lower case, without marks."""
    plain = unicodedata.normalize("NFKD", text.lower().replace("\u2019", "'")).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z']", "", plain)


def recorded(path: Path) -> list[Utterance]:
    """Recordings of a list."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    texts = [" ".join(re.findall(r"[a-z']+", row["text"].lower().replace("\u2019", "'"))) for row in rows]
    return [Utterance((decode(r["audio"]) * 32767).astype(np.int16), targets_of(t)) for r, t in zip(rows, texts, strict=True)]


def heard(utterance: Utterance, rng: np.random.Generator) -> NDArray[np.float32]:
    """Its samples at some level, over noise 10 to 40 dB below that is white, pink or in between."""
    samples = utterance.samples.astype(np.float32) / 32768
    spectrum = np.fft.rfft(rng.standard_normal(len(samples)).astype(np.float32))
    noise = np.fft.irfft(spectrum / np.maximum(1, np.arange(len(spectrum))) ** rng.uniform(0, 0.5), len(samples))
    level = np.sqrt(np.mean(samples**2)) * 10 ** (-rng.uniform(10, 40) / 20)
    mixed = samples + noise * (level / np.sqrt(np.mean(noise**2)))
    return (mixed * (rng.uniform(0.2, 0.9) / max(1e-6, np.abs(mixed).max()))).astype(np.float32)


def batches(utterances: list[Utterance], seconds: float, rng: np.random.Generator, ascending: bool) -> Iterator[list[Utterance]]:
    """Batches of like length without end: so many padded seconds each; from short to long at first if asked for."""
    while True:
        order = sorted(range(len(utterances)), key=lambda i: len(utterances[i].samples) * rng.uniform(0.9, 1.1))
        made: list[list[Utterance]] = [[]]
        for i in order:
            if made[-1] and len(utterances[i].samples) * (len(made[-1]) + 1) > seconds * RATE:
                made.append([])
            made[-1].append(utterances[i])
        if not ascending:
            rng.shuffle(made)  # type: ignore[arg-type]
        ascending = False
        yield from made


def loss_of(model: Any, batch: list[Utterance], waves: list[NDArray[np.float32]], device: torch.device) -> torch.Tensor:
    """CTC loss of a batch a letter."""
    padded = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(w) for w in waves], batch_first=True).to(device)
    targets = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(u.targets) for u in batch], batch_first=True).to(device)
    with torch.autocast(device.type, torch.bfloat16, enabled=half_pays(device)):
        logits, frames = model(padded, torch.tensor([len(w) for w in waves], device=device))
    sizes = torch.tensor([len(u.targets) for u in batch], device=device)
    log_probs = logits.float().log_softmax(-1).transpose(0, 1)
    return functional.ctc_loss(log_probs, targets, frames, sizes, zero_infinity=True)


def half_pays(device: torch.device) -> bool:
    """Whether bf16 is multiplied in hardware."""
    return device.type == "cuda" or torch.cpu._is_avx512_bf16_supported()


def begin(config: dict[str, Any], device: torch.device) -> Any:
    """A new network; its first convolution is a mel filter bank where its size allows."""
    torch.manual_seed(0)
    network = wav2vec2_model(aux_num_out=len(LABELS), **architecture(config))
    first, n = network.feature_extractor.conv_layers[0].conv, config["conv_kernel"][0]
    if tuple(first.weight.shape) == (MELS * PHASES, 1, n):
        frequencies = torch.arange(n // 2 + 1) * RATE / n
        bank = melscale_fbanks(len(frequencies), 60.0, 7600.0, MELS, RATE)  # (bins, mels)
        centre = (bank * frequencies[:, None]).sum(0) / bank.sum(0).clamp(min=1e-9)
        width = (bank.sum(0) * RATE / n).clamp(min=RATE / n)
        t = (torch.arange(n) - (n - 1) / 2) / RATE
        phase = torch.arange(PHASES) * (2 * math.pi / PHASES)
        envelope = torch.exp(-0.5 * (t[None] * width[:, None] * 2.0).square()) * torch.hann_window(n, False)
        waves = envelope[:, None] * torch.cos(2 * math.pi * centre[:, None, None] * t + phase[:, None])
        waves = waves / waves.norm(dim=2, keepdim=True) * (centre / 500.0).clamp(min=0.5).sqrt()[:, None, None]  # speech falls
        first.weight.data = waves.reshape(MELS * PHASES, 1, n)
        first.bias.data.normal_(0, 0.02)  # what silence looks like
    return network.to(device).train()


def letter_errors(encoder: Encoder, held: list[Utterance]) -> tuple[float, float]:
    """CTC loss a letter, and letter error rate, of utterances in some noise."""
    tokens, rng = Tokens.of(LABELS), np.random.default_rng(1)
    losses, wrong, letters = [], 0, 0
    for utterance, emission in zip(held, encoder.emissions([heard(u, rng) for u in held]), strict=True):
        truth = "".join(LABELS[i] for i in utterance.targets).replace("|", " ")
        said = " ".join(s.word for s in greedy(emission, tokens))
        wrong, letters = wrong + Levenshtein.distance(said, truth), letters + len(truth)
        sizes = torch.tensor([len(emission)]), torch.tensor([len(utterance.targets)])
        losses.append(
            float(functional.ctc_loss(torch.from_numpy(emission)[:, None], torch.from_numpy(utterance.targets)[None], *sizes))
        )
    return float(np.mean(losses)), wrong / max(1, letters)


class Small:
    """A network in training as an `Encoder` wants its checkpoint: `Encoder` changes what it is given, so it gets a copy."""

    def __init__(self, network: Any, config: dict[str, Any]) -> None:
        self.tokens, self.normalize = Tokens.of(LABELS), False
        self.network = wav2vec2_model(aux_num_out=len(LABELS), **architecture(config))
        self.network.load_state_dict(network.state_dict())


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="checkpoint folder to make")
    parser.add_argument("--text", type=Path, nargs="*", default=[], help="plain texts to say; else known answers' transcripts")
    parser.add_argument("--spoken", type=Path, help="folder of speak.py; of one text in twenty all sentences are held out")
    parser.add_argument("--recordings", type=Path, help='JSON lines: {"audio": …, "text": …}; one in ten is held out')
    parser.add_argument("--minutes", type=float, default=90.0, help="of training")
    parser.add_argument("--utterances", type=int, default=12_000, help="how many of the texts' pieces are said")
    parser.add_argument("--batch-s", type=float, default=60.0, help="padded seconds in a batch")
    parser.add_argument("--rate", type=float, default=1e-3, help="highest learning rate")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of the CPU")
    parser.add_argument("--smoke", action="store_true", help="some seconds on a CPU: that it runs")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    config = dict(CONFIG)
    if args.smoke:
        args.minutes, args.utterances, args.batch_s = 0.02, 12, 8.0
        config |= {"conv_dim": [16, 16, 16], "hidden_size": 32, "num_hidden_layers": 1, "intermediate_size": 32}
    rng = np.random.default_rng(0)
    paths = args.text or sorted((REPO / "tests/known_answers/data").rglob("*.txt"))
    texts = pieces(" ".join(p.read_text(encoding="utf-8", errors="replace") for p in paths), rng)
    rng.shuffle(texts)
    texts = texts[: args.utterances]
    said = said_before(args.out.with_name(args.out.name + ".said.npz"), texts, rng.spawn(len(texts)), args.threads)
    count = min(HELD_OUT, len(said) // 4)
    real = recorded(args.recordings) if args.recordings else []
    timed, apart = spoken(args.spoken, 0.05, rng) if args.spoken else ([], [])
    held = {"texts said": said[:count], "spoken": apart, "recordings": real[::10]}
    train = said[count:] + timed + [u for i, u in enumerate(real) if i % 10]
    hours, kept = sum(len(u.samples) for u in train) / RATE / 3600, ", ".join(f"{len(v)} {k}" for k, v in held.items() if v)
    print(f"{len(train):,} utterances, {hours:.2f} h; held out: {kept}", flush=True)
    model = fit(begin(config, device), train, said[: min(count, 25)] + apart[:25], config, args, device)
    network = Small(model, config).network.half()
    digest = save_folder(args.out, config, VOCABULARY, network, normalize=False)
    size = sum(p.stat().st_size for p in args.out.iterdir()) / 1e6
    print(f"{args.out}: {size:.1f} MB, model_sha256 {digest}")
    for name, some in ((k, v) for k, v in held.items() if v):
        loss, rate = letter_errors(Encoder(Small(model, config)), some)  # type: ignore[arg-type]
        print(f"held out, {name}: CTC loss {loss:.3f} a letter, letter error rate {100 * rate:.1f} %")


def fit(
    model: Any, train: list[Utterance], held: list[Utterance], config: dict[str, Any], args: argparse.Namespace,
    device: torch.device,
) -> Any:  # fmt: skip
    """Train until the time is over or somebody says stop; goes on from a state that is there."""
    optimizer = torch.optim.AdamW(model.parameters(), args.rate, betas=(0.9, 0.98), weight_decay=1e-2)
    kept, step, before = args.out.with_name(args.out.name + ".state.pt"), 0, 0.0
    if kept.exists():
        state = torch.load(kept, map_location=device, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step, before = state["step"], state["seconds"]
        print(f"going on from {kept}: {step} steps, {before:.0f} s", flush=True)
    stop = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.append(True))
    rng = np.random.default_rng(step + 1)
    source, losses = batches(train, args.batch_s, rng, step == 0), []
    start, total, last = time.monotonic(), 60 * args.minutes, 0.0
    while not stop and (seconds := before + time.monotonic() - start) < total:
        batch, done = next(source), seconds / total
        for group in optimizer.param_groups:
            group["lr"] = args.rate * min(done / WARM_UP, (1 - done) / (1 - WARM_UP) + LAST_RATE)
        loss = loss_of(model, batch, [heard(u, rng) for u in batch], device)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        losses.append(float(loss.detach()))
        if seconds - before - last > EVERY_S:
            last = seconds - before
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "seconds": seconds}
            torch.save(state, kept.with_suffix(".part"))
            kept.with_suffix(".part").replace(kept)
            _, rate = letter_errors(Encoder(Small(model, config)), held)  # type: ignore[arg-type]
            print(f"{step} steps, {seconds:.0f} s: CTC loss {np.mean(losses):.3f}, letter errors {100 * rate:.1f} %", flush=True)
            losses = []
    return model


if __name__ == "__main__":
    sys.exit(main())
