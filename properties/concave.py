r"""Concave: each further unit of the feature adds less than the one before.

A tester asks triples :math:`x_1 \le x_2 \le x_3` of a line, anywhere and not only midpoints, and demands that the
middle lie on or above the chord: :math:`(1-\tau) g(x_1) + \tau g(x_3) - g(x_2) \le 0` with
:math:`\tau = (x_2 - x_1)/(x_3 - x_1)`. A concave function is continuous: on a step function the band is at least half
the largest jump, so the property suits smooth models.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from alignconf._typing import FloatArray
from alignconf.contract.cells import Cells
from alignconf.contract.property import LineProperty
from alignconf.contract.spelling import Form, Spelling
from alignconf.kernels.curvature import concave_least_squares, concave_upper

__all__ = ["Concave"]


@dataclass(frozen=True, repr=False)
class Concave(LineProperty):
    """Predictions are concave in the feature, all else equal: effects that level off.

    Parameters
    ----------
    feature : str or int
        Column name, or position, in the raw input of the model.
    order, tol
        See :class:`~alignconf.contract.property.LineProperty`.

    Examples
    --------
    >>> Concave("experience", tol=0.01)
    Concave('experience', tol=0.01)
    """

    spelling: ClassVar[Spelling | None] = Spelling("concave", Form.FEATURE, "each further unit adds no more")

    adjective: ClassVar[str] = "concave"
    n_points: ClassVar[int] = 3
    chains: ClassVar[bool] = True
    is_linear = True
    max_length = 2.0

    def demands(self, places: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Demand that the middle of three points lie on or above the chord."""
        return above_chord(places)

    def least_squares(self, lines: FloatArray, knots: FloatArray, weights: FloatArray) -> FloatArray:
        """Return the concave regression of each line."""
        nearest: FloatArray = concave_least_squares(lines, knots, weights)
        return nearest

    def upper(self, lines: FloatArray, knots: FloatArray) -> FloatArray:
        """Return the concave majorants."""
        upper: FloatArray = concave_upper(lines, knots)
        return upper

    def allowed(self, cells: Cells) -> tuple[FloatArray, FloatArray]:
        """Return the straight line between repaired knots; no limits on lines that needed no repair."""
        return straight_where_changed(cells)


def above_chord(places: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return coefficients and bounds of the demand that the middle of three places lie on or above the chord."""
    span = places[..., 2] - places[..., 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(span > 0, (places[..., 1] - places[..., 0]) / span, 0.0)
    coefficients = np.stack([1 - share, -np.ones_like(share), share], axis=-1)[..., None, None, :]
    return coefficients, np.zeros(coefficients.shape[:-1])


def straight_where_changed(cells: Cells) -> tuple[FloatArray, FloatArray]:
    """Return the linear interpolant (beyond the ends, extrapolant) where lines were changed, no limits elsewhere."""
    first = np.clip(cells.index[0], 0, cells.knots.size - 2)
    rows = np.arange(len(first))
    start, end = cells.lines[rows, first], cells.lines[rows, first + 1]
    share = (cells.places - cells.knots[first]) / (cells.knots[first + 1] - cells.knots[first])
    straight = np.where(share == 1.0, end, start + share * (end - start))
    return np.where(cells.changed, straight, -np.inf), np.where(cells.changed, straight, np.inf)
