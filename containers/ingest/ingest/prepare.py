"""Stage ``prepare``: readings become sentences: clips checked by decoding them, texts turned into the words that were spoken.

A sentence with a single word is a recording of that word, ``origin`` ``spoken_alone``. A token that is no keyword (its spelling
is foreign) stays in ``tokens``, for it was spoken and must be aligned, and has a row in ``rejections`` with unit ``word`` and id
``<sentence_id>-<index>``, which ``keywords select`` reads.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from pydantic import Field

from ingest.clip import Clip, examine_clip
from ingest.recording import AudioRejected
from ingest.segmenters import LIBRARIES
from ingest.sentence import Fault, Said, TextRules, say
from stagekit.errors import EmptyInput
from stagekit.pool import Crashed
from stagekit.stage import Context, Params, stage
from stagekit.tables import Reason


class PrepareParams(Params):
    """The language's text rules."""

    text: TextRules | None = Field(None, description="the language's entry in config/languages.yaml; null: defaults, warned of")


@dataclass(frozen=True)
class Job:
    """A reading on its way to a worker."""

    row: dict[str, Any]
    rules: TextRules


@dataclass(frozen=True)
class Refused:
    """Why a reading stopped; ``seconds``: decoded, None if only its claim is known."""

    reason: Reason
    detail: str
    seconds: float | None = None


def _segmenter(p: PrepareParams) -> Mapping[str, str]:
    return {name: metadata.version(name) for name in LIBRARIES.get(p.text.segmenter if p.text else "", ())}


@stage(
    "prepare",
    version=1,
    params=PrepareParams,
    unit="reading",
    reads=["readings"],
    writes=["sentences", "sentence_audio"],
    libraries=["num2words", "regex", "imageio-ffmpeg"],
    model_digest=_segmenter,
)
def run(ctx: Context[PrepareParams]) -> None:
    """Input: readings of ``voices``, or one shard of them.

    Raises:
        EmptyInput: no readings.
    """
    rules = ctx.params.text or TextRules.model_validate({})
    total = ctx.read("readings", columns=["reading_id"]).num_rows
    if not total:
        raise EmptyInput("no readings in " + ", ".join(i.uri + (f"#{i.shard}" if i.shard else "") for i in ctx.inputs))
    jobs = (Job(row, rules) for row in ctx.rows("readings"))
    languages, alone, foreign = set[str](), 0, 0
    for job, result in ctx.map(work, jobs, total=total):
        row = job.row
        languages.add(row["language"])
        if isinstance(result, Crashed):
            result = Refused(Reason.CRASHED, result.detail)
        if isinstance(result, Refused):
            seconds = result.seconds if result.seconds is not None else row["claimed_duration_s"] or 0.0
            ctx.enter(row["reading_id"], seconds)
            ctx.reject(row["reading_id"], result.reason, result.detail, end_s=seconds)
            continue
        clip, said = result
        sentence = _sentence(row, clip, said)
        ctx.enter(row["reading_id"], clip.duration_s)
        ctx.write("sentences", sentence)
        ctx.write("sentence_audio", {"sentence_id": sentence["sentence_id"], "audio": row["audio"]})
        ctx.keep(row["reading_id"], clip.duration_s)
        for fault in said.faults:
            parent = sentence["sentence_id"]
            word_id = f"{parent}-{fault.token}"
            ctx.reject(row["reading_id"], fault.reason, fault.detail, unit="word", row_id=word_id, parent_id=parent)
        alone += sentence["origin"] == "spoken_alone"
        foreign += len(said.faults)
    if ctx.params.text is None:
        warning = f"no text rules for {', '.join(sorted(languages))}: letters, apostrophes and numerals are guessed; add an entry"
        ctx.metrics["warnings"] = [warning]
        print(f"prepare: warning: {warning} to config/languages.yaml", file=sys.stderr)
    ctx.metrics.update(spoken_alone=alone, words_not_keywords=foreign)


def work(job: Job) -> Refused | tuple[Clip, Said]:
    """Check a reading's clip and say its text."""
    row, rules = job.row, job.rules
    try:
        clip = examine_clip(row["audio"], row["claimed_duration_s"])
    except AudioRejected as error:
        return Refused(error.reason, error.detail, error.seconds)
    said = say(row["text"], row["language"], rules)
    if fault := said.refused:
        return Refused(fault.reason, f"{fault.detail}: {said.text[:200]}", clip.duration_s)
    if fault := speech_rate(said, clip.duration_s, rules):
        return Refused(fault.reason, fault.detail, clip.duration_s)
    return clip, said


def speech_rate(said: Said, seconds: float, rules: TextRules) -> Fault | None:
    """A fault if nobody speaks so many letters in the time, or so few; a word spoken alone may lie in any silence."""
    low, high = rules.chars_per_s
    rate = said.letters / seconds
    if rate > high or (rate < low and len(said.tokens) > 1):
        seen = f"{said.letters} letters in {seconds:.2f} s, {rate:.1f} a second"
        return Fault(Reason.SPEECH_RATE, f"{seen}; expected {low:g} to {high:g}: {said.text[:200]}")
    return None


_SAME = (
    "audio_id", "source", "source_version", "clip", "language", "speaker_id", "gender", "age", "accent", "up_votes", "down_votes",
    "license_family", "license_version", "license_jurisdiction", "license_url", "license_evidence", "license_seen_at",
)  # fmt: skip


def _sentence(row: Mapping[str, Any], clip: Clip, said: Said) -> dict[str, Any]:
    return {name: row[name] for name in _SAME} | {
        "sentence_id": hashlib.sha256(f"{row['audio_id']}\n{said.text}".encode()).hexdigest(),
        "text_raw": said.text,
        "tokens": [t._asdict() for t in said.tokens],
        "origin": "spoken_alone" if len(said.tokens) == 1 else "cut",
        "duration_s": clip.duration_s,
        "samples": clip.samples,
        "codec": clip.codec,
    }
