r"""From a fitted model to its trees: those of scikit-learn, XGBoost and LightGBM, read into one value, ``Ensemble``.

scikit-learn's trees are read from its own arrays, which hold what ``predict`` compares and adds; XGBoost's and LightGBM's
through treelite, which knows their formats. A model that cannot be read *exactly* is refused with a sentence that says
why, not with an error: its lines still come from ``predict``. No library is imported that the model is not from.

The reader knows types, not behaviour: a subclass with a ``predict`` of its own is not read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from alignconf.lines.ensemble import ALMOST_ZERO, Ensemble
from alignconf.lines.links import SKLEARN_LINKS, SOFTMAX
from alignconf.lines.native.category_splits import histogram_sets, treelite_sets
from alignconf.lines.native.xgboost_categories import keeps_categories, without_categories
from alignconf.lines.stored_trees import Tree
from alignconf.lines.wrapped import within_wrapper
from alignconf.tables.fitted_columns import native_booster
from alignconf.tables.missing_codes import takes_zero_for_missing

__all__ = [
    "many_classes",
    "read_ensemble",
    "read_sum",
    "read_trees",
    "sklearn_tree",
    "trees_of",
    "unwrapped",
    "why_replaced",
]


def trees_of(function: Any) -> Ensemble | str:
    """Return the trees of the function that is aligned, or a sentence that says why they cannot be read exactly.

    A function made from a classifier says itself which of its trees are meant; wrappers such as ``FrozenEstimator`` and
    searches are looked through.
    """
    if hasattr(function, "trees"):
        ensemble: Ensemble | str = function.trees()
        return ensemble
    return read_ensemble(unwrapped(function))


def unwrapped(model: Any) -> Any:
    """Return the fitted model that a wrapper hands its rows to unchanged; a model that is no wrapper is returned itself."""
    inner = within_wrapper(model)
    return model if inner is None else unwrapped(inner)


def read_ensemble(model: Any, *, column: int = 1) -> Ensemble | str:
    """Return the trees of a fitted model, or a sentence that says why they cannot be read exactly.

    Parameters
    ----------
    model : object
        A fitted regressor or classifier of scikit-learn (decision trees, forests, extra trees, gradient boosting, histogram
        gradient boosting), XGBoost or LightGBM, or one of the latter two's own boosters.
    column : int
        Of a classifier, the class whose probability is read. Boosted classifiers must have two classes.

    Returns
    -------
    Ensemble or str
        ``Ensemble.predict`` is the model's ``predict``, or column ``column`` of its ``predict_proba``, up to rounding.
    """
    ensemble = _with_numbers_only(model, column)
    if isinstance(ensemble, Ensemble) and ensemble.link == SOFTMAX:
        return many_classes(type(model).__name__)
    return ensemble


def read_sum(model: Any, *, column: int = 1) -> Ensemble | str:
    """Return the trees whose sum a fitted model turns into predictions, or a sentence that says why they cannot be read.

    Parameters
    ----------
    model, column
        As for :func:`read_ensemble`.

    Returns
    -------
    Ensemble or str
        As for :func:`read_ensemble`; of a boosted classifier with more than two classes, whose probabilities are the softmax of a
        sum for each class, the sum of class ``column``, with the identity as its link.
    """
    ensemble = _with_numbers_only(model, column)
    if isinstance(ensemble, Ensemble) and ensemble.link == SOFTMAX:
        return replace(ensemble, link="identity")
    return ensemble


def _with_numbers_only(model: Any, column: int) -> Ensemble | str:
    ensemble = read_trees(model, column=column)
    if isinstance(ensemble, Ensemble) and ensemble.categories.sizes:
        return (
            f"{type(model).__name__} splits on categories; only splits on numbers can be read: encode categories in a Pipeline "
            "in front of it."
        )
    return ensemble


def read_trees(model: Any, *, column: int = 1) -> Ensemble | str:
    """Return the trees of a fitted model as :func:`read_sum`, splits on categories among them, or a sentence that says why not.

    The link of a sum of one of several classes is :data:`SOFTMAX`. Rows are what the trees compare, behind the step of
    :func:`alignconf.lines.native.category_codes.step_before_trees`.
    """
    kind = type(model)
    if reason := why_replaced(model):
        return reason
    read = READERS.get((kind.__module__.split(".")[0], kind.__name__))
    if read is None:
        return (
            f"{kind.__name__} is no tree ensemble that can be read; those of scikit-learn, XGBoost and LightGBM can, "
            "subclasses of theirs cannot."
        )
    if _is_classifier(model) and not 0 <= column < len(getattr(model, "classes_", (0, 1))):
        return f"{kind.__name__} has {len(model.classes_)} class(es), so none in column {column}."
    return read(model, column)


def why_replaced(model: Any) -> str:
    """Return why what a model was fitted to does not tell its answers, because a method was replaced; empty if none was."""
    replaced = [name for name in ("predict", "predict_proba") if name in getattr(model, "__dict__", {})]
    return f"{type(model).__name__} has a {replaced[0]} of its own, which its type does not tell." if replaced else ""


def _read_forest(model: Any, column: int) -> Ensemble | str:
    name = type(model).__name__
    members = [model] if hasattr(model, "tree_") else getattr(model, "estimators_", [])
    if not members:
        return f"{name} is not fitted."
    if model.n_outputs_ > 1:
        return f"{name} predicts {model.n_outputs_} outputs; one can be read."
    trees = [sklearn_tree(member.tree_, column if _is_classifier(model) else 0) for member in members]
    return Ensemble.of_trees(trees, model.n_features_in_, divisor=len(trees), is_float32=True)


def _read_gradient_boosting(model: Any, column: int) -> Ensemble | str:
    name = type(model).__name__
    if not hasattr(model, "estimators_"):
        return f"{name} is not fitted."
    if model.init not in (None, "zero"):
        return f"{name} starts from a model of its own, {model.init!r}, not from a constant."
    is_of_class = model.estimators_.shape[1] > 1
    place = column if is_of_class else 0
    base = float(model._raw_predict_init(np.zeros((1, model.n_features_in_), np.float32))[0, place])
    # The exponential loss fits half the log-odds.
    factor = 1.0 if is_of_class else _sign(model, column) * (2.0 if model.loss == "exponential" else 1.0)
    return Ensemble.of_trees(
        [sklearn_tree(stage[place].tree_, 0) for stage in model.estimators_],
        model.n_features_in_,
        base=factor * base,
        scale=factor * model.learning_rate,
        link=SOFTMAX if is_of_class else "expit" if _is_classifier(model) else "identity",
        is_float32=True,
    )


def _read_histogram(model: Any, column: int) -> Ensemble | str:
    name = type(model).__name__
    if not hasattr(model, "_predictors"):
        return f"{name} is not fitted."
    link = type(model._loss.link).__name__
    if link not in SKLEARN_LINKS:
        return f"{name} turns sums of leaves into predictions by {link}, which alignconf does not know."
    is_of_class = SKLEARN_LINKS[link] == SOFTMAX
    sign, place = (1.0, column) if is_of_class else (_sign(model, column), 0)
    return Ensemble.of_trees(
        [_histogram_tree(predictor[place]) for predictor in model._predictors],
        model.n_features_in_,
        base=sign * float(np.ravel(model._baseline_prediction)[place]),
        scale=sign,
        link=SKLEARN_LINKS[link],
    )


def sklearn_tree(tree: Any, output: int) -> Tree:
    """Return a tree of scikit-learn with the values of one output, or class."""
    return Tree(
        tree.feature,
        tree.threshold,
        tree.children_left,
        tree.children_right,
        tree.missing_go_to_left.astype(bool),
        tree.value[:, 0, output],
    )


def _histogram_tree(predictor: Any) -> Tree:
    nodes = predictor.nodes
    feature = np.where(nodes["is_leaf"], -1, nodes["feature_idx"])
    missing_left = nodes["missing_go_to_left"].astype(bool)
    return Tree(
        feature,
        nodes["num_threshold"],
        nodes["left"],
        nodes["right"],
        missing_left,
        nodes["value"],
        histogram_sets(predictor),
    )


def _read_xgboost(model: Any, column: int) -> Ensemble | str:
    name = type(model).__name__
    is_native = bool(native_booster(model))
    if not is_native and not model.__sklearn_is_fitted__():
        return f"{name} is not fitted."
    booster = model if is_native else model.get_booster()
    kind = json.loads(booster.save_config())["learner"]["gradient_booster"]["name"]
    if kind != "gbtree":
        return f"{name} has booster={kind!r}; trees of 'gbtree' can be read."
    missing = getattr(model, "missing", None)
    code = None if missing is None or np.isnan(missing) else float(np.float32(missing))
    with suppress(AttributeError):
        # As predict does, stop at the best round of early stopping, if there was any; a booster by itself goes to the end.
        booster = booster if is_native else booster[: model.best_iteration + 1]
    if keeps_categories(booster):
        ensemble = _read_treelite(model, column, "from_xgboost_json", without_categories(booster))
    else:
        ensemble = _read_treelite(model, column, "from_xgboost", booster)
    return ensemble if isinstance(ensemble, str) else replace(ensemble, missing_code=code)


def _read_lightgbm(model: Any, column: int) -> Ensemble | str:
    name = type(model).__name__
    is_native = bool(native_booster(model))
    if not is_native and not model.__sklearn_is_fitted__():
        return f"{name} is not fitted."
    booster = model if is_native else model.booster_
    text = booster.model_to_string()
    if "\nis_linear=1" in text:
        return f"{name} has linear models in its leaves; its lines are no steps."
    # treelite holds the steepness of the sigmoid in single precision only.
    steepness = float(booster.params.get("sigmoid", 1.0))
    if not takes_zero_for_missing(model):
        return _read_treelite(model, column, "from_lightgbm", booster, steepness)
    ensemble = _read_treelite(model, column, "from_lightgbm", _with_nan_for_zero(booster, text), steepness)
    if isinstance(ensemble, str):
        return ensemble
    if ensemble.categories.sizes:
        return f"{name} takes zeros for missing and splits on categories, whose first code is zero."
    return replace(ensemble, missing_code=0.0)


def _with_nan_for_zero(booster: Any, text: str) -> Any:
    """Return a LightGBM booster that treats NaN as ``booster`` treats zero; treelite would take zeros for values."""

    def changed(line: re.Match[str]) -> str:
        # Bits 2 and 3 tell what is missing at a node: nothing, zero, NaN.
        kinds = [int(kind) for kind in line[1].split()]
        return "decision_type=" + " ".join(str((kind & ~12) | 8 if kind >> 2 & 3 == 1 else kind) for kind in kinds)

    # The sizes of trees in bytes are no longer right, and read by nobody where they are not there.
    text = re.sub(r"^tree_sizes=.*\n", "", text, flags=re.MULTILINE)
    return type(booster)(model_str=re.sub(r"^decision_type=(.*)$", changed, text, flags=re.MULTILINE))


def _read_treelite(model: Any, column: int, reader: str, booster: Any, steepness: float = 1.0) -> Ensemble | str:
    name = type(model).__name__
    try:
        from treelite import TreeliteError, frontend
    except ImportError:
        return f"treelite is not installed; {name} is read with it."
    try:
        treelite_model = getattr(frontend, reader)(booster)
    except TreeliteError as error:
        return f"{name} cannot be read by treelite: {error}."
    header = treelite_model.get_header_accessor()
    if np.prod(header.get_field("leaf_vector_shape")) > 1 or header.get_field("num_target")[0] > 1:
        return f"{name} predicts {header.get_field('num_target')[0]} outputs; one can be read."
    is_of_class = np.max(header.get_field("num_class")) > 1
    place = column if is_of_class else 0
    of_sum = [i for i in range(treelite_model.num_tree) if not is_of_class or header.get_field("class_id")[i] == place]
    accessors = [treelite_model.get_tree_accessor(i) for i in of_sum]
    link = header.get_field("postprocessor")
    if link not in TREELITE_LINKS or (_is_classifier(model) and link not in ("sigmoid", SOFTMAX)):
        return f"{name} turns sums of leaves into predictions by {link!r}, which alignconf does not know."
    is_single = reader.startswith("from_xgboost")
    factor = 1.0 if is_of_class else _sign(model, column) * (steepness if link == "sigmoid" else 1.0)
    return Ensemble.of_trees(
        [_treelite_tree(accessor) for accessor in accessors],
        treelite_model.num_feature,
        base=factor * float(header.get_field("base_scores")[place]),
        scale=factor,
        divisor=treelite_model.num_tree if header.get_field("average_tree_output")[0] else 1,
        link=TREELITE_LINKS[link],
        is_float32=is_single,
        is_single=is_single,
        lowest_code=0.0 if is_single else ABOVE_MINUS_ONE,
    )


def _treelite_tree(accessor: Any) -> Tree:
    return Tree(
        accessor.get_field("split_index"),
        _up_to(accessor.get_field("threshold"), accessor.get_field("cmp")),
        accessor.get_field("cleft"),
        accessor.get_field("cright"),
        accessor.get_field("default_left").astype(bool),
        accessor.get_field("leaf_value"),
        treelite_sets(accessor),
    )


def _up_to(threshold: Any, comparison: Any) -> Any:
    """Return the largest values that go left.

    XGBoost, whose thresholds are of single precision, asks whether values are less; LightGBM whether they are at most, but
    of zero where they are as small as :data:`ALMOST_ZERO`.
    """
    if threshold.dtype == np.float32:
        return np.where(comparison == LESS, np.nextafter(threshold, np.float32(-np.inf)), threshold)
    negative = (threshold >= -ALMOST_ZERO) & (threshold < 0)
    positive = (threshold >= 0) & (threshold < ALMOST_ZERO)
    return np.where(negative, np.nextafter(-ALMOST_ZERO, -np.inf), np.where(positive, ALMOST_ZERO, threshold))


def _is_classifier(model: Any) -> bool:
    return hasattr(model, "predict_proba")


def _sign(model: Any, column: int) -> float:
    """Return -1 for the first of two classes, whose log-odds are those of the second negated; otherwise 1."""
    return -1.0 if _is_classifier(model) and column == 0 else 1.0


def many_classes(name: str) -> str:
    """Return why a classifier is no single sum, in words."""
    return f"{name} has more than two classes, each with trees of its own; the probability of one depends on all."


#: treelite's number for "goes left if less than the threshold".
LESS = 2

#: LightGBM cuts off the digits of codes before it looks at their sign.
ABOVE_MINUS_ONE = float(np.nextafter(-1.0, 0.0))

TREELITE_LINKS = {"identity": "identity", "exponential": "exp", "sigmoid": "expit", SOFTMAX: SOFTMAX}

READERS: dict[tuple[str, str], Callable[[Any, int], Ensemble | str]] = {
    **{
        ("sklearn", f"{name}{kind}"): read
        for name, read in (
            ("DecisionTree", _read_forest),
            ("ExtraTree", _read_forest),
            ("RandomForest", _read_forest),
            ("ExtraTrees", _read_forest),
            ("GradientBoosting", _read_gradient_boosting),
            ("HistGradientBoosting", _read_histogram),
        )
        for kind in ("Regressor", "Classifier")
    },
    **{("xgboost", f"XGB{rf}{kind}"): _read_xgboost for rf in ("", "RF") for kind in ("Regressor", "Classifier")},
    **{("lightgbm", f"LGBM{kind}"): _read_lightgbm for kind in ("Regressor", "Classifier")},
    ("xgboost", "XGBRanker"): _read_xgboost,
    ("lightgbm", "LGBMRanker"): _read_lightgbm,
    ("xgboost", "Booster"): _read_xgboost,
    ("lightgbm", "Booster"): _read_lightgbm,
}
