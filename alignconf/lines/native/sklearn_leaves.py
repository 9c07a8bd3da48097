"""Writing leaves of scikit-learn's trees.

Copies are deep. A forest of classifiers stores shares of classes, so that the class which is read and its complement are both
written; all others store one number of double precision for each leaf. What training left besides (impurities, scores of
stages, out-of-bag figures) is not touched and no longer describes the model.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from alignconf.errors import InputError
from alignconf.lines.native.leaf_order import Change, StoredTree, changed_leaves
from alignconf.lines.native.unscaled import as_before

__all__ = [
    "histogram_without_base",
    "joined_histogram",
    "rewritten_boosting",
    "rewritten_forest",
    "rewritten_histogram",
]


def rewritten_forest(model: Any, change: Change, column: int) -> Any:
    """Return a copy of a decision tree or forest with changed leaves, of a classifier the shares of class ``column``."""
    twin = copy.deepcopy(model)
    members = [member.tree_ for member in ([twin] if hasattr(twin, "tree_") else twin.estimators_)]
    if not hasattr(twin, "predict_proba"):
        _write(members, change)
        return twin
    if len(twin.classes_) != 2:
        raise InputError(
            f"{type(model).__name__} has {len(twin.classes_)} classes; expected two, for the others' shares of a leaf are not "
            "told by one. Fit a classifier of that class against the rest."
        )
    before = [member.value[:, 0, :].copy() for member in members]
    _write(members, change, column)
    for member, shares in zip(members, before, strict=True):
        value = member.value[:, 0, column]
        if value.min() < 0 or value.max() > 1:
            worst = float(value.min() if value.min() < 0 else value.max())
            raise InputError(
                f"leaf_values holds {worst!r}, and the leaves of {type(model).__name__} are probabilities; expected values "
                "within [0, 1]. Clip them."
            )
        member.value[:, 0, 1 - column] = as_before(value, shares[:, column], shares[:, 1 - column], 1 - value)
    return twin


def rewritten_boosting(model: Any, change: Change, column: int) -> Any:
    """Return a copy of a GradientBoosting model with changed leaves, before the learning rate, as :func:`rewritten_histogram`."""
    twin = copy.deepcopy(model)
    _write([stage[column if len(stage) > 1 else 0].tree_ for stage in twin.estimators_], change)
    return twin


def rewritten_histogram(model: Any, change: Change, column: int) -> Any:
    """Return a copy of a HistGradientBoosting model with changed leaves; of more than two classes, those of class ``column``."""
    twin = copy.deepcopy(model)
    tables = [predictor[column if len(predictor) > 1 else 0].nodes for predictor in twin._predictors]
    trees = [
        StoredTree(nodes["is_leaf"].astype(bool), nodes["left"], nodes["right"], nodes["value"]) for nodes in tables
    ]
    for nodes, value in zip(tables, changed_leaves(trees, change), strict=True):
        nodes["value"] = value
    return twin


def histogram_without_base(model: Any, link: str) -> Any:  # noqa: ARG001
    """Return a copy of a HistGradientBoosting model whose sums start from zero."""
    twin = copy.deepcopy(model)
    twin._baseline_prediction = twin._baseline_prediction * 0
    return twin


def joined_histogram(model: Any, parts: Sequence[Any]) -> Any:
    """Return a copy of a HistGradientBoosting model that has the trees of some others in place of its own; its base stays."""
    twin = copy.deepcopy(model)
    twin._predictors = [copy.deepcopy(predictor) for part in parts for predictor in part._predictors]
    return twin


def _write(members: list[Any], change: Change, output: int = 0) -> None:
    trees = [
        StoredTree(tree.children_left < 0, tree.children_left, tree.children_right, tree.value[:, 0, output])
        for tree in members
    ]
    for tree, value in zip(members, changed_leaves(trees, change), strict=True):
        tree.value[:, 0, output] = value
