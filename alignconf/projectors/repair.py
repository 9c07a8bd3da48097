"""From a function to a function that has a property: what every repair answers, and how repairs are chained.

A :class:`Repair` fixes, before any row calibrates, how the values of a function are changed so that it has some of the
declared parts: on the grid of constrained features (:mod:`alignconf.projectors.grid`), within the orbit of each row
(:mod:`alignconf.projectors.orbit`), or by a surrogate that has the property throughout (:mod:`alignconf.projectors.surrogate`).
Repairs are chained: each is applied to the function that the ones before it return, and the chain is a function itself
(:class:`Repaired`), so it can be evaluated at any rows, those of a query included.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from alignconf._typing import BoolArray, FloatArray, Model, Table
from alignconf.tables import table as tables
from alignconf.tables.predictions import predictions
from alignconf.tables.rounding import Rounding

__all__ = ["Repair", "Repaired", "WithRounding"]


class Repair(ABC):
    """How a function is changed so that it has a property."""

    @abstractmethod
    def count_sites(self, n_points: int) -> int:
        """Return how many rows the function is asked for to repair ``n_points`` points made from one row."""

    @property
    @abstractmethod
    def where(self) -> str | None:
        """On what the repaired values of a row have the property together, in words; None if that is not known."""

    @property
    @abstractmethod
    def path(self) -> str:
        """How repaired values are had, in words."""

    @property
    def is_exact(self) -> bool:
        """Whether by construction no query of its parts can fail at full strength."""
        return False

    def fitted(self, function: Model, reference: Table) -> Repair:
        """Return the repair with whatever it learns from the function at reference rows."""
        return self

    def within(self, limits: tuple[float, float]) -> Repair:
        """Return the repair with other limits for its values; where it has none, itself."""
        return self

    def complete(self, table: Table) -> BoolArray:
        """Return which rows it has a place for, (n_samples,); the others keep their values."""
        return np.ones(table.shape[0], dtype=bool)

    @abstractmethod
    def apply(self, function: Model, table: Table, own: FloatArray) -> FloatArray:
        """Return repaired values at complete rows, (n_samples,), where the function itself has the values ``own``."""

    def half_widths(self, function: Model, table: Table, limits: tuple[float, float]) -> FloatArray:
        """Return, per row, a half-width within which one member exists on all that :attr:`where` names: (n_samples,)."""
        raise TypeError(f"{type(self).__name__} has no half-widths")

    def repairs_exactly(self, function: Model, table: Table, limits: tuple[float, float]) -> BoolArray:
        """Return, per row, whether the repaired values, clipped, have the property on all that :attr:`where` names."""
        raise TypeError(f"{type(self).__name__} cannot tell")


@dataclass(frozen=True)
class Repaired:
    """A function after a repair: a function again.

    Parameters
    ----------
    before : Model
    repair : Repair
    """

    before: Model
    repair: Repair

    def with_rounding(self, table: Table) -> tuple[FloatArray, Rounding]:
        """Return repaired values, (n_samples,), and the rounding of the function before the repair."""
        own, rounding = predictions(self.before, table)
        return self.from_own(table, own), rounding

    def from_own(self, table: Table, own: FloatArray) -> FloatArray:
        """Return repaired values, (n_samples,), where the function before the repair has the values ``own``."""
        complete = self.repair.complete(table)
        if complete.all():
            return self.repair.apply(self.before, table, own) if own.size else own
        values = own.copy()
        if complete.any():
            inside = tables.take(table, np.flatnonzero(complete))
            values[complete] = self.repair.apply(self.before, inside, own[complete])
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
