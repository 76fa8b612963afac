"""HTTP that a public archive can live with: few connections, a name, patience.

One :class:`Client` is shared by all threads of a process. What a server asks for (429 or 503 with ``Retry-After``) holds back
every request to that host, not only the one that was told; what it does not say is waited for with exponential backoff and full
jitter (M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog 2015). The time that one request may take, waits
included, is capped: a wait that would pass the cap fails at once.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

import urllib3

USER_AGENT = "Speechmill/1 (open speech datasets)"
RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that may be different next time."""
MOST_REDIRECTS = 5
SLOWEST = 1 << 16
"""Bytes that have to arrive within a request's patience: a connection that only trickles would be held for days."""


class HttpError(Exception):
    """A request did not get what it asked for. The message names URL and what was seen. ``status``: None without an answer."""

    def __init__(self, message: str, status: int | None = None):
        super().__init__(message)
        self.status = status


class GaveUp(HttpError):  # noqa: N818 - reads as what it is where it is raised
    """The server was still failing when the time for this request was over: another day may do."""


@dataclass(frozen=True)
class Manners:
    """How a client behaves.

    ``contact`` is added to the User-Agent (an address or a URL where the operator of the server finds a person). Times are
    seconds. ``patience_s`` caps one request with all its retries and waits, counted from its last progress.
    """

    connections: int = 4
    contact: str = ""
    patience_s: float = 900.0
    backoff_s: float = 1.0
    backoff_max_s: float = 60.0
    connect_timeout_s: float = 20.0
    read_timeout_s: float = 60.0


@dataclass
class Patience:
    """The time left for one request. ``progressed`` starts it anew: a slow download that moves is not a failing one.

    ``stop``, once set by another thread, ends every wait.
    """

    manners: Manners
    stop: threading.Event = field(default_factory=threading.Event)
    failures: int = 0
    arrived: int = 0
    deadline: float = field(init=False)

    def __post_init__(self) -> None:
        self.progressed()

    def progressed(self) -> None:
        """Something arrived.

        Raises:
            GaveUp: ``stop`` is set.
        """
        if self.stop.is_set():
            raise GaveUp("stopped")
        self.failures = self.arrived = 0
        self.deadline = time.monotonic() + self.manners.patience_s

    def received(self, count: int, url: str) -> None:
        """So many more bytes of a body arrived: with :data:`SLOWEST` of them it has progressed.

        Raises:
            GaveUp: so few arrived within the patience, or ``stop`` is set.
        """
        self.arrived += count
        if self.arrived >= SLOWEST or self.stop.is_set():
            self.progressed()
        elif time.monotonic() > self.deadline:
            raise GaveUp(f"{url}: only {self.arrived} bytes arrived in {self.manners.patience_s:.0f} s")

    def wait(self, why: str, asked_s: float | None = None, status: int | None = None) -> None:
        """Sleep before the next try: as long as the server asked, else with backoff.

        Raises:
            GaveUp: the wait would pass the deadline.
        """
        self.failures += 1
        ceiling = min(self.manners.backoff_max_s, self.manners.backoff_s * 2 ** (self.failures - 1))
        pause = random.uniform(0, ceiling) if asked_s is None else asked_s + random.uniform(0, min(1.0, self.manners.backoff_s))
        if time.monotonic() + pause > self.deadline:
            asks = f"; it asks to wait {asked_s:.0f} s" if asked_s is not None else ""
            raise GaveUp(f"{why}; tried {self.failures} times, {self.manners.patience_s:.0f} s are all it gets{asks}", status)
        self.sleep(pause, why)

    def sleep(self, pause: float, why: str) -> None:
        """Sleep.

        Raises:
            GaveUp: ``stop`` is set.
        """
        if self.stop.wait(pause):
            raise GaveUp(f"{why}; stopped")


