"""The trees of every library, and their lines, against the models' own predictions."""

from __future__ import annotations

import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeRegressor

from alignconf.errors import InputError
from alignconf.kernels.order import isotonic_least_squares, isotonic_midpoint
from alignconf.kernels.tree_walk import N_BLOCK
from alignconf.lines.axis import Axis
from alignconf.lines.ensemble import Ensemble
from alignconf.lines.exact_lines import Move, piece_of
from alignconf.lines.trees import read_ensemble


def thinned_places(values: np.ndarray, n_places: int) -> np.ndarray:
    """Quantiles of the values that are not missing."""
    return np.unique(np.nanquantile(values, np.linspace(0, 1, n_places), method="inverted_cdf"))


#: LightGBM gives names to the columns of arrays and older versions then miss them.
pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")

#: Features: continuous, whole numbers (ties), constant, with missing values, noise that shallow trees never use.
N_FEATURES = 5


def data(seed: int, n_samples: int = 240, *, missing: bool = True) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, N_FEATURES))
    X[:, 1] = rng.integers(-2, 3, n_samples)
    X[:, 2] = 1.5
    y = 2 * np.sin(2 * X[:, 0]) + X[:, 1] + X[:, 0] * X[:, 3] + 0.3 * rng.normal(size=n_samples)
    X[:, 4] *= 1e-3
    if missing:
        X[rng.random(n_samples) < 0.2, 3] = np.nan
        X[rng.random(n_samples) < 0.05, 0] = np.nan
    return X, y


def lgbm(kind: str, **given: Any) -> Any:
    return getattr(lightgbm, f"LGBM{kind}")(n_estimators=12, min_child_samples=5, verbose=-1, n_jobs=1, **given)


def xgb(kind: str, **given: Any) -> Any:
    return getattr(xgboost, f"XGB{kind}")(**{"n_estimators": 12, "n_jobs": 1, **given})


#: From 3.4 on XGBoost drops trees out in its ordinary booster, with their weights in the leaves.
DROPS_OUT = tuple(map(int, xgboost.__version__.split(".")[:2])) >= (3, 4)

