"""What is refused: with an error of the documented class that says what is wrong and what to do, and nothing changed.

Every refusal is tried on a fresh object and on one that is already calibrated; afterwards the object must hold the very
same things as before, in the same state.
"""

import pickle
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression

from alignconf import (
    AlignConfError,
    AlignedRegressor,
    CalibrationError,
    InputError,
    NotCalibratedError,
    PredictionError,
    check,
)
from alignconf.errors import PropertyWarning
from alignconf.properties import AllOf, Concave, Decreasing, Increasing, declare

RANDOM = np.random.default_rng(0)
X = RANDOM.random((100, 4))
REFERENCE = RANDOM.random((30, 4))
FRAME = pd.DataFrame(X, columns=list("abcd"))


class Model:
    """Predicts with numpy, whatever the columns; ``answer`` replaces what it says."""

    def __init__(self, answer=None):
        self.answer = answer

    def predict(self, X):
        values = np.sin(9 * np.asarray(X, dtype=float)[:, 0])
        return values if self.answer is None else self.answer(values)


class Unpicklable(Model):
    """A model around a lambda, reduced to its type where an object's state is compared."""

    def __reduce__(self):
        return Unpicklable, ()


class Anything:
    """Predicts whatever the types of the columns."""

    def predict(self, X):
        return np.zeros(len(X))


class Broken:
    def predict(self, X):  # noqa: ARG002
        raise OSError("the model's own trouble")


class Trainable(RegressorMixin, BaseEstimator):
    """Counts how often any of its clones is fitted."""

    fitted = 0

    def fit(self, X, y):  # noqa: ARG002
        Trainable.fitted += 1
        return self

    def predict(self, X):
        return np.asarray(X, dtype=float)[:, 0]


def snapshot(aligned):
    """Return what an object holds: the objects themselves, and their contents."""
    held = vars(aligned)
    return {name: id(value) for name, value in held.items()}, {name: pickle.dumps(held[name]) for name in sorted(held)}


@contextmanager
def refused(aligned, error, *words):
    """Expect an error whose message holds all the words, and an object that is as it was."""
    before = snapshot(aligned)
    with pytest.raises(error) as caught:
        yield caught
    message = str(caught.value)
    for word in words:
        assert word in message, f"{word!r} is not in {message!r}"
    assert isinstance(caught.value, AlignConfError)
    assert isinstance(caught.value, NotFittedError if error is NotCalibratedError else ValueError)
    assert snapshot(aligned) == before


def works_or_is_refused(aligned, word, rows, **reference):
    """Return whether rows calibrate and are predicted, or else are refused with a message that holds a word."""
    try:
        predicted = aligned.calibrate(rows, **reference).predict(rows)
    except InputError as error:
        return word in str(error) and not hasattr(aligned, "lambda_")
    return predicted.shape == (len(rows),)


@pytest.fixture(params=["fresh", "calibrated"])
def aligned(request):
    """A good object, before or after it was calibrated."""
    good = AlignedRegressor(Model(), {0: 1}, n_knots=8, n_queries=2, random_state=0, confidence=None)
    return good if request.param == "fresh" else good.calibrate(X)


@pytest.fixture
def calibrated():
    return AlignedRegressor(Model(), {0: 1}, n_knots=8, n_queries=2, random_state=0, confidence=None).calibrate(X)


# ---------------------------------------------------------------------------------------------------------------------
# Parameters
# ---------------------------------------------------------------------------------------------------------------------
BAD_LEVELS = [1, 1.5, -0.1, np.nan, np.inf, True, False, "0.1", [0.1], 1j]
BAD_COUNTS = [1, 0, -5, 2.5, 8.0, np.nan, True, "8", None]


