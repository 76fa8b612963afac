"""A folder of audio files with captions beside them, and an optional ``metadata.jsonl``.

``talk.mp3`` goes with ``talk.srt``, ``talk.vtt`` or ``talk.txt``; between stem and extension may stand a language
(``talk.en.srt``) and words such as ``asr`` or ``manual``. Audio is what :mod:`ingest.pairing` takes from the Internet Archive,
video included. ``metadata.jsonl`` (UTF-8, or UTF-16 with its mark; in any folder; ``file`` is relative to it) holds one object
a recording: ``file``, ``id``, ``title``, ``creator``, ``language``, ``license_url``, ``source_url``; other keys are kept.
Without a license nothing is used, so a folder without ``metadata.jsonl`` gives only rejections.
"""

from __future__ import annotations

import codecs
import json
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import md5
from pathlib import PurePosixPath
from typing import Any
from unicodedata import normalize

from ingest import licenses
from ingest.language import same_language
from ingest.language_tags import bcp47
from ingest.pairing import LOSSLESS, LOSSY, VIDEO
from ingest.provenance import classify
from ingest.sources import Found, Item, Rejection
from stagekit.audio import AudioError, probe
from stagekit.errors import StageError
from stagekit.storage import below, local_copy, resolve, sha256_file
from stagekit.tables import Reason

SOURCE = "folder"
METADATA = "metadata.jsonl"
AUDIO = LOSSY | LOSSLESS | VIDEO
CAPTIONS = (".srt", ".vtt", ".txt")
"""Kinds of caption in order of preference."""
FIELDS = ("file", "id", "title", "creator", "language", "license_url", "source_url")
_SUFFIX_WORDS = frozenset(
    "asr auto autogen whisper machine manual human sdh cc caption captions sub subs subtitles transcript".split()
)
_NOT_CAPTIONS = re.compile(r"(?i)(readme|licen[cs]e|notice|sources?|credits|copying|attribution|changelog|about)\b")


@dataclass(frozen=True)
class _Described:
    """What ``metadata.jsonl`` says of one audio file. ``problem`` is set if it cannot be used."""

    place: str
    fields: Mapping[str, Any]
    problem: str | None = None


def digest(location: str) -> dict[str, str]:
    """sha256 of every file below the folder, by relative path: what decides the output of :func:`discover`.

    What cannot be read has its reason instead.

    Raises:
        StageError: there is no such folder.
    """
    sizes, unreadable = _listing(location)
    digests = dict(unreadable)
    for name in sizes:
        with local_copy(below(location, name)) as path:
            digests[name] = sha256_file(path)
    return digests


