"""Nothing is claimed beyond what holds: the cases in which a statement would have been too strong."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.optimize import linprog
from sklearn.linear_model import LogisticRegression

from alignconf import AlignedClassifier, AlignedRegressor, CalibrationError, InputError, check
from alignconf.lines.axis import Axis
from alignconf.lines.class_function import ClassFunction
from alignconf.lines.evaluation import Lines
from alignconf.lines.reference_law import ReferenceLaw
from alignconf.losses.critical_half_width import existence
from alignconf.projectors.alignment import Answers
from alignconf.projectors.band import Scale
from alignconf.projectors.line_projection import LineProjection, Part
from alignconf.properties import (
    AllOf,
    Concave,
    Convex,
    Decreasing,
    Increasing,
    Invariant,
    SlopeAtLeast,
    SlopeAtMost,
    Unimodal,
)
from alignconf.queries.along_line import LineQueries

X = np.random.default_rng(0).random((1500, 2))


class Given:
    """A model, or classifier, whose answer is a given function of the rows."""

    def __init__(self, answer) -> None:
        self.answer = answer

    def predict(self, rows: np.ndarray) -> np.ndarray:
        return self.answer(rows)


class GivenClassifier:
    """Class probabilities given as a function of the rows."""

    def __init__(self, answer, n_classes: int = 2) -> None:
        self.answer, self.classes_ = answer, np.arange(n_classes)

    def predict_proba(self, rows: np.ndarray) -> np.ndarray:
        return self.answer(rows)


@pytest.mark.parametrize("declared", [Concave(0), Convex(0), Increasing(0)], ids=str)
def test_the_certificate_of_a_class_is_about_the_probabilities_that_users_get(declared) -> None:
    """A repaired curve that leaves [0, 1] is cut there; scores and certificate see it cut."""

    def answer(rows: np.ndarray) -> np.ndarray:
        p = (rows[:, 0] < 0.3).astype(float)
        return np.column_stack([1 - p, p])

    aligned = AlignedClassifier(GivenClassifier(answer), declared, alpha=0, random_state=0).calibrate(X[:500])
    certificate = aligned.certify(X[500:])
    delivered = Given(lambda rows: aligned.predict_proba(rows)[:, 1])
    audit = check(delivered, X[500:], declared, X_reference=X[:500], random_state=1)
    low, high = audit.violations.interval
    assert low <= certificate.delivered.rate <= high
    assert "the probability of class 1" in certificate.sentence


def test_the_scale_and_the_class_are_named() -> None:
    model = LogisticRegression().fit(X, X[:, 0] + np.sin(9 * X[:, 1]) > 0.8)
    aligned = AlignedClassifier(model, {0: "concave"}, scale="logit", random_state=0, confidence=None).calibrate(X)
    assert "the logit of class True" in aligned.calibration_.statement
    assert "the logit of class True" in aligned.certify(np.random.default_rng(99).random((200, X.shape[1]))).sentence


def test_probabilities_in_single_precision_sum_to_one() -> None:
    def answer(rows: np.ndarray) -> np.ndarray:
        p = np.where(rows[:, 0] > 0.5, 0.1, 0.99999994).astype(np.float32)
        rest = np.where(rows[:, 0] > 0.5, 0.45, 1e-9).astype(np.float32)
        return np.column_stack([p, rest, rest])

    aligned = AlignedClassifier(GivenClassifier(answer, 3), Increasing(0), pos_label=0, alpha=0).calibrate(X)
    np.testing.assert_allclose(aligned.predict_proba(X).sum(axis=1), 1, atol=1e-6)
    logit = AlignedClassifier(GivenClassifier(answer, 3), Increasing(0), pos_label=0, scale="logit", alpha=0)
    assert np.isfinite(logit.calibrate(X).predict_proba(X)).all()


def test_rows_that_a_joint_repair_leaves_without_the_property_count_as_failures() -> None:
    wave = Given(lambda rows: np.sin(5 * rows[:, 0] * rows[:, 1]) + np.sin(7 * rows[:, 1]))
    declared = AllOf(Concave(0), Concave(1))
    aligned = AlignedRegressor(
        wave, declared, alpha=0.1, loss="displacement", n_knots=9, random_state=0, confidence=None
    )
    with pytest.raises(CalibrationError, match="rules of different kinds were declared together"):
        aligned.calibrate(X[:300])


@pytest.mark.parametrize(
    "parts",
    [[Increasing(0), Unimodal(1)], [Concave(0), Unimodal(1)], [Concave(0), Concave(1)], [Concave(0), Increasing(1)]],
    ids=str,
)
def test_the_half_width_of_a_grid_is_finite_only_where_one_member_lies_within_it(parts) -> None:
    """Membership at the knots by asking all queries there, on random grids of 6 x 6 knots."""
    laws = tuple(ReferenceLaw.from_table(Axis(i, i, None), np.arange(36.0).reshape(6, 6).T, 6) for i in range(2))
    projector = LineProjection(laws, tuple(Part(part, i, laws[i]) for i, part in enumerate(parts)), "sup")
    values = np.random.default_rng(3).normal(size=(200, 6, 6))
    lines = Lines(values, np.full(200, 1e-12))
    repaired, widths = projector.project(lines).values, projector.half_width(lines)
    worst = np.zeros(200)
    for part in projector.parts:
        chosen = np.array(list(combinations(range(6), part.declared.n_points)))
        asked = np.moveaxis(repaired, 1 + part.axis, -1)[..., chosen].reshape(200, -1, part.declared.n_points)
        places = np.broadcast_to(np.tile(part.law.knots[chosen], (6, 1)), asked.shape)
        excesses = LineQueries(part.declared, part.law, places).excess(asked)
        worst = np.maximum(worst, excesses.min(axis=-1).max(axis=(-1, -2)))
    np.testing.assert_array_equal(np.isfinite(widths), worst <= 1e-12)
    within = np.abs(repaired - values).max(axis=(1, 2)) <= widths + 1e-12
    assert within.all()


def test_the_order_in_which_parts_are_typed_does_not_matter() -> None:
    wave = Given(lambda rows: np.sin(5 * rows[:, 0]) + np.cos(4 * rows[:, 0] * rows[:, 1]))
    first, second = (
        AlignedRegressor(wave, AllOf(*parts), alpha=0, projection="sup", n_knots=16).calibrate(X[:200])
        for parts in ([Concave(0), Increasing(1)], [Increasing(1), Concave(0)])
    )
    np.testing.assert_allclose(first.predict(X[200:300]), second.predict(X[200:300]))


@pytest.mark.parametrize(
    "parts",
    [
        [SlopeAtLeast(0, 0.5), Invariant(0)],
        [SlopeAtLeast(0, 2), SlopeAtMost(0, 1)],
        [Decreasing(0), SlopeAtLeast(0, 0.1)],
    ],
    ids=str,
)
def test_rules_that_no_function_has_together_are_named(parts) -> None:
    with pytest.raises(InputError, match="which no function has both; drop one of them") as refused:
        AlignedRegressor(Given(lambda rows: rows[:, 0]), parts, alpha=0).calibrate(X)
    assert all(str(part) in str(refused.value) for part in parts)


def test_existence_is_exact_where_demands_share_points() -> None:
    """A known peak orders three points: the smallest band by linear programming, not the largest single demand."""
    random = np.random.default_rng(1)
    law = ReferenceLaw.from_table(Axis("a", 0, None), np.arange(5.0)[:, None], 5)
    places = np.sort(random.choice(5.0 + np.arange(-5.0, 0.0), (40, 1, 3)), axis=-1)
    queries = LineQueries(Unimodal("a", peak=4), law, places)
    f = random.normal(size=(40, 1, 3))
    found = existence(Answers(queries, f, f, np.zeros(40), slice(0, 40), Scale()))[:, 0]
    coefficients, bounds = queries.demands
    for values, rows, limits, score in zip(f[:, 0], coefficients[:, 0, :, 0], bounds[:, 0, :, 0], found, strict=True):
        identity, ones = np.eye(3), np.ones((3, 1))
        A = np.vstack([np.hstack([identity, -ones]), np.hstack([-identity, -ones]), np.c_[rows, np.zeros(3)]])
        b = np.concatenate([values, -values, np.minimum(limits, 1e9)])
        best = linprog([0, 0, 0, 1], A_ub=A, b_ub=b, bounds=[(None, None)] * 3 + [(0, None)])
        assert score == pytest.approx(best.fun, abs=1e-9)


@pytest.mark.parametrize("declared", [Concave(0, tol=0.1), Convex(0, tol=0.1), Unimodal(0, tol=0.1)], ids=str)
def test_three_points_on_a_feature_of_two_values(declared) -> None:
    """Three different places are compared, and there are none: nothing can be asked, which is said."""
    rows = np.column_stack([X[:, 0] > 0.5, X[:, 1]]).astype(float)
    model = Given(lambda it: it[:, 0] - it[:, 1])
    with pytest.raises(InputError, match="compares 3 different places, and feature 0 has only 2 in the reference rows"):
        AlignedRegressor(model, declared, alpha=0).calibrate(rows)


def test_rows_that_calibrate_cannot_give_the_reference_law() -> None:
    with pytest.raises(InputError, match="X_reference is X itself"):
        AlignedRegressor(Given(lambda rows: rows[:, 0]), {0: 1}, confidence=None).calibrate(X, X_reference=X)


def test_labels_are_not_predictions() -> None:
    classifier = LogisticRegression().fit(X, X[:, 0] > 0.5)
    with pytest.raises(InputError, match="AlignedClassifier"):
        AlignedRegressor(classifier, {0: 1}, confidence=None).calibrate(X)
    of_class = check(ClassFunction(classifier, 1, "probability"), X, {0: 1}, random_state=0).violations
    assert check(classifier, X, {0: 1}, random_state=0).violations == of_class
    assert of_class.n_rejected == 0


def test_a_class_is_asked_for_before_training() -> None:
    class Counting(LogisticRegression):
        fitted = 0

        def fit(self, rows, labels):
            Counting.fitted += 1
            return super().fit(rows, labels)

    labels = np.digitize(X[:, 0], [0.3, 0.6])
    with pytest.raises(InputError, match="name the one whose probability is meant"):
        AlignedClassifier(Counting(), {0: 1}, confidence=None).fit(X, labels)
    assert Counting.fitted == 0
    with pytest.raises(InputError, match="n_jobs must be None or a whole number other than 0"):
        AlignedClassifier(Counting(), {0: 1}, pos_label=2, n_jobs=0, confidence=None).fit(X, labels)


def test_missing_rows_are_mentioned() -> None:
    rows = X.copy()
    rows[::3, 0] = np.nan
    model = Given(lambda it: np.nan_to_num(np.sin(9 * it[:, 0])))
    aligned = AlignedRegressor(model, {0: 1}, random_state=0, confidence=None).calibrate(rows, X_reference=X[:100])
    assert "each with a constrained feature present" in aligned.calibration_.statement
    assert "500 rows lacked all constrained features" in str(aligned.calibration_)
    assert "500 are not asked" in str(check(model, rows, {0: 1}, X_reference=X[:100], random_state=0))
