"""The Internet Archive: items of a month that are openly licensed and captioned, over plain HTTP.

``ingest.sources.archive_search`` finds items; it only finds. What an item's own metadata says decides (license, access, language,
files), and each audio file of it becomes an item or a rejection.

Endpoints: ``/services/search/v1/scrape`` (cursor), ``/metadata/<identifier>``, ``/download/<identifier>/<file>``. Fields may be
strings or lists, ``length`` seconds or a clock; an item that was taken down answers ``{}`` or ``is_dark``.
"""

from __future__ import annotations

import json
import math
import re
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ingest import licenses
from ingest.http import Client, GaveUp, HttpError
from ingest.language import same_language
from ingest.language_tags import bcp47
from ingest.pairing import File, Pairing, pair
from ingest.sources import Found, Item, Rejection
from ingest.sources.archive_search import ArchiveParams, query, search
from stagekit.errors import UnavailableError
from stagekit.storage import LocalStorage
from stagekit.tables import Reason

SOURCE = "internet_archive"
RIGHTS_FIELDS = ("rights", "license", "copyright", "possible-copyright-status", "usage")
"""Free-text fields that may contradict ``licenseurl``."""
MAX_UNREADABLE = 0.05
"""Share of items whose metadata could not be read from which on the archive, not the items, is at fault. What is read no sooner
than another month's trailing search is late, not lost; items that fail for good must not stop every run."""
MIN_UNREADABLE = 5
"""So many have to fail for that; so many in a row are enough."""
KEPT_FORMAT = 2
"""Of the answers that are kept for a rerun: those of another are asked for anew. Format 1 held errors with status 200."""


def discover(
    params: ArchiveParams,
    *,
    known: Mapping[str, str] | None = None,
    state: Path | None = None,
    client: Client | None = None,
    metrics: dict[str, Any] | None = None,
) -> Iterator[Found]:
    """Every audio file of the items found, in the order of identifiers and names.

    Args:
        params: what to look for.
        known: what earlier sealed batches hold, item_id → "" for an item, → its reason for a rejection. Items are left out;
            so are rejections that would only be said again.
        state: local folder where answers are kept, so that a run that was killed goes on where it was; None keeps nothing.
        client: HTTP client (connections, contact, patience).
        metrics: gets ``search_total``, ``searched``, ``known``, ``unreadable``.

    Raises:
        UnavailableError: the archive ends the search early, or MAX_UNREADABLE of the items, or MIN_UNREADABLE in a row, cannot be
            read.
        StageError: it refuses the search.
    """
    known, client = known or {}, client or Client()
    text = query(params)
    folder = state / sha256(f"{KEPT_FORMAT}\n{params.base_url}\n{text}".encode()).hexdigest()[:16] if state else None
    counts = metrics if metrics is not None else {}
    counts.update(known=0, unreadable=0)
    identifiers = search(params, client, folder, counts)[: params.limit]
    counts["searched"] = len(identifiers)
    most, in_a_row = max(MIN_UNREADABLE, math.ceil(MAX_UNREADABLE * len(identifiers))), 0
    for identifier, answer in _metadata(identifiers, params, client, folder):
        if isinstance(answer, Rejection):
            counts["unreadable"] += 1
            in_a_row += 1
            if counts["unreadable"] >= most or in_a_row >= MIN_UNREADABLE:
                raise UnavailableError(
                    f"{params.base_url} answers too few requests ({counts['unreadable']} of {len(identifiers)} items unread, "
                    f"last: {answer.detail}); run again later, what has been read is kept"
                )
            found: list[Found] = [answer]
        else:
            in_a_row = 0
            found = read_item(identifier, answer["metadata"], answer["read_at"], params)
        for one in found:
            was = known.get(one.item_id)
            if was is not None and (was == "" or (isinstance(one, Rejection) and was == one.reason)):
                counts["known"] += 1
            else:
                yield one


def _metadata(
    identifiers: list[str], params: ArchiveParams, client: Client, folder: Path | None
) -> Iterator[tuple[str, dict[str, Any] | Rejection]]:
    """The metadata of each item in order, read by a few threads a little ahead."""
    ahead = 4 * client.manners.connections
    waiting: deque[tuple[str, Future[dict[str, Any] | Rejection]]] = deque()
    pool, stop = ThreadPoolExecutor(client.manners.connections, thread_name_prefix="metadata"), threading.Event()
    try:
        for identifier in identifiers:
            waiting.append((identifier, pool.submit(_read, identifier, params, client, folder, stop)))
            if len(waiting) >= ahead:
                first, future = waiting.popleft()
                yield first, future.result()
        for first, future in waiting:
            yield first, future.result()
    finally:
        stop.set()
        pool.shutdown(wait=False, cancel_futures=True)


