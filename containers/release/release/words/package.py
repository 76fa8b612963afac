"""Stage ``package_words``: clips in Parquet, each at 16 kHz and in Opus, incremental over a parent release.

The work is :mod:`release.package`'s; nothing is encoded here: both kinds of audio come as they were cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from release.clips import Spooled
from release.features import CLIPS, row_digest
from release.package import PackageParams, Packing
from release.shards import Plan
from release.words.admission import SCORE_COLUMNS
from stagekit.stage import Context, StageError, stage
from stagekit.storage import resolve


@stage(
    "package_words",
    version=1,
    params=PackageParams,
    unit="clip",
    reads=["clips", "clip_audio", "clip_scores", "clip_splits", "origins", "shards", "shard_rows"],
    writes=["shards", "shard_rows"],
    libraries=["pyarrow"],
)
def run(ctx: Context[PackageParams]) -> None:
    """Inputs: ``collect_words``, all of ``keywords cut``, ``keywords outliers`` if there is one, ``split_speakers``.

    As ``parent=`` the ``index`` of the release before. Clips that ``split_speakers`` left out it has accounted for; they do not
    enter here.
    """
    split = next((i.success for i in ctx.inputs if (i.success or {}).get("stage") == "release.split_speakers"), None)
    _Clips(ctx, CLIPS).run()
    ctx.metrics.update(policy=(split or {}).get("metrics", {}).get("policy", ""))
    cuts = {i.uri: i.success or {} for i in ctx.inputs if (i.success or {}).get("stage") == "keywords.cut"}
    root = resolve(ctx.params.root)[1]
    cut_of = {s["metrics"].get("audio", ""): resolve(uri)[1].removeprefix(f"{root}/") for uri, s in cuts.items()}
    ctx.metrics.update(cuts=list(cuts), cut_of=cut_of)


class _Clips(Packing):
    def rows(self) -> Iterator[dict[str, Any]]:
        """Rows of ``release_clips``, in the order of the inputs."""
        splits = {r["clip_id"]: r["split"] for r in self.ctx.rows("clip_splits", role="", columns=["clip_id", "split"])}
        batch = {r["id"]: r["batch"] for r in self.ctx.rows("origins", role="")}
        scores = self.ctx.rows("clip_scores", role="")
        mine = next(scores, None)
        for row in self.ctx.rows("clips", role=""):
            scored = dict.fromkeys(SCORE_COLUMNS)
            if mine is not None and mine["clip_id"] == row["clip_id"]:
                scored = {name: mine[name] for name in SCORE_COLUMNS}
                mine = next(scores, None)
            if row["clip_id"] in splits:
                group = "by-sa" if row["license_family"] == "by-sa" else "by"
                yield row | scored | {
                    "split": splits[row["clip_id"]], "subset": "words", "license_group": group,
                    "batch": batch[row["sentence_id"]],
                }  # fmt: skip

    def want(self) -> None:
        for row in self.rows():
            if row["clip_id"] in self.digests:
                raise StageError(f"clip {row['clip_id']} is in two inputs")
            self.ctx.enter(row["clip_id"], row["speech_s"])
            self.ctx.keep(row["clip_id"], row["speech_s"])
            self.digests[row["clip_id"]] = row_digest(row, self.kind)

    def pack(self, todo: Plan, spooled: dict[str, Spooled]) -> None:
        sounds = self.ctx.rows("clip_audio", role="")
        for row in self.rows():
            if row["clip_id"] not in todo.new:
                continue
            sound = next((s for s in sounds if s["clip_id"] == row["clip_id"]), None)
            if sound is None:
                raise StageError(f"clip_audio is not in the order of clips: {row['clip_id']} is not where it should be")
            audio = {"audio": sound["flac"], "opus": sound["opus"]}
            self.add(row, audio | {"whole_audio": sound["whole_flac"], "whole_opus": sound["whole_opus"]})

    def _from_parent(self, todo: Plan) -> dict[str, Spooled]:
        todo.reuse_audio.clear()  # rows whose columns changed have their audio among the inputs
        return super()._from_parent(todo)
