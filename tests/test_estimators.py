"""AlignedRegressor from the outside: what it returns for models, arrays and frames, and scikit-learn's contract."""

import copy
import pickle
import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import betabinom
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeRegressor
from xgboost import XGBRegressor
from xgboost import __version__ as xgboost_version

from alignconf import AlignedRegressor, InputError
from alignconf.errors import PropertyWarning
from alignconf.projectors.band import clip_to_band
from alignconf.properties import AllOf, Decreasing, Increasing, declare

#: The size of rounding that the package promises never to count: 2^-44 relative in double, 4 ulp in single precision.
DOUBLE, SINGLE = 2.0**-44, 4 * float(np.finfo(np.float32).eps)


# ---------------------------------------------------------------------------------------------------------------------
# Rows and models
# ---------------------------------------------------------------------------------------------------------------------
def make_rows(n_samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels that grow with column 0 where column 1 is large, and swing along it elsewhere."""
    random = np.random.default_rng(seed)
    X = random.random((n_samples, 4))
    swing = np.where(X[:, 1] > 0.5, 6 * X[:, 0], 2 * np.sin(7 * X[:, 0]))
    return X, swing + X[:, 2] + 0.3 * random.normal(size=n_samples)


X_TRAIN, Y_TRAIN = make_rows(400, 0)
X_CAL, _ = make_rows(150, 1)
XGBOOST = tuple(int(number) for number in xgboost_version.split(".")[:2])
X_NEW, Y_NEW = make_rows(120, 2)

MODELS = {
    "forest": RandomForestRegressor(15, min_samples_leaf=10, random_state=0, n_jobs=2),
    "boosting": HistGradientBoostingRegressor(max_iter=25, min_samples_leaf=30, random_state=0),
    "xgboost": XGBRegressor(n_estimators=25, max_depth=3, min_child_weight=20, n_jobs=1, random_state=0),
    "network": make_pipeline(
        StandardScaler(), MLPRegressor(hidden_layer_sizes=(12,), max_iter=60, solver="lbfgs", random_state=0)
    ),
}


@cache
def fitted(name: str):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return clone(MODELS[name]).fit(X_TRAIN, Y_TRAIN)


class Swing:
    """A vectorised model in numpy: swings along column 0, by an amplitude that is column 1."""

    def predict(self, X):
        X = np.asarray(X, dtype=float)
        return X[:, 1] * np.sin(9 * X[:, 0]) + X[:, 2]


class Recorder:
    """Passes on to a model and keeps its answers: some models answer twice with other roundings."""

    def __init__(self, model):
        self.model = model
        self.answers = []

    def predict(self, X):
        self.answers.append(np.asarray(self.model.predict(X)))
        return self.answers[-1]


class OnArrays:
    """Hides what a model is made of, so that it is only asked."""

    def __init__(self, model):
        self.model = model

    def predict(self, X):
        return self.model.predict(X)


class OnFrames:
    """Lets a model that was fitted on an array meet data frames."""

    def __init__(self, model):
        self.model = model

    def predict(self, X):
        assert isinstance(X, pd.DataFrame)
        return self.model.predict(X.to_numpy(dtype=float))


def predict_both(aligned, recorder, X):
    """Return the delivered values, and the model's own from the same call."""
    recorder.answers.clear()
    g = aligned.predict(X)
    return g, recorder.answers[0].astype(float)


def varied(X, position, places):
    """Return rows with one column moved to each of ``places``: (n_samples * n_places, n_features)."""
    moved = np.repeat(X, len(places), axis=0)
    moved[:, position] = np.tile(places, len(X))
    return moved


def along(model, X, position, places):
    """Return predictions along one column, (n_samples, n_places)."""
    return np.asarray(model.predict(varied(X, position, places)), dtype=float).reshape(len(X), -1)


def worst_fall(values):
    """Return the largest fall from any earlier to any later value of each line, (n_lines,)."""
    return (np.maximum.accumulate(values, axis=1) - values).max(axis=1)


# ---------------------------------------------------------------------------------------------------------------------
# (a) The model is kept
# ---------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("projection", ["l2", "sup"])
@pytest.mark.parametrize("alpha", [0, 0.1])
@pytest.mark.parametrize("name", MODELS)
def test_the_model_is_kept_where_its_line_is_right_and_the_band_elsewhere(name, alpha, projection):
    recorder = Recorder(fitted(name))
    aligned = AlignedRegressor(
        recorder, {0: "increasing"}, alpha=alpha, projection=projection, n_knots=12, random_state=0, confidence=None
    ).calibrate(X_CAL)
    g, f = predict_both(aligned, recorder, X_NEW)
    knots = aligned.alignment_.tester.laws[0].knots
    line = along(fitted(name), X_NEW, 0, knots)
    below = np.where(knots <= X_NEW[:, :1], line, -np.inf).max(axis=1)
    above = np.where(knots >= X_NEW[:, :1], line, np.inf).min(axis=1)
    right = (np.diff(line) >= 0).all(axis=1) & (below <= f) & (f <= above)
    assert right.sum() >= 5, "the problem should have rows whose line needs no change"
    np.testing.assert_array_equal(g[right], f[right])
    assert (g != f).any(), "the problem should have rows that are moved"
    assert (np.abs(g - f) <= aligned.lambda_).all()


@pytest.mark.parametrize("alpha", [0, 0.1])
@pytest.mark.parametrize(
    ("model", "properties"),
    [
        pytest.param(LinearRegression(), {0: 1, 2: "increasing"}, id="linear"),
        pytest.param(HistGradientBoostingRegressor(max_iter=30, monotonic_cst=[1, 0, 0, 0]), {0: 1}, id="boosting"),
        pytest.param(
            RandomForestRegressor(10, n_jobs=2, monotonic_cst=[1, 0, 0, 0], random_state=0), {0: 1}, id="forest"
        ),
        pytest.param(
            XGBRegressor(n_estimators=30, max_depth=4, n_jobs=1, monotone_constraints=(1, 0, 0, 0)),
            {0: 1},
            id="xgboost",
        ),
    ],
)
def test_a_model_that_has_the_property_comes_back_unchanged(model, properties, alpha):
    recorder = Recorder(clone(model).fit(X_TRAIN, Y_TRAIN))
    aligned = AlignedRegressor(
        recorder, properties, alpha=alpha, n_knots=16, random_state=0, confidence=None
    ).calibrate(X_CAL)
    assert aligned.lambda_ == (np.inf if alpha == 0 else 0)
    g, f = predict_both(aligned, recorder, X_NEW)
    np.testing.assert_array_equal(g, f)
    certificate = aligned.certify(X_NEW)
    assert certificate.before.n_rejected == certificate.n_rejected == certificate.max_displacement == 0


@pytest.mark.parametrize("direction", ["increasing", "decreasing"])
def test_an_isotonic_regression_comes_back_unchanged(direction):
    sign = 1 if direction == "increasing" else -1
    model = IsotonicRegression(increasing=sign > 0, out_of_bounds="clip").fit(X_TRAIN[:, :1], sign * Y_TRAIN)
    recorder = Recorder(model)
    aligned = AlignedRegressor(recorder, {0: direction}, random_state=0, confidence=None).calibrate(X_CAL[:, :1])
    assert aligned.lambda_ == 0
    g, f = predict_both(aligned, recorder, X_NEW[:, :1])
    np.testing.assert_array_equal(g, f)


@pytest.mark.parametrize("multiple", [0.75, 1.25, 1.75, 2.5, 10])
def test_what_counts_as_a_violation_is_repaired_however_small(multiple):
    """A step down of a multiple of the rounding: either it is none, or full strength repairs it; nothing in between."""

    class Step:
        def predict(self, X):
            return 1.0 + np.where(X[:, 0] > 0.5, 0.0, multiple * DOUBLE)

    aligned = AlignedRegressor(Step(), {0: 1}, alpha=0, random_state=0).calibrate(X_CAL)
    certificate = aligned.certify(X_NEW)
    assert (certificate.before.n_rejected > 0) == (multiple > 1)
    assert certificate.full_strength.n_rejected == 0
    calibrated = AlignedRegressor(Step(), {0: 1}, alpha=0.1, random_state=0, confidence=None).calibrate(X_CAL)
    assert calibrated.calibration_.unrepaired_rate == 0


@pytest.mark.parametrize("multiple", [0.4, 0.75, 1.25, 1.75])
def test_small_steps_that_add_up_are_repaired(multiple):
    """A staircase down: neighbours differ by less than a violation or little more, distant places by a clear one."""

    class Staircase:
        def predict(self, X):
            return 1.0 - np.floor(20 * X[:, 0]) * multiple * DOUBLE

    aligned = AlignedRegressor(Staircase(), {0: 1}, alpha=0, n_knots=8, random_state=0).calibrate(X_CAL)
    certificate = aligned.certify(make_rows(2000, 5)[0])
    assert certificate.before.n_rejected > 1000
    # Only pairs strictly between two of the eight knots may remain: at most (1/7)^2 each, 1/7 in all, of which the
    # expected count is 286 for uniform places; more than 400 has a probability below 1e-10.
    assert certificate.full_strength.n_rejected < 400
    line = along(aligned, X_NEW[:5], 0, aligned.alignment_.tester.laws[0].knots)
    assert worst_fall(line).max() <= DOUBLE


@settings(max_examples=300)
@given(
    f=st.floats(-1e300, 1e300),
    g=st.floats(-1e300, 1e300),
    half_width=st.one_of(st.sampled_from([0.0, 1.0, 0.1, 1e-300, np.inf]), st.floats(0, 1e300)),
)
@example(f=-8e-17, g=1.0, half_width=1.0)
@example(f=0.1, g=0.4, half_width=0.3)
@example(f=1e16, g=0.0, half_width=1.0)
def test_the_delivered_value_lies_in_the_band_in_floats_too(f, g, half_width):
    moved = clip_to_band(np.array([f]), np.array([g]), half_width)[0]
    assert abs(moved - f) <= half_width
    outwards = np.finfo(float).eps * (abs(f) + half_width)
    assert f - half_width - outwards <= moved <= f + half_width + outwards
    assert min(f, g) <= moved <= max(f, g)


# ---------------------------------------------------------------------------------------------------------------------
# (b) The same for arrays and frames, for any number of jobs, for the same seed
# ---------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", MODELS)
def test_array_and_frame_give_the_same(name):
    columns = list("abcd")
    rows = {"X_cal": X_CAL, "X_new": X_NEW}
    frames = {key: pd.DataFrame(X, columns=columns, index=np.arange(len(X))[::-1] // 2) for key, X in rows.items()}
    settings_ = {"alpha": 0.1, "n_knots": 16, "random_state": 3}
    array = AlignedRegressor(OnArrays(fitted(name)), {0: 1}, **{"confidence": None, **settings_}).calibrate(X_CAL)
    frame = AlignedRegressor(OnFrames(fitted(name)), {"a": 1}, **{"confidence": None, **settings_}).calibrate(
        frames["X_cal"]
    )
    assert frame.lambda_ == pytest.approx(array.lambda_, rel=1e-5)
    np.testing.assert_allclose(frame.predict(frames["X_new"]), array.predict(X_NEW), rtol=1e-5)
    assert frame.certify(frames["X_new"]).delivered == array.certify(X_NEW).delivered
    assert frame.feature_names_in_.tolist() == columns
    assert not hasattr(array, "feature_names_in_")
    assert frame.n_features_in_ == array.n_features_in_ == 4


def test_numeric_columns_of_any_type_keep_their_type():
    """The model meets the columns as it was fitted on them, also where a copy holds other values."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "int": random.integers(0, 9, 200),
            "float32": random.random(200).astype(np.float32),
            "bool": random.random(200) > 0.5,
            "Int64": pd.array(random.integers(0, 9, 200), dtype="Int64"),
            "text": random.choice(["x", "y"], 200),
        }
    )
    types = frame.dtypes.to_dict()

    class Strict:
        def predict(self, X):
            assert X.dtypes.to_dict() == types
            numbers = X[["int", "float32", "bool", "Int64"]].to_numpy(dtype=float)
            return np.sin(numbers @ [1.0, 5.0, 2.0, 0.7]) + (X["text"] == "x")

    for feature in ["int", "float32", "bool", "Int64"]:
        aligned = AlignedRegressor(Strict(), {feature: 1}, alpha=0, random_state=0).calibrate(frame)
        g = aligned.predict(frame)
        assert g.shape == (200,)
        assert (g != Strict().predict(frame)).any()


def test_an_array_of_mixed_objects_works_at_any_alpha():
    rows = np.array([[x, "a"] for x in X_CAL[:, 0]], dtype=object)

    class Objects:
        def predict(self, X):
            assert X.dtype == object
            return np.sin(9 * X[:, 0].astype(float)) + (X[:, 1] == "a")

    for alpha in (0, 0.1):
        aligned = AlignedRegressor(Objects(), {0: 1}, alpha=alpha, random_state=0, confidence=None).calibrate(rows)
        assert aligned.predict(rows).shape == (150,)


@pytest.mark.parametrize("n_knots", [4, 16])
@pytest.mark.parametrize("properties", [{0: 1}, {0: 1, 2: -1}])
def test_jobs_and_blocks_do_not_change_results(monkeypatch, properties, n_knots):
    model = fitted("boosting")

    def results(n_jobs):
        aligned = AlignedRegressor(
            model, properties, n_knots=n_knots, n_queries=3, random_state=0, n_jobs=n_jobs, confidence=None
        )
        aligned.calibrate(X_CAL[:60])
        return aligned.lambda_, aligned.predict(X_NEW), aligned.certify(X_NEW, Y_NEW)

    whole = results(None)
    monkeypatch.setattr("alignconf.tables.blocks.BLOCK_ROWS", 500)
    one, two = results(1), results(2)
    for single in (one, two):
        assert single[0] == whole[0] > 0
        np.testing.assert_array_equal(single[1], whole[1])
        assert single[2] == whole[2]


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(lambda n: n, id="int"),
        pytest.param(np.random.default_rng, id="Generator"),
        pytest.param(lambda n: np.random.RandomState(n), id="RandomState"),
    ],
)
def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(seed):
    def results(n):
        aligned = AlignedRegressor(Swing(), {0: 1}, random_state=seed(n), confidence=None).calibrate(X_CAL)
        return aligned.lambda_, aligned.calibration_, aligned.certify(X_NEW).to_json()

    assert results(7) == results(7)
    assert results(7) != results(8)


def test_without_a_seed_numbers_differ():
    # Two of 150 continuous scores' order statistics agree by chance with probability about 1/150 for each of five runs.
    found = {AlignedRegressor(Swing(), {0: 1}, confidence=None).calibrate(X_CAL).lambda_ for _ in range(5)}
    assert len(found) > 1


def test_rows_are_predicted_one_by_one():
    aligned = AlignedRegressor(Swing(), {0: 1, 2: -1}, n_knots=8, random_state=0, confidence=None).calibrate(X_CAL)
    whole = aligned.predict(X_NEW)
    np.testing.assert_array_equal(aligned.predict(X_NEW[::-1]), whole[::-1])
    np.testing.assert_array_equal([aligned.predict(row[None])[0] for row in X_NEW[:10]], whole[:10])


# ---------------------------------------------------------------------------------------------------------------------
# (c) Frames with text, ordered categories, missing values; several features
# ---------------------------------------------------------------------------------------------------------------------
GRADES = ["poor", "fair", "good", "ideal"]


def make_frame(n_samples: int, seed: int, *, missing: bool = False) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "size": random.random(n_samples).round(2),
            "colour": random.choice(["red", "green", "blue"], n_samples),
            "grade": random.choice(GRADES, n_samples),
            "cut": pd.Categorical(random.choice(GRADES, n_samples), categories=GRADES, ordered=True),
            "weight": random.normal(size=n_samples),
        }
    )
    if missing:
        frame.loc[::7, "size"] = np.nan
        frame.loc[::5, "grade"] = None
        frame.loc[::6, "cut"] = np.nan
    return frame


def frame_labels(frame: pd.DataFrame, seed: int) -> np.ndarray:
    """Labels that disagree with the order of grades and cuts in their middle."""
    rank = {"poor": 0.0, "fair": 2.0, "good": 1.0, "ideal": 3.0}
    noise = 0.3 * np.random.default_rng(seed).normal(size=len(frame))
    size = frame["size"].fillna(0.5).to_numpy()
    grades = frame["grade"].map(rank).astype(float).fillna(1.5).to_numpy()
    cuts = frame["cut"].astype(object).map(rank).astype(float).fillna(1.5).to_numpy()
    return noise + np.sin(8 * size) + grades + cuts * (1 + size) + (frame["colour"] == "red") + 0.3 * frame["weight"]


@cache
def frame_model(missing: bool = False):
    frame = make_frame(800, 10, missing=missing)
    encode = ColumnTransformer(
        [
            ("nominal", OneHotEncoder(sparse_output=False), ["colour"]),
            ("ordinal", OrdinalEncoder(), ["grade", "cut"]),
        ],
        remainder="passthrough",
    )
    return make_pipeline(encode, HistGradientBoostingRegressor(max_iter=30, random_state=0)).fit(
        frame, frame_labels(frame, 11)
    )


def with_column(frame, name, value):
    """Return the frame with one column set to a value, its type kept."""
    return frame.assign(**{name: pd.Series([value] * len(frame), dtype=frame[name].dtype, index=frame.index)})


def across(model, frame, name, values):
    return np.stack([model.predict(with_column(frame, name, value)) for value in values], axis=1)


@pytest.mark.parametrize(
    "properties",
    [
        pytest.param([Increasing("grade", order=GRADES)], id="text"),
        pytest.param({"grade": Increasing("grade", order=np.array(GRADES))}, id="text, order from an array"),
        pytest.param({"cut": "increasing"}, id="ordered dtype"),
        pytest.param([Increasing("cut", order=GRADES)], id="ordered dtype, order repeated"),
    ],
)
def test_ordered_categories_are_aligned_in_their_order(properties):
    aligned = AlignedRegressor(frame_model(), properties, alpha=0, random_state=0).calibrate(make_frame(150, 12))
    feature = aligned.alignment_.tester.laws[0].axis.feature
    fresh = make_frame(60, 13)
    assert worst_fall(across(frame_model(), fresh, feature, GRADES)).max() > 0.3
    assert worst_fall(across(aligned, fresh, feature, GRADES)).max() <= 10 * DOUBLE


def test_an_order_declared_equals_the_order_of_the_dtype():
    rows, fresh = make_frame(150, 12), make_frame(80, 13)
    text = rows.assign(cut=rows["cut"].astype(object))
    model = frame_model()
    dtype = AlignedRegressor(model, {"cut": 1}, random_state=0, confidence=None).calibrate(rows)
    words = AlignedRegressor(model, [Increasing("cut", order=GRADES)], random_state=0, confidence=None).calibrate(text)
    assert dtype.lambda_ == words.lambda_ > 0
    np.testing.assert_array_equal(dtype.predict(fresh), words.predict(fresh.assign(cut=fresh["cut"].astype(object))))


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(frame_model, id="encoded"),
        pytest.param(
            lambda: HistGradientBoostingRegressor(max_iter=20, categorical_features="from_dtype"), id="native"
        ),
        pytest.param(
            lambda: XGBRegressor(n_estimators=20, enable_categorical=True, n_jobs=1),
            id="xgboost",
            marks=pytest.mark.skipif(
                XGBOOST < (3, 1), reason="XGBoost before 3.1 codes the categories of each frame anew"
            ),
        ),
    ],
)
def test_rows_whose_dtype_lists_fewer_categories_are_predicted_the_same(model):
    """A slice of a frame may have lost categories that its rows do not use; the line still runs through all of them."""
    train, rows, fresh = make_frame(800, 10), make_frame(150, 12), make_frame(200, 13)
    model = model()
    if not hasattr(model, "steps"):
        labels = frame_labels(train, 11)
        train, rows, fresh = (frame[["cut", "size"]] for frame in (train, rows, fresh))
        model.fit(train, labels)
    part = fresh[fresh["cut"].isin(["fair", "good"])]
    narrow = part.assign(cut=part["cut"].cat.remove_unused_categories())
    np.testing.assert_array_equal(model.predict(narrow), model.predict(part))
    aligned = AlignedRegressor(model, {"cut": 1}, alpha=0, random_state=0).calibrate(rows)
    expected = aligned.predict(part)
    assert (expected != model.predict(part)).any()
    np.testing.assert_array_equal(aligned.predict(narrow), expected)


def test_categories_of_several_types_reach_the_model_as_they_are():
    order = [1, 2, "many"]
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"n": pd.Series([order[i] for i in random.integers(0, 3, 200)], dtype=object)})

    class Lookup:
        def predict(self, X):
            return np.array([{1: 2.0, 2: 0.0, "many": 1.0}[value] for value in X["n"]])

    aligned = AlignedRegressor(Lookup(), [Increasing("n", order=order)], alpha=0, random_state=0).calibrate(frame)
    values = aligned.predict(pd.DataFrame({"n": pd.Series(order, dtype=object)}))
    assert (np.diff(values) >= 0).all()


def test_intervals_from_a_cut_are_ordered_categories():
    frame = pd.DataFrame({"bin": pd.cut(X_CAL[:, 0], [0, 0.25, 0.5, 0.75, 1]), "z": X_CAL[:, 1]})

    class Codes:
        def predict(self, X):
            return -X["bin"].cat.codes.to_numpy().astype(float) * X["z"].to_numpy()

    aligned = AlignedRegressor(Codes(), {"bin": 1}, alpha=0, random_state=0).calibrate(frame)
    lines = across(aligned, frame, "bin", frame["bin"].cat.categories)
    assert worst_fall(lines).max() <= DOUBLE


@pytest.mark.parametrize(
    ("properties", "lacking"),
    [
        pytest.param({"size": 1}, ["size"], id="number"),
        pytest.param([Increasing("grade", order=GRADES)], ["grade"], id="text"),
        pytest.param({"cut": 1}, ["cut"], id="ordered dtype"),
        pytest.param({"size": -1, "cut": 1}, ["size", "cut"], id="two features"),
    ],
)
@pytest.mark.parametrize("alpha", [0, 0.1])
def test_rows_with_a_missing_constrained_value_are_returned_unchanged_and_counted(properties, lacking, alpha):
    rows, fresh = make_frame(300, 14, missing=True), make_frame(200, 15, missing=True)
    reference = make_frame(80, 16, missing=True)
    recorder = Recorder(frame_model(missing=True))
    aligned = AlignedRegressor(recorder, properties, alpha=alpha, n_knots=12, random_state=0, confidence=None)
    aligned.calibrate(rows, X_reference=reference)
    n_missing = int(rows[lacking].isna().all(axis=1).sum())
    assert aligned.calibration_.n_missing == n_missing > 0
    assert aligned.calibration_.n_rows == (300 - n_missing if alpha else 0)
    absent = fresh[lacking].isna().all(axis=1).to_numpy()
    g, f = predict_both(aligned, recorder, fresh)
    np.testing.assert_array_equal(g[absent], f[absent])
    assert (g[~absent] != f[~absent]).any()
    certificate = aligned.certify(fresh)
    assert (certificate.n_missing, certificate.n_queries) == (absent.sum(), (~absent).sum())
    assert f"{absent.sum()} rows lack all constrained features" in certificate.sentence


def test_missing_values_of_pandas_are_missing():
    frame = pd.DataFrame({"n": pd.array([1, 2, 3, 4] * 20 + [None], dtype="Int64"), "z": np.linspace(0, 1, 81)})

    class Falling:
        def predict(self, X):
            return 5.0 - X["n"].to_numpy(dtype=float, na_value=9.0) + X["z"].to_numpy()

    for alpha in (0, 0.1):
        aligned = AlignedRegressor(Falling(), {"n": 1}, alpha=alpha, random_state=0, confidence=None)
        g = aligned.calibrate(frame, X_reference=frame[:40]).predict(frame)
        assert aligned.calibration_.n_missing == 1
        assert g[-1] == -3.0
        assert (g[:-1] != Falling().predict(frame)[:-1]).any()


@pytest.mark.parametrize(
    "properties",
    [
        pytest.param([Increasing("size"), Increasing("grade", order=GRADES)], id="number, text"),
        pytest.param({"size": -1, "cut": 1}, id="number, dtype"),
        pytest.param({"size": 1, "weight": -1}, id="two numbers"),
        pytest.param([Increasing("grade", order=GRADES), Increasing("cut")], id="two categories"),
        pytest.param([Increasing("size"), Increasing("cut"), Decreasing("weight")], id="three features"),
    ],
)
@pytest.mark.parametrize("projection", ["l2", "sup"])
def test_joint_properties_hold_in_every_feature_at_full_strength(properties, projection):
    """Along each feature, with the others at the row's own values, and everywhere from knot to knot."""
    aligned = AlignedRegressor(
        frame_model(), properties, alpha=0, projection=projection, projector="lines", n_knots=16, random_state=0
    )
    aligned.calibrate(make_frame(30, 17))
    fresh = make_frame(6, 18)
    for part in aligned.alignment_.chain.stages[0].whole.projector.parts:
        feature = part.declared.feature
        sign = 1 if isinstance(part.declared, Increasing) else -1
        lines = across(aligned, fresh, feature, part.law.axis.values(part.law.knots).tolist())
        assert (
            worst_fall(sign * across(frame_model(), fresh, feature, part.law.axis.values(part.law.knots))).max() > 0.1
        )
        assert worst_fall(sign * lines).max() <= 100 * DOUBLE, feature


def test_increasing_and_decreasing_in_one_feature_means_constant():
    with pytest.warns(PropertyWarning, match="must not depend on 0 at all"):
        aligned = AlignedRegressor(Swing(), {0: [1, -1]}, alpha=0, random_state=0).calibrate(X_CAL)
    lines = along(aligned, X_NEW[:20], 0, np.linspace(-0.5, 1.5, 101))
    np.testing.assert_array_equal(lines, lines[:, :1] * np.ones(101))
    assert np.ptp(lines[:, 0]) > 0.1
    with pytest.warns(PropertyWarning, match="must not depend on 0 at all"):
        both = AlignedRegressor(Swing(), {0: [1, -1], 2: -1}, alpha=0, n_knots=12, random_state=0).calibrate(X_CAL)
    lines = along(both, X_NEW[:20], 0, np.linspace(-0.5, 1.5, 101))
    assert np.ptp(lines, axis=1).max() <= 10 * DOUBLE
    assert worst_fall(-along(both, X_NEW[:20], 2, both.alignment_.tester.laws[1].knots)).max() <= 10 * DOUBLE


# ---------------------------------------------------------------------------------------------------------------------
# (d) scikit-learn's contract
# ---------------------------------------------------------------------------------------------------------------------
class Remembering(RegressorMixin, BaseEstimator):
    """Keeps the rows that it was fitted on."""

    def __init__(self, slope: float = -1.0):
        self.slope = slope

    def fit(self, X, y):
        self.X_, self.y_ = X, y
        return self

    def predict(self, X):
        return self.slope * np.asarray(X)[:, 0] + self.y_.mean()


def test_fit_trains_a_clone_and_calibrates_on_rows_held_out():
    estimator = Remembering()
    aligned = AlignedRegressor(estimator, {0: 1}, random_state=0, confidence=None)
    assert aligned.fit(X_TRAIN, Y_TRAIN) is aligned
    assert not hasattr(estimator, "X_")
    assert aligned.estimator_ is not estimator
    trained = aligned.estimator_.X_
    assert trained.shape == (300, 4)
    positions = [int(np.flatnonzero((row == X_TRAIN).all(axis=1))[0]) for row in trained]
    assert len(set(positions)) == 300
    np.testing.assert_array_equal(aligned.estimator_.y_, Y_TRAIN[positions])
    assert aligned.calibration_.n_rows == 100
    assert aligned.calibration_.n_reference == 300
    np.testing.assert_array_equal(aligned.alignment_.tester.laws[0].places, np.unique(trained[:, 0]))


def test_fit_at_full_strength_trains_on_all_rows():
    aligned = AlignedRegressor(Remembering(), {0: 1}, alpha=0, random_state=0).fit(X_TRAIN, Y_TRAIN)
    assert aligned.estimator_.X_.shape == X_TRAIN.shape
    assert aligned.calibration_.n_rows == 0
    assert aligned.lambda_ == np.inf
    assert "nothing was calibrated" in str(aligned.calibration_)


def test_fit_does_not_refit_a_frozen_estimator():
    estimator = Remembering().fit(X_TRAIN, Y_TRAIN)
    aligned = AlignedRegressor(FrozenEstimator(estimator), {0: 1}, random_state=0, confidence=None).fit(
        X_CAL, np.zeros(150)
    )
    assert estimator.X_ is X_TRAIN
    np.testing.assert_array_equal(aligned.estimator_.predict(X_NEW), estimator.predict(X_NEW))
    assert aligned.calibration_.n_rows + aligned.calibration_.n_reference == 150


def test_fit_takes_frames_and_series():
    frame, labels = make_frame(300, 20), frame_labels(make_frame(300, 20), 21)
    shuffled = frame.sample(frac=1, random_state=0)
    encode = ColumnTransformer([("ordinal", OrdinalEncoder(), ["colour", "grade", "cut"])], remainder="passthrough")
    aligned = AlignedRegressor(
        make_pipeline(encode, DecisionTreeRegressor(min_samples_leaf=10)), {"cut": 1}, random_state=0, confidence=None
    )
    aligned.fit(shuffled, labels.loc[shuffled.index])
    assert aligned.score(frame, labels) > 0.5
    assert aligned.feature_names_in_.tolist() == list(frame.columns)


def test_score_is_the_coefficient_of_determination_of_the_delivered_function():
    aligned = AlignedRegressor(Ridge(), {0: 1}, random_state=0, confidence=None).fit(X_TRAIN, Y_TRAIN)
    assert aligned.score(X_NEW, Y_NEW) == r2_score(Y_NEW, aligned.predict(X_NEW))


def test_parameters_can_be_read_set_and_cloned():
    aligned = AlignedRegressor(Ridge(alpha=3.0), {0: 1, 1: [Decreasing(1)]}, confidence=0.9, n_knots=7, random_state=1)
    assert aligned.get_params()["estimator__alpha"] == 3.0
    copied = clone(aligned)
    same = {name: value for name, value in aligned.get_params(deep=False).items() if name != "estimator"}
    assert {name: value for name, value in copied.get_params(deep=False).items() if name != "estimator"} == same
    assert copied.estimator is not aligned.estimator
    copied.set_params(alpha=0.2, estimator__alpha=5.0, properties={0: -1})
    assert (copied.alpha, copied.estimator.alpha, copied.properties) == (0.2, 5.0, {0: -1})
    assert (aligned.alpha, aligned.estimator.alpha) == (0.1, 3.0)
    fitted_ = aligned.fit(X_TRAIN, Y_TRAIN)
    assert not hasattr(clone(fitted_), "lambda_")
    assert "AlignedRegressor" in repr(aligned)


@pytest.mark.parametrize("properties", [{0: 1}, {0: 1, 2: -1}])
def test_a_pickled_object_predicts_the_same(properties):
    aligned = AlignedRegressor(fitted("boosting"), properties, n_knots=8, random_state=0, confidence=None).calibrate(
        X_CAL
    )
    for other in (pickle.loads(pickle.dumps(aligned)), copy.deepcopy(aligned)):
        np.testing.assert_array_equal(other.predict(X_NEW), aligned.predict(X_NEW))
        np.testing.assert_array_equal(other.predict_band(X_NEW), aligned.predict_band(X_NEW))
        assert other.calibration_ == aligned.calibration_
        assert other.certify(X_NEW) == aligned.certify(X_NEW)


def test_a_search_can_be_aligned():
    search = GridSearchCV(DecisionTreeRegressor(random_state=0), {"min_samples_leaf": [5, 20]}, cv=2)
    aligned = AlignedRegressor(search, {0: 1}, random_state=0, confidence=None).fit(X_TRAIN, Y_TRAIN)
    assert not hasattr(search, "best_estimator_")
    assert aligned.estimator_.best_params_["min_samples_leaf"] in (5, 20)
    calibrated = AlignedRegressor(
        clone(search).fit(X_TRAIN, Y_TRAIN), {0: 1}, random_state=0, confidence=None
    ).calibrate(X_CAL)
    assert calibrated.predict(X_NEW).shape == (120,)


def test_an_aligned_model_can_be_searched_and_cross_validated():
    aligned = AlignedRegressor(
        DecisionTreeRegressor(random_state=0), {0: 1}, n_knots=8, random_state=0, confidence=None
    )
    search = GridSearchCV(aligned, {"alpha": [0, 0.2], "estimator__max_depth": [2, 5]}, cv=2).fit(X_TRAIN, Y_TRAIN)
    assert search.best_estimator_.predict(X_NEW).shape == (120,)
    assert cross_val_score(make_pipeline(StandardScaler(), aligned), X_TRAIN, Y_TRAIN, cv=2).min() > 0


def test_an_aligned_model_can_be_aligned_again():
    once = AlignedRegressor(Swing(), {0: 1}, alpha=0, n_knots=8, random_state=0).calibrate(X_CAL)
    twice = AlignedRegressor(once, {2: -1}, n_knots=8, random_state=0, confidence=None).calibrate(X_CAL)
    assert twice.certify(X_NEW).before.n_rejected > 20
    assert twice.predict(X_NEW).shape == (120,)


# ---------------------------------------------------------------------------------------------------------------------
# (e) The band, (f) full strength
# ---------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["boosting", "xgboost", "network"])
def test_the_interval_is_the_band_around_the_model(name):
    recorder = Recorder(fitted(name))
    aligned = AlignedRegressor(recorder, {0: 1}, n_knots=12, random_state=0, confidence=None).calibrate(X_CAL)
    interval = aligned.predict_band(X_NEW)
    f = recorder.answers[-1].astype(float)
    assert interval.shape == (120, 2)
    assert interval.dtype == np.float64
    band = np.stack([f - aligned.lambda_, f + aligned.lambda_], axis=1)
    np.testing.assert_allclose(interval, band, rtol=1e-15, atol=1e-15 * (np.abs(f).max() + aligned.lambda_))
    assert (interval[:, 0] <= band[:, 0]).all()
    assert (interval[:, 1] >= band[:, 1]).all()
    g = aligned.predict(X_NEW)
    rounding = 0 if name != "network" else DOUBLE * np.abs(f).max()
    assert ((interval[:, 0] - rounding <= g) & (g <= interval[:, 1] + rounding)).all()


def test_the_interval_at_full_strength_is_infinite():
    aligned = AlignedRegressor(Swing(), {0: 1}, alpha=0, random_state=0).calibrate(X_CAL)
    np.testing.assert_array_equal(aligned.predict_band(X_NEW), np.tile([-np.inf, np.inf], (120, 1)))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("projection", ["l2", "sup"])
def test_full_strength_leaves_no_violation_between_rows_that_a_knot_separates(name, projection):
    model = fitted(name)
    aligned = AlignedRegressor(model, {0: 1}, alpha=0, projection=projection, n_knots=10, random_state=0)
    aligned.calibrate(X_CAL)
    knots = aligned.alignment_.tester.laws[0].knots
    places = np.unique(np.concatenate([knots, np.random.default_rng(0).uniform(-0.2, 1.2, 60)]))
    lines, own = along(aligned, X_NEW[:40], 0, places), along(model, X_NEW[:40], 0, places)
    # One place on each side of, or at, a knot: the first knot not left of the left place is not right of the other.
    upper = np.append(knots, np.inf)[np.searchsorted(knots, places)]
    separated = (upper[:, None] <= places) & (places[:, None] < places)
    assert separated.sum() > 500
    falls = (lines[:, :, None] - lines[:, None, :])[:, separated].max(axis=1)
    size = (SINGLE if name == "xgboost" else DOUBLE) * np.abs(own).max(axis=1)
    assert (falls <= size).all()
    assert (worst_fall(own) > size).any(), "the model itself should violate"


@settings(max_examples=60)
@given(
    values=st.lists(st.integers(-5, 5), min_size=2, max_size=15),
    n_knots=st.integers(2, 12),
    projection=st.sampled_from(["l2", "sup"]),
    direction=st.sampled_from([1, -1]),
)
def test_full_strength_on_any_line(values, n_knots, projection, direction):
    """Any piecewise-linear line, few or many knots: right across knots, members unchanged, no value out of range."""

    class Polyline:
        def predict(self, X):
            return np.interp(X[:, 0], np.linspace(0, 1, len(values)), values)

    rows = np.linspace(0, 1, 41)[:, None]
    aligned = AlignedRegressor(Polyline(), {0: direction}, alpha=0, n_knots=n_knots, projection=projection)
    g = aligned.calibrate(rows).predict(rows)
    f = Polyline().predict(rows)
    knots = aligned.alignment_.tester.laws[0].knots
    upper = np.append(knots, np.inf)[np.searchsorted(knots, rows[:, 0])]
    separated = (upper[:, None] <= rows[:, 0]) & (rows < rows[:, 0])
    falls = direction * (g[:, None] - g[None, :])
    assert falls[separated].max(initial=0) <= DOUBLE * np.abs(f).max()
    assert min(values) <= g.min() <= g.max() <= max(values)
    if (direction * np.diff(values) >= 0).all():
        np.testing.assert_array_equal(g, f)


# ---------------------------------------------------------------------------------------------------------------------
# (g) Spellings
# ---------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("spelling", "meaning"),
    [
        ({"v": 1}, Increasing("v")),
        ({"v": +1.0}, Increasing("v")),
        ({"v": -1}, Decreasing("v")),
        ({"v": np.int64(-1)}, Decreasing("v")),
        ({"v": np.float64(-1)}, Decreasing("v")),
        ({"v": "increasing"}, Increasing("v")),
        ({"v": "Decreasing"}, Decreasing("v")),
        ({"v": Decreasing("v")}, Decreasing("v")),
        ({"v": Increasing("v", order=["a", "b"])}, Increasing("v", order=["a", "b"])),
        ({"v": [1]}, Increasing("v")),
        ({"v": 1, "w": 0}, Increasing("v")),
        ({"v": 1, "w": -1}, AllOf(Increasing("v"), Decreasing("w"))),
        ({"v": [1, -1]}, AllOf(Increasing("v"), Decreasing("v"))),
        ({"v": ["increasing", Increasing("v")]}, AllOf(Increasing("v"))),
        ({0: 1, 3: -1}, AllOf(Increasing(0), Decreasing(3))),
        ([Increasing("v")], Increasing("v")),
        ((Increasing("v"), Decreasing("w")), AllOf(Increasing("v"), Decreasing("w"))),
        (Increasing("v"), Increasing("v")),
        (AllOf(Increasing("v"), AllOf(Decreasing("w"), Increasing("v"))), AllOf(Increasing("v"), Decreasing("w"))),
    ],
    ids=repr,
)
def test_spellings(spelling, meaning):
    assert declare(spelling) == meaning


@pytest.mark.parametrize(
    "spelling",
    [{0: -1}, {0: "decreasing"}, {0: Decreasing(0)}, [Decreasing(0)], Decreasing(0), {0: -1, 1: 0}],
    ids=repr,
)
def test_spellings_give_the_same_model(spelling):
    expected = AlignedRegressor(Swing(), {0: -1}, random_state=0, confidence=None).calibrate(X_CAL)
    aligned = AlignedRegressor(Swing(), spelling, random_state=0, confidence=None).calibrate(X_CAL)
    assert aligned.lambda_ == expected.lambda_ > 0
    np.testing.assert_array_equal(aligned.predict(X_NEW), expected.predict(X_NEW))


def test_a_feature_may_be_named_or_counted():
    frame = pd.DataFrame(X_CAL, columns=list("abcd"))
    named = AlignedRegressor(
        OnFrames(Swing()), {"a": 1, "c": -1}, n_knots=8, random_state=0, confidence=None
    ).calibrate(frame)
    counted = AlignedRegressor(OnFrames(Swing()), {0: 1, 2: -1}, n_knots=8, random_state=0, confidence=None).calibrate(
        frame
    )
    mixed = AlignedRegressor(OnFrames(Swing()), {"a": 1, 2: -1}, n_knots=8, random_state=0, confidence=None).calibrate(
        frame
    )
    assert named.lambda_ == counted.lambda_ == mixed.lambda_ > 0


# ---------------------------------------------------------------------------------------------------------------------
# (h) Losses and projections
# ---------------------------------------------------------------------------------------------------------------------
RATES = ["delivered", "line", "displacement", "existence"]


@pytest.mark.parametrize("projection", ["l2", "sup"])
@pytest.mark.parametrize("loss", RATES)
@pytest.mark.parametrize("confidence", [None, 0.9])
def test_every_loss_with_every_projection(loss, projection, confidence):
    aligned = AlignedRegressor(
        fitted("boosting"), {0: 1}, loss=loss, projection=projection, confidence=confidence, n_knots=12, random_state=0
    ).calibrate(X_CAL)
    assert 0 < aligned.lambda_ < np.inf
    calibration = aligned.calibration_
    assert calibration.loss.name == loss
    assert calibration.n_queries == (10 if loss in ("delivered", "existence") and confidence is None else 1)
    assert "at most 0.1" in calibration.statement
    assert ("averaged over calibration draws" in calibration.statement) == (confidence is None)
    assert ("with probability at least 0.9 over the calibration draw" in calibration.statement) == (confidence == 0.9)
    assert aligned.predict(X_NEW).shape == (120,)
    if loss == "existence":
        assert "does not bound the violations of the delivered function" in calibration.statement


@pytest.mark.parametrize("projection", ["l2", "sup"])
@pytest.mark.parametrize("confidence", [None, 0.9])
@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.2])
@pytest.mark.parametrize("model", [Swing(), fitted("boosting")], ids=["numpy", "boosting"])
def test_half_widths_are_ordered_across_losses(model, alpha, confidence, projection):
    """On the same queries: the published construction needs no more than the delivered function.

    And more demanding promises need no less.
    """

    def half_width(loss, alpha=alpha, confidence=confidence):
        return (
            AlignedRegressor(
                model, {0: 1}, alpha=alpha, confidence=confidence, loss=loss, projection=projection, random_state=0
            )
            .calibrate(X_CAL)
            .lambda_
        )

    assert half_width("existence") <= half_width("delivered")
    for loss in RATES:
        assert half_width(loss, alpha=0.2) <= half_width(loss) <= half_width(loss, alpha=0.05)


