"""Diminishing returns: projections of whole planes, what lies between their knots, and lines along the two features."""

from __future__ import annotations

import pickle
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linprog, lsq_linear
from sklearn.base import clone

from alignconf import AlignedRegressor, InputError, check
from alignconf.lines.axis import Axis
from alignconf.lines.evaluation import Lines
from alignconf.lines.reference_law import ReferenceLaw
from alignconf.projectors.line_projection import Part
from alignconf.projectors.plane_projector import PlaneProjection
from alignconf.properties import (
    AllOf,
    Bounded,
    Concave,
    Convex,
    Decreasing,
    DiminishingReturns,
    Increasing,
    Lipschitz,
    SlopeAtLeast,
    Unimodal,
)
from tests.examples import examples

SIZES = (5, 4)
#: What can share one projection with diminishing returns of features 0 and 1.
LINES = [
    (),
    (Increasing(0),),
    (Increasing(0), Increasing(1)),
    (Decreasing(1), Convex(0)),
    (Concave(0), Lipschitz(1, 2.0)),
]
every_set = pytest.mark.parametrize("lines", LINES, ids=str)
both_norms = pytest.mark.parametrize("norm", ["l2", "sup"])
many = examples(40)
elements = st.one_of(
    st.floats(-1e3, 1e3).map(lambda value: value if abs(value) > 1e-6 else 0.0), st.integers(-3, 3).map(float)
)


def projector_of(lines: tuple, norm: str, sizes: tuple[int, int] = SIZES) -> PlaneProjection:
    """Knots 0, 1, ... along both axes, of unequal weights."""
    laws = []
    for position, size in enumerate(sizes):
        sample = np.concatenate([np.arange(size), np.random.default_rng(size).integers(0, size, 40)])
        laws.append(ReferenceLaw.from_table(Axis(position, 0, None), sample[:, None], size))
    parts = tuple(Part(line, line.feature, laws[line.feature]) for line in lines)
    return PlaneProjection(tuple(laws), parts, norm, planes=(DiminishingReturns(0, 1),))


def lines_of(values: np.ndarray) -> Lines:
    return Lines(values, 2.0**-44 * np.abs(values).reshape(len(values), -1).max(axis=1))


def largest_mixed_difference(planes: np.ndarray) -> np.ndarray:
    """Over all rectangles of knots, not only cells: (n_planes,)."""
    worst = np.full(len(planes), -np.inf)
    for i, j in combinations(range(planes.shape[1]), 2):
        for k, m in combinations(range(planes.shape[2]), 2):
            mixed = planes[:, j, m] - planes[:, i, m] - planes[:, j, k] + planes[:, i, k]
            worst = np.maximum(worst, mixed)
    return worst


@every_set
@both_norms
@many
@given(data=st.data())
def test_the_projection_is_a_member_and_stays(lines: tuple, norm: str, data: st.DataObject) -> None:
    projector = projector_of(lines, norm)
    values = data.draw(st.sampled_from([1.0, 1e-3, 1e250, 1e-250])) * data.draw(
        arrays(np.float64, (2, *SIZES), elements=elements)
    )
    given_lines = lines_of(values)
    once = projector.project(given_lines).values
    size = np.maximum(given_lines.rounding, lines_of(once).rounding) + 1e-12 * (len(lines) > 0)
    assert (largest_mixed_difference(once) <= 16 * size).all()
    assert projector.is_member(once, 16 * size).all()
    again = projector.project(Lines(once, size)).values
    np.testing.assert_allclose(again, once, rtol=0, atol=16 * size.max())


