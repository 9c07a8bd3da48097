"""What people type works: the words, numbers, functions and classes that they know from elsewhere, with one meaning each."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from functools import partial
from math import sqrt
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student_t
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss, mean_absolute_error, mean_poisson_deviance, mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeRegressor

import alignconf
from alignconf import AlignedClassifier, AlignedRegressor, InputError, PredictionError, check
from alignconf.calibration.levels import read_levels
from alignconf.command.arguments import parser
from alignconf.deployment.search import search
from alignconf.deployment.slices import find_slices
from alignconf.properties import Decreasing, Elasticity, Increasing, Invariant, Ordered, Unimodal, declare

RANDOM = np.random.default_rng(0)
X = RANDOM.random((400, 3))
Y = np.round(5 * X[:, 0] + np.sin(9 * X[:, 1])) + 2
TREE = DecisionTreeRegressor(max_depth=6, random_state=0).fit(X[:150], Y[:150])
FRESH, LABELS = X[300:], Y[300:]


# Words and directions -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "typed",
    [
        "(-1,0,1)",
        "( -1, 0, +1 )",
        "-1,0,1",
        [-1, 0, 1],
        (-1, 0, 1),
        np.array([-1, 0, 1]),
        [-1.0, 0.0, 1.0],
        np.int8([-1, 0, 1]),
    ],
    ids=str,
)
def test_directions_by_position_are_those_of_scikit_learn_and_xgboost(typed: Any) -> None:
    assert declare(typed) == declare({0: -1, 2: 1}) == declare([Decreasing(0), Increasing(2)])


@pytest.mark.parametrize("typed", ["(2,0)", "(1,a)", "up", "", [0, 0], [1, None], [True, False], "1" * 200])
def test_other_lists_and_texts_are_no_directions(typed: Any) -> None:
    with pytest.raises(InputError):
        declare(typed)


def test_levels_of_directions_by_position_are_a_mapping() -> None:
    levels = read_levels({0: 0.1, 1: 0.2}, [-1, 1])
    assert [level.declared for level in levels] == [Decreasing(0), Increasing(1)]


def test_aligned_and_checked_by_position() -> None:
    audits = [check(TREE, FRESH, typed, random_state=0).violations for typed in ("(1,0,0)", {0: 1}, [1, 0, 0])]
    assert audits[0] == audits[1] == audits[2]
    aligned = AlignedRegressor(TREE, "(0,1,0)", alpha=0, random_state=0).calibrate(X[150:300])
    assert check(aligned, FRESH, {1: "increasing"}, random_state=0).violations.n_rejected == 0


def test_invariant_is_a_word_everywhere() -> None:
    assert declare({"sex": "invariant"}) == Invariant("sex")
    assert str(Invariant("sex")) == "invariant in 'sex'"
    with pytest.raises(
        InputError, match=r"maps feature 'sex' to 'constant', which is no rule\. Did you mean 'invariant'\?"
    ):
        declare({"sex": "constant"})


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("up", r"Did you mean 'increasing'\?"),
        ("increasng", r"Did you mean 'increasing'\?"),
        ("down", r"Did you mean 'decreasing'\?"),
        ("plateau", r"which is not about a feature alone; write the property, Plateau\(\.\.\.\)"),
        ("slope-at-least", r"SlopeAtLeast\(\.\.\.\)"),
        (2, r"Write one of .*'increasing', .*, 1, -1, 0 for nothing, or a property such as Increasing\('a'\)"),
        ([10**5000], r"a whole number of 16,610 bits"),
    ],
    ids=["up", "misspelt", "down", "with a number", "with a dash", "a number", "a huge number"],
)
def test_a_word_that_is_none_is_answered_with_one_that_is(spec: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        declare({"a": spec})


# Categories without an order ------------------------------------------------------------------------------------------


def people(seed: int, n_rows: int, sexes: tuple[str, ...] = ("female", "male", "other")) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame({"sex": random.choice(sexes, n_rows), "age": random.uniform(20, 60, n_rows)})


def fitted_to_people() -> Any:
    train = people(0, 300)
    encode = make_column_transformer((OneHotEncoder(), ["sex"]), remainder="passthrough")
    return make_pipeline(encode, LinearRegression()).fit(train, train["age"] + 5 * (train["sex"] == "male"))


def test_what_must_not_matter_needs_no_order() -> None:
    model, rows = fitted_to_people(), people(1, 200)
    listed = Invariant("sex", order=["female", "male", "other"])
    for rule in ({"sex": "invariant"}, Invariant("sex")):
        assert (
            check(model, rows, rule, random_state=0).violations == check(model, rows, listed, random_state=0).violations
        )
    aligned = AlignedRegressor(model, {"sex": "invariant"}, alpha=0, random_state=0).calibrate(
        rows, X_reference=people(2, 80)
    )
    expected = AlignedRegressor(model, listed, alpha=0, random_state=0).calibrate(rows, X_reference=people(2, 80))
    np.testing.assert_array_equal(aligned.predict(people(3, 50)), expected.predict(people(3, 50)))


def test_a_category_of_the_reference_rows_alone_is_known() -> None:
    aligned = AlignedRegressor(fitted_to_people(), {"sex": "invariant"}, alpha=0.2, confidence=None, random_state=0)
    aligned.calibrate(people(1, 100, ("female", "male")), X_reference=people(2, 80))
    assert aligned.predict(people(3, 50)).shape == (50,)


def test_an_order_that_matters_is_still_asked_for() -> None:
    with pytest.raises(InputError, match=r"'sex' has values such as '\w+', which have no order"):
        check(fitted_to_people(), people(1, 100), {"sex": "increasing"})
    assert check(fitted_to_people(), people(1, 100), Ordered("sex", ["female", "male", "other"])) is not None


# Functions, columns and classes ---------------------------------------------------------------------------------------


class Called:
    """An object that is called."""

    def __call__(self, rows: Any) -> Any:
        return TREE.predict(rows)


class Opaque:
    """A model that says nothing of itself."""

    def predict(self, rows: Any) -> Any:
        return TREE.predict(rows)


def half(rows: Any, factor: float) -> Any:
    return factor * TREE.predict(rows)


@pytest.mark.parametrize(
    "function", [TREE.predict, lambda rows: TREE.predict(rows), Called(), partial(half, factor=1.0)]
)
def test_a_function_of_rows_is_a_model(function: Any) -> None:
    expected = check(TREE, FRESH, {1: 1}, random_state=0).violations
    assert check(function, FRESH, {1: 1}, random_state=0).violations == expected
    aligned = AlignedRegressor(function, {1: 1}, alpha=0.2, confidence=None, random_state=0).calibrate(X[150:300])
    black_box = AlignedRegressor(Opaque(), {1: 1}, alpha=0.2, confidence=None, random_state=0).calibrate(X[150:300])
    assert aligned.lambda_ == black_box.lambda_ > 0
    np.testing.assert_array_equal(aligned.predict(FRESH), black_box.predict(FRESH))
    with pytest.raises(InputError, match="fit"):
        AlignedRegressor(function, {1: 1}).fit(X, Y)


def test_a_function_that_fails_to_answer_is_named() -> None:
    with pytest.raises(PredictionError, match=r"shapeless returned shape"):
        check(shapeless, FRESH, {0: 1})


def shapeless(rows: Any) -> Any:  # noqa: ARG001
    return np.zeros((2, 2))


def test_one_column_is_one_number_for_each_row() -> None:
    audit = check(lambda rows: TREE.predict(rows)[:, None], FRESH, {1: 1}, random_state=0)
    assert audit.violations == check(TREE, FRESH, {1: 1}, random_state=0).violations


def test_a_class_is_named_where_a_model_is_checked() -> None:
    flowers, kinds = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[kinds]
    model = LogisticRegression(max_iter=1000).fit(flowers, names)
    assert check(model, flowers, {2: 1}, pos_label="virginica", random_state=0).violations.n_rejected == 0
    assert check(model, flowers, {2: 1}, pos_label="setosa", random_state=0).violations.rate > 0.9
    with pytest.raises(
        InputError, match=r"there are 3 classes; name the one whose probability is meant, pos_label='virginica'"
    ):
        check(model, flowers, {2: 1})
    with pytest.raises(InputError, match=r"pos_label 'rose' is not a class of the estimator; expected one of 'setosa'"):
        check(model, flowers, {2: 1}, pos_label="rose")
    with pytest.raises(
        InputError, match="pos_label='a' is for classifiers, and DecisionTreeRegressor has no predict_proba"
    ):
        check(TREE, FRESH, {0: 1}, pos_label="a")


# Errors that are certified --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def aligned() -> AlignedRegressor:
    return AlignedRegressor(TREE, {1: 1}, alpha=0.1, confidence=None, random_state=0).calibrate(X[150:300])


MEASURES = {"squared": mean_squared_error, "absolute": mean_absolute_error, "poisson": mean_poisson_deviance}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", MEASURES)
def test_the_error_is_that_of_scikit_learn(aligned: Any, name: str, weighted: bool) -> None:
    weights = np.random.default_rng(1).exponential(size=100) if weighted else None
    change = aligned.certify(FRESH, LABELS, error=name, sample_weight=weights).error
    for figure, predicted in ((change.before, TREE.predict(FRESH)), (change.after, aligned.predict(FRESH))):
        assert figure == pytest.approx(MEASURES[name](LABELS, predicted, sample_weight=weights), rel=1e-12)
    assert change.change == pytest.approx(change.after - change.before, abs=1e-12)


def test_the_interval_of_a_weighted_mean_is_that_of_a_ratio(aligned: Any) -> None:
    weights = np.random.default_rng(1).exponential(size=100)
    change = aligned.certify(FRESH, LABELS, sample_weight=weights).error
    of_rows = (aligned.predict(FRESH) - LABELS) ** 2 - (TREE.predict(FRESH) - LABELS) ** 2
    mean = np.average(of_rows, weights=weights)
    error = sqrt((weights**2 * (of_rows - mean) ** 2).sum() / weights.sum() ** 2 * 100 / 99)
    half_length = student_t.ppf(0.975, 99) * error
    assert change.interval == pytest.approx((mean - half_length, mean + half_length), rel=1e-9)
    same = aligned.certify(FRESH, LABELS, sample_weight=np.full(100, 3.0)).error
    assert same.interval == pytest.approx(aligned.certify(FRESH, LABELS).error.interval)


def test_a_function_is_an_error(aligned: Any) -> None:
    def largest(y: Any, f: Any) -> Any:
        return np.maximum(np.abs(y - f), 1)

    change = aligned.certify(FRESH, LABELS, error=largest).error
    assert change.measure == "mean of largest"
    assert change.before == pytest.approx(largest(LABELS, TREE.predict(FRESH)).mean())


def test_errors_of_probabilities_are_those_of_scikit_learn() -> None:
    classes = np.where(Y > 3, "high", "low")
    model = LogisticRegression().fit(X[:150], classes[:150])
    aligned = AlignedClassifier(model, {0: 1}, pos_label="low", alpha=0.1, confidence=None, random_state=0).calibrate(
        X[150:300]
    )
    p = aligned.predict_proba(FRESH)
    by_default, brier = (aligned.certify(FRESH, classes[300:], **how).error for how in ({}, {"error": "squared"}))
    assert by_default.after == pytest.approx(log_loss(classes[300:], p))
    assert brier.after == pytest.approx(2 * brier_score_loss(classes[300:], p[:, 1], pos_label="low"))
    own = aligned.certify(FRESH, classes[300:], error=lambda y, q: 1.0 - q[:, 0] * (y == "high")).error
    assert own.after == pytest.approx((1 - p[:, 0] * (classes[300:] == "high")).mean())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"error": "rmse"}, r"error must be one of 'squared', 'absolute', 'poisson', or a function"),
        ({"error": lambda y, f: 1.0}, r"error returned shape \(\)"),
        ({"error": lambda y, f: np.full(len(y), np.nan)}, r"0 values of it finite, for 100 rows"),
        ({"sample_weight": np.ones(3)}, r"sample_weight has shape \(3,\); expected 100 finite numbers"),
        ({"sample_weight": -np.ones(100)}, r"sample_weight"),
        ({"sample_weight": np.zeros(100)}, r"not all of them 0"),
        ({"y": None, "error": "squared"}, r"y is missing"),
        ({"y": LABELS - 9, "error": "poisson"}, r"error='poisson' is for labels of at least 0"),
    ],
)
def test_other_errors_and_weights_are_refused(aligned: Any, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        aligned.certify(FRESH, **{"y": LABELS, **arguments})


# Labels at calibration, switches, levels ------------------------------------------------------------------------------


def test_labels_may_be_handed_to_calibration_and_change_nothing(aligned: Any) -> None:
    again = AlignedRegressor(TREE, {1: 1}, alpha=0.1, confidence=None, random_state=0).calibrate(X[150:300], Y[150:300])
    assert again.lambda_ == aligned.lambda_
    with pytest.raises(InputError, match=r"y has 30 labels and X 150 rows; .* go to X_reference"):
        again.calibrate(X[150:300], X[:30])


@pytest.mark.parametrize(("name", "value"), [("n_jobs", "many"), ("n_jobs", 0), ("verbose", "loud")])
def test_switches_of_check_are_checked(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=name):
        check(TREE, FRESH, {0: 1}, **{name: value})


@pytest.mark.parametrize(
    "level",
    [Fraction(1, 10**400), 1 - Fraction(1, 10**400), 1 - Fraction(1, 10**17)],
    ids=["near 0", "near 1", "nearer 1"],
)
def test_a_fraction_that_no_float_tells_from_0_or_1_is_no_level(level: Fraction) -> None:
    with pytest.raises(InputError, match="alpha must be a number"):
        read_levels(level, {0: 1})
    with pytest.raises(InputError, match="confidence must be a number"):
        check(TREE, FRESH, {0: 1}, confidence=level)


def test_the_program_says_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["--version"])
    assert capsys.readouterr().out == f"alignconf {alignconf.__version__}\n"


def test_a_gate_hides_its_own_frames(tmp_path: Any) -> None:
    (tmp_path / "test_gate_of_theirs.py").write_text(
        "import numpy as np\nfrom alignconf.testing import assert_property\n"
        "def test_falls():\n    assert_property(lambda X: -X[:, 0], np.random.default_rng(0).random((50, 1)), {0: 1})\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True, text=True, check=False, cwd=tmp_path, env={"PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    assert "NotShown" in done.stdout
    assert "raise NotShown" not in done.stdout


# Swapped, and left out ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rules", [{0: "increasing"}, Increasing(0), [Increasing(0), Decreasing(1)]], ids=str)
def test_swapped_arguments_are_named(rules: Any) -> None:
    for kind, model in ((AlignedRegressor, TREE), (AlignedClassifier, LogisticRegression())):
        with pytest.raises(
            InputError, match=rf"swapped: got rules for estimator and a model for .*{kind.__name__}\(model, rules\)"
        ):
            kind(rules, model).calibrate(X)
        with pytest.raises(InputError, match="swapped"):
            kind(rules, model).fit(X, Y)
    with pytest.raises(
        InputError, match=r"swapped: got rules for X and rows for properties\. Write check\(model, X, rules\)"
    ):
        check(TREE, rules, X)
    with pytest.raises(InputError, match="swapped: got rules for model and a model for X and rows for properties"):
        check(rules, TREE, X)
    for find in (search, find_slices):
        with pytest.raises(InputError, match=rf"swapped: got rows for model and a model for X\. Write {find.__name__}"):
            find(X, TREE, rules)


def test_what_is_in_its_place_is_not_said_to_be_swapped() -> None:
    quantiles = {0.1: TREE, 0.9: TREE}
    AlignedRegressor(quantiles, {0: 1}, alpha=0, random_state=0).calibrate(X[150:300])
    for wrong in ("rules", 3, None, X):
        with pytest.raises(InputError) as refused:
            check(TREE, X, wrong)
        assert "swapped" not in str(refused.value)


def test_categories_in_place_of_rules_are_said_to_be_ordered() -> None:
    with pytest.raises(InputError, match=r"none of which is a rule.*write Ordered\('g', \['A', 'B', 'C'\]\)\."):
        declare({"g": ["A", "B", "C"]})
    with pytest.raises(InputError, match=r"to 'increasin', which is no rule\. Did you mean 'increasing'\?"):
        declare({"g": ["increasin", "konvex"]})
    assert declare({"g": [Ordered("g", ["A", "B"]), 0]}) == Ordered("g", ["A", "B"])


@pytest.mark.parametrize(
    ("rule", "meant"),
    [
        (Elasticity(-2, -0.5), "Elasticity('price', -2, -0.5)"),
        (Unimodal(21), "Unimodal('price', peak=21)"),
    ],
    ids=str,
)
def test_a_feature_that_was_left_out_is_put_in_front(rule: Any, meant: str) -> None:
    with pytest.raises(InputError) as refused:
        declare({"price": rule})
    assert f"a property names its feature first: write {meant}" in str(refused.value)


def test_another_feature_is_another_feature() -> None:
    with pytest.raises(InputError, match="about 'age'; use the same feature in both places"):
        declare({"price": Increasing("age")})
    with pytest.raises(InputError, match="about 2; use the same feature in both places"):
        declare({1: Increasing(2)})
