"""What lies in no segment, and why: the other half of :mod:`align.segment`. Positions are samples at 16 kHz."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from align.segment_cuts import Unit
from align.segment_types import SegmentDraft, SegmentParams, Stretch
from stagekit.tables import SAMPLE_RATE, Reason


def given_up(unit: Unit, first: int, last: int, words: Sequence[str], p: SegmentParams) -> Stretch:
    """Words of a unit in no segment: glued to other speech, uncuttable, given up for a clear cut, or simply too few.

    Args:
        unit: where they lie.
        first: first of its atoms.
        last: one past the last.
        words: what they are, spoken form.
        p: limits.
    """
    span = int(unit.end[last - 1] - unit.start[first])
    any_clip = unit.clip_end[-1] - unit.clip_start[0] >= round(p.min_s * SAMPLE_RATE)
    glued = (first == 0 and not unit.start_ok[0]) or (last == len(unit.start) and not unit.end_ok[-1])
    said = " ".join(words[:8]) + (" ..." if len(words) > 8 else "")
    if glued:
        reason, why = Reason.UNTRANSCRIBED_EDGE, "no clear cut between these words and speech that the text lacks"
    elif span > p.max_s * SAMPLE_RATE:
        reason, why = Reason.TOO_LONG, f"no cut within {p.max_s:g} s"
    elif any_clip and unit.unclear[first : last + 1].any():
        reason, why = Reason.UNCLEAR_CUT, "a clip that begins or ends with them might cut a word"
    else:
        reason, why = Reason.TOO_SHORT, f"no clip of {p.min_s:g} s can be cut of them"
    return Stretch(int(unit.start[first]), int(unit.end[last - 1]), reason, f"{len(words)} words ({said}): {why}")


def tile(
    segments: list[SegmentDraft], pieces: list[Stretch], foreign: list[tuple[int, int]], rejected: Sequence[Stretch],
    duration: int,
) -> list[Stretch]:
    """What lies outside segments, each sample once: given-up words, then the caller's stretches, then speech, then silence."""
    everything = [
        Stretch(0, duration, Reason.SILENCE, "no speech"),
        *(Stretch(a, b, Reason.NOT_IN_TRANSCRIPT, "speech without accepted words") for a, b in foreign),
        *(Stretch(min(s.start_sample, duration), min(s.end_sample, duration), s.reason, s.detail) for s in rejected),
        *pieces,
    ]
    spoken = [(s.speech_start_sample, s.speech_end_sample) for s in segments]
    ranges = [(s.start_sample, s.end_sample) for s in everything] + spoken
    bounds = np.unique(np.array(ranges, dtype=np.int64))
    owner = np.zeros(len(bounds) - 1, dtype=np.int64)
    for number, (a, b) in enumerate(ranges):
        owner[np.searchsorted(bounds, a) : np.searchsorted(bounds, b)] = number
    changes = np.flatnonzero(np.diff(owner, prepend=-1))
    out: list[Stretch] = []
    for i, at in enumerate(changes):
        end = bounds[changes[i + 1]] if i + 1 < len(changes) else bounds[-1]
        if owner[at] < len(everything):
            stretch = everything[owner[at]]
            out.append(Stretch(int(bounds[at]), int(end), stretch.reason, stretch.detail))
    return out