@every_set
def test_least_squares_is_nearest_on_a_thousand_planes(lines: tuple) -> None:
    """By the conditions of Karush, Kuhn and Tucker: what was moved is a non-negative sum of the active inequalities."""
    projector = projector_of(lines, "l2")
    A, b = projector.inequalities
    weights = np.multiply.outer(*(law.weights for law in projector.laws)).ravel()
    f = np.random.default_rng(len(lines)).normal(size=(1000, *SIZES)).cumsum(axis=1)
    g = projector.project(lines_of(f)).values.reshape(1000, -1)
    f = f.reshape(1000, -1)
    slack = b - g @ A.T
    assert slack.min() > -1e-12
    for moved, free in zip(weights * (f - g), slack, strict=True):
        active = free < 1e-9
        if active.any():
            found = lsq_linear(A[active].T, moved, bounds=(0, np.inf), method="bvls", tol=1e-15)
            residual = np.sqrt(2 * found.cost)
            assert residual <= 1e-9 * np.linalg.norm(moved) + 1e-12
        else:
            np.testing.assert_allclose(moved, 0, atol=1e-12)


@every_set
def test_no_member_is_nearer_than_the_half_width(lines: tuple) -> None:
    projector = projector_of(lines, "sup")
    A, b = projector.inequalities
    planes = np.random.default_rng(1).normal(size=(30, *SIZES))
    widths = projector.half_width(lines_of(planes))
    n = A.shape[1]
    identity, ones = np.eye(n), np.ones((n, 1))
    within = np.vstack(
        [np.hstack([A, np.zeros((len(A), 1))]), np.hstack([identity, -ones]), np.hstack([-identity, -ones])]
    )
    for plane, width in zip(planes.reshape(30, -1), widths, strict=True):
        limits = np.concatenate([b, plane, -plane])
        found = linprog(np.append(np.zeros(n), 1.0), A_ub=within, b_ub=limits, bounds=(None, None))
        assert width == pytest.approx(found.fun, abs=1e-7)


def test_a_member_comes_back_bit_for_bit() -> None:
    u, v = np.meshgrid(np.arange(5.0), np.arange(4.0), indexing="ij")
    planes = np.stack([np.sqrt(u + v + 1), np.log1p(u) + v, np.minimum(u, 3.0) - u * v])
    for norm in ("l2", "sup"):
        projector = projector_of((), norm)
        assert projector.project(lines_of(planes)).values.tobytes() == planes.tobytes()
        assert not projector.half_width(lines_of(planes)).any()


# Through a model ----------------------------------------------------------------------------------------------------

X = np.random.default_rng(0).random((1500, 3))


class Wavy:
    """Substitutes with waves on top, so that returns grow in places."""

    def predict(self, rows: np.ndarray) -> np.ndarray:
        return np.sqrt(rows[:, 0] + rows[:, 1] + 0.3) + 0.2 * np.sin(5 * rows[:, 0] * rows[:, 1] + rows[:, 2])


class Substitutes:
    """Has diminishing returns."""

    def predict(self, rows: np.ndarray) -> np.ndarray:
        return np.sqrt(rows[:, 0] + rows[:, 1]) + rows[:, 2]


@both_norms
@pytest.mark.parametrize("lines", [(), (Increasing(0), Increasing(1)), (Increasing(0), Concave(1))], ids=str)
def test_at_full_strength_every_rectangle_on_changed_planes_passes(lines: tuple, norm: str) -> None:
    declared = AllOf(DiminishingReturns(0, 1), *lines)
    full = AlignedRegressor(Wavy(), declared, alpha=0, projection=norm, n_knots=32).calibrate(X[:500])
    n = 25 if norm == "l2" else 9
    places = np.linspace(-0.1, 1.1, n) if Concave(1) not in lines else np.linspace(0.02, 0.98, n)
    u, v = np.meshgrid(places, places, indexing="ij")
    for x in X[:3, 2]:
        plane = full.predict(np.column_stack([u.ravel(), v.ravel(), np.full(u.size, x)])).reshape(1, n, n)
        mixed = np.diff(np.diff(plane, axis=1), axis=2)
        assert mixed.max() <= 1e-12
        if lines:
            assert np.diff(plane, axis=1).min() >= -1e-12
        if Concave(1) in lines:
            assert np.diff(plane, 2, axis=2).max() <= 1e-12
        if Increasing(1) in lines:
            assert np.diff(plane, axis=2).min() >= -1e-12


