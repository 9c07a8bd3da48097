r"""Invariant: the feature must not matter.

:math:`g(u) = g(u')` for any two places of a line. The least-squares repair is the weighted mean of the line, the repair
of smallest band its midrange.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from alignconf._typing import FloatArray
from alignconf.contract.cells import Cells
from alignconf.contract.property import LineProperty
from alignconf.contract.spelling import Form, Spelling
from alignconf.errors import InputError
from alignconf.kernels.sums import total
from alignconf.properties.invariant_under import InvariantUnder

__all__ = ["Invariant"]


@dataclass(frozen=True, repr=False)
class Invariant(LineProperty):
    """Predictions do not depend on the feature, all else equal: a protected attribute must not matter.

    Parameters
    ----------
    feature : str or int
        Column name, or position, in the raw input of the model.
    transforms : sequence, optional
        In place of a feature: ``Invariant(transforms=[...])`` is
        :class:`~alignconf.properties.InvariantUnder` these transforms of the whole row.
    order : sequence, optional
        The values of a feature that is not numeric, in any order; by default those that occur in the rows that are seen first
        and in the reference rows.
    tol : float, default=0
        Largest difference that does not matter.

    Examples
    --------
    >>> Invariant("sex", order=["female", "male"], tol=0.01)
    Invariant('sex', order=['female', 'male'], tol=0.01)
    """

    spelling: ClassVar[Spelling | None] = Spelling("invariant", Form.FEATURE_VALUES, "it does not matter")

    adjective: ClassVar[str] = "invariant"
    n_points: ClassVar[int] = 2
    chains: ClassVar[bool] = True
    direction = 0

    def __new__(cls, *args: Any, transforms: Sequence[Any] | None = None, **keywords: Any) -> Any:
        """Return the other kind of invariance where transforms are given in place of a feature."""
        if transforms is None:
            return super().__new__(cls)
        if args or "feature" in keywords:
            raise InputError("Invariant takes a feature or transforms, got both; combine one of each with AllOf.")
        return InvariantUnder(transforms, **keywords)

    def demands(self, places: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Demand ``g(u) - g(u') <= 0`` and ``g(u') - g(u) <= 0``."""
        shape = places.shape[:-1]
        return np.broadcast_to([[[1.0, -1.0]], [[-1.0, 1.0]]], (*shape, 2, 1, 2)), np.zeros((*shape, 2, 1))

    def least_squares(self, lines: FloatArray, knots: FloatArray, weights: FloatArray) -> FloatArray:
        """Return the weighted means; a line that is constant already is left alone."""
        average = total(lines * (weights / total(weights)[..., None]))
        mean = np.clip(average, lines.min(axis=1), lines.max(axis=1))
        return np.broadcast_to(mean[:, None], lines.shape).copy()

    def upper(self, lines: FloatArray, knots: FloatArray) -> FloatArray:
        """Return the largest value of each line."""
        return np.broadcast_to(lines.max(axis=1, keepdims=True), lines.shape).copy()

    def lower(self, lines: FloatArray, knots: FloatArray) -> FloatArray:
        """Return the smallest value of each line."""
        return np.broadcast_to(lines.min(axis=1, keepdims=True), lines.shape).copy()

    def allowed(self, cells: Cells) -> tuple[FloatArray, FloatArray]:
        """Return the value of the neighbours."""
        value = np.where(np.isnan(cells.left), cells.right, cells.left)
        return value, value
