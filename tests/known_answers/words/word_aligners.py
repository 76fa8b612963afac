"""The aligners that are compared, whether they can run here, and what here is."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

REPO = Path(__file__).resolve().parents[3]
ALIGNERS = ("words", "mfa")
"""Images with the stages `train` and `align`, from `sentences` and `sentence_audio` to `sentence_words`."""


def missing(aligner: str) -> str | None:
    """Why an aligner cannot run here; None if it can."""
    if not (REPO / f".venvs/{aligner}/bin/python").exists():
        return f"no environment .venvs/{aligner} (make setup)"
    if aligner == "mfa" and not (os.environ.get("SPEECHMILL_MFA") or shutil.which("mfa")):
        return "no `mfa` on PATH, and SPEECHMILL_MFA is not set"
    return None


def machine() -> str:
    """What it ran on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    name = next((line.split(":")[1].strip() for line in lines if "model name" in line), "unknown CPU")
    return f"{len(os.sched_getaffinity(0))} cores, {name}, Python {platform.python_version()}"
