"""Rounding is told by the sizes of base and leaves, in the model's own precision; order is delivered to the last bit."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from lightgbm import LGBMRegressor
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from xgboost import XGBRegressor

from alignconf import AlignedClassifier, AlignedRegressor
from alignconf.lines.ensemble import Ensemble
from alignconf.lines.stored_trees import Tree
from alignconf.lines.trees import read_ensemble
from alignconf.tables.predictions import Rounding

RANDOM = np.random.default_rng(3)
X = RANDOM.random((900, 3))
NOISE = RANDOM.normal(size=900)
Y = np.sin(7 * X[:, 0]) + 0.5 * X[:, 1] + 0.1 * NOISE


def xgb(**given) -> XGBRegressor:
    return XGBRegressor(n_estimators=50, max_depth=3, n_jobs=1, **given)


MODELS = {
    "xgboost": (xgb(), Y),
    "xgboost, base 300": (xgb(base_score=300.0), 300 + Y),
    "xgboost, base far off": (xgb(base_score=1e5), Y),
    "xgboost, counts": (xgb(objective="count:poisson"), np.round(3 * np.abs(Y))),
    "lightgbm": (LGBMRegressor(n_estimators=50, verbose=-1, n_jobs=1), Y),
    "histogram": (HistGradientBoostingRegressor(max_iter=50), 1e6 + Y),
    "boosting": (GradientBoostingRegressor(n_estimators=50, random_state=0), Y),
    "forest": (RandomForestRegressor(20, min_samples_leaf=10, random_state=0), np.round(Y)),
}
every_model = pytest.mark.parametrize("name", MODELS)


def moved(rows: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Each row with the first feature set to each place."""
    copies = np.repeat(rows, places.size, axis=0)
    copies[:, 0] = np.tile(places, len(rows))
    return copies


@every_model
@pytest.mark.parametrize("sign", [1, -1])
def test_full_strength_is_in_order_to_the_last_bit(name: str, sign: int) -> None:
    model, y = MODELS[name]
    full = AlignedRegressor(model.fit(X[:500], y[:500]), {0: sign}, alpha=0).calibrate(X[:500])
    assert "exact" in full.calibration_.repair
    sites = moved(X[500:540], np.linspace(-0.1, 1.1, 500))
    before, after = (np.asarray(it.predict(sites), dtype=float).reshape(40, -1) for it in (model, full))
    assert (sign * np.diff(before)).min() < 0
    assert (sign * np.diff(after)).min() >= 0
    rounding = full.alignment_.chain.stages[0].rounding
    kept = np.abs(after - before) <= rounding.of(before)[:, None]
    assert kept.any()
    assert (~kept).any()


@every_model
def test_walks_add_as_the_model_does(name: str) -> None:
    """At the rows themselves to the last bit, but for the link; at other places within the account of both, and in its order."""
    model, y = MODELS[name]
    ensemble = read_ensemble(model.fit(X[:500], y[:500]))
    own = np.asarray(model.predict(X[500:]), dtype=float)
    if ensemble.link == "identity":
        assert ensemble.predict(X[500:]).tobytes() == own.tobytes()
    places = np.linspace(0, 1, 30)
    lines = ensemble.along(0, places).values(X[500:600])
    asked = np.asarray(model.predict(moved(X[500:600], places)), dtype=float).reshape(100, -1)
    assert (np.abs(lines - asked) <= 2 * ensemble.rounding.of(asked)[:, None]).all()
    if ensemble.link == "identity":
        assert lines[:, 0].tobytes() == asked[:, 0].tobytes()
    assert (np.diff(lines) * np.diff(asked) >= 0).all()
    assert ((np.diff(lines) == 0) <= (np.diff(asked) == 0)).all()


@pytest.mark.parametrize("base", [0.0, 1e5])
@pytest.mark.parametrize("is_single", [False, True])
def test_lines_with_steps_of_the_size_of_rounding_are_summed_as_the_model_sums(base: float, is_single: bool) -> None:
    """Against sums one by one. Stumps that go up are followed by stumps that go down as much, or a little less."""
    rng = np.random.default_rng(1)
    dtype = np.float32 if is_single else np.float64
    heights = rng.normal(size=40).astype(dtype)
    heights = np.concatenate([heights, np.nextafter(-heights, dtype(0), dtype=dtype)])
    cuts = np.tile(rng.permutation(40) / 40.0, 2)
    trees = [
        Tree(*(np.array(it) for it in ([0, -1, -1], [cut, 0, 0], [1, 0, 0], [2, 0, 0], [0, 0, 0], [0.0, 0.0, height])))
        for cut, height in zip(cuts.tolist(), heights.tolist(), strict=True)
    ]
    ensemble = Ensemble.of_trees(trees, 1, base=base, is_single=is_single)
    places = np.append(np.arange(40) / 40.0, 1.0)
    expected = np.full(41, base, dtype)
    for cut, height in zip(cuts, heights, strict=True):
        expected += np.where(places > cut, height, dtype(0))
    line = ensemble.along(0, places).values(np.zeros((1, 1)))[0]
    assert line.tobytes() == expected.astype(np.float64).tobytes()


