"""A small Internet Archive on 127.0.0.1: search, metadata and downloads as archive.org serves them, with faults on order.

The search reads the query that it is sent (license, media, caption, access and date clauses), so a query that would find
nothing there finds nothing here; an unescaped slash is an error, as there. Downloads redirect to a storage node, know ETag,
Range and If-Range."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

BY = "http://creativecommons.org/licenses/by/4.0/"
MODIFIED = "Thu, 01 Oct 2026 10:00:00 GMT"


@dataclass
class Fault:
    """Something that goes wrong `times` times with requests whose path contains `path`.

    kinds: status (value: code, headers) · drop (value: share of the body sent before the connection breaks) · cut (likewise,
    but without a Content-Length: the client cannot tell) · no_range (answers 200 whole) · stale_range (206 of a changed file,
    If-Range ignored) · html (a page where JSON belongs) · json (value: the answer, with status 200) · slow (value: bytes a
    second) · change (the file is another one from then on)."""

    path: str
    kind: str
    value: Any = None
    times: int = 1


@dataclass
class Archive:
    """What it holds, what shall go wrong, and what it was asked."""

    url: str = ""
    items: dict[str, dict[str, Any]] = field(default_factory=dict)
    content: dict[str, bytes] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, int, dict[str, str]]] = field(default_factory=list)
    """(path, status, request headers), in order."""
    served: Counter[str] = field(default_factory=Counter)
    """Body bytes sent, by path below /download/."""
    busy: int = 0
    busiest: int = 0
    total: int | None = None
    """What the search claims to find, if not the truth."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(
        self,
        identifier: str,
        files: list[dict[str, Any]] | None = None,
        *,
        content: dict[str, bytes] | None = None,
        **metadata: Any,
    ) -> None:
        """An item. Files named in `content` get their true size and md5 unless stated; they come first."""
        entries = []
        for name, body in (content or {}).items():
            self.content[f"{identifier}/{name}"] = body
            listed = {"name": name, "source": "original", "size": str(len(body)), "md5": hashlib.md5(body).hexdigest()}
            stated = next((f for f in files or [] if f["name"] == name), {})
            entries.append(listed | stated)
        entries += [f for f in files or [] if f["name"] not in (content or {})]
        said = {"identifier": identifier, "mediatype": "audio", "licenseurl": BY, "addeddate": "2026-10-10 08:00:00"} | metadata
        self.items[identifier] = {
            "created": 1790000000, "d1": "ia600300.us.archive.org", "dir": f"/10/items/{identifier}", "files": entries,
            "metadata": {k: v for k, v in said.items() if v is not None},
        }  # fmt: skip

    def count(self, path: str) -> int:
        """Requests whose path contains `path`."""
        return sum(path in asked for asked, _, _ in self.requests)

    def statuses(self, path: str) -> list[int]:
        """Their statuses, redirects left out."""
        return [status for asked, status, _ in self.requests if path in asked and status != 302]

    def fault(self, path: str, *kinds: str) -> Fault | None:
        """The next fault for a request, used up."""
        with self.lock:
            for fault in self.faults:
                if fault.path in path and fault.kind in kinds and fault.times > 0:
                    fault.times -= 1
                    return fault
        return None

    def search(self, text: str) -> list[str]:
        """Identifiers that a query finds; ValueError for bad syntax."""
        outside_quotes = re.sub(r'"[^"]*"', "", text)
        if re.search(r"(?<!\\)/", outside_quotes):
            raise ValueError("unescaped slash")
        licenses = [part.replace("\\/", "/") for part in re.findall(r"licenseurl:\*(\S+?)\*(?=[ )])", text)]
        media = re.findall(r"mediatype:(\w+)", text)
        formats = [quoted or plain for quoted, plain in re.findall(r'format:(?:"([^"]+)"|(\w+))', text)]
        dates = re.search(r"addeddate:\[(\S+) TO (\S+)\]", text)
        if not dates or not licenses or not media:
            raise ValueError("no date, license or mediatype clause")
        found = []
        for identifier, item in self.items.items():
            said = item.get("index", item["metadata"])
            url = " ".join(said["licenseurl"]) if isinstance(said.get("licenseurl"), list) else said.get("licenseurl", "")
            captioned = said.get("closed_captioning") == "yes" or any(f.get("format") in formats for f in item["files"])
            restricted = "NOT access-restricted-item:TRUE" in text and said.get("access-restricted-item") == "true"
            added = said.get("addeddate", "")[:10]
            if any(part in url for part in licenses) and said.get("mediatype") in media and captioned and not restricted:
                if dates[1] <= added <= dates[2]:
                    found.append(identifier)
        return found


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    archive: Archive

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def handle(self) -> None:
        try:
            super().handle()
        except (BrokenPipeError, ConnectionResetError):  # a client that was killed
            pass

    def do_GET(self) -> None:
        archive, path = self.archive, unquote(urlsplit(self.path).path)
        with archive.lock:
            archive.busy += 1
            archive.busiest = max(archive.busiest, archive.busy)
        try:
            if fault := archive.fault(self.path, "status"):
                code, headers = fault.value
                self.answer(code, b"<html>busy</html>", headers | {"Content-Type": "text/html"})
            elif archive.fault(self.path, "html"):
                self.answer(200, b"<html>maintenance</html>", {"Content-Type": "text/html"})
            elif fault := archive.fault(self.path, "json"):
                self.json(200, fault.value)
            elif path == "/services/search/v1/scrape":
                self.scrape({k: v[0] for k, v in parse_qs(urlsplit(self.path).query).items()})
            elif path.startswith("/metadata/"):
                self.json(200, archive.items.get(path.removeprefix("/metadata/"), {}))
            elif path.startswith("/download/"):
                self.answer(302, b"", {"Location": "/0/items/" + self.path.removeprefix("/download/")})
            elif path.startswith("/0/items/"):
                self.file(path.removeprefix("/0/items/"))
            else:
                self.answer(404, b"not found", {})
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            with archive.lock:
                archive.busy -= 1

    def note(self, status: int) -> None:
        with self.archive.lock:
            self.archive.requests.append((self.path, status, dict(self.headers)))

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.note(status)
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def json(self, status: int, value: Any) -> None:
        self.answer(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def scrape(self, asked: dict[str, str]) -> None:
        try:
            found = self.archive.search(asked["q"])
            count = int(asked.get("count", "100"))
            if not 100 <= count <= 10_000:
                raise ValueError("count must be between 100 and 10000")
            start = int(base64.b64decode(asked["cursor"]).decode()) if "cursor" in asked else 0
        except (KeyError, ValueError) as error:
            self.json(400, {"error": str(error), "errorType": "RequestException"})
            return
        archive, page = self.archive, found[start : start + count]
        total = len(found) if self.archive.total is None else self.archive.total
        fields = asked.get("fields", "identifier").split(",")
        holding = [(i, archive.items.get(i, {})) for i in page]
        said = [item.get("index", item.get("metadata", {})) | {"identifier": i} for i, item in holding]
        answer: dict[str, Any] = {
            "items": [{f: one[f] for f in fields if f in one} for one in said],
            "count": len(page),
            "total": total,
        }
        if start + count < len(found):
            answer["cursor"] = base64.b64encode(str(start + count).encode()).decode()
        self.json(200, answer)

    def file(self, name: str) -> None:
        archive = self.archive
        if name not in archive.content:
            self.answer(404, b"not found", {})
            return
        body = archive.content[name]
        etag = f'"{hashlib.md5(body).hexdigest()[:16]}"'
        headers = {"ETag": etag, "Last-Modified": MODIFIED, "Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
        status, start = 200, 0
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        current = self.headers.get("If-Range") in (None, etag, MODIFIED) or archive.fault(self.path, "stale_range")
        if asked and current and not archive.fault(self.path, "no_range"):
            start = int(asked[1])
            if start >= len(body):
                self.answer(416, b"", headers | {"Content-Range": f"bytes */{len(body)}"})
                return
            status = 206
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        part = body[start:]
        cut, drop, slow = archive.fault(self.path, "cut"), archive.fault(self.path, "drop"), archive.fault(self.path, "slow")
        if archive.fault(self.path, "change"):
            archive.content[name] = body[::-1]
        self.note(status)
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        if cut:
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        stop = int(len(part) * (cut or drop).value) if cut or drop else len(part)  # type: ignore[union-attr]
        step = max(1, int(slow.value / 50)) if slow else 1 << 16
        for at in range(0, stop, step):
            block = part[at : min(at + step, stop)]
            with archive.lock:  # before the client can have it: its test may look as soon as it does
                archive.served[name] += len(block)
            self.wfile.write(block)
            self.wfile.flush()
            if slow:
                time.sleep(1 / 50)
        if cut or drop:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def serve() -> Iterator[Archive]:
    """An empty archive, running until the block ends."""
    archive = Archive()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"archive": archive}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    archive.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield archive
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
