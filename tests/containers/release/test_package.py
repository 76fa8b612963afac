"""Packing: the clips are the very samples, a later release encodes only what is new, and every wanted row is packed once."""

import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from release_corpus import FIRST_MONTH, POLICY, SECOND_MONTH, Warehouse, local

from release.clips import Cut, Job, cut, encode
from release.features import COLUMNS, packed_schema, row_digest
from release.shards import plan, shard_number, shard_path
from stagekit.audio import decode
from stagekit.errors import StageError
from stagekit.run import Outcome


def shards(warehouse: Warehouse) -> dict[str, bytes]:
    return {f.name: f.read_bytes() for f in (warehouse.root / "shards").rglob("*.parquet")}


def listed(outcome: Outcome) -> dict[str, dict[str, Any]]:
    return {r["path"]: r for r in pq.read_table(local(outcome.output) / "shards-00000.parquet").to_pylist()}


def clips(warehouse: Warehouse, outcome: Outcome) -> dict[str, dict[str, Any]]:
    folder = warehouse.root / "shards/peoples_speech/en"
    return {
        r["segment_id"]: r for s in listed(outcome).values() for r in pq.read_table(folder / f"{s['sha256']}.parquet").to_pylist()
    }


def test_a_clip_is_flac_with_the_very_samples_that_were_aligned(warehouse: Warehouse):
    warehouse.month("2026.01", FIRST_MONTH[:3])
    got = warehouse.release("2026.01", last="package")["package"]
    recordings = {t.recording_id: np.round(decode(t.path) * 32768).astype(np.int16) for t in FIRST_MONTH[:3]}
    packed = clips(warehouse, got)
    assert len(packed) > 20
    for row in packed.values():
        samples, rate = soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="int16")
        info = soundfile.info(io.BytesIO(row["audio"]["bytes"]))
        assert (rate, info.channels, info.subtype, info.format) == (16_000, 1, "PCM_16", "FLAC")
        assert np.array_equal(samples, recordings[row["recording_id"]][row["start_sample"] : row["end_sample"]])
        assert row["audio"]["path"] == f"{row['segment_id']}.flac"


def test_all_scores_and_provenance_are_packed_and_nothing_of_this_machine(warehouse: Warehouse):
    warehouse.month("2026.01", FIRST_MONTH[:1])
    got = warehouse.release("2026.01", last="package")
    wanted = {
        r["segment_id"]: r for r in pq.read_table(local(got["split"].output) / "release_segments-00000.parquet").to_pylist()
    }
    for segment_id, row in clips(warehouse, got["package"]).items():
        assert {n: row[n] for n in COLUMNS} == {n: wanted[segment_id][n] for n in COLUMNS}
    for data in shards(warehouse).values():
        assert str(warehouse.root).encode() not in data and b"file://" not in data


def test_the_second_month_encodes_and_writes_only_what_is_new(warehouse: Warehouse):
    warehouse.month("2026.01", FIRST_MONTH)
    first = warehouse.release("2026.01")["package"].success["metrics"]
    before = {f.name: (f.stat().st_ino, f.stat().st_mtime_ns) for f in (warehouse.root / "shards").rglob("*.parquet")}
    warehouse.month("2026.02", SECOND_MONTH)
    got = warehouse.release("2026.02", "2026.01")
    second, lists = got["package"].success["metrics"], listed(got["package"])
    new_rows = [r for r in clips(warehouse, got["package"]).values() if r["batch"] == "2026.02"]

    assert second["clips_encoded"] == len(new_rows) == second["clips"] - first["clips"]
    assert (second["shards_kept"], second["shards_rewritten"], second["clips_copied"]) == (first["shards_new"], 0, 0)
    after = {f.name: (f.stat().st_ino, f.stat().st_mtime_ns) for f in (warehouse.root / "shards").rglob("*.parquet")}
    assert {n: after[n] for n in before} == before, "not a byte of the first month's files was written again"
    written = sum(len(data) for name, data in shards(warehouse).items() if name not in before)
    assert written == second["bytes_written"] == second["bytes"] - first["bytes"]
    audio = sum(len(r["audio"]["bytes"]) for r in new_rows)
    assert audio < written < 1.2 * audio + 40_000 * second["shards_new"]
    release = warehouse.folder("2026.02")
    assert {p.relative_to(release).as_posix() for p in release.glob("data/*/*.parquet")} == set(lists)
    for path, row in lists.items():
        assert (release / path).stat().st_ino == after[f"{row['sha256']}.parquet"][0], "a name for the same bytes, not a copy"


def test_a_lost_row_rewrites_its_file_only_and_encodes_nothing(warehouse: Warehouse):
    warehouse.month("2026.01", FIRST_MONTH)
    first = warehouse.release("2026.01")["package"]
    before = clips(warehouse, first)
    down = FIRST_MONTH[1]
    policy = POLICY.read_text().replace("takedowns: []", f"takedowns: ['{down.recording_id}']")
    second = warehouse.release("2026.01.1", "2026.01", policy=policy)["package"]
    m = second.success["metrics"]
    after = clips(warehouse, second)
    assert after == {s: r for s, r in before.items() if r["recording_id"] != down.recording_id}
    assert m["clips_encoded"] == 0 and m["shards_new"] == 0 and m["shards_kept"] > 0 and m["shards_rewritten"] > 0
    rewritten = {p: r for p, r in listed(second).items() if p not in listed(first)}
    assert m["bytes_written"] == sum(r["bytes"] for r in rewritten.values())
    assert {shard_number(p) for p in rewritten} <= {shard_number(p) for p in listed(first)}, "it keeps its number"


