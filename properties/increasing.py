r"""Increasing: predictions never fall as the feature grows, the other features fixed.

A tester asks pairs :math:`u < u'` of a line and demands :math:`g(u) - g(u') \le 0`. The least-squares repair is
isotonic regression; the repair of smallest band lies midway between the running maximum from the left and the running
minimum from the right. Both are order preserving, so repairing along one feature keeps what was reached along others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from alignconf._typing import FloatArray
from alignconf.contract.cells import Cells, limit_above, limit_below
from alignconf.contract.property import LineProperty
from alignconf.contract.spelling import Form, Spelling
from alignconf.kernels.order import isotonic_least_squares, isotonic_midpoint

__all__ = ["Increasing"]


@dataclass(frozen=True, repr=False)
class Increasing(LineProperty):
    """Predictions never fall as the feature grows while everything else stays fixed.

    ``g(x) <= g(x')`` whenever ``x'`` differs from ``x`` only by a larger value (a later category) of the feature.

    Parameters
    ----------
    feature : str or int
        Column name, or position, in the raw input of the model.
    order : sequence, optional
        The categories of a categorical feature, from first to last.

    Examples
    --------
    >>> Increasing("cut", order=["Fair", "Good", "Ideal"])
    Increasing('cut', order=['Fair', 'Good', 'Ideal'])
    >>> print(Increasing("bmi"))
    increasing in 'bmi'
    """

    spelling: ClassVar[Spelling | None] = Spelling("increasing", Form.FEATURE, "predictions never fall as it grows")

    adjective: ClassVar[str] = "increasing"
    n_points: ClassVar[int] = 2
    chains: ClassVar[bool] = True
    direction = 1

    def demands(self, places: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Demand ``g(u) - g(u') <= 0``; see :meth:`LineProperty.demands`."""
        shape = places.shape[:-1]
        return np.broadcast_to([1.0, -1.0], (*shape, 1, 1, 2)), np.zeros((*shape, 1, 1))

    def least_squares(self, lines: FloatArray, knots: FloatArray, weights: FloatArray) -> FloatArray:
        """Return the isotonic regression of each line."""
        nearest: FloatArray = isotonic_least_squares(lines, weights)
        return nearest

    def upper(self, lines: FloatArray, knots: FloatArray) -> FloatArray:
        """Return the running maximum from the left."""
        return np.maximum.accumulate(lines, axis=1)

    def lower(self, lines: FloatArray, knots: FloatArray) -> FloatArray:
        """Return the running minimum from the right."""
        return np.minimum.accumulate(lines[:, ::-1], axis=1)[:, ::-1]

    def midpoint(self, lines: FloatArray, knots: FloatArray) -> FloatArray:
        """Return the lines midway between the envelopes, in one pass."""
        midpoint: FloatArray = isotonic_midpoint(lines)
        return midpoint

    def allowed(self, cells: Cells) -> tuple[FloatArray, FloatArray]:
        """Return the value of the left neighbour as lower limit, that of the right neighbour as upper limit."""
        return limit_below(cells.left), limit_above(cells.right)
