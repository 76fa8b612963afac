"""Model files that come in no Python wheel: fetched once into the environment, by digest.

    python -m align.models            # what `make setup` and the image's build run; a second run does nothing
    python -m align.models FILE.tgz   # the same from a package that was brought here otherwise

They lie under `<environment>/share/speechmill/`, or where SPEECHMILL_MODELS says.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tarfile
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from stagekit.errors import StageError
from stagekit.storage import sha256_file

TRIES, TIMEOUT_S = 4, 60


@dataclass(frozen=True)
class Package:
    """A published archive that holds model files.

    Attributes:
        files: name under the models folder → (member of the archive, its sha256).
    """

    name: str
    url: str
    sha256: str
    license: str
    files: dict[str, tuple[str, str]]


MOONSHINE = Package(
    "moonshine",
    "https://registry.npmjs.org/@usefulsensors/moonshine-js/-/moonshine-js-0.1.8.tgz",
    "70f07c53e017a42cdd3d34c3450ae3f6208711cde78919559e69a8b23d0a952f",
    "MIT",
    {
        "moonshine-base/encoder.onnx": (
            "package/dist/model/base/quantized/encoder_model.onnx",
            "1dd9ab0a7f987113d30affcba5a068d11c8f90fa0223caa3e491ade431ad9751",
        ),
        "moonshine-base/decoder.onnx": (
            "package/dist/model/base/quantized/decoder_model_merged.onnx",
            "cc9f3cd6698a369c6008b41aa60aa3fb3322e7f03c9bdf19d8e6b7200afca4f3",
        ),
    },
)
"""Moonshine base (Jeffries et al. 2024, arXiv:2410.15608), English, 61.5 M parameters in 8 bits, as its makers
publish it on npm."""


def folder() -> Path:
    """Where model files lie."""
    return Path(os.environ.get("SPEECHMILL_MODELS") or Path(sys.prefix) / "share" / "speechmill")


def model_file(name: str) -> Path:
    """One model file.

    Raises:
        StageError: it is not there; the line says how to get it.
    """
    path = folder() / name
    if not path.is_file():
        raise StageError(f"{path}: model file is missing; `make setup` fetches it (or `python -m align.models`)")
    return path


def fetch(package: Package, archive: Path | None = None) -> bool:
    """Put a package's files in place; whether there was anything to do.

    Args:
        package: what to fetch.
        archive: the package, if it is here already.

    Raises:
        StageError: it cannot be had, or is not what was expected.
    """
    wanted = {name: (folder() / name, *of) for name, of in package.files.items()}
    if all(path.is_file() and sha256_file(path) == digest for path, _, digest in wanted.values()):
        return False
    folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder(), prefix=".fetch-") as scratch:
        elsewhere = "get the file elsewhere and run `python -m align.models FILE`"
        source = archive or download(package.url, Path(scratch) / "package.tgz", elsewhere)
        if (real := sha256_file(source)) != package.sha256:
            raise StageError(f"{source}: sha256 is {real}, expected {package.sha256} ({package.url})")
        with tarfile.open(source) as tar:
            for path, member, digest in wanted.values():
                part = Path(scratch) / path.name
                found = next((m for m in tar if m.name == member and m.isfile()), None)
                stream = tar.extractfile(found) if found else None
                if stream is None:
                    raise StageError(f"{source}: has no file {member}")
                with stream, open(part, "wb") as out:
                    shutil.copyfileobj(stream, out)
                if (real := sha256_file(part)) != digest:
                    raise StageError(f"{member}: sha256 is {real}, expected {digest}")
                path.parent.mkdir(parents=True, exist_ok=True)
                os.replace(part, path)
    return True


def download(url: str, to: Path, instead: str, failure: type[StageError] = StageError, pause_s: float = 2.0) -> Path:
    """Fetch a file, in a few tries.

    Args:
        url: where it is.
        to: where it goes; what is there after a failure is not whole.
        instead: what a person may do if it cannot be had.
        failure: the error that is raised then.
        pause_s: of waiting before the second try, and its powers before the others.

    Raises:
        StageError: ``failure``, if it cannot be had.
    """
    for attempt in range(1, TRIES + 1):
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response, open(to, "wb") as out:  # noqa: S310
                shutil.copyfileobj(response, out)
            return to
        except OSError as error:
            if attempt == TRIES:
                raise failure(f"{url}: {error} ({TRIES} tries); {instead}") from error
            time.sleep(pause_s**attempt)
    raise AssertionError


def digest_of(package: Package) -> str:
    """One digest over a package's files, for fingerprints: read from the list, not from the disk."""
    return hashlib.sha256("".join(d for _, d in sorted(package.files.values())).encode()).hexdigest()


def main() -> int:
    """Command line."""
    try:
        done = fetch(MOONSHINE, Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    except StageError as error:
        print(f"align.models: {error}", file=sys.stderr)
        return 1
    print(f"  {folder()}: {', '.join(MOONSHINE.files)} {'fetched' if done else 'are there'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