def test_the_smallest_band_has_the_smallest_half_width():
    """``line`` does not depend on the projection; the least-squares projection needs at least as wide a band."""

    def calibrated(loss, projection):
        aligned = AlignedRegressor(Swing(), {0: 1}, loss=loss, projection=projection, random_state=0, confidence=None)
        return aligned.calibrate(X_CAL)

    assert calibrated("line", "sup").lambda_ == calibrated("line", "l2").lambda_
    line = along(Swing(), X_CAL, 0, calibrated("line", "sup").alignment_.tester.laws[0].knots)
    # The half-width of a line is half its largest fall, so lambda_ is half an order statistic of the falls.
    falls = worst_fall(line) / 2
    assert np.isclose(falls, calibrated("line", "sup").lambda_, rtol=1e-12).any()


def test_a_tolerance_makes_the_smallest_band_narrower():
    """By half of the tolerance: a member that falls by no more than ``tol`` lies within what is left."""
    declared = Increasing(0, tol=0.3)
    aligned = AlignedRegressor(Swing(), declared, loss="line", random_state=0, confidence=None).calibrate(X_CAL)
    falls = worst_fall(along(Swing(), X_NEW, 0, aligned.alignment_.tester.laws[0].knots))
    assert falls.max() > 0.6
    found = aligned.critical_half_widths(X_NEW).ravel()
    np.testing.assert_allclose(found, np.maximum(falls - 0.3, 0) / 2, rtol=0, atol=1e-12)


