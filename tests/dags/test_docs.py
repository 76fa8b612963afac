"""The generated documents are what the code says."""

from __future__ import annotations

import re
import subprocess
import sys

from operators.settings import REPO


def test_generated_documents_are_current() -> None:
    command = [sys.executable, "scripts/make_docs.py", "--check"]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_backfill_that_is_written_down_runs_one_month_at_a_time() -> None:
    """Airflow's backfill has a limit of its own, not the DAG's; a month must see the seals of those before it."""
    commands = []
    for path in [*REPO.glob("*.md"), *REPO.glob("docs/*.md"), *REPO.glob("dags/*.py")]:
        commands += re.findall(r"backfill create[^`]*`", path.read_text())
    assert len(commands) >= 6 and all("--max-active-runs 1" in " ".join(command.split()) for command in commands)
