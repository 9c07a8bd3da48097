"""The models that are aligned.

``MODELS`` read tables of numbers, each with its own monotone constraint where its library has one. ``PIPELINES`` read
the raw table, text columns included, and have none: trees count categories, smooth models see one column for each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sklearn.compose import TransformedTargetRegressor, make_column_selector, make_column_transformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import Ridge
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, SplineTransformer, StandardScaler
from sklearn.svm import SVR

__all__ = ["MODELS", "PIPELINES", "Recipe"]


@dataclass(frozen=True)
class Recipe:
    """How to build a model from a seed, and how to build it with its library's constraint (None: it has none)."""

    name: str
    build: Callable[[int], Any]
    build_constrained: Callable[[int, dict[str, int], list[str]], Any] | None


def _xgboost(seed: int, **constraint: Any) -> Any:
    from xgboost import XGBRegressor

    return XGBRegressor(random_state=seed, n_jobs=2, **constraint)


def _network(seed: int) -> Any:
    return MLPRegressor(hidden_layer_sizes=(64, 64), early_stopping=True, max_iter=300, random_state=seed)


def _mlp(seed: int) -> Any:
    return make_pipeline(StandardScaler(), _network(seed))


MODELS = {
    recipe.name: recipe
    for recipe in (
        Recipe("xgboost", _xgboost, lambda seed, signs, _: _xgboost(seed, monotone_constraints=signs)),
        Recipe(
            "hist_gradient_boosting",
            lambda seed: HistGradientBoostingRegressor(random_state=seed),
            lambda seed, signs, _: HistGradientBoostingRegressor(random_state=seed, monotonic_cst=signs),
        ),
        Recipe(
            "random_forest",
            lambda seed: RandomForestRegressor(100, random_state=seed, n_jobs=2),
            lambda seed, signs, columns: RandomForestRegressor(
                100, random_state=seed, n_jobs=2, monotonic_cst=[signs.get(column, 0) for column in columns]
            ),
        ),
        Recipe("mlp", _mlp, None),
    )
}


def _counted(model: Any) -> Any:
    """Return the model behind an encoder that counts the categories of each text column, a missing one as -1."""
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1)
    return _encoded(codes, "passthrough", model)


def _scaled(model: Any) -> Any:
    """Return the model behind a column for each category and scaled numbers, its target scaled too."""
    columns = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return TransformedTargetRegressor(_encoded(columns, StandardScaler(), model), transformer=StandardScaler())


def _encoded(of_text: Any, of_numbers: Any, model: Any) -> Any:
    text = make_column_selector(dtype_exclude="number")
    return make_pipeline(make_column_transformer((of_text, text), remainder=of_numbers), model)


def _gaussian_process(seed: int) -> Any:
    kernel = ConstantKernel() * RBF(1.0) + WhiteKernel()
    return _scaled(GaussianProcessRegressor(kernel, random_state=seed))


PIPELINES: dict[str, Callable[[int], Any]] = {
    "boosted trees": lambda seed: _counted(HistGradientBoostingRegressor(random_state=seed)),
    "boosted classifier": lambda seed: _counted(HistGradientBoostingClassifier(random_state=seed)),
    "forest classifier": lambda seed: _counted(RandomForestClassifier(100, random_state=seed)),
    "neural network": lambda seed: _scaled(_network(seed)),
    "support vectors": lambda _: _scaled(SVR(C=100.0)),
    "gaussian process": _gaussian_process,
    "cubic spline": lambda _: make_pipeline(SplineTransformer(12), Ridge(0.1)),
}
