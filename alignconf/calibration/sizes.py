r"""How far the delivered function violates, not only how often: expected sizes of violations, controlled.

Along the clip path :math:`g_\lambda = f + \mathrm{clip}(d, -\lambda, \lambda)`, :math:`d = g - f`, the excess of a demand
:math:`\sum_k a_k g(x_k) \le b` is

.. math:: V(\lambda) = v + \sum_k a_k\, \mathrm{clip}(d_k, -\lambda, \lambda), \qquad v = \sum_k a_k f(x_k) - b,

piecewise linear with corners at the :math:`|d_k|`. A query exceeds by its worst demand, a demand by its best alternative, and
an accepted query by 0: :math:`V_+`. The loss of a query is the **size**

.. math:: L(\lambda) = \sup_{\lambda' \ge \lambda} V(\lambda')_+ ,

which is at least the excess of :math:`g_\lambda` and does not increase, as conformal risk control needs; for pairs that
``g`` does not violate, in a band of one width, it is the excess itself, :math:`V_+` being monotone for them. A row of
several queries loses their mean.
:class:`ViolationSizes` holds these functions, for violated queries only, and :func:`critical_size` finds the smallest
half-width with

.. math:: \frac{1}{n + 1} \Big( \sum_{i \le n} L_i(\lambda) + B(\lambda) \Big) \le \alpha ,

where ``alpha`` is a size, in the unit of the prediction, and :math:`B` a bound on the loss of any row
(:class:`alignconf.calibration.size_bound.SizeBound`).

References
----------
.. [1] Angelopoulos, A. N. et al. (2024). Conformal Risk Control. ICLR 2024. arXiv:2208.02814
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR
from fractions import Fraction
from itertools import combinations
from math import ceil, fsum, inf, nextafter

import numpy as np

from alignconf._typing import BoolArray, FloatArray, IntArray
from alignconf.calibration.size_bound import SizeBound
from alignconf.errors import CalibrationError
from alignconf.kernels.exact import as_fraction
from alignconf.kernels.sums import inner
from alignconf.tables import printed
from alignconf.tables.checks import check_number

__all__ = ["ViolationSizes", "critical_size", "largest", "together"]

#: Up to this many linear pieces of a query are crossed with each other, so that sizes are exact; beyond, they are bounded.
EXACT_LINES = 4

EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class ViolationSizes:
    """Sizes of the violated queries of some rows, each a piecewise linear function of the half-width.

    Parameters
    ----------
    n_rows, n_queries : int
        Of how many rows, with how many queries each.
    index : (n_kept,) increasing
        Which queries are kept, counted row by row; the sizes of all others are 0 at every half-width.
    knots : (n_kept, n_knots)
        Half-widths, increasing from 0 on; they may be repeated.
    values : (n_kept, n_knots)
        Sizes there, not increasing; linear between knots and constant after the last.
    """

    n_rows: int
    n_queries: int
    index: IntArray
    knots: FloatArray
    values: FloatArray

    @classmethod
    def of_queries(
        cls, coefficients: FloatArray, v: FloatArray, v_full: FloatArray, d: FloatArray, size: FloatArray | float = 0.0
    ) -> ViolationSizes:
        """Return the sizes of queries along the clip path.

        Exact for queries of up to four alternatives in all, as pairs, triples and peaks are. For more, an upper bound that is
        exact at the corners ``|d_k|`` where demands have no alternatives.

        Parameters
        ----------
        coefficients : broadcastable to (n_rows, n_queries, n_demands, n_alternatives, n_points)
        v, v_full : (n_rows, n_queries, n_demands, n_alternatives)
            Excess of ``f`` and of ``g``, not their positive parts.
        d : (n_rows, n_queries, n_points)
            ``g - f`` at the points.
        size : broadcastable to ``v``, optional
            Excesses up to this, or up to the rounding of their own sum, are rounding and count as 0.
        """
        n_rows, n_queries, *alternatives = v.shape
        a = np.broadcast_to(coefficients, (*v.shape, d.shape[-1])).reshape(-1, *alternatives, d.shape[-1])
        v, v_full, d = v.reshape(-1, *alternatives), v_full.reshape(-1, *alternatives), d.reshape(-1, d.shape[-1])
        # No demand exceeds by more than its excess at both ends allows: |V' | <= sum |a|, each |d_k| used once.
        peak = (v + v_full + inner(np.abs(a), np.abs(d)[:, None, None, :])) / 2
        kept = np.flatnonzero((np.maximum(peak, np.maximum(v, v_full)).min(axis=2) > 0).any(axis=1))
        rounding = np.broadcast_to(size, (n_rows, n_queries, *alternatives)).reshape(v.shape)[kept]
        a, v, v_full, d = a[kept], v[kept], v_full[kept], d[kept]
        sum_rounding = 8 * EPSILON * (np.abs(v) + inner(np.abs(a), np.abs(d)[:, None, None, :]))
        negligible = np.maximum(rounding, sum_rounding).max(axis=(1, 2))[:, None]
        knots = np.sort(np.concatenate([np.zeros((kept.size, 1)), np.abs(d)], axis=1), axis=1)
        lines = _excesses(a, v, v_full, d, knots)
        n_lines = alternatives[0] * alternatives[1]
        if n_lines <= EXACT_LINES:
            flat = lines.reshape(kept.size, n_lines, knots.shape[1])
            knots = _with_crossings(knots, np.concatenate([flat, np.zeros_like(flat[:, :1])], axis=1))
            height = _excesses(a, v, v_full, d, knots).min(axis=2).max(axis=1)
        else:
            height = _chords(lines)
        knots, values = _envelope(knots, np.where(height > negligible, height, 0.0))
        violated = values[:, 0] > 0
        return cls(n_rows, n_queries, kept[violated], knots[violated], values[violated])

    def sizes(self, half_width: float) -> FloatArray:
        """Return the sizes of the kept queries at a half-width, (n_kept,).

        Parameters
        ----------
        half_width : float, not negative
        """
        return _interpolated(self.knots, self.values, np.full((self.index.size, 1), half_width))[:, 0]

    def mean(self, half_width: float) -> float:
        """Return the mean size of all queries at a half-width.

        Parameters
        ----------
        half_width : float, not negative
        """
        return fsum(self.sizes(half_width)) / (self.n_rows * self.n_queries)


def critical_size(sizes: ViolationSizes, alpha: float, bound: SizeBound) -> float:
    r"""Return the smallest half-width that controls the expected size of violations.

    **Guarantee.** If the rows and a fresh row are exchangeable, together with their queries, and ``bound`` holds with certainty
    for the fresh row and was fixed before the rows were seen, then averaged over calibration draws the expected size of the
    fresh row's violations is at most ``alpha``.

    *Proof.* :math:`L_{n+1} \le B`, so the smallest half-width :math:`\lambda'` with
    :math:`\sum_{i \le n+1} L_i(\lambda') \le \alpha (n + 1)` is at most the one returned, where therefore :math:`L_{n+1}` is at
    most :math:`L_{n+1}(\lambda')`; and :math:`\lambda'` does not depend on the order of the rows. :math:`\lambda'` exists where
    the returned half-width does, as :math:`L_{n+1} \le B` there. ∎

    The sum is piecewise linear: bisection over its corners, then a linear equation, rounded up.

    Parameters
    ----------
    sizes : ViolationSizes
    alpha : float above 0
        The tolerated mean size, in the unit of the prediction.
    bound : SizeBound

    Returns
    -------
    float
        0 if the model needs no repair.

    Raises
    ------
    CalibrationError
        If no half-width will do; says how many rows would.
    """
    level = as_fraction(check_number("alpha", alpha, above=0.0))
    target = float(level * (sizes.n_rows + 1))
    scale = EPSILON * (8.0 * fsum(sizes.values[:, :1].ravel()) / sizes.n_queries + 8.0 * bound.at_half_width(0.0))

    def total(half_width: float) -> float:
        return fsum(sizes.sizes(half_width)) / sizes.n_queries + bound.at_half_width(half_width)

    def passes(half_width: float) -> bool:
        # Rounding of the sizes and of the bound, against the claim.
        return total(half_width) + scale <= target or (half_width == 0 and _passes_unrepaired(sizes, bound, level))

    corners = np.unique(np.concatenate([[0.0], bound.corners, sizes.knots.ravel()]))
    if not passes(float(corners[-1])):
        raise CalibrationError(_too_large(sizes, alpha, bound))
    first, last = -1, corners.size - 1
    while last - first > 1:
        middle = (first + last) // 2
        first, last = (first, middle) if passes(float(corners[middle])) else (middle, last)
    if last == 0:
        return 0.0
    low, high = float(corners[last - 1]), float(corners[last])
    above, below = total(low), total(high)
    share = (above + scale - target) / (above - below) if above > below else 1.0
    half_width, step = low + (high - low) * min(max(share, 0.0), 1.0), EPSILON * high
    while half_width < high and not passes(half_width):
        half_width, step = min(high, nextafter(half_width + step, inf)), 2 * step
    return half_width


def together(blocks: Sequence[tuple[IntArray, ViolationSizes]], n_rows: int, n_queries: int) -> ViolationSizes:
    """Return the sizes of blocks of rows as those of all rows; rows in no block have none.

    Parameters
    ----------
    blocks : sequence of ((n_block_rows,), ViolationSizes)
        The positions of the rows of a block among all rows, and their sizes.
    n_rows, n_queries : int
    """
    sizes = [ViolationSizes(0, n_queries, np.zeros(0, np.intp), np.zeros((0, 1)), np.zeros((0, 1)))]
    sizes += [of_block for _, of_block in blocks]
    index = [rows[of_block.index // n_queries] * n_queries + of_block.index % n_queries for rows, of_block in blocks]
    positions = np.concatenate([sizes[0].index, *index])
    order, width = np.argsort(positions), max(of_block.knots.shape[1] for of_block in sizes)
    knots, values = (
        np.concatenate([_padded(getattr(of_block, name), width) for of_block in sizes])[order]
        for name in ("knots", "values")
    )
    return ViolationSizes(n_rows, n_queries, positions[order], knots, values)


def largest(parts: Sequence[ViolationSizes]) -> ViolationSizes:
    """Return the larger size at each half-width, query by query: a query of a conjunction asks one of each part.

    Parameters
    ----------
    parts : sequence of ViolationSizes, of the same rows and as many queries
    """
    result = parts[0]
    for part in parts[1:]:
        index = np.union1d(result.index, part.index)
        left, right = _spread(result, index), _spread(part, index)
        knots = np.sort(np.concatenate([left[0], right[0]], axis=1), axis=1)
        both = np.stack([_interpolated(*left, knots), _interpolated(*right, knots)], axis=1)
        knots = _with_crossings(knots, both)
        values = np.maximum(_interpolated(*left, knots), _interpolated(*right, knots))
        result = ViolationSizes(result.n_rows, result.n_queries, index, knots, values)
    return result


def _excesses(a: FloatArray, v: FloatArray, v_full: FloatArray, d: FloatArray, knots: FloatArray) -> FloatArray:
    """Return the excess of each alternative at half-widths: (n_kept, n_demands, n_alternatives, n_knots)."""
    excess = np.repeat(v[..., None], knots.shape[1], axis=-1)
    for point in range(d.shape[1]):
        moved = np.clip(d[:, point, None], -knots, knots)
        excess += a[..., point, None] * moved[:, None, None, :]
    # From the largest |d| on it is the excess of g, without the rounding of the sum.
    full: BoolArray = knots >= np.abs(d).max(axis=1, keepdims=True)
    return np.where(full[:, None, None, :], v_full[..., None], excess)


def _with_crossings(knots: FloatArray, lines: FloatArray) -> FloatArray:
    """Return knots and, between them, the points at which functions (n_kept, n_lines, n_knots) cross each other."""
    start, length = knots[:, :-1], np.diff(knots, axis=1)
    crossings = [knots]
    for first, second in combinations(range(lines.shape[1]), 2):
        difference = lines[:, first] - lines[:, second]
        left, right = difference[:, :-1], difference[:, 1:]
        crossed = left * right < 0
        share = np.divide(left, left - right, out=np.zeros_like(left), where=crossed)
        crossings.append(np.minimum(start + share * length, knots[:, 1:]))
    merged: FloatArray = np.sort(np.concatenate(crossings, axis=1), axis=1)
    return merged


def _chords(lines: FloatArray) -> FloatArray:
    """Return at knots an upper bound of ``max_demands min_alternatives`` whose chords bound it in between.

    A maximum of linear functions is below its chord. Of the alternatives of a demand one is taken for each piece, that with the
    smaller maximum there.
    """
    left, right = lines[..., :-1], lines[..., 1:]
    alternative = np.argmin(np.maximum(left, right), axis=2)[:, :, None, :]
    at_left = np.take_along_axis(left, alternative, axis=2)[:, :, 0].max(axis=1)
    at_right = np.take_along_axis(right, alternative, axis=2)[:, :, 0].max(axis=1)
    last = lines[..., -1].min(axis=2).max(axis=1)
    height: FloatArray = np.concatenate([at_left, last[:, None]], axis=1)
    height[:, 1:] = np.maximum(height[:, 1:], at_right)
    return height


def _envelope(knots: FloatArray, height: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return knots and values of the largest height from each half-width on."""
    later = np.maximum.accumulate(height[:, ::-1], axis=1)[:, ::-1]
    left, right, following = height[:, :-1], height[:, 1:], later[:, 1:]
    falls_onto = (left > following) & (following > right)
    if not falls_onto.any():
        return knots, later
    share = np.divide(left - following, left - right, out=np.zeros_like(left), where=falls_onto)
    onto = np.minimum(knots[:, :-1] + share * np.diff(knots, axis=1), knots[:, 1:])
    corner = np.where(falls_onto, following, later[:, :-1])
    order = [0, *(place for piece in range(1, knots.shape[1]) for place in (knots.shape[1] + piece - 1, piece))]
    return np.concatenate([knots, onto], axis=1)[:, order], np.concatenate([later, corner], axis=1)[:, order]


