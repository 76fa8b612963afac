"""What each runner adds to a stage, how quickly images start, and how quickly the bucket is read and written.

Run from the repository's root, after ``make images``, with a Docker engine:
PYTHONPATH=.:containers/stagekit:tests/support .venvs/airflow/bin/python bench/runners/run.py --write

*Overhead* is the wall time of a runner's call, less the seconds that the stage itself was at work (``run.wall_s`` of its
``_SUCCESS.json``): process or container start, imports, storage, ledger and receipt. The stage is ``ingest discover`` over a
folder of one recording. On Kubernetes it is the real operator, polling every 15 s as it is set to, against the tests' pod API
(``tests/support/kube_server.py``) on this machine's engine; nodes, their start and the pull of an image are not in it.

*Transfers* are this library (``stagekit.gcs``) beside google-cloud-storage as it comes, one file after the other, against the
public emulator in a process of its own. Files are random bytes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

REPO = Path(__file__).resolve().parents[2]
RESULTS = REPO / "bench/results/runners.md"
LOCK = REPO / "containers/images.lock.yaml"
MIB = 1 << 20


def timed(work: Callable[[], Any]) -> float:
    """Wall seconds of a call."""
    started = time.monotonic()
    work()
    return time.monotonic() - started


def spread(values: list[float], digits: int = 2) -> str:
    """Median and range."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def make_source(folder: Path) -> str:
    """A source folder of one recording that any user may read."""
    folder.mkdir(parents=True)
    home = REPO / "samples/peoples_speech/en"
    lines = [x for x in (home / "metadata.jsonl").read_text().splitlines() if json.loads(x)["file"] == "sonnet_002.mp3"]
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n")
    for file in home.glob("sonnet_002.*"):
        shutil.copy(file, folder)
    return folder.as_uri()


def discover(root: str, location: str, number: int) -> Any:
    """A call that has not been made before."""
    from operators.runners import StageCall

    params = {"source": "folder", "location": location, "language": "en", "month": "2026.10", "limit": 100 + number}
    return StageCall("ingest", "discover", [], f"{root}/work", params, f"{root}/r{number}.json", 1)


def at_work(success: dict[str, Any]) -> float:
    """Seconds that the stage itself took."""
    return float(success["run"]["wall_s"])


def local_overhead(runner: str, base: Path, times: int) -> list[float]:
    """Seconds that the process or docker runner adds, on file://."""
    from operators import objects
    from operators.runners import make_runner
    from operators.settings import Settings

    location = make_source(base / "source")
    env = {
        "SPEECHMILL_RUNNER": runner, "SPEECHMILL_ROOT": str(base / "warehouse"), "SPEECHMILL_IMAGES": str(LOCK),
        "SPEECHMILL_DOCKER_MOUNTS": str(base / "source"),
    }  # fmt: skip
    settings, found = Settings.from_env(env), []
    for number in range(times + 1):
        call = discover(settings.root, location, number)
        took = timed(lambda call=call: _well(make_runner(settings).run(call, lambda _: None)))  # type: ignore[misc]
        folder = objects.local(objects.read_json(call.receipt)["output"])
        found.append(took - at_work(json.loads((folder / "_SUCCESS.json").read_text())))
    return found[1:]  # the first warms the page cache


def _well(ended: Any) -> None:
    assert ended.code == 0, ended


class _TaskInstance(SimpleNamespace):
    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


class _Remembered(dict[str, Any]):
    """Airflow's task state store, as much of it as the operator uses."""

    def set(self, key: str, value: Any) -> None:
        """Keep a value."""
        self[key] = value


