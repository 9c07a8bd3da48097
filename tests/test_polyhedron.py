"""Projections onto ``{g : A g <= b}``: the conditions that make them optimal, and linear programmes of another make."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog, lsq_linear

from alignconf.kernels.polyhedron import colliding, polyhedron_least_squares, polyhedron_midpoint
from tests.examples import examples

many = examples(100)


def problem(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Vectors, inequalities with a known solution, and weights: rows that depend, equalities, vertices, any scale."""
    random = np.random.default_rng(seed)
    n_points, n_demands = int(random.integers(1, 9)), int(random.integers(1, 13))
    kind = seed % 5
    A = random.normal(size=(n_demands, n_points))
    if kind >= 2:
        A = random.integers(-2, 3, size=A.shape).astype(float)
        A[~A.any(axis=1), 0] = 1.0
    inside = random.normal(size=n_points)
    slack = random.exponential(size=n_demands) * (random.random(n_demands) < 0.5)
    b = A @ inside + (0.0 if kind == 3 else slack)
    if kind in (1, 3):  # rows that are sums and multiples of others
        i, j = random.integers(n_demands, size=2)
        A, b = np.vstack([A, A[i] + A[j], 2 * A[i]]), np.concatenate([b, [b[i] + b[j], 2 * b[i]]])
        kept = A.any(axis=1)
        A, b = A[kept], b[kept]
    if kind == 4:  # equalities, each as two inequalities
        equal = A[:1]
        A, b = np.vstack([A, equal, -equal]), np.concatenate([b, equal @ inside, -equal @ inside])
    values = inside + random.normal(size=(1, n_points)) * 10.0 ** random.integers(-2, 3)
    weights = random.exponential(size=n_points) + 0.01
    return values, A, b, weights


