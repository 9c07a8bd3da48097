"""How far the answers to a query are from being accepted, with differences of rounding size read as none."""

from __future__ import annotations

import numpy as np

from alignconf._typing import FloatArray
from alignconf.kernels.sums import total
from alignconf.queries.queries import PartQueries

__all__ = ["excess", "negligible"]

#: Relative rounding of sums in double precision, as for the model's own sums.
DOUBLE = 2.0**-44


def excess(queries: PartQueries, values: FloatArray, rounding: FloatArray) -> FloatArray:
    """Return how far each query is from being accepted, 0 for an accepted query: (n_samples, n_queries).

    An opaque property only says yes or no: 1 for a query that it does not accept.

    Parameters
    ----------
    queries : PartQueries
    values : (n_samples, n_queries, n_points)
        A function at the query points.
    rounding : (n_samples,)
        Excesses up to this are rounding.
    """
    if queries.is_opaque:
        return np.where(queries.accepted(values), 0.0, 1.0)
    v = queries.excess(values)
    largest: FloatArray = np.where(v > negligible(queries, rounding, values), v, 0.0).min(axis=-1).max(axis=-1)
    return largest


def negligible(queries: PartQueries, rounding: FloatArray, *functions: FloatArray) -> FloatArray:
    """Return which excesses count as rounding, broadcastable to (n_samples, n_queries, n_demands, n_alternatives).

    The model's rounding, or that of the values compared, for a difference of two values; in proportion to its coefficients
    for any other inequality.
    """
    largest: FloatArray = np.max([np.abs(values).max(axis=-1) for values in functions], axis=0)
    size = np.maximum(rounding[:, None], DOUBLE * largest)
    coefficients, _ = queries.demands
    of_pairs: FloatArray = 0.5 * total(np.abs(coefficients)) * size[:, :, None, None]
    return of_pairs