def retry_after_s(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds that a ``Retry-After`` header asks for: a number or an HTTP date (RFC 9110, 10.2.3); None if it says neither.

    >>> retry_after_s("120")
    120.0
    >>> retry_after_s("Fri, 31 Dec 1999 23:59:59 GMT"), retry_after_s("soon")
    (0.0, None)
    """
    text = (value or "").strip()
    if text.isdecimal():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (date - (now or datetime.now(UTC))).total_seconds())


class Client:
    """Requests to any host, at most ``manners.connections`` at a time. Safe to share between threads."""

    def __init__(self, manners: Manners | None = None):
        self.manners = manners or Manners()
        self._slots = threading.BoundedSemaphore(self.manners.connections)
        self._lock = threading.Lock()
        self._not_before: dict[str, float] = {}
        agent = f"{USER_AGENT[:-1]}; {self.manners.contact})" if self.manners.contact else USER_AGENT
        self._pool = urllib3.PoolManager(
            num_pools=32,
            maxsize=self.manners.connections,
            headers={"User-Agent": agent, "Accept-Encoding": "identity"},
            timeout=urllib3.Timeout(connect=self.manners.connect_timeout_s, read=self.manners.read_timeout_s),
            # Retries and redirects are decided here.
            retries=urllib3.Retry(total=None, connect=0, read=0, status=0, other=0, redirect=0, respect_retry_after_header=False),
        )

    def patience(self, stop: threading.Event | None = None) -> Patience:
        """A full measure of time for one request."""
        return Patience(self.manners, stop or threading.Event())

    @contextmanager
    def stream(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        patience: Patience | None = None,
        accept: frozenset[int] = frozenset(),
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """GET a URL and hand over its answer with the body still to read, once the status is 2xx or one of ``accept``.

        Raises:
            GaveUp: no such answer came in time.
            HttpError: the server refuses (another 4xx), or redirects without end.
        """
        patience = patience or self.patience()
        whole = {**self._pool.headers, **(headers or {})}
        at, hops = url, 0
        while True:
            self._hold(urlsplit(at).netloc, url, patience)
            with self._slots:
                try:
                    answer = self._pool.request("GET", at, headers=whole, preload_content=False, redirect=False)
                except urllib3.exceptions.LocationParseError as error:
                    raise HttpError(f"{url} is not a URL that can be fetched ({error})") from None
                except urllib3.exceptions.HTTPError as error:
                    why, asked, status = f"{url}: {_reason(error)}", None, None
                else:
                    if step := answer.get_redirect_location():
                        answer.drain_conn()  # so that the connection is used again
                        at, hops = urljoin(at, step), hops + 1
                        if hops > MOST_REDIRECTS:
                            raise HttpError(f"{url}: more than {MOST_REDIRECTS} redirects")
                        continue
                    if 200 <= answer.status < 300 or answer.status in accept:
                        try:
                            yield answer
                        finally:
                            answer.close()
                        return
                    why, status = f"{url}: status {answer.status}", answer.status
                    asked = retry_after_s(answer.headers.get("Retry-After"))
                    answer.close()
                    if answer.status not in RETRIED:
                        raise HttpError(why, status)
            if asked is not None and status in (429, 503):
                host = urlsplit(at).netloc  # one storage node that is busy does not speak for the archive
                with self._lock:
                    self._not_before[host] = max(self._not_before.get(host, 0.0), time.monotonic() + asked)
            patience.wait(why, asked, status)
            at, hops = url, 0

    def json(self, url: str, query: Mapping[str, str] | None = None, stop: threading.Event | None = None) -> Any:
        """GET a URL and read its body as JSON; a body that breaks off or is no JSON is asked for again.

        Raises:
            GaveUp: no such answer came in time.
            HttpError: the server refuses.
        """
        full = f"{url}?{urlencode(query)}" if query else url
        patience = self.patience(stop)
        while True:
            try:
                with self.stream(full, {"Accept": "application/json"}, patience) as answer:
                    return json.loads(answer.read())
            except urllib3.exceptions.HTTPError as error:
                why = _reason(error)
            except ValueError as error:
                why = f"not JSON ({error})"
            patience.wait(f"{full}: {why}")

    def _hold(self, host: str, url: str, patience: Patience) -> None:
        """Wait until the host may be asked again."""
        while (pause := self._not_before.get(host, 0.0) - time.monotonic()) > 0:
            if time.monotonic() + pause > patience.deadline:
                raise GaveUp(f"{url}: its host asks to wait {pause:.0f} s more; {self.manners.patience_s:.0f} s are all it gets")
            patience.sleep(pause + random.uniform(0, 0.1), url)


def _reason(error: Exception) -> str:
    """What went wrong, without object addresses."""
    inner = getattr(error, "reason", None) or error
    text = str(inner)
    return f"{type(inner).__name__}: {text.split(': ', 1)[-1] if ' object at 0x' in text else text}"
