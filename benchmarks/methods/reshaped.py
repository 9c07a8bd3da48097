r"""Prediction rule reshaping [1]_: the leaf values of a fitted ensemble are moved until each of its trees is monotone.

Both estimators keep every split and look at each tree by itself. *Each tree on its own* is the exact one: isotonic regression of
the leaf values in the order of the leaves' regions, here weighted by the training rows that reach them. *Over-constrained* asks
more and is cheaper: at each split on a constrained feature no leaf below the one side may be larger than any leaf below the
other, whether their regions face each other or not. The nearest such values of a split are

.. math:: \min(v_a, \lambda) \text{ on the low side},\quad \max(v_b, \lambda) \text{ on the high side},\qquad
          \sum_a (v_a - \lambda)_+ = \sum_b (\lambda - v_b)_+,

and splits are treated from the bottom up: clipping is monotone, so what is below stays in order. Leaves count alike, as in the
authors' program. The paper is about forests; trees of boosting are reshaped in the same way, in the unit of their sum. Neither
needs labels, neither knows of special codes and ranges.

References
----------
.. [1] Bonakdarpour, M., Chatterjee, S., Barber, R. F. and Lafferty, J. (2018). Prediction rule reshaping. ICML. arXiv:1805.06439
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from alignconf.kernels.leaf_fit import isotonic_leaves
from alignconf.kernels.tree_walk import LEAF
from alignconf.lines.ensemble import Ensemble
from alignconf.lines.native_leaves import leaf_values_of, readable_trees, with_leaves
from alignconf.projectors.leaves.joint_fit import leaves_of
from alignconf.projectors.leaves.partial_order import LeafOrder

__all__ = ["over_constrained", "reshape", "separated"]

#: Sweeps of the isotonic regression of a single tree: more change nothing that is seen here.
N_SWEEPS = 1000


def reshape(model: Any, X: pd.DataFrame, signs: Mapping[str, int]) -> Any:
    """Return a copy of a fitted model with the leaves of each tree in order, nearest in the training rows ``X``."""
    ensemble = readable_trees(model)
    order = LeafOrder.of(ensemble, _directions(X, signs))
    reached = leaves_of(ensemble, X.to_numpy(dtype=float))
    mass = np.maximum(np.bincount(reached.ravel(), minlength=order.group.size), 1).astype(float)
    of_groups = np.bincount(order.group, mass, order.n_groups).astype(float)
    fitted = isotonic_leaves(order.edges, order.of_groups(order.values, mass), of_groups, N_SWEEPS)
    return with_leaves(model, order.in_order(fitted))


def over_constrained(model: Any, X: pd.DataFrame, signs: Mapping[str, int]) -> Any:
    """Return a copy of a fitted model whose constrained splits each have all leaves of one side below those of the other."""
    ensemble = readable_trees(model)
    values = leaf_values_of(ensemble).copy()
    number = np.cumsum(ensemble.nodes["split"] == LEAF) - 1
    of_column = _directions(X, signs)
    for root, stop in zip(ensemble.roots, np.append(ensemble.roots[1:], ensemble.nodes.size), strict=True):
        _order_tree(ensemble, int(root), int(stop), of_column, values, number)
    return with_leaves(model, values)


def separated(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the values nearest to two sets, in squares, of which none of the first is larger than any of the second."""
    if low.max() <= high.min():
        return low, high
    places = np.sort(np.concatenate([low, high]))
    excess = _shortfalls(high, places) - _shortfalls(-low, -places[::-1])[::-1]
    below = places[max(0, int(np.searchsorted(excess, 0, side="right")) - 1)]
    above, under = low[low > below], high[high <= below]
    level = np.concatenate([above, under]).mean() if above.size + under.size else below
    return np.minimum(low, level), np.maximum(high, level)


def _shortfalls(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return by how much values are below sorted places, summed over values, (n_places,)."""
    ordered = np.sort(values)
    n_below = np.searchsorted(ordered, places, side="right")
    sums: np.ndarray = n_below * places - np.append(0.0, np.cumsum(ordered))[n_below]
    return sums


def _directions(X: pd.DataFrame, signs: Mapping[str, int]) -> dict[int, int]:
    columns = list(X.columns)
    return {columns.index(name): sign for name, sign in signs.items()}


def _order_tree(
    ensemble: Ensemble, root: int, stop: int, directions: Mapping[int, int], values: np.ndarray, number: np.ndarray
) -> None:
    """Put the leaves of one tree in order, in place; ``number`` counts the leaves up to each node."""
    split, right = ensemble.nodes["split"], ensemble.nodes["right"]
    last = np.arange(root, stop) + 1  # one past the subtree of each node
    for node in range(stop - 1, root - 1, -1):
        if split[node] == LEAF:
            continue
        second = int(right[node])
        last[node - root] = last[second - root]
        sign = directions.get(int(split[node]) >> 1, 0)
        if not sign:
            continue
        start, middle, end = number[node] + 1, number[second - 1] + 1, number[last[second - root] - 1] + 1
        first, other = slice(start, middle), slice(middle, end)
        low, high = (first, other) if sign > 0 else (other, first)
        values[low], values[high] = separated(values[low], values[high])
