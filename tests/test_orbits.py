"""Properties of orbits: what nearest values are, and the function that is delivered."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import alignconf.properties
import tests.catalogue
from alignconf import (
    AlignedClassifier,
    AlignedRegressor,
    CalibrationError,
    InputError,
    PredictionError,
    PropertyWarning,
    check,
)
from alignconf.contract.orbit import OrbitProperty, coincidences
from alignconf.kernels.polyhedron import polyhedron_least_squares, polyhedron_midpoint
from alignconf.properties import (
    AllOf,
    Bounded,
    Convex,
    Increasing,
    Invariant,
    InvariantUnder,
    LinearProperty,
    Rule,
    SlopeAtLeast,
)
from tests.catalogue import ORBIT_CASES, at_most_double, halve, rotate, swap
from tests.chance import check_rate
from tests.examples import examples, shortened

MORE = [
    InvariantUnder([rotate], tol=0.5),
    LinearProperty([{0: 0.0}, {0: 0.5}], [1e3, -1e3], 1.0),
    LinearProperty([{0: 0.0}, {0: 0.5}], [[1, -1], [-1, 1]], tol=0.25),
    LinearProperty([None, swap], [[1e-6, -3e-6], [1, 0]], [1, 2]),
]
ROW = np.array([[0.1, 0.2, 0.3]])
scales = st.sampled_from([1.0, 1e-3, 1e300, 1e-300])
elements = st.one_of(
    st.floats(-1e3, 1e3).map(lambda value: value if abs(value) > 1e-6 else 0.0), st.integers(-3, 3).map(float)
)
many = examples(50)
every_orbit = pytest.mark.parametrize("declared", ORBIT_CASES + MORE, ids=str)
both_norms = pytest.mark.parametrize("norm", ["l2", "sup"])


class Given:
    """A model whose answer is a given function of the rows."""

    def __init__(self, answer) -> None:
        self.answer = answer

    def predict(self, rows):
        return self.answer(rows)


def count(declared: OrbitProperty) -> int:
    return len(declared.orbit(ROW))


def accepted(declared: OrbitProperty, values: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Whether a tester accepts values: up to 256 units in the last place of what is compared, now or before the repair."""
    if declared.is_opaque:
        return declared.accepts(values)
    A, b = declared.demands(values.shape[1])
    largest = np.maximum(np.abs(values), np.abs(before)).max(axis=1, keepdims=True)
    size = 2.0**-44 * np.maximum(largest, np.abs(b).max())
    return (values @ A.T <= b + declared.tol + size * np.abs(A).sum(axis=1) / 2).all(axis=1)


def draw_values(data: st.DataObject, n_points: int, n_orbits: int = 3) -> np.ndarray:
    constant = data.draw(st.booleans())
    drawn = data.draw(arrays(np.float64, (n_orbits, 1 if constant else n_points), elements=elements))
    return data.draw(scales) * np.broadcast_to(drawn, (n_orbits, n_points))


def draw_same(data: st.DataObject, declared: OrbitProperty) -> np.ndarray:
    """Which points are the same row: each is itself, or the first of those before it."""
    same = np.arange(count(declared))
    for k in range(1, len(same)):
        if not declared.is_opaque and data.draw(st.integers(0, 3)) == 0:
            same[k] = same[data.draw(st.integers(0, k - 1))]
    return same


# Nearest values -----------------------------------------------------------------------------------------------------


@every_orbit
@both_norms
@many
@given(data=st.data())
def test_nearest_values_are_accepted_again_and_again(declared, norm: str, data: st.DataObject) -> None:
    same = draw_same(data, declared)
    values = draw_values(data, len(same))[:, same]
    before = values.tobytes()
    once = declared.nearest(values, same, norm)
    assert values.tobytes() == before
    assert once.shape == values.shape
    assert np.array_equal(once[:, same], once)
    assert accepted(declared, once, values).all()
    scale = max(np.abs(values).max(), np.abs(once).max(), 1e-300)
    np.testing.assert_allclose(declared.nearest(once, same, norm) / scale, once / scale, rtol=0, atol=1e-13)


@every_orbit
@both_norms
@many
@given(data=st.data())
def test_accepted_values_are_their_own_nearest_bit_for_bit(declared, norm: str, data: st.DataObject) -> None:
    values = draw_values(data, count(declared))
    same = np.arange(count(declared))
    repaired = declared.nearest(values, same, norm)
    candidates = values if declared.is_opaque else np.concatenate([values, repaired])
    exact = declared.accepts(candidates)
    kept = declared.nearest(candidates[exact], same, norm)
    assert kept.tobytes() == candidates[exact].tobytes()


@every_orbit
@many
@given(data=st.data())
def test_least_squares_is_nearest_and_never_moves_apart(declared, data: st.DataObject) -> None:
    if declared.is_opaque:
        return
    same = np.arange(count(declared))
    y, z = draw_values(data, len(same)), draw_values(data, len(same))
    Py, Pz = (declared.nearest(it, same, "l2") for it in (y, z))
    scale = max(*(np.abs(it).max() for it in (y, z, Py, Pz)), 1e-300)
    assert ((((y - Py) / scale) * ((Pz - Py) / scale)).sum(axis=1) <= 1e-12).all()
    before, after = (np.linalg.norm((one - other) / scale, axis=1) for one, other in ((y, z), (Py, Pz)))
    assert (after <= before + 1e-12).all()


