r"""How far lines are from the property, exactly, and what a rejection rate says of it under each query law.

For the values :math:`y_1, \dots, y_m` of a line at places of masses :math:`w_1, \dots, w_m` (their sum is 1), over all
non-decreasing :math:`g`:

* **Hamming**, :math:`\min_g \sum_k w_k 1\{g_k \ne y_k\}`: one less the heaviest non-decreasing subsequence, as what is kept
  must be in order, and what is in order can be kept while the gaps are filled with the last value kept;
* **absolute**, :math:`\min_g \sum_k w_k |g_k - y_k|`: isotonic regression to medians;
* **largest**, :math:`\min_g \max_k |g_k - y_k| = D / 2` with the largest fall :math:`D = \max_{j < k} (y_j - y_k)_+`.

A line of range :math:`R` has absolute distance at most :math:`R` times its Hamming distance. For decreasing lines turn the
sign.

From a rate to a distance: let a line of the delivered function fail a query with probability :math:`p`, and let rows be
averaged over. A query compares different places; independent draws are the same place with a probability :math:`\tau` that
the reference law tells, and then cannot fail, so they fail with probability :math:`p (1 - \tau)`. For a path :math:`\tau` is
the mass of its first pivot.

* **path** (pairs that chain, one part, no tolerance): the mass of its values that must change for the line to have the
  property is at most :math:`p (1 - \tau)`. For order properties the values can be changed within the range :math:`R` of the
  line, so it is also within mean absolute distance :math:`R p (1 - \tau)` of a line that has it.
* **iid** (order properties of one feature): mean absolute distance at most
  :math:`\sqrt{R \, S (1 - \tau)} \le R \sqrt{p (1 - \tau)}`, with the expected size :math:`S = E (g(u) - g(u'))_+` of a
  violation, 0 where there is none; nothing about how many values must change.
* **line** (order properties of one feature): both distances are computed exactly for each row
  as above, and the means over rows of these variables in [0, 1] are bounded from above.

Proofs are in docs/guarantees.md. For several constrained features, other properties, and with tolerances, nothing is claimed.

References
----------
.. [1] Fredman, M. L. (1975). On computing the length of longest increasing subsequences. Discrete Mathematics 11(1).
   doi:10.1016/0012-365X(75)90103-X
.. [2] Waudby-Smith, I. and Ramdas, A. (2024). Estimating means of bounded random variables by betting. Journal of the Royal
   Statistical Society B 86(1). arXiv:2010.09686
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

from alignconf._typing import FloatArray
from alignconf.calibration.betting import upper_bound
from alignconf.certify.report.wording import _at_most
from alignconf.contract.property import LineProperty, Property
from alignconf.kernels.order import absolute_errors, heaviest_subsequences
from alignconf.kernels.sums import total
from alignconf.queries.along_line import LineQueries, WholeLineQueries
from alignconf.queries.queries import PartQueries, Queries

__all__ = [
    "DistanceBounds",
    "absolute_bound",
    "absolute_distances",
    "absolute_sentence",
    "as_shares_of_range",
    "distance_bounds",
    "hamming_bound",
    "hamming_distances",
    "hamming_sentence",
    "largest_distances",
    "line_figures",
    "line_losses",
    "size_sentence",
    "whole_lines",
    "without_rounding",
]


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


#: Shares of coincidences are known up to this relative rounding.
ROUNDING = 1e-12


def hamming_bound(declared: Property, query_law: str, rate_bound: float) -> float | None:
    """Return a bound on the mass of values that must change, averaged over rows; None where there is no theorem.

    Parameters
    ----------
    declared : Property
    query_law : str
    rate_bound : float
        Bound on the rate of rejected queries under this law, those that would compare a place with itself included: they pass.
    """
    part = _only_line(declared)
    if part is None or query_law != "path" or part.n_points != 2 or not part.is_local:
        return None
    return rate_bound


def absolute_bound(declared: Property, query_law: str, rate_bound: float) -> float | None:
    """Return a bound on the mean absolute distance as a share of each line's range, averaged over rows, or None.

    Parameters as for :func:`hamming_bound`. For the law ``"line"`` see :func:`distance_bounds`.
    """
    if not declared.is_order:
        return None
    return {"iid": sqrt(rate_bound), "path": rate_bound}.get(query_law)


def whole_lines(declared: Property, queries: Queries, n_rows: int) -> Queries | None:
    """Return the whole lines of some rows, where a claim needs the range of a line on which a query fails; else None.

    Parameters
    ----------
    declared : Property
    queries : Queries
        Drawn for it.
    n_rows : int
        How many rows failed.
    """
    (part, *others) = queries.parts
    if others or not n_rows or not declared.is_order or not isinstance(part, LineQueries):
        return None
    return Queries((WholeLineQueries(part.part, part.law, n_rows),), n_rows, 1)


def line_figures(queries: PartQueries, values: FloatArray, rounding: FloatArray) -> FloatArray:
    """Return each line's Hamming distance, absolute distance as a share of its range, and range: (n_samples, 3).

    Zeros for anything but whole lines of an order property.

    Parameters
    ----------
    queries : PartQueries
    values : (n_samples, n_points)
        Of the function, at the points of one query for each row.
    rounding : (n_samples,)
        Values closer than this count as equal.
    """
    if not isinstance(queries, WholeLineQueries) or not queries.part.compares_pairs:
        return np.zeros((len(values), 3))
    lines = without_rounding(values if queries.part.direction == 1 else -values, rounding)
    masses = queries.law.knot_masses
    shares = as_shares_of_range(absolute_distances(lines, masses), lines)
    return np.stack([hamming_distances(lines, masses), shares, np.ptp(lines, axis=1)], axis=1)


@dataclass(frozen=True)
class DistanceBounds:
    """What a certificate can say of the distance to the property, averaged over rows; None where nothing is proved.

    Parameters
    ----------
    tester : str
        The query law.
    hamming : float or None
        Bound on the mass of values that must change.
    absolute : float or None
        Bound on the mean absolute distance as a share of each line's range.
    by_size : float or None
        Bound on the same, from the sizes of violated pairs: a claim of its own, with its own confidence.
    """

    tester: str
    hamming: float | None = None
    absolute: float | None = None
    by_size: float | None = None


def line_losses(declared: Property, queries: Queries, sizes: FloatArray, figures: FloatArray) -> FloatArray:
    """Return what rows contribute to bounds on the distance, numbers in [0, 1]: (n_samples, n_bounds), often none.

    Parameters
    ----------
    declared, queries : what was asked, one query at each of n_samples independent rows
    sizes : (n_samples,)
        Of the violations found, 0 where none.
    figures : (n_samples, 3)
        See :func:`line_figures`.
    """
    tester = _tester(queries)
    if tester == "line" and declared.is_order:
        return figures[:, : 2 if queries.parts[0].drawn_from[0].is_marginal else 0]
    if tester != "iid" or not declared.is_order:
        return figures[:, :0]
    # The range at the knots is at most that of the line, so the share is at least the one that the theorem is about.
    ranges = np.maximum(figures[:, 2], sizes)
    shares: FloatArray = sizes / np.where(ranges > 0, ranges, 1.0)
    return shares[:, None]


def distance_bounds(
    declared: Property, queries: Queries, rate_bound: float, confidence: float, losses: FloatArray
) -> DistanceBounds:
    """Return the bounds that the answers of fresh rows support.

    Parameters
    ----------
    declared, queries : what was asked, one query at each of n_samples independent rows
    rate_bound, confidence : float
        Bound on the rate of rejected queries, and its confidence.
    losses : (n_samples, n_bounds)
        See :func:`line_losses`.
    """
    tester = _tester(queries)
    if tester == "line" and declared.is_order:
        return DistanceBounds(tester, *(upper_bound(values, confidence) for values in losses.T))
    if not tester:
        return DistanceBounds(tester)
    (part,) = queries.parts
    of_draws = _with_coincidences(part, rate_bound)
    hamming_or_none, absolute_or_none = (bound(declared, tester, of_draws) for bound in (hamming_bound, absolute_bound))
    if absolute_or_none is None or tester == "path":
        return DistanceBounds(tester, hamming_or_none, absolute_or_none)
    of_sizes = _with_coincidences(part, upper_bound(losses[:, 0], confidence))
    return DistanceBounds(tester, None, absolute_or_none, sqrt(of_sizes))


def hamming_sentence(query_law: str, bound: float | None, absolute: float | None) -> str | None:
    """Return what the bounds of a query law that looks at values one by one say, in words; None if there is no bound."""
    if bound is None:
        return None
    start = (
        "Hence, averaged"
        if query_law == "path"
        else "With the same confidence, for each of two claims by itself: averaged"
    )
    within = (
        ""
        if absolute is None
        else f", and it lies within mean absolute distance {_at_most(absolute)} of its own range of such a line"
    )
    return (
        f"{start} over rows, at most {_at_most(bound)} of the values of the delivered model on these places of its line, "
        f"counted by reference mass, need changing for the line to have the property exactly there{within}."
    )


def absolute_sentence(query_law: str, bound: float | None) -> str | None:
    """Return what independent pairs say of the mean absolute distance, in words; None if there is no such claim."""
    if bound is None or query_law != "iid":
        return None
    return (
        "Hence, averaged over rows, the line of the delivered model lies, under the reference law, within mean absolute "
        f"distance {_at_most(bound)} of its own range of a line that has the property exactly."
    )


def size_sentence(bound: float | None) -> str | None:
    """Return what the sizes of violated pairs say of the mean absolute distance, in words; None if there is no such claim."""
    if bound is None:
        return None
    return (
        f"By the sizes of the violations this distance is at most {_at_most(bound)}, with the same confidence for this claim "
        "by itself."
    )


def _with_coincidences(part: PartQueries, bound: float) -> float:
    """Return a bound on the mean over all independent draws, given a bound for draws that compare different places."""
    return min(bound, bound * (1 - part.least_coincidence) * (1 + ROUNDING))


def _tester(queries: Queries) -> str:
    return queries.parts[0].tester if len(queries.parts) == 1 else ""


def _only_line(declared: Property) -> LineProperty | None:
    """Return the property of lines that a declaration consists of; None if there is more, or something else."""
    return declared.lines[0] if len(declared.parts) == len(declared.lines) == 1 else None
