"""From a function to a function that has a property: what every repair answers, and how repairs are chained.

A :class:`Projector` fixes, before any row calibrates, how the values of a function are changed so that it has some of the
declared parts: on the grid of constrained features (:mod:`alignconf.projectors.grid`), within the orbit of each row
(:mod:`alignconf.projectors.orbit_projector`), or by a surrogate that has the property throughout
(:mod:`alignconf.projectors.surrogate`).
Repairs are chained: each is applied to the function that the ones before it return, and the chain is a function itself
(:class:`Projected`), so it can be evaluated at any rows, those of a query included.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from alignconf._typing import BoolArray, FloatArray, Model, Table
from alignconf.tables import table as tables
from alignconf.tables.predictions import predictions
from alignconf.tables.rounding import Rounding

__all__ = ["Projected", "Projector", "WithRounding"]


class Projector(ABC):
    """A change of a function that gives it a property."""

    @abstractmethod
    def count_sites(self, n_points: int) -> int:
        """Return how many rows the function is asked to repair ``n_points`` points made from one row."""

    @property
    @abstractmethod
    def where(self) -> str | None:
        """The points on which the repaired values of a row have the property together, in words; None if unknown."""

    @property
    @abstractmethod
    def path(self) -> str:
        """The way to repaired values, in words."""

    @property
    def is_exact(self) -> bool:
        """Whether no query of its parts can fail at full strength, by construction."""
        return False

    def fitted(self, function: Model, reference: Table) -> Projector:
        """Return the repair fitted to the function at reference rows; by default unchanged."""
        return self

    def within(self, limits: tuple[float, float]) -> Projector:
        """Return the repair with other limits for its values; a repair without limits returns itself."""
        return self

    def complete(self, table: Table) -> BoolArray:
        """Return which rows the repair has a place for, (n_samples,); other rows keep their values."""
        return np.ones(table.shape[0], dtype=bool)

    @abstractmethod
    def apply(self, function: Model, table: Table, predicted: FloatArray) -> FloatArray:
        """Return repaired values at complete rows, (n_samples,), from the function's own values ``predicted``."""

    def half_widths(self, function: Model, table: Table, limits: tuple[float, float]) -> FloatArray:
        """Return, per row, a half-width within which one member exists on all that :attr:`where` names: (n_samples,)."""
        raise TypeError(f"{type(self).__name__} has no half-widths")

    def repairs_exactly(self, function: Model, table: Table, limits: tuple[float, float]) -> BoolArray:
        """Return, per row, whether the repaired values, clipped, have the property on all that :attr:`where` names."""
        raise TypeError(f"{type(self).__name__} cannot tell")


@dataclass(frozen=True)
class Projected:
    """A function after a repair: a function again.

    Parameters
    ----------
    before : Model
    repair : Projector
    """

    before: Model
    repair: Projector

    def with_rounding(self, table: Table) -> tuple[FloatArray, Rounding]:
        """Return repaired values, (n_samples,), and the rounding of the function before the repair."""
        predicted, rounding = predictions(self.before, table)
        return self.from_predicted(table, predicted), rounding

    def from_predicted(self, table: Table, predicted: FloatArray) -> FloatArray:
        """Return repaired values, (n_samples,), from the values ``predicted`` of the function before the repair."""
        complete = self.repair.complete(table)
        if complete.all():
            return self.repair.apply(self.before, table, predicted) if predicted.size else predicted
        values = predicted.copy()
        if complete.any():
            complete_rows = tables.take(table, np.flatnonzero(complete))
            values[complete] = self.repair.apply(self.before, complete_rows, predicted[complete])
        return values

    def predict(self, table: Table) -> FloatArray:
        """Return repaired values, (n_samples,)."""
        return self.with_rounding(table)[0]


@dataclass(frozen=True)
class WithRounding:
    """A model with the account of its rounding that is fixed at calibration.

    Parameters
    ----------
    model : Model
    rounding : Rounding
    """

    model: Model
    rounding: Rounding

    def with_rounding(self, table: Table) -> tuple[FloatArray, Rounding]:
        """Return the model's predictions, (n_samples,), and their rounding."""
        return predictions(self.model, table)[0], self.rounding

    def predict(self, table: Table) -> FloatArray:
        """Return the model's predictions, (n_samples,)."""
        return predictions(self.model, table)[0]
