"""A model that is another than at calibration is refused by everything that speaks of it; the same model never is."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMRegressor
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    BaggingRegressor,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
    StackingRegressor,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, Ridge, SGDRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeRegressor
from xgboost import DMatrix, XGBRegressor

from alignconf import AlignedClassifier, AlignedRegressor, PredictionError
from alignconf.lines.unchanged import FittedState
from alignconf.properties import Bounded

RANDOM = np.random.default_rng(3)
X = RANDOM.random((500, 3))
Y = 300 + np.sin(7 * X[:, 0]) + 0.5 * X[:, 1]
SHUFFLED = RANDOM.permutation(Y)
TRAIN, CALIBRATE, FRESH = slice(0, 200), slice(200, 350), slice(350, 500)
CHANGED = r"has changed since, for example by another fit\. Calibrate again"


class Line:
    """A model of no library, which stores something whenever it predicts."""

    def __init__(self) -> None:
        self.n_calls, self.is_warned = 0, False

    def fit(self, rows, labels):
        self.slopes = np.linalg.lstsq(np.asarray(rows), labels, rcond=None)[0]
        return self

    def predict(self, rows):
        self.n_calls += 1
        return np.asarray(rows) @ self.slopes


MODELS: dict[str, Any] = {
    "xgboost": XGBRegressor(n_estimators=20, max_depth=3, n_jobs=1),
    "lightgbm": LGBMRegressor(n_estimators=20, verbose=-1, n_jobs=1),
    "histogram": HistGradientBoostingRegressor(max_iter=20, random_state=0),
    "boosting": GradientBoostingRegressor(n_estimators=10, random_state=0),
    "forest": RandomForestRegressor(10, random_state=0),
    "tree": DecisionTreeRegressor(random_state=0),
    "linear": LinearRegression(),
    "pipeline": make_pipeline(StandardScaler(), DecisionTreeRegressor(random_state=0)),
    "search": GridSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, cv=2),
    "target": TransformedTargetRegressor(make_pipeline(StandardScaler(), Ridge())),
    "stack": StackingRegressor([("a", Ridge()), ("b", DecisionTreeRegressor(random_state=0))], cv=2),
    "bag": BaggingRegressor(DecisionTreeRegressor(max_depth=3), 5, random_state=0),
    "own": Line(),
}
every_model = pytest.mark.parametrize("name", MODELS)


def fitted(name: str):
    return copy.deepcopy(MODELS[name]).fit(X[TRAIN], Y[TRAIN])


def calibrated(model, declared=None, **given) -> AlignedRegressor:
    settings = {"random_state": 0, "n_knots": 8, **given}
    aligned = AlignedRegressor(model, {0: 1} if declared is None else declared, **settings)
    return aligned.calibrate(X[CALIBRATE], X_reference=X[TRAIN])


def assert_refused(aligned) -> None:
    for ask in (aligned.predict, aligned.certify, aligned.predict_band, aligned.critical_half_widths):
        with pytest.raises(PredictionError, match=CHANGED):
            ask(X[FRESH])
    with pytest.raises(PredictionError, match=CHANGED):
        aligned.predict(X[350:351])


@every_model
@pytest.mark.parametrize("change", ["labels", "a little"])
def test_another_fit_is_refused(name: str, change: str) -> None:
    model = fitted(name)
    aligned = calibrated(model)
    aligned.predict(X[FRESH])
    model.fit(X[TRAIN], SHUFFLED[TRAIN] if change == "labels" else Y[TRAIN] + 0.001 * X[TRAIN, 1])
    assert_refused(aligned)
    with pytest.raises(PredictionError, match=CHANGED):
        pickle.loads(pickle.dumps(aligned)).predict(X[FRESH])


@every_model
def test_the_same_model_is_never_refused(name: str) -> None:
    """Whatever was asked of it, wherever it is moved, however it works; nor the same fit again."""
    model = fitted(name)
    aligned = calibrated(model)
    before = aligned.predict(X[FRESH])
    stored = io.BytesIO()
    joblib.dump(aligned, stored)
    stored.seek(0)
    copies = [pickle.loads(pickle.dumps(aligned)), copy.deepcopy(aligned), copy.copy(aligned), joblib.load(stored)]
    for other in [*copies, aligned]:
        assert other.predict(X[FRESH]).tobytes() == before.tobytes()
        other.predict(X[350:351])
        other.certify(X[FRESH])
    if hasattr(model, "n_jobs"):
        model.set_params(n_jobs=2)
    model.predict(X[:1])
    aligned.predict(X[350:351])
    model.fit(X[TRAIN], Y[TRAIN])
    # Members of ensembles are added in the order in which threads are done.
    np.testing.assert_allclose(aligned.predict(X[FRESH]), before, rtol=1e-13)


@pytest.mark.parametrize(
    ("declared", "given"),
    [
        ({0: 1, 1: 1}, {"projector": "lines"}),
        ({0: 1, 1: 1}, {}),
        ({0: 1, 1: 1, 2: -1}, {"projector": "distilled"}),
        ({0: 1}, {"projector": HistGradientBoostingRegressor(monotonic_cst=[1, 0, 0])}),
        ({0: 1}, {"alpha": 0}),
        (Bounded(299, 302), {}),
    ],
    ids=["grid", "several", "anchored", "surrogate", "full", "nothing"],
)
@pytest.mark.parametrize("name", ["forest", "linear", "own"])
def test_every_repair_is_of_one_model(name: str, declared, given) -> None:
    model = fitted(name)
    aligned = calibrated(model, declared, **given)
    aligned.certify(X[FRESH])
    model.fit(X[TRAIN], SHUFFLED[TRAIN])
    assert_refused(aligned)


@pytest.mark.parametrize("name", ["forest", "histogram", "xgboost", "lightgbm", "boosting", "bag"])
def test_one_more_tree_or_another_seed_is_refused(name: str) -> None:
    for changed in ({"random_state": 1}, {"n_estimators": 11, "max_iter": 21}):
        model = fitted(name)
        if "random_state" in changed:
            model.set_params(random_state=2)
            if name in ("xgboost", "lightgbm"):
                model.set_params(subsample=0.5, **({"subsample_freq": 1} if name == "lightgbm" else {}))
            model.fit(X[TRAIN], Y[TRAIN])
        aligned = calibrated(model)
        known = model.get_params()
        model.set_params(**{key: value for key, value in changed.items() if key in known}).fit(X[TRAIN], Y[TRAIN])
        if name == "histogram" and "random_state" in changed:
            continue  # draws nothing
        assert_refused(aligned)


def test_learning_on_in_place_is_refused() -> None:
    booster = fitted("xgboost")
    aligned = calibrated(booster)
    booster.get_booster().update(DMatrix(X[TRAIN], Y[TRAIN]), 21)
    assert_refused(aligned)
    native = fitted("xgboost").get_booster()
    aligned = calibrated(native)
    native.update(DMatrix(X[TRAIN], Y[TRAIN]), 21)
    assert_refused(aligned)
    warm = RandomForestRegressor(5, warm_start=True, random_state=0).fit(X[TRAIN], Y[TRAIN])
    aligned = calibrated(warm)
    warm.set_params(n_estimators=6).fit(X[TRAIN], Y[TRAIN])
    assert_refused(aligned)
    for online in (SGDRegressor(random_state=0), MLPRegressor(hidden_layer_sizes=(5,), max_iter=5, random_state=0)):
        online.partial_fit(X[TRAIN], Y[TRAIN] - 300)
        aligned = calibrated(online)
        online.partial_fit(X[TRAIN], Y[TRAIN] - 300)
        assert_refused(aligned)


def test_weights_changed_by_hand_are_refused() -> None:
    model = fitted("linear")
    aligned = calibrated(model)
    model.coef_ *= 1.001
    assert_refused(aligned)


@pytest.mark.parametrize("name", ["histogram", "linear", "own"])
def test_what_is_calibrated_is_the_predict_that_users_call(name: str) -> None:
    model = fitted(name)
    aligned, predict = calibrated(model), model.predict
    model.predict = lambda rows: predict(rows) + 1.0
    assert_refused(aligned)
    again = calibrated(model)
    assert "knots" in again.calibration_.repair
    np.testing.assert_allclose(again.predict(X[FRESH]), predict(X[FRESH]) + 1.0, atol=again.lambda_ + 1e-9)


def test_classifiers_and_frames_and_frozen_models_too() -> None:
    rows = pd.DataFrame(X, columns=["a", "b", "c"])
    model = HistGradientBoostingClassifier(max_iter=20).fit(rows[TRAIN], Y[TRAIN] > 300.5)
    for estimator in (model, FrozenEstimator(model), make_pipeline(FrozenEstimator(model))):
        state = pickle.dumps(model)
        aligned = AlignedClassifier(estimator, {"a": 1}, random_state=0, n_knots=8).calibrate(rows[CALIBRATE])
        aligned.predict_proba(rows[350:351])
        model.fit(rows[TRAIN], SHUFFLED[TRAIN] > 300.5)
        for ask in (aligned.predict, aligned.predict_proba, aligned.certify, aligned.predict_band):
            with pytest.raises(PredictionError, match=CHANGED):
                ask(rows[FRESH])
        model.__dict__.update(pickle.loads(state).__dict__)


def test_a_model_that_stores_what_it_saw_is_the_same_model() -> None:
    model = fitted("own")
    aligned = calibrated(model)
    for i in range(5):
        aligned.predict(X[350 + i : 351 + i])
    model.is_warned = True
    aligned.predict(X[350:351])
    assert not FittedState(model).is_telling
    assert FittedState(clone(MODELS["linear"])).is_telling


def test_a_refused_call_leaves_everything_as_it_was() -> None:
    model = fitted("tree")
    aligned = calibrated(model)
    before = {name: id(value) for name, value in vars(aligned).items()}
    kept = model.tree_
    model.fit(X[TRAIN], SHUFFLED[TRAIN])
    assert_refused(aligned)
    assert {name: id(value) for name, value in vars(aligned).items()} == before
    model.tree_ = kept
    aligned.predict(X[FRESH])


def test_types_and_functions_of_numpy_among_parameters_tell_a_function() -> None:
    """Steps of a Pipeline have them; a function of the user's may change without a trace."""
    steps = [OneHotEncoder(dtype=np.float32), FunctionTransformer(np.log1p), StandardScaler()]
    assert all(FittedState(make_pipeline(step, LinearRegression())).is_telling for step in steps)
    assert not FittedState(make_pipeline(FunctionTransformer(lambda rows: rows), LinearRegression())).is_telling
