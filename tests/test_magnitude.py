"""Sizes of violations: the functions of the half-width against brute force, the rule against fractions, the promise against laws.

Brute force evaluates the excess of the delivered function on a dense grid of half-widths. In the guarantees the expected
size at a half-width is a closed form, or, for triples, the mean over 200000 fresh queries; means are compared at four standard
errors of the simulation (false alarm 0.006 % each, two-sided), seeds are fixed.
"""

from __future__ import annotations

import time
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alignconf.calibration.size_bound import SizeBound
from alignconf.calibration.sizes import ViolationSizes, critical_size, largest, together
from alignconf.errors import CalibrationError, InputError
from alignconf.losses.critical_half_width import last_rejection

PAIR = np.array([[[1.0, -1.0]]])
TRIPLE = np.array([[[0.4, -1.0, 0.6]]])
PEAK = np.array([[[1.0, -1.0, 0.0], [0.0, -1.0, 1.0]]])
BAND = np.array([[[1.0]], [[-1.0]]])
ORBIT = np.array([[[1.0, -1.0, 0.0]], [[-1.0, 1.0, 0.0]], [[0.0, 1.0, -1.0]], [[0.0, -1.0, 1.0]], [[1.0, 0.0, -1.0]]])
MANY_ALTERNATIVES = np.concatenate([PEAK, -PEAK, PEAK[..., [1, 2, 0]]])
DEMANDS = {"pair": PAIR, "triple": TRIPLE, "peak": PEAK, "band": BAND, "orbit": ORBIT, "many": MANY_ALTERNATIVES}
EXACT = ("pair", "triple", "peak", "band")


def of_residuals(scores: np.ndarray) -> ViolationSizes:
    """Return the sizes ``(s - lambda)_+`` of scores (n_rows, n_queries), whose laws are closed forms."""
    kept = np.flatnonzero(scores > 0)
    ends, zeros = scores.ravel()[kept][:, None], np.zeros((kept.size, 1))
    return ViolationSizes(*scores.shape, kept, np.hstack([zeros, ends]), np.hstack([ends, zeros]))


def drawn(name, n_rows, n_queries, seed=0, *, tolerance=0.2):
    """Return coefficients, v, v_full and d of random queries, and the excess of the delivered function at half-widths."""
    random, a = np.random.default_rng(seed), DEMANDS[name]
    f, d = random.normal(size=(2, n_rows, n_queries, a.shape[-1]))

    def excess(half_width):
        g = f + np.clip(d, -half_width, half_width)
        return np.einsum("jak,rqk->rqja", a, g) - tolerance

    return a, excess(0.0), excess(np.inf), d, lambda half_width: excess(half_width).min(axis=-1).max(axis=-1)


def all_sizes(sizes, half_width):
    """Sizes of all queries, those that are not kept included: (n_rows, n_queries)."""
    full = np.zeros(sizes.n_rows * sizes.n_queries)
    full[sizes.index] = sizes.sizes(half_width)
    return full.reshape(sizes.n_rows, sizes.n_queries)


# ---------------------------------------------------------------------------------------------------------------------
# The functions
# ---------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", DEMANDS)
def test_sizes_are_the_largest_excess_from_a_half_width_on(name) -> None:
    a, v, v_full, d, excess = drawn(name, 200, 2)
    sizes = ViolationSizes.of_queries(a, v, v_full, d)
    grid = np.linspace(0, np.abs(d).max() * 1.01, 3001)
    later = np.maximum.accumulate([np.maximum(excess(x), 0.0) for x in grid[::-1]])[::-1]
    slope = np.abs(a).sum(axis=-1).max() * (grid[1] - grid[0])
    for place in range(0, 3001, 50):
        found = all_sizes(sizes, grid[place])
        assert (found >= later[place] - 1e-12).all()
        if name in EXACT:
            assert (found <= later[place] + slope).all()
    assert (np.diff(sizes.knots, axis=1) >= 0).all()
    assert (np.diff(sizes.values, axis=1) <= 0).all()
    assert (sizes.values[:, 0] > 0).all()
    assert (np.diff(sizes.index) > 0).all()