def test_the_smallest_band_for_two_features():
    """Each row is moved by half the largest fall between two points of its grid that are ordered in both features."""
    aligned = AlignedRegressor(Swing(), {0: 1, 2: -1}, alpha=0, projection="sup", n_knots=9).calibrate(X_CAL)
    first, second = (law.knots for law in aligned.alignment_.tester.laws)
    for row in X_NEW[:10]:
        grid = varied(varied(row[None], 0, first), 2, second)
        f, moved = Swing().predict(grid), np.abs(aligned.predict(grid) - Swing().predict(grid))
        below = (grid[:, None, 0] <= grid[None, :, 0]) & (grid[:, None, 2] >= grid[None, :, 2])
        largest_fall = np.where(below, f[:, None] - f[None, :], 0).max()
        assert moved.max() == pytest.approx(largest_fall / 2)


def rejected_at_most(alpha, n_rows, n_fresh):
    """Return the number of rejections among fresh rows that is exceeded with probability below 1e-4.

    For continuous scores the probability of the event given the calibration rows is Beta(r + 1, n - r) with r scores
    allowed above; the count among fresh rows is then beta-binomial, and ties only lower it.
    """
    above = int(np.floor(alpha * (n_rows + 1) + 1e-9)) - 1
    return betabinom.ppf(1 - 1e-4, n_fresh, above + 1, n_rows - above)