@every_orbit
def test_both_norms_agree_with_the_general_projections(declared) -> None:
    if declared.is_opaque:
        return
    y, same = 3 * np.random.default_rng(0).normal(size=(40, count(declared))), np.arange(count(declared))
    A, b = declared.demands(len(same))
    np.testing.assert_allclose(
        declared.nearest(y, same, "l2"), polyhedron_least_squares(y, A, b + declared.tol), atol=1e-9
    )
    moved, least = (
        np.abs(it - y).max(axis=1)
        for it in (declared.nearest(y, same, "sup"), polyhedron_midpoint(y, A, b + declared.tol))
    )
    np.testing.assert_allclose(moved, least, atol=1e-7)


@pytest.mark.parametrize("order", [[0, 1, 2], [1, 2, 0], [2, 1, 0]])
def test_every_point_of_an_orbit_comes_to_the_same_bits(order: list[int]) -> None:
    values = np.random.default_rng(1).normal(size=(500, 3))
    for tol in (0.0, 0.1):
        declared = InvariantUnder([rotate], tol=tol)
        for norm in ("l2", "sup"):
            turned = declared.nearest(values[:, order], np.arange(3), norm)
            assert turned.tobytes() == declared.nearest(values, np.arange(3), norm)[:, order].tobytes()


# Values -------------------------------------------------------------------------------------------------------------


@every_orbit
def test_copies_are_equal_and_its_repr_builds_it(declared) -> None:
    for other in (
        pickle.loads(pickle.dumps(declared)),
        copy.copy(declared),
        copy.deepcopy(declared),
        clone(declared, safe=False),
    ):
        assert other == declared
        assert hash(other) == hash(declared)
        assert repr(other) == repr(declared)
        assert str(other) == str(declared) != ""
    assert eval(repr(declared), dict(vars(alignconf.properties)) | vars(tests.catalogue)) == declared
    with pytest.raises(AttributeError):
        declared.tol = 3.0


def test_different_declarations_differ() -> None:
    everything = ORBIT_CASES + MORE
    assert len(set(everything)) == len(everything)
    assert AllOf(*everything).orbits == tuple(everything)


def test_which_point_is_which_does_not_depend_on_other_rows() -> None:
    """A row that is one of its own settings has a point fewer; alone it shows the same points, and then only these."""
    declared = InvariantUnder([{"plan": "basic"}, {"plan": "family"}, {"age": 30}])
    together = declared.orbit(FRAME)
    home = FRAME["plan"].isin(["basic", "family"]).to_numpy()
    assert 0 < home.sum() < len(FRAME)
    for row in (int(np.flatnonzero(home)[0]), int(np.flatnonzero(~home)[0])):
        alone = declared.orbit(FRAME.iloc[[row]])
        shown = [tuple(point.iloc[row]) for point in together]
        assert shown[: len(alone)] == [tuple(point.iloc[0]) for point in alone]
        assert set(shown[len(alone) :]) <= {tuple(FRAME.iloc[row])}
        assert len(set(shown)) == len(alone)
    assert all((point.dtypes == FRAME.dtypes).all() for point in together)


def test_coincidences_name_the_first_equal_row() -> None:
    rows = np.array([[1.0, 1.0, 2.0], [1.0, 2.0, np.nan], [np.nan, np.nan, 1.0]])
    points = [rows, swap(rows), rows.copy(), rotate(rows)]
    np.testing.assert_array_equal(coincidences(points), [[0, 0, 0, 3], [0, 1, 0, 3], [0, 0, 0, 3]])


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Bounded(2, 1), "lo must not be above hi, got lo=2 and hi=1; swap them"),
        (lambda: Bounded(), "needs a finite limit"),
        (lambda: Bounded(np.nan), "lo must be a number, got nan"),
        (lambda: Bounded("0"), "lo must be a number, got '0'"),
        (lambda: Bounded(np.inf), "needs a finite limit"),
        (lambda: Bounded(0, tol=0.1), "takes no tolerance"),
        (lambda: InvariantUnder([]), "transforms must list at least one"),
        (lambda: InvariantUnder("swap"), "transforms must list at least one"),
        (lambda: InvariantUnder([3]), "transforms must be mappings"),
        (lambda: InvariantUnder([{0: [1, 2]}]), "single values"),
        (lambda: Invariant("a", transforms=[swap]), "takes a feature or transforms, got both"),
        (lambda: LinearProperty([], [1]), "points must list at least one point"),
        (lambda: LinearProperty([None], [1, 2]), r"coefficients have shape \(2,\) for 1 points"),
        (lambda: LinearProperty([None, swap], [[1, -1], [0, 0]]), "a row of zeros"),
        (lambda: LinearProperty([None], [np.nan]), "coefficients must be finite"),
        (lambda: LinearProperty([None], ["one"]), "coefficients must be numbers"),
        (lambda: LinearProperty([None], [1], np.inf), "bound must be finite"),
        (lambda: LinearProperty([None], [1], [1, 2]), r"bound has shape \(2,\) for 1 rows"),
        (lambda: LinearProperty([None], [[1], [1]], [[1], [1]]), "bound has shape"),
        (
            lambda: LinearProperty([{0: 1.0}, None], [[1, 0], [0, 1], [-1, 0]], [0, 5, -1]),
            r"g\(0=1.0\) <= 0 and -g\(0=1.0\) <= -1, which no function has together",
        ),
        (lambda: Rule([None], "accept"), "accept must be a function"),
        (lambda: Rule([None], at_most_double, 3), "project must be a function"),
        (lambda: Rule([None], at_most_double, tol=1), "takes no tolerance"),
    ],
)
def test_what_cannot_be_declared_is_refused(build, words: str) -> None:
    with pytest.raises(InputError, match=words):
        build()


