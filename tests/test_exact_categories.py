"""Exact lines of trees that split on categories, against brute force over the models' own ``predict``."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from xgboost import XGBClassifier, XGBRegressor

from alignconf import AlignedClassifier, AlignedRegressor
from alignconf.kernels.tree_walk import goes_left
from alignconf.lines.axis import Axis
from alignconf.lines.category_sets import CategorySet, CategorySets
from alignconf.lines.composition import read_lines
from alignconf.lines.exact_lines import Move, piece_of
from alignconf.lines.routes import Route
from alignconf.properties import Bounded, Decreasing, Increasing, Invariant, Ordered, Unimodal

#: LightGBM gives names to the columns of arrays and older versions then miss them.
pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")

GRADES = ["low", "some", "much", "most"]
TOWNS = [f"t{k}" for k in range(40)]
N_ROWS = 1200

BOOSTERS: dict[str, Callable[..., Any]] = {
    "histogram": lambda **given: HistGradientBoostingRegressor(
        max_iter=25, min_samples_leaf=3, random_state=0, **given
    ),
    "lightgbm": lambda **given: LGBMRegressor(
        n_estimators=25, min_child_samples=3, cat_smooth=0, min_data_per_group=1, verbose=-1, n_jobs=1, **given
    ),
    "xgboost": lambda **given: XGBRegressor(n_estimators=25, enable_categorical=True, n_jobs=1, **given),
    "xgboost, sets": lambda **given: XGBRegressor(
        n_estimators=25, enable_categorical=True, max_cat_to_onehot=1, n_jobs=1, **given
    ),
}


def frame(n_rows: int, seed: int) -> pd.DataFrame:
    """Numbers and categories in turn, with missing values in each, and a category that hardly any row has."""
    random = np.random.default_rng(seed)
    grade, town = random.choice(GRADES, n_rows), random.choice(TOWNS, n_rows)
    X = pd.DataFrame({"grade": pd.Categorical(grade, GRADES), "a": random.normal(size=n_rows).round(2)})
    X["town"] = pd.Categorical(town, random.permutation(TOWNS) if seed == 1 else TOWNS)
    X["b"] = random.normal(size=n_rows).round(2)
    X["floor"] = pd.Categorical(random.integers(0, 9, n_rows), range(9))
    for column in ("town", "b", "floor"):
        X.loc[random.random(n_rows) < 0.1, column] = np.nan
    return X


def labels(X: pd.DataFrame, seed: int) -> np.ndarray:
    effects = pd.Series(np.random.default_rng(9).normal(size=len(TOWNS)), TOWNS)
    signal = np.sin(2 * X["a"]) + X["b"].fillna(0) * (X["floor"].astype(float) > 4)
    signal += X["town"].astype(object).map(effects).fillna(1.0) + 0.5 * X["grade"].cat.codes
    return signal.to_numpy() + 0.3 * np.random.default_rng(seed).normal(size=len(X))


X = frame(N_ROWS, 1)
FRESH = frame(300, 2)
FRESH["town"] = FRESH["town"].cat.set_categories(X["town"].cat.categories)
Y = labels(X, 3)


@cache
def fitted(name: str) -> Any:
    return BOOSTERS[name]().fit(X, Y)


def asked(model: Any, rows: pd.DataFrame, feature: str, values: Any) -> np.ndarray:
    """Predictions with a feature set to each value, (n_rows, n_values)."""
    moved = rows.iloc[np.repeat(np.arange(len(rows)), len(values))].copy()
    moved[feature] = pd.Series(np.tile(values, len(rows)), moved.index).astype(rows[feature].dtype)
    return np.asarray(model.predict(moved), dtype=float).reshape(len(rows), -1)


def assert_agree(walked: np.ndarray, expected: np.ndarray, lines: Any) -> None:
    assert (np.abs(walked - expected) <= 2 * lines.rounding.of(expected)[:, None]).all()


@pytest.mark.parametrize("name", BOOSTERS)
def test_lines_along_numbers_are_predictions_at_all_thresholds_and_beside_them(name: str) -> None:
    model = fitted(name)
    lines = read_lines(model, X)
    assert not isinstance(lines, str), lines
    for feature in ("a", "b"):
        axis = Axis(feature, X.columns.get_loc(feature), None)
        assert lines.why_not(Route.of(axis)) == ""
        ends = lines.ends(Route.of(axis))
        assert ends.size > 20
        x = np.concatenate([[-50.0], ends, np.nextafter(ends, -np.inf), np.nextafter(ends, np.inf), [50.0]])
        walked = lines.line(Move.along(axis, np.append(ends, 1e6))).values(FRESH[:20])[
            :, piece_of(np.append(ends, 1e6), x)
        ]
        assert_agree(walked, asked(model, FRESH[:20], feature, x), lines)


@pytest.mark.parametrize("name", BOOSTERS)
def test_lines_along_an_ordered_category_are_predictions_in_any_order(name: str) -> None:
    """A node on the category sends any set of places left."""
    model = fitted(name)
    lines = read_lines(model, X)
    for order in (GRADES, GRADES[::-1], ["much", "low", "most", "some"]):
        axis = Axis("grade", 0, tuple(order))
        assert lines.why_not(Route.of(axis)) == ""
        walked = lines.line(Move.along(axis, np.arange(4.0))).values(FRESH)
        expected = asked(model, FRESH, "grade", order)
        assert np.ptp(expected, axis=1).max() > 0.5
        assert_agree(walked, expected, lines)
    towns = Axis("town", 2, tuple(TOWNS[::-1]))
    walked = lines.line(Move.along(towns, np.arange(40.0))).values(FRESH)
    assert_agree(walked, asked(model, FRESH, "town", TOWNS[::-1]), lines)


@pytest.mark.parametrize("name", BOOSTERS)
def test_planes_over_a_number_and_a_category_are_predictions(name: str) -> None:
    model = fitted(name)
    places = np.linspace(-2, 2, 7)
    first, second = Move.along(Axis("a", 1, None), places), Move.along(Axis("grade", 0, tuple(GRADES)), np.arange(4.0))
    walked = read_lines(model, X).plane(first, second).values(FRESH)
    for k, grade in enumerate(GRADES):
        expected = asked(model, FRESH.assign(grade=pd.Categorical([grade] * len(FRESH), GRADES)), "a", places)
        np.testing.assert_allclose(walked[:, :, k], expected, rtol=0, atol=1e-4 if "xgboost" in name else 1e-10)


def codes(rows: pd.DataFrame) -> np.ndarray:
    """Rows as an array: codes for categories, missing ones NaN."""
    columns = [rows[c].cat.codes.replace(-1, np.nan) if rows[c].dtype == "category" else rows[c] for c in rows]
    return np.column_stack(columns).astype(float)


ON_CODES: dict[str, Callable[..., Any]] = {
    "histogram": lambda rows, y: BOOSTERS["histogram"](categorical_features=[0, 2, 4]).fit(rows, y),
    "lightgbm": lambda rows, y: BOOSTERS["lightgbm"]().fit(rows, y, categorical_feature=[0, 2, 4]),
    "xgboost": lambda rows, y: BOOSTERS["xgboost"](feature_types=list("cqcqc"), tree_method="hist").fit(rows, y),
    "xgboost, sets": lambda rows, y: BOOSTERS["xgboost, sets"](feature_types=list("cqcqc"), tree_method="hist").fit(
        rows, y
    ),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", ON_CODES)
def test_codes_in_arrays_go_where_the_library_sends_them(name: str, dtype: Any) -> None:
    """Unseen, negative, fractional, huge and missing ones too."""
    rows = codes(X).astype(dtype)
    model = ON_CODES[name](rows, Y)
    lines = read_lines(model, rows)
    strange = [
        -1e9,
        -7,
        -1,
        -0.99,
        -0.5,
        -0.0,
        0,
        0.5,
        0.999,
        1,
        2.7,
        3,
        8,
        8.5,
        9,
        39,
        40,
        41,
        255,
        256,
        1e5,
        2**24,
        1e9,
        np.nan,
    ]
    for column in (0, 2, 4):
        moved = np.repeat(rows[:8], len(strange), axis=0)
        moved[:, column] = np.tile(strange, 8)
        expected = model.predict(moved)
        assert np.ptp(expected) > 0
        assert_agree(lines.predict(moved)[:, None], expected[:, None], lines)


def test_a_set_says_of_every_code_where_it_goes() -> None:
    random = np.random.default_rng(5)
    features = random.integers(0, 3, 60)
    listed = [
        CategorySet(np.flatnonzero(random.random(size) < 0.5), bool(size % 2), bool(size % 3)) for size in range(60)
    ]
    sets, starts = CategorySets.of(features, listed, lowest=0.0)
    for feature, of_node, start in zip(features.tolist(), listed, starts, strict=True):
        places = sets.coded(feature, np.array([*range(70), -1.0, 0.5, np.nan]))
        expected = [of_node.listed_left == (code in of_node.codes) for code in [*range(70), -1, 0]] + [
            of_node.missing_left
        ]
        assert sets.go_left(np.array([start]), places)[0].tolist() == expected
        assert [goes_left(sets.bits, start, code) for code in places] == expected


@pytest.mark.parametrize("name", BOOSTERS)
def test_frames_whose_categories_are_listed_otherwise_are_the_same_rows(name: str) -> None:
    """But for XGBoost before 3.1, which takes the codes of each frame as they are; lines do as predict does."""
    model = fitted(name)
    lines = read_lines(model, X)
    other = FRESH.assign(town=FRESH["town"].cat.reorder_categories(TOWNS[::-1]))
    assert_agree(lines.predict(other)[:, None], model.predict(other)[:, None], lines)
    if hasattr(xgboost.Booster, "get_categories") or "xgboost" not in name:
        np.testing.assert_array_equal(lines.predict(other), lines.predict(FRESH))


@pytest.mark.parametrize("name", ["histogram", "lightgbm"])
def test_a_category_that_the_fit_has_not_seen_is_as_one_that_is_missing(name: str) -> None:
    model = fitted(name)
    lines = read_lines(model, X)
    unseen = FRESH.assign(town=pd.Categorical(["elsewhere"] * len(FRESH), [*TOWNS, "elsewhere"]))
    assert_agree(lines.predict(unseen)[:, None], model.predict(unseen)[:, None], lines)
    missing = FRESH.assign(town=pd.Categorical([None] * len(FRESH), TOWNS))
    np.testing.assert_array_equal(lines.predict(unseen), lines.predict(missing))
    aligned = AlignedRegressor(model, {"a": +1}, alpha=0, random_state=0).calibrate(X)
    np.testing.assert_array_equal(aligned.predict(unseen), aligned.predict(missing))


@pytest.mark.parametrize("name", BOOSTERS)
def test_full_strength_violates_nothing(name: str) -> None:
    model = fitted(name)
    aligned = AlignedRegressor(model, {"a": +1}, alpha=0, random_state=0).calibrate(X)
    assert aligned.calibration_.repair.startswith("exact")
    certificate = aligned.certify(FRESH)
    assert certificate.by_construction
    assert certificate.full_strength.n_rejected == 0
    assert certificate.before.n_rejected > 0
    dense = asked(aligned, FRESH[:20], "a", np.linspace(-3, 3, 2001))
    assert np.diff(dense, axis=1).min() >= -(1e-6 if "xgboost" in name else 1e-12)


@pytest.mark.parametrize("name", BOOSTERS)
def test_a_row_alone_gets_what_it_gets_among_others(name: str) -> None:
    aligned = AlignedRegressor(fitted(name), {"a": +1}, alpha=0, random_state=0).calibrate(X)
    together = aligned.predict(FRESH)
    assert (together != fitted(name).predict(FRESH)).any()
    np.testing.assert_array_equal([aligned.predict(FRESH[i : i + 1])[0] for i in range(30)], together[:30])


@pytest.mark.parametrize("name", BOOSTERS)
@pytest.mark.parametrize("declared", [Increasing("grade", order=GRADES), Decreasing("grade", order=GRADES)])
def test_an_ordered_category_violates_nothing(name: str, declared: Any) -> None:
    model = fitted(name)
    aligned = AlignedRegressor(model, declared, alpha=0, random_state=0).calibrate(X)
    assert "in the model's own trees" in aligned.calibration_.repair
    lines = asked(aligned, FRESH, "grade", GRADES)
    sign = 1 if isinstance(declared, Increasing) else -1
    assert (sign * np.diff(asked(model, FRESH, "grade", GRADES), axis=1)).min() < 0
    assert (sign * np.diff(lines, axis=1)).min() >= -(1e-6 if "xgboost" in name else 1e-12)


CLASSIFIERS = {
    "histogram": lambda: HistGradientBoostingClassifier(max_iter=8, random_state=0),
    "lightgbm": lambda: LGBMClassifier(n_estimators=8, cat_smooth=0, min_data_per_group=1, verbose=-1, n_jobs=1),
    "xgboost": lambda: XGBClassifier(n_estimators=8, enable_categorical=True, n_jobs=1),
}


@pytest.mark.parametrize(("name", "n_classes"), list(product(CLASSIFIERS, (2, 3))))
def test_the_probability_of_a_class_is_known_along_its_line(name: str, n_classes: int) -> None:
    model = CLASSIFIERS[name]().fit(X, np.digitize(Y, [0.5, 2.0][: n_classes - 1]))

    class Probability:
        def predict(self, table: Any) -> np.ndarray:
            return model.predict_proba(table)[:, 0]

    lines = read_lines(model, X, column=0)
    axis = Axis("a", 1, None)
    places = np.append(lines.ends(Route.of(axis)), 1e6)
    assert_agree(
        lines.line(Move.along(axis, places)).values(FRESH[:20]), asked(Probability(), FRESH[:20], "a", places), lines
    )
    aligned = AlignedClassifier(model, {"a": -1}, pos_label=0, alpha=0, random_state=0).calibrate(X)
    assert aligned.calibration_.repair.startswith("exact")
    assert aligned.certify(FRESH).full_strength.n_rejected == 0


@pytest.mark.parametrize("kind", ["lightgbm", "xgboost"])
def test_boosters_by_themselves_are_read(kind: str) -> None:
    model = fitted(kind)
    booster = model.booster_ if kind == "lightgbm" else model.get_booster()
    lines = read_lines(booster, X)
    assert_agree(lines.predict(FRESH)[:, None], model.predict(FRESH)[:, None], lines)


@pytest.mark.parametrize("name", ON_CODES)
def test_codes_have_no_order_of_their_own(name: str) -> None:
    rows = codes(X)
    model = ON_CODES[name](rows, Y)
    aligned = AlignedRegressor(model, {0: +1}, alpha=0.1, n_knots=4, random_state=0).calibrate(rows)
    assert aligned.calibration_.repair.startswith("at 4 knots, because")
    assert "order=[...]." in aligned.calibration_.repair
    listed = AlignedRegressor(model, Increasing(0, order=[0, 1, 2, 3]), alpha=0, random_state=0).calibrate(rows)
    assert listed.certify(codes(FRESH)).full_strength.n_rejected == 0
    assert "in the model's own trees" in listed.calibration_.repair


def test_models_whose_categories_cannot_be_read_say_why() -> None:
    model = BOOSTERS["lightgbm"](zero_as_missing=True).fit(X, Y)
    assert read_lines(model, X) == (
        "LGBMRegressor takes zeros for missing and splits on categories, whose first code is zero."
    )
    model = fitted("lightgbm")
    fewer = X.assign(town=X["town"].cat.codes)
    assert read_lines(model, fewer) == "the model was fitted on 3 columns of categories, and rows have 2."
    texts = X.assign(a=X["a"].astype(str))
    assert read_lines(model, texts) == "some columns are neither numbers nor categories."


def test_leaves_of_categories_are_not_ordered() -> None:
    """Rules on many features at once look at pairs of leaves, which knows thresholds only."""
    model = fitted("lightgbm")
    aligned = AlignedRegressor(model, {"a": +1, "b": +1}, alpha=0.1, random_state=0).calibrate(X[:400])
    assert "splits on categories; only splits on numbers can be read" in aligned.calibration_.repair


class OfTexts:
    """A model that nobody can read, of a grade, a number and a town."""

    def predict(self, rows: pd.DataFrame) -> np.ndarray:
        grade = rows["grade"].astype(object).map({"low": 1.0, "some": 0.2, "much": 1.7, "most": 0.9}).to_numpy(float)
        town = rows["town"].astype(object).map({name: float(k % 7) for k, name in enumerate(TOWNS)}).to_numpy(float)
        return np.sin(3 * rows["a"].to_numpy()) * grade + np.nan_to_num(town) * (grade - 1)


AT_ALL_PLACES: dict[str, Any] = {
    "ordered": Ordered("grade", GRADES),
    "invariant": Invariant("grade", order=GRADES),
    "peaked": Unimodal("grade", order=GRADES),
    "two": [Ordered("grade", GRADES), Invariant("town", order=TOWNS)],
    "within limits": [Ordered("grade", GRADES), Bounded(-1, 1)],
}


def lines_in_all_categories(model: Any, rows: pd.DataFrame) -> np.ndarray:
    """Predictions at every pair of a grade and a town, (n_rows, n_grades, n_towns)."""
    by_town = [
        asked(model, rows.assign(town=pd.Categorical([town] * len(rows), rows["town"].cat.categories)), "grade", GRADES)
        for town in TOWNS
    ]
    return np.stack(by_town, axis=2)


@pytest.mark.parametrize("name", AT_ALL_PLACES)
@pytest.mark.parametrize("model", ["read", "unread"])
def test_rules_of_categories_that_are_all_tried_are_proved(name: str, model: str) -> None:
    """Referee: the delivered function at every category, of rows that nothing was fitted to."""
    function = fitted("histogram") if model == "read" else OfTexts()
    aligned = AlignedRegressor(function, AT_ALL_PLACES[name], alpha=0, random_state=0).calibrate(X)
    assert "No question is left broken." in str(aligned.calibration_)
    certificate = aligned.certify(FRESH)
    assert certificate.by_construction
    assert certificate.before.n_rejected > 0 == certificate.delivered.n_rejected
    assert str(certificate).startswith("PROVED: no question can be broken")
    values = lines_in_all_categories(aligned, FRESH[FRESH["town"].notna()][:12])
    size = 1e-12 * np.abs(values).max()
    steps = np.diff(values, axis=1)
    if name == "invariant":
        assert np.ptp(values, axis=1).max() <= size
    elif name == "peaked":
        falls = np.maximum.accumulate(steps < -size, axis=1)
        assert not (falls & (steps > size)).any()
    else:
        assert steps.min() >= -size
    if name == "two":
        assert np.ptp(values, axis=2).max() <= size
    if name == "within limits":
        assert np.abs(values).max() <= 1


def test_categories_that_reference_rows_lack_are_not_said_to_be_tried() -> None:
    rare = [*GRADES[:2], "rare", "never", *GRADES[2:]]
    aligned = AlignedRegressor(OfTexts(), Ordered("grade", rare), alpha=0, random_state=0).calibrate(X)
    assert not aligned.certify(FRESH).by_construction
    assert "certify counts them" in str(aligned.calibration_)
    beside = AlignedRegressor(OfTexts(), [Ordered("grade", GRADES), Increasing("a")], alpha=0, random_state=0)
    assert not beside.calibrate(X).certify(FRESH).by_construction


def test_limits_alone_are_proved() -> None:
    aligned = AlignedRegressor(OfTexts(), Bounded(-0.5, 0.5), alpha=0, random_state=0).calibrate(X)
    certificate = aligned.certify(FRESH)
    assert certificate.by_construction
    assert str(certificate).startswith("PROVED: no question can be broken, whatever the row")
    assert "Question   the prediction of a fresh row\n" in str(certificate)
    assert np.abs(aligned.predict(FRESH)).max() == 0.5
