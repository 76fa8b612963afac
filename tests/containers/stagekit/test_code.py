"""The fingerprint sees the stage's own code and nothing else."""

import shutil
import subprocess
import sys
from pathlib import Path

from conftest import HERE, STAGEKIT


def digest(folder: Path, module: str) -> str:
    run = subprocess.run(
        [sys.executable, "-c", f"from stagekit.code import digest; print(digest({module!r}))"],
        env={"PYTHONPATH": f"{STAGEKIT}:{folder}"}, text=True, capture_output=True, check=True,
    )  # fmt: skip
    return run.stdout.strip()


def test_only_what_a_stage_imports_changes_its_digest(tmp_path):
    shutil.copytree(HERE / "demo", tmp_path / "demo")
    longer, first = digest(tmp_path, "demo.longer"), digest(tmp_path, "demo.first")
    assert longer != first
    helper = tmp_path / "demo" / "helper.py"
    helper.write_text(helper.read_text().replace("1.0", "2.0"))
    assert digest(tmp_path, "demo.longer") != longer
    assert digest(tmp_path, "demo.first") == first
