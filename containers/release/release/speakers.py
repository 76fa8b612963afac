"""Which speakers go to dev and test, so that every word comes near its shares: counts, targets, a local search, the old way.

A salted hash gives each speaker a split; then speakers are moved, one at a time, as long as that brings the words nearer to
their targets. The cost of a split is that of Pearson's chi-square: for each word (and for all words together) the square of what
dev and test have too much or too little, over the target, in clips and in clips of each gender. A move changes it by a sum over
the speaker's words, so ten million clips take a minute or two. What was assigned before is counted and never moved.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

SPLITS = ("train", "dev", "test")
TRAIN, DEV, TEST = range(3)
GENDERS = ("female", "male", "other")
FEMALE, MALE, OTHER = range(3)
GENDER_WEIGHT = 0.5
"""Of a gender's deviation beside that of all clips."""
RARE_SHARE = 0.25
"""Dev and test each take at most this share of one gender's clips of a word, however few it has: half is left to train on."""
MAX_PASSES = 20

_GENDER = {
    "female": FEMALE, "female_feminine": FEMALE, "f": FEMALE, "woman": FEMALE,
    "male": MALE, "male_masculine": MALE, "m": MALE, "man": MALE,
}  # fmt: skip


def gender_class(stated: str | None) -> int:
    """A source's word for a gender as FEMALE, MALE or OTHER (none stated, another, not to be said).

    >>> [GENDERS[gender_class(g)] for g in ("male_masculine", "Female", None, "do_not_wish_to_say")]
    ['male', 'female', 'other', 'other']
    """
    return _GENDER.get((stated or "").strip().lower(), OTHER)


@dataclass(frozen=True)
class Counts:
    """Clips by group of speakers and word. Group i has the pairs ``start[i]`` to ``start[i + 1]``."""

    start: np.ndarray
    """int64, shape (groups + 1,)."""
    word: np.ndarray
    """int32, shape (pairs,)."""
    clips: np.ndarray
    """int32, shape (pairs,)."""
    gender: np.ndarray
    """int8, shape (groups,)."""
    words: int

    @property
    def groups(self) -> int:
        """How many groups."""
        return len(self.start) - 1

    @property
    def group(self) -> np.ndarray:
        """Group of each pair, int64."""
        return np.repeat(np.arange(self.groups), np.diff(self.start))

    def by_word(self, chosen: np.ndarray) -> np.ndarray:
        """Clips per word of the groups where ``chosen`` (bool, shape (groups,)) is true; float64, shape (words,)."""
        pairs = np.repeat(chosen, np.diff(self.start))
        return np.bincount(self.word[pairs], self.clips[pairs], self.words)


def count(group: np.ndarray, word: np.ndarray, gender: np.ndarray, groups: int, words: int) -> tuple[Counts, np.ndarray]:
    """Counts, and the pair of each clip.

    Args:
        group: of each clip.
        word: of each clip.
        gender: of each clip; a group has that of most of its clips, ``OTHER`` on a tie.
        groups: how many.
        words: how many.
    """
    keys, pair, clips = np.unique(group.astype(np.int64) * words + word, return_inverse=True, return_counts=True)
    start = np.searchsorted(keys, np.arange(groups + 1, dtype=np.int64) * words)
    votes = np.bincount(group.astype(np.int64) * 3 + gender, minlength=groups * 3).reshape(groups, 3)
    of_group = np.where(votes[:, FEMALE] > votes[:, MALE], FEMALE, np.where(votes[:, MALE] > votes[:, FEMALE], MALE, OTHER))
    made = Counts(start, (keys % words).astype(np.int32), clips.astype(np.int32), of_group.astype(np.int8), words)
    return made, pair.astype(np.int32)


@dataclass(frozen=True)
class Targets:
    """Clips that dev and test should have; float64, [0] is dev and [1] is test."""

    clips: np.ndarray
    """Shape (words, 2)."""
    gender: np.ndarray
    """Shape (words, 3, 2); sums to ``clips`` over the genders but where a gender is rare."""


def targets(counts: Counts, dev: float, test: float) -> Targets:
    """The given shares of each word; of its clips with a known gender half from women and half from men, if there are enough."""
    total = counts.by_word(np.ones(counts.groups, dtype=bool))
    known = np.stack([counts.by_word(counts.gender == g) for g in range(3)], axis=1)
    shares = np.array([dev, test])
    clips = total[:, None] * shares
    balanced = (known[:, FEMALE] + known[:, MALE])[:, None] * shares
    female = np.minimum(balanced / 2, RARE_SHARE * known[:, FEMALE, None])
    male = np.minimum(balanced - female, RARE_SHARE * known[:, MALE, None])
    female = np.minimum(balanced - male, RARE_SHARE * known[:, FEMALE, None])  # where men are rare
    return Targets(clips, np.stack([female, male, clips - female - male], axis=1))


