"""Projections onto order and bounded increments, of many lines at once, compiled.

A *line* is the values of a function at ``n_knots`` increasing positions; an array of lines has shape
(n_lines, n_knots). Every kernel reads one array of lines and returns a new one; on a line that needs no change the
result is the input, bit for bit. Results are allocated by numpy, whose large arrays are cheaper to touch for the first
time than those of compiled code. Each runs on one thread and releases the interpreter lock, so that callers can spread
blocks of lines over threads.

References
----------
.. [1] Busing, F. M. T. A. (2022). Monotone regression: a simple and fast O(n) PAVA implementation. Journal of
   Statistical Software, Code Snippets 102(1). doi:10.18637/jss.v102.c01
"""

from __future__ import annotations

import numpy as np

from alignconf._typing import FloatArray, IntArray
from alignconf.kernels.compiled import compiled

__all__ = [
    "absolute_errors",
    "best_peaks",
    "centre",
    "heaviest_subsequences",
    "increments_least_squares",
    "increments_upper",
    "isotonic_least_squares",
    "isotonic_midpoint",
    "per_line",
    "pool",
]


def per_line(weights: FloatArray) -> FloatArray:
    """Return weights as kernels take them: one row for all lines, (1, n_knots), or a row for each, (n_lines, n_knots)."""
    return np.ascontiguousarray(np.atleast_2d(weights), dtype=np.float64)