@pytest.mark.parametrize("alpha", [0.05, 0.2])
@pytest.mark.parametrize("confidence", [None, 0.9])
def test_what_each_loss_promises_holds_at_fresh_rows(alpha, confidence):
    """False alarms: below 1e-4 for each of the comparisons; see :func:`rejected_at_most`."""
    rows, fresh = make_rows(500, 30)[0], make_rows(1500, 31)[0]
    reference = make_rows(40, 32)[0]
    limit = rejected_at_most(alpha, 500, 1500)

    def calibrated(loss, alpha=alpha, projection="sup"):
        return AlignedRegressor(
            Swing(), {0: 1}, alpha=alpha, confidence=confidence, loss=loss, projection=projection, n_queries=1,
            random_state=0,
        ).calibrate(rows, X_reference=reference)  # fmt: skip

    line = calibrated("line")
    falls = worst_fall(along(line, fresh, 0, line.alignment_.tester.laws[0].knots))
    unrepaired = int((falls > 1e-12).sum())
    assert unrepaired <= limit
    assert (worst_fall(along(Swing(), fresh, 0, line.alignment_.tester.laws[0].knots)) > 1e-12).all()
    for projection in ("l2", "sup"):
        displacement = calibrated("displacement", projection=projection)
        full = calibrated("displacement", alpha=0, projection=projection)
        differing = np.abs(displacement.predict(fresh) - full.predict(fresh)) > 1e-12
        assert 0 < differing.sum() <= limit
        delivered = calibrated("delivered", projection=projection)
        assert 0 < delivered.certify(fresh).n_rejected <= limit
    assert unrepaired > 0


