r"""The trees of CatBoost, read from its export in JSON.

CatBoost's trees are symmetric: all nodes of a level ask the same, :math:`x_j > b` in single precision, and bit :math:`k` of the
number of a leaf is the answer to question :math:`k`. Trees grown by depth or by loss are nested. Sums of leaves are multiplied by
a scale, and a bias is added. What is missing goes left unless ``nan_mode="Max"`` says otherwise.

Not read: splits on categories, which CatBoost turns into hashes and statistics of labels, on texts and on embeddings.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from alignconf.lines.ensemble import Ensemble
from alignconf.lines.stored_trees import Tree
from alignconf.lines.symmetric_trees import SymmetricTrees

__all__ = ["catboost_sums"]


def catboost_sums(model: Any, *, column: int = 1) -> tuple[Ensemble, ...] | tuple[SymmetricTrees, ...] | str:
    """Return the trees of a fitted model of CatBoost, or a sentence that says why they cannot be read.

    Parameters
    ----------
    model : CatBoostRegressor, CatBoostClassifier, CatBoostRanker or CatBoost
    column : int
        Of a classifier, the class whose probability is read.

    Returns
    -------
    tuple of Ensemble or of SymmetricTrees, or str
        One whose prediction is the model's, or the sums of all classes, whose softmax their probabilities are.
    """
    name = type(model).__name__
    if not model.is_fitted():
        return f"{name} is not fitted."
    export = _export(model)
    trees = export.get("oblivious_trees", export.get("trees"))
    if any(split["split_type"] != "FloatFeature" for tree in trees for split in _splits(tree)):
        return (
            f"{name} splits on categories, texts or embeddings by figures of its own; only splits on numbers can be read: encode "
            "categories in a Pipeline in front of it."
        )
    scale, biases = export["scale_and_bias"]
    is_classifier, is_single_sum = hasattr(model, "predict_proba"), len(biases) == 1
    if not is_classifier and not is_single_sum:
        return f"{name} predicts {len(biases)} outputs; one can be read."
    if is_classifier and not 0 <= column < len(model.classes_):
        return f"{name} has {len(model.classes_)} class(es), so none in column {column}."
    loss = str(model.get_all_params().get("loss_function", "")).split(":")[0]
    if is_classifier:
        link = "expit" if is_single_sum else "identity"
    else:
        link = "exp" if name == "CatBoostRegressor" and loss in ("Poisson", "Tweedie") else "identity"
    sign = -1.0 if is_classifier and is_single_sum and column == 0 else 1.0
    columns = {info["feature_index"]: info for info in export["features_info"]["float_features"]}
    ensembles = tuple(
        Ensemble.of_trees(
            [_tree(tree, columns, place, len(biases)) for tree in trees],
            len(model.feature_names_),
            base=sign * bias,
            scale=sign * scale,
            link=link,
            is_float32=True,
        )
        for place, bias in enumerate(biases)
    )
    return ensembles if "trees" in export else _of_levels(ensembles, trees, columns)


def _of_levels(ensembles: tuple[Ensemble, ...], trees: Any, columns: Mapping[int, Any]) -> tuple[SymmetricTrees, ...]:
    """Return ensembles of symmetric trees as such."""
    questions = [_question(split, columns) for tree in trees for split in _splits(tree)]
    starts = np.append(0, np.cumsum([len(tree["splits"] or ()) for tree in trees])).astype(np.intp)
    of_columns, thresholds, missing_left = (np.array([question[k] for question in questions]) for k in range(3))
    leaves = np.concatenate([np.asarray(tree["leaf_values"]).reshape(-1, len(ensembles)) for tree in trees])
    return tuple(
        SymmetricTrees(
            ensemble,
            starts,
            of_columns.astype(np.intp),
            thresholds.astype(np.float64),
            missing_left.astype(bool),
            ensemble.scale * np.ascontiguousarray(leaves[:, place]),
        )
        for place, ensemble in enumerate(ensembles)
    )


def _export(model: Any) -> Any:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        model.save_model(str(path), format="json")
        return json.loads(path.read_text())


def _splits(tree: Any) -> Iterator[Any]:
    """Yield the questions of a tree."""
    if "splits" in tree:
        yield from tree["splits"] or ()
    elif "split" in tree:
        yield tree["split"]
        yield from _splits(tree["left"])
        yield from _splits(tree["right"])


def _tree(tree: Any, columns: Mapping[int, Any], place: int, n_sums: int) -> Tree:
    """Return a tree with the leaves of one of several sums."""
    return _symmetric(tree, columns, place, n_sums) if "leaf_values" in tree else _nested(tree, columns, place)


def _symmetric(tree: Any, columns: Mapping[int, Any], place: int, n_sums: int) -> Tree:
    """Return a symmetric tree, level after level, the last question at the root."""
    splits = list(tree["splits"] or ())[::-1]
    depth = len(splits)
    n_inner, n_leaves = 2**depth - 1, 2**depth
    node = np.arange(n_inner + n_leaves)
    level = np.floor(np.log2(node + 1)).astype(np.intp)
    questions = [*splits, None]
    feature, threshold, missing_left = (
        np.array(values)[level] for values in zip(*(_question(split, columns) for split in questions), strict=True)
    )
    is_leaf = node >= n_inner
    values = np.asarray(tree["leaf_values"], dtype=np.float64).reshape(n_leaves, n_sums)[:, place]
    return Tree(
        feature,
        threshold,
        np.where(is_leaf, 0, 2 * node + 1),
        np.where(is_leaf, 0, 2 * node + 2),
        missing_left,
        np.concatenate([np.zeros(n_inner), values]),
    )


def _nested(tree: Any, columns: Mapping[int, Any], place: int) -> Tree:
    """Return a nested tree, in depth-first order."""
    nodes: list[tuple[int, float, int, int, bool, float]] = []

    def add(part: Any) -> int:
        position = len(nodes)
        if "split" not in part:
            value = part["value"]
            nodes.append((-1, 0.0, 0, 0, False, value[place] if isinstance(value, list) else value))
            return position
        feature, threshold, missing_left = _question(part["split"], columns)
        nodes.append((feature, threshold, 0, 0, missing_left, 0.0))
        left, right = add(part["left"]), add(part["right"])
        nodes[position] = (feature, threshold, left, right, missing_left, 0.0)
        return position

    add(tree)
    feature, threshold, left, right, missing_left, values = (np.array(column) for column in zip(*nodes, strict=True))
    return Tree(feature, threshold, left, right, missing_left, values)


def _question(split: Any, columns: Mapping[int, Any]) -> tuple[int, float, bool]:
    """Return the column, the threshold and whether what is missing goes left; no column for no question."""
    if split is None:
        return -1, 0.0, False
    column = columns[split["float_feature_index"]]
    border, missing_left = float(split["border"]), column["nan_value_treatment"] != "AsTrue"
    # The last number of single precision only parts what is there from what is missing.
    return column["flat_feature_index"], border if abs(border) < LARGEST else np.copysign(np.inf, border), missing_left


LARGEST = float(np.finfo(np.float32).max)
