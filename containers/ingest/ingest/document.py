"""A caption file of one recording becomes a document, or a reason why not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote

from ingest.captions import parse_caption
from ingest.errors import CaptionError
from ingest.language import identify, same_language, share_in
from ingest.provenance import classify
from stagekit.tables import Reason
from stagekit.text.normalize import normalize

SURE = 0.9
"""Probability from which a text's language counts as known. Over 784 texts of 60 and 100 characters in 13 languages nothing was
wrong (README); below this, a text may be a mixture."""
LEAST_SHARE = 0.2
"""A text of several languages is kept if so much of it is in the claimed one: the search finds the parts that were said."""


class CaptionRejected(Exception):  # noqa: N818 - a decision, not a failure
    """A caption cannot be used."""

    def __init__(self, reason: Reason, detail: str):
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


@dataclass(frozen=True)
class Draft:
    """A document before its recording is known: columns of the documents table, and the sha256 of the caption's bytes."""

    sha256: str
    columns: dict[str, Any]

    def row(self, recording_id: str, tokens: list[dict[str, Any]]) -> dict[str, Any]:
        """A row of the documents table."""
        document_id = hashlib.sha256(f"{recording_id}\n{self.sha256}".encode()).hexdigest()
        return {"document_id": document_id, "recording_id": recording_id, **self.columns, "tokens": tokens}


def draft(data: bytes, item: Mapping[str, Any], *, machine_captions: bool = False) -> Draft:
    """Read the caption of an item.

    Args:
        data: the file's bytes.
        item: a row of the items table.
        machine_captions: keep captions that a recogniser made.

    Raises:
        CaptionRejected: unreadable, empty, made by a machine, or in another language than the item claims.
    """
    language = str(item["language"])
    try:
        caption = parse_caption(data, str(item["caption_kind"]), language)
    except CaptionError as error:
        raise CaptionRejected(error.reason, str(error)) from None
    provenance = classify(_name(item["caption_uri"]), caption, audio_name=_name(item["audio_uri"]), stated=_stated(item))
    if provenance.kind == "machine" and not machine_captions:
        raise CaptionRejected(Reason.CAPTION_MACHINE, provenance.evidence)
    found, probability = identify(caption.text)
    wrong = found is not None and probability >= SURE and not same_language(found, language)
    if wrong and share_in(caption.text, language) < LEAST_SHARE:
        detail = f"the text is {found} (probability {probability:.3f}), the item claims {language}: {caption.text[:80]!r}"
        raise CaptionRejected(Reason.TEXT_WRONG_LANGUAGE, detail)
    columns = {
        "language": language,
        "text_language": found,
        "text_language_score": probability if found is not None else None,
        "caption_kind": caption.kind,
        "caption_provenance": provenance.kind,
        "provenance_evidence": provenance.evidence,
        "caption_raw": caption.raw,
        "text": caption.text,
    }
    return Draft(hashlib.sha256(data).hexdigest(), columns)


def tokens(text: str, language: str) -> list[dict[str, Any]]:
    """The tokens column of a text."""
    return [token._asdict() for token in normalize(text, language)]


def _name(uri: object) -> str:
    """The file name in a URI: only the web's have a query, and names in ``gs://`` are not quoted."""
    text = str(uri)
    if text.startswith(("http://", "https://")):
        text = text.partition("?")[0]
    name = PurePosixPath(text).name
    return name if text.startswith("gs://") else unquote(name)


def _stated(item: Mapping[str, Any]) -> dict[str, Any]:
    """What the source says about the caption: the archive's entry of the file, or the folder's own key."""
    extra = json.loads(item["extra"] or "{}")
    entry = extra.get("caption_file")
    stated = dict(entry) if isinstance(entry, dict) else {}
    if "caption_provenance" in extra:
        stated["caption_provenance"] = extra["caption_provenance"]
    return stated
