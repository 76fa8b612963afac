"""Finds where a hypothesis lies in a transcript, whatever is missing, added, reordered, repeated or wrong on either side.

Words in, *islands* out: pairs of word ranges that say the same thing, with the matched words inside. Four steps:

1. **Seeds.** For each hypothesis position the shortest k-mer (k >= 2) that the transcript holds at most
   ``max_occurrences`` times: rare-first adaptive seeds (Kiełbasa et al. 2011, LAST), which pass over boilerplate without
   a quadratic number of hits. Hits are extended to maximal exact matches.
2. **Chains.** Collinear chaining of the matches with a linear gap cost, exact in O(N log N) by a Fenwick tree (the
   problem of minimap2, Li 2018, without its look-back heuristic). A chain is cut where a gap is not *bridgeable*: too long,
   or much longer on one side than on the other. A bridged gap is a burst of recognition errors whose text the acoustic
   aligner shall judge (DSAlign, and The People's Speech with it, lost the text of such gaps).
3. **Choice.** Chains are accepted heaviest first, each hypothesis word once, each transcript word once. What remains is
   accepted where it fits between its neighbours (the search space is then that gap, not the document), or, if the
   transcript words are taken, as a *repeated reading*, for which the evidence has to be longer.
4. **Gaps.** Word-level dynamic programming (Gotoh 1982) between neighbouring matches.

Evidence is counted in bits against the null model "a decoder that babbles trigrams of this very document", which is right
for a recogniser that is biased to it. A matched word that follows a matched word is worth -log2 of the mean of the
document's own p(w), p(w|previous word) and p(w|two previous words); any other matched word ``-log2 p(w)``. A stretch is
accepted if its bits exceed the log2 of the number of places it might have lain in, plus a margin. Of a recogniser that knows
nothing of the document (``independent``) the place itself is no reason for a word to follow another: the conditional
probabilities are counted elsewhere in the document, and are p(w) where the context occurs nowhere else.
"""

from __future__ import annotations

import bisect
import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from align import search_kernels as kernels
from align.search_seeds import adaptive_seeds

Pairs = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SearchParams:
    """Settings of :func:`search`; measured in ``bench/results/search.md``.

    Attributes:
        max_occurrences: a seed that the transcript holds more often than this is lengthened.
        max_kmer: longest seed in words. One that cannot be lengthened further and is still too frequent gives the
            ``max_occurrences`` hits nearest to where a steady reading would be.
        bridge_words: longest gap, in words of either side, that stays inside an island.
        bridge_slack: words by which the two sides of a bridged gap may differ, beyond half of the shorter side.
        gap_bits: cost of an unmatched word on either side.
        margin_bits: bits beyond log2(places) that a stretch without neighbours needs.
        local_margin_bits: the same inside a gap that can be bridged: errors are likelier there than other text.
        edge_margin_bits: the same beside one neighbour only; over the cells of an 80 x 80 corner the chances of a false match
            sum to ln(80)^2 / 2^bits, which is 7 % at 8 bits.
        repeat_margin_bits: the same for transcript words that another island has taken.
        min_words: an island has at least so many matched words, or half of the longer side.
        gap_cells: largest rectangle, in cells, that dynamic programming fills (bytes of memory, 1 byte a cell).
        edge_words: an island that starts (ends) within so many words of both sequences' start (end) reaches it.
        independent: the hypothesis comes from a recogniser that knows nothing of the transcript.
    """

    max_occurrences: int = 10
    max_kmer: int = 12
    bridge_words: int = 40
    bridge_slack: int = 4
    gap_bits: float = 0.5
    margin_bits: float = 20.0
    local_margin_bits: float = 1.0
    edge_margin_bits: float = 8.0
    repeat_margin_bits: float = 24.0
    min_words: int = 4
    gap_cells: int = 4_000_000
    edge_words: int = 5
    independent: bool = False


DEFAULT = SearchParams()


@dataclass(frozen=True)
class Island:
    """One stretch of speech found in the transcript; ranges are half-open and count words.

    Attributes:
        hyp_start: first hypothesis word.
        hyp_end: one past the last hypothesis word.
        ref_start: first transcript word.
        ref_end: one past the last transcript word.
        pairs: (n, 2) int64, rows (hypothesis index, transcript index) of equal words, strictly increasing in both columns.
    """

    hyp_start: int
    hyp_end: int
    ref_start: int
    ref_end: int
    pairs: Pairs


@dataclass(frozen=True)
class _Texts:
    """Both sequences as word numbers, with the evidence of each transcript word in bits."""

    hyp: npt.NDArray[np.int64]
    ref: npt.NDArray[np.int64]
    unigram: npt.NDArray[np.float64]
    conditional: npt.NDArray[np.float64]


