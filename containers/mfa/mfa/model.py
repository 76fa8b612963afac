"""The model folder: what a training leaves and an alignment loads.

``model/model.json`` (format, version of MFA, phones, what it was trained on), ``model/acoustic.zip`` (MFA's own model: Kaldi
matrices and JSON, no pickle) and, if one was given, ``model/lexicon.txt``. MFA's zip holds the date of its making; it is packed
again without, sorted and without time stamps, so that a training that computes the same gives the same bytes.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfa.dictionary import read_lexicon
from stagekit.errors import StageError
from stagekit.stage import Context
from stagekit.storage import join, local_copy, resolve

FORMAT = 1
FOLDER = "model"
ROLE = "model"
EPOCH = (1980, 1, 1, 0, 0, 0)
DATED = ("train_date",)


@dataclass(frozen=True)
class Model:
    """A loaded model. ``acoustic`` is a local file as long as the folder is open."""

    acoustic: Path
    lexicon: dict[str, list[tuple[str, ...]]] | None
    phones: frozenset[str]
    about: dict[str, Any]


def save(ctx: Context[Any], acoustic: Path, lexicon: Path | None, about: dict[str, Any]) -> None:
    """Write the model folder into the stage's output."""
    repack(acoustic, ctx.path(f"{FOLDER}/acoustic.zip"))
    if lexicon is not None:
        shutil.copyfile(lexicon, ctx.path(f"{FOLDER}/lexicon.txt"))
    text = json.dumps({"format": FORMAT, "lexicon": lexicon is not None, **about}, indent=1, sort_keys=True, ensure_ascii=False)
    ctx.path(f"{FOLDER}/model.json").write_text(text + "\n", encoding="utf-8")


def repack(source: Path, target: Path) -> None:
    """Copy MFA's zip without dates, members sorted."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in sorted(n for n in old.namelist() if not n.endswith("/")):
            data = old.read(name)
            if name.endswith("meta.json"):
                meta = {k: v for k, v in json.loads(data).items() if k not in DATED}
                data = json.dumps(meta, ensure_ascii=False, sort_keys=True).encode()
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(entry, data)


@contextmanager
def open_model(ctx: Context[Any]) -> Iterator[Model]:
    """The model of the input ``model=``.

    Raises:
        StageError: there is no such input, or it holds no model of this format.
    """
    given = ctx.input(ROLE)
    if given is None:
        raise StageError(f"no model: give the folder of `mfa train` as --input {ROLE}=URI")
    uri = join(given.uri, FOLDER)
    store, path = resolve(join(uri, "model.json"))
    if not store.exists(path):
        raise StageError(f"{given.uri}: no {FOLDER}/model.json in it; expected the folder of `mfa train`")
    about = json.loads(store.read_bytes(path))
    if about.get("format") != FORMAT:
        raise StageError(f"{uri}: model format {about.get('format')}, this code reads {FORMAT}; train again")
    with local_copy(join(uri, "acoustic.zip")) as acoustic:
        lexicon = None
        if about["lexicon"]:
            with local_copy(join(uri, "lexicon.txt")) as text:
                lexicon = read_lexicon(text)
        yield Model(acoustic, lexicon, frozenset(about["phones"]), about)