def test_bounds_for_many_demands_are_exact_at_the_corners() -> None:
    a, v, v_full, d, excess = drawn("orbit", 50, 1)
    sizes = ViolationSizes.of_queries(a, v, v_full, d)
    for row, place in enumerate(sizes.index):
        for corner in np.abs(d[place, 0]):
            beyond = [corner, *np.sort(np.abs(d[place, 0]))[np.sort(np.abs(d[place, 0])) > corner], np.inf]
            exact = max(0.0, *(excess(x)[place, 0] for x in beyond))
            assert sizes.sizes(corner)[row] == pytest.approx(exact, abs=1e-12)


@pytest.mark.parametrize("name", ["pair", "band"])
def test_for_pairs_the_size_is_the_excess_itself(name) -> None:
    """For pairs of an exact member: no supremum is needed. (For a band of one value too.)"""
    a, v, v_full, d, excess = drawn(name, 500, 1)
    repaired = (v_full <= 0).all(axis=(-1, -2))[:, 0]
    sizes = ViolationSizes.of_queries(a, v[repaired], v_full[repaired], d[repaired])
    for half_width in (0.0, 0.1, 0.5, 1.0, 3.0):
        exact = np.maximum(excess(half_width)[repaired], 0.0)
        assert all_sizes(sizes, half_width) == pytest.approx(exact, abs=1e-12)


@pytest.mark.parametrize("name", ["pair", "triple", "peak"])
def test_sizes_vanish_where_the_last_rejection_is(name) -> None:
    a, v, v_full, d, _ = drawn(name, 300, 2)
    sizes = ViolationSizes.of_queries(a, v, v_full, d)
    score = last_rejection(a, v, v_full, d[:, :, None, None, :], np.zeros_like(v))[..., 0]
    for half_width in (0.0, 0.2, 0.7, 1.5):
        clear = np.abs(score - half_width) > 1e-9
        assert np.array_equal((all_sizes(sizes, half_width) > 0)[clear], (score > half_width)[clear])


def test_a_query_may_be_violated_on_the_way_only() -> None:
    """f and g are accepted; at half-width 1 the middle point has moved and the others have not yet."""
    d = np.array([[[3.0, 1.0, 3.0]]]) * [1, -1, 1]
    sizes = ViolationSizes.of_queries(
        np.array([[[-0.5, -1.0, -0.5]]]), np.full((1, 1, 1, 1), -0.2), np.full((1, 1, 1, 1), -2.2), d
    )
    assert sizes.index.size == 0
    rising = ViolationSizes.of_queries(
        np.array([[[-0.25, -1.0, -0.25]]]), np.full((1, 1, 1, 1), -0.2), np.full((1, 1, 1, 1), -0.7), d
    )
    assert rising.index.tolist() == [0]
    assert [rising.mean(x) for x in (0.0, 0.5, 1.0, 1.3, 1.6, 3.0)] == pytest.approx([0.3, 0.3, 0.3, 0.15, 0.0, 0.0])


def test_excesses_of_rounding_count_as_none() -> None:
    v = np.array([1e-17, 1e-6, 0.5])[:, None, None, None]
    d = np.concatenate([-v[..., 0], v[..., 0]], axis=-1) / 2
    assert ViolationSizes.of_queries(PAIR, v, 0 * v, d + 0.3).index.tolist() == [1, 2]
    assert ViolationSizes.of_queries(PAIR, v, 0 * v, d + 0.3, np.full_like(v, 1e-5)).index.tolist() == [2]


def test_only_violated_queries_are_kept_and_a_million_take_little_time() -> None:
    random = np.random.default_rng(1)
    v = np.where(random.random((100_000, 10)) < 0.01, 1.0, -1.0)[..., None, None]
    d = np.concatenate([-np.maximum(v[..., 0], 0), np.maximum(v[..., 0], 0)], axis=-1) / 2
    start = time.process_time()
    sizes = ViolationSizes.of_queries(PAIR, v, np.minimum(v, 0.0), d)
    half_width = critical_size(sizes, 0.001, SizeBound(1.0))
    assert time.process_time() - start < 4.0
    assert sizes.index.size == (v > 0).sum()
    assert sizes.mean(half_width) == pytest.approx(0.001 - (1 - 0.001) / 100_000, rel=1e-6)


