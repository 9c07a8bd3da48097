r"""Undoing a positive scale in floating point, without disturbing order.

A library stores :math:`u` and adds :math:`fl(s u)` (scikit-learn's learning rate) or scales the sum (the steepness of LightGBM's
sigmoid). To write a value :math:`v` means to pick a :math:`u`. Rounding of :math:`v / s` alone may give a neighbour of the
number that was there. The choice here is

.. math:: U(v) = \min \{u : fl(s u) \ge v\},

the adjoint of a non-decreasing map: it is non-decreasing itself, equal values get equal numbers, and
:math:`fl(s U(v)) = v` wherever any number gives :math:`v`. Where none does, it lies above by less than
:math:`2^{-51} |v|`.
"""

from __future__ import annotations

import numpy as np

from alignconf._typing import FloatArray

__all__ = ["as_before", "unscaled"]


def unscaled(values: FloatArray, scale: float) -> FloatArray:
    """Return ``U(values)`` for a positive scale, (n_values,); infinite where a number is too large.

    ``values / scale`` is within one number of the answer, so two steps from the number below decide. Among very small values,
    where thousands of numbers give the same one, the number below is the answer, and order stays as it is.
    """
    with np.errstate(over="ignore"):
        numbers = np.nextafter(values / scale, -np.inf)
        for _ in range(2):
            numbers = np.where(scale * numbers < values, np.nextafter(numbers, np.inf), numbers)
    return np.where(values == 0, values, numbers)


def as_before(values: FloatArray, before: FloatArray, answers: FloatArray, otherwise: FloatArray) -> FloatArray:
    """Return for each value the answer that it had before, else another: (n_values,).

    Parameters
    ----------
    values, otherwise : (n_values,)
    before, answers : (n_before,)
        Values and their answers; the smallest of the answers where a value has several, so that equal values get equal ones.
    """
    order = np.lexsort((answers, before))
    position = np.minimum(np.searchsorted(before[order], values), before.size - 1)
    is_old = before[order][position] == values
    return np.where(is_old, answers[order][position], otherwise)
