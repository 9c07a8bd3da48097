"""The order of leaves, shared by all that read and write them.

An :class:`~alignconf.lines.ensemble.Ensemble` holds trees one after the other, each in depth-first order with the left side
first. Libraries store nodes in orders of their own (as they were grown, level by level, splits and leaves apart). The same walk
that reads a tree numbers its nodes here, so the two orders cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import FloatArray, IntArray
from alignconf.kernels.depth_first import depth_first
from alignconf.kernels.tree_walk import LEAF, NODE

__all__ = ["Change", "StoredTree", "changed_leaves"]

#: From the values of all leaves as the library stores them, (n_leaves,) in the order of ensembles, to new ones.
Change = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True)
class StoredTree:
    """One tree in its library's own order of nodes; the root is node 0.

    Parameters
    ----------
    is_leaf : (n_nodes,)
    left, right : (n_nodes,)
        Children; of leaves not read.
    value : (n_nodes,)
        Values as the library stores them; of leaves only.
    """

    is_leaf: NDArray[np.bool_]
    left: NDArray[Any]
    right: NDArray[Any]
    value: NDArray[Any]


def changed_leaves(trees: Sequence[StoredTree], change: Change) -> list[FloatArray]:
    """Return the values of each tree's nodes, (n_nodes,), with those of leaves changed and all others as they are."""
    value = np.concatenate([tree.value for tree in trees]).astype(np.float64)
    leaves = _leaf_positions(trees)
    value[leaves] = change(value[leaves])
    return np.split(value, np.cumsum([tree.value.size for tree in trees])[:-1])


def _leaf_positions(trees: Sequence[StoredTree]) -> IntArray:
    """Return where the leaves are among the nodes of all trees, (n_leaves,), in the order of ensembles."""
    sizes = np.array([tree.is_leaf.size for tree in trees], np.intp)
    roots = np.append(0, np.cumsum(sizes))[:-1].astype(np.intp)
    offset = np.repeat(roots, sizes)
    split = np.where(np.concatenate([tree.is_leaf for tree in trees]), LEAF, 0).astype(np.int32)
    left, right = (
        np.concatenate([getattr(tree, side) for tree in trees]).astype(np.intp) + offset for side in ("left", "right")
    )
    nodes = np.empty(split.size, NODE)
    _, n_nodes = depth_first(split, left, right, np.arange(split.size, dtype=np.float64), roots, nodes)
    # Nodes that no path reaches, such as pruned ones, are no leaves.
    nodes = nodes[:n_nodes]
    positions: IntArray = nodes["number"][nodes["split"] == LEAF].astype(np.intp)
    return positions
