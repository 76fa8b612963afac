"""Stage ``voices``: a release of Common Voice, or of a corpus like it, becomes readings in shards: list rows with their clips.

Nothing is decoded here; the release is read as a stream, once for its lists and once for its clips, so that 90 GB take the time
of reading them twice. Clips that an earlier release brought (``--input known=…``, folders of ``prepare``) are left out, so a
delta release, or a whole newer one, costs what is new in it.
"""

from __future__ import annotations

import hashlib
import io
import re
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from ingest import licenses
from ingest.archive import Refused, Release, is_archive
from ingest.download import DownloadError, Unanswered, download
from ingest.earlier import Differences, Known, known_clips
from ingest.http import Client, Manners
from ingest.mapping import COMMON_VOICE, Columns
from ingest.rows import BadRow, read_rows
from stagekit.errors import EmptyInput, StageError, UnavailableError
from stagekit.progress import Progress
from stagekit.stage import RUNTIME, Context, Params, stage
from stagekit.storage import local_copy, resolve, sha256_file
from stagekit.tables import Reason

CC0 = "https://creativecommons.org/publicdomain/zero/1.0/"
CC0_EVIDENCE = "Common Voice, datasheets of its Scripted Speech releases: released under the Creative Commons Zero licence"
DURATIONS = "clip_durations.tsv"
MOST_REFUSED = 1000
"""Members that the list does not name get a row of their own up to here; all are counted."""
LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]+)*")
"""As the registry takes it. CLDR lacks 118 of the 290 languages of Common Voice 25.0, such as cnh and rm-sursilv."""
VERSION = re.compile(r"cv-corpus-(\d+(?:\.\d+)?)(?:-delta)?(?:-\d{4}-\d{2}-\d{2})?")


class VoicesParams(Params):
    """Which release, and how it is laid out."""

    source: Literal["common_voice", "tsv"] = Field("common_voice", description="common_voice; tsv: another corpus, `columns` set")
    location: str = Field(
        description="the release: a folder or tar.gz as path or URI, or an http(s) URL of a tar.gz; empty: there is none"
    )
    sha256: str = Field(
        "", pattern=r"^([0-9a-f]{64})?$", description="sha256 of the tar.gz as its publisher states it; needed for a URL"
    )
    language: str = Field(description="language, BCP 47")
    locale: str = Field("", description="folder of the language in the release; empty: the language")
    version: str = Field("", description="version of the release; empty: read from the name of the location (cv-corpus-18.0-…)")
    listed: str = Field("validated.tsv", pattern=r"^[^/\\]+$", description="the list of validated clips")
    clips: str = Field("clips", description="folder of the clips beside the list; empty: clips are named from the list's folder")
    columns: Columns | None = Field(None, description="source tsv: what the list's columns mean (ingest/mapping.py)")
    delimiter: str = Field("\t", min_length=1, max_length=1, description="between fields of the list")
    license_url: str = Field("", description="the corpus's license; empty for Common Voice: CC0")
    license_evidence: str = Field(
        "",
        description="title, author and address of the corpus, and where its license is stated: its credit; needed for CC BY(-SA)",
    )
    shard_clips: int = Field(5000, ge=1, description="clips in one shard")
    limit: int = Field(0, ge=0, description="most rows of the list; 0 for all")
    cache: str = Field("", description="local folder where a download grows and is kept", json_schema_extra=RUNTIME)
    contact: str = Field("", description="address or URL of a person, sent with each request", json_schema_extra=RUNTIME)


def _is_url(location: str) -> bool:
    return bool(re.match(r"(?i)https?://", location))


def _digests(p: VoicesParams) -> Mapping[str, str]:
    """What decides the output beside the parameters: the release's content."""
    if not p.location:
        return {}
    if _is_url(p.location):
        if not p.sha256:
            raise StageError(f"--params: {p.location}: a release from the web needs its publisher's sha256")
        return {}
    if is_archive(p.location):
        if p.sha256:
            return {}
        with local_copy(p.location) as path:
            return {"archive": sha256_file(path)}
    path = _folder(p.location)
    return {
        f"file {f.relative_to(path).as_posix()}": sha256_file(f)
        for f in sorted(path.rglob("*"))
        if f.is_file() and not any(part.startswith(".") for part in f.relative_to(path).parts)
    }


