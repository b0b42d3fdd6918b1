"""A small sum of regression trees, read from JSON and walked in plain Python."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leo_core.records import Json

__all__ = ["Forest", "Tree", "read_forest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """One tree; node 0 is the root, and a node whose ``feature`` is −1 is a leaf.

    Attributes:
        feature: Index of the compared feature per node, or −1.
        threshold: Its threshold; values up to it, inclusive, go left. In a leaf: the value.
        left: Left child per node.
        right: Right child per node.
    """

    feature: tuple[int, ...]
    threshold: tuple[float, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]

    def value(self, row: list[float]) -> float:
        """Value of the leaf that ``row`` reaches."""
        node = 0
        while self.feature[node] >= 0:
            below = row[self.feature[node]] <= self.threshold[node]
            node = self.left[node] if below else self.right[node]
        return self.threshold[node]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forest:
    """``start`` plus the sum of the trees, over features in the order of ``names``."""

    names: tuple[str, ...]
    start: float
    trees: tuple[Tree, ...]

    def predict(self, features: Mapping[str, float]) -> float:
        """The sum for features by name; every name must be there."""
        row = [features[name] for name in self.names]
        return self.start + sum(tree.value(row) for tree in self.trees)


def read_forest(document: Mapping[str, Json]) -> Forest:
    """A forest from its JSON form (keys as the attributes)."""
    trees = tuple(Tree(**{key: tuple(values) for key, values in tree.items()}) for tree in document["trees"])
    return Forest(names=tuple(document["names"]), start=float(document["start"]), trees=trees)
