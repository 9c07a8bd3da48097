r"""Least squares over the leaf values of all trees, in the order of their leaves.

The minimum over values :math:`v` of

.. math:: \sum_i w_i \big(z_i - \sum_t v_{t, \ell_t(x_i)}\big)^2 + \rho \sum_\ell (v_\ell - v^0_\ell)^2
          \quad \text{subject to} \quad v_a \le v_b \text{ on every edge}, \qquad l_t \le v \le u_t,

is sought tree by tree. With all other trees fixed it is a weighted isotonic regression of the leaf means of what these leave
over, on the partial order of the leaves: Hildreth's dual ascent [1]_, edge by edge, which goes on from the multipliers of the
pass before, and clipping to the tree's range, which of an isotonic regression is the exact minimum under bounds. A step along the
line towards it never raises the objective. :func:`in_order` makes any values obey every edge exactly.

References
----------
.. [1] Hildreth, C. (1957). A quadratic programming procedure. Naval Research Logistics Quarterly 4(1), 79-85.
   doi:10.1002/nav.3800040113
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import FloatArray, IntArray
from alignconf.kernels.compiled import compiled

__all__ = ["Edges", "fit_leaves", "in_order", "isotonic_leaves"]

#: Of each tree, the first group and the first edge, with the end after the last tree, (n_trees + 1,); of each edge, the groups,
#: (n_edges,), so that lower groups come first in topological order.
Edges: TypeAlias = tuple[IntArray, IntArray, IntArray, IntArray]

#: Sweeps over the edges of a tree: at the start, and in each pass.
SWEEPS_FIRST, SWEEPS = 200, 10

#: A dual step that moves no value by more than this share of the largest ends the sweeps.
STILL = 1e-9


@compiled
def fit_leaves(
    edges: Edges,
    groups: NDArray[np.int32],
    targets: FloatArray,
    weights: FloatArray,
    start: FloatArray,
    ridge: FloatArray,
    bounds: tuple[FloatArray, FloatArray],
    n_passes: int,
) -> FloatArray:
    """Return the fitted values of groups of leaves, (n_groups,); each tree's are nearly in order.

    Parameters
    ----------
    edges : Edges
    groups : (n_trees, n_rows)
        Which group each row reaches.
    targets, weights : (n_rows,)
        What the values of a row's groups should add up to, and what the row counts.
    start : (n_groups,)
        The values of the model, to which the ridge pulls.
    ridge : (n_groups,)
        Pseudo-rows that say so.
    bounds : two of (n_trees,)
    n_passes : int
    """
    group_starts = edges[0]
    n_trees, n_rows = groups.shape
    values, multipliers = start.copy(), np.zeros(edges[2].size)
    mass, below, above = ridge.copy(), np.empty(start.size), np.empty(start.size)
    for t in range(n_trees):
        for i in range(n_rows):
            mass[groups[t, i]] += weights[i]
    for t in range(n_trees):
        _isotonic(edges, t, start, mass, values, multipliers, SWEEPS_FIRST)
        _put_in_order(edges, t, values, below, above)
        _clip(values, group_starts[t], group_starts[t + 1], bounds[0][t], bounds[1][t])
    rest = targets.copy()
    for t in range(n_trees):
        for i in range(n_rows):
            rest[i] -= values[groups[t, i]]
    mean, fitted = np.empty(start.size), np.empty(start.size)
    for _ in range(n_passes):
        for t in range(n_trees):
            first, stop = group_starts[t], group_starts[t + 1]
            for g in range(first, stop):
                mean[g] = ridge[g] * start[g]
            for i in range(n_rows):
                g = groups[t, i]
                mean[g] += weights[i] * (rest[i] + values[g])
            for g in range(first, stop):
                mean[g] /= mass[g]
                fitted[g] = mean[g]
            _isotonic(edges, t, mean, mass, fitted, multipliers, SWEEPS)
            _put_in_order(edges, t, fitted, below, above)
            _clip(fitted, first, stop, bounds[0][t], bounds[1][t])
            slope, curvature = 0.0, 0.0
            for g in range(first, stop):
                step = fitted[g] - values[g]
                slope += mass[g] * (mean[g] - values[g]) * step
                curvature += mass[g] * step * step
            if slope <= 0.0:
                continue
            share = min(1.0, slope / curvature)
            for g in range(first, stop):
                fitted[g] = share * (fitted[g] - values[g])
                values[g] += fitted[g]
            for i in range(n_rows):
                rest[i] -= fitted[groups[t, i]]
    return values


@compiled
def isotonic_leaves(edges: Edges, means: FloatArray, mass: FloatArray, n_sweeps: int) -> FloatArray:
    """Return the weighted isotonic regression of the means of groups, (n_groups,), each tree by itself, nearly in order."""
    values, multipliers = means.copy(), np.zeros(edges[2].size)
    for t in range(edges[0].size - 1):
        _isotonic(edges, t, means, mass, values, multipliers, n_sweeps)
    return values


@compiled
def in_order(edges: Edges, values: FloatArray) -> FloatArray:
    """Return values midway between the largest of all lower groups and the smallest of all upper ones: in order exactly.

    Both envelopes are in order, and so is their mean in floating point, because rounding is monotone; values that are in
    order already are their own envelopes, and stay as they are.
    """
    ordered, below, above = values.copy(), np.empty(values.size), np.empty(values.size)
    for t in range(edges[0].size - 1):
        _put_in_order(edges, t, ordered, below, above)
    return ordered


@compiled
def _put_in_order(edges: Edges, t: int, values: FloatArray, below: FloatArray, above: FloatArray) -> None:
    """Put a tree's values in order, as :func:`in_order` does; ``below`` and ``above`` are memory for both envelopes."""
    group_starts, edge_starts, lower, upper = edges
    for g in range(group_starts[t], group_starts[t + 1]):
        below[g] = above[g] = values[g]
    # Edges are sorted by their lower group, descending.
    for e in range(edge_starts[t], edge_starts[t + 1]):
        above[lower[e]] = min(above[lower[e]], above[upper[e]])
    for e in range(edge_starts[t + 1] - 1, edge_starts[t] - 1, -1):
        below[upper[e]] = max(below[upper[e]], below[lower[e]])
    for g in range(group_starts[t], group_starts[t + 1]):
        values[g] = (below[g] + above[g]) / 2


