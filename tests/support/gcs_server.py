"""A small Cloud Storage on 127.0.0.1 that keeps its promises, and breaks the line on order.

What the JSON API promises and emulators leave out is here: preconditions (``ifGenerationMatch``), one generation a write, CRC32C
that is compared with what the client states, resumable sessions that survive a broken connection, pages of a listing, copies by
the server. Bytes that an unfinished upload has sent are never visible."""

from __future__ import annotations

import base64
import itertools
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import google_crc32c

PAGE = 5
"""Objects in one page of a listing: small, so that every test turns pages."""
QUANTUM = 256 << 10
"""A broken resumable upload keeps whole quanta, as the real one."""


@dataclass
class Fault:
    """Something that goes wrong `times` times with requests of a method whose path contains `path`.

    kinds: status (value: code) · reset (the connection breaks after `value` bytes of the body, either way) · lost (the request
    is carried out, its answer never comes) · flip (one byte of the body is changed on the way) · slow (value: seconds)."""

    method: str
    path: str
    kind: str
    value: Any = None
    times: int = 1
    message: str = "planted"


@dataclass
class Thing:
    """One generation of an object."""

    data: bytes
    generation: int
    metadata: dict[str, str]
    updated: float

    @property
    def crc32c(self) -> str:
        return base64.b64encode(google_crc32c.Checksum(self.data).digest()).decode()


@dataclass
class Cloud:
    """What it holds, what shall go wrong, and what it was asked."""

    url: str = ""
    objects: dict[tuple[str, str], Thing] = field(default_factory=dict)
    buckets: set[str] = field(default_factory=lambda: {"speech"})
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    sessions: dict[str, dict[str, Any]] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)
    generations: Iterator[int] = field(default_factory=lambda: itertools.count(1_700_000_000_000_000))

    def names(self, bucket: str = "speech") -> list[str]:
        """Objects that anybody can see."""
        return sorted(name for held, name in self.objects if held == bucket)

    def fault(self, method: str, path: str) -> Fault | None:
        """The next fault for a request, used up."""
        with self.lock:
            for fault in self.faults:
                if fault.method == method and fault.path in path and fault.times > 0:
                    fault.times -= 1
                    return fault
        return None


