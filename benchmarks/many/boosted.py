"""Libraries of tree ensembles as they are commonly set up, each with its own constraint, and their margins.

All have 100 trees and one thread; XGBoost has depth 5 and a learning rate of .1, the others their defaults. Forests of regressors
look at a third of the features for each split.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)

__all__ = ["BOOSTED", "LIBRARIES", "Library", "values"]

N_TREES = 100


@dataclass(frozen=True)
class Library:
    """A library.

    Parameters
    ----------
    name : str
    build : callable
        From ``is_classification``, a seed and the arguments of the constraint to a model.
    constraint : callable
        From the directions of all columns, in order, to arguments.
    margin : callable
        From a fitted model and rows to what its link is applied to, (n_rows,): for a regression and a forest its values.
    """

    name: str
    build: Callable[..., Any]
    constraint: Callable[[list[int]], dict[str, Any]]
    margin: Callable[[Any, Any], Any]

    def unconstrained(self, is_classification: bool, seed: int) -> Any:
        """Return a model that is not fitted."""
        return self.build(is_classification, seed)

    def constrained(self, is_classification: bool, seed: int, directions: list[int]) -> Any:
        """Return a model with the library's own constraint, not fitted."""
        return self.build(is_classification, seed, **self.constraint(directions))


def values(model: Any, X: Any) -> np.ndarray:
    """Return probabilities of the second class, or predictions, (n_rows,)."""
    if hasattr(model, "predict_proba"):
        return np.asarray(model.predict_proba(X))[:, 1]
    return np.asarray(model.predict(X))


def _xgboost(is_classification: bool, seed: int, **constraint: Any) -> Any:
    from xgboost import XGBClassifier, XGBRegressor

    family = XGBClassifier if is_classification else XGBRegressor
    return family(n_estimators=N_TREES, max_depth=5, learning_rate=0.1, random_state=seed, n_jobs=1, **constraint)


def _lightgbm(is_classification: bool, seed: int, **constraint: Any) -> Any:
    from lightgbm import LGBMClassifier, LGBMRegressor

    family = LGBMClassifier if is_classification else LGBMRegressor
    return family(n_estimators=N_TREES, random_state=seed, n_jobs=1, verbose=-1, **constraint)


def _histogram(is_classification: bool, seed: int, **constraint: Any) -> Any:
    family = HistGradientBoostingClassifier if is_classification else HistGradientBoostingRegressor
    return family(max_iter=N_TREES, early_stopping=False, random_state=seed, **constraint)


def _forest(is_classification: bool, seed: int, **constraint: Any) -> Any:
    if is_classification:
        return RandomForestClassifier(N_TREES, random_state=seed, n_jobs=1, **constraint)
    return RandomForestRegressor(N_TREES, max_features=1 / 3, random_state=seed, n_jobs=1, **constraint)


def _log_odds(model: Any, X: Any) -> Any:
    return model.decision_function(X) if hasattr(model, "decision_function") else model.predict(X)


LIBRARIES = {
    library.name: library
    for library in (
        Library(
            "xgboost",
            _xgboost,
            lambda directions: {"monotone_constraints": tuple(directions)},
            lambda model, X: model.predict(X, output_margin=True),
        ),
        Library(
            "lightgbm",
            _lightgbm,
            lambda directions: {"monotone_constraints": directions},
            lambda model, X: model.predict(X, raw_score=True),
        ),
        Library("hist_gradient_boosting", _histogram, lambda directions: {"monotonic_cst": directions}, _log_odds),
        Library("random_forest", _forest, lambda directions: {"monotonic_cst": directions}, values),
    )
}

#: Those of the table.
BOOSTED = ("xgboost", "lightgbm", "hist_gradient_boosting")