def _read(
    identifier: str, params: ArchiveParams, client: Client, folder: Path | None, stop: threading.Event
) -> dict[str, Any] | Rejection:
    """``{"read_at": date, "metadata": what the archive answers}``; a rejection, not kept, if it does not answer."""
    url = f"{params.base_url}/metadata/{quote(identifier, safe='')}"
    digest = sha256(identifier.encode()).hexdigest()
    kept = folder / "metadata" / digest[:2] / f"{digest}.json" if folder else None
    if kept and kept.exists():
        return dict(json.loads(kept.read_bytes()))
    try:
        metadata = client.json(url, stop=stop)
    except GaveUp as error:
        return Rejection(f"{SOURCE}:{identifier}", Reason.ITEM_UNREADABLE, str(error))
    except HttpError as error:
        if error.status not in (404, 410):
            return Rejection(f"{SOURCE}:{identifier}", Reason.ITEM_UNREADABLE, str(error))
        metadata = {}
    if why := _unreadable(metadata):
        return Rejection(f"{SOURCE}:{identifier}", Reason.ITEM_UNREADABLE, why)
    answer = {"read_at": datetime.now(UTC).date().isoformat(), "metadata": metadata}
    if kept:
        LocalStorage().write_bytes(str(kept), json.dumps(answer, sort_keys=True).encode())
    return answer


def read_item(identifier: str, answer: Any, read_at: str, params: ArchiveParams) -> list[Found]:
    """From one answer of the metadata API to its items and rejections, a row an audio file.

    Args:
        identifier: the item that was asked for.
        answer: the JSON; anything.
        read_at: date of reading, ISO 8601.
        params: language wanted, and where files are downloaded from.
    """
    whole = f"{SOURCE}:{identifier}"
    if why := _unreadable(answer):
        return [Rejection(whole, Reason.ITEM_UNREADABLE, why)]
    if _dark(answer):
        return [Rejection(whole, Reason.ITEM_DARK, "the archive answers {}" if not answer else "is_dark")]
    said = answer["metadata"]
    files = [file for entry in answer["files"] if (file := _file(entry))]
    pairings = pair(files, params.language)
    refusal = _refusal(identifier, said, answer, read_at, params)
    if isinstance(refusal, licenses.Accepted):
        if not pairings:
            if any(f.is_media for f in files):
                return [Rejection(whole, Reason.ITEM_RESTRICTED, "all its audio is private or empty")]
            return [Rejection(whole, Reason.NO_AUDIO, "it has no audio file")]
        raw = {name: entry for entry in answer["files"] if isinstance(entry, dict) and (name := _name(entry.get("name")))}
        return [_row(identifier, said, found, refusal, raw, params) for found in pairings]
    if not pairings:
        return [Rejection(whole, *refusal)]
    return [Rejection(f"{whole}/{p.audio.name}", *refusal, seconds=p.audio.length_s or 0.0) for p in pairings]


def _dark(answer: Mapping[str, Any]) -> bool:
    return not answer or _true(answer.get("is_dark"))


def _unreadable(answer: Any) -> str:
    """Why an answer says nothing of its item, "" if it does. A node that is out makes such answers, with status 200."""
    if not isinstance(answer, dict):
        return f"its metadata is no object but {str(answer)[:100]!r}"
    if _dark(answer) or (isinstance(answer.get("metadata"), dict) and isinstance(answer.get("files"), list)):
        return ""
    said = f"; it says {answer['error']!r}" if "error" in answer else ""
    return f"its metadata has no 'metadata' object or no 'files' list{said}"


def _refusal(
    identifier: str, said: Mapping[str, Any], answer: Mapping[str, Any], read_at: str, params: ArchiveParams
) -> tuple[Reason, str] | licenses.Accepted:
    """The license of an item, or why none of its files may be used."""
    for field, where in (("access-restricted-item", said), ("nodownload", answer)):
        if _true(where.get(field)):
            return Reason.ITEM_RESTRICTED, f"{field} is {where[field]!r}"
    place = f"{params.base_url}/metadata/{identifier}"
    stated = [licenses.Statement(said.get("licenseurl"), f"{place} metadata.licenseurl", read_at)]
    stated += [licenses.Statement(said[f], f"{place} metadata.{f}", read_at, note=True) for f in RIGHTS_FIELDS if said.get(f)]
    decision = licenses.decide(stated)
    if isinstance(decision, licenses.Rejected):
        return decision.reason, decision.detail
    tags = _languages(said.get("language"))
    if tags and not any(same_language(tag, params.language) for tag in tags):
        return Reason.TEXT_WRONG_LANGUAGE, f"the item states {_join(said.get('language'))!r}, wanted is {params.language}"
    return decision