def _folder(location: str) -> Path:
    store, inside = resolve(location)
    path = store.local(inside)
    if path is None:
        raise StageError(f"{location}: an unpacked release must be a local folder; give the tar.gz")
    if not path.is_dir():
        raise StageError(f"{location}: no folder there, and its name is not that of a tar.gz")
    return path


@dataclass(frozen=True)
class Entry:
    """What the list says of one clip: columns of ``readings``."""

    speaker_id: str
    text: str
    gender: str | None
    age: str | None
    accent: str | None
    up_votes: int | None
    down_votes: int | None
    segment: str | None
    duration_s: float | None


@stage(
    "voices",
    version=1,
    params=VoicesParams,
    unit="reading",
    reads=["sentences"],
    writes=["readings", "speaker_links"],
    model_digest=_digests,
)
def run(ctx: Context[VoicesParams]) -> None:
    """Inputs, role ``known``: folders of ``prepare`` with what earlier releases brought.

    Raises:
        StageError: the release is not there, damaged, not what its sha256 says, or its list lacks columns.
        EmptyInput: it holds nothing new.
    """
    p = ctx.params
    if not LANGUAGE.fullmatch(p.language):
        raise StageError(f"--params: language {p.language!r} is no language (BCP 47, such as en or zh-CN)")
    if not p.location:
        raise EmptyInput("no location: the source has no release this month")
    columns, rights, version = _columns(p), _rights(p), _version(p)
    prefix = f"{p.source}:{p.language}/"
    known, links = known_clips(ctx), set[tuple[str, str]]()
    with ExitStack() as stack:
        release = Release(_local(p, stack), p.locale or p.language, p.clips)
        lists = release.lists([p.listed, DURATIONS])
        if p.listed not in lists:
            raise StageError(f"{p.location}: no {p.listed} for the locale {p.locale or p.language}")
        wanted = _read_list(ctx, lists[p.listed], _durations(lists.get(DURATIONS)), columns, known, links, prefix)
        rest = {"source": p.source, "source_version": version, "language": p.language} | rights
        _take(ctx, release, wanted, known, links, prefix, rest)
    if not ctx.ledger.balance()["in"]["units"] and not links and not ctx.metrics["warnings"]:
        rows = ctx.metrics["rows"]
        raise EmptyInput(f"{p.location}: nothing new among the {rows} rows of {p.listed}" if rows else f"{p.listed} has no rows")


def _columns(p: VoicesParams) -> Columns:
    if p.source == "common_voice":
        return p.columns or COMMON_VOICE
    if p.columns is None:
        raise StageError("--params: the source 'tsv' needs `columns`: what the list's columns mean")
    return p.columns


def _rights(p: VoicesParams) -> dict[str, Any]:
    url, evidence = p.license_url, p.license_evidence.strip()
    if p.source == "common_voice" and not url:
        url, evidence = CC0, CC0_EVIDENCE
    today = datetime.now(UTC).date().isoformat()
    decision = licenses.decide([licenses.Statement(url or None, evidence or "--params license_url", today)])
    if isinstance(decision, licenses.Rejected):
        raise StageError(f"--params license_url: {decision.reason}: {decision.detail}")
    if decision.license.family in ("by", "by-sa") and not evidence:
        raise StageError("--params license_evidence: this license asks for credit: give title, author and address of the corpus")
    return decision.columns()


def _version(p: VoicesParams) -> str:
    if p.version:
        return p.version
    if found := VERSION.search(p.location):
        return found[1]
    raise StageError(f"--params: {p.location} names no version (cv-corpus-18.0-…); set version")


