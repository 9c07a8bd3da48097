"""Clip-to-knots: what the projection at the knots becomes at every other point, and the band around the model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from alignconf.contract.property import Property
from alignconf.errors import PropertyWarning
from alignconf.lines.evaluation import evaluate_lines
from alignconf.lines.reference_law import ReferenceLaw
from alignconf.losses.critical_half_width import delivered
from alignconf.projectors.alignment import Alignment
from alignconf.projectors.band import clip_to_band
from alignconf.projectors.grid import extend
from alignconf.projectors.line_projection import Projection
from alignconf.projectors.preparation import prepare
from alignconf.properties import AllOf, Bounded, Concave, Decreasing, Increasing
from alignconf.queries.row_draws import RowDraws
from tests.grids import whole_grid

# Random functions of the first ``n_axes`` columns and of one more, which no property constrains. --------------------


class Smooth:
    """A sum of sinusoids."""

    def __init__(self, n_axes: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.frequencies, self.phases = rng.normal(0, 8, (n_axes + 1, 8)), rng.uniform(0, 7, 8)

    def predict(self, X: np.ndarray) -> np.ndarray:
        return np.sin(X @ self.frequencies + self.phases).sum(axis=1)


class Steps:
    """A table of random integers, looked up by cell: flat pieces with ties, and jumps that no knot knows of."""

    def __init__(self, n_axes: int, seed: int) -> None:
        self.table = np.random.default_rng(seed).integers(-4, 5, (11,) * (n_axes + 1)).astype(float)

    def predict(self, X: np.ndarray) -> np.ndarray:
        cells = np.floor(X * 9.7).astype(int) % 11
        return self.table[tuple(cells.T)]


class Spikes:
    """Another value at every point: nothing can be inferred from neighbours, however near."""

    def __init__(self, n_axes: int, seed: int) -> None:
        self.direction = np.random.default_rng(seed).uniform(1e3, 1e4, n_axes + 1)

    def predict(self, X: np.ndarray) -> np.ndarray:
        return np.modf(np.abs(np.sin(X @ self.direction)) * 43758.5453)[0] * 10 - 5


class Member:
    """A function that has the property: monotone pieces and their products, turned by the signs."""

    def __init__(self, signs: Sequence[float], seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.signs, self.slopes = np.array(signs), rng.uniform(0.1, 3, len(signs))

    def predict(self, X: np.ndarray) -> np.ndarray:
        grown = X[:, :-1] * self.signs * self.slopes
        steps = np.floor(4 * grown).sum(axis=1)
        return np.where(self.signs, np.arctan(grown) + 2, 1.0).prod(axis=1) + steps + 3 * np.sin(9 * X[:, -1])


class RoundedMember(Member):
    """The same in flat pieces, with sums that are rounded differently at every point."""

    def predict(self, X: np.ndarray) -> np.ndarray:
        return 20 + np.floor(super().predict(X)) + 2e-15 * Spikes(X.shape[1] - 1, 0).predict(X)


UP, DOWN = Increasing, Decreasing
DECLARED = {
    1: [UP(0), DOWN(0)],
    2: [AllOf(UP(0), UP(1)), AllOf(DOWN(1), UP(0))],
    3: [AllOf(UP(0), DOWN(1), UP(2)), AllOf(DOWN(2), DOWN(0), DOWN(1))],
}
CONSTANT = {
    1: AllOf(UP(0), DOWN(0)),
    2: AllOf(UP(0), DOWN(1), DOWN(0)),
    3: AllOf(DOWN(2), UP(0), DOWN(1), UP(1)),
}
every_property = pytest.mark.parametrize(
    ("n_axes", "declared"), [(n, it) for n, many in DECLARED.items() for it in many], ids=str
)
every_model = pytest.mark.parametrize("kind", [Smooth, Steps, Spikes])
both_norms = pytest.mark.parametrize("norm", ["l2", "sup"])
N_SITES = {1: 4000, 2: 3000, 3: 1500}


def aligned(model: object, declared: Property, n_axes: int, norm: str) -> tuple[Alignment, np.ndarray]:
    """An alignment whose reference sample is (n, n_axes + 1) in the unit cube, and one row to build places on."""
    rng = np.random.default_rng(n_axes)
    reference = rng.random((150, n_axes + 1))
    alignment = prepare(model, declared, reference, reference, norm=norm, n_knots=9, projector="lines")
    return alignment, rng.random((1, n_axes + 1))


def at(alignment: Alignment, row: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray, Projection]:
    """``f`` and ``g`` of one row moved to places (n_sites, n_axes) of the projector's axes, and its projection."""
    lines = evaluate_lines(alignment.model, row, alignment.chain.laws)
    projection = whole_grid(alignment).projector.project(lines)
    f, g = extend(alignment.model, row, whole_grid(alignment).projector, projection, places[None])
    return f[0], g[0], projection


