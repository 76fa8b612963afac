"""The layout of the Multilingual Spoken Words Corpus of 2021: archives that unpack to what its consumers read.

``audio/<lang>-*.tar.gz`` hold ``<lang>/clips/<word>/<clip>.opus`` (:mod:`release.words.parts`), ``splits/<lang>.tar.gz`` lists
``<lang>_splits.csv`` and ``<lang>_{train,dev,test}.csv`` (SET, LINK, WORD, VALID, SPEAKER, GENDER),
``alignments/<lang>.tar.gz`` a TextGrid a sentence, and ``metadata.json.gz`` all words with their files. Splits are of speakers;
``<lang>_splits_by_word.csv`` has the original's way. A word that cannot be a folder's name everywhere has another folder
(:mod:`release.words.names`): ``words.csv`` lists them all. LINK and the metadata name the folder, WORD is the word.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from release.shards import SPLITS
from release.speakers import GENDERS, gender_class
from release.words.archive import Archive, gzipped
from release.words.clips import Names

COLUMNS = ("SET", "LINK", "WORD", "VALID", "SPEAKER", "GENDER")


def gender(stated: str | None) -> str:
    """What the column GENDER says: of any source's word for it, as the splits are balanced; NAN where none is stated.

    >>> [gender(g) for g in ("female_feminine", "Male", "f", "non-binary", None)]
    ['FEMALE', 'MALE', 'FEMALE', 'OTHER', 'NAN']
    """
    return GENDERS[gender_class(stated)].upper() if stated else "NAN"


def write_lists(
    folder: Path, language: str, name: str, title: str, clips: Sequence[Mapping[str, Any]], names: Names,
    by_word: Mapping[str, str],
) -> None:  # fmt: skip
    """Lists, metadata and ``words.csv``.

    Args:
        folder: of the layout.
        language: its code.
        name: its English name.
        title: of the release.
        clips: rows of the release, with ``release.words.clips.COLUMNS``.
        names: where they are.
        by_word: clip_id → split in the original's way.
    """
    rows = sorted((names.link(c), c) for c in clips)
    lists: dict[str, list[list[str]]] = {"splits": [list(COLUMNS)], "splits_by_word": [list(COLUMNS)]}
    lists |= {split: [list(COLUMNS[1:])] for split in SPLITS}
    for link, clip in rows:
        row = [link, clip["word"], "True", clip["speaker_id"], gender(clip["gender"])]
        lists["splits"].append([clip["split"].upper(), *row])
        lists["splits_by_word"].append([by_word[clip["clip_id"]].upper(), *row])
        lists[clip["split"]].append(row)
    archive = Archive(folder / f"splits/{language}.tar.gz")
    for which in sorted(lists):
        archive.add(f"{language}/{language}_{which}.csv", _csv(lists[which]))
    archive.close()
    files: dict[str, list[str]] = {f: [] for f in sorted(names.folder.values())}
    for link, _clip in rows:
        word, _, file = link.partition("/")
        files[word].append(file)
    metadata = {
        language: {
            "language": name,
            "number_of_words": len(files),
            "wordcounts": {f: len(v) for f, v in files.items()},
            "filenames": files,
        },
        "version": f"{title}, in the layout of the Multilingual Spoken Words Corpus, version 1.0",
    }
    with gzipped(folder / "metadata.json.gz", 6) as stream:
        stream.write(json.dumps(metadata, ensure_ascii=False, sort_keys=True).encode())
    listing = [["folder", "word"], *sorted([f, w] for w, f in names.folder.items())]
    (folder / "words.csv").write_bytes(_csv(listing))


def _csv(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def textgrid(duration_s: float, words: Sequence[Mapping[str, Any]]) -> bytes:
    """A TextGrid with the tiers ``words`` and ``phones``, as the Montreal Forced Aligner writes it: intervals tile the clip.

    Args:
        duration_s: of the sentence's clip.
        words: rows of ``sentence_words``, in order.
    """
    phones = [p for w in words for p in w["phones"]]
    tiers = {
        "words": [(w["start_s"], w["end_s"], w["word"]) for w in words],
        "phones": [(p["start_s"], p["end_s"], p["phone"]) for p in phones],
    }
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {duration_s:.6f}"]
    lines += ["tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for number, (tier, spans) in enumerate(tiers.items(), 1):
        tiles = _tiles(spans, duration_s)
        lines += [f"    item [{number}]:", '        class = "IntervalTier"', f'        name = "{tier}"', "        xmin = 0"]
        lines += [f"        xmax = {duration_s:.6f}", f"        intervals: size = {len(tiles)}"]
        for n, (start, end, text) in enumerate(tiles, 1):
            quoted = text.replace('"', '""')
            lines += [f"        intervals [{n}]:", f"            xmin = {start:.6f}", f"            xmax = {end:.6f}"]
            lines += [f'            text = "{quoted}"']
    return ("\n".join(lines) + "\n").encode()


def _tiles(spans: Iterable[tuple[float, float, str]], duration_s: float) -> list[tuple[float, float, str]]:
    """The same with empty intervals between, to the microsecond that is written."""
    tiles: list[tuple[float, float, str]] = []
    at = 0.0
    for begin, finish, text in sorted(spans):
        start, end = max(at, round(begin, 6)), min(round(finish, 6), round(duration_s, 6))
        if end <= start:
            continue
        if start > at:
            tiles.append((at, start, ""))
        tiles.append((start, end, text))
        at = end
    if at < round(duration_s, 6):
        tiles.append((at, round(duration_s, 6), ""))
    return tiles
