"""``make chaos``: what a SIGKILL costs. By hand: half an hour of a Docker engine with two idle cores.

A harvest of two recordings, a shard each, and a release on docker-compose.yaml, undisturbed; then once for each fault, on a stack
of its own: when a certain stage is at work, SIGKILL to its container or to a service, from the machine (``docker kill`` would
tell the engine not to start it again). Compose's restart policy and Airflow's retries do the rest, and nobody helps. The release
must have the same objects with the same CRC32C as the undisturbed one, and so must every table of the batch; ``published`` in
release.json is left out, which is when it was, and so is its digest in latest.json, once that has been found right.

    python3.11 tests/chaos/run.py [FAULT …]               # prints the table of docs/reliability.md
    python3.11 tests/chaos/run.py --together [FAULT …]    # all of them in one run: two stacks instead of six
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPO), str(REPO / "tests/support")]

from compose import Stack, StackError, stack  # noqa: E402

from scripts.api import ApiError  # noqa: E402

HARVEST, RELEASE = "peoples_speech_harvest__en", "peoples_speech_release__en"
PROJECT = "speechmill-chaos"
MONTH = "2026.10"
RUNS = (
    (HARVEST, {"source": "folder", "location": "gs://speech/sources/peoples_speech_next/en", "shard_hours": 0.01}),
    (RELEASE, {"approval": "auto"}),
)
WAIT_S = 900


@dataclass(frozen=True)
class Fault:
    """What is killed, and when: ``after_s`` seconds after a stage's container is there. ``victim``: a service, or ``stage``."""

    name: str
    victim: str
    stage: str
    after_s: float


FAULTS = (
    Fault("emulator", "gcs", "ingest.fetch", 3),
    Fault("scheduler", "scheduler", "align.recognize", 3),
    Fault("stage", "stage", "align.align", 1),
    Fault("api-server", "api-server", "release.split", 1),
    Fault("postgres", "postgres", "release.package", 1),
    Fault("emulator-publish", "gcs", "release.publish", 3),
)
"""In the order in which a run comes to them."""


@dataclass
class Outcome:
    """One pass: its seconds, its tasks that were tried again, and what the bucket held in the end."""

    seconds: float
    again: dict[str, int]
    objects: dict[str, str]
    left: int


def kill(what: Stack, fault: Fault) -> None:
    """Wait for the moment, then SIGKILL."""
    deadline = time.monotonic() + WAIT_S
    while not (found := _ids("--filter", f"label=org.speechmill.stage={fault.stage}")):
        if time.monotonic() > deadline:
            raise StackError(f"{fault.stage} never ran")
        time.sleep(0.2)
    time.sleep(fault.after_s)
    victim = found[0] if fault.victim == "stage" else what.container(fault.victim)
    shown = subprocess.run(["docker", "inspect", "-f", "{{.State.Pid}}", victim], capture_output=True, text=True, check=True)
    os.kill(int(shown.stdout), signal.SIGKILL)
    print(f"  {time.strftime('%T')} killed {fault.victim} while {fault.stage} was at work", flush=True)


def _ids(*filters: str) -> list[str]:
    own = ("--filter", f"network={PROJECT}")
    return subprocess.run(["docker", "ps", "-q", *own, *filters], capture_output=True, text=True, check=True).stdout.split()


def go(*faults: Fault) -> Outcome:
    """One pass over a new stack, with these faults."""
    with stack(PROJECT) as what:
        what.up({HARVEST, RELEASE})
        started = time.monotonic()
        again: dict[str, int] = {}
        for dag_id, conf in RUNS:
            run_id = what.start(dag_id, MONTH, conf)
            for fault in faults:
                if dag_id == (RELEASE if fault.stage.startswith("release.") else HARVEST):
                    kill(what, fault)
            what.finish(dag_id, run_id)
            assert what.api is not None
            again |= {t["task_id"]: t["try_number"] for t in what.api.tasks(dag_id, run_id) if (t["try_number"] or 0) > 1}
        seconds = time.monotonic() - started
        return Outcome(seconds, again, objects(what), len(_ids("-a", "--filter", "label=org.speechmill.task")))


def objects(what: Stack) -> dict[str, str]:
    """Object → CRC32C of all that is true: the release, its pointer, shards, recordings, splits, the batch's tables and seal."""
    held: dict[str, str] = {}
    for prefix in ("releases", "shards", "recordings", "splits", "batches"):
        held |= what.listing(f"warehouse/{prefix}/")
    apart = ("/_SUCCESS.json", "/release.json", "/latest.json")
    kept = {name: crc for name, crc in held.items() if not name.endswith(apart)}
    release, latest = (next(n for n in held if n.endswith(end)) for end in apart[1:])
    text = what.read(release)
    about, points = json.loads(text), json.loads(what.read(latest))
    about.pop("published")
    if points.pop("sha256") != hashlib.sha256(text.encode()).hexdigest():
        raise StackError(f"{latest}: not the digest of {release}")
    return kept | {release: json.dumps(about, sort_keys=True), latest: json.dumps(points)}


def main() -> None:
    """Command line."""
    together, names = "--together" in sys.argv, [a for a in sys.argv[1:] if a != "--together"]
    chosen = [fault for fault in FAULTS if not names or fault.name in names]
    if len(chosen) < len(names):
        sys.exit(f"faults: {', '.join(fault.name for fault in FAULTS)}")
    print(f"  {time.strftime('%T')} undisturbed", flush=True)
    whole = go()
    print(f"  {whole.seconds:.0f} s, {len(whole.objects)} objects; tried again: {whole.again or 'nothing'}", flush=True)
    lines, failed = [], []
    for faults in [chosen] if together else [[fault] for fault in chosen]:
        killed = ", ".join(f"{f.victim} (at {f.stage})" for f in faults)
        print(f"  {time.strftime('%T')} {killed}", flush=True)
        try:
            got = go(*faults)
        except (StackError, ApiError) as error:
            failed.append(f"{killed}: {error}")
            lines.append(f"| {killed} | did not end well | | |")
            continue
        names_of_all = set(whole.objects) | set(got.objects)
        other = sorted(n for n in names_of_all if whole.objects.get(n) != got.objects.get(n))
        if other or got.left:
            failed.append(f"{killed}: {len(other)} objects differ, such as {other[:5]}; {got.left} containers left")
        again = ", ".join(f"{task} ({tries})" for task, tries in sorted(got.again.items())) or "nothing"
        lost = "nothing" if not other else f"{len(other)} objects differ"
        lines.append(f"| {killed} | {again} | {got.seconds - whole.seconds:+.0f} s | {lost} |")
        print(f"  {lines[-1]}", flush=True)
    print(f"\nundisturbed: {whole.seconds:.0f} s, {len(whole.objects)} objects compared\n")
    print("| killed (while at work) | tasks tried again (tries) | run took | lost |\n| --- | --- | --- | --- |")
    print("\n".join(lines))
    if failed:
        sys.exit("\n".join(failed))


if __name__ == "__main__":
    main()
