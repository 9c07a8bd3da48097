r"""Moves uphill, for a model that tells its own gradient.

With partial derivatives ``G`` at the points ``x`` of a query, what the model answers to queries near by is known to first
order without asking it,

.. math:: f(x') \approx f(x) + G(x)^\top (x' - x),

and so is their ranking, whatever the property: its inequalities are asked of these answers as they are of any. The steepest
ascent of that ranking in the unit cube gives a direction, and the model itself is asked at several lengths of it. This is
what the audit of language models by linear scores of their tokens [1]_ does, where columns are numbers. Moves are proposals
only: a wrong gradient wastes rows, and no query is reported that the model has not answered.

References
----------
.. [1] Jones, E., Dragan, A., Raghunathan, A. and Steinhardt, J. (2023). Automatically Auditing Large Language Models via
   Discrete Optimization. ICML 2023. arXiv:2303.04381
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from alignconf._typing import FloatArray, Table
from alignconf.deployment.search.box import BELOW_ONE
from alignconf.deployment.search.target import Target
from alignconf.errors import InputError
from alignconf.tables import table as tables

__all__ = ["GRADIENT_ROWS", "N_LENGTHS", "Gradient", "uphill"]

#: Returns the partial derivatives of a model's predictions at the rows of a table, (n_samples, n_features).
Gradient: TypeAlias = Callable[[Table], Any]

#: Model rows that one row of the gradient counts as: once through the model, and back.
GRADIENT_ROWS = 2

#: How far a coordinate is moved to see where the ranking rises: over several rows of data, so that no gap between two matters.
PROBE = 0.02

#: Lengths of a move, as the largest change of a coordinate.
LENGTHS = np.geomspace(0.5, 0.01, 4)
N_LENGTHS = LENGTHS.size


def uphill(target: Target, gradient: Gradient, points: FloatArray) -> FloatArray:
    """Return moves from points of the unit cube, (n_points, N_LENGTHS, n_dims), in the direction in which the ranking rises.

    Costs ``1 + GRADIENT_ROWS`` model rows for each point of a query.
    """
    near, rise = _FirstOrder.at(target, gradient, points), np.zeros(points.shape)
    # Queries that cannot be asked, and slopes without end, have no direction.
    with np.errstate(invalid="ignore", over="ignore"):
        ranking = near.ranking(points)
        for k, candidates in enumerate(target.candidates):
            if candidates.size is None:
                probes = points.copy()
                probes[:, k] += np.where(points[:, k] < 0.5, PROBE, -PROBE)
                rise[:, k] = (near.ranking(probes) - ranking) / (probes[:, k] - points[:, k])
    rise[~np.isfinite(rise)] = 0.0
    rise[((points <= 0.0) & (rise < 0)) | ((points >= BELOW_ONE) & (rise > 0))] = 0.0
    largest = np.abs(rise).max(axis=1, keepdims=True)
    direction = np.divide(rise, largest, out=np.zeros(rise.shape), where=largest > 0)
    return np.asarray(np.clip(points[:, None] + LENGTHS[:, None] * direction[:, None], 0.0, BELOW_ONE))


@dataclass(frozen=True, eq=False)
class _FirstOrder:
    """A model near the points of some queries, to first order.

    Parameters
    ----------
    target : Target
    sites : sequence of (n_rows, n_features)
        The points, as numbers.
    values : sequence of (n_rows,)
    slopes : sequence of (n_rows, n_features)
    """

    target: Target
    sites: Sequence[FloatArray]
    values: Sequence[FloatArray]
    slopes: Sequence[FloatArray]

    @classmethod
    def at(cls, target: Target, gradient: Gradient, points: FloatArray) -> _FirstOrder:
        """Ask the model and its gradient at the points of queries."""
        table, queries = target.queries(points)
        sites = queries.sites(table)
        values = [target.model.predict(site) for site in sites]
        slopes = [_slopes(gradient, site) for site in sites]
        target.model.count(GRADIENT_ROWS * sum(len(rows) for rows in slopes))
        return cls(target, [_numbers(site) for site in sites], values, slopes)

    def ranking(self, points: FloatArray) -> FloatArray:
        """Return the ranking of queries near by, (n_points,), without asking the model."""
        table, queries = self.target.queries(points)
        answers = []
        for site, here, values, slopes in zip(queries.sites(table), self.sites, self.values, self.slopes, strict=True):
            change = slopes * (_numbers(site) - here)
            answers.append(values + np.where(np.isnan(change), 0.0, change).sum(axis=1))
        margins = queries.excess(queries.arrange(answers)).min(axis=-1).max(axis=-1)
        return self.target.ranking(queries, margins[:, 0])


def _numbers(table: Table) -> FloatArray:
    """Return the columns of a table as numbers, 0 in a column that holds something else."""
    columns = [np.asarray(tables.column(table, i)) for i in range(table.shape[1])]
    is_number = [column.dtype.kind in "biuf" for column in columns]
    zero = np.zeros(table.shape[0])
    return np.stack(
        [column.astype(float) if is_it else zero for column, is_it in zip(columns, is_number, strict=True)], -1
    )


def _slopes(gradient: Gradient, table: Table) -> FloatArray:
    slopes = np.asarray(gradient(table), dtype=np.float64)
    if slopes.shape != tuple(table.shape):
        raise InputError(
            f"gradient returned an array of shape {slopes.shape} for {table.shape[0]} rows of {table.shape[1]} columns; expected "
            f"{tuple(table.shape)}, the partial derivative of predict by each column, 0 where there is none."
        )
    return slopes
