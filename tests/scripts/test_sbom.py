"""The bill of materials: every image has one, and it is the lock."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from scripts import images, sbom

REPO = Path(__file__).resolve().parents[2]


def test_every_image_has_locks() -> None:
    found = sbom.locks()
    assert {image.name for image in images.images()} <= set(found)
    assert all(path.exists() for files in found.values() for path in files)


def test_the_document_is_the_lock_and_what_debian_brings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tool's part is read from a document of its form here: its environment is made by `make sbom` alone."""

    def document(lock: Path) -> dict[str, Any]:
        pins = re.findall(r"^([a-z0-9._-]+)==(\S+)", lock.read_text(), re.M)
        rows = [{"name": n, "version": v, "bom-ref": f"{n}-{v}", "purl": f"pkg:pypi/{n}@{v}"} for n, v in pins]
        return {"bomFormat": "CycloneDX", "specVersion": "1.6", "metadata": {}, "components": rows, "dependencies": []}

    monkeypatch.setattr(sbom, "python_packages", document)
    deb = {"name": "libc6", "version": "2.36-9", "bom-ref": "x", "purl": "pkg:deb/debian/libc6@2.36-9?arch=amd64"}
    monkeypatch.setattr(sbom, "debian_packages", lambda image: [deb])
    monkeypatch.setattr(sbom, "OUT", REPO / "build/tests")
    path = sbom.sbom("airflow", sbom.locks()["airflow"], "sha256:0")
    made = json.loads(path.read_text())
    path.unlink()
    names = [c["name"] for c in made["components"]]
    assert {"apache-airflow", "psycopg2-binary", "libc6"} <= set(names) and len(names) == len(set(names))
    assert made["metadata"]["component"]["name"] == "speechmill/airflow"


def test_a_package_that_nothing_is_known_of_is_not_a_good_one() -> None:
    """The form of pip-audit's JSON."""
    good = {"name": "a", "version": "1", "vulns": []}
    bad = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"], "aliases": [], "description": ""}]}
    silent = {"name": "c", "skip_reason": "Dependency not found on PyPI and could not be audited: c (1)"}
    assert sbom.verdict({"dependencies": [good]}) == []
    assert sbom.verdict({"dependencies": [good, bad, silent]}) == ["  b 2: PYSEC-1; fixed in 3", "  no answer about 1: c"]
