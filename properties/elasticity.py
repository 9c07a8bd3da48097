r"""Elasticity: one per cent more of the feature changes predictions by between ``low`` and ``high`` per cent.

The elasticity is the slope between logarithms, :math:`d \log g / d \log u`. For positive predictions it lies between :math:`a`
and :math:`b` everywhere iff, for all places :math:`0 < u < u'`,

.. math:: g(u) \, (u' / u)^a \le g(u') \le g(u) \, (u' / u)^b,

which at given places is linear in the predictions: no logarithm of them is taken. With :math:`a < b` no negative prediction
meets it, and zeros are legal. Each inequality is divided by its largest coefficient, so that ``tol`` and sizes of violations
are in the unit of the prediction. The smallest member above a line is the largest of the curves
:math:`f(u_j) (u / u_j)^{b}` to the left of each place
and :math:`f(u_j) (u / u_j)^{a}` to its right; members are a cone.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import ClassVar

import numpy as np

from alignconf._typing import FloatArray
from alignconf.contract.cells import Cells, limit_above, limit_below
from alignconf.contract.property import LineProperty, centred
from alignconf.contract.spelling import Form, Spelling
from alignconf.errors import InputError
from alignconf.kernels.ratios import ratios_least_squares
from alignconf.tables.checks import check_number

__all__ = ["Elasticity"]


@dataclass(frozen=True, repr=False)
class Elasticity(LineProperty):
    """The elasticity of predictions in the feature lies between two numbers: per cent of change for one per cent more of it.

    Parameters
    ----------
    feature : str or int
        Column name, or position, of a numeric feature with positive values.
    low, high : float
        ``low <= high``; ``-inf`` or ``inf`` for no limit on that side: ``Elasticity("price", high=-1)`` says that demand is
        elastic.
    tol
        See :class:`~alignconf.contract.property.LineProperty`.

    Notes
    -----
    Reference rows with places that are not positive are refused, unless ``between`` leaves them out; other rows that have no
    positive value keep the model's.

    Examples
    --------
    >>> print(Elasticity("price", -2, -0.5))
    of elasticity between -2 and -0.5 in 'price'
    """

    spelling: ClassVar[Spelling | None] = Spelling(
        "elasticity", Form.FEATURE_LIMITS, "change in per cent for one per cent"
    )

    low: float = -inf
    high: float = inf

    n_points: ClassVar[int] = 2
    chains: ClassVar[bool] = True
    is_linear = True
    max_length = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, value in (("low", self.low), ("high", self.high)):
            if not (isinstance(value, float) and np.isinf(value)):
                check_number(name, value)
        if not self.low <= self.high:
            raise InputError(f"low must not be above high, got low={self.low:g} and high={self.high:g}; swap them.")
        if (self.low == -inf and self.high == inf) or self.low == inf or self.high == -inf:
            raise InputError(
                f"Elasticity needs a finite limit, got low={self.low:g} and high={self.high:g}; write for example "
                "Elasticity('price', -2, -0.5)."
            )
        if self.order is not None:
            raise InputError("Elasticity is about a numeric feature and takes no order; leave order out.")

    @property
    def description(self) -> str:
        """The property in words, without its feature."""
        if self.low == -inf:
            return f"of elasticity at most {self.high:g}"
        if self.high == inf:
            return f"of elasticity at least {self.low:g}"
        return f"of elasticity between {self.low:g} and {self.high:g}"

    @property
    def is_local(self) -> bool:
        """Whether neighbours tell: not between two numbers, as a single negative value is in no line that has the property."""
        return super().is_local and not self._has_floor

    def demands(self, places: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Demand ``g(u') - r^high g(u) <= 0`` and ``r^low g(u) - g(u') <= 0`` with ``r = u'/u``, where finite, scaled."""
        growth = np.diff(self._logarithms(places), axis=-1)[..., 0]
        rows = []
        for limit, sign in self._limits:
            first, second = (np.exp(np.minimum(side * limit * growth, 0.0)) for side in (1.0, -1.0))
            rows.append(sign * np.stack([-first, second], axis=-1))
        coefficients = np.stack(rows, axis=-2)[..., None, :]
        return coefficients, np.zeros(coefficients.shape[:-1])

    def least_squares(self, lines: FloatArray, knots: FloatArray, weights: FloatArray) -> FloatArray:
        """Return the exact projection, by dynamic programming over the derivative of the cost."""
        growth = np.diff(self._logarithms(knots))
        return ratios_least_squares(
            lines, np.exp(self.low * growth), np.exp(self.high * growth), weights, has_floor=self._has_floor
        )

    def upper(self, lines: FloatArray, knots: FloatArray) -> FloatArray:
        """Return the largest of all curves from the points, of the largest elasticity to the left, the least to the right."""
        factors, floor = self._factors(knots), 0.0 if self._has_floor else -np.inf
        return np.stack([np.maximum((lines[:, row > 0] * row[row > 0]).max(axis=1), floor) for row in factors], axis=1)

    def lower(self, lines: FloatArray, knots: FloatArray) -> FloatArray | None:
        """Return the smallest of all curves from the points; None where no member is below a negative value."""
        return None if self._has_floor else self._below(lines, knots)

    def midpoint(self, lines: FloatArray, knots: FloatArray) -> FloatArray:
        r"""Return the members nearest to lines in the largest deviation ``t``, over pairs the smallest possible.

        A member is within ``t`` iff :math:`c_{ij} (f_j - t) \le f_i + t` for all ``i`` and ``j``, with the factors of
        :meth:`upper` (and :math:`0 \le f_i + t` between two numbers). The line midway between the smallest member above
        ``f - t`` and the largest below ``f + t`` is one.
        """
        needed = [
            ((lines[:, row > 0] * row[row > 0] - lines[:, [i]]) / (1.0 + row[row > 0])).max(axis=1)
            for i, row in enumerate(self._factors(knots))
        ]
        if self._has_floor:
            needed.append(-lines.min(axis=1))
        t = np.max(needed, axis=0)[:, None]
        return centred(lines, self.upper(lines - t, knots), self._below(lines + t, knots))

    def allowed(self, cells: Cells) -> tuple[FloatArray, FloatArray]:
        """Return what both neighbours allow over the ratio to each; no limits at places that are not positive."""
        last = cells.knots.size - 1
        left, right = (cells.knots[np.clip(index, 0, last)] for index in cells.index)
        positive = cells.places > 0
        places = np.where(positive, cells.places, left)
        before, after = np.maximum(places / left, 1.0), np.maximum(right / places, 1.0)
        low = np.full(places.shape, 0.0 if self._has_floor else -np.inf)
        high = np.full(places.shape, np.inf)
        for limit, sign in self._limits:
            from_left, from_right = cells.left * before**limit, cells.right * after**-limit
            at_most, at_least = (from_left, from_right) if sign > 0 else (from_right, from_left)
            low, high = np.maximum(low, limit_below(at_least)), np.minimum(high, limit_above(at_most))
        at_knot = cells.index[0] == cells.index[1]
        low, high = np.where(at_knot, cells.left, low), np.where(at_knot, cells.left, high)
        return np.where(positive, low, -np.inf), np.where(positive, high, np.inf)

    @property
    def _limits(self) -> list[tuple[float, float]]:
        """The finite limits, with the sign of their inequality."""
        return [(limit, sign) for limit, sign in ((self.high, 1.0), (self.low, -1.0)) if np.isfinite(limit)]

    @property
    def _has_floor(self) -> bool:
        """Whether no member has negative values: growth must be between two different multiples of the value."""
        return len(self._limits) == 2 and self.low < self.high

    def _below(self, lines: FloatArray, knots: FloatArray) -> FloatArray:
        """Return the largest members below lines that are not negative where there is a floor."""
        columns = self._factors(knots).T
        return np.stack([(lines[:, column > 0] / column[column > 0]).min(axis=1) for column in columns], axis=1)

    def _factors(self, knots: FloatArray) -> FloatArray:
        """Return by how much at least the value at each knot is that at another, (n_knots, n_knots); 0 for no limit."""
        places = self._logarithms(knots)
        growth = places[:, None] - places
        with np.errstate(invalid="ignore"):
            rising, falling = np.exp(self.low * growth), np.exp(self.high * growth)
        return np.where(growth == 0, 1.0, np.where(growth > 0, rising, falling))

    def _logarithms(self, places: FloatArray) -> FloatArray:
        if not (places > 0).all():
            raise InputError(
                f"{self} is about positive values, got the value {places[~(places > 0)].flat[0]:g} of {self.feature!r}. Say "
                "among which values it holds, for example with between=(0.01, 100), or drop the property."
            )
        logarithms: FloatArray = np.log(places)
        return logarithms
