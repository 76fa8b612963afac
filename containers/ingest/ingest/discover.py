"""Stage ``discover``: what a source holds, with its rights; items cut into shards, the rest rejected with a reason.

Files that the source says are the same bytes (equal md5) go into one shard, so that ``fetch`` stores and the later stages
work on them once.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from pydantic import Field, field_validator

from ingest import known as earlier
from ingest.http import Client, Manners
from ingest.language_tags import bcp47
from ingest.sources import Found, Item, Rejection, checked
from stagekit.errors import EmptyInput, StageError
from stagekit.progress import Progress
from stagekit.stage import RUNTIME, Context, Params, stage
from stagekit.tables import Reason

UNKNOWN_DURATION_S = 3600.0
"""What an item that states no duration counts in its shard."""


@dataclass(frozen=True)
class Source:
    """A source: how its items are found, and how it is told that there may be others than last time."""

    discover: Callable[[DiscoverParams, Mapping[str, str], dict[str, Any]], Iterator[Found]]
    """From the parameters, what earlier batches hold (item_id → "" or the reason of its rejection) and the stage's metrics."""
    digest: Callable[[DiscoverParams], Mapping[str, str]] | None = None
    """What decides the findings beside the parameters, as name → digest. None: nothing tells, so it is looked at in every run."""


def _folder(p: DiscoverParams, known: Mapping[str, str], _metrics: dict[str, Any]) -> Iterator[Found]:
    from ingest.sources import folder

    return folder.discover(location(p), p.language, limit=p.limit, known=known)


def _folder_digest(p: DiscoverParams) -> Mapping[str, str]:
    from ingest.sources import folder

    return {f"file {name}": value for name, value in folder.digest(location(p)).items()}


def _internet_archive(p: DiscoverParams, known: Mapping[str, str], metrics: dict[str, Any]) -> Iterator[Found]:
    from ingest.sources import internet_archive

    if not p.month:
        raise StageError("--params: the source 'internet_archive' needs a month, YYYY.MM")
    asked: dict[str, Any] = {
        "month": p.month,
        "language": p.language,
        "trailing_months": p.trailing_months,
        "limit": p.limit or None,
    }
    if p.location:
        asked["base_url"] = p.location.rstrip("/")
    wanted = internet_archive.ArchiveParams.model_validate(asked)
    client = Client(Manners(connections=p.connections, contact=p.contact))
    state = Path(p.state) if p.state else None
    return internet_archive.discover(wanted, known=known, state=state, client=client, metrics=metrics)


def _asked_once(_p: DiscoverParams) -> Mapping[str, str]:
    """A month of the archive is asked for once: what it says later is for a later month's ``trailing_months``."""
    return {}


SOURCES: dict[str, Source] = {
    "folder": Source(_folder, _folder_digest),
    "internet_archive": Source(_internet_archive, _asked_once),
}
"""All sources, by name: that of the parameter ``source``, of the column and of the first part of an item_id."""


class DiscoverParams(Params):
    """What to harvest."""

    source: str = Field("folder", description="where items come from", json_schema_extra={"enum": [*SOURCES]})
    location: str = Field("", description="folder: path or URI; internet_archive: base URL, empty for its own")
    language: str = Field("en", description="language wanted, BCP 47")
    month: str = Field(
        "",
        pattern=r"^(\d{4}\.(0[1-9]|1[0-2]))?$",
        description="batch key YYYY.MM; the Internet Archive needs it: items added in that month",
    )
    trailing_months: int = Field(
        3, ge=0, le=240, description="internet_archive: earlier months looked through again for late captions"
    )
    limit: int = Field(0, ge=0, description="most items; 0 for all")
    shard_hours: float = Field(10.0, gt=0, description="hours of audio in one shard; one longer item is a shard of its own")
    known: str = Field(
        "",
        description="URI of the dataset's batches: what those sealed before `month` hold is left out",
        json_schema_extra=RUNTIME,
    )
    state: str = Field(
        "", description="internet_archive: local folder where answers are kept for a rerun", json_schema_extra=RUNTIME
    )
    contact: str = Field(
        "", description="internet_archive: address or URL of a person, sent with each request", json_schema_extra=RUNTIME
    )
    connections: int = Field(4, ge=1, le=32, description="internet_archive: requests at the same time", json_schema_extra=RUNTIME)


    @field_validator("source")
    @classmethod
    def _known(cls, source: str) -> str:
        if source not in SOURCES:
            raise ValueError(f"no source {source!r}; there are {', '.join(SOURCES)}")
        return source


