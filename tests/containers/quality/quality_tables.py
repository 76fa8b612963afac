"""Good tables for each suite, and how to spoil them: real lines of small sizes, not mocks of Great Expectations."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyarrow as pa
from great_expectations import ExpectationSuite

from quality.suites import SUITES
from quality.thresholds import CLIP_SCORES
from quality.validate import validate
from quality.verdict import Verdict
from stagekit.tables import TABLES

Rows = dict[str, list[dict[str, Any]]]
Spoil = Callable[[Rows], None]


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def row(table: str, **values: Any) -> dict[str, Any]:
    """A row of a table: null where nothing is given."""
    unknown = set(values) - set(TABLES[table].names)
    assert not unknown, unknown
    return {name: values.get(name) for name in TABLES[table].names}


def license_columns(family: str = "pd") -> dict[str, Any]:
    return {
        "license_family": family,
        "license_url": "https://creativecommons.org/publicdomain/mark/1.0/",
        "license_evidence": 'metadata.jsonl license_url "https://creativecommons.org/publicdomain/mark/1.0/"',
        "license_seen_at": "2026-11-01",
    }


def recordings_rows(n: int = 4) -> Rows:
    rows: Rows = {"items": [], "recordings": [], "documents": [], "rejections": []}
    for i in range(n):
        recording, document = sha(f"r{i}"), sha(f"d{i}")
        rows["items"].append(
            row(
                "items",
                item_id=f"folder:{i}/a.flac",
                creator=f"Reader {i}",
                recording_id=recording,
                document_id=document,
                **license_columns(),
            )
        )
        rows["recordings"].append(
            row(
                "recordings",
                recording_id=recording,
                uri=f"file:///r/{recording}.flac",
                bytes=90_000,
                duration_s=10.0 + i,
                samples=(10 + i) * 16_000,
                sample_rate=16_000,
                channels=1,
            )
        )
        rows["documents"].append(
            row(
                "documents",
                document_id=document,
                recording_id=recording,
                language="en-US",
                text_language="en",
                text_language_score=0.99,
                caption_provenance="human",
                text="A reading of " + "some words " * 12,
            )
        )
    return rows


def segment(i: int, document: str, recording: str, start_s: float, seconds: float) -> dict[str, Any]:
    start, end = round(start_s * 16_000), round((start_s + seconds) * 16_000)
    return {
        "segment_id": sha(f"s{i}"),
        "document_id": document,
        "recording_id": recording,
        "language": "en",
        "start_sample": start,
        "end_sample": end,
        "speech_start_s": start_s + 0.2,
        "speech_end_s": start_s + seconds - 0.2,
        "duration_s": (end - start) / 16_000,
        "char_start": 40 * i,
        "char_end": 40 * i + 39,
        "text": "the quick brown fox jumps over the dog",
        "text_raw": "The quick brown fox jumps over the dog.",
        "cut_at_pause": True,
        "pause_before_s": 0.4,
        "pause_after_s": 0.3,
        "alignment_score": -0.4,
        "alignment_score_min": -1.0,
        "anchored_ratio": 0.9,
        "cer": 0.05,
        "wer": 0.1,
        "edge_silence_s": 0.2,
        "speech_ratio": 0.9,
        "snr_db": 24.0,
        "loudness_lufs": -21.0,
        "synthetic_voice_score": 0.1,
    }


def segments_rows(n: int = 8) -> Rows:
    rows: Rows = {"segments": [], "words": [], "rejections": []}
    for i in range(n):
        values = segment(i, sha(f"d{i // 4}"), sha(f"r{i // 4}"), 6.0 * (i % 4), 5.0)
        rows["segments"].append(row("segments", **values))
        for k in range(2):
            start = values["speech_start_s"] + 2.0 * k
            rows["words"].append(row("words", segment_id=values["segment_id"], index=k, start_s=start, end_s=start + 0.5))
    rows["rejections"].append(
        row("rejections", unit="recording", id=sha("r0"), start_s=30.0, end_s=40.0, stage="align", reason="silence")
    )
    rows["rejections"].append(
        row("rejections", unit="recording", id=sha("r0"), start_s=40.0, end_s=44.0, stage="align", reason="not_in_transcript")
    )
    return rows


READERS = [
    ("José Somebody", "jose somebody"),
    *((f"{n} Reader", f"{n.lower()} reader") for n in "Ada Ben Cy Di Ed Flo Gus Hal Ida".split()),
]
"""Creator as stated, and as `release split` keys it."""


def release_rows() -> Rows:
    """Ten recordings of nine creators in three splits; recording 9 is a duplicate of 0 and left out."""
    rows: Rows = {"release_segments": [], "clusters": [], "assignments": []}
    for r in range(10):
        split = "train" if r < 7 else ("dev" if r == 7 else "test")
        recording, document, item = sha(f"r{r}"), sha(f"d{r}"), f"folder:{r}/a.flac"
        kept = r != 9
        for kind, member in (("text", document), ("audio", recording)):
            first = sha(f"{'d' if kind == 'text' else 'r'}0") if r in (0, 9) else member
            rows["clusters"].append(
                row("clusters", kind=kind, id=member, cluster_id=first, keep=kept, similarity=1.0 if kept else 0.93)
            )
        if not kept:
            continue
        keys = [f"recording:{recording}", f"item:folder:{r}", f"creator:{READERS[r][1]}"]
        keys += [f"cluster:text:{document}", f"cluster:audio:{recording}"] if r == 0 else []
        rows["assignments"] += [row("assignments", group_key=k, split=split, since="2026.11") for k in keys]
        for i in range(8):
            noisy = i == 7
            values = segment(100 * r + i, document, recording, 14.0 * i, 13.0)
            rows["release_segments"].append(
                row(
                    "release_segments",
                    **{**values, "cer": 0.25 if noisy else 0.05},
                    split=split,
                    subset="noisy" if noisy else "clean",
                    license_group="by",
                    item_id=item,
                    creator=READERS[r][0],
                    attribution=f"“Title” by {READERS[r][0]}, public domain",
                    caption_provenance="human",
                    recording_uri=f"file:///r/{recording}.flac",
                    batch="2026.11",
                    **license_columns(),
                )
            )
    return rows


def spoken_words_rows(speakers: int = 40, each: int = 100) -> Rows:
    """Clips of 20 words by women and men in turn: 80 % of the speakers in train, both kinds in dev and in test."""
    tables = ("clips", "clip_scores", "clip_splits", "word_splits", "assignments", "rejections", "shard_rows")
    rows: Rows = {name: [] for name in tables}
    counts: dict[str, int] = {}
    for s in range(speakers):
        split = {8: "dev", 9: "test"}.get(s // 2 % 10, "train")
        rows["assignments"].append(row("assignments", group_key=f"speaker:speaker-{s}", split=split, since="2026.11"))
        for n in range(each):
            number, word = s * each + n, f"word{n % 20:02d}"
            counts[word] = counts.get(word, 0) + 1
            clip_id, sentence = f"{sha(f's{number}')}-0", sha(f"s{number}")
            about = {"clip_id": clip_id, "word": word}
            rows["clips"].append(
                row(
                    "clips", **about, sentence_id=sentence, index=0, tokens=1, word_raw=word, language="en",
                    source="common_voice", source_version="18.0", source_clip=f"{number}.mp3", speaker_id=f"speaker-{s}",
                    origin="cut", start_sample=100, padding_before=0, padding_after=0, word_start_sample=4000,
                    word_end_sample=12000, word_start_s=0.25, word_end_s=0.75, speech_s=0.5, long_word=False, encoder="opus",
                    **license_columns("cc0"),
                )
            )  # fmt: skip
            rows["clip_scores"].append(row("clip_scores", **about, **dict.fromkeys(CLIP_SCORES, 0.5)))
            rows["clip_splits"].append(
                row("clip_splits", **about, speaker_id=f"speaker-{s}", gender=("female", "male")[s % 2], split=split)
            )
    rows["word_splits"] = [row("word_splits", word=word, clips=n) for word, n in counts.items()]
    return rows


GOOD: dict[str, Callable[[], Rows]] = {
    "recordings": recordings_rows, "segments": segments_rows, "release": release_rows, "spoken_words": spoken_words_rows,
}  # fmt: skip


def as_tables(suite: str, rows: Rows) -> dict[str, pa.Table]:
    """The tables that a suite reads, as ``check`` would hand them to it."""
    out = {}
    for table, columns in SUITES[suite].reads.items():
        schema = pa.schema([TABLES[table].schema.field(c).with_nullable(True) for c in columns])
        out[table] = pa.Table.from_pylist([{c: r[c] for c in columns} for r in rows.get(table, [])], schema=schema)
    return out


def judge(suite: str, rows: Rows, *, only: str | None = None, **thresholds: Any) -> Verdict:
    """The verdict on rows; ``only`` keeps one expectation, which is faster."""
    chosen = SUITES[suite]
    if only:
        frame = next(f for f in chosen.frames if f.name == frame_of(suite)[only])
        chosen = replace(chosen, frames=(replace(frame, expectations=lambda t: _only(frame.expectations(t), only)),))
    return validate(chosen, as_tables(suite, rows), chosen.thresholds(**thresholds))


def _only(suite: ExpectationSuite, name: str) -> ExpectationSuite:
    return ExpectationSuite(name=suite.name, expectations=[e for e in suite.expectations if (e.meta or {})["name"] == name])


def put(table: str, at: int = 0, **values: Any) -> Spoil:
    """Overwrite columns of one row."""
    return lambda rows: rows[table][at].update(values)


def put_all(table: str, **values: Any) -> Spoil:
    """Overwrite columns of all rows."""
    return lambda rows: [r.update(values) for r in rows[table]].clear()


def twice(table: str, **changes: Any) -> Spoil:
    """The first row stands there twice, the second time changed."""
    return lambda rows: rows[table].append({**rows[table][0], **changes})


def check_spoiled(suite: str, name: str, spoil: Spoil) -> Verdict:
    """Spoil good rows: the expectation fails, names the frame and the row, and blocks if, and only if, it is critical."""
    rows = GOOD[suite]()
    spoil(rows)
    verdict = judge(suite, rows, only=name)
    found = {f.name: f for f in verdict.findings}[name]
    assert not found.passed, f"{name} did not see the violation"
    lines = {"critical": verdict.failures, "warning": verdict.warnings, "info": verdict.infos}[found.severity]
    assert [x for x in lines if x.startswith(f"{name}: {found.frame}: ")], lines
    assert verdict.passed == (found.severity != "critical")
    return verdict


def frame_of(suite: str) -> dict[str, str]:
    """Every expectation of a suite with its default thresholds, and the frame that it looks at."""
    thresholds = SUITES[suite].thresholds()
    pairs = [((e.meta or {})["name"], f.name) for f in SUITES[suite].frames for e in f.expectations(thresholds).expectations]
    assert len(dict(pairs)) == len(pairs), "two expectations share a name"
    return dict(pairs)
