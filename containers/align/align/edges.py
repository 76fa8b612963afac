"""Moves the edge of a word that lies next to a pause to where the level says that sound begins or ends.

A Markov model's silence starts and ends by its 25 ms windows and its training data's habits: next to pauses its word starts
are about 20 ms early and its ends about 50 ms late (78 readers of the tuning side). The level knows better, where speech stands
clear of the background; where it does not, the edge stays, and an end, which fades into the background, is put a little later.
"""

from __future__ import annotations

import functools
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from align.place import TokenPlace
from align.recognizer import HeardWord
from align.segment_cuts import boundary_kind
from align.segment_types import AlignedWord

RATE = 16_000
STEP = 80
"""Samples between levels (5 ms); each is of 10 ms."""
PAUSE_S = 0.1
"""Shorter gaps between words are no pauses (stop closures last up to 100 ms)."""
OUTWARD_S, INWARD_S = 0.10, 0.15
"""How far an edge may move into the pause, and into the word."""
CONTEXT_S = 0.4
"""Audio on either side from which the levels of pause and word are taken."""
CLEAR_DB = 15.0
"""The word's level stands at least so far over the pause's, or the edge stays …"""
HIDDEN_S = 0.03
"""… and an end comes so much later: in pink noise at 10 dB half of all ends are 20 to 70 ms early (35 clips, tuning side)."""
QUIET_STEPS = 6
"""So many levels (30 ms) in a row under the threshold are outside the word."""

LONGEST_GAP_S = 0.5
"""Of a gap between two words that may be no pause at all."""
DIP_DB = 15.0
"""So far under the words around it, for `QUIET_STEPS`, a gap's level falls if it is a pause."""

SOUND_S = 0.1
"""Sound of this length between two words is no fading end of the first; …"""
SOUND_SHARE = 0.4
"""… it stands so far of the way, in dB, from the background to the words around."""
CLEAR_S = 0.01
"""So near the boundary of words that touch, a frame of the aligner, sound gives way to quiet, or it is unclear where the first
one ends; so near the edges of a gap a quiet of `PAUSE_S` begins and ends that makes the gap clear. In each of two hours of
synthetic speech (tests/known_answers, `--hour-seed` 1 and 2) 10 % of 9,900 boundaries of words that touch lie over 30 ms
inside a word, and 1 % of the 40 % that are clear; of the middles of 531 and 513 gaps 15 and 14 %, and none of the 255 and 265
that are clear (whatever quiet covers the gap would allow 309 and 328, 5 and 6 of them in a word). Counted by a script that
was not kept."""
NEAR_S = 0.5
"""Farther from a word no clip reaches."""
AROUND_S = 10.0
"""The background of a cut is looked for so far around it. Voices go on for four seconds and more without a pause; within
`FLOOR_S` there is then no background, and a cut that nothing speaks for would pass as clear."""
FLOOR_S, FLOOR_DB, SILENT_DB = 2.0, 25.0, 45.0
"""Of the audio so far around, a twentieth lies so far under the words, or nothing is said of the sound between them. What lies
farther under them than the last is no background: zeros of an edited file."""
HIDDEN_PAUSE_S, WORD_S = 0.12, 2.0
"""Quiet of this length between or in two words that touch is a pause, where the text has a stop between them or the aligner some
silence: without either it may be a closure, as in "moved toward". It is looked for as far inside each as the second says."""

Read = Callable[[int, int], NDArray[np.float32]]


def refine(places: Sequence[TokenPlace], read: Read, samples: int) -> list[TokenPlace]:
    """The same words with their edges at pauses moved.

    Args:
        places: in the order of time, without overlap.
        read: samples [start, end) of the recording, 16 kHz.
        samples: length of the recording.
    """
    out = list(places)
    for i, place in enumerate(out):
        before = out[i - 1].end_s if i else 0.0
        after = out[i + 1].start_s if i + 1 < len(out) else samples / RATE
        start, end = place.start_s, place.end_s
        if start - before >= PAUSE_S:
            start = _edge(place.start_s, before, place.end_s, read, False)
        if after - end >= PAUSE_S:
            end = _edge(place.end_s, place.start_s, after, read, True)
        if start < end:
            out[i] = replace(place, start_s=round(start, 4), end_s=round(min(end, samples / RATE), 4))
    return out


