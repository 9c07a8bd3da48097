"""How far the answers to a query are from being accepted, where differences of rounding size count as none."""

from __future__ import annotations

import numpy as np

from alignconf._typing import FloatArray
from alignconf.kernels.sums import over_last
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
    over = np.where(v > negligible(queries, rounding, values), v, 0.0)
    return over_last(np.maximum, over_last(np.minimum, over))


def negligible(queries: PartQueries, rounding: FloatArray, *functions: FloatArray) -> FloatArray:
    """Return which excesses count as rounding, broadcastable to (n_samples, n_queries, n_demands, n_alternatives).

    The model's rounding, or that of the values compared, for a difference of two values; in proportion to its coefficients
    for any other inequality.
    """
    largest: FloatArray = np.max([over_last(np.maximum, np.abs(values)) for values in functions], axis=0)
    size = np.maximum(rounding[:, None], DOUBLE * largest)
    coefficients, _ = queries.demands
    of_pairs: FloatArray = 0.5 * over_last(np.add, np.abs(coefficients)) * size[:, :, None, None]
    return of_pairs
