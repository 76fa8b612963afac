"""Connected groups of recordings, and the split that each has for ever.

A recording, the items that hold it, their creators and its duplicate clusters are keys of one graph; whatever is connected
belongs to one group. A new group draws its split from a salted hash. A key that was given a split keeps it, whatever comes
later: where new data joins groups of different splits, the joint group keeps test over dev over train, and a recording with any
key of a losing split is left out (:attr:`Decision.conflicts`). So no key is ever seen in two splits, nor moves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from release.creators import creator_names
from stagekit.disjoint import DisjointSets

PRECEDENCE = ("test", "dev", "train")
"""Which split a joint group keeps."""


@dataclass
class Graph:
    """Keys that are connected: ``sets`` holds all of them, ``keys`` those of each recording (its own included).

    ``unit``: what is assigned, ``recording`` or ``speaker``; the first part of its own key.
    """

    sets: DisjointSets = field(default_factory=DisjointSets)
    keys: dict[str, set[str]] = field(default_factory=dict)
    unit: str = "recording"

    def add(self, recording_id: str, key: str | None = None) -> None:
        """A recording, and one of its keys."""
        own = f"{self.unit}:{recording_id}"
        self.keys.setdefault(recording_id, {own})
        self.sets.add(own)
        if key is not None:
            self.keys[recording_id].add(key)
            self.sets.join(own, key)


def build_graph(
    recordings: Iterable[str],
    items: Iterable[Mapping[str, Any]],
    documents: Iterable[Mapping[str, Any]],
    clusters: Iterable[Mapping[str, Any]],
    collective: Collection[str] = (),
) -> Graph:
    """The graph of a corpus.

    All files of one source item (an album, a hearing in parts) share its key. Creators that stand for no one person, and missing
    ones, make no edge (:mod:`release.creators`). A cluster of one member makes none either.

    Args:
        recordings: ids.
        items: rows with source, identifier, creator, recording_id.
        documents: rows with document_id, recording_id.
        clusters: rows of table ``clusters``.
        collective: further creator names to leave out.
    """
    graph = Graph()
    for recording_id in recordings:
        graph.add(recording_id)
    for item in items:
        if item["recording_id"] is None:
            continue
        graph.add(item["recording_id"], f"item:{item['source']}:{item['identifier']}")
        for name in creator_names(item["creator"], collective):
            graph.add(item["recording_id"], f"creator:{name}")
    recording_of = {d["document_id"]: d["recording_id"] for d in documents}
    members: dict[tuple[str, str], list[str]] = {}
    for row in clusters:
        recording_id = row["id"] if row["kind"] == "audio" else recording_of[row["id"]]
        members.setdefault((row["kind"], row["cluster_id"]), []).append(recording_id)
    for (kind, cluster_id), ids in members.items():
        if len(ids) > 1:
            for recording_id in ids:
                graph.add(recording_id, f"cluster:{kind}:{cluster_id}")
    return graph


def draw(salt: str, key: str, dev: float, test: float) -> str:
    """The split of a new group, from the hash of its smallest key: test with probability ``test``, dev with ``dev``."""
    value = int.from_bytes(hashlib.sha256(f"{salt}\n{key}".encode()).digest()[:8], "big") / 2**64
    return "test" if value < test else "dev" if value < test + dev else "train"


@dataclass(frozen=True)
class Decision:
    """What a release makes of the groups."""

    new: dict[str, str]
    """Keys that had no split, and the one they have from now on."""
    split: dict[str, str]
    """Recording → split, of those that can be released."""
    conflicts: dict[str, str]
    """Recording → why it is left out."""


def decide(graph: Graph, assigned: Mapping[str, str], salt: str, dev: float, test: float) -> Decision:
    """Splits for all recordings of a graph.

    Args:
        graph: the corpus.
        assigned: key → split, all that was ever assigned.
        salt: of the hash; fixed for the life of a dataset.
        dev: share of new groups drawn for dev.
        test: share drawn for test.
    """
    return settle(graph, assigned, lambda root: draw(salt, root, dev, test))


def settle(graph: Graph, assigned: Mapping[str, str], choose: Callable[[str], str]) -> Decision:
    """Splits for all units of a graph, where ``choose`` gives that of a new group, named by its smallest key."""
    new: dict[str, str] = {}
    winner: dict[str, str] = {}
    for root, keys in graph.sets.groups().items():
        before = {assigned[k] for k in keys if k in assigned}
        winner[root] = next((s for s in PRECEDENCE if s in before), "") or choose(root)
        new.update({k: winner[root] for k in keys if k not in assigned})
    split: dict[str, str] = {}
    conflicts: dict[str, str] = {}
    for recording_id, own in sorted(graph.keys.items()):
        chosen = winner[graph.sets.find(f"{graph.unit}:{recording_id}")]
        losing = sorted(k for k in own if assigned.get(k, chosen) != chosen)
        if losing:
            conflicts[recording_id] = (
                f"its group is joined with one in {chosen}, and {losing[0]} has been in {assigned[losing[0]]}"
            )
        else:
            split[recording_id] = chosen
    return Decision(new, split, conflicts)