# ---------------------------------------------------------------------------------------------------------------------
# (i) Reference rows, (j) inputs, (k) calibrating again
# ---------------------------------------------------------------------------------------------------------------------
def test_reference_rows_give_the_law_and_do_not_calibrate():
    aligned = AlignedRegressor(Swing(), {0: 1}, n_knots=8, random_state=0, confidence=None).calibrate(
        X_CAL, X_reference=X_TRAIN
    )
    law = aligned.alignment_.tester.laws[0]
    np.testing.assert_array_equal(law.places, np.unique(X_TRAIN[:, 0]))
    assert set(law.knots) <= set(X_TRAIN[:, 0])
    assert len(law.knots) <= 8
    assert (law.knots[0], law.knots[-1]) == (X_TRAIN[:, 0].min(), X_TRAIN[:, 0].max())
    assert (aligned.calibration_.n_rows, aligned.calibration_.n_reference) == (150, 400)
    certificate = aligned.certify(X_NEW)
    assert "the marginal law of 0 in 400 reference rows" in certificate.query_law
    assert "the marginal law of 0 in 400 reference rows" in certificate.reference_law


def test_without_reference_rows_a_fifth_is_set_aside_and_does_not_calibrate():
    aligned = AlignedRegressor(Swing(), {0: 1}, random_state=0, confidence=None).calibrate(X_CAL)
    assert (aligned.calibration_.n_rows, aligned.calibration_.n_reference) == (120, 30)
    assert set(aligned.alignment_.tester.laws[0].places) < set(X_CAL[:, 0])


