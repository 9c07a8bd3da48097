"""Every repair against an independent solver, and every property as a promise kept on a smooth model.

Independent: scipy's isotonic regression, non-negative least squares in the basis of hinges (concave lines), bounded
least squares in the basis of increments, all ways to place a peak, and a general quadratic programme (SLSQP) for
tolerance.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import isotonic_regression, lsq_linear, nnls
from scipy.stats import binomtest

from alignconf import AlignedRegressor, InputError, check
from alignconf.properties import (
    AllOf,
    Concave,
    Convex,
    Decreasing,
    Elasticity,
    Increasing,
    Invariant,
    Lipschitz,
    Ordered,
    Plateau,
    SlopeAtLeast,
    SlopeAtMost,
    Unimodal,
    Valley,
    declare,
)
from tests.examples import shortened

N_LINES = shortened(1000, 200)


def random_line(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A line of 2 to 40 knots with unequal gaps and weights: a walk, noise, ties, or a smooth curve with noise."""
    random = np.random.default_rng(seed)
    n_knots = int(random.integers(2, 41))
    knots = np.cumsum(random.uniform(0.05, 1, n_knots))
    weights = random.uniform(0.05, 1, n_knots)
    kinds = (
        random.normal(size=n_knots).cumsum(),
        random.normal(size=n_knots),
        random.integers(-2, 3, n_knots).astype(float),
        -((knots - knots.mean()) ** 2) / 5 + random.normal(size=n_knots),
    )
    return kinds[seed % 4], knots, weights / weights.sum()


def cost(line: np.ndarray, fit: np.ndarray, weights: np.ndarray) -> float:
    return float(weights @ (fit - line) ** 2)


def concave_cost(line: np.ndarray, knots: np.ndarray, weights: np.ndarray) -> float:
    """Non-negative least squares in falling hinges at every inner knot, intercept and slope projected out."""
    root = np.sqrt(weights)
    free, _ = np.linalg.qr(np.column_stack([np.ones_like(knots), knots]) * root[:, None])
    hinges = -np.maximum(knots[:, None] - knots[None, 1:-1], 0) * root[:, None]
    rest = line * root - free @ (free.T @ (line * root))
    if not hinges.size:
        return float(rest @ rest)
    return float(nnls(hinges - free @ (free.T @ hinges), rest, maxiter=100_000)[1] ** 2)


def increments_cost(line: np.ndarray, low: np.ndarray, high: np.ndarray, weights: np.ndarray) -> float:
    """Bounded least squares in a start and increments."""
    basis, root = np.tril(np.ones((line.size, line.size))), np.sqrt(weights)
    bounds = (np.concatenate([[-np.inf], low]), np.concatenate([[np.inf], high]))
    found = lsq_linear(basis * root[:, None], line * root, bounds=bounds, tol=1e-14, max_iter=5000)
    return 2 * float(found.cost)


def unimodal_cost(line: np.ndarray, weights: np.ndarray) -> float:
    """The best of all ways to rise over the first knots and fall over the rest."""

    def side(values: np.ndarray, mass: np.ndarray, increasing: bool) -> float:
        if not values.size:
            return 0.0
        return cost(values, isotonic_regression(values, weights=mass, increasing=increasing).x, mass)

    return min(side(line[:k], weights[:k], True) + side(line[k:], weights[k:], False) for k in range(line.size + 1))


def summit_cost(line: np.ndarray, weights: np.ndarray, summit: int) -> float:
    """Bounded least squares with the peak at a knot: increments rise before it and fall after it."""
    rising = np.arange(line.size - 1) < summit
    low, high = np.where(rising, 0.0, -np.inf), np.where(rising, np.inf, 0.0)
    return increments_cost(line, low, high, weights)


def elasticity_cost(line: np.ndarray, knots: np.ndarray, low: float, high: float, weights: np.ndarray) -> float:
    """The distance to a cone is the length of the part that non-negative least squares explains by its normals."""
    normals = []
    for k, ratio in enumerate(knots[1:] / knots[:-1]):
        for limit, sign in ((high, 1.0), (low, -1.0)):
            if np.isfinite(limit):
                normal = np.zeros(line.size)
                normal[k], normal[k + 1] = -sign * ratio**limit, sign
                normals.append(normal / np.abs(normal).max() / np.sqrt(weights))
    y, _ = nnls(np.array(normals).T, line * np.sqrt(weights), maxiter=100_000)
    return float(((np.array(normals).T @ y) ** 2).sum())


def flat_cost(line: np.ndarray, sides: list[np.ndarray], weights: np.ndarray) -> float:
    """Each flat side has its weighted variance."""
    on = [(line[side], weights[side]) for side in sides if side.any()]
    return sum(cost(part, np.full(part.size, np.average(part, weights=mass)), mass) for part, mass in on)