def test_a_tolerance_may_make_rules_compatible() -> None:
    assert (
        LinearProperty([None], [[1], [-1]], [0, -1], tol=0.5).nearest(np.array([[3.0]]), np.zeros(1, int), "l2") == 0.5
    )


# The delivered function ---------------------------------------------------------------------------------------------

X = np.random.default_rng(0).random((900, 3))
WAVE = Given(lambda rows: np.sin(5 * rows[:, 0]) + rows[:, 1] + rows[:, 2] ** 2)
SET = X.copy()
SET[:, 0] = np.random.default_rng(1).integers(0, 3, len(X)) / 2
PARTITIONS = [
    (X, Bounded(0.8, 1.5)),
    (X, InvariantUnder([swap])),
    (X, InvariantUnder([rotate])),
    (X, InvariantUnder([swap, rotate], tol=0.1)),
    (SET, InvariantUnder([{0: 0.0}, {0: 0.5}, {0: 1.0}])),
    (SET, LinearProperty([{0: 0.0}, {0: 0.5}], [-1, 1])),
    (SET, LinearProperty([{0: 0.0}, {0: 0.5}], [-1e4, 1e4])),
    (SET, LinearProperty([{0: 0.0}, {0: 0.5}, {0: 1.0}], [[1, -2, 1], [1, 1, 1]], [0, 2])),
    (X, LinearProperty([None, swap], [[1, 1], [-1, -1]], [1, -1])),
    (SET, Rule([{0: 0.0}, {0: 0.5}], at_most_double, halve)),
    (SET, AllOf(LinearProperty([{0: 0.0}, {0: 0.5}], [1, -1]), Bounded(0, 1))),
    (SET, AllOf(LinearProperty([{0: 0.0}, {0: 0.5}], [1, -1]), Increasing(1), Bounded(0.2, 1))),
]


@pytest.mark.parametrize(("rows", "declared"), PARTITIONS, ids=str)
@both_norms
def test_at_full_strength_no_query_is_violated_where_orbits_partition(rows, declared, norm: str) -> None:
    aligned = AlignedRegressor(WAVE, declared, alpha=0, projection=norm, random_state=0).calibrate(rows[:100])
    certificate = aligned.certify(rows[200:300])
    assert certificate.delivered.n_rejected == 0
    assert certificate.before.n_rejected > 0
    assert certificate.property == str(declared)
    fresh = check(aligned, rows[500:600], declared, X_reference=rows[:100], random_state=0)
    assert fresh.violations.n_rejected == 0
    again = pickle.loads(pickle.dumps(copy.copy(declared)))
    assert again == declared


@pytest.mark.parametrize(
    ("rows", "declared", "answer"),
    [
        (X, Bounded(0, 1), lambda rows: rows[:, 0]),
        (X, InvariantUnder([swap]), lambda rows: rows[:, 0] * rows[:, 1]),
        (X, InvariantUnder([rotate], tol=1e-6), lambda rows: np.sin(rows.sum(axis=1))),
        (SET, LinearProperty([{0: 0.0}, {0: 0.5}], [1, -1]), lambda rows: np.exp(rows[:, 0] + rows[:, 1])),
        (SET, Rule([{0: 0.0}, {0: 0.5}], at_most_double, halve), lambda rows: 5 + rows[:, 0]),
    ],
    ids=["limits", "swap", "rotate", "linear", "rule"],
)
@pytest.mark.parametrize("alpha", [0, 0.1])
def test_a_model_that_obeys_is_returned_bit_for_bit(rows, declared, answer, alpha: float) -> None:
    model = Given(answer)
    aligned = AlignedRegressor(model, declared, alpha=alpha, random_state=0, confidence=None).calibrate(rows[:300])
    assert aligned.predict(rows).tobytes() == model.predict(rows).tobytes()
    assert alpha == 0 or aligned.lambda_ == 0
    assert aligned.certify(rows[300:]).before.n_rejected == 0


def test_rows_that_are_no_point_of_their_orbit_keep_the_value() -> None:
    declared = LinearProperty([{0: 0.0}, {0: 0.5}], [1, -1])
    aligned = AlignedRegressor(WAVE, declared, alpha=0).calibrate(SET[:200])
    elsewhere = SET[:, 0] == 1.0
    model = Given(lambda rows: -rows[:, 0] + rows[:, 1])
    aligned = AlignedRegressor(model, declared, alpha=0).calibrate(SET[:200])
    own = model.predict(SET)
    moved = aligned.predict(SET) != own
    assert not moved[elsewhere].any()
    assert moved[~elsewhere].all()
    missing = SET.copy()
    missing[:, 0] = np.nan
    silent = Given(lambda rows: np.nan_to_num(-rows[:, 0] + rows[:, 1]))
    aligned = AlignedRegressor(silent, declared, alpha=0).calibrate(SET[:200])
    np.testing.assert_array_equal(aligned.predict(missing), silent.predict(missing))