@pytest.mark.parametrize(
    ("parameter", "value", "words"),
    [
        *[("alpha", value, ["alpha must be a number in [0, 1)"]) for value in [*BAD_LEVELS, None]],
        ("alpha", {"a": 0.1}, ["alpha must be a number in [0, 1), or one number in (0, 1) for each property"]),
        *[("confidence", value, ["confidence must be a number in (0, 1)"]) for value in [*BAD_LEVELS, 0]],
        *[("n_knots", value, ["n_knots must be a whole number of at least 2"]) for value in BAD_COUNTS],
        *[("n_queries", value, ["n_queries must be a whole number of at least 1"]) for value in BAD_COUNTS[1:]],
        *[
            ("loss", value, ["loss must be one of 'delivered', 'line', 'displacement', 'existence'"])
            for value in ["deliver", "Delivered", "", None, 1, ["line"]]
        ],
        *[("projection", value, ["projection must be one of 'l2', 'sup'"]) for value in ["l1", "L2", None, 2]],
        *[
            ("random_state", value, ["random_state must be a whole number of at least 0"])
            for value in [-1, 1.5, "seed", True]
        ],
        ("estimator", RandomForestRegressor, ["estimator must be a fitted regressor", "predict"]),
        ("estimator", None, ["estimator must be a fitted regressor", "None", "NoneType"]),
        ("estimator", "forest", ["estimator must be a fitted regressor", "'forest' of type str"]),
    ],
    ids=lambda value: None if isinstance(value, list) else repr(value)[:20],
)
def test_bad_parameters(aligned, parameter, value, words):
    aligned.set_params(**{parameter: value})
    if parameter not in ("estimator", "loss", "projection"):
        words = [*words, f"got {value!r} of type {type(value).__name__}"]
    elif parameter != "estimator":
        words = [*words, f"got {value!r}"]
    with refused(aligned, InputError, *words):
        aligned.calibrate(X)
    with refused(aligned, InputError, *words):
        aligned.fit(X, X[:, 0])


@pytest.mark.parametrize("value", [-1, 1.5, "seed", True])
def test_a_bad_seed_is_refused_even_where_nothing_is_drawn(aligned, value):
    aligned.set_params(random_state=value, alpha=0)
    with refused(aligned, InputError, "random_state must be a whole number of at least 0"):
        aligned.calibrate(X, X_reference=REFERENCE)


@pytest.mark.parametrize("value", [1, 0, 1.5, np.nan, True, "0.95", None])
def test_bad_confidence_of_certificates_and_audits(calibrated, value):
    words = ["confidence must be a number in (0, 1)", f"got {value!r} of type {type(value).__name__}"]
    with refused(calibrated, InputError, *words):
        calibrated.certify(X, confidence=value)
    with pytest.raises(InputError, match=r"confidence must be a number in \(0, 1\)"):
        check(Model(), X, {0: 1}, confidence=value)


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({}, ["properties declares nothing", "{}", "write for example"]),
        ([], ["properties declares nothing", "[]"]),
        ({0: 0}, ["properties declares nothing", "{0: 0}"]),
        ({0: []}, ["properties declares nothing"]),
        (None, ["properties must be a property", "got None of type NoneType"]),
        ("increasing", ["properties must be a property", "'increasing' of type str"]),
        (1, ["properties must be a property", "1 of type int"]),
        ({0: "up"}, ["feature 0 to 'up'", "'increasing'", "'decreasing'", "0 for nothing"]),
        ({0: 2}, ["feature 0 to 2", "Write one of"]),
        ({0: np.nan}, ["feature 0 to nan"]),
        ({0: True}, ["feature 0 to True"]),
        ({0: None}, ["feature 0 to None"]),
        ({0: [1, "up"]}, ["feature 0 to 'up'"]),
        ({0: Increasing}, ["feature 0 to", "or a property such as Increasing"]),
        ({0: Increasing(1)}, ["maps feature 0 to Increasing(1)", "about 1", "use the same feature"]),
        ([Increasing(0), "increasing"], ["AllOf takes properties", "'increasing' of type str"]),
        ([Increasing], ["AllOf takes properties"]),
        ({frozenset("a"): 1}, ["feature must be a column name or a column position", "of type frozenset"]),
        ({True: 1}, ["feature must be a column name", "True of type bool"]),
        ({1.5: 1}, ["feature must be a column name", "1.5 of type float"]),
    ],
    ids=repr,
)
def test_bad_properties(aligned, properties, words):
    aligned.set_params(properties=properties)
    with refused(aligned, InputError, *words):
        aligned.calibrate(X)
    with pytest.raises(InputError):
        declare(properties)
    with pytest.raises(InputError):
        check(Model(), X, properties)


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ("low", ["order of feature 'a' must list the categories from first to last", "'low'", "write for example"]),
        (3, ["order of feature 'a' must list the categories"]),
        (["low"], ["at least two categories, each once", "['low']"]),
        ([], ["at least two categories, each once"]),
        (["low", "high", "low"], ["each once", "['low', 'high', 'low']"]),
        ([["low"], ["high"]], ["order of feature 'a'"]),
    ],
)
def test_bad_orders(order, words):
    for kind in (Increasing, Decreasing):
        with pytest.raises(InputError) as caught:
            kind("a", order=order)
        for word in words:
            assert word in str(caught.value)


