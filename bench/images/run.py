"""How large images are and how long they take to build: from nothing, and after a change of the stages' code.

Run from the repository's root, with a Docker engine that has the base, after ``make images``:
PYTHONPATH=. .venvs/airflow/bin/python bench/images/run.py --write

*From nothing* is ``docker build --no-cache``: Debian's packages and every wheel are downloaded. *After a change of code* is the
build of the same tree with one more file in ``containers/stagekit/stagekit``: the environment comes from the engine's cache.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from scripts import images

RESULTS = images.REPO / "bench/results/images.md"


def build(image: images.Image, folder: Path, *options: str) -> tuple[float, int]:
    """(seconds, bytes) of a build; its image has a name of its own, and is removed."""
    tag = f"speechmill/bench-{image.name}"
    started = time.monotonic()
    images.docker_build(image, images.base_argument(image), tag, folder, options)
    took = time.monotonic() - started
    about = images.inspect(tag)
    assert about is not None
    images.docker("rmi", tag)
    return took, about["Size"]


def changed_tree(folder: Path) -> Path:
    """A copy of what images are built from, with one more module for all stages."""
    for name in ("config", "containers", "dags", "operators", "plugins", "scripts", "samples", "deploy"):
        shutil.copytree(images.REPO / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for file in (*images.REPO.glob("requirements*.txt"), images.REPO / ".dockerignore"):
        shutil.copy(file, folder)
    (folder / "containers/stagekit/stagekit/changed.py").write_text(f'"""{time.time()}."""\n')
    return folder


def main() -> None:
    """Measure and print; ``--write`` keeps the table in bench/results."""
    parser = argparse.ArgumentParser(description="Build times and sizes of images.")
    parser.add_argument("only", nargs="*", metavar="IMAGE", help="only these")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.relative_to(images.REPO)}")
    args = parser.parse_args()
    lines = [
        "# Images", "",
        f"`bench/images/run.py`, which says what is measured. {platform.machine()}, {os.cpu_count()} cores (load average "
        f"{os.getloadavg()[1]:.0f} before), {datetime.now(UTC):%Y-%m-%d}.", "",
        "| image | MB | from nothing, s | after a change of code, s |", "|---|---:|---:|---:|",
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        tree = changed_tree(Path(scratch))
        for image in images.images():
            left_out = image.lock or (image.name in images.OTHER_BASES and not images.base_argument(image))
            if image.name not in args.only if args.only else left_out:
                continue
            cold, size = build(image, images.REPO, "--no-cache")
            warm, _ = build(image, tree)
            lines.append(f"| {image.name} | {size / 1e6:.0f} | {cold:.0f} | {warm:.0f} |")
            print(lines[-1], flush=True)
    text = "\n".join(lines) + "\n"
    if args.write:
        RESULTS.write_text(text)


if __name__ == "__main__":
    main()
