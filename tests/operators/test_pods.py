"""Pods: every one that is rendered stands in golden/, and what a pod's end means for its task."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from kubernetes.client import ApiClient
from kubernetes.client import models as k8s

from operators.images import ImageLockError
from operators.pods import GkePod, InClusterPod, make_pod, read_end
from operators.profiles import PROFILES, STAGES, profile_name
from operators.registry import Language
from operators.runners import StageCall
from operators.settings import Settings
from operators.spoken_words import SpokenLanguage
from operators.stage import StageOperator
from operators.tasks import Pipeline

GOLDEN = Path(__file__).parent / "golden"
DIGEST = "europe-docker.pkg.dev/p/speechmill/{}@sha256:" + "ab" * 32
CASES = {
    "small": ("release", "seal", {}),
    "cpu": ("align", "recognize", {}),
    "large": ("dedup", "cluster", {}),
    "t4": ("words", "align", {"words.align": "t4"}),
    "bulk": ("release", "publish_words", {"release.publish_words": "bulk"}),
}
TORCHAUDIO = {"recognizer": "torchaudio", "model": "gs://models/wav2vec2-large-de", "model_sha256": "cd" * 32}


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "images.lock.yaml"
    images = ("release", "align", "align-gpu", "dedup", "words")
    path.write_text(yaml.safe_dump({"images": {i: {"digest": DIGEST.format(i)} for i in images}}))
    return path


def settings(lock: Path, **more: str) -> Settings:
    env = {"SPEECHMILL_RUNNER": "kubernetes", "SPEECHMILL_ROOT": "gs://speech/warehouse", "SPEECHMILL_IMAGES": str(lock), **more}
    return Settings.from_env(env)


def context() -> Any:
    run = SimpleNamespace(run_id="scheduled__2026.10", logical_date=None, partition_key="2026.10")
    ti = SimpleNamespace(
        dag_id="d",
        run_id="scheduled__2026.10",
        task_id="t",
        map_index=3,
        try_number=1,
        start_date=datetime(2026, 11, 1, tzinfo=UTC),
    )
    return {
        "ti": ti,
        "dag": SimpleNamespace(dag_id="d"),
        "dag_run": run,
        "run_id": run.run_id,
        "task": SimpleNamespace(task_id="t"),
        "params": {},
    }


@pytest.fixture(autouse=True)
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster that nobody asks: rendering looks for one."""
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}], "users": [{"name": "u", "user": {}}],
    }))  # fmt: skip
    monkeypatch.setenv("KUBECONFIG", str(path))
    monkeypatch.setenv(
        "AIRFLOW_CONN_KUBERNETES_DEFAULT", json.dumps({"conn_type": "kubernetes", "extra": {"kube_config_path": str(path)}})
    )


def operator(image: str, stage: str, **kwargs: Any) -> StageOperator:
    return StageOperator(image=image, stage=stage, base="gs://speech/warehouse/work", inputs=["gs://speech/in#00003"], **kwargs)


