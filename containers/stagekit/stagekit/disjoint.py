"""Disjoint sets of strings (union-find with path halving): which ids belong together, whatever the order they were joined in."""

from __future__ import annotations

from collections.abc import Iterable


class DisjointSets:
    """Sets named by their smallest member, so that the result does not depend on the order of joins.

    >>> sets = DisjointSets("abc")
    >>> sets.join("c", "b")
    >>> sets.find("c"), sets.groups()
    ('b', {'a': ['a'], 'b': ['b', 'c']})
    """

    def __init__(self, members: Iterable[str] = ()):
        """Each of ``members`` alone."""
        self._parent: dict[str, str] = {m: m for m in members}

    def add(self, member: str) -> None:
        """A member on its own, unless it is known."""
        self._parent.setdefault(member, member)

    def find(self, member: str) -> str:
        """The smallest member of its set; raises KeyError for a stranger."""
        parent = self._parent
        while parent[member] != member:
            parent[member] = parent[parent[member]]
            member = parent[member]
        return member

    def join(self, a: str, b: str) -> None:
        """Make one set of the sets of ``a`` and ``b``; either may be new."""
        self.add(a)
        self.add(b)
        root_a, root_b = self.find(a), self.find(b)
        if root_a != root_b:
            small, large = min(root_a, root_b), max(root_a, root_b)
            self._parent[large] = small

    def groups(self) -> dict[str, list[str]]:
        """{smallest member: members, sorted}, sorted by name."""
        found: dict[str, list[str]] = {}
        for member in sorted(self._parent):
            found.setdefault(self.find(member), []).append(member)
        return dict(sorted(found.items()))
