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

import hashlib
import json
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Generic, TypeVar

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from stagekit import code
from stagekit.errors import EmptyInput, StageError
from stagekit.folder import FILE_NAME, TableWriter, iterate_files, read_files
from stagekit.ledger import Ledger
from stagekit.pool import Crashed, map_units
from stagekit.progress import Progress
from stagekit.storage import join, local_copy, resolve, sha256_file
from stagekit.tables import REJECTIONS, TABLES, Reason

SUCCESS = "_SUCCESS.json"

RUNTIME = {"speechmill": "runtime"}
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
        libraries: distributions whose version decides the output, such as ``pocketsphinx``.
        model_digest: from the parameters to {name: digest} of model files that decide the output.
    """
    unknown = [t for t in (*reads, *writes) if t not in TABLES]
    if unknown:
        raise ValueError(f"stage {name}: no such table {unknown}")

    def register(run: Callable[[Any], None]) -> Stage:
        return Stage(name, version, params, unit, tuple(reads), tuple(writes), raw_inputs, tuple(libraries), model_digest, run)

    return register


@dataclass
class Input:
    """One input folder, or one shard of it."""

    role: str
    uri: str
    shard: str | None
    digest: str
    success: dict[str, Any] | None

    @classmethod
    def parse(cls, text: str, raw_allowed: bool) -> Input:
        """From ``[ROLE=]URI[#SHARD]``.

        Raises:
            StageError: the folder has not been finished, or is not there.
        """
        role, separator, rest = text.partition("=")
        if not separator or not role.isidentifier():
            role, rest = "", text
        uri, _, shard = rest.partition("#")
        store, path = resolve(uri)
        marker = f"{path}/{SUCCESS}"
        if store.exists(marker):
            success = json.loads(store.read_bytes(marker))
            files = {n: f["sha256"] for n, f in success["files"].items() if not shard or f"-{shard}." in n}
            digest = _digest({"fingerprint": success["fingerprint"], "files": files})
            return cls(role, uri, shard or None, digest, success)
        listing = [(name, size) for name, size in store.list(path)]
        if not raw_allowed:
            raise StageError(f"input {uri}: no {SUCCESS} in it; the stage that makes it has not finished, or the URI is wrong")
        if not listing and not store.exists(path):
            local = store.local(path)
            if local is None or not local.is_dir():
                raise StageError(f"input {uri}: there is no such folder")
        files = {}
        for name, _size in listing:
            with local_copy(join(uri, name)) as local_path:
                files[name] = sha256_file(local_path)
        return cls(role, uri, shard or None, _digest(files), None)

    def tables(self) -> list[str]:
        """Names of its Parquet files."""
        if self.success is None:
            return []
        return [n for n in self.success["files"] if FILE_NAME.fullmatch(n) and (self.shard is None or f"-{self.shard}." in n)]


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()


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

    def rows(self, table: str, *, role: str | None = None, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
        """The same rows one by one, in bounded memory."""
        return iterate_files(self._paths(table, role), table, columns)

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


def fingerprint(stage: Stage, params: Params, inputs: Sequence[Input]) -> str:
    """The name of a stage's output: equal if and only if nothing that decides the output has changed. 32 hex characters."""
    tables = sorted({*stage.reads, *stage.writes, REJECTIONS.name})
    parts = {
        "stage": f"{stage.image}.{stage.name}.{stage.version}",
        "code": code.digest(stage.run.__module__),
        "schemas": {t: str(TABLES[t].schema) + str(TABLES[t].version) for t in tables},
        "libraries": {name: metadata.version(name) for name in stage.libraries},
        "models": dict(stage.model_digest(params)) if stage.model_digest else {},
        "params": params.fingerprint(),
        "inputs": [[i.role, i.digest] for i in inputs],
    }
    return _digest(parts)[:32]


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    output: str
    skipped: bool
    success: dict[str, Any]

    def receipt(self) -> dict[str, Any]:
        """What an operator needs: where, which shards, how much."""
        ledger = self.success["ledger"]
        return {
            "output": self.output,
            "skipped": self.skipped,
            "shards": [f"{self.output}#{shard}" for shard in self.success["shards"]],
            "rows": self.success["rows"],
            "seconds": {"in": ledger["in"]["seconds"], "out": ledger["out"]["seconds"]},
            "metrics": self.success["metrics"],
        }


def run_stage(stage: Stage, inputs: Sequence[str], base: str, params: Params, *, workers: int, quiet: bool) -> Outcome:
    """Run a stage, or find that its output is there already.

    Args:
        stage: the stage.
        inputs: ``[ROLE=]URI[#SHARD]``.
        base: folder in which the output folder, named by the fingerprint, is made.
        params: its parameters.
        workers: processes for :meth:`Context.map`.
        quiet: no progress.

    Raises:
        EmptyInput: the stage found nothing to do.
        StageError: anything a person has to act on.
    """
    opened = [Input.parse(text, stage.raw_inputs) for text in inputs]
    name = fingerprint(stage, params, opened)
    output = join(base, name)
    store, path = resolve(output)
    if store.exists(f"{path}/{SUCCESS}"):
        return Outcome(output, True, json.loads(store.read_bytes(f"{path}/{SUCCESS}")))
    staging = _staging(store.local(path), name)
    context: Context[Any] = Context(stage, params, opened, staging, workers, quiet, Ledger(stage.unit))
    started, cpu = time.monotonic(), _cpu_s()
    try:
        with context._open:
            stage.run(context)
        for table in stage.writes:
            if not any(t == table for t, _ in context._writers):
                context._writer(table, 0)
        for writer in context._writers.values():
            writer.close()
        success = _success(context, name, time.monotonic() - started, _cpu_s() - cpu)
        (staging / SUCCESS).write_text(json.dumps(success, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
        store.commit_folder(staging, path)
    finally:
        _remove(staging)
    return Outcome(output, False, json.loads(store.read_bytes(f"{path}/{SUCCESS}")))


def _staging(target: Path | None, name: str) -> Path:
    """A hidden folder beside the output, where a rename will do; what killed runs left there is removed."""
    import tempfile

    if target is None:
        return Path(tempfile.mkdtemp(prefix=f"speechmill-{name}-"))
    target.parent.mkdir(parents=True, exist_ok=True)
    host = socket.gethostname()
    for old in target.parent.glob(f".staging-{name}@*"):
        where, _, pid = old.name.rpartition("@")
        if where.endswith(f"@{host}") and pid.isdigit() and not Path(f"/proc/{pid}").exists():
            _remove(old)
    staging = target.parent / f".staging-{name}@{host}@{os.getpid()}"
    _remove(staging)
    staging.mkdir()
    return staging


def _remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


def _cpu_s() -> float:
    t = os.times()
    return t.user + t.system + t.children_user + t.children_system


def _success(context: Context[Any], name: str, wall_s: float, cpu_s: float) -> dict[str, Any]:
    files = {
        f.relative_to(context.staging).as_posix(): {"sha256": sha256_file(f), "bytes": f.stat().st_size}
        for f in sorted(context.staging.rglob("*"))
        if f.is_file()
    }
    rows: dict[str, int] = {}
    for (table, _), writer in context._writers.items():
        rows[table] = rows.get(table, 0) + writer.rows
    stage = context.stage
    return {
        "stage": f"{stage.image}.{stage.name}",
        "fingerprint": name,
        "params": context.params.model_dump(mode="json"),
        "inputs": [{"role": i.role, "uri": i.uri, "shard": i.shard, "digest": i.digest} for i in context.inputs],
        "files": files,
        "rows": dict(sorted(rows.items())),
        "shards": sorted({f"{shard:05d}" for (table, shard) in context._writers if table != REJECTIONS.name}),
        "ledger": context.ledger.balance(),
        "metrics": context.metrics,
        "versions": {n: metadata.version(n) for n in (*stage.libraries, "pyarrow")},
        "run": {
            "wall_s": round(wall_s, 3), "cpu_s": round(cpu_s, 3), "bytes_out": sum(f["bytes"] for f in files.values()),
            "host": socket.gethostname(), "finished_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        },
    }  # fmt: skip


__all__ = ["RUNTIME", "Context", "Crashed", "EmptyInput", "Input", "Outcome", "Params", "Reason", "Stage", "StageError"]
__all__ += ["run_stage", "stage"]
