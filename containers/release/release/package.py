"""Stage ``package``: clips as FLAC in Parquet, incremental over a parent release.

A packed file of the parent stays if all its rows are still wanted and unchanged; one that lost a row is written again without
it; what is left is packed anew. Audio that the parent holds is never encoded again, whatever became of the row. Packed files
are named by their sha256 under ``<root>/shards``; releases share them.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from pydantic import Field

from release.clips import Cut, Job, Spooled, cut
from release.features import SEGMENTS, Packed, row_digest
from release.shards import ROW_GROUP, Part, Plan, ShardWriter, plan, shard_number, shards_uri
from stagekit.stage import RUNTIME, Context, Crashed, Params, StageError, stage
from stagekit.storage import join, local_copy, resolve

SHARD_BYTES = 500 * 2**20
"""Default size at which a packed file is closed: about 8 hours of audio, small enough to fetch one, few enough to list (30,000
hours make 4,000)."""

ROW_BYTES = 600
"""Compressed size of a row's other columns, roughly, for the same purpose."""


class PackageParams(Params):
    """How clips are packed."""

    dataset: str = Field(pattern=r"[a-z0-9_]+", description="such as peoples_speech")
    language: str = Field(pattern=r"[A-Za-z0-9-]+", description="BCP 47")
    shard_bytes: int = Field(SHARD_BYTES, ge=1 << 16, description="size at which a packed file is closed")
    root: str = Field(description="warehouse URI", json_schema_extra=RUNTIME)


@stage(
    "package",
    version=1,
    params=PackageParams,
    unit="segment",
    reads=["release_segments", "shards", "shard_rows"],
    writes=["shards", "shard_rows"],
    libraries=["soundfile", "pyarrow"],
)
def run(ctx: Context[PackageParams]) -> None:
    """Inputs: the folder of ``split``, and as ``parent=`` the folder ``index`` of the release before, if there is one."""
    _Segments(ctx, SEGMENTS).run()


class Packing:
    """One run: what is wanted, what the parent has, and the files being written. What the rows are is said by who inherits."""

    def __init__(self, ctx: Context[PackageParams], kind: Packed):
        """Read the parent's list of packed files."""
        self.ctx, self.kind = ctx, kind
        self.shards = shards_uri(ctx.params.root, ctx.params.dataset, ctx.params.language)
        self.parent_shards = {r["sha256"]: r for r in ctx.rows("shards", role="parent")}
        self.digests: dict[str, str] = {}
        self.written: list[dict[str, Any]] = []
        self.rows_of: dict[str, list[str]] = {}
        self.numbers: dict[Part, int] = {}
        self.open: dict[Part, ShardWriter] = {}
        self.counts = dict.fromkeys(
            ("clips_encoded", "clips_copied", "shards_kept", "shards_rewritten", "shards_new", "bytes_written"), 0
        )
        for row in self.parent_shards.values():
            part = (row["subset"], row["license_group"], row["split"])
            self.numbers[part] = max(self.numbers.get(part, 0), shard_number(row["path"]) + 1)

    def want(self) -> None:
        """Enter every row that is wanted, and fill ``digests``: id → digest."""
        raise NotImplementedError

    def pack(self, todo: Plan, spooled: dict[str, Spooled]) -> None:
        """Pack the rows of ``todo.new``; ``spooled`` is audio that the parent has of rows whose columns changed."""
        raise NotImplementedError

    def run(self) -> None:
        """Do it; the tables ``shards`` and ``shard_rows``, and the metrics."""
        ctx = self.ctx
        self.want()
        parent = ctx.input("parent")
        encoding = ((parent.success or {}).get("metrics") or {}).get("encoding") if parent else None
        todo = plan(self.digests, ctx.rows("shard_rows", role="parent"), audio_is_good=encoding == self.kind.encoding)
        if encoding == self.kind.encoding:
            ctx.metrics.update(changes=todo.changes)
        # Shards are linked from here into the store, so the folder is on its file system.
        with tempfile.TemporaryDirectory(prefix=".packing-", dir=ctx.staging) as scratch:
            self.scratch = Path(scratch)
            self._keep(todo)
            spooled = self._from_parent(todo)
            self.pack(todo, spooled)
            for part in sorted(self.open):
                self._place_new(self.open[part], part)
        self._finish(parent is not None)

    def add(self, row: dict[str, Any], audio: Mapping[str, bytes | None]) -> None:
        """Pack a new row into its part's open file."""
        part = (row["subset"], row["license_group"], row["split"])
        if part not in self.open:
            self.open[part] = ShardWriter(self.scratch / f"new-{'-'.join(part)}.parquet", self.kind)
        writer = self.open[part]
        writer.write(row, audio)
        if writer.audio_bytes + writer.rows * ROW_BYTES >= self.ctx.params.shard_bytes:
            self._place_new(self.open.pop(part), part)

    def _keep(self, todo: Plan) -> None:
        kept = set(todo.keep)
        self.counts["shards_kept"] = len(kept)
        self.written += [self.parent_shards[s] for s in todo.keep]
        for row in self.ctx.rows("shard_rows", role="parent"):
            if row["shard"] in kept:
                self.rows_of.setdefault(row["shard"], []).append(row["segment_id"])

    def _from_parent(self, todo: Plan) -> dict[str, Spooled]:
        """Write the shards that lost a row again; set aside the (first) audio of rows whose columns changed."""
        spooled: dict[str, Spooled] = {}
        aside, key = str(self.scratch / "changed"), self.kind.key
        with open(aside, "wb") as sink:
            for sha256 in sorted({*todo.rewrite, *todo.reuse_audio}):
                stay, changed = todo.rewrite.get(sha256, set()), todo.reuse_audio.get(sha256, set())
                writer = ShardWriter(self.scratch / f"{sha256}.parquet", self.kind) if stay else None
                for row in self._read(sha256):
                    audio = {name: row[name]["bytes"] if row[name] else None for name in self.kind.audio}
                    if row[key] in changed:
                        sound = row["audio"]["bytes"]
                        spooled[row[key]] = Spooled(aside, sink.tell(), len(sound))
                        sink.write(sound)
                    elif writer and row[key] in stay:
                        writer.write(row, audio)
                        self.counts["clips_copied"] += 1
                if writer:
                    old = self.parent_shards[sha256]
                    self._place(writer, (old["subset"], old["license_group"], old["split"]), shard_number(old["path"]))
                    self.counts["shards_rewritten"] += 1
        return spooled

    def _read(self, sha256: str) -> Iterator[dict[str, Any]]:
        with local_copy(join(self.shards, f"{sha256}.parquet")) as path:
            for batch in pq.ParquetFile(path).iter_batches(batch_size=ROW_GROUP):
                yield from batch.to_pylist()

    def _place_new(self, writer: ShardWriter, part: Part) -> None:
        number = self.numbers.get(part, 0)
        self.numbers[part] = number + 1
        self.counts["shards_new"] += 1
        self._place(writer, part, number)

    def _place(self, writer: ShardWriter, part: Part, number: int) -> None:
        row = writer.close(part, number)
        store, path = resolve(join(self.shards, f"{row['sha256']}.parquet"))
        self.counts["bytes_written"] += row["bytes"]
        if not store.exists(path):
            target = store.local(path)
            try:
                if target is None:
                    raise OSError("not a local store")
                target.parent.mkdir(parents=True, exist_ok=True)
                os.link(writer.path, target)
            except OSError:
                store.put_new(writer.path, path)
        writer.path.unlink()
        self.written.append(row)
        self.rows_of[row["sha256"]] = writer.ids

    def _finish(self, has_parent: bool) -> None:
        packed = [s for ids in self.rows_of.values() for s in ids]
        if len(packed) != len(self.digests) or set(packed) != set(self.digests):
            raise StageError(
                f"packing: {len(self.digests)} clips wanted, {len(packed)} packed, {len(set(packed))} of them different"
            )
        ctx = self.ctx
        for row in sorted(self.written, key=lambda r: r["path"]):
            ctx.write("shards", row)
        for sha256 in sorted(self.rows_of):
            for segment_id in self.rows_of[sha256]:
                ctx.write("shard_rows", {"segment_id": segment_id, "digest": self.digests[segment_id], "shard": sha256})
        ctx.metrics.update(
            encoding=self.kind.encoding,
            clips=len(packed),
            **self.counts,
            bytes=sum(r["bytes"] for r in self.written),
            audio_s=round(sum(r["audio_s"] for r in self.written), 3),
            equals_parent=has_parent and {r["sha256"] for r in self.written} == set(self.parent_shards),
        )