class Refused(Exception):
    """An answer other than 2xx."""

    def __init__(self, code: int, message: str):
        super().__init__(message)
        self.code, self.message = code, message


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    cloud: Cloud

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def handle(self) -> None:
        try:
            super().handle()
        except (BrokenPipeError, ConnectionResetError):
            pass

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_DELETE = do_PATCH = do_GET

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        self.query = {k: v[0] for k, v in parse_qs(parts.query, keep_blank_values=True).items()}
        where = unquote(parts.path)
        with self.cloud.lock:
            self.cloud.requests.append((self.command, self.path))
        self.planted = self.cloud.fault(self.command, unquote(self.path))
        fault = self.planted
        self.body = b""
        length = int(self.headers.get("Content-Length") or 0)
        try:
            if fault and fault.kind == "reset" and self.command in ("POST", "PUT"):
                self.body = self.rfile.read(min(length, fault.value))
                self._keep_part(parts.path)
                return self._break()
            self.body = self._chunked() if self.headers.get("Transfer-Encoding") == "chunked" else self.rfile.read(length)
            if fault and fault.kind == "slow":
                time.sleep(fault.value)
            if fault and fault.kind == "status":
                raise Refused(fault.value, fault.message)
            if fault and fault.kind == "flip" and self.command in ("POST", "PUT"):
                middle = len(self.body) // 2
                self.body = self.body[:middle] + bytes([self.body[middle] ^ 1]) + self.body[middle + 1 :]
            with self.cloud.lock:
                code, headers, body = self._route(self.command, parts.path, where)
        except Refused as refused:
            code, headers = refused.code, {"Content-Type": "application/json"}
            body = json.dumps({"error": {"code": refused.code, "message": refused.message}}).encode()
        if fault and fault.kind == "lost":
            return self._break()
        if fault and fault.kind == "flip" and self.command == "GET":
            body = body[:-1] + bytes([body[-1] ^ 1])
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault and fault.kind == "reset":
            self.wfile.write(body[: fault.value])
            self.wfile.flush()
            return self._break()
        self.wfile.write(body)

    def _chunked(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _break(self) -> None:
        """Reset the connection (RST, not FIN)."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True
        raise ConnectionResetError

    # what it knows to do

    def _route(self, method: str, path: str, where: str) -> tuple[int, dict[str, str], bytes]:
        if "upload_id" in self.query:
            return self._session()
        if match := re.fullmatch(r"/upload/storage/v1/b/([^/]+)/o", path):
            return self._insert(self._bucket(match[1]))
        if match := re.fullmatch(r"/storage/v1/b/([^/]+)/o/([^/]+)/rewriteTo/b/([^/]+)/o/([^/]+)", path):
            source = self._thing(self._bucket(match[1]), unquote(match[2]))
            return self._put(self._bucket(match[3]), unquote(match[4]), source.data, source.metadata, rewrite=True)
        if match := re.fullmatch(r"(?:/download)?/storage/v1/b/([^/]+)/o/([^/]+)", path):
            return self._object(method, self._bucket(match[1]), unquote(match[2]))
        if match := re.fullmatch(r"/storage/v1/b/([^/]+)/o", path):
            return self._list(self._bucket(match[1]))
        raise Refused(404, f"{method} {where}: this server does not know it")

    def _bucket(self, name: str) -> str:
        if name not in self.cloud.buckets:
            raise Refused(404, "The specified bucket does not exist.")
        return name

    def _thing(self, bucket: str, name: str) -> Thing:
        thing = self.cloud.objects.get((bucket, name))
        if thing is None or self.query.get("generation", str(thing.generation)) != str(thing.generation):
            raise Refused(404, f"No such object: {bucket}/{name}")
        return thing

    def _check(self, bucket: str, name: str, query: dict[str, str]) -> None:
        thing = self.cloud.objects.get((bucket, name))
        if "ifGenerationMatch" in query and int(query["ifGenerationMatch"]) != (thing.generation if thing else 0):
            raise Refused(412, "At least one of the pre-conditions you specified did not hold.")

    def _put(
        self,
        bucket: str,
        name: str,
        data: bytes,
        said: dict[str, Any],
        query: dict[str, str] | None = None,
        rewrite: bool = False,
    ) -> tuple[int, dict[str, str], bytes]:
        self._check(bucket, name, self.query if query is None else query)
        metadata = said if rewrite else said.get("metadata", {})
        thing = Thing(data, next(self.cloud.generations), dict(metadata), time.time())
        if not rewrite and said.get("crc32c") not in (None, thing.crc32c):
            raise Refused(400, f'Provided CRC32C "{said["crc32c"]}" doesn\'t match calculated CRC32C "{thing.crc32c}".')
        self.cloud.objects[bucket, name] = thing
        about = self._about(bucket, name, thing)
        if rewrite:
            size = str(len(data))
            about = {"done": True, "totalBytesRewritten": size, "objectSize": size, "resource": about}
        return self._json(about)

    def _insert(self, bucket: str) -> tuple[int, dict[str, str], bytes]:
        if self.query["uploadType"] == "resumable":
            said = json.loads(self.body or b"{}")
            name = self.query.get("name") or said["name"]
            self._check(bucket, name, self.query)
            key = f"u{len(self.cloud.sessions)}"
            self.cloud.sessions[key] = {"bucket": bucket, "name": name, "said": said, "data": b"", "query": dict(self.query)}
            place = f"{self.cloud.url}/upload/storage/v1/b/{bucket}/o?uploadType=resumable&name={quote(name, safe='')}"
            place += f"&upload_id={key}"
            return 200, {"Location": place}, b""
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        first, second = BytesParser(policy=HTTP).parsebytes(head + self.body).iter_parts()
        said = json.loads(first.get_payload(decode=True))  # type: ignore[arg-type]
        boundary = re.search(r'boundary="?([^";]+)', self.headers["Content-Type"])[1].encode()  # type: ignore[index]
        data = self.body.split(b"--" + boundary)[2].split(b"\r\n\r\n", 1)[1][:-2]
        return self._put(bucket, said["name"], data, said)

    def _session(self) -> tuple[int, dict[str, str], bytes]:
        session = self.cloud.sessions.get(self.query["upload_id"])
        if session is None:
            raise Refused(410, "the session is gone")
        if self.command == "DELETE":
            return 499, {}, b""
        if "done" in session:
            return self._json(session["done"])
        span, total = self.headers["Content-Range"].removeprefix("bytes ").split("/")
        if span != "*":
            start = int(span.split("-")[0])
            if start > len(session["data"]):
                raise Refused(503, "a gap")
            session["data"] = session["data"][:start] + self.body
        if total != "*" and len(session["data"]) == int(total):
            code, headers, body = self._put(
                session["bucket"], session["name"], session["data"], session["said"], session["query"]
            )
            session["done"] = json.loads(body)
            return code, headers, body
        held = len(session["data"])
        return 308, {"Range": f"bytes=0-{held - 1}"} if held else {}, b""

    def _keep_part(self, path: str) -> None:
        """Of a resumable upload that breaks off, whole quanta are kept."""
        session = self.cloud.sessions.get(self.query.get("upload_id", ""))
        if session is not None and self.headers.get("Content-Range", "bytes */").removeprefix("bytes ")[0] != "*":
            start = int(self.headers["Content-Range"].removeprefix("bytes ").split("-")[0])
            session["data"] = session["data"][:start] + self.body[: len(self.body) // QUANTUM * QUANTUM]

    def _object(self, method: str, bucket: str, name: str) -> tuple[int, dict[str, str], bytes]:
        thing = self._thing(bucket, name)
        if method == "DELETE":
            self._check(bucket, name, self.query)
            del self.cloud.objects[bucket, name]
            return 204, {}, b""
        self._check(bucket, name, self.query)
        if self.query.get("alt") != "media":
            return self._json(self._about(bucket, name, thing))
        headers = {
            "Content-Type": "application/octet-stream", "X-Goog-Generation": str(thing.generation),
            "X-Goog-Hash": f"crc32c={thing.crc32c}", "X-Goog-Stored-Content-Length": str(len(thing.data)),
        }  # fmt: skip
        if span := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or ""):
            start, end = int(span[1]), int(span[2] or len(thing.data) - 1)
            if start >= len(thing.data):
                raise Refused(416, "The requested range cannot be satisfied.")
            data = thing.data[start : end + 1]
            return 206, headers | {"Content-Range": f"bytes {start}-{start + len(data) - 1}/{len(thing.data)}"}, data
        return 200, headers, thing.data

    def _list(self, bucket: str) -> tuple[int, dict[str, str], bytes]:
        """A page of objects; with a delimiter, what lies deeper is folded into prefixes."""
        prefix, delimiter = self.query.get("prefix", ""), self.query.get("delimiter")
        folded: dict[str, bool] = {}
        for name in self.cloud.names(bucket):
            if name.startswith(prefix):
                inner = name[len(prefix) :].partition(delimiter) if delimiter else (name, "", "")
                folded[prefix + inner[0] + inner[1] if inner[1] else name] = bool(inner[1])
        names = [n for n in sorted(folded) if n > self.query.get("pageToken", "")]
        page = names[:PAGE]
        answer: dict[str, Any] = {
            "items": [self._about(bucket, n, self.cloud.objects[bucket, n]) for n in page if not folded[n]],
            "prefixes": [n for n in page if folded[n]],
        }
        if len(names) > PAGE:
            answer["nextPageToken"] = page[-1]
        return self._json(answer)

    def _about(self, bucket: str, name: str, thing: Thing) -> dict[str, Any]:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(thing.updated)) + f".{int(thing.updated % 1 * 1000):03d}Z"
        return {
            "kind": "storage#object", "bucket": bucket, "name": name, "size": str(len(thing.data)), "crc32c": thing.crc32c,
            "generation": str(thing.generation), "metageneration": "1", "metadata": thing.metadata, "updated": stamp,
            "timeCreated": stamp,
        }  # fmt: skip

    @staticmethod
    def _json(value: Any) -> tuple[int, dict[str, str], bytes]:
        return 200, {"Content-Type": "application/json"}, json.dumps(value).encode()


@contextmanager
def serve(port: int = 0, host: str = "127.0.0.1") -> Iterator[Cloud]:
    """A running server; it ends with the block."""
    cloud = Cloud()
    handler = type("Handler", (_Handler,), {"cloud": cloud})
    server = ThreadingHTTPServer((host, port), handler)
    server.daemon_threads = True
    cloud.url = f"http://{host}:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield cloud
    finally:
        server.shutdown()
        server.server_close()