def isotonic_least_squares(lines: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the weighted least-squares projection of each line onto the non-decreasing lines.

    Row by row ``argmin_g sum_k weights[k] (g[k] - lines[i, k])^2`` subject to ``g[0] <= g[1] <= ...``, by pooling
    adjacent violators: blocks are kept on a stack; a new value that lies below the last block is pooled with it, then
    with all following values that lie below the pooled mean, until order holds again. O(n_knots) per line.

    Parameters
    ----------
    lines : (n_lines, n_knots)
    weights : (n_knots,) or (n_lines, n_knots), positive

    Returns
    -------
    (n_lines, n_knots), exactly non-decreasing along the last axis
    """
    projected = np.empty_like(lines)
    _isotonic_least_squares(lines, per_line(weights), projected)
    return projected


@compiled
def pool(line: FloatArray, weights: FloatArray, mean: FloatArray, mass: FloatArray, first: IntArray) -> int:
    """Pool adjacent violators of one line; return how many blocks are left.

    Block ``b`` starts at knot ``first[b]`` and has the value ``mean[b]``; the last three arguments, (n_knots,), are filled.
    """
    n_knots = line.size
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
    return top + 1


@compiled
def _isotonic_least_squares(lines: FloatArray, weights: FloatArray, projected: FloatArray) -> None:
    n_lines, n_knots = lines.shape
    stride = 1 if weights.shape[0] > 1 else 0
    mean = np.empty(n_knots)
    mass = np.empty(n_knots)
    first = np.empty(n_knots, np.intp)
    for i in range(n_lines):
        result = projected[i]
        end = n_knots
        for block in range(pool(lines[i], weights[stride * i], mean, mass, first) - 1, -1, -1):
            for k in range(first[block], end):
                result[k] = mean[block]
            end = first[block]


def isotonic_midpoint(lines: FloatArray) -> FloatArray:
    """Return the non-decreasing line nearest to each line in the largest deviation.

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
    projected = np.empty_like(lines)
    _isotonic_midpoint(lines, projected)
    return projected


@compiled
def centre(line: FloatArray, centred: FloatArray) -> None:
    """Fill ``centred`` with the midpoint between the running maximum and minimum of one line, both (n_knots,)."""
    upper = -np.inf
    for k in range(line.size):
        upper = max(upper, line[k])
        centred[k] = upper
    lower = np.inf
    for k in range(line.size - 1, -1, -1):
        lower = min(lower, line[k])
        # Written so that equal envelopes give their value back, a negative zero included, and nothing overflows.
        centred[k] = lower - (0.5 * lower - 0.5 * centred[k])


@compiled
def _isotonic_midpoint(lines: FloatArray, projected: FloatArray) -> None:
    for i in range(lines.shape[0]):
        centre(lines[i], projected[i])


def increments_least_squares(
    lines: FloatArray, lowest: FloatArray, highest: FloatArray, weights: FloatArray
) -> FloatArray:
    """Return the weighted least-squares projection of each line onto the lines with bounded increments.

    Minimises ``sum_k weights[k] (g[k] - line[k])^2`` subject to ``lowest[k] <= g[k+1] - g[k] <= highest[k]``. Let
    ``M_k(y)`` be the least cost of the first ``k`` knots with ``g[k] = y``; its derivative is piecewise linear and
    increasing. Passing to ``k + 1`` shifts what lies left of its zero by ``lowest[k]`` and what lies right of it by
    ``highest[k]``, and adds one linear term. The breakpoints on both sides are kept on two stacks; the zeros, traced
    back, are the solution. Infinite bounds are allowed.

    Parameters
    ----------
    lines : (n_lines, n_knots)
    lowest, highest : (n_knots - 1,)
    weights : (n_knots,) or (n_lines, n_knots), positive

    Returns
    -------
    (n_lines, n_knots)
    """
    projected = np.empty_like(lines)
    _increments_least_squares(lines, lowest, highest, per_line(weights), projected)
    return projected


@compiled
def _increments_least_squares(
    lines: FloatArray, lowest: FloatArray, highest: FloatArray, weights_of: FloatArray, projected: FloatArray
) -> None:
    n_lines, n_knots = lines.shape
    stride = 1 if weights_of.shape[0] > 1 else 0
    # Breakpoints left (right) of the zero, nearest last: place less the common offset, and change of slope there.
    left_at, left_change = np.empty(3 * n_knots), np.empty(3 * n_knots)
    right_at, right_change = np.empty(3 * n_knots), np.empty(3 * n_knots)
    zeros = np.empty(n_knots)
    for i in range(n_lines):
        line, weights = lines[i], weights_of[stride * i]
        zero, slope_left, slope_right = line[0], weights[0], weights[0]
        n_left, n_right, offset_left, offset_right = 0, 0, 0.0, 0.0
        zeros[0] = zero
        for k in range(1, n_knots):
            start, end = zero + lowest[k - 1], zero + highest[k - 1]
            offset_left += lowest[k - 1]
            offset_right += highest[k - 1]
            if np.isinf(start):
                n_left, offset_left = 0, 0.0
            else:
                left_at[n_left], left_change[n_left] = start - offset_left, slope_left
                n_left += 1
            if np.isinf(end):
                n_right, offset_right = 0, 0.0
            else:
                right_at[n_right], right_change[n_right] = end - offset_right, slope_right
                n_right += 1
            weight, value = weights[k], line[k]
            slope_left = slope_right = weight
            zero = value
            if value > end:
                zero, slope_left, n_right, n_left = _cross(
                    1.0, end, weight * (end - value), weight,
                    right_at, right_change, n_right, offset_right, left_at, left_change, n_left, offset_left,
                )  # fmt: skip
                slope_right = slope_left
            elif value < start:
                zero, slope_right, n_left, n_right = _cross(
                    -1.0, start, weight * (start - value), weight,
                    left_at, left_change, n_left, offset_left, right_at, right_change, n_right, offset_right,
                )  # fmt: skip
                slope_left = slope_right
            zeros[k] = zero
        projected[i, n_knots - 1] = zeros[n_knots - 1]
        for k in range(n_knots - 2, -1, -1):
            following = projected[i, k + 1]
            projected[i, k] = min(max(zeros[k], following - highest[k]), following - lowest[k])


@compiled
def _cross(
    direction: float, place: float, height: float, slope: float,
    ahead_at: FloatArray, ahead_change: FloatArray, n_ahead: int, offset_ahead: float,
    behind_at: FloatArray, behind_change: FloatArray, n_behind: int, offset_behind: float,
) -> tuple[float, float, int, int]:  # fmt: skip
    """Follow an increasing piecewise linear function from a place where its value is ``height`` to its zero.

    Breakpoints that are passed move from the stack ahead to the one behind, where their change of slope counts reversed.
    Returns the zero, the slope there and how many breakpoints lie ahead and behind.
    """
    while True:
        n_ahead -= 1
        change = ahead_change[n_ahead]
        behind_at[n_behind], behind_change[n_behind] = place - offset_behind, -change
        n_behind += 1
        slope += change
        zero = place - height / slope
        if n_ahead == 0:
            return zero, slope, n_ahead, n_behind
        following = ahead_at[n_ahead - 1] + offset_ahead
        if direction * (zero - following) <= 0:
            return zero, slope, n_ahead, n_behind
        height += slope * (following - place)
        place = following


def increments_upper(lines: FloatArray, lowest: FloatArray, highest: FloatArray) -> FloatArray:
    """Return the smallest lines above the given lines with increments within bounds (n_knots - 1,); O(n_knots) each."""
    upper = lines.copy()
    _raise_to_bounded_increments(lowest, highest, upper)
    return upper


@compiled
def _raise_to_bounded_increments(lowest: FloatArray, highest: FloatArray, upper: FloatArray) -> None:
    n_lines, n_knots = upper.shape
    for i in range(n_lines):
        for k in range(1, n_knots):
            upper[i, k] = max(upper[i, k], upper[i, k - 1] + lowest[k - 1])
        for k in range(n_knots - 2, -1, -1):
            upper[i, k] = max(upper[i, k], upper[i, k + 1] - highest[k])


@compiled
def _prefix_errors(line: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the least squared error of a non-decreasing fit to the first ``k`` values, for k = 0, ..., n_knots."""
    n_knots = line.size
    errors = np.zeros(n_knots + 1)
    mean, mass, square = np.empty(n_knots), np.empty(n_knots), np.empty(n_knots + 1)
    square[0] = 0.0  # error of all blocks before the given one
    error_of = np.empty(n_knots)
    top = -1
    for k in range(n_knots):
        value, weight, error = line[k], weights[k], 0.0
        while top >= 0 and mean[top] > value:
            both = mass[top] + weight
            error += error_of[top] + mass[top] * weight / both * (mean[top] - value) ** 2
            value = (mean[top] * mass[top] + value * weight) / both
            weight = both
            top -= 1
        top += 1
        mean[top], mass[top], error_of[top] = value, weight, error
        square[top + 1] = square[top] + error
        errors[k + 1] = square[top + 1]
    return errors


def best_peaks(lines: FloatArray, weights: FloatArray) -> IntArray:
    """Return how many knots lie on the rising side of the least-squares unimodal fit of each line: (n_lines,)."""
    rising = np.empty(len(lines), np.intp)
    _best_peaks(lines, per_line(weights), rising)
    return rising


@compiled
def _best_peaks(lines: FloatArray, weights: FloatArray, rising: IntArray) -> None:
    stride = 1 if weights.shape[0] > 1 else 0
    for i in range(lines.shape[0]):
        size = np.abs(lines[i]).max()
        line = lines[i] / size if size > 0 else lines[i]
        forward = weights[stride * i]
        errors = _prefix_errors(line, forward) + _prefix_errors(line[::-1].copy(), forward[::-1].copy())[::-1]
        rising[i] = np.argmin(errors)


@compiled
def heaviest_subsequences(ranks: IntArray, weights: FloatArray) -> FloatArray:
    """Return the largest total weight of a non-decreasing subsequence of each line: (n_lines,).

    ``best[k] = weights[k] + max(best[j] : j < k, ranks[j] < ranks[k])``, the largest so far of a prefix of ranks from a
    Fenwick tree: O(n_knots log n_knots) per line.

    Parameters
    ----------
    ranks : (n_lines, n_knots)
        Of each value in its line, from 0; of equal values the first one has the lowest rank.
    weights : (n_lines, n_knots)
    """
    n_lines, n_knots = ranks.shape
    heaviest = np.zeros(n_lines)
    largest = np.empty(n_knots + 1)
    for i in range(n_lines):
        largest[:] = 0.0
        for k in range(n_knots):
            total = 0.0
            node = ranks[i, k] + 1
            while node > 0:
                total = max(total, largest[node])
                node -= node & -node
            total += weights[i, k]
            heaviest[i] = max(heaviest[i], total)
            node = ranks[i, k] + 1
            while node <= n_knots:
                largest[node] = max(largest[node], total)
                node += node & -node
    return heaviest


@compiled
def absolute_errors(lines: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the least ``sum_k weights[k] |g[k] - line[k]|`` over non-decreasing ``g``, for each line: (n_lines,).

    Let ``M_k(y)`` be the least cost of the first ``k`` values with ``g[k] <= y``: convex, non-increasing and flat in the end.
    Adding ``w |y - value|`` puts a change of slope ``2 w`` at ``value``; to be flat again it gives up a total of ``w`` of
    its last changes, each at a cost of its place less ``value``. Changes are kept sorted: O(n_knots^2) at worst.

    Parameters
    ----------
    lines, weights : (n_lines, n_knots)
    """
    n_lines, n_knots = lines.shape
    errors = np.zeros(n_lines)
    place, change = np.empty(n_knots), np.empty(n_knots)
    for i in range(n_lines):
        n_changes = 0
        for k in range(n_knots):
            value, left = lines[i, k], weights[i, k]
            position = n_changes
            while position > 0 and place[position - 1] > value:
                place[position], change[position] = place[position - 1], change[position - 1]
                position -= 1
            place[position], change[position] = value, 2 * left
            n_changes += 1
            while left > 0:
                given = min(left, change[n_changes - 1])
                errors[i] += given * (place[n_changes - 1] - value)
                change[n_changes - 1] -= given
                left -= given
                if change[n_changes - 1] <= 0:
                    n_changes -= 1
    return errors