def discover(
    location: str, language: str, *, limit: int = 0, known: Mapping[str, str] | None = None, threads: int = 4
) -> Iterator[Found]:
    """Every audio file of the folder in the order of names, then what is described or captioned but has no audio.

    Args:
        location: path or URI of the folder.
        language: language wanted, BCP 47; files that state none are taken to be in it.
        limit: at most so many audio files; 0 for all.
        known: item_id → "" or the reason of a rejection, of earlier batches: what would only be said again is left out.
        threads: files whose headers are read at the same time.

    Raises:
        StageError: there is no such folder.
    """
    known = known or {}
    sizes, unreadable = _listing(location)
    described, stray = _read_metadata(location, sizes)
    names = sorted(name for name in sizes if PurePosixPath(name).suffix.lower() in AUDIO)
    captions = _captions(names, sizes)
    today = datetime.now(UTC).date().isoformat()

    def new(found: Found) -> bool:
        was = known.get(found.item_id)
        return was is None or (was != "" if isinstance(found, Item) else was not in ("", found.reason))

    ids: dict[str, str] = {}
    taken: dict[str, str] = {}

    def identify(name: str, about: _Described) -> tuple[str, str, _Described]:
        """Item id, identifier, and what is said of a file: with a problem if another file has its id."""
        identifier = str(about.fields.get("id") or str(PurePosixPath(name).with_suffix("")))
        item_id = f"{SOURCE}:{identifier}/{PurePosixPath(name).name}"
        if (about.fields.get("id") and identifier in ids) or item_id in taken:
            other = ids.get(identifier) or taken[item_id]
            same = f"{about.place or name}: id {identifier!r} is already that of {other}"
            about = replace(about, problem=about.problem or same)
            item_id = f"{SOURCE}:{name}" if f"{SOURCE}:{name}" not in taken else f"{SOURCE}:{about.place} {name}"
        ids.setdefault(identifier, name)
        taken[item_id] = name
        return item_id, identifier, about

    work = []
    for name in names:
        item_id, identifier, about = identify(name, described.pop(name, _Described("", {})))
        if known.get(item_id) != "":
            work.append((name, item_id, identifier, about))
    work = work[: limit or None]

    def one(job: tuple[str, str, str, _Described]) -> Found:
        return _found(location, *job, sizes[job[0]], captions.get(job[0], []), language, today)

    with ThreadPoolExecutor(max(1, threads), thread_name_prefix="probe") as pool:
        yield from filter(new, pool.map(one, work))
    if limit:
        return
    for name, about in sorted(described.items()):
        reason, detail = Reason.NO_AUDIO, f"there is no file {name}"
        if name in sizes:
            detail = f"{name} is of no kind that is read ({' '.join(sorted(AUDIO))})"
        elif name in unreadable:
            reason, detail = Reason.ITEM_UNREADABLE, f"{name}: {unreadable.pop(name)}"
        stray.append(Rejection(identify(name, about)[0], reason, f"{about.place}: {detail}"))
    stray += [Rejection(f"{SOURCE}:{name}", Reason.ITEM_UNREADABLE, f"{name}: {why}") for name, why in unreadable.items()]
    paired = {caption for found in captions.values() for caption in found}
    for name in sorted(sizes):
        path = PurePosixPath(name)
        if (
            path.suffix.lower() in CAPTIONS
            and name not in paired
            and not (path.suffix.lower() == ".txt" and _NOT_CAPTIONS.match(path.name))
        ):
            stray.append(Rejection(f"{SOURCE}:{name}", Reason.NO_AUDIO, "a caption without an audio file of its name"))
    yield from filter(new, stray)


def _listing(location: str) -> tuple[dict[str, int], dict[str, str]]:
    """Relative path → bytes of every file below the folder, in order; and path → why of what is there but cannot be read.

    Raises:
        StageError: there is no such folder.
    """
    store, path = resolve(location)
    root = store.local(path)
    if root is not None and not root.is_dir():
        raise StageError(f"location {location}: there is no such folder")
    sizes: dict[str, int] = {}
    unreadable: dict[str, str] = {}
    for name, size in store.list(path):
        if not _encodes(name):
            unreadable[os.fsencode(name).decode("utf-8", "backslashreplace")] = "its name is not UTF-8"
        elif root is not None and not (os.path.isfile(root / name) and os.access(root / name, os.R_OK)):
            unreadable[name] = "it is no file that can be opened (a link to nothing, or no permission)"
        else:
            sizes[name] = size
    return sizes, unreadable


