"""Which copies the stage finds in a corpus of real recordings and texts, and which it keeps."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import speech_rows as rows
from hypothesis import given
from hypothesis import strategies as st

from dedup import cluster, spark, spark_code
from dedup.keep import LAST, Standing, choose
from stagekit import identity
from stagekit.errors import StageError
from stagekit.inputs import Input
from stagekit.run import run_stage

SAMPLES = rows.SAMPLES / "peoples_speech" / "en"
DECLARATION = (SAMPLES / "udhr_preamble.txt").read_text()
SONNET = (SAMPLES / "sonnet_002.txt").read_text()
READINGS = {
    "udhr": ("udhr_preamble.mp3", DECLARATION, "human", "2026.01"),
    "udhr-opus": ("udhr_preamble_small.opus", DECLARATION.replace("Whereas", "whereas"), "human", "2026.02"),
    "sonnet": ("sonnet_002.mp3", SONNET, "unknown", "2026.01"),
    "sonnet-by-another": ("vanity_fair.opus", SONNET, "human", "2026.02"),
    "greeting": ("inaugural_1961.flac", "Hello and welcome.", "human", "2026.01"),
    "greeting-too": ("jimmie_dale.mp3", "Hello and welcome!", "human", "2026.01"),
}


@pytest.fixture(scope="module")
def prints() -> dict[str, list[int]]:
    recorded = json.loads((Path(__file__).parent / "data" / "fingerprints.json").read_text())
    assert recorded["version"] == identity.VERSION, "record them again: data/make_fingerprints.py"
    return {name: recorded["fingerprints"][file] for name, (file, *_) in READINGS.items()}


def corpus(
    path: Path, prints: dict[str, list[int]], order: list[str] | None = None, unaligned: tuple[str, ...] = ()
) -> str:
    tables: dict[str, list[dict[str, Any]]] = {"items": [], "recordings": [], "documents": [], "segments": [], "origins": []}
    for name in order or list(READINGS):
        _, text, provenance, batch = READINGS[name]
        r, d = rows.sha(f"r {name}"), rows.sha(f"d {name}")
        tables["items"].append(rows.item(r, d, name))
        tables["recordings"].append(rows.recording(r, fingerprint=prints[name]))
        tables["documents"].append(rows.document(d, r, text, provenance))
        tables["segments"] += [] if name in unaligned else [rows.segment(d, r, 1, 6)]
        tables["origins"] += [{"unit": u, "id": i, "batch": batch} for u, i in (("recording", r), ("document", d))]
    return rows.folder(path, tables)


def run(
    tmp_path: Path, *sources: str, workers: int = 0, **params: Any
) -> tuple[dict[tuple[str, str], dict[str, Any]], dict[str, Any]]:
    outcome = run_stage(
        cluster.run, sources, (tmp_path / "out").as_uri(), cluster.ClusterParams(**params), workers=workers, quiet=True
    )
    folder = Path(outcome.output.removeprefix("file://"))
    found = pq.read_table(folder / "clusters-00000.parquet").to_pylist()
    names = {rows.sha(f"{k} {n}"): n for n in READINGS for k in "rd"}
    return {(row["kind"], names[row["id"]]): row for row in found}, outcome.success


def test_copies_are_found_by_text_and_by_audio_and_one_is_kept(tmp_path: Path, prints: dict[str, list[int]]):
    found, success = run(tmp_path, corpus(tmp_path / "in", prints))
    assert len(found) == 2 * len(READINGS)
    assert found["audio", "udhr"]["cluster_id"] == found["audio", "udhr-opus"]["cluster_id"]
    assert found["audio", "udhr"]["keep"] and not found["audio", "udhr-opus"]["keep"]
    assert 0.8 < found["audio", "udhr-opus"]["similarity"] < 1
    assert found["text", "udhr"]["keep"] and not found["text", "udhr-opus"]["keep"]
    assert found["text", "sonnet-by-another"]["keep"] and not found["text", "sonnet"]["keep"], "human text over unknown"
    assert found["audio", "sonnet"]["keep"] and found["audio", "sonnet-by-another"]["keep"], "other audio"
    assert found["text", "greeting"]["cluster_id"] != found["text", "greeting-too"]["cluster_id"], "short texts may be the same"
    assert {k: success["metrics"][k] for k in ("audio_clusters", "audio_duplicates", "text_clusters", "text_duplicates")} == {
        "audio_clusters": 1,
        "audio_duplicates": 1,
        "text_clusters": 2,
        "text_duplicates": 2,
    }
    assert success["ledger"]["in"]["units"] == 2 * len(READINGS) == success["ledger"]["out"]["units"]


def test_what_nothing_was_aligned_of_keeps_no_copy_out(tmp_path: Path, prints: dict[str, list[int]]):
    """It is in no release: a first month's wrong text, or a human one that is not of its recording."""
    unaligned = ("udhr", "sonnet-by-another")
    found, _ = run(tmp_path, corpus(tmp_path / "in", prints, unaligned=unaligned))
    for kind in ("audio", "text"):
        assert found[kind, "udhr-opus"]["keep"] and not found[kind, "udhr"]["keep"]
    assert found["text", "sonnet"]["keep"] and not found["text", "sonnet-by-another"]["keep"]


