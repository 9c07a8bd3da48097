r"""The last half-width at which a query rejects an ensemble whose leaves move towards other values, exactly.

With leaf values :math:`v` and :math:`v'` and :math:`d = v' - v`, the sum at half-width :math:`\lambda` is
:math:`\sum_t v_t + \mathrm{clip}(d_t, -\lambda, \lambda)`. A demand :math:`\sum_k a_k m(x_k) \le 0` therefore has an excess that
is linear between neighbouring :math:`|d|` of the leaves that its points reach; leaves that two points of opposite coefficients
share cancel. Its last rejection is found by walking down from infinity: the first piece at whose lower end the excess is
positive holds it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import FloatArray, IntArray
from alignconf.kernels.compiled import compiled

__all__ = ["last_rejections"]


@compiled
def last_rejections(
    leaves: NDArray[np.int32],
    points: IntArray,
    arguments: IntArray,
    coefficients: FloatArray,
    values: tuple[FloatArray, FloatArray],
    negligible: float,
) -> FloatArray:
    """Return the last half-width at which any demand of each query fails, (n_samples, n_queries); infinite if it always does.

    Parameters
    ----------
    leaves : (n_sites, n_trees)
        Leaves that sites reach.
    points : (n_samples, n_queries, n_points)
        Which site each point is.
    arguments : (n_demands, n_arguments)
        Which points each demand is about.
    coefficients : (n_samples, n_queries, n_demands, n_arguments)
    values : two of (n_leaves,)
        ``v`` and ``v'``.
    negligible : float
        An excess up to this is rounding.
    """
    n_samples, n_queries, n_demands, n_arguments = coefficients.shape
    scores = np.zeros((n_samples, n_queries))
    n_most = n_arguments * leaves.shape[1]
    sizes, slopes = np.empty(n_most), np.empty(n_most)
    for i in range(n_samples):
        for q in range(n_queries):
            for demand in range(n_demands):
                sites = points[i, q][arguments[demand]]
                a = coefficients[i, q, demand]
                scores[i, q] = max(scores[i, q], _last_rejection(leaves, sites, a, values, negligible, sizes, slopes))
    return scores


@compiled
def _last_rejection(
    leaves: NDArray[np.int32],
    sites: IntArray,
    a: FloatArray,
    values: tuple[FloatArray, FloatArray],
    negligible: float,
    sizes: FloatArray,
    slopes: FloatArray,
) -> float:
    """Return the last half-width at which the demand fails; ``sizes`` and ``slopes`` are memory for all of its leaves."""
    before, after = values
    is_pair = a.size == 2 and a[0] == -a[1]
    n_leaves, excess = 0, 0.0
    for t in range(leaves.shape[1]):
        if is_pair and leaves[sites[0], t] == leaves[sites[1], t]:
            continue
        for k in range(a.size):
            leaf = leaves[sites[k], t]
            excess += a[k] * after[leaf]
            d = after[leaf] - before[leaf]
            if d != 0.0 and a[k] != 0.0:
                sizes[n_leaves] = abs(d)
                slopes[n_leaves] = a[k] if d > 0.0 else -a[k]
                n_leaves += 1
    if excess > negligible:
        return np.inf
    order = np.argsort(sizes[:n_leaves])
    slope, end = 0.0, 0.0
    for j in range(n_leaves - 1, -1, -1):
        end = sizes[order[j]]
        slope += slopes[order[j]]
        start = sizes[order[j - 1]] if j else 0.0
        at_start = excess - slope * (end - start)
        if at_start > negligible:
            # The excess falls from the start of the piece to its end, where it is none; rounding of the root stays inside.
            return float(min(end, start + (end - start) * min(1.0, at_start / (at_start - excess))))
        excess = at_start
    return 0.0
