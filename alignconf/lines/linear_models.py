"""From scikit-learn's linear models to their lines: regressors, generalized linear models, classifiers.

The reader knows types, not behaviour, as that of trees does. A classifier with two classes is a line behind the logistic
function, one with more the softmax of a line for each class, or, fitted class by class, the share of one such function in all.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from alignconf._typing import FloatArray, Table
from alignconf.lines.exact_lines import ExactLines
from alignconf.lines.joined_lines import JoinedLines
from alignconf.lines.joinings import ClassShare, NormalizedShare
from alignconf.lines.linear_lines import LinearLines
from alignconf.lines.links import SKLEARN_LINKS

__all__ = ["LINEAR_MODELS", "linear_sum", "read_linear"]

#: Classifiers whose probabilities are the softmax of all classes' lines; all others are fitted class by class.
OF_ALL_CLASSES = ("LogisticRegression", "LogisticRegressionCV", "LinearDiscriminantAnalysis")

CLASSIFIERS = (
    *OF_ALL_CLASSES,
    "SGDClassifier",
    "LinearSVC",
    "RidgeClassifier",
    "RidgeClassifierCV",
    "Perceptron",
    "PassiveAggressiveClassifier",
)

LINEAR_MODELS = (
    "LinearRegression",
    *(f"{name}{cv}" for name in ("Ridge", "Lasso", "LassoLars", "Lars", "ElasticNet") for cv in ("", "CV")),
    "LassoLarsIC",
    "OrthogonalMatchingPursuit",
    "OrthogonalMatchingPursuitCV",
    "BayesianRidge",
    "ARDRegression",
    "HuberRegressor",
    "TheilSenRegressor",
    "QuantileRegressor",
    "SGDRegressor",
    "PassiveAggressiveRegressor",
    "LinearSVR",
    "PoissonRegressor",
    "GammaRegressor",
    "TweedieRegressor",
    *CLASSIFIERS,
)


def linear_sum(model: Any, column: int) -> tuple[FloatArray, float, str] | str:
    """Return the coefficients, (n_features,), the intercept and the link of a linear model with a single sum, or why not.

    Parameters
    ----------
    model : fitted model of scikit-learn
    column : int
        Of a classifier with two classes, which probability is told.
    """
    name, coefficients = type(model).__name__, np.atleast_2d(model.coef_)
    if name not in LINEAR_MODELS:
        return f"{name} is no linear model that can be read."
    if len(coefficients) > 1:
        return f"{name} has {len(coefficients)} sums; one can be read."
    intercept = float(np.ravel(model.intercept_)[0])
    if name in CLASSIFIERS:
        # Two classes as if they were many: the softmax of a sum and its negative.
        factor = (1.0 if column == 1 else -1.0) * (2.0 if getattr(model, "multi_class", "") == "multinomial" else 1.0)
        return coefficients[0] * coefficients.dtype.type(factor), factor * intercept, "expit"
    loss = getattr(model, "_base_loss", None)
    link = "IdentityLink" if loss is None else type(loss.link).__name__
    if link not in SKLEARN_LINKS:
        return f"{name} turns its sum into predictions by {link}, which alignconf does not know."
    return coefficients[0], intercept, SKLEARN_LINKS[link]


def read_linear(model: Any, reference: Table, column: int) -> ExactLines | str:
    """Return the lines of a linear model, or a sentence that says why they are not known."""
    name = type(model).__name__
    if getattr(model, "loss", "") == "modified_huber":
        return f"{name} clips its sum (loss='modified_huber'); that of loss='log_loss' can be read."
    if np.atleast_2d(model.coef_).shape[0] == 1 or name not in CLASSIFIERS:
        terms = linear_sum(model, column)
        return terms if isinstance(terms, str) else LinearLines.of(name, *terms[:2], reference, link=terms[2])
    is_share = name in OF_ALL_CLASSES and not _is_class_by_class(model)
    link = "identity" if is_share else "expit"
    members = []
    for coefficients, intercept in zip(model.coef_, model.intercept_, strict=True):
        lines = LinearLines.of(name, coefficients, float(intercept), reference, link=link)
        if isinstance(lines, str):
            return lines
        members.append(lines)
    joining = ClassShare(column) if is_share else NormalizedShare(column, 1 / len(members))
    return JoinedLines.of(members, joining, reference)


def _is_class_by_class(model: Any) -> bool:
    """Return whether a logistic regression is fitted class by class, as older versions of scikit-learn may."""
    kind = getattr(model, "multi_class", "auto")
    return kind in ("ovr", "warn") or (kind in ("auto", "deprecated") and getattr(model, "solver", "") == "liblinear")
