"""Rows of stage tables for the tests of dedup and release: every column, sensible values, what matters given by name."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

SAMPLES = Path(__file__).parents[2] / "samples"
BY = "https://creativecommons.org/licenses/by/4.0/"


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def item(recording_id: str | None, document_id: str | None, name: str, **given: Any) -> dict[str, Any]:
    row = {
        "item_id": f"folder:{name}/{name}.mp3",
        "source": "folder",
        "identifier": name,
        "url": f"https://example.org/{name}",
        "title": name,
        "creator": None,
        "language": "en",
        "license_family": "by",
        "license_version": "4.0",
        "license_jurisdiction": None,
        "license_url": BY,
        "license_evidence": f"metadata.jsonl: license_url = {BY!r}",
        "license_seen_at": "2026-01-15",
        "audio_uri": f"file:///source/{name}.mp3",
        "audio_bytes": None,
        "audio_md5": None,
        "caption_uri": f"file:///source/{name}.txt",
        "caption_kind": "txt",
        "claimed_duration_s": None,
        "added_at": "2026-01-02",
        "extra": "{}",
        "recording_id": recording_id,
        "document_id": document_id,
    }
    return row | given


def recording(recording_id: str, uri: str = "file:///none", samples: int = 160_000, **given: Any) -> dict[str, Any]:
    row = {
        "recording_id": recording_id,
        "uri": uri,
        "bytes": 1000,
        "duration_s": samples / 16_000,
        "samples": samples,
        "sample_rate": 16_000,
        "channels": 1,
        "codec": "flac",
        "container": "flac",
        "bit_rate": None,
        "fingerprint": [],
    }
    return row | given


def document(document_id: str, recording_id: str, text: str, provenance: str = "human", **given: Any) -> dict[str, Any]:
    tokens, at = [], 0
    for word in text.split():
        at = text.index(word, at)
        spoken = "".join(c for c in word.lower() if c.isalnum() or c == "'")
        if spoken:
            tokens.append({"word": spoken, "char_start": at, "char_end": at + len(word)})
        at += len(word)
    row = {
        "document_id": document_id,
        "recording_id": recording_id,
        "language": "en",
        "text_language": "en",
        "text_language_score": 0.99,
        "caption_kind": "txt",
        "caption_provenance": provenance,
        "provenance_evidence": "test",
        "caption_raw": text,
        "text": text,
        "tokens": tokens,
    }
    return row | given


def segment(
    document_id: str, recording_id: str, start_s: float, end_s: float, text: str = "some words", **given: Any
) -> dict[str, Any]:
    start, end = round(start_s * 16_000), round(end_s * 16_000)
    row = {
        "segment_id": sha(f"{document_id}\n{start}\n{end}"),
        "document_id": document_id,
        "recording_id": recording_id,
        "language": "en",
        "start_sample": start,
        "end_sample": end,
        "speech_start_s": start_s + 0.1,
        "speech_end_s": end_s - 0.1,
        "duration_s": (end - start) / 16_000,
        "char_start": 0,
        "char_end": len(text),
        "text": text,
        "text_raw": text.capitalize() + ".",
        "cut_at_pause": True,
        "pause_before_s": 0.3,
        "pause_after_s": 0.3,
        "alignment_score": -0.4,
        "alignment_score_min": -1.5,
        "anchored_ratio": 0.9,
        "language_score": 2.0,
        "hypothesis": text,
        "cer": 0.05,
        "wer": 0.1,
        "edge_silence_s": 0.1,
        "speech_ratio": 0.9,
        "snr_db": 30.0,
        "loudness_lufs": -20.0,
        "synthetic_voice_score": None,
    }
    return row | given


def folder(
    path: Path, tables: dict[str, list[dict[str, Any]]], *, stage: str = "release.collect", ledger: dict[str, Any] | None = None,
    **success_: Any,
) -> str:  # fmt: skip
    """A finished stage folder with these rows, and more of `_SUCCESS.json`; its URI."""
    import json

    from stagekit.folder import TableWriter
    from stagekit.storage import sha256_file
    from stagekit.tables import TABLES

    path.mkdir(parents=True)
    for name, rows in tables.items():
        writer = TableWriter(path, TABLES[name], 0)
        for row in rows:
            writer.write(row)
        writer.close()
    files = {f.name: {"sha256": sha256_file(f), "bytes": f.stat().st_size} for f in sorted(path.iterdir())}
    none = {"units": 0, "seconds": 0.0}
    success = {
        "stage": stage,
        "fingerprint": sha(json.dumps([stage, files]))[:32],
        "files": files,
        "rows": {n: len(r) for n, r in tables.items()},
        "shards": ["00000"],
        "ledger": ledger or {"unit": "document", "in": none, "out": none, "rejected": {}},
        "metrics": {},
        "inputs": [],
        "params": {},
        "versions": {},
    }
    (path / "_SUCCESS.json").write_text(json.dumps(success | success_))
    return path.as_uri()