CASES = {
    "concave": (lambda knots: Concave("a"), concave_cost),
    "convex": (lambda knots: Convex("a"), lambda line, knots, weights: concave_cost(-line, knots, weights)),
    "lipschitz": (
        lambda knots: Lipschitz("a", 0.8),
        lambda line, knots, weights: increments_cost(line, -0.8 * np.diff(knots), 0.8 * np.diff(knots), weights),
    ),
    "slope at least": (
        lambda knots: SlopeAtLeast("a", 0.3),
        lambda line, knots, weights: increments_cost(
            line, 0.3 * np.diff(knots), np.full(line.size - 1, np.inf), weights
        ),
    ),
    "slope at most": (
        lambda knots: SlopeAtMost("a", -0.2),
        lambda line, knots, weights: increments_cost(
            line, np.full(line.size - 1, -np.inf), -0.2 * np.diff(knots), weights
        ),
    ),
    "invariant": (
        lambda knots: Invariant("a"),
        lambda line, knots, weights: cost(line, np.full(line.size, np.average(line, weights=weights)), weights),
    ),
    "unimodal": (lambda knots: Unimodal("a"), lambda line, knots, weights: unimodal_cost(line, weights)),
    "peak at a knot": (
        lambda knots: Unimodal("a", peak=float(knots[knots.size // 2])),
        lambda line, knots, weights: summit_cost(line, weights, knots.size // 2),
    ),
    "valley": (lambda knots: Valley("a"), lambda line, knots, weights: unimodal_cost(-line, weights)),
    "bottom at a peak of the mirror image": (
        lambda knots: Valley("a", bottom=float(knots[knots.size // 2])),
        lambda line, knots, weights: summit_cost(-line, weights, knots.size // 2),
    ),
    "plateau": (
        lambda knots: Plateau("a", beyond=float(knots[-1] / 2), below=float(knots[-1] / 4)),
        lambda line, knots, weights: flat_cost(line, [knots >= knots[-1] / 2, knots <= knots[-1] / 4], weights),
    ),
    "elasticity": (
        lambda knots: Elasticity("a", -0.5, 1.5),
        lambda line, knots, weights: elasticity_cost(line, knots, -0.5, 1.5, weights),
    ),
    "elasticity on a single side": (
        lambda knots: Elasticity("a", high=-1),
        lambda line, knots, weights: elasticity_cost(line, knots, -np.inf, -1.0, weights),
    ),
    "decreasing": (
        lambda knots: Decreasing("a"),
        lambda line, knots, weights: cost(
            line, isotonic_regression(line, weights=weights, increasing=False).x, weights
        ),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_least_squares_attains_the_cost_of_an_independent_solver(name: str) -> None:
    build, reference = CASES[name]
    for seed in range(N_LINES):
        line, knots, weights = random_line(seed)
        if "peak" in name and knots.size < 3:
            continue
        fit = build(knots).least_squares(line[None], knots, weights)[0]
        best = reference(line, knots, weights)
        assert cost(line, fit, weights) <= best * (1 + 1e-6) + 1e-10 * (1 + weights @ line**2), seed


def test_a_peak_between_two_knots_leaves_the_sides_free() -> None:
    line, knots, weights = np.array([3.0, 1.0, 2.0, 2.0, 5.0]), np.arange(5.0), np.full(5, 0.2)
    fit = Unimodal("a", peak=1.5).least_squares(line[None], knots, weights)[0]
    np.testing.assert_allclose(fit, [2, 2, 3, 3, 3])


class Smooth:
    """f(x) = sin(3 x_0) + x_0 / 2 + 0.3 x_0 x_1: neither monotone, concave, flat nor of one peak in x_0."""

    def predict(self, X: np.ndarray) -> np.ndarray:
        return np.sin(3 * X[:, 0]) + X[:, 0] / 2 + 0.3 * X[:, 1] * X[:, 0]


def rows(n_rows: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((n_rows, 2)) * [3, 1]


PROMISES = [
    Concave(0),
    Convex(0),
    Lipschitz(0, 1.5),
    SlopeAtLeast(0, -1),
    SlopeAtMost(0, 1),
    Invariant(0),
    Unimodal(0),
    Unimodal(0, peak=1.2),
    Valley(0, bottom=1.2),
    Plateau(0, beyond=2),
    Elasticity(0, -0.5, 1),
    Increasing(0, tol=0.2),
    Concave(0, tol=0.1),
    AllOf(Increasing(0), Concave(0)),
    AllOf(Concave(0), Increasing(1)),
]


@pytest.mark.parametrize("declared", PROMISES, ids=str)
@pytest.mark.parametrize("alpha", [0.1, 0.05])
def test_the_delivered_function_keeps_its_promise(declared, alpha) -> None:
    """Exact binomial test of the rate on 4,000 fresh rows against alpha plus two standard deviations of the
    calibration.

    False alarm probability below 1e-4 for each case: the rate given the calibration exceeds alpha + 2 sd with
    probability 2 %, and the test then has level 1e-3; seeds are fixed.
    """
    aligned = AlignedRegressor(Smooth(), declared, alpha=alpha, random_state=1, confidence=None).calibrate(
        rows(1500, 0)
    )
    certificate = aligned.certify(rows(4000, 1))
    limit = alpha + 2 * np.sqrt(alpha * (1 - alpha) / 1200)
    assert binomtest(certificate.n_rejected, 4000, limit, alternative="greater").pvalue > 1e-3
    assert certificate.before.rate > alpha
    assert certificate.full_strength.rate <= 0.01
    moved = np.abs(aligned.predict(rows(500, 2)) - Smooth().predict(rows(500, 2)))
    assert (moved <= aligned.lambda_).all()


@pytest.mark.parametrize("alpha", [0.1, 0.05])
def test_the_existence_band_breaks_it_on_triples(alpha) -> None:
    """The published construction, calibrated and then delivered: clearly above alpha (binomial test at 1e-6)."""
    aligned = AlignedRegressor(
        Smooth(), Concave(0), alpha=alpha, loss="existence", random_state=1, confidence=None
    ).calibrate(rows(1500, 0))
    certificate = aligned.certify(rows(4000, 1))
    assert binomtest(certificate.n_rejected, 4000, 1.5 * alpha, alternative="greater").pvalue < 1e-6


@pytest.mark.parametrize(
    "declared", [Concave(0), Convex(0), Lipschitz(0, 1.5), Invariant(0), SlopeAtLeast(0, -1)], ids=str
)
@pytest.mark.parametrize("projection", ["l2", "sup"])
def test_full_strength_satisfies_queries_at_any_places(declared, projection) -> None:
    aligned = AlignedRegressor(Smooth(), declared, alpha=0, projection=projection).calibrate(rows(300, 0))
    audit = check(aligned, rows(2000, 3), declared, random_state=0)
    assert audit.violations.n_rejected == 0


class Member:
    """f(x) = 1 - exp(-x_0) + x_1: increasing and concave in x_0."""

    def predict(self, X: np.ndarray) -> np.ndarray:
        return 1 - np.exp(-X[:, 0]) + X[:, 1]


@pytest.mark.parametrize(
    "declared",
    [
        Concave(0),
        Lipschitz(0, 1),
        SlopeAtMost(0, 1),
        Unimodal(0),
        Unimodal(0, peak=3.5),
        AllOf(Increasing(0), Concave(0)),
    ],
    ids=str,
)
def test_a_member_comes_back_unchanged(declared) -> None:
    X = rows(400, 4)
    assert AlignedRegressor(Member(), declared, alpha=0.1, random_state=0, confidence=None).calibrate(X).lambda_ == 0
    full = AlignedRegressor(Member(), declared, alpha=0).calibrate(X)
    np.testing.assert_array_equal(full.predict(rows(500, 5)), Member().predict(rows(500, 5)))


def test_saturation_is_increasing_and_concave() -> None:
    declared = AllOf(Increasing(0), Concave(0))
    full = AlignedRegressor(Smooth(), declared, alpha=0).calibrate(rows(400, 6))
    places = np.linspace(-0.2, 3.2, 200)
    line = full.predict(np.column_stack([places, np.full(200, 0.4)]))
    assert (np.diff(line) >= -1e-12).all()
    assert (np.diff(line, 2) <= 1e-12).all()


def test_tolerance_leaves_small_violations_alone() -> None:
    X = rows(400, 7)
    for tol in (0.1, 0.5):
        full = AlignedRegressor(Smooth(), Increasing(0, tol=tol), alpha=0, projection="sup").calibrate(X)
        places = np.linspace(0.05, 2.95, 300)
        line = full.predict(np.column_stack([places, np.zeros(300)]))
        drop = (np.maximum.accumulate(line) - line).max()
        assert tol * 0.8 < drop <= tol + 1e-9
    loose = AlignedRegressor(Smooth(), Increasing(0, tol=10), alpha=0.1, random_state=0, confidence=None).calibrate(X)
    assert loose.lambda_ == 0


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Lipschitz("a", 0), "L must be a finite number above 0, got 0"),
        (lambda: Lipschitz("a", np.inf), "L must be a finite number above 0, got inf"),
        (lambda: SlopeAtLeast("a", "steep"), "slope must be a finite number, got 'steep'"),
        (lambda: SlopeAtMost("a", np.nan), "slope must be a finite number, got nan"),
        (lambda: Increasing("a", tol=-1), "tol must be a finite number of at least 0, got -1"),
        (lambda: Unimodal("a", peak="here"), "peak must be a finite number, got 'here'"),
        (lambda: Ordered("a", ["x"]), "at least two categories"),
    ],
)
def test_refusals(build, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build()


def test_words() -> None:
    assert declare({"a": "concave", "b": ["increasing", "convex"], "c": "invariant", "d": "unimodal"}) == AllOf(
        Concave("a"), Increasing("b"), Convex("b"), Invariant("c"), Unimodal("d")
    )