def _row(
    identifier: str,
    said: Mapping[str, Any],
    found: Pairing,
    license: licenses.Accepted,
    raw: Mapping[str, Any],
    params: ArchiveParams,
) -> Found:
    item_id = f"{SOURCE}:{identifier}/{found.audio.name}"
    if found.caption is None:
        return Rejection(item_id, Reason.NO_CAPTION, found.note, seconds=found.audio.length_s or 0.0)
    tags = [tag for tag in _languages(said.get("language")) if same_language(tag, params.language)]
    files = f"{params.base_url}/download/{quote(identifier, safe='')}/"
    extra = {
        "metadata": said,
        "audio_file": raw.get(found.audio.name),
        "caption_file": raw.get(found.caption.name),
        "other_captions": list(found.others),
    }
    return Item(
        {
            "item_id": item_id,
            "source": SOURCE,
            "identifier": identifier,
            "url": f"{params.base_url}/details/{quote(identifier, safe='')}",
            "title": _join(said.get("title")),
            "creator": _join(said.get("creator")),
            "language": found.language or (tags[0] if tags else None),
            **license.columns(),
            "audio_uri": files + quote(found.audio.name),
            "audio_bytes": found.audio.size,
            "audio_md5": found.audio.md5,
            "caption_uri": files + quote(found.caption.name),
            "caption_kind": found.caption.caption_kind,
            "claimed_duration_s": found.audio.length_s,
            "added_at": _date(said.get("addeddate")) or _date(said.get("publicdate")),
            "extra": json.dumps(extra, ensure_ascii=False, sort_keys=True),
            "recording_id": None,
            "document_id": None,
        }
    )


def _file(entry: Any) -> File | None:
    """One entry of ``files``; None if it has no name."""
    if not isinstance(entry, dict) or not (name := _name(entry.get("name"))):
        return None
    size = _first(entry.get("size"))
    number = int(size) if size and size.isdecimal() else None
    return File(
        name=name,
        format=_first(entry.get("format")) or "",
        original=_name(entry.get("original")) if _first(entry.get("source")) != "original" else None,
        size=number,
        md5=_first(entry.get("md5")),
        length_s=seconds(entry.get("length")),
        usable=number != 0 and not _true(entry.get("private")),
    )


def seconds(length: object) -> float | None:
    """A ``length`` field: seconds ('148.97') or a clock ('02:28', '1:02:03.5'); None if it is neither or not positive.

    >>> seconds("02:28"), seconds(["148.97"]), seconds("1:02:03"), seconds("n/a")
    (148.0, 148.97, 3723.0, None)
    """
    text = (_first(length) or "").strip()
    if not re.fullmatch(r"(\d+:){0,2}\d+(\.\d*)?", text):
        return None
    total = 0.0
    for part in text.split(":"):
        total = total * 60 + float(part)
    return total if total > 0 else None


def _texts(value: object) -> list[str]:
    """The non-blank strings in a field that may be a string, a number, a list of them, or absent."""
    values = value if isinstance(value, list) else [value]
    return [text for v in values if v is not None and (text := str(v).strip())]


def _languages(value: object) -> list[str]:
    """The languages that a field names, BCP 47; one string may name several ('spa;eng', 'Spanish and English')."""
    listed = (part.split("/") for text in _texts(value) for part in re.split(r"[;,&]|\band\b", text))
    # two letters after a stroke are a region: English US/UK, pt/br
    parts = (part for first, *others in listed for part in (first, *(o for o in others if len(o.strip()) > 2)))
    return [tag for part in parts if (tag := bcp47(part))]


def _first(value: object) -> str | None:
    return next(iter(_texts(value)), None)


def _name(value: object) -> str | None:
    """A file's name: blanks at its ends are part of it."""
    return next((str(v) for v in (value if isinstance(value, list) else [value]) if _texts(v)), None)


def _join(value: object) -> str | None:
    return "; ".join(_texts(value)) or None


def _true(value: object) -> bool:
    return any(text.lower() in ("true", "1", "yes") for text in _texts(value))


def _date(value: object) -> str | None:
    found = re.match(r"\d{4}-\d{2}-\d{2}", _first(value) or "")
    return found[0] if found else None
