"""``make images``: builds what changed, and writes ``containers/images.lock.yaml``: which bytes each image is.

An image is a folder under containers/: with a Dockerfile of its own, or by ``containers/Dockerfile``. Whether it changed is
decided by what goes into it (base, Dockerfile, lock, code), kept as its label ``org.speechmill.inputs``; a commit that touches
none of it rebuilds nothing. ``--push REGISTRY`` pushes, and puts the registry's digests into the lock: a pod only ever gets one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

REPO = Path(__file__).resolve().parents[1]
LOCK = REPO / "containers/images.lock.yaml"
TEMPLATE = "containers/Dockerfile"
LOCAL_BASE = "debian:bookworm-slim"
GPU_LOCK = "requirements-gpu.txt"
"""What makes a second image of a folder: ``<folder>-gpu``, 6 GB, built only where it is named."""
OTHER_BASES = {"mfa": "SPEECHMILL_MFA_BASE"}
"""Images on a base of their own, and the variable that names another; ``""`` in it leaves the image out."""
INPUTS = {
    "airflow": ("requirements.txt", "config", "dags", "operators", "plugins", "scripts"),
    "emulator": ("samples",),
}
"""What goes into an image beside its own folder; stagekit goes into all others."""


class ImageError(RuntimeError):
    """An image cannot be built; the message says which and why."""


@dataclass(frozen=True)
class Image:
    """One image: its name, its Dockerfile in the repository, and for a GPU's the lock that it has instead of its own."""

    name: str
    dockerfile: str
    lock: str = ""

    @property
    def folder(self) -> str:
        """Its folder below containers/, and the package in it."""
        return self.name.removesuffix("-gpu") if self.lock else self.name

    @property
    def tag(self) -> str:
        """Its local name, without a tag."""
        return f"speechmill/{self.name}"

    def paths(self) -> list[str]:
        """What is copied into it, and how."""
        own = [f"containers/{self.folder}", self.dockerfile, "requirements-uv.txt"]
        return sorted({*own, *INPUTS.get(self.name, ("containers/stagekit",))})


def images(repo: Path = REPO) -> list[Image]:
    """All images, stages' first: a folder with a lock or a Dockerfile."""
    found = []
    for folder in sorted((repo / "containers").glob("*/")):
        own = folder / "Dockerfile"
        if own.exists() or (folder / "requirements.txt").exists():
            found.append(Image(folder.name, f"containers/{folder.name}/Dockerfile" if own.exists() else TEMPLATE))
        if (folder / GPU_LOCK).exists():
            found.append(Image(f"{folder.name}-gpu", TEMPLATE, GPU_LOCK))
    return sorted(found, key=lambda image: (image.name in INPUTS, image.name))


