"""Projection onto bounded ratios of neighbouring values, of many lines at once, compiled."""

from __future__ import annotations

import numpy as np

from alignconf._typing import FloatArray
from alignconf.kernels.compiled import compiled
from alignconf.kernels.order import per_line

__all__ = ["ratios_least_squares"]


def ratios_least_squares(
    lines: FloatArray, lowest: FloatArray, highest: FloatArray, weights: FloatArray, *, has_floor: bool
) -> FloatArray:
    """Return the weighted least-squares projection of each line onto the lines with bounded ratios of neighbours.

    Minimises ``sum_k weights[k] (g[k] - line[k])^2`` subject to ``lowest[k] g[k] <= g[k+1] <= highest[k] g[k]``. Let
    ``M_k(y)`` be the least cost of the first ``k`` knots with ``g[k] = y``; its derivative is piecewise linear and increasing.
    Passing to ``k + 1`` stretches what lies left of its zero by ``lowest[k]`` and what lies right of it by ``highest[k]``, and
    adds one linear term. The zeros, traced back, are the solution. O(n_knots^2) per line, little of it in practice.

    Parameters
    ----------
    lines : (n_lines, n_knots)
    lowest, highest : (n_knots - 1,)
        Positive; 0 and infinity for no limit on that side.
    weights : (n_knots,) or (n_lines, n_knots), positive
    has_floor : bool
        Whether values must not be negative, as two different limits imply.

    Returns
    -------
    (n_lines, n_knots)
    """
    projected = np.empty(lines.shape)
    _ratios_least_squares(np.ascontiguousarray(lines), lowest, highest, per_line(weights), has_floor, projected)
    return projected


@compiled
def _ratios_least_squares(
    lines: FloatArray,
    lowest: FloatArray,
    highest: FloatArray,
    weights_of: FloatArray,
    has_floor: bool,
    projected: FloatArray,
) -> None:
    n_lines, n_knots = lines.shape
    stride = 1 if weights_of.shape[0] > 1 else 0
    # Corners of the derivative, from left to right: place and height.
    place, height = np.empty(2 * n_knots + 1), np.empty(2 * n_knots + 1)
    zeros = np.empty(n_knots)
    for i in range(n_lines):
        line, weights = lines[i], weights_of[stride * i]
        place[0] = 0.0 if has_floor else line[0]
        height[0] = weights[0] * (place[0] - line[0])
        n_corners, slope_left, slope_right = 1, weights[0], weights[0]
        for k in range(n_knots):
            n_below = 0
            while n_below < n_corners and height[n_below] < 0:
                n_below += 1
            zeros[k] = _zero(place, height, n_corners, n_below, slope_left, slope_right, has_floor)
            if k == n_knots - 1:
                break
            n_corners = _stretched(place, height, n_corners, n_below, zeros[k], lowest[k], highest[k])
            weight, value = weights[k + 1], line[k + 1]
            for corner in range(n_corners):
                height[corner] += weight * (place[corner] - value)
            slope_left = weight + (slope_left / lowest[k] ** 2 if lowest[k] > 0 else 0.0)
            slope_right = weight + slope_right / highest[k] ** 2
        projected[i, n_knots - 1] = zeros[n_knots - 1]
        for k in range(n_knots - 2, -1, -1):
            following = projected[i, k + 1]
            nearest = zeros[k]
            if np.isfinite(highest[k]):
                nearest = max(nearest, following / highest[k])
            if lowest[k] > 0:
                nearest = min(nearest, following / lowest[k])
            projected[i, k] = nearest


@compiled
def _zero(
    place: FloatArray,
    height: FloatArray,
    n_corners: int,
    n_below: int,
    slope_left: float,
    slope_right: float,
    has_floor: bool,
) -> float:
    """Return where a derivative with ``n_below`` corners below zero is zero; the first corner if it begins above."""
    last = n_below - 1
    if n_below == 0:
        zero: float = place[0] if has_floor else place[0] - height[0] / slope_left
    elif n_below == n_corners:
        zero = place[last] - height[last] / slope_right
    else:
        zero = place[last] - height[last] * ((place[n_below] - place[last]) / (height[n_below] - height[last]))
    return zero


@compiled
def _stretched(
    place: FloatArray, height: FloatArray, n_corners: int, n_below: int, zero: float, lowest: float, highest: float
) -> int:
    """Stretch the corners below zero by the least ratio, those above by the largest, both ends of zero between them."""
    n_kept = n_corners - n_below if np.isfinite(highest) else 0
    first_above = n_below + (lowest > 0) + np.isfinite(highest)
    for corner in range(n_kept - 1, -1, -1):
        above = n_below + corner
        place[first_above + corner] = place[above] * highest
        height[first_above + corner] = height[above] / highest
    if lowest > 0:
        for corner in range(n_below):
            place[corner] *= lowest
            height[corner] /= lowest
        place[n_below], height[n_below] = zero * lowest, 0.0
    end = n_below + (lowest > 0)
    if np.isfinite(highest):
        place[end], height[end] = zero * highest, 0.0
        end += 1
    if lowest == 0:
        # Nothing is left below the zero: what is above moves to the front.
        for corner in range(n_kept + 1):
            place[corner], height[corner] = place[n_below + corner], height[n_below + corner]
        return n_kept + 1
    return end + n_kept
