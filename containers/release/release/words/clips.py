"""The clips of a release as its layouts need them: names and splits first, audio as a stream."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
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
        number: clip_id → 1 for a word's first occurrence in its sentence, 2 for the second, …
    """

    folder: Mapping[str, str]
    stem: Mapping[str, str]
    number: Mapping[str, int]

    def link(self, clip: Mapping[str, Any], ending: str = "opus") -> str:
        """``<folder>/<stem>.opus``, with ``__2`` where a word is said a second time in its sentence: the original's names."""
        number = self.number[clip["clip_id"]]
        suffix = f"__{number}" if number > 1 else ""
        return f"{self.folder[clip['word']]}/{self.stem[clip['sentence_id']]}{suffix}.{ending}"


def name_clips(clips: Iterable[Mapping[str, Any]], sentences: Iterable[tuple[str, Sequence[Mapping[str, Any]]]]) -> Names:
    """Name all clips of a release.

    A clip is its word's first or second of its sentence by what is said there, whatever else is in the release: what a policy
    keeps out, or a takedown removes, leaves its name to no other clip.

    Args:
        clips: rows of the packed files.
        sentences: sentence_id and its rows of ``sentence_words``, in order.
    """
    listed = list(clips)
    mine: dict[str, list[Mapping[str, Any]]] = {}
    for clip in listed:
        mine.setdefault(clip["sentence_id"], []).append(clip)
    numbers: dict[str, int] = {}
    for sentence_id, rows in sentences:
        words = [unicodedata.normalize("NFC", row["word"]) for row in rows]
        for clip in mine.get(sentence_id, ()):
            before = sum(row["index"] < clip["index"] for row in rows)
            numbers[clip["clip_id"]] = 1 + sum(_begins(words, at, clip["word"]) for at in range(before))
    folders = folder_names({c["word"] for c in listed})
    return Names(folders, stems((c["sentence_id"], c["source_clip"]) for c in listed), numbers)


def _begins(words: Sequence[str], at: int, keyword: str) -> bool:
    """Whether a keyword, which may be a phrase or several of a segmenter's words, begins at a word of its sentence."""
    whole, said = keyword.replace(" ", ""), ""
    for n in range(at, len(words)):
        said += words[n]
        if len(said) >= len(whole):
            return said == whole
    return False
