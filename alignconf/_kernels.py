"""Projections of many lines at once, compiled.

A *line* is the values of a function at ``n_knots`` increasing positions; an array of lines has shape
(n_lines, n_knots). Every kernel reads one array of lines and returns a new one; on a line that needs no change the
result is the input, bit for bit. Each runs on one thread and releases the interpreter lock, so that callers can spread
blocks of lines over threads.

References
----------
.. [1] Busing, F. M. T. A. (2022). Monotone regression: a simple and fast O(n) PAVA implementation. Journal of
   Statistical Software, Code Snippets 102(1). doi:10.18637/jss.v102.c01
"""

from __future__ import annotations

import numpy as np
from numba import njit

from alignconf._typing import FloatArray

__all__ = ["isotonic_least_squares", "isotonic_midpoint"]


@njit(cache=True, nogil=True, error_model="numpy")
def isotonic_least_squares(lines: FloatArray, weights: FloatArray) -> FloatArray:
    """Weighted least-squares projection of each line onto the non-decreasing lines.

    Row by row ``argmin_g sum_k weights[k] (g[k] - lines[i, k])^2`` subject to ``g[0] <= g[1] <= ...``, by pooling
    adjacent violators: blocks are kept on a stack; a new value that lies below the last block is pooled with it, then
    with all following values that lie below the pooled mean, until order holds again. O(n_knots) per line.

    Parameters
    ----------
    lines : (n_lines, n_knots)
    weights : (n_knots,), positive

    Returns
    -------
    (n_lines, n_knots), exactly non-decreasing along the last axis
    """
    n_lines, n_knots = lines.shape
    projected = np.empty_like(lines)
    mean = np.empty(n_knots)
    mass = np.empty(n_knots)
    first = np.empty(n_knots, np.intp)
    for i in range(n_lines):
        line = lines[i]
        result = projected[i]
        top = -1
        k = 0
        while k < n_knots:
            value, weight, start = line[k], weights[k], k
            k += 1
            top += 1
            if top > 0 and mean[top - 1] > value:
                total = value * weight
                while True:
                    while top > 0 and mean[top - 1] > value:
                        top -= 1
                        total += mean[top] * mass[top]
                        weight += mass[top]
                        value = total / weight
                        start = first[top]
                    if k == n_knots or line[k] >= value:
                        break
                    while k < n_knots and line[k] < value:
                        total += line[k] * weights[k]
                        weight += weights[k]
                        value = total / weight
                        k += 1
            mean[top], mass[top], first[top] = value, weight, start
        end = n_knots
        for block in range(top, -1, -1):
            for k in range(first[block], end):
                result[k] = mean[block]
            end = first[block]
    return projected


@njit(cache=True, nogil=True)
def isotonic_midpoint(lines: FloatArray) -> FloatArray:
    """The non-decreasing line nearest to each line in the largest deviation.

    ``g = (U + L) / 2`` with ``U[k] = max_{j <= k} line[j]`` and ``L[k] = min_{j >= k} line[j]``. Then
    ``max_k |g[k] - line[k]| = D / 2`` with ``D = max_{j < k} (line[j] - line[k])_+``, and no non-decreasing line is
    nearer: the pair that attains ``D`` forces a deviation of ``D / 2``. O(n_knots) per line.

    Parameters
    ----------
    lines : (n_lines, n_knots)

    Returns
    -------
    (n_lines, n_knots)
    """
    n_lines, n_knots = lines.shape
    projected = np.empty_like(lines)
    for i in range(n_lines):
        upper = -np.inf
        for k in range(n_knots):
            upper = max(upper, lines[i, k])
            projected[i, k] = upper
        lower = np.inf
        for k in range(n_knots - 1, -1, -1):
            value = lines[i, k]
            lower = min(lower, value)
            upper = projected[i, k]
            projected[i, k] = value if upper == lower else lower + (0.5 * upper - 0.5 * lower)
    return projected