MODELS: dict[str, tuple[Any, bool]] = {
    "histogram": (HistGradientBoostingRegressor(max_iter=15, min_samples_leaf=3), True),
    "histogram, one tree": (HistGradientBoostingRegressor(max_iter=1), True),
    "histogram, poisson": (HistGradientBoostingRegressor(max_iter=8, loss="poisson"), True),
    "histogram, gamma": (HistGradientBoostingRegressor(max_iter=8, loss="gamma"), True),
    "histogram, quantile": (HistGradientBoostingRegressor(max_iter=8, loss="quantile", quantile=0.7), True),
    "histogram, classes": (HistGradientBoostingClassifier(max_iter=8, class_weight="balanced"), True),
    "boosting": (GradientBoostingRegressor(n_estimators=15, random_state=0), False),
    "boosting, deep": (GradientBoostingRegressor(n_estimators=3, max_depth=None, random_state=0), False),
    "boosting, huber": (GradientBoostingRegressor(n_estimators=8, loss="huber", subsample=0.7, random_state=0), False),
    "boosting, zero": (GradientBoostingRegressor(n_estimators=8, init="zero", random_state=0), False),
    "boosting, classes": (GradientBoostingClassifier(n_estimators=8, random_state=0), False),
    "boosting, exponential": (GradientBoostingClassifier(n_estimators=8, loss="exponential", random_state=0), False),
    "forest": (RandomForestRegressor(5, random_state=0), True),
    "forest, classes": (RandomForestClassifier(5, class_weight="balanced", random_state=0), True),
    "extra trees": (ExtraTreesRegressor(3, random_state=0), True),
    "extra trees, classes": (ExtraTreesClassifier(3, max_depth=6, random_state=0), True),
    "tree": (DecisionTreeRegressor(random_state=0), True),
    "tree, one leaf": (DecisionTreeRegressor(max_depth=1, min_samples_leaf=200), True),
    "extra tree": (ExtraTreeRegressor(max_depth=8, random_state=0), True),
    "tree, classes": (DecisionTreeClassifier(max_depth=5, class_weight={0: 3, 1: 1}, random_state=0), True),
    "xgboost": (xgb("Regressor"), True),
    "xgboost, not missing": (xgb("Regressor", max_depth=3), False),
    "xgboost, deep": (xgb("Regressor", n_estimators=2, max_depth=15, min_child_weight=0), True),
    "xgboost, poisson": (xgb("Regressor", objective="count:poisson", max_depth=3), True),
    "xgboost, one leaf": (xgb("Regressor", n_estimators=2, gamma=1e9), True),
    "xgboost, classes": (xgb("Classifier", scale_pos_weight=3), True),
    "xgboost, forest": (
        xgb("Regressor", n_estimators=1, num_parallel_tree=5, learning_rate=1.0, subsample=0.8, colsample_bynode=0.8),
        True,
    ),
    **({"xgboost, dropout": (xgb("Regressor", rate_drop=0.3), True)} if DROPS_OUT else {}),
    "lightgbm": (lgbm("Regressor"), True),
    "lightgbm, not missing": (lgbm("Regressor"), False),
    "lightgbm, dart": (lgbm("Regressor", boosting_type="dart"), True),
    "lightgbm, forest": (lgbm("Regressor", boosting_type="rf", subsample=0.5, subsample_freq=1), True),
    "lightgbm, one leaf": (lgbm("Regressor", min_split_gain=1e9), True),
    "lightgbm, poisson": (lgbm("Regressor", objective="poisson"), True),
    "lightgbm, classes": (lgbm("Classifier", sigmoid=1.7, class_weight="balanced"), True),
}
every_model = pytest.mark.parametrize("name", MODELS)
some_models = pytest.mark.parametrize("name", ["histogram", "forest, classes", "xgboost", "lightgbm, classes"])


@dataclass(frozen=True)
class Case:
    model: Any
    X: np.ndarray
    ensemble: Ensemble

    def predict(self, X: np.ndarray) -> np.ndarray:
        if hasattr(self.model, "predict_proba"):
            return np.asarray(self.model.predict_proba(X)[:, 1], dtype=np.float64)
        return np.asarray(self.model.predict(X), dtype=np.float64)

    def assert_close(self, values: np.ndarray, expected: np.ndarray) -> None:
        single = type(self.model).__module__.startswith("xgboost")
        size = np.abs(expected).max()
        np.testing.assert_allclose(values, expected, rtol=0, atol=(3e-6 if single else 1e-12) * size)


@cache
def case(name: str) -> Case:
    model, missing = MODELS[name]
    X, y = data(len(name), missing=missing)
    classes = hasattr(model, "predict_proba")
    model.fit(X, (y > 0.5).astype(int) if classes else np.abs(y) + 0.1)
    ensemble = read_ensemble(model)
    assert isinstance(ensemble, Ensemble), ensemble
    return Case(model, X, ensemble)


def points_around(thresholds: np.ndarray, dtype: Any) -> np.ndarray:
    """On each threshold, one unit in the last place beside it, and inside each piece."""
    t = thresholds.astype(dtype)
    inner = (t[1:] + t[:-1]) / 2
    ends = np.array([-1e6, -1e-35, -1e-36, 0.0, 1e-36, 1e-35, 1e6], dtype)
    beside = [np.nextafter(t, dtype(-np.inf)), np.nextafter(t, dtype(np.inf))]
    return np.concatenate([ends, t, *beside, inner]).astype(np.float64)


def move(feature: int, places: np.ndarray) -> Move:
    return Move.along(Axis(feature, feature, None), places)


@every_model
def test_predictions_are_the_models(name: str) -> None:
    one = case(name)
    fresh, _ = data(99)
    rows = np.vstack([one.X, fresh[:, :]]) if MODELS[name][1] or "xgb" in name or "light" in name else one.X
    one.assert_close(one.ensemble.predict(rows), one.predict(rows))