class _Segments(Packing):
    """Utterances: cut from their recordings and encoded here."""

    def want(self) -> None:
        """All that split released."""
        ctx = self.ctx
        for row in ctx.rows("release_segments", role=""):
            seconds = row["speech_end_s"] - row["speech_start_s"]
            ctx.enter(row["segment_id"], seconds)
            ctx.keep(row["segment_id"], seconds)
            self.digests[row["segment_id"]] = row_digest(row)

    def pack(self, todo: Plan, spooled: dict[str, Spooled]) -> None:
        """Encode what no release holds yet and pack it, recording by recording, a file a part at a time."""
        in_flight: dict[str, list[dict[str, Any]]] = {}
        columns = ["segment_id", "recording_id"]
        runs = groupby(
            r["recording_id"] for r in self.ctx.rows("release_segments", role="", columns=columns) if r["segment_id"] in todo.new
        )
        jobs = self._jobs(todo.new, spooled, in_flight)
        for job, result in self.ctx.map(cut, jobs, total=sum(1 for _ in runs)):
            if isinstance(result, Crashed):
                raise StageError(f"recording {job.recording_id} ({job.uri}): cutting its clips: {result.detail}")
            self.counts["clips_encoded"] += len(result)
            for row in in_flight.pop(job.spool):
                where = result.get(row["segment_id"]) or spooled[row["segment_id"]]
                self.counts["clips_copied"] += row["segment_id"] in spooled
                self.add(row, {"audio": where.read()})
            Path(job.spool).unlink(missing_ok=True)

    def _jobs(self, new: set[str], spooled: dict[str, Spooled], in_flight: dict[str, list[dict[str, Any]]]) -> Iterator[Job]:
        """A job for each run of rows of one recording, in the order of the table; its rows wait in ``in_flight``."""
        rows = (r for r in self.ctx.rows("release_segments", role="") if r["segment_id"] in new)
        for number, (recording_id, run_of_rows) in enumerate(groupby(rows, key=lambda r: r["recording_id"])):
            mine = list(run_of_rows)
            spool = str(self.scratch / f"spool-{number}")
            in_flight[spool] = mine
            cuts = tuple(Cut(r["segment_id"], r["start_sample"], r["end_sample"]) for r in mine if r["segment_id"] not in spooled)
            yield Job(recording_id, mine[0]["recording_uri"], cuts, spool)
