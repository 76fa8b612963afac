"""deploy/gke held against the code that it is for: names, shapes, quotas, and what nobody may be given."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import hcl2
import pytest
import yaml

from operators.pods import LOGS_GIB
from operators.profiles import PROFILES, SPOT
from operators.settings import Settings

REPO = Path(__file__).resolve().parents[2]
GKE = REPO / "deploy/gke"
MACHINES = {"e2-standard-4": (4, 16), "n2-standard-8": (8, 32), "n2-highmem-8": (8, 64), "n1-standard-8": (8, 30)}
"""Machine type → cores, GB of memory (cloud.google.com/compute/docs/general-purpose-machines)."""
DAEMONS = (0.5, 1.0)
"""Cores and GiB that GKE's own pods (logs, metrics, network, CSI) ask for on each node, rounded up."""


def bare(value: Any) -> Any:
    """A parsed file without the parser's quotes and marks."""
    if isinstance(value, dict):
        return {bare(k): bare(v) for k, v in value.items() if not str(k).startswith("__")}
    if isinstance(value, list):
        return [bare(v) for v in value]
    return value[1:-1] if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] == '"' else value


def read(root: str) -> dict[str, dict[str, Any]]:
    """``kind.type.name`` → body, of all files of a root module; resources without their kind."""
    found: dict[str, Any] = {}
    for file in sorted((GKE / root).glob("*.tf")):
        with open(file) as text:
            parsed = bare(hcl2.load(text))
        for kind in ("resource", "data", "ephemeral", "variable", "output"):
            for block in parsed.get(kind, []):
                for first, rest in block.items():
                    if kind in ("variable", "output"):
                        found[f"{kind}.{first}"] = rest
                    else:
                        prefix = "" if kind == "resource" else f"{kind}."
                        found |= {f"{prefix}{first}.{name}": body for name, body in rest.items()}
    return found


@pytest.fixture(scope="module")
def cloud() -> dict[str, Any]:
    return read("cloud")


@pytest.fixture(scope="module")
def cluster() -> dict[str, Any]:
    return read("cluster")


@pytest.fixture(scope="module")
def values() -> dict[str, Any]:
    return dict(yaml.safe_load((GKE / "values.yaml").read_text()))


@pytest.fixture(scope="module")
def settings() -> Settings:
    return Settings.from_env({"SPEECHMILL_RUNNER": "kubernetes", "SPEECHMILL_ROOT": "gs://b/warehouse"})


def one(blocks: Any) -> Any:
    """The only block of its kind."""
    (found,) = blocks
    return found


def everything(root: Any) -> list[tuple[str, Any]]:
    """All (name, value) pairs at any depth."""
    if isinstance(root, dict):
        return [pair for k, v in root.items() for pair in [(k, v), *everything(v)]]
    return [pair for v in root for pair in everything(v)] if isinstance(root, list) else []


def room(node: dict[str, Any]) -> tuple[float, float, float]:
    """Cores, GiB of memory and GiB of disk that a node leaves to pods, by GKE's published reservations.

    cloud.google.com/kubernetes-engine/docs/concepts/plan-node-sizes: of memory 25 % of the first 4 GiB, 20 % of the next 4,
    10 % of the next 8, 6 % of the next 112 and 100 MiB for eviction; of cores 6 % of the first, 1 % of the second, 0.5 % of two
    more, 0.25 % of the rest; of a boot disk 10 % for eviction and the least of 50 %, 6 GiB + 35 % and 100 GiB.
    """
    cores, memory = MACHINES[node["machine_type"]]
    kept, left = 0.1, float(memory)
    for size, share in ((4, 0.25), (4, 0.2), (8, 0.1), (112, 0.06)):
        kept += min(size, left) * share
        left = max(0.0, left - size)
    busy = sum(share for number, share in enumerate([0.06, 0.01, 0.005, 0.005, *[0.0025] * 60]) if number < cores)
    disk = node["disk_size_gb"] / 1.073741824
    return cores - busy - DAEMONS[0], memory - kept - DAEMONS[1], disk - 0.1 * disk - min(0.5 * disk, 6 + 0.35 * disk, 100)