def test_a_conjunction_of_nothing():
    with pytest.raises(InputError, match="AllOf needs at least one property, got none; write for example"):
        AllOf()


@pytest.mark.parametrize("properties", [dict.fromkeys(range(4), "concave"), [Concave(i) for i in range(4)]])
def test_more_than_three_features_are_too_many_to_repair_but_not_to_audit(aligned, properties):
    aligned.set_params(properties=properties)
    with refused(
        aligned, InputError, "4 features ", "would share a grid", "at most 3", "Declare rules in", "projector="
    ):
        aligned.calibrate(X)
    assert check(Model(), X, properties, random_state=0).violations.n_rejected > 0


# ---------------------------------------------------------------------------------------------------------------------
# Features and tables
# ---------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("table", "feature", "words"),
    [
        (FRAME, "bmi", ["feature 'bmi' is not in X", "'a', 'b', 'c', 'd'"]),
        (FRAME, 4, ["feature 4 is not in X", "'a', 'b', 'c', 'd'"]),
        (X, 4, ["feature 4 is not in X", "positions 0 to 3"]),
        (X, -1, ["feature -1 is not in X", "positions 0 to 3"]),
        (X, "a", ["feature 'a' is not in X", "without column names", "a position from 0 to 3", "pass a data frame"]),
    ],
)
def test_unknown_features(aligned, table, feature, words):
    aligned.set_params(properties={feature: 1})
    for alpha in (0, 0.1):
        aligned.set_params(alpha=alpha)
        with refused(aligned, InputError, *words):
            aligned.calibrate(table)
    with pytest.raises(InputError, match="is not in X"):
        check(Model(), table, {feature: 1})


def test_duplicate_column_names_need_a_position(aligned):
    frame = pd.DataFrame(X, columns=["a", "b", "a", "c"])
    aligned.set_params(properties={"a": 1})
    with refused(aligned, InputError, "X has 2 columns named 'a'", "give the feature by its position"):
        aligned.calibrate(frame)
    aligned.set_params(properties={0: 1})
    assert aligned.calibrate(frame).lambda_ > 0


TABLES = [
    (X[:, 0], ["1 dimension(s)", "shape (100,)", "X.reshape(-1, 1)"]),
    (X[None], ["3 dimension(s)", "shape (1, 100, 4)"]),
    (np.float64(3), ["0 dimension(s)"]),
    (FRAME["a"], ["1 dimension(s)"]),
    (X[:, :0], ["no columns", "(100, 0)"]),
    (FRAME[[]], ["no columns"]),
    (sparse.csr_matrix(X), ["sparse", ".toarray()"]),
    (sparse.coo_array(X), ["sparse", ".toarray()"]),
]


