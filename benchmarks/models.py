"""The models that are aligned, each with its own monotone constraint where its library has one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

__all__ = ["MODELS", "Recipe"]


@dataclass(frozen=True)
class Recipe:
    """How to build a model from a seed, and how to build it with its library's constraint (None: it has none)."""

    name: str
    build: Callable[[int], Any]
    build_constrained: Callable[[int, dict[str, int], list[str]], Any] | None


def _xgboost(seed: int, **constraint: Any) -> Any:
    from xgboost import XGBRegressor

    return XGBRegressor(random_state=seed, n_jobs=2, **constraint)


def _mlp(seed: int) -> Any:
    network = MLPRegressor(hidden_layer_sizes=(64, 64), early_stopping=True, max_iter=300, random_state=seed)
    return make_pipeline(StandardScaler(), network)


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
