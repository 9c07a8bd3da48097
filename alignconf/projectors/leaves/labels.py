"""Labels of the reference rows: whether they say anything about the model, and whether the model can be trained again with them.

Labels say of a model for *means* how far its predictions are from them: of squared error, log-loss and the deviances of counts.
A quantile is not to be moved to the mean, and a model that was trained with classes in other weights than they have is far from
the labels on purpose; their labels are left aside.

To compare candidates by labels the model must not have seen them, so it is trained again without some of the rows. That asks for
its hyperparameters and for nothing that only the user has, such as rows to stop early by.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from alignconf._typing import FloatArray, IntArray, Table
from alignconf.lines.wrapped import predicting_model
from alignconf.tables import table as tables
from alignconf.tables.fitted_columns import native_booster

__all__ = ["Labels", "as_numbers", "deviance", "refitted", "why_aside", "why_not_refitted"]

#: What models of means minimise, by their libraries' names.
OF_MEANS = {
    "squared_error", "friedman_mse", "poisson", "gamma", "log_loss", "exponential", "gini", "entropy",
    "reg:squarederror", "reg:logistic", "reg:gamma", "reg:tweedie", "count:poisson", "binary:logistic",
    "regression", "binary", "tweedie", "cross_entropy",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels of the reference rows.

    Parameters
    ----------
    y : (n_rows,)
        Numbers of a regression, classes otherwise, as the model's ``fit`` takes them.
    sample_weight : (n_rows,), optional
        What each row counts in ``fit``.
    arguments : tuple of str
        Other arguments that ``fit`` was given, if any.
    """

    y: NDArray[Any]
    sample_weight: FloatArray | None = None
    arguments: tuple[str, ...] = ()

    def at(self, positions: IntArray) -> Labels:
        """Return the labels of some of the rows."""
        sample_weight = None if self.sample_weight is None else self.sample_weight[positions]
        return replace(self, y=self.y[positions], sample_weight=sample_weight)


def as_numbers(function: Any, labels: Labels) -> FloatArray:
    """Return labels in the unit of the function's predictions, (n_rows,): 1 for the class whose probability it is, else 0."""
    model = predicting_model(function.estimator)
    if hasattr(model, "predict_proba"):
        return np.asarray(labels.y == model.classes_[function.column], dtype=np.float64)
    return np.asarray(labels.y, dtype=np.float64)


def deviance(link: str, margins: FloatArray, y: FloatArray) -> FloatArray:
    r"""Return what each row adds to the deviance, up to a constant, (n_rows,).

    :math:`\log(1 + e^m) - y m` of log-odds, :math:`e^m - y m` of logarithms of counts, :math:`(y - m)^2` otherwise.
    """
    if link == "expit":
        return np.logaddexp(0, margins) - y * margins
    terms: FloatArray = np.exp(margins) - y * margins if link == "exp" else (y - margins) ** 2
    return terms


def why_aside(function: Any, y: FloatArray, link: str) -> str:
    """Return why labels say nothing about a model, or nothing."""
    model = predicting_model(function.estimator)
    name, loss = type(model).__name__, _loss(model)
    if loss not in OF_MEANS:
        return f"{name} minimises {loss}, which is not about means"
    parameters = model.get_params() if hasattr(model, "get_params") else getattr(model, "params", {})
    weighting = [key for key in WEIGHTINGS if parameters.get(key) not in (None, False, 1)]
    if weighting:
        return f"{name} has {weighting[0]}, so it is far from labels on purpose"
    if link == "exp" and (y < 0).any():
        return f"{name} predicts what is positive, and labels are negative"
    return ""


def why_not_refitted(function: Any, labels: Labels) -> str:
    """Return why a model cannot be trained again without some rows, or nothing."""
    model = predicting_model(function.estimator)
    name = type(model).__name__
    if native_booster(model) or not hasattr(model, "get_params"):
        return f"{name} does not tell how it was trained"
    if labels.arguments:
        return f"fit was given {', '.join(labels.arguments)}, of which parts for some rows are not known"
    if getattr(model, "early_stopping_rounds", None) or (getattr(model, "best_iteration_", None) or 0) > 0:
        return f"{name} stopped early by rows that only its user has"
    return ""


def refitted(function: Any, table: Table, labels: Labels, positions: IntArray) -> Any:
    """Return the function of a model that is trained again, as it was, on some of the rows."""
    some = labels.at(positions)
    arguments = {} if some.sample_weight is None else {"sample_weight": some.sample_weight}
    model = clone(predicting_model(function.estimator)).fit(tables.take(table, positions), some.y, **arguments)
    return replace(function, estimator=model)


def _loss(model: Any) -> str:
    """Return the name of the loss that a model was trained with."""
    library = type(model).__module__.split(".")[0]
    if library == "xgboost":
        booster = model if native_booster(model) else model.get_booster()
        return str(json.loads(booster.save_config())["learner"]["objective"]["name"])
    if library == "lightgbm":
        text = (model if native_booster(model) else model.booster_).model_to_string(num_iteration=1)
        objective = [line for line in text.splitlines() if line.startswith("objective=")]
        return objective[0].removeprefix("objective=").split(" ")[0] if objective else "a loss of the user's"
    return str(getattr(model, "loss", None) or getattr(model, "criterion", "a loss that is not known"))


#: Parameters by which classes count otherwise than they occur.
WEIGHTINGS = ("class_weight", "scale_pos_weight", "is_unbalance", "unbalance", "unbalanced_sets")
