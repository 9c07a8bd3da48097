"""Lines of linear models in closed form, against their own predictions."""

from __future__ import annotations

import warnings
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMRegressor
from sklearn.compose import make_column_transformer
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import StackingRegressor, VotingRegressor
from sklearn.linear_model import (
    ElasticNet,
    GammaRegressor,
    HuberRegressor,
    Lasso,
    LinearRegression,
    LogisticRegression,
    LogisticRegressionCV,
    PoissonRegressor,
    Ridge,
    SGDClassifier,
    SGDRegressor,
    TweedieRegressor,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, SplineTransformer, StandardScaler
from sklearn.svm import LinearSVR

from alignconf import AlignedClassifier, AlignedRegressor
from alignconf.lines.axis import Axis
from alignconf.lines.composition import read_lines
from alignconf.lines.exact_lines import Move
from alignconf.lines.routes import Route
from alignconf.properties import Increasing
from tests.brute_force import Probability, asked

pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names")

GRADES = ["low", "some", "much", "most"]
RANDOM = np.random.default_rng(11)
X = pd.DataFrame(RANDOM.normal(size=(600, 3)), columns=["a", "b", "c"])
Y = (X["a"] - X["b"] + np.sin(2 * X["c"]) + 0.5 * RANDOM.normal(size=600)).to_numpy()
POSITIVE = np.exp(0.5 * Y)
CLASSES = {2: (Y > 0).astype(int), 3: np.digitize(Y, [-0.8, 0.8])}
FIT, FRESH = X[:400], X[400:]
PLACES = np.linspace(-3, 3, 41)

REGRESSORS: dict[str, Any] = {
    "least squares": LinearRegression(),
    "ridge": Ridge(),
    "lasso": Lasso(alpha=0.01),
    "elastic net": ElasticNet(alpha=0.01),
    "huber": HuberRegressor(),
    "stochastic": SGDRegressor(random_state=0),
    "support vectors": LinearSVR(random_state=0),
    "poisson": PoissonRegressor(),
    "gamma": GammaRegressor(),
    "tweedie": TweedieRegressor(power=1.5),
    "normal tweedie": TweedieRegressor(power=0),
    "scaled": make_pipeline(StandardScaler(), Ridge()),
    "voting": VotingRegressor([("r", Ridge()), ("l", LGBMRegressor(n_estimators=8, n_jobs=1, verbose=-1))]),
    "stacking, passthrough": StackingRegressor(
        [("l", LGBMRegressor(n_estimators=8, n_jobs=1, verbose=-1))], Ridge(), cv=2, passthrough=True
    ),
}


def assert_close(model: Any, lines: Any, feature: str) -> None:
    axis = Axis(feature, FRESH.columns.get_loc(feature), None)
    assert lines.why_not(Route.of(axis)) == ""
    walked = lines.line(Move.along(axis, PLACES)).values(FRESH)
    expected = asked(model, FRESH, feature, PLACES)
    assert (np.abs(walked - expected) <= 2 * lines.rounding.of(expected)[:, None]).all()
    assert (lines.rounding.of(expected) < 1e-9 * (1 + np.abs(expected).max(axis=1))).all()


@pytest.mark.parametrize("name", REGRESSORS)
def test_lines_and_planes_are_predictions(name: str) -> None:
    model = REGRESSORS[name].fit(FIT, POSITIVE[:400])
    lines = read_lines(model, FIT)
    for feature in X.columns:
        assert_close(model, lines, feature)
    first, second = Axis("a", 0, None), Axis("c", 2, None)
    walked = lines.plane(Move.along(first, PLACES[:5]), Move.along(second, PLACES[:3])).values(FRESH)
    for k in range(3):
        expected = asked(model, FRESH.assign(c=PLACES[k]), "a", PLACES[:5])
        assert (np.abs(walked[:, :, k] - expected) <= 2 * lines.rounding.of(expected)[:, None]).all()


CLASSIFIERS: dict[str, Any] = {
    "logistic": LogisticRegression(),
    "logistic, searched": LogisticRegressionCV(Cs=2, cv=2, scoring="accuracy"),
    "discriminant": LinearDiscriminantAnalysis(),
    "stochastic": SGDClassifier(loss="log_loss", random_state=0),
    "scaled": make_pipeline(StandardScaler(), LogisticRegression()),
    "against the rest": OneVsRestClassifier(LogisticRegression()),
}


@pytest.mark.parametrize("n_classes", CLASSES)
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_lines_are_probabilities(name: str, n_classes: int) -> None:
    with warnings.catch_warnings():
        # The search's defaults change from version to version.
        warnings.simplefilter("ignore", FutureWarning)
        model = CLASSIFIERS[name].fit(FIT, CLASSES[n_classes][:400])
    for column in range(n_classes):
        assert_close(Probability(model, column), read_lines(model, FIT, column=column), "b")


def test_full_strength_is_walked_at_knots_and_violates_nothing() -> None:
    model = make_pipeline(StandardScaler(), LinearRegression()).fit(FIT, Y[:400])
    aligned = AlignedRegressor(model, {"b": +1}, alpha=0, n_knots=16, random_state=0).calibrate(FIT)
    expected = (
        "at 16 knots in the model's own coefficients, because LinearRegression is linear in 'b', and no step function."
    )
    assert expected in aligned.calibration_.repair
    certificate = aligned.certify(FRESH)
    assert certificate.before.rate == 1.0
    assert certificate.full_strength.n_rejected < 0.1 * certificate.before.n_rejected
    # A rule that the model keeps changes nothing; products of matrices are rounded by how rows lie in memory.
    kept = AlignedRegressor(model, {"a": +1}, alpha=0, random_state=0).calibrate(FIT)
    np.testing.assert_allclose(kept.predict(FRESH), model.predict(FRESH), rtol=0, atol=1e-14)


def test_a_classifier_is_walked_at_knots_too() -> None:
    model = LogisticRegression().fit(FIT, CLASSES[3][:400])
    aligned = AlignedClassifier(model, {"b": +1}, pos_label=2, alpha=0, random_state=0).calibrate(FIT)
    assert (
        "knots in the model's own coefficients, because LogisticRegression is linear in 'b'"
        in aligned.calibration_.repair
    )
    assert aligned.certify(FRESH).full_strength.rate < 0.1


def test_a_column_that_the_model_does_not_see_has_one_piece() -> None:
    model = Lasso(alpha=0.01).fit(FIT.assign(c=0.0), Y[:400])
    lines, route = read_lines(model, FIT), Route.of(Axis("c", 2, None))
    assert lines.why_no_pieces(route) == ""
    assert lines.ends(route).size == 0


def test_an_ordered_category_behind_columns_of_its_own() -> None:
    grades = RANDOM.choice(GRADES, 600)
    rows = X.assign(grade=grades)
    encoded = make_column_transformer(
        (OneHotEncoder(sparse_output=False), ["grade"]), (StandardScaler(), list(X.columns))
    )
    model = make_pipeline(encoded, Ridge()).fit(rows[:400], Y[:400] - (grades[:400] == "much"))
    aligned = AlignedRegressor(model, Increasing("grade", order=GRADES), alpha=0, random_state=0).calibrate(rows[:400])
    assert "at 4 knots in the model's own coefficients" in aligned.calibration_.repair
    assert np.diff(asked(aligned, rows[400:], "grade", GRADES), axis=1).min() >= -1e-12


def test_splines_and_what_is_clipped_are_asked_of_the_model() -> None:
    spline = make_pipeline(SplineTransformer(), Ridge()).fit(FIT, Y[:400])
    assert "SplineTransformer maps 'a'" in read_lines(spline, FIT).why_not(Route.of(Axis("a", 0, None)))
    clipped = SGDClassifier(loss="modified_huber", random_state=0).fit(FIT, CLASSES[2][:400])
    assert read_lines(clipped, FIT).startswith("SGDClassifier clips its sum")
    two = LinearRegression().fit(FIT, np.stack([Y[:400], Y[:400]], axis=1))
    assert read_lines(two, FIT) == "LinearRegression has 2 sums; one can be read."
    model = Ridge().fit(FIT, Y[:400])
    assert read_lines(model, FIT[["a", "b"]]) == "Ridge has 3 columns, and rows have 2."
    assert read_lines(model, FIT.assign(c="text")) == "some columns are not numbers."


def test_a_model_that_answers_otherwise_is_not_read() -> None:
    model = Ridge().fit(FIT, Y[:400])
    model.predict = lambda rows: np.zeros(len(rows))
    assert "predict of its own" in read_lines(model, FIT)


def test_lines_cost_less_than_asking_at_every_knot() -> None:
    """One product of a row with the coefficients, whatever the number of places."""
    rows = np.random.default_rng(0).normal(size=(20_000, 60))
    model = LinearRegression().fit(rows[:500], rows[:500, 0])
    line = read_lines(model, rows[:500]).line(Move.along(Axis(0, 0, None), PLACES))

    def seconds(work: Any) -> float:
        start = perf_counter()
        work()
        return perf_counter() - start

    ratios = [
        seconds(lambda: line.values(rows)) / seconds(lambda: model.predict(np.repeat(rows, 41, axis=0)))
        for _ in range(3)
    ]
    assert min(ratios) < 0.5
