"""Spark finds the very clusters that the stage finds: real Spark, on this machine, over corpora with planted copies."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import speech_rows as rows

from dedup import cluster, spark, spark_code
from stagekit.run import run_stage


def java() -> int:
    """The release of the Java that Spark would take; 0: there is none."""
    home = os.environ.get("JAVA_HOME")
    program = shutil.which("java", path=f"{home}/bin" if home else None)
    if program is None:
        return 0
    said = subprocess.run([program, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', said)
    return int(found[1]) if found else 0


pytestmark = [
    pytest.mark.skipif(java() < 17, reason="Spark 4 needs Java 17 or newer (Debian: openjdk-17-jre-headless)"),
    pytest.mark.enable_socket,  # driver, JVM and workers talk over sockets of this machine
    pytest.mark.allow_hosts(["127.0.0.1", "::1", "localhost"]),
]
LOCAL = {
    "spark.master": "local[2]", "spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1",
    "spark.ui.enabled": "false", "spark.sql.shuffle.partitions": "2", "spark.driver.memory": "512m",
    "spark.log.level": "ERROR",
}  # fmt: skip
WORDS = [f"w{n}" for n in range(400)]


@pytest.fixture(scope="module", autouse=True)
def this_python() -> Iterator[None]:
    """Workers are this Python, and everything stays on this machine's loopback."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        yield


@pytest.fixture(scope="module")
def session() -> Iterator[Any]:
    from pyspark.sql import SparkSession

    made = SparkSession.builder.config(map=LOCAL).getOrCreate()
    yield made
    made.stop()


def corpus(folder: Path, seed: int, texts: int = 60) -> str:
    """Texts of which some are exact copies, some edited, some edited twice over, some too short, some empty."""
    draw = random.Random(seed)
    made: list[list[str]] = []
    for _ in range(texts):
        kind = draw.random()
        if made and kind < 0.2:
            words = list(draw.choice(made))
        elif made and kind < 0.6:
            words = [draw.choice(WORDS) if draw.random() < 0.04 else w for w in draw.choice(made)]
        else:
            words = draw.choices(WORDS, k=draw.choice([0, 5, 19, 20, 80, 200]))
        made.append(words)
    names = [rows.sha(f"d {seed} {n}") for n in range(texts)]
    records = [rows.sha(f"r {seed} {n}") for n in range(texts)]
    tables = {
        "documents": [rows.document(d, r, " ".join(w)) for d, r, w in zip(names, records, made, strict=True)],
        "recordings": [rows.recording(r, fingerprint=[]) for r in records],
        "items": [], "segments": [], "origins": [],
    }  # fmt: skip
    return rows.folder(folder, tables)


def by_the_stage(base: Path, *inputs: str, **params: Any) -> list[dict[str, Any]]:
    done = run_stage(cluster.run, inputs, (base / "out").as_uri(), cluster.ClusterParams(**params), workers=0, quiet=True)
    return pq.read_table(Path(done.output.removeprefix("file://")) / "clusters-00000.parquet").to_pylist()


def copies(found: list[dict[str, Any]]) -> dict[str, str]:
    groups: dict[str, list[str]] = {}
    for row in found:
        if row["kind"] == "text":
            groups.setdefault(row["cluster_id"], []).append(row["id"])
    return {member: name for name, members in groups.items() if len(members) > 1 for member in members}


@pytest.mark.parametrize(("seed", "params"), [(1, {}), (2, {"threshold": 0.8, "shingle_words": 3, "min_words": 0})])
def test_both_engines_find_the_same_clusters(session: Any, tmp_path: Path, seed: int, params: dict[str, Any]):
    source = corpus(tmp_path / "in", seed)
    wanted = copies(by_the_stage(tmp_path, source, **params))
    assert len(wanted) > len(set(wanted.values())) > 3, "a corpus without copies tests nothing"
    found = spark.cluster_texts(spark.read_documents(session, source), spark.DEFAULTS | params)
    assert found == wanted


def test_the_stage_goes_on_from_what_a_batch_has_written(tmp_path: Path):
    """As on Dataproc: ``main.py`` with the code in a zip and nothing else of ours, then ``cluster``, whose rows are the same."""
    source, output = corpus(tmp_path / "in", 1), (tmp_path / "text").as_uri()
    made = run_stage(spark_code.run, [], (tmp_path / "code").as_uri(), spark_code.SparkCodeParams(), workers=0, quiet=True)
    code = made.output.removeprefix("file://")
    options = [word for name, value in LOCAL.items() for word in ("--conf", f"{name}={value}")]
    submit = Path(sys.executable).with_name("spark-submit")
    argv = [submit, *options, "--py-files", f"{code}/code.zip", f"{code}/main.py", "--documents", source, "--output", output]
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert re.search(r"\d+ documents in \d+ clusters of copies", done.stdout)
    assert by_the_stage(tmp_path / "given", source, f"text_clusters={output}") == by_the_stage(tmp_path / "searched", source)