@pytest.mark.parametrize("is_single", [False, True])
@pytest.mark.parametrize("base", [0.0, 1e5, -3000.0])
def test_the_account_holds_sums_and_is_not_much_wider(base: float, is_single: bool) -> None:
    """Against exact sums of 500 stumps; the bound of the worst case is within a factor of the largest error seen."""
    rng = np.random.default_rng(0)
    leaves = rng.normal(size=(500, 2)).astype(np.float32 if is_single else np.float64)
    trees = [
        Tree(*(np.array(it) for it in ([0, -1, -1], [0.5, 0, 0], [1, 0, 0], [2, 0, 0], [0, 0, 0], [0.0, *pair])))
        for pair in leaves.tolist()
    ]
    ensemble = Ensemble.of_trees(trees, 1, base=base, is_single=is_single)
    exact = [float(sum((Fraction(v) for v in leaves[:, k].tolist()), Fraction(base))) for k in (0, 1)]
    error = np.abs(ensemble.predict(np.array([[0.0], [1.0]])) - exact).max()
    unit = 2.0**-24 if is_single else 2.0**-53
    bound = ensemble.rounding.absolute
    assert 0 < error <= bound
    sizes = abs(base) + np.abs(leaves).max(axis=1).cumsum()
    assert bound <= unit * (abs(base) + sizes.sum() + sizes[-1]) + 2.0**-53 * 4 * 1000 * sizes[-1]


def test_rounding_of_rows_is_the_same_alone_and_together() -> None:
    values = np.array([[0.0, 1e-17], [5.0, -7.0]])
    rounding = Rounding(1e-3, 1e-2)
    np.testing.assert_allclose(rounding.of(values), [0.01, 0.01])
    assert Rounding(1e-3, 1e-3).of(values)[1] == 0.007
    for i in (0, 1):
        assert rounding.of(values[i : i + 1])[0] == rounding.of(values)[i]
    assert Rounding(0.5).at_level(np.array([-4.0, 1.0])) == Rounding(0.5, 2.0)
    assert Rounding(0.5).at_level(np.array([])) == Rounding(0.5, 0.0)


def test_a_forest_that_says_exactly_zero_is_not_refused_alone() -> None:
    rows, labels = load_breast_cancer(return_X_y=True, as_frame=True)
    forest = RandomForestClassifier(100, min_samples_leaf=3, random_state=0).fit(rows[:300], labels[:300])
    aligned = AlignedClassifier(forest, {"worst area": "decreasing"}, random_state=0).calibrate(rows[300:450])
    assert forest.predict_proba(rows[487:488]).min() == 0
    alone = np.vstack([aligned.predict_proba(rows[i : i + 1]) for i in range(450, 500)])
    assert alone.tobytes() == aligned.predict_proba(rows[450:500]).tobytes()


@pytest.mark.parametrize("base", [3000.0, 1e5])
def test_a_base_that_is_far_off_is_not_refused_alone(base: float) -> None:
    model = xgb(base_score=base).fit(X[:500], NOISE[:500])
    aligned = AlignedRegressor(model, {0: 1}, random_state=0).calibrate(X[500:800], X_reference=X[:500])
    alone = np.concatenate([aligned.predict(X[i : i + 1]) for i in range(800, 900)])
    assert alone.tobytes() == aligned.predict(X[800:]).tobytes()


def test_answers_near_zero_of_a_black_box_are_rounded_as_large_ones_are() -> None:
    """Of a sum of large terms that cancel, the rounding is that of the terms."""

    class Cancels:
        def predict(self, rows):
            return 1e6 * rows[:, 0] * np.where(rows[:, 0] > 0.5, 1.0, 0.0) + 1e-11 * np.sin(50 * rows[:, 0])

    aligned = AlignedRegressor(Cancels(), {0: 1}, random_state=0).calibrate(X[500:], X_reference=X[:500])
    assert aligned.lambda_ == 0
    assert aligned.certify(RANDOM.random((200, 3))).before.n_rejected == 0