def conditions(y: np.ndarray, g: np.ndarray, A: np.ndarray, b: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """How far ``g`` is from feasible, and from having multipliers ``>= 0`` on inequalities that are tight there.

    At the projection ``W (y - g) = A' m`` with such ``m``: non-negative least squares over the tight rows leaves nothing.
    """
    size = np.abs(A) @ (np.abs(g) + np.abs(y)) + np.abs(b)
    excess = ((A @ g - b) / np.where(size > 0, size, 1)).max()
    # Scaled so that least squares sees numbers of size one.
    root = np.sqrt(weights)
    moved = root * (y - g)
    if not moved.any():
        return excess, 0.0
    tight = np.abs(A @ g - b) <= 1e-9 * size
    reach = A[tight] / root
    reach = reach / np.linalg.norm(reach, axis=1, keepdims=True)
    left = np.linalg.norm(non_negative(reach.T, moved / np.linalg.norm(moved))[1]) if tight.any() else 1.0
    return excess, float(left)


def non_negative(E: np.ndarray, f: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Non-negative least squares ``E m = f`` and what is left, by bounded variables: columns may depend on each other."""
    m = lsq_linear(E, f, bounds=(0, np.inf), method="bvls", tol=1e-15, max_iter=1000).x
    return m, E @ m - f


def test_a_thousand_problems_meet_the_conditions_of_optimality() -> None:
    for seed in range(1000):
        values, A, b, weights = problem(seed)
        used = weights if seed % 2 else None
        g = polyhedron_least_squares(values, A, b, used)
        excess, left = conditions(values[0], g[0], A, b, weights if seed % 2 else np.ones_like(weights))
        assert excess <= 1e-9, seed
        assert left <= 1e-6, seed


def dual_distance(y: np.ndarray, A: np.ndarray, b: np.ndarray, weights: np.ndarray) -> float:
    """The smallest weighted squared distance, from another algorithm: least distance programming.

    With ``u = W^(1/2) (g - y)``: least ``|u|`` with ``-A W^(-1/2) u >= A y - b`` (Lawson and Hanson, chapter 23).
    """
    G, h = -A / np.sqrt(weights), A @ y - b
    E, f = np.vstack([G.T, h]), np.append(np.zeros(len(y)), 1.0)
    _, r = non_negative(E, f)
    return float(((r[:-1] / r[-1]) ** 2).sum())


def test_a_thousand_problems_have_the_distance_of_an_independent_solver() -> None:
    for seed in range(1000):
        values, A, b, weights = problem(seed)
        scale = np.abs(values).max()
        g = polyhedron_least_squares(values, A, b, weights)
        found = float((weights * (g[0] - values[0]) ** 2).sum()) / scale**2
        best = dual_distance(values[0] / scale, A, b / scale, weights)
        assert found == pytest.approx(best, rel=1e-6, abs=1e-12), seed


@pytest.mark.parametrize("scale", [1e300, 1e150, 1e-150, 1e-290])
def test_the_unit_does_not_matter(scale: float) -> None:
    for seed in range(100):
        values, A, b, weights = problem(seed)
        g = polyhedron_least_squares(values, A, b, weights)
        scaled = polyhedron_least_squares(scale * values, A, scale * b, weights)
        np.testing.assert_allclose(scaled / scale, g, rtol=1e-9, atol=1e-11 * np.abs(values).max())


@pytest.mark.parametrize("project", [polyhedron_least_squares, polyhedron_midpoint])
def test_points_inside_are_returned_bit_for_bit_and_twice_is_once(project) -> None:
    for seed in range(200):
        values, A, b, _ = problem(seed)
        before = values.tobytes()
        once = project(values, A, b)
        assert values.tobytes() == before
        twice = project(once, A, b)
        np.testing.assert_allclose(twice, once, rtol=1e-13, atol=1e-15 * np.abs(values).max())
        inside = values if (values @ A.T <= b).all() else -0.0 * values
        kept = inside if (inside @ A.T <= b).all() else None
        assert kept is None or project(kept, A, b).tobytes() == kept.tobytes(), seed


def test_minus_zero_inside_stays_minus_zero() -> None:
    values = np.array([[-0.0, 1.0]])
    for project in (polyhedron_least_squares, polyhedron_midpoint):
        assert project(values, np.array([[1.0, -1.0]]), np.zeros(1)).tobytes() == values.tobytes()


def test_what_is_left_is_less_than_a_tester_forgives() -> None:
    """Rounding in the values, just above and below what is repaired, leaves no excess of 256 units in the last place."""
    A = np.array([[1.0, -1.0, 0.0], [0.0, 1.0, -1.0], [1.0, 0.0, -1.0]])
    noise = np.random.default_rng(0).integers(0, 2, (200, 3))
    for drop in (0.1, 0.3, 0.9, 1.1, 2.0, 4.0):
        values = 1.0 + drop * 2.0**-44 * noise
        for project in (polyhedron_least_squares, polyhedron_midpoint):
            assert (project(values, A, np.zeros(3)) @ A.T).max() <= 2.0**-45


def test_least_squares_never_moves_two_vectors_apart() -> None:
    random = np.random.default_rng(0)
    for seed in range(300):
        values, A, b, weights = problem(seed)
        y = values + np.concatenate([np.zeros_like(values), random.normal(size=values.shape)])
        g = polyhedron_least_squares(y, A, b, weights)
        before, after = (np.sqrt(weights @ (it[0] - it[1]) ** 2) for it in (y, g))
        assert after <= before * (1 + 1e-9) + 1e-9 * np.abs(y).max(), seed


def test_no_member_lies_at_an_acute_angle() -> None:
    """``<y - Py, z - Py> <= 0`` in the weights, for members ``z``."""
    random = np.random.default_rng(1)
    for seed in range(300):
        values, A, b, weights = problem(seed)
        Py = polyhedron_least_squares(values, A, b, weights)[0]
        z = polyhedron_least_squares(values + random.normal(size=(20, values.size)), A, b)
        inner = (z - Py) @ (weights * (values[0] - Py))
        assert (inner <= 1e-9 * (1 + np.abs(values).max()) ** 2).all(), seed


@many
@given(seed=st.integers(0, 10**6), n_vectors=st.integers(1, 6))
def test_vectors_are_projected_one_by_one(seed: int, n_vectors: int) -> None:
    values, A, b, weights = problem(seed)
    y = values + np.random.default_rng(seed).normal(size=(n_vectors, values.size))
    together = polyhedron_least_squares(y, A, b, weights)
    alone = np.concatenate([polyhedron_least_squares(it[None], A, b, weights) for it in y])
    np.testing.assert_allclose(together, alone, rtol=1e-12, atol=1e-13 * np.abs(y).max())


def test_known_projections() -> None:
    least = polyhedron_least_squares
    # A degenerate vertex: three lines through one point of the plane, reached from its normal cone.
    A, b = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), np.array([1.0, 1.0, 2.0])
    np.testing.assert_allclose(least(np.array([[3.0, 2.0], [5.0, 0.0]]), A, b), [[1.0, 1.0], [1.0, 0.0]])
    # An equality, and weights that say who moves.
    A, b = np.array([[1.0, -1.0], [-1.0, 1.0]]), np.zeros(2)
    np.testing.assert_allclose(least(np.array([[0.0, 4.0]]), A, b, np.array([3.0, 1.0])), [[1.0, 1.0]])
    np.testing.assert_allclose(polyhedron_midpoint(np.array([[0.0, 4.0]]), A, b), [[2.0, 2.0]])
    # Everything fixed: one point is left.
    A, b = np.vstack([np.eye(3), -np.eye(3)]), np.array([1.0, 2.0, 3.0, -1.0, -2.0, -3.0])
    np.testing.assert_allclose(least(np.array([[9.0, -9.0, 0.0]]), A, b), [[1.0, 2.0, 3.0]], rtol=1e-14)
    # A row of zeros says nothing.
    np.testing.assert_array_equal(least(np.array([[9.0]]), np.zeros((1, 1)), np.ones(1)), [[9.0]])


def smallest_deviation(y: np.ndarray, A: np.ndarray, b: np.ndarray) -> float:
    """Least ``t`` with ``A z <= b`` and ``|z - y| <= t``, asked for ``z`` itself."""
    identity, ones = np.eye(y.size), np.ones((y.size, 1))
    rows = np.block([[A, np.zeros((len(A), 1))], [identity, -ones], [-identity, -ones]])
    bounds = [(None, None)] * y.size + [(0, None)]
    best = linprog(np.eye(y.size + 1)[-1], rows, np.concatenate([b, y, -y]), bounds=bounds, method="highs-ipm")
    assert best.status == 0
    return float(best.fun)


def test_midpoint_moves_as_little_as_a_linear_programme_says() -> None:
    for seed in range(250):
        values, A, b, _ = problem(seed)
        scale = np.abs(values).max()
        g = polyhedron_midpoint(values, A, b)
        size = np.abs(A) @ (np.abs(g[0]) + np.abs(values[0])) + np.abs(b)
        assert ((A @ g[0] - b) <= 1e-12 * size).all(), seed
        best = smallest_deviation(values[0] / scale, A, b / scale)
        assert np.abs(g - values).max() / scale == pytest.approx(best, rel=1e-6, abs=1e-7), seed


@pytest.mark.parametrize("scale", [1e280, 1.0, 1e-280])
def test_midpoint_in_any_unit(scale: float) -> None:
    A, b = np.array([[1.0, -1.0, 0.0], [0.0, 1.0, -1.0]]), scale * np.array([0.0, 1.0])
    g = polyhedron_midpoint(scale * np.array([[5.0, 1.0, -2.0]]), A, b)
    np.testing.assert_allclose(np.abs(g / scale - [5.0, 1.0, -2.0]).max(), 3.0)


@pytest.mark.parametrize(
    ("A", "b", "clash"),
    [
        ([[1.0]], [-1e300], ()),
        ([[1.0], [-1.0]], [1.0, -1.0], ()),
        ([[1.0], [-1.0]], [1.0, -1.01], (0, 1)),
        ([[1e-9], [-1e-9]], [1e-9, -1.01e-9], (0, 1)),
        ([[1.0], [-1.0]], [1e200, -1.01e200], (0, 1)),
        ([[1.0], [-1.0]], [1e-200, -1.01e-200], (0, 1)),
        ([[1.0, -1.0], [5.0, 1.0], [-1.0, 1.0]], [0.0, 9.0, -0.5], (0, 2)),
        ([[1, -1, 0], [0, 1, -1], [-1, 0, 1], [1, 1, 1]], [-1, -1, 1, 0], (0, 1, 2)),
        ([[1, -1, 0], [0, 1, -1], [-1, 0, 1], [1, 1, 1]], [-1, -1, 2, 0], ()),
    ],
)
def test_what_collides_is_named(A, b, clash: tuple[int, ...]) -> None:
    assert colliding(np.array(A, dtype=float), np.array(b, dtype=float)) == clash