def test_at_most_two_thousand_rows_are_set_aside():
    aligned = AlignedRegressor(Swing(), {0: 1}, n_knots=4, n_queries=1, random_state=0, confidence=None).calibrate(
        make_rows(12_000, 40)[0]
    )
    assert (aligned.calibration_.n_rows, aligned.calibration_.n_reference) == (10_000, 2_000)


def test_at_full_strength_all_rows_give_the_law():
    aligned = AlignedRegressor(Swing(), {0: 1}, alpha=0, random_state=0).calibrate(X_CAL)
    np.testing.assert_array_equal(aligned.alignment_.tester.laws[0].places, np.unique(X_CAL[:, 0]))
    assert aligned.calibration_.n_rows == 0


@pytest.mark.parametrize("properties", [{0: 1}, {0: 1, 2: -1}])
@pytest.mark.parametrize("alpha", [0, 0.1])
def test_arrays_are_never_written_to(properties, alpha):
    arrays = [X_CAL.copy(), X_TRAIN.copy(), X_NEW.copy(), Y_NEW.copy()]
    for array in arrays:
        array.flags.writeable = False
    X, reference, fresh, y = arrays
    aligned = AlignedRegressor(Swing(), properties, alpha=alpha, n_knots=8, random_state=0, confidence=None)
    aligned.calibrate(X, X_reference=reference)
    expected = AlignedRegressor(Swing(), properties, alpha=alpha, n_knots=8, random_state=0, confidence=None)
    expected.calibrate(X_CAL.copy(), X_reference=X_TRAIN.copy())
    np.testing.assert_array_equal(aligned.predict(fresh), expected.predict(X_NEW.copy()))
    aligned.predict_band(fresh)
    aligned.certify(fresh, y)
    AlignedRegressor(Ridge(), properties, alpha=alpha, n_knots=8, random_state=0, confidence=None).fit(
        reference, Y_TRAIN
    )
    for array, original in zip(arrays, [X_CAL, X_TRAIN, X_NEW, Y_NEW], strict=True):
        np.testing.assert_array_equal(array, original)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("step", [1, -1, 2])
