"""Where to cut a stretch of aligned words: costs of cuts and durations, and the cheapest set of segments.

Used by :mod:`align.segment`; positions are samples at 16 kHz.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stagekit.tables import SAMPLE_RATE

_FINAL = re.compile(r"([.!?…])[\"'”’)\]}»]*(?:\s|$)|[。！？]|\n\s*\n")
_CLAUSE = re.compile(r"[,;:—–.，、；：]")
_ABBREVIATIONS = frozenset("mr mrs ms dr st prof rev hon gen col capt lt sgt jr sr vs no vol fig p pp etc".split())

LONG_PAUSE_S = 0.5
"""A pause that is as good as any longer one."""


@dataclass(frozen=True)
class CutCosts:
    """Weights of the cutting; only their ratios matter.

    Attributes:
        soft_min_s: shorter segments cost up to 1 (at ``min_s``).
        soft_max_s: longer segments cost up to ``overlong`` (at ``max_s``).
        overlong: see ``soft_max_s``.
        weak_pause: cost of a cut in the shortest pause, ``min_pause_s``, inside a clause.
        long_pause: gain of a cut in a pause of 0.5 s or more over that.
        sentence: gain of a cut at a sentence end.
        clause: gain of a cut at a comma, semicolon, colon or dash.
        no_pause: cost of a cut between words that follow each other without pause.
        no_pause_sentence: the same at a sentence end.
        unclear: added where nothing shows that the word before has ended: as much as a second of speech lost on either side.
        lost_second: cost of a second of aligned speech that gets into no segment.
    """

    soft_min_s: float = 3.0
    soft_max_s: float = 11.0
    overlong: float = 2.0
    weak_pause: float = 1.5
    long_pause: float = 1.5
    sentence: float = 1.0
    clause: float = 0.4
    no_pause: float = 6.0
    no_pause_sentence: float = 2.0
    unclear: float = 20.0
    lost_second: float = 10.0


def boundary_kind(text: str, word: str, end: int, start: int) -> str:
    """``sentence``, ``clause`` or ``none``: what the text between two neighbouring words says.

    Args:
        text: the document's text.
        word: the word before, spoken form.
        end: where the piece of the word before ends in ``text``.
        start: where the piece of the word after starts.
    """
    final = _FINAL.search(text, end, start)
    if final:
        stop = final.group(1) == "."
        if stop and (word in _ABBREVIATIONS or (len(word) == 1 and word not in "ai")):
            return "none"
        if not (stop and text[start : start + 1].islower()):
            return "sentence"
    return "clause" if _CLAUSE.search(text, end, start) else "none"


def cut_cost(pause: int, kind: str, min_pause: int, costs: CutCosts) -> float:
    """Cost of cutting in a pause of so many samples at a boundary of this kind; negative is a gain."""
    if pause < min_pause:
        full = costs.no_pause_sentence if kind == "sentence" else costs.no_pause - (costs.clause if kind == "clause" else 0)
        return full - (full - costs.weak_pause) / 2 * pause / max(1, min_pause)
    scale = math.log(LONG_PAUSE_S * SAMPLE_RATE / min_pause)
    long = min(1.0, math.log(pause / min_pause) / scale) if scale > 0 else 1.0
    return costs.weak_pause - costs.long_pause * long - {"sentence": costs.sentence, "clause": costs.clause}.get(kind, 0.0)


@dataclass(frozen=True)
class Unit:
    """Atoms (words that may not be parted) which follow each other without a break; arrays have one entry an atom, or a cut.

    Attributes:
        start: first sample of each atom.
        end: one past its last sample.
        clip_start: first sample of a clip that starts with the atom (padding included).
        clip_end: one past the last sample of a clip that ends with it.
        start_ok: whether a clip may start there (not glued to other speech).
        end_ok: whether a clip may end there.
        cost: (n + 1) cost of a cut before each atom, and after the last; half of it for the segment on either side.
        unclear: (n + 1) whether nothing shows that the word before that cut has ended.
    """

    start: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    clip_start: npt.NDArray[np.int64]
    clip_end: npt.NDArray[np.int64]
    start_ok: npt.NDArray[np.bool_]
    end_ok: npt.NDArray[np.bool_]
    cost: npt.NDArray[np.float64]
    unclear: npt.NDArray[np.bool_]


def best_cuts(unit: Unit, min_samples: int, max_samples: int, costs: CutCosts) -> list[tuple[int, int]]:
    """Half-open atom ranges of the cheapest segments, in order; atoms in none of them are lost.

    Dynamic programming over cuts, O(atoms * atoms in ``max_samples``). Every range's clip has between ``min_samples`` and
    ``max_samples`` samples.
    """
    n = len(unit.start)
    best = np.zeros(n + 1)
    back = np.full(n + 1, -1, dtype=np.int64)
    lost = (unit.end - unit.start) / SAMPLE_RATE * costs.lost_second + 1e-6
    soft_min, soft_max = costs.soft_min_s * SAMPLE_RATE, costs.soft_max_s * SAMPLE_RATE
    low = 0
    for j in range(1, n + 1):
        best[j] = best[j - 1] + lost[j - 1]
        if not unit.end_ok[j - 1]:
            continue
        clip_end = unit.clip_end[j - 1]
        while low < j and clip_end - unit.clip_start[low] > max_samples:
            low += 1
        length = clip_end - unit.clip_start[low:j]
        allowed = unit.start_ok[low:j] & (length >= min_samples) & (length <= max_samples)
        if not allowed.any():
            continue
        price = best[low:j] + unit.cost[low:j] / 2
        price = price + np.clip((soft_min - length) / max(1.0, soft_min - min_samples), 0, None) ** 2
        price = price + costs.overlong * np.clip((length - soft_max) / max(1.0, max_samples - soft_max), 0, None) ** 2
        price[~allowed] = np.inf
        i = int(np.argmin(price))
        total = price[i] + unit.cost[j] / 2
        if total < best[j]:
            best[j], back[j] = total, low + i
    out: list[tuple[int, int]] = []
    j = n
    while j > 0:
        if back[j] < 0:
            j -= 1
        else:
            out.append((int(back[j]), j))
            j = int(back[j])
    return out[::-1]


def atoms(spans: Sequence[tuple[int, int]]) -> list[int]:
    """First index of each group of neighbouring words whose pieces of text overlap: such words may not be parted.

    >>> atoms([(0, 5), (6, 11), (6, 11), (12, 15)])
    [0, 1, 3]
    """
    out: list[int] = []
    reach = -1
    for i, (start, end) in enumerate(spans):
        if start >= reach:
            out.append(i)
        reach = max(reach, end)
    return out