def close_gaps(words: Sequence[AlignedWord], others: Sequence[HeardWord], read: Read) -> list[AlignedWord]:
    """The same words, with a gap closed where the sound goes on through it and nothing else was heard in it.

    A word that is not said as the dictionary has it ends early or begins late in alignment; a cut in the middle of the gap would
    go through the word. The gap closes at its lowest level.

    Args:
        words: a run of consecutive tokens, in the order of time.
        others: words heard that are none of these; one is in a gap if its middle is.
        read: samples [start, end) of the recording, 16 kHz.
    """
    middles = sorted((h.start_s + h.end_s) / 2 for h in others)
    out = list(words)
    for i in range(len(out) - 1):
        left, right = out[i], out[i + 1]
        gap = right.start_s - left.end_s
        at = bisect_left(middles, left.end_s)
        if not 2 * STEP / RATE < gap <= LONGEST_GAP_S or (at < len(middles) and middles[at] < right.start_s):
            continue
        first, last = (int(t * RATE) for t in (left.end_s, right.start_s))
        around = np.concatenate([_levels(read(int(w.start_s * RATE), int(w.end_s * RATE))) for w in (left, right)])
        level = _levels(read(first, last))
        if not len(around) or not len(level) or _has_pause(level < float(np.percentile(around, 75)) - DIP_DB):
            continue
        middle = round((first + (int(level.argmin()) + 0.5) * STEP) / RATE, 4)
        out[i], out[i + 1] = replace(left, end_s=middle), replace(right, start_s=middle)
    return out


def open_gaps(words: Sequence[AlignedWord], text: str, read: Read) -> list[AlignedWord]:
    """The same words, with a gap between two where there is a pause: alignment gave it, or most of it, to one of them.

    Args:
        words: a run of consecutive tokens, in the order of time.
        text: the document's.
        read: samples [start, end) of the recording, 16 kHz.
    """
    out = list(words)
    least = round(HIDDEN_PAUSE_S * RATE / STEP)
    for i in range(len(out) - 1):
        left, right = out[i], out[i + 1]
        gap = right.start_s - left.end_s
        stop = boundary_kind(text, left.word, left.char_end, right.char_start) != "none"
        if gap >= PAUSE_S or not (stop or round(gap * RATE) >= 2 * STEP):
            continue
        reach = PAUSE_S if stop else 0.0
        first, last = int(max(left.start_s, left.end_s - WORD_S) * RATE), int(min(right.end_s, right.start_s + WORD_S) * RATE)
        level = _levels(read(first, last))
        if len(level) < 2 * least:
            continue
        loud_db = _loud_db(float(np.percentile(level, 90)), level)
        if loud_db is None:
            continue
        pauses = [
            (start, end)
            for a, b in _runs(level < loud_db)
            for start, end in [((first + a * STEP) / RATE, (first + b * STEP) / RATE)]
            if b - a >= least and a > 0 and b < len(level)  # sound on both sides
            and start <= right.start_s + reach and end >= left.end_s - reach
        ]  # fmt: skip
        if pauses:
            start, end = max(pauses, key=lambda p: p[1] - p[0])
            out[i], out[i + 1] = replace(left, end_s=round(start, 4)), replace(right, start_s=round(end, 4))
    return out


def sounds(words: Sequence[AlignedWord], read: Read, samples: int) -> list[tuple[int, int]]:
    """Where it is loud beside a word, though no word was placed there: samples [start, end), in the order of time.

    It may be a word that was left out, or a part of one that was placed too late; no clip may be cut in it. In recordings whose
    background is not far under the speech nothing can be said.

    Args:
        words: all accepted ones, in the order of time.
        read: samples [start, end) of the recording, 16 kHz.
        samples: length of the recording.
    """
    out: list[tuple[int, int]] = []
    near, least = round(NEAR_S * RATE), round(SOUND_S * RATE / STEP)
    for i in range(len(words) + 1):
        left, right = words[i - 1] if i else None, words[i] if i < len(words) else None
        low = round(left.end_s * RATE) if left else 0
        high = round(right.start_s * RATE) if right else samples
        far = high - low > 2 * near
        for a, b, beside in ((low, low + near, (left,)), (high - near, high, (right,))) if far else ((low, high, (left, right)),):
            said = [_levels(read(round(w.start_s * RATE), round(w.end_s * RATE))) for w in beside if w]
            if b - a < least * STEP or not sum(map(len, said)):
                continue
            top = float(np.percentile(np.concatenate(said), 75))
            around = _levels(read(max(0, a - round(FLOOR_S * RATE)), min(samples, b + round(FLOOR_S * RATE))))
            loud_db = _loud_db(top, around)
            if loud_db is None:
                continue
            for first, last in _runs(_bridged(_levels(read(a, b)) > loud_db)):
                if last - first >= least:
                    out.append((a + first * STEP, min(b, a + last * STEP)))
    return sorted(out)