def _encodes(text: str) -> bool:
    """Whether it can be written: not half a surrogate pair (JSON may hold one), nor a file name that is not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_metadata(location: str, names: Collection[str]) -> tuple[dict[str, _Described], list[Rejection]]:
    """What is said of each audio file, and lines that cannot be tied to one."""
    described: dict[str, _Described] = {}
    stray: list[Rejection] = []
    composed = {normalize("NFC", n): n for n in names}
    for path in sorted(n for n in names if PurePosixPath(n).name == METADATA):
        store, base = resolve(below(location, path))
        folder = PurePosixPath(path).parent
        data = store.read_bytes(base).removeprefix(codecs.BOM_UTF8)
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            try:
                data = data.decode("utf-16").encode()
            except UnicodeDecodeError as error:
                stray.append(Rejection(f"{SOURCE}:{path}", Reason.ITEM_UNREADABLE, f"{path}: not UTF-16 ({error})"))
                continue
        # splitlines() would also cut at U+2028, which JSON allows inside a string.
        for number, line in enumerate(data.split(b"\n"), 1):
            if not line.strip():
                continue
            place = f"{path} line {number}"
            fields, problem = _parse_line(line)
            name = _inside(folder, fields.get("file"))
            if name is not None and name not in names:
                name = composed.get(normalize("NFC", name), name)  # macOS takes names apart, whoever wrote the line did not
            if name is None:
                detail = problem or f"'file' must name an audio file of this folder, not {fields.get('file')!r}"
                stray.append(Rejection(f"{SOURCE}:{place}", Reason.ITEM_UNREADABLE, f"{place}: {detail}"))
            elif name in described:
                stray.append(Rejection(f"{SOURCE}:{place}", Reason.ITEM_UNREADABLE, f"{place} describes {name} again"))
                first = described[name]
                both = {key: _both(first.fields.get(key), fields.get(key)) for key in ("license_url", "rights")}
                if any(first.fields.get(key) != value for key, value in both.items()):
                    described[name] = _Described(f"{first.place} and {number}", {**first.fields, **both}, first.problem)
            else:
                described[name] = _Described(place, fields, f"{place}: {problem}" if problem else None)
    return described, stray


def _both(first: object, second: object) -> object:
    """What two lines say about rights, as the license rules take it: a list where both say something and not the same."""
    if second is None or second == first:
        return first
    stated = [value for said in (first, second) for value in (said if isinstance(said, list) else [said]) if value is not None]
    return stated if len(stated) > 1 else second


def _parse_line(line: bytes) -> tuple[dict[str, Any], str | None]:
    """The object of a line, and what is wrong with it. A broken line still tells which file it meant, where that can be read."""
    text = line.decode("utf-8", "replace")
    try:
        value = json.loads(line.decode())
    except (ValueError, RecursionError) as error:
        meant = re.search(r'"file"\s*:\s*"((?:[^"\\\ufffd]|\\.)*)"', text)
        what = "UTF-8" if isinstance(error, UnicodeDecodeError) else "JSON"
        return ({"file": meant[1]} if meant else {}), f"not {what} ({error})"
    if not isinstance(value, dict):
        return {}, f"an object was expected, not {text.strip()[:60]}"
    if not _encodes(json.dumps(value, ensure_ascii=False)):
        return {"file": value.get("file")}, "a text in it holds half a surrogate pair, which cannot be written as UTF-8"
    for field in FIELDS:
        given = value.get(field)
        texts = given if isinstance(given, list) and field in ("creator", "title", "license_url") else [given]
        if field == "license_url" or given is None:
            continue  # whatever it is, the license rules judge it
        if not all(isinstance(t, str | int | float) and not isinstance(t, bool) for t in texts):
            return value, f"{field!r} must be text, not {json.dumps(given)[:80]}"
    if value.get("language") is not None and bcp47(str(value["language"])) is None:
        return value, f"'language' {value['language']!r} is no language (BCP 47, such as en or pt-BR)"
    return value, None


def _inside(folder: PurePosixPath, file: object) -> str | None:
    """The path of a described file below the source folder; None if it leads out of it or is no text."""
    if not isinstance(file, str) or not file.strip() or "\0" in file or not _encodes(file):
        return None
    path = PurePosixPath(file.strip().replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts:
        return None
    return str(folder / path) if str(folder) != "." else str(path)


def _captions(audio: Sequence[str], names: Iterable[str]) -> dict[str, list[str]]:
    """Caption files of each audio file: the longest audio stem that a caption's name starts with (macOS takes names apart)."""
    stems: dict[str, list[str]] = {}
    composed: dict[str, list[str]] = {}
    for name in audio:
        stem = str(PurePosixPath(name).with_suffix(""))
        stems.setdefault(stem, []).append(name)
        composed.setdefault(normalize("NFC", stem), []).append(name)
    found: dict[str, list[str]] = {}
    for name in sorted(names):
        path = PurePosixPath(name)
        if path.suffix.lower() not in CAPTIONS:
            continue
        stem = name[: -len(path.suffix)]
        words: list[str] = []
        while True:
            if of := stems.get(stem) or composed.get(normalize("NFC", stem)):
                for each in of:
                    found.setdefault(each, []).append(name)
                break
            stem, dot, word = stem.rpartition(".")
            if not dot or "/" in word or not _is_suffix(word):
                break
            words.append(word)
    return found


