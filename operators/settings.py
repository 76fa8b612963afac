"""Where this installation keeps its data and how it runs its stages: read from the environment, in one place."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
"""The checkout: stages run from its containers/ and .venvs/."""

RUNNERS = ("process",)


@dataclass(frozen=True)
class Settings:
    """One installation.

    Attributes:
        root: URI of the storage root; all paths of ``operators.paths`` lie below it.
        runner: how stages run: ``process``.
        config: folder with ``languages.yaml``, ``pools.json`` and ``policies/``.
        cache: local folder for what is only kept to be quick, such as a source's answers.
        workers: processes a stage may use; 0 lets the stage take every core.
        schedules: whether DAGs fire by themselves; off where a person tries things out, so that unpausing a DAG starts nothing.
    """

    root: str
    runner: str
    config: Path
    cache: str
    workers: int
    schedules: bool

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Settings:
        """Read ``SPEECHMILL_ROOT``, ``_RUNNER``, ``_CONFIG``, ``_CACHE``, ``_WORKERS`` and ``_SCHEDULES`` (``on`` or ``off``).

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
        return cls(
            root=_uri(env.get("SPEECHMILL_ROOT") or str(REPO / "warehouse")),
            runner=runner,
            config=Path(env.get("SPEECHMILL_CONFIG") or REPO / "config"),
            cache=str(Path(env.get("SPEECHMILL_CACHE") or REPO / ".cache").absolute()),
            workers=int(workers),
            schedules=schedules == "on",
        )


def _uri(place: str) -> str:
    """A path as a ``file://`` URI; URIs of schemes that no stage of this version reads are refused."""
    scheme, separator, _ = place.partition("://")
    if separator and scheme != "file":
        raise ValueError(f"SPEECHMILL_ROOT={place}: this version stores on file:// only")
    return place.rstrip("/") if separator else Path(place).absolute().as_uri()
