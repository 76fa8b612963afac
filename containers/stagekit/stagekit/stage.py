"""The stage contract: a function from tables to tables and rejections; everything around it is here.

Example: a stage that keeps long recordings. ``containers/demo/demo/longer.py``::

    from pydantic import Field
    from stagekit.stage import Context, Params, stage

    class LongerParams(Params):
        min_s: float = Field(1.0, ge=0, description="shortest duration kept, seconds")
        note_uri: str = Field("", description="…", json_schema_extra=RUNTIME)   # not part of the fingerprint

    @stage("longer", version=1, params=LongerParams, unit="recording", reads=["recordings"], writes=["recordings", "rejections"])
    def run(ctx: Context) -> None:
        for row in ctx.rows("recordings"):
            ctx.enter(row["recording_id"], row["duration_s"])
            if row["duration_s"] < ctx.params.min_s:
                ctx.reject(row["recording_id"], Reason.TOO_SHORT, "shorter than min_s", end_s=row["duration_s"])
            else:
                ctx.write("recordings", row)
                ctx.keep(row["recording_id"], row["duration_s"])

and ``containers/demo/demo/__main__.py``::

    from stagekit.cli import main
    main("demo", {"longer": "demo.longer"})

then ``python -m demo longer --input file:///in --output file:///out --params '{"min_s": 2}'``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from stagekit.errors import EmptyInput, StageError
from stagekit.folder import FILE_NAME, TableWriter, iterate_files, read_files
from stagekit.inputs import SUCCESS, Input
from stagekit.ledger import Ledger
from stagekit.pool import Crashed, map_units
from stagekit.progress import Progress
from stagekit.storage import join, local_copy
from stagekit.tables import REJECTIONS, TABLES, Reason

RUNTIME: dict[str, Any] = {"speechmill": "runtime"}
"""``json_schema_extra`` of a parameter that cannot change the output (a location, a rate limit): not in the fingerprint."""


class Params(BaseModel):
    """Base of every stage's parameters: typed, documented, nothing unknown, immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def fingerprint(self) -> dict[str, Any]:
        """The parameters that decide the output."""
        runtime = {n for n, f in type(self).model_fields.items() if f.json_schema_extra == RUNTIME}
        return self.model_dump(mode="json", exclude=runtime)


P = TypeVar("P", bound=Params)


@dataclass(frozen=True)
class Stage:
    """A registered stage. See :func:`stage` for the fields."""

    name: str
    version: int
    params: type[Params]
    unit: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    raw_inputs: bool
    by_content: bool
    libraries: tuple[str, ...]
    model_digest: Callable[[Any], Mapping[str, str]] | None
    run: Callable[[Any], None]

    @property
    def image(self) -> str:
        """The image's package."""
        return self.run.__module__.partition(".")[0]


def stage(
    name: str,
    *,
    version: int,
    params: type[Params],
    unit: str,
    reads: Sequence[str] = (),
    writes: Sequence[str] = (),
    raw_inputs: bool = False,
    by_content: bool = False,
    libraries: Sequence[str] = (),
    model_digest: Callable[[Any], Mapping[str, str]] | None = None,
) -> Callable[[Callable[[Any], None]], Stage]:
    """Register a function of a :class:`Context` as a stage.

    Args:
        name: the stage's name on the command line.
        version: raised by hand when the output changes for a reason that the code's digest does not see.
        params: its parameter model.
        unit: what its ledger counts, as in ``rejections.unit``.
        reads: tables it reads.
        writes: tables it writes; ``rejections`` is always allowed.
        raw_inputs: inputs may be plain folders (a source), digested by their files' contents.
        by_content: inputs are what is in their files, whatever made them: a shard that comes out the same month after month is
            worked on once. Not for stages of a harvest, whose seals name each folder that they were made from.
        libraries: distributions whose version decides the output, such as ``pocketsphinx``.
        model_digest: from the parameters to {name: digest} of model files that decide the output.
    """
    unknown = [t for t in (*reads, *writes) if t not in TABLES]
    if unknown:
        raise ValueError(f"stage {name}: no such table {unknown}")

    def register(run: Callable[[Any], None]) -> Stage:
        return Stage(
            name, version, params, unit, tuple(reads), tuple(writes), raw_inputs, by_content, tuple(libraries), model_digest, run
        )  # fmt: skip

    return register