def location(p: DiscoverParams) -> str:
    """The location, of a source that needs one."""
    if not p.location:
        raise StageError(f"--params: the source {p.source!r} needs a location: a path or URI")
    return p.location


def _digests(params: DiscoverParams) -> Mapping[str, str]:
    """Contents that decide the output beside the parameters: the source's own, and the seals of earlier batches."""
    digests = {f"seal {k}": v for k, v in earlier.digests(params.known, params.month).items()} if params.known else {}
    tell = SOURCES[params.source].digest
    return {**digests, **(tell(params) if tell else {"looked at": uuid4().hex})}


@stage(
    "discover",
    version=1,
    params=DiscoverParams,
    unit="item",
    writes=["items"],
    libraries=["babel"],
    model_digest=_digests,
)
def run(ctx: Context[DiscoverParams]) -> None:
    """No inputs. Writes ``items`` in shards, and rejections.

    Raises:
        StageError: the location is not there, the archive refuses the search, a parameter is missing, or a source's row is none.
        UnavailableError: the archive is out.
        EmptyInput: the source holds nothing new.
    """
    p = ctx.params
    if bcp47(p.language) is None:
        raise StageError(f"--params: language {p.language!r} is no language (BCP 47, such as en or pt-BR)")
    sealed = earlier.seals(p.known, p.month) if p.known else {}
    known = earlier.known_items(p.known, sealed)
    progress = Progress("discover", 0, 0.0, quiet=ctx.quiet)
    items: dict[str, Item] = {}
    rejections: dict[str, Rejection] = {}
    times: Counter[str] = Counter()
    for found in SOURCES[p.source].discover(p, known, ctx.metrics):
        if isinstance(found, Item):
            found = checked(found, p.source)
        times[found.item_id] += 1
        if times[found.item_id] > 1:
            found = _again(found, times[found.item_id])
        if isinstance(found, Item):
            items[found.item_id] = found
        else:
            rejections[found.item_id] = found
        progress.advance()
    if not items and not rejections:
        raise EmptyInput(f"{p.source} holds nothing new" + (f" in {p.month}" if p.month else f" in {p.location}"))
    shards = shard(list(items.values()), p.shard_hours * 3600)
    for number, members in enumerate(shards):
        for item in members:
            ctx.enter(item.item_id, item.seconds)
            ctx.write("items", {**item.row, "language": item.row["language"] or p.language}, number)
            ctx.keep(item.item_id, item.seconds)
    for item_id, rejection in sorted(rejections.items()):
        ctx.enter(item_id, rejection.seconds)
        ctx.reject(item_id, rejection.reason, rejection.detail, end_s=rejection.seconds)
    ctx.metrics.update(
        items=len(items), shards=len(shards), hours=round(sum(i.seconds for i in items.values()) / 3600, 3), known=len(known),
        seals=sorted(sealed),
    )  # fmt: skip


def _again(found: Found, time: int) -> Rejection:
    """What a source yields under an id that it has given away: the first keeps it, and none is lost."""
    said = f"{found.reason}: {found.detail}" if isinstance(found, Rejection) else "an item"
    detail = f"the source names {found.item_id} again; this time it is {said}"
    return Rejection(f"{found.item_id} ({time})", Reason.ITEM_UNREADABLE, detail, found.seconds)


def shard(items: Sequence[Item], most_s: float) -> list[list[Item]]:
    """Cut items into shards of at most ``most_s`` claimed seconds, in the order of their ids; equal bytes stay together.

    Returns:
        At least one shard, empty if there are no items.
    """
    groups: dict[str, list[Item]] = defaultdict(list)
    for item in sorted(items, key=lambda i: i.item_id):
        groups[item.row["audio_md5"] or item.item_id].append(item)
    shards: list[list[Item]] = [[]]
    filled = 0.0
    for group in sorted(groups.values(), key=lambda g: g[0].item_id):
        # Copies are decoded once and aligned once.
        seconds = group[0].seconds or UNKNOWN_DURATION_S
        if shards[-1] and filled + seconds > most_s:
            shards.append([])
            filled = 0.0
        shards[-1].extend(group)
        filled += seconds
    return shards
