"""Quantile models of the libraries, the data that they are fitted to, and rivals that keep quantiles in order their own way."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.problems import PROBLEMS, Problem, Rows, load

__all__ = ["LEVELS", "MODELS", "QUANTILE_PROBLEMS", "Adapter", "conformal_tights", "load_rows", "quantile_guard"]

#: Seven levels, as for a fan of forecasts.
LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)

QUANTILE_PROBLEMS = {
    "demand": Problem("demand", "log_sales", {"price": -1}, "simulated: demand falls with price"),
    "power_plant": PROBLEMS["power_plant"],
    "abalone": PROBLEMS["abalone"],
    "diamonds": Problem("diamonds", "price", {"carat": +1}, "larger stones cost more", "USD"),
}

#: Rows of a data set that are used at most.
MAX_ROWS = 4000


def load_rows(problem: Problem, directory: Path | None, seed: int) -> Rows:
    """Return the rows of a problem, at most ``MAX_ROWS`` at random; those of the simulated one are drawn."""
    if problem.name == "demand":
        return _demand(np.random.default_rng(seed))
    rows = load(problem, directory)
    few = np.random.default_rng(seed).permutation(len(rows.y))[:MAX_ROWS]
    return Rows(rows.X.iloc[few].reset_index(drop=True), rows.y[few])


def _demand(random: np.random.Generator) -> Rows:
    """Log-sales that fall with price, with noise that grows with promotion and falls with the size of the shop."""
    n_samples = MAX_ROWS
    X = pd.DataFrame({
        "price": random.uniform(1, 5, n_samples),
        "income": random.normal(size=n_samples),
        "promotion": random.uniform(0, 1, n_samples),
        "size": random.gamma(2.0, size=n_samples),
        "weekday": random.integers(0, 7, n_samples).astype(float),
    })  # fmt: skip
    mean = 3 - 0.5 * X.price + 0.3 * X.income + 0.4 * np.sin(X.weekday) + 0.2 * X.promotion * X.income
    spread = 0.3 + 0.6 * X.promotion / (1 + X["size"])
    return Rows(X, (mean + spread * random.standard_t(5, n_samples)).to_numpy())


class Adapter:
    """A model that is asked in another way than by ``predict``, as one that answers a column for each level.

    Parameters
    ----------
    ask : callable
        From rows to (n_samples, n_levels).
    """

    def __init__(self, ask: Callable[[Any], Any]) -> None:
        self.ask = ask

    def predict(self, X: Any) -> np.ndarray:
        """Return a column for each level."""
        return np.asarray(self.ask(X), dtype=np.float64)


def _lightgbm(rows: Rows, constraints: dict[str, int] | None, seed: int) -> dict[float, Any] | None:
    from lightgbm import LGBMRegressor

    if constraints is not None:
        return None  # its objective for quantiles refuses monotone constraints
    settings: dict[str, Any] = {"objective": "quantile", "random_state": seed, "n_jobs": 1, "verbose": -1}
    return {level: LGBMRegressor(alpha=level, **settings).fit(rows.X, rows.y) for level in LEVELS}


def _xgboost(rows: Rows, constraints: dict[str, int] | None, seed: int) -> Any:
    from xgboost import XGBRegressor

    signs = {} if constraints is None else {"monotone_constraints": constraints}
    model = XGBRegressor(
        objective="reg:quantileerror", quantile_alpha=list(LEVELS), n_estimators=100, max_depth=5, learning_rate=0.1,
        random_state=seed, n_jobs=1, **signs,
    )  # fmt: skip
    return model.fit(rows.X, rows.y)


def _catboost(rows: Rows, constraints: dict[str, int] | None, seed: int) -> Any:
    if constraints is not None:
        return None  # its MultiQuantile takes no monotone constraints
    loss = f"MultiQuantile:alpha={','.join(map(str, LEVELS))}"
    kind = import_module("catboost").CatBoostRegressor
    model = kind(
        loss_function=loss, iterations=200, random_seed=seed, thread_count=1, verbose=False, allow_writing_files=False
    )
    return model.fit(rows.X, rows.y)


def _forest(rows: Rows, constraints: dict[str, int] | None, seed: int) -> Any:
    if constraints is not None:
        return None
    forest = import_module("quantile_forest").RandomForestQuantileRegressor(50, min_samples_leaf=5, random_state=seed)
    forest.fit(rows.X, rows.y)
    return Adapter(lambda X: forest.predict(X, quantiles=list(LEVELS)))


#: By name: from training rows, constraints of the library's own and a seed to a fitted model, None where it has no such.
MODELS: dict[str, Callable[[Rows, dict[str, int] | None, int], Any]] = {
    "seven LightGBM": _lightgbm,
    "XGBoost multi-quantile": _xgboost,
    "CatBoost MultiQuantile": _catboost,
    "quantile forest": _forest,
}


def conformal_tights(rows: Rows, seed: int) -> Adapter:
    """Return coherent quantiles of conformal-tights around its own default model."""
    kind = import_module("conformal_tights").ConformalCoherentQuantileRegressor
    model = kind(random_state=seed).fit(rows.X, rows.y)
    return Adapter(lambda X: model.predict_quantiles(X, quantiles=list(LEVELS)))


def quantile_guard(rows: Rows, seed: int) -> Adapter:
    """Return linear quantiles of quantile-guard, kept from crossing by its own constraints; at most 1,000 rows train it."""
    X = rows.X.iloc[:1000]
    model = import_module("quantile_guard").QuantileRegression(
        tau=list(LEVELS), n_bootstrap=1, random_state=seed, solver_backend="GLOP"
    )
    model.fit(X, pd.Series(rows.y[:1000], index=X.index))

    def ask(table: Any) -> np.ndarray:
        told = model.predict(table)
        return np.column_stack([next(iter(told[level].values())) for level in LEVELS])

    return Adapter(ask)
