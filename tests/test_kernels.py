"""Each compiled kernel against a plain computation of the same thing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import isotonic_regression as scipy_isotonic
from scipy.optimize import lsq_linear
from sklearn.isotonic import isotonic_regression as sklearn_isotonic

from alignconf.kernels.order import (
    best_peaks,
    increments_least_squares,
    increments_upper,
    isotonic_least_squares,
    isotonic_midpoint,
    per_line,
)
from alignconf.kernels.symmetric_walk import FEW_BORDERS, rank_values
from alignconf.kernels.tree_projection import project_values

N_LINES = 34  # times 6 kinds and 5 lengths: 1,020 lines
LENGTHS = (1, 2, 5, 33, 64)
KINDS = {
    "walk": lambda rng, shape: rng.normal(size=shape).cumsum(axis=1),
    "noise": lambda rng, shape: rng.normal(size=shape),
    "ties": lambda rng, shape: rng.integers(-2, 3, shape).astype(float),
    "constant": lambda rng, shape: np.broadcast_to(rng.normal(size=(shape[0], 1)), shape).copy(),
    "huge": lambda rng, shape: 1e300 * rng.normal(size=shape),
    "tiny": lambda rng, shape: 1e-300 * rng.normal(size=shape),
}
every_kind = pytest.mark.parametrize("kind", KINDS)
every_length = pytest.mark.parametrize("n_knots", LENGTHS)


def random_lines(kind: str, n_knots: int) -> tuple[np.ndarray, np.ndarray]:
    """Lines of one kind, (N_LINES, n_knots), and positive weights that sum to one, as a reference law gives them."""
    rng = np.random.default_rng([n_knots, list(KINDS).index(kind)])
    weights = rng.exponential(size=n_knots) + 0.01
    return KINDS[kind](rng, (N_LINES, n_knots)), weights / weights.sum()


def envelopes(line: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``max_{j <= k}`` and ``min_{j >= k}``, by their definitions."""
    upper = np.array([line[: k + 1].max() for k in range(line.size)])
    lower = np.array([line[k:].min() for k in range(line.size)])
    return upper, lower


# Ranks --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_borders", [1, 7, 254, FEW_BORDERS - 1, FEW_BORDERS, 5000])
def test_ranks_count_the_borders_that_values_exceed(n_borders: int) -> None:
    """Against numpy's search, counted one by one and searched in halves, on the borders and beside them."""
    rng = np.random.default_rng(n_borders)
    borders = np.sort(rng.normal(size=n_borders))
    padded = np.full(1 << n_borders.bit_length(), np.nan)
    padded[:n_borders] = borders
    beside = np.nextafter(borders, np.inf)
    values = np.concatenate([rng.normal(size=1500), borders, beside, [-np.inf, np.inf, np.nan]])
    ranks = np.empty(values.size, np.uint16)
    rank_values(padded, values, 3, ranks)
    np.testing.assert_array_equal(ranks[:-1], np.searchsorted(borders, values[:-1]))
    assert ranks[-1] == 3


# Least squares ------------------------------------------------------------------------------------------------------


@every_kind
@every_length
@pytest.mark.parametrize("noise", [0.0, 1e-15])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_one_place_alone_is_projected_as_the_whole_line_is(kind: str, n_knots: int, noise: float, sign: float) -> None:
    """Bit for bit, whichever way is taken, in order to the last bit, and the least-squares projection up to rounding."""
    lines, weights = random_lines(kind, n_knots)
    lines = lines * (1 + noise * np.random.default_rng(n_knots).integers(-3, 4, lines.shape))
    size = np.abs(lines).max()
    rule = per_line(weights), True, sign, 0.0, 1e-12 * size

    def projected(values: np.ndarray, pieces: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, ...]:
        lookups = tuple(np.empty(pieces.shape) for _ in range(4))
        project_values(values, rule, pieces, predicted, lookups)
        return lookups

    everywhere = np.tile(np.arange(n_knots), (len(lines), 1))
    of_one, place = np.repeat(lines, n_knots, axis=0), everywhere.reshape(-1, 1)
    for predicted in (lines, np.full(lines.shape, np.nan)):
        values, fitted, _, _ = projected(lines, everywhere, predicted)
        alone = projected(of_one, place, predicted.reshape(-1, 1))
        assert values.tobytes() == alone[0].tobytes() == lines.tobytes()
        assert fitted.tobytes() == alone[1].tobytes()
        assert (sign * np.diff(fitted) >= 0).all()
        expected = sign * isotonic_least_squares(sign * lines, weights)
        np.testing.assert_allclose(fitted, expected, rtol=0, atol=1e-12 * size)
        # What one call says of limits is farther than rounding where the other says nothing.
        for limit, end in zip(alone[2:], (-1, 1), strict=True):
            kept = (alone[1] == alone[0]) & np.isfinite(limit)
            assert (end * (limit - alone[1])[kept] >= 0).all()


