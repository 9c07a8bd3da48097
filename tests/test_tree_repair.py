"""Tree ensembles repaired on their own pieces: exact, the same as knots at all thresholds, and visible in the calibration."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMRegressor
from scipy.optimize import isotonic_regression
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVR
from sklearn.tree import DecisionTreeRegressor
from xgboost import XGBRegressor

from alignconf import AlignedClassifier, AlignedRegressor, PredictionError, check
from alignconf.lines.trees import read_ensemble
from alignconf.projectors.tree import MAX_PIECES
from alignconf.properties import (
    AllOf,
    Bounded,
    Concave,
    Decreasing,
    DiminishingReturns,
    Dominates,
    Increasing,
    Invariant,
    Unimodal,
)
from tests.chance import check_rate

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(1600, 4)).round(2)
Y = X[:, 0] + np.sin(3 * X[:, 1]) + 0.5 * RANDOM.normal(size=1600)
TRAIN, CALIBRATE, FRESH = X[:600], X[600:1000], X[1000:]


def more_rows(n_samples: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n_samples, 4))


MODELS = {
    "histogram": HistGradientBoostingRegressor(max_iter=40, random_state=0),
    "boosting": GradientBoostingRegressor(n_estimators=40, random_state=0),
    "forest": RandomForestRegressor(20, min_samples_leaf=5, random_state=0),
    "extra": ExtraTreesRegressor(10, min_samples_leaf=20, random_state=0),
    "tree": DecisionTreeRegressor(random_state=0),
    "xgboost": XGBRegressor(n_estimators=40, random_state=0, n_jobs=1),
    "lightgbm": LGBMRegressor(n_estimators=40, verbose=-1, n_jobs=1),
}
every_model = pytest.mark.parametrize("name", MODELS)


def fitted(name: str):
    return clone(MODELS[name]).fit(TRAIN, Y[:600])


class Hidden:
    """A model whose trees cannot be seen."""

    def __init__(self, model) -> None:
        self.model = model

    def predict(self, rows):
        return self.model.predict(rows)


def lines(model, rows: np.ndarray, feature: int, places: np.ndarray) -> np.ndarray:
    """Predictions with a feature set to each place, (n_rows, n_places)."""
    moved = np.repeat(rows, places.size, axis=0)
    moved[:, feature] = np.tile(places, len(rows))
    return np.asarray(model.predict(moved), dtype=float).reshape(len(rows), -1)


@every_model
@pytest.mark.parametrize("norm", ["l2", "sup"])
def test_full_strength_is_the_projection_on_all_pieces(name: str, norm: str) -> None:
    """Against the model asked at every value that occurs, and scipy's isotonic regression weighted by reference mass."""
    model = fitted(name)
    full = AlignedRegressor(model, {1: +1}, alpha=0, projection=norm).calibrate(TRAIN)
    assert "pieces of the model's own trees" in full.calibration_.repair
    steps = full.alignment_.chain.stages[0].steps.laws[0]
    asked = lines(model, FRESH[:20], 1, steps.knots)
    delivered = lines(full, FRESH[:20], 1, steps.knots)
    for before, after in zip(asked, delivered, strict=True):
        if norm == "l2":
            expected = isotonic_regression(before, weights=steps.weights).x
        else:
            expected = (np.maximum.accumulate(before) + np.minimum.accumulate(before[::-1])[::-1]) / 2
        np.testing.assert_allclose(after, expected, atol=2e-6 if name == "xgboost" else 1e-10)


@every_model
def test_by_construction_no_query_fails(name: str) -> None:
    full = AlignedRegressor(fitted(name), {1: +1}, alpha=0, random_state=0).calibrate(TRAIN)
    certificate = full.certify(FRESH)
    assert certificate.by_construction
    assert certificate.full_strength.n_rejected == 0
    assert certificate.before.n_rejected > 0
    assert "By construction no query fails" in certificate.sentence
    assert check(full, FRESH, {1: +1}, X_reference=TRAIN, random_state=1).violations.n_rejected == 0
    dense = lines(full, FRESH[:20], 1, np.linspace(-4, 4, 4001))
    assert np.diff(dense, axis=1).min() >= -(1e-6 if name == "xgboost" else 1e-12)