def test_rows_alone_and_together_and_on_threads_give_the_same_bits() -> None:
    diagonal = X.copy()
    diagonal[::4, 1] = diagonal[::4, 0]
    for declared in (InvariantUnder([swap]), InvariantUnder([rotate]), LinearProperty([None, swap], [1, 1], 0.1)):
        found = [
            AlignedRegressor(WAVE, declared, alpha=0.2, random_state=3, n_jobs=n_jobs, confidence=None).calibrate(
                diagonal[:300]
            )
            for n_jobs in (1, 2)
        ]
        assert found[0].lambda_ == found[1].lambda_
        together = found[0].predict(diagonal[300:400])
        assert together.tobytes() == found[1].predict(diagonal[300:400]).tobytes()
        alone = np.concatenate([found[0].predict(row[None]) for row in diagonal[300:400]])
        assert together.tobytes() == alone.tobytes()


FRAME = pd.DataFrame(
    {
        "plan": pd.Series(np.random.default_rng(2).choice(["basic", "premium", "family"], 600)),
        "kind": pd.Categorical(np.random.default_rng(3).choice(["x", "y"], 600)),
        "age": np.random.default_rng(4).integers(3, 9, 600) * 10,
        "home": np.random.default_rng(5).normal(size=600),
        "away": np.random.default_rng(6).normal(size=600),
    }
)
PRICE = (FRAME["plan"] == "basic") * 1.0 + FRAME["age"] / 50 + FRAME["home"] - FRAME["away"] ** 2


