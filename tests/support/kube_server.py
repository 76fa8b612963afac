"""A small Kubernetes on this machine: the API of pods, with this machine's Docker engine for a node, and faults on order.

It knows what an operator needs (create, read, list, patch, delete, logs, events) and refuses what Kubernetes' own description of
a pod does not know: bodies are read into the classes that the client generates from its OpenAPI document, field by field.
A pod's image ``NAME@sha256:<id>`` is the engine's image of that id."""

from __future__ import annotations

import json
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import docker
from docker.errors import APIError, NotFound
from kubernetes.client import models

LABEL = "org.speechmill.pod"
REASONS = {404: "NotFound", 409: "Conflict", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable"}


@dataclass
class Fault:
    """Something that goes wrong `times` times.

    kinds: status (of a request of `method` whose path contains `path`; value: code) · cut (a log ends after `value` bytes) ·
    and of a pod whose name contains `path`: pending (it is never scheduled) · no_image (its image cannot be pulled) · preempt
    (it is taken away after `value` seconds of running) · vanish (likewise, and nothing of it is left)."""

    kind: str
    path: str = ""
    value: Any = None
    method: str = ""
    times: int = 1


@dataclass
class Cluster:
    """What it holds, what shall go wrong, and what it was asked."""

    url: str = ""
    pods: dict[str, dict[str, Any]] = field(default_factory=dict)
    created: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    requests: list[tuple[str, str, int]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    nodes: list[threading.Thread] = field(default_factory=list)
    """One per pod that was made; it ends when the pod's container has."""
    lock: threading.RLock = field(default_factory=threading.RLock)
    version: int = 1

    def fault(self, *kinds: str, path: str = "", method: str = "") -> Fault | None:
        """The next fault that fits, used up."""
        with self.lock:
            for fault in self.faults:
                if fault.kind in kinds and fault.path in path and fault.method in ("", method) and fault.times > 0:
                    fault.times -= 1
                    return fault
        return None

    def kubeconfig(self) -> dict[str, Any]:
        """How a client reaches it."""
        return {
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": self.url}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "users": [{"name": "test", "user": {"token": "x"}}],
        }  # fmt: skip


class Refused(Exception):
    """An answer other than 2xx."""

    def __init__(self, code: int, message: str):
        super().__init__(message)
        self.code, self.message = code, message


def check(value: Any, kind: str, where: str = "") -> None:
    """Refuse what a type of Kubernetes' description does not allow.

    Raises:
        Refused: 422, naming the field.
    """
    if value is None:
        return
    if match := re.fullmatch(r"list\[(.+)\]", kind):
        if not isinstance(value, list):
            raise Refused(422, f"{where}: expected a list")
        for number, item in enumerate(value):
            check(item, match[1], f"{where}[{number}]")
    elif match := re.fullmatch(r"dict[(\[](\w+), (.+)[)\]]", kind):
        if not isinstance(value, dict):
            raise Refused(422, f"{where}: expected an object")
        for name, item in value.items():
            check(item, match[2], f"{where}.{name}")
    elif kind in ("str", "datetime"):
        if not isinstance(value, str):
            raise Refused(422, f"{where}: expected a string, not {value!r}")
    elif kind in ("int", "bool"):
        if not isinstance(value, bool if kind == "bool" else int):
            raise Refused(422, f"{where}: expected {kind}, not {value!r}")
    elif kind != "object":
        model = getattr(models, kind)
        names = {model.attribute_map[a]: t for a, t in model.openapi_types.items()}
        if unknown := set(value) - set(names):
            raise Refused(422, f"{where}: unknown fields {sorted(unknown)} of {kind}")
        for name, item in value.items():
            check(item, names[name], f"{where}.{name}")


class _Node(threading.Thread):
    """Runs one pod's container, and keeps its status."""

    def __init__(self, cluster: Cluster, pod: dict[str, Any]):
        super().__init__(daemon=True)
        self.cluster, self.pod = cluster, pod
        self.name_ = pod["metadata"]["name"]

    def status(self, phase: str, state: dict[str, Any] | None = None, **more: Any) -> None:
        base = self.pod["spec"]["containers"][0]
        with self.cluster.lock:
            self.cluster.version += 1
            self.pod["metadata"]["resourceVersion"] = str(self.cluster.version)
            self.pod["status"] = {"phase": phase, "startTime": now(), **more}
            if state:
                self.pod["status"]["containerStatuses"] = [
                    {
                        "name": base["name"], "image": base["image"], "imageID": base["image"], "ready": "running" in state,
                        "started": "running" in state, "restartCount": 0, "state": state,
                    }
                ]  # fmt: skip

    def run(self) -> None:
        cluster, spec = self.cluster, self.pod["spec"]
        if cluster.fault("pending", path=self.name_):
            message = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu"
            condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
            self.status("Pending", conditions=[condition])
            return
        base = spec["containers"][0]
        if cluster.fault("no_image", path=self.name_):
            waiting = {"reason": "ErrImagePull", "message": f"{base['image']}: not found"}
            self.status("Pending", {"waiting": waiting}, conditions=[{"type": "PodScheduled", "status": "True"}])
            return
        client = docker.from_env()
        self.status(
            "Pending", {"waiting": {"reason": "ContainerCreating"}}, conditions=[{"type": "PodScheduled", "status": "True"}]
        )
        container = client.containers.run(
            "sha256:" + base["image"].rpartition("@sha256:")[2],
            base["args"],
            detach=True,
            environment={e["name"]: e["value"] for e in base.get("env") or []},
            labels={LABEL: self.name_},
            name=f"pod-{self.name_}",
            user=f"{spec['securityContext']['runAsUser']}:{spec['securityContext']['runAsGroup']}",
            read_only=base["securityContext"]["readOnlyRootFilesystem"],
            cap_drop=base["securityContext"]["capabilities"]["drop"],
            volumes=[mount["mountPath"] for mount in base["volumeMounts"]],
        )
        self.status("Running", {"running": {"startedAt": now()}}, conditions=[{"type": "PodScheduled", "status": "True"}])
        if cluster.pods.get(self.name_) is not self.pod:  # deleted before its container was there
            return _remove(self.name_)
        taken = cluster.fault("preempt", "vanish", path=self.name_)
        if taken is not None:
            time.sleep(taken.value)
            container.kill()
            if taken.kind == "vanish":
                with cluster.lock:
                    cluster.pods.pop(self.name_, None)
                container.remove(force=True, v=True)
                return
        try:
            code = container.wait()["StatusCode"]
            container.reload()
            said = container.logs(tail=80).decode("utf-8", "replace")[-2048:]
        except APIError:  # deleted, or just being removed
            return
        reason = "OOMKilled" if container.attrs["State"]["OOMKilled"] else "Error" if code else "Completed"
        ended = {"exitCode": code, "reason": reason, "finishedAt": now(), "message": said if code else ""}
        more = {"reason": "Terminated", "message": "Pod was terminated in response to imminent node shutdown."} if taken else {}
        self.status("Failed" if code else "Succeeded", {"terminated": ended}, **more)


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    cluster: Cluster

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def handle(self) -> None:
        try:
            super().handle()
        except (BrokenPipeError, ConnectionResetError):
            pass

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self.query = {k: v[0] for k, v in parse_qs(parts.query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            if fault := self.cluster.fault("status", path=self.path, method=self.command):
                raise Refused(fault.value, "planted")
            code, answer = self._route(parts.path, json.loads(body) if body else None)
        except Refused as refused:
            code, reason = refused.code, REASONS.get(refused.code, "Invalid")
            answer = {
                "kind": "Status",
                "apiVersion": "v1",
                "status": "Failure",
                "message": refused.message,
                "reason": reason,
                "code": code,
            }
        self.cluster.requests.append((self.command, parts.path, code))
        if isinstance(answer, bytes):
            return self._log(answer)
        data = json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_POST = do_PATCH = do_DELETE = do_GET

    def _log(self, text: bytes) -> None:
        cut = self.cluster.fault("cut")
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text[: cut.value] if cut else text)
        if cut:
            self.wfile.flush()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            raise ConnectionResetError

    def _route(self, path: str, body: Any) -> tuple[int, Any]:
        match = re.fullmatch(r"/api/v1/namespaces/([^/]+)/(pods|events)(?:/([^/]+))?(?:/(log))?", path)
        if not match:
            raise Refused(404, f"{self.command} {path}: this server does not know it")
        namespace, kind, name, log = match.groups()
        if kind == "events" and "watch" in self.query:
            return 200, b""
        if kind == "events":
            return 200, {"kind": "EventList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": []}
        with self.cluster.lock:
            if self.command == "POST":
                return 201, self._create(namespace, body)
            if name is None:
                return 200, {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": self._selected()}
            if name not in self.cluster.pods:
                raise Refused(404, f'pods "{name}" not found')
            pod = self.cluster.pods[name]
            if self.command == "PATCH":
                pod["metadata"].setdefault("labels", {}).update(body["metadata"]["labels"])
            if self.command == "DELETE":
                self.cluster.deleted.append(name)
                del self.cluster.pods[name]
                threading.Thread(target=_remove, args=(name,), daemon=True).start()
        if log:
            try:
                since = int(time.time() - int(self.query["sinceSeconds"])) if "sinceSeconds" in self.query else None
                stamped = self.query.get("timestamps") in ("true", "True")
                return 200, docker.from_env().containers.get(f"pod-{name}").logs(since=since, timestamps=stamped)
            except NotFound:
                raise Refused(404, f"container of {name} not found") from None
        return 200, pod

    def _create(self, namespace: str, body: dict[str, Any]) -> dict[str, Any]:
        check(body, "V1Pod", "pod")
        name = body["metadata"]["name"]
        if name in self.cluster.pods:
            raise Refused(409, f'pods "{name}" already exists')
        body["metadata"] |= {"namespace": namespace, "uid": f"uid-{name}", "creationTimestamp": now(), "resourceVersion": "1"}
        body["status"] = {"phase": "Pending"}
        self.cluster.pods[name] = body
        self.cluster.created.append(name)
        self.cluster.nodes.append(_Node(self.cluster, body))
        self.cluster.nodes[-1].start()
        return body

    def _selected(self) -> list[dict[str, Any]]:
        wanted = [term.partition("=") for term in (self.query.get("labelSelector") or "").split(",") if term]
        found = []
        for pod in self.cluster.pods.values():
            labels = pod["metadata"].get("labels") or {}
            fits = True
            for key, _, value in wanted:
                if key.startswith("!"):
                    fits &= key[1:] not in labels
                elif key.endswith("!"):
                    fits &= labels.get(key[:-1]) != value
                else:
                    fits &= labels.get(key) == value if value else key in labels
            if fits:
                found.append(pod)
        return found


def _remove(name: str) -> None:
    """SIGTERM, then SIGKILL, then nothing is left of the container."""
    try:
        container = docker.from_env().containers.get(f"pod-{name}")
        container.stop(timeout=5)
        container.remove(force=True, v=True)
    except APIError:  # another thread was first
        pass


@contextmanager
def serve() -> Iterator[Cluster]:
    """A running server; it ends with the block, and its pods with it."""
    cluster = Cluster()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"cluster": cluster}))
    server.daemon_threads = True
    cluster.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield cluster
    finally:
        server.shutdown()
        server.server_close()
        for container in docker.from_env().containers.list(all=True, filters={"label": LABEL}):
            container.remove(force=True, v=True)