def search(hypothesis: Sequence[str], transcript: Sequence[str], params: SearchParams = DEFAULT) -> list[Island]:
    """Islands in hypothesis order; none overlap in the hypothesis.

    Two islands share transcript words only where the hypothesis says them twice. Equal words are equal strings: the caller
    normalises both sides alike. Time is O(N log N) in the seeds plus at most ``gap_cells`` per gap; memory is linear.

    Args:
        hypothesis: words heard, in time order.
        transcript: words of the text.
        params: settings.

    Returns:
        The islands; empty if either side is empty or nothing is trustworthy.
    """
    n, m = len(hypothesis), len(transcript)
    if n == 0 or m == 0:
        return []
    texts = _texts(hypothesis, transcript, params.independent)
    chosen = _Chosen(n, m, params, texts)
    pieces = _pieces(texts, params)
    rest = chosen.accept(pieces)
    rest = chosen.accept_local(rest)
    chosen.fill_gaps()
    chosen.accept_repeats(rest)
    return chosen.islands()


def _texts(hypothesis: Sequence[str], transcript: Sequence[str], independent: bool) -> _Texts:
    """Word numbers and bits; probabilities are the transcript's own."""
    number: dict[str, int] = {}
    ref = np.fromiter((number.setdefault(w, len(number)) for w in transcript), dtype=np.int64, count=len(transcript))
    known = len(number)
    hyp = np.fromiter((number.get(w, -1) for w in hypothesis), dtype=np.int64, count=len(hypothesis))
    counts = np.bincount(ref, minlength=known).astype(np.float64)
    p = counts[ref] / len(ref)
    mixed = p.copy()
    if len(ref) > 2:
        _, pair, pairs = np.unique(ref[:-1] * known + ref[1:], return_inverse=True, return_counts=True)
        _, triple, triples = np.unique(pair[:-1] * known + ref[2:], return_inverse=True, return_counts=True)
        less = int(independent)  # the occurrence itself
        bigram = _share(pairs[pair] - less, counts[ref[:-1]] - less, p[1:])
        trigram = _share(triples[triple] - less, pairs[pair[:-1]] - less, bigram[1:])
        mixed[1] = (p[1] + bigram[0]) / 2
        mixed[2:] = (p[2:] + bigram[1:] + trigram) / 3
    return _Texts(hyp, ref, -np.log2(p), -np.log2(mixed))


