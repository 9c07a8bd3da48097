"""Ordinary models from which the benchmark of published splits chooses, by cross-validation inside the training rows.

Each is a function of a seed and of the signs of constrained features. Boosted trees are trained under these signs, if there are
any; the other models know none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import ExtraTreesRegressor, VotingClassifier, VotingRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

__all__ = [
    "Build",
    "average",
    "boosted",
    "leafwise",
    "log_process",
    "log_support_vectors",
    "logistic",
    "network",
    "scaled",
    "support_vectors",
    "vote",
]

#: A model of a seed, under the signs of its constrained features (none: unconstrained).
Build = Callable[[int, dict[str, int]], Any]


def scaled(model: Any) -> Any:
    return make_pipeline(StandardScaler(), model)


def boosted(kind: str, depth: int, n_rounds: int, **other: Any) -> Build:
    def build(seed: int, signs: dict[str, int]) -> Any:
        import xgboost

        return getattr(xgboost, kind)(
            n_estimators=n_rounds, learning_rate=0.05, max_depth=depth, subsample=0.7, n_jobs=1, random_state=seed,
            monotone_constraints=signs or None, **other,
        )  # fmt: skip

    return build


def logistic(C: float) -> Build:
    return lambda _seed, _signs: scaled(LogisticRegression(C=C, max_iter=2000))


def network(seed: int, _: Any = None) -> Any:
    return scaled(MLPClassifier(hidden_layer_sizes=(16,), alpha=3.0, max_iter=2000, random_state=seed))


def vote(seed: int, _: Any) -> Any:
    parts = {"logistic": logistic(1.0)(seed, {}), "boosted": boosted("XGBClassifier", 2, 100)(seed, {})}
    return VotingClassifier([*parts.items(), ("network", network(seed))], voting="soft")


def support_vectors(C: float) -> Build:
    return lambda _seed, _signs: scaled(SVR(C=C))


def _of_logarithm(model: Any) -> Any:
    return TransformedTargetRegressor(scaled(model), func=np.log, inverse_func=np.exp)


def log_support_vectors(_seed: int, _signs: Any) -> Any:
    return _of_logarithm(SVR(C=1.0, epsilon=0.05))


def log_process(seed: int, _: Any) -> Any:
    kernel = ConstantKernel() * RBF(1.0) + WhiteKernel()
    return _of_logarithm(GaussianProcessRegressor(kernel, normalize_y=True, random_state=seed))


def average(seed: int, _: Any) -> Any:
    parts = {"process": log_process(seed, {}), "vectors": log_support_vectors(seed, {}),
             "boosted": boosted("XGBRegressor", 3, 300)(seed, {})}  # fmt: skip
    return VotingRegressor([*parts.items(), ("trees", ExtraTreesRegressor(200, random_state=seed))])


def leafwise(n_leaves: int) -> Build:
    def build(seed: int, signs: dict[str, int]) -> Any:
        import lightgbm

        in_order = [signs.get(f"a{i}", 0) for i in range(1, 281)] if signs else None
        return lightgbm.LGBMRegressor(
            n_estimators=300, learning_rate=0.05, num_leaves=n_leaves, subsample=0.7, subsample_freq=1,
            colsample_bytree=0.5, n_jobs=1, random_state=seed, verbose=-1, monotone_constraints=in_order,
        )  # fmt: skip

    return build
