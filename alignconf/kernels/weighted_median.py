"""Weighted medians of many short vectors, each sorted from the order of the one before: neighbours on a line hardly differ."""

from __future__ import annotations

import numpy as np

from alignconf._typing import FloatArray
from alignconf.kernels.compiled import compiled

__all__ = ["weighted_medians"]


@compiled
def weighted_medians(values: FloatArray, weights: FloatArray, medians: FloatArray) -> None:
    """Fill ``medians``, (n_vectors,), with the smallest value that, with all smaller ones, has half of the weight.

    Parameters
    ----------
    values : (n_values, n_vectors)
        No NaN among them.
    weights : (n_values,)
        Positive.
    medians : (n_vectors,)
    """
    n_values = weights.size
    order, held = np.arange(n_values), np.empty(n_values)
    for i in range(medians.size):
        total = 0.0
        for k in range(n_values):
            value, member, place = values[order[k], i], order[k], k
            while place > 0 and held[place - 1] > value:
                held[place], order[place] = held[place - 1], order[place - 1]
                place -= 1
            held[place], order[place] = value, member
        for k in range(n_values):
            total += weights[order[k]]
        below = 0.0
        for k in range(n_values):
            below += weights[order[k]]
            if below >= 0.5 * total:
                medians[i] = held[k]
                break
