"""CTC prefix beam search with an n-gram model of words, biased to one document.

Method: Hannun et al. 2014 (arXiv:1408.2873), with the language model applied where a word ends. Words that the model does not
have may be said too, letter by letter, at a price: what the text lacks must not come out as the text. The weights are those
that pyctcdecode 0.5 has as defaults (it is unmaintained since 2023 and needs numpy 1); they were not tuned here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from align.ctc.greedy import Spoken
from align.ctc.ngram import Lexicon, Ngrams, document_model, lexicon
from align.ctc.tokens import Tokens

NEVER = -1e30


@dataclass(frozen=True)
class Weights:
    """Of the search."""

    beams: int = 32
    token_margin: float = 8.0
    """Tokens less likely than the frame's best by more are not tried …"""
    beam_margin: float = 14.0
    """… nor prefixes, than the best prefix."""
    language: float = 0.5
    """Of the language model's log probabilities against the sound's."""
    word: float = 1.5
    """Bonus of a word: the language model would have few and short ones."""
    unknown: float = -10.0
    """Log probability of a word that the model does not have."""


class BeamSearch:
    """Beam search made ready for one document."""

    def __init__(
        self, tokens: Tokens, words: Sequence[str], general: Mapping[str, float] | None = None, weights: Weights | None = None
    ) -> None:
        """Builds the model.

        Args:
            tokens: with a separator.
            words: the document's tokens in order.
            general: unigram weights of other words of the language.
            weights: those of the class if not given.
        """
        assert tokens.separator is not None
        self.tokens, self.weights = tokens, weights or Weights()
        self.vocabulary, self.ngrams = document_model(words, general or {})
        self.lexicon = lexicon(self.vocabulary, tokens, self.ngrams.unigram)

    def __call__(self, emission: NDArray[np.float32]) -> list[Spoken]:
        """Words in an emission; a word of the document comes out as the document writes it."""
        if not len(emission):
            return []
        w, between = self.weights, self.tokens.separator
        assert between is not None
        ids, frames = _search(
            np.ascontiguousarray(emission, np.float32), self.tokens.blank, between, self.lexicon, self.ngrams,
            w.beams, w.token_margin, w.beam_margin, w.language, w.word, w.unknown,
        )  # fmt: skip
        out: list[Spoken] = []
        edges = [-1, *np.flatnonzero(ids == between).tolist(), len(ids)]
        for a, b in zip(edges[:-1], edges[1:], strict=True):
            letters, at = ids[a + 1 : b], frames[a + 1 : b]
            if len(letters):
                score = float(emission[at, letters].mean(dtype=np.float64))
                out.append(Spoken(self._word(letters), int(at[0]), int(at[-1]) + 1, score))
        return out

    def _word(self, letters: NDArray[np.int32]) -> str:
        node = 0
        for token in letters:
            node = int(self.lexicon.child[node, token]) if node >= 0 else -1
        known = int(self.lexicon.word[node]) if node >= 0 else -1
        return self.vocabulary[known] if known >= 0 else self.tokens.write(letters.tolist())


@numba.njit(cache=True, nogil=True)
def _find(keys: NDArray[np.int64], key: int) -> int:
    at = int(np.searchsorted(keys, key))
    return at if at < len(keys) and keys[at] == key else -1


@numba.njit(cache=True, nogil=True)
def _probability(m: Ngrams, first: int, second: int, word: int, unknown: float) -> float:
    """Log probability of a word after two others (-1: there is none)."""
    if word < 0 or word >= m.size - 1:
        return unknown
    total = 0.0
    if second >= 0 and second < m.size - 1:
        if first >= 0 and first < m.size - 1:
            history = first * m.size + second
            at = _find(m.triples, history * m.size + word)
            if at >= 0:
                return float(m.triple[at])
            pair = _find(m.pairs, history)
            total += m.pair_backoff[pair] if pair >= 0 else 0.0
        at = _find(m.pairs, second * m.size + word)
        if at >= 0:
            return total + m.pair[at]
        total += m.backoff[second]
    return total + m.unigram[word]


@numba.njit(cache=True, nogil=True)
def _add(a: float, b: float) -> float:
    if a < b:
        a, b = b, a
    return a if b <= NEVER else a + np.log1p(np.exp(b - a))


