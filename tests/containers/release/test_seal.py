"""A seal pins a batch for ever and refuses one that does not add up; collect takes each unit once."""

import json
from typing import Any

import pyarrow.parquet as pq
import pytest
from release_corpus import FIRST_MONTH, SECOND_MONTH, Talk, Warehouse, local

from release.ledger import CHAIN, batch_ledger, release_ledger
from stagekit.errors import EmptyInput, StageError


def spoil(folder: str, change: Any) -> None:
    path = local(folder) / "_SUCCESS.json"
    success = json.loads(path.read_text())
    change(success)
    path.write_text(json.dumps(success))


def table(folder: str, name: str) -> list[dict[str, Any]]:
    return [row for f in sorted(local(folder).glob(f"{name}-*.parquet")) for row in pq.read_table(f).to_pylist()]


def test_a_batch_is_sealed_with_its_fingerprints_and_its_ledger(warehouse: Warehouse):
    folders = warehouse.harvest("2026.01", FIRST_MONTH, rejected_s=12.5)
    outcome = warehouse.seal("2026.01", folders)
    sealed = json.loads((warehouse.root / "batches/peoples_speech/en/2026.01/batch.json").read_text())
    assert list(sealed["stages"]) == sorted(CHAIN)
    assert {e["path"] for s in sealed["stages"].values() for e in s} == {"/".join(f.split("/")[-2:]) for f in folders}, (
        "paths can be moved"
    )
    ledger = sealed["ledger"]
    lost = sum(r["seconds"] for r in ledger["rejected"].values())
    assert ledger["in"]["units"] == len(FIRST_MONTH) + 1
    assert ledger["in"]["seconds"] == pytest.approx(ledger["kept"]["seconds"] + lost, abs=1e-4)
    assert ledger["rejected"]["audio_corrupt"] == {"units": 1, "seconds": 12.5}
    assert outcome.success["metrics"]["segments"] == len(table(folders[-1], "segments"))


def test_folders_that_are_elsewhere_can_be_given_by_their_paths(warehouse: Warehouse):
    import shutil

    folders = [local(f) for f in warehouse.harvest("2026.01", FIRST_MONTH[:1])]
    elsewhere = [shutil.move(f, warehouse.root.parent / "elsewhere" / f.parent.name / f.name) for f in folders]
    warehouse.seal("2026.01", list(map(str, elsewhere)))
    assert len(table(warehouse.collect("2026.01").output, "items")) == 1


def test_sealing_again_is_a_no_op_and_other_content_an_error(warehouse: Warehouse):
    folders = warehouse.harvest("2026.01", FIRST_MONTH)
    first = warehouse.seal("2026.01", folders)
    path = warehouse.root / "batches/peoples_speech/en/2026.01/batch.json"
    before = path.read_bytes()
    assert warehouse.seal("2026.01", folders).skipped
    assert not warehouse.seal("2026.01", folders[::-1]).skipped and path.read_bytes() == before, "order does not matter"
    with pytest.raises(StageError, match="sealed with other content and a seal never changes"):
        warehouse.seal("2026.01", warehouse.harvest("2026.01", FIRST_MONTH[:2]))
    assert path.read_bytes() == before
    assert (local(first.output) / "batch.json").read_bytes() == before


def test_a_seal_that_was_killed_before_its_output_was_visible_completes(warehouse: Warehouse):
    import shutil

    folders = warehouse.harvest("2026.01", FIRST_MONTH[:1])
    outcome = warehouse.seal("2026.01", folders)
    before = (warehouse.root / "batches/peoples_speech/en/2026.01/batch.json").read_bytes()
    shutil.rmtree(local(outcome.output))
    assert not warehouse.seal("2026.01", folders).skipped
    assert (warehouse.root / "batches/peoples_speech/en/2026.01/batch.json").read_bytes() == before


def test_a_month_with_nothing_is_sealed_empty_and_can_be_collected(warehouse: Warehouse):
    outcome = warehouse.seal("2026.02", [])
    assert outcome.success["metrics"]["items"] == 0
    warehouse.month("2026.01", FIRST_MONTH[:1])
    assert warehouse.collect("2026.02").success["metrics"]["batches"] == ["2026.01", "2026.02"]
    assert warehouse.collect("2026.02").success["metrics"]["recordings"] == 1


