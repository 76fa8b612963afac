"""The kubernetes runner: a stage in a pod, deferred while it runs.

``KubernetesPodOperator`` does the work: inside the cluster that Airflow runs in, or through ``GKEStartPodOperator`` in the one
that ``SPEECHMILL_CLUSTER`` names. Here are the pod's defaults (``operators.profiles`` has the numbers), and what its end means:

| the pod | the task |
|---|---|
| exit 0 | goes on with the stage's receipt |
| exit 99 | skipped: nothing to do |
| exit 1, 2; killed for its memory | failed for good, with the stage's last line |
| evicted, preempted, gone, SIGTERM (143), the store out (75), never started | failed, tried again; what was finished is found |

This module is imported by workers only: Kubernetes' client takes seconds to import.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.utils.pod_manager import detect_pod_terminate_early_issues
from airflow.providers.google.cloud.operators.kubernetes_engine import GKEStartPodOperator
from airflow.sdk.exceptions import AirflowException, TaskDeferred
from kubernetes.client import models as k8s
from kubernetes.client.exceptions import ApiException

from operators import images
from operators.docker_runner import PASSED_ON
from operators.profiles import Profile
from operators.runners import Exit, StageCall
from operators.settings import Settings

if TYPE_CHECKING:
    from airflow.sdk import Context

    from operators.stage import StageOperator

POLL_S = 15.0
"""Between two looks at a pod. A stage runs for minutes: a look costs the API server more than it tells sooner."""
LOG_S = 60
"""Between two times that the log is brought to Airflow, each of which wakes a worker. None would show nothing until the end."""
USER = 65532
"""Of all images; the number is written here too, for Kubernetes cannot see that a named user is not root."""
LOGS_GIB = 10
"""Of the node's disk, for a pod whose /tmp is a volume of its own."""
GRACE_S = 25
"""Between SIGTERM and SIGKILL: a spot node leaves 30 s in all, and some of that is the kubelet's."""


class StagePod:
    """What both operators below have beside their provider's: how they begin, and what the pod's end means."""

    stage_exit: Exit | None = None
    lost: str = ""

    def start(self, context: Context) -> None:
        """Make the pod, or find the one that an earlier try made, and defer.

        Raises:
            TaskDeferred: always.
        """
        operator = cast(KubernetesPodOperator, self)
        operator.name = operator._set_name(operator.name)
        operator.execute_async(context)

    def resume(self, context: Context, event: dict[str, Any]) -> Exit:
        """Go on after the trigger: bring the log, defer again, or say how the stage ended.

        Raises:
            TaskDeferred: it is still running.
            AirflowException: the pod was lost on the way; the message says how.
        """
        operator = cast(KubernetesPodOperator, self)
        if event["status"] in ("error", "timeout"):
            self._give_up_waiting(context, event)
        try:
            operator.trigger_reentry(context, event)
        except TaskDeferred:
            raise
        except AirflowException as error:
            if self.stage_exit is None:
                first = str(error).strip().partition("\n")[0]
                raise AirflowException(self.lost or f"pod {event['name']} was lost: {first}") from error
        return self.stage_exit or Exit(0, "")

    def _give_up_waiting(self, context: Context, event: dict[str, Any]) -> None:
        """Delete a pod that should long have started.

        The provider's own re-entry waits for such a pod's end without a limit (cncf-kubernetes 10.25, ``_clean``), and would hold
        a worker for as long.

        Raises:
            AirflowException: it was given up; the message says what it waited for.
        """
        operator = cast(KubernetesPodOperator, self)
        try:
            pod = operator.hook.get_pod(event["name"], event["namespace"])
        except ApiException as error:
            if error.status == 404:
                return
            raise
        scheduled = any(c.type == "PodScheduled" and c.status == "True" for c in pod.status.conditions or [])
        limit = (operator.schedule_timeout_seconds or 0) + (operator.startup_timeout_seconds if scheduled else 0)
        late = datetime.now(UTC) - pod.metadata.creation_timestamp >= timedelta(seconds=limit)
        often = event.get("_redefer_count", 0) >= operator.MAX_REDEFER_ATTEMPTS
        if pod.status.phase == "Pending" and (late or often or detect_pod_terminate_early_issues(pod)):
            self.cleanup(pod, pod, context=context)
            raise AirflowException(self.lost)

    def on_kill(self) -> None:
        """Delete the pod."""
        cast(Any, super()).on_kill()

    def cleanup(self, pod: k8s.V1Pod, remote_pod: k8s.V1Pod, xcom_result: Any = None, context: Context | None = None) -> None:
        """Read how it ended, say what Kubernetes said if it was lost, delete the pod."""
        operator = cast(KubernetesPodOperator, self)
        if operator._killed or not remote_pod:
            return
        self.stage_exit, self.lost = read_end(remote_pod)
        if self.stage_exit is None:
            operator._read_pod_container_states(remote_pod, reraise=False)
            operator._read_pod_events(remote_pod, reraise=False)
        operator.process_pod_deletion(remote_pod, reraise=False)


class InClusterPod(StagePod, KubernetesPodOperator):
    """A pod in the cluster that Airflow runs in (or that its connection names)."""


class GkePod(StagePod, GKEStartPodOperator):
    """A pod in the GKE cluster that the settings name, from outside."""


