"""Puts the samples into the emulator's bucket: ``gs://speech/sources/<dataset>/<language>/<file>``. What is there stays."""

from __future__ import annotations

import sys
from pathlib import Path

from google.cloud import storage

SAMPLES = Path("/samples")


def main(bucket_name: str) -> None:
    """Upload every sample that is not there."""
    client = storage.Client(project="speechmill")
    bucket = client.lookup_bucket(bucket_name) or client.create_bucket(bucket_name)
    there = {blob.name for blob in client.list_blobs(bucket_name, prefix="sources/")}
    files = {f"sources/{f.relative_to(SAMPLES).as_posix()}": f for f in sorted(SAMPLES.rglob("*")) if f.is_file()}
    for name in sorted(set(files) - there):
        bucket.blob(name).upload_from_filename(str(files[name]))
    print(f"gs://{bucket_name}/sources: {len(files)} files, {len(set(files) - there)} new", flush=True)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "speech")
