r"""A stack of ordinary models: their convex combination with the least cross-validated squared error.

With :math:`z_{ik}` the prediction of member ``k`` at row ``i`` by a fit that has not seen the row, the weights are

.. math:: \arg\min_w \sum_i \Big(y_i - \sum_k w_k z_{ik}\Big)^2 \quad\text{subject to}\quad w \ge 0,\ \sum_k w_k = 1

[1]_, where predictions of classifiers are probabilities of the second of two classes. Members of weight zero are left out, the
others are fitted again to all rows.

References
----------
.. [1] Breiman, L. (1996). Stacked regressions. Machine Learning 24, 49-64. doi:10.1007/BF00117832
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.optimize import nnls
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict

__all__ = ["StackedClassifier", "StackedRegressor", "convex_weights"]

N_FOLDS = 5

#: By how much more than rows the sum of the weights counts, which makes it one up to rounding.
OF_SUM = 1e6

#: Smaller weights are zero.
LEAST_WEIGHT = 1e-3


def convex_weights(predictions: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the weights of the least squares, (n_members,), of predictions (n_rows, n_members)."""
    size = OF_SUM * float(np.abs(predictions).max())
    weights, _ = nnls(np.vstack([predictions, np.full(predictions.shape[1], size)]), np.append(y, size))
    weights[weights < LEAST_WEIGHT] = 0
    shares: np.ndarray = weights / weights.sum()
    return shares


class StackedRegressor(RegressorMixin, BaseEstimator):
    """A convex combination of regressors.

    Parameters
    ----------
    members : mapping of names to regressors
        Not fitted.
    seed : int
        Of the folds.
    """

    def __init__(self, members: Mapping[str, Any], *, seed: int = 0) -> None:
        self.members = members
        self.seed = seed

    def fit(self, X: Any, y: Any) -> StackedRegressor:
        """Weigh the members by cross-validation, and fit those that count."""
        folds = KFold(N_FOLDS, shuffle=True, random_state=self.seed)
        held_out = [cross_val_predict(member, X, y, cv=folds) for member in self.members.values()]
        self._combine(np.column_stack(held_out), X, y)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the combined predictions, (n_rows,)."""
        return self._combined([member.predict(X) for member, _ in self.fitted_.values()])

    def _combine(self, held_out: np.ndarray, X: Any, y: Any) -> None:
        weights = convex_weights(held_out, np.asarray(y, dtype=float))
        self.fitted_ = {
            name: (member.fit(X, y), float(weight))
            for (name, member), weight in zip(self.members.items(), weights, strict=True)
            if weight
        }

    def _combined(self, predictions: list[np.ndarray]) -> np.ndarray:
        weights = [weight for _, weight in self.fitted_.values()]
        combined: np.ndarray = np.column_stack(predictions) @ weights
        return combined


class StackedClassifier(ClassifierMixin, StackedRegressor):
    """The same of classifiers of two classes."""

    def fit(self, X: Any, y: Any) -> StackedClassifier:
        """Weigh the members by cross-validation, and fit those that count."""
        self.classes_ = np.unique(y)
        folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=self.seed)
        held_out = [
            cross_val_predict(member, X, y, cv=folds, method="predict_proba")[:, 1] for member in self.members.values()
        ]
        self._combine(np.column_stack(held_out), X, y == self.classes_[1])
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the combined probabilities, (n_rows, 2)."""
        second = self._combined([member.predict_proba(X)[:, 1] for member, _ in self.fitted_.values()])
        return np.column_stack([1 - second, second])

    def predict(self, X: Any) -> np.ndarray:
        """Return the class of the larger probability."""
        labels: np.ndarray = self.classes_[(self.predict_proba(X)[:, 1] > 0.5).astype(int)]
        return labels