def test_a_changed_policy_moves_rows_and_encodes_nothing(warehouse: Warehouse):
    warehouse.month("2026.01", FIRST_MONTH)
    before = clips(warehouse, warehouse.release("2026.01")["package"])
    policy = POLICY.read_text().replace("0.20", "0.07")
    got = warehouse.release("2026.01.1", "2026.01", policy=policy)["package"]
    after, m = clips(warehouse, got), got.success["metrics"]
    assert {s: r["audio"] for s, r in after.items()} == {s: r["audio"] for s, r in before.items()}
    assert (
        {r["subset"] for s, r in after.items() if r["cer"] == 0.1}
        == {"noisy"}
        != {r["subset"] for r in before.values() if r["cer"] == 0.1}
    )
    assert m["clips_encoded"] == 0 and m["clips_copied"] > 0


def test_files_are_closed_at_their_size_and_the_same_rows_give_the_same_bytes(warehouse: Warehouse):
    warehouse.month("2026.01", FIRST_MONTH)
    got = warehouse.release("2026.01", last="package", shard_bytes=1 << 18)["package"]
    sizes = [r["bytes"] for r in listed(got).values()]
    assert len(sizes) > 10 and max(sizes) < (1 << 18) + 120_000
    before = shards(warehouse)
    shutil.rmtree(local(got.output))
    shutil.rmtree(warehouse.root / "shards")
    warehouse.workers = 2
    again = warehouse.release("2026.01", last="package", shard_bytes=1 << 18)["package"]
    assert shards(warehouse) == before and again.output == got.output


def test_a_recording_that_shrank_is_an_error_that_says_so(tmp_path: Path):
    talk = FIRST_MONTH[0]
    with pytest.raises(StageError, match="the recording has [0-9]+: it is not the file that was aligned"):
        cut(Job(talk.recording_id, talk.path.as_uri(), (Cut("s", 0, 10**9),), str(tmp_path / "spool")))
    with pytest.raises(StageError, match="cannot be decoded any more"):
        cut(Job("r", Path(__file__).as_uri(), (Cut("s", 0, 1),), str(tmp_path / "spool")))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-32768, 32767), min_size=1, max_size=5000))
def test_flac_loses_nothing(samples: list[int]):
    array = np.array(samples, dtype=np.int16)
    assert np.array_equal(soundfile.read(io.BytesIO(encode(array)), dtype="int16")[0], array)
    assert encode(array) == encode(array)


names = st.sampled_from([f"s{n}" for n in range(12)])


@given(
    st.dictionaries(names, st.sampled_from(["v1", "v2"])),
    st.dictionaries(names, st.tuples(st.sampled_from(["v1", "v2"]), st.sampled_from("XYZ"))),
)
def test_a_plan_places_every_wanted_row_once(wanted: dict[str, str], parent: dict[str, tuple[str, str]]):
    rows = [{"segment_id": s, "digest": digest, "shard": shard} for s, (digest, shard) in parent.items()]
    made = plan(wanted, rows)
    kept = {s for s, (_, shard) in parent.items() if shard in made.keep}
    stay = {s for ids in made.rewrite.values() for s in ids}
    assert kept | stay | made.new == set(wanted) and len(kept) + len(stay) + len(made.new) == len(wanted)
    for shard in "XYZ":
        members = {s for s, (_, sh) in parent.items() if sh == shard}
        unchanged = {s for s in members if wanted.get(s) == parent[s][0]}
        assert (shard in made.keep) == bool(members and unchanged == members)
        assert made.rewrite.get(shard, set()) == (unchanged if unchanged != members else set())
        assert made.reuse_audio.get(shard, set()) == {s for s in members & set(wanted) if wanted[s] != parent[s][0]}
    assert plan(wanted, rows, audio_is_good=False).new == set(wanted)


def test_a_row_digest_sees_every_published_column_and_no_other():
    import speech_rows as rows

    row = dict.fromkeys(COLUMNS) | rows.segment("d", "r", 0, 5) | {"recording_uri": "file:///a"}
    assert row_digest(row) == row_digest(row | {"recording_uri": "gs://b"})
    for name in COLUMNS:
        assert row_digest(row) != row_digest(row | {name: "other"}), name
    assert set(packed_schema().names) == {*COLUMNS, "audio"}


def test_paths_of_packed_files():
    path = shard_path(("noisy", "by", "dev"), 12, "0f" * 32)
    assert path == "data/noisy-by/dev-00012-0f0f0f0f0f0f.parquet" and shard_number(path) == 12
    with pytest.raises(ValueError, match="not the path"):
        shard_number("data/noisy-by/dev.parquet")


def test_every_image_decodes_with_the_same_ffmpeg():
    """Else a clip would not be the samples that were aligned."""
    import re

    locks = sorted((Path(__file__).parents[3] / "containers").glob("*/requirements.txt"))
    found = {lock.parent.name: re.findall(r"^imageio-ffmpeg==(\S+)", lock.read_text(), re.M) for lock in locks}
    versions = {v for mine in found.values() for v in mine}
    assert {"release", "align", "ingest"} <= {name for name, mine in found.items() if mine} and len(versions) == 1, found