def swap_sides(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(home=rows["away"], away=rows["home"])


def swap_in_place(rows: pd.DataFrame) -> pd.DataFrame:
    rows[["home", "away"]] = rows[["away", "home"]].to_numpy()
    return rows


@pytest.fixture(scope="module")
def forest():
    columns = make_column_transformer((OneHotEncoder(), ["plan", "kind"]), remainder="passthrough")
    return make_pipeline(columns, RandomForestRegressor(10, random_state=0)).fit(FRAME[:200], PRICE[:200])


@pytest.mark.parametrize(
    "declared",
    [
        LinearProperty([{"plan": "basic"}, {"plan": "premium"}], [1, -1]),
        InvariantUnder([swap_sides]),
        InvariantUnder([swap_in_place]),
        InvariantUnder([{"kind": "x"}, {"kind": "y"}]),
        InvariantUnder([swap_sides, {"kind": "x"}, {"kind": "y"}]),
        AllOf(Bounded(0), LinearProperty([{"plan": "basic", "kind": "x"}, {"plan": "premium", "kind": "x"}], [1, -1])),
        AllOf(Increasing("age"), Bounded(0, 2)),
        AllOf(Increasing("age"), InvariantUnder([{"kind": "x"}, {"kind": "y"}])),
    ],
    ids=str,
)
def test_frames_with_words_in_a_pipeline(forest, declared) -> None:
    before = FRAME.copy(deep=True)
    aligned = AlignedRegressor(forest, declared, alpha=0, n_knots=8, random_state=0).calibrate(FRAME[200:230])
    end = 400 + shortened(40, 10)
    certificate = aligned.certify(FRAME[400:end], PRICE[400:end])
    assert certificate.delivered.n_rejected == certificate.full_strength.n_rejected == 0
    assert certificate.before.n_rejected > 0
    pd.testing.assert_frame_equal(FRAME, before)
    audit = check(aligned, FRAME[400:end], declared, X_reference=FRAME[:200], random_state=0)
    assert audit.violations.n_rejected == 0


def test_words_of_points(forest) -> None:
    rule = LinearProperty([{"plan": "basic"}, {"plan": "premium"}], [1, -1])
    audit = check(forest, FRAME[200:], rule, random_state=0)
    assert audit.worst.values == ("plan='basic'", "plan='premium'")
    assert audit.worst.feature is None
    assert "the model predicts" in audit.sentence
    assert "at plan='basic'" in audit.sentence
    assert "\"g(plan='basic') - g(plan='premium') <= 0\"" in audit.sentence
    assert "a fresh row moved to 2 points (plan='basic'; plan='premium')" in audit.query_law
    named = LinearProperty([{"plan": "basic"}, {"plan": "premium"}], [1, -1], words="premium is never below basic")
    aligned = AlignedRegressor(forest, named, alpha=0.2, random_state=0, confidence=None).calibrate(FRAME[200:400])
    certificate = aligned.certify(FRAME[400:])
    assert '"premium is never below basic"' in certificate.sentence
    assert certificate.reference_law == "none: nothing is drawn"
    assert "fails" not in certificate.query_law
    assert "a fresh row moved to 2 points" in aligned.calibration_.statement
    low = AlignedRegressor(forest, Bounded(1), alpha=0.2, random_state=0, confidence=None).calibrate(FRAME[200:400])
    assert "the prediction at a fresh row" in low.calibration_.statement
    assert '"at least 1"' in low.certify(FRAME[400:]).sentence


# Orbits that are none -----------------------------------------------------------------------------------------------


def shift(rows: np.ndarray) -> np.ndarray:
    return rows + np.array([1.0, 0.0, 0.0])


def narrow(rows: np.ndarray) -> np.ndarray:
    return rows[:, :2]


def fewer(rows: np.ndarray) -> np.ndarray:
    return rows[1:]


def swap_rarely(rows: np.ndarray) -> np.ndarray:
    return np.where(rows[:, :1] + rows[:, 1:2] > 1.5, swap(rows), rows)


@pytest.mark.parametrize(
    ("transform", "words"),
    [
        (narrow, r"the transform narrow turned a table of shape \(.*, 3\) into one of shape \(.*, 2\)"),
        (fewer, "expected the same rows and columns with other values"),
        (shift, "lead from a row to more than 64 others without coming back"),
        ({7: 1.0}, "feature 7 is not in X"),
    ],
)
def test_transforms_that_do_not_lead_back_are_refused(transform, words: str) -> None:
    aligned = AlignedRegressor(WAVE, InvariantUnder([transform]), alpha=0)
    with pytest.raises(InputError, match=words):
        aligned.calibrate(X[:200])
    with pytest.raises(InputError, match=words):
        check(WAVE, X, InvariantUnder([transform]), random_state=0)


def test_renamed_columns_are_refused(forest) -> None:
    renamed = InvariantUnder([lambda rows: rows.rename(columns={"home": "away", "away": "home"})])
    with pytest.raises(InputError, match="or renamed its columns"):
        AlignedRegressor(forest, renamed, alpha=0).calibrate(FRAME[200:])
    arrays_of_frames = InvariantUnder([lambda rows: rows.to_numpy()])
    with pytest.raises(InputError, match="or renamed its columns"):
        AlignedRegressor(forest, arrays_of_frames, alpha=0).calibrate(FRAME[200:])


def test_orbits_whose_points_have_other_orbits_are_counted() -> None:
    """``g(x) <= g(x + 1)`` has an orbit from each point: repaired row by row it need not hold, and that is said."""
    declared = LinearProperty([None, shift], [1, -1])
    said = "the same points must be made again"
    calibrated = AlignedRegressor(WAVE, declared, alpha=0.1, random_state=0, confidence=None)
    lead_out = "they do not lead back to each other: a warning names it"
    with pytest.warns(PropertyWarning, match=said), pytest.raises(CalibrationError, match=lead_out):
        calibrated.calibrate(X[:300])
    aligned = AlignedRegressor(WAVE, declared, alpha=0, random_state=0)
    with pytest.warns(PropertyWarning, match=said):
        aligned.calibrate(X[:300])
    certificate = aligned.certify(X[300:])
    values = [aligned.predict(rows) for rows in (X[300:], shift(X[300:]))]
    assert certificate.delivered.n_rejected == np.sum(values[0] > values[1]) > 0


def settled(rows: np.ndarray) -> np.ndarray:
    """Lead to rows that stay as they are: a projection, no swap."""
    rows = rows.copy()
    rows[:, 0] = np.round(rows[:, 0])
    return rows


@pytest.mark.parametrize(
    ("declared", "n_rows"),
    [
        (InvariantUnder([settled]), 128),
        (InvariantUnder([{0: 0.0}, {0: 1.0}]), 56),
        (LinearProperty([None, swap], [1, -1], 0.05), 128),
        (LinearProperty([None, {0: 0.0}], [-1, 1]), 128),
    ],
    ids=str,
)
def test_points_that_do_not_lead_back_are_warned_of_where_something_stays_broken(declared: Any, n_rows: int) -> None:
    """The number that the warning names is that of rows whose questions the delivered function fails."""
    aligned = AlignedRegressor(WAVE, declared, alpha=0, random_state=0)
    with pytest.warns(PropertyWarning, match="still breaks the rule") as warned:
        aligned.calibrate(X[:n_rows])
    values = [aligned.predict(point) for point in declared.orbit(X[:n_rows])]
    A, b = declared.demands(len(values))
    broken = int((np.stack(values, axis=1) @ A.T > b + 1e-9).any(axis=1).sum())
    assert f"at {broken} of {n_rows} reference rows" in str(warned[0].message)
    assert broken > 0


@pytest.mark.parametrize(
    "declared",
    [
        InvariantUnder([swap]),
        InvariantUnder([rotate], tol=0.1),
        LinearProperty([None, swap], [[1, -1], [-1, 1]], 0.05),
        LinearProperty([{0: 0.0}, {0: 1.0}], [1, -1]),
    ],
    ids=str,
)
def test_points_that_lead_back_are_not_warned_of(declared: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        AlignedRegressor(WAVE, declared, alpha=0, random_state=0).calibrate(X[:300])


@pytest.mark.filterwarnings("ignore:the repaired model still breaks:alignconf.PropertyWarning")
def test_a_value_that_no_transform_sets_is_counted() -> None:
    aligned = AlignedRegressor(WAVE, InvariantUnder([{0: 0.0}, {0: 1.0}]), alpha=0).calibrate(X[:300])
    assert aligned.certify(X[300:]).delivered.rate == 1.0


def test_a_transform_that_does_something_at_some_rows_only() -> None:
    declared = InvariantUnder([swap_rarely])
    aligned = AlignedRegressor(WAVE, declared, alpha=0, random_state=0).calibrate(X[:300])
    certificate = aligned.certify(X[300:])
    assert 0 < certificate.before.rate < 0.3
    assert certificate.delivered.n_rejected == 0
    still = X[X[:, 0] + X[:, 1] < 1.5]
    assert aligned.predict(still).tobytes() == WAVE.predict(still).tobytes()
    never = InvariantUnder([lambda rows: rows])
    for loss in ("delivered", "existence", "line", "displacement"):
        assert AlignedRegressor(WAVE, never, loss=loss, random_state=0, confidence=None).calibrate(X[:300]).lambda_ == 0


def test_rows_that_a_transform_moves_may_come_late() -> None:
    rows = np.concatenate([X[X[:, 0] + X[:, 1] < 1.5], X[X[:, 0] + X[:, 1] > 1.5]])
    aligned = AlignedRegressor(WAVE, InvariantUnder([swap_rarely]), alpha=0).calibrate(rows)
    assert aligned.certify(0.999 * rows).delivered.n_rejected == 0
    assert check(WAVE, rows, InvariantUnder([swap_rarely]), random_state=0).violations.n_rejected > 0
    assert check(WAVE, X[:1], InvariantUnder([swap]), random_state=0).violations.n_queries == 1


def test_different_numbers_of_points_are_refused() -> None:
    rows = np.concatenate([X[X[:, 0] + X[:, 1] < 1.5][:300], X[X[:, 0] + X[:, 1] > 1.5]])
    reference, asked = rows[:200], rows[250:]
    with pytest.raises(InputError, match="have 1 points at some rows and 2 at others"):
        AlignedRegressor(WAVE, InvariantUnder([swap_rarely]), confidence=None).calibrate(asked, X_reference=reference)


# Several parts ------------------------------------------------------------------------------------------------------


def test_a_probability_within_limits() -> None:
    y = (np.sin(6 * X[:, 0]) + X[:, 1] > 0.8).astype(int) + (X[:, 2] > 0.7)
    model = RandomForestClassifier(10, random_state=0).fit(X[:300], y[:300])
    declared = [Increasing(1), Bounded(0.1, 0.8)]
    aligned = AlignedClassifier(model, declared, pos_label=1, alpha=0, n_knots=8, random_state=0).calibrate(X[300:600])
    certificate = aligned.certify(X[600:], y[600:])
    assert certificate.delivered.rate <= 0.02
    p = aligned.predict_proba(X[600:])
    assert (p[:, 1] >= 0.1).all()
    assert (p[:, 1] <= 0.8).all()
    np.testing.assert_allclose(p.sum(axis=1), 1)
    with pytest.raises(InputError, match=r"at least 2, and values in \[0, 1\], which no function has both"):
        AlignedClassifier(model, Bounded(2), pos_label=1, alpha=0).calibrate(X[300:600])
    symmetric = AlignedClassifier(model, InvariantUnder([swap]), pos_label=1, alpha=0).calibrate(X[300:600])
    np.testing.assert_array_equal(symmetric.predict_proba(X)[:, 1], symmetric.predict_proba(swap(X))[:, 1])


def test_limits_that_no_value_keeps_are_named() -> None:
    with pytest.raises(
        InputError, match="contradict each other: between 2 and 3, and between 0 and 1, which no function has both"
    ):
        AlignedRegressor(WAVE, [Bounded(0, 1), Bounded(2, 3)], alpha=0).calibrate(X)
    touching = AlignedRegressor(WAVE, [Bounded(0, 1), Bounded(1, 3)], alpha=0).calibrate(X[:99])
    np.testing.assert_array_equal(touching.predict(X), 1.0)


#: The sum of two points is at least 1, and neither above 0.6: nearest to (0, 0.6) are (0.2, 0.8), within limits (0.4, 0.6).
RISING = np.column_stack([2 * SET[SET[:, 0] < 1][:, 0], SET[SET[:, 0] < 1][:, 1:]])


def test_limits_and_a_linear_rule_are_met_together() -> None:
    declared = AllOf(LinearProperty([{0: 0.0}, {0: 1.0}], [-1, -1], -1), Bounded(0, 0.6))
    model = Given(lambda rows: 0.6 * rows[:, 0])
    full = AlignedRegressor(model, declared, alpha=0).calibrate(RISING[:200])
    np.testing.assert_allclose(full.predict(RISING), np.where(RISING[:, 0] == 0, 0.4, 0.6), atol=1e-12)
    assert full.certify(RISING[200:]).delivered.n_rejected == 0


@pytest.mark.filterwarnings("ignore:the repaired model still breaks:alignconf.PropertyWarning")
def test_clipping_may_undo_an_opaque_rule_and_then_the_row_counts() -> None:
    rule = Rule(
        [{0: 0.0}, {0: 1.0}],
        lambda values: values.sum(axis=1) >= 1 - 1e-12,
        lambda values: values + np.maximum(1 - values.sum(axis=1, keepdims=True), 0) / 2,
    )
    model = Given(lambda rows: 0.6 * rows[:, 0])
    with pytest.raises(CalibrationError):
        AlignedRegressor(model, AllOf(rule, Bounded(0, 0.6)), random_state=0, confidence=None).calibrate(RISING[:200])
    full = AlignedRegressor(model, AllOf(rule, Bounded(0, 0.6)), alpha=0).calibrate(RISING[:200])
    assert full.certify(RISING[200:]).delivered.rate == 1.0


def test_rules_about_settings_of_the_same_columns_are_met_together() -> None:
    """Three plans in order, by two rules that share one: one after the other they would undo each other."""
    rules = [LinearProperty([{0: one}, {0: other}], [1, -1]) for one, other in ((0.0, 0.5), (0.5, 1.0))]
    model = Given(lambda rows: np.select([rows[:, 0] == 0, rows[:, 0] == 0.5], [3.0, 2.0], 1.0) + rows[:, 1])
    for norm in ("l2", "sup"):
        full = AlignedRegressor(model, rules, alpha=0, projection=norm).calibrate(SET[:60])
        np.testing.assert_allclose(full.predict(SET[:300]), 2 + SET[:300, 1], atol=1e-12)
        assert full.certify(SET[200:260]).delivered.n_rejected == 0


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (
            [LinearProperty([{0: 0.0}, {0: 1.0}], [1, -1], -1), LinearProperty([{0: 1.0}, {0: 0.0}], [1, -1], -1)],
            "<= -1 and",
        ),
        ([LinearProperty([{0: 0.0}, {0: 1.0}], [1, -1], -3), Bounded(0, 1)], "<= -3 and"),
    ],
    ids=["two rules", "a rule and limits"],
)
def test_rules_that_collide_are_named(rules, words: str) -> None:
    with pytest.raises(InputError, match=f"{words}.*which no function has together"):
        AlignedRegressor(WAVE, rules, alpha=0).calibrate(X)


