r"""Plateau: the feature matters no more beyond a place.

:math:`g(u) = g(u')` for any two places :math:`u, u' \ge` ``beyond`` of a line, and likewise for two at or before ``below``.
Elsewhere nothing is demanded; next to :class:`~alignconf.properties.Increasing` the effect rises and then stays. The
least-squares repair is the weighted mean of each flat side, the repair of smallest band its midrange.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from alignconf._typing import BoolArray, FloatArray
from alignconf.contract.cells import Cells
from alignconf.contract.property import LineProperty
from alignconf.contract.spelling import Form, Spelling
from alignconf.errors import InputError
from alignconf.kernels.sums import total
from alignconf.tables.checks import check_number

__all__ = ["Plateau"]


@dataclass(frozen=True, repr=False)
class Plateau(LineProperty):
    """Predictions do not change beyond a place of the feature, or below one, all else equal.

    Parameters
    ----------
    feature : str or int
        Column name, or position, in the raw input of the model.
    beyond : float, optional
        From this place on predictions are constant (the rank, for ordered categories).
    below : float, optional
        Up to this place predictions are constant. At least one of the two is needed; with both, ``below < beyond``.
    order, tol
        See :class:`~alignconf.contract.property.LineProperty`.

    Examples
    --------
    >>> print(Plateau("dose", beyond=50), "/", Plateau("dose", below=5))
    constant from 50 on in 'dose' / constant up to 5 in 'dose'
    """

    spelling: ClassVar[Spelling | None] = Spelling("plateau", Form.FEATURE_NUMBER, "no change from this place on")

    beyond: float | None = field(default=None, kw_only=True)
    below: float | None = field(default=None, kw_only=True)

    n_points: ClassVar[int] = 2
    chains: ClassVar[bool] = True
    is_linear = True

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, place in (("beyond", self.beyond), ("below", self.below)):
            if place is not None:
                check_number(name, place)
        if self.beyond is None and self.below is None:
            raise InputError(
                f"Plateau needs the place at which feature {self.feature!r} stops to matter; write for example "
                f"Plateau({self.feature!r}, beyond=50)."
            )
        if self.beyond is not None and self.below is not None and self.below >= self.beyond:
            raise InputError(
                f"below must be less than beyond, got below={self.below:g} and beyond={self.beyond:g}: a line that is constant "
                "on both sides of one place is constant throughout. Use Invariant for that."
            )

    @property
    def description(self) -> str:
        """The property in words, without its feature."""
        below = [] if self.below is None else [f"constant up to {self.below:g}"]
        beyond = [] if self.beyond is None else [f"constant from {self.beyond:g} on"]
        return " and ".join(below + beyond)

    @property
    def cuts(self) -> tuple[float, ...]:
        """The two places, where they are given."""
        return tuple(float(place) for place in (self.below, self.beyond) if place is not None)

    def demands(self, places: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Demand equal values of two places on one flat side, by two inequalities; nothing of others."""
        flat = np.any([side.all(axis=-1) for side in self._sides(places)], axis=0)
        coefficients = np.broadcast_to([[[1.0, -1.0]], [[-1.0, 1.0]]], (*flat.shape, 2, 1, 2))
        return coefficients, np.broadcast_to(np.where(flat, 0.0, np.inf)[..., None, None], coefficients.shape[:-1])

    def least_squares(self, lines: FloatArray, knots: FloatArray, weights: FloatArray) -> FloatArray:
        """Return the lines with the weighted mean of each flat side there."""

        def mean(side: BoolArray) -> FloatArray:
            on_side, mass = lines[:, side], weights[..., side]
            average: FloatArray = total(on_side * (mass / total(mass)[..., None]))
            return np.clip(average, on_side.min(axis=1), on_side.max(axis=1))

        return self._flattened(lines, knots, mean)

    def upper(self, lines: FloatArray, knots: FloatArray) -> FloatArray:
        """Return the lines with the largest value of each flat side there."""
        return self._flattened(lines, knots, lambda side: np.asarray(lines[:, side].max(axis=1)))

    def lower(self, lines: FloatArray, knots: FloatArray) -> FloatArray:
        """Return the lines with the smallest value of each flat side there."""
        return self._flattened(lines, knots, lambda side: np.asarray(lines[:, side].min(axis=1)))

    def allowed(self, cells: Cells) -> tuple[FloatArray, FloatArray]:
        """Return the value of a neighbour on the same flat side; no limits elsewhere, or where no knot is on that side."""
        value = np.full(cells.places.shape, np.nan)
        last = cells.knots.size - 1
        for index, neighbour in zip(cells.index, (cells.left, cells.right), strict=True):
            around = zip(self._sides(cells.places), self._sides(cells.knots), strict=True)
            for here, at_knots in around:
                value = np.where(here & at_knots[np.clip(index, 0, last)] & ~np.isnan(neighbour), neighbour, value)
        at_knot = cells.index[0] == cells.index[1]
        value = np.where(at_knot, cells.left, value)
        return np.where(np.isnan(value), -np.inf, value), np.where(np.isnan(value), np.inf, value)

    def _sides(self, places: FloatArray) -> list[BoolArray]:
        """Return which places are on each flat side."""
        below = [] if self.below is None else [np.asarray(places <= self.below)]
        return below + ([] if self.beyond is None else [np.asarray(places >= self.beyond)])

    def _flattened(self, lines: FloatArray, knots: FloatArray, level: Callable[[BoolArray], FloatArray]) -> FloatArray:
        """Return lines that have one value, (n_lines,), on each flat side with knots."""
        flattened = lines.copy()
        for side in self._sides(knots):
            if side.any():
                flattened[:, side] = level(side)[:, None]
        return flattened
