"""Files of the warehouse that a browser may have: cards, figures, attributions, Data Docs. Never audio, nothing outside."""

from __future__ import annotations

from pathlib import Path

MEDIA = {
    ".html": "text/html",
    ".json": "application/json",
    ".md": "text/plain",
    ".png": "image/png",
    ".csv": "text/csv",
    ".yaml": "text/plain",
    ".sha256": "text/plain",
}
"""What is served, by suffix. Shards and recordings are not: they are large, and have their own place."""

PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; base-uri 'none'; form-action 'none'"
FILE_POLICY = f"{PAGE_POLICY}; sandbox allow-same-origin"
"""Content-Security-Policy of a file: no script of the warehouse ever runs on Airflow's origin."""


def find(folder: Path, path: str) -> Path | None:
    """The file below a folder, or None: not there, of another kind, hidden, or outside by ``..`` or a link."""
    parts = path.split("/")
    if any(p in ("", "..") or p.startswith(".") or "\\" in p or "\0" in p for p in parts):
        return None
    inside = folder.resolve()
    file = inside.joinpath(*parts).resolve()
    return file if file.is_relative_to(inside) and file.suffix in MEDIA and file.is_file() else None