@every_model
def test_half_strength_is_within_the_band_and_keeps_its_promise(name: str) -> None:
    model = fitted(name)
    aligned = AlignedRegressor(model, {1: +1}, alpha=0.1, confidence=None, n_queries=1, random_state=0)
    aligned.calibrate(more_rows(1000, 1), X_reference=TRAIN)
    f, delivered = model.predict(FRESH).astype(float), aligned.predict(FRESH)
    assert (np.abs(delivered - f) <= aligned.lambda_).all()
    assert (delivered == f).any()
    certificate = check_rate(aligned, more_rows(2000, 2), 1000, 0.1)
    assert not certificate.by_construction
    audit = check(aligned, FRESH, {1: +1}, X_reference=TRAIN, random_state=1)
    low, high = audit.violations.interval
    assert low - 0.03 <= certificate.delivered.rate <= high + 0.03


@every_model
def test_it_agrees_with_knots_at_every_threshold(name: str) -> None:
    """The same model with its trees hidden, looked at on one place in each piece."""
    model = fitted(name)
    seen = AlignedRegressor(model, {1: +1}, alpha=0, projection="sup").calibrate(TRAIN)
    knots = seen.alignment_.chain.stages[0].steps.laws[0].knots
    reference = np.column_stack([np.zeros(knots.size), knots, np.zeros((knots.size, 2))])
    hidden = AlignedRegressor(Hidden(model), {1: +1}, alpha=0, projection="sup", n_knots=4000).calibrate(reference)
    assert "knots, because Hidden is no tree ensemble" in hidden.calibration_.repair
    one, other = (lines(it, FRESH[:30], 1, knots) for it in (seen, hidden))
    np.testing.assert_allclose(one, other, atol=2e-6 if name == "xgboost" else 1e-10)


@pytest.mark.parametrize(
    "declared",
    [Decreasing(0), Invariant(0), Unimodal(1), AllOf(Increasing(1), Bounded(-1, 1)), AllOf(Increasing(1), Unimodal(1))],
    ids=str,
)
@pytest.mark.parametrize("loss", ["delivered", "line", "displacement"])
def test_every_property_of_order_goes_through_trees(declared, loss: str) -> None:
    aligned = AlignedRegressor(fitted("histogram"), declared, alpha=0.1, loss=loss, random_state=0, confidence=None)
    aligned.calibrate(CALIBRATE, X_reference=TRAIN)
    assert aligned.calibration_.repair.startswith("exact")
    assert 0 < aligned.lambda_ < np.inf
    full = aligned.set_params(alpha=0, loss="delivered").calibrate(TRAIN)
    assert full.certify(FRESH).delivered.n_rejected == 0
    # Near zero the sums of trees cancel: rounding is then larger than the values show.
    audit = check(full, FRESH, declared, X_reference=TRAIN, random_state=1)
    assert audit.violations.n_rejected <= 2
    assert not audit.max_excess > 1e-14


@pytest.mark.parametrize(
    ("model", "declared", "reason"),
    [
        (SVR().fit(TRAIN, Y[:600]), {1: +1}, "SVR is no tree ensemble"),
        (fitted("histogram"), {0: +1, 1: +1, 2: -1}, "3 features share a grid"),
        (fitted("histogram"), Dominates(0, 1), "the line is along two features at once"),
        (fitted("histogram"), DiminishingReturns(0, 1), "planes are asked of predict"),
        (
            make_pipeline(PCA(4), MODELS["histogram"]).fit(TRAIN, Y[:600]),
            {1: +1},
            "PCA maps 1",
        ),
        (
            LGBMRegressor(linear_tree=True, verbose=-1, n_jobs=1).fit(TRAIN, Y[:600]),
            {1: +1},
            "linear models in its leaves",
        ),
    ],
    ids=["no trees", "three", "trade", "plane", "pipeline", "linear leaves"],
)
def test_what_falls_back_to_knots_says_so(model, declared, reason: str) -> None:
    settings = {"projector": "lines"} if isinstance(declared, dict) and len(declared) > 1 else {}
    settings |= {"n_knots": 8, "random_state": 0, "confidence": None}
    aligned = AlignedRegressor(model, declared, **settings).calibrate(CALIBRATE)
    assert "knots, because" in aligned.calibration_.repair
    assert reason in aligned.calibration_.repair
    assert reason in str(aligned.calibration_)