def clear_cuts(words: Sequence[AlignedWord], read: Read, samples: int) -> list[bool]:
    """Whether the level shows, before each word, that the one before has ended; true where the background hides it.

    Where words touch, sound must give way to quiet at their boundary. A gap between them must lie in quiet that is as long as a
    pause: a shorter one may be the closure that the next word begins with.

    Args:
        words: all accepted ones, in the order of time.
        read: samples [start, end) of the recording, 16 kHz.
        samples: length of the recording.
    """
    levels = _levels_of(read, samples)
    per_s = RATE / STEP
    around, context, pause, near = (round(s * per_s) for s in (AROUND_S, CONTEXT_S, PAUSE_S, CLEAR_S))
    out = [True] * len(words)
    for i in range(1, len(words)):
        (left, end), (start, right) = ((round(w.start_s * per_s), round(w.end_s * per_s)) for w in words[i - 1 : i + 1])
        said = np.concatenate([levels(left, end), levels(start, right)])
        if start - end > LONGEST_GAP_S * per_s or not len(said):
            continue
        loud_db = _loud_db(float(np.percentile(said, 75)), levels(end - around, start + around))
        if loud_db is None:
            continue
        first = max(0, end - context)
        quiet = [(first + a, first + b) for a, b in _runs(levels(first, start + context) < loud_db)]
        if start - end <= near:
            out[i] = any(abs(a - (end + start) / 2) <= near for a, _ in quiet)
        else:
            out[i] = any(a <= end + near and b >= start - near and b - a >= pause for a, b in quiet)
    return out


def _levels_of(read: Read, samples: int) -> Callable[[int, int], NDArray[np.float64]]:
    """A recording's levels, of steps [first, last); read in blocks of a second, of which the latest are kept."""

    @functools.lru_cache(maxsize=32)
    def block(number: int) -> NDArray[np.float64]:
        lead = STEP if number else 0
        return _levels(read(number * RATE - lead, min(samples, (number + 1) * RATE)))[lead // STEP :]

    def levels(first: int, last: int) -> NDArray[np.float64]:
        first, last = max(0, first), min(last, samples // STEP)
        per = RATE // STEP
        parts = [block(k)[max(0, first - k * per) : last - k * per] for k in range(first // per, -(-last // per))]
        return np.concatenate([np.zeros(0), *parts])

    return levels


def _loud_db(top: float, around: NDArray[np.float64]) -> float | None:
    """From which level on it is loud beside words of this level; None where the background is too near under them to tell."""
    floor = max(float(np.percentile(around, 5)), top - SILENT_DB)
    return None if floor > top - FLOOR_DB else floor + SOUND_SHARE * (top - floor)


def _runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Stretches [start, end) of true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _bridged(loud: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Loud, with quiet of under `QUIET_STEPS` between."""
    out = loud.copy()
    for a, b in _runs(~loud):
        if 0 < a and b < len(loud) and b - a < QUIET_STEPS:
            out[a:b] = True
    return out


def _has_pause(quiet: NDArray[np.bool_]) -> bool:
    return any(b - a >= QUIET_STEPS for a, b in _runs(quiet))


def _edge(at_s: float, low_s: float, high_s: float, read: Read, is_end: bool) -> float:
    """Where the level crosses from pause to word near `at_s`, searched inside [low_s, high_s]."""
    first = int(max(low_s, at_s - CONTEXT_S) * RATE)
    last = int(min(high_s, at_s + CONTEXT_S) * RATE)
    level = _levels(read(first, last))
    middle = round((at_s * RATE - first) / STEP)
    if is_end:  # mirror, so that a pause is followed by a word
        level, middle = level[::-1], len(level) - middle
    quiet, loud = level[: max(0, middle - 4)], level[middle:]
    if len(quiet) < 6 or len(loud) < 4:
        return at_s
    floor, top = float(np.percentile(quiet, 30)), float(np.percentile(loud, 90))
    if top - floor < CLEAR_DB:
        return min(at_s + HIDDEN_S, high_s) if is_end else at_s
    threshold = floor + max(6.0, SOUND_SHARE * (top - floor))
    inward, outward = int(INWARD_S * RATE / STEP), int(OUTWARD_S * RATE / STEP)
    strong = np.flatnonzero(level[middle : middle + inward] >= threshold)
    if not len(strong):
        return at_s
    edge = k = middle + int(strong[0])
    under = 0
    while k > max(0, middle - outward) and under < QUIET_STEPS:
        k -= 1
        if level[k] >= threshold:
            edge, under = k, 0
        else:
            under += 1
    if is_end:
        edge = len(level) - 1 - edge
    return (first + edge * STEP) / RATE


def _levels(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Level in dB of the 10 ms around each step."""
    n = len(samples) // STEP
    if n == 0:
        return np.zeros(0)
    power = np.square(samples[: n * STEP].astype(np.float64)).reshape(n, STEP).mean(1)
    wide = power.copy()
    wide[1:] = (power[1:] + power[:-1]) / 2
    return np.asarray(10.0 * np.log10(wide + 1e-10))
