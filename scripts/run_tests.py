"""Runs every part of the tests in the environment it belongs to, and ends with one line: ``N passed, N failed``.

Parts are found by folder: ``tests/containers/<image>`` runs in ``.venvs/<image>`` with that image's path; ``VENVS`` names the
folders that need another environment; all others, and the files directly under ``tests/``, run in Airflow's.
``python scripts/run_tests.py [PART …] [-- PYTEST ARGUMENTS]`` runs some of them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
REPORTS = REPO / "build/tests"
VENVS = {"containers/stagekit": "release", "known_answers": "align", "known_issues": "align"}
"""stagekit has no environment of its own: the release image's has all that it imports. ``tests/containers/<image>_gpu`` runs in
``.venvs/<image>-gpu``, on a CPU as well; ``<image>_spark`` in ``.venvs/<image>-spark``."""
OTHER = re.compile(r"[_-](gpu|spark)$")
"""What an image's second environment is called by: in names of folders of tests, and of environments."""
LAST = ("integration",)
"""Parts that start servers run after those that fail sooner."""
ON_DEMAND = ("stack",)
"""Parts that need more than Python (a Docker engine): they run only when they are named."""
NO_TESTS = 5
"""pytest's exit code when it collected nothing."""


@dataclass(frozen=True)
class Part:
    """A folder of tests, the environment it runs in, and its search path."""

    name: str
    venv: str
    paths: tuple[str, ...]

    @property
    def targets(self) -> list[str]:
        """What pytest is given."""
        if self.name == "files":
            return sorted(str(p.relative_to(REPO)) for p in (REPO / "tests").glob("test_*.py"))
        return [f"tests/{self.name}"]


def parts() -> list[Part]:
    """All parts that have test files."""
    tests = REPO / "tests"
    images = sorted(f.name for f in (tests / "containers").glob("*/"))
    others = sorted(f.name for f in tests.glob("*/") if f.name not in ("containers", *LAST))
    found = []
    for name in [*(f"containers/{image}" for image in images), "files", *others, *LAST]:
        folder, image = tests / name, Path(name).name
        if not (any(tests.glob("test_*.py")) if name == "files" else any(folder.rglob("test_*.py"))):
            continue
        venv = VENVS.get(name, OTHER.sub(r"-\1", image) if name.startswith("containers/") else "airflow")
        paths = (".",) if venv == "airflow" else ("containers/stagekit", f"containers/{OTHER.sub('', venv)}")
        found.append(Part(name, venv, paths))
    return found


def run(part: Part, arguments: list[str]) -> dict[str, int]:
    """Run one part; its counts. A part that could not even start counts as one failure."""
    report = REPORTS / f"{part.name.replace('/', '-')}.xml"
    report.unlink(missing_ok=True)
    print(f"── tests/{part.name} (.venvs/{part.venv})", flush=True)
    python = REPO / ".venvs" / part.venv / "bin/python"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(str(REPO / p) for p in part.paths)}
    if part.venv == "airflow":  # the state of a server that a person uses is none of the tests' business
        env |= {"AIRFLOW_HOME": str(REPO / "build/airflow"), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    options = ["-q", f"--junitxml={report}", f"-o=cache_dir=.pytest_cache/{part.name}"]
    done = subprocess.run([python, "-m", "pytest", *options, *part.targets, *arguments], cwd=REPO, env=env, check=False)
    counts = read(report) if report.exists() else {"passed": 0, "failed": 0, "skipped": 0}
    if done.returncode not in (0, NO_TESTS) and not counts["failed"]:
        counts["failed"] = 1
    return counts


def read(report: Path) -> dict[str, int]:
    """Counts of a JUnit report; errors are failures."""
    suites = list(ElementTree.parse(report).getroot().iter("testsuite"))
    total, failures, errors, skipped = (sum(int(s.get(k, 0)) for s in suites) for k in ("tests", "failures", "errors", "skipped"))
    return {"passed": total - failures - errors - skipped, "failed": failures + errors, "skipped": skipped}


def main() -> None:
    """Command line; see the module."""
    words = sys.argv[1:]
    chosen, arguments = (words[: words.index("--")], words[words.index("--") + 1 :]) if "--" in words else (words, [])
    wanted = {name.removeprefix("tests/").rstrip("/") for name in chosen}
    known = parts()
    if unknown := wanted - {part.name for part in known}:
        sys.exit(f"no tests in {', '.join(sorted(unknown))}; parts: {', '.join(part.name for part in known)}")
    REPORTS.mkdir(parents=True, exist_ok=True)
    run_now = [part for part in known if (part.name in wanted if wanted else part.name not in ON_DEMAND)]
    results = {part.name: run(part, arguments) for part in run_now}
    for name, counts in results.items():
        if counts["failed"] or counts["skipped"]:
            print(f"tests/{name}: {counts['failed']} failed, {counts['skipped']} skipped")
    passed, failed = (sum(counts[key] for counts in results.values()) for key in ("passed", "failed"))
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