def test_blocks_and_parts() -> None:
    whole = ViolationSizes.of_queries(*drawn("triple", 60, 2)[:4])
    a, v, v_full, d, _ = drawn("triple", 60, 2)
    positions = np.split(np.random.default_rng(0).permutation(60), [10, 40])
    blocks = [(rows, ViolationSizes.of_queries(a, v[rows], v_full[rows], d[rows])) for rows in positions]
    other = ViolationSizes.of_queries(*drawn("pair", 60, 2, seed=5)[:4])
    for half_width in (0.0, 0.3, 0.9, 2.0):
        assert np.array_equal(
            all_sizes(together(blocks, 60, whole.n_queries), half_width), all_sizes(whole, half_width)
        )
        both = np.maximum(all_sizes(whole, half_width), all_sizes(other, half_width))
        assert all_sizes(largest([whole, other]), half_width) == pytest.approx(both, abs=1e-12)
        rows = np.arange(120).reshape(2, 60)
        apart = together([(rows[0], whole), (rows[1], other)], 120, whole.n_queries)
        assert all_sizes(apart, half_width)[60:] == pytest.approx(all_sizes(other, half_width))
        assert not all_sizes(together(blocks[:1], 60, whole.n_queries), half_width)[positions[1]].any()


# ---------------------------------------------------------------------------------------------------------------------
# The bound
# ---------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", EXACT)
def test_the_falling_bound_is_a_bound(name) -> None:
    """Queries of values in [0, 1], repaired up to what is left: L(lambda) <= B(lambda), and with equality somewhere."""
    random, a = np.random.default_rng(3), DEMANDS[name]
    f, g = random.random((2, 4000, 1, a.shape[-1]))
    f[:50], g[:50] = f[:50].round(), g[:50].round()
    v, v_full = (np.einsum("jak,rqk->rqja", a, values) - 0.1 for values in (f, g))
    left = float(np.maximum(v_full.min(axis=-1).max(axis=-1), 0.0).max())
    sizes = ViolationSizes.of_queries(a, v, v_full, g - f)
    bound = SizeBound.from_range(0.0, 1.0, a, 0.1, remaining=left)
    found = np.array([[sizes.sizes(x).max(initial=0.0), bound.at_half_width(x)] for x in np.linspace(0, 1, 60)])
    assert (found[:, 0] <= found[:, 1] + 1e-12).all()
    assert found[0, 0] > 0.75 * found[0, 1]


def test_for_triples_a_bound_on_the_model_alone_is_none() -> None:
    """f violates by .1 at most; on the way to g the middle point has moved away, and the size reaches (R_f + E + A D) / 2."""
    v, v_full = np.full((1, 1, 1, 1), 0.1), np.zeros((1, 1, 1, 1))
    d = np.array([[[-1.0, -0.475, -0.05]]])
    a = np.array([[[1.0, -2.0, 1.0]]])
    v_full += 0.1 - 1.0 + 0.95 - 0.05
    sizes = ViolationSizes.of_queries(a, v, v_full, d)
    assert 0.1 < sizes.mean(0.0) <= (0.1 + 0 + 4 * 1.0) / 2
    assert sizes.mean(0.0) > SizeBound(0.1, 4.0, 1.0, 0.0).at_half_width(0.0)


def test_values_of_bounds() -> None:
    bound = SizeBound(1.0, 2.0, 0.8, 0.1)
    assert [bound.at_half_width(x) for x in (0.0, 0.35, 0.6, 0.8, 5.0)] == pytest.approx([1.0, 1.0, 0.5, 0.1, 0.1])
    assert bound.corners == pytest.approx((0.35, 0.8))
    assert SizeBound(1.0).at_half_width(9.0) == 1.0
    assert SizeBound(1.0).corners == ()
    assert SizeBound(1.0, 2.0, 0.8).at_half_width(9.0) == 1.0
    assert SizeBound.from_range(-1.0, 3.0, [1.0, -1.0], 0.5, remaining=0.0) == SizeBound(3.5, 2.0, 4.0, 0.0)