def _local(p: VoicesParams, stack: ExitStack) -> Path:
    """The release as a local path; downloads are resumed, and checked."""
    if not _is_url(p.location):
        if not is_archive(p.location):
            return _folder(p.location)
        path = stack.enter_context(local_copy(p.location))
        if p.sha256 and (found := sha256_file(path)) != p.sha256:
            raise StageError(f"{p.location}: sha256 {found}, expected {p.sha256}: it is not the release that was asked for")
        return path
    cache = Path(p.cache) if p.cache else Path(tempfile.gettempdir(), "speechmill-releases")
    path = cache / f"{p.sha256}.tar.gz"
    if path.is_file() and sha256_file(path) == p.sha256:
        return path
    try:
        got = download(p.location, path, client=Client(Manners(contact=p.contact)))
    except Unanswered as error:
        raise UnavailableError(str(error)) from None
    except DownloadError as error:
        raise StageError(str(error)) from None
    if got.sha256 != p.sha256:
        path.unlink()
        raise StageError(f"{p.location}: sha256 {got.sha256}, expected {p.sha256}: it is not the release that was asked for")
    return path


def _durations(data: bytes | None) -> dict[str, float]:
    """Clip → seconds, of Common Voice's ``clip_durations.tsv``; {} if there is none."""
    if data is None:
        return {}
    found = {}
    for row in read_rows(io.BytesIO(data), DURATIONS):
        if isinstance(row, BadRow):
            continue
        clip, ms = row.values.get("clip", ""), row.values.get("duration[ms]", "")
        if clip and ms.isdecimal():
            found[clip] = int(ms) / 1000
    return found


def _read_list(
    ctx: Context[VoicesParams],
    data: bytes,
    durations: Mapping[str, float],
    columns: Columns,
    known: Mapping[str, Known],
    links: set[tuple[str, str]],
    prefix: str,
) -> dict[str, Entry]:
    """The rows whose clips are wanted; all others are rejected, or known, and compared with what is known."""
    p = ctx.params
    wanted: dict[str, Entry] = {}
    seen: set[str] = set()
    shared: dict[str, str] = {}  # one string object a speaker and trait: a list of two million rows repeats them
    checked = False
    rows = 0
    differences, locale = Differences(known), p.locale or p.language
    for row in read_rows(io.BytesIO(data), p.listed, p.delimiter):
        rows += 1
        if p.limit and rows > p.limit:
            break
        if isinstance(row, BadRow):
            _refuse(ctx, f"{prefix}{p.listed}:{row.line}", Reason.ROW_UNREADABLE, row.detail)
            continue
        if not checked:
            columns.check(set(row.values), p.listed)
            checked = True
        clip, place = columns.clip_of(row.values), f"{p.listed}:{row.line}"
        speaker = columns.value(row.values, columns.speaker)
        if not clip or speaker is None:
            _refuse(ctx, f"{prefix}{place}", Reason.ROW_UNREADABLE, f"no {'clip' if not clip else 'speaker'} is named")
        elif clip in seen:
            _refuse(ctx, f"{prefix}{place}", Reason.ROW_DUPLICATE, f"{clip} is named by an earlier row, too")
        elif clip in known:
            differences.compare(clip, speaker, row.values[columns.text], _not_validated(row.values, columns, locale))
        elif why := _not_validated(row.values, columns, locale):
            seconds = columns.number(row.values, columns.duration_s) or durations.get(clip, 0.0)
            _refuse(ctx, prefix + clip, Reason.POLICY, f"{place}: {why}", seconds)
        else:
            v = row.values
            traits = (columns.value(v, columns.gender), columns.value(v, columns.age), columns.first(v, columns.accent))
            gender, age, accent = (shared.setdefault(t, t) if t is not None else None for t in traits)
            segment = columns.value(v, columns.segment or ("segment" if p.source == "common_voice" else ""))
            stated = columns.number(v, columns.duration_s)
            wanted[clip] = Entry(
                shared.setdefault(speaker, speaker), v[columns.text], gender, age, accent,
                columns.count(v, columns.up_votes), columns.count(v, columns.down_votes), segment,
                durations.get(clip) if stated is None else stated,
            )  # fmt: skip
        seen.add(clip)
    for (before, now), clip in differences.tell(ctx, seen, p.listed, whole=not p.limit).items():
        _link(ctx, links, (before, clip), (now, clip), known[clip].audio_id)
    ctx.metrics.update(rows=rows, rows_known=differences.listed)
    return wanted


def _not_validated(row: Mapping[str, str], columns: Columns, locale: str) -> str | None:
    for column, values in columns.keep.items():
        if row[column].strip() not in values:
            return f"{column} is {row[column]!r}, validated rows have {' or '.join(values)}"
    stated = columns.value(row, columns.locale)
    return f"locale {stated!r}, wanted is {locale}" if stated is not None and stated != locale else None


