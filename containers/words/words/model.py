"""The model folder: ``model.json`` and ``model.npz``, nothing that could run code when it is read.

Format 2. The JSON says how vectors are made, how units become states, which units there are and what each spelled unit is
modelled as, the lexicon if one was given, and how the model was made. The npz (read with ``allow_pickle=False``) holds, for the
states without context (``plain_*``) and for the tied states (``tied_*``): ``first`` (states + 1,), ``weight`` (gaussians,),
``mean`` and ``variance`` (gaussians, size), ``stay`` and ``go`` (states,) log probabilities; and the tree: ``tree_ask``,
``tree_members``, ``tree_yes``, ``tree_no``, ``tree_leaf`` (see :class:`words.tree.Tree`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stagekit.errors import StageError
from words.decode import Density
from words.features import Shape
from words.gmm import Mixtures
from words.graph import Topology, Trellis
from words.tree import Tree
from words.units import Speller

FORMAT = 2
JSON, NPZ = "model.json", "model.npz"
F32 = NDArray[np.float32]


@dataclass(frozen=True)
class Acoustics:
    """Mixtures of states, and their log chances of staying and leaving."""

    mixtures: Mixtures
    stay: F32
    go: F32

    @cached_property
    def density(self) -> Density:
        """As the kernels read it."""
        return Density(*self.mixtures.density(), self.stay, self.go)

    def arrays(self, name: str) -> dict[str, NDArray[Any]]:
        """For an npz, under a common name."""
        m = self.mixtures
        values: dict[str, NDArray[Any]] = {"first": m.first, "weight": m.weight, "mean": m.mean, "variance": m.variance}
        values |= {"stay": self.stay, "go": self.go}
        return {f"{name}_{k}": v for k, v in values.items()}

    @classmethod
    def of(cls, arrays: Any, name: str) -> Acoustics:
        """From an npz."""
        m = Mixtures(*(arrays[f"{name}_{k}"] for k in ("first", "weight", "mean", "variance")))
        return cls(m, arrays[f"{name}_stay"], arrays[f"{name}_go"])


@dataclass(frozen=True)
class Model:
    """All that alignment needs."""

    shape: Shape
    topology: Topology
    speller: Speller
    plain: Acoustics
    tied: Acoustics
    tree: Tree
    about: dict[str, Any]

    def states(self, trellises: Sequence[Trellis]) -> list[NDArray[np.int64]]:
        """Tied state of each state of each trellis."""
        if not trellises:
            return []
        columns = [(t.unit, t.part, t.left, t.right) for t in trellises]
        found = self.tree.find(*(np.concatenate(c) for c in zip(*columns, strict=True))).astype(np.int64)
        return np.split(found, np.cumsum([len(t.unit) for t in trellises])[:-1])

    def save(self, folder: Path) -> None:
        """Write the two files."""
        folder.mkdir(parents=True, exist_ok=True)
        head = {
            "format": FORMAT,
            "shape": asdict(self.shape),
            "topology": asdict(self.topology),
            "units": self.speller.units,
            "mapping": self.speller.mapping,
            "lexicon": {w: [list(p) for p in ps] for w, ps in self.speller.lexicon.items()},
            "about": self.about,
        }
        text = json.dumps(head, ensure_ascii=False, indent=1, sort_keys=True)
        (folder / JSON).write_text(text + "\n", encoding="utf-8")
        save_arrays(folder / NPZ, self.plain.arrays("plain") | self.tied.arrays("tied") | tree_arrays(self.tree))

    @classmethod
    def load(cls, folder: Path) -> Model:
        """Read the two files.

        Raises:
            StageError: they are not there, or of another format.
        """
        try:
            head = json.loads((folder / JSON).read_text(encoding="utf-8"))
            if head["format"] != FORMAT:
                raise StageError(f"{folder}: model format {head['format']}, this code reads {FORMAT}; train again")
            with np.load(folder / NPZ, allow_pickle=False) as arrays:
                plain, tied, tree = Acoustics.of(arrays, "plain"), Acoustics.of(arrays, "tied"), tree_of(arrays)
        except FileNotFoundError as error:
            raise StageError(f"no model in {folder}: {error.filename} is missing; run the train stage") from None
        except (ValueError, KeyError) as error:
            raise StageError(f"{folder}: not a model of this aligner: {error}") from None
        speller = Speller(head["units"], head["mapping"], head["lexicon"])
        return cls(Shape(**head["shape"]), Topology(**head["topology"]), speller, plain, tied, tree, head["about"])


def save_arrays(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """An npz whose bytes depend on nothing but the arrays (numpy's carries no time of day)."""
    with open(path, "wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def tree_arrays(tree: Tree) -> dict[str, NDArray[Any]]:
    """For an npz."""
    return {f"tree_{k}": getattr(tree, k) for k in ("ask", "members", "yes", "no", "leaf")}


def tree_of(arrays: Any) -> Tree:
    """From an npz."""
    return Tree(*(arrays[f"tree_{k}"] for k in ("ask", "members", "yes", "no", "leaf")))
