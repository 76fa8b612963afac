"""mypy over the tree: each image against its own environment, the rest against Airflow's."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
MYPY = REPO / ".venvs/lint/bin/mypy"


def jobs(repo: Path = REPO) -> list[tuple[str, list[str], list[str]]]:
    """(environment, paths to check, search path) of each job."""
    images = sorted(lock.parent.name for lock in (repo / "containers").glob("*/requirements.txt"))
    found = [
        (image, [f"containers/{image}/{image}"], ["containers/stagekit", f"containers/{image}"])
        for image in images
        if any((repo / "containers" / image / image).glob("*.py"))
    ]
    found.append(("release", ["containers/stagekit/stagekit"], ["containers/stagekit"]))
    found.append(("airflow", [p for p in ("dags", "operators", "plugins", "scripts") if any((repo / p).glob("*.py"))], ["."]))
    return found


def check(job: tuple[str, list[str], list[str]]) -> tuple[str, int, str]:
    """Run mypy for one job: (what, exit code, its output)."""
    venv, targets, path = job
    env = os.environ | {"MYPYPATH": os.pathsep.join(path)}
    options = ["--python-executable", f".venvs/{venv}/bin/python", "--cache-dir", f".mypy_cache/{targets[0].replace('/', '-')}"]
    done = subprocess.run([MYPY, *options, *targets], cwd=REPO, env=env, capture_output=True, text=True, check=False)
    return ", ".join(targets), done.returncode, (done.stdout + done.stderr).strip()


def main() -> None:
    """Check all; exit 1 if any fails."""
    failed = False
    with ThreadPoolExecutor(2) as pool:
        for what, code, output in pool.map(check, jobs()):
            failed |= code != 0
            print(f"{what}: {output}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
