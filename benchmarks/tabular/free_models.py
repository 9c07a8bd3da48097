"""Models that no library can constrain, beside networks and support vectors: stacks, neighbours, Gaussian processes and more.

They stand in no default run of the suite. ``python -m benchmarks unconstrainable`` asks for them, and names those that cannot be
had: a package that is not installed, or weights that cannot be downloaded.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    StackingClassifier,
    StackingRegressor,
)
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from benchmarks.tabular.smooth import scaled

__all__ = ["FREE_BUILDERS", "unavailable"]

#: Packages of models that need one.
PACKAGES = {"autogluon": "autogluon.tabular", "tabpfn": "tabpfn"}


def unavailable(name: str) -> str | None:
    """Return why a model cannot be fitted here, None if it can."""
    package = PACKAGES.get(name)
    if package is None:
        return None
    if find_spec(package.partition(".")[0]) is None:
        return f"{package} is not installed"
    if name == "tabpfn":
        from tabpfn.errors import TabPFNError

        try:
            _tabpfn(0, False, 1, ()).fit(np.arange(8.0)[:, None], np.arange(8.0))
        except (TabPFNError, OSError) as error:  # its weights are downloaded at the first fit
            return f"its weights cannot be had: {str(error).splitlines()[0]}"
    return None


def _stack(seed: int, is_classifier: bool, size: int, nominal: tuple[str, ...]) -> Any:
    if is_classifier:
        return StackingClassifier(
            [
                ("boosting", HistGradientBoostingClassifier(max_iter=size, random_state=seed)),
                ("trees", ExtraTreesClassifier(size, min_samples_leaf=3, random_state=seed)),
                ("linear", scaled(LogisticRegression(max_iter=500), nominal, True)),
            ],
            LogisticRegression(max_iter=500),
            cv=3,
        )
    return StackingRegressor(
        [
            ("boosting", HistGradientBoostingRegressor(max_iter=size, random_state=seed)),
            ("trees", ExtraTreesRegressor(size, min_samples_leaf=3, random_state=seed)),
            ("linear", scaled(RidgeCV(), nominal, False)),
        ],
        RidgeCV(),
        cv=3,
    )


def _neighbours(_: int, is_classifier: bool, __: int, nominal: tuple[str, ...]) -> Any:
    family = KNeighborsClassifier if is_classifier else KNeighborsRegressor
    return scaled(family(15, weights="distance"), nominal, is_classifier)


def _gaussian_process(seed: int, is_classifier: bool, _: int, nominal: tuple[str, ...]) -> Any:
    if is_classifier:
        return scaled(GaussianProcessClassifier(ConstantKernel() * RBF(3.0), random_state=seed), nominal, True)
    kernel = ConstantKernel() * RBF(1.0) + WhiteKernel()
    return scaled(GaussianProcessRegressor(kernel, random_state=seed), nominal, False)


class _AutoGluon:
    """A weighted ensemble that AutoGluon chose of its boosted trees, forests and neighbours."""

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> _AutoGluon:
        from autogluon.tabular import TabularPredictor

        self._folder = TemporaryDirectory()
        self._predictor = TabularPredictor("label", problem_type=self._kind(y), path=self._folder.name, verbosity=0)
        members: dict[str, dict[str, Any]] = {"GBM": {}, "RF": {}, "XT": {}, "KNN": {}}
        self._predictor.fit(X.assign(label=y), hyperparameters=members, num_cpus=1, num_gpus=0)
        self._predictor.persist()
        return self

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        return np.asarray(self._predictor.predict(X, as_pandas=False))

    def _kind(self, _: np.ndarray) -> str:
        return "regression"


class _AutoGluonClassifier(_AutoGluon):
    @property
    def classes_(self) -> np.ndarray:
        return np.array(self._predictor.class_labels)

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        return np.asarray(self._predictor.predict_proba(X, as_pandas=False), dtype=float)

    def _kind(self, y: np.ndarray) -> str:
        return "binary" if np.unique(y).size == 2 else "multiclass"


def _autogluon(_: int, is_classifier: bool, __: int, ___: tuple[str, ...]) -> Any:
    return _AutoGluonClassifier() if is_classifier else _AutoGluon()


def _tabpfn(seed: int, is_classifier: bool, _: int, __: tuple[str, ...]) -> Any:
    from tabpfn import TabPFNClassifier, TabPFNRegressor

    return (TabPFNClassifier if is_classifier else TabPFNRegressor)(device="cpu", random_state=seed)


FREE_BUILDERS: dict[str, Callable[..., Any]] = {
    "stack": _stack,
    "neighbours": _neighbours,
    "gaussian_process": _gaussian_process,
    "autogluon": _autogluon,
    "tabpfn": _tabpfn,
}
