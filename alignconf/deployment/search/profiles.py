r"""The worst query on a line whose values are known at some places.

The values of a model at ``K`` places of a row's line tell, without asking the model again, how badly every query is answered
whose places are among them. For a demand of order, :math:`f(u) \le f(u')` for all :math:`u < u'`, the worst pair is

.. math:: \max_{k} \Bigl( \max_{i < k} f(u_i) - f(u_k) \Bigr),

a running maximum, where asking pairs one by one would take :math:`K (K - 1) / 2` of them. For any other property of lines
all pairs or triples of the places are compared, which costs arithmetic but no model rows.

Where no query of a line is violated, the margin is largest where the places are nearly one, which leads nowhere. The query
returned is then the one with the largest margin per distance of its places: where the line is nearest to a violation.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations_with_replacement

import numpy as np

from alignconf._typing import FloatArray, IntArray
from alignconf.contract.property import LineProperty
from alignconf.kernels.sums import inner

__all__ = ["ranked", "worst_on_lines"]

#: Tuples times lines that are compared at once.
AT_ONCE = 2**20


def worst_on_lines(part: LineProperty, places: FloatArray, values: FloatArray) -> tuple[FloatArray, IntArray]:
    """Return the worst query among known places of each line: its margin, and the places that it asks.

    Parameters
    ----------
    part : LineProperty
    places : (n_lines, n_places)
        Non-decreasing along each line.
    values : (n_lines, n_places)

    Returns
    -------
    margins : (n_lines,)
    positions : (n_lines, n_points)
        Positions among the places, non-decreasing.
    """
    if part.compares_pairs:
        return _worst_pairs(places, values if part.direction == 1 else -values)
    tuples = _tuples(places.shape[1], part.n_points)
    step = max(1, AT_ONCE // len(tuples))
    blocks = [
        _worst_tuples(part, places[start : start + step], values[start : start + step], tuples)
        for start in range(0, len(values), step)
    ]
    return np.concatenate([margins for margins, _ in blocks]), np.concatenate([positions for _, positions in blocks])


def ranked(margins: FloatArray, spread: FloatArray) -> FloatArray:
    """Return the ranking of queries: their margin where it is positive, else their margin per distance of places.

    Minus infinity where there is no distance, so that nothing is compared.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(margins > 0, margins, np.where(spread > 0, margins / spread, -np.inf))


def _worst_pairs(places: FloatArray, values: FloatArray) -> tuple[FloatArray, IntArray]:
    """Return the largest fall along each line, the steepest step where there is none, and where it begins and ends."""
    highest = np.maximum.accumulate(values[:, :-1], axis=1)
    falls = highest - values[:, 1:]
    rows, end = np.arange(len(values)), falls.argmax(axis=1)
    before = np.arange(values.shape[1] - 1) <= end[:, None]
    begin = np.where(before, values[:, :-1], -np.inf).argmax(axis=1)
    steps = values[:, :-1] - values[:, 1:]
    steepest = ranked(np.minimum(steps, 0.0), np.diff(places, axis=1)).argmax(axis=1)
    falls_somewhere = falls[rows, end] > 0
    begin, end = np.where(falls_somewhere, begin, steepest), np.where(falls_somewhere, end, steepest)
    return values[rows, begin] - values[rows, end + 1], np.stack([begin, end + 1], axis=-1)


def _worst_tuples(
    part: LineProperty, places: FloatArray, values: FloatArray, tuples: IntArray
) -> tuple[FloatArray, IntArray]:
    coefficients, bounds = part.demands(places[:, tuples])
    demanded = inner(coefficients, values[:, tuples][:, :, None, None, :])
    margins = (demanded - bounds - part.tol).min(axis=-1).max(axis=-1)
    worst = ranked(margins, places[:, tuples[:, -1]] - places[:, tuples[:, 0]]).argmax(axis=1)
    return margins[np.arange(len(values)), worst], tuples[worst]


@lru_cache(maxsize=16)
def _tuples(n_places: int, n_points: int) -> IntArray:
    """Return all non-decreasing tuples of positions."""
    return np.array(list(combinations_with_replacement(range(n_places), n_points)), dtype=np.intp)
