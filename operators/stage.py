"""The one operator: it runs a stage of an image, wherever the runner runs it, and hands on what the stage's receipt says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import BaseOperator
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from operators import objects, paths
from operators.profiles import PROFILES, Profile, profile_name
from operators.registry import variant
from operators.runners import EXIT_EMPTY, Exit, Runner, StageCall, make_runner
from operators.settings import Settings

if TYPE_CHECKING:
    from airflow.sdk import Context

    from operators.pods import StagePod

SHARD_SIZES = {"shard_hours": "Hours in a shard", "shard_clips": "Clips in a shard"}
"""Run parameter → title of the field that says how large a shard is."""
RETURNED = ("output", "shards", "rows", "seconds", "metrics")


class StageOperator(BaseOperator):
    """Run ``python -m <image> <stage>`` and return its receipt.

    Returned are the receipt's ``output`` (URI), ``shards`` (``URI#NNNNN``), ``rows``, ``seconds`` and ``metrics``; ``output`` has
    an XCom key of its own. Exit 99 skips the task, any other but 0 fails it with the last line that the stage wrote: for good if
    that is the stage's own error, for another try if the machine or the store may be to blame. On Kubernetes the task is deferred
    while the pod runs.

    Args:
        image: folder under containers/.
        stage: its stage.
        inputs: input URIs; a value may itself be a list, as a mapped task's outputs are. Templated.
        base: folder in which the stage makes its output folder. Templated.
        roles: further inputs by role, ``{"parent": URI}``; an empty URI is left out. Templated.
        stage_params: the stage's parameters; strings are templates. Templated.
        from_run: names of run parameters (the trigger form) that are handed to the stage under the same name, typed as they are;
            an empty one is left to the stage's own default.
        returns: return this one value of the receipt, or of its metrics, instead, such as ``shards``: only a returned list can be
            mapped over.
        fail_if_empty: fail on exit 99 too, where nothing to do means that somebody asked for the wrong thing.
        skip_unless: metric of the receipt that, when false, marks this task as skipped; the metric ``why`` says why.
        pods: ``image.stage`` or ``image`` → profile of its pod, over those of the installation.
    """

    template_fields: Sequence[str] = ("inputs", "base", "roles", "stage_params")
    template_fields_renderers = {"stage_params": "json", "roles": "json"}
    ui_color = "#e8f1fa"

    def __init__(
        self,
        *,
        image: str,
        stage: str,
        base: str,
        inputs: Sequence[Any] = (),
        roles: Mapping[str, Any] | None = None,
        stage_params: Mapping[str, Any] | None = None,
        from_run: Sequence[str] = (),
        returns: str = "",
        fail_if_empty: bool = False,
        skip_unless: str = "",
        pods: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        """See the class."""
        kwargs.setdefault("task_id", stage)
        kwargs.setdefault("map_index_template", "{{ shard }}")
        super().__init__(**kwargs)
        self.image = image
        self.stage = stage
        self.inputs = list(inputs)
        self.base = base
        self.roles = dict(roles or {})
        self.stage_params = dict(stage_params or {})
        self.from_run = tuple(from_run)
        self.returns = returns
        self.fail_if_empty = fail_if_empty
        self.skip_unless = skip_unless
        self.pods = dict(pods or {})
        self._metrics: list[str] = []
        self._runner: Runner | None = None
        self._pod: StagePod | None = None

    @property
    def made(self) -> Any:
        """Reference to the URI that this task will have made; inside a mapped group, by the same shard."""
        return cast(Any, self.output)["output"]

    @property
    def made_if_any(self) -> str:
        """The same as a template that is empty where this task was skipped; it does not order tasks. For unmapped tasks."""
        return f"{{{{ ti.xcom_pull(task_ids='{self.task_id}', key='output') or '' }}}}"

    def metric(self, name: str) -> Any:
        """Reference to a metric of this task's receipt, with its own type."""
        self._metrics.append(name)
        return cast(Any, self.output)[f"metric_{name}"]

    def execute(self, context: Context) -> Any:
        """Run the stage; see the class for what comes back.

        Raises:
            AirflowSkipException: nothing to do.
            AirflowFailException: the stage failed; the message is its own, and another try would end the same way.
            AirflowException: it was ended from outside, or the store was out: to be tried again.
        """
        settings = Settings.from_env()
        call = self.call(context, settings)
        try:
            if settings.runner == "kubernetes":
                self._pod = self._make_pod(call, settings)
                self._pod.start(context)  # defers; trigger_reentry goes on
            self._runner = make_runner(settings)
            ended = self._runner.run(call, self.log.info)
        except FileNotFoundError as error:
            raise AirflowFailException(str(error)) from error
        return self._finish(context, call, ended)

    def trigger_reentry(self, context: Context, event: dict[str, Any]) -> Any:
        """The pod has ended, or its log is to be read: go on where :meth:`execute` deferred."""
        settings = Settings.from_env()
        call = self.call(context, settings)
        self._pod = self._make_pod(call, settings)
        return self._finish(context, call, self._pod.resume(context, event))

    def _make_pod(self, call: StageCall, settings: Settings) -> StagePod:
        from operators.pods import make_pod  # here: it takes seconds to import, and only workers need it

        return make_pod(self, call, settings)

    def _finish(self, context: Context, call: StageCall, ended: Exit) -> Any:
        self._check(ended)
        try:
            receipt = objects.read_json(call.receipt)
        except FileNotFoundError:
            raise AirflowException(f"{call.image} {call.stage} ended well and left no receipt at {call.receipt}") from None
        shard = next((uri.rpartition("#")[2] for uri in call.inputs if "#" in uri), "")
        context["shard"] = shard or _shard_label(receipt)  # type: ignore[typeddict-unknown-key]
        if self.skip_unless and not receipt["metrics"][self.skip_unless]:
            raise AirflowSkipException(f"not {self.skip_unless}: {receipt['metrics'].get('why', 'the stage does not say why')}")
        returned = self._returned(receipt)
        context["ti"].xcom_push(key="output", value=receipt["output"])
        for name in self._metrics:
            context["ti"].xcom_push(key=f"metric_{name}", value=receipt["metrics"][name])
        return returned

    def call(self, context: Context, settings: Settings) -> StageCall:
        """The stage call of this task, with everything resolved."""
        ti, run_params = context["ti"], context["params"]
        map_index = -1 if ti.map_index is None else ti.map_index
        handed = {name: run_params[name] for name in self.from_run if run_params[name] not in (None, "", [])}
        named = [f"{role}={uri}" for role, uris in self.roles.items() for uri in _flat([uris])]
        call = StageCall(
            image=self.image,
            stage=self.stage,
            inputs=[*_flat(self.inputs), *named],
            output=self.base,
            params={**self.stage_params, **handed},
            receipt=paths.receipt(settings.root, ti.dag_id, ti.run_id, ti.task_id, map_index),
            variant=variant(self.stage, {**self.stage_params, **handed}),
        )
        return replace(call, workers=settings.workers or self._cores(call, settings))

    def profile(self, call: StageCall, settings: Settings) -> Profile:
        """What the pod of a call asks of the cluster."""
        return PROFILES[profile_name(call.environment, call.stage, self.pods, settings.profiles)]

    def _cores(self, call: StageCall, settings: Settings) -> int:
        """A pod sees all cores of its node: it is told how many are its own. 0: the stage finds out."""
        return self.profile(call, settings).cpu if settings.runner == "kubernetes" else 0

    def _check(self, ended: Exit) -> None:
        if ended.code == EXIT_EMPTY:
            raise (AirflowFailException if self.fail_if_empty else AirflowSkipException)(ended.last_line)
        if ended.code != 0:
            raise (AirflowFailException if ended.final else AirflowException)(ended.explain())

    def _returned(self, receipt: Mapping[str, Any]) -> Any:
        """What the task returns. Airflow refuses a list that is too long, too, but does not say how long, and tries it again."""
        if not self.returns:
            return {name: receipt[name] for name in RETURNED}
        value = receipt[self.returns] if self.returns in receipt else receipt["metrics"][self.returns]
        most = conf.getint("core", "max_map_length", fallback=1024)
        if isinstance(value, list) and len(value) > most:
            larger = next((f"raise {title} ({name}), or " for name, title in SHARD_SIZES.items() if name in self.from_run), "")
            raise AirflowFailException(
                f"{len(value)} shards, but Airflow maps over {most} at most: {larger}raise AIRFLOW__CORE__MAX_MAP_LENGTH, "
                "for all of its processes"
            )
        return value

    def on_kill(self) -> None:
        """End the stage and its workers, or its pod."""
        if self._runner is not None:
            self._runner.stop()
        if self._pod is not None:
            self._pod.on_kill()


def _flat(values: Iterable[Any]) -> list[str]:
    """URIs out of strings, lists and the lazy sequences of mapped tasks; empty ones fall out."""
    uris: list[str] = []
    for value in values:
        if isinstance(value, str):  # a template may have made several, a line each
            uris += [line for line in value.splitlines() if line]
        elif value is not None:
            uris += _flat(value)
    return uris


def _shard_label(receipt: Mapping[str, Any]) -> str:
    labels = [uri.rpartition("#")[2] for uri in receipt["shards"]]
    return ", ".join(labels[:3]) + ("…" if len(labels) > 3 else "")