@pytest.mark.parametrize("case", CASES)
def test_rendered_pods_are_the_golden_ones(case: str, lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`GOLDEN=write` writes them anew; the diff is for a person's eyes."""
    image, stage, profiles = CASES[case]
    mine = settings(lock, SPEECHMILL_PROFILES=json.dumps(profiles))
    golden(f"{image}-{stage}.{case}.json", operator(image, stage), mine, monkeypatch)


def test_a_large_language_has_pods_of_its_own(lock: Path) -> None:
    """Over the installation's profiles, and with their cores."""
    installed = {"release": "small", "ingest": "cpu", "quality.check": "small"}
    mine = settings(lock, SPEECHMILL_PROFILES=json.dumps(installed))
    language = SpokenLanguage(code="en", name="English", pods={"release.publish_words": "bulk", "quality": "large"})
    here = Pipeline(mine, "spoken_words", language)
    cores = {}
    for image, name in (("release", "publish_words"), ("release", "seal"), ("ingest", "voices"), ("quality", "check")):
        made = here.stage("base", image, name)
        call = made.call(context(), mine)
        cores[name] = (made.profile(call, mine), call.workers)
    wanted = {"publish_words": "bulk", "seal": "small", "voices": "cpu", "check": "large"}
    assert cores == {name: (PROFILES[p], PROFILES[p].cpu) for name, p in wanted.items()}
    (disk,) = make_pod(here.stage("base", "release", "publish_words", task_id="p"), call_of(mine), mine).volumes
    assert disk.empty_dir is None and disk.ephemeral.volume_claim_template.spec.resources.requests == {"storage": "1000Gi"}


def call_of(mine: Settings) -> StageCall:
    return StageCall("release", "publish_words", [], "gs://b/o")


def test_a_recogniser_on_a_gpu_gets_its_image_and_a_t4(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = operator("align", "recognize", stage_params=TORCHAUDIO)
    assert made.call(context(), settings(lock)).environment == "align-gpu"
    golden("align-gpu-recognize.t4.json", made, settings(lock), monkeypatch)
    for stage, params in (("recognize", {}), ("align", {"recognizer": "torchaudio"}), ("score", {"recognizer": "torchaudio"})):
        assert operator("align", stage, stage_params=params).call(context(), settings(lock)).environment == "align"


def test_a_language_that_is_heard_on_a_gpu_waits_for_one(lock: Path) -> None:
    pools = {}
    for recognizer in ("torchaudio", "moonshine"):
        language = Language(code="de", name="German", since="2026.01", recognizer=recognizer)
        here = Pipeline(settings(lock), "peoples_speech", language)
        stages = {name: here.stage("base", "align", name, pool="heavy", from_run=["recognizer"])
                  for name in ("recognize", "align", "score")}  # fmt: skip
        pools[recognizer] = {name: made.pool for name, made in stages.items()}
    assert pools["moonshine"] == dict.fromkeys(("recognize", "align", "score"), "heavy")
    assert pools["torchaudio"] == {"recognize": "gpu_t4", "align": "heavy", "score": "heavy"}


def golden(name: str, made: StageOperator, mine: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p")
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    pod: Any = make_pod(made, made.call(context(), mine), mine)
    rendered = ApiClient().sanitize_for_serialization(pod.build_pod_request_obj(context()))
    rendered["metadata"]["name"] = rendered["metadata"]["name"].rpartition("-")[0]  # ends in what is drawn for each
    rendered["metadata"]["labels"].pop("airflow_version")
    text = json.dumps(rendered, indent=1, sort_keys=True) + "\n"
    path = GOLDEN / name
    if os.environ.get("GOLDEN") == "write":
        GOLDEN.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()


def test_a_golden_pod_is_what_was_promised() -> None:
    files = sorted(GOLDEN.glob("*.json"))
    assert {f.stem.rpartition(".")[2] for f in files} == set(PROFILES)
    for file in files:
        spec = json.loads(file.read_text())["spec"]
        base = spec["containers"][0]
        assert len(spec["containers"]) == 1, "no sidecar"
        assert "@sha256:" in base["image"] and "latest" not in base["image"]
        assert spec["securityContext"]["runAsNonRoot"] and base["securityContext"]["readOnlyRootFilesystem"]
        assert not spec["automountServiceAccountToken"] and spec["serviceAccountName"] == "speechmill-stage"
        assert base["args"][0] != "-m" and base["args"][-2] == "--workers" and int(base["args"][-1]) >= 1
        gpu = base["resources"]["limits"].get("nvidia.com/gpu")
        assert bool(gpu) == file.stem.endswith(".t4") == ("cloud.google.com/gke-accelerator" in spec.get("nodeSelector", {}))


def test_every_profile_that_is_named_is_there() -> None:
    assert set(STAGES.values()) <= set(PROFILES)
    with pytest.raises(ValueError, match="words=a100"):
        profile_name("words", "align", {"words": "a100"})


def test_pools_count_deferred_tasks_and_a_t4_has_its_own() -> None:
    pools = json.loads((Path(__file__).resolve().parents[2] / "config/pools.json").read_text())
    assert all(pool["include_deferred"] for pool in pools.values())
    assert {p.pool for p in PROFILES.values()} - {""} <= set(pools)


def test_an_image_without_a_digest_is_refused(lock: Path) -> None:
    lock.write_text(yaml.safe_dump({"images": {"release": {"digest": "europe-docker.pkg.dev/p/release:latest"}}}))
    made = operator("release", "seal")
    with pytest.raises(ImageLockError, match="no digest of a registry .*:latest.*make images PUSH"):
        make_pod(made, StageCall("release", "seal", [], "gs://b/o"), settings(lock))
    with pytest.raises(ImageLockError, match="'align' is not in it"):
        make_pod(made, StageCall("align", "score", [], "gs://b/o"), settings(lock))


def test_a_cluster_elsewhere_is_reached_through_gke(lock: Path) -> None:
    made = operator("release", "seal")
    call = StageCall("release", "seal", [], "gs://b/o")
    pod = make_pod(made, call, settings(lock, SPEECHMILL_CLUSTER="p/europe-west4/speech"))
    assert isinstance(pod, GkePod) and (pod.project_id, pod.location, pod.cluster_name) == ("p", "europe-west4", "speech")
    assert isinstance(make_pod(made, call, settings(lock)), InClusterPod)
    with pytest.raises(ValueError, match="PROJECT/LOCATION/NAME"):
        settings(lock, SPEECHMILL_CLUSTER="speech")


def test_pods_need_a_store_that_they_share() -> None:
    with pytest.raises(ValueError, match="needs gs://"):
        Settings.from_env({"SPEECHMILL_RUNNER": "kubernetes", "SPEECHMILL_ROOT": "/data"})


def pod(phase: str = "Failed", reason: str | None = None, state: k8s.V1ContainerState | None = None, **status: Any) -> k8s.V1Pod:
    containers = [
        k8s.V1ContainerStatus(name="base", image="i", image_id="i", ready=False, restart_count=0, state=state)
    ] if state else None  # fmt: skip
    return k8s.V1Pod(
        metadata=k8s.V1ObjectMeta(name="p"),
        status=k8s.V1PodStatus(phase=phase, reason=reason, container_statuses=containers, **status),
    )


def ended(code: int, message: str = "", reason: str = "Error") -> k8s.V1ContainerState:
    return k8s.V1ContainerState(terminated=k8s.V1ContainerStateTerminated(exit_code=code, message=message, reason=reason))


@pytest.mark.parametrize(
    ("found", "code", "final", "words"),
    [
        (pod(state=ended(1, "  12 of 14\nalign score: row 7 of x: expected a number\n")), 1, True, "align score: row 7"),
        (pod(state=ended(99, "nothing to do")), 99, False, "nothing to do"),
        (pod("Succeeded", state=ended(0)), 0, False, ""),
        (pod(state=ended(75, "cannot write gs://b/x: given up after retries")), 75, False, "given up"),
        (pod(state=ended(137, "working", "OOMKilled")), 1, True, "out of memory; give the stage a larger profile"),
        (pod(state=ended(143, "terminated (SIGTERM)")), 143, False, "SIGTERM"),
    ],
)
def test_what_a_stage_said_is_how_it_ended(found: k8s.V1Pod, code: int, final: bool, words: str) -> None:
    exit_, lost = read_end(found)
    assert exit_ is not None and not lost
    assert (exit_.code, exit_.final) == (code, final) and words in exit_.last_line


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (pod(reason="Evicted", message="The node was low on resource: memory."), "taken away: Evicted: The node was low"),
        (pod(reason="Terminated", state=ended(137, "half")), "taken away: Terminated"),
        (pod(reason="NodeShutdown", state=ended(143)), "taken away: NodeShutdown"),
        (
            pod(conditions=[k8s.V1PodCondition(type="DisruptionTarget", status="True", reason="PreemptionByScheduler")]),
            "taken away: PreemptionByScheduler",
        ),
        (
            pod("Pending", conditions=[k8s.V1PodCondition(
                type="PodScheduled", status="False", reason="Unschedulable", message="0/3 nodes are available: 3 Insufficient gpu"
            )]),
            r"did not start .Pending: Unschedulable: 0/3 nodes",
        ),
        (
            pod("Pending", state=k8s.V1ContainerState(waiting=k8s.V1ContainerStateWaiting(reason="ImagePullBackOff"))),
            "did not start .Pending: ImagePullBackOff",
        ),
    ],
)  # fmt: skip
def test_a_pod_that_was_lost_is_no_verdict_on_the_stage(found: k8s.V1Pod, words: str) -> None:
    exit_, lost = read_end(found)
    assert exit_ is None
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(lost)
