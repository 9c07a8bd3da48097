r"""The lines of a linear model, in closed form: :math:`f(x) = h(c + \sum_j w_j x_j)` with a link ``h``.

As a row moves, its margin is that of the columns which stay plus :math:`w_j` times the place, so that a whole line costs one
product of a row with the coefficients. Such a line is no step function: it is known at places of one's choice, and has no pieces.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from alignconf._typing import FloatArray, IntArray, Table
from alignconf.kernels.sums import inner
from alignconf.lines.exact_lines import ExactGrids, ExactLine, Move, ProjectedAt, project_line
from alignconf.lines.links import LINK_UNITS, linked, linked_rounding
from alignconf.lines.routes import Route
from alignconf.lines.sum_rounding import UNIT, UNIT_SINGLE
from alignconf.tables import table as tables
from alignconf.tables.predictions import Rounding

__all__ = ["LinearLines"]

#: Products and sums are this many times as large as at the reference rows, at most.
FACTOR = 8.0


@dataclass(frozen=True, eq=False)
class LinearLines:
    """Lines of a linear model.

    Parameters
    ----------
    name : str
        Of the model.
    coefficients : (n_features,)
    intercept : float
    link : {"identity", "exp", "expit"}
    size : float
        The sum of the sizes of all terms at the reference row where it is largest.
    unit : float
        The unit roundoff of the model's own arithmetic.
    """

    name: str
    coefficients: FloatArray
    intercept: float
    link: str
    size: float
    unit: float

    @classmethod
    def of(
        cls, name: str, coefficients: Any, intercept: float, reference: Table, *, link: str = "identity"
    ) -> LinearLines | str:
        """Return the lines of a model with some coefficients, or a sentence that says why rows are not what it takes."""
        of_fit = np.ravel(coefficients)
        weights = of_fit.astype(np.float64)
        if weights.size > reference.shape[1]:
            return f"{name} has {weights.size} columns, and rows have {reference.shape[1]}."
        own_columns = tables.select(reference, range(weights.size))
        if not tables.is_numeric(own_columns):
            return "some columns are not numbers."
        sizes = abs(intercept) + np.abs(tables.as_numbers(own_columns)) @ np.abs(weights)
        unit = UNIT_SINGLE if of_fit.dtype == np.float32 else UNIT
        return cls(name, weights, float(intercept), link, float(np.nanmax(sizes, initial=0.0)), unit)

    @cached_property
    def rounding(self) -> Rounding:
        r"""The rounding of a prediction.

        A sum of ``n`` products errs by at most :math:`(n + 1) u \sum_j |w_j x_j|`.
        """
        error = FACTOR * (self.coefficients.size + LINK_UNITS) * self.unit * self.size
        return linked_rounding(self.link, error, self.unit)

    @property
    def made_of(self) -> str:
        """What values are made of."""
        return "coefficients"

    def why_not(self, route: Route) -> str:  # noqa: ARG002
        """Return nothing: lines along every column are known."""
        return ""

    def why_no_pieces(self, route: Route) -> str:
        """Return that a line has a slope; empty if the model does not see the columns of a route."""
        sees = any(column < self.coefficients.size and self.coefficients[column] for column in route.signs)
        return f"{self.name} is linear in {route.axis.feature!r}, and no step function." if sees else ""

    def predict(self, table: Table) -> FloatArray:
        """Return predictions, (n_samples,)."""
        return linked(self._margins(table), self.link)

    def ends(self, route: Route) -> FloatArray:  # noqa: ARG002
        """Return nothing: along a column that the model does not see there is one piece."""
        return np.empty(0)

    def line(self, move: Move) -> ExactLine:
        """Return the lines of rows as they move."""
        return LinearLine(self, *self._moved(move.values, move.n_places))

    def plane(self, first: Move, second: Move) -> ExactGrids:
        """Return the grids of rows as they move along two features."""
        still, of_first = self._moved(first.values, first.n_places)
        still, of_second = still._moved(second.values, second.n_places)
        return LinearGrids(self, still, of_first[:, None] + of_second)

    def _moved(self, values: Any, n_places: int) -> tuple[LinearLines, FloatArray]:
        """Return the model of the columns that stay, and what those that move add at each place, (n_places,)."""
        weights, added = self.coefficients.copy(), np.zeros(n_places)
        for column, of_places in values.items():
            if column < weights.size:
                added += weights[column] * np.asarray(of_places, np.float64)
                weights[column] = 0.0
        return replace(self, coefficients=weights), added

    def _margins(self, table: Table) -> FloatArray:
        numbers = tables.as_numbers(tables.select(tables.as_table(table), range(self.coefficients.size)))
        return inner(numbers, self.coefficients) + self.intercept


@dataclass(frozen=True, eq=False)
class LinearGrids:
    """Values of a linear model at fixed places.

    Parameters
    ----------
    model : LinearLines
    still : LinearLines
        The model of the columns that stay.
    added : (n_places,) or (n_places_1, n_places_2)
        What the columns that move add to the margin.
    """

    model: LinearLines
    still: LinearLines
    added: FloatArray

    def values(self, table: Table) -> FloatArray:
        """Return the values, (n_samples, n_places) or (n_samples, n_places_1, n_places_2)."""
        margins = self.still._margins(table)
        return linked(margins.reshape(-1, *(1,) * self.added.ndim) + self.added, self.model.link)


@dataclass(frozen=True, eq=False)
class LinearLine(LinearGrids):
    """Lines of a linear model."""

    def project(
        self,
        table: Table,
        pieces: IntArray,
        weights: FloatArray | None,
        *,
        increasing: bool = True,
        predicted: FloatArray | None = None,  # noqa: ARG002
    ) -> ProjectedAt:
        """Project the line of each row, and tell all limits; see :meth:`ExactLine.project`."""
        return project_line(self.values(table), pieces, weights, increasing=increasing)
