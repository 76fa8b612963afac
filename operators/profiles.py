"""What a stage's pod asks of the cluster: one place, a reason beside each number.

A pod's requests are also its limits for memory (what is over is another pod's), and not for CPU (idle cores are for whoever is
there). ``STAGES`` says which stage runs as what; ``SPEECHMILL_PROFILES`` overrides it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True)
class Profile:
    """One shape of pod.

    Attributes:
        cpu: cores requested; also the stage's ``--workers``, for a pod sees all cores of its node.
        memory_gib: memory requested, and the limit.
        disk_gib: all of it for /tmp: inputs that were staged, decoded audio, the output before its upload. Up to `NODE_DISK_GIB`
            it is the node's, beyond it a volume of the cluster's default storage class, made for the pod and deleted with it.
        schedule_timeout_s: until a node must be there.
        startup_timeout_s: from then until the container must run.
        timeout: until the pod is ended by Kubernetes itself, whatever Airflow does: a hung pod costs money.
        gpus: NVIDIA GPUs.
        node_selector: labels that the node must have.
        tolerations: (key, value, effect) of taints that the pod lives with.
        pool: Airflow pool that bounds how many there are at once; empty: the task's own.
    """

    cpu: int
    memory_gib: int
    disk_gib: int
    schedule_timeout_s: int
    startup_timeout_s: int
    timeout: timedelta
    gpus: int = 0
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[tuple[str, str, str], ...] = ()
    pool: str = ""

    @property
    def own_disk(self) -> bool:
        """Whether /tmp is a volume of the pod's own: no node has so much."""
        return self.disk_gib > NODE_DISK_GIB


NODE_DISK_GIB = 200
"""What the largest nodes have for a pod (``deploy/gke/cloud/cluster.tf``); one that asks for more is scheduled nowhere."""
SPOT = ("cloud.google.com/gke-spot", "true", "NoSchedule")

PROFILES = {
    "small": Profile(
        cpu=1,  # seals and lists are single-threaded
        memory_gib=4,  # a month's lists in Arrow; a release of two million sentences has one of under 1 GB
        disk_gib=10,  # tables only
        schedule_timeout_s=600,  # a CPU node is up in one to three minutes; ten outlast a zone's short lack of them
        startup_timeout_s=300,  # images are up to 1.2 GB: pulled and unpacked within a minute
        timeout=timedelta(hours=6),
    ),
    "cpu": Profile(
        cpu=4,  # the stage maps recordings over processes; 8-core nodes take one and their own daemons
        memory_gib=15,  # an aligner process on a 12-hour recording needs 2 to 3 GB; four of them, and the parent
        disk_gib=50,  # four 12-hour recordings: 0.7 GB of mp3 and 1.4 GB decoded each, twice while one ends and the next begins
        schedule_timeout_s=600,  # as small
        startup_timeout_s=300,
        timeout=timedelta(hours=24),  # a shard is 10 to 20 h of audio and takes less than its own duration on four cores
    ),
    "large": Profile(
        cpu=7,  # of n2-highmem-8, less what the node and its daemons keep: memory is what it is for
        memory_gib=56,  # of its 64 GiB, less what the node keeps: a corpus-wide table (dedup, collect) must fit as a whole
        disk_gib=200,  # a corpus's tables, and the shards that are packed before they are uploaded
        schedule_timeout_s=900,  # high-memory nodes are scarcer
        startup_timeout_s=300,
        timeout=timedelta(hours=24),
    ),
    "bulk": Profile(
        cpu=7,  # as large, and its memory
        memory_gib=56,
        disk_gib=1000,  # Common Voice's English: 70 GB of tar.gz and as much in shards; 200 GB of a release's archives
        schedule_timeout_s=1200,  # as large, and then the disk is made and attached
        startup_timeout_s=300,
        timeout=timedelta(hours=48),  # a few hundred GB of upload beside the work
    ),
    "t4": Profile(
        cpu=4,  # of n1-standard-8: the other half is for a second pod's start and the node's daemons
        memory_gib=15,  # half of its 30 GB
        disk_gib=50,  # decoded recordings that wait for the GPU, as cpu, and a model that was fetched (1.3 GB at most)
        gpus=1,
        schedule_timeout_s=1200,  # a cold T4 node takes 10 to 15 minutes (VM, driver); what takes longer is a lack of T4s
        startup_timeout_s=900,  # CUDA images are 5 to 10 GB
        timeout=timedelta(hours=12),  # spot nodes live 24 h at most: work that needs more would never end
        node_selector={"cloud.google.com/gke-accelerator": "nvidia-tesla-t4", "cloud.google.com/gke-spot": "true"},
        tolerations=(("nvidia.com/gpu", "present", "NoSchedule"), SPOT),
        pool="gpu_t4",
    ),
}

STAGES = {
    "align": "cpu",
    "align-gpu": "t4",
    "ingest.fetch": "cpu",
    "words": "cpu",
    "mfa": "cpu",
    "keywords": "cpu",
    "quality": "cpu",  # a month's or a release's rows in memory: 2 GB a million clips (bench/results/gate-scale.md)
    "dedup": "large",
    "dedup.spark_code": "small",
    "release.collect": "large",
    "release.split": "large",
    "release.package": "large",
    "release.publish": "large",
    "release.split_speakers": "large",
    "release.publish_words": "large",
    "release.package_words": "large",
    "release.collect_words": "large",
}
"""``image.stage`` or ``image`` → profile; others are small. ``align-gpu`` is align with a recogniser that runs on a GPU."""


def profile_name(image: str, stage: str, *overrides: Mapping[str, str]) -> str:
    """The profile of a stage, by the first of the overrides that says anything of it.

    >>> profile_name("align", "score"), profile_name("release", "seal"), profile_name("words", "align", {"words": "t4"})
    ('cpu', 'small', 't4')

    Raises:
        ValueError: an override names no profile.
    """
    for table in (*overrides, STAGES):
        for key in (f"{image}.{stage}", image):
            if key in table:
                if table[key] not in PROFILES:
                    raise ValueError(f"SPEECHMILL_PROFILES: {key}={table[key]}: there is {', '.join(PROFILES)}")
                return table[key]
    return "small"