def test_arrays_of_any_layout_give_the_same(order, step):
    aligned = AlignedRegressor(Swing(), {0: 1}, random_state=0, confidence=None).calibrate(
        np.asarray(X_CAL, order=order)
    )
    expected = AlignedRegressor(Swing(), {0: 1}, random_state=0, confidence=None).calibrate(X_CAL)
    assert aligned.lambda_ == expected.lambda_
    np.testing.assert_array_equal(aligned.predict(X_NEW[::step]), expected.predict(X_NEW)[::step])


def test_frames_are_never_written_to():
    rows, fresh = make_frame(300, 14, missing=True), make_frame(200, 15, missing=True)
    before = rows.copy(deep=True), fresh.copy(deep=True)
    aligned = AlignedRegressor(
        frame_model(missing=True), {"cut": 1, "size": -1}, n_knots=8, random_state=0, confidence=None
    )
    aligned.calibrate(rows)
    aligned.predict(fresh)
    aligned.certify(fresh, np.zeros(200))
    pd.testing.assert_frame_equal(rows, before[0])
    pd.testing.assert_frame_equal(fresh, before[1])


def test_the_declaration_is_never_written_to():
    properties = {0: [1, Increasing(0)], 2: -1, 1: 0}
    aligned = AlignedRegressor(Swing(), properties, n_knots=8, random_state=0, confidence=None).calibrate(X_CAL)
    assert aligned.properties is properties
    assert properties == {0: [1, Increasing(0)], 2: -1, 1: 0}