def _interpolated(knots: FloatArray, values: FloatArray, half_widths: FloatArray) -> FloatArray:
    """Return functions (n_kept, n_knots) at half-widths (n_kept, n_places), constant after their last knot."""
    place = np.zeros(half_widths.shape, dtype=np.intp)
    for knot in range(1, knots.shape[1]):
        place += knots[:, knot, None] <= half_widths
    following = np.minimum(place + 1, knots.shape[1] - 1)
    start, end = np.take_along_axis(knots, place, axis=1), np.take_along_axis(knots, following, axis=1)
    first, second = np.take_along_axis(values, place, axis=1), np.take_along_axis(values, following, axis=1)
    is_between = end > start
    share = np.divide(
        np.minimum(half_widths, end) - start, end - start, out=np.zeros(half_widths.shape), where=is_between
    )
    between: FloatArray = np.clip(first + share * (second - first), second, first)
    return between


def _padded(columns: FloatArray, width: int) -> FloatArray:
    """Return columns with the last one repeated up to a width."""
    return columns[:, np.minimum(np.arange(width), columns.shape[1] - 1)]


def _spread(sizes: ViolationSizes, index: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return knots and values for more queries than are kept: 0 for the others."""
    knots, values = (np.zeros((index.size, sizes.knots.shape[1])) for _ in range(2))
    place = np.searchsorted(index, sizes.index)
    knots[place], values[place] = sizes.knots, sizes.values
    return knots, values


def _passes_unrepaired(sizes: ViolationSizes, bound: SizeBound, level: Fraction) -> bool:
    """Return exactly whether the model needs no repair, where nothing but the bound is added."""
    return sizes.index.size == 0 and Fraction(bound.at_half_width(0.0)) <= level * (sizes.n_rows + 1)


def _too_large(sizes: ViolationSizes, alpha: float, bound: SizeBound) -> str:
    """Return the sentence that says how many rows would do."""
    worst, mean = bound.at_half_width(inf), sizes.mean(inf)
    sentence = (
        f"{sizes.n_rows} rows cannot support an expected size of violations of alpha={printed.level(alpha)}: at any "
        "half-width their "
        f"mean is at least {printed.rounded(mean, ROUND_FLOOR)}, and a fresh one may be {worst:g}"
    )
    room = as_fraction(alpha) - Fraction(mean)
    if room <= 0:
        return f"{sentence}. What the repair leaves is more than alpha; raise alpha or n_knots, or declare less."
    needed = max(sizes.n_rows + 1, ceil((Fraction(worst) - as_fraction(alpha)) / room))
    return (
        f"{sentence}. At least {needed} rows are needed; give more rows, a larger alpha, or a bound that falls with the "
        "half-width."
    )