# ---------------------------------------------------------------------------------------------------------------------
# The rule
# ---------------------------------------------------------------------------------------------------------------------
def total_exactly(sizes, half_width, bound):
    """The sum of the rule in fractions of the stored knots and values."""
    total, at = Fraction(0), Fraction(half_width)
    for knots, values in zip(sizes.knots, sizes.values, strict=True):
        x, y = [Fraction(knot) for knot in knots], [Fraction(value) for value in values]
        place = max(place for place, knot in enumerate(x) if knot <= at)
        if place + 1 < len(x):
            total += y[place] + (at - x[place]) / (x[place + 1] - x[place]) * (y[place + 1] - y[place])
        else:
            total += y[-1]
    b = Fraction(bound.largest)
    if bound.remaining is not None:
        reached = max(Fraction(bound.reach) - at, 0)
        b = min(b, Fraction(bound.remaining) + Fraction(bound.length) * reached)
    return total / sizes.n_queries + b


@settings(max_examples=150)
@given(
    st.integers(0, 10**6),
    st.sampled_from(["pair", "triple", "peak"]),
    st.sampled_from([0.15, 0.3, 0.8]),
    st.sampled_from([SizeBound(2.0), SizeBound(6.0, 2.0, 4.0, 0.0), SizeBound(2.0, 2.0, 4.0, 0.1)]),
)
def test_the_half_width_is_the_smallest_in_fractions(seed, name, alpha, bound) -> None:
    a, v, v_full, d, _ = drawn(name, 25, 2, seed)
    sizes = ViolationSizes.of_queries(a, v, np.minimum(v_full, 0.0), d)
    target = Fraction(repr(alpha)) * 26
    try:
        half_width = critical_size(sizes, alpha, bound)
    except CalibrationError:
        assert total_exactly(sizes, 1e9, bound) > target
        return
    assert total_exactly(sizes, half_width, bound) <= target
    if half_width > 0:
        assert total_exactly(sizes, half_width * (1 - 1e-9), bound) > target


@settings(max_examples=100)
@given(st.lists(st.floats(0, 3), min_size=35, max_size=60), st.sampled_from([0.1, 0.2, 0.5]))
def test_residuals_have_a_closed_form(scores, alpha) -> None:
    """With the constant bound: descending cumulative sums c_j, lambda = (c_j - T) / j at the last j with c_j - j s_j <= T."""
    ordered, target = np.sort(scores)[::-1], alpha * (len(scores) + 1) - 3.0
    sums, count = np.cumsum(ordered), np.arange(1, len(scores) + 1)
    j = np.flatnonzero(sums - count * ordered <= target + 1e-12)[-1]
    expected = max(0.0, (sums[j] - target) / (j + 1))
    sizes = of_residuals(np.array(scores)[:, None])
    assert critical_size(sizes, alpha, SizeBound(3.0)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.slow
# ---------------------------------------------------------------------------------------------------------------------
# The guarantee
# ---------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("bound", "expected"),
    [(SizeBound(1.0), 0.043), (SizeBound(1.0, 1.0, 1.0, 0.0), 0.049)],
    ids=["constant", "falling"],
)
def test_residuals_are_controlled_and_the_falling_bound_wastes_less(bound, expected) -> None:
    """The larger of two uniforms, P(s <= x) = x^2: E (s - x)_+ = 2/3 - x + x^3/3. 129 rows, alpha = .05, 2000 draws.

    As the rule loses about B(lambda) / (n + 1): .0077 of .05 with the constant bound 1, and .0017 with (1 - lambda)_+ near
    lambda = .77; the fluctuation of the rows gives back some .0007.
    """
    random = np.random.default_rng(4)
    half_widths = np.array(
        [critical_size(of_residuals(rows[:, None]), 0.05, bound) for rows in random.random((2000, 129, 2)).max(axis=2)]
    )
    expected_size = 2 / 3 - half_widths + half_widths**3 / 3
    error = 4 * expected_size.std() / np.sqrt(2000)
    assert expected_size.mean() == pytest.approx(expected, abs=0.0005)
    assert expected_size.mean() <= 0.05 - 1 / 1300 + error


