r"""Sums with one order of terms, so that a row gets the same bits whatever rows are computed next to it.

Floating-point addition is not associative: :math:`\sum_k a_k b_k` in another order is another number, in its last bits. Matrix
products of BLAS, ``einsum`` and ``sum`` choose the order by the size of the arrays, by their layout in memory, by the processor
and by the number of threads. Here every sum over ``k`` starts with the first term and adds the others one after the other, each
product rounded before it is added: what is computed for a row depends on this row alone.
"""

from __future__ import annotations

import numpy as np

from alignconf._typing import FloatArray
from alignconf.kernels.compiled import compiled

__all__ = ["inner", "over_last", "products", "total"]

#: Along an axis of so few entries numpy goes from entry to entry of all others faster than along it.
FEW_ENTRIES = 8


def total(terms: FloatArray) -> FloatArray:
    """Return the sums over the last axis, at least one term long, from the first term to the last: (...)."""
    return np.asarray(np.cumsum(terms, axis=-1)[..., -1])


def over_last(fold: np.ufunc, values: FloatArray) -> FloatArray:
    """Return an array folded along its last axis, of at least one entry, by a function of two, from the first to the last."""
    if values.shape[-1] > FEW_ENTRIES:
        return np.asarray(fold.accumulate(values, axis=-1)[..., -1] if fold is np.add else fold.reduce(values, axis=-1))
    folded: FloatArray = np.asarray(values[..., 0])
    for k in range(1, values.shape[-1]):
        folded = fold(folded, values[..., k])
    return folded


def inner(left: FloatArray, right: FloatArray) -> FloatArray:
    """Return ``sum_k left[..., k] * right[..., k]`` of arrays that broadcast to each other, from the first ``k`` to the last."""
    result: FloatArray = np.asarray(left[..., 0] * right[..., 0])
    for k in range(1, left.shape[-1]):
        result = result + left[..., k] * right[..., k]
    return result


def products(rows: FloatArray, matrix: FloatArray) -> FloatArray:
    """Return ``sum_k rows[i, k] * matrix[k, j]``, from the first ``k`` to the last, for each row ``i``: (n_rows, n_columns).

    Parameters
    ----------
    rows : (n_rows, n_terms)
    matrix : (n_terms, n_columns)
        Zeros cost nothing more than being looked at.
    """
    result = np.zeros((len(rows), matrix.shape[1]))
    _add_products(np.ascontiguousarray(rows), np.ascontiguousarray(matrix), result)
    return result


@compiled
def _add_products(rows: FloatArray, matrix: FloatArray, result: FloatArray) -> None:
    for i in range(rows.shape[0]):
        for k in range(rows.shape[1]):
            factor = rows[i, k]
            if factor != 0.0:
                for j in range(matrix.shape[1]):
                    result[i, j] += factor * matrix[k, j]
