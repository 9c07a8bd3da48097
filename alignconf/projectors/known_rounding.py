"""A model with the account of its rounding, which calibration fixes: what of its answers is rounding, whatever rows are asked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alignconf._typing import FloatArray, Model, Table
from alignconf.lines.composition import exact_lines_of
from alignconf.lines.ensemble import Ensemble
from alignconf.lines.exact_lines import ExactLines
from alignconf.lines.trees import trees_of
from alignconf.tables import table as tables
from alignconf.tables.predictions import Rounding, predictions

__all__ = ["WithRounding", "rounding_of"]


def rounding_of(function: Model, table: Table) -> Rounding:
    """Return the rounding of a function: that of the calibration where it is known, otherwise that of an answer to one row."""
    if isinstance(function, WithRounding):
        return function.rounding
    return predictions(function, tables.take(table, np.arange(1)))[1]


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

    def trees(self) -> Ensemble | str:
        """Return the trees of the model, or why they cannot be read."""
        return trees_of(self.model)

    def exact_lines(self, reference: Table) -> ExactLines | str:
        """Return the exact lines of the model, or a sentence that says why they are not known."""
        return exact_lines_of(self.model, reference)

    def with_rounding(self, table: Table) -> tuple[FloatArray, Rounding]:
        """Return the model's predictions, (n_samples,), and their rounding."""
        return predictions(self.model, table)[0], self.rounding

    def predict(self, table: Table) -> FloatArray:
        """Return the model's predictions, (n_samples,)."""
        return predictions(self.model, table)[0]