@pytest.mark.parametrize(("table", "words"), TABLES, ids=lambda value: None if isinstance(value, list) else "table")
def test_bad_tables(aligned, table, words):
    with refused(aligned, InputError, "X ", *words):
        aligned.calibrate(table)
    with refused(aligned, InputError, "X_reference ", *words):
        aligned.calibrate(X, X_reference=table)
    with refused(aligned, InputError, "X ", *words):
        aligned.fit(table, np.zeros(100))
    with pytest.raises(InputError):
        check(Model(), table, {0: 1})
    if hasattr(aligned, "lambda_"):
        for method in (aligned.predict, aligned.predict_band, aligned.certify):
            with refused(aligned, InputError, "X ", *words):
                method(table)


def test_frames_of_other_libraries(aligned):
    class Foreign:
        columns = ("a", "b")
        shape = (2, 2)

    with refused(aligned, InputError, "Foreign", "expected a numpy array or a data frame", ".to_pandas()"):
        aligned.calibrate(Foreign())


@pytest.mark.parametrize("alpha", [0, 0.1])
@pytest.mark.parametrize("empty", [X[:0], FRAME[:0]], ids=["array", "frame"])
def test_zero_rows(aligned, empty, alpha):
    aligned.set_params(alpha=alpha)
    error, word = (CalibrationError, "0 rows cannot support alpha=0.1") if alpha else (InputError, "0 reference rows")
    with refused(aligned, error, word):
        aligned.calibrate(empty)
    if alpha:
        with refused(aligned, CalibrationError, "0 rows cannot support alpha=0.1: at least 9 calibration rows"):
            aligned.calibrate(X[:0], X_reference=REFERENCE)
    with refused(aligned, InputError, "X_reference has no rows"):
        aligned.calibrate(X, X_reference=empty)
    with pytest.raises(InputError, match="X has no rows"):
        check(Model(), empty, {0: 1})
    if hasattr(aligned, "lambda_"):
        for method in (aligned.predict, aligned.predict_band, aligned.certify):
            with refused(aligned, InputError, "X has no rows"):
                method(empty)


@pytest.mark.parametrize("column", [np.full(100, 3.0), np.full(100, np.nan)], ids=["constant", "missing"])
@pytest.mark.parametrize("alpha", [0, 0.1])
def test_a_feature_that_does_not_vary(aligned, column, alpha):
    rows = X.copy()
    rows[:, 0] = column
    held = "only the value 3.0" if column[0] == 3 else "no value at all"
    aligned.set_params(alpha=alpha)
    with refused(aligned, InputError, "feature 0", held, "reference rows", "drop the property"):
        aligned.calibrate(rows)
    with refused(aligned, InputError, "feature 0", held, "100 reference rows"):
        aligned.calibrate(X, X_reference=rows)
    with pytest.raises(InputError, match=held):
        check(Model(), rows, {0: 1})


def test_infinite_reference_values(aligned):
    rows = X.copy()
    rows[::2, 0] = np.inf
    with refused(aligned, InputError, "feature 0 has infinite values", "expected finite ones"):
        aligned.calibrate(X, X_reference=rows)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (
            FRAME[list("abc")],
            ["missing ['d']", "Hand over the columns that are missing, in any order"],
        ),
        (FRAME.rename(columns={"d": "e"}), ["missing ['d']", "not seen before ['e']"]),
        (X[:, :3], ["3 features", "expecting 4"]),
        (np.c_[X, X], ["8 features", "expecting 4"]),
    ],
    ids=["fewer", "renamed", "fewer, array", "more, array"],
)
def test_other_columns_than_at_calibration(table, words):
    aligned = AlignedRegressor(Model(), {"a": 1}, random_state=0, confidence=None).calibrate(FRAME)
    for method in (aligned.predict, aligned.predict_band, aligned.certify):
        with refused(aligned, InputError, *words):
            method(table)
    with refused(aligned, InputError, "X_reference", *words):
        aligned.calibrate(FRAME, X_reference=table)
    with pytest.raises(InputError, match="X_reference"):
        check(Model(), FRAME, {"a": 1}, X_reference=table)


def test_positions_are_checked_for_arrays_too(calibrated):
    for method in (calibrated.predict, calibrated.predict_band, calibrated.certify):
        with refused(calibrated, InputError, "X has 3 features, but AlignedRegressor is expecting 4"):
            method(X[:, :3])