@pytest.mark.parametrize(
    ("profile", "pool"), [("small", "cpu"), ("cpu", "cpu"), ("large", "large"), ("bulk", "large"), ("t4", "t4")]
)
def test_every_profile_fits_on_a_node_of_its_pool(cloud: dict[str, Any], profile: str, pool: str) -> None:
    node = one(cloud[f"google_container_node_pool.{pool}"]["node_config"])
    asked = PROFILES[profile]
    cores, memory, disk = room(node)
    of_the_node = LOGS_GIB if asked.own_disk else asked.disk_gib
    assert asked.cpu <= cores and asked.memory_gib <= memory and of_the_node <= disk
    taints = {(t["key"], t["value"], t["effect"].replace("NO_SCHEDULE", "NoSchedule")) for t in node.get("taint", [])}
    assert taints <= set(asked.tolerations)
    if gpus := node.get("guest_accelerator"):
        assert asked.gpus == one(gpus)["count"] == 1
        assert asked.node_selector["cloud.google.com/gke-accelerator"] == one(gpus)["type"]
        assert node["spot"] is True and SPOT in asked.tolerations and SPOT in taints
    else:
        assert asked.gpus == 0 and not node.get("spot")


def test_there_is_a_disk_of_its_own_for_each_large_node(cloud: dict[str, Any], cluster: dict[str, Any]) -> None:
    hard, nodes = one(cluster["kubernetes_resource_quota_v1.stages"]["spec"])["hard"], cloud["variable.large_nodes"]["default"]
    assert hard["persistentvolumeclaims"] == str(nodes)
    assert hard["requests.storage"] == f"{nodes * PROFILES['bulk'].disk_gib}Gi"


def test_there_are_as_many_t4s_as_slots_and_quota(cloud: dict[str, Any], cluster: dict[str, Any]) -> None:
    slots = json.loads((REPO / "config/pools.json").read_bytes())["gpu_t4"]["slots"]
    assert cloud["variable.t4_nodes"]["default"] == cluster["variable.gpu_slots"]["default"] == slots
    assert "t4_nodes" in one(cloud["google_container_node_pool.t4"]["autoscaling"])["total_max_node_count"]
    hard = one(cluster["kubernetes_resource_quota_v1.stages"]["spec"])["hard"]
    assert "gpu_slots" in hard["requests.nvidia.com/gpu"]
    assert {"pods", "requests.cpu", "requests.memory", "requests.ephemeral-storage"} <= set(hard)


def test_the_runbook_asks_for_all_that_the_nodes_can_take(cloud: dict[str, Any]) -> None:
    needs = {"PREEMPTIBLE_NVIDIA_T4_GPUS": 0, "N2_CPUS": 0, "CPUS": 0, "SSD_TOTAL_GB": 0}
    for name, pool in cloud.items():
        if not name.startswith("google_container_node_pool."):
            continue
        most, node = one(pool["autoscaling"])["total_max_node_count"], one(pool["node_config"])
        if variable := re.search(r"var\.(\w+)", str(most)):
            most = cloud[f"variable.{variable[1]}"]["default"]
        needs["N2_CPUS" if node["machine_type"].startswith("n2-") else "CPUS"] += most * MACHINES[node["machine_type"]][0]
        needs["PREEMPTIBLE_NVIDIA_T4_GPUS"] += most * len(node.get("guest_accelerator", []))
        needs["SSD_TOTAL_GB"] += most * node["disk_size_gb"]
    needs["SSD_TOTAL_GB"] += cloud["variable.large_nodes"]["default"] * PROFILES["bulk"].disk_gib
    first = (REPO / "docs/runbook.md").read_text().partition("### First deployment")[2].partition("\n2. ")[0]
    asked = {name: int(number) for name, number in re.findall(r"`([A-Z0-9_]+)` \((\d+)", first)}
    assert set(asked) == set(needs) and all(asked[name] >= number for name, number in needs.items()), needs


