"""Releases for tests: copies of the real ones with rows and clips changed, as folders or tar.gz."""

from __future__ import annotations

import contextlib
import io
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ingest.__main__ import STAGES
from stagekit.audio import ffmpeg
from stagekit.cli import load_stage
from stagekit.errors import EmptyInput, StageError
from stagekit.run import run_stage

DATA = Path(__file__).parent / "data" / "common_voice"
V61 = DATA / "cv-corpus-6.1-2020-12-11"
V18 = DATA / "cv-corpus-18.0-delta-2024-06-14"
SAMROMUR = DATA / "samromur"
SAMROMUR_PARAMS: dict[str, Any] = {
    "source": "tsv", "location": str(SAMROMUR), "language": "is", "version": "demo", "listed": "metadata.tsv", "clips": "audio",
    "license_url": "https://creativecommons.org/licenses/by/4.0/", "license_evidence": "README of samromur-asr",
    "columns": {
        "clip": "{status}/{speaker_id}/{filename}", "text": "sentence", "speaker": "speaker_id", "gender": "gender", "age": "age",
        "accent": "dialect", "duration_s": "duration", "keep": {"is_valid": ["1.0"]}, "null": ["NAN"],
    },
}  # fmt: skip
EN = {"letters": "a-z", "numerals": "spell"}
"""Of ``config/languages.yaml``."""


def stage(name: str, tmp_path: Path, params: dict[str, Any], *inputs: str, code: int = 0) -> dict[str, Any]:
    """Run a stage in this process to the end that its command would have (exit code 0, 1 or 99); its receipt, with stderr."""
    one, said = load_stage("ingest", STAGES, name), io.StringIO()
    ended, receipt = 0, dict[str, Any]()
    with contextlib.redirect_stderr(said):
        try:
            given = one.params.model_validate(params)
            receipt = run_stage(one, inputs, str(tmp_path / name), given, workers=0, quiet=True).receipt()
        except (StageError, EmptyInput) as error:
            ended = 1 if isinstance(error, StageError) else 99
            said.write(str(error))
    assert ended == code, said.getvalue()
    return {**receipt, "stderr": said.getvalue()}


def rows(folder: str, table: str) -> list[dict[str, Any]]:
    return [r for f in sorted(Path(folder).glob(f"{table}-*.parquet")) for r in pq.read_table(f).to_pylist()]


def voices(tmp_path: Path, location: Path | str, *inputs: str, code: int = 0, **params: Any) -> dict[str, Any]:
    """The stage ``ingest voices`` on a location."""
    return stage("voices", tmp_path, {"location": str(location), "language": "en", **params}, *inputs, code=code)


def clips(receipt: dict[str, Any]) -> set[str]:
    """Those that became readings."""
    return {r["clip"] for r in rows(receipt["output"], "readings")}


def set_row(folder: Path, clip: str, **values: str) -> None:
    """Change a row of a list."""
    lines = (folder / "validated.tsv").read_text(encoding="utf-8").split("\n")
    header = lines[0].split("\t")
    for i, line in enumerate(lines):
        fields = line.split("\t")
        if clip in fields:
            for name, value in values.items():
                fields[header.index(name)] = value
            lines[i] = "\t".join(fields)
    (folder / "validated.tsv").write_text("\n".join(lines), encoding="utf-8")


def sound(path: Path, *options: str) -> bytes:
    """Replace a clip by what ffmpeg makes of it or of nothing."""
    made = path.with_name(f"made-{path.name}")
    subprocess.run([ffmpeg(), "-v", "error", "-y", *options, str(made)], check=True)
    made.replace(path)
    return path.read_bytes()


def rejected(folder: str) -> dict[str, tuple[str, str]]:
    return {r["id"].partition("/")[2]: (r["reason"], r["detail"]) for r in rows(folder, "rejections")}


def release(tmp_path: Path, source: Path = V61, locale: str = "en") -> Path:
    """A copy of one language of a release that a test may change; the folder of its list."""
    copy = tmp_path / source.name
    shutil.copytree(source / locale, copy / locale)
    return copy / locale


def pack(folder: Path, path: Path, *, list_last: bool = True, extra: list[tuple[tarfile.TarInfo, bytes]] | None = None) -> Path:
    """A release's folder (that of its list) as tar.gz, as Common Voice packs it; ``extra`` members come first."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    files.sort(key=lambda p: (p.suffix == ".tsv") == list_last)
    with tarfile.open(path, "w:gz") as tar:
        for info, data in extra or []:
            tar.addfile(info, io.BytesIO(data))
        for file in files:
            tar.add(file, f"{folder.parent.name}/{folder.relative_to(folder.parent) / file.relative_to(folder)}")
    return path


def member(name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(data), kind, link
    return info, data