def _refuse(ctx: Context[VoicesParams], reading_id: str, reason: Reason, detail: str, seconds: float = 0.0) -> None:
    ctx.enter(reading_id, seconds)
    ctx.reject(reading_id, reason, detail, end_s=seconds)


def _take(
    ctx: Context[VoicesParams],
    release: Release,
    wanted: dict[str, Entry],
    known: Mapping[str, Known],
    links: set[tuple[str, str]],
    prefix: str,
    common: Mapping[str, Any],
) -> None:
    """Write the readings as their clips come by."""
    holder: dict[str, str] = {k.audio_id: clip for clip, k in known.items()}
    speaker_of: dict[str, str] = {clip: k.speaker_id for clip, k in known.items()}
    progress = Progress("voices", len(wanted), 0.0, quiet=ctx.quiet)
    written, refused = 0, 0
    missing, bad = dict(wanted), dict[str, str]()
    for member in release.clips_of(wanted, ctx.params.listed):
        entry = wanted.get(member.name)
        if isinstance(member, Refused):
            refused += 1
            if entry is not None:  # another member may have the name, and be a file
                bad[member.name] = member.detail
            elif refused <= MOST_REFUSED:
                row_id = f"{prefix}member-{refused}"
                _refuse(ctx, row_id, Reason.ARCHIVE_MEMBER, f"{member.name[:500]!r}, not named by the list: {member.detail}")
            continue
        assert entry is not None
        del missing[member.name]
        progress.advance()
        reading_id, seconds = prefix + member.name, entry.duration_s or 0.0
        audio_id = hashlib.sha256(member.data).hexdigest()
        if not member.data:
            _refuse(ctx, reading_id, Reason.AUDIO_EMPTY, "the clip has 0 bytes", seconds)
            continue
        first = holder.setdefault(audio_id, member.name)
        if first != member.name:
            other = speaker_of.get(first)
            by = f" of another speaker id ({other[:16]}…)" if other not in (None, entry.speaker_id) else ""
            _refuse(ctx, reading_id, Reason.DUPLICATE_AUDIO, f"the same bytes as {first}{by}", seconds)
            if by and other is not None:
                _link(ctx, links, (other, first), (entry.speaker_id, member.name), audio_id)
            continue
        speaker_of[member.name] = entry.speaker_id
        ctx.enter(reading_id, seconds)
        row = {
            "reading_id": reading_id, "clip": member.name, "audio_id": audio_id, "speaker_id": entry.speaker_id,
            "gender": entry.gender, "age": entry.age, "accent": entry.accent, "up_votes": entry.up_votes,
            "down_votes": entry.down_votes, "segment": entry.segment, "text": entry.text,
            "claimed_duration_s": entry.duration_s, "audio": member.data, **common,
        }  # fmt: skip
        ctx.write("readings", row, written // ctx.params.shard_clips)
        ctx.keep(reading_id, seconds)
        written += 1
    if wanted and not known and not bad and len(missing) == len(wanted):
        lists = f"{ctx.params.listed} lists, such as {next(iter(wanted))}"
        raise StageError(f"{ctx.params.location}: holds none of the {len(wanted)} clips that {lists}")
    for clip, entry in missing.items():
        reason = Reason.ARCHIVE_MEMBER if clip in bad else Reason.AUDIO_MISSING
        detail = bad.get(clip, f"{ctx.params.listed} names {clip}, which the release does not hold")
        _refuse(ctx, prefix + clip, reason, detail, entry.duration_s or 0.0)
    ctx.metrics.update(readings=written, members_refused=refused, speaker_links=len(links))


def _link(
    ctx: Context[VoicesParams], links: set[tuple[str, str]], one: tuple[str, str], other: tuple[str, str], audio_id: str
) -> None:
    (a, clip_a), (b, clip_b) = sorted((one, other))
    if (a, b) in links:
        return
    links.add((a, b))
    row = {"speaker_id": a, "other_speaker_id": b, "audio_id": audio_id, "clip": clip_a, "other_clip": clip_b}
    ctx.write("speaker_links", row)
