"""Folder and file names that every file system takes, and that no two of are the same on any.

A word is its folder's name wherever that is safe. Where it is not, single characters are written as ``%XX`` of their UTF-8, so
that ``urllib.parse.unquote`` gives the word back.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath

DEVICES = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])(\..*)?", re.IGNORECASE | re.DOTALL)
"""Names that Windows keeps for devices, with any ending (Microsoft, "Naming Files, Paths, and Namespaces")."""
UNSAFE = re.compile(r'[<>:"/\\|?*%\x00-\x1f\x7f]')
"""Characters that a file system or a shell takes for something else."""
UNSAFE_FIRST, UNSAFE_LAST = "._ -", ". "
"""The same at the ends; a leading ``_`` is for ``_background_noise_``."""
MOST_BYTES = 200
"""Of 255 that file systems allow: room for an ending."""


def _quote(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


def same(name: str) -> str:
    """What names have in common that some file system takes for one: case, and NFC or NFD."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def safe(name: str, also: Callable[[str], bool] = lambda _c: False) -> str:
    """A name that can be one part of a path anywhere; characters for which ``also`` holds are quoted too.

    >>> safe("con"), safe("either/or"), safe("_noise"), safe("straße"), safe("..")
    ('%63on', 'either%2For', '%5Fnoise', 'straße', '%2E%2E')

    Raises:
        ValueError: it is empty.
    """
    if not name:
        raise ValueError("an empty name")
    last = len(name) - 1
    quoted = "".join(
        _quote(c) if UNSAFE.match(c) or also(c) or (i == 0 and c in UNSAFE_FIRST) or (i == last and c in UNSAFE_LAST) else c
        for i, c in enumerate(name)
    )
    if DEVICES.fullmatch(quoted):
        quoted = _quote(quoted[0]) + quoted[1:]
    if len(quoted.encode()) > MOST_BYTES:
        cut = quoted.encode()[: MOST_BYTES - 17].decode("utf-8", "ignore")
        quoted = f"{cut}~{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    return quoted


def folder_names(words: Iterable[str]) -> dict[str, str]:
    r"""Word → folder. Words that differ in case or normal form only are kept apart on every file system.

    The one of such twins that is lower case and NFC keeps its plain name; of the others what differs is quoted.

    >>> list(folder_names(["polish", "Polish"]).items()), list(folder_names(["caf\u00e9", "cafe\u0301"]).values())
    ([('Polish', '%50olish'), ('polish', 'polish')], ['cafe%CC%81', 'caf\xe9'])
    """
    found: dict[str, str] = {}
    taken: set[str] = set()
    known = set(words)
    for word in sorted(known, key=lambda w: (w != same(w), w)):  # plain ones first
        names = (safe(word), safe(word, _differs), safe(word, lambda _c: True))
        name = next((n for n in names if same(n) not in taken), "")
        if not name:
            raise ValueError(f"no folder name for {word!r}: all of {names} are taken")
        taken.add(same(name))
        found[word] = name
    return dict(sorted(found.items()))


def _differs(c: str) -> bool:
    return c != c.casefold() or unicodedata.combining(c) > 0 or unicodedata.normalize("NFC", c) != c


def stems(sentences: Iterable[tuple[str, str]]) -> dict[str, str]:
    """sentence_id → a file name without ending: its clip's in the source, with its own id behind it where two share that.

    A clip in folders has their names in front (``f/01.wav`` is ``f-01``): as its path, that is its own whatever else is released.

    Args:
        sentences: (sentence_id, path of its clip in the source).
    """
    found: dict[str, str] = {}
    taken: set[str] = set()
    for sentence_id, clip in sorted(set(sentences), key=lambda s: (s[1], s[0])):
        stem = safe("-".join(PurePosixPath(clip).with_suffix("").parts))
        if same(stem) in taken:
            stem = f"{stem}_{sentence_id[:16]}"
        if same(stem) in taken:
            raise ValueError(f"two sentences {sentence_id[:16]} of clip {clip}")
        taken.add(same(stem))
        found[sentence_id] = stem
    return found