def test_names_are_those_that_the_runner_uses(
    cloud: dict[str, Any], cluster: dict[str, Any], values: dict[str, Any], settings: Settings
) -> None:
    assert one(cluster["kubernetes_namespace_v1.stages"]["metadata"])["name"] == settings.namespace
    assert one(cluster["kubernetes_service_account_v1.stage"]["metadata"])["name"] == settings.service_account
    principals = (GKE / "cloud/identity.tf").read_text()
    assert f"/ns/{settings.namespace}/sa/{settings.service_account}" in principals
    env = {e["name"]: e["value"] for e in values["env"]}
    read_back = Settings.from_env(env | {"SPEECHMILL_ROOT": "gs://b/warehouse"})
    assert (read_back.runner, read_back.namespace, read_back.service_account) == (
        "kubernetes", settings.namespace, settings.service_account,
    )  # fmt: skip
    folder, lock = read_back.images.parent, read_back.images.name
    assert {"mountPath": str(folder)}.items() <= one(values["volumeMounts"]).items()
    assert lock in cluster["kubernetes_config_map_v1.images"]["data"]
    accounts = {values[c]["serviceAccount"]["name"] for c in ("scheduler", "apiServer", "dagProcessor", "triggerer")}
    listed = re.search(r"airflow\s+= \[for name in \[([^\]]+)\]", principals)
    named = set(re.findall(r'"([a-z-]+)"', listed[1])) if listed else set()
    assert accounts == {f"airflow-{name}" for name in named}
    launchers = {s["name"] for s in cluster["kubernetes_role_binding_v1.launcher"]["subject"]}
    assert launchers == {"airflow-scheduler", "airflow-triggerer"}, "what runs tasks, and what watches their pods"


def test_secrets_are_in_no_file_and_all_there(cluster: dict[str, Any], values: dict[str, Any]) -> None:
    secret = cluster["kubernetes_secret_v1.airflow"]
    assert "data" not in secret, "it would be in the state"
    wanted = {"connection", "fernet-key", "jwt-secret", "api-secret-key", "password.json"}
    assert set(secret["data_wo"]) == wanted and "sslmode=require" in secret["data_wo"]["connection"]
    names = {values["data"]["metadataSecretName"], *(values[f"{n}SecretName"] for n in ("fernetKey", "jwt", "apiSecretKey"))}
    assert names == {one(secret["metadata"])["name"]}
    assert secret["data_wo_revision"] == cluster["google_sql_user.airflow"]["password_wo_version"]
    drawn = {n.removeprefix("ephemeral.random_password.") for n in cluster if n.startswith("ephemeral.")}
    text = (GKE / "cluster/secrets.tf").read_text()
    assert all(f"ephemeral.random_password.{name}.result" in text for name in drawn)
    for file in GKE.rglob("*"):
        if file.is_file():
            assert not re.search(r"(?i)(password|secret|token|key)\w*\s*[:=]\s*\"[A-Za-z0-9+/_-]{16,}\"", file.read_text()), file


def test_nobody_is_given_more_than_they_need(cloud: dict[str, Any], cluster: dict[str, Any]) -> None:
    """No keys, nothing public, no project-wide right but the nodes' own and, where it is asked for, Spark's; no wildcard."""
    assert not [n for n in cloud if "service_account_key" in n]
    asked_for = {n for n, body in cloud.items() if "var.spark ?" in str(body.get("count", body.get("for_each", "")))}
    given = {n: body["role"] for n, body in cloud.items() if "_iam_" in n}
    assert {n for n in given if n.startswith("google_project_iam")} - asked_for == {"google_project_iam_member.nodes"}
    assert {role for n, role in given.items() if n not in asked_for} == {
        "roles/storage.objectUser", "roles/storage.objectViewer", "roles/artifactregistry.reader",
        "roles/container.defaultNodeServiceAccount",
    }  # fmt: skip
    assert {role for n, role in given.items() if n in asked_for} == {
        "roles/storage.objectUser", "roles/dataproc.worker", "roles/dataproc.serverlessEditor", "roles/iam.serviceAccountUser",
    }  # fmt: skip
    assert not [v for root in (cloud, cluster) for _, v in everything(root) if v in ("allUsers", "allAuthenticatedUsers", "*")]
    for name, body in cloud.items():
        if name.startswith("google_storage_bucket."):
            assert body["public_access_prevention"] == "enforced" and body["uniform_bucket_level_access"] is True
    verbs = {v for rule in cluster["kubernetes_role_v1.launcher"]["rule"] for v in rule["verbs"]}
    assert "update" not in verbs and cluster["kubernetes_role_v1.launcher"]["metadata"][0]["namespace"].endswith(".name}")
    private = one(cloud["google_container_cluster.this"]["private_cluster_config"])
    assert private["enable_private_nodes"] is True and private["enable_private_endpoint"] is True
    assert one(one(cloud["google_sql_database_instance.airflow"]["settings"])["ip_configuration"])["ipv4_enabled"] is False
    for pool in ("system", "cpu", "large", "t4"):
        node = one(cloud[f"google_container_node_pool.{pool}"]["node_config"])
        assert one(node["workload_metadata_config"])["mode"] == "GKE_METADATA", "else a pod has its node's rights"


