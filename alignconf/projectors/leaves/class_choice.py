r"""The sums of a boosted classifier with more than two classes, put in order one after the other.

The probability of a class does not fall where its own sum does not fall and no other sum rises
(:mod:`alignconf.lines.class_sums`). So leaves of the class are fitted in the declared order, and those of every other class
against it, each sum to the model's own as a sum of a regression is (:mod:`~alignconf.projectors.leaves.choice`), with the weights
:math:`p_k (1 - p_k)` by which a small change of the sum changes the deviance. Where the signal about the class is in the trees of
others, it is lost with their order: the class of functions is narrower than that of two classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import softmax

from alignconf._typing import Table
from alignconf.lines.class_sums import ClassSum
from alignconf.lines.model_trees import ModelTrees
from alignconf.projectors.leaves.choice import ModelInOrder, fit_in_order
from alignconf.projectors.leaves.partial_order import broken_pair
from alignconf.tables import table as tables

__all__ = ["fit_classes_in_order"]


def fit_classes_in_order(
    function: Any, trees: ModelTrees, directions: Mapping[int, int], reference: Table, *, is_blended: bool = False
) -> ModelInOrder:
    """Return the function of a classifier whose sums are in order, those of other classes against it.

    Parameters
    ----------
    function : Model
        The probability of a class.
    trees : ModelTrees
        With the sum of each class.
    directions : mapping of int to {-1, 0, 1}
        From the position of a constrained feature to its direction; 0 if it must not matter.
    reference : Table
        Rows as the model with the trees takes them; they need no labels.
    is_blended : bool
        Whether a blend with a constrained twin was asked for, which there is none of.
    """
    numbers = tables.as_numbers(reference)
    p = softmax(np.column_stack([ensemble.predict(numbers) for ensemble in trees.sums]), axis=1)
    weights = np.maximum(p * (1 - p), SMALLEST_WEIGHT)
    estimator, n_fitted = function.estimator, 0
    for k, (ensemble, of_columns) in enumerate(trees.in_directions(directions)):
        if broken_pair(ensemble, of_columns, trees.domains) is not None:
            of_class = ClassSum(estimator, k)
            in_order = fit_in_order(
                of_class,
                ensemble,
                of_columns,
                reference,
                domains=trees.domains,
                keeps_trees=True,
                sample_weight=weights[:, k],
            )
            estimator, n_fitted = in_order.function.estimator, n_fitted + 1
    summary = (
        f"the leaves of the model's own trees, fitted again class by class, in {n_fitted} of {len(trees.sums)} classes: those of "
        "the class in the declared order, those of others against it, by distance from the model alone"
    )
    if is_blended:
        summary += "; not blended: there is a sum for each class"
    return ModelInOrder(replace(function, estimator=estimator), trees.ensemble, None, summary)


#: Rows that a class surely has, or surely has not, count at least as much.
SMALLEST_WEIGHT = 1e-6