def optimise(counts: Counts, goal: Targets, begin: np.ndarray, frozen: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """Move free groups one at a time until no move lowers the cost.

    Args:
        counts: clips.
        goal: targets.
        begin: split of each group, int8.
        frozen: groups that stay, bool.

    Returns:
        The split of each group, int8; and the cost before and after each pass.
    """
    all_words = counts.words
    sizes = np.diff(counts.start)
    totals = np.add.reduceat(np.append(counts.clips, 0), counts.start[:-1]) * (sizes > 0)
    # Each group has one pair more: all words together.
    word = np.insert(counts.word, counts.start[1:], all_words)
    clips = np.insert(counts.clips, counts.start[1:], totals).astype(float)
    start = counts.start + np.arange(counts.groups + 1)
    want = np.concatenate([goal.clips, goal.clips.sum(axis=0, keepdims=True)])
    want_gender = np.concatenate([goal.gender, goal.gender.sum(axis=0, keepdims=True)])
    # Both genders of a word, and dev and test, weigh the same: the mean of their targets, at least one clip.
    weight = 1 / np.maximum(want.mean(axis=1), 1)
    off, off_gender = -want, -want_gender
    for part in (DEV, TEST):
        for gender in range(3):
            chosen = (begin == part) & (counts.gender == gender)
            have = counts.by_word(chosen)
            have = np.append(have, have.sum())
            off[:, part - 1] += have
            off_gender[:, gender, part - 1] += have

    def cost() -> float:
        return float((weight[:, None] * off**2).sum() + GENDER_WEIGHT * (weight[:, None, None] * off_gender**2).sum())

    weighed = weight[word] * clips
    own = np.add.reduceat(weighed * clips, start[:-1]) * (1 + GENDER_WEIGHT)
    split = begin.astype(np.int8).copy()
    free = np.flatnonzero(~frozen & (sizes > 0)).tolist()
    bounds, genders, constant = start.tolist(), counts.gender.tolist(), own.tolist()
    history = [cost()]
    for _ in range(MAX_PASSES):
        moved = 0
        for i in free:
            a, b, gender, now = bounds[i], bounds[i + 1], genders[i], int(split[i])
            w, k = word[a:b], clips[a:b]
            both = weighed[a:b] @ (off[w] + GENDER_WEIGHT * off_gender[w, gender])
            add = [0.0, 2 * both[0] + constant[i], 2 * both[1] + constant[i]]  # of an empty place in train, dev, test
            if now != TRAIN:  # what it costs there already holds it
                add[now] -= 2 * constant[i]
            best = min(range(3), key=add.__getitem__)
            if best == now or add[best] > add[now] - 1e-9:
                continue
            for place, sign in ((now, -1), (best, 1)):
                if place != TRAIN:
                    off[w, place - 1] += sign * k
                    off_gender[w, gender, place - 1] += sign * k
            split[i] = best
            moved += 1
        history.append(cost())
        if not moved or history[-2] - history[-1] < 1e-4 * history[-1]:
            break
    return split, history


def legacy(counts: Counts, keys: list[str], salt: str, dev: float, test: float) -> np.ndarray:
    """The original's way: each word by itself, whole speakers, until test and then dev have their share.

    Speakers with few clips of the word come first, women and men in turn; the one with most stays in train, and so do words of
    fewer than three speakers. Its generator is not public: this is what its artefacts show (shares exact, or over by a speaker).

    Args:
        counts: clips.
        keys: of the groups, for an order that depends on names only.
        salt: of the hash.
        dev: share.
        test: share.

    Returns:
        Split of each pair, int8.
    """
    draws = np.array([_draw(f"{salt}\nmswc\n{k}") for k in keys])
    group = counts.group
    gender = counts.gender[group]
    by_gender = np.lexsort((draws[group], counts.clips, gender, counts.word))
    name = counts.word[by_gender].astype(np.int64) * 3 + gender[by_gender]
    first = np.flatnonzero(np.append(True, name[1:] != name[:-1])) if len(name) else np.zeros(0, dtype=np.int64)
    rank = np.empty(len(name), dtype=np.int64)
    rank[by_gender] = np.arange(len(name)) - np.repeat(first, np.diff(np.append(first, len(name))))
    order = np.lexsort((draws[group], gender, rank, gender == OTHER, counts.word))
    split = np.full(len(order), TRAIN, dtype=np.int8)
    edges = np.searchsorted(counts.word[order], np.arange(counts.words + 1))
    for a, b in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        if b - a < 3:
            continue
        clips = counts.clips[order[a:b]]
        need = {TEST: -(-int(clips.sum()) * test // 1), DEV: -(-int(clips.sum()) * dev // 1)}
        largest, places = int(clips.argmax()), iter((TEST, DEV))
        place, have = next(places), 0
        for i, k in enumerate(clips.tolist()):
            if i == largest:
                continue
            split[order[a + i]] = place
            have += k
            if have >= need[place]:
                following = next(places, None)
                if following is None:
                    break
                place, have = following, 0
    return split


def _draw(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def distance(counts: Counts, goal: Targets, split: np.ndarray) -> dict[str, float]:
    """How far a split is from its targets, over dev and test.

    Returns:
        ``clips_off``: clips too many or too few over all words, as a share of the clips that dev and test should have;
        ``gender_off``: the same for clips of women and men; ``mean_share_off``: mean over words with ten clips or more of
        |share - target share|; ``words_without``: words with ten clips or more and none in dev, or none in test.
    """
    have = np.stack([counts.by_word(split == s) for s in (DEV, TEST)], axis=1)
    total = counts.by_word(np.ones(counts.groups, dtype=bool))
    gendered, wanted = 0.0, goal.gender[:, :OTHER].sum()
    for gender in (FEMALE, MALE):
        for s in (DEV, TEST):
            found = counts.by_word((split == s) & (counts.gender == gender))
            gendered += float(np.abs(found - goal.gender[:, gender, s - 1]).sum())
    many = total >= 10
    off = np.abs(have - goal.clips)
    return {
        "clips_off": float(off.sum() / max(goal.clips.sum(), 1e-9)),
        "gender_off": gendered / max(float(wanted), 1e-9),
        "mean_share_off": float((off[many] / total[many, None]).mean()) if many.any() else 0.0,
        "words_without": int((have[many] == 0).any(axis=1).sum()),
    }
