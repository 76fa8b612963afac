"""Searching the Internet Archive: the query, and its pages one after the other (``/services/search/v1/scrape``, cursor).

The query is that of The People's Speech (mlcommons/peoples-speech, ``scripts/archive.org/download_items.py``, key
``CC_BY_SA_EXPANDED_LICENSES_FILTERED_ACCESS``): 15 license URLs, audio or films, captioned, not access-restricted; limited to the
items added in one month and, because captions arrive late, in the months before it.
"""

from __future__ import annotations

import calendar
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ingest.http import Client, GaveUp, HttpError
from stagekit.errors import StageError, UnavailableError
from stagekit.storage import LocalStorage

LICENSES = (
    *(rf"creativecommons.org\/licenses\/by-sa\/{version}" for version in ("4.0", "3.0", "2.5", "2.0", "1.0")),
    r"creativecommons.org\/publicdomain\/zero\/1.0",
    *(rf"creativecommons.org\/licenses\/by\/{version}" for version in ("4.0", "3.0", "2.5", "2.0", "1.0")),
    r"creativecommons.org\/licenses\/publicdomain",
    r"creativecommons.org\/publicdomain\/mark\/1.0",
    r"usa.gov\/government-works",
    r"creativecommons.org\/licenses\/cc0\/3.0",
)
"""The 15 clauses of the original. A slash must be escaped in the archive's query language."""
MAX_MISSING = 0.01
"""Share of the search's own ``total`` that may be missing at its end: the index moves a little while it is read."""


