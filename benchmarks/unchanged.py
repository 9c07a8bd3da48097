"""The same model is never refused, another fit always is: counted over single-row requests and over refits.

Requests: trees of four libraries that say exactly 0 or 1, that start from a base far off, or that were fitted to targets of which
most are 0, each asked row after row, every row alone. Refits: models of up to six libraries, alone and at the end of a pipeline,
calibrated and then fitted again to other labels, to labels moved a little, with another seed, with one member more, or with
another rate of learning; then one row is predicted, and fresh rows are certified. Libraries that are not installed are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from lightgbm import LGBMRegressor
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor
from xgboost import XGBClassifier, XGBRegressor

from alignconf import AlignedClassifier, AlignedRegressor, PredictionError
from alignconf._typing import FloatArray

N_TRAIN, N_CALIBRATE = 200, 100


def run(requests: int, refits: int, only: list[str] | None, output: Path | None) -> None:
    """Count refusals among single-row requests to unchanged models, and acceptances among refitted ones."""
    table = pd.DataFrame([*asked(requests, only), *refitted(refits, only)])
    print(table.to_string(index=False))
    print(table.groupby("what")[["n", "refused"]].sum().to_string())
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        table.to_csv(output / "unchanged.csv", index=False)


def asked(n_requests: int, only: list[str] | None) -> Iterator[dict[str, Any]]:
    """Ask unchanged models ``n_requests`` rows in all, each alone; yield how many were refused, model by model."""
    random = np.random.default_rng(3)
    X, noise = random.random((2000, 3)), random.normal(size=2000)
    zeros = np.where(random.random(2000) < 0.8, 0.0, np.exp(noise))
    classes = (np.sin(7 * X[:, 0]) + X[:, 1] > 0.5).astype(int)
    models = {
        "forest, probabilities": (RandomForestClassifier(8, random_state=0), classes),
        "histogram, probabilities": (HistGradientBoostingClassifier(max_iter=30, learning_rate=1.0), classes),
        "xgboost, probabilities": (XGBClassifier(n_estimators=30, n_jobs=1), classes),
        "xgboost, base 3000": (XGBRegressor(n_estimators=30, n_jobs=1, base_score=3000.0), noise),
        "xgboost, base 1e5": (XGBRegressor(n_estimators=30, n_jobs=1, base_score=1e5), noise),
        "lightgbm, zeros": (LGBMRegressor(n_estimators=30, n_jobs=1, verbose=-1), zeros),
        "boosting, zeros": (GradientBoostingRegressor(n_estimators=30), zeros),
        "forest, zeros": (RandomForestRegressor(8, random_state=0), zeros),
    }
    models = {name: it for name, it in models.items() if not only or any(name.startswith(one) for one in only)}
    for name, (model, y) in models.items():
        model.fit(X[:1000], y[:1000])
        kind = AlignedClassifier if hasattr(model, "predict_proba") else AlignedRegressor
        aligned = kind(model, {0: 1}, random_state=0).calibrate(X[1000:1500], X_reference=X[:1000])
        n_each, n_refused = n_requests // len(models), 0
        for i in range(n_each):
            row = X[1500 + i % 500][None] if i < 500 else random.random((1, 3))
            n_refused += _is_refused(partial(aligned.predict, row))
        yield {"what": "requests", "model": name, "n": n_each, "refused": n_refused}


def refitted(n_refits: int, only: list[str] | None) -> Iterator[dict[str, Any]]:
    """Fit calibrated models again, ``n_refits`` in all; yield how many were refused by ``predict`` and by ``certify``."""
    models = _models()
    models = {name: it for name, it in models.items() if not only or any(name.startswith(one) for one in only)}
    pairs = [(name, change) for name in models for change in CHANGES if _applies(models[name], change)]
    counts = {pair: [0, 0, 0] for pair in pairs}
    for seed, (name, change) in zip(range(n_refits), (pair for _ in count() for pair in pairs), strict=False):
        on_row, on_rows = _refused_refit(deepcopy(models[name]), change, seed)
        counts[name, change] = list(np.add(counts[name, change], [1, on_row and on_rows, on_row or on_rows]))
    for (name, change), (n, n_refused, _) in counts.items():
        yield {"what": "refits", "model": f"{name}, {change}", "n": n, "refused": n_refused}


def _refused_refit(model: Any, change: str, seed: int) -> tuple[bool, bool]:
    random = np.random.default_rng(seed)
    level = 10.0 ** random.integers(-2, 6)
    X = random.random((400, 3))
    y = level * (1 + random.normal(size=400) * 0.1) + np.sin(7 * X[:, 0]) + 0.5 * X[:, 1]
    train = slice(0, N_TRAIN)
    _set(model, random_state=1)
    model.fit(X[train], y[train])
    aligned = AlignedRegressor(model, {0: 1}, n_knots=8, random_state=0)
    aligned.calibrate(X[N_TRAIN : N_TRAIN + N_CALIBRATE], X_reference=X[train])
    CHANGES[change](model, X[train], y[train], random)
    fresh = X[N_TRAIN + N_CALIBRATE :]
    return _is_refused(partial(aligned.predict, fresh[:1])), _is_refused(partial(aligned.certify, fresh))


def _is_refused(call: Callable[[], Any]) -> bool:
    try:
        call()
    except PredictionError:
        return True
    return False


def _set(model: Any, **parameters: Any) -> None:
    """Set those parameters that the model, or the last step of a pipeline, has."""
    last = getattr(model, "steps", [(None, model)])[-1][1]
    if hasattr(last, "get_params"):
        known = last.get_params()
        last.set_params(**{name: value for name, value in parameters.items() if name in known})


def _applies(model: Any, change: str) -> bool:
    last = getattr(model, "steps", [(None, model)])[-1][1]
    known = last.get_params() if hasattr(last, "get_params") else {}
    if type(last).__module__.startswith("catboost") and change not in ("labels", "a little"):
        return False  # refuses other parameters once it is fitted
    needed = {"seed": "random_state", "member": "n_estimators", "rate": "learning_rate"}.get(change)
    draws = change != "seed" or isinstance(last, (RandomForestRegressor, ExtraTreesRegressor))
    return draws and (needed is None or needed in known)


def _labels(model: Any, X: FloatArray, y: FloatArray, random: np.random.Generator) -> None:
    model.fit(X, random.permutation(y))


def _a_little(model: Any, X: FloatArray, y: FloatArray, random: np.random.Generator) -> None:
    model.fit(X, y * (1 + 1e-3 * random.random()))


def _seed(model: Any, X: FloatArray, y: FloatArray, random: np.random.Generator) -> None:
    _set(model, random_state=int(random.integers(2, 1000)))
    model.fit(X, y)


def _member(model: Any, X: FloatArray, y: FloatArray, random: np.random.Generator) -> None:  # noqa: ARG001
    _set(model, n_estimators=11)
    model.fit(X, y)


def _rate(model: Any, X: FloatArray, y: FloatArray, random: np.random.Generator) -> None:  # noqa: ARG001
    _set(model, learning_rate=0.1001)
    model.fit(X, y)


CHANGES = {"labels": _labels, "a little": _a_little, "seed": _seed, "member": _member, "rate": _rate}


def _models() -> dict[str, Any]:
    """Return unfitted models, by library."""
    models: dict[str, Any] = {
        "sklearn linear": LinearRegression(),
        "sklearn ridge": Ridge(),
        "sklearn tree": DecisionTreeRegressor(min_samples_leaf=3),
        "sklearn forest": RandomForestRegressor(10),
        "sklearn extra": ExtraTreesRegressor(10),
        "sklearn boosting": GradientBoostingRegressor(n_estimators=10, learning_rate=0.1),
        "sklearn histogram": HistGradientBoostingRegressor(max_iter=10, learning_rate=0.1),
        "xgboost": XGBRegressor(n_estimators=10, n_jobs=1, learning_rate=0.1),
        "lightgbm": LGBMRegressor(n_estimators=10, n_jobs=1, verbose=-1, learning_rate=0.1),
    }
    if find_spec("catboost"):
        CatBoostRegressor = import_module("catboost").CatBoostRegressor

        models["catboost"] = CatBoostRegressor(
            n_estimators=10, learning_rate=0.1, verbose=False, thread_count=1, allow_writing_files=False
        )
    if find_spec("statsmodels"):
        models["statsmodels"] = LeastSquares()
    if find_spec("interpret"):
        ExplainableBoostingRegressor = import_module("interpret.glassbox").ExplainableBoostingRegressor

        models["interpret"] = ExplainableBoostingRegressor(max_rounds=20, interactions=0, outer_bags=1, n_jobs=1)
    piped = {f"{name}, piped": make_pipeline(StandardScaler(), deepcopy(model)) for name, model in models.items()
             if not isinstance(model, LeastSquares)}  # fmt: skip
    return models | piped


class LeastSquares:
    """Ordinary least squares of statsmodels behind the two methods that are asked."""

    def fit(self, X: FloatArray, y: FloatArray) -> LeastSquares:
        """Fit the slopes and the intercept."""
        from statsmodels.api import OLS, add_constant

        self.results = OLS(y, add_constant(X, has_constant="add")).fit()
        return self

    def predict(self, X: FloatArray) -> FloatArray:
        """Return the predictions, (n_samples,)."""
        from statsmodels.api import add_constant

        return np.asarray(self.results.predict(add_constant(np.asarray(X), has_constant="add")))