def _share(
    part: npt.NDArray[np.int64], whole: npt.NDArray[np.float64], otherwise: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """The shares, and what is given for one where the whole is 0."""
    return np.where(whole > 0, part / np.maximum(whole, 1), otherwise)


def _pieces(t: _Texts, params: SearchParams) -> list[Pairs]:
    """Candidate stretches: chains of exact matches, their gaps filled, cut where a gap cannot be bridged."""
    h, r = adaptive_seeds(t.hyp, t.ref, params.max_occurrences, params.max_kmer)
    order = np.lexsort((h, r - h))
    x, y, length = kernels.maximal_matches(t.hyp, t.ref, h[order], r[order])
    order = np.lexsort((y, x))
    x, y, length = x[order], y[order], length[order]
    cumulative = np.concatenate([[0.0], np.cumsum(t.conditional)])
    weight = t.unigram[y] + cumulative[y + length] - cumulative[y + 1]
    chain, member = kernels.chains(x, y, length, weight, len(t.ref), params.gap_bits)
    floor = params.local_margin_bits + math.log2(len(t.hyp) * len(t.ref)) / 2
    pieces: list[Pairs] = []
    half = max(len(t.hyp), len(t.ref)) / 2
    for lo, hi in zip(chain[:-1], chain[1:], strict=True):
        at = member[lo:hi]
        if weight[at].sum() < floor and length[at].sum() < half:
            continue
        pairs = kernels.fill_chain(
            t.hyp, t.ref, t.unigram, t.conditional, x[at], y[at], length[at],
            params.bridge_words, params.bridge_slack, params.gap_bits, params.local_margin_bits,
        )
        cut = [kernels.trim(t.unigram, t.conditional, p, params.gap_bits, params.edge_margin_bits) for p in _split(pairs, params)]
        pieces += [p for p in cut if _bits(t, p, params) >= floor or len(p) >= half]
    if not pieces and len(t.hyp) * len(t.ref) <= params.gap_cells:
        whole = kernels.align(t.hyp, t.ref, t.unigram, 0, len(t.hyp), 0, len(t.ref))
        pieces = _split(whole, params)
    return pieces


def _split(pairs: Pairs, params: SearchParams) -> list[Pairs]:
    """Cuts a monotone list of pairs where the gap between two rows cannot be bridged."""
    if len(pairs) == 0:
        return []
    gap = np.diff(pairs, axis=0) - 1
    cut = gap.max(axis=1) > params.bridge_words
    cut |= np.abs(gap[:, 0] - gap[:, 1]) > params.bridge_slack + gap.min(axis=1) // 2
    return np.split(pairs, np.flatnonzero(cut) + 1)


def _bits(t: _Texts, pairs: Pairs, params: SearchParams) -> float:
    return float(kernels.bits(t.unigram, t.conditional, pairs, params.gap_bits))


class _Chosen:
    """Accepted stretches: disjoint in the hypothesis, and in the transcript save for repeated readings."""

    def __init__(self, n: int, m: int, params: SearchParams, texts: _Texts) -> None:
        self.n, self.m, self.params, self.t = n, m, params, texts
        self.hyp_used = np.zeros(n, dtype=bool)
        self.ref_used = np.zeros(m, dtype=bool)
        self.starts: list[int] = []
        self.stretches: list[Pairs] = []
        self.repeats: list[Pairs] = []
        self.places = math.log2(n * m)

    def _add(self, pairs: Pairs) -> None:
        at = bisect.bisect(self.starts, int(pairs[0, 0]))
        self.starts.insert(at, int(pairs[0, 0]))
        self.stretches.insert(at, pairs)
        self.hyp_used[pairs[0, 0] : pairs[-1, 0] + 1] = True
        self.ref_used[pairs[0, 1] : pairs[-1, 1] + 1] = True

    def _free(self, pairs: Pairs, ref: bool) -> list[Pairs]:
        """What of a stretch is still free, cut where something accepted lies inside it."""
        keep = ~self.hyp_used[pairs[:, 0]]
        if ref:
            keep &= ~self.ref_used[pairs[:, 1]]
        out: list[Pairs] = []
        for part in _split(pairs[keep], self.params):
            inside = self.hyp_used[part[0, 0] : part[-1, 0] + 1].any()
            if ref:
                inside |= self.ref_used[part[0, 1] : part[-1, 1] + 1].any()
            if inside:  # rare: something lies between two of its words; keep its runs of adjacent words
                out += np.split(part, np.flatnonzero((np.diff(part, axis=0) != 1).any(axis=1)) + 1)
            else:
                out.append(part)
        return out

    def accept(self, pieces: list[Pairs]) -> list[Pairs]:
        """Heaviest first, by evidence against the whole document; returns what was not accepted."""
        threshold = self.places + self.params.margin_bits
        heap = [(-_bits(self.t, p, self.params), i) for i, p in enumerate(pieces)]
        heapq.heapify(heap)
        pool = list(pieces)
        rest: list[Pairs] = []
        while heap:
            negative, i = heapq.heappop(heap)
            parts = self._free(pool[i], ref=True)
            if len(parts) == 1 and len(parts[0]) == len(pool[i]):
                strong = -negative >= threshold and len(pool[i]) >= self.params.min_words
                if strong or len(pool[i]) >= max(self.n, self.m) / 2:  # half of both sides, in order: short texts have few bits
                    self._add(pool[i])
                else:
                    rest.append(pool[i])
                continue
            taken = pool[i][~self.hyp_used[pool[i][:, 0]]]
            if len(taken) > sum(map(len, parts)):
                rest.append(pool[i])  # its transcript words are taken: a repeated reading, or nothing
            for part in parts:
                pool.append(part)
                heapq.heappush(heap, (-_bits(self.t, part, self.params), len(pool) - 1))
        return rest

    def accept_local(self, pieces: list[Pairs]) -> list[Pairs]:
        """Accepts what fits between its neighbours; returns the rest."""
        rest: list[Pairs] = []
        for piece in sorted(pieces, key=lambda p: -_bits(self.t, p, self.params)):
            left = False
            for part in self._free(piece, ref=True):
                if _bits(self.t, part, self.params) >= self._local_threshold(part):
                    self._add(part)
                else:
                    left = True
            if left or not self.hyp_used[piece[:, 0]].all():
                rest.append(piece)
        return rest

    def _local_threshold(self, pairs: Pairs) -> float:
        """Bits needed beside the nearer neighbour that the stretch continues; infinite if it continues none."""
        h0, r0, h1, r1 = int(pairs[0, 0]), int(pairs[0, 1]), int(pairs[-1, 0]), int(pairs[-1, 1])
        at = bisect.bisect(self.starts, h0)
        sides: list[tuple[int, int]] = []
        if at > 0:
            ph, pr = self.stretches[at - 1][-1].tolist()
            if pr < r0 and not self.ref_used[pr + 1 : r0].any():
                sides.append((h0 - ph, r0 - pr))
        if at < len(self.starts):
            nh, nr = self.stretches[at][0].tolist()
            if nr > r1 and not self.ref_used[r1 + 1 : nr].any():
                sides.append((nh - h1, nr - r1))
        if not sides:
            return math.inf
        dh, dr = min(sides, key=lambda s: s[0] * s[1])
        near = max(dh, dr) <= 2 * self.params.bridge_words
        return math.log2(dh * dr) + (self.params.edge_margin_bits if near else self.params.margin_bits)

    def fill_gaps(self) -> None:
        """Dynamic programming between neighbours, and outwards from each end that has no neighbour to meet."""
        p, stretches = self.params, list(self.stretches)
        for i in range(len(stretches) + 1):
            left = stretches[i - 1][-1] if i > 0 else None
            right = stretches[i][0] if i < len(stretches) else None
            h0, h1 = (0 if left is None else int(left[0]) + 1), (self.n if right is None else int(right[0]))
            if h1 <= h0:
                continue
            if left is not None and right is not None and left[1] < right[1]:
                r0, r1 = int(left[1]) + 1, int(right[1])
                if (h1 - h0) * (r1 - r0) <= p.gap_cells and not self.ref_used[r0:r1].any():
                    self._fill(h0, h1, r0, r1, True, True)
                    continue
            reach = 2 * p.bridge_words
            if left is not None:
                r0 = int(left[1]) + 1
                r1 = self._until_used(r0, r0 + reach, 1)
                self._fill(h0, min(h1, h0 + reach), r0, r1, True, False)
                while h0 < h1 and self.hyp_used[h0]:
                    h0 += 1
            if right is not None:
                r1 = int(right[1])
                r0 = self._until_used(r1 - 1, r1 - 1 - reach, -1) + 1
                used = np.flatnonzero(self.hyp_used[h0:h1])
                h0 = h0 + int(used[-1]) + 1 if len(used) else h0
                self._fill(max(h0, h1 - reach), h1, r0, r1, False, True)

    def _until_used(self, start: int, stop: int, step: int) -> int:
        """First position from ``start`` towards ``stop`` that is taken or outside, else ``stop``."""
        at = start
        while at != stop and 0 <= at < self.m and not self.ref_used[at]:
            at += step
        return at

    def _fill(self, h0: int, h1: int, r0: int, r1: int, left: bool, right: bool) -> None:
        if h1 <= h0 or r1 <= r0:
            return
        t, p = self.t, self.params
        bridged = left and right and max(h1 - h0, r1 - r0) <= p.bridge_words
        bridged &= abs((h1 - h0) - (r1 - r0)) <= p.bridge_slack + min(h1 - h0, r1 - r0) // 2
        margin = p.local_margin_bits if bridged else p.edge_margin_bits
        pairs = kernels.fill_gap(t.hyp, t.ref, t.unigram, t.conditional, h0, h1, r0, r1, left, right, p.gap_bits, margin)
        for part in _split(pairs, p):
            self._add(part)

    def accept_repeats(self, pieces: list[Pairs]) -> None:
        """Accepts stretches whose transcript words are taken, if the evidence is long enough to be a second reading."""
        threshold = self.places + self.params.repeat_margin_bits
        for piece in sorted(pieces, key=lambda q: -_bits(self.t, q, self.params)):
            for part in self._free(piece, ref=False):
                if _bits(self.t, part, self.params) >= threshold and len(part) >= 2 * self.params.min_words:
                    self._add(part)

    def islands(self) -> list[Island]:
        """Neighbours whose gap can be bridged become one island; the outer edges reach the ends of both sequences."""
        p = self.params
        groups: list[list[Pairs]] = []
        for pairs in self.stretches:
            if groups:
                last, first = groups[-1][-1][-1], pairs[0]
                bridged = last[1] < first[1] and len(_split(np.stack([last, first]), p)) == 1
                if bridged and not self.ref_used[last[1] + 1 : first[1]].any():
                    groups[-1].append(pairs)
                    continue
            groups.append([pairs])
        fewest = min(p.min_words, (max(self.n, self.m) + 1) // 2)
        joined = [pairs for pairs in (np.concatenate(g) for g in groups) if len(pairs) >= fewest]
        out = [Island(int(g[0, 0]), int(g[-1, 0]) + 1, int(g[0, 1]), int(g[-1, 1]) + 1, g) for g in joined]
        if out and max(out[0].hyp_start, out[0].ref_start) <= p.edge_words:
            first = out[0]
            out[0] = Island(0, first.hyp_end, 0, first.ref_end, first.pairs)
        if out and max(self.n - out[-1].hyp_end, self.m - out[-1].ref_end) <= p.edge_words:
            last = out[-1]
            out[-1] = Island(last.hyp_start, self.n, last.ref_start, self.m, last.pairs)
        return out