def digest(image: Image, base: str, repo: Path = REPO) -> str:
    """Hex sha256 over the base and the contents of all that goes into an image."""
    total = hashlib.sha256(base.encode())
    for path in image.paths():
        root = repo / path
        files = [root] if root.is_file() else sorted(f for f in root.rglob("*") if f.is_file() and "__pycache__" not in f.parts)
        for file in files:
            name = file.relative_to(repo).as_posix()
            total.update(name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


def docker(*argv: str, check: bool = True) -> str:
    """Run docker; its output."""
    done = subprocess.run(["docker", *argv], capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise ImageError(f"docker {argv[0]}: {done.stderr.strip()[-2000:]}")
    return done.stdout.strip() if not done.returncode else ""


def inspect(reference: str) -> dict[str, Any] | None:
    """What the engine knows of an image, or None."""
    text = docker("image", "inspect", reference, check=False)
    return json.loads(text)[0] if text else None


def base_argument(image: Image) -> str | None:
    """The build argument ``BASE``: what the environment names, else the Debian that the engine has; None: the Dockerfile's."""
    if image.name in OTHER_BASES:
        return os.environ.get(OTHER_BASES[image.name])
    return os.environ.get("SPEECHMILL_BASE") or (LOCAL_BASE if inspect(LOCAL_BASE) else None)


def revision(paths: Iterable[str]) -> str:
    """The last commit that touched any of the paths; ``-dirty`` if one differs from it."""

    def git(*argv: str) -> str:
        done = subprocess.run(["git", "-C", str(REPO), *argv], capture_output=True, text=True, check=False)
        return done.stdout.strip()

    commit = git("log", "-1", "--format=%H", "--", *paths) or "unknown"
    return commit + ("-dirty" if git("status", "--porcelain", "--", *paths) else "")


def docker_build(
    image: Image, base: str | None, tag: str, tree: Path = REPO, options: Iterable[str] = (), labels: dict[str, str] | None = None
) -> None:
    """``docker build`` of an image from a tree; ``labels``: build arguments that only name what went in.

    Raises:
        ImageError: it failed; with the end of what it printed.
    """
    arguments = (labels or {}) | {"IMAGE": image.folder, "LOCK": image.lock, "BASE": base}
    flags = [x for name, value in arguments.items() if value for x in ("--build-arg", f"{name}={value}")]
    env = os.environ | ({} if has_buildkit() else {"DOCKER_BUILDKIT": "0"})
    argv = ["docker", "build", *options, "-f", image.dockerfile, "-t", tag, *flags, "."]
    done = subprocess.run(argv, cwd=tree, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise ImageError(f"{image.name}: `{' '.join(argv)}` failed:\n{done.stdout[-3000:]}")


def build(image: Image, base: str | None) -> dict[str, Any]:
    """Build an image unless the engine has it made of the same; its entry in the lock."""
    found = inspect(base) if base else None
    wanted = digest(image, found["Id"] if found else base or "")
    tag = f"{image.tag}:{wanted[:12]}"
    have = inspect(tag)
    if have is None or have["Config"]["Labels"].get("org.speechmill.inputs") != wanted:
        started = time.monotonic()
        docker_build(image, base, tag, labels={"REVISION": revision(image.paths()), "SOURCE": source(), "INPUTS": wanted})
        have = inspect(tag)
        print(f"  {tag} built in {time.monotonic() - started:.0f} s ({size(have)})", flush=True)
    else:
        print(f"  {tag} is up to date ({size(have)})", flush=True)
    assert have is not None
    docker("tag", tag, f"{image.tag}:stack")  # what docker-compose.yaml names
    digests = [d.partition("@")[2] and d for d in have.get("RepoDigests") or []]
    return {"image": have["Id"], "inputs": wanted, "tag": tag, "bytes": have["Size"], "digest": digests[0] if digests else None}


def size(about: dict[str, Any] | None) -> str:
    """An image's size for a person."""
    return f"{about['Size'] / 1e6:.0f} MB" if about else "?"


def has_buildkit() -> bool:
    """Whether this docker has the buildx component that BuildKit needs."""
    return bool(docker("buildx", "version", check=False))


def source() -> str:
    """Where the code is."""
    done = subprocess.run(["git", "-C", str(REPO), "remote", "get-url", "origin"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def push(entry: dict[str, Any], image: Image, registry: str) -> dict[str, Any]:
    """Push an image; its entry with the registry's digest."""
    remote = f"{registry.rstrip('/')}/{image.name}:{entry['inputs'][:12]}"
    docker("tag", entry["image"], remote)
    docker("push", "-q", remote)
    about = inspect(remote)
    mine = [d for d in (about or {}).get("RepoDigests") or [] if d.startswith(remote.rpartition(":")[0] + "@")]
    if not mine:
        raise ImageError(f"{remote}: pushed, but the engine does not say under which digest")
    return entry | {"digest": mine[0]}


def write_lock(entries: dict[str, dict[str, Any]], path: Path = LOCK) -> None:
    """Write the lock, with what it held of images that were not built now."""
    held = (yaml.safe_load(path.read_text()) or {}).get("images", {}) if path.exists() else {}
    text = yaml.safe_dump({"images": {**held, **entries}}, sort_keys=True)
    path.write_text("# Written by `make images`. image: this engine's id; digest: the registry's, once pushed.\n" + text)


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="make images", description="Build the images that changed.")
    parser.add_argument("only", nargs="*", metavar="IMAGE", help="only these")
    parser.add_argument("--push", metavar="REGISTRY", help="push to REGISTRY/<image>, and lock the digests")
    args = parser.parse_args(argv)
    known = images()
    if unknown := set(args.only) - {image.name for image in known}:
        sys.exit(f"no image {', '.join(sorted(unknown))}; there are: {', '.join(i.name for i in known)}")
    entries = {}
    try:
        for image in known:
            if args.only and image.name not in args.only:
                continue
            if image.lock and not args.only:
                print(f"  {image.tag}: left out; name it (ONLY={image.name})")
                continue
            base = base_argument(image)
            if image.name in OTHER_BASES and (base == "" or (base is None and not args.only)):
                print(f"  {image.tag}: left out; name it (ONLY={image.name}), or a base ({OTHER_BASES[image.name]}=…)")
                continue
            entry = build(image, base)
            entries[image.name] = push(entry, image, args.push) if args.push else entry
    except ImageError as error:
        sys.exit(str(error))
    finally:
        if entries:
            write_lock(entries)


if __name__ == "__main__":
    main()
