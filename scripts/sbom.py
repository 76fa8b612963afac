"""``make sbom``: what is in each image, in CycloneDX; ``make audit``: known vulnerabilities of its Python packages.

``build/sbom/<image>.cdx.json`` has the packages of the image's hashed lock and, where ``make images`` has built it here, its
Debian packages. ``make audit`` asks PyPI (or OSV: ``SERVICE=osv``) about every pinned package, without installing any; of
Debian's packages it knows nothing: a registry's own scanner does (Artifact Registry's, for one), or ``debsecan``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

REPO = Path(__file__).resolve().parents[1]
OUT = REPO / "build/sbom"
LOCK = REPO / "containers/images.lock.yaml"
TOOLS = REPO / ".venvs/audit/bin"
FORMAT = "${Package}\t${Version}\t${Architecture}\t${source:Package}\n"


def locks() -> dict[str, list[Path]]:
    """Image → the locks of what is in it."""
    found = {path.parent.name: [path] for path in sorted(REPO.glob("containers/*/requirements.txt"))}
    found |= {f"{path.parent.name}-gpu": [path] for path in sorted(REPO.glob("containers/*/requirements-gpu.txt"))}
    found["airflow"] = [REPO / "requirements.txt", REPO / "containers/airflow/requirements-postgres.txt"]
    found["emulator"] = [REPO / "containers/emulator/requirements-emulator.txt"]
    return dict(sorted(found.items()))


def python_packages(lock: Path) -> dict[str, Any]:
    """The CycloneDX document of a lock."""
    argv: list[Any] = [TOOLS / "cyclonedx-py", "requirements", lock, "--of", "JSON", "--output-reproducible", "-o", "-"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{lock.relative_to(REPO)}: {done.stderr.strip()[-500:]}")
    made: dict[str, Any] = json.loads(done.stdout)
    return made


def debian_packages(image: str) -> list[dict[str, Any]]:
    """CycloneDX components of an image's Debian packages."""
    argv = ["docker", "run", "--rm", "--network=none", "--entrypoint=dpkg-query", image, "-W", "-f", FORMAT]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    found = []
    for line in done.stdout.splitlines():
        name, version, architecture, source = line.split("\t")
        purl = f"pkg:deb/debian/{quote(name)}@{quote(version, safe='')}?arch={architecture}&distro=debian-12"
        properties = [{"name": "debian:source", "value": source}]
        component = {"type": "library", "name": name, "version": version, "purl": purl, "bom-ref": purl, "properties": properties}
        found.append(component)
    return found


def sbom(image: str, files: list[Path], built: str | None) -> Path:
    """Write one image's document; where."""
    document, *others = [python_packages(lock) for lock in files]
    for other in others:
        held = {c["bom-ref"] for c in document["components"]}
        document["components"] += [c for c in other["components"] if c["bom-ref"] not in held]
    document["metadata"]["component"] = {"type": "container", "name": f"speechmill/{image}", "bom-ref": f"speechmill/{image}"}
    if built:
        document["metadata"]["component"]["version"] = built
        document["components"] += debian_packages(built)
    document.pop("dependencies", None)  # a lock does not say what asked for what
    OUT.mkdir(parents=True, exist_ok=True)
    path = OUT / f"{image}.cdx.json"
    path.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")
    kinds = [c["purl"].split("/")[0].removeprefix("pkg:") for c in document["components"]]
    print(f"  {path.relative_to(REPO)}: {kinds.count('pypi')} Python packages, {kinds.count('deb')} of Debian", flush=True)
    return path


def audit(image: str, files: list[Path], service: str) -> bool:
    """Ask about one image's Python packages, print and keep the answer; whether there is nothing to say."""
    argv: list[Any] = [TOOLS / "pip-audit", "--disable-pip", "--require-hashes", "--no-deps", "-s", service, "-f", "json"]
    for file in files:
        argv += ["-r", file]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    try:
        report = json.loads(done.stdout)
    except ValueError:
        sys.exit(f"{image}: pip-audit said: {done.stderr.strip()[-500:]}")
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / f"{image}.audit.json").write_text(json.dumps(report, indent=1, sort_keys=True) + "\n")
    lines = verdict(report)
    print("\n".join([f"── {image}: {len(report['dependencies'])} packages", *lines]), flush=True)
    return not lines


def verdict(report: dict[str, Any]) -> list[str]:
    """What an answer of pip-audit has to say, a line each; a package that nothing was learned of is one, too."""
    lines, silent = [], []
    for package in report["dependencies"]:
        if "skip_reason" in package:
            silent.append(package["name"])
        for found in package.get("vulns", []):
            fixed = ", ".join(found["fix_versions"]) or "no version yet"
            lines.append(f"  {package['name']} {package['version']}: {found['id']}; fixed in {fixed}")
    if silent:
        lines.append(f"  no answer about {len(silent)}: {', '.join(silent[:5])}{' …' if len(silent) > 5 else ''}")
    return lines


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="make sbom", description="What is in the images, and what is known of it.")
    parser.add_argument("what", choices=("sbom", "audit"))
    parser.add_argument("only", nargs="*", metavar="IMAGE")
    parser.add_argument("--service", choices=("pypi", "osv"), default="pypi")
    args = parser.parse_args()
    known = locks()
    if unknown := set(args.only) - set(known):
        sys.exit(f"no image {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
    wanted = {image: files for image, files in known.items() if not args.only or image in args.only}
    if args.what == "audit":
        bad = [image for image, files in wanted.items() if not audit(image, files, args.service)]
        sys.exit(f"known vulnerabilities, or no answer: {', '.join(bad)}" if bad else 0)
    built = (yaml.safe_load(LOCK.read_text()) or {}).get("images", {}) if LOCK.exists() else {}
    for image, files in wanted.items():
        sbom(image, files, built.get(image, {}).get("image"))


if __name__ == "__main__":
    main()
