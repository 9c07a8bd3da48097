"""Grids of tree ensembles over two features, exactly, by one walk of each tree."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import FloatArray
from alignconf.kernels.compiled import compiled
from alignconf.kernels.tree_walk import ALONG, CATEGORY, LEAF, Forest, ListArray, double_row, follow_link, goes_left

__all__ = ["walk_grids"]


@compiled
def walk_grids(forest: Forest, rows: FloatArray, grids: FloatArray) -> None:
    """Fill ``grids``, (n_rows, n_places_1, n_places_2), with the values of each row as two features vary."""
    nodes, roots, depth, base, divisor, link, _, _, bits = forest
    n_rows, n_first, n_second = grids.shape
    stack, doubled = np.empty((depth + 1, 5), np.int32), np.empty(2 * rows.shape[1])
    steps = np.empty((n_first + 1, n_second + 1))
    for i in range(n_rows):
        steps[:] = 0.0
        double_row(rows[i], doubled)
        for tree in range(roots.size):
            _add_corners(nodes, bits, roots[tree], doubled, steps, stack)
        for a in range(n_first):
            total = 0.0
            for b in range(n_second):
                total += steps[a, b]
                grids[i, a, b] = total + (grids[i, a - 1, b] if a > 0 else 0.0)
        for a in range(n_first):
            for b in range(n_second):
                grids[i, a, b] = (base + grids[i, a, b]) / divisor
            follow_link(grids[i, a], link)


@compiled
def _add_corners(
    nodes: NDArray[Any], bits: NDArray[np.uint8], root: int, row: FloatArray, steps: FloatArray, stack: ListArray
) -> None:
    """Add a tree to the mixed differences of a doubled row's grid, (n_places_1 + 1, n_places_2 + 1): each leaf at its corners."""
    i, top = root, 0
    low_1, high_1, low_2, high_2 = 0, steps.shape[0] - 1, 0, steps.shape[1] - 1
    while True:
        split, number = nodes[i]["split"], nodes[i]["number"]
        if split >= 0:
            i = i + 1 if row[split] <= number else nodes[i]["right"]
        elif split == LEAF:
            steps[low_1, low_2] += number
            steps[high_1, low_2] -= number
            steps[low_1, high_2] -= number
            steps[high_1, high_2] += number
            if top == 0:
                return
            top -= 1
            i, low_1, high_1, low_2, high_2 = stack[top, 0], stack[top, 1], stack[top, 2], stack[top, 3], stack[top, 4]
        elif split <= CATEGORY:
            i = i + 1 if goes_left(bits, number, row[CATEGORY - split]) else nodes[i]["right"]
        else:
            cut, right = int(number), nodes[i]["right"]
            low, high = (low_1, high_1) if split == ALONG else (low_2, high_2)
            if low < cut < high:
                stack[top, 0], stack[top, 1], stack[top, 2], stack[top, 3], stack[top, 4] = (
                    right,
                    low_1,
                    high_1,
                    low_2,
                    high_2,
                )
                if split == ALONG:
                    stack[top, 1] = high_1 = cut
                else:
                    stack[top, 3] = high_2 = cut
                top += 1
            i = i + 1 if cut > low else right
