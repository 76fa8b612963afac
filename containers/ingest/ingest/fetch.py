"""Stage ``fetch``: items become recordings and documents.

Captions come first, since most rejections are theirs and they are small: audio is not downloaded for a caption that will not
do. Then the audio: fetched, decoded whole, described, and stored under the sha256 of its bytes. Items with equal bytes are
one recording, with one document: text by people before text of unknown origin, timed before plain, then the smaller item id.
The others keep their rows in ``items``, which name that recording and document, and their seconds are counted as duplicates.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import threading
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from ingest.document import CaptionRejected, Draft, draft, tokens
from ingest.download import ChecksumMismatch, DownloadError, Unanswered, download
from ingest.http import Client, Manners
from ingest.recording import MAX_HOURS, AudioRejected, examine
from stagekit.errors import EmptyInput, UnavailableError
from stagekit.pool import Crashed
from stagekit.stage import RUNTIME, Context, Params, stage
from stagekit.storage import join, resolve, sha256_file
from stagekit.tables import Reason

MOST_UNANSWERED = 8
"""So many items one after the other whose server did not answer in time: it is out, which is not the items' fault. The files of
one item lie on one node of the archive, which may be out by itself."""


class FetchParams(Params):
    """How to fetch, and what to refuse."""

    store: str = Field(description="URI below which recordings are stored: <store>/<source>/<sha256>.<ext>")
    machine_captions: bool = Field(False, description="keep captions that a recogniser made")
    min_s: float = Field(1.0, ge=0, description="shortest recording, seconds")
    max_hours: float = Field(MAX_HOURS, gt=0, description="longest recording, hours")
    connections: int = Field(4, ge=1, le=32, description="downloads at the same time", json_schema_extra=RUNTIME)
    contact: str = Field("", description="address or URL of a person, sent with each request", json_schema_extra=RUNTIME)


@dataclass(frozen=True)
class Refused:
    """Why an item stopped. ``seconds``: decoded, or None if only its claim is known. ``unanswered``: its server gave up."""

    reason: Reason
    detail: str
    seconds: float | None = None
    unanswered: bool = False


@dataclass(frozen=True)
class Job:
    """An item whose files are here, on its way to a worker."""

    item: dict[str, Any]
    path: Path
    kept: bool
    """The file is the source's own: it is not removed."""
    draft: Draft
    store: str
    min_s: float
    max_hours: float


@dataclass(frozen=True)
class Fetched:
    """What a worker made of a job: rows of the recordings and documents tables."""

    recording: dict[str, Any]
    document: dict[str, Any]


@stage(
    "fetch",
    version=1,
    params=FetchParams,
    unit="item",
    reads=["items"],
    writes=["items", "recordings", "documents"],
    libraries=["num2words", "babel", "py3langid", "charset-normalizer", "ftfy", "imageio-ffmpeg", "numpy"],
)
def run(ctx: Context[FetchParams]) -> None:
    """Input: items of ``discover``, or one shard of them.

    Raises:
        EmptyInput: no items.
        StageError: no space left.
        UnavailableError: the server is out.
    """
    items = list(ctx.rows("items"))
    if not items:
        raise EmptyInput("no items in " + ", ".join(i.uri + (f"#{i.shard}" if i.shard else "") for i in ctx.inputs))
    results: list[tuple[dict[str, Any], Fetched | Refused]] = []
    with closing(_prepared(items, ctx)) as prepared:
        for job, result in ctx.map(work, prepared, seconds=_seconds, total=len(items)):
            item = job.item if isinstance(job, Job) else job[0]
            if isinstance(result, Crashed):
                result = Refused(Reason.CRASHED, result.detail)
            results.append((item, result))
    _write(ctx, results)


def _seconds(job: Job | tuple[dict[str, Any], Refused]) -> float:
    item = job.item if isinstance(job, Job) else job[0]
    return float(item["claimed_duration_s"] or 0.0)


# before the workers: threads that wait for servers


def _prepared(
    items: list[dict[str, Any]], ctx: Context[FetchParams]
) -> Generator[Job | tuple[dict[str, Any], Refused], None, None]:
    """Each item with its files, in order; a few downloads run ahead of the workers, never so many that the disk fills."""
    client = Client(Manners(connections=ctx.params.connections, contact=ctx.params.contact))
    waiting: deque[Future[Job | tuple[dict[str, Any], Refused]]] = deque()
    pool, stop = ThreadPoolExecutor(ctx.params.connections, thread_name_prefix="fetch"), threading.Event()
    unanswered: set[str] = set()

    def first() -> Job | tuple[dict[str, Any], Refused]:
        got = waiting.popleft().result()
        if isinstance(got, Job) or not got[1].unanswered:
            unanswered.clear()
            return got
        unanswered.add(got[0]["identifier"])
        if len(unanswered) == MOST_UNANSWERED:
            raise UnavailableError(f"{MOST_UNANSWERED} items in a row were not answered, last: {got[1].detail}; run again later")
        return got

    try:
        for item in items:
            waiting.append(pool.submit(prepare, item, ctx.params, client, stop))
            if len(waiting) > 2 * ctx.params.connections:
                yield first()
        while waiting:
            yield first()
    finally:
        stop.set()
        pool.shutdown(wait=False, cancel_futures=True)


