"""What a release says otherwise of clips that earlier releases brought: they stay as they are, and somebody is told."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from stagekit.stage import Context


@dataclass(frozen=True, slots=True)
class Known:
    """What an earlier release said of a clip."""

    sentence_id: str
    audio_id: str
    speaker_id: str
    text: int
    """Hash of the sentence."""


def known_clips(ctx: Context[Any]) -> dict[str, Known]:
    """Clip → what is known of it; a speaker's id is held once."""
    columns = ["clip", "sentence_id", "audio_id", "speaker_id", "text_raw"]
    speakers: dict[str, str] = {}
    return {
        r["clip"]: Known(
            r["sentence_id"], r["audio_id"], speakers.setdefault(r["speaker_id"], r["speaker_id"]), hash(r["text_raw"])
        )
        for r in ctx.rows("sentences", columns=columns)
    }


class Differences:
    """Gathered row by row, told at the end."""

    def __init__(self, known: Mapping[str, Known]):
        """``known``: of :func:`known_clips`. ``listed``: rows that were compared."""
        self._known = known
        self.listed = 0
        self._found: dict[str, list[dict[str, str]]] = {"corrected": [], "invalid": [], "dropped": []}
        self._renamed: dict[tuple[str, str], str] = {}

    def compare(self, clip: str, speaker: str, text: str, invalid: str | None) -> None:
        """A row of a known clip; ``invalid``: why it would not be taken today."""
        before = self._known[clip]
        self.listed += 1
        if speaker != before.speaker_id:
            self._renamed.setdefault((before.speaker_id, speaker), clip)
        if hash(now := unicodedata.normalize("NFC", text).strip()) != before.text:
            self._found["corrected"].append({"clip": clip, "sentence_id": before.sentence_id, "now": now})
        if invalid:
            self._found["invalid"].append({"clip": clip, "sentence_id": before.sentence_id, "now": invalid})

    def _same_speakers(self) -> dict[tuple[str, str], str]:
        """(id before, id now) of ids that have only each other, which is one person, and a clip of theirs.

        Ids that have several others tell nothing: a release that names everybody "anonymous" does not make them one.
        """
        pairs = Counter(speaker for pair in self._renamed for speaker in pair)
        return {pair: clip for pair, clip in self._renamed.items() if pairs[pair[0]] == pairs[pair[1]] == 1}

    def tell(self, ctx: Context[Any], seen: Collection[str], name: str, whole: bool) -> dict[tuple[str, str], str]:
        """Warn, on stderr and in the metric ``warnings``; all of it is in ``report.json``.

        Args:
            ctx: of the stage.
            seen: clips that the list names.
            name: of the list.
            whole: all of it was read. A delta release lists few of the clips that went before, or none: it drops nothing.

        Returns:
            (speaker id before, now) of who is one person, and a clip of theirs.
        """
        if whole and 2 * self.listed >= len(self._known):
            self._found["dropped"] = [{"clip": c, "sentence_id": k.sentence_id} for c, k in self._known.items() if c not in seen]
        same = self._same_speakers()
        speakers = [
            {"speaker_id": before, "now": now, "clip": clip, "one_person": (before, now) in same}
            for (before, now), clip in self._renamed.items()
        ]
        said = {
            "corrected": "have another sentence now",
            "invalid": "are not validated any more",
            "dropped": f"are in no readable row of {name} any more",
        }
        warnings = [
            f"{len(found)} clips of earlier releases {said[what]}, such as {found[0]['clip']}: they stay as they are; "
            f"name the sentence_ids of `{what}` in report.json as takedowns, if they must go"
            for what, found in self._found.items()
            if found
        ]
        if same:
            warnings.append(
                f"{len(same)} speaker ids have another id now (`speakers` in report.json): both are one person to the splits"
            )
        if unclear := len(speakers) - len(same):
            warnings.append(
                f"{unclear} changes of a clip's speaker id have no one person behind them (`speakers` in report.json): an id has "
                "several others; the clips keep the ids that they had"
            )
        for warning in warnings:
            print(f"voices: warning: {warning}", file=sys.stderr, flush=True)
        ctx.metrics.update({f"known_{what}": len(found) for what, found in self._found.items()}, warnings=warnings)
        report = json.dumps(self._found | {"speakers": speakers}, ensure_ascii=False, indent=1, sort_keys=True)
        ctx.path("report.json").write_text(f"{report}\n", encoding="utf-8")
        return same
