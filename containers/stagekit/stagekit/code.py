"""A digest of the code that a stage runs: its module and what that imports from its own image, found in the source.

A change to another stage, to the runner or to this kit's plumbing changes no digest; a change to anything that the stage's module
imports, directly or through others, does. Of this kit only what decides output counts (:data:`OUTPUT_DECIDING`).
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from functools import cache
from pathlib import Path

OUTPUT_DECIDING = ("stagekit.audio", "stagekit.identity", "stagekit.text")
"""Modules and packages of this kit whose results end up in tables."""


@cache
def digest(module: str) -> str:
    """Hex sha256 over the sources of a module and of its imports inside its image, sorted by name."""
    image = module.partition(".")[0]
    seen: dict[str, bytes] = {}
    todo = [module]
    while todo:
        name = todo.pop()
        if name in seen or (name.partition(".")[0] != image and not _decides(name)):
            continue
        source = _source(name)
        if source is None:
            continue
        seen[name] = source.read_bytes()
        todo += _imports(seen[name], name, source.name == "__init__.py")
    total = hashlib.sha256()
    for name in sorted(seen):
        total.update(name.encode() + b"\0" + hashlib.sha256(seen[name]).digest())
    return total.hexdigest()


def _decides(name: str) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in OUTPUT_DECIDING)


def _source(name: str) -> Path | None:
    """The module's file, found without importing anything but the top package."""
    top, *rest = name.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None or not spec.submodule_search_locations:
        return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") and not rest else None
    path = Path(spec.submodule_search_locations[0]).joinpath(*rest)
    for candidate in (path / "__init__.py", path.with_suffix(".py")):
        if candidate.is_file():
            return candidate
    return None


def _imports(source: bytes, name: str, is_package: bool) -> list[str]:
    package = name if is_package else name.rpartition(".")[0]
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            found += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return found