def read_end(pod: k8s.V1Pod) -> tuple[Exit | None, str]:
    """How a stage ended by its pod's status: its exit, or None and why the pod was lost."""
    status, name = pod.status, pod.metadata.name
    base = next((c for c in status.container_statuses or [] if c.name == "base"), None)
    ended = base.state.terminated if base and base.state else None
    taken = status.reason or next((c.reason for c in status.conditions or [] if c.type == "DisruptionTarget"), None)
    if ended is not None and ended.reason == "OOMKilled":
        return Exit(1, f"the pod was killed: out of memory; give the stage a larger profile ({_last_line(ended.message)})"), ""
    if ended is not None and not (taken and ended.exit_code in (137, 143)):
        return Exit(int(ended.exit_code), _last_line(ended.message)), ""
    if taken:
        return None, f"pod {name} was taken away: {taken}" + (f": {status.message}" if status.message else "")
    waiting = base.state.waiting if base and base.state else None
    why = (
        waiting.reason
        if waiting
        else next(
            (f"{c.reason}: {c.message}" for c in status.conditions or [] if c.type == "PodScheduled" and c.status == "False"), ""
        )
    )
    return None, f"pod {name} did not start ({status.phase}{': ' + why if why else ''})"


def _last_line(message: str | None) -> str:
    """The container's last line: with FallbackToLogsOnError its message is the end of its log."""
    lines = [line for line in (message or "").splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""


def make_pod(operator: StageOperator, call: StageCall, settings: Settings) -> StagePod:
    """The operator that runs a call, for a task.

    Raises:
        FileNotFoundError: its image has no digest.
    """
    profile = operator.profile(call, settings)
    wanted = {
        "task_id": operator.task_id,
        "name": f"{call.environment}-{call.stage}".replace("_", "-"),
        "namespace": settings.namespace,
        "image": images.digest(settings.images, call.environment),
        "image_pull_policy": "IfNotPresent",  # a digest never changes
        "arguments": call.argv[2:],  # the image's entry point is `python -m <image>`
        "env_vars": {name: os.environ[name] for name in PASSED_ON if name in os.environ},
        "labels": {
            "app.kubernetes.io/name": "speechmill",
            "app.kubernetes.io/component": f"{call.environment}-{call.stage}".replace("_", "-"),
        },
        "service_account_name": settings.service_account,  # Workload Identity: its rights on the bucket, no key
        "automount_service_account_token": False,  # a stage has no business with the API server
        "container_resources": resources(profile),
        "node_selector": dict(profile.node_selector),
        "tolerations": [k8s.V1Toleration(key=k, operator="Equal", value=v, effect=e) for k, v, e in profile.tolerations],
        "volumes": [_disk(profile)],
        "volume_mounts": [k8s.V1VolumeMount(name="tmp", mount_path="/tmp")],
        "security_context": k8s.V1PodSecurityContext(
            run_as_non_root=True,
            run_as_user=USER,
            run_as_group=USER,
            fs_group=USER,
            seccomp_profile=k8s.V1SeccompProfile(type="RuntimeDefault"),
        ),
        "container_security_context": k8s.V1SecurityContext(
            allow_privilege_escalation=False,
            read_only_root_filesystem=True,
            capabilities=k8s.V1Capabilities(drop=["ALL"]),
        ),
        "deferrable": True,  # no worker waits for hours
        "durable": True,  # a retry finds the pod of a try that lost its worker
        "poll_interval": POLL_S,
        "logging_interval": LOG_S,
        "schedule_timeout_seconds": profile.schedule_timeout_s,
        "startup_timeout_seconds": profile.startup_timeout_s,
        "active_deadline_seconds": int(profile.timeout.total_seconds()),
        "termination_grace_period": GRACE_S,
        "termination_message_policy": "FallbackToLogsOnError",  # the stage's last line, in the pod's status
        "on_finish_action": "delete_pod",  # keep_pod would make a retry adopt the dead pod of a preempted try
        "on_kill_action": "delete_pod",
        "log_events_on_failure": False,  # cleanup() says what Kubernetes said, where it was to blame
        "log_pod_spec_on_failure": False,
        "do_xcom_push": False,  # a sidecar would be billed, and hang when the stage fails: the receipt says all
        "get_logs": True,
    }
    if not settings.cluster:
        return InClusterPod(**wanted)
    project, location, name = settings.cluster.split("/")
    # By DNS: no list of authorised networks, no public address of the control plane.
    return GkePod(project_id=project, location=location, cluster_name=name, use_dns_endpoint=True, **wanted)


def _disk(profile: Profile) -> k8s.V1Volume:
    """What is mounted at /tmp: the node's disk, or a volume of the pod's own where that is too small."""
    size = f"{profile.disk_gib}Gi"
    if not profile.own_disk:
        return k8s.V1Volume(name="tmp", empty_dir=k8s.V1EmptyDirVolumeSource(size_limit=size))
    claim = k8s.V1PersistentVolumeClaimSpec(
        access_modes=["ReadWriteOnce"], resources=k8s.V1VolumeResourceRequirements(requests={"storage": size})
    )
    made = k8s.V1EphemeralVolumeSource(volume_claim_template=k8s.V1PersistentVolumeClaimTemplate(spec=claim))
    return k8s.V1Volume(name="tmp", ephemeral=made)


def resources(profile: Profile) -> k8s.V1ResourceRequirements:
    """Requests and limits; GPUs go into limits, where Kubernetes wants them. A volume of the pod's own is none of the node's."""
    memory, disk = f"{profile.memory_gib}Gi", f"{LOGS_GIB if profile.own_disk else profile.disk_gib}Gi"
    limits = {"memory": memory, "ephemeral-storage": disk}
    if profile.gpus:
        limits["nvidia.com/gpu"] = str(profile.gpus)
    return k8s.V1ResourceRequirements(
        requests={"cpu": str(profile.cpu), "memory": memory, "ephemeral-storage": disk}, limits=limits
    )