class ArchiveParams(BaseModel):
    """What to look for. Everything here decides the result, save ``base_url`` and ``page_size``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    month: str = Field(pattern=r"^\d{4}\.(0[1-9]|1[0-2])$", description="month whose items are wanted, YYYY.MM")
    language: str = Field("en", description="language wanted, BCP 47")
    trailing_months: int = Field(3, ge=0, le=240, description="months before it that are looked through again for late captions")
    limit: int | None = Field(None, ge=1, description="at most so many archive items, in the order of their identifiers")
    base_url: str = Field("https://archive.org", description="where the endpoints are")
    page_size: int = Field(10_000, ge=100, le=10_000, description="items per page of the search; 100 to 10,000 are allowed")


def query(params: ArchiveParams) -> str:
    """The search, in the archive's query language (Lucene).

    >>> query(ArchiveParams(month="2026.10", trailing_months=1)).rpartition(" AND ")[2]
    'addeddate:[2026-09-01 TO 2026-10-31]'
    """
    allowed = " OR ".join(f"licenseurl:*{license}*" for license in LICENSES)
    first, last = months(params.month, params.trailing_months)
    return (
        f"({allowed}) AND (mediatype:audio OR mediatype:movies) "
        'AND (closed_captioning:yes OR format:SubRip OR format:"Web Video Text Tracks") '
        f"AND (NOT access-restricted-item:TRUE) AND addeddate:[{first} TO {last}]"
    )


def months(month: str, trailing: int) -> tuple[str, str]:
    """First and last day, ISO 8601, of a month YYYY.MM and so many before it.

    >>> months("2024.02", 3)
    ('2023-11-01', '2024-02-29')
    """
    year, number = map(int, month.split("."))
    start = year * 12 + number - 1 - trailing
    return f"{start // 12:04d}-{start % 12 + 1:02d}-01", f"{year:04d}-{number:02d}-{calendar.monthrange(year, number)[1]:02d}"


def search(params: ArchiveParams, client: Client, folder: Path | None, metrics: dict[str, Any]) -> list[str]:
    """All identifiers that the search finds, sorted. Pages that an earlier run has seen are read from ``folder``.

    Raises:
        UnavailableError: the archive gives up, stops before its own total, or answers another query.
        StageError: it refuses this one.
    """
    pages = _Pages(folder)
    if not pages.finished:
        url, repeated = f"{params.base_url}/services/search/v1/scrape", False
        while not pages.finished:
            asked = {"q": query(params), "fields": "identifier,addeddate", "count": str(params.page_size)}
            if pages.cursor:
                asked["cursor"] = pages.cursor
            try:
                answer = client.json(url, asked)
                if "error" in answer:
                    raise HttpError(f"{url}: {answer['error']}", 400)
                _check(answer, params, pages)
                pages.add(answer)
            except GaveUp as error:
                raise UnavailableError(f"the search gave up: {error}; run again later, the pages read are kept") from None
            except HttpError as error:
                # A cursor kept from an earlier run may have expired.
                if error.status == 400 and pages.resumed and not repeated:
                    repeated = True
                    pages.clear()
                    continue
                raise StageError(f"the archive refuses the search: {error}") from None
            except (KeyError, TypeError, AttributeError, ValueError) as error:
                raise StageError(f"{url} answers in another form than the scrape API ({type(error).__name__}: {error})") from None
    identifiers = sorted(set(pages.identifiers))
    total = metrics["search_total"] = pages.total
    if total is not None and not pages.whole:
        pages.clear()
        raise UnavailableError(f"the search ended after {len(identifiers)} of {total} items; run again")
    return identifiers


def _check(answer: Mapping[str, Any], params: ArchiveParams, pages: _Pages) -> None:
    """Refuse two answers that the archive gives now and then, with status 200: nothing at all, and items of another query.

    Raises:
        GaveUp: it is one of them.
    """
    if not answer["items"] and not answer.get("cursor") and answer.get("total") is None and not pages.whole:
        raise GaveUp("it answers with no items and no total")
    first, last = months(params.month, params.trailing_months)
    dates = [added[:10] for item in answer["items"] if isinstance(added := item.get("addeddate"), str)]
    strays = [date for date in dates if not first <= date <= last]
    if len(strays) > len(dates) / 2:  # a few may be wrong in its index
        many = f"{len(strays)} of {len(dates)} items"
        raise GaveUp(f"it answers another query: {many} were not added in {first}/{last} but on {strays[0]}")


class _Pages:
    """The pages of a search so far; kept in one file of JSON lines, a line a page, if there is a folder."""

    def __init__(self, folder: Path | None):
        self.file = folder / "search.jsonl" if folder else None
        self._empty()
        if self.file and self.file.exists():
            for line in self.file.read_text(encoding="utf-8").split("\n"):
                try:
                    self._take(json.loads(line))
                except ValueError:  # the line that a kill cut off
                    break
        self.resumed = bool(self.identifiers)

    def _empty(self) -> None:
        self.identifiers: list[str] = []
        self.cursor: str | None = None
        self.seen: set[str] = set()
        self.total: int | None = None
        self.finished = False

    @property
    def whole(self) -> bool:
        """Whether all that the archive promised has come."""
        return self.total is not None and len(set(self.identifiers)) >= self.total * (1 - MAX_MISSING)

    def _take(self, page: Mapping[str, Any]) -> None:
        self.identifiers += page["identifiers"]
        self.cursor = page["cursor"]
        self.total = page["total"] if page["total"] is not None else self.total
        self.finished = self.cursor is None

    def add(self, answer: Mapping[str, Any]) -> None:
        """One answer of the scrape API."""
        identifiers = [str(item["identifier"]) for item in answer["items"]]
        cursor = answer.get("cursor") or None
        if cursor and (cursor in self.seen or not identifiers):
            raise ValueError(f"the cursor {cursor!r} leads nowhere")
        self.seen.add(cursor or "")
        total = answer.get("total")
        page = {"identifiers": identifiers, "cursor": cursor, "total": int(total) if total is not None else None}
        self._take(page)
        if self.file:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            whole = self.file.read_text(encoding="utf-8") if self.file.exists() else ""
            whole = whole[: whole.rfind("\n") + 1] + json.dumps(page) + "\n"
            LocalStorage().write_bytes(str(self.file), whole.encode())

    def clear(self) -> None:
        """Start over."""
        if self.file:
            self.file.unlink(missing_ok=True)
        self._empty()
