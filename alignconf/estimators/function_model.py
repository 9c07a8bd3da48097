"""A plain function as a model, and what aligning a model costs in rows that it is asked, told before any is.

A function may call a service, a network, another language. Two things then matter that do not for a model in memory: how many
rows one call takes (:class:`FunctionModel`), and how many rows will be asked in all (:func:`cost_of`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin

from alignconf._typing import Table
from alignconf.estimators.aligned import AlignedEstimator
from alignconf.lines.fitted_model import N_ALONE, N_TWICE
from alignconf.lines.unchanged import N_ASKED, N_REMEMBERED
from alignconf.queries.row_draws import RowDraws
from alignconf.tables import table as tables
from alignconf.tables.checks import check_count, check_function, check_rows

__all__ = ["Cost", "FunctionModel", "cost_of"]

#: Rows that a model is asked at calibration however few calibrate: whether it answers at all, and twice alike, and what is
#: remembered of it, once together, and some of it once more and alone.
N_FIXED = 1 + 2 * N_TWICE + N_ALONE + N_REMEMBERED + 2 * N_ASKED


class FunctionModel(RegressorMixin, BaseEstimator):
    """A function of rows as a fitted regressor.

    Parameters
    ----------
    function : callable
        From a table of n rows, of the kind that is aligned, to n numbers. It must answer to a row the same whenever it is asked
        and whatever rows are beside it, up to rounding.
    batch_size : int, optional
        The most rows that one call takes; None: as many as there are.

    Examples
    --------
    >>> import numpy as np
    >>> model = FunctionModel(lambda rows: np.sin(rows[:, 0]), batch_size=2)
    >>> model.predict(np.zeros((5, 1))).tolist()
    [0.0, 0.0, 0.0, 0.0, 0.0]
    """

    def __init__(self, function: Callable[[Any], Any], *, batch_size: int | None = None) -> None:
        self.function = function
        self.batch_size = batch_size

    def predict(self, X: Table) -> NDArray[Any]:
        """Return what the function answers to rows, (n_samples,), asked batch after batch.

        Raises
        ------
        InputError
            If the function cannot be called, or the size of a batch is no whole number of at least 1.
        """
        check_function("function", self.function, "from rows to numbers")
        n_rows = X.shape[0]
        size = n_rows if self.batch_size is None else check_count("batch_size", self.batch_size, at_least=1)
        if n_rows <= size:
            return np.asarray(self.function(X))
        starts = range(0, n_rows, size)
        batches = (tables.take(X, np.arange(start, min(start + size, n_rows))) for start in starts)
        return np.concatenate([np.asarray(self.function(batch)) for batch in batches])

    def __sklearn_is_fitted__(self) -> bool:
        """Return that there is nothing to fit."""
        return True


@dataclass(frozen=True)
class Cost:
    """How many rows a model is asked.

    Parameters
    ----------
    calibrate : int
        At most so many by ``calibrate``.
    predict : int
        So many for each row that is predicted, in one call for a single row.
    watch : int
        So many besides for each call, to see whether the model is still the calibrated one.
    """

    calibrate: int
    predict: int
    watch: int

    def __str__(self) -> str:
        """Return the numbers in words."""
        return (
            f"calibrate asks the model about {self.calibrate:,} rows at most; predict about {self.predict:,} for each row, and "
            f"{self.watch} more in each call."
        )


def cost_of(aligned: AlignedEstimator, X: Table, *, X_reference: Table | None = None) -> Cost:
    r"""Return how many rows a model that is a black box will be asked; it is not asked any yet.

    With ``s`` sites a row, which are the knots of its line or grid and the points of its queries, calibration asks at most
    :math:`(n + n_{ref}) s` rows and some hundreds, whatever is in them; at ``alpha=0`` the hundreds alone. Models whose trees
    can be read, and leaves, are asked far fewer.

    Parameters
    ----------
    aligned : AlignedRegressor or AlignedClassifier, not calibrated or calibrated
    X, X_reference : in memory, as for its ``calibrate``

    Returns
    -------
    Cost

    Raises
    ------
    InputError
        If a parameter, the property or ``X`` are not what they should be.
    """
    aligned._check_parameters()
    table = check_rows(X, at_least=2)
    n_calibrating = int(table.shape[0])
    if X_reference is None:
        set_apart = aligned._reference_rows(n_calibrating)
        reference, n_calibrating = tables.take(table, set_apart), n_calibrating - set_apart.size
    else:
        reference = check_rows(X_reference, name="X_reference")
    alignment = aligned._prepare(aligned.estimator, table, reference, None)
    row = tables.take(reference, np.arange(1))
    draws = RowDraws.of(row, np.random.default_rng(0))
    queries = alignment.tester.draw(row, aligned.n_queries, draws)
    n_sites = alignment.chain.count_sites(sum(part.n_sites for part in queries.parts))
    n_asking = 0 if aligned._request.is_full else n_calibrating + int(reference.shape[0])
    return Cost(N_FIXED + n_asking * n_sites, alignment.chain.count_sites(1), N_ASKED)
