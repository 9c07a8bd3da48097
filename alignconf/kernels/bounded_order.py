"""Projection onto order within bounds, of many lines at once, compiled."""

from __future__ import annotations

import numpy as np

from alignconf._typing import FloatArray, IntArray
from alignconf.kernels.compiled import compiled
from alignconf.kernels.order import per_line

__all__ = ["bounded_isotonic_least_squares"]


def bounded_isotonic_least_squares(
    lines: FloatArray, weights: FloatArray, low: FloatArray, high: FloatArray
) -> FloatArray:
    """Return the weighted least-squares projection of each line onto the non-decreasing lines within bounds.

    Minimises ``sum_k weights[k] (g[k] - line[k])^2`` subject to ``g[0] <= g[1] <= ...`` and ``low[k] <= g[k] <= high[k]``.
    Adjacent violators are pooled as without bounds; a block is worth its mean, moved to the nearest value that all its bounds
    allow. As the costs of single knots are convex, infinite outside the bounds, pooling stays exact [1]_.

    Parameters
    ----------
    lines : (n_lines, n_knots)
    weights : (n_knots,) or (n_lines, n_knots), positive
    low, high : (n_knots,)
        Some non-decreasing line must lie within; infinite for no bound.

    Returns
    -------
    (n_lines, n_knots), exactly non-decreasing and within the bounds

    References
    ----------
    .. [1] Ahuja, R. K. and Orlin, J. B. (2001). A fast scaling algorithm for minimizing separable convex functions subject to
       chain constraints. Operations Research 49(5), 784-789. doi:10.1287/opre.49.5.784.10601
    """
    projected = np.empty(lines.shape)
    _pooled(np.ascontiguousarray(lines), per_line(weights), low, high, projected)
    return projected


@compiled
def _pooled(
    lines: FloatArray, weights_of: FloatArray, low: FloatArray, high: FloatArray, projected: FloatArray
) -> None:
    n_lines, n_knots = lines.shape
    stride = 1 if weights_of.shape[0] > 1 else 0
    value, mean, mass = np.empty(n_knots), np.empty(n_knots), np.empty(n_knots)
    lowest, highest = np.empty(n_knots), np.empty(n_knots)
    first: IntArray = np.empty(n_knots, np.intp)
    for i in range(n_lines):
        weights = weights_of[stride * i]
        top = -1
        for k in range(n_knots):
            top += 1
            mean[top], mass[top], first[top] = lines[i, k], weights[k], k
            lowest[top], highest[top] = low[k], high[k]
            value[top] = min(max(mean[top], lowest[top]), highest[top])
            while top > 0 and value[top - 1] > value[top]:
                both = mass[top - 1] + mass[top]
                mean[top - 1] += (mean[top] - mean[top - 1]) * (mass[top] / both)
                mass[top - 1] = both
                lowest[top - 1] = max(lowest[top - 1], lowest[top])
                highest[top - 1] = min(highest[top - 1], highest[top])
                top -= 1
                value[top] = min(max(mean[top], lowest[top]), highest[top])
        end = n_knots
        for block in range(top, -1, -1):
            projected[i, first[block] : end] = value[block]
            end = first[block]