def test_each_cluster_is_named_by_its_smallest_member_and_keeps_one(tmp_path: Path, prints: dict[str, list[int]]):
    found, _ = run(tmp_path, corpus(tmp_path / "in", prints))
    for row in found.values():
        members = [r for r in found.values() if (r["kind"], r["cluster_id"]) == (row["kind"], row["cluster_id"])]
        assert row["cluster_id"] == min(m["id"] for m in members)
        assert sum(m["keep"] for m in members) == 1
        assert all(m["similarity"] == 1.0 for m in members if m["keep"])


def test_order_and_number_of_workers_change_nothing(tmp_path: Path, prints: dict[str, list[int]]):
    straight, _ = run(tmp_path / "a", corpus(tmp_path / "a" / "in", prints))
    turned, _ = run(tmp_path / "b", corpus(tmp_path / "b" / "in", prints, list(READINGS)[::-1]), workers=2)
    assert straight == turned


def test_similarity_is_verified_not_estimated(tmp_path: Path, prints: dict[str, list[int]]):
    """With runs of one word and bands of one value nearly every pair is a candidate; only copies become clusters."""
    found, success = run(tmp_path, corpus(tmp_path / "in", prints), shingle_words=1, bands=192, rows=1)
    assert success["metrics"]["text_candidate_pairs"] > success["metrics"]["text_verified_pairs"]
    assert found["text", "udhr"]["cluster_id"] != found["text", "sonnet"]["cluster_id"]


def given_clusters(path: Path, source: str, found: dict[tuple[str, str], dict[str, Any]], **params: Any) -> str:
    """What `dedup/spark.py` writes, of the same clusters; tests/containers/dedup_spark has it written by Spark."""
    members = [row for (kind, _), row in found.items() if kind == "text"]
    shared = [r for r in members if sum(m["cluster_id"] == r["cluster_id"] for m in members) > 1]
    made_of = [{"role": "", "uri": source, "shard": None, "digest": Input.parse(source, False).digest}]
    table = [{"document_id": row["id"], "cluster_id": row["cluster_id"]} for row in shared]
    return rows.folder(path, {"text_clusters": table}, stage="dedup.spark", inputs=made_of, params=spark.DEFAULTS | params)


def test_clusters_that_spark_has_found_give_the_same_rows(tmp_path: Path, prints: dict[str, list[int]]):
    source = corpus(tmp_path / "in", prints)
    searched, _ = run(tmp_path, source)
    given = given_clusters(tmp_path / "text", source, searched)
    assert run(tmp_path, source, f"text_clusters={given}")[0] == searched


def test_clusters_of_another_corpus_or_by_other_parameters_are_refused(tmp_path: Path, prints: dict[str, list[int]]):
    source, other = corpus(tmp_path / "in", prints), corpus(tmp_path / "other", prints, list(READINGS)[1:])
    searched, _ = run(tmp_path, source)
    with pytest.raises(StageError, match="clusters of another corpus"):
        run(tmp_path, other, f"text_clusters={given_clusters(tmp_path / 'a', source, searched)}")
    with pytest.raises(StageError, match="by other parameters.*0.7"):
        run(tmp_path, source, f"text_clusters={given_clusters(tmp_path / 'b', source, searched, threshold=0.7)}")


def test_sparks_code_is_whole_and_always_the_same(tmp_path: Path):
    made = [
        run_stage(spark_code.run, [], (tmp_path / name).as_uri(), spark_code.SparkCodeParams(), workers=0, quiet=True).output
        for name in "ab"
    ]
    folders = [Path(uri.removeprefix("file://")) for uri in made]
    assert (folders[0] / "code.zip").read_bytes() == (folders[1] / "code.zip").read_bytes()
    argv = [sys.executable, folders[0] / "main.py", "--help"]
    env = {"PYTHONPATH": str(folders[0] / "code.zip")}
    done = subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert "pyspark" in done.stderr.splitlines()[-1], "all but what the runtime brings"


def test_an_empty_corpus_has_no_clusters(tmp_path: Path):
    source = rows.folder(tmp_path / "in", {t: [] for t in ("items", "recordings", "documents", "segments", "origins")})
    found, _ = run(tmp_path, source)
    assert found == {}


standings = st.builds(
    Standing,
    st.uuids().map(str),
    st.booleans(),
    st.sampled_from(["2026.01", "2026.02"]),
    st.floats(0, 100),
    st.sampled_from(["2020-01-01", LAST]),
    st.booleans(),
)


@given(st.lists(standings, min_size=1, max_size=6, unique_by=lambda s: s.id), st.randoms())
def test_the_kept_one_does_not_depend_on_the_order(members: list[Standing], random: Any):
    by_id = {s.id: s for s in members}
    kept = by_id[choose(by_id, by_id)]
    shuffled = list(by_id)
    random.shuffle(shuffled)
    assert choose(shuffled, by_id) == kept.id
    assert kept.audio_kept or not any(s.audio_kept for s in members)
    rivals = [s for s in members if s.audio_kept == kept.audio_kept]
    assert round(kept.aligned_s, 3) or not any(round(s.aligned_s, 3) for s in rivals)
    rivals = [s for s in rivals if bool(round(s.aligned_s, 3)) == bool(round(kept.aligned_s, 3))]
    assert kept.human or not any(s.human for s in rivals)
