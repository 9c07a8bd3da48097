"""Writing leaves of XGBoost's trees, through its own JSON.

XGBoost holds leaves in single precision, among the conditions of splits. New ones are rounded to the nearest number, which
keeps their order, and printed with as many digits as tell that number from all others. Rounds after the best of early stopping,
which ``predict`` leaves out, are left out of the copy too: whoever loads it with another tool gets the same trees.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alignconf.lines.native.leaf_order import Change, StoredTree, changed_leaves
from alignconf.tables.fitted_columns import native_booster

__all__ = ["joined_xgboost", "rewritten_xgboost", "xgboost_without_base"]


def rewritten_xgboost(model: Any, change: Change, column: int) -> Any:
    """Return a copy of an XGBoost model or booster with changed leaves; of more than two classes, those of class ``column``."""
    document = _document(model)
    held = document["learner"]["gradient_booster"]["model"]
    of_sum = column if max(held["tree_info"]) > 0 else 0
    records = [record for record, group in zip(held["trees"], held["tree_info"], strict=True) if group == of_sum]
    trees = [_stored(record) for record in records]
    for record, tree, value in zip(records, trees, changed_leaves(trees, change), strict=True):
        for name in ("split_conditions", "base_weights"):
            record[name] = np.where(tree.is_leaf, _printable(value), record[name]).tolist()
    return _with_document(model, document)


def xgboost_without_base(model: Any, link: str) -> Any:
    """Return a copy of an XGBoost model or booster whose sums of leaves start from zero."""
    document = _document(model)
    parameters = document["learner"]["learner_model_param"]
    # The base is written as a prediction: that of a sum of zero.
    parameters["base_score"] = f"[{STARTS[link]}]" if parameters["base_score"].startswith("[") else STARTS[link]
    return _with_document(model, document)


def joined_xgboost(model: Any, parts: Sequence[Any]) -> Any:
    """Return a copy of an XGBoost model or booster that has the trees of some others in place of its own; its base stays."""
    document = _document(model)
    held = document["learner"]["gradient_booster"]["model"]
    added = [_document(part)["learner"]["gradient_booster"]["model"] for part in parts]
    held["trees"] = [tree for forest in added for tree in forest["trees"]]
    for number, tree in enumerate(held["trees"]):
        tree["id"] = number
    held["tree_info"] = [group for forest in added for group in forest["tree_info"]]
    held["gbtree_model_param"]["num_trees"] = str(len(held["trees"]))
    if "iteration_indptr" in held:
        sizes = [np.diff(forest["iteration_indptr"]) for forest in added]
        held["iteration_indptr"] = np.append(0, np.cumsum(np.concatenate(sizes))).tolist()
    for name in ("best_iteration", "best_score"):
        document["learner"]["attributes"].pop(name, None)
    return _with_document(model, document)


def _document(model: Any) -> dict[str, Any]:
    """Return what XGBoost saves of the trees that predict, with the attributes of the booster."""
    booster = model if native_booster(model) else model.get_booster()
    document: dict[str, Any] = json.loads(_predicting_booster(model).save_raw("json"))
    document["learner"]["attributes"] = booster.attributes()
    return document


def _predicting_booster(model: Any) -> Any:
    """Return the booster of the rounds that ``predict`` uses: up to the best of early stopping; of a booster itself all."""
    if native_booster(model):
        return model
    booster = model.get_booster()
    with suppress(AttributeError):
        booster = booster[: model.best_iteration + 1]
    return booster


def _with_document(model: Any, document: dict[str, Any]) -> Any:
    """Return a copy of an XGBoost model or booster that holds the trees of a document."""
    booster = model if native_booster(model) else model.get_booster()
    twin = booster.copy()
    twin.load_model(bytearray(json.dumps(document).encode()))
    return copy.deepcopy(model, {id(booster): twin})


def _stored(record: dict[str, Any]) -> StoredTree:
    left, right = np.array(record["left_children"]), np.array(record["right_children"])
    return StoredTree(left < 0, left, right, np.array(record["split_conditions"], np.float64).astype(np.float32))


def _printable(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return numbers whose shortest decimals are those of the nearest numbers of single precision."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32).astype(str).astype(np.float64)


#: Predictions of a sum of zero, by link.
STARTS = {"identity": "0E0", "exp": "1E0", "expit": "5E-1"}
