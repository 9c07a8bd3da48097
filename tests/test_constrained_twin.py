"""Twins of boosted models under their libraries' constraints, and models that hold the trees of others."""

from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost
from scipy.special import expit
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)

from alignconf.errors import DefectError
from alignconf.lines.native.binned_rows import BinnedRows
from alignconf.lines.native.constrained_twin import ConstrainedTwin, constrained_twin
from alignconf.lines.native_leaves import readable_trees
from alignconf.lines.native_trees import with_other_trees, with_trees
from tests.test_native_leaves import answers
from tests.test_trees import lgbm, xgb

#: LightGBM gives names to the columns of arrays and older versions then miss them.
pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")

MODELS: dict[str, Any] = {
    "histogram": HistGradientBoostingRegressor(max_iter=12, max_leaf_nodes=9, random_state=3),
    "histogram, classes": HistGradientBoostingClassifier(max_iter=12, class_weight="balanced", l2_regularization=2.0),
    "histogram, poisson": HistGradientBoostingRegressor(max_iter=12, loss="poisson"),
    "xgboost": xgb("Regressor", max_depth=3, reg_lambda=2.0),
    "xgboost, classes": xgb("Classifier", scale_pos_weight=2, base_score=0.3),
    "xgboost, poisson": xgb("Regressor", objective="count:poisson"),
    "lightgbm": lgbm("Regressor", num_leaves=7),
    "lightgbm, classes": lgbm("Classifier", sigmoid=1.7, class_weight="balanced"),
    "lightgbm, poisson": lgbm("Regressor", objective="poisson"),
}
every_model = pytest.mark.parametrize("name", MODELS)

DIRECTIONS = {0: 1, 1: -1, 2: 0}


def rows_and_labels(seed: int, *, missing: bool = False) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(600, 4))
    y = X[:, 0] - X[:, 1] + X[:, 2] + np.sin(3 * X[:, 3]) + rng.normal(size=600)
    if missing:
        X[rng.random(X.shape) < 0.1] = np.nan
    return X, y


def fitted(name: str, X: np.ndarray, y: np.ndarray) -> Any:
    classes = hasattr(MODELS[name], "predict_proba")
    return MODELS[name].fit(X, (y > 0).astype(int) if classes else np.exp(y / 4))


def twin_of(model: Any, X: np.ndarray, directions: dict[int, int]) -> Any:
    """Return the twin, fitted to the margins of a model, with some weights."""
    twin = constrained_twin(model, directions)
    assert isinstance(twin, ConstrainedTwin)
    ensemble = readable_trees(model)
    predicted = ensemble.predict(X)
    margins = {"expit": lambda p: np.log(p / (1 - p)), "exp": np.log, "identity": np.copy}[ensemble.link](predicted)
    return twin.fitted(X, margins, np.linspace(0.05, 0.25, len(X)))


@every_model
def test_the_twin_has_the_order_and_the_model_of_its_trees_predicts_by_the_link(name: str) -> None:
    """No pair of rows is in the wrong order, nothing depends on what must not matter, and predictions are the link of margins."""
    X, y = rows_and_labels(len(name))
    model = fitted(name, X, y)
    twin = twin_of(model, X, DIRECTIONS)
    whole = with_trees(model, twin, weight=1.0)
    assert type(whole) is type(model)
    ensemble = readable_trees(whole)
    assert ensemble.roots.size == readable_trees(twin).roots.size
    links: dict[str, Any] = {"expit": expit, "exp": np.exp, "identity": np.copy}
    expected = links[ensemble.link](np.asarray(twin.predict(X), np.float64))
    predicted = answers(whole, X).reshape(len(X), -1)[:, -1]
    tolerance = 3e-6 if name.startswith("xgboost") else 1e-13
    np.testing.assert_allclose(predicted, expected, rtol=0, atol=tolerance * max(1.0, np.abs(expected).max()))
    rng = np.random.default_rng(0)
    low = rng.normal(size=(20_000, 4))
    high = low + np.column_stack([rng.exponential(size=20_000), -rng.exponential(size=20_000), np.zeros((20_000, 2))])
    high[:, 2] = rng.normal(size=20_000)
    pair = [answers(whole, rows).reshape(20_000, -1)[:, -1] for rows in (low, high)]
    assert (pair[0] <= pair[1]).all()
    assert not set((ensemble.nodes["split"][ensemble.nodes["split"] >= 0] >> 1).tolist()) & {2}
    # The model itself breaks the order, so the twin is not the model.
    pair = [answers(model, rows).reshape(20_000, -1)[:, -1] for rows in (low, high)]
    assert (pair[0] > pair[1]).any()


