"""When one process is too small for a corpus's texts: time and memory of ``dedup cluster`` and of Spark, by number of documents.

Run from the repository's root, with Java 17:
PYTHONPATH=containers/stagekit:containers/dedup .venvs/dedup-spark/bin/python bench/dedup_scale/run.py --write

Documents are made up: words drawn by Zipf's law from 50,000, a number of them that is spread around the mean (log-normal, sigma
0.5); 5 % are exact copies of others, 5 % have 2 % of their words changed. Recordings have no fingerprints here: what audio
identity takes is in ``containers/ingest/IDENTITY.md``. Memory is the proportional set size of the process and of all that it
started, looked at twice a second; so is CPU time, which depends less than wall time on what else the machine does. Three runs for
each size: the stage; Spark in local mode (two cores, 6 GB of heap), by the code that stage ``spark_code`` makes; the stage again
with what Spark found, whose rows must be the same.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stagekit.folder import TableWriter
from stagekit.storage import sha256_file
from stagekit.tables import TABLES

REPO = Path(__file__).resolve().parents[2]
RESULTS = REPO / "bench/results/dedup-scale.md"
VOCABULARY = pa.array([f"w{n}" for n in range(50_000)])
CHUNK = 2_000
"""Documents made at a time."""
LOOK_S = 0.5
SIZES = ((10_000, 1_000), (50_000, 1_000), (200_000, 1_000), (5_000, 4_500))
"""(documents, words of each on average): 1,000 words are seven minutes of speech, 4,500 half an hour."""
POD_GIB = 56
"""Memory of profile ``large`` (operators/profiles.py), which the stage runs as on Kubernetes."""


def documents(number: int, words: int, seed: int = 1) -> Iterator[list[np.ndarray]]:
    """Texts as indices of words, ``CHUNK`` of them at a time."""
    draw = np.random.default_rng(seed)
    weights = np.cumsum(1 / np.arange(1, len(VOCABULARY) + 1))
    sigma = 0.5
    for start in range(0, number, CHUNK):
        made: list[np.ndarray] = []
        for _ in range(min(CHUNK, number - start)):
            kind = draw.random() if made else 1.0
            if kind < 0.1:
                text = made[draw.integers(len(made))].copy()
                if kind < 0.05:
                    changed = draw.random(len(text)) < 0.02
                    text[changed] = draw.integers(len(VOCABULARY), size=int(changed.sum()))
            else:
                length = max(20, int(words * draw.lognormal(-(sigma**2) / 2, sigma)))
                text = np.searchsorted(weights, draw.random(length) * weights[-1])
            made.append(text)
        yield made


def table_of(texts: list[np.ndarray], first: int) -> pa.Table:
    """Rows of ``documents``."""
    ids = [hashlib.sha256(f"document {first + n}".encode()).hexdigest() for n in range(len(texts))]
    ends = np.cumsum([0, *(len(t) for t in texts)])
    words = VOCABULARY.take(pa.array(np.concatenate(texts)))
    lengths = pa.compute.binary_length(words).to_numpy().astype(np.int64) + 1
    stops = np.cumsum(lengths)
    starts = stops - lengths
    of = np.repeat(starts[ends[:-1]], np.diff(ends))
    tokens = pa.StructArray.from_arrays(
        [words, pa.array(starts - of), pa.array(stops - 1 - of)], names=["word", "char_start", "char_end"]
    )
    spoken = [" ".join(part) for part in pa.ListArray.from_arrays(pa.array(ends, pa.int32()), words).to_pylist()]
    one = {
        "language": "en", "text_language": "en", "text_language_score": 0.99, "caption_kind": "txt",
        "caption_provenance": "human", "provenance_evidence": "made up",
    }  # fmt: skip
    columns = {name: pa.array([value] * len(texts)) for name, value in one.items()}
    columns |= {
        "document_id": pa.array(ids), "recording_id": pa.array(ids), "caption_raw": pa.array(spoken), "text": pa.array(spoken),
        "tokens": pa.ListArray.from_arrays(pa.array(ends, pa.int32()), tokens),
    }  # fmt: skip
    return pa.table(columns)


def corpus(folder: Path, number: int, words: int) -> str:
    """A folder like one of ``release collect``; its URI."""
    folder.mkdir(parents=True)
    writers = {name: TableWriter(folder, TABLES[name], 0) for name in ("documents", "recordings", "items", "segments", "origins")}
    first = 0
    for texts in documents(number, words):
        table = table_of(texts, first)
        first += len(texts)
        writers["documents"].write_table(table)
        for recording_id, text in zip(table["recording_id"].to_pylist(), texts, strict=True):
            samples = int(len(text) / 2.5 * 16_000)
            writers["recordings"].write({
                "recording_id": recording_id, "uri": "file:///none", "bytes": 1, "duration_s": samples / 16_000,
                "samples": samples, "sample_rate": 16_000, "channels": 1, "codec": "flac", "container": "flac",
                "bit_rate": None, "fingerprint": [],
            })  # fmt: skip
    for writer in writers.values():
        writer.close()
    files = {f.name: {"sha256": sha256_file(f), "bytes": f.stat().st_size} for f in sorted(folder.iterdir())}
    counts = {name: writer.rows for name, writer in writers.items()}
    none = {"units": 0, "seconds": 0.0}
    success = {
        "stage": "release.collect", "fingerprint": f"{number:016d}{words:016d}", "files": files, "rows": counts,
        "ledger": {"unit": "document", "in": none, "out": none, "rejected": {}}, "metrics": {}, "params": {}, "inputs": [],
        "shards": ["00000"],
    }  # fmt: skip
    (folder / "_SUCCESS.json").write_text(json.dumps(success))
    return folder.as_uri()


def look(pid: int) -> tuple[int, int]:
    """Of a process and of all below it: (proportional set size, bytes; CPU time so far, clock ticks)."""
    total, ticks, todo = 0, 0, [pid]
    while todo:
        one = todo.pop()
        try:
            fields = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
            total += next(int(line.split()[1]) for line in fields if line.startswith("Pss:")) * 1024
            ticks += sum(map(int, Path(f"/proc/{one}/stat").read_text().rpartition(") ")[2].split()[11:15]))
            tasks = Path(f"/proc/{one}/task").iterdir()
            todo += [int(child) for task in tasks for child in (task / "children").read_text().split()]
        except (OSError, StopIteration):
            continue
    return total, ticks


Cost = tuple[float, float, float]
"""Wall seconds, CPU seconds, GB at the peak."""


def measured(argv: list[str | Path], log: Path, env: dict[str, str] | None = None) -> Cost:
    """What a command costs.

    Raises:
        SystemExit: it failed.
    """
    started, peak, cpu = time.monotonic(), 0, 0
    with log.open("w") as out:
        running = subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT, env=env)
        while running.poll() is None:
            held, ticks = look(running.pid)
            peak, cpu = max(peak, held), max(cpu, ticks)
            time.sleep(LOOK_S)
    if running.returncode:
        sys.exit(f"{' '.join(map(str, argv))}: exit {running.returncode}\n{log.read_text()[-3000:]}")
    return time.monotonic() - started, cpu / os.sysconf("SC_CLK_TCK"), peak / 1e9


def measure(base: Path, number: int, words: int) -> list[Cost]:
    """Of the stage, of Spark, and of the stage with what Spark found."""
    source = corpus(base / "in", number, words)
    log = base / "log"

    def stage(name: str, *inputs: str) -> tuple[list[dict[str, object]], Cost]:
        receipt = base / f"{name}.json"
        given = [word for uri in inputs for word in ("--input", uri)]
        argv = [sys.executable, "-m", "dedup", name.partition("-")[0], *given, "--output", (base / name).as_uri(),
                "--receipt", receipt.as_uri(), "--quiet"]  # fmt: skip
        took = measured(argv, log)
        folder = Path(json.loads(receipt.read_text())["output"].removeprefix("file://"))
        table = folder / "clusters-00000.parquet"
        return (pq.read_table(table).to_pylist() if table.exists() else [{"code": str(folder)}]), took

    rows, alone = stage("cluster-alone", source)
    code = stage("spark_code")[0][0]["code"]
    found = (base / "text").as_uri()
    options = {
        "spark.master": "local[2]", "spark.driver.memory": "6g", "spark.log.level": "ERROR", "spark.ui.enabled": "false",
        "spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1", "spark.local.dir": str(base / "spark"),
    }  # fmt: skip
    argv = [Path(sys.executable).with_name("spark-submit"), *(w for k, v in options.items() for w in ("--conf", f"{k}={v}")),
            "--py-files", f"{code}/code.zip", f"{code}/main.py", "--documents", source, "--output", found]  # fmt: skip
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    env |= {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    on_spark = measured(argv, log, env)
    same, after = stage("cluster-given", source, f"text_clusters={found}")
    if same != rows:
        sys.exit(f"{number} documents: the rows differ")
    return [alone, on_spark, after]


def report(results: dict[tuple[int, int], list[Cost]], load: float) -> str:
    """The page."""
    lines = [
        "# Text duplicates: one process, or Spark",
        "",
        "`bench/dedup_scale/run.py`, which says what is measured and how. "
        f"{platform.machine()}, {os.cpu_count()} cores (load average {load:.0f} before), Python {platform.python_version()}, "
        f"{datetime.now(UTC):%Y-%m-%d}. Rows were the same each time.",
        "",
        "| documents | words each | `dedup cluster`: wall s | CPU s | GB | Spark, local mode: wall s | CPU s | GB "
        "| `cluster` after Spark: wall s | CPU s | GB |",
        "|---:" * 11 + "|",
    ]
    for (number, words), found in results.items():
        cells = " | ".join(f"{wall:.0f} | {cpu:.0f} | {gigabytes:.2f}" for wall, cpu, gigabytes in found)
        lines.append(f"| {number:,} | {words:,} | {cells} |")
    sizes = sorted((n, found) for (n, words), found in results.items() if words == SIZES[0][1])
    if len(sizes) > 1:
        (few, small), (many, large) = sizes[0], sizes[-1]
        each, after = ((large[i][2] - small[i][2]) * 1e6 / (many - few) for i in (0, 2))
        most = POD_GIB * 2**30 / 1e3 / each
        hours = large[0][1] / many * most / 3600
        lines += [
            "",
            f"From {few:,} to {many:,} documents `dedup cluster` takes {each:.0f} kB more for each document, and {after:.0f} kB "
            f"after Spark. At that rate, which was not followed further, the {POD_GIB} GiB of profile `large` are full at "
            f"{most / 1e6:.1f} million documents, which would take {hours:.0f} h of CPU time. Audio identity is in "
            "the same process and stays there: 0.33 GB for 1,000 h of recordings (`containers/ingest/IDENTITY.md`).",
        ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and print; ``--write`` keeps the page in bench/results."""
    parser = argparse.ArgumentParser(description="Text duplicates by number of documents.")
    parser.add_argument("--sizes", nargs="+", metavar="DOCUMENTSxWORDS", default=[f"{n}x{w}" for n, w in SIZES])
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.relative_to(REPO)}")
    args = parser.parse_args()
    load = os.getloadavg()[1]
    results = {}
    for size in args.sizes:
        number, words = map(int, size.split("x"))
        with tempfile.TemporaryDirectory() as scratch:
            results[number, words] = measure(Path(scratch), number, words)
        print(number, words, results[number, words], flush=True)
    text = report(results, load)
    print(text)
    if args.write:
        RESULTS.write_text(text)


if __name__ == "__main__":
    main()
