"""A trigram model of one document as arrays, for the beam search's inner loop, and its words as a tree of tokens.

The probabilities are those of `align.lm`: Witten-Bell, unigrams mixed with general words. Natural logarithms.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from align.ctc.tokens import Tokens
from align.lm import GENERAL_SHARE

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]


class Ngrams(NamedTuple):
    """Arrays of a model over word ids; a pair (a, b) has the key a · size + b, a triple (a, b, c) a · size² + b · size + c.

    Attributes:
        size: ids there are, one more than words: the last is what is no word of the model.
        unigram: (size,) log probabilities.
        backoff: (size,) log weight of going from a pair to its second word alone.
        pairs: sorted keys; ``pair``: their log probabilities; ``pair_backoff``: from a triple that begins so.
        triples: sorted keys; ``triple``: their log probabilities.
    """

    size: int
    unigram: Floats
    backoff: Floats
    pairs: Ints
    pair: Floats
    pair_backoff: Floats
    triples: Ints
    triple: Floats


class Lexicon(NamedTuple):
    """Words by their spelling.

    Attributes:
        child: (nodes, tokens) the node behind a token, -1 where no word goes on so; node 0 is the beginning.
        word: (nodes,) id of the word that ends there, -1 for none. Of two that are spelled alike, the more frequent one.
    """

    child: NDArray[np.int32]
    word: NDArray[np.int32]


def document_model(words: Sequence[str], general: Mapping[str, float]) -> tuple[list[str], Ngrams]:
    """The vocabulary, sorted, and the trigrams of a document.

    Args:
        words: its tokens in order.
        general: unigram weights of the language, of any scale; may be empty.
    """
    count = Counter(words)
    vocabulary = sorted(set(count) | set(general))
    index = {w: i for i, w in enumerate(vocabulary)}
    size = len(vocabulary) + 1
    share = (GENERAL_SHARE if general else 0.0) if count else 1.0
    mass = sum(general.values()) or 1.0
    unigram = np.array(
        [(1 - share) * count[w] / max(1, len(words)) + share * general.get(w, 0.0) / mass for w in vocabulary] + [0.0]
    )
    pairs: dict[int, Counter[int]] = defaultdict(Counter)
    triples: dict[tuple[int, int], Counter[int]] = defaultdict(Counter)
    ids = [index[w] for w in words]
    for a, b in zip(ids, ids[1:], strict=False):
        pairs[a][b] += 1
    for a, b, c in zip(ids, ids[1:], ids[2:], strict=False):
        triples[a, b][c] += 1

    def after(history: Counter[int], word: int, lower: float) -> float:
        return (history[word] + len(history) * lower) / (history.total() + len(history))

    backoff = np.zeros(size)
    two: list[tuple[int, float, float]] = []
    three: list[tuple[int, float]] = []
    for a, follow in pairs.items():
        backoff[a] = np.log(len(follow) / (follow.total() + len(follow)))
        for b in follow:
            more = triples.get((a, b))
            two.append((
                a * size + b, np.log(after(follow, b, unigram[b])),
                np.log(len(more) / (more.total() + len(more))) if more else 0.0,
            ))  # fmt: skip
            for c in more or ():
                assert more is not None
                three.append(((a * size + b) * size + c, np.log(after(more, c, after(pairs[b], c, unigram[c])))))
    two.sort()
    three.sort()
    with np.errstate(divide="ignore"):
        logs = np.log(unigram)
    return vocabulary, Ngrams(
        size, logs.astype(np.float32), backoff.astype(np.float32),
        np.array([k for k, _, _ in two], np.int64), np.array([p for _, p, _ in two], np.float32),
        np.array([w for _, _, w in two], np.float32),
        np.array([k for k, _ in three], np.int64), np.array([p for _, p in three], np.float32),
    )  # fmt: skip


def lexicon(vocabulary: Sequence[str], tokens: Tokens, unigram: Floats) -> Lexicon:
    """The tree of a vocabulary's spellings; words that the model cannot write are not in it."""
    children: list[dict[int, int]] = [{}]
    word: list[int] = [-1]
    for i in sorted(range(len(vocabulary)), key=lambda i: (float(unigram[i]), i)):
        spelled = tokens.spell(vocabulary[i])
        node = 0
        for token in spelled:
            if token not in children[node]:
                children[node][token] = len(children)
                children.append({})
                word.append(-1)
            node = children[node][token]
        if spelled:
            word[node] = i
    child = np.full((len(children), len(tokens)), -1, np.int32)
    for node, row in enumerate(children):
        for token, to in row.items():
            child[node, token] = to
    return Lexicon(child, np.array(word, np.int32))
