"""The clips of a release as its layouts need them: names and splits first, audio as a stream."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from release.words.names import folder_names, stems

COLUMNS = (
    "clip_id", "sentence_id", "index", "word", "split", "speaker_id", "gender", "source_clip", "speech_s", "long_word",
    "license_family", "license_version", "license_url", "license_evidence", "source", "source_version", "origin",
)  # fmt: skip


@dataclass(frozen=True)
class Names:
    """Where clips are in a layout.

    Attributes:
        folder: word → folder.
        stem: sentence_id → file name of its audio, without ending, unique in the release.
        number: clip_id → 1 for a word's first clip of its sentence, 2 for the second, …
    """

    folder: Mapping[str, str]
    stem: Mapping[str, str]
    number: Mapping[str, int]

    def link(self, clip: Mapping[str, Any], ending: str = "opus") -> str:
        """``<folder>/<stem>.opus``, with ``__2`` for the second clip of a word in a sentence: the original's names."""
        number = self.number[clip["clip_id"]]
        suffix = f"__{number}" if number > 1 else ""
        return f"{self.folder[clip['word']]}/{self.stem[clip['sentence_id']]}{suffix}.{ending}"


def name_clips(clips: Iterable[Mapping[str, Any]]) -> Names:
    """Name all clips of a release."""
    listed = list(clips)
    numbers: dict[str, int] = {}
    seen: dict[tuple[str, str], int] = {}
    for clip in sorted(listed, key=lambda c: (c["sentence_id"], c["index"], c["clip_id"])):
        key = (clip["sentence_id"], clip["word"])
        numbers[clip["clip_id"]] = seen[key] = seen.get(key, 0) + 1
    folders = folder_names({c["word"] for c in listed})
    return Names(folders, stems((c["sentence_id"], c["source_clip"]) for c in listed), numbers)