def test_spark_is_where_the_operator_looks_for_it_and_only_if_asked_for(cloud: dict[str, Any]) -> None:
    assert cloud["variable.spark"]["default"] is False
    spark = {n: body for n, body in cloud.items() if "var.spark ?" in str(body.get("count", body.get("for_each", "")))}
    assert {n for n, body in cloud.items() if "spark[0]" in str(body)} <= set(spark) | {"output.dataproc"}
    subnetwork, account = cloud["google_compute_subnetwork.spark"], cloud["google_service_account.spark"]
    assert subnetwork["name"] == account["account_id"], "operators/dataproc.py has one name for both"
    assert subnetwork["private_ip_google_access"] is True
    wall = cloud["google_compute_firewall.spark"]
    assert wall["source_ranges"] == wall["destination_ranges"], "executors talk among themselves"


def test_stages_reach_what_they_need_and_nothing_else(cluster: dict[str, Any]) -> None:
    deny = one(cluster["kubernetes_network_policy_v1.deny"]["spec"])
    assert deny["policy_types"] == ["Ingress", "Egress"] and not deny["pod_selector"][0]
    stages = one(cluster["kubernetes_network_policy_v1.stages"]["spec"])
    blocks = {one(to["ip_block"])["cidr"] for e in stages["egress"] for to in e["to"] if "ip_block" in to}
    assert blocks == {"169.254.169.254/32", "199.36.153.8/30"}
    sources = one(cluster["kubernetes_network_policy_v1.sources"]["spec"])
    block = one(one(one(sources["egress"])["to"])["ip_block"])
    assert {"10.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"} <= set(block["except"])
    wanted = one(one(sources["pod_selector"])["match_expressions"])["values"]
    stages_of_ingest = (REPO / "containers/ingest/ingest").glob("*.py")
    online = {f"ingest-{f.stem}" for f in stages_of_ingest if re.search(r"ingest\.(http|sources)|from \.?http", f.read_text())}
    assert set(wanted) == {name for name in online if name in ("ingest-discover", "ingest-fetch")} != set()


def test_airflow_is_the_version_of_the_lock_and_by_digest(values: dict[str, Any]) -> None:
    locked = re.search(r"^apache-airflow==(\S+)", (REPO / "requirements.txt").read_text(), re.M)
    assert locked and values["airflowVersion"] == locked[1]
    site = yaml.safe_load((GKE / "site.yaml.example").read_text())
    assert "tag" not in site["images"]["airflow"] and site["images"]["airflow"]["digest"].startswith("sha256:")
    assert values["executor"] == "LocalExecutor" and values["allowPodLaunching"] is False
    assert not any(values[name]["enabled"] for name in ("postgresql", "redis"))


def test_the_readme_names_every_variable_without_a_default(cloud: dict[str, Any], cluster: dict[str, Any]) -> None:
    text = (GKE / "README.md").read_text()
    for root in (cloud, cluster):
        for name in (n.removeprefix("variable.") for n, v in root.items() if n.startswith("variable.") and "default" not in v):
            assert f"{name} " in text or f"{name}=" in text, name
