"""Puts the samples into the emulator's bucket: ``gs://speech/sources/<dataset>/<language>/<file>``. What is there stays.

Releases of Common Voice go there as their publisher gives them away, in one archive:
``gs://speech/sources/spoken_words/<release>.tar.gz``.
"""

from __future__ import annotations

import gzip
import io
import sys
import tarfile
from pathlib import Path

from google.cloud import storage

SAMPLES = Path("/samples")
RELEASES = "spoken_words"


def main(bucket_name: str) -> None:
    """Upload every sample that is not there."""
    client = storage.Client(project="speechmill")
    bucket = client.lookup_bucket(bucket_name) or client.create_bucket(bucket_name)
    there = {blob.name for blob in client.list_blobs(bucket_name, prefix="sources/")}
    files = [f for f in sorted(SAMPLES.rglob("*")) if f.is_file() and f.relative_to(SAMPLES).parts[0] != RELEASES]
    releases = sorted(folder for folder in (SAMPLES / RELEASES).glob("*/"))
    new = 0
    for path in [*files, *releases]:
        name = f"sources/{path.relative_to(SAMPLES).as_posix()}{'.tar.gz' if path.is_dir() else ''}"
        if name not in there:
            bucket.blob(name).upload_from_string(archive(path) if path.is_dir() else path.read_bytes())
            new += 1
    print(f"gs://{bucket_name}/sources: {len(files) + len(releases)} objects, {new} new", flush=True)


def archive(folder: Path) -> bytes:
    """A folder as a tar.gz: the same files give the same bytes."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                about = tarfile.TarInfo(path.relative_to(folder.parent).as_posix())
                about.size = path.stat().st_size
                with path.open("rb") as content:
                    tar.addfile(about, content)
    return packed.getvalue()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "speech")
