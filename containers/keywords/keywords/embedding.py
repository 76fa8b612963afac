"""How far a clip is from the others of its word, in a space learned from the corpus itself; and robust figures.

The space: principal components of the clips' vectors, scaled so that clips of one word spread alike in all directions (the
within-class whitening of linear discriminant analysis, Fisher 1936; shrunk, so that a small corpus will do). It is learned twice,
the second time without the tenth of the clips that were farthest from their word. numpy only: the same on any machine.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

COMPONENTS, CLIPS_PER_COMPONENT = 60, 15
SHRINK = 0.1
PER_WORD, IN_ALL = 60, 60_000
"""Clips that the space is learned from: of a word at most, in all at most."""
RIVALS = 1_000
"""Other words that a clip is compared with at most: those with most clips."""


def learn(vectors: np.ndarray, word: np.ndarray, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """The space of a corpus.

    Args:
        vectors: shape (clips, size), any float type; may be mapped from a file.
        word: number of each clip's word, shape (clips,).
        seed: of the choice of clips to learn from.

    Returns:
        (centre, shape (size,); matrix, shape (size, components)): a clip lies at ``(vector - centre) @ matrix``.
    """
    chosen = sample(word, PER_WORD, IN_ALL, seed)
    known, words = np.asarray(vectors[chosen], dtype=np.float64), word[chosen]
    near = np.ones(len(known), dtype=bool)
    centre, matrix = _whitened(known, words)
    for _ in range(2):
        away = _from_means((known - centre) @ matrix, words)
        near = away <= np.quantile(away, 0.9) if len(away) >= 20 else near
        centre, matrix = _whitened(known[near], words[near])
    return centre, matrix


def sample(word: np.ndarray, per_word: int, in_all: int, seed: int) -> np.ndarray:
    """Indexes, sorted, of at most ``per_word`` clips of each word and ``in_all`` together."""
    order = np.random.default_rng(seed).permutation(len(word))
    order = order[np.argsort(word[order], kind="stable")]
    first = np.searchsorted(word[order], word[order])
    kept = order[np.arange(len(order)) - first < per_word]
    return np.sort(np.random.default_rng(seed).permutation(kept)[:in_all])


def _whitened(x: np.ndarray, word: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    centre = x.mean(axis=0)
    dims = int(max(2, min(COMPONENTS, len(x) // CLIPS_PER_COMPONENT, x.shape[1])))
    _, _, right = np.linalg.svd(x - centre, full_matrices=False)
    components = right[:dims].T
    low = (x - centre) @ components
    inside = low - _means(low, word)
    scatter = inside.T @ inside / max(1, len(x) - len(np.unique(word)))
    scatter = (1 - SHRINK) * scatter + SHRINK * np.eye(scatter.shape[0]) * max(float(np.trace(scatter)) / len(scatter), 1e-9)
    value, axes = np.linalg.eigh(scatter)
    return centre, components @ (axes / np.sqrt(value))


def _means(x: np.ndarray, word: np.ndarray) -> np.ndarray:
    """The mean of each clip's word."""
    _, inverse, counts = np.unique(word, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), x.shape[1]))
    np.add.at(sums, inverse, x)
    return (sums / counts[:, None])[inverse]


def _from_means(x: np.ndarray, word: np.ndarray) -> np.ndarray:
    return np.linalg.norm(x - _means(x, word), axis=1)


def distances(points: np.ndarray, word: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Leave-one-out distances to the own word, and to others.

    Both are shares, since what is no word (noise, silence) lies near the middle of all, and so nearer to any word than words do.

    Args:
        points: shape (clips, components); the middle of all clips is at 0.
        word: of each clip.

    Returns:
        ``distance``: to the mean of its word's other clips, over the distance from the middle of all; NaN for a word of one clip.
        ``margin``: that distance less the one to the nearest middle of another word, over that distance; NaN if there is no
        other. Over 0, the clip sounds more like another word.
    """
    distance, margin = np.full(len(points), np.nan), np.full(len(points), np.nan)
    groups = list(_by_word(word))
    middles = np.stack([np.median(points[i], axis=0) for i in groups])
    rivals = np.argsort([-len(i) for i in groups], kind="stable")[:RIVALS]
    for n, its in enumerate(groups):
        if len(its) < 2:
            continue
        x = points[its]
        own = np.maximum(np.linalg.norm(x - (x.mean(axis=0) * len(its) - x) / (len(its) - 1), axis=1), 1e-9)
        distance[its] = own / np.maximum(np.linalg.norm(x, axis=1), 1e-9)
        if len(other := middles[rivals[rivals != n]]):
            margin[its] = (own - _nearest(x, other)) / own
    return distance, margin


def _by_word(word: np.ndarray) -> Iterator[np.ndarray]:
    order = np.argsort(word, kind="stable")
    edges = np.flatnonzero(np.diff(word[order])) + 1
    yield from np.split(order, edges)


def _nearest(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Distance of each row of ``a`` to the nearest row of ``b``."""
    found = np.empty(len(a))
    for at in range(0, len(a), 10_000):
        part = a[at : at + 10_000]
        square = (part**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None, :] - 2 * part @ b.T
        found[at : at + 10_000] = np.sqrt(np.maximum(square.min(axis=1), 0))
    return found


def robust_z(value: np.ndarray, word: np.ndarray, prior: int = 10) -> np.ndarray:
    """Deviations from the median of the word, over the spread; NaN stays.

    The spread (1.4826 times the median deviation) of a word with few clips is drawn towards that of all, as if ``prior`` further
    clips had it.
    """
    centred = np.full(len(value), np.nan)
    spread = np.ones(len(value))
    known = ~np.isnan(value)
    if not known.any():
        return centred
    sizes = np.zeros(len(value))
    for its in _by_word(word):
        mine = its[known[its]]
        if len(mine):
            centred[mine] = value[mine] - np.median(value[mine])
            spread[mine], sizes[mine] = 1.4826 * np.median(np.abs(centred[mine])), len(mine)
    overall = max(1.4826 * float(np.median(np.abs(centred[known]))), 1e-6)
    share = sizes / (sizes + prior)
    return centred / np.sqrt(share * spread**2 + (1 - share) * overall**2)
