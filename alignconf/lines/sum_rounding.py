r"""How far sums of leaves may be rounded: bounds that base and leaves fix, whatever the row.

A sum of terms one after the other errs by at most :math:`u \sum_k |s_k|`, with the partial sums :math:`s_k` and the unit
roundoff ``u``; a partial sum lies between those of the smallest and of the largest leaves.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import FloatArray, IntArray
from alignconf.kernels.tree_walk import LEAF
from alignconf.lines.stored_trees import features_of

__all__ = ["UNIT", "UNIT_SINGLE", "largest_sum", "sum_error"]

#: Unit roundoffs of double and of single precision.
UNIT, UNIT_SINGLE = 2.0**-53, 2.0**-24


def largest_sum(nodes: NDArray[Any], roots: IntArray, base: float) -> float:
    """Return a bound on the size of sums of a base and one leaf of each tree."""
    leaves, starts = _leaves(nodes, roots)
    return abs(base) + float(np.maximum.reduceat(np.abs(leaves), starts).sum())


def sum_error(nodes: NDArray[Any], roots: IntArray, base: float, *, is_single: bool, n_cuts: int) -> float:
    """Return a bound on the distance of sums of leaves, a model's own or a walk's, from exact sums.

    A walk adds at most two terms for each tree and for each split on the feature, or each of ``n_cuts``, none of whose sums
    exceeds twice the largest leaves together.
    """
    leaves, starts = _leaves(nodes, roots)
    low = base + np.cumsum(np.minimum.reduceat(leaves, starts))
    high = base + np.cumsum(np.maximum.reduceat(leaves, starts))
    partial = np.maximum(np.abs(low), np.abs(high))
    # The last sum once more, for a division.
    sums = abs(base) + float(partial.sum()) + float(partial[-1])
    n_splits = max(n_cuts, int(np.bincount(features_of(nodes[nodes["split"] != LEAF]), minlength=1).max()))
    walk = 2 * UNIT * (roots.size + n_splits) * 2 * largest_sum(nodes, roots, base)
    return (UNIT_SINGLE if is_single else UNIT) * sums + walk


def _leaves(nodes: NDArray[Any], roots: IntArray) -> tuple[FloatArray, IntArray]:
    """Return the values of all leaves, and where those of each tree start."""
    is_leaf = nodes["split"] == LEAF
    return nodes["number"][is_leaf], np.append(0, np.cumsum(is_leaf))[roots]