@pytest.mark.parametrize("part", [SlopeAtLeast(0, 0.5), Convex(0)], ids=str)
def test_what_clipping_undoes_of_lines_is_counted(part) -> None:
    aligned = AlignedRegressor(WAVE, [part, Bounded(0.8, 1.2)], alpha=0, n_knots=8, random_state=0).calibrate(X[:200])
    certificate = aligned.certify(X[200:400])
    found = check(aligned, X[400:], [part, Bounded(0.8, 1.2)], X_reference=X[:200], random_state=0).violations
    assert certificate.delivered.rate > 0.05
    assert found.interval[0] <= certificate.delivered.interval[1]
    assert certificate.delivered.interval[0] <= found.interval[1]


def test_a_property_of_one_feature_is_not_one_of_orbits() -> None:
    with pytest.raises(InputError, match="which is not about one feature"):
        AlignedRegressor(WAVE, {0: Bounded(0)}, alpha=0).calibrate(X)


# Losses and confidence ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["delivered", "existence", "line", "displacement"])
@pytest.mark.parametrize(
    "declared",
    [Bounded(0.8, 1.5), InvariantUnder([swap]), LinearProperty([None, swap], [[1, -1], [-1, 1]], 0.1)],
    ids=str,
)
@pytest.mark.parametrize("confidence", [None, 0.9])
def test_every_loss(declared, loss: str, confidence: float | None) -> None:
    aligned = AlignedRegressor(WAVE, declared, loss=loss, confidence=confidence, random_state=0).calibrate(X[:400])
    f, g = WAVE.predict(X[400:]), aligned.predict(X[400:])
    assert 0 < aligned.lambda_ < np.inf
    assert (np.abs(f - g) <= aligned.lambda_).all()