# ---------------------------------------------------------------------------------------------------------------------
# Categories
# ---------------------------------------------------------------------------------------------------------------------
WORDS = ["low", "mid", "high"]
TEXT = pd.DataFrame({"level": RANDOM.choice(WORDS, 100), "x": X[:, 0]})


@pytest.mark.parametrize("alpha", [0, 0.1])
@pytest.mark.parametrize(
    ("table", "feature"),
    [
        (TEXT, "level"),
        (TEXT.assign(level=TEXT["level"].astype("category")), "level"),
        (TEXT.assign(level=TEXT["level"].where(TEXT.index % 3 > 0)), "level"),
        (TEXT.to_numpy(dtype=object), 0),
        (TEXT.to_numpy(dtype=str), 0),
        (TEXT.to_numpy(dtype=str), 1),
    ],
    ids=["text", "unordered dtype", "text with gaps", "objects", "strings", "numbers as strings"],
)
def test_text_without_an_order(table, feature, alpha):
    aligned = AlignedRegressor(Anything(), {feature: 1}, alpha=alpha, random_state=0, confidence=None)
    with refused(aligned, InputError, f"feature {feature!r} has values such as", "have no order", "order=[...]"):
        aligned.calibrate(table)
    with pytest.raises(InputError, match="have no order"):
        check(Anything(), table, {feature: 1})


def test_dates_are_refused_or_work():
    """A date has an order; if it is not supported as a feature, the refusal must say so."""
    frame = pd.DataFrame({"day": pd.date_range("2020-01-01", periods=100), "x": X[:, 0]})
    aligned = AlignedRegressor(Anything(), {"day": 1}, random_state=0, confidence=None)
    assert works_or_is_refused(aligned, "'day'", frame)


@pytest.mark.parametrize("alpha", [0, 0.1])
def test_a_category_outside_the_order(alpha):
    aligned = AlignedRegressor(
        Anything(), [Increasing("level", order=WORDS)], alpha=alpha, random_state=0, confidence=None
    )
    odd = TEXT.assign(level=TEXT["level"].where(TEXT.index != 7, "huge"))
    words = ["feature 'level' has the category 'huge'", "order=['low', 'mid', 'high']", "add it at its place"]
    with refused(aligned, InputError, *words):
        aligned.calibrate(odd)
    aligned.calibrate(TEXT)
    with refused(aligned, InputError, *words):
        aligned.calibrate(odd)
    with refused(aligned, InputError, *words):
        aligned.calibrate(TEXT, X_reference=odd)
    with refused(aligned, InputError, *words):
        aligned.predict(odd)
    with refused(aligned, InputError, *words):
        aligned.certify(odd)
    with pytest.raises(InputError, match="huge"):
        check(Anything(), odd, [Increasing("level", order=WORDS)])


def test_an_order_that_misses_a_category_of_the_dtype():
    frame = TEXT.assign(level=pd.Categorical(TEXT["level"], categories=WORDS, ordered=True))
    aligned = AlignedRegressor(Anything(), [Increasing("level", order=["low", "mid"])], random_state=0, confidence=None)
    with refused(aligned, InputError, "the category 'high'", "order=['low', 'mid']"):
        aligned.calibrate(frame)


def test_two_orders_of_one_feature():
    properties = [Increasing("level", order=WORDS), Decreasing("level", order=WORDS[::-1])]
    aligned = AlignedRegressor(Anything(), properties, random_state=0, confidence=None)
    with refused(aligned, InputError, "feature 'level' is declared with two orders", "give one order"):
        aligned.calibrate(TEXT)
    with pytest.raises(InputError, match="two orders"):
        check(Anything(), TEXT, properties)


def test_reference_rows_of_a_type_that_the_rows_cannot_hold():
    rows = pd.DataFrame({"n": pd.array(np.arange(100) % 7, dtype="Int64"), "x": X[:, 0]})
    reference = pd.DataFrame({"n": X[:30, 0], "x": X[:30, 1]})
    aligned = AlignedRegressor(Anything(), {"n": 1}, random_state=0, confidence=None)
    assert works_or_is_refused(aligned, "'n'", rows, X_reference=reference)