@pytest.mark.parametrize(
    ("stage", "change", "message"),
    [
        (
            3,
            lambda s: s["ledger"]["out"].update(seconds=s["ledger"]["out"]["seconds"] - 1),
            r"align.align: .*\+1.000 s unaccounted",
        ),
        (1, lambda s: s["ledger"]["rejected"].clear(), "ingest.fetch: 2 items in, 1 out, 0 rejected"),
        (
            2,
            lambda s: s["ledger"].update({k: {"units": 1, "seconds": 5.0} for k in ("in", "out")}),
            "ingest.fetch let .* through, align.recognize",
        ),
        (
            1,
            lambda s: (s["ledger"]["in"].update(units=3), s["ledger"]["rejected"]["audio_corrupt"].update(units=2)),
            "ingest.discover let 2 items",
        ),
    ],
)
def test_a_batch_that_does_not_add_up_is_not_sealed(warehouse: Warehouse, stage: int, change: Any, message: str):
    folders = warehouse.harvest("2026.01", FIRST_MONTH[:1], rejected_s=3.0)
    spoil(folders[stage], change)
    with pytest.raises(StageError, match=message):
        warehouse.seal("2026.01", folders)
    assert not (warehouse.root / "batches/peoples_speech/en/2026.01/batch.json").exists()


def test_a_missing_stage_or_shard_is_named(warehouse: Warehouse):
    folders = warehouse.harvest("2026.01", FIRST_MONTH[:1])
    with pytest.raises(StageError, match="align.align let 1 documents through, but the batch holds no align.score"):
        warehouse.seal("2026.01", folders[:-1])
    spoil(
        folders[2], lambda s: s.update(inputs=[{"role": "", "uri": "file:///w/fetch/" + "ab" * 16, "shard": None, "digest": ""}])
    )
    with pytest.raises(StageError, match="was made from .*, which is not among the folders to seal"):
        warehouse.seal("2026.01", folders)


def test_a_ledger_that_is_not_that_of_its_segments_is_not_sealed(warehouse: Warehouse):
    folders = warehouse.harvest("2026.01", FIRST_MONTH[:1])
    for folder in folders[3:]:
        spoil(folder, lambda s: s["ledger"]["out"].update(seconds=s["ledger"]["out"]["seconds"] - 1))
    spoil(
        folders[3], lambda s: s["ledger"]["rejected"]["silence"].update(seconds=s["ledger"]["rejected"]["silence"]["seconds"] + 1)
    )
    spoil(folders[4], lambda s: s["ledger"]["in"].update(seconds=s["ledger"]["in"]["seconds"] - 1))
    with pytest.raises(StageError, match="align.score let .* s through, but its [0-9]+ segments hold .* s of speech"):
        warehouse.seal("2026.01", folders)


def test_collect_takes_a_unit_from_the_first_batch_only_and_counts_the_rest(warehouse: Warehouse):
    warehouse.month("2026.01", FIRST_MONTH[:2])
    warehouse.month("2026.02", [FIRST_MONTH[1], *SECOND_MONTH])
    outcome = warehouse.collect("2026.02")
    again = FIRST_MONTH[1]
    for name, key in (
        ("items", "item_id"),
        ("recordings", "recording_id"),
        ("documents", "document_id"),
        ("segments", "segment_id"),
    ):
        ids = [r[key] for r in table(outcome.output, name)]
        assert len(ids) == len(set(ids)) and ids
    assert {r["batch"] for r in table(outcome.output, "origins") if r["id"] == again.document_id} == {"2026.01"}
    assert outcome.success["metrics"]["repeated"] == {"item": 1, "recording": 1, "document": 1}
    repeated = outcome.success["ledger"]["rejected"]["duplicate_audio"]
    assert repeated["seconds"] == pytest.approx(
        sum(
            s["speech_end_s"] - s["speech_start_s"]
            for s in table(outcome.output, "segments")
            if s["document_id"] == again.document_id
        )
    )
    assert "already, not taken again" in next(r["detail"] for r in table(outcome.output, "rejections") if r["stage"] == "collect")


