"""Locks, environments and the Makefile: pinned, hashed, from nowhere in particular, and explained."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
SOURCES = sorted([*REPO.glob("requirements*.in"), *REPO.glob("containers/*/requirements*.in")])
ENTRY = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(\[[^\]]*\])?(==(?P<version>[^\s;]+))?")


def name(path: Path) -> str:
    return str(path.relative_to(REPO))


def pins(path: Path) -> dict[str, str | None]:
    """Package → its version, None where the line pins none."""
    found = (ENTRY.match(line) for line in path.read_text().splitlines())
    return {re.sub(r"[-_.]+", "-", m["name"].lower()): m["version"] for m in found if m}


@pytest.mark.parametrize("source", SOURCES, ids=name)
def test_every_lock_holds_what_was_asked_for_with_hashes_and_no_index(source: Path) -> None:
    lock = source.with_suffix(".txt")
    asked, locked, text = pins(source), pins(lock), lock.read_text()
    assert asked and not {package for package in asked if not locked.get(package)}, "run `make lock`"
    assert not {p: v for p, v in asked.items() if v and locked[p] != v}, "run `make lock`"
    assert not re.search(r"--(extra-)?index-url|--find-links|://", text)
    entries = re.split(r"\n(?=[A-Za-z0-9])", text)
    assert all("==" in entry and "--hash=sha256:" in entry for entry in entries if ENTRY.match(entry))


def test_airflow_and_the_images_are_never_mixed() -> None:
    images = {path.parent.name: pins(path) for path in REPO.glob("containers/*/requirements.txt")}
    assert images and not [image for image, locked in images.items() if "apache-airflow-core" in locked]
    versions = {locked["pyarrow"] for locked in images.values()}
    assert len(versions) == 1, f"one pyarrow in all images, for the same rows to give the same bytes: {versions}"


def test_what_runs_on_a_gpu_is_the_same_but_for_what_the_gpu_needs() -> None:
    locks = sorted(REPO.glob("containers/*/requirements-gpu.txt"))
    assert locks
    for lock in locks:
        cpu, gpu = pins(lock.with_name("requirements.txt")), pins(lock)
        assert not {p: (v, gpu.get(p)) for p, v in cpu.items() if gpu.get(p) != v}, "run `make lock`"


def test_help_explains_every_target() -> None:
    text = subprocess.run(["make", "help"], cwd=REPO, capture_output=True, text=True, check=True).stdout
    for target in ("help", "setup", "demo", "serve", "stop", "test", "lint", "types", "docs", "lock"):
        assert re.search(rf"^  make {target} +\S", text, re.MULTILINE), target


def test_what_is_missing_is_named_with_the_command_that_installs_it(tmp_path: Path) -> None:
    fake = tmp_path / "python3.11"
    fake.write_text('#!/bin/sh\ncase "$*" in *ensurepip*) exit 1;; *version_info*) echo 3.11;; esac\n')
    fake.chmod(0o755)
    for python, words in (("no-such-python", "was not found"), (str(fake), "venv module")):
        done = subprocess.run([REPO / "scripts/check_python.sh", python], capture_output=True, text=True, check=False)
        assert done.returncode == 1 and words in done.stderr and "python3.11-venv" in done.stderr
    fake.write_text("#!/bin/sh\ncase \"$*\" in *version_info*) echo 3.9;; esac\n")
    done = subprocess.run([REPO / "scripts/check_python.sh", fake], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "is 3.9" in done.stderr