def test_many_pieces_are_thinned_to_quantiles_and_what_is_left_is_stated() -> None:
    rows = np.random.default_rng(1).normal(size=(3000, 3))
    y = np.sin(3 * rows[:, 0]) + np.random.default_rng(2).normal(size=3000)
    forest = RandomForestRegressor(20, random_state=0).fit(rows[:2000], y[:2000])
    full = AlignedRegressor(forest, {0: +1}, alpha=0, random_state=0).calibrate(rows[:2000])
    repair = full.alignment_.chain.stages[0]
    n_pieces = read_ensemble(forest).pieces(0).size + 1
    assert n_pieces > MAX_PIECES
    assert "at 256 knots in the model's own trees" in full.calibration_.repair
    assert f"{n_pieces} pieces" in full.calibration_.repair
    assert repair.projector.laws[0] is full.alignment_.tester.laws[0]
    certificate = full.certify(rows[2000:])
    assert not certificate.by_construction
    assert certificate.full_strength.rate < 0.01 < certificate.before.rate
    hidden = AlignedRegressor(Hidden(forest), {0: +1}, alpha=0, n_knots=256, random_state=0).calibrate(rows[:2000])
    np.testing.assert_allclose(full.predict(rows[2000:]), hidden.predict(rows[2000:]), atol=1e-10)