def pod_overhead(base: Path, times: int) -> list[float]:
    """Seconds that a pod adds, with the operator's own polling."""
    import gcs_server
    from airflow.sdk.exceptions import TaskDeferred
    from kube_server import serve

    from operators import objects
    from operators.stage import StageOperator

    bridge = json.loads(subprocess.run(["docker", "network", "inspect", "bridge"], capture_output=True, check=True).stdout)
    gateway = bridge[0]["IPAM"]["Config"][0].get("Gateway") or "172.17.0.1"
    source = base / "source"
    make_source(source)
    found = []
    with gcs_server.serve(host=gateway) as cloud, serve() as cluster:
        config, lock = base / "kubeconfig", base / "lock.yaml"
        config.write_text(yaml.safe_dump(cluster.kubeconfig()))
        held = yaml.safe_load(LOCK.read_text())["images"]
        lock.write_text(yaml.safe_dump({"images": {n: {"digest": f"local/{n}@{e['image']}"} for n, e in held.items()}}))
        extra = {"conn_type": "kubernetes", "extra": {"kube_config_path": str(config)}}
        os.environ |= {
            "STORAGE_EMULATOR_HOST": cloud.url, "AIRFLOW_CONN_KUBERNETES_DEFAULT": json.dumps(extra),
            "SPEECHMILL_RUNNER": "kubernetes", "SPEECHMILL_ROOT": "gs://speech/warehouse", "SPEECHMILL_IMAGES": str(lock),
        }  # fmt: skip
        for file in source.iterdir():
            objects._client().bucket("speech").blob(f"source/{file.name}").upload_from_filename(str(file))

        def once(number: int) -> str:
            given = {"source": "folder", "location": "gs://speech/source", "language": "en", "month": "2026.10"}
            operator = StageOperator(
                image="ingest", stage="discover", base="gs://speech/warehouse/work", stage_params=given | {"limit": 100 + number}
            )
            ti = _TaskInstance(
                dag_id="d", run_id=f"r{number}", task_id="discover", map_index=-1, try_number=1, start_date=datetime.now(UTC),
                pushed={},
            )  # fmt: skip
            run = SimpleNamespace(run_id=f"r{number}", logical_date=None, partition_key="2026.10")
            context: Any = {
                "ti": ti, "dag_run": run, "run_id": f"r{number}", "dag": SimpleNamespace(dag_id="d"), "params": {},
                "task": SimpleNamespace(task_id="discover"), "task_state_store": _Remembered(),
            }  # fmt: skip
            step: Callable[[], Any] = lambda: operator.execute(context)  # noqa: E731
            while True:
                try:
                    return str(step()["output"])
                except TaskDeferred as deferred:
                    event = asyncio.run(_first(deferred.trigger))
                    step = lambda event=event: operator.trigger_reentry(context, event.payload)  # type: ignore[misc]  # noqa: E731

        for number in range(times + 1):
            output: list[str] = []
            took = timed(lambda number=number, output=output: output.append(once(number)))  # type: ignore[misc]
            found.append(took - at_work(objects.read_json(f"{output[0]}/_SUCCESS.json")))
        del os.environ["STORAGE_EMULATOR_HOST"]
        objects._client.cache_clear()
    return found[1:]


async def _first(trigger: Any) -> Any:
    async for event in trigger.run():
        return event
    raise AssertionError("the trigger ended without an event")


def image_starts(times: int) -> dict[str, tuple[int, list[float], list[float]]]:
    """Image → MB, seconds of ``docker run … true``, seconds until its command line has answered ``describe``."""
    found = {}
    for name, entry in sorted(yaml.safe_load(LOCK.read_text())["images"].items()):
        if name in ("airflow", "emulator"):
            continue
        run = ["docker", "run", "--rm", "--read-only", "--tmpfs=/tmp", "--network=none"]
        quick = [*run, "--entrypoint=true", entry["image"]]
        ready = [*run, entry["image"], "describe"]
        seconds = [[timed(lambda c=c: subprocess.run(c, capture_output=True, check=True)) for _ in range(times + 1)][1:]
                   for c in (quick, ready)]  # type: ignore[misc]  # fmt: skip
        found[name] = (round(entry["bytes"] / 1e6), seconds[0], seconds[1])
    return found


