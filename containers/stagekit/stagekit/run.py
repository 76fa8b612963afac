"""Running a stage: fingerprint, staging folder, commit in one step."""

from __future__ import annotations

import json
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from stagekit import code
from stagekit.inputs import SUCCESS, Input, digest
from stagekit.ledger import Ledger
from stagekit.stage import Context, Params, Stage
from stagekit.storage import join, resolve, sha256_file
from stagekit.tables import REJECTIONS, TABLES


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
        "inputs": [[i.role, i.content(stage.reads) if stage.by_content else i.digest] for i in inputs],
    }
    return digest(parts)[:32]


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
    started, cpu = time.monotonic(), _cpu_s()
    try:
        staging.mkdir()
        context: Context[Any] = Context(stage, params, opened, staging, workers, quiet, Ledger(stage.unit))
        with context._open:
            stage.run(context)
        for table in stage.writes:
            if not any(t == table for t, _ in context._writers):
                context._writer(table, 0)
        for writer in context._writers.values():
            writer.close()
        success = _success(context, name, time.monotonic() - started, _cpu_s() - cpu)
        (staging / SUCCESS).write_text(json.dumps(success, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
        store.commit_folder(staging, path, SUCCESS)
    finally:
        _remove(staging)
    return Outcome(output, False, json.loads(store.read_bytes(f"{path}/{SUCCESS}")))


def _staging(target: Path | None, name: str) -> Path:
    """Name of a hidden folder beside the output, where a rename will do, else in the temporary folder, from where it is uploaded.

    What killed runs of this output left there is removed.
    """
    beside = target.parent if target is not None else Path(tempfile.gettempdir(), "speechmill")
    beside.mkdir(parents=True, exist_ok=True)
    host = socket.gethostname()
    for old in beside.glob(f".staging-{name}@*"):
        where, _, pid = old.name.rpartition("@")
        if where.endswith(f"@{host}") and pid.isdigit() and not Path(f"/proc/{pid}").exists():
            _remove(old)
    staging = beside / f".staging-{name}@{host}@{os.getpid()}"
    _remove(staging)
    return staging


def _remove(folder: Path) -> None:
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
