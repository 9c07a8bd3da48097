"""Projections onto concave lines, of many lines at once, compiled.

Lines are as in :mod:`alignconf.kernels.order`: (n_lines, n_knots) values at increasing knots; each function returns a new array
allocated by numpy, and a line that is concave already comes back bit for bit. The smallest concave line above is the upper
hull of the points; the nearest in least squares is a linear spline whose slope falls at each of its kinks.

References
----------
.. [1] Lawson, C. L. and Hanson, R. J. (1974). Solving Least Squares Problems, chapter 23. Prentice-Hall.
   doi:10.1137/1.9781611971217
"""

from __future__ import annotations

import numpy as np

from alignconf._typing import FloatArray, IntArray
from alignconf.kernels.compiled import compiled

__all__ = ["concave_least_squares", "concave_upper"]


def concave_upper(lines: FloatArray, knots: FloatArray) -> FloatArray:
    """Return the smallest concave lines above the given lines: the upper hulls of their points; O(n_knots) per line."""
    upper = np.empty_like(lines)
    _concave_upper(lines, knots, upper)
    return upper


@compiled
def _concave_upper(lines: FloatArray, knots: FloatArray, upper: FloatArray) -> None:
    n_lines, n_knots = lines.shape
    corner = np.empty(n_knots, np.intp)
    for i in range(n_lines):
        line = lines[i]
        top = -1
        for k in range(n_knots):
            while top >= 1:
                a, b = corner[top - 1], corner[top]
                if (line[b] - line[a]) * (knots[k] - knots[a]) > (line[k] - line[a]) * (knots[b] - knots[a]):
                    break
                top -= 1
            top += 1
            corner[top] = k
        for piece in range(top):
            a, b = corner[piece], corner[piece + 1]
            upper[i, a] = line[a]
            if b > a + 1:
                slope = (line[b] - line[a]) / (knots[b] - knots[a])
                for k in range(a + 1, b):
                    upper[i, k] = max(line[k], line[a] + slope * (knots[k] - knots[a]))
        upper[i, n_knots - 1] = line[n_knots - 1]


@compiled
def _fit_spline(
    line: FloatArray, knots: FloatArray, weights: FloatArray, node: IntArray, n_nodes: int, fit: FloatArray
) -> None:
    """Fill ``fit`` with the least-squares linear spline that may bend at the nodes: a tridiagonal system; O(n_knots)."""
    diagonal, beside, value = np.zeros(n_nodes), np.zeros(n_nodes), np.zeros(n_nodes)
    for s in range(n_nodes - 1):
        a, b = node[s], node[s + 1]
        for k in range(a, b + 1 if s == n_nodes - 2 else b):
            right = (knots[k] - knots[a]) / (knots[b] - knots[a])
            left = 1.0 - right
            diagonal[s] += weights[k] * left * left
            beside[s] += weights[k] * left * right
            diagonal[s + 1] += weights[k] * right * right
            value[s] += weights[k] * left * line[k]
            value[s + 1] += weights[k] * right * line[k]
    for s in range(1, n_nodes):
        ratio = beside[s - 1] / diagonal[s - 1]
        diagonal[s] -= ratio * beside[s - 1]
        value[s] -= ratio * value[s - 1]
    value[n_nodes - 1] /= diagonal[n_nodes - 1]
    for s in range(n_nodes - 2, -1, -1):
        value[s] = (value[s] - beside[s] * value[s + 1]) / diagonal[s]
    for s in range(n_nodes - 1):
        a, b = node[s], node[s + 1]
        slope = (value[s + 1] - value[s]) / (knots[b] - knots[a])
        for k in range(a, b):
            fit[k] = value[s] + slope * (knots[k] - knots[a])
    fit[node[n_nodes - 1]] = value[n_nodes - 1]


