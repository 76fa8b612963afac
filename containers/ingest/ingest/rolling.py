"""Rolling captions: each cue repeats what the one before showed and adds a few words. Collapsed, every word stands once."""

from __future__ import annotations

from collections.abc import Sequence

MAX_GAP_S = 1.0
"""Rolled-up lines repeat at once; a line said again later is said again."""
MIN_REPEATS = 3
MIN_SHARE = 0.3
"""A file rolls if so many of its neighbouring cues repeat. A refrain makes up a few pairs of a file; of a file that rolls
nearly all do, or every second one where cues alternate between building a line up and holding it."""


def collapse(cues: Sequence[Sequence[str]], times: Sequence[tuple[float | None, float | None]]) -> list[list[str]]:
    """Take from each cue the words that the cue before already showed.

    Args:
        cues: lines of each cue, without markup, in order.
        times: (start_s, end_s) of each.

    Returns:
        The remaining lines of each cue (possibly none); unchanged if the file does not roll.
    """
    unchanged = [list(lines) for lines in cues]
    shown = [[line.split() for line in lines if line.strip()] for lines in cues]
    filled = [i for i, lines in enumerate(shown) if lines]
    pairs = [(a, b) for a, b in zip(filled, filled[1:], strict=False) if _gap(times[a], times[b]) <= MAX_GAP_S]
    overlaps = {b: _overlap(shown[a], shown[b]) for a, b in pairs}
    # A cue that is repeated whole and unchanged says nothing about rolling: refrains and recognisers' loops look like that.
    evidence = sum(1 for a, b in pairs if overlaps[b] and shown[a] != shown[b])
    if evidence < MIN_REPEATS or evidence < MIN_SHARE * len(pairs):
        return unchanged
    return [_without(lines, overlaps.get(i, 0)) for i, lines in enumerate(unchanged)]


def _gap(before: tuple[float | None, float | None], after: tuple[float | None, float | None]) -> float:
    if before[1] is None or after[0] is None:
        return float("inf")
    return after[0] - before[1]


def _overlap(before: list[list[str]], now: list[list[str]]) -> int:
    """Words at the start of ``now`` that are the last lines of ``before``: the most lines possible, at least one whole line."""
    words = [w for line in now for w in line]
    for first in range(len(before)):
        tail = [w for line in before[first:] for w in line]
        if words[: len(tail)] == tail:
            return len(tail)
    return 0


def _without(lines: list[str], count: int) -> list[str]:
    left = []
    for line in lines:
        words = line.split()
        if count >= len(words):
            count -= len(words)
        else:
            left.append(" ".join(words[count:]) if count else line)
            count = 0
    return left
