"""Beam search finds the most probable words; a document's words are preferred, and what it lacks is still heard."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from align.ctc.beam import BeamSearch, Weights
from align.ctc.greedy import greedy
from align.ctc.ngram import document_model
from align.ctc.tokens import Tokens
from align.lm import write_document_lm

TOKENS = Tokens.of(["-", "|", *"abc"])


def emission(likely: str, odds: dict[int, dict[str, float]] | None = None) -> NDArray[np.float32]:
    """Log probabilities of labels frame by frame; ``odds`` has the frames in which more than one is likely."""
    out = np.full((len(likely), len(TOKENS)), 1e-4)
    for t, label in enumerate(likely):
        for name, p in (odds or {}).get(t, {label: 1.0}).items():
            out[t, TOKENS.labels.index(name)] = p
    return np.log(out / out.sum(1, keepdims=True)).astype(np.float32)


def test_without_a_model_it_is_the_most_probable_text() -> None:
    """Against the sum over all paths of each text, which is another one than the best path's."""
    rng = np.random.default_rng(4)
    free = Weights(beams=200, token_margin=1e9, beam_margin=1e9, language=0.0, word=0.0)
    differ = 0
    for _ in range(12):
        log_probs = np.log(rng.dirichlet(np.full(5, 0.7), 5)).astype(np.float32)
        total: dict[str, float] = {}
        for path in itertools.product(range(5), repeat=5):
            text = "".join(TOKENS.labels[k] for k, _ in itertools.groupby(path) if k != 0)
            if "||" in text or text.startswith("|"):
                continue  # nothing to part
            p = math.exp(sum(log_probs[t, k] for t, k in enumerate(path)))
            total[text] = total.get(text, 0.0) + p
        best = max(total, key=lambda text: total[text])
        found = BeamSearch(TOKENS, [], {"a": 1.0}, free)(log_probs)
        assert [s.word for s in found] == [w for w in best.split("|") if w]
        differ += [s.word for s in greedy(log_probs, TOKENS)] != [s.word for s in found]
    assert differ, "the best path is not always the best text"


def test_the_document_decides_where_the_sound_does_not() -> None:
    unclear = emission("-a-b-|-c-c-|-", {3: {"b": 0.55, "c": 0.45}})
    assert [s.word for s in greedy(unclear, TOKENS)] == ["ab", "cc"]
    biased = BeamSearch(TOKENS, ["ac", "cc", "ac", "cc"])
    assert [s.word for s in biased(unclear)] == ["ac", "cc"]


def test_what_the_document_lacks_is_still_heard() -> None:
    clear = emission("-a-b-|-c-b-a-|-a-c-")
    found = BeamSearch(TOKENS, ["ac", "cc", "ab"])(clear)
    assert [(s.word, s.start, s.end) for s in found] == [("ab", 1, 4), ("cba", 7, 12), ("ac", 15, 18)]
    assert all(s.score > -0.01 for s in found)
    assert BeamSearch(TOKENS, ["ab"])(np.zeros((0, 5), np.float32)) == []


def test_a_word_comes_out_as_the_document_writes_it() -> None:
    latin = BeamSearch(TOKENS, ["\u00c0b", "c"])
    assert [s.word for s in latin(emission("-a-b-|-c-"))] == ["\u00c0b", "c"]


def test_its_probabilities_are_those_of_the_arpa_file(tmp_path: object) -> None:
    from pathlib import Path

    words, general = "a b a c a b b a b a".split(), {"d": 2.0, "a": 1.0}
    write_document_lm(Path(str(tmp_path)) / "lm", words, general)
    entries: dict[tuple[str, ...], tuple[float, float]] = {}
    for line in (Path(str(tmp_path)) / "lm").read_text().splitlines():
        parts = line.split()
        if parts and parts[0].startswith("-"):
            weighted = len(parts) in (3, 4) and parts[-1].lstrip("-").replace(".", "").isdigit()
            entries[tuple(parts[1:-1] if weighted else parts[1:])] = (float(parts[0]), float(parts[-1]) if weighted else 0.0)
    vocabulary, model = document_model(words, general)
    assert vocabulary == ["a", "b", "c", "d"] and model.size == 5
    at = {w: i for i, w in enumerate(vocabulary)}
    for key, (probability, backoff) in entries.items():
        if "<s>" in key or "</s>" in key:
            continue
        ids = [at[w] for w in key]
        if len(key) == 1:
            # The file keeps 2 % for the end of a sentence, which the search does not have.
            assert model.unigram[ids[0]] == pytest.approx((probability - math.log10(0.98)) * math.log(10), abs=2e-3)
            assert model.backoff[ids[0]] == pytest.approx(backoff * math.log(10), abs=2e-3)
        elif len(key) == 2:
            k = int(np.searchsorted(model.pairs, ids[0] * 5 + ids[1]))
            assert model.pairs[k] == ids[0] * 5 + ids[1]
            assert model.pair[k] == pytest.approx(probability * math.log(10), abs=0.03)
            assert model.pair_backoff[k] == pytest.approx(backoff * math.log(10), abs=2e-3)
        else:
            k = int(np.searchsorted(model.triples, (ids[0] * 5 + ids[1]) * 5 + ids[2]))
            assert model.triple[k] == pytest.approx(probability * math.log(10), abs=0.03)
