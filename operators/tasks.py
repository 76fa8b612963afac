"""What the DAG files of one dataset share: macros that turn a run into URIs, and a shorthand for its stages."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import pendulum
from airflow.sdk import CronPartitionTimetable, Param, get_parsing_context
from airflow.sdk.exceptions import AirflowFailException

from operators import keys, paths, releases
from operators.profiles import PROFILES, profile_name
from operators.registry import APPROVALS, Language, variant
from operators.runners import StageCall
from operators.settings import REPO, Settings
from operators.spoken_words import SpokenLanguage, release_of
from operators.stage import StageOperator

DEFAULT_ARGS: dict[str, Any] = {
    "retries": 5,  # only of what may end otherwise (operators.runners.Exit.final): a night of preemptions is more than two
    "retry_delay": pendulum.duration(minutes=1),
    "retry_exponential_backoff": True,
    "max_retry_delay": pendulum.duration(minutes=30),  # five tries then span an hour
}
"""Of every DAG."""

log = logging.getLogger(__name__)
Macro = Callable[[Any, Mapping[str, Any]], str]


@dataclass(frozen=True)
class Pipeline:
    """One language of one dataset, in this installation."""

    settings: Settings
    dataset: str
    language: Language | SpokenLanguage

    def harvest_macros(self, form: Collection[str]) -> dict[str, Macro]:
        """Macros of ``(dag_run, params)``: ``month``, ``batch`` (URI), and ``location``.

        Args:
            form: names of the trigger form's fields; a run with others is refused.
        """
        month = _only(form, keys.batch_key)

        def location(dag_run: Any, params: Mapping[str, Any]) -> str:
            key, source = month(dag_run, params), params["source"]
            _warn_if_not_over(key, source)
            place = str(params["location"]).replace("{month}", key)
            return self._there(place) if source == "folder" else place

        return {
            "month": month,
            "batch": lambda dag_run, params: paths.batch(*self._place, month(dag_run, params)),
            "reports": lambda dag_run, params: paths.quality(*self._place, month(dag_run, params)),
            "location": location,
        }

    def spoken_words_macros(self, form: Collection[str]) -> dict[str, Callable[..., str]]:
        """Macros of a spoken-words harvest, of ``(dag_run, params)``.

        As `harvest_macros`, but ``location`` and ``source_version`` fall back on ``config/sources.yaml``; ``sealed`` takes a
        stage as well and gives its folders in the months sealed before, a line each.
        """
        assert isinstance(self.language, SpokenLanguage)
        language, month = self.language, _only(form, keys.batch_key)

        def source(dag_run: Any, params: Mapping[str, Any], field: str) -> str:
            if params["location"]:
                return str(params[field])
            return str(params[field]) or release_of(self.settings.config, month(dag_run, params), language)[field]

        def location(dag_run: Any, params: Mapping[str, Any]) -> str:
            _warn_if_not_over(month(dag_run, params), "common_voice")
            return self._there(source(dag_run, params, "location"))

        def sealed(dag_run: Any, params: Mapping[str, Any], stage: str) -> str:
            return "\n".join(releases.sealed_folders(*self._place, stage, month(dag_run, params)))

        return {
            **self.harvest_macros(form),
            "location": location,
            "source_version": lambda dag_run, params: source(dag_run, params, "version"),
            "sealed": sealed,
        }

    def release_macros(self, form: Collection[str]) -> dict[str, Macro]:
        """Macros of ``(dag_run, params)``: ``version``, ``month``; ``work``, ``clips``, ``reports`` (URIs); and of its parent.

        ``seal`` is empty for a version made by hand; ``parent`` (a version) and ``parent_index`` for the first release.
        """
        version = _only(form, keys.release_version)

        def seal(dag_run: Any, params: Mapping[str, Any]) -> str:
            wanted = version(dag_run, params)
            return "" if keys.by_hand(wanted) else paths.seal(*self._place, wanted)

        def parent(dag_run: Any, params: Mapping[str, Any]) -> str:
            return releases.parent_of(*self._place, version(dag_run, params))

        def index(dag_run: Any, params: Mapping[str, Any]) -> str:
            before = parent(dag_run, params)
            return f"{paths.release(*self._place, before)}/index" if before else ""

        return {
            "version": version,
            "month": lambda dag_run, params: keys.month_of(version(dag_run, params)),
            "work": lambda dag_run, params: paths.work(*self._place, version(dag_run, params)),
            "clips": lambda dag_run, params: paths.clips(*self._place),
            "reports": lambda dag_run, params: paths.quality(*self._place, version(dag_run, params)),
            "seal": seal,
            "parent": parent,
            "parent_index": index,
        }

    def stage(self, base: str, image: str, name: str, **kwargs: Any) -> StageOperator:
        """A stage below ``base``; what the registry says of it wins over ``stage_params``."""
        task_id = kwargs.setdefault("task_id", name)
        stage_params = {**kwargs.pop("stage_params", {}), **self.language.stage(name)}
        if self.settings.runner == "kubernetes":  # there, what bounds a stage is what its pod needs
            # A pool is fixed when the DAG is parsed: by the language's own recogniser, not by the one that a run may choose.
            default = {p: getattr(self.language, p) for p in kwargs.get("from_run", ()) if hasattr(self.language, p)}
            call = StageCall(image, name, [], "", variant=variant(name, {**stage_params, **default}))
            profile = PROFILES[profile_name(call.environment, name, self.language.pods, self.settings.profiles)]
            kwargs["pool"] = profile.pool or kwargs.get("pool", "default_pool")
        kwargs["pods"] = self.language.pods
        return StageOperator(image=image, stage=name, base=f"{base}/{task_id}", stage_params=stage_params, **kwargs)

    def _there(self, location: str) -> str:
        """A location as it is.

        Raises:
            AirflowFailException: it is relative, and is not there, or there is nothing that it could be relative to.
        """
        if not location or location.startswith("/") or "://" in location:
            return location
        if self.settings.runner != "process":
            raise AirflowFailException(f"location {location} is relative, but stages run in containers: give all of it, or a URI")
        if not (REPO / location).exists():
            raise AirflowFailException(f"location {location}: there is no such folder or file in {REPO}, which it is relative to")
        return location

    @property
    def _place(self) -> tuple[str, str, str]:
        return self.settings.root, self.dataset, self.language.code


def _only(form: Collection[str], key: Macro) -> Macro:
    """The key of a run whose parameters are all in the form."""

    def checked(dag_run: Any, params: Mapping[str, Any]) -> str:
        keys.check_names(params, form)
        return key(dag_run, params)

    return checked


LATE = {
    "internet_archive": "what the archive still gets in it is found only by the next months, which search some before again",
    "folder": "what is still put there is found only by a later month that harvests the same folder",
    "common_voice": "a release that still comes has to be given to a later month",
}
"""Source → what a harvest of the month that it is does not get."""


def _warn_if_not_over(month: str, source: str) -> None:
    if month == keys.this_month():
        log.warning("%s is not over, and is sealed now: %s.", month, LATE.get(source, LATE["folder"]))


def language_to_run() -> str:
    """The language of the task that this process was started for; empty where Airflow reads all DAGs."""
    return (get_parsing_context().dag_id or "").rpartition("__")[2]


def release_form(language: Language | SpokenLanguage, own: Mapping[str, Param] | None = None) -> dict[str, Param]:
    """The trigger form of a release DAG; ``own``: fields that only this dataset has."""
    return {
        "version": Param("", type="string", pattern=keys.VERSION_PATTERN, title="Version", section="What",
                         description="`YYYY.MM.<patch>`, or `YYYY.MM` to wait for that month. Empty with a partition key."),
        **(own or {}),
        "dry_run": Param(False, type="boolean", title="Dry run", section="How", description="Make everything, publish nothing."),
        "approval": Param(language.approval, type="string", enum=list(APPROVALS), title="Approval", section="How",
                          description="`required`: a person is asked before publishing. `auto`: nobody is."),
    }  # fmt: skip


NEVER = pendulum.datetime(2200, 1, 1, tz="UTC")


def monthly() -> CronPartitionTimetable:
    """The first of each month, 04:00 UTC, for the month before; its partition key is that month."""
    return CronPartitionTimetable("0 4 1 * *", timezone="UTC", run_offset=-1, key_format=keys.KEY_FORMAT)


def first_month(settings: Settings, language: Language | SpokenLanguage) -> pendulum.DateTime:
    """The start date of a language's DAGs. With schedules off nothing fires; keys, backfills and runs by hand work as always."""
    return pendulum.from_format(language.since, "YYYY.MM", tz="UTC") if settings.schedules else NEVER
