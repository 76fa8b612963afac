"""Licenses by name, and the line that credits a clip."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CHANGES = "cut into utterances and converted to 16 kHz mono FLAC"
"""What CC licenses ask to be said of an adaptation."""


_MARKUP = re.compile(r"(https?://(?:[^\s<>()]|\([^\s<>()]*\))+)|([\\`*\[\]<~]|(?<!\w)_|_(?!\w)|&(?=#?\w+;))")


def markdown(text: str) -> str:
    r"""A line for a Markdown page that shows it as it is: names may hold what Markdown or HTML would swallow. URLs stay whole.

    >>> print(markdown('"Q & A *live*" by <X> [y] _z_, https://x.org/a_, CC0'))
    "Q & A \*live\*" by \<X> \[y\] \_z\_, https://x.org/a_, CC0
    """
    return _MARKUP.sub(lambda m: m[1] or f"\\{m[2]}", text)


def license_name(item: Mapping[str, Any]) -> str:
    """A license as people write it.

    >>> license_name({"license_family": "by-sa", "license_version": "3.0", "license_jurisdiction": "de"})
    'CC BY-SA 3.0 DE'
    >>> license_name({"license_family": "us-gov", "license_version": None, "license_jurisdiction": None})
    'work of the US government'
    """
    names = {"by": "CC BY", "by-sa": "CC BY-SA", "cc0": "CC0", "pd": "public domain", "us-gov": "work of the US government"}
    parts = [names[item["license_family"]], item["license_version"] or "", (item["license_jurisdiction"] or "").upper()]
    return " ".join(p for p in parts if p)


def attribution(item: Mapping[str, Any]) -> str:
    """Title, author, source and license of an item, one line (Creative Commons, "recommended practices for attribution").

    >>> attribution({"title": "Talk", "creator": None, "url": "https://x.org/t", "identifier": "t", "license_family": "by",
    ...     "license_version": "4.0", "license_jurisdiction": None, "license_url": "https://creativecommons.org/licenses/by/4.0/"})
    '"Talk" by unnamed creator, https://x.org/t, CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/)'
    """
    title = " ".join((item["title"] or item["identifier"]).split())
    creator = " ".join((item["creator"] or "unnamed creator").split())
    source = item["url"] or item["identifier"]
    return f'"{title}" by {creator}, {source}, {license_name(item)} ({item["license_url"]})'


def write_credits(credits: Mapping[str, Mapping[str, Any]], folder: Path, title: str) -> None:
    """Write ``ATTRIBUTION.md`` for people and ``attribution.csv`` for machines, one source item a line, in order of ids.

    Args:
        credits: item_id → license and attribution columns, ``clips`` and ``seconds``.
        folder: of the release.
        title: of the release.
    """
    items = sorted(credits.items())
    lines = [
        f"# Attribution: {title}",
        "",
        f"Every clip is {CHANGES}. Each carries its own line in the column `attribution`; these are all of them, with where the",
        "license was read and when. Nobody named here endorses this dataset.",
        "",
    ]
    for item_id, credit in items:
        seen = f"{credit['clips']} clips. License seen {credit['license_seen_at']} (`{item_id}`)."
        lines.append(f"- {markdown(credit['attribution'])}. {seen}")
    (folder / "ATTRIBUTION.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    names = (
        "title",
        "creator",
        "source_url",
        "license_family",
        "license_version",
        "license_jurisdiction",
        "license_url",
        "license_evidence",
    )
    with open(folder / "attribution.csv", "w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(["item_id", *names, "license_seen_at", "attribution", "clips", "seconds"])
        for item_id, credit in items:
            values = [credit[n] if credit[n] is not None else "" for n in (*names, "license_seen_at", "attribution")]
            table.writerow([item_id, *values, credit["clips"], f"{credit['seconds']:.3f}"])
