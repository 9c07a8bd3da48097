"""Exact distances of lines to monotone ones, against enumeration of all subsets and linear programming."""

from __future__ import annotations

from itertools import chain, combinations

import numpy as np
import pytest
from scipy.optimize import linprog

from alignconf.certify.distance import (
    absolute_distances,
    as_shares_of_range,
    hamming_distances,
    largest_distances,
    without_rounding,
)

#: Lines with many ties, with none, alternating, falling and rising.
KINDS = {
    "ties": lambda random, m: random.integers(0, 3, m).astype(float),
    "normal": lambda random, m: random.normal(size=m),
    "zeros and ones": lambda random, m: random.integers(0, 2, m).astype(float),
    "falling": lambda random, m: -np.arange(m, dtype=float),
    "rising": lambda random, m: np.sort(random.normal(size=m)),
    "constant": lambda random, m: np.full(m, 1.5),
}


def lines_and_masses(n_lines: int, m: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    kinds = list(KINDS.values())
    lines = np.stack([kinds[i % len(kinds)](random, m) for i in range(n_lines)])
    masses = random.integers(1, 6, (n_lines, m)).astype(float)
    masses[::3] = 1.0
    return lines, masses / masses.sum(axis=1, keepdims=True)


def least_change(line: np.ndarray, masses: np.ndarray) -> float:
    """Return the smallest mass whose removal leaves a non-decreasing line: all subsets are tried."""
    m = len(line)
    kept = chain.from_iterable(combinations(range(m), size) for size in range(m + 1))
    return 1 - max(masses[list(it)].sum() for it in kept if (np.diff(line[list(it)]) >= 0).all())


def least_absolute(line: np.ndarray, masses: np.ndarray) -> float:
    """Return the least weighted absolute distance by linear programming: variables g and e >= |g - line|."""
    m, eye = len(line), np.eye(len(line))
    matrix = np.vstack([np.c_[eye, -eye], np.c_[-eye, -eye], np.c_[eye[:-1] - eye[1:], np.zeros((m - 1, m))]])
    bounds = np.concatenate([line, -line, np.zeros(m - 1)])
    found = linprog(np.r_[np.zeros(m), masses], matrix, bounds, bounds=[(None, None)] * m + [(0, None)] * m)
    assert found.status == 0
    return float(found.fun)


@pytest.mark.parametrize("m", [1, 2, 3, 5, 8])
def test_hamming_agrees_with_all_subsets(m: int) -> None:
    lines, masses = lines_and_masses(36, m, m)
    exact = [least_change(*one) for one in zip(lines, masses, strict=True)]
    np.testing.assert_allclose(hamming_distances(lines, masses), exact, atol=1e-12)
    assert m == 1 or max(exact) > 0.3


@pytest.mark.parametrize("m", [1, 2, 3, 8, 30])
def test_absolute_agrees_with_linear_programming(m: int) -> None:
    lines, masses = lines_and_masses(36, m, 10 + m)
    exact = [least_absolute(*one) for one in zip(lines, masses, strict=True)]
    np.testing.assert_allclose(absolute_distances(lines, masses), exact, atol=1e-9)
    assert m == 1 or max(exact) > 0.3


def test_largest_is_half_the_largest_fall_and_attained() -> None:
    lines, _ = lines_and_masses(30, 9, 5)
    upper = np.maximum.accumulate(lines, axis=1)
    lower = np.minimum.accumulate(lines[:, ::-1], axis=1)[:, ::-1]
    found = largest_distances(lines)
    np.testing.assert_allclose(np.abs((upper + lower) / 2 - lines).max(axis=1), found, atol=1e-12)
    falls = [max([one[j] - one[k] for j, k in combinations(range(9), 2)] + [0.0]) for one in lines]
    np.testing.assert_allclose(found, np.array(falls) / 2, atol=1e-12)


def test_ranges_and_masses() -> None:
    """Masses are scaled; the absolute distance is at most the range times the Hamming distance."""
    lines, masses = lines_and_masses(60, 40, 6)
    np.testing.assert_allclose(hamming_distances(lines, 7 * masses), hamming_distances(lines, masses), atol=1e-12)
    np.testing.assert_array_equal(
        absolute_distances(lines, np.ones(40)), absolute_distances(lines, np.full(lines.shape, 2.0))
    )
    shares = as_shares_of_range(absolute_distances(lines, masses), lines)
    assert (shares <= hamming_distances(lines, masses) + 1e-12).all()
    assert shares.max() > 0.2


def test_lines_in_order_are_at_distance_zero_exactly() -> None:
    lines = np.sort(np.random.default_rng(0).normal(size=(50, 63)), axis=1)
    masses = np.random.default_rng(1).random(63)
    for distances in (
        hamming_distances(lines, masses),
        absolute_distances(lines, masses),
        largest_distances(lines),
        as_shares_of_range(np.zeros(50), np.ones((50, 2))),
    ):
        assert (distances == 0).all()


def test_a_place_without_mass_costs_nothing() -> None:
    line, masses = np.array([[0.0, 9.0, 1.0, 2.0]]), np.array([1.0, 0.0, 1.0, 1.0])
    assert hamming_distances(line, masses) == pytest.approx(0, abs=1e-12)
    assert absolute_distances(line, masses) == pytest.approx(0, abs=1e-12)


def test_rounding_is_no_distance() -> None:
    random = np.random.default_rng(2)
    lines = np.repeat(np.arange(5.0), 6) + 1e-12 * random.random((20, 30))
    assert (hamming_distances(lines, np.ones(30)) > 0.3).all()
    equal = without_rounding(lines, np.full(20, 1e-11))
    assert (hamming_distances(equal, np.ones(30)) == 0).all()
    assert (np.abs(equal - lines) <= 1e-12).all()
    np.testing.assert_array_equal(without_rounding(lines, np.zeros(20)), lines)


def test_inputs_are_left_alone() -> None:
    lines, masses = lines_and_masses(12, 8, 3)
    before = lines.copy(), masses.copy()
    for distance in (hamming_distances, absolute_distances):
        distance(lines, masses)
    without_rounding(lines, np.full(12, 0.1))
    np.testing.assert_array_equal(lines, before[0])
    np.testing.assert_array_equal(masses, before[1])
