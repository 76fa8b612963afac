"""Where a clip's speech begins, ends and pauses, measured from its level alone, before anything was done to it.

This is the yardstick for segment starts and ends on real readings, so it must not share a method with what is measured: no
model, no voice activity detector, only level. Level cannot place every onset: a soft /h/ or a breath has no edge. An edge
counts as *sharp*, and only then as truth, when all of this holds:

* speech stands at least `MIN_RANGE_DB` over the clip's own floor;
* the level goes from `FLOOR_MARGIN_DB` over the floor (a listener would not hear less) to `SPEECH_MARGIN_DB` under the speech
  level (nobody would call it a pause) within `SHARP_START_S`, or falls back within `SHARP_END_S` (rooms ring); the truth is the
  middle, so it is off by at most half of that: 20 ms for a start, 40 ms for an end;
* nothing else (a click, a breath) rises over the floor's margin in the `QUIET_S` outside it;
* lone bursts under `CLICK_S` at a clip's ends, with `QUIET_S` of quiet between them and the speech, are no speech: that is the
  mouse that ends a recording.

* the burst at the edge is no shorter than `BREATH_S` if `QUIET_S` of quiet part it from the rest: level alone cannot tell a
  breath before the first word from a word;
* the speech goes on: of the half second after the rise at least `GOES_ON` lies over the upper mark. Speech does for most of it; a
  breath, or the noise of a microphone that is switched on, reaches it for a moment if at all.

Seconds of speech are counted by levels above `SPEECH_HZ`: a microphone's rumble and the mains' hum have no voice in them, yet the
level of one. Edges are measured on the signal as it is, since a filter would move them.

The thresholds were set before the aligner was first run. The last three rules came after: a click at the end of a clip (of a
reader who tunes) had been taken for its last word; and of 94 onsets of readers who measure, 8 were breaths, 0.5 to 1.2 s before a
first word 15 to 25 dB louder (the last rule took out six that quiet did not part from the word). These rules take edges out of
the truth, none in. The filter came last: in clean readings 1 % of what had counted as speech was rumble before, after and between
words.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.signal import butter, sosfiltfilt
from signal_tools import FRAME, RATE, Signal, frame_levels, speech_level

SPEECH_HZ = 150
"""Lower edge of what is counted: a deep voice has its harmonics above it, the mains' first two are under it."""
MIN_RANGE_DB = 25.0
FLOOR_MARGIN_DB = 8.0
SPEECH_MARGIN_DB = 15.0
SHARP_START_S = 0.040
SHARP_END_S = 0.080
QUIET_S = 0.20
PAUSE_S = 0.30
"""A shorter quiet stretch is part of speech (stop closures reach 0.15 s)."""
BLIP_S = 0.06
"""A shorter loud stretch with pauses around it is a click, not speech."""
CLICK_S = 0.15
"""A lone burst at a clip's end that is shorter is no word: the shortest words of one syllable said alone take 0.2 s."""
BREATH_S = 0.6
GOES_ON, GOES_ON_S = 0.5, 0.5
SOFT_S = 0.15
"""Speech lies at most this far from a frame within `SPEECH_MARGIN_DB` of its level: soft consonants do. What is quieter and
farther out, at the ends of a stretch, is breath, room and microphone."""
_STEP = FRAME / RATE

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Speech:
    """Speech in one clip: seconds from the clip's start."""

    active: tuple[tuple[float, float], ...]
    """Stretches of speech; pauses of `PAUSE_S` and more lie between them."""
    onset_s: float
    offset_s: float
    sharp_onset: bool
    sharp_offset: bool


