"""Text clusters of a corpus that outgrows one process: the signatures of :mod:`dedup.text`, banded and verified on Spark.

    spark-submit --py-files code.zip main.py --documents gs://…/collect/<fingerprint> --output gs://…/text_clusters/<name>

The clusters are those of the stage ``cluster``, document by document: the same shingles, MinHash values, bands, exact similarity
and threshold, in another order. Documents are read and signed where they lie; what comes to the driver is one edge for each pair
of copies. The output is a folder like a stage's, with the table ``text_clusters``, which ``cluster`` takes as its input
``text_clusters=``. Stage ``spark_code`` makes ``main.py`` and ``code.zip``; the environment is ``requirements-spark.in``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from dedup import text
from stagekit.disjoint import DisjointSets
from stagekit.folder import TableWriter, file_name
from stagekit.inputs import SUCCESS, digest, folder_digest
from stagekit.storage import sha256_file
from stagekit.tables import TEXT_CLUSTERS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

DEFAULTS: dict[str, Any] = {
    "shingle_words": text.SHINGLE_WORDS, "threshold": text.THRESHOLD, "bands": text.BANDS, "rows": text.ROWS,
    "min_words": text.MIN_WORDS,
}  # fmt: skip
"""The parameters of the stage ``cluster``."""


def read_documents(spark: SparkSession, folder: str) -> DataFrame:
    """``document_id`` and ``words`` (array of strings) of a folder of ``release collect``."""
    return spark.read.parquet(f"{folder.rstrip('/')}/documents-*.parquet").selectExpr(
        "document_id", "transform(tokens, token -> token.word) as words"
    )


def cluster_texts(documents: DataFrame, params: Mapping[str, Any] = DEFAULTS) -> dict[str, str]:
    """The text cluster of each document that is in one with others: {document id: its cluster's smallest id}.

    Args:
        documents: ``document_id`` and ``words``.
        params: of the stage ``cluster``.
    """
    p = dict(params)
    signed = documents.mapInArrow(
        lambda batches: _sign(batches, p), "document_id string, digest string, runs binary, bands array<binary>"
    ).persist()
    # Texts of the very same words: one of them is searched with. (The smallest: which one it is changes no cluster.)
    same = signed.groupBy("digest").agg({"document_id": "min"}).withColumnRenamed("min(document_id)", "first")
    stands_for = signed.join(same, "digest").select("document_id", "first")
    searched = signed.join(same, signed["document_id"] == same["first"], "left_semi")
    keys = searched.selectExpr("document_id", "posexplode(bands) as (band, key)")
    other = keys.withColumnRenamed("document_id", "other")
    pairs = keys.join(other, ["band", "key"]).where("document_id < other").select("document_id", "other").distinct()
    runs = searched.select("document_id", "runs")
    met = pairs.join(runs, "document_id").join(runs.withColumnsRenamed({"document_id": "other", "runs": "other_runs"}), "other")
    alike = met.select("document_id", "runs", "other", "other_runs").mapInArrow(
        lambda batches: _verify(batches, p["threshold"]), "document_id string, other string"
    )
    sets = DisjointSets()
    for edges in (stands_for.where("document_id <> first"), alike):
        for one, two in edges.toLocalIterator():
            sets.join(one, two)
    signed.unpersist()
    return {member: name for name, members in sets.groups().items() for member in members}


def _sign(batches: Iterable[pa.RecordBatch], p: Mapping[str, Any]) -> Iterator[pa.RecordBatch]:
    """Digest, runs (uint64) and band keys of each text that is long enough."""
    schema = pa.schema([("document_id", pa.string()), ("digest", pa.string()), ("runs", pa.binary()),
                        ("bands", pa.list_(pa.binary()))])  # fmt: skip
    for batch in batches:
        rows = []
        for row in batch.to_pylist():
            words = row["words"]
            if len(words) < p["min_words"]:
                continue
            runs = text.shingles(words, p["shingle_words"])
            values = text.signature(runs, p["bands"] * p["rows"]).reshape(p["bands"], p["rows"])
            rows.append(
                {
                    "document_id": row["document_id"], "digest": text.text_digest(words), "runs": runs.tobytes(),
                    "bands": [band.tobytes() for band in values],
                }
            )  # fmt: skip
        yield pa.RecordBatch.from_pylist(rows, schema=schema)


def _verify(batches: Iterable[pa.RecordBatch], threshold: float) -> Iterator[pa.RecordBatch]:
    """The pairs that are copies."""
    for batch in batches:
        kept = [
            text.jaccard(np.frombuffer(a.as_py(), dtype=np.uint64), np.frombuffer(b.as_py(), dtype=np.uint64)) >= threshold
            for a, b in zip(batch["runs"], batch["other_runs"], strict=True)
        ]
        yield batch.select(["document_id", "other"]).filter(pa.array(kept, type=pa.bool_()))


class _Folder:
    """A folder on whatever Spark reads and writes: ``gs://`` by its own connector, with the credentials that it has."""

    def __init__(self, spark: SparkSession, uri: str):
        self._hadoop = spark._jvm.org.apache.hadoop.fs
        self._uri = uri.rstrip("/")
        self._store = self._hadoop.Path(self._uri).getFileSystem(spark._jsc.hadoopConfiguration())

    def _path(self, name: str) -> Any:
        return self._hadoop.Path(f"{self._uri}/{name}")

    def success(self) -> dict[str, Any] | None:
        """What its ``_SUCCESS.json`` says; None if it is not finished."""
        if not self._store.exists(self._path(SUCCESS)):
            return None
        with tempfile.TemporaryDirectory() as scratch:
            copy = Path(scratch, SUCCESS)
            self._store.copyToLocalFile(False, self._path(SUCCESS), self._hadoop.Path(copy.as_uri()), True)
            return json.loads(copy.read_bytes())

    def put(self, file: Path) -> None:
        """Upload a file, over what a killed run left."""
        self._store.copyFromLocalFile(False, True, self._hadoop.Path(file.as_uri()), self._path(file.name))


def write(
    target: _Folder, found: Mapping[str, str], documents: int, source: Mapping[str, Any], uri: str, params: Mapping[str, Any]
) -> None:
    """Make the output folder, ``_SUCCESS.json`` last.

    Args:
        target: where.
        found: of :func:`cluster_texts`.
        documents: how many there were.
        source: ``_SUCCESS.json`` of the corpus.
        uri: its folder.
        params: what the clusters were found by.
    """
    with tempfile.TemporaryDirectory() as scratch:
        writer = TableWriter(Path(scratch), TEXT_CLUSTERS, 0)
        for document_id, cluster_id in sorted(found.items()):
            writer.write({"document_id": document_id, "cluster_id": cluster_id})
        writer.close()
        file = Path(scratch, file_name(TEXT_CLUSTERS.name, 0))
        files = {file.name: {"sha256": sha256_file(file), "bytes": file.stat().st_size}}
        inputs = [{"role": "", "uri": uri, "shard": None, "digest": folder_digest(source)}]
        all_of_them = {"units": documents, "seconds": 0.0}
        success = {
            "stage": "dedup.spark", "fingerprint": digest([inputs[0]["digest"], params, files])[:32], "params": params,
            "inputs": inputs, "files": files, "rows": {TEXT_CLUSTERS.name: len(found)}, "shards": ["00000"],
            "ledger": {"unit": "document", "in": all_of_them, "out": all_of_them, "rejected": {}},
        }  # fmt: skip
        marker = Path(scratch, SUCCESS)
        marker.write_text(json.dumps(success, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        target.put(file)
        target.put(marker)


def main(argv: list[str] | None = None) -> None:
    """Command line: reads a collected corpus, writes the documents that have copies; nothing if they are there already."""
    from pyspark.sql import SparkSession

    parser = argparse.ArgumentParser(prog="dedup.spark", description="Text clusters on Spark.")
    parser.add_argument("--documents", required=True, help="folder of `release collect`")
    parser.add_argument("--output", required=True, help="folder to write")
    parser.add_argument("--params", type=json.loads, default={}, help="JSON: of the stage `cluster`, where not its defaults")
    args = parser.parse_args(argv)
    if unknown := set(args.params) - set(DEFAULTS):
        parser.error(f"--params: unknown {', '.join(sorted(unknown))}; there are: {', '.join(DEFAULTS)}")
    params = DEFAULTS | args.params
    spark = SparkSession.builder.appName("speechmill-dedup").getOrCreate()
    try:
        target = _Folder(spark, args.output)
        if target.success() is not None:
            print(f"nothing to do: {args.output} is finished", flush=True)
            return
        source = _Folder(spark, args.documents).success()
        if source is None:
            parser.error(f"--documents {args.documents}: no {SUCCESS} in it; the stage that makes it has not finished")
        found = cluster_texts(read_documents(spark, args.documents), params)
        write(target, found, source["rows"]["documents"], source, args.documents, params)
        print(f"{len(found)} documents in {len(set(found.values()))} clusters of copies: {args.output}", flush=True)
    finally:
        spark.stop()