def random_places(alignment: Alignment, n_sites: int, seed: int) -> np.ndarray:
    """Places within the knots and beyond, one coordinate in five at a knot: (n_sites, n_axes)."""
    rng = np.random.default_rng(seed)
    columns = []
    for law in alignment.chain.laws:
        free = rng.uniform(-0.3, 1.3, n_sites)
        columns.append(np.where(rng.random(n_sites) < 0.2, rng.choice(law.knots, n_sites), free))
    return np.stack(columns, axis=1)


def directions(alignment: Alignment) -> np.ndarray:
    """+1 for an axis along which the property demands growth, -1 for the contrary."""
    signs = np.zeros(len(alignment.chain.laws))
    for part in whole_grid(alignment).projector.parts:
        signs[part.axis] = 1 if isinstance(part.declared, Increasing) else -1
    return signs


def separated(knots: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Whether a knot lies between two different places, or at one of them."""
    low, high = np.minimum(a, b), np.maximum(a, b)
    return (low != high) & (np.searchsorted(knots, high, side="right") > np.searchsorted(knots, low, side="left"))


# At the knots -------------------------------------------------------------------------------------------------------


@every_property
@every_model
@both_norms
def test_at_the_knots_it_is_the_projection(n_axes: int, declared: Property, kind: type, norm: str) -> None:
    alignment, row = aligned(kind(n_axes, 0), declared, n_axes, norm)
    grid = np.meshgrid(*(law.knots for law in alignment.chain.laws), indexing="ij")
    f, g, projection = at(alignment, row, np.stack([axis.ravel() for axis in grid], axis=-1))
    np.testing.assert_allclose(f, projection.lines.values.ravel(), rtol=0, atol=projection.lines.rounding[0])
    if n_axes == 1:
        np.testing.assert_array_equal(g, projection.values.ravel())
    np.testing.assert_allclose(g, projection.values.ravel(), rtol=0, atol=projection.lines.rounding[0])
    assert (np.abs(g - f) > 0.1).mean() > 0.2


@every_property
def test_rows_at_their_own_places_agree_with_sites(n_axes: int, declared: Property) -> None:
    alignment, row = aligned(Smooth(n_axes, 1), declared, n_axes, "l2")
    axes = [law.axis.position for law in alignment.chain.laws]
    places = random_places(alignment, 50, 2)
    table = np.repeat(row, 50, axis=0)
    table[:, axes] = places
    f, g, _ = at(alignment, row, places)
    predicted = alignment.predict(table)
    np.testing.assert_allclose(predicted[0], f, rtol=0, atol=1e-12)
    np.testing.assert_allclose(predicted[1], g, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(alignment.predict_model(table)[0], predicted[0])


# Across cells -------------------------------------------------------------------------------------------------------


@every_property
@every_model
@both_norms
@pytest.mark.parametrize("seed", range(4))
def test_two_points_of_a_line_are_in_order_if_a_knot_separates_them(
    n_axes: int, declared: Property, kind: type, norm: str, seed: int
) -> None:
    alignment, row = aligned(kind(n_axes, seed), declared, n_axes, norm)
    signs, knots = directions(alignment), [law.knots for law in alignment.chain.laws]
    first = random_places(alignment, N_SITES[n_axes], 10 + seed)
    moved = np.random.default_rng(seed).integers(0, n_axes, len(first))
    second = first.copy()
    every = np.arange(len(first))
    second[every, moved] = random_places(alignment, len(first), 20 + seed)[every, moved]
    f, g, projection = at(alignment, row, np.concatenate([first, second]))
    chosen = np.any([separated(knots[k], first[:, k], second[:, k]) for k in range(n_axes)], axis=0)
    assert chosen.sum() > 0.6 * len(first)
    sign = (signs[moved] * np.sign(second - first)[every, moved])[chosen]
    rise_f, rise_g = (sign * (it[len(first) :] - it[: len(first)])[chosen] for it in (f, g))
    assert (rise_f < -0.01).mean() > 0.1
    assert rise_g.min() >= -projection.lines.rounding[0]


@pytest.mark.parametrize(("n_axes", "declared"), [(n, it) for n in (2, 3) for it in DECLARED[n]], ids=str)
@every_model
@both_norms
def test_comparable_points_are_in_order_if_a_knot_separates_each_coordinate_that_differs(
    n_axes: int, declared: Property, kind: type, norm: str
) -> None:
    alignment, row = aligned(kind(n_axes, 2), declared, n_axes, norm)
    rng, signs, knots = (
        np.random.default_rng(3),
        directions(alignment),
        [it.knots for it in alignment.chain.laws],
    )
    a, b = (random_places(alignment, N_SITES[n_axes], seed) for seed in (4, 5))
    b = np.where(rng.random(b.shape) < 0.3, a, b)
    first, second = (np.where(signs > 0, fun(a, b), other(a, b)) for fun, other in
                     ((np.minimum, np.maximum), (np.maximum, np.minimum)))  # fmt: skip
    fits = [separated(knots[k], first[:, k], second[:, k]) | (first[:, k] == second[:, k]) for k in range(n_axes)]
    chosen = np.all(fits, axis=0) & ((first != second).sum(axis=1) >= 2)
    assert chosen.sum() > 0.2 * len(first)
    f, g, projection = at(alignment, row, np.concatenate([first[chosen], second[chosen]]))
    rise_f, rise_g = (it[chosen.sum() :] - it[: chosen.sum()] for it in (f, g))
    assert (rise_f < -0.01).mean() > 0.1
    assert rise_g.min() >= -projection.lines.rounding[0]


@every_property
@both_norms
def test_what_is_left_as_rounding_is_no_infinite_score_across_cells(n_axes: int, declared: Property, norm: str) -> None:
    """Points of different cells can be repaired, even where the model errs by little more than its rounding."""

    class Trembling(Spikes):
        amplitude: float

        def predict(self, X: np.ndarray) -> np.ndarray:
            return 1 + self.amplitude * 2.0**-44 * (super().predict(X) / 10 + 0.5)

    model = Trembling(n_axes, 0)
    for model.amplitude in (1.0, 2.0, 3.0, 5.0, 10.0):
        alignment, row = aligned(model, declared, n_axes, norm)
        table = np.repeat(row, 40, axis=0)
        table[:, :-1] = np.random.default_rng(0).random((40, n_axes))
        queries = alignment.tester.draw(table, 10, RowDraws.of(table, np.random.default_rng(1)))
        found = alignment.at_queries(table, queries, delivered)
        for part, asked, score in zip(whole_grid(alignment).projector.parts, queries.parts, found, strict=True):
            apart = separated(part.law.knots, asked.places[..., 0], asked.places[..., 1])
            assert apart.sum() > 300
            assert np.isinf(score[apart]).sum() == 0, model.amplitude


# Members ------------------------------------------------------------------------------------------------------------


@every_property
@both_norms
@pytest.mark.parametrize("kind", [Member, RoundedMember])
def test_a_member_is_returned_bit_for_bit(n_axes: int, declared: Property, norm: str, kind: type) -> None:
    signs = np.zeros(n_axes)
    for part in declared.parts:
        signs[part.feature] = 1 if isinstance(part, Increasing) else -1
    model = kind(signs, 6)
    alignment, row = aligned(model, declared, n_axes, norm)
    f, g, projection = at(alignment, row, random_places(alignment, N_SITES[n_axes], 7))
    assert np.unique(np.round(f)).size > 5
    assert g.tobytes() == f.tobytes()
    assert projection.values.tobytes() == projection.lines.values.tobytes()
    table = np.random.default_rng(8).uniform(-0.3, 1.3, (100, n_axes + 1))
    f, g = alignment.predict(table)
    assert f.tobytes() == model.predict(table).tobytes()
    assert g.tobytes() == f.tobytes()


@pytest.mark.parametrize("n_axes", [1, 2, 3])
@every_model
@both_norms
def test_increasing_and_decreasing_means_constant(n_axes: int, kind: type, norm: str) -> None:
    declared = CONSTANT[n_axes]
    (feature,) = declared.constant_features
    with pytest.warns(PropertyWarning, match=f"must not depend on {feature}"):
        alignment, row = aligned(kind(n_axes, 9), declared, n_axes, norm)
    along = [law.axis.feature for law in alignment.chain.laws].index(feature)
    places = np.repeat(random_places(alignment, 100, 10)[:, None], 30, axis=1)
    places[:, :, along] = random_places(alignment, 3000, 11)[:, along].reshape(100, 30)
    f, g, projection = at(alignment, row, places.reshape(3000, n_axes))
    f, g = f.reshape(100, 30), g.reshape(100, 30)
    assert np.ptp(f, axis=1).mean() > 1
    assert np.ptp(g, axis=1).max() <= projection.lines.rounding[0]


def test_a_member_of_a_constant_is_returned_bit_for_bit() -> None:
    with pytest.warns(PropertyWarning):
        alignment, row = aligned(Member([0.0, 1.0], 12), AllOf(UP(0), DOWN(0), UP(1)), 2, "l2")
    f, g, _ = at(alignment, row, random_places(alignment, 2000, 13))
    assert np.unique(f).size > 20
    assert g.tobytes() == f.tobytes()


# Within a cell, and beyond the last knot ----------------------------------------------------------------------------


@both_norms
def test_on_a_line_it_is_the_model_clipped_between_its_neighbours(norm: str) -> None:
    alignment, row = aligned(Spikes(1, 14), UP(0), 1, norm)
    places = random_places(alignment, 2000, 15)
    f, g, projection = at(alignment, row, places)
    (knots,), (values,) = [law.knots for law in alignment.chain.laws], projection.values
    for place, before, after in zip(places[:, 0], f, g, strict=True):
        below, above = values[knots <= place], values[knots >= place]
        expected = min(max(before, below.max(initial=-np.inf)), above.min(initial=np.inf))
        assert after == pytest.approx(expected, rel=0, abs=projection.lines.rounding[0])


# The band -----------------------------------------------------------------------------------------------------------

numbers = st.one_of(
    st.floats(-1e300, 1e300), st.floats(-10, 10), st.integers(-3, 3).map(float), st.floats(-1e-300, 1e-300)
)
widths = st.one_of(st.floats(0, 1e300), st.floats(0, 10), st.floats(0, 1e-15), st.floats(0, 1e-300))


@settings(max_examples=500)
@given(f=arrays(np.float64, 6, elements=numbers), g=arrays(np.float64, 6, elements=numbers), half_width=widths)
def test_the_delivered_value_stays_in_the_band_in_floats(f: np.ndarray, g: np.ndarray, half_width: float) -> None:
    before = f.tobytes(), g.tobytes()
    h = clip_to_band(f, g, half_width)
    assert (np.abs(h - f) <= half_width).all()
    near = (np.abs(g - f) <= half_width) & (f - half_width <= g) & (g <= f + half_width)
    np.testing.assert_array_equal(h[near], g[near])
    assert ((np.minimum(f, g) <= h) & (h <= np.maximum(f, g))).all()
    size = 2e-16 * (np.abs(f) + half_width) + 1e-322
    assert (np.abs(h - f)[~near] >= half_width - 2 * size[~near]).all()
    assert (f.tobytes(), g.tobytes()) == before


@both_norms
def test_limits_hold_between_knots_and_beyond_the_last(norm: str) -> None:
    """Beyond the last knot only one neighbour bounds a value from one side; limits bound it from both."""
    alignment, row = aligned(Smooth(1, 6), AllOf(UP(0), Bounded(-0.2, 0.2)), 1, norm)
    f, g, _ = at(alignment, row, random_places(alignment, 2000, 14))
    assert f.min() < -0.4
    assert f.max() > 0.4
    assert g.min() >= -0.2
    assert g.max() <= 0.2


class Hill:
    """``x_1 + 1 - (4 x_0 - 2)^2``, between ``x_1 - 3`` and ``x_1 + 1``."""

    def predict(self, X: np.ndarray) -> np.ndarray:
        return X[:, 1] + 1 - (4 * X[:, 0] - 2) ** 2


def test_no_half_width_is_claimed_where_limits_break_a_curve() -> None:
    """A hill cut off at 0 is not concave at its foot; the hill that stays above 0 needs no repair."""
    reference = np.column_stack([np.linspace(0, 1, 41), np.zeros(41)])
    alignment = prepare(Hill(), AllOf(Concave(0), Bounded(0, 9)), reference, reference, norm="sup", n_knots=41)
    np.testing.assert_array_equal(alignment.half_widths(np.array([[0.5, 0.0], [0.5, 3.5]])), [np.inf, 0.0])


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e300])
def test_a_half_width_equal_to_the_displacement_delivers_the_projection(scale: float) -> None:
    """A calibrated half-width is some row's own displacement, so this is no rare coincidence."""
    f, g = np.random.default_rng(16).normal(size=(2, 2000)) * np.array([[1.0], [scale]])
    delivered_at_own = [clip_to_band(f[i : i + 1], g[i : i + 1], abs(g[i] - f[i]))[0] for i in range(2000)]
    np.testing.assert_array_equal(delivered_at_own, g)


@given(f=arrays(np.float64, 6, elements=numbers), g=arrays(np.float64, 6, elements=numbers))
def test_the_ends_of_the_path_are_model_and_projection(f: np.ndarray, g: np.ndarray) -> None:
    assert clip_to_band(f, g, np.inf).tobytes() == g.tobytes()
    np.testing.assert_array_equal(clip_to_band(f, g, 0.0), f)


@pytest.mark.parametrize("half_width", [1.0, 1e308, np.inf])
def test_a_displacement_beyond_the_largest_float_is_clipped_too(half_width: float) -> None:
    h = clip_to_band(np.array([1e308, -1e308]), np.array([-1e308, 1e308]), half_width)
    np.testing.assert_allclose(h, {1.0: [1e308, -1e308], 1e308: [0, 0], np.inf: [-1e308, 1e308]}[half_width])


def test_categories_that_are_all_knots_need_no_level_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The short cut for complete ordered categories gives what the general construction gives."""
    random = np.random.default_rng(4)
    order = [0, 1, 2, 3]
    rows = np.column_stack([random.integers(0, 4, 300), random.integers(0, 4, 300), random.random((300, 2))])
    table = random.normal(size=(4, 4, 5))

    class Steps:
        def predict(self, X: np.ndarray) -> np.ndarray:
            cell = np.clip((5 * X[:, 2]).astype(int), 0, 4)
            return table[X[:, 0].astype(int), X[:, 1].astype(int), cell] + X[:, 3] * np.sin(9 * X[:, 2])

    declared = AllOf(Increasing(0, order=order), Decreasing(1, order=order), Increasing(2))
    for norm in ("l2", "sup"):
        short = prepare(Steps(), declared, rows, rows, norm=norm, n_knots=16, projector="lines")
        f, g = short.predict(rows)
        queries = short.tester.draw(rows, 3, RowDraws.of(rows, np.random.default_rng(5)))
        scores_of = short.at_queries(rows, queries, delivered)
        with monkeypatch.context() as patch:
            patch.setattr(ReferenceLaw, "is_complete", False)
            np.testing.assert_allclose(short.predict(rows)[1], g, rtol=0, atol=1e-12)
            for one, other in zip(short.at_queries(rows, queries, delivered), scores_of, strict=True):
                np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)
        assert np.abs(g - f).max() > 0.1