@compiled
def _is_concave(line: FloatArray, knots: FloatArray) -> bool:
    """Whether no point lies below the chord of its neighbours by more than rounding."""
    size = 0.0
    for k in range(line.size):
        size = max(size, abs(line[k]))
    for k in range(1, line.size - 1):
        share = (knots[k] - knots[k - 1]) / (knots[k + 1] - knots[k - 1])
        if (1 - share) * line[k - 1] + share * line[k + 1] - line[k] > 1e-15 * size:
            return False
    return True


def concave_least_squares(lines: FloatArray, knots: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the weighted least-squares projection of each line onto the concave lines.

    A concave line is a linear spline whose slope falls at each of its kinks. Kinks are added one at a time where the
    residual asks for a kink most, and dropped when their slope would rise, as in Lawson and Hanson's algorithm for
    non-negative least squares; each step is one tridiagonal system.

    Parameters
    ----------
    lines : (n_lines, n_knots)
    knots : (n_knots,), increasing
    weights : (n_knots,) or (n_lines, n_knots), positive

    Returns
    -------
    (n_lines, n_knots)
    """
    projected = np.empty_like(lines)
    _concave_least_squares(lines, knots, np.ascontiguousarray(np.atleast_2d(weights)), projected)
    return projected


@compiled
def _concave_least_squares(lines: FloatArray, knots: FloatArray, weights_of: FloatArray, projected: FloatArray) -> None:
    n_lines, n_knots = lines.shape
    stride = 1 if weights_of.shape[0] > 1 else 0
    node = np.empty(n_knots, np.intp)
    kink, wanted, trial = np.zeros(n_knots), np.zeros(n_knots), np.empty(n_knots)
    bends = np.zeros(n_knots, np.bool_)
    for i in range(n_lines):
        line, fit, weights = lines[i], projected[i], weights_of[stride * i]
        if _is_concave(line, knots):
            fit[:] = line
            continue
        bends[:] = False
        bends[0] = bends[n_knots - 1] = True
        kink[:] = 0.0
        node[0], node[1] = 0, n_knots - 1
        _fit_spline(line, knots, weights, node, 2, fit)
        size = 0.0
        for k in range(n_knots):
            size += weights[k] * abs(line[k] - fit[k])
        least_gain = 1e-12 * size * (knots[n_knots - 1] - knots[0])
        for _ in range(10 * n_knots):
            # The gain of bending at k is minus the sum over j > k of weight * residual * (knots[j] - knots[k]).
            residual, moment, best, new_kink = 0.0, 0.0, -least_gain, -1
            for k in range(n_knots - 2, 0, -1):
                residual += weights[k + 1] * (line[k + 1] - fit[k + 1])
                moment += residual * (knots[k + 1] - knots[k])
                if moment < best and not bends[k]:
                    best, new_kink = moment, k
            if new_kink < 0:
                break
            bends[new_kink] = True
            for _ in range(3 * n_knots):
                n_nodes = 0
                for k in range(n_knots):
                    if bends[k]:
                        node[n_nodes] = k
                        n_nodes += 1
                _fit_spline(line, knots, weights, node, n_nodes, trial)
                step, dropped = 1.0, -1
                for s in range(1, n_nodes - 1):
                    a, b, c = node[s - 1], node[s], node[s + 1]
                    before = (trial[b] - trial[a]) / (knots[b] - knots[a])
                    wanted[b] = before - (trial[c] - trial[b]) / (knots[c] - knots[b])
                    if wanted[b] <= 0:
                        ratio = kink[b] / (kink[b] - wanted[b]) if kink[b] > 0 else 0.0
                        if dropped < 0 or ratio < step:
                            step, dropped = ratio, b
                fit += step * (trial - fit) if dropped >= 0 else trial - fit
                for s in range(1, n_nodes - 1):
                    b = node[s]
                    kink[b] += step * (wanted[b] - kink[b])
                    if b == dropped or kink[b] <= 0:
                        kink[b], bends[b] = 0.0, False
                if dropped < 0:
                    fit[:] = trial
                    break
