"""Work is done document by document: what one needs, and how to get at it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from stagekit.stage import Context


@dataclass(frozen=True)
class Document:
    """A document with its recording.

    Attributes:
        row: row of `documents`.
        uri: the recording.
        duration_s: of the recording.
    """

    row: dict[str, Any]
    uri: str
    duration_s: float

    @property
    def id(self) -> str:
        """document_id."""
        return str(self.row["document_id"])

    @property
    def words(self) -> list[str]:
        """Its tokens: spoken form, lower case."""
        return [token["word"] for token in self.row["tokens"]]


COLUMNS = ("document_id", "recording_id", "language", "text", "tokens")


def read_documents(ctx: Context[Any]) -> Iterator[Document]:
    """Documents of the inputs with their recordings, in the order of the inputs."""
    recordings = {r["recording_id"]: r for r in ctx.rows("recordings", columns=["recording_id", "uri", "duration_s"])}
    for row in ctx.rows("documents", columns=COLUMNS):
        recording = recordings[row["recording_id"]]
        yield Document(row, recording["uri"], recording["duration_s"])
