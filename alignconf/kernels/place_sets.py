"""Trees whose nodes send any set of places left, as trees whose nodes send the first places left.

As a row moves through its places, a node that asks about a column that moves sends some of the places left. If these are the
first so many, the node is a cut among the places, which walks know. Any other set is a chain of cuts: at the first place that
goes another way than the lowest, the range is cut; below is the child, above is the same node again for the rest of the range.
Within a range nothing is visited that no place of the range reaches. Cost: the nodes, each at most once for each run of places.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import BoolArray, IntArray
from alignconf.kernels.compiled import compiled
from alignconf.kernels.tree_walk import LEAF

__all__ = ["cut_by_places"]


def cut_by_places(
    nodes: NDArray[Any], roots: IntArray, sets: BoolArray, moves: BoolArray, mark: int
) -> tuple[NDArray[Any], IntArray, int]:
    """Return nodes, roots and depth of trees in which cuts among the places stand for nodes on columns that move.

    Parameters
    ----------
    nodes : (n_nodes,) records of :data:`alignconf.kernels.tree_walk.NODE`
        In depth-first order.
    roots : (n_trees,)
    sets : (n_nodes, n_places)
        Which places go left at each node on a column that moves.
    moves : (n_nodes,)
        Which nodes are on such a column.
    mark : int
        The ``split`` of a cut.
    """
    room = 2 * nodes.size
    while True:
        cut, new_roots = np.empty(room, nodes.dtype), np.empty_like(roots)
        n_nodes, depth = _fill(nodes, roots, sets, moves, mark, cut, new_roots)
        if n_nodes <= room:
            return cut[:n_nodes].copy(), new_roots, depth
        room = n_nodes


@compiled
def _fill(
    nodes: NDArray[Any],
    roots: IntArray,
    sets: BoolArray,
    moves: BoolArray,
    mark: int,
    cut: NDArray[Any],
    new_roots: IntArray,
) -> tuple[int, int]:
    """Fill ``cut`` and ``new_roots`` as far as there is room; return how many nodes there are, and the depth."""
    n_places, n_nodes, deepest = sets.shape[1], 0, 0
    stack = np.empty((nodes.size + n_places + 2, 5), np.int64)
    for tree in range(roots.size):
        new_roots[tree], top = n_nodes, 0
        stack[0, 0], stack[0, 1], stack[0, 2], stack[0, 3], stack[0, 4] = roots[tree], 0, n_places, -1, 0
        while top >= 0:
            i, low, high, parent, depth = stack[top, 0], stack[top, 1], stack[top, 2], stack[top, 3], stack[top, 4]
            top -= 1
            end = high
            while moves[i]:
                goes_left = sets[i]
                end = low + 1
                while end < high and goes_left[end] == goes_left[low]:
                    end += 1
                if end < high:
                    break
                i = i + 1 if goes_left[low] else nodes[i]["right"]
            if 0 <= parent < cut.size:
                cut[parent]["right"] = n_nodes
            has_room, is_cut = n_nodes < cut.size, moves[i]
            if has_room:
                cut[n_nodes]["split"] = mark if is_cut else nodes[i]["split"]
                cut[n_nodes]["right"] = 0
                cut[n_nodes]["number"] = float(end) if is_cut else nodes[i]["number"]
            deepest = max(deepest, depth)
            if is_cut or nodes[i]["split"] != LEAF:
                if 2 * (top + 3) > stack.shape[0]:
                    longer = np.empty((2 * stack.shape[0], 5), np.int64)
                    longer[: top + 1] = stack[: top + 1]
                    stack = longer
                left = i + 1
                right = i if is_cut else nodes[i]["right"]
                if is_cut and not sets[i][low]:
                    left = nodes[i]["right"]
                top += 1
                stack[top, 0], stack[top, 1], stack[top, 2] = right, end if is_cut else low, high
                stack[top, 3], stack[top, 4] = n_nodes, depth + 1
                top += 1
                stack[top, 0], stack[top, 1], stack[top, 2] = left, low, end if is_cut else high
                stack[top, 3], stack[top, 4] = -1, depth + 1
            n_nodes += 1
    return n_nodes, deepest