def _is_suffix(word: str) -> bool:
    return bool(bcp47(word)) or all(w.lower() in _SUFFIX_WORDS or bcp47(w) for w in re.split("[_-]", word))


def _caption_language(caption: str, audio: str) -> str | None:
    """The language that stands in a caption's name after the audio's stem."""
    rest = normalize("NFC", PurePosixPath(caption).name)[len(normalize("NFC", PurePosixPath(audio).stem)) :]
    words = [w for w in rest.split(".")[1:-1] if w.lower() not in _SUFFIX_WORDS]
    return next((tag for w in words if (tag := bcp47(w))), None)


def _found(
    location: str,
    name: str,
    item_id: str,
    identifier: str,
    about: _Described,
    size: int,
    captions: list[str],
    wanted: str,
    today: str,
) -> Found:
    """An audio file as an item or a rejection."""
    uri = below(location, name)
    claimed, checksum = _claims(uri)
    seconds = claimed or 0.0
    if about.problem:
        return Rejection(item_id, Reason.ITEM_UNREADABLE, about.problem, seconds)
    fields = about.fields
    stated = [licenses.Statement(fields.get("license_url"), f"{about.place} license_url", today)]
    if fields.get("rights"):
        stated.append(licenses.Statement(fields["rights"], f"{about.place} rights", today, note=True))
    decision = licenses.decide(stated)
    if isinstance(decision, licenses.Rejected):
        detail = decision.detail if about.place else f"no line of {METADATA} describes {name}"
        return Rejection(item_id, decision.reason, detail, seconds)
    language = bcp47(str(fields["language"])) if fields.get("language") is not None else wanted
    assert language is not None  # _parse_line() has refused others
    if not same_language(language, wanted):
        return Rejection(item_id, Reason.TEXT_WRONG_LANGUAGE, f"{about.place} states {language}, wanted is {wanted}", seconds)
    caption = _choose(captions, name, language, fields)
    if caption is None:
        detail = (
            f"captions in other languages only: {', '.join(captions)}" if captions else f"no {', '.join(CAPTIONS)} beside {name}"
        )
        return Rejection(item_id, Reason.NO_CAPTION, detail, seconds)
    extra = {key: value for key, value in fields.items() if key not in FIELDS}
    return Item(
        {
            "item_id": item_id,
            "source": SOURCE,
            "identifier": identifier,
            "url": _text(fields.get("source_url")),
            "title": _text(fields.get("title")),
            "creator": _text(fields.get("creator")),
            "language": language,
            **decision.columns(),
            "audio_uri": uri,
            "audio_bytes": size,
            "audio_md5": checksum,
            "caption_uri": below(location, caption),
            "caption_kind": PurePosixPath(caption).suffix.lower()[1:],
            "claimed_duration_s": claimed,
            "added_at": _text(fields.get("added_at")),
            "extra": json.dumps(extra, ensure_ascii=False, sort_keys=True),
            "recording_id": None,
            "document_id": None,
        }
    )


def _choose(captions: Sequence[str], audio: str, language: str, fields: Mapping[str, Any]) -> str | None:
    """The caption to use: in the language, by people rather than machines, with times rather than without."""

    def rank(caption: str) -> tuple[bool, bool, int, str]:
        machine = classify(caption, None, audio_name=audio, stated=fields).kind == "machine"
        return machine, _caption_language(caption, audio) is None, CAPTIONS.index(PurePosixPath(caption).suffix.lower()), caption

    usable = [c for c in captions if (tag := _caption_language(c, audio)) is None or same_language(tag, language)]
    return min(usable, key=rank, default=None)


def _claims(uri: str) -> tuple[float | None, str]:
    """The duration that a file's header states (None if it cannot be read), and the md5 of its bytes."""
    with local_copy(uri) as path:
        checksum = md5(usedforsecurity=False)
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                checksum.update(block)
        try:
            return probe(path).duration_s, checksum.hexdigest()
        except AudioError:
            return None, checksum.hexdigest()


def _text(value: object) -> str | None:
    values = value if isinstance(value, list) else [value]
    return "; ".join(text for v in values if v is not None and (text := str(v).strip())) or None
