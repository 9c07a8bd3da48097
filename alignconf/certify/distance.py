r"""How far lines are from being monotone, exactly, in three senses.

For the values :math:`y_1, \dots, y_m` of a line at places of masses :math:`w_1, \dots, w_m` (their sum is 1), over all
non-decreasing :math:`g`:

* **Hamming**, :math:`\min_g \sum_k w_k 1\{g_k \ne y_k\}`: one less the heaviest non-decreasing subsequence, as what is kept
  must be in order, and what is in order can be kept while the gaps are filled with the last value kept;
* **absolute**, :math:`\min_g \sum_k w_k |g_k - y_k|`: isotonic regression to medians;
* **largest**, :math:`\min_g \max_k |g_k - y_k| = D / 2` with the largest fall :math:`D = \max_{j < k} (y_j - y_k)_+`.

A line of range :math:`R` has absolute distance at most :math:`R` times its Hamming distance. For decreasing lines turn the
sign.

References
----------
.. [1] Fredman, M. L. (1975). On computing the length of longest increasing subsequences. Discrete Mathematics 11(1).
   doi:10.1016/0012-365X(75)90103-X
"""

from __future__ import annotations

import numpy as np

from alignconf._typing import FloatArray
from alignconf.kernels.order import absolute_errors, heaviest_subsequences
from alignconf.kernels.sums import total

__all__ = ["absolute_distances", "as_shares_of_range", "hamming_distances", "largest_distances", "without_rounding"]


def hamming_distances(lines: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the mass of values that must change for each line to be non-decreasing, in [0, 1): (n_lines,).

    Parameters
    ----------
    lines : (n_lines, n_knots)
    weights : (n_knots,) or (n_lines, n_knots)
        Masses of the places, positive or zero; they need not sum to 1. Cost: O(n_knots log n_knots) per line.
    """
    masses = _masses(lines, weights)
    order = np.argsort(lines, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.broadcast_to(np.arange(lines.shape[1]), lines.shape), axis=1)
    shares: FloatArray = np.clip(1.0 - heaviest_subsequences(ranks, masses), 0.0, 1.0)
    # A sum of masses is 1 up to rounding only: lines in order are at distance 0.
    return np.where((np.diff(lines, axis=1) < 0).any(axis=1), shares, 0.0)


def absolute_distances(lines: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the least mean absolute distance of each line to a non-decreasing one, in the unit of the lines: (n_lines,).

    Parameters as for :func:`hamming_distances`.
    """
    distances: FloatArray = absolute_errors(np.ascontiguousarray(lines, dtype=np.float64), _masses(lines, weights))
    return np.maximum(distances, 0.0)


def largest_distances(lines: FloatArray) -> FloatArray:
    """Return the least largest deviation of each line (n_lines, n_knots) from a non-decreasing one: (n_lines,)."""
    falls: FloatArray = (np.maximum.accumulate(lines, axis=1) - lines).max(axis=1)
    return falls / 2


def as_shares_of_range(distances: FloatArray, lines: FloatArray) -> FloatArray:
    """Return distances (n_lines,) as shares of the ranges of the lines (n_lines, n_knots), in [0, 1]; 0 for constants."""
    ranges = np.ptp(lines, axis=1)
    return np.minimum(distances / np.where(ranges > 0, ranges, 1.0), 1.0)


def without_rounding(lines: FloatArray, rounding: FloatArray) -> FloatArray:
    """Return the lines with values that differ by no more than rounding made equal, (n_lines, n_knots).

    Of the sorted values of a line, each that is within the rounding of the one before takes its value, so that a place that
    passes every pair up to rounding passes it exactly.

    Parameters
    ----------
    lines : (n_lines, n_knots)
    rounding : (n_lines,)
    """
    order = np.argsort(lines, axis=1, kind="stable")
    values = np.take_along_axis(lines, order, axis=1)
    starts = np.ones(lines.shape, dtype=bool)
    starts[:, 1:] = np.diff(values, axis=1) > rounding[:, None]
    first = np.maximum.accumulate(np.where(starts, np.arange(lines.shape[1]), 0), axis=1)
    equal = np.empty_like(values)
    np.put_along_axis(equal, order, np.take_along_axis(values, first, axis=1), axis=1)
    return equal


def _masses(lines: FloatArray, weights: FloatArray) -> FloatArray:
    broadcast = np.broadcast_to(weights, lines.shape).astype(np.float64)
    return np.ascontiguousarray(broadcast / total(broadcast)[:, None])
