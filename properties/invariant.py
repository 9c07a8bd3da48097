r"""Invariant: the feature must not matter.

:math:`g(u) = g(u')` for any two places of a line. The least-squares repair is the weighted mean of the line, the repair
of smallest band its midrange.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from alignconf._typing import FloatArray
from alignconf.contract import Cells, LineProperty

__all__ = ["Invariant"]


@dataclass(frozen=True, repr=False)
class Invariant(LineProperty):
    """Predictions do not depend on the feature, all else equal: a protected attribute must not matter.

    Parameters
    ----------
    feature : str or int
        Column name, or position, in the raw input of the model.
    order : sequence, optional
        The values of a feature that is not numeric, in any order.
    tol : float, default=0
        Largest difference that does not matter.

    Examples
    --------
    >>> Invariant("sex", order=["female", "male"], tol=0.01)
    Invariant('sex', order=['female', 'male'], tol=0.01)
    """

    adjective: ClassVar[str] = "constant"
    n_points: ClassVar[int] = 2

    def demands(self, places: FloatArray) -> tuple[FloatArray, FloatArray]:
        """``g(u) - g(u') <= 0`` and ``g(u') - g(u) <= 0``."""
        shape = places.shape[:-1]
        return np.broadcast_to([[[1.0, -1.0]], [[-1.0, 1.0]]], (*shape, 2, 1, 2)), np.zeros((*shape, 2, 1))

    def least_squares(self, lines: FloatArray, knots: FloatArray, weights: FloatArray) -> FloatArray:
        """The weighted mean; a line that is constant already is left alone."""
        mean = np.clip(lines @ (weights / weights.sum()), lines.min(axis=1), lines.max(axis=1))
        return np.broadcast_to(mean[:, None], lines.shape).copy()

    def upper(self, lines: FloatArray, knots: FloatArray) -> FloatArray:
        """The largest value."""
        return np.broadcast_to(lines.max(axis=1, keepdims=True), lines.shape).copy()

    def lower(self, lines: FloatArray, knots: FloatArray) -> FloatArray:
        """The smallest value."""
        return np.broadcast_to(lines.min(axis=1, keepdims=True), lines.shape).copy()

    def between(self, cells: Cells) -> tuple[FloatArray, FloatArray]:
        """The value of the neighbours."""
        value = np.where(np.isnan(cells.left), cells.right, cells.left)
        return value, value
