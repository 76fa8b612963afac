"""Near-duplicate texts: word shingles, MinHash LSH for candidates, the exact Jaccard similarity to decide.

How the numbers follow from each other (the arithmetic is checked in ``tests/containers/dedup/test_text.py``)
----------------------------------------------------------------------------------------------------------
*What is a copy.* Two texts are copies if most of their runs of ``k`` words are the same. With a share ``e`` of the words changed
at random, a run of ``k`` words survives with ``p = (1 - e)^k``, and the Jaccard similarity of the two sets of runs is
``J = p / (2 - p)``. With a share ``i`` of new sentences put in, ``J = 1 / (1 + i)``.

- ``k = 5``: long enough that unrelated speech shares next to nothing, short enough that an edit every 50 words (``e`` = 2 %)
  and 10 % inserted sentences (the positives that the original People's Speech tuned its deduplication on) still leave
  ``J = 0.76``.
- threshold ``J >= 0.5``, so that two *independent* transcripts of one talk count as the same text. Measured with ``k = 5`` on
  real texts of 100 words and more: human and recogniser's transcript of one address 0.53 and 0.46, of one poem 0.38;
  unrelated texts nearly all 0, at most 0.105 (two lists of words). At 0.5, two texts of one length share
  ``2J / (1 + J)`` = 67 % of their runs.

*How candidates are found.* ``b`` bands of ``r`` MinHash values make a pair of similarity ``s`` a candidate with probability
``1 - (1 - s^r)^b`` (Leskovec, Rajaraman, Ullman: Mining of Massive Datasets, 3.4). Every candidate is verified exactly, so a
false candidate costs one set intersection, while a missed pair is a copy in the release: the curve must rise *below* the
threshold.

- ``r = 3, b = 64`` (``num_perm = b r`` = 192, none idle): a pair at the threshold is missed with ``(1 - 0.5^3)^64`` = 1.9e-4, one
  at 0.76 with 1e-16; a pair at 0.1 is a candidate with 6 %, one at 0.01 with 6e-5.
- For comparison ``r = 4, b = 32`` misses 13 % at the threshold, and datasketch's own optimum for 0.5 and 192 values (``r = 6,
  b = 32``), which weighs false candidates as heavily as missed pairs, 60 %.

*Short texts.* A text under ``min_words`` = 20 words (8 s at 2.5 words/s: one segment) can be the same without being a copy: a
command, a greeting, a prompt that two people were given. It is never clustered by text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

import numpy as np
from datasketch import MinHash, MinHashLSH

SHINGLE_WORDS = 5
THRESHOLD = 0.5
BANDS = 64
ROWS = 3
MIN_WORDS = 20
SEED = 1
"""Of the permutations: fixed, so that the same corpus gives the same candidates."""


def candidate_probability(similarity: float, bands: int = BANDS, rows: int = ROWS) -> float:
    """Probability that a pair of this Jaccard similarity shares at least one band."""
    return 1.0 - (1.0 - similarity**rows) ** bands


def edited_similarity(changed: float, inserted: float = 0.0, k: int = SHINGLE_WORDS) -> float:
    """Expected Jaccard similarity of a long text and its copy.

    Args:
        changed: share of words replaced at random, 0–1.
        inserted: new text put in, as a share of the old.
        k: words per shingle.
    """
    intact = (1.0 - changed) ** k
    return intact / (2.0 + inserted - intact)


def shingles(words: Sequence[str], k: int = SHINGLE_WORDS) -> np.ndarray:
    """The runs of ``k`` words of a text as a set: sorted unique 64-bit digests (BLAKE2b), uint64, shape (n,).

    A shorter text is one run, an empty one none. Two sets of 100,000 runs hold a false match with a probability of 1e-9.
    """
    if not words:
        return np.empty(0, dtype=np.uint64)
    runs = [" ".join(words[i : i + k]) for i in range(max(1, len(words) - k + 1))]
    digests = b"".join(hashlib.blake2b(run.encode(), digest_size=8).digest() for run in runs)
    return np.unique(np.frombuffer(digests, dtype="<u8").astype(np.uint64))


def jaccard(a: np.ndarray, b: np.ndarray) -> float:
    """|a ∩ b| / |a ∪ b| of two sets as :func:`shingles` makes them; 0 if both are empty."""
    common = len(np.intersect1d(a, b, assume_unique=True))
    union = len(a) + len(b) - common
    return common / union if union else 0.0


def signature(runs: np.ndarray, num_perm: int = BANDS * ROWS) -> np.ndarray:
    """MinHash values of a set of runs: uint64, shape (num_perm,). The same set gives the same values everywhere."""
    minhash = MinHash(num_perm=num_perm, seed=SEED, hashfunc=_low_32, permutations=_permutations(num_perm))
    minhash.update_batch(runs.tolist())
    return minhash.digest()


@cache
def _permutations(num_perm: int) -> np.ndarray:
    """Those that ``SEED`` gives; drawing them took a quarter of the time of a signature of 1,000 runs."""
    return MinHash(num_perm=num_perm, seed=SEED).permutations


def _low_32(digest: int) -> int:
    return digest & 0xFFFFFFFF


def text_digest(words: Sequence[str]) -> str:
    """Equal for texts of the same words."""
    return hashlib.sha256(" ".join(words).encode()).hexdigest()


def candidate_pairs(signatures: Mapping[str, np.ndarray], bands: int = BANDS, rows: int = ROWS) -> Iterator[tuple[str, str]]:
    """Pairs of ids that share a band, each once, smaller id first, in a fixed order.

    Args:
        signatures: id → MinHash values, shape (bands × rows,).
        bands: number of bands.
        rows: values in a band.
    """
    lsh = MinHashLSH(num_perm=bands * rows, params=(bands, rows))
    for name in sorted(signatures):
        minhash = MinHash(seed=SEED, hashvalues=signatures[name], permutations=_permutations(bands * rows))
        for other in sorted(lsh.query(minhash)):
            yield other, name
        lsh.insert(name, minhash)
