"""Compiled loops of :mod:`align.search`: exact matches, chaining, gap alignment. Arrays are int64 or float64, 1-D."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

Array = Any  # numba-compiled code takes arrays as they come

_SUB_BITS = 2.0
_OPEN_BITS = 3.0
_EXTEND_BITS = 0.3


@numba.njit(cache=True)
def maximal_matches(hyp: Array, ref: Array, h: Array, r: Array) -> tuple[Array, Array, Array]:
    """Extends seeds to maximal exact matches.

    Args:
        hyp: word numbers; -1 is a word that the transcript lacks.
        ref: word numbers, none negative.
        h: seed positions in ``hyp``, sorted by diagonal ``r - h``, then by ``h``.
        r: seed positions in ``ref``.

    Returns:
        Start in hyp, start in ref, length: one entry a match.
    """
    x = np.empty(len(h), dtype=np.int64)
    y = np.empty(len(h), dtype=np.int64)
    length = np.empty(len(h), dtype=np.int64)
    count = 0
    diagonal, end = 0, -1
    for i in range(len(h)):
        if count > 0 and r[i] - h[i] == diagonal and h[i] < end:
            continue
        a, b = h[i], r[i]
        while a > 0 and b > 0 and hyp[a - 1] == ref[b - 1]:
            a -= 1
            b -= 1
        e = h[i]
        f = r[i]
        while e < len(hyp) and f < len(ref) and hyp[e] == ref[f]:
            e += 1
            f += 1
        diagonal, end = r[i] - h[i], e
        x[count], y[count], length[count] = a, b, e - a
        count += 1
    return x[:count], y[:count], length[:count]


@numba.njit(cache=True)
def chains(x: Array, y: Array, length: Array, weight: Array, m: int, gap_bits: float) -> tuple[Array, Array]:
    """Best-first collinear chains; each match stands in one chain.

    ``score(i) = weight(i) + max(0, max over j before i of score(j) - gap_bits * (unmatched words on both sides))``; j is
    before i if it ends, up to one word of overlap, before i starts on both sides.

    Args:
        x: starts in the hypothesis, ascending.
        y: starts in the transcript.
        length: lengths in words.
        weight: bits.
        m: length of the transcript.
        gap_bits: cost of an unmatched word.

    Returns:
        ``offsets`` (chains + 1) into ``members``, and ``members``: match numbers, ascending within a chain.
    """
    count = len(x)
    score = np.zeros(count)
    before = np.full(count, -1, dtype=np.int64)
    best = np.full(m + 2, -np.inf)
    arg = np.full(m + 2, -1, dtype=np.int64)
    x_end = x + length
    by_end = np.argsort(x_end, kind="mergesort")
    added = 0
    for i in range(count):
        while added < count and x_end[by_end[added]] - 1 <= x[i] and x[by_end[added]] < x[i]:
            j = by_end[added]
            value = score[j] + gap_bits * (x_end[j] + y[j] + length[j])
            k = y[j] + length[j]  # 1-based slot of its last word: one word of overlap is allowed
            while k <= m + 1:
                if value > best[k]:
                    best[k] = value
                    arg[k] = j
                k += k & -k
            added += 1
        top, who = -np.inf, -1
        k = y[i] + 1
        while k > 0:
            if best[k] > top:
                top, who = best[k], arg[k]
            k -= k & -k
        score[i] = weight[i]
        gain = top - gap_bits * (x[i] + y[i])
        if who >= 0 and gain > 0 and y[who] < y[i]:
            score[i] += gain
            before[i] = who
    order = np.argsort(-score, kind="mergesort")
    used = np.zeros(count, dtype=np.bool_)
    offsets = np.empty(count + 1, dtype=np.int64)
    members = np.empty(count, dtype=np.int64)
    offsets[0] = 0
    made, at = 0, 0
    for o in range(count):
        i = order[o]
        if used[i]:
            continue
        start = at
        while i >= 0 and not used[i]:
            used[i] = True
            members[at] = i
            at += 1
            i = before[i]
        members[start:at] = members[start:at][::-1].copy()
        made += 1
        offsets[made] = at
    return offsets[: made + 1], members


@numba.njit(cache=True)
def bits(unigram: Array, conditional: Array, pairs: Array, gap_bits: float) -> float:
    """Evidence of a monotone list of matched words, shape (n, 2), in bits."""
    total = 0.0
    for i in range(len(pairs)):
        r = pairs[i, 1]
        if i == 0:
            total += unigram[r]
            continue
        dh = pairs[i, 0] - pairs[i - 1, 0] - 1
        dr = r - pairs[i - 1, 1] - 1
        if dh == 0 and dr == 0:
            total += conditional[r]
        else:
            total += unigram[r] - gap_bits * (dh + dr)
    return total


@numba.njit(cache=True)
def trim(unigram: Array, conditional: Array, pairs: Array, gap_bits: float, margin: float) -> Array:
    """Drops chance matches off both ends of a chain: ends whose bits do not exceed log2 of the gap behind them, plus ``margin``.

    A gap is more than two unmatched words on one side; its cells are the places where the end might lie by chance.
    """
    lo, hi = 0, len(pairs)
    for i in range(1, hi):
        dh, dr = pairs[i, 0] - pairs[i - 1, 0], pairs[i, 1] - pairs[i - 1, 1]
        if dh > 3 or dr > 3:
            if bits(unigram, conditional, pairs[lo:i], gap_bits) >= np.log2(float(dh) * float(dr)) + margin:
                break
            lo = i
    for i in range(hi - 1, lo, -1):
        dh, dr = pairs[i, 0] - pairs[i - 1, 0], pairs[i, 1] - pairs[i - 1, 1]
        if dh > 3 or dr > 3:
            if bits(unigram, conditional, pairs[i:hi], gap_bits) >= np.log2(float(dh) * float(dr)) + margin:
                break
            hi = i
    return pairs[lo:hi]


@numba.njit(cache=True)
def align(hyp: Array, ref: Array, unigram: Array, h0: int, h1: int, r0: int, r1: int) -> Array:
    """Global alignment (Gotoh 1982, affine gaps) of hyp[h0:h1] and ref[r0:r1]; matched words only, shape (n, 2).

    A match earns its unigram bits. Memory is one byte a cell.
    """
    n, m = h1 - h0, r1 - r0
    low = -1e18
    move = np.zeros((n + 1, m + 1), dtype=np.uint8)  # bits 0-1: best state; bit 2: hyp gap opened; bit 3: ref gap opened
    best = np.empty(m + 1)
    up = np.full(m + 1, low)
    best[0] = 0.0
    for j in range(1, m + 1):
        best[j] = -_OPEN_BITS - _EXTEND_BITS * j
        move[0, j] = 2 | (8 if j == 1 else 0)
    for i in range(1, n + 1):
        diagonal = best[0]
        best[0] = -_OPEN_BITS - _EXTEND_BITS * i
        move[i, 0] = 1 | (4 if i == 1 else 0)
        side = low
        for j in range(1, m + 1):
            flags = 0
            opened = best[j] - _OPEN_BITS
            if opened >= up[j]:
                up[j] = opened
                flags |= 4
            up[j] -= _EXTEND_BITS
            opened = best[j - 1] - _OPEN_BITS
            if opened >= side:
                side = opened
                flags |= 8
            side -= _EXTEND_BITS
            if hyp[h0 + i - 1] == ref[r0 + j - 1]:
                value = diagonal + unigram[r0 + j - 1]
            else:
                value = diagonal - _SUB_BITS
            state = 0
            if up[j] > value:
                value, state = up[j], 1
            if side > value:
                value, state = side, 2
            diagonal = best[j]
            best[j] = value
            move[i, j] = state | flags
    out = np.empty((min(n, m), 2), dtype=np.int64)
    at = len(out)
    i, j = n, m
    state = move[i, j] & 3
    while i > 0 and j > 0:
        if state == 0:
            i -= 1
            j -= 1
            if hyp[h0 + i] == ref[r0 + j]:
                at -= 1
                out[at, 0], out[at, 1] = h0 + i, r0 + j
            state = move[i, j] & 3
        elif state == 1:
            opened = move[i, j] & 4
            i -= 1
            if opened:
                state = move[i, j] & 3
        else:
            opened = move[i, j] & 8
            j -= 1
            if opened:
                state = move[i, j] & 3
    return out[at:]


@numba.njit(cache=True)
def fill_gap(
    hyp: Array, ref: Array, unigram: Array, conditional: Array,
    h0: int, h1: int, r0: int, r1: int, left: bool, right: bool, gap_bits: float, margin: float,
) -> Array:
    """Trustworthy matches in the rectangle [h0, h1) x [r0, r1), shape (n, 2).

    Runs of matches (at most two words apart) are kept if their bits exceed log2 of the cells between them and what is
    already accepted, plus ``margin``: from the ``left`` corner rightwards, then from the ``right`` corner leftwards.
    """
    pairs = align(hyp, ref, unigram, h0, h1, r0, r1)
    count = len(pairs)
    keep = np.zeros(count, dtype=np.bool_)
    if count == 0:
        return pairs
    starts = np.empty(count + 1, dtype=np.int64)
    runs = 0
    for i in range(count):
        if i == 0 or pairs[i, 0] - pairs[i - 1, 0] > 3 or pairs[i, 1] - pairs[i - 1, 1] > 3:
            starts[runs] = i
            runs += 1
    starts[runs] = count
    if left:
        h, r = h0 - 1, r0 - 1
        for k in range(runs):
            a, b = starts[k], starts[k + 1]
            dh, dr = pairs[a, 0] - h, pairs[a, 1] - r
            evidence = bits(unigram, conditional, pairs[a:b], gap_bits)
            if dh == 1 and dr == 1:
                evidence += conditional[pairs[a, 1]] - unigram[pairs[a, 1]]
            if evidence >= np.log2(float(dh) * float(dr)) + margin:
                keep[a:b] = True
                h, r = pairs[b - 1, 0], pairs[b - 1, 1]
    if right:
        h, r = h1, r1
        for k in range(runs - 1, -1, -1):
            a, b = starts[k], starts[k + 1]
            if not keep[a]:
                dh, dr = h - pairs[b - 1, 0], r - pairs[b - 1, 1]
                if bits(unigram, conditional, pairs[a:b], gap_bits) < np.log2(float(dh) * float(dr)) + margin:
                    continue
                keep[a:b] = True
            h, r = pairs[a, 0], pairs[a, 1]
    return pairs[keep]


@numba.njit(cache=True)
def fill_chain(
    hyp: Array, ref: Array, unigram: Array, conditional: Array, x: Array, y: Array, length: Array,
    bridge: int, slack: int, gap_bits: float, margin: float,
) -> Array:
    """Matched words of a chain of exact matches, with its bridgeable gaps filled, shape (n, 2).

    Overlaps of consecutive matches are trimmed off the later one.
    """
    out = np.empty((np.max(x + length) - x[0], 2), dtype=np.int64)
    at, h, r = 0, -1, -1
    for i in range(len(x)):
        skip = 0
        if at > 0:
            skip = max(0, h + 1 - x[i], r + 1 - y[i])
        if skip >= length[i]:
            continue
        a, b = x[i] + skip, y[i] + skip
        if at > 0:
            dh, dr = a - h - 1, b - r - 1
            if dh > 0 and dr > 0 and max(dh, dr) <= bridge and abs(dh - dr) <= slack + min(dh, dr) // 2:
                inner = fill_gap(hyp, ref, unigram, conditional, h + 1, a, r + 1, b, True, True, gap_bits, margin)
                out[at : at + len(inner)] = inner
                at += len(inner)
        for k in range(length[i] - skip):
            out[at, 0], out[at, 1] = a + k, b + k
            at += 1
        h, r = x[i] + length[i] - 1, y[i] + length[i] - 1
    return out[:at]
