r"""Bounded increments: the family of Lipschitz continuity and of bounded slopes.

:math:`lo(h) \le g(u + h) - g(u) \le hi(h)` for any two places a distance :math:`h > 0` apart, with ``lo`` and ``hi``
proportional to ``h``. A member of the family is one formula, :meth:`Increments.increments`; everything else is derived.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from alignconf._typing import FloatArray
from alignconf.contract.cells import Cells, limit_above, limit_below
from alignconf.contract.property import LineProperty
from alignconf.kernels.order import increments_least_squares, increments_upper


@dataclass(frozen=True, repr=False)
class Increments(LineProperty):
    """A property that bounds how much the prediction may change over a distance."""

    #: Whether the least and the largest change are limited.
    is_bounded: ClassVar[tuple[bool, bool]] = (True, True)

    n_points: ClassVar[int] = 2
    chains: ClassVar[bool] = True
    is_linear = True
    max_length = 2.0

    @abstractmethod
    def increments(self, distances: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the least and the largest change over given distances, two arrays of their shape, infinite if free."""

    def demands(self, places: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Demand ``g(u') - g(u) <= hi`` and ``g(u) - g(u') <= -lo``, where these say anything."""
        low, high = self.increments(np.diff(places, axis=-1)[..., 0])
        below, above = self.is_bounded
        sides = [([-1.0, 1.0], high)] * above + [([1.0, -1.0], -low)] * below
        coefficients = np.array([[pair] for pair, _ in sides])
        bounds = np.stack([bound for _, bound in sides], axis=-1)[..., None]
        return np.broadcast_to(coefficients, (*bounds.shape, 2)), bounds

    def least_squares(self, lines: FloatArray, knots: FloatArray, weights: FloatArray) -> FloatArray:
        """Return the exact projection, by dynamic programming over the derivative of the cost."""
        nearest: FloatArray = increments_least_squares(lines, *self.increments(np.diff(knots)), weights)
        return nearest

    def upper(self, lines: FloatArray, knots: FloatArray) -> FloatArray:
        """Return the envelope of the cones that stand on the points."""
        upper: FloatArray = increments_upper(lines, *self.increments(np.diff(knots)))
        return upper

    def lower(self, lines: FloatArray, knots: FloatArray) -> FloatArray:
        """Return the envelope of the cones that hang from the points: the upper one of ``-g``."""
        low, high = self.increments(np.diff(knots))
        lower: FloatArray = -increments_upper(-lines, -high, -low)
        return lower

    def allowed(self, cells: Cells) -> tuple[FloatArray, FloatArray]:
        """Return what both neighbours allow over the distance to each."""
        before, after = cells.gaps
        (low_before, high_before), (low_after, high_after) = self.increments(before), self.increments(after)
        low = np.maximum(limit_below(cells.left + low_before), limit_below(cells.right - high_after))
        high = np.minimum(limit_above(cells.left + high_before), limit_above(cells.right - low_after))
        return low, high
