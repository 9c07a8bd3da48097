"""Exact lines of models behind steps and of sums of models, against brute force over their own ``predict``."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)
from xgboost import XGBClassifier, XGBRegressor

from alignconf import AlignedClassifier, AlignedRegressor
from alignconf.lines.axis import Axis
from alignconf.lines.composition import read_lines
from alignconf.lines.exact_lines import Move
from alignconf.lines.routes import Route
from alignconf.properties import Decreasing, Increasing
from tests.brute_force import Probability, asked, assert_lines_are_predictions

# TargetEncoder takes its random state in another way from scikit-learn 1.11 on.
pytestmark = pytest.mark.filterwarnings("ignore:.TargetEncoder:FutureWarning")

GRADES = ["low", "some", "much", "most"]
N_ROWS = 900


def frame(n_rows: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    X = pd.DataFrame(random.normal(size=(n_rows, 3)).round(2), columns=["a", "b", "c"])
    X["grade"] = random.choice(GRADES, n_rows)
    X["town"] = random.choice([f"t{k}" for k in range(9)], n_rows)
    X.loc[random.random(n_rows) < 0.1, "b"] = np.nan
    return X


def labels(X: pd.DataFrame, seed: int) -> np.ndarray:
    rank = X["grade"].map(GRADES.index).to_numpy()
    signal = X["a"] + np.sin(2 * X["b"].fillna(0)) + 0.4 * rank + (X["town"] == "t3")
    return signal.to_numpy() + 0.5 * np.random.default_rng(seed).normal(size=len(X))


X, FRESH = frame(N_ROWS, 1), frame(200, 2)
Y = labels(X, 3)
NUMBERS = ["a", "b", "c"]

BOOSTERS: dict[str, Any] = {
    "histogram": HistGradientBoostingRegressor(max_iter=25, random_state=0),
    "xgboost": XGBRegressor(n_estimators=25, n_jobs=1),
    "lightgbm": LGBMRegressor(n_estimators=25, verbose=-1, n_jobs=1),
    "forest": RandomForestRegressor(8, min_samples_leaf=10, random_state=0),
}
STEPS: dict[str, Any] = {
    "scaled": lambda: make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS),
        (OneHotEncoder(sparse_output=False), ["grade", "town"]),
    ),
    "ordinal": lambda: make_column_transformer(
        (RobustScaler(), ["c", "a"]), (OrdinalEncoder(), ["town", "grade"]), remainder=SimpleImputer(strategy="median")
    ),
    "target": lambda: make_column_transformer(
        (TargetEncoder(random_state=0), ["grade", "town"]), (make_pipeline(SimpleImputer(), MinMaxScaler()), NUMBERS)
    ),
    "quantiles": lambda: make_column_transformer(
        (make_pipeline(SimpleImputer(), QuantileTransformer(n_quantiles=50)), NUMBERS),
        (OneHotEncoder(sparse_output=False), ["grade", "town"]),
    ),
    "bins": lambda: make_column_transformer(
        (KBinsDiscretizer(8, encode="ordinal"), ["a"]),
        (make_pipeline(SimpleImputer(), FunctionTransformer(np.negative)), ["b"]),
        (OrdinalEncoder(), ["grade", "town"]),
        remainder="passthrough",
    ),
}


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("name", BOOSTERS)
def test_behind_steps_lines_are_predictions_at_all_thresholds_and_beside_them(name: str, steps: str) -> None:
    model = make_pipeline(STEPS[steps](), BOOSTERS[name]).fit(X, Y)
    lines = read_lines(model, X)
    assert not isinstance(lines, str), lines
    for feature in ("a", "b"):
        route = Route.of(Axis(feature, X.columns.get_loc(feature), None))
        assert lines.why_not(route) == ""
        assert_lines_are_predictions(model, lines, FRESH.dropna().iloc[:5], feature)


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("name", BOOSTERS)
def test_lines_along_categories_are_predictions_whatever_steps_make_of_them(name: str, steps: str) -> None:
    """In the declared order, backwards and shuffled: places of an ordered category need no numbers in order."""
    model = make_pipeline(STEPS[steps](), BOOSTERS[name]).fit(X, Y)
    lines = read_lines(model, X)
    for order in (GRADES, GRADES[::-1], ["much", "low", "most", "some"]):
        axis = Axis("grade", 3, tuple(order))
        assert lines.why_not(Route.of(axis)) == ""
        walked = lines.line(Move.along(axis, np.arange(4.0))).values(FRESH)
        expected = asked(model, FRESH, "grade", order)
        assert (np.abs(walked - expected) <= 2 * lines.rounding.of(expected)[:, None]).all()


@pytest.mark.parametrize("name", BOOSTERS)
def test_planes_behind_steps_are_predictions(name: str) -> None:
    model = make_pipeline(STEPS["target"](), BOOSTERS[name]).fit(X, Y)
    lines = read_lines(model, X)
    first, second = Axis("a", 0, None), Axis("grade", 3, tuple(GRADES))
    places = np.linspace(-2, 2, 5)
    walked = lines.plane(Move.along(first, places), Move.along(second, np.arange(4.0))).values(FRESH)
    for k, grade in enumerate(GRADES):
        expected = asked(model, FRESH.assign(grade=grade), "a", places)
        single = 1e-5 if name == "xgboost" else 1e-10
        np.testing.assert_allclose(walked[:, :, k], expected, rtol=0, atol=single)


@pytest.mark.parametrize("name", ["histogram", "lightgbm", "xgboost"])
def test_full_strength_behind_steps_violates_nothing(name: str) -> None:
    model = make_pipeline(STEPS["scaled"](), BOOSTERS[name]).fit(X, Y)
    aligned = AlignedRegressor(model, {"a": +1}, alpha=0, random_state=0).calibrate(X)
    assert aligned.calibration_.repair.startswith("exact")
    certificate = aligned.certify(FRESH)
    assert certificate.by_construction
    assert certificate.full_strength.n_rejected == 0
    assert certificate.before.n_rejected > 0
    dense = asked(aligned, FRESH.iloc[:20], "a", np.linspace(-3, 3, 2001))
    assert np.diff(dense, axis=1).min() >= -(1e-6 if name == "xgboost" else 1e-12)
    again = pickle.loads(pickle.dumps(aligned))
    np.testing.assert_array_equal(again.predict(FRESH), aligned.predict(FRESH))


CLASSIFIERS = {
    "histogram": HistGradientBoostingClassifier(max_iter=10, random_state=0),
    "xgboost": XGBClassifier(n_estimators=10, n_jobs=1),
    "lightgbm": LGBMClassifier(n_estimators=10, verbose=-1, n_jobs=1),
    "forest": RandomForestClassifier(8, min_samples_leaf=10, random_state=0),
}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_probability_of_one_of_several_classes_is_known_along_its_line(name: str) -> None:
    rows = X[NUMBERS].fillna(0.0)
    classes = np.digitize(Y, [-0.5, 0.5, 1.5])
    model = CLASSIFIERS[name].fit(rows, classes)

    lines = read_lines(model, rows, column=2)
    assert_lines_are_predictions(Probability(model, 2), lines, FRESH[NUMBERS].dropna().iloc[:5], "a")
    aligned = AlignedClassifier(model, {"a": +1}, pos_label=3, alpha=0, random_state=0).calibrate(rows)
    assert aligned.calibration_.repair.startswith("exact")
    assert aligned.certify(FRESH[NUMBERS].fillna(0.0)).full_strength.n_rejected == 0


@pytest.mark.parametrize(
    ("steps", "sentence"),
    [
        (PCA(2), "PCA maps 'a' in a way that is not known to keep its order."),
        (FunctionTransformer(np.square), "FunctionTransformer applies square to 'a'"),
        (make_column_transformer((PCA(2), ["a", "b"]), remainder="passthrough"), "PCA maps 'a'"),
    ],
)
def test_steps_that_are_not_known_are_named(steps: Any, sentence: str) -> None:
    rows = X[NUMBERS].fillna(0.0)
    model = make_pipeline(steps, BOOSTERS["histogram"]).fit(rows, Y)
    aligned = AlignedRegressor(model, {"a": +1}, alpha=0.1, n_knots=8, random_state=0).calibrate(rows)
    assert aligned.calibration_.repair.startswith("at 8 knots, because")
    assert sentence in aligned.calibration_.repair


def test_steps_that_look_across_free_columns_do_not_matter() -> None:
    steps = make_column_transformer((PCA(2), ["b", "c"]), remainder=StandardScaler())
    rows = X[NUMBERS].fillna(0.0)
    model = make_pipeline(steps, BOOSTERS["histogram"]).fit(rows, Y)
    assert_lines_are_predictions(model, read_lines(model, rows), FRESH[NUMBERS].dropna().iloc[:5], "a")


def test_a_row_on_the_end_of_a_piece_is_no_other_model() -> None:
    """Single precision in, double behind the steps: a row may fall on the other side of an end that it rounds to."""
    rows = X[NUMBERS].fillna(0.0).to_numpy()
    model = make_pipeline(StandardScaler(), BOOSTERS["histogram"]).fit(rows, Y)
    aligned = AlignedRegressor(model, {0: +1}, alpha=0, random_state=0).calibrate(rows)
    ends = aligned.alignment_.chain.stages[0].places[:-1]
    beside = np.repeat(rows[:1], 3 * ends.size, axis=0)
    beside[:, 0] = np.concatenate([ends, np.nextafter(ends, -np.inf), np.nextafter(ends, np.inf)])
    for table in (beside, beside.astype(np.float32)):
        line = aligned.predict(table)[np.argsort(table[:, 0], kind="stable")]
        assert np.diff(line).min() >= -1e-12


def test_ordered_categories_cost_no_prediction_at_places() -> None:
    model = make_pipeline(STEPS["scaled"](), BOOSTERS["histogram"]).fit(X, Y)
    for declared in (Increasing("grade", order=GRADES), Decreasing("grade", order=GRADES)):
        aligned = AlignedRegressor(model, declared, alpha=0, random_state=0).calibrate(X)
        assert "in the model's own trees" in aligned.calibration_.repair
        lines = asked(aligned, FRESH, "grade", GRADES)
        sign = 1 if isinstance(declared, Increasing) else -1
        assert (sign * np.diff(lines, axis=1)).min() >= -1e-12