# ---------------------------------------------------------------------------------------------------------------------
# Too few rows, too many that nothing repairs
# ---------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("alpha", "confidence", "needed"),
    [
        (0.1, None, 9),
        (0.05, None, 19),
        (0.01, None, 99),
        (0.3, None, 3),
        (0.1, 0.95, 29),
        (0.05, 0.95, 59),
        (0.01, 0.95, 299),
    ],
)
def test_too_few_rows_for_alpha(aligned, alpha, confidence, needed):
    aligned.set_params(alpha=alpha, confidence=confidence)
    rows = np.random.default_rng(1).random((4 * needed + 4, 4))
    promise = f"alpha={alpha:g}" + (f" with confidence={confidence:g}" if confidence else "")
    words = [f"cannot support {promise}", f"at least {needed} calibration rows are needed", "Give more rows"]
    with refused(aligned, CalibrationError, f"{needed - 1} rows", *words):
        aligned.calibrate(rows[: needed - 1], X_reference=REFERENCE)
    with refused(aligned, CalibrationError, f"{needed + 1} rows", *words, "2 more for the reference law"):
        aligned.calibrate(rows[: needed + 1])
    too_few = AlignedRegressor(Trainable(), {0: 1}, alpha=alpha, confidence=confidence, random_state=0)
    with refused(too_few, CalibrationError, *words):
        too_few.fit(rows[: 2 * needed - 1], rows[: 2 * needed - 1, 0])
    # Exactly enough are enough.
    aligned.set_params(estimator=LinearRegression().fit(X, X[:, 0]))
    assert aligned.calibrate(rows[:needed], X_reference=REFERENCE).calibration_.n_rows == needed
    assert aligned.calibrate(rows[: needed + 2]).calibration_.n_rows == needed
    for n_samples in (2 * needed, 4 * needed):
        assert aligned.fit(rows[:n_samples], rows[:n_samples, 0]).calibration_.n_rows == needed


def test_rows_with_a_missing_constrained_value_do_not_count(aligned):
    rows = X[:20].copy()
    rows[:12, 0] = np.nan
    with refused(aligned, CalibrationError, "8 rows cannot support alpha=0.1", "at least 9"):
        aligned.calibrate(rows, X_reference=REFERENCE)
    if hasattr(aligned, "lambda_"):
        with refused(aligned, InputError, "no row with a constrained feature present"):
            aligned.certify(rows[:12])


def test_an_alpha_too_small_for_any_number_of_rows(aligned):
    aligned.set_params(alpha=1e-17, confidence=0.9)
    with refused(aligned, CalibrationError, "100 rows cannot support alpha=1e-17 with confidence=0.9"):
        aligned.calibrate(X, X_reference=REFERENCE)


def test_all_rows_to_audit_lack_a_value():
    rows = X.copy()
    rows[:, 0] = np.nan
    with pytest.raises(InputError, match="X has no row to ask: all 100 rows"):
        check(Model(), rows, {0: 1}, X_reference=X)


@pytest.mark.parametrize("confidence", [None, 0.9])
def test_more_violations_between_two_knots_than_alpha_allows(aligned, confidence):
    """Two knots leave a wild model as it is between them: no half-width helps."""
    aligned.set_params(n_knots=2, n_queries=1, alpha=0.05, confidence=confidence)
    words = [
        "calibration queries stay violated at any half-width",
        "may be for alpha=0.05",
        "raise n_knots",
    ]
    with refused(aligned, CalibrationError, *words):
        aligned.calibrate(X, X_reference=REFERENCE)
    aligned.set_params(n_knots=30)
    assert aligned.calibrate(X, X_reference=REFERENCE).lambda_ > 0


