r"""The guarantees hold for properties of orbits: thousands of calibrations, each judged by its exact violation rate.

The model is :math:`f = z\,h_k(p)` with a point ``p`` of an orbit of three, a kind ``k`` of row and :math:`z \sim
\mathrm{Exp}(1)`. Repairs scale with the values, so the orbit of a row is rejected at half-width :math:`\lambda` iff
:math:`u = \lambda / z` lies in a set :math:`R_k` of half-widths at which ``h_k`` itself is rejected. It is a union of
intervals, found by bisection on the delivered values without the package's scores, and
:math:`P(a < \lambda / z < b) = e^{-\lambda / b} - e^{-\lambda / a}`. False alarms as in ``tests/test_validity.py``.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import isotonic_regression

from alignconf import AlignedRegressor
from alignconf.calibration.ranks import critical_half_width
from alignconf.contract.orbit import OrbitProperty
from alignconf.losses.rate import RATES
from alignconf.projectors.alignment import Alignment
from alignconf.projectors.preparation import prepare
from alignconf.properties import InvariantUnder, LinearProperty, Rule
from alignconf.queries.row_draws import RowDraws
from tests.test_validity import draws, expected_rate, margin, standard_error

#: Values at the three points for each kind of row; some kinds have each property.
KINDS = np.array([[3, 1, 2], [0, 0, 0], [1, 2, 4], [5, 1, 0], [2, 2, 1], [-1, -3, 1], [0, 3, -2]], dtype=float)
POINTS = [{1: 0.0}, {1: 1.0}, {1: 2.0}]

#: A rule of three points and values that it accepts, far from the nearest: on the way there the second point makes it worse.
WEIGHTS, DETOUR = np.array([2.0, 1.0, 0.5]), np.array([-1.0, 3.0, -10.0])


class Scaled:
    """``z h_k(p)``: column 0 is the kind, column 1 the point, column 2 the scale."""

    def predict(self, rows):
        return rows[:, 2] * KINDS[rows[:, 0].astype(int), rows[:, 1].astype(int)]


def onwards(rows):
    return np.column_stack([rows[:, 0], (rows[:, 1] + 1) % 3, rows[:, 2]])


def light(values):
    return values @ WEIGHTS <= 1e-9 * np.abs(values).max(axis=1)


def lightened(values):
    return values + np.maximum(values @ WEIGHTS, 0.0)[:, None] * DETOUR


LINEAR = LinearProperty(POINTS, [[1, -1, 0], [0, 1, -1]])
SYMMETRIC = InvariantUnder([onwards])
RULE = Rule(POINTS, light, lightened)
TRUTH = {
    LINEAR: (
        lambda h: isotonic_regression(h).x,
        lambda values: (np.diff(values) < -1e-9).any(axis=-1),
    ),
    SYMMETRIC: (lambda h: np.full(3, h.mean()), lambda values: np.ptp(values, axis=-1) > 1e-9),
    RULE: (lambda h: lightened(h[None])[0], lambda values: values @ WEIGHTS > 1e-9),
}


def draw_rows(n_samples, random):
    kind, point = random.integers(len(KINDS), size=n_samples), random.integers(3, size=n_samples)
    return np.column_stack([kind, point, random.exponential(size=n_samples)]).astype(float)


REFERENCE = draw_rows(200, np.random.default_rng(99))


# The truth ----------------------------------------------------------------------------------------------------------


def rejected_between(h: np.ndarray, declared: OrbitProperty) -> list[tuple[float, float]]:
    """Return the intervals of half-widths at which values ``h`` are rejected, their ends found by bisection."""
    repair, fails = TRUTH[declared]
    d = repair(h) - h

    def rejected(u):
        return fails(h + np.clip(d, -u, u))

    grid = np.linspace(0, np.abs(d).max() + 1, 3001)
    answers = [bool(rejected(u)) for u in grid]
    ends = [0.0] if answers[0] else []
    for left, right, before, after in zip(grid[:-1], grid[1:], answers[:-1], answers[1:], strict=True):
        if before != after:
            low, high = left, right
            for _ in range(50):
                middle = (low + high) / 2
                low, high = (middle, high) if bool(rejected(middle)) == before else (low, middle)
            ends.append(high)
    assert not answers[-1]
    return list(zip(ends[::2], ends[1::2], strict=True))


INTERVALS = {declared: [rejected_between(h, declared) for h in KINDS] for declared in TRUTH}


def rate(half_widths: np.ndarray, declared: OrbitProperty) -> np.ndarray:
    """Return the exact violation rate at each half-width."""
    total = np.zeros(len(half_widths))
    with np.errstate(divide="ignore"):
        for intervals in INTERVALS[declared]:
            for a, b in intervals:
                total += np.exp(-half_widths / b) - (np.exp(-half_widths / a) if a else 0.0)
    return total / len(KINDS)


# Many calibrations --------------------------------------------------------------------------------------------------


def alignment_of(declared: OrbitProperty) -> Alignment:
    prepared = prepare(Scaled(), declared, REFERENCE, REFERENCE, norm="l2", n_knots=2)
    return prepared.fitted(Scaled(), "", REFERENCE)


def scores_of(declared: OrbitProperty, n_draws: int, n_rows: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    rows = draw_rows(n_draws * n_rows, random)
    (found,) = RATES["delivered"].scores(alignment_of(declared), rows, 1, RowDraws.of(rows, random))
    return found.reshape(n_draws, n_rows, 1)


def test_the_truth_is_the_rate_that_fresh_rows_show() -> None:
    """Before any calibration is judged by it: against 20,000 rows, at four standard errors (0.006 % for each of nine)."""
    random = np.random.default_rng(1)
    rows, fresh = draw_rows(300, random), draw_rows(20_000, random)
    for declared in TRUTH:
        for alpha in (0.3, 0.1, 0.05):
            aligned = AlignedRegressor(Scaled(), declared, alpha=alpha, random_state=0, confidence=None)
            found = aligned.calibrate(rows, X_reference=REFERENCE).certify(fresh).delivered.rate
            p = rate(np.array([aligned.lambda_]), declared)[0]
            assert abs(found - p) <= 4 * np.sqrt(p * (1 - p) / 20_000), (str(declared), alpha)


@draws
@pytest.mark.parametrize("declared", [LINEAR, SYMMETRIC], ids=["linear", "invariant"])
@pytest.mark.parametrize("alpha", [0.05, 0.1])
@pytest.mark.parametrize("n_rows", [60, pytest.param(99, marks=pytest.mark.slow)])
def test_the_mean_rate_is_what_the_rank_says(declared, alpha, n_rows, n_draws) -> None:
    assert all(len(intervals) <= 1 for intervals in INTERVALS[declared])
    half_widths = np.array([critical_half_width(it, alpha)[0] for it in scores_of(declared, n_draws, n_rows, 0)])
    rates = rate(half_widths, declared)
    assert abs(rates.mean() - expected_rate(alpha, n_rows)) <= margin(rates)
    assert rates.mean() <= alpha + margin(rates)


@draws
@pytest.mark.parametrize("alpha", [0.05, 0.1])
@pytest.mark.parametrize("n_rows", [60, pytest.param(99, marks=pytest.mark.slow)])
def test_a_rule_keeps_the_promise_though_it_fails_again_along_the_path(alpha, n_rows, n_draws) -> None:
    """``V(u) / V(0)`` is 1, falls below 0 at 2/3, is above 0 from 2 to 4: only the last rejection is safe."""
    excess = KINDS @ WEIGHTS
    for intervals, e in zip(INTERVALS[RULE], excess, strict=True):
        np.testing.assert_allclose(intervals, [(0, 2 * e / 3), (2 * e, 4 * e)] if e > 0 else [], atol=1e-6)
    half_widths = np.array([critical_half_width(it, alpha)[0] for it in scores_of(RULE, n_draws, n_rows, 1)])
    rates = rate(half_widths, RULE)
    assert rates.mean() <= alpha + margin(rates)
    assert rates.mean() >= 0.3 * alpha, "the list of half-widths should not be this coarse"

    rows = draw_rows(n_draws * n_rows, np.random.default_rng(1))
    first = 2 / 3 * np.maximum(excess[rows[:, 0].astype(int)], 0.0) * rows[:, 2]
    wrong = rate(np.array([critical_half_width(it, alpha)[0] for it in first.reshape(n_draws, n_rows, 1)]), RULE)
    assert wrong.mean() > alpha + 5 * standard_error(wrong), "the first acceptance should break the promise here"


def test_the_half_widths_of_a_rule_come_from_reference_rows_only() -> None:
    random = np.random.default_rng(2)
    one, other = (
        AlignedRegressor(Scaled(), RULE, random_state=0, confidence=None).calibrate(
            draw_rows(n, random), X_reference=REFERENCE
        )
        for n in (100, 300)
    )
    levels = one.alignment_.tester.parts[0].half_widths
    assert levels == other.alignment_.tester.parts[0].half_widths == alignment_of(RULE).tester.parts[0].half_widths
    assert list(levels) == sorted(set(levels))
    assert {one.lambda_, other.lambda_} <= {0.0, *levels}
    elsewhere = AlignedRegressor(Scaled(), RULE, random_state=0, confidence=None).calibrate(
        REFERENCE, X_reference=draw_rows(50, random)
    )
    assert elsewhere.alignment_.tester.parts[0].half_widths != levels


@pytest.mark.slow
@draws
def test_a_conjunction_with_a_rule_keeps_the_promise(n_draws) -> None:
    """Half-widths of the inequalities are rounded up to the list of the rule, whose path is not known in between."""
    declared = [RULE, InvariantUnder([onwards], tol=1e9)]
    random = np.random.default_rng(3)
    aligned = AlignedRegressor(Scaled(), declared, alpha=0.1, n_queries=1, confidence=None)
    found = []
    for draw in range(n_draws // 40):
        aligned.set_params(random_state=draw).calibrate(draw_rows(60, random), X_reference=REFERENCE)
        found.append(aligned.lambda_)
    rates = rate(np.array(found), RULE)
    assert 0.03 <= rates.mean() <= 0.1 + 4 * standard_error(rates)
    assert set(found) <= {0.0, *aligned.alignment_.tester.parts[0].half_widths}