@every_model
@pytest.mark.parametrize("feature", range(N_FEATURES))
def test_lines_agree_with_predict_in_every_piece_and_at_its_ends(name: str, feature: int) -> None:
    one = case(name)
    lines = one.ensemble.along(feature)
    rows = one.X[:: len(one.X) // 4][:4]
    values = lines.values(rows)
    assert values.shape == (4, one.ensemble.pieces(feature).size + 1)
    thresholds = one.ensemble.pieces(feature)
    x = np.concatenate([points_around(thresholds, dtype) for dtype in (np.float32, np.float64)])
    at = one.ensemble.piece_of(feature, x)
    np.testing.assert_array_equal(at, piece_of(one.ensemble.places(feature), x))
    assert set(range(values.shape[1])) == set(at.tolist())
    asked = np.repeat(rows, x.size, axis=0)
    asked[:, feature] = np.tile(x, 4)
    one.assert_close(values[:, at], one.predict(asked).reshape(4, -1))


@some_models
def test_lines_at_given_places_are_predictions_there(name: str) -> None:
    one = case(name)
    places = thinned_places(one.X[:, 0], 9)
    assert places.size <= 9
    assert places[0] == np.nanmin(one.X[:, 0])
    assert places[-1] == np.nanmax(one.X[:, 0])
    lines = one.ensemble.along(0, places)
    asked = np.repeat(one.X[:20], places.size, axis=0)
    asked[:, 0] = np.tile(places, 20)
    one.assert_close(lines.values(one.X[:20]), one.predict(asked).reshape(20, -1))
    np.testing.assert_array_equal(piece_of(places, places), np.arange(places.size))
    np.testing.assert_array_equal(piece_of(places, [-1e9, 1e9, np.nan]), [0, places.size - 1, -1])


@some_models
@pytest.mark.parametrize("features", [(0, 3), (3, 0), (1, 2)])
def test_grids_agree_with_predict(name: str, features: tuple[int, int]) -> None:
    one = case(name)
    few = thinned_places(one.X[:, features[0]], 7)
    ends = one.ensemble.places(features[1])
    grids = one.ensemble.plane(move(features[0], few), move(features[1], ends))
    ends[-1] = 1e6
    first, second = np.meshgrid(few, ends, indexing="ij")
    rows = one.X[:5]
    asked = np.repeat(rows, first.size, axis=0)
    asked[:, features[0]] = np.tile(first.ravel(), 5)
    asked[:, features[1]] = np.tile(second.ravel(), 5)
    one.assert_close(grids.values(rows), one.predict(asked).reshape(5, *first.shape))


@some_models
@pytest.mark.parametrize("increasing", [True, False])
@pytest.mark.parametrize("least_squares", [True, False])
def test_fused_projection_is_the_projection_of_the_lines(name: str, increasing: bool, least_squares: bool) -> None:
    one = case(name)
    lines = one.ensemble.along(0)
    values = lines.values(one.X)
    sign = 1.0 if increasing else -1.0
    weights = np.random.default_rng(0).dirichlet(np.full(values.shape[1], 3.0)) if least_squares else None
    plain = isotonic_midpoint(sign * values) if weights is None else isotonic_least_squares(sign * values, weights)
    fitted = sign * plain
    pieces = np.column_stack([piece_of(one.ensemble.places(0), one.X[:, 0]), np.arange(len(one.X)) % values.shape[1]])
    found = lines.project(one.X, pieces, weights, increasing=increasing)
    there = pieces >= 0
    np.testing.assert_array_equal(found.values[there], np.take_along_axis(values, pieces, axis=1)[there])
    plain_there = np.take_along_axis(fitted, pieces, axis=1)[there]
    np.testing.assert_allclose(found.fitted[there], plain_there, rtol=0, atol=1e-13 * np.abs(values).max())
    np.testing.assert_array_equal((found.fitted == found.values)[there], plain_there == found.values[there])
    assert (~there).any()
    assert np.isnan(found.values[~there]).all()
    assert np.isnan(found.fitted[~there]).all()


@some_models
@pytest.mark.parametrize("increasing", [True, False])
def test_what_is_kept_lies_between_what_is_moved(name: str, increasing: bool) -> None:
    """The nearest moved places on either side, found one by one; limits that are farther than rounding may be left out."""
    one = case(name)
    lines = one.ensemble.along(0)
    values = lines.values(one.X[:10])
    rounding = one.ensemble.rounding.of(values)
    pieces = np.broadcast_to(np.arange(values.shape[1]), values.shape)
    found = lines.project(one.X[:10], pieces, np.ones(values.shape[1]), increasing=increasing)
    for i, k in np.ndindex(values.shape):
        moved = np.flatnonzero(found.fitted[i] != values[i])
        if k in moved:
            continue
        ends = [found.fitted[i, side[at]] for side, at in ((moved[moved < k], -1), (moved[moved > k], 0)) if side.size]
        lowest, highest = (ends[0] if (moved < k).any() else None), (ends[-1] if (moved > k).any() else None)
        below, above = (lowest, highest) if increasing else (highest, lowest)
        for limit, end, sign in ((found.below[i, k], below, -1.0), (found.above[i, k], above, 1.0)):
            if np.isfinite(limit):
                assert limit == end
            else:
                assert limit == sign * np.inf
                assert end is None or sign * (end - values[i, k]) > 4 * rounding[i]


@some_models
@pytest.mark.parametrize("increasing", [True, False])
def test_rows_with_weights_of_their_own_against_predictions_around_every_threshold(name: str, increasing: bool) -> None:
    """The model says each piece's value at its end, one unit beside the ends and inside; the projection is of these values."""
    one = case(name)
    rows, lines, sign = one.X[:12], one.ensemble.along(0), 1.0 if increasing else -1.0
    x = np.concatenate([points_around(one.ensemble.pieces(0), dtype) for dtype in (np.float32, np.float64)])
    piece = one.ensemble.piece_of(0, x)
    asked = np.repeat(rows, x.size, axis=0)
    asked[:, 0] = np.tile(x, len(rows))
    said = one.predict(asked).reshape(len(rows), -1)
    values = np.column_stack([said[:, piece == k][:, 0] for k in range(lines.n_places)])
    np.testing.assert_array_equal(values[:, piece], said)
    weights = np.random.default_rng(1).dirichlet(np.full(lines.n_places, 0.2), size=len(rows)) + 1e-9
    expected = sign * isotonic_least_squares(sign * values, weights)
    pieces = np.broadcast_to(np.arange(lines.n_places), values.shape)
    for predicted in (None, values):
        found = lines.project(rows, pieces, weights, increasing=increasing, predicted=predicted)
        one.assert_close(found.fitted, expected)
        assert (sign * np.diff(found.fitted) >= 0).all()
    alone = [lines.project(rows[i : i + 1], pieces[i : i + 1], weights[i]).fitted for i in range(len(rows))]
    together = lines.project(rows, pieces, weights).fitted
    assert np.vstack(alone).tobytes() == together.tobytes()


def test_planes_of_single_precision_models_are_walked_within_their_rounding() -> None:
    """Against predictions at all knots of two features; the account of rounding holds the difference."""
    one = case("xgboost")
    few = thinned_places(one.X[:, 0], 7), thinned_places(one.X[:, 3], 5)
    grids = one.ensemble.plane(move(0, few[0]), move(3, few[1])).values(one.X[:40])
    first, second = np.meshgrid(*few, indexing="ij")
    asked = np.repeat(one.X[:40], first.size, axis=0)
    asked[:, 0], asked[:, 3] = np.tile(first.ravel(), 40), np.tile(second.ravel(), 40)
    said = one.predict(asked).reshape(grids.shape)
    assert (np.abs(grids - said) <= one.ensemble.rounding.of(said)[:, None, None]).all()
    assert np.abs(grids - said).max() > 0


@some_models
def test_neither_threads_nor_neighbours_change_a_bit(name: str) -> None:
    one = case(name)
    lines = one.ensemble.along(0)
    # More rows than walk a tree together.
    rows = np.vstack([one.X + shift for shift in np.linspace(-0.3, 0.3, 5)])
    assert len(rows) > N_BLOCK
    pieces = piece_of(one.ensemble.places(0), rows[:, :1])
    weights = np.ones(lines.n_places)
    whole, projected = lines.values(rows), lines.project(rows, pieces, weights)
    cuts = [slice(start, start + 101) for start in range(0, len(rows), 101)]
    with ThreadPoolExecutor(2) as pool:
        parts = list(pool.map(lambda cut: lines.values(rows[cut]), cuts))
        moves = list(pool.map(lambda cut: lines.project(rows[cut], pieces[cut], weights).fitted, cuts))
    np.testing.assert_array_equal(np.vstack(parts), whole)
    np.testing.assert_array_equal(np.vstack(moves), projected.fitted)


def test_nothing_is_written_to_what_is_passed() -> None:
    one = case("xgboost")
    rows, nodes, roots = one.X.copy(), one.ensemble.nodes.copy(), one.ensemble.roots.copy()
    one.ensemble.along(0).values(rows)
    one.ensemble.plane(move(0, one.ensemble.places(0)), move(1, one.ensemble.places(1))).values(rows[:3])
    np.testing.assert_array_equal(rows, one.X)
    np.testing.assert_array_equal(one.ensemble.nodes, nodes)
    np.testing.assert_array_equal(one.ensemble.roots, roots)


@pytest.mark.parametrize(
    "name", ["histogram, classes", "boosting, exponential", "xgboost, classes", "lightgbm, classes"]
)
def test_the_first_class(name: str) -> None:
    one = case(name)
    first = read_ensemble(one.model, column=0)
    assert isinstance(first, Ensemble)
    one.assert_close(first.predict(one.X), one.model.predict_proba(one.X)[:, 0])


def test_a_forest_tells_each_of_many_classes() -> None:
    X, y = data(3)
    model = RandomForestClassifier(5, random_state=0).fit(X, np.digitize(y, [-1, 1]))
    for column in range(3):
        ensemble = read_ensemble(model, column=column)
        assert isinstance(ensemble, Ensemble)
        np.testing.assert_allclose(ensemble.predict(X), model.predict_proba(X)[:, column], rtol=0, atol=1e-14)


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_early_stopping_leaves_the_best_round(library: str) -> None:
    X, y = data(4)
    X_fresh, y_fresh = data(5)
    if library == "xgboost":
        model = xgb("Regressor", n_estimators=200, early_stopping_rounds=3, learning_rate=0.9)
        model.fit(X, y, eval_set=[(X_fresh, y_fresh)], verbose=False)
        n_best = model.best_iteration + 1
    else:
        model = lightgbm.LGBMRegressor(n_estimators=200, learning_rate=0.9, verbose=-1, n_jobs=1)
        with warnings.catch_warnings():
            # Newer versions have another name for it.
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", FutureWarning)
            model.fit(X, y, eval_set=[(X_fresh, y_fresh)], callbacks=[lightgbm.early_stopping(3, verbose=False)])
        n_best = model.best_iteration_
    ensemble = read_ensemble(model)
    assert isinstance(ensemble, Ensemble)
    assert ensemble.roots.size == n_best < 200
    np.testing.assert_allclose(ensemble.predict(X_fresh), model.predict(X_fresh), rtol=0, atol=1e-5)


def test_features_that_are_never_used() -> None:
    one = case("tree, one leaf")
    assert one.ensemble.pieces(0).size == 0
    assert case("forest").ensemble.pieces(2).size == 0
    assert case("forest").ensemble.along(2).values(one.X).shape == (len(one.X), 1)


def test_splits_that_only_part_what_is_missing() -> None:
    X, _ = data(8)
    X[::3, 2] = np.nan
    y = np.isnan(X[:, 2]) + 0.1 * X[:, 4]
    model = HistGradientBoostingRegressor(max_iter=5).fit(X, y)
    ensemble = read_ensemble(model)
    assert isinstance(ensemble, Ensemble)
    assert np.isinf(ensemble.nodes["number"]).any()
    assert ensemble.pieces(2).size == 0
    rows = np.vstack([X, np.where(np.isnan(X), np.inf, X), np.where(np.isnan(X), -np.inf, X)])
    np.testing.assert_allclose(ensemble.predict(rows), model.predict(rows), rtol=0, atol=1e-12)
    for feature in (2, 4):
        lines = ensemble.along(feature)
        own = piece_of(ensemble.places(feature), rows[:, feature])
        there = own >= 0
        values = lines.values(rows)[there, own[there]]
        np.testing.assert_allclose(values, model.predict(rows)[there], rtol=0, atol=1e-12)


def test_nodes_that_were_pruned_are_left_out() -> None:
    X, y = data(11)
    ensemble = read_ensemble(xgb("Regressor", tree_method="exact", gamma=3.0, max_depth=6).fit(X, y))
    assert isinstance(ensemble, Ensemble)
    is_leaf = ensemble.nodes["split"] == -1
    # Of a binary tree, leaves are more than splits by one.
    assert is_leaf.sum() == (~is_leaf).sum() + ensemble.roots.size
    assert np.isfinite(ensemble.nodes["number"]).all()


def test_no_rows_have_no_lines() -> None:
    lines = case("xgboost").ensemble.along(0)
    none = np.empty((0, N_FEATURES))
    assert lines.values(none).shape == (0, lines.n_places)
    assert lines.project(none, np.empty((0, 2), int), None).fitted.shape == (0, 2)


def test_rows_of_another_width_are_refused() -> None:
    with pytest.raises(InputError, match=r"X has shape \(3, 4\); expected rows of 5 features"):
        case("forest").ensemble.predict(np.zeros((3, 4)))


# Models that cannot be read ------------------------------------------------------------------------------------------


class OwnForest(RandomForestRegressor):
    """A subclass, whose predict may be anything."""


def categories(kind: str) -> Any:
    X, y = data(6, missing=False)
    X[:, 1] += 2
    if kind == "sklearn":
        return HistGradientBoostingRegressor(max_iter=3, categorical_features=[1]).fit(X, y)
    if kind == "lightgbm":
        return lgbm("Regressor", min_data_per_group=1, cat_smooth=0).fit(X[:, [1, 2]], y, categorical_feature=[0])
    model = xgb("Regressor", enable_categorical=True, feature_types=["q", "c", "q", "q", "q"], tree_method="hist")
    return model.fit(X, y)


def fitted(model: Any, **given: Any) -> Any:
    X, y = data(7, missing=given.pop("missing", True))
    return model.fit(X, given.pop("y", y), **given)


def classes(n_classes: int) -> np.ndarray:
    return np.arange(240) % n_classes


REFUSED = {
    "LinearRegression is no tree ensemble that can be read; those of": lambda: fitted(
        LinearRegression(), missing=False
    ),
    "Pipeline is no tree ensemble that can be read": lambda: fitted(make_pipeline(DecisionTreeRegressor())),
    "OwnForest is no tree ensemble that can be read": lambda: fitted(OwnForest(2)),
    "RandomForestRegressor is not fitted.": RandomForestRegressor,
    "DecisionTreeRegressor is not fitted.": DecisionTreeRegressor,
    "GradientBoostingRegressor is not fitted.": GradientBoostingRegressor,
    "HistGradientBoostingRegressor is not fitted.": HistGradientBoostingRegressor,
    "XGBRegressor is not fitted.": xgboost.XGBRegressor,
    "LGBMRegressor is not fitted.": lightgbm.LGBMRegressor,
    "RandomForestRegressor predicts 2 outputs; one can be read.": lambda: fitted(
        RandomForestRegressor(2), y=np.ones((240, 2))
    ),
    "XGBRegressor predicts 2 outputs; one can be read.": lambda: fitted(xgb("Regressor"), y=np.ones((240, 2))),
    "GradientBoostingClassifier has more than two classes, each with trees of its own": lambda: fitted(
        GradientBoostingClassifier(n_estimators=2), y=classes(3), missing=False
    ),
    "HistGradientBoostingClassifier has more than two classes": lambda: fitted(
        HistGradientBoostingClassifier(max_iter=2), y=classes(3)
    ),
    "XGBClassifier has more than two classes": lambda: fitted(xgb("Classifier"), y=classes(3)),
    "LGBMClassifier has more than two classes": lambda: fitted(lgbm("Classifier"), y=classes(3)),
    "RandomForestClassifier has 1 class(es), so none in column 1.": lambda: fitted(
        RandomForestClassifier(2), y=classes(1)
    ),
    "GradientBoostingRegressor starts from a model of its own, LinearRegression()": lambda: fitted(
        GradientBoostingRegressor(n_estimators=2, init=LinearRegression()), missing=False
    ),
    "HistGradientBoostingRegressor splits on categories": lambda: categories("sklearn"),
    "LGBMRegressor splits on categories": lambda: categories("lightgbm"),
    "XGBRegressor splits on categories; only splits on numbers can be read: "
    "encode categories in a Pipeline in front of it.": lambda: categories("xgboost"),
    "XGBClassifier turns sums of leaves into predictions by 'hinge'": lambda: fitted(
        xgb("Classifier", objective="binary:hinge"), y=classes(2)
    ),
    "LGBMRegressor has linear models in its leaves": lambda: fitted(lgbm("Regressor", linear_tree=True)),
    "LGBMRegressor turns sums of leaves into predictions by 'signed_square'": lambda: fitted(
        lgbm("Regressor", reg_sqrt=True)
    ),
}
if not DROPS_OUT:  # afterwards both warn that they will be gone
    REFUSED["XGBRegressor has booster='dart'; trees of 'gbtree' can be read."] = lambda: fitted(
        xgb("Regressor", booster="dart")
    )
    REFUSED["XGBRegressor has booster='gblinear'"] = lambda: fitted(xgb("Regressor", booster="gblinear"), missing=False)


@pytest.mark.parametrize("sentence", REFUSED)
def test_models_that_cannot_be_read_say_why(sentence: str) -> None:
    found = read_ensemble(REFUSED[sentence]())
    assert isinstance(found, str)
    assert found.startswith(sentence)
    assert found.endswith(".")


def test_without_treelite_the_boosters_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    model = case("lightgbm").model
    monkeypatch.setitem(sys.modules, "treelite", None)
    assert read_ensemble(model) == "treelite is not installed; LGBMRegressor is read with it."


def test_what_treelite_cannot_read_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    import treelite

    def refuse(_: Any) -> None:
        raise treelite.TreeliteError("unknown field")

    monkeypatch.setattr(treelite.frontend, "from_lightgbm", refuse)
    assert read_ensemble(case("lightgbm").model) == "LGBMRegressor cannot be read by treelite: unknown field."


def test_no_library_is_imported_that_the_model_is_not_from() -> None:
    program = (
        "import sys, numpy as np\n"
        "from sklearn.ensemble import HistGradientBoostingRegressor\n"
        "from alignconf.lines.trees import read_ensemble\n"
        "X = np.random.default_rng(0).normal(size=(100, 2))\n"
        "print(read_ensemble(HistGradientBoostingRegressor(max_iter=2).fit(X, X[:, 0])).roots.size)\n"
        "assert not {'xgboost', 'lightgbm', 'treelite'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "2\n"), done.stderr