def test_an_item_whose_audio_was_replaced_at_its_source_stays_as_it_first_came(warehouse: Warehouse):
    first, other = FIRST_MONTH[:2]
    warehouse.month("2026.01", [first])
    warehouse.month(
        "2026.02", [Talk(other.file, item={"item_id": "folder:vanity_fair/vanity_fair.mp3", "identifier": "vanity_fair"})]
    )
    outcome = warehouse.collect("2026.02")
    assert [r["recording_id"] for r in table(outcome.output, "recordings")] == [first.recording_id]
    assert {s["document_id"] for s in table(outcome.output, "segments")} == {first.document_id}
    lost = [r for r in table(outcome.output, "rejections") if r["stage"] == "collect"]
    assert [(r["id"], r["detail"]) for r in lost] == [(other.document_id, "its item is in an earlier batch with other audio")]


def test_collect_stops_at_its_key_and_sees_a_batch_sealed_later(warehouse: Warehouse):
    warehouse.month("2026.01", FIRST_MONTH[:1])
    warehouse.month("2026.03", FIRST_MONTH[1:2])
    first = warehouse.collect("2026.02")
    assert first.success["metrics"]["batches"] == ["2026.01"]
    assert warehouse.collect("2026.02").skipped
    warehouse.month("2026.02", SECOND_MONTH)
    assert warehouse.collect("2026.02").success["metrics"]["batches"] == ["2026.01", "2026.02"]
    with pytest.raises(EmptyInput, match="no sealed batch"):
        warehouse.collect("2025.12")


def test_collect_refuses_a_folder_that_is_not_what_was_sealed(warehouse: Warehouse):
    folders = warehouse.harvest("2026.01", FIRST_MONTH[:1])
    warehouse.seal("2026.01", folders)
    victim = local(folders[-1]) / "segments-00000.parquet"
    good = victim.read_bytes()
    victim.write_bytes(good[:-1] + b"\0")
    with pytest.raises(StageError, match="not the sealed ones"):
        warehouse.collect("2026.01")
    victim.write_bytes(good)
    spoil(folders[-1], lambda s: s["files"]["segments-00000.parquet"].update(sha256="0" * 64))
    with pytest.raises(StageError, match="not what .* sealed"):
        warehouse.collect("2026.01")


def test_one_recording_in_two_shards_of_a_batch_is_taken_once(warehouse: Warehouse):
    talk = FIRST_MONTH[0]
    warehouse.month(
        "2026.01", [talk, Talk(talk.file, "Someone Else", item={"item_id": "folder:again/again.mp3", "identifier": "again"})]
    )
    outcome = warehouse.collect("2026.01")
    assert (len(table(outcome.output, "items")), len(table(outcome.output, "recordings"))) == (2, 1)
    assert outcome.success["ledger"]["rejected"]["duplicate_audio"]["seconds"] == pytest.approx(
        outcome.success["ledger"]["out"]["seconds"]
    )


def test_a_release_ledger_that_loses_a_second_is_refused():
    none: dict[str, Any] = {"units": 0, "seconds": 0.0}
    stage = {"unit": "item", "in": {"units": 1, "seconds": 10.0}, "out": {"units": 1, "seconds": 10.0}, "rejected": {}}
    batch = batch_ledger(
        {
            "ingest.discover": [stage | {"in": {"units": 1, "seconds": 0.0}, "out": {"units": 1, "seconds": 0.0}}],
            **{name: [stage] for name in CHAIN[1:]},
        }
    )
    assert batch["restated_s"] == 10.0
    own = {"rejected": {"policy": {"units": 1, "seconds": 4.0}}}
    good = release_ledger({"2026.01": batch}, [own], {"train clean-by": {"units": 2, "seconds": 6.0}})
    assert good["in"]["seconds"] == 10.0 and good["rejected"]["policy"] == {"units": 1, "seconds": 4.0}
    with pytest.raises(StageError, match=r"\+1.000 s lost"):
        release_ledger({"2026.01": batch}, [own], {"train clean-by": {"units": 2, "seconds": 5.0}})
    assert batch_ledger({})["in"] == none
