r"""Decreasing: predictions never rise as the feature grows, the other features fixed.

The mirror image of :class:`~alignconf.properties.Increasing`: :math:`g` is decreasing iff :math:`-g` is increasing, and
every answer below is that of the increasing lines with the signs turned.
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

__all__ = ["Decreasing"]


@dataclass(frozen=True, repr=False)
class Decreasing(LineProperty):
    """Predictions never rise as the feature grows while everything else stays fixed.

    ``g(x) >= g(x')`` whenever ``x'`` differs from ``x`` only by a larger value (a later category) of the feature.

    Parameters
    ----------
    feature : str or int
        Column name, or position, in the raw input of the model.
    order : sequence, optional
        The categories of a categorical feature, from first to last.

    Examples
    --------
    >>> Decreasing("v")
    Decreasing('v')
    """

    spelling: ClassVar[Spelling | None] = Spelling("decreasing", Form.FEATURE, "predictions never rise as it grows")

    adjective: ClassVar[str] = "decreasing"
    n_points: ClassVar[int] = 2
    chains: ClassVar[bool] = True
    direction = -1

    def demands(self, places: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Demand ``g(u') - g(u) <= 0``; see :meth:`LineProperty.demands`."""
        shape = places.shape[:-1]
        return np.broadcast_to([-1.0, 1.0], (*shape, 1, 1, 2)), np.zeros((*shape, 1, 1))

    def least_squares(self, lines: FloatArray, knots: FloatArray, weights: FloatArray) -> FloatArray:
        """Return the antitonic regression of each line."""
        nearest: FloatArray = -isotonic_least_squares(-lines, weights)
        return nearest

    def upper(self, lines: FloatArray, knots: FloatArray) -> FloatArray:
        """Return the running maximum from the right."""
        return np.maximum.accumulate(lines[:, ::-1], axis=1)[:, ::-1]

    def lower(self, lines: FloatArray, knots: FloatArray) -> FloatArray:
        """Return the running minimum from the left."""
        return np.minimum.accumulate(lines, axis=1)

    def midpoint(self, lines: FloatArray, knots: FloatArray) -> FloatArray:
        """Return the lines midway between the envelopes, in one pass."""
        midpoint: FloatArray = -isotonic_midpoint(-lines)
        return midpoint

    def allowed(self, cells: Cells) -> tuple[FloatArray, FloatArray]:
        """Return the value of the right neighbour as lower limit, that of the left neighbour as upper limit."""
        return limit_below(cells.right), limit_above(cells.left)