def test_calibrating_again_overwrites_everything():
    frame = pd.DataFrame(X_CAL, columns=list("abcd"))
    aligned = AlignedRegressor(Swing(), {0: 1}, random_state=0, confidence=None).calibrate(frame)
    aligned.set_params(properties={2: -1, 0: 1}, alpha=0.2, n_knots=6)
    aligned.calibrate(X_TRAIN[:, :3])
    fresh = AlignedRegressor(Swing(), {2: -1, 0: 1}, alpha=0.2, n_knots=6, random_state=0, confidence=None).calibrate(
        X_TRAIN[:, :3]
    )
    assert set(vars(aligned)) == set(vars(fresh))
    assert aligned.calibration_ == fresh.calibration_
    assert aligned.lambda_ == fresh.lambda_
    assert aligned.n_features_in_ == 3
    np.testing.assert_array_equal(aligned.predict(X_NEW[:, :3]), fresh.predict(X_NEW[:, :3]))


def test_parameters_changed_after_calibration_do_not_change_predictions():
    aligned = AlignedRegressor(Swing(), {0: 1}, random_state=0, confidence=None).calibrate(X_CAL)
    before, certificate = aligned.predict(X_NEW), aligned.certify(X_NEW)
    aligned.set_params(alpha=0.3, properties={1: -1}, projection="sup", n_knots=3)
    np.testing.assert_array_equal(aligned.predict(X_NEW), before)
    assert aligned.certify(X_NEW) == certificate


def test_a_mapping_about_another_feature_is_refused():
    with pytest.raises(InputError, match=r"maps feature 'a' to Increasing\('b'\), which is about 'b'"):
        declare({"a": Increasing("b")})