@every_kind
@every_length
def test_least_squares_agrees_with_two_other_implementations(kind: str, n_knots: int) -> None:
    lines, weights = random_lines(kind, n_knots)
    projected = isotonic_least_squares(lines, weights)
    for line, found in zip(lines, projected, strict=True):
        size = 1e-12 * np.abs(line).max()
        np.testing.assert_allclose(found, scipy_isotonic(line, weights=weights).x, rtol=0, atol=size)
        np.testing.assert_allclose(found, sklearn_isotonic(line, sample_weight=weights), rtol=0, atol=size)


@every_kind
@every_length
def test_least_squares_is_exactly_monotone(kind: str, n_knots: int) -> None:
    projected = isotonic_least_squares(*random_lines(kind, n_knots))
    assert (projected[:, 1:] >= projected[:, :-1]).all()


@pytest.mark.parametrize("kernel", ["least squares", "midpoint"])
@every_kind
@every_length
def test_a_monotone_line_is_returned_bit_for_bit(kind: str, n_knots: int, kernel: str) -> None:
    lines, weights = random_lines(kind, n_knots)
    lines.sort(axis=1)
    projected = isotonic_least_squares(lines, weights) if kernel == "least squares" else isotonic_midpoint(lines)
    assert projected.tobytes() == lines.tobytes()


@pytest.mark.parametrize("kernel", ["least squares", "midpoint"])
def test_a_negative_zero_keeps_its_sign(kernel: str) -> None:
    lines, weights = np.array([[-1.0, -0.0, -0.0, 2.0]]), np.full(4, 0.25)
    projected = isotonic_least_squares(lines, weights) if kernel == "least squares" else isotonic_midpoint(lines)
    assert projected.tobytes() == lines.tobytes()


def test_least_squares_pools_by_weight() -> None:
    lines = np.array([[3.0, 1.0, 2.0], [3.0, 1.0, 1.0], [1.0, 2.0, 3.0]])
    projected = isotonic_least_squares(lines, np.array([0.25, 0.25, 0.5]))
    np.testing.assert_array_equal(projected, [[2.0, 2.0, 2.0], [1.5, 1.5, 1.5], [1.0, 2.0, 3.0]])
    projected = isotonic_least_squares(lines, np.array([0.5, 0.25, 0.25]))
    np.testing.assert_array_equal(projected, [[2.25, 2.25, 2.25], [2.0, 2.0, 2.0], [1.0, 2.0, 3.0]])


def test_least_squares_of_a_falling_line_is_its_weighted_mean() -> None:
    rng = np.random.default_rng(0)
    falling, weights = -np.sort(rng.normal(size=(5, 40)), axis=1), rng.dirichlet(np.ones(40))
    projected = isotonic_least_squares(falling, weights)
    assert (projected == projected[:, :1]).all()
    np.testing.assert_allclose(projected[:, 0], falling @ weights, rtol=1e-13)


finite = st.one_of(
    st.floats(-1e300, 1e300), st.integers(-3, 3).map(float), st.sampled_from([1e308, -1e308, 5e-324, -5e-324])
)


@settings(max_examples=300)
@given(
    arrays(np.float64, st.tuples(st.integers(1, 3), st.just(7)), elements=finite),
    arrays(np.float64, 7, elements=st.floats(1e-3, 1.0)),
)
def test_least_squares_of_any_line_is_monotone_within_its_range_and_idempotent(
    lines: np.ndarray, masses: np.ndarray
) -> None:
    weights = masses / masses.sum()
    before = lines.tobytes(), weights.tobytes()
    projected = isotonic_least_squares(lines, weights)
    assert (projected[:, 1:] >= projected[:, :-1]).all()
    slack = 1e-14 * np.abs(lines).max() + 1e-300
    assert (projected >= lines.min(axis=1, keepdims=True) - slack).all()
    assert (projected <= lines.max(axis=1, keepdims=True) + slack).all()
    assert isotonic_least_squares(projected, weights).tobytes() == projected.tobytes()
    assert (lines.tobytes(), weights.tobytes()) == before


