"""Which leaves rows reach, and sums over them of what each leaf says."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import FloatArray, IntArray
from alignconf.kernels.compiled import compiled
from alignconf.kernels.tree_walk import N_BLOCK, Forest, double_row

__all__ = ["add_leaves", "find_leaves"]


@compiled
def find_leaves(forest: Forest, rows: FloatArray, order: IntArray, leaves: NDArray[np.int32]) -> None:
    """Fill ``leaves``, (n_rows, n_trees), with the values, whole numbers, of the leaves that rows reach, taken in some order."""
    nodes, roots, next_one = forest[0], forest[1], np.uintp(1)
    n_rows, n_block = rows.shape[0], max(1, min(N_BLOCK, rows.shape[0]))
    doubled = np.empty((n_block, 2 * rows.shape[1]))
    for start in range(0, n_rows, n_block):
        members = order[start : start + n_block]
        for m in range(members.size):
            double_row(rows[members[m]], doubled[m])
        for tree in range(roots.size):
            root = np.uintp(roots[tree])
            for m in range(members.size):
                row, i = doubled[m], root
                split = nodes[i]["split"]
                while split >= 0:
                    i = i + next_one if row[np.uintp(split)] <= nodes[i]["number"] else np.uintp(nodes[i]["right"])
                    split = nodes[i]["split"]
                leaves[members[m], tree] = int(nodes[i]["number"])


@compiled
def add_leaves(
    leaves: NDArray[np.int32],
    start: NDArray[np.int32],
    knot: NDArray[np.int32],
    mass: FloatArray,
    everywhere: FloatArray,
    weights: FloatArray,
) -> None:
    """Fill ``weights``, (n_rows, n_knots), with the sum over trees of the masses that each row's leaves put on knots.

    Leaf ``l`` puts ``mass[e]`` on ``knot[e]`` for ``start[l] <= e < start[l + 1]``; ``everywhere``, (n_knots,), is added.
    """
    for i in range(leaves.shape[0]):
        row = weights[i]
        row[:] = everywhere
        for tree in range(leaves.shape[1]):
            leaf = np.uintp(leaves[i, tree])
            for e in range(start[leaf], start[leaf + np.uintp(1)]):
                row[np.uintp(knot[np.uintp(e)])] += mass[np.uintp(e)]
