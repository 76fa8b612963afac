"""Seeds of :mod:`align.search`: word k-mers that two sequences share, rare ones first."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]


def adaptive_seeds(hyp: Indices, ref: Indices, max_occurrences: int, max_kmer: int) -> tuple[Indices, Indices]:
    """Places where both sequences hold the same k words, k being just long enough to be rare in ``ref``.

    k-mers get numbers by ranking pairs ((k-1)-mer, next word), as in prefix doubling; O((n + m) log(n + m)) for each k.

    Args:
        hyp: word numbers, shape (n,); negative: a word that ``ref`` lacks.
        ref: word numbers, shape (m,), none negative.
        max_occurrences: most places in ``ref`` that a seed may have before it is lengthened.
        max_kmer: longest seed. One that cannot be lengthened and is still too frequent gives the places nearest to where a
            steady reading would be.

    Returns:
        Positions in ``hyp`` and in ``ref``, shape (N,) each, in no order.
    """
    n, m = len(hyp), len(ref)
    both = np.concatenate([hyp, ref])
    rank = np.unique(both, return_inverse=True)[1].astype(np.int64)
    base = int(rank.max()) + 2
    valid = both >= 0
    out_h: list[Indices] = []
    out_r: list[Indices] = []
    words, todo = rank.copy(), valid.copy()
    todo[n:] = False
    alive = valid.copy()
    none: Indices = np.zeros(0, dtype=np.int64)
    # hypothesis positions that are too frequent at k - 1, and their hits: order, first, count
    frequent: tuple[Indices, Indices, Indices, Indices] = (none, none, none, none)

    def emit(h: Indices, order: Indices, first: Indices, count: Indices) -> None:
        """Takes the hits order[first : first + count] of h; of too many those nearest to where a steady reading would be."""
        many = np.flatnonzero(count > max_occurrences)
        first = first.copy()
        for i in many.tolist():
            lo, hi = int(first[i]), int(first[i] + count[i])
            place = lo + int(np.searchsorted(order[lo:hi], h[i] * m // n)) - max_occurrences // 2
            first[i] = max(lo, min(place, hi - max_occurrences))
        count = np.minimum(count, max_occurrences)
        out_h.append(np.repeat(h, count))
        out_r.append(order[np.repeat(first - np.cumsum(count) + count, count) + np.arange(count.sum())])

    for k in range(2, max_kmer + 1):
        # a k-mer's number is the rank of ((k-1)-mer, next word); those that pass an end or hold an unknown word are dead
        following = np.zeros(n + m, dtype=np.int64)
        following[: n + m - (k - 1)] = words[k - 1 :]
        inside = np.zeros(n + m, dtype=bool)
        inside[: max(n - k + 1, 0)] = True
        inside[n : n + max(m - k + 1, 0)] = True
        alive &= inside
        alive[: n + m - (k - 1)] &= valid[k - 1 :]
        rank = np.unique(rank * base + following, return_inverse=True)[1].astype(np.int64)
        ref_at = np.flatnonzero(alive[n:])
        order = ref_at[np.argsort(rank[n + ref_at], kind="stable")]
        keys = rank[n + order]
        hyp_at = np.flatnonzero(todo[:n])
        first = np.searchsorted(keys, rank[hyp_at], side="left")
        count = np.where(alive[hyp_at], np.searchsorted(keys, rank[hyp_at], side="right") - first, 0)
        take = (count > 0) & ((count <= max_occurrences) | (k == max_kmer))
        emit(hyp_at[take], order, first[take], count[take])
        too_many = ~take & (count > 0)
        ends = np.isin(frequent[0], hyp_at[count == 0], assume_unique=True)  # too frequent at k - 1, unknown at k
        emit(frequent[0][ends], frequent[1], frequent[2][ends], frequent[3][ends])
        todo[hyp_at[take | (count == 0)]] = False
        frequent = (hyp_at[too_many], order, first[too_many].astype(np.int64), count[too_many].astype(np.int64))
        if not len(frequent[0]):
            break
    return np.concatenate(out_h), np.concatenate(out_r)
