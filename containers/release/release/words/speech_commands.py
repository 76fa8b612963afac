"""The layout of Google's Speech Commands (Warden, 2018, arXiv:1804.03209): a folder a word, WAV at 16 kHz, lists of files.

``<word>/<speaker>_nohash_<n>.wav``, n from the clip's id, so that a later clip of the speaker changes no name. The original's
readers either use its lists or draw a speaker's split from the name (:func:`which_set`), which is the same there, and so here;
``validation_list.txt`` and ``testing_list.txt`` name what is not for training; ``_background_noise_`` holds minute-long files
to mix in. As in the original, white and pink noise are made by arithmetic; there are no recordings among them.
"""

from __future__ import annotations

import hashlib
import io
import wave
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import count
from typing import Any

import numpy as np

from release.words.archive import Archive
from stagekit.tables import SAMPLE_RATE

LISTS = {"dev": "validation_list.txt", "test": "testing_list.txt"}
NOISE = "_background_noise_"
NOISE_S = 60
NUMBER_DIGITS = 12
"""Hexadecimal: 48 bits tell the clips of one word by one speaker apart, and are an integer to every reader."""
MAX_NUM_WAVS = 2**27 - 1
"""The original's constant of the same purpose (``input_data.py``)."""
PINK_ROWS = 16
"""Octaves of the Voss-McCartney generator: down to 0.24 Hz at 16 kHz."""


def which_set(speaker: str) -> str:
    """The split that the original's function of this name draws for all files of a speaker, with its shares of 10 %.

    >>> which_set("00176480"), which_set("026290a7"), which_set("0c40e715")  # as the lists of version 0.01 have them
    ('train', 'dev', 'test')
    """
    drawn = int(hashlib.sha1(speaker.encode(), usedforsecurity=False).hexdigest(), 16) % (MAX_NUM_WAVS + 1)
    percentage = drawn * (100.0 / MAX_NUM_WAVS)
    return "dev" if percentage < 10 else "test" if percentage < 20 else "train"


@cache
def speaker_name(speaker_id: str, split: str) -> str:
    """A hash of a speaker's id, the first of many that ``which_set`` puts into the speaker's split."""
    names = (hashlib.sha256(f"{n}\n{speaker_id}".encode()).hexdigest()[:16] for n in count())
    return next(name for name in names if which_set(name) == split)


def paths(clips: Iterable[Mapping[str, Any]], folders: Mapping[str, str]) -> dict[str, str]:
    """clip_id → path, which depends on the clip alone.

    Raises:
        ValueError: two speakers' names come out the same, or two clips'.
    """
    found: dict[str, str] = {}
    taken: set[str] = set()
    speakers: dict[str, str] = {}
    for clip in sorted(clips, key=lambda c: c["clip_id"]):
        speaker = speaker_name(clip["speaker_id"], clip["split"])
        if speakers.setdefault(speaker, clip["speaker_id"]) != clip["speaker_id"]:
            raise ValueError(f"speakers {clip['speaker_id']} and {speakers[speaker]} are both {speaker}")
        number = int(hashlib.sha256(clip["clip_id"].encode()).hexdigest()[:NUMBER_DIGITS], 16)
        path = f"{folders[clip['word']]}/{speaker}_nohash_{number}.wav"
        if path in taken:
            raise ValueError(f"two clips are {path}, such as {clip['clip_id']}")
        taken.add(path)
        found[clip["clip_id"]] = path
    return found


def write_lists(archive: Archive, clips: Iterable[Mapping[str, Any]], where: Mapping[str, str]) -> None:
    """The two lists, sorted; files in neither are for training."""
    named: dict[str, list[str]] = {split: [] for split in LISTS}
    for clip in clips:
        if clip["split"] in named:
            named[clip["split"]].append(where[clip["clip_id"]])
    for split, name in LISTS.items():
        archive.add(name, "".join(f"{path}\n" for path in sorted(named[split])).encode())


def wav(samples: np.ndarray) -> bytes:
    """16-bit samples at 16 kHz mono as a WAV file."""
    stream = io.BytesIO()
    with wave.open(stream, "wb") as out:
        out.setparams((1, 2, SAMPLE_RATE, len(samples), "NONE", ""))
        out.writeframes(samples.astype("<i2").tobytes())
    return stream.getvalue()


def write_noise(archive: Archive) -> None:
    """A minute of white and of pink noise (Voss-McCartney: octaves of held random numbers), in integers."""
    random, n = np.random.Generator(np.random.PCG64(1804_03209)), NOISE_S * SAMPLE_RATE
    archive.add(f"{NOISE}/white_noise.wav", wav(random.integers(-4000, 4001, n)))
    pink = np.zeros(n, dtype=np.int64)
    for row in range(PINK_ROWS):
        pink += np.repeat(random.integers(-700, 701, -(-n // 2**row)), 2**row)[:n]
    archive.add(f"{NOISE}/pink_noise.wav", wav(np.clip(pink, -32768, 32767)))