def prepare(
    item: dict[str, Any], params: FetchParams, client: Client, stop: threading.Event | None = None
) -> Job | tuple[dict[str, Any], Refused]:
    """Get an item's caption and read it, then its audio; ``stop``, once set, ends downloads.

    Raises:
        StageError: no space left: that is not the item's fault.
    """
    scratch = _incoming(params.store, item["item_id"])
    try:
        caption, _ = _get(item["caption_uri"], scratch / "caption", *_promised(item), client, stop)
        written = draft(caption.read_bytes(), item, machine_captions=params.machine_captions)
        path, kept = _get(item["audio_uri"], scratch / "audio", item["audio_md5"], item["audio_bytes"], client, stop)
    except CaptionRejected as error:
        _remove(scratch / "caption")
        return item, Refused(error.reason, error.detail)
    except DownloadError as error:
        return item, Refused(error.reason, str(error), unanswered=isinstance(error, Unanswered))
    return Job(item, path, kept, written, params.store, params.min_s, params.max_hours)


def _promised(item: dict[str, Any]) -> tuple[str | None, int | None]:
    """md5 and size of the caption, where the source states them."""
    entry = json.loads(item["extra"] or "{}").get("caption_file")
    if not isinstance(entry, dict):
        return None, None
    md5, size = entry.get("md5"), str(entry.get("size") or "")
    return (md5 if isinstance(md5, str) and md5 else None), (int(size) if size.isdecimal() else None)


def _incoming(store: str, item_id: str) -> Path:
    """Where downloads of an item grow: beside the store if that is local, so that a rerun finds what a killed run had."""
    local = resolve(store)[0].local(resolve(store)[1])
    base = local / ".incoming" if local is not None else Path(tempfile.gettempdir(), "speechmill-incoming")
    return base / hashlib.sha256(item_id.encode()).hexdigest()


def _get(
    uri: str, dest: Path, md5: str | None, size: int | None, client: Client, stop: threading.Event | None
) -> tuple[Path, bool]:
    """A local path of an object, and whether it is the source's own.

    Raises:
        DownloadError: it cannot be had, or is not what the source says.
    """
    if "://" in uri and not uri.startswith("file://"):
        return download(uri, dest, md5=md5, size=size, client=client, stop=stop).path, False
    store, inside = resolve(uri)
    path = store.local(inside)
    assert path is not None
    if not path.is_file():
        raise DownloadError(f"{uri}: it was there when the source was listed, and is gone")
    if md5 is not None:
        digest = hashlib.md5(usedforsecurity=False)
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        if digest.hexdigest() != md5:
            raise ChecksumMismatch(f"{uri}: md5 {digest.hexdigest()}, it was {md5} when the source was listed")
    return path, True


# in the workers


def work(job: Job | tuple[dict[str, Any], Refused]) -> Fetched | Refused:
    """Decode, describe and store the audio of an item; say its text."""
    if not isinstance(job, Job):
        return job[1]
    item = job.item
    try:
        audio = examine(job.path, min_s=job.min_s, max_hours=job.max_hours)
    except AudioRejected as error:
        _tidy(job)
        return Refused(error.reason, error.detail, error.seconds)
    recording_id = sha256_file(job.path)
    uri = join(job.store, item["source"], f"{recording_id}.{audio.extension}")
    store, inside = resolve(uri)
    store.put_new(job.path, inside)
    recording = {"recording_id": recording_id, "uri": uri, "bytes": job.path.stat().st_size, **audio.columns()}
    _tidy(job)
    columns = job.draft.columns
    return Fetched(recording, job.draft.row(recording_id, tokens(columns["text"], columns["language"])))


def _tidy(job: Job) -> None:
    """Remove what was downloaded; it is stored, or will not do."""
    if not job.kept:
        _remove(job.path, job.path.parent / "caption")


def _remove(*files: Path) -> None:
    """Remove downloads of one item, and its folder if nothing else is in it."""
    for file in files:
        file.unlink(missing_ok=True)
    try:
        files[0].parent.rmdir()
    except OSError:
        pass


# after the workers


def _write(ctx: Context[FetchParams], results: list[tuple[dict[str, Any], Fetched | Refused]]) -> None:
    """Rows and accounts, in the order of the items."""
    holders: dict[str, list[tuple[dict[str, Any], Fetched]]] = {}
    for item, result in results:
        if isinstance(result, Fetched):
            holders.setdefault(result.recording["recording_id"], []).append((item, result))
    chosen = {recording: min(held, key=_rank) for recording, held in holders.items()}
    for item, result in results:
        item_id = item["item_id"]
        if isinstance(result, Refused):
            seconds = result.seconds if result.seconds is not None else float(item["claimed_duration_s"] or 0.0)
            ctx.enter(item_id, seconds)
            ctx.reject(item_id, result.reason, result.detail, end_s=seconds)
            continue
        recording = result.recording
        first, kept = chosen[recording["recording_id"]]
        ctx.enter(item_id, recording["duration_s"])
        ctx.write("items", {**item, "recording_id": recording["recording_id"], "document_id": kept.document["document_id"]})
        if first is not item:
            detail = f"the same bytes as {first['item_id']}: stored and aligned once"
            ctx.reject(
                item_id, Reason.DUPLICATE_AUDIO, detail, end_s=recording["duration_s"], parent_id=recording["recording_id"]
            )
            continue
        ctx.write("recordings", kept.recording)
        ctx.write("documents", kept.document)
        ctx.keep(item_id, recording["duration_s"])
    ctx.metrics.update(
        recordings=len(chosen), hours=round(sum(f.recording["duration_s"] for _, f in chosen.values()) / 3600, 3),
        bytes=sum(f.recording["bytes"] for _, f in chosen.values()),
    )  # fmt: skip


def _rank(held: tuple[dict[str, Any], Fetched]) -> tuple[int, bool, str]:
    """Which of several items with equal bytes gives the text: smallest first."""
    item, result = held
    document = result.document
    return (
        ("human", "unknown", "machine").index(document["caption_provenance"]),
        document["caption_kind"] == "txt",
        item["item_id"],
    )
