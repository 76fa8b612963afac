"""Pronunciations, also of words that the dictionary lacks.

In this order: cmudict as pocketsphinx ships it; the same without accents; possessives and contractions of a known word;
initials spelled out; two known words written as one; else letter to sound, with the recurrent network whose weights are in
the g2p-en wheel (Park & Kim, Apache-2.0; trained on cmudict), decoded here with a beam so that a word may have two
pronunciations.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from align.sphinx_model import load_dictionary

Phones = tuple[str, ...]

MAX_PRONUNCIATIONS = 4
"""Of one word; cmudict's longest list is 5."""
MAX_LETTERS = 40
"""Longer tokens are no words."""
BEAM = 6
GUESS_MARGIN = 1.5
"""A second guess is kept if its log probability is so close to the first."""

_GRAPHEMES = {g: i for i, g in enumerate(["<pad>", "<unk>", "</s>", *"abcdefghijklmnopqrstuvwxyz"])}
_VOWELS = ("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW")


def _phonemes() -> list[str]:
    """The network's output symbols, in the order of its training: stresses 0–2 of each vowel, plus a bare UW."""
    everything = (
        "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH"
    ).split()
    out = ["<pad>", "<unk>", "<s>", "</s>"]
    for phone in everything:
        out += ([phone] if phone == "UW" else []) + [phone] * 3 if phone in _VOWELS else [phone]
    return out


@functools.lru_cache(maxsize=1)
def _weights() -> dict[str, NDArray[np.float32]]:
    spec = find_spec("g2p_en")
    path = Path(next(iter(spec.submodule_search_locations or []))) / "checkpoint20.npz" if spec else Path("checkpoint20.npz")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: the g2p-en wheel is missing; reinstall containers/align")
    with np.load(path) as stored:
        return {name: stored[name] for name in stored.files}


def _cell(x: NDArray[np.float32], h: NDArray[np.float32], side: str) -> NDArray[np.float32]:
    """One step of a gated recurrent unit: x (n, 64), h (n, 128) → (n, 128)."""
    w = _weights()
    a, b = x @ w[f"{side}_w_ih"].T + w[f"{side}_b_ih"], h @ w[f"{side}_w_hh"].T + w[f"{side}_b_hh"]
    size = h.shape[1]
    gates = 1.0 / (1.0 + np.exp(-(a[:, : 2 * size] + b[:, : 2 * size])))
    candidate = np.tanh(a[:, 2 * size :] + gates[:, :size] * b[:, 2 * size :])
    keep = gates[:, size:]
    return np.asarray((1.0 - keep) * candidate + keep * h, np.float32)


@functools.lru_cache(maxsize=50_000)
def guess(word: str) -> tuple[Phones, ...]:
    """Letter to sound, best first, at most two.

    Args:
        word: letters a–z only.
    """
    w, phonemes = _weights(), _phonemes()
    h: NDArray[np.float32] = np.zeros((1, w["enc_w_hh"].shape[1]), np.float32)
    for letter in [*word[:MAX_LETTERS], "</s>"]:
        h = _cell(w["enc_emb"][[_GRAPHEMES.get(letter, 1)]], h, "enc")
    beams: list[tuple[float, list[int]]] = [(0.0, [2])]
    states: NDArray[np.float32] = h
    done: list[tuple[float, list[int]]] = []
    for _ in range(2 * len(word) + 4):
        states = _cell(w["dec_emb"][[b[1][-1] for b in beams]], states, "dec")
        logits = states @ w["fc_w"].T + w["fc_b"]
        logp = logits - np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(1, keepdims=True)) - logits.max(1, keepdims=True)
        total = logp + np.array([b[0] for b in beams])[:, None]
        grown: list[tuple[float, int, list[int]]] = []
        for flat in np.argsort(-total, axis=None, kind="stable")[: 2 * BEAM]:
            row, symbol = divmod(int(flat), total.shape[1])
            score = float(total[row, symbol])
            if symbol == 3:
                done.append((score, beams[row][1][1:]))
            else:
                grown.append((score, row, [*beams[row][1], symbol]))
        grown = grown[:BEAM]
        if not grown or (done and max(d[0] for d in done) > grown[0][0]):
            break
        beams, states = [(s, seq) for s, _, seq in grown], states[[row for _, row, _ in grown]]
    best: dict[Phones, float] = {}
    for score, sequence in sorted(done, key=lambda d: -d[0]):
        phones = tuple(phonemes[i] for i in sequence if i > 3)
        if phones:
            best.setdefault(phones, score)
    ranked = list(best.items())
    return tuple(p for p, s in ranked[:2] if s > ranked[0][1] - GUESS_MARGIN)


def _plural(phones: Phones) -> Phones:
    if phones[-1] in ("S", "Z", "SH", "ZH", "CH", "JH"):
        return (*phones, "IH", "Z")
    return (*phones, "S" if phones[-1] in ("P", "T", "K", "F", "TH") else "Z")


_ENDINGS: dict[str, Phones] = {
    "n't": ("AH", "N", "T"), "'ll": ("AH", "L"), "'d": ("D",), "'ve": ("AH", "V"), "'re": ("ER",), "'m": ("M",),
}  # fmt: skip


@functools.lru_cache(maxsize=200_000)
def pronunciations(word: str) -> tuple[Phones, ...]:
    """Pronunciations of a spoken-form word, most likely first.

    Args:
        word: lower case.

    Returns:
        Phones of the en-us model; () for a token without a Latin letter or of over 40 letters, which nobody can align.
    """
    words = load_dictionary()
    if found := words.get(word):
        return found[:MAX_PRONUNCIATIONS]
    plain = unicodedata.normalize("NFKD", word.replace("’", "'")).encode("ascii", "ignore").decode()
    if plain != word and (found := words.get(plain)):
        return found[:MAX_PRONUNCIATIONS]
    plain = re.sub(r"[^a-z']", "", plain).strip("'") if len(plain) <= MAX_LETTERS else ""
    if not plain:
        return ()
    if found := words.get(plain):
        return found[:MAX_PRONUNCIATIONS]
    if plain.endswith("'s"):
        return tuple(_plural(p) for p in pronunciations(plain[:-2]))
    for ending, phones in _ENDINGS.items():
        if plain.endswith(ending) and len(plain) > len(ending):
            return tuple((*p, *phones) for p in pronunciations(plain[: -len(ending)]))
    plain = plain.replace("'", "")
    if found := words.get(plain):
        return found[:MAX_PRONUNCIATIONS]
    if len(plain) <= 5 and not re.search("[aeiouy]", plain):
        return (tuple(p for letter in plain for p in words[letter][0]),)
    for cut in sorted(range(3, len(plain) - 2), key=lambda c: abs(2 * c - len(plain))):
        if (a := words.get(plain[:cut])) and (b := words.get(plain[cut:])):
            return ((*a[0], *b[0]), *guess(plain)[:1])
    return guess(plain)
