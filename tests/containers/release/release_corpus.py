"""A warehouse whose batches come from real recordings: what ingest and align would leave, with segments every few seconds."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import speech_rows as rows

from release import collect, package, publish, seal, split
from release.policy import parse_policy
from stagekit.audio import open_pcm
from stagekit.run import Outcome, run_stage

REPOSITORY = Path(__file__).parents[3]
POLICY = REPOSITORY / "config" / "policies" / "peoples_speech.yaml"
DATASET = {"dataset": "peoples_speech", "language": "en"}


@dataclass
class Talk:
    """A recording of the samples and what its source says of it."""

    file: str
    creator: str | None = None
    license_family: str = "by"
    cer: tuple[float, ...] = (0.05,)
    """Of its segments, in turn."""
    month: str = "peoples_speech"
    item: dict[str, Any] = field(default_factory=dict)
    segment: dict[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        return rows.SAMPLES / self.month / "en" / self.file

    @property
    def recording_id(self) -> str:
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    @property
    def document_id(self) -> str:
        return rows.sha(f"{self.recording_id}\ntext")


def local(uri: str) -> Path:
    return Path(uri.removeprefix("file://"))


@dataclass
class Warehouse:
    """Runs the release stages over batches that it makes."""

    root: Path
    workers: int = 0
    folders: int = 0

    def uri(self, *parts: str) -> str:
        return self.root.joinpath(*parts).as_uri()

    def stage(self, what: Any, base: str, inputs: list[str], **params: Any) -> Outcome:
        model = what.params.model_validate({**params, "root": self.root.as_uri()})
        return run_stage(what, inputs, self.uri(base), model, workers=self.workers, quiet=True)

    def harvest(self, key: str, talks: list[Talk], rejected_s: float = 0.0) -> list[str]:
        """Folders of discover, fetch, recognize, align and score of one month."""
        tables: dict[str, list[dict[str, Any]]] = {"items": [], "recordings": [], "documents": [], "rejections": []}
        segments: list[dict[str, Any]] = []
        decoded = kept = 0.0
        for talk in talks:
            with open_pcm(talk.path) as pcm:
                samples = len(pcm)
            r, d = talk.recording_id, talk.document_id
            name = talk.file.partition(".")[0]
            tables["items"].append(rows.item(r, d, name, creator=talk.creator, license_family=talk.license_family, **talk.item))
            tables["recordings"].append(rows.recording(r, talk.path.as_uri(), samples))
            tables["documents"].append(rows.document(d, r, f"the text of {name}, " * 10))
            decoded += samples / 16_000
            for n, start in enumerate(range(0, samples // 16_000 - 4, 5)):
                row = rows.segment(
                    d, r, start, start + 4, f"words {n} of {name}", cer=talk.cer[n % len(talk.cer)], **talk.segment
                )
                segments.append(row)
                kept += row["speech_end_s"] - row["speech_start_s"]
        lost = [
            {
                "unit": "recording",
                "id": t.recording_id,
                "parent_id": None,
                "start_s": 0.0,
                "end_s": 0.1,
                "stage": "align",
                "reason": "silence",
                "detail": "test",
            }
            for t in talks
        ]
        if rejected_s:
            tables["rejections"].append(
                {
                    "unit": "item",
                    "id": f"bad {key}",
                    "parent_id": None,
                    "start_s": 0.0,
                    "end_s": rejected_s,
                    "stage": "fetch",
                    "reason": "audio_corrupt",
                    "detail": "test",
                }
            )
        n, bad = len(talks), int(rejected_s > 0)

        def ledger(
            unit: str, units: int, seconds: float, out_units: int, out_s: float, rejected: dict[str, Any]
        ) -> dict[str, Any]:
            sides = {
                "in": {"units": units, "seconds": round(seconds, 6)},
                "out": {"units": out_units, "seconds": round(out_s, 6)},
            }
            return {"unit": unit, **sides, "rejected": rejected}

        fetch_lost = {"audio_corrupt": {"units": bad, "seconds": rejected_s}} if bad else {}
        silence = {"silence": {"units": 0, "seconds": round(decoded - kept, 6)}}
        made = [
            ("discover", "ingest.discover", {"items": [], "rejections": []}, ledger("item", n + bad, 0.0, n + bad, 0.0, {})),
            ("fetch", "ingest.fetch", tables, ledger("item", n + bad, decoded + rejected_s, n, decoded, fetch_lost)),
            ("recognize", "align.recognize", {"rejections": []}, ledger("document", n, decoded, n, decoded, {})),
            ("align", "align.align", {"rejections": lost}, ledger("document", n, decoded, n, kept, silence)),
            ("score", "align.score", {"segments": segments}, ledger("document", n, kept, n, kept, {})),
        ]
        uris = []
        for name, stage, content, account in made:
            self.folders += 1
            path = self.root / "batches" / "peoples_speech" / "en" / key / name / f"{self.folders:032x}"
            uris.append(rows.folder(path, content, stage=stage, ledger=account))
        return uris

    def seal(self, key: str, folders: list[str]) -> Outcome:
        return self.stage(seal.run, f"batches/peoples_speech/en/{key}/seal", folders, **DATASET, key=key)

    def month(self, key: str, talks: list[Talk], rejected_s: float = 0.0) -> Outcome:
        return self.seal(key, self.harvest(key, talks, rejected_s))

    def collect(self, until: str) -> Outcome:
        return self.stage(collect.run, f"work/peoples_speech/en/{until}/collect", [], **DATASET, until=until[:7])

    def clusters(self, collected: Outcome, joined: dict[str, list[str]] | None = None) -> str:
        """Every recording and document alone, but for ``joined``: kind → ids of one cluster, the first of them kept."""
        import pyarrow.parquet as pq

        found = []
        for kind, table, key in (("audio", "recordings", "recording_id"), ("text", "documents", "document_id")):
            ids = [i for f in sorted(local(collected.output).glob(f"{table}-*")) for i in pq.read_table(f)[key].to_pylist()]
            group = [i for i in (joined or {}).get(kind, []) if i in ids]
            for i in ids:
                together = i in group
                found.append(
                    {
                        "kind": kind,
                        "id": i,
                        "cluster_id": min(group) if together else i,
                        "keep": not together or i == group[0],
                        "similarity": 1.0,
                    }
                )
        self.folders += 1
        return rows.folder(self.root / "work" / "cluster" / f"{self.folders:032x}", {"clusters": found}, stage="dedup.cluster")

    def release(
        self,
        version: str,
        parent: str = "",
        *,
        policy: str = "",
        joined: dict[str, list[str]] | None = None,
        shard_bytes: int = 1 << 19,
        warnings: tuple[str, ...] = (),
        last: str = "publish",
    ) -> dict[str, Outcome]:
        """The stages of one release, up to ``last``."""
        base = f"work/peoples_speech/en/{version}"
        got = self.collect(version)
        cluster = self.clusters(got, joined)
        rules = parse_policy(policy or POLICY.read_text(), "policy").model_dump(mode="json")
        cut = self.stage(split.run, f"{base}/split", [got.output, cluster], **DATASET, version=version, policy=rules)
        made = {"collect": got, "split": cut}
        if last == "split":
            return made
        before = [f"parent={self.uri('releases', 'peoples_speech', 'en', parent, 'index')}"] if parent else []
        packed = self.stage(package.run, f"{base}/package", [cut.output, *before], **DATASET, shard_bytes=shard_bytes)
        made["package"] = packed
        if last == "package":
            return made
        made["publish"] = self.stage(
            publish.run,
            f"{base}/publish",
            [got.output, cluster, cut.output, packed.output],
            **DATASET,
            version=version,
            parent=parent,
            warnings=warnings,
        )
        return made

    def folder(self, version: str) -> Path:
        return self.root / "releases" / "peoples_speech" / "en" / version


FIRST_MONTH = [
    Talk("vanity_fair.opus", "Anne", cer=(0.05, 0.3)),
    Talk("ronicky_doone.ogg", "Rowdy Delaney", cer=(0.1, 0.1, 0.5)),
    Talk("abandoned_room_1.flac", "Alex Buie"),
    Talk("moby_dick.mp3", "Stewart Wills", "by-sa"),
    Talk("sonnet_002.mp3", "LibriVox", "pd", item={"license_version": None}),
]
SECOND_MONTH = [
    Talk("abandoned_room_2.flac", "Alex Buie", month="peoples_speech_next"),
    Talk("buffalo_bill.mp3", "Another Reader", month="peoples_speech_next", cer=(0.05, 0.25)),
]
