"""Trees that were compared with the function they are said to be, before anything rests on them."""

from __future__ import annotations

import numpy as np

from alignconf._typing import FloatArray, Model, Table
from alignconf.lines.ensemble import Ensemble
from alignconf.lines.trees import trees_of
from alignconf.tables import table as tables
from alignconf.tables.predictions import predictions

__all__ = ["compared_trees", "numbers_of", "with_columns_of_trees"]

#: Trees are compared with the function at this many reference rows.
N_COMPARED = 200

#: The function's sums and the walk's may both be rounded.
AGREEMENT = 2.0


def compared_trees(function: Model, reference: Table) -> Ensemble | str:
    """Return the trees of a function that say what the function says at reference rows, or a sentence that says why not."""
    ensemble = trees_of(function)
    if isinstance(ensemble, str):
        return ensemble
    if ensemble.n_features > reference.shape[1] or not tables.is_numeric(with_columns_of_trees(reference, ensemble)):
        return "some columns are not numbers."
    few = tables.take(reference, np.arange(min(reference.shape[0], N_COMPARED)))
    predicted, _ = predictions(function, few)
    walked = ensemble.predict(numbers_of(few, ensemble))
    apart = np.abs(walked - predicted)
    if (apart > AGREEMENT * ensemble.rounding.of(np.column_stack([walked, predicted]))).any():
        return "its trees do not add up to its predictions."
    return ensemble


def numbers_of(table: Table, ensemble: Ensemble) -> FloatArray:
    """Return rows as the trees take them, (n_samples, n_features); columns behind those of the fit are left out."""
    return tables.as_numbers(with_columns_of_trees(table, ensemble))


def with_columns_of_trees(table: Table, ensemble: Ensemble) -> Table:
    """Return rows without the columns behind those of the fit."""
    return table if table.shape[1] == ensemble.n_features else tables.select(table, range(ensemble.n_features))