@pytest.mark.parametrize(
    "declared",
    [
        Concave(1),
        Increasing(1, tol=0.1),
        AllOf(Increasing(0), Increasing(1)),
        AllOf(Decreasing(1), Concave(1), Increasing(0)),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["histogram", "forest", "lightgbm", "xgboost"])
def test_other_properties_walk_to_their_knots(declared, name: str) -> None:
    """The same as asking the model at the same knots, of lines and of grids of two features, but for its own rounding."""
    settings = {"n_knots": 16, "n_queries": 3, "random_state": 0}
    seen, hidden = (
        AlignedRegressor(model, declared, alpha=0.2, projector="lines", **{"confidence": None, **settings}).calibrate(
            CALIBRATE, X_reference=TRAIN
        )
        for model in (fitted(name), Hidden(fitted(name)))
    )
    assert "knots in the model's own trees" in seen.calibration_.repair
    # What rounding is not a violation is told by leaves for trees, by answers for other models.
    slack = 100 * read_ensemble(fitted(name)).rounding.absolute if name == "xgboost" else 1e-12
    assert seen.lambda_ == pytest.approx(hidden.lambda_, rel=1e-9, abs=slack)
    np.testing.assert_allclose(seen.predict(FRESH), hidden.predict(FRESH), rtol=1e-9, atol=2 * slack)


def test_trees_that_do_not_add_up_to_the_predictions_are_not_used() -> None:
    class Shifted(HistGradientBoostingRegressor):
        def predict(self, rows):
            return super().predict(rows) + 1

    Shifted.__module__, Shifted.__name__ = HistGradientBoostingRegressor.__module__, "HistGradientBoostingRegressor"
    model = Shifted(max_iter=20, random_state=0).fit(TRAIN, Y[:600])
    aligned = AlignedRegressor(model, {1: +1}, n_knots=8, random_state=0, confidence=None).calibrate(CALIBRATE)
    assert "its trees do not add up to its predictions" in aligned.calibration_.repair


@every_model
def test_a_model_that_changed_since_is_refused(name: str) -> None:
    model = fitted(name)
    aligned = AlignedRegressor(model, {1: +1}, alpha=0.1, random_state=0, confidence=None).calibrate(CALIBRATE)
    before = aligned.predict(FRESH)
    model.fit(TRAIN, Y[:600] ** 2)
    with pytest.raises(PredictionError, match=r"has changed since, for example by another fit\. Calibrate again"):
        aligned.predict(FRESH)
    model.fit(TRAIN, Y[:600])
    np.testing.assert_array_equal(aligned.predict(FRESH), before)


def test_a_forest_that_changed_since_is_refused_too() -> None:
    forest = RandomForestRegressor(5, random_state=0).fit(TRAIN, Y[:600])
    aligned = AlignedRegressor(forest, {0: +1, 1: +1}, alpha=0, projector="lines", n_knots=16).calibrate(TRAIN)
    assert "knots in the model's own trees" in aligned.calibration_.repair
    aligned.predict(FRESH)
    forest.fit(TRAIN, Y[:600] + 1)
    with pytest.raises(PredictionError, match="has changed since"):
        aligned.predict(FRESH)


@every_model
def test_where_nothing_changes_the_prediction_is_the_models_own(name: str) -> None:
    # A step is learned by a single split, where sums of many small ones need not rise.
    target = np.where(TRAIN[:, 0] > 0, 1.0, 0.0) if name.startswith("xgboost") else TRAIN[:, 0]
    model = clone(MODELS[name]).fit(TRAIN, target)
    full = AlignedRegressor(model, {0: +1}, alpha=0, random_state=0).calibrate(TRAIN)
    own, delivered = model.predict(FRESH).astype(float), full.predict(FRESH)
    kept = lines(model, FRESH, 0, full.alignment_.chain.stages[0].steps.laws[0].knots)
    monotone = (np.diff(kept, axis=1) >= 0).all(axis=1)
    assert monotone.any()
    assert delivered[monotone].tobytes() == own[monotone].tobytes()


@every_model
def test_frames_arrays_threads_and_copies_give_the_same_bits(name: str) -> None:
    columns = list("abcd")
    frame = {
        key: pd.DataFrame(rows, columns=columns) for key, rows in (("cal", CALIBRATE), ("new", FRESH), ("ref", TRAIN))
    }
    on_frame = clone(MODELS[name]).fit(frame["ref"], Y[:600])
    by_name = AlignedRegressor(on_frame, {"b": +1}, random_state=0, confidence=None).calibrate(
        frame["cal"], X_reference=frame["ref"]
    )
    by_position = AlignedRegressor(fitted(name), {1: +1}, random_state=0, confidence=None).calibrate(
        CALIBRATE, X_reference=TRAIN
    )
    assert by_name.lambda_ == by_position.lambda_
    predicted = by_position.predict(FRESH)
    assert by_name.predict(frame["new"]).tobytes() == predicted.tobytes()
    threads = AlignedRegressor(fitted(name), {1: +1}, random_state=0, n_jobs=2, confidence=None).calibrate(
        CALIBRATE, X_reference=TRAIN
    )
    assert threads.predict(FRESH).tobytes() == predicted.tobytes()
    alone = np.concatenate([by_position.predict(FRESH[i : i + 1]) for i in range(20)])
    np.testing.assert_allclose(alone, predicted[:20], rtol=1e-6 if name == "xgboost" else 1e-13)
    assert pickle.loads(pickle.dumps(by_position)).predict(FRESH).tobytes() == predicted.tobytes()


def test_missing_values_elsewhere_follow_the_trees_and_here_leave_the_row() -> None:
    rows = X.copy()
    rows[RANDOM.random(rows.shape) < 0.1] = np.nan
    for name in ("histogram", "xgboost", "lightgbm"):
        model = clone(MODELS[name]).fit(rows[:600], Y[:600])
        full = AlignedRegressor(model, {1: +1}, alpha=0, random_state=0).calibrate(rows[:600])
        assert full.calibration_.repair.startswith("exact")
        fresh, missing = rows[1000:], np.isnan(rows[1000:, 1])
        np.testing.assert_array_equal(full.predict(fresh)[missing], model.predict(fresh)[missing].astype(float))
        certificate = full.certify(fresh)
        assert certificate.n_missing == missing.sum()
        assert certificate.delivered.n_rejected == 0


@pytest.mark.parametrize(
    "model",
    [
        HistGradientBoostingClassifier(max_iter=30, random_state=0),
        GradientBoostingClassifier(n_estimators=30, random_state=0),
        RandomForestClassifier(20, min_samples_leaf=5, random_state=0),
    ],
    ids=["histogram", "boosting", "forest"],
)
@pytest.mark.parametrize("label", [0, 1])
def test_probabilities_go_through_trees(model, label: int) -> None:
    classifier = clone(model).fit(TRAIN, Y[:600] > 0)
    full = AlignedClassifier(classifier, {1: +1}, pos_label=bool(label), alpha=0, random_state=0).calibrate(TRAIN)
    assert "pieces of the model's own trees" in full.calibration_.repair
    assert full.certify(FRESH).delivered.n_rejected == 0
    proba = full.predict_proba(FRESH)
    assert proba.min() >= 0
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    logit = AlignedClassifier(classifier, {1: +1}, scale="logit", alpha=0, n_knots=8).calibrate(TRAIN)
    assert "on the logit scale" in logit.calibration_.repair


def test_wrappers_that_hand_rows_on_unchanged_are_looked_through() -> None:
    frozen = FrozenEstimator(fitted("histogram"))
    search = GridSearchCV(MODELS["tree"], {"max_depth": [3, 4]}, cv=2).fit(TRAIN, Y[:600])
    for model in (frozen, search):
        assert AlignedRegressor(model, {1: +1}, alpha=0).calibrate(TRAIN).calibration_.repair.startswith("exact")


def test_a_feature_that_no_tree_uses_needs_no_repair() -> None:
    model = HistGradientBoostingRegressor(max_iter=5, random_state=0).fit(TRAIN * [1, 1, 0, 1], Y[:600])
    aligned = AlignedRegressor(model, {2: -1}, random_state=0, confidence=None).calibrate(CALIBRATE)
    assert aligned.lambda_ == 0
    np.testing.assert_array_equal(aligned.predict(FRESH), model.predict(FRESH))
