"""What the columns of a list mean: a preset for Common Voice, a parameter for any other corpus of sentences by many speakers.

    {"clip": "audio/{status}/{speaker_id}/{filename}", "text": "sentence", "speaker": "speaker_id", "gender": "gender",
     "age": "age", "accent": "dialect", "duration_s": "duration", "keep": {"is_valid": ["1.0"]}, "null": ["NAN"]}

maps the list of Samrómur. ``clip`` is a column, or a path with columns in braces; ``keep`` says which values other columns must
have for a row to be validated.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from stagekit.errors import StageError

FIELD = re.compile(r"\{([^{}]*)\}")


class Columns(BaseModel):
    """Which column of a list holds what; '' where the list does not have it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    clip: str = Field(description="file of the clip: a column, or a path with columns in braces")
    text: str = Field(description="the sentence")
    speaker: str = Field(description="speaker id")
    gender: str = Field("", description="gender")
    age: str = Field("", description="age")
    accent: str = Field("", description="accent or dialect; of several, separated by commas, the first that the list has")
    up_votes: str = Field("", description="votes for")
    down_votes: str = Field("", description="votes against")
    segment: str = Field("", description="part of the campaign")
    duration_s: str = Field("", description="duration, seconds")
    locale: str = Field("", description="locale of the row: a row of another is rejected")
    keep: dict[str, list[str]] = Field({}, description="column → values that a row must have, else it is not validated")
    null: list[str] = Field([], description="values that mean that nothing is stated, such as NAN")

    def columns(self) -> set[str]:
        """All columns that a list must have."""
        named = {self.text, self.speaker, self.gender, self.age, self.up_votes, self.down_votes, self.segment, self.duration_s}
        clip = set(FIELD.findall(self.clip)) if "{" in self.clip else {self.clip}
        return (named | {self.locale} | set(self.keep) | clip) - {""}

    def value(self, row: Mapping[str, str], column: str) -> str | None:
        """What a row states in a column, None for nothing."""
        text = row.get(column, "").strip() if column else ""
        return text if text and text not in self.null else None

    def first(self, row: Mapping[str, str], columns: str) -> str | None:
        """What a row states in the first of several columns that the list has."""
        return next((self.value(row, c) for c in columns.split(",") if c in row), None)

    def clip_of(self, row: Mapping[str, str]) -> str:
        """The clip's path below the folder of the clips."""
        if "{" not in self.clip:
            return row[self.clip].strip()
        return FIELD.sub(lambda m: row[m[1]].strip(), self.clip)

    def number(self, row: Mapping[str, str], column: str) -> float | None:
        """A number, None if nothing is stated or it is none."""
        try:
            value = float(self.value(row, column) or "nan")
        except ValueError:
            return None
        return value if math.isfinite(value) and value >= 0 else None

    def count(self, row: Mapping[str, str], column: str) -> int | None:
        """A whole number, None if nothing is stated or it is none."""
        value = self.number(row, column)
        return int(value) if value is not None and value < 2**31 else None

    def check(self, header: set[str], name: str) -> None:
        """Refuse a list that lacks a column.

        Raises:
            StageError: it does.
        """
        if missing := self.columns() - header:
            raise StageError(f"{name}: the list lacks columns {sorted(missing)}; it has {sorted(header)}")


COMMON_VOICE = Columns.model_validate(
    {
        "clip": "path", "text": "sentence", "speaker": "client_id", "gender": "gender", "age": "age", "accent": "accents,accent",
        "up_votes": "up_votes", "down_votes": "down_votes", "locale": "locale",
    }
)  # fmt: skip
"""Common Voice, 2020 to 2025: ``accent`` became ``accents``; ``segment`` and ``variant`` came and went."""