@pytest.mark.parametrize("declared", [Bounded(0.8, 1.5), InvariantUnder([swap])], ids=str)
@pytest.mark.parametrize("confidence", [None, 0.9])
def test_delivered_functions_keep_their_rate(declared, confidence: float | None) -> None:
    settings = {"confidence": confidence, "n_queries": 1, "random_state": 0}
    rows, fresh = (np.random.default_rng(seed).random((n, 3)) for seed, n in ((1, 1000), (2, 2000)))
    aligned = AlignedRegressor(WAVE, declared, alpha=0.1, **{"confidence": None, **settings}).calibrate(
        rows, X_reference=X[:400]
    )
    check_rate(aligned, fresh, 1000, 0.1, confidence)
    wider = AlignedRegressor(WAVE, declared, alpha=0.2, **{"confidence": None, **settings}).calibrate(
        rows, X_reference=X[:400]
    )
    assert wider.lambda_ <= aligned.lambda_


@pytest.mark.parametrize(
    "declared",
    [
        Rule([{0: 0.0}, {0: 0.5}], at_most_double, halve),
        AllOf(InvariantUnder([swap]), Increasing(2)),
        AllOf(InvariantUnder([swap]), LinearProperty([None, swap], [1, 1], 1)),
    ],
    ids=str,
)
@pytest.mark.parametrize("loss", ["line", "displacement"])
def test_losses_that_need_one_function_are_refused_where_none_is_known(declared, loss: str) -> None:
    with pytest.raises(InputError, match=f"loss='{loss}' needs to know on which points one function has the property"):
        AlignedRegressor(WAVE, declared, loss=loss, n_knots=8, confidence=None).calibrate(SET[:300])


