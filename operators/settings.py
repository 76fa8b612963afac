"""Where this installation keeps its data and how it runs its stages: read from the environment, in one place."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
"""The checkout: stages run from its containers/ and .venvs/."""

RUNNERS = ("process", "docker", "kubernetes")
SCHEMES = ("file", "gs")


@dataclass(frozen=True)
class Settings:
    """One installation.

    Attributes:
        root: URI of the storage root; all paths of ``operators.paths`` lie below it.
        runner: how stages run: ``process``, ``docker`` or ``kubernetes``.
        config: folder with ``languages.yaml``, ``pools.json`` and ``policies/``.
        cache: local folder for what is only kept to be quick, such as a source's answers.
        workers: processes a stage may use; 0 lets the stage take every core.
        schedules: whether DAGs fire by themselves; off where a person tries things out, so that unpausing a DAG starts nothing.
        images: lock of the images, for the runners that need one (``make images``).
        docker_network: network of the engine that stages' containers join; empty: the engine's default.
        docker_mounts: local folders that containers see under the same path, read-only: a source folder on ``file://``.
        namespace: where pods are made.
        service_account: of pods; Workload Identity gives it its rights on the bucket. There are no key files.
        cluster: a GKE cluster as ``project/location/name``, for an Airflow outside of it; empty: the one that Airflow runs in.
        dataproc: where releases compare texts on Spark, ``project/region/name`` (``operators.dataproc``); empty: in one process.
        profiles: ``image.stage`` or ``image`` → profile, over those of ``operators.profiles``.
    """

    root: str
    runner: str
    config: Path
    cache: str
    workers: int
    schedules: bool
    images: Path = REPO / "containers/images.lock.yaml"
    docker_network: str = ""
    docker_mounts: tuple[str, ...] = ()
    namespace: str = "speechmill"
    service_account: str = "speechmill-stage"
    cluster: str = ""
    dataproc: str = ""
    profiles: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Settings:
        """Read ``SPEECHMILL_ROOT``, ``_RUNNER``, ``_CONFIG``, ``_CACHE``, ``_WORKERS`` and ``_SCHEDULES`` (``on`` or ``off``).

        For images ``_IMAGES``, ``_DOCKER_NETWORK``, ``_DOCKER_MOUNTS`` (paths between colons), ``_NAMESPACE``,
        ``_SERVICE_ACCOUNT``, ``_CLUSTER`` and ``_PROFILES`` (JSON). ``_DATAPROC`` with any runner.

        Raises:
            ValueError: a variable holds what cannot be used; the message names it.
        """
        env = os.environ if env is None else env
        runner = env.get("SPEECHMILL_RUNNER") or "process"
        if runner not in RUNNERS:
            raise ValueError(f"SPEECHMILL_RUNNER={runner}: this version runs stages by: {', '.join(RUNNERS)}")
        workers = env.get("SPEECHMILL_WORKERS") or "0"
        if not workers.isdecimal():
            raise ValueError(f"SPEECHMILL_WORKERS={workers}: expected a number of processes, or 0 for every core")
        schedules = env.get("SPEECHMILL_SCHEDULES") or "on"
        if schedules not in ("on", "off"):
            raise ValueError(f"SPEECHMILL_SCHEDULES={schedules}: expected on or off")
        root = _uri(env.get("SPEECHMILL_ROOT") or str(REPO / "warehouse"))
        if runner == "kubernetes" and not root.startswith("gs://"):
            raise ValueError(f"SPEECHMILL_ROOT={root}: pods share no file system; SPEECHMILL_RUNNER=kubernetes needs gs://BUCKET/…")
        cluster = env.get("SPEECHMILL_CLUSTER") or ""
        if cluster and cluster.count("/") != 2:
            raise ValueError(f"SPEECHMILL_CLUSTER={cluster}: expected PROJECT/LOCATION/NAME")
        dataproc = env.get("SPEECHMILL_DATAPROC") or ""
        if dataproc and (dataproc.count("/") != 2 or not root.startswith("gs://")):
            raise ValueError(f"SPEECHMILL_DATAPROC={dataproc}: expected PROJECT/REGION/NAME, and SPEECHMILL_ROOT on gs://")
        try:
            profiles = json.loads(env.get("SPEECHMILL_PROFILES") or "{}")
        except ValueError as error:
            raise ValueError(f"SPEECHMILL_PROFILES={env['SPEECHMILL_PROFILES']}: expected JSON ({error})") from None
        # A container's own disk is gone with it: there, what is only kept to be quick is kept for one stage.
        cache = "/tmp/speechmill-cache" if runner != "process" else str(REPO / ".cache")
        return cls(
            root=root,
            runner=runner,
            config=Path(env.get("SPEECHMILL_CONFIG") or REPO / "config"),
            cache=str(Path(env.get("SPEECHMILL_CACHE") or cache).absolute()),
            workers=int(workers),
            schedules=schedules == "on",
            images=Path(env.get("SPEECHMILL_IMAGES") or REPO / "containers/images.lock.yaml"),
            docker_network=env.get("SPEECHMILL_DOCKER_NETWORK") or "",
            docker_mounts=tuple(p for p in (env.get("SPEECHMILL_DOCKER_MOUNTS") or "").split(":") if p),
            namespace=env.get("SPEECHMILL_NAMESPACE") or "speechmill",
            service_account=env.get("SPEECHMILL_SERVICE_ACCOUNT") or "speechmill-stage",
            cluster=cluster,
            dataproc=dataproc,
            profiles=profiles,
        )


def _uri(place: str) -> str:
    """A path as a ``file://`` URI; URIs of schemes that no stage reads are refused."""
    scheme, separator, rest = place.partition("://")
    if separator and (scheme not in SCHEMES or (scheme == "gs" and not rest.strip("/"))):
        raise ValueError(f"SPEECHMILL_ROOT={place}: expected a path, file:///PATH or gs://BUCKET/PATH")
    return place.rstrip("/") if separator else Path(place).absolute().as_uri()
