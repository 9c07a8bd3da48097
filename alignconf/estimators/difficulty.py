"""What alignconf has from crepes, and the only place where it is imported: how hard a row is, by its neighbours.

crepes [1]_ is a library of conformal regressors. Importing it sets a warning filter for the whole process, so it is imported
where it is needed and the filters are put back; none of its objects leaves this module or is pickled. Its ranks are computed
in floats (9 rows at confidence 0.9 give an infinite interval; the exact rank is 9 of 9), an unseen group gets the interval
[0, 0], and its predictive systems draw from, and reseed, NumPy's global random state. Ranks, groups and predictive
distributions are therefore alignconf's own (:mod:`alignconf.estimators.outcome`); tests compare them with crepes where the
two must agree.

References
----------
.. [1] Bostrom, H. (2022). crepes: a Python Package for Generating Conformal Regressors and Predictive Systems. COPA,
   PMLR 179. https://github.com/henrikbostrom/crepes
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from alignconf._typing import FloatArray, Table
from alignconf.errors import InputError
from alignconf.tables.table import as_numbers, as_table, is_numeric

__all__ = ["NeighbourDifficulty"]


@dataclass(frozen=True, eq=False)
class NeighbourDifficulty:
    """Mean size of the errors at the nearest of some known rows, plus a floor; columns are scaled to [0, 1] there.

    Parameters
    ----------
    rows : (n_known, n_features)
    errors : (n_known,)
        Their sign does not matter.
    n_neighbours : int
    floor : float
        Added to the mean, in the unit of the errors.
    """

    rows: FloatArray
    errors: FloatArray
    n_neighbours: int
    floor: float

    def __call__(self, X: Table) -> FloatArray:
        """Return the difficulty of rows, (n_samples,)."""
        # Neighbours are found on several threads, each of which sets and restores the filters of the process, in any order.
        with warnings.catch_warnings():
            sizes: FloatArray = np.asarray(self._estimator.apply(as_known_numbers(X)), dtype=np.float64)
        return sizes

    @cached_property
    def _estimator(self) -> Any:
        with warnings.catch_warnings():
            from crepes.extras import DifficultyEstimator

            return DifficultyEstimator().fit(X=self.rows, residuals=self.errors, k=self.n_neighbours, beta=self.floor)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_estimator"}


def as_known_numbers(X: Table) -> FloatArray:
    """Return a table as numbers; refuse other columns, and values that are missing."""
    table = as_table(X)
    if not is_numeric(table):
        raise InputError(
            "difficulty by neighbours needs numeric columns; encode the others, or give a function of the rows."
        )
    numbers = as_numbers(table)
    if not np.isfinite(numbers).all():
        row, column = np.argwhere(~np.isfinite(numbers))[0]
        raise InputError(
            f"difficulty by neighbours needs finite numbers, got {numbers[row, column]} in row {row}, column {column}; impute, "
            "or give a function of the rows."
        )
    return numbers