def test_existence_is_refused_for_a_rule() -> None:
    with pytest.raises(InputError, match="a rule that only says yes or no"):
        AlignedRegressor(
            WAVE, Rule([{0: 0.0}, {0: 0.5}], at_most_double, halve), loss="existence", confidence=None
        ).calibrate(SET)


# Rules --------------------------------------------------------------------------------------------------------------


def test_a_rule_without_projection_audits_only() -> None:
    rule = Rule([{0: 0.0}, {0: 0.5}], at_most_double)
    audit = check(WAVE, X, rule, random_state=0)
    f = np.stack([WAVE.predict(np.column_stack([np.full(len(X), a), X[:, 1:]])) for a in (0.0, 0.5)], axis=1)
    assert audit.violations.rate == pytest.approx(1 - at_most_double(f).mean(), abs=0.1)
    assert audit.worst.excess is None
    assert "too much by" not in audit.sentence
    assert audit.to_json()
    for rows in (X, SET):  # also where no row is a point of its orbit
        with pytest.raises(InputError, match="has no projection, so a model can be audited by it but not aligned"):
            AlignedRegressor(WAVE, rule, alpha=0).calibrate(rows[:200])


def no_number(values: np.ndarray) -> np.ndarray:
    return np.full(values.shape, np.nan)


@pytest.mark.parametrize(
    ("rule", "error", "words"),
    [
        (lambda a, p: Rule(a, lambda v: v > 0, p), InputError, r"accept of .* returned shape"),
        (lambda a, p: Rule(a, lambda v: v[:, 0], p), InputError, "expected one true or false for each row"),
        (
            lambda a, _: Rule(a, at_most_double, lambda v: v[:, 0]),
            PredictionError,
            "the projection of .* returned shape",
        ),
        (lambda a, _: Rule(a, at_most_double, no_number), PredictionError, "numbers that are not finite"),
    ],
)
def test_a_rule_that_answers_wrongly_is_refused(rule, error, words: str) -> None:
    with pytest.raises(error, match=words):
        AlignedRegressor(WAVE, rule([{0: 0.0}, {0: 0.5}], halve), confidence=None).calibrate(SET)


def writes(values: np.ndarray) -> np.ndarray:
    values[:] = 0.0
    return np.zeros(len(values), dtype=bool)


def test_a_rule_may_write_into_what_it_is_given() -> None:
    assert check(WAVE, X, Rule([None], writes), random_state=0).violations.rate == 1.0


@pytest.mark.filterwarnings("ignore:the repaired model still breaks:alignconf.PropertyWarning")
def test_a_projection_that_does_not_reach_acceptance_is_counted() -> None:
    half_way = Rule([{0: 0.0}, {0: 0.5}], at_most_double, lambda v: 0.5 * v + 0.5 * halve(v))
    full = AlignedRegressor(WAVE, half_way, alpha=0).calibrate(SET[:300]).certify(SET[300:])
    assert full.delivered.n_rejected == full.before.n_rejected > 0
    with pytest.raises(CalibrationError, match="stay violated at any half-width"):
        AlignedRegressor(WAVE, half_way, random_state=0, confidence=None).calibrate(SET[:300])


@pytest.mark.parametrize("rows", [X, SET], ids=["elsewhere", "at its points"])
def test_a_rule_has_half_widths_like_its_inequality(rows: np.ndarray) -> None:
    rule = Rule([{0: 0.0}, {0: 0.5}], at_most_double, halve)
    same = LinearProperty([{0: 0.0}, {0: 0.5}], [-2, 1])
    for alpha in (0.05, 0.1, 0.3):
        opaque, exact = (
            AlignedRegressor(WAVE, it, alpha=alpha, random_state=0, confidence=None).calibrate(rows[:400])
            for it in (rule, same)
        )
        levels = np.array([0.0, *opaque.alignment_.tester.parts[0].half_widths])
        assert opaque.lambda_ in levels
        assert exact.lambda_ <= opaque.lambda_ * (1 + 1e-9)
        below = levels[levels < opaque.lambda_].max(initial=0.0)
        assert below <= exact.lambda_ * (1 + 1e-9)


@pytest.mark.parametrize("alpha", [0, 0.3])
def test_a_point_that_lacks_a_constrained_feature_is_asked_as_it_is_delivered(alpha: float) -> None:
    """Swapping moves what is missing: such points keep the model's value, and the certificate says so."""
    rows = X.copy()
    rows[::5, 1] = np.nan
    model = Given(lambda it: np.nan_to_num(it[:, 0], nan=0.3) - it[:, 2])
    declared = AllOf(Increasing(0), InvariantUnder([swap], tol=0.01), Bounded(-0.1, 2))
    aligned = AlignedRegressor(model, declared, alpha=alpha, n_knots=8, random_state=0, confidence=None)
    aligned.calibrate(rows[:300], X_reference=0.999 * X[:200])
    certificate = aligned.certify(rows[300:])
    here, there = aligned.predict(rows[300:]), aligned.predict(swap(rows[300:]))
    wrong = (np.abs(here - there) > 0.01 + 1e-9) | (here < -0.1)
    assert certificate.delivered.n_rejected >= wrong[np.isfinite(rows[300:, 0])].sum()
