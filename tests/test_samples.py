"""Samples and known-answer data are the files their SOURCES.md says they are."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = [ROOT / "samples", ROOT / "samples" / "spoken_words", ROOT / "tests" / "known_answers" / "data"]
MONTHS = sorted((ROOT / "samples").glob("peoples_speech*/en"))
AUDIO = {".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".mp4", ".webm", ".wma"}


def listed(folder: Path) -> dict[str, str]:
    """Path → sha256, as SHA256SUMS lists them."""
    pairs = (line.split("  ", 1) for line in (folder / "SHA256SUMS").read_text(encoding="utf-8").splitlines())
    return {name: digest for digest, name in pairs}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.name)
def test_every_file_has_the_sha256_that_is_listed(folder: Path) -> None:
    wrong = [n for n, digest in listed(folder).items() if hashlib.sha256((folder / n).read_bytes()).hexdigest() != digest]
    assert not wrong


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.name)
def test_no_file_is_unlisted(folder: Path) -> None:
    own = {"SOURCES.md", "SHA256SUMS", "build.py", "items.jsonl"}
    inner = [f for f in FOLDERS if f != folder and f.is_relative_to(folder)]
    files = (p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    here = {str(p.relative_to(folder)) for p in files if not any(p.is_relative_to(f) for f in inner)}
    assert here - set(listed(folder)) - own == set()


@pytest.mark.parametrize("month", MONTHS, ids=lambda m: m.parent.name)
def test_each_recording_has_one_metadata_row_and_one_line_in_sources(month: Path) -> None:
    rows = [json.loads(line) for line in (month / "metadata.jsonl").read_text(encoding="utf-8").splitlines()]
    assert sorted(r["file"] for r in rows) == sorted(p.name for p in month.iterdir() if p.suffix in AUDIO)
    assert len({r["id"] for r in rows}) == len(rows)
    sources = (ROOT / "samples" / "SOURCES.md").read_text(encoding="utf-8")
    assert all(f"| {r['file']} | {r.get('license_url') or 'not stated'} |" in sources for r in rows)


def test_only_synthetic_speech_carries_a_license_that_is_turned_away() -> None:
    """No real work is given a license that is not its own."""
    for month in MONTHS:
        for line in (month / "metadata.jsonl").read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if row["file"].startswith("synthetic_"):
                continue
            url = row["license_url"]
            assert (
                url.startswith(
                    (
                        "https://creativecommons.org/publicdomain/mark/",
                        "https://www.usa.gov/",
                        "https://creativecommons.org/licenses/by/4.0/",
                    )
                )
                or row["file"] == "moby_dick.mp3"
            )


def test_samples_stay_small() -> None:
    assert sum(p.stat().st_size for month in MONTHS for p in month.iterdir()) < 14e6
