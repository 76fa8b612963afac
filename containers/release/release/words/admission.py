"""Which clips of spoken words a release lets in: takedowns, then a policy's bounds on the scores of ``keywords outliers``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, field_validator

from release.policy import Bound
from stagekit.errors import StageError
from stagekit.folder import check_schema
from stagekit.tables import CLIP_SCORES, Reason

SCORES = tuple(c.name for c in CLIP_SCORES.columns if c.type == pa.float64())
"""Columns that a policy can bound."""
SCORE_COLUMNS = tuple(c.name for c in CLIP_SCORES.columns if c.name not in ("clip_id", "word"))
BATCH = 100_000


class WordsPolicy(BaseModel):
    """``config/policies/spoken_words.yaml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(default="none", pattern=r"^[a-z0-9_]+$")
    version: int = Field(default=1, ge=1)
    require: dict[str, Bound] = {}
    takedowns: tuple[str, ...] = ()

    @field_validator("require")
    @classmethod
    def _known(cls, bounds: dict[str, Bound]) -> dict[str, Bound]:
        if unknown := sorted(set(bounds) - set(SCORES)):
            raise ValueError(f"no score {', '.join(unknown)}; there are {', '.join(SCORES)}")
        return bounds

    @field_validator("takedowns")
    @classmethod
    def _can_match(cls, takedowns: tuple[str, ...]) -> tuple[str, ...]:
        for entry in takedowns:
            if not entry or entry != entry.strip() or not entry.isprintable():
                raise ValueError(f"{entry!r} can name nothing; write a clip_id, a sentence_id or a speaker_id")
        return takedowns

    @property
    def digest(self) -> str:
        """Hex sha256 of its bounds: what was let in under the same ones stays in."""
        bounds = {name: bound.model_dump() for name, bound in self.require.items()}
        return hashlib.sha256(json.dumps(bounds, sort_keys=True).encode()).hexdigest()


class Beside:
    """The rows of ``clip_scores`` beside those of ``clips``: in the same order, but some clips have none."""

    def __init__(self, files: Sequence[Path], columns: Sequence[str]):
        """Read nothing yet."""
        self._columns = ["clip_id", *columns]
        self._batches = self._read(files)
        self._schema = pa.schema([pa.field(n, CLIP_SCORES.schema.field(n).type) for n in self._columns])
        self._rest = self._schema.empty_table()

    def _read(self, files: Sequence[Path]) -> Iterator[pa.RecordBatch]:
        for path in files:
            file = pq.ParquetFile(path)
            check_schema(str(path), CLIP_SCORES, file.schema_arrow)
            yield from file.iter_batches(batch_size=BATCH, columns=self._columns)

    def take(self, ids: pa.Array) -> tuple[np.ndarray, pa.Table]:
        """The scores of the next clips.

        Args:
            ids: their clip_ids.

        Returns:
            Which of them have scores, bool of shape (clips,); and the scores of those, in the same order.

        Raises:
            StageError: the scores are in another order.
        """
        while self._rest.num_rows < len(ids) and (batch := next(self._batches, None)) is not None:
            rows = pa.Table.from_batches([batch]).select(self._columns)
            self._rest = pa.concat_tables([self._rest, rows.cast(self._schema)])
        head = self._rest.slice(0, len(ids))
        have = head["clip_id"].combine_chunks()
        there = np.ones(len(ids), dtype=bool)
        if not have.equals(ids):
            place = pc.index_in(ids, value_set=have).to_numpy(zero_copy_only=False).astype(float)
            there = ~np.isnan(place)
            if not np.array_equal(place[there], np.arange(there.sum())):
                raise StageError(f"clip_scores is not in the order of clips, near {ids[0].as_py()}: other cuts' scores?")
            head = head.slice(0, int(there.sum()))
        self._rest = self._rest.slice(head.num_rows)
        return there, head

    def done(self) -> None:
        """All clips were seen.

        Raises:
            StageError: there are scores of others.
        """
        if self._rest.num_rows or next(self._batches, None) is not None:
            raise StageError("clip_scores has scores of clips that no input holds: other cuts' scores?")


@dataclass
class Admission:
    """What is known of all clips; arrays grow batch by batch and end with shape (clips,)."""

    policy: WordsPolicy
    scored: bool
    """Whether there are scores; without them a policy may bound none."""
    present: list[np.ndarray] = field(default_factory=list)
    """Clips that ``keywords outliers`` could not hear are not: it has accounted for them."""
    refused: dict[int, tuple[str, Reason, str]] = field(default_factory=dict)
    """Clip's number → its id, why, and what was seen."""
    matched: set[str] = field(default_factory=set)
    """Takedowns that are of a clip, whether it was heard or not."""

    def judge(self, first: int, clips: pa.RecordBatch, scores: Beside | None) -> None:
        """The next clips; ``first`` is the number of the first of them."""
        there, rows = np.ones(clips.num_rows, dtype=bool), None
        if scores is not None:
            there, rows = scores.take(clips.column("clip_id"))
        self.present.append(there)
        places = np.flatnonzero(there)
        for name, bound in self.policy.require.items():
            assert rows is not None  # checked where the inputs are
            values = rows[name].to_numpy().astype(float)
            low = -np.inf if bound.min is None else bound.min
            high = np.inf if bound.max is None else bound.max
            empty = np.isnan(values)
            outside = ~empty & ~((values >= low) & (values < high))
            if not bound.null_passes and not (bound.min is None and bound.max is None):
                outside |= empty
            for n in np.flatnonzero(outside):
                at = int(places[n])
                why = bound.fails(name, None if empty[n] else float(values[n])) or ""
                self.refused.setdefault(first + at, (clips.column("clip_id")[at].as_py(), Reason.POLICY, why))
        if self.policy.takedowns:
            gone = pa.array(self.policy.takedowns, pa.string())
            hit = np.zeros(clips.num_rows, dtype=bool)
            for name in ("clip_id", "sentence_id", "speaker_id"):
                named = pc.is_in(clips.column(name), value_set=gone)
                self.matched.update(clips.column(name).filter(named).unique().to_pylist())
                hit |= named.to_numpy(zero_copy_only=False)
            for at in np.flatnonzero(hit & there).tolist():
                self.refused[first + at] = (clips.column("clip_id")[at].as_py(), Reason.TAKEDOWN, "named in the policy")

    def keep_released(self, parent: Iterator[dict[str, Any]]) -> int:
        """Let in again what the release before let in under the same bounds; how many that are.

        Args:
            parent: its rows of ``shard_rows``.
        """
        by_id = {clip_id: n for n, (clip_id, why, _) in self.refused.items() if why == Reason.POLICY}
        again = [by_id[row["segment_id"]] for row in parent if row["segment_id"] in by_id]
        for n in again:
            del self.refused[n]
        return len(again)