@every_model
def test_the_twin_has_the_hyperparameters_of_the_model_and_the_same_bits_again(name: str) -> None:
    X, y = rows_and_labels(len(name))
    model = fitted(name, X, y)
    before = model.get_params()
    twin = constrained_twin(model, {0: 1})
    assert isinstance(twin, ConstrainedTwin)
    shared = {"learning_rate", "max_depth", "max_leaf_nodes", "reg_lambda", "l2_regularization", "num_leaves"} & set(
        before
    )
    assert {key: twin.regressor.get_params()[key] for key in shared} == {key: before[key] for key in shared}
    first, again = (twin_of(model, X, {0: 1}).predict(X) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert str(model.get_params()) == str(before)


@pytest.mark.parametrize(
    ("model", "rate"),
    [
        (HistGradientBoostingRegressor(max_iter=10, learning_rate=0.05), 0.2),
        (HistGradientBoostingRegressor(max_iter=10), 0.3),
        (xgb("Regressor").set_params(n_estimators=10, learning_rate=None), 0.3),
        (xgb("Regressor").set_params(n_estimators=10, learning_rate=0.5), 0.5),
        (lgbm("Regressor").set_params(n_estimators=10, learning_rate=0.01), 0.04),
    ],
)
def test_a_short_twin_has_a_quarter_of_the_rounds_and_goes_further_in_each(model: Any, rate: float) -> None:
    X, y = rows_and_labels(0)
    twin = constrained_twin(model.fit(X, y), DIRECTIONS)
    assert isinstance(twin, ConstrainedTwin)
    short = twin.shortened()
    fitted = short.fitted(X, y, np.ones(len(y)))
    assert readable_trees(fitted).roots.size == 3
    assert short.regressor.get_params()["learning_rate"] == pytest.approx(rate)
    assert short.withheld == twin.withheld
    assert readable_trees(twin.fitted(X, y, np.ones(len(y)))).roots.size == 10


def test_rounds_are_those_that_predict() -> None:
    """A model that stopped early at its best round has a twin with as many rounds, which does not stop early."""
    X, y = rows_and_labels(0)
    fresh = rows_and_labels(1)
    stopped = xgb("Regressor", n_estimators=200, early_stopping_rounds=3, learning_rate=0.9)
    stopped.fit(X, y, eval_set=[fresh], verbose=False)
    histogram = HistGradientBoostingRegressor(max_iter=200, early_stopping=True, learning_rate=0.9, random_state=0).fit(
        X, y
    )
    booster = lgbm("Regressor", learning_rate=0.9).set_params(n_estimators=200)
    booster.fit(X, y, eval_X=fresh[0], eval_y=fresh[1], callbacks=[lightgbm.early_stopping(3, verbose=False)])
    for model in (stopped, histogram, booster):
        n_rounds = readable_trees(model).roots.size
        assert n_rounds < 200
        twin = twin_of(model, X, {0: 1})
        assert readable_trees(twin).roots.size == n_rounds
        assert readable_trees(with_trees(model, twin, weight=1.0)).roots.size == n_rounds


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (RandomForestRegressor(3, random_state=0), "RandomForestRegressor has no twin"),
        (GradientBoostingRegressor(n_estimators=3), "GradientBoostingRegressor has no twin"),
        (xgboost.XGBRFRegressor(n_estimators=3), "XGBRFRegressor has no twin"),
        (xgb("Regressor", booster="dart"), "booster='dart', whose rounds depend"),
        (
            xgb("Regressor", interaction_constraints="[[0, 1], [2, 3]]"),
            "interaction_constraints, which may be told by names",
        ),
        (
            lgbm("Regressor", interaction_constraints=[[0, 1], [2, 3]]),
            "interaction_constraints, which may be told by names",
        ),
        (lgbm("Regressor", boosting_type="dart"), "boosting_type='dart', whose rounds"),
        (lgbm("Regressor", boosting_type="rf", subsample=0.5, subsample_freq=1), "boosting_type='rf'"),
        (xgb("Regressor", monotone_constraints="(1,0,0,0)"), "not one number for each feature"),
    ],
)
def test_models_without_a_twin_are_named(model: Any, reason: str) -> None:
    X, y = rows_and_labels(2)
    refused = constrained_twin(model.fit(X, y), {0: 1})
    assert isinstance(refused, str)
    assert reason in refused


def test_boosters_and_features_that_must_not_matter_at_all_have_no_twin() -> None:
    X, y = rows_and_labels(2)
    model = xgb("Regressor").fit(X, y)
    assert "Booster has no twin" in str(constrained_twin(model.get_booster(), {0: 1}))
    assert "no feature may matter" in str(constrained_twin(model, dict.fromkeys(range(4), 0)))


def test_constraints_that_the_model_has_itself_stay() -> None:
    X, y = rows_and_labels(2)
    for model in (
        xgb("Regressor", monotone_constraints=(0, 0, 1, 0)),
        HistGradientBoostingRegressor(max_iter=3, monotonic_cst=[0, 0, 1, 0]),
        lgbm("Regressor", monotone_constraints=[0, 0, 1, 0]),
    ):
        twin = constrained_twin(model.fit(X, y), {0: -1})
        assert isinstance(twin, ConstrainedTwin)
        parameters = twin.regressor.get_params()
        assert tuple(parameters.get("monotone_constraints") or parameters["monotonic_cst"]) == (-1, 0, 1, 0)


def test_trees_that_cannot_be_joined_are_a_defect() -> None:
    X, y = rows_and_labels(2)
    with pytest.raises(DefectError, match="different libraries"):
        with_other_trees(xgb("Regressor").fit(X, y), lgbm("Regressor").fit(X, y), exact=False)


def test_bins_ask_of_rows_what_they_asked_of_numbers_of_bins() -> None:
    """Predictions at rows equal those at their bins, for values on cuts too; features of few values and missing ones stay."""
    X, y = rows_and_labels(5, missing=True)
    X[:, 1] = np.round(X[:, 1])
    bins = BinnedRows.of(X, 16)
    assert bins.cuts[1] is None
    assert bins.cuts[0] is not None
    codes = bins.binned(X)
    np.testing.assert_array_equal(np.isnan(codes), np.isnan(X))
    assert len(np.unique(codes[~np.isnan(X[:, 0]), 0])) == 16
    model = HistGradientBoostingRegressor(max_iter=20, max_bins=16).fit(codes, y)
    on_cuts = X.copy()
    on_cuts[: bins.cuts[0].size, 0] = bins.cuts[0]
    on_cuts[bins.cuts[0].size : 2 * bins.cuts[0].size, 0] = np.nextafter(bins.cuts[0], np.inf)
    expected = [model.predict(bins.binned(rows)) for rows in (X, on_cuts)]
    unbinned = bins.unbinned(model)
    np.testing.assert_array_equal([unbinned.predict(rows) for rows in (X, on_cuts)], expected)