@compiled
def _isotonic(
    edges: Edges,
    t: int,
    mean: FloatArray,
    mass: FloatArray,
    values: FloatArray,
    multipliers: FloatArray,
    n_sweeps: int,
) -> None:
    """Fill a tree's ``values`` with the isotonic regression of ``mean``, by dual ascent from its ``multipliers``."""
    group_starts, edge_starts, lower, upper = edges
    size = 0.0
    for g in range(group_starts[t], group_starts[t + 1]):
        values[g] = mean[g]
        size = max(size, abs(mean[g]))
    for e in range(edge_starts[t], edge_starts[t + 1]):
        values[lower[e]] -= multipliers[e] / mass[lower[e]]
        values[upper[e]] += multipliers[e] / mass[upper[e]]
    n_edges = edge_starts[t + 1] - edge_starts[t]
    for sweep in range(n_sweeps):
        largest = 0.0
        for k in range(n_edges):
            e = edge_starts[t] + (k if sweep % 2 == 0 else n_edges - 1 - k)
            a, b = lower[e], upper[e]
            excess = (values[a] - values[b]) / (1.0 / mass[a] + 1.0 / mass[b])
            change = max(excess, -multipliers[e])
            if change == 0.0:
                continue
            multipliers[e] += change
            values[a] -= change / mass[a]
            values[b] += change / mass[b]
            largest = max(largest, abs(change) * (1.0 / mass[a] + 1.0 / mass[b]))
        if largest <= STILL * size:
            return


@compiled
def _clip(values: FloatArray, first: int, stop: int, low: float, high: float) -> None:
    for g in range(first, stop):
        values[g] = min(max(values[g], low), high)
