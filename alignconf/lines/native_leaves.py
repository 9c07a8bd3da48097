r"""From new values of leaves to a fitted model of the library that the trees are from.

:func:`~alignconf.lines.trees.read_sum` turns a model into an ensemble; :func:`with_leaves` goes the other way, with every
split as it was and other values in the leaves. What comes out is an ordinary model: it predicts at the model's own cost, needs
nothing of alignconf, and is saved as its library saves models.

Values keep their order on the way, ties included: libraries of double precision take them exactly, XGBoost rounds them to
single precision, and a scale is undone by a non-decreasing map (:mod:`alignconf.lines.native.unscaled`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from alignconf._typing import FloatArray
from alignconf.errors import DefectError, InputError
from alignconf.kernels.tree_walk import LEAF
from alignconf.lines.ensemble import Ensemble
from alignconf.lines.native.leaf_order import Change
from alignconf.lines.native.lightgbm_leaves import rewritten_lightgbm
from alignconf.lines.native.sklearn_leaves import rewritten_boosting, rewritten_forest, rewritten_histogram
from alignconf.lines.native.unscaled import as_before, unscaled
from alignconf.lines.native.xgboost_leaves import rewritten_xgboost
from alignconf.lines.trees import read_sum
from alignconf.lines.wrapped import in_its_wrappers, predicting_model

__all__ = ["leaf_values_of", "readable_trees", "rewritten", "with_leaves"]


def with_leaves(model: Any, leaf_values: ArrayLike, *, column: int = 1) -> Any:
    r"""Return a copy of a fitted model whose leaves have other values.

    Parameters
    ----------
    model : object
        A fitted model whose trees :func:`~alignconf.lines.trees.read_sum` reads, or a Pipeline that ends in one, a
        ``FrozenEstimator`` or a search around one. It stays as it is.
    leaf_values : (n_leaves,)
        Values :math:`v` of all leaves, in the order and unit of ``Ensemble.nodes["number"]``: tree after tree, each in
        depth-first order with the left side first; of boosted classifiers parts of the log-odds of class ``column``, or, where
        there are more than two, of the sum of that class; of other classifiers its probabilities, within [0, 1].
    column : int
        Of a classifier, the class whose leaves these are.

    Returns
    -------
    object
        A model of the same type. Read again, its leaves are ``leaf_values``: exactly for scikit-learn's histogram boosting,
        trees and forests, and for LightGBM's (where less than 1e-35 is zero); rounded to the nearest number of single
        precision for XGBoost; above by less than :math:`2^{-51} |v|` where a scale comes between, which are the learning rate
        of scikit-learn's gradient boosting and a ``sigmoid`` of LightGBM. A copy with the values that the model has predicts
        what the model predicts, bit for bit.

        Figures of the training (scores, impurities, gains) are those of the original. ``clone`` and ``fit`` give a new model
        of the training, with leaves of its own. Rounds after the best of early stopping, which do not predict, are left out
        of boosters.

    Raises
    ------
    InputError
        If the trees cannot be read, with the reason; if ``leaf_values`` is not one finite number for each leaf that the library
        can hold; if a forest's classifier has other than two classes.
    """
    ensemble = readable_trees(model, column)
    values = _checked(leaf_values, ensemble)

    def change(stored: FloatArray) -> FloatArray:
        before, scale = leaf_values_of(ensemble), ensemble.scale
        if stored.size != before.size or (scale * stored != before).any():
            raise DefectError(
                f"the leaves of {type(predicting_model(model)).__name__} are not in the order in which its trees were read."
            )
        numbers = as_before(values, before, stored, unscaled(np.sign(scale) * values, abs(scale)))
        _check_range(numbers, values, ensemble, type(predicting_model(model)).__name__)
        return numbers

    return in_its_wrappers(model, lambda fitted: rewritten(fitted, change, column=column))


def readable_trees(model: Any, column: int = 1) -> Ensemble:
    """Return the trees of a model, of what a Pipeline ends in and of what wrappers hold, as :func:`with_leaves` takes it.

    Raises
    ------
    InputError
        If they cannot be read, with the reason.
    """
    ensemble = read_sum(predicting_model(model), column=column)
    if isinstance(ensemble, str):
        raise InputError(
            f"leaves of {type(model).__name__} cannot be written: {ensemble} Give a model whose trees can be read."
        )
    return ensemble


def leaf_values_of(ensemble: Ensemble) -> FloatArray:
    """Return the values of all leaves of an ensemble, (n_leaves,), in the order in which :func:`with_leaves` takes them."""
    values: FloatArray = ensemble.nodes["number"][ensemble.nodes["split"] == LEAF]
    return values


def rewritten(model: Any, change: Change, *, column: int = 1) -> Any:
    """Return a copy of a model that can be read, with its leaves changed in its library's own unit."""
    kind = type(model)
    writer = next(
        writer
        for library, prefix, writer in WRITERS
        if kind.__module__.split(".")[0] == library and kind.__name__.startswith(prefix)
    )
    return writer(model, change, column)


def _checked(leaf_values: ArrayLike, ensemble: Ensemble) -> FloatArray:
    values = np.asarray(leaf_values, dtype=np.float64)
    n_leaves = leaf_values_of(ensemble).size
    if values.shape != (n_leaves,):
        raise InputError(
            f"leaf_values has shape {values.shape}; expected ({n_leaves},), one value for each leaf of the {ensemble.roots.size} "
            "trees. Take the leaves of Ensemble.nodes in their order."
        )
    if not np.isfinite(values).all():
        worst = int(np.flatnonzero(~np.isfinite(values))[0])
        raise InputError(
            f"leaf_values[{worst}] is {values[worst]!r}; expected finite numbers. Keep the value that the leaf has."
        )
    return values


def _check_range(numbers: FloatArray, values: FloatArray, ensemble: Ensemble, name: str) -> None:
    largest = float(np.finfo(np.float32 if ensemble.is_single else np.float64).max)
    is_large = ~(np.abs(numbers) <= largest)
    if is_large.any():
        worst = int(is_large.argmax())
        raise InputError(
            f"leaf_values[{worst}] is {float(values[worst])!r}, more than {name} can hold in a leaf; expected at most "
            f"{largest * abs(ensemble.scale):.3g} in size. Bound the values by those that the model has."
        )


Writer = Callable[[Any, Change, int], Any]

WRITERS: tuple[tuple[str, str, Writer], ...] = (
    ("sklearn", "HistGradientBoosting", rewritten_histogram),
    ("sklearn", "GradientBoosting", rewritten_boosting),
    ("sklearn", "", rewritten_forest),
    ("xgboost", "", rewritten_xgboost),
    ("lightgbm", "", rewritten_lightgbm),
)
