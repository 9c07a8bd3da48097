"""Blends of two models that are models of their library."""

from __future__ import annotations

import pickle
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.frozen import FrozenEstimator

from alignconf.errors import InputError
from alignconf.lines.ensemble import Ensemble
from alignconf.lines.native_leaves import leaf_values_of, readable_trees
from alignconf.lines.native_trees import with_trees
from tests.test_native_leaves import answers, rows_of
from tests.test_trees import case, data, fitted, lgbm, xgb

#: LightGBM gives names to the columns of arrays and older versions then miss them.
pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")

#: Models and what is blended into them: of the same link, or regressors of margins.
PAIRS = [
    ("histogram", "histogram, quantile"),
    ("histogram, classes", "histogram, classes"),
    ("histogram, classes", "histogram"),
    ("histogram, poisson", "histogram, gamma"),
    ("xgboost", "xgboost, deep"),
    ("xgboost, classes", "xgboost"),
    ("xgboost, poisson", "xgboost, poisson"),
    ("xgboost, forest", "xgboost"),
    ("lightgbm", "lightgbm, one leaf"),
    ("lightgbm, classes", "lightgbm"),
    ("lightgbm, classes", "lightgbm, classes"),
    ("lightgbm, forest", "lightgbm"),
    ("lightgbm", "lightgbm, forest"),
]


def margin(ensemble: Ensemble, X: np.ndarray) -> np.ndarray:
    predicted = ensemble.predict(X)
    if ensemble.link == "exp":
        return np.log(predicted)
    return np.log(predicted / (1 - predicted)) if ensemble.link == "expit" else predicted


@pytest.mark.parametrize(("name", "added"), PAIRS)
@pytest.mark.parametrize(("own_weight", "weight"), [(None, 0.5), (None, 0.2), (0.75, 1.0)])
def test_margins_are_the_weighted_sum(name: str, added: str, own_weight: float | None, weight: float) -> None:
    one, another, X = case(name), case(added), rows_of(name)
    before = pickle.dumps((one.model, another.model))
    blend = with_trees(one.model, another.model, weight=weight, own_weight=own_weight)
    assert type(blend) is type(one.model)
    ensemble = readable_trees(blend)
    assert ensemble.roots.size == one.ensemble.roots.size + another.ensemble.roots.size
    own_weight = 1 - weight if own_weight is None else own_weight
    expected = own_weight * margin(one.ensemble, X) + weight * margin(another.ensemble, X)
    size = max(1.0, np.abs(expected).max())
    tolerance = 3e-6 if name.startswith("xgboost") else 1e-14
    np.testing.assert_allclose(margin(ensemble, X), expected, rtol=0, atol=tolerance * size)
    predicted = answers(blend, X).reshape(len(X), -1)[:, -1]
    np.testing.assert_allclose(predicted, ensemble.predict(X), rtol=tolerance, atol=tolerance)
    assert pickle.dumps((one.model, another.model)) == before


@pytest.mark.parametrize("name", ["histogram", "xgboost", "lightgbm"])
def test_order_of_leaves_is_kept(name: str) -> None:
    one = case(name)
    n_leaves = leaf_values_of(one.ensemble).size
    first = leaf_values_of(readable_trees(with_trees(one.model, one.model, weight=0.3)))[:n_leaves]
    n_first = int((one.ensemble.nodes["split"][: one.ensemble.roots[1]] == -1).sum())
    # The first tree has the base besides.
    for part in (slice(n_first), slice(n_first, None)):
        order = np.argsort(leaf_values_of(one.ensemble)[part], kind="stable")
        assert (np.diff(first[part][order]) >= 0).all()


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_the_best_round_of_a_model_is_forgotten(library: str) -> None:
    X, y = data(4)
    X_fresh, y_fresh = data(5)
    if library == "xgboost":
        model = xgb("Regressor", n_estimators=200, early_stopping_rounds=3, learning_rate=0.9)
        model.fit(X, y, eval_set=[(X_fresh, y_fresh)], verbose=False)
    else:
        train = lightgbm.Dataset(X, y)
        callbacks = [lightgbm.early_stopping(3, verbose=False)]
        params = {"learning_rate": 0.9, "verbose": -1, "num_threads": 1}
        model = lightgbm.train(
            params, train, 200, [lightgbm.Dataset(X_fresh, y_fresh, reference=train)], callbacks=callbacks
        )
    blend = with_trees(model, model)
    n_best = readable_trees(model).roots.size
    assert readable_trees(blend).roots.size == 2 * n_best
    np.testing.assert_allclose(blend.predict(X_fresh), model.predict(X_fresh), rtol=0, atol=1e-5)