@numba.njit(cache=True, nogil=True)
def _search(
    emission: NDArray[np.float32], blank: int, between: int, words: Lexicon, model: Ngrams, beams: int, token_margin: float,
    beam_margin: float, language: float, bonus: float, unknown: float,
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:  # fmt: skip
    """The best prefix: its tokens, and the frame in which each was first said."""
    frames, tokens = emission.shape
    # Prefixes as a tree that only grows: entry 0 is the empty one.
    room = 1 + frames * beams
    parent = np.full(room, -1, np.int32)
    token_of = np.full(room, -1, np.int32)
    frame_of = np.zeros(room, np.int32)
    slot = np.full(room, -1, np.int32)  # which beam holds a prefix now
    used = 1
    # Beams.
    prefix = np.zeros(beams, np.int32)
    quiet, loud = np.full(beams, NEVER), np.full(beams, NEVER)  # ending in a blank, or in the last token
    text = np.zeros(beams)  # the language model's part
    node = np.zeros(beams, np.int32)  # in the lexicon; -1: no word of it begins so
    one, two = np.full(beams, -1, np.int64), np.full(beams, -1, np.int64)  # the words before
    quiet[0] = 0.0
    count = 1
    most = beams * (tokens + 1)
    c_from, c_token = np.empty(most, np.int32), np.empty(most, np.int32)
    c_quiet, c_loud, c_text, c_total = np.empty(most), np.empty(most), np.empty(most), np.empty(most)
    c_node = np.empty(most, np.int32)
    c_one, c_two = np.empty(most, np.int64), np.empty(most, np.int64)
    held = np.full((beams, tokens), -1, np.int32)
    for t in range(frames):
        row = emission[t]
        least = row.max() - token_margin
        for i in range(count):  # what stays the same prefix
            last = token_of[prefix[i]]
            c_from[i], c_token[i], c_text[i] = i, -1, text[i]
            c_quiet[i] = _add(quiet[i], loud[i]) + row[blank]
            c_loud[i] = loud[i] + row[last] if last >= 0 and loud[i] > NEVER else NEVER
            c_node[i], c_one[i], c_two[i] = node[i], one[i], two[i]
            up = parent[prefix[i]]
            if up >= 0 and slot[up] >= 0:
                held[slot[up], last] = i
        n = count
        for i in range(count):
            last = token_of[prefix[i]]
            for c in range(tokens):
                if c == blank or row[c] < least:
                    continue
                sound = (quiet[i] if c == last else _add(quiet[i], loud[i])) + row[c]
                if sound <= NEVER / 2:
                    continue
                if held[i, c] >= 0:
                    j = held[i, c]
                    c_loud[j] = _add(c_loud[j], sound)
                    continue
                at, said, a, b = node[i], text[i], one[i], two[i]
                if c == between:
                    if prefix[i] == 0 or last == between:
                        continue  # nothing to part
                    word = words.word[at] if at >= 0 else -1
                    if at >= 0:
                        said += language * _probability(model, a, b, word, unknown)
                    said += bonus
                    a, b, at = b, (word if word >= 0 else model.size - 1), 0
                elif at >= 0:
                    at = words.child[at, c]
                    if at < 0:
                        said += language * unknown  # as soon as it can be no word, so that it competes on equal terms
                c_from[n], c_token[n], c_quiet[n], c_loud[n] = i, c, NEVER, sound
                c_text[n], c_node[n], c_one[n], c_two[n] = said, at, a, b
                n += 1
        top = NEVER
        for k in range(n):
            c_total[k] = _add(c_quiet[k], c_loud[k]) + c_text[k]
            top = max(top, c_total[k])
        for i in range(count):
            up = parent[prefix[i]]
            if up >= 0 and slot[up] >= 0:
                held[slot[up], token_of[prefix[i]]] = -1
        order = np.argsort(-c_total[:n], kind="mergesort")
        for i in range(count):
            slot[prefix[i]] = -1
        old = prefix.copy()
        count = 0
        for k in order[:beams]:
            if c_total[k] < top - beam_margin:
                break
            i = c_from[k]
            if c_token[k] < 0:
                prefix[count] = old[i]
            else:
                parent[used], token_of[used], frame_of[used] = old[i], c_token[k], t
                prefix[count] = used
                used += 1
            slot[prefix[count]] = count
            quiet[count], loud[count], text[count] = c_quiet[k], c_loud[k], c_text[k]
            node[count], one[count], two[count] = c_node[k], c_one[k], c_two[k]
            count += 1
    best, top = 0, NEVER
    for i in range(count):  # the last word ends here
        total = _add(quiet[i], loud[i]) + text[i]
        if prefix[i] and token_of[prefix[i]] != between:
            word = words.word[node[i]] if node[i] >= 0 else -1
            if node[i] >= 0:
                total += language * _probability(model, one[i], two[i], word, unknown)
            total += bonus
        if total > top:
            best, top = prefix[i], total
    return _grown(parent, token_of, frame_of, best)


@numba.njit(cache=True, nogil=True)
def _grown(
    parent: NDArray[np.int32], token_of: NDArray[np.int32], frame_of: NDArray[np.int32], leaf: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    n, at = 0, leaf
    while at > 0:
        n += 1
        at = parent[at]
    ids, frames = np.empty(n, np.int32), np.empty(n, np.int32)
    at = leaf
    while at > 0:
        n -= 1
        ids[n], frames[n] = token_of[at], frame_of[at]
        at = parent[at]
    return ids, frames