@pytest.mark.parametrize("seed", range(4))
def test_least_squares_of_increments_agrees_with_a_solver(seed: int) -> None:
    """Increments within bounds are variables within bounds: a line is its first value and the sums of its increments."""
    random = np.random.default_rng(seed)
    lines, weights = random.normal(size=(15, 9)).cumsum(axis=1), random.dirichlet(np.ones(9))
    lowest, highest = -random.exponential(size=8), random.exponential(size=8)
    sums, root = np.tri(9), np.sqrt(weights)
    bounds = np.append(-np.inf, lowest), np.append(np.inf, highest)
    for line, projected in zip(lines, increments_least_squares(lines, lowest, highest, weights), strict=True):
        solved = lsq_linear(root[:, None] * sums, root * line, bounds, tol=1e-14)
        np.testing.assert_allclose(projected, sums @ solved.x, rtol=0, atol=1e-6)


def isotonic_error(line: np.ndarray, weights: np.ndarray) -> float:
    """The least squared error of a fit that does not fall; 0 for no values."""
    return float(weights @ (line - scipy_isotonic(line, weights=weights).x) ** 2) if line.size else 0.0


@pytest.mark.parametrize("seed", range(4))
def test_the_best_peak_is_the_best_of_all(seed: int) -> None:
    """Each number of knots on the rising side, both sides fitted by scipy."""
    random = np.random.default_rng(seed)
    lines, weights = random.normal(size=(10, 12)), random.dirichlet(np.ones(12))
    for line, n_rising in zip(lines, best_peaks(lines, weights), strict=True):
        errors = [isotonic_error(line[:k], weights[:k]) + isotonic_error(-line[k:], weights[k:]) for k in range(13)]
        assert errors[n_rising] == pytest.approx(min(errors), rel=1e-9, abs=1e-12)


def test_the_smallest_line_above_with_bounded_increments_is_the_largest_of_all_that_each_knot_demands() -> None:
    random = np.random.default_rng(5)
    lines, lowest, highest = random.normal(size=(20, 9)), -random.exponential(size=8), random.exponential(size=8)
    least, most = np.append(0, lowest.cumsum()), np.append(0, highest.cumsum())
    for line, upper in zip(lines, increments_upper(lines, lowest, highest), strict=True):
        demands = [np.where(np.arange(9) >= j, value + least - least[j], value + most - most[j])
                   for j, value in enumerate(line)]  # fmt: skip
        np.testing.assert_allclose(upper, np.max(demands, axis=0), rtol=0, atol=1e-12)


# Midpoint -----------------------------------------------------------------------------------------------------------


@every_kind
@every_length
def test_midpoint_is_midway_between_the_envelopes(kind: str, n_knots: int) -> None:
    lines, _ = random_lines(kind, n_knots)
    for line, found in zip(lines, isotonic_midpoint(lines), strict=True):
        upper, lower = envelopes(line)
        np.testing.assert_allclose(found, (upper + lower) / 2, rtol=0, atol=1e-15 * np.abs(line).max())


@every_kind
@every_length
def test_midpoint_deviates_by_half_the_largest_drop(kind: str, n_knots: int) -> None:
    lines, _ = random_lines(kind, n_knots)
    for line, found in zip(lines, isotonic_midpoint(lines), strict=True):
        drop = max([0.0, *(line[j] - line[k] for k in range(n_knots) for j in range(k))])
        size = 1e-15 * np.abs(line).max()
        assert np.abs(found - line).max() == pytest.approx(drop / 2, rel=0, abs=2 * size)
        assert (np.diff(found) >= -2 * size).all()


@settings(max_examples=300)
@given(arrays(np.float64, st.tuples(st.integers(1, 3), st.integers(1, 8)), elements=finite))
def test_midpoint_of_any_line_lies_between_its_envelopes(lines: np.ndarray) -> None:
    before = lines.tobytes()
    found = isotonic_midpoint(lines)
    slack = 1e-15 * np.abs(lines).max(initial=0.0)
    for line, middle in zip(lines, found, strict=True):
        upper, lower = envelopes(line)
        assert (middle <= upper + slack).all()
        assert (middle >= lower - slack).all()
    assert lines.tobytes() == before


@pytest.mark.parametrize("line", [[1e308, -1e308], [-1e308, 1e308], [1e308, 1e308, -1e308, 1e308], [1e308] * 5])
def test_nothing_overflows(line: list[float]) -> None:
    lines = np.array([line])
    weights = np.full(len(line), 1 / len(line))
    upper, lower = envelopes(lines[0])
    np.testing.assert_allclose(isotonic_midpoint(lines)[0], 0.5 * upper + 0.5 * lower, rtol=1e-15)
    np.testing.assert_allclose(
        isotonic_least_squares(lines, weights)[0], 1e300 * scipy_isotonic(lines[0] / 1e300, weights=weights).x
    )
