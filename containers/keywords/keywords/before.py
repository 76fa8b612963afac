"""What the release before has cut from the same audio: clips that are copied, not encoded again.

A month's new sentences make words frequent that were rare, so nearly every shard gets some picks more. The ``index`` of a release
says which folder of ``cut`` has which shard of audio (metric ``cut_of``); a folder that is gone is cut anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import groupby
from typing import Any

from stagekit.folder import FILE_NAME, iterate_files
from stagekit.inputs import SUCCESS, Input
from stagekit.storage import join, local_copy, resolve

TABLES = ("clips", "clip_audio")
Known = dict[str, tuple[dict[str, Any], dict[str, Any]]]
"""clip_id → its rows of ``clips`` and ``clip_audio``."""
ROWS = 200
"""Rows of audio in memory at a time."""


class Before:
    """The clips of one shard of audio, sentence by sentence, in the order in which they were cut."""

    def __init__(self, index: str, root: str, audio: str):
        """``audio``: digest of the shard. Empty if ``index`` is, or knows no folder for it that is still there."""
        self._open = ExitStack()
        self._sentences: Iterator[tuple[str, Known]] = iter(())
        path = _folder(index, audio) if index else ""
        if path and (uri := join(root, path)) and _finished(uri):
            self._sentences = self._read(Input.parse(uri, raw_allowed=False))
        self._waiting: tuple[str, Known] | None = next(self._sentences, None)

    def __enter__(self) -> Before:
        """Files stay open until :meth:`__exit__`."""
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def of(self, sentence_id: str) -> Known:
        """The clips of a sentence; to be asked for each sentence of the shard, in order."""
        if self._waiting is None or self._waiting[0] != sentence_id:
            return {}
        found = self._waiting[1]
        self._waiting = next(self._sentences, None)
        return found

    def _read(self, made: Input) -> Iterator[tuple[str, Known]]:
        names = {table: [n for n in sorted(made.tables()) if FILE_NAME.fullmatch(n)["table"] == table] for table in TABLES}  # type: ignore[index]
        files = {t: [self._open.enter_context(local_copy(join(made.uri, n))) for n in found] for t, found in names.items()}
        clips, sounds = (iterate_files(files[table], table, batch=ROWS) for table in TABLES)
        pairs = zip(clips, sounds, strict=True)
        for sentence_id, group in groupby(pairs, key=lambda pair: str(pair[0]["sentence_id"])):
            yield sentence_id, {clip["clip_id"]: (clip, sound) for clip, sound in group}


def _folder(index: str, audio: str) -> str:
    success = Input.parse(index, raw_allowed=False).success or {}
    return str(success["metrics"].get("cut_of", {}).get(audio, ""))


def _finished(uri: str) -> bool:
    store, path = resolve(uri)
    return store.exists(f"{path}/{SUCCESS}")
