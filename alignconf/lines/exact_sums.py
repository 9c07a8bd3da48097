r"""Sums of leaves that are the same to the bit, however they are added up.

A prediction adds one leaf of each tree to a base. In floating point the order matters, and libraries differ in it: a forest's
threads add in varying order, XGBoost adds a row by itself otherwise than a batch, ONNX adds in an order of its own. Rows of which
one must not be below the other can then trade places by a rounding.

If all terms are multiples of a grid :math:`g = 2^{e - b}` and no partial sum exceeds :math:`2^e \ge |base| + \sum_t \max |v_t|`,
every partial sum is an integer of at most ``b`` bits times ``g``: exact in any order. Rounding to a grid is non-decreasing, so
leaves stay in order, and moves a value by at most :math:`g / 2`: with ``b = 52`` by a part in :math:`2^{53}` of the sum, with
``b = 24``, which sums of single precision ask for, by one in :math:`2^{25}`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from alignconf._typing import FloatArray
from alignconf.errors import InputError
from alignconf.kernels.tree_walk import LEAF
from alignconf.lines.ensemble import Ensemble
from alignconf.lines.native.sklearn_leaves import histogram_without_base
from alignconf.lines.native.xgboost_leaves import xgboost_without_base
from alignconf.lines.native_leaves import leaf_values_of, readable_trees, with_leaves
from alignconf.lines.trees import read_ensemble
from alignconf.lines.wrapped import in_its_wrappers, predicting_model

__all__ = ["BITS_DOUBLE", "BITS_SINGLE", "exact_sums", "with_base_in_leaves", "with_exact_sums", "with_other_leaves"]

#: Bits of sums, of those that double and single precision hold exactly: 53 and 24.
BITS_DOUBLE, BITS_SINGLE = 52, 24


def exact_sums(leaf_values: ArrayLike, ensemble: Ensemble, *, bits: int | None = None) -> FloatArray:
    r"""Return values of leaves rounded to a grid on which sums are exact.

    Parameters
    ----------
    leaf_values : (n_leaves,)
        In the order and unit of the ensemble's.
    ensemble : Ensemble
        Its trees say which leaves are added, its base what they are added to. The base must be on the grid, as zero is: see
        :func:`with_base_in_leaves`.
    bits : int, optional
        Bits of a sum, 1 to 53; by default 52, or 24 where the model adds in single precision. 24 also makes a double sum equal
        a single one.

    Returns
    -------
    ndarray, (n_leaves,)
        The multiples of :math:`2^{e - bits}` that are nearest to ``leaf_values``, in their order;
        :math:`e` is the smallest integer with :math:`|base| + \sum_t \max |v_t| \le 2^e` after rounding.

    Raises
    ------
    InputError
        If the base is not on the grid, or a learning rate or steepness multiplies leaves before or after they are added.
    """
    n_bits = (BITS_SINGLE if ensemble.is_single else BITS_DOUBLE) if bits is None else bits
    if not 1 <= n_bits <= 53:
        raise InputError(f"bits is {bits!r}; expected 1 to 53, which double precision holds. Leave it out.")
    if abs(ensemble.scale) != 1:
        raise InputError(
            f"leaves are multiplied by {abs(ensemble.scale)!r}, and products are on no grid; expected 1. Such a model adds its "
            "trees in one order anyway."
        )
    values = np.asarray(leaf_values, dtype=np.float64)
    is_leaf = ensemble.nodes["split"] == LEAF
    starts = np.append(0, np.cumsum(is_leaf))[ensemble.roots]
    exponent = _exponent(values, starts, ensemble.base)
    rounded = _on_grid(values, exponent - n_bits)
    while _exponent(rounded, starts, ensemble.base) > exponent:
        exponent += 1
        rounded = _on_grid(values, exponent - n_bits)
    if _on_grid(np.array([ensemble.base]), exponent - n_bits)[0] != ensemble.base:
        raise InputError(
            f"the sum of leaves starts from {ensemble.base!r}, which is no multiple of 2 ** {exponent - n_bits}; expected one, "
            "as zero is. Move the base into the leaves first, by with_base_in_leaves."
        )
    return rounded


def with_base_in_leaves(model: Any, *, column: int = 1) -> Any:
    """Return a copy of a fitted model whose sums start from zero; the base is in the leaves of the first tree.

    The base is what is added first, so the copy predicts what the model predicts: bit for bit in double precision, up to the
    rounding of its own base in XGBoost.

    Parameters
    ----------
    model, column
        As :func:`~alignconf.lines.native_leaves.with_leaves` takes them.

    Raises
    ------
    InputError
        If the trees cannot be read, the library keeps its base elsewhere (scikit-learn's gradient boosting), or there is a sum
        for each class.
    """
    inner = predicting_model(model)
    ensemble = readable_trees(model, column)
    if isinstance(read_ensemble(inner, column=column), str):
        raise InputError(
            f"{type(inner).__name__} has a sum for each class, whose softmax rounds more than any order of adding does; "
            "expected a single sum. Leave exact_sums out."
        )
    if ensemble.base == 0:
        return with_leaves(model, leaf_values_of(ensemble), column=column)
    emptied = next((empty for prefix, empty in BASES.items() if type(inner).__name__.startswith(prefix)), None)
    if emptied is None:
        raise InputError(
            f"{type(inner).__name__} starts from its initial estimator, {ensemble.base!r}, which stays; expected XGBoost's or "
            "histogram gradient boosting. Such a model adds its trees in one order anyway."
        )
    values = leaf_values_of(ensemble)
    n_first = int((ensemble.nodes["split"][: np.append(ensemble.roots, ensemble.nodes.size)[1]] == LEAF).sum())
    # Leaves of single precision are rounded once more when they are written, as their sum with the base would be.
    values[:n_first] += ensemble.base
    return in_its_wrappers(with_leaves(model, values, column=column), lambda fitted: emptied(fitted, ensemble.link))


def with_exact_sums(model: Any, *, bits: int | None = None, column: int = 1) -> Any:
    """Return a copy of a fitted model whose base is in its leaves, and whose leaves are on a grid on which sums are exact.

    Parameters
    ----------
    model, column
        As :func:`~alignconf.lines.native_leaves.with_leaves` takes them.
    bits : int, optional
        As :func:`exact_sums` takes it.
    """
    twin = with_base_in_leaves(model, column=column)
    ensemble = readable_trees(twin, column)
    return with_leaves(twin, exact_sums(leaf_values_of(ensemble), ensemble, bits=bits), column=column)


def with_other_leaves(model: Any, leaf_values: FloatArray, *, exact: bool, column: int = 1) -> Any:
    """Return a copy of a fitted model with other leaves, (n_leaves,), rounded so that sums are exact if ``exact``."""
    twin = with_leaves(model, leaf_values, column=column)
    return with_exact_sums(twin, column=column) if exact else twin


def _exponent(values: FloatArray, starts: np.ndarray[Any, Any], base: float) -> int:
    """Return the smallest ``e`` with ``2 ** e`` at least the largest sum in size."""
    largest = abs(base) + float(np.maximum.reduceat(np.abs(values), starts).sum())
    fraction, exponent = np.frexp(largest)
    return int(exponent) - int(fraction == 0.5)


def _on_grid(values: FloatArray, exponent: int) -> FloatArray:
    return np.ldexp(np.rint(np.ldexp(values, -exponent)), exponent)


#: By how names of models begin: from a copy of a model to the same without its base.
BASES = {
    "HistGradientBoosting": histogram_without_base,
    "XGB": xgboost_without_base,
    "Booster": xgboost_without_base,
}