# ---------------------------------------------------------------------------------------------------------------------
# The model's answers
# ---------------------------------------------------------------------------------------------------------------------
def some_bad(value):
    """Return what puts a value in place of the larger predictions only."""
    return lambda f: np.where(f > 0.9, value, f)


ANSWERS = {
    "nan": (lambda f: np.full(len(f), np.nan), ["returned nan in row 0", "expected finite numbers"]),
    "some nan": (some_bad(np.nan), ["returned nan in row", "values are not finite", "Check the model on those rows"]),
    "some inf": (some_bad(np.inf), ["returned inf in row", "values are not finite"]),
    "some -inf": (some_bad(-np.inf), ["returned -inf in row"]),
    "(n, 1, 1)": (lambda f: f[:, None, None], ["returned shape (", ", 1, 1)", "expected one number for each row"]),
    "(n, 2)": (lambda f: np.c_[f, f], [", 2)", "expected one number for each row"]),
    "scalar": (lambda f: 3.0, ["returned shape ()", "expected one number for each row"]),
    "None": (lambda f: None, ["returned None"]),
    "too long": (lambda f: np.r_[f, 0.0], ["expected one number for each row"]),
    "too short": (lambda f: f[1:], ["expected one number for each row"]),
    "text": (lambda f: np.where(f > 0, "yes", "no"), ["values of type <U3", "expected numbers", "classifier"]),
    "objects": (lambda f: f.astype(object), ["values of type object", "expected numbers"]),
    "complex": (lambda f: f + 1j, ["values of type complex128", "expected numbers"]),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_models_that_do_not_answer_with_one_finite_number_for_each_row(calibrated, answer):
    function, words = ANSWERS[answer]
    fresh = AlignedRegressor(Unpicklable(function), {0: 1}, random_state=0, confidence=None)
    with refused(fresh, PredictionError, "Unpicklable.predict", *words):
        fresh.calibrate(X)
    full_strength = AlignedRegressor(Unpicklable(function), {0: 1}, alpha=0, random_state=0)
    with pytest.raises(PredictionError):
        full_strength.calibrate(X).predict(X)
    calibrated.set_params(estimator=Unpicklable(function))
    with refused(calibrated, PredictionError, "Unpicklable.predict", *words):
        calibrated.calibrate(X)
    with pytest.raises(PredictionError):
        check(Unpicklable(function), X, {0: 1}, random_state=0)


def test_a_model_that_goes_wrong_after_calibration():
    switched = Unpicklable()
    aligned = AlignedRegressor(switched, {0: 1}, random_state=0, confidence=None).calibrate(X)
    expected = aligned.predict(X)
    for function, words in ANSWERS.values():
        switched.answer = function
        for method in (aligned.predict, aligned.predict_band, aligned.certify):
            with refused(aligned, PredictionError, *words):
                method(X + 1e-3)
    switched.answer = None
    np.testing.assert_array_equal(aligned.predict(X), expected)


def test_the_models_own_exceptions_pass_through(aligned):
    aligned.set_params(estimator=Broken())
    for reference in (None, REFERENCE):
        before = snapshot(aligned)
        with pytest.raises(OSError, match="the model's own trouble"):
            aligned.calibrate(X, X_reference=reference)
        assert snapshot(aligned) == before
    with pytest.raises(OSError, match="the model's own trouble"):
        check(Broken(), X, {0: 1})


def test_an_estimator_that_is_not_fitted_says_so_itself(aligned):
    aligned.set_params(estimator=LinearRegression())
    before = snapshot(aligned)
    with pytest.raises(NotFittedError, match="LinearRegression"):
        aligned.calibrate(X)
    assert snapshot(aligned) == before


def test_an_estimator_that_cannot_be_fitted_leaves_everything_as_it_was(aligned):
    aligned.set_params(estimator=LinearRegression())
    before = snapshot(aligned)
    with pytest.raises(ValueError, match="NaN"):
        aligned.fit(X, np.full(100, np.nan))
    assert snapshot(aligned) == before


@pytest.mark.parametrize("model", [None, Model, RandomForestRegressor, 3], ids=repr)
def test_audits_need_a_model(model):
    with pytest.raises(InputError, match="model must be a fitted regressor, an object with a predict method"):
        check(model, X, {0: 1})


# ---------------------------------------------------------------------------------------------------------------------
# Order of calls, labels
# ---------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("method", ["predict", "predict_band", "certify"])
def test_calls_before_calibration(method):
    aligned = AlignedRegressor(Model(), {0: 1}, random_state=0, confidence=None)
    with refused(aligned, NotCalibratedError, "AlignedRegressor has no lambda_ yet", "calibrate(X)", "fit(X, y)"):
        getattr(aligned, method)(X)
    with pytest.raises(NotCalibratedError):
        aligned.score(X, X[:, 0])


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (np.zeros(99), ["y has shape (99,)", "shape (100,)"]),
        (np.zeros((100, 1)), ["y has shape (100, 1)", "one label for each row"]),
        (3.0, ["y has shape ()"]),
        (np.where(np.arange(100) == 4, np.nan, 0), ["y must be finite", "nan in row 4", "1 of 100", "drop or impute"]),
        (np.where(np.arange(100) == 4, np.inf, 0), ["y must be finite", "inf in row 4"]),
        (["a"] * 100, ["y must be numbers"]),
    ],
)
def test_bad_labels_of_a_certificate(calibrated, y, words):
    with refused(calibrated, InputError, *words):
        calibrated.certify(X, y)


