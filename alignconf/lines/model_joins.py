"""From scikit-learn's models of models to their lines: votes, bags, stacks, boosts, transformed targets, calibrators.

Each reader takes a fitted model, rows, a class (of a classifier) and the function that reads a member, and returns the lines of
the whole, or a sentence that names the member that cannot be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from alignconf._typing import FloatArray, Table
from alignconf.lines.ensemble import Ensemble
from alignconf.lines.exact_lines import ExactLines
from alignconf.lines.joined_lines import JoinedLines
from alignconf.lines.joinings import (
    Calibrated,
    ClassShare,
    FinalAnswer,
    InverseTarget,
    Joining,
    NormalizedShare,
    WeightedMedian,
    WeightedSum,
)
from alignconf.lines.linear_lines import LinearLines
from alignconf.lines.linear_models import LINEAR_MODELS, linear_sum
from alignconf.lines.merged_ensembles import on_columns
from alignconf.lines.piped_lines import PipedLines
from alignconf.lines.selected_columns import SelectedColumns
from alignconf.lines.trees import sklearn_tree
from alignconf.lines.wrapped import predicting_model
from alignconf.tables import table as tables

__all__ = ["JOINS", "Join", "Read"]

#: What reads a member: model, rows, class.
Read: TypeAlias = Callable[[Any, Table, int], ExactLines | str]

#: What reads a model of models.
Join: TypeAlias = Callable[[Any, Table, int, Read], ExactLines | str]


def _read_voting(model: Any, reference: Table, column: int, read: Read) -> ExactLines | str:
    if getattr(model, "voting", "soft") != "soft":
        return "VotingClassifier counts votes; expected voting='soft', which averages probabilities."
    members = _members(model, _names(model), reference, column, read)
    weights = np.ones(len(model.estimators_)) if model.weights is None else np.array(model._weights_not_none, float)
    return members if isinstance(members, str) else JoinedLines.of(members, _mean(weights), reference)


def _read_bagging(model: Any, reference: Table, column: int, read: Read) -> ExactLines | str:
    name, n_columns = type(model).__name__, model.n_features_in_
    if n_columns > reference.shape[1]:
        return f"{name} has {n_columns} columns, and rows have {reference.shape[1]}."
    own_rows = tables.select(reference, range(n_columns))
    members: list[ExactLines] = []
    for k, (member, features) in enumerate(zip(model.estimators_, model.estimators_features_, strict=True)):
        step = SelectedColumns(np.asarray(features, np.intp))
        labels = getattr(member, "classes_", np.array([column])).tolist() if hasattr(model, "classes_") else [column]
        if hasattr(model, "classes_") and not hasattr(member, "predict_proba"):
            return f"{name} counts votes of {type(member).__name__}, which tells no probabilities."
        if column not in labels:
            continue  # The member has not seen the class, and gives it none of its probability.
        lines = read(member, step.transform(own_rows), labels.index(column))
        if isinstance(lines, str):
            return _of_member(model, k, lines)
        seen = (
            on_columns(lines, step.columns, n_columns)
            if isinstance(lines, Ensemble) and not lines.categories.sizes
            else PipedLines(lines, (step,), n_columns, own_rows)
        )
        members.append(seen)
    if not members:
        return f"no member of {name} has seen the class."
    return JoinedLines.of(members, WeightedSum((1 / len(model.estimators_),) * len(members)), reference)


def _read_adaboost(model: Any, reference: Table, column: int, read: Read) -> ExactLines | str:
    members = _members(model, range(len(model.estimators_)), reference, column, read)
    if isinstance(members, str):
        return members
    return JoinedLines.of(
        members, WeightedMedian(np.ascontiguousarray(model.estimator_weights_[: len(members)])), reference
    )


def _read_votes_of_trees(model: Any, reference: Table, column: int, read: Read) -> ExactLines | str:  # noqa: ARG001
    """Return the lines of an AdaBoostClassifier of trees, whose leaves then hold weighted votes for a class."""
    if any(not hasattr(member, "tree_") for member in model.estimators_):
        return "AdaBoostClassifier counts votes of models that are no decision trees."
    if model.n_features_in_ > reference.shape[1]:
        return f"AdaBoostClassifier has {model.n_features_in_} columns, and rows have {reference.shape[1]}."
    if not tables.is_numeric(tables.select(reference, range(model.n_features_in_))):
        return "some columns are not numbers."
    n_classes = len(model.classes_)
    if n_classes == 2:
        # The softmax of half the difference of votes and its negative.
        return replace(_votes(model, column, 2.0, -2.0), link="expit")
    sums = [_votes(model, k, 1 / (n_classes - 1), -1 / (n_classes - 1) ** 2) for k in range(n_classes)]
    return JoinedLines.of(sums, ClassShare(column), reference)


def _votes(model: Any, column: int, vote_for: float, vote_against: float) -> Ensemble:
    """Return the trees of an AdaBoostClassifier with what each leaf counts for a class."""
    weights, trees = model.estimator_weights_ / model.estimator_weights_.sum(), []
    for member, weight in zip(model.estimators_, weights, strict=False):
        votes = member.classes_[member.tree_.value[:, 0, :].argmax(axis=1)] == model.classes_[column]
        trees.append(replace(sklearn_tree(member.tree_, 0), value=weight * np.where(votes, vote_for, vote_against)))
    return Ensemble.of_trees(trees, model.n_features_in_, is_float32=True)


def _read_transformed_target(model: Any, reference: Table, column: int, read: Read) -> ExactLines | str:
    lines = read(model.regressor_, reference, column)
    if isinstance(lines, str):
        return _of_member(model, "regressor", lines)
    return JoinedLines.of([lines], InverseTarget(model.transformer_), reference)


def _read_stacking(model: Any, reference: Table, column: int, read: Read) -> ExactLines | str:
    name, final = type(model).__name__, model.final_estimator_
    members: list[ExactLines] = []
    for label, member, method in zip(_names(model), model.estimators_, model.stack_method_, strict=True):
        if hasattr(model, "classes_") and method == "predict":
            return f"{name} stacks the labels of its member {label!r}; probabilities can be read."
        n_classes = len(getattr(model, "classes_", (0, 1)))
        for k in range(n_classes) if n_classes > 2 else (1,):
            is_score = method == "decision_function"
            lines = _read_score(member, reference, k, read) if is_score else read(member, reference, k)
            if isinstance(lines, str):
                return _of_member(model, label, lines)
            members.append(lines)
    terms = linear_sum(final, column) if type(final).__name__ in LINEAR_MODELS else "its final model is not linear."
    if isinstance(terms, str):
        if model.passthrough:
            return f"{name} hands the rows themselves to {type(final).__name__} (passthrough=True); to a linear model it may."
        return JoinedLines.of(members, FinalAnswer(final, column if hasattr(model, "classes_") else None), reference)
    coefficients, intercept, link = terms
    weights = coefficients[: len(members)].astype(np.float64).tolist()
    if model.passthrough:
        rows = LinearLines.of(type(final).__name__, coefficients[len(members) :], 0.0, reference)
        if isinstance(rows, str):
            return rows
        members, weights = [*members, rows], [*weights, 1.0]
    return JoinedLines.of(members, WeightedSum(tuple(weights), intercept, link), reference)


def _read_calibrated(model: Any, reference: Table, column: int, read: Read) -> ExactLines | str:
    n_classes, folds = len(model.classes_), []
    for fold in model.calibrated_classifiers_:
        if fold.method not in ("sigmoid", "isotonic"):
            return f"CalibratedClassifierCV calibrates by method={fold.method!r}; 'sigmoid' and 'isotonic' can be read."
        if len(fold.estimator.classes_) != n_classes:
            return "a fold of CalibratedClassifierCV lacks a class."
        lines = _read_calibrated_fold(model, fold, reference, column, read)
        if isinstance(lines, str):
            return lines
        folds.append(lines)
    mean = _mean(np.ones(len(folds)))
    if n_classes == 2 and column == 0:
        mean = WeightedSum(tuple(-weight for weight in mean.weights), 1.0)
    return JoinedLines.of(folds, mean, reference)


def _read_calibrated_fold(model: Any, fold: Any, reference: Table, column: int, read: Read) -> ExactLines | str:
    """Return the lines of the second of two classes, or of any of several."""
    n_classes, calibrated = len(model.classes_), []
    for k, calibrator in zip(range(n_classes) if n_classes > 2 else (1,), fold.calibrators, strict=True):
        score = _read_score(fold.estimator, reference, k, read)
        if isinstance(score, str):
            return _of_member(model, "estimator", score)
        calibrated.append(JoinedLines.of([score], _calibration(calibrator), reference))
    if n_classes == 2:
        return calibrated[0]
    return JoinedLines.of(calibrated, NormalizedShare(column, 1 / n_classes), reference)


def _calibration(calibrator: Any) -> Joining:
    if type(calibrator).__name__ == "_SigmoidCalibration":
        return WeightedSum((-float(calibrator.a_),), -float(calibrator.b_), "expit")
    return Calibrated(calibrator)


def _read_score(model: Any, reference: Table, column: int, read: Read) -> ExactLines | str:
    """Return the lines of what a classifier decides by: its decision function if there is one, otherwise probabilities."""
    lines = read(model, reference, column)
    if isinstance(lines, str) or not hasattr(model, "decision_function"):
        return lines
    score = _margin(lines)
    if score is None:
        return f"{type(model).__name__} decides by another function than its probabilities tell."
    predictor = predicting_model(model)
    factor = 1.0
    if type(predictor).__name__ == "GradientBoostingClassifier" and predictor.loss == "exponential":
        factor = 0.5
    elif type(predictor).__name__ == "AdaBoostClassifier" and len(predictor.classes_) > 2:
        factor = len(predictor.classes_) - 1.0
    return score if factor == 1.0 else JoinedLines.of([score], WeightedSum((factor,)), reference)


def _margin(lines: ExactLines) -> ExactLines | None:
    """Return the lines of the margin behind the probability of a class; None if they are not told."""
    if isinstance(lines, PipedLines):
        inner = _margin(lines.inner)
        return None if inner is None else replace(lines, inner=inner)
    if isinstance(lines, (Ensemble, LinearLines)):
        return replace(lines, link="identity") if lines.link == "expit" else None
    if isinstance(lines, JoinedLines) and isinstance(lines.joining, ClassShare):
        return lines.members[lines.joining.column]
    if isinstance(lines, JoinedLines) and isinstance(lines.joining, NormalizedShare):
        return _margin(lines.members[lines.joining.column])
    return None


def _read_one_against_the_rest(model: Any, reference: Table, column: int, read: Read) -> ExactLines | str:
    if model.multilabel_:
        return "OneVsRestClassifier has several labels for a row; one can be read."
    members = _members(model, range(len(model.estimators_)), reference, 1, read)
    if isinstance(members, str):
        return members
    if len(members) == 1:
        return JoinedLines.of(members, WeightedSum((1.0,)) if column else WeightedSum((-1.0,), 1.0), reference)
    return JoinedLines.of(members, NormalizedShare(column, 0.0), reference)


def _members(
    model: Any, labels: Iterable[object], reference: Table, column: int, read: Read
) -> tuple[ExactLines, ...] | str:
    """Return the lines of all members on the rows themselves."""
    members: list[ExactLines] = []
    for label, member in zip(labels, model.estimators_, strict=True):
        lines = read(member, reference, column)
        if isinstance(lines, str):
            return _of_member(model, label, lines)
        members.append(lines)
    return tuple(members)


def _of_member(model: Any, label: object, sentence: str) -> str:
    return f"of {type(model).__name__}'s member {label!r}: {sentence}"


def _mean(weights: FloatArray) -> WeightedSum:
    return WeightedSum(tuple((weights / weights.sum()).tolist()))


def _names(model: Any) -> list[str]:
    return [name for name, member in model.estimators if not isinstance(member, str)]


JOINS: dict[str, Join] = {
    "VotingRegressor": _read_voting,
    "VotingClassifier": _read_voting,
    "BaggingRegressor": _read_bagging,
    "BaggingClassifier": _read_bagging,
    "AdaBoostRegressor": _read_adaboost,
    "AdaBoostClassifier": _read_votes_of_trees,
    "TransformedTargetRegressor": _read_transformed_target,
    "StackingRegressor": _read_stacking,
    "StackingClassifier": _read_stacking,
    "CalibratedClassifierCV": _read_calibrated,
    "OneVsRestClassifier": _read_one_against_the_rest,
}