def runs(mask: Mask) -> list[tuple[int, int]]:
    """[first, one past last) of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def smooth(mask: Mask, close_frames: int, drop_frames: int) -> Mask:
    """Drop short runs of True, then close short gaps between the rest."""
    out = np.zeros_like(mask)
    near = [r for r in runs(_closed(mask, 8)) if r[1] - r[0] >= drop_frames]
    for a, b in near:
        out[a:b] = True
    return _closed(out, close_frames)


def _closed(mask: Mask, frames: int) -> Mask:
    out = mask.copy()
    for a, b in runs(~mask):
        if a > 0 and b < len(mask) and b - a < frames:
            out[a:b] = True
    return out


def measure(clip: Signal) -> Speech:
    """Measure one clip.

    Raises:
        ValueError: nothing in it stands over its floor.
    """
    levels = frame_levels(clip)
    top = speech_level(clip)
    floor = max(float(np.percentile(levels, 5)), -75.0)
    # Speech for counting seconds: over the middle between floor and speech, yet never more than 25 dB under speech.
    voice = sosfiltfilt(butter(4, SPEECH_HZ, "high", fs=RATE, output="sos"), clip).astype(np.float32)
    voiced, top_voiced = frame_levels(voice), speech_level(voice)
    floor_voiced = max(float(np.percentile(voiced, 5)), -75.0)
    over = voiced > max(top_voiced - 25.0, (floor_voiced + top_voiced) / 2 - 5.0)
    active = runs(smooth(_without_clicks(over), int(PAUSE_S / _STEP), int(BLIP_S / _STEP)))
    if not active:
        raise ValueError("no speech: nothing stands over the floor")
    counted = [s for s in (_without_breath(voiced, a, b, top_voiced) for a, b in active) if s]
    onset, sharp_onset = _edge(levels, active[0][0], floor, top, SHARP_START_S)
    backwards, sharp_offset = _edge(levels[::-1], len(levels) - active[-1][1], floor, top, SHARP_END_S)
    apart = _bursts_apart(over)
    offset = len(levels) * _STEP - backwards
    sharp = sharp_onset and not apart[0], sharp_offset and not apart[1]
    return Speech(tuple((a * _STEP, b * _STEP) for a, b in counted), onset, offset, *sharp)


def _without_breath(levels: npt.NDArray[np.float64], a: int, b: int, top: float) -> tuple[int, int] | None:
    """A stretch [a, b) less what is not near speech at its ends; None if nothing in it is speech."""
    strong = np.flatnonzero(levels[a:b] >= top - SPEECH_MARGIN_DB)
    if not len(strong):
        return None
    reach = int(SOFT_S / _STEP)
    return max(a, a + int(strong[0]) - reach), min(b, a + int(strong[-1]) + 1 + reach)


def _bursts_apart(over: Mask) -> tuple[bool, bool]:
    """Whether the first, and the last, burst is short and stands apart from the rest."""
    bursts = runs(_closed(_without_clicks(over), 8))
    if len(bursts) < 2:
        return False, False
    gaps = (bursts[1][0] - bursts[0][1], bursts[-1][0] - bursts[-2][1])
    lengths = (bursts[0][1] - bursts[0][0], bursts[-1][1] - bursts[-1][0])
    first, last = (g * _STEP >= QUIET_S and n * _STEP < BREATH_S for g, n in zip(gaps, lengths, strict=True))
    return first, last


def _without_clicks(over: Mask) -> Mask:
    """The mask without lone bursts at its ends."""
    bursts = runs(_closed(over, 8))
    for order in (1, -1):
        while len(bursts) > 1:
            edge, inner = bursts[::order][:2]
            quiet = inner[0] - edge[1] if order == 1 else edge[0] - inner[1]
            if (edge[1] - edge[0]) * _STEP >= CLICK_S or quiet * _STEP < QUIET_S:
                break
            bursts.remove(edge)
    out = np.zeros_like(over)
    for a, b in bursts:
        out[a:b] = over[a:b]
    return out


def _edge(levels: npt.NDArray[np.float64], first: int, floor: float, top: float, within_s: float) -> tuple[float, bool]:
    """Seconds of the rise near frame `first`, and whether it is sharp. Levels run towards the speech."""
    low, high = floor + FLOOR_MARGIN_DB, top - SPEECH_MARGIN_DB
    strong = np.flatnonzero(levels[first:] >= high)
    at_high = first + int(strong[0]) if len(strong) else first
    at_low = at_high
    quiet = 0
    # Walk outwards until the level has stayed under the low mark for 30 ms.
    for i in range(at_high, -1, -1):
        if levels[i] > low:
            at_low, quiet = i, 0
        else:
            quiet += 1
            if quiet * _STEP >= 0.03:
                break
    before = levels[max(0, at_low - int(QUIET_S / _STEP)) : max(0, at_low)]
    room_before = len(before) * _STEP >= 0.03
    alone = bool(room_before and (before <= low).all())
    goes_on = (levels[at_high : at_high + int(GOES_ON_S / _STEP)] >= high).mean() >= GOES_ON
    sharp = top - floor >= MIN_RANGE_DB and (at_high - at_low) * _STEP <= within_s and alone and bool(goes_on)
    return (at_low + at_high) / 2 * _STEP, sharp
