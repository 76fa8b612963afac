"""The pool where a stage is process 1, as in every container."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import os, operator
from stagekit.pool import map_units
if __name__ == "__main__":
    assert os.getpid() == 1
    print([result for _, result in map_units(operator.neg, [1, 2, 3], 2)])
"""


def test_workers_work_for_process_1(tmp_path: Path):
    """Process 1 adopts orphans, which must end; the workers of a stage that is process 1 are none."""
    script = tmp_path / "one.py"
    script.write_text(CODE)
    apart = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*apart, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine makes no namespaces for a user; tests/stack has the same in a container")
    done = subprocess.run([*apart, sys.executable, script], env=dict(os.environ), capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[-1, -2, -3]", done.stderr[-2000:] + done.stdout
