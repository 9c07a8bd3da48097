"""From trees as libraries store them, by node, to the flat nodes that are walked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import IntArray
from alignconf.kernels.depth_first import depth_first
from alignconf.kernels.tree_walk import CATEGORY, LEAF, NODE
from alignconf.lines.category_sets import CategorySet, CategorySets
from alignconf.lines.single_precision import at_most_float32

__all__ = ["Tree", "features_of", "flat_nodes"]


@dataclass(frozen=True)
class Tree:
    """One tree as libraries store them, by node; the root is node 0.

    Parameters
    ----------
    feature : (n_nodes,)
        Negative at leaves.
    threshold : (n_nodes,)
        Values up to it go left.
    left, right : (n_nodes,)
    missing_left : (n_nodes,)
        Whether a missing value goes left.
    value : (n_nodes,)
        Read at leaves only.
    category_sets : mapping of int to CategorySet
        By node, of those that list categories.
    """

    feature: NDArray[Any]
    threshold: NDArray[Any]
    left: NDArray[Any]
    right: NDArray[Any]
    missing_left: NDArray[Any]
    value: NDArray[Any]
    category_sets: Mapping[int, CategorySet] = field(default_factory=dict)


def flat_nodes(
    trees: Sequence[Tree], *, scale: float, is_float32: bool, lowest_code: float
) -> tuple[NDArray[Any], IntArray, int, CategorySets]:
    """Return nodes (n_nodes,), roots (n_trees,), the depth of the deepest tree, and the sets of nodes on categories.

    Parameters
    ----------
    trees : sequence of Tree
    scale : float
        What the values of leaves are multiplied by.
    is_float32 : bool
        Whether rows are rounded to single precision before they are compared.
    lowest_code : float
        The smallest number that is taken for the first code of a category.
    """
    sizes = np.array([tree.feature.size for tree in trees], np.intp)
    roots = np.append(0, np.cumsum(sizes))[:-1].astype(np.intp)
    offset = np.repeat(roots, sizes)

    def joined(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(tree, name) for tree in trees])

    feature, threshold = joined("feature").astype(np.intp), joined("threshold").astype(np.float64)
    if is_float32:
        threshold = at_most_float32(threshold)
    is_leaf = feature < 0
    split = np.where(is_leaf, LEAF, 2 * feature + joined("missing_left").astype(np.int32)).astype(np.int32)
    number = np.where(is_leaf, float(scale) * joined("value").astype(np.float64), threshold)
    sets = {
        int(root) + i: tree.category_sets[i]
        for root, tree in zip(roots, trees, strict=True)
        for i in tree.category_sets
    }
    listing = np.fromiter(sets, np.intp, len(sets))
    categories, number[listing] = CategorySets.of(feature[listing], list(sets.values()), lowest=lowest_code)
    split[listing] = CATEGORY - 2 * feature[listing]
    left, right = joined("left").astype(np.intp) + offset, joined("right").astype(np.intp) + offset
    nodes = np.empty(feature.size, NODE)
    depth, n_nodes = depth_first(split, left, right, number, roots, nodes)
    return nodes[:n_nodes], roots, depth, categories


def features_of(nodes: NDArray[Any]) -> NDArray[Any]:
    """Return the feature that each node asks about, negative of leaves and cuts: (n_nodes,)."""
    split = nodes["split"]
    return np.where(split <= CATEGORY, CATEGORY - split, split) >> 1