def test_boosters_and_wrappers() -> None:
    one, another = case("xgboost"), case("xgboost, deep")
    expected = with_trees(one.model, another.model).predict(one.X)
    booster = with_trees(one.model.get_booster(), another.model)
    np.testing.assert_array_equal(booster.predict(xgboost.DMatrix(one.X)), expected)
    frozen = with_trees(FrozenEstimator(one.model), FrozenEstimator(another.model))
    assert type(frozen) is FrozenEstimator
    np.testing.assert_array_equal(frozen.predict(one.X), expected)


def other_classes() -> Any:
    X, y = data(8)
    return HistGradientBoostingClassifier(max_iter=2).fit(X, np.where(y > 0, "yes", "no"))


def with_names(labels: str) -> Any:
    import pandas as pd

    X, y = data(9)
    return xgb("Regressor").fit(pd.DataFrame(X, columns=list(labels)), y)


APART: dict[str, Any] = {
    "RandomForestRegressor takes no trees of others": lambda: (case("forest").model, case("forest").model),
    "GradientBoostingRegressor takes no trees of others": lambda: (case("histogram").model, case("boosting").model),
    "XGBRegressor and LGBMRegressor are of different libraries": lambda: (
        case("xgboost").model,
        case("lightgbm").model,
    ),
    "XGBRegressor predicts by 'exp' of its sum, XGBRegressor by 'identity'": lambda: (
        case("xgboost").model,
        case("xgboost, poisson").model,
    ),
    "LGBMRegressor has 5 features, LGBMRegressor 2": lambda: (
        case("lightgbm").model,
        lgbm("Regressor").fit(case("lightgbm").X[:, :2], case("lightgbm").X[:, 4]),
    ),
    "XGBRegressor has other columns than XGBRegressor": lambda: (with_names("abcde"), with_names("abced")),
    "XGBRegressor takes None for missing and XGBRegressor -9.0": lambda: (
        case("xgboost").model,
        fitted(xgb("Regressor", missing=-9.0), missing=False),
    ),
    "HistGradientBoostingClassifier has the classes [0, 1], HistGradientBoostingClassifier ['no', 'yes']": lambda: (
        case("histogram, classes").model,
        other_classes(),
    ),
    "XGBRegressor is not fitted.": lambda: (case("xgboost").model, xgb("Regressor")),
}


@pytest.mark.parametrize("sentence", APART)
def test_trees_that_cannot_be_joined_say_why(sentence: str) -> None:
    reason = with_trees(*APART[sentence]())
    assert isinstance(reason, str)
    assert reason.startswith(sentence)
    assert reason.endswith(".")


@pytest.mark.parametrize("weight", [0.0, 1.5, -0.5, float("nan")])
def test_weights_outside_are_refused(weight: float) -> None:
    with pytest.raises(InputError, match="expected a number above 0 and at most 1"):
        with_trees(case("xgboost").model, case("xgboost").model, weight=weight)
    if not 0 <= weight <= 1:
        with pytest.raises(InputError, match=r"own_weight is .*; expected a number from 0 to 1"):
            with_trees(case("xgboost").model, case("xgboost").model, own_weight=weight)