def test_a_model_with_diminishing_returns_is_left_alone() -> None:
    declared = DiminishingReturns(0, 1)
    assert AlignedRegressor(Substitutes(), declared, random_state=0, confidence=None).calibrate(X[:500]).lambda_ == 0
    full = AlignedRegressor(Substitutes(), declared, alpha=0).calibrate(X[:500])
    np.testing.assert_array_equal(full.predict(X[500:]), Substitutes().predict(X[500:]))
    assert check(Substitutes(), X, declared, random_state=0).violations.n_rejected == 0


@pytest.mark.slow
def test_the_delivered_function_keeps_its_promise() -> None:
    """Mean of 40 calibrations of 200 rows: at most alpha, up to three standard errors (false alarm .00135)."""
    declared = AllOf(DiminishingReturns(0, 1), Increasing(0))
    rates = []
    for seed in range(40):
        rows = np.random.default_rng(seed + 10).random((600, 3))
        aligned = AlignedRegressor(
            Wavy(), declared, alpha=0.1, random_state=seed, n_knots=16, n_queries=3, confidence=None
        )
        rates.append(aligned.calibrate(rows[:200], X_reference=X[:400]).certify(rows[200:]).delivered.rate)
    assert np.mean(rates) <= 0.1 + 3 * np.std(rates, ddof=1) / np.sqrt(40)
    assert np.mean(rates) >= 0.05


def test_losses_words_and_limits() -> None:
    declared = AllOf(DiminishingReturns(0, 1), Bounded(0.5, 1.2))
    for loss in ("line", "displacement", "existence"):
        aligned = AlignedRegressor(Wavy(), declared, loss=loss, n_knots=16, random_state=0, confidence=None).calibrate(
            X[:500]
        )
        assert aligned.lambda_ > 0
    assert aligned.predict(X).min() + aligned.lambda_ >= 0.5
    sentence = (
        AlignedRegressor(Wavy(), declared, random_state=0, confidence=None).calibrate(X[:500]).certify(X[500:]).sentence
    )
    assert "diminishing returns of 0 and 1 and between 0.5 and 1.2" in sentence
    assert "rectangles, the ends of each side two different places" in sentence
    audit = check(Wavy(), X, DiminishingReturns(0, 1), random_state=0)
    assert audit.violations.n_rejected > 0
    assert audit.worst is not None
    assert all(len(corner) == 2 for corner in audit.worst.values)


def test_a_tolerance_leaves_small_violations() -> None:
    loose = AlignedRegressor(
        Wavy(), DiminishingReturns(0, 1, tol=10), alpha=0.1, random_state=0, confidence=None
    ).calibrate(X[:500])
    assert loose.lambda_ == 0
    some = AlignedRegressor(Wavy(), DiminishingReturns(0, 1, tol=0.02), alpha=0).calibrate(X[:500])
    assert some.certify(X[500:]).full_strength.n_rejected == 0


def test_what_is_refused_and_what_is_not() -> None:
    for build, words in (
        (lambda: DiminishingReturns("a", "a"), "about two features, got 'a' twice"),
        (lambda: DiminishingReturns("a", 1.5), "feature must be a column name"),
        (lambda: DiminishingReturns("a", "b", tol=-1), "tol must be a finite number"),
    ):
        with pytest.raises(InputError, match=words):
            build()
    steep = AllOf(DiminishingReturns(0, 1), SlopeAtLeast(0, 1), Decreasing(0))
    with pytest.raises(InputError, match="which no function has together"):
        AlignedRegressor(Wavy(), steep, alpha=0, n_knots=18).calibrate(X)
    peaked = AllOf(DiminishingReturns(0, 1), Unimodal(0))
    assert len(AlignedRegressor(Wavy(), peaked, alpha=0, n_knots=8).calibrate(X[:60]).alignment_.chain.stages) == 2


def test_a_value_like_any_other_property() -> None:
    declared = DiminishingReturns("dose a", "dose b", tol=0.1)
    assert repr(declared) == "DiminishingReturns('dose a', 'dose b', tol=0.1)"
    assert eval(repr(declared)) == declared == pickle.loads(pickle.dumps(declared)) == clone(declared, safe=False)
    assert len({declared, DiminishingReturns("dose a", "dose b", tol=0.1)}) == 1
