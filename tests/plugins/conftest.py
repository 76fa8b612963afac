"""A warehouse with two releases, two batches and a batch that its gate stopped, in the files that the stages write."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

# Airflow reads these when it is first imported: an own home, so that no test touches a person's.
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="airflow-pages-")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "False"
os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"sqlite:///{os.environ['AIRFLOW_HOME']}/airflow.db"
os.environ["AIRFLOW__API_AUTH__JWT_SECRET"] = "a secret of the tests, long enough for HS512 ----------------------------"
os.environ["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"] = "ada:admin,vic:viewer"

CARD = """---
pretty_name: x
---

# peoples_speech en 2026.11

| config | clips |
|---|---|
| clean-by | 57 |

![Hours](figures/hours.png) <script>alert(1)</script> [x](javascript:alert(1))
"""
PNG = bytes.fromhex("89504e470d0a1a0a0000000d4948445200000001000000010806000000")


def put(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))


def verdict(passed: bool = True, failures: tuple[str, ...] = (), warnings: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"passed": passed, "failures": list(failures), "warnings": list(warnings)}


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    root = tmp_path / "warehouse"
    here = "peoples_speech/en"
    for version, parent in (("2026.9", None), ("2026.11", {"version": "2026.9", "sha256": "0" * 64})):
        folder = root / "releases" / here / version
        totals = {"clips": 1057, "audio_s": 7500.0, "items": 7, "parts": {}}
        put(folder / "release.json", {"totals": totals, "parent": parent, "published": {"at": "2026-11-21T10:51:47Z"}})
        kept = {"train clean-by": {"seconds": 5400.0, "units": 900}, "test clean-by": {"seconds": 600.0, "units": 157}}
        rejected = {"silence": {"seconds": 1200.0, "units": 0}, "low_alignment_score": {"seconds": 300.0, "units": 3}}
        put(folder / "ledger.json", {"in": {"seconds": 7500.0, "units": 8}, "kept": kept, "rejected": rejected})
        put(folder / "README.md", CARD)
        put(folder / "ATTRIBUTION.md", "# Attribution\n")
        put(folder / "figures/hours.png", PNG)
        put(folder / "data/clean-by/train-00000.parquet", b"PAR1")
    put(root / "quality" / here / "2026.11/release/verdict.json", verdict(warnings=("dev_filled: release: dev_s is 0",)))
    put(root / "quality" / here / "2026.11/release/index.html", "<p>Data Docs</p>")
    for month in ("2026.09", "2026.10"):
        ledger = {
            "in": {"seconds": 100.0, "units": 4},
            "kept": {"seconds": 75.0},
            "rejected": {"silence": {"seconds": 25.0, "units": 1}},
        }
        put(root / "batches" / here / month / "batch.json", {"key": month, "ledger": ledger})
        put(root / "quality" / here / month / "segments/verdict.json", verdict())
    put(root / "quality" / here / "2026.12/recordings/verdict.json", verdict(False, ("license_family_allowed: items: by-nc",)))
    put(tmp_path / "outside.json", '{"secret": true}')
    return root
