"""The generated documents are what the code says."""

from __future__ import annotations

import subprocess
import sys

from operators.settings import REPO


def test_generated_documents_are_current() -> None:
    command = [sys.executable, "scripts/make_docs.py", "--check"]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
