"""The docker runner: a stage in its image, on the local engine; as locked down as its pod will be."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from operators import images, objects
from operators.runners import GRACE_S, Exit, StageCall
from operators.settings import Settings

if TYPE_CHECKING:
    from docker.models.containers import Container

LABEL = "org.speechmill.task"
PASSED_ON = ("STORAGE_EMULATOR_HOST", "GOOGLE_CLOUD_PROJECT", "SPEECHMILL_STORAGE_PATIENCE_S")
"""What a stage is told of this environment: where the store is, and nothing of Airflow."""


class DockerRunner:
    """A container per stage: its image by id, any user, a read-only root, no capabilities, /tmp on a volume that goes with it.

    On ``file://`` the storage root is mounted under its own path, and what ``SPEECHMILL_DOCKER_MOUNTS`` names read-only; on
    ``gs://`` nothing is.
    """

    def __init__(self, settings: Settings) -> None:
        """A runner of this installation."""
        self.settings = settings
        self._container: Container | None = None
        self._stopped = False

    def run(self, call: StageCall, log: Callable[[str], None]) -> Exit:
        """See :class:`operators.runners.Runner`.

        Raises:
            FileNotFoundError: the image has not been built.
        """
        import docker
        from docker.errors import ImageNotFound

        client = docker.from_env(timeout=600)
        task = hashlib.sha256(call.receipt.encode()).hexdigest()[:32]
        for left in client.containers.list(all=True, filters={"label": f"{LABEL}={task}"}):
            left.remove(force=True, v=True)  # of a try whose task was killed outright
        try:
            self._container = client.containers.create(**self.container(call, task))
        except ImageNotFound as error:
            message = f"image '{call.environment}' is not on this engine ({error.explanation}): run `make images`"
            raise images.ImageLockError(message) from None
        last = ""
        try:
            self._container.start()
            for line in _lines(self._container):
                last = line
                log(line)
            code = int(self._container.wait()["StatusCode"])
            self._container.reload()
            if self._container.attrs["State"]["OOMKilled"]:
                return Exit(-9, last)
            return Exit(code, last)
        finally:
            self._container.remove(force=True, v=True)

    def stop(self) -> None:
        """SIGTERM, then SIGKILL."""
        from docker.errors import NotFound

        if self._container is not None:
            try:
                self._container.stop(timeout=int(GRACE_S))
            except NotFound:
                pass

    def container(self, call: StageCall, task: str) -> dict[str, Any]:
        """What the engine is asked for."""
        settings = self.settings
        volumes: dict[str, dict[str, str]] = {}
        user = "65532:65532"
        if settings.root.startswith("file://"):
            root = objects.local(settings.root)
            root.mkdir(parents=True, exist_ok=True)
            volumes[str(root)] = {"bind": str(root), "mode": "rw"}
            user = f"{os.getuid()}:{os.getgid()}"  # what it writes is this user's
        for folder in settings.docker_mounts:
            volumes[folder] = {"bind": folder, "mode": "ro"}
        return {
            "image": images.local_id(settings.images, call.environment),
            "command": call.argv[2:],  # the image's entry point is `python -m <image>`
            "environment": {name: os.environ[name] for name in PASSED_ON if name in os.environ},
            "labels": {LABEL: task, "org.speechmill.stage": f"{call.environment}.{call.stage}"},
            "name": f"speechmill-{call.environment}-{call.stage}-{task[:8]}-{time.time_ns() // 1_000_000}",
            "user": user,
            "read_only": True,
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges"],
            "volumes": [*(f"{k}:{v['bind']}:{v['mode']}" for k, v in volumes.items()), "/tmp"],
            "network": settings.docker_network or None,
        }


def _lines(container: Container) -> Any:
    """Lines of both streams as they come."""
    held = b""
    for part in container.logs(stream=True, follow=True):
        *whole, held = (held + part).split(b"\n")
        yield from (text for line in whole if (text := line.decode("utf-8", "replace").rstrip()))
    if text := held.decode("utf-8", "replace").rstrip():
        yield text