def transfers(base: Path, times: int) -> list[tuple[str, str, list[float], list[float]]]:
    """(direction, what, MB/s of the plain library, MB/s of stagekit), against the emulator."""
    from google.cloud import storage

    from scripts.api import free_port

    port = free_port()
    tools = REPO / ".venvs/test-tools/bin/gcp-storage-emulator"
    argv = [sys.executable, str(tools), "start", f"--port={port}", "--host=127.0.0.1", "--in-memory", "--default-bucket=speech"]
    server = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.environ["STORAGE_EMULATOR_HOST"] = f"http://127.0.0.1:{port}"
    try:
        from stagekit.gcs import GcsStorage

        for _ in range(100):
            time.sleep(0.2)
            try:
                client = storage.Client(project="speechmill")
                client.lookup_bucket("speech")
                break
            except OSError:
                continue
        ours, bucket, found = GcsStorage(), client.bucket("speech"), []
        for what, count, size in (("64 files of 1 MiB", 64, MIB), ("2 files of 96 MiB", 2, 96 * MIB)):
            plain: dict[str, list[float]] = {"up": [], "down": []}
            mine: dict[str, list[float]] = {"up": [], "down": []}
            amount = count * size / 1e6
            for turn in range(times):
                folder = base / f"{count}-{turn}"
                folder.mkdir()
                for n in range(count):
                    (folder / f"{n}.bin").write_bytes(os.urandom(size))
                names = [f.name for f in sorted(folder.iterdir())]

                def plain_up(folder: Path = folder, names: list[str] = names) -> None:
                    for name in names:
                        bucket.blob(f"plain/{folder.name}/{name}").upload_from_filename(str(folder / name))

                def plain_down(folder: Path = folder, names: list[str] = names) -> None:
                    for name in names:
                        bucket.blob(f"plain/{folder.name}/{name}").download_to_filename(str(base / "down.bin"))

                def my_up(folder: Path = folder) -> None:
                    (folder / "_SUCCESS.json").write_text("{}")
                    ours.commit_folder(folder, f"speech/mine/{folder.name}", "_SUCCESS.json")

                def my_down(folder: Path = folder, names: list[str] = names) -> None:
                    for name in names:
                        (base / "down.bin").unlink(missing_ok=True)
                        ours.download(f"speech/mine/{folder.name}/{name}", base / "down.bin")

                plain["up"].append(amount / timed(plain_up))
                mine["up"].append(amount / timed(my_up))
                plain["down"].append(amount / timed(plain_down))
                mine["down"].append(amount / timed(my_down))
                shutil.rmtree(folder, ignore_errors=True)
            found += [(way, what, plain[way], mine[way]) for way in ("up", "down")]
        return found
    finally:
        server.terminate()
        server.wait(10)
        del os.environ["STORAGE_EMULATOR_HOST"]


def main() -> None:
    """Measure and print; ``--write`` keeps the tables in bench/results."""
    parser = argparse.ArgumentParser(description="What runners add, image starts, transfer rates.")
    parser.add_argument("--times", type=int, default=5, help="calls of each")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.relative_to(REPO)}")
    args = parser.parse_args()
    load = os.getloadavg()[1]
    with tempfile.TemporaryDirectory() as scratch:
        base = Path(scratch)
        base.chmod(0o755)
        lines = [
            "# What runners add", "",
            f"`bench/runners/run.py`: {args.times} calls each, median (least–most). {platform.machine()}, {os.cpu_count()} cores "
            f"(load average {load:.0f} before), Python {platform.python_version()}, {datetime.now(UTC):%Y-%m-%d}.",
            "",
            "| runner | seconds that a stage takes beyond its work |", "|---|---:|",
        ]  # fmt: skip
        for runner in ("process", "docker"):
            lines.append(f"| {runner} | {spread(local_overhead(runner, base / runner, args.times))} |")
            print(lines[-1], flush=True)
        (base / "pods").mkdir()
        lines.append(f"| kubernetes (looks every 15 s) | {spread(pod_overhead(base / 'pods', min(3, args.times)))} |")
        print(lines[-1], flush=True)
        lines += ["", "| image | MB | `docker run … true`, s | its command line answers, s |", "|---|---:|---:|---:|"]
        for name, (megabytes, quick, ready) in image_starts(args.times).items():
            lines.append(f"| {name} | {megabytes} | {spread(quick)} | {spread(ready)} |")
            print(lines[-1], flush=True)
        lines += ["", "| emulator | | google-cloud-storage, MB/s | stagekit.gcs, MB/s |", "|---|---|---:|---:|"]
        for way, what, plain, mine in transfers(base, min(3, args.times)):
            lines.append(f"| {way} | {what} | {spread(plain, 0)} | {spread(mine, 0)} |")
            print(lines[-1], flush=True)
    if args.write:
        RESULTS.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
