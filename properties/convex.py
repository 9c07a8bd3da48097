r"""Convex: each further unit of the feature adds more than the one before.

The mirror image of :class:`~alignconf.properties.Concave`: :math:`g` is convex iff :math:`-g` is concave.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from alignconf._typing import FloatArray
from alignconf.contract.cells import Cells
from alignconf.contract.property import LineProperty
from alignconf.contract.spelling import Form, Spelling
from alignconf.kernels.curvature import concave_least_squares, concave_upper
from alignconf.properties.concave import above_chord, straight_where_changed

__all__ = ["Convex"]


@dataclass(frozen=True, repr=False)
class Convex(LineProperty):
    """Predictions are convex in the feature, all else equal: effects that accelerate.

    Parameters
    ----------
    feature : str or int
        Column name, or position, in the raw input of the model.
    order, tol
        See :class:`~alignconf.contract.property.LineProperty`.

    Examples
    --------
    >>> Convex("froude_number")
    Convex('froude_number')
    """

    spelling: ClassVar[Spelling | None] = Spelling("convex", Form.FEATURE, "each further unit adds no less")

    adjective: ClassVar[str] = "convex"
    n_points: ClassVar[int] = 3
    chains: ClassVar[bool] = True
    is_linear = True
    max_length = 2.0

    def demands(self, places: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Demand that the middle of three points lie on or below the chord."""
        coefficients, bounds = above_chord(places)
        return -coefficients, bounds

    def least_squares(self, lines: FloatArray, knots: FloatArray, weights: FloatArray) -> FloatArray:
        """Return the convex regression of each line."""
        nearest: FloatArray = -concave_least_squares(-lines, knots, weights)
        return nearest

    def lower(self, lines: FloatArray, knots: FloatArray) -> FloatArray:
        """Return the convex minorants."""
        lower: FloatArray = -concave_upper(-lines, knots)
        return lower

    def allowed(self, cells: Cells) -> tuple[FloatArray, FloatArray]:
        """Return the straight line between repaired knots; no limits on lines that needed no repair."""
        return straight_where_changed(cells)
