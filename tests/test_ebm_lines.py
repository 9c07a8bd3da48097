"""Exact lines of explainable boosting machines, against brute force over their own predictions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import VotingRegressor
from sklearn.linear_model import LinearRegression

from alignconf import AlignedClassifier, AlignedRegressor
from alignconf.lines.axis import Axis
from alignconf.lines.composition import read_lines
from alignconf.lines.exact_lines import Move
from alignconf.lines.routes import Route
from alignconf.properties import Increasing
from tests.brute_force import Probability, asked, assert_lines_are_predictions

glassbox = pytest.importorskip("interpret.glassbox", reason="interpret is an extra of the benchmarks")

# The library says of rows with missing values that it cannot draw them, and of several classes that it draws no pairs.
pytestmark = pytest.mark.filterwarnings("ignore:Missing values detected", "ignore:For multiclass we cannot")

GRADES = ["low", "some", "much"]
RANDOM = np.random.default_rng(5)
X = pd.DataFrame(RANDOM.normal(size=(700, 3)).round(2), columns=["a", "b", "c"])
X.loc[RANDOM.random(700) < 0.15, "b"] = np.nan
MIXED = X.assign(grade=RANDOM.choice(GRADES, 700), count=RANDOM.choice([1, 2, 5], 700))
SIGNAL = X["a"] + np.sin(2 * X["b"].fillna(1.0)) + X["a"] * X["c"] + (MIXED["grade"] == "much") - (MIXED["count"] == 2)
Y = (SIGNAL + 0.3 * RANDOM.normal(size=700)).to_numpy()
FIT, FRESH = slice(0, 500), slice(500, 700)
TYPES = ["continuous"] * 3 + ["nominal"] * 2
SETTINGS = {"max_rounds": 25, "interactions": 3, "outer_bags": 1, "n_jobs": 1, "random_state": 0}


def regressor(**parameters: Any) -> Any:
    return glassbox.ExplainableBoostingRegressor(**SETTINGS | parameters)


def classifier(**parameters: Any) -> Any:
    return glassbox.ExplainableBoostingClassifier(**SETTINGS | parameters)


@pytest.fixture(scope="module")
def mixed() -> Any:
    return regressor(feature_types=TYPES).fit(MIXED[FIT], Y[FIT])


@pytest.mark.parametrize("objective", ["rmse", "poisson_deviance"])
def test_lines_are_predictions_at_all_cuts_and_beside_them(objective: str) -> None:
    target = Y if objective == "rmse" else np.exp(Y / 3)
    model = regressor(objective=objective).fit(X[FIT], target[FIT])
    lines = read_lines(model, X[FIT])
    for feature in X.columns:
        # Rows that lack another feature are among them.
        assert_lines_are_predictions(model, lines, X[FRESH][X[FRESH][feature].notna()].iloc[:8], feature)
    np.testing.assert_allclose(lines.predict(X), model.predict(X), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_probabilities_of_classes_too(n_classes: int) -> None:
    classes = np.digitize(Y, [0.0] if n_classes == 2 else [-0.5, 1.0])
    model = classifier(interactions=2).fit(X[FIT], classes[FIT])
    for column in range(n_classes):
        lines = read_lines(model, X[FIT], column=column)
        assert_lines_are_predictions(Probability(model, column), lines, X[FRESH].dropna().iloc[:6], "a")
    aligned = AlignedClassifier(model, {"a": -1}, pos_label=1, alpha=0, random_state=0).calibrate(X[FIT])
    assert "pieces of the model's own shape functions" in aligned.calibration_.repair
    assert aligned.certify(X[FRESH]).full_strength.n_rejected == 0


def test_categories_of_text_and_of_numbers_seen_or_not(mixed: Any) -> None:
    # Versions of the library write whole numbers among floats in different ways.
    rows = MIXED[FRESH].reset_index(drop=True).astype({"grade": object, "count": object})
    rows.loc[:9, "grade"], rows.loc[10:19, "grade"] = None, "never seen"
    rows.loc[20:29, "count"], rows.loc[30:39, "count"] = None, 7
    lines = read_lines(mixed, MIXED[FIT])
    np.testing.assert_allclose(lines.predict(rows), mixed.predict(rows), rtol=1e-13, atol=1e-13)
    assert_lines_are_predictions(mixed, lines, rows.dropna(subset=["a"]).iloc[5:45:4], "a")


def test_an_ordered_category_is_known_at_its_places(mixed: Any) -> None:
    lines = read_lines(mixed, MIXED[FIT])
    axis = Axis("grade", 3, tuple(GRADES))
    walked = lines.line(Move.along(axis, np.arange(3.0))).values(MIXED[FRESH])
    np.testing.assert_allclose(walked, asked(mixed, MIXED[FRESH], "grade", GRADES), rtol=1e-12, atol=1e-12)
    unordered = Route.of(Axis("grade", 3, None))
    assert "'grade' is a category to the model; list its values" in lines.why_not(unordered)
    aligned = AlignedRegressor(mixed, Increasing("grade", order=GRADES), alpha=0, random_state=0).calibrate(MIXED[FIT])
    assert "in the model's own shape functions" in aligned.calibration_.repair
    assert np.diff(asked(aligned, MIXED[FRESH], "grade", GRADES), axis=1).min() >= -1e-12


def test_planes_are_predictions(mixed: Any) -> None:
    lines, places = read_lines(mixed, MIXED[FIT]), np.linspace(-2, 2, 5)
    walked = lines.plane(Move.along(Axis("a", 0, None), places), Move.along(Axis("c", 2, None), places)).values(
        MIXED[FRESH]
    )
    for k, c in enumerate(places):
        expected = asked(mixed, MIXED[FRESH].assign(c=c), "a", places)
        np.testing.assert_allclose(walked[:, :, k], expected, rtol=1e-12, atol=1e-12)


def test_full_strength_violates_nothing(mixed: Any) -> None:
    aligned = AlignedRegressor(mixed, {"a": -1}, alpha=0, random_state=0).calibrate(MIXED[FIT])
    assert aligned.calibration_.repair.startswith("exact, on the ")
    assert aligned.calibration_.repair.endswith("pieces of the model's own shape functions")
    certificate = aligned.certify(MIXED[FRESH])
    assert certificate.by_construction
    assert certificate.full_strength.n_rejected == 0
    assert certificate.before.n_rejected > 0
    dense = asked(aligned, MIXED[FRESH].iloc[:20], "a", np.linspace(-3, 3, 501))
    assert np.diff(dense, axis=1).max() <= 1e-12


def test_a_vote_says_what_its_members_are_made_of() -> None:
    rows = X.fillna(0.0)
    model = VotingRegressor([("e", regressor()), ("l", LinearRegression())]).fit(rows[FIT], Y[FIT])
    lines = read_lines(model, rows[FIT])
    assert set(lines.made_of.split(" and ")) == {"shape functions", "coefficients"}
    np.testing.assert_allclose(lines.predict(rows), model.predict(rows), rtol=1e-12, atol=1e-12)


def test_a_model_that_is_not_fitted_or_of_another_link_says_so(mixed: Any) -> None:
    assert read_lines(regressor(), X) == "ExplainableBoostingRegressor is not fitted."
    assert read_lines(mixed, MIXED[["a", "b"]]) == "the model has 5 columns, and rows have 2."
    probit = regressor().fit(X[FIT], Y[FIT])
    probit.link_ = "probit"
    assert "turns its sum into predictions by 'probit'" in read_lines(probit, X)
