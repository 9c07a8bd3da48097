"""The models of the tabular suite, each for numbers and for classes, with its library's own constraint where it has one.

Settings are the libraries' defaults except where a line says otherwise, and none was chosen by looking at test rows. Every model
uses one thread. Smooth models stand in a Pipeline behind a column for each category of the nominal features and scaled numbers,
with means for those that are missing, so what is constrained is always a raw column. No library here constrains a classifier of
more than two classes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.svm import SVC, SVR

from benchmarks.models import Recipe
from benchmarks.tabular.free_models import FREE_BUILDERS, unavailable
from benchmarks.tabular.smooth import scaled

__all__ = ["LIBRARIES", "MAX_TRAIN", "MODELS", "TREES", "UNCONSTRAINABLE", "recipe", "why_missing"]

#: What must be installed.
LIBRARIES = {"xgboost": "xgboost", "lightgbm": "lightgbm", "ebm": "interpret"}

MODELS = ("xgboost", "lightgbm", "hist_gradient_boosting", "random_forest", "ebm", "mlp", "svr")
#: Those without a constraint of their own, in :data:`MODELS` and beside them.
UNCONSTRAINABLE = ("mlp", "svr", *FREE_BUILDERS)
TREES = ("xgboost", "lightgbm", "hist_gradient_boosting", "random_forest")

#: Training rows of models whose cost grows faster than their number.
MAX_TRAIN = {"svr": 2000, "gaussian_process": 800, "tabpfn": 1000}

#: Trees, rounds and iterations for a quick look, and otherwise.
SMALL, FULL = 30, 100


def why_missing(name: str) -> str | None:
    """Return why a model cannot be fitted here, None if all is there."""
    library = LIBRARIES.get(name)
    if library is not None and find_spec(library) is None:
        return f"{library} is not installed"
    return unavailable(name)


def recipe(name: str, kind: str, nominal: tuple[str, ...], *, quick: bool = False) -> Recipe:
    """Return how to build a model for a kind of problem ("regression", "ordinal", "binary" or "multiclass")."""
    is_classifier = kind in ("binary", "multiclass")
    build, constrained = _BUILDERS[name]
    size = SMALL if quick else FULL

    def built(seed: int, **constraint: Any) -> Any:
        return build(seed, is_classifier, size, nominal, **constraint)

    def with_signs(seed: int, signs: dict[str, int], columns: list[str]) -> Any:
        assert constrained is not None
        return built(seed, **constrained(signs, columns))

    return Recipe(name, built, with_signs if constrained is not None and kind != "multiclass" else None)


def _by_name(argument: str, signs: dict[str, int], _: list[str]) -> dict[str, Any]:
    return {argument: signs}


def _in_order(argument: str, signs: dict[str, int], columns: list[str]) -> dict[str, Any]:
    return {argument: [signs.get(column, 0) for column in columns]}


def _xgboost(seed: int, is_classifier: bool, size: int, _: tuple[str, ...], **constraint: Any) -> Any:
    from xgboost import XGBClassifier, XGBRegressor

    family = XGBClassifier if is_classifier else XGBRegressor
    return family(n_estimators=size, random_state=seed, n_jobs=1, **constraint)


def _lightgbm(seed: int, is_classifier: bool, size: int, _: tuple[str, ...], **constraint: Any) -> Any:
    from lightgbm import LGBMClassifier, LGBMRegressor

    family = LGBMClassifier if is_classifier else LGBMRegressor
    return family(n_estimators=size, random_state=seed, n_jobs=1, verbose=-1, **constraint)


def _histogram(seed: int, is_classifier: bool, size: int, _: tuple[str, ...], **constraint: Any) -> Any:
    family = HistGradientBoostingClassifier if is_classifier else HistGradientBoostingRegressor
    return family(max_iter=size, random_state=seed, **constraint)


def _forest(seed: int, is_classifier: bool, size: int, _: tuple[str, ...], **constraint: Any) -> Any:
    family = RandomForestClassifier if is_classifier else RandomForestRegressor
    return family(n_estimators=size, random_state=seed, n_jobs=1, **constraint)


def _ebm(seed: int, is_classifier: bool, size: int, _: tuple[str, ...], **constraint: Any) -> Any:
    from interpret.glassbox import ExplainableBoostingClassifier, ExplainableBoostingRegressor

    family = ExplainableBoostingClassifier if is_classifier else ExplainableBoostingRegressor
    return family(outer_bags=2, interactions=5, max_rounds=20 * size, random_state=seed, n_jobs=1, **constraint)


def _network(seed: int, is_classifier: bool, size: int, nominal: tuple[str, ...]) -> Any:
    family = MLPClassifier if is_classifier else MLPRegressor
    network = family(hidden_layer_sizes=(64, 64), early_stopping=True, max_iter=2 * size, random_state=seed)
    return scaled(network, nominal, is_classifier)


def _vectors(seed: int, is_classifier: bool, _: int, nominal: tuple[str, ...]) -> Any:
    if is_classifier:
        return scaled(_with_probabilities(SVC(C=1.0, random_state=seed)), nominal, is_classifier)
    return scaled(SVR(C=10.0), nominal, is_classifier)


def _with_probabilities(vectors: Any) -> Any:
    """Return support vectors with probabilities: Platt's sigmoid over three folds."""
    from sklearn.calibration import CalibratedClassifierCV

    return CalibratedClassifierCV(vectors, cv=3, ensemble=False)


_BUILDERS: dict[str, tuple[Callable[..., Any], Callable[[dict[str, int], list[str]], dict[str, Any]] | None]] = {
    "xgboost": (_xgboost, partial(_by_name, "monotone_constraints")),
    "lightgbm": (_lightgbm, partial(_in_order, "monotone_constraints")),
    "hist_gradient_boosting": (_histogram, partial(_by_name, "monotonic_cst")),
    "random_forest": (_forest, partial(_in_order, "monotonic_cst")),
    "ebm": (_ebm, partial(_in_order, "monotone_constraints")),
    "mlp": (_network, None),
    "svr": (_vectors, None),
    **{name: (build, None) for name, build in FREE_BUILDERS.items()},
}