@dataclass
class Context(Generic[P]):
    """What a running stage has: its parameters, inputs, outputs, ledger and workers."""

    stage: Stage
    params: P
    inputs: list[Input]
    staging: Path
    workers: int
    quiet: bool
    ledger: Ledger
    metrics: dict[str, Any] = field(default_factory=dict)
    """Figures for the report (JSON types), written to ``_SUCCESS.json`` and the receipt."""
    _writers: dict[tuple[str, int], TableWriter] = field(default_factory=dict)
    _open: ExitStack = field(default_factory=ExitStack)

    # reading

    def _paths(self, table: str, role: str | None) -> list[Path]:
        if table not in self.stage.reads:
            raise StageError(f"stage {self.stage.name} reads table {table} without declaring it")
        chosen = [i for i in self.inputs if role is None or i.role == role]
        return [
            self._open.enter_context(local_copy(join(i.uri, name)))
            for i in chosen
            for name in sorted(i.tables())
            if FILE_NAME.fullmatch(name)["table"] == table  # type: ignore[index]
        ]

    def read(self, table: str, *, role: str | None = None, columns: Sequence[str] | None = None) -> pa.Table:
        """All rows of a table over the inputs (of a role), inputs in the order given, shards in order."""
        return read_files(self._paths(table, role), table, columns)

    def rows(
        self, table: str, *, role: str | None = None, columns: Sequence[str] | None = None, batch: int | None = None
    ) -> Iterator[dict[str, Any]]:
        """The same rows one by one, ``batch`` of them in memory at a time: the table's row group, if not given."""
        return iterate_files(self._paths(table, role), table, columns, batch)

    def files(self, table: str, *, role: str | None = None) -> list[Path]:
        """Local paths of a table's files, in the order in which :meth:`rows` reads them; they last as long as the stage."""
        return self._paths(table, role)

    def input(self, role: str) -> Input | None:
        """The input of a role, or None."""
        return next((i for i in self.inputs if i.role == role), None)

    # writing

    def _writer(self, table: str, shard: int) -> TableWriter:
        if table not in self.stage.writes and table != REJECTIONS.name:
            raise StageError(f"stage {self.stage.name} writes table {table} without declaring it")
        if (table, shard) not in self._writers:
            self._writers[table, shard] = TableWriter(self.staging, TABLES[table], shard)
        return self._writers[table, shard]

    def write(self, table: str, row: Mapping[str, Any], shard: int = 0) -> None:
        """Append a row to an output table; all columns of the table, nothing else."""
        self._writer(table, shard).write(row)

    def write_table(self, table: str, rows: pa.Table, shard: int = 0) -> None:
        """Append many rows at once."""
        self._writer(table, shard).write_table(rows)

    def path(self, name: str) -> Path:
        """A local path for another file of the output folder (a report, audio); its folder is made."""
        path = self.staging / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    # accounting

    def enter(self, unit_id: str, seconds: float = 0.0) -> None:
        """An input unit came in with so many source seconds."""
        self.ledger.enter(unit_id, seconds)

    def keep(self, unit_id: str, seconds: float = 0.0) -> None:
        """So many of its seconds went on."""
        self.ledger.keep(unit_id, seconds)

    def reject(
        self,
        unit_id: str,
        reason: Reason,
        detail: str,
        *,
        start_s: float = 0.0,
        end_s: float = 0.0,
        unit: str | None = None,
        row_id: str | None = None,
        parent_id: str | None = None,
        shard: int = 0,
    ) -> None:
        """A unit, or the stretch [start_s, end_s) of it, stopped here: a row of ``rejections`` and ledger seconds.

        Args:
            unit_id: the input unit that is charged.
            reason: one of the closed list.
            detail: what was seen, for a person; no line breaks.
            start_s: start of the stretch.
            end_s: its end; equal to the start if the duration is unknown.
            unit: what the row is about if not the stage's unit (a document inside an item).
            row_id: its id then.
            parent_id: the unit it belongs to.
            shard: output shard of the row.
        """
        self.ledger.reject(unit_id, str(reason), end_s - start_s)
        self.write(
            "rejections",
            {
                "unit": unit or self.stage.unit,
                "id": row_id or unit_id,
                "parent_id": parent_id,
                "start_s": float(start_s),
                "end_s": float(end_s),
                "stage": self.stage.name,
                "reason": str(Reason(reason)),
                "detail": " ".join(detail.split())[:1000],
            },
            shard,
        )

    # work

    def map(
        self,
        fn: Callable[[Any], Any],
        units: Iterable[Any],
        *,
        seconds: Callable[[Any], float] | None = None,
        total: int | None = None,
    ) -> Iterator[tuple[Any, Any]]:
        """Apply a module-level function to units in worker processes; yields (unit, result) in input order, with progress.

        A result is :class:`stagekit.pool.Crashed` where the worker died twice; reject the unit with ``Reason.CRASHED``.

        Args:
            fn: importable function of one picklable unit.
            units: the units; a list, if the progress is to know the total.
            seconds: audio seconds of a unit, for the rate.
            total: number of units if ``units`` is no list.
        """
        listed = units if isinstance(units, Sequence) else None
        count = total if total is not None else len(listed) if listed is not None else 0
        weigh = seconds or (lambda _unit: 0.0)
        progress = Progress(self.stage.name, count, sum(map(weigh, listed)) if listed is not None else 0.0, quiet=self.quiet)
        workers = min(self.workers, count) if count else self.workers
        for unit, result in map_units(fn, units, workers):
            yield unit, result
            progress.advance(weigh(unit))


__all__ = ["RUNTIME", "SUCCESS", "Context", "Crashed", "EmptyInput", "Input", "Params", "Reason", "Stage", "StageError", "stage"]
