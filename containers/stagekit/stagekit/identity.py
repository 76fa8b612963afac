"""Audio identity: which recordings hold the same audio, whatever bitrate, container, loudness or trim they were uploaded with.

A recording is an array of 32-bit sub-fingerprints, ten a second (made by ``ingest.identity.fingerprint``). Two recordings are the
same where few bits differ at some offset (Haitsma and Kalker, "A Highly Robust Audio Fingerprinting System", ISMIR 2002).
A sub-fingerprint of 0 says nothing (silence) and is left out of every comparison.

What ``containers/ingest/IDENTITY.md`` measured: the share of equal bits is 0.87 and up for one recording re-encoded or trimmed
(down to Opus at 16 kb/s), and 0.64 and less for different ones at their best offset, over stretches of 4 s and more.

Candidates come from an inverted index of exact values, in which a posting meets only its next neighbours: time and memory grow
with the number of sub-fingerprints, not with the number of pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stagekit.disjoint import DisjointSets

Fingerprint = npt.NDArray[np.uint32]
"""Sub-fingerprints of one recording, shape (n,); entry i looks at the 1.9 s from i * 0.1 s on."""

VERSION = 1
"""Of the sub-fingerprints: those of different versions cannot be compared."""

FRAMES_PER_SECOND = 10
SAME = 0.75
"""Least share of equal bits of the same audio: midway between the 0.64 of different and the 0.87 of same audio."""
MIN_OVERLAP_S = 4.0
"""Below this, chance alone comes near SAME. A recording under 5.9 s has fewer sub-fingerprints and is never matched."""
MIN_COVERAGE = 0.5
"""Share of the shorter recording that has to match: a jingle or an intro that many recordings have in common is not identity."""
BLOCK = 5 * FRAMES_PER_SECOND
"""Frames judged at a time, so that a cut or an insertion costs no more than its own length."""

KEYS_PER_RECORDING = 1024
"""Most values of one recording in the index. Recordings over 100 s are thinned to it, the same values in each: a copy still has
15 in common where 3 % of values survive (the worst seen), and an excerpt of 1/30 of a recording has 4 where 25 % do."""
NEIGHBOURS = 8
"""Postings of the same value that one posting is compared with."""
MIN_VOTES = 2
"""Values in common at about one offset before two recordings are compared in full."""
MAX_OFFSETS = 8
"""Offsets tried for one pair: enough for seven cuts or insertions."""
VOTES_IN_MEMORY = 5_000_000
"""About 100 bytes each while they are counted; beyond this the recordings are gone through in several passes."""

_OFFSET_BITS = 23
_OFFSET_ZERO = 1 << (_OFFSET_BITS - 1)


@dataclass(frozen=True)
class Match:
    """How two recordings compare.

    ``similarity`` is 1 - bit error rate over the overlap (0.5: nothing in common). ``offset_s`` is where the second starts in the
    first, in seconds (negative: before it). ``overlap_s`` is the overlap without silence, ``matched_s`` the part of it in blocks
    of 5 s that reach SAME. ``coverage`` is ``matched_s`` over what the shorter one has without silence, 0–1.
    """

    similarity: float
    offset_s: float
    overlap_s: float
    matched_s: float
    coverage: float

    @property
    def same(self) -> bool:
        """Whether the two hold the same audio."""
        return self.matched_s >= MIN_OVERLAP_S and self.coverage >= MIN_COVERAGE


@dataclass(frozen=True)
class Pair:
    """Two ids, ``a`` before ``b``, and how ``b`` lies in ``a``."""

    a: str
    b: str
    match: Match


def match(a: Fingerprint, b: Fingerprint) -> Match | None:
    """Compare two recordings at the one offset where they agree best, found over all offsets by FFT.

    The best offset is the one least likely by chance (most equal bits above half, over the root of the bits compared).

    Returns:
        None if no offset gives ``MIN_OVERLAP_S`` of overlap without silence.
    """
    a, b = _checked(a), _checked(b)
    size = 1 << max(len(a) + len(b) - 1, 1).bit_length()
    agree = np.zeros(size // 2 + 1, np.complex128)
    for bit in range(32):
        agree += np.fft.rfft(_signs(a, bit), size) * np.conj(np.fft.rfft(_signs(b, bit), size))
    bits = np.fft.irfft(agree, size)
    frames = np.fft.irfft(np.fft.rfft(a != 0, size) * np.conj(np.fft.rfft(b != 0, size)), size).round()
    enough = frames >= MIN_OVERLAP_S * FRAMES_PER_SECOND
    if not enough.any():
        return None
    surprise = np.where(enough, bits / np.sqrt(np.maximum(frames, 1)), -np.inf)
    best = int(np.argmax(surprise))
    return compare(a, b, [best if best < len(a) else best - size])


def compare(a: Fingerprint, b: Fingerprint, offsets: Sequence[int]) -> Match | None:
    """Compare two recordings at given offsets (frames; ``b[i]`` lies at ``a[i + offset]``), each block of ``b`` at its best one.

    Returns:
        None if they overlap by less than ``MIN_OVERLAP_S`` without silence.
    """
    blocks = -(-len(b) // BLOCK)
    wrong = np.zeros((len(offsets), blocks))
    used = np.zeros((len(offsets), blocks), np.int64)
    for row, offset in enumerate(offsets):
        start, end = max(0, -offset), min(len(b), len(a) - offset)
        if end <= start:
            continue
        mine, other = a[start + offset : end + offset], b[start:end]
        told = (mine != 0) & (other != 0)
        block = np.arange(start, end) // BLOCK
        wrong[row] = np.bincount(block, np.where(told, np.bitwise_count(mine ^ other), 0), blocks)
        used[row] = np.bincount(block, told, blocks).astype(np.int64)
    error = np.where(used > 0, wrong / np.maximum(32 * used, 1), 1.0)
    best = np.argmin(error, axis=0)
    wrong, used, error = (table[best, np.arange(blocks)] for table in (wrong, used, error))
    frames = int(used.sum())
    if frames < MIN_OVERLAP_S * FRAMES_PER_SECOND:
        return None
    matched = int(used[error <= 1 - SAME].sum())
    shorter = max(1, min(np.count_nonzero(a), np.count_nonzero(b)))
    main = int(np.bincount(best, used * (error <= 1 - SAME), len(offsets)).argmax())
    return Match(
        similarity=float(1 - wrong.sum() / (32 * frames)),
        offset_s=offsets[main] / FRAMES_PER_SECOND,
        overlap_s=frames / FRAMES_PER_SECOND,
        matched_s=matched / FRAMES_PER_SECOND,
        coverage=min(1.0, matched / shorter),
    )


def find_pairs(fingerprints: Mapping[str, Fingerprint]) -> Iterator[Pair]:
    """Pairs of recordings that hold the same audio, in the order of their ids.

    Not every pair of a large group need be among them: each recording is met by some of the others, which is enough to join it.

    Args:
        fingerprints: id → sub-fingerprints.
    """
    names = sorted(fingerprints)
    if len(names) > 1 << ((64 - _OFFSET_BITS) // 2):
        raise ValueError(f"{len(names)} recordings are more than one index can hold")
    prints = [_checked(fingerprints[name]) for name in names]
    for a, b, offsets in _candidates(prints):
        found = compare(prints[a], prints[b], offsets)
        if found is not None and found.same:
            yield Pair(names[a], names[b], found)


def cluster(fingerprints: Mapping[str, Fingerprint]) -> list[list[str]]:
    """Groups of recordings that hold the same audio, joined through any chain of pairs.

    Args:
        fingerprints: id → sub-fingerprints.

    Returns:
        Groups of two and more, each sorted, in the order of their first id. The order of the input does not matter.
    """
    sets = DisjointSets(fingerprints)
    for pair in find_pairs(fingerprints):
        sets.join(pair.a, pair.b)
    return [members for members in sets.groups().values() if len(members) > 1]


def _checked(fingerprint: Fingerprint) -> Fingerprint:
    array = np.asarray(fingerprint)
    if array.ndim != 1 or (array.dtype != np.uint32 and array.size):
        raise ValueError(f"a fingerprint is a flat array of uint32, not {array.dtype} of shape {array.shape}")
    return array.astype(np.uint32, copy=False)


def _signs(fingerprint: Fingerprint, bit: int) -> npt.NDArray[np.float64]:
    """+1 and -1 for one bit, 0 where there is no information."""
    signs = ((fingerprint >> np.uint32(bit)) & np.uint32(1)).astype(np.float64) * 2 - 1
    return np.where(fingerprint != 0, signs, 0.0)


def _keys(fingerprint: Fingerprint) -> tuple[Fingerprint, npt.NDArray[np.int32]]:
    """Values to index and where each occurs first. A value kept in a long recording is kept in every shorter one too."""
    told = np.flatnonzero(fingerprint)
    halvings = int(np.ceil(np.log2(max(len(told) / KEYS_PER_RECORDING, 1))))
    if halvings:
        told = told[(fingerprint[told] * np.uint32(2654435761)) >> np.uint32(32 - halvings) == 0]  # Knuth's multiplicative hash
    values, first = np.unique(fingerprint[told], return_index=True)
    return values, told[first].astype(np.int32)


def _candidates(prints: Sequence[Fingerprint]) -> Iterator[tuple[int, int, list[int]]]:
    """(a, b, offsets) for recordings with at least MIN_VOTES values in common at about one offset; a < b, in order."""
    keys = [_keys(p) for p in prints]
    sizes = [len(values) for values, _ in keys]
    if not sum(sizes):
        return
    value = np.concatenate([values for values, _ in keys])
    owner = np.repeat(np.arange(len(prints), dtype=np.int32), sizes)
    position = np.concatenate([first for _, first in keys])
    order = np.argsort(value, kind="stable")
    value, owner, position = value[order], owner[order], position[order]
    meets = [np.flatnonzero(value[:-step] == value[step:]) for step in range(1, min(NEIGHBOURS, len(value) - 1) + 1)]
    per_owner = sum((np.bincount(owner[left], minlength=len(prints)) for left in meets), np.zeros(len(prints), np.int64))
    passes = np.cumsum(per_owner) // VOTES_IN_MEMORY
    for number in np.unique(passes):
        votes = []
        for step, left in enumerate(meets, start=1):
            here = left[passes[owner[left]] == number]
            offset = position[here].astype(np.int64) - position[here + step] + _OFFSET_ZERO
            votes.append(((owner[here].astype(np.int64) * len(prints) + owner[here + step]) << _OFFSET_BITS) | offset)
        yield from _peaks(np.sort(np.concatenate(votes)), len(prints))


def _peaks(votes: npt.NDArray[np.int64], n: int) -> Iterator[tuple[int, int, list[int]]]:
    """From sorted votes (pair and offset in one number) to the best offsets of each pair."""
    if not len(votes):
        return
    starts = np.flatnonzero(np.diff(votes, prepend=votes[0] - 2))
    code, count = votes[starts], np.diff(starts, append=len(votes))
    # The grid of frames may lie between two: neighbouring offsets vote together.
    near = np.r_[count[1:] * (np.diff(code) == 1), 0] + np.r_[0, count[:-1] * (np.diff(code) == 1)]
    strong = count + near >= MIN_VOTES
    code, count = code[strong], count[strong] * 3 + near[strong]
    pair, offset = code >> _OFFSET_BITS, (code & ((1 << _OFFSET_BITS) - 1)) - _OFFSET_ZERO
    bounds = np.flatnonzero(np.diff(pair, prepend=-1, append=-1))
    for lo, hi in zip(bounds[:-1], bounds[1:], strict=True):
        ranked = offset[lo:hi][np.argsort(-count[lo:hi], kind="stable")][:MAX_OFFSETS]
        yield int(pair[lo] // n), int(pair[lo] % n), [int(o) for o in ranked]
