"""Trees in depth-first order, in which a left child follows its parent."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import FloatArray, IntArray
from alignconf.kernels.compiled import compiled
from alignconf.kernels.tree_walk import LEAF

__all__ = ["depth_first"]


@compiled
def depth_first(
    split: NDArray[np.int32], left: IntArray, right: IntArray, number: FloatArray, roots: IntArray, nodes: NDArray[Any]
) -> tuple[int, int]:
    """Fill ``nodes`` with trees in depth-first order and move ``roots`` along.

    Return the depth of the deepest tree, and how many nodes are filled: those that no path reaches are left out.
    """
    child, parent = np.empty(left.size + 1, np.intp), np.empty(left.size + 1, np.intp)
    level = np.empty(left.size + 1, np.intp)
    n_nodes, deepest = 0, 0
    for tree in range(roots.size):
        top, child[0], parent[0], level[0] = 0, roots[tree], -1, 0
        roots[tree] = n_nodes
        while top >= 0:
            i, depth, above = child[top], level[top], parent[top]
            top -= 1
            if above >= 0:
                nodes[above]["right"] = n_nodes
            nodes[n_nodes]["split"] = split[i]
            nodes[n_nodes]["right"] = 0
            nodes[n_nodes]["number"] = number[i]
            deepest = max(deepest, depth)
            if split[i] != LEAF:
                child[top + 1], parent[top + 1], level[top + 1] = right[i], n_nodes, depth + 1
                child[top + 2], parent[top + 2], level[top + 2] = left[i], -1, depth + 1
                top += 2
            n_nodes += 1
    return deepest, n_nodes