def test_labels_of_another_length_at_fit(aligned):
    for estimator in (LinearRegression(), FrozenEstimator(LinearRegression().fit(X, X[:, 0]))):
        aligned.set_params(estimator=estimator)
        with refused(aligned, InputError, "y has shape (99,)", "100 rows of X"):
            aligned.fit(X, np.zeros(99))


@pytest.mark.parametrize(
    ("properties", "table", "words"),
    [
        ({9: 1}, X, ["feature 9 is not in X"]),
        (dict.fromkeys(range(4), "convex"), X, ["at most 3"]),
        ({0: 1}, np.c_[np.ones(100), X[:, 1:]], ["only the value"]),
        ({"level": 1}, TEXT, ["have no order"]),
        ([Increasing("level", order=["low", "mid"])], TEXT, ["the category 'high'"]),
    ],
    ids=["unknown feature", "four features", "constant feature", "no order", "category outside the order"],
)
def test_fit_refuses_before_it_trains(properties, table, words):
    """Training may take hours: what can be refused from the declaration and the rows alone is refused before it."""
    aligned = AlignedRegressor(Trainable(), properties, random_state=0, confidence=None)
    Trainable.fitted = 0
    with refused(aligned, InputError, *words):
        aligned.fit(table, np.zeros(100))
    assert Trainable.fitted == 0


# ---------------------------------------------------------------------------------------------------------------------
# Legal, but worth a word
# ---------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ({"a": [1, -1]}, "invariant in 'a'"),
        ([Increasing("a"), Decreasing("b"), Decreasing("a")], "invariant in 'a'"),
        ([Increasing("a"), Decreasing(0)], "must not depend on"),
    ],
    ids=repr,
)
def test_increasing_and_decreasing_in_one_feature_warns_where_it_was_declared(properties, said):
    def calls():
        frozen = FrozenEstimator(LinearRegression().fit(FRAME, X[:, 1]))
        yield lambda: AlignedRegressor(Model(), properties, n_knots=6, random_state=0, confidence=None).calibrate(FRAME)
        yield lambda: AlignedRegressor(LinearRegression(), properties, n_knots=6, confidence=None).fit(FRAME, X[:, 1])
        yield lambda: AlignedRegressor(frozen, properties, n_knots=6, confidence=None).fit(FRAME, X[:, 1])
        yield lambda: check(Model(), FRAME, properties, random_state=0)

    for call in calls():
        with pytest.warns(PropertyWarning, match=said) as warned:
            call()
        assert len(warned) == 1
        assert "legal" in str(warned[0].message)
        assert warned[0].filename == __file__