def test_delivered_pairs_are_controlled() -> None:
    """v uniform on [-1, 1], both points meet halfway: V(x) = (v - 2 x)_+, whose mean is (1 - 2 x)^2 / 4. 1000 draws."""
    random = np.random.default_rng(5)
    bound, found = SizeBound(1.0, 2.0, 0.5, 0.0), []
    for v in random.uniform(-1, 1, (1000, 40, 3, 1, 1)):
        moved = np.maximum(v[..., 0], 0.0) / 2
        sizes = ViolationSizes.of_queries(PAIR, v, np.minimum(v, 0.0), np.concatenate([-moved, moved], axis=-1))
        found.append(critical_size(sizes, 0.04, bound))
    size = (1 - 2 * np.array(found)) ** 2 / 4
    assert 0.03 < size.mean() <= 0.04 + 4 * size.std() / np.sqrt(1000)


def test_delivered_triples_are_controlled() -> None:
    """Values in [0, 1]^3 and their concave repair by raising the middle or lowering the ends; the truth from fresh queries."""
    random, a = np.random.default_rng(6), np.array([[[0.5, -1.0, 0.5]]])

    def queries(n):
        f = random.random((n, 1, 3))
        low, high = np.minimum(f[..., [0]], f[..., [2]]), np.maximum(f[..., [0]], f[..., [2]])
        g = np.where(np.arange(3) == 1, np.clip(f, (low + high) / 2, None), f * 0.6 + 0.2)
        g[..., 1] = np.maximum(g[..., 1], (g[..., 0] + g[..., 2]) / 2)
        v, v_full = (np.einsum("jak,rqk->rqja", a, values) for values in (f, g))
        return a, v, np.minimum(v_full, 0.0), g - f

    fresh, grid = ViolationSizes.of_queries(*queries(200_000)), np.linspace(0, 1, 51)
    means = [fresh.mean(half_width) for half_width in grid]
    bound = SizeBound.from_range(0.0, 1.0, a, 0.0, remaining=0.0)
    found = [critical_size(ViolationSizes.of_queries(*queries(150)), 0.04, bound) for _ in range(500)]
    size = np.interp(found, grid, means)
    assert 0.03 < size.mean() <= 0.04 + 4 * size.std() / np.sqrt(500)


# ---------------------------------------------------------------------------------------------------------------------
# Refusals
# ---------------------------------------------------------------------------------------------------------------------
def nothing_violated(n_rows):
    return of_residuals(np.zeros((n_rows, 1)))


def test_too_few_rows_say_how_many_would_do() -> None:
    with pytest.raises(CalibrationError, match=r"18 rows cannot support .* alpha=0.05: .* may be 1. At least 19 rows"):
        critical_size(nothing_violated(18), 0.05, SizeBound(1.0))
    assert critical_size(nothing_violated(19), 0.05, SizeBound(1.0)) == 0.0
    assert critical_size(nothing_violated(2), 0.05, SizeBound(1.0, 2.0, 0.5, 0.0)) == pytest.approx(0.425)


def test_what_no_half_width_repairs_is_refused() -> None:
    v = np.full((30, 1, 1, 1), 0.25)
    sizes = ViolationSizes.of_queries(PAIR, v, v, np.zeros((30, 1, 2)))
    with pytest.raises(CalibrationError, match="What the repair leaves is more than alpha; raise alpha or n_knots"):
        critical_size(sizes, 0.1, SizeBound(1.0))
    with pytest.raises(CalibrationError, match="At least 74 rows are needed; give more rows"):
        critical_size(sizes, 0.26, SizeBound(1.0))


def test_arguments_are_checked() -> None:
    with pytest.raises(InputError, match="alpha must be a finite number above 0, got 0"):
        critical_size(nothing_violated(30), 0, SizeBound(1.0))
    for change in ({"largest": -1.0}, {"length": np.nan}, {"reach": np.inf}, {"remaining": -1.0}):
        name = next(iter(change))
        with pytest.raises(InputError, match=f"{name} must be a finite number of at least 0, got"):
            SizeBound(**({"largest": 1.0} | change))
    with pytest.raises(InputError, match="high must be a finite number of at least 2, got 1"):
        SizeBound.from_range(2.0, 1.0, [1.0], 0.0)
