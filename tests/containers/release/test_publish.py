"""A published release: complete, open to the tools it is for, never half there, never changed."""

import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import soundfile
import yaml
from release_corpus import FIRST_MONTH, POLICY, REPOSITORY, SECOND_MONTH, Talk, Warehouse

from release.card import header, table
from release.figures import CREDIT, collect_figures
from release.report import main as report
from release.report import report as report_text
from stagekit.errors import StageError

HELD_OUT = (
    POLICY.read_text()
    .replace("dev: 0.05", "dev: 0.25")
    .replace("test: 0.05", "test: 0.25")
    .replace("salt: peoples_speech", "salt: b")
)


def files(folder: Path) -> dict[str, bytes]:
    return {f.relative_to(folder).as_posix(): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def without_time(content: dict[str, bytes]) -> dict[str, Any]:
    return {
        n: {k: v for k, v in json.loads(d).items() if k != "published"} if n == "release.json" else d for n, d in content.items()
    }


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    warehouse = Warehouse(tmp_path_factory.mktemp("published") / "warehouse")
    warehouse.month("2026.01", FIRST_MONTH, rejected_s=12.5)
    warehouse.release("2026.01", policy=HELD_OUT, warnings=("12 % of clips have no language score",))
    warehouse.month("2026.02", SECOND_MONTH)
    warehouse.release("2026.02", "2026.01", policy=HELD_OUT)
    return warehouse


def test_every_file_is_in_the_checksums(published: Warehouse):
    folder = published.folder("2026.01")
    sums = dict(line.split("  ")[::-1] for line in (folder / "checksums.sha256").read_text().splitlines())
    content = files(folder)
    assert set(content) - set(sums) == {"checksums.sha256", "release.json"}
    assert all(hashlib.sha256(content[name]).hexdigest() == digest for name, digest in sums.items())
    about = json.loads(content["release.json"])
    assert about["checksums_sha256"] == hashlib.sha256(content["checksums.sha256"]).hexdigest()
    machine = [n for n, data in content.items() if str(published.root).encode() in data]
    assert machine == [], "a release says nothing of the machine that made it"


def test_the_ledger_of_a_release_adds_up_and_is_the_sum_of_its_seals(published: Warehouse):
    for version, batches in (("2026.01", ["2026.01"]), ("2026.02", ["2026.01", "2026.02"])):
        ledger = json.loads((published.folder(version) / "ledger.json").read_text())
        seals = [
            json.loads((published.root / f"batches/peoples_speech/en/{b}/batch.json").read_text())["ledger"] for b in batches
        ]
        total = sum(s["in"]["seconds"] for s in seals)
        assert ledger["in"]["seconds"] == pytest.approx(total, abs=1e-3)
        kept = sum(k["seconds"] for k in ledger["kept"].values())
        assert kept + sum(r["seconds"] for r in ledger["rejected"].values()) == pytest.approx(total, abs=1e-3)
        assert ledger["rejected"]["audio_corrupt"] == {"seconds": 12.5, "units": 1}
        card = (published.folder(version) / "README.md").read_text()
        assert "| 100.00% |" in card


def test_a_release_names_what_it_was_made_of(published: Warehouse):
    about = json.loads((published.folder("2026.02") / "release.json").read_text())
    parent = (published.folder("2026.01") / "release.json").read_bytes()
    assert about["parent"] == {"version": "2026.01", "sha256": hashlib.sha256(parent).hexdigest()}
    assert [b["key"] for b in about["batches"]] == ["2026.01", "2026.02"]
    assert [s["stage"] for s in about["stages"]] == ["dedup.cluster", "release.collect", "release.package", "release.split"]
    latest = json.loads((published.root / "releases/peoples_speech/en/latest.json").read_text())
    assert latest == {
        "version": "2026.02",
        "sha256": hashlib.sha256((published.folder("2026.02") / "release.json").read_bytes()).hexdigest(),
    }


def test_the_card_has_a_header_for_the_hub_figures_and_warnings(published: Warehouse):
    folder = published.folder("2026.01")
    card = (folder / "README.md").read_text()
    block = yaml.safe_load(card.split("---\n")[1])
    assert block["license"] == ["cc-by-4.0", "cc-by-sa-4.0", "other"] and block["language"] == ["en"]
    for config in block["configs"]:
        for part in config["data_files"]:
            assert list(folder.glob(part["path"])), part
    for name in ("duration", "cer", "hours", "ledger"):
        assert (folder / f"figures/{name}.png").read_bytes().startswith(b"\x89PNG") and f"figures/{name}.png" in card
    assert "- 12 % of clips have no language score" in card
    assert "None." in (published.folder("2026.02") / "README.md").read_text()


def test_the_hub_gets_a_language_without_its_region(published: Warehouse):
    """Its check of a card refuses ``fy-NL``; the whole tag has a field of its own."""
    block = yaml.safe_load(header("t", "fy-NL", [("by", "4.0")], "task", 1, [("words-by", "train")], "0").split("---\n")[1])
    assert block["language"] == ["fy"] and block["language_bcp47"] == ["fy-NL"]
    card = (published.folder("2026.01") / "README.md").read_text()
    assert "language_bcp47" not in yaml.safe_load(card.split("---\n")[1])


def test_the_card_says_what_is_other_than_in_the_release_before(warehouse: Warehouse):
    """One reader is taken down, another comes."""
    warehouse.month("2026.01", FIRST_MONTH[:3])
    warehouse.release("2026.01")
    warehouse.month("2026.02", SECOND_MONTH[1:])
    gone = POLICY.read_text().replace("takedowns: []", f"takedowns: [{FIRST_MONTH[0].recording_id}]")
    warehouse.release("2026.02", "2026.01", policy=gone)
    index = [warehouse.folder(v) / "index/shard_rows-00000.parquet" for v in ("2026.01", "2026.02")]
    before, after = (set(pq.read_table(f)["segment_id"].to_pylist()) for f in index)
    said = f"Follows release 2026.01: {len(after - before)} clips more, {len(before - after)} fewer, 0 with other columns."
    assert before - after and said in (warehouse.folder("2026.02") / "README.md").read_text()
    assert "First release." in (warehouse.folder("2026.01") / "README.md").read_text()


def test_a_takedown_that_matched_nothing_is_on_the_card_once_and_in_release_json(warehouse: Warehouse):
    warehouse.month("2026.01", FIRST_MONTH[:2])
    wrong = POLICY.read_text().replace("takedowns: []", "takedowns: ['folder:lj001-printin']")
    split = warehouse.release("2026.01", policy=wrong, last="split")["split"]
    (warning,) = split.success["metrics"]["warnings"]
    warehouse.release("2026.01", policy=wrong, warnings=("dev_filled: x", warning))
    folder = warehouse.folder("2026.01")
    assert (folder / "README.md").read_text().count(f"- {warning}") == 1 and "'folder:lj001-printin'" in warning
    assert json.loads((folder / "release.json").read_text())["warnings"] == [warning, "dev_filled: x"]


def test_every_item_is_credited(published: Warehouse):
    folder = published.folder("2026.02")
    with open(folder / "attribution.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(FIRST_MONTH) + len(SECOND_MONTH)
    text = (folder / "ATTRIBUTION.md").read_text()
    for row in rows:
        assert row["license_url"] and row["license_evidence"] and row["license_seen_at"] == "2026-01-15"
        assert row["attribution"] in text


def test_names_with_markup_are_shown_as_they_are(warehouse: Warehouse):
    talk = Talk("vanity_fair.opus", "<X> & *Sons*", item={"title": "[Live](x) <b>at</b> `home`"})
    warehouse.month("2026.01", [talk])
    warehouse.release("2026.01")
    text = (warehouse.folder("2026.01") / "ATTRIBUTION.md").read_text()
    assert r'- "\[Live\](x) \<b>at\</b> \`home\`" by \<X> & \*Sons\*, https://example.org/vanity_fair, CC BY' in text


def test_the_card_counts_creators_as_splits_tell_them_apart():
    def creators(*stated: str | None) -> int:
        values = {"subset": "clean", "license_group": "by", "split": "train", "duration_s": 2.0, "speech_start_s": 0.0}
        values |= {"speech_end_s": 2.0, "text": "a word", "recording_id": "r", "item_id": "i", "cut_at_pause": True, "cer": 0.1}
        rows = [dict.fromkeys(CREDIT) | values | {"creator": c} for c in stated]
        (part,) = collect_figures(rows, ["Town TV"]).parts.values()
        return len(part.creators)

    assert creators("Mark Twain", "Twain, Mark, 1835-1910", "MARK TWAIN; Ann Lee") == 2
    assert creators("LibriVox", None, " ; ", "town tv") == 0


def test_hugging_face_datasets_opens_it_as_audio(published: Warehouse, tmp_path: Path):
    """With the newest ``datasets``, in an environment of its own (``make setup``)."""
    python = REPOSITORY / ".venvs/hf/bin/python"
    assert python.exists(), "no .venvs/hf: make setup"
    script = """
import json, sys
from pathlib import Path
import datasets, io, soundfile
folder = sys.argv[1]
out = {}
for config in datasets.get_dataset_config_names(folder):
    for split, clips in datasets.load_dataset(folder, config).items():
        assert clips.features["audio"] == datasets.Audio(sampling_rate=16000), clips.features["audio"]
        clips = clips.cast_column("audio", datasets.Audio(decode=False))
        sound, rate = soundfile.read(io.BytesIO(clips[0]["audio"]["bytes"]))
        assert rate == 16000 and abs(len(sound) / rate - clips[0]["duration_s"]) < 1e-9
        out[f"{config} {split}"] = len(clips)
one = datasets.load_dataset("parquet", data_files=sorted(map(str, Path(folder).glob("data/*/*.parquet")))[0], split="train")
assert one.features["audio"] == datasets.Audio(sampling_rate=16000)
again = json.loads(one.features.arrow_schema.metadata[b"huggingface"])
import pyarrow.parquet as pq
mine = json.loads(pq.read_schema(sorted(Path(folder).glob("data/*/*.parquet"))[0]).metadata[b"huggingface"])
assert mine == again, "the metadata is what datasets itself writes"
print(json.dumps(out))
"""
    env = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "PYTHONPATH": ""}
    folder = published.folder("2026.02")
    done = subprocess.run([python, "-c", script, str(folder)], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    about = json.loads((folder / "release.json").read_text())
    assert json.loads(done.stdout.splitlines()[-1]) == {part: p["clips"] for part, p in about["totals"]["parts"].items()}
    assert {part.split()[1] for part in about["totals"]["parts"]} > {"train"}


def release_command(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "release", *argv], capture_output=True, text=True, check=False, env=os.environ)


def test_nemo_manifests_are_complete_once_the_audio_is_unpacked(published: Warehouse, tmp_path: Path):
    folder = published.folder("2026.02")
    done = release_command("export-nemo", "--release", str(folder), "--output", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    manifests = sorted((tmp_path / "out").glob("*/*.json"))
    lines = 0
    for manifest in manifests:
        assert manifest.read_bytes() == (folder / "nemo" / manifest.parent.name / manifest.name).read_bytes()
        for line in manifest.read_text().splitlines():
            entry = json.loads(line)
            info = soundfile.info(manifest.parent / entry["audio_filepath"])
            assert entry["duration"] == info.frames / 16_000 and entry["text"] and info.samplerate == 16_000
            lines += 1
    assert lines == json.loads((folder / "release.json").read_text())["totals"]["clips"]

    part = f"{manifests[0].parent.name}/{manifests[0].stem}"
    assert (
        release_command(
            "export-nemo", "--release", str(folder), "--output", str(tmp_path / "tar"), "--tar", "--part", part
        ).returncode
        == 0
    )
    entries = [json.loads(x) for x in (tmp_path / "tar" / part / "tarred_audio_manifest.json").read_text().splitlines()]
    assert len(entries) == len(manifests[0].read_text().splitlines())
    for shard_id in {e["shard_id"] for e in entries}:
        with tarfile.open(tmp_path / "tar" / part / f"audio_{shard_id}.tar") as tar:
            assert tar.getnames() == [e["audio_filepath"] for e in entries if e["shard_id"] == shard_id]
    assert (
        "no part clean/none"
        in release_command("export-nemo", "--release", str(folder), "--output", str(tmp_path), "--part", "clean/none").stderr
    )
    assert "no release.json" in release_command("export-nemo", "--release", str(tmp_path), "--output", str(tmp_path)).stderr


def test_the_card_says_how_to_unpack_audio_for_nemo_without_any_other_code(published: Warehouse, tmp_path: Path):
    folder = Path(shutil.copytree(published.folder("2026.02"), tmp_path / "copy"))
    code = (folder / "README.md").read_text().split("so elsewhere, or makes tar files):\n\n```python\n")[1].split("```")[0]
    subprocess.run([sys.executable, "-c", code], cwd=folder, env={}, check=True)
    for manifest in folder.glob("nemo/*/*.json"):
        for line in manifest.read_text().splitlines():
            entry = json.loads(line)
            assert entry["duration"] == soundfile.info(manifest.parent / entry["audio_filepath"]).frames / 16_000


def test_a_release_equal_to_its_parent_is_not_made_and_says_so(warehouse: Warehouse, capsys: pytest.CaptureFixture[str]):
    warehouse.month("2026.01", FIRST_MONTH[:2])
    warehouse.release("2026.01")
    warehouse.seal("2026.02", [])
    got = warehouse.release("2026.02", "2026.01")["publish"].success["metrics"]
    assert not got["published"] and got["release"].endswith("/2026.01")
    assert "release peoples_speech/en/2026.02 is not made: it would hold the very clips of 2026.01" in capsys.readouterr().out
    assert not warehouse.folder("2026.02").exists()


def test_a_first_release_without_clips_is_not_made(warehouse: Warehouse):
    warehouse.seal("2026.01", [])
    metrics = warehouse.release("2026.01")["publish"].success["metrics"]
    assert (metrics["published"], metrics["why"]) == (False, "no clip was kept")


def test_a_release_never_changes(warehouse: Warehouse):
    warehouse.month("2026.01", FIRST_MONTH[:2])
    warehouse.release("2026.01")
    before = files(warehouse.folder("2026.01"))
    assert warehouse.release("2026.01")["publish"].skipped
    with pytest.raises(StageError, match="published with other content and a release never changes; publish 2026.01.1"):
        warehouse.release("2026.01", policy=POLICY.read_text().replace("0.38", "0.25"))
    assert files(warehouse.folder("2026.01")) == before


def test_latest_only_moves_forward(warehouse: Warehouse):
    warehouse.month("2026.01", FIRST_MONTH[:1])
    warehouse.month("2026.02", FIRST_MONTH[1:2])
    warehouse.release("2026.02")
    warehouse.release("2026.01.1")
    assert json.loads((warehouse.root / "releases/peoples_speech/en/latest.json").read_text())["version"] == "2026.02"


def test_a_wrong_parent_is_refused(warehouse: Warehouse):
    warehouse.month("2026.01", FIRST_MONTH[:1])
    got = warehouse.release("2026.01")
    from release_corpus import DATASET

    from release import publish

    inputs = [str(got[s].output) for s in ("collect", "split", "package")] + [warehouse.clusters(got["collect"])]
    for parent, message in (
        ("2025.12", "not published"),
        ("2026.01", "2026.01 was published since this release was packed. Clear `split` with its downstream tasks"),
        ("2026.02", "is not before 2026.01.1"),
    ):
        with pytest.raises(StageError, match=message):
            warehouse.stage(publish.run, "work/again", inputs, **DATASET, version="2026.01.1", parent=parent)


def test_publishing_again_after_all_but_the_shards_was_lost_gives_the_same_release(warehouse: Warehouse):
    warehouse.month("2026.01", FIRST_MONTH[:3])
    warehouse.release("2026.01")
    before = without_time(files(warehouse.folder("2026.01")))
    for lost in ("releases", "work"):
        shutil.rmtree(warehouse.root / lost)
    warehouse.folders = 5
    warehouse.release("2026.01")
    assert without_time(files(warehouse.folder("2026.01"))) == before


def test_the_report_says_where_every_second_went_and_what_to_do_next(published: Warehouse, capsys: pytest.CaptureFixture[str]):
    assert report(["--release", published.uri("releases", "peoples_speech", "en")]) == 0
    text = capsys.readouterr().out
    assert "100.00%" in text and str(published.folder("2026.02") / "README.md") in text and "Next:" in text
    rows = [line for line in text.splitlines() if "%" in line]
    assert len({line.index("%") for line in rows}) == 1, "aligned"
    shares = [float(line.split("%")[0].split()[-1]) for line in rows]
    assert sum(s for line, s in zip(rows, shares, strict=True) if line.startswith(("  kept", "  rejected"))) == pytest.approx(
        100, abs=0.02
    )
    assert report(["--release", str(published.root)]) == 1


def test_the_report_says_which_split_is_empty_and_why(warehouse: Warehouse):
    warehouse.month("2026.01", FIRST_MONTH[:1])
    warehouse.release("2026.01")
    folder = warehouse.folder("2026.01")
    text = report_text(*(json.loads((folder / n).read_text()) for n in ("release.json", "ledger.json")), str(folder))
    assert "dev is empty" in text and "none of the 1 group" in text
    assert "dev is empty" in (folder / "README.md").read_text()


def test_tables_in_the_card_are_aligned():
    assert table(["a", "long"], [["x", "1"]], right=(1,)) == "| a   | long |\n|-----|-----:|\n| x   |    1 |"
