"""Axes, reference laws and the queries drawn from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2, chisquare

from alignconf.errors import InputError
from alignconf.lines.axis import Axis, place_axis
from alignconf.lines.reference_law import ReferenceLaw
from alignconf.properties import Decreasing, Increasing
from alignconf.queries.along_line import LineQueries
from alignconf.queries.queries import draw_queries
from alignconf.queries.row_draws import RowDraws
from alignconf.tables.random_streams import set_aside

#: A statistic above this quantile of its law fails a test: false alarm probability 1e-6 for each chi-square test below.
FALSE_ALARM = 1e-6


def column(values: Sequence[Any]) -> np.ndarray:
    return np.asarray(values)[:, None]


def law_of(values: Sequence[Any], n_knots: int = 64) -> ReferenceLaw:
    return ReferenceLaw.from_table(Axis("a", 0, None), column(values), n_knots)


# Axes ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        np.array([3, 1, 2]),
        np.array([3, 1, 2], dtype=np.uint8),
        np.array([0.5, -1.5, np.pi]),
        np.array([0.5, 1.5], dtype=np.float32),
        np.array([True, False]),
        np.array([3, 1.5, True], dtype=object),
    ],
    ids=lambda it: str(it.dtype),
)
def test_a_numeric_value_is_its_own_place(values: np.ndarray) -> None:
    axis = Axis("a", 1, None)
    table = np.stack([np.zeros_like(values), values], axis=1)
    for rows in (table, pd.DataFrame({"b": np.zeros(len(values)), "a": values})):
        places = axis.places(rows)
        assert places.dtype == np.float64
        np.testing.assert_array_equal(places, values.astype(float))
        np.testing.assert_array_equal(axis.values(places), values.astype(float))


def test_a_numeric_place_may_be_missing() -> None:
    expected = [1.0, np.nan, 3.0]
    frame = pd.DataFrame(
        {
            "float": [1.0, np.nan, 3.0],
            "nullable": pd.array([1, None, 3], dtype="Int64"),
            "nullable float": pd.array([1.0, None, 3.0], dtype="Float32"),
            "object": pd.Series([1, None, 3.0], dtype=object),
        }
    )
    for position in range(frame.shape[1]):
        np.testing.assert_array_equal(Axis("a", position, None).places(frame), expected)
    np.testing.assert_array_equal(Axis("a", 0, None).places(column([1.0, np.nan, 3.0])), expected)


ORDERED = {
    "text": (("low", "mid", "high"), ["high", "low", "mid", "mid"]),
    "numbers": ((10, 5, 7), [7, 10, 5, 5]),
    "fractions": ((0.5, 0.25, 2.0), [2.0, 0.5, 0.25, 0.25]),
    "truths": ((True, False, None), [False, True, False, False]),
    "mixed": (("low", 1, 2.5), [2.5, "low", 1, 1]),
    "mixed numbers": ((1, 2.5, 3), [3, 1, 2.5, 2.5]),
}


@pytest.mark.parametrize("name", ORDERED)
def test_the_categories_of_an_order_are_counted_from_zero(name: str) -> None:
    order, values = ORDERED[name]
    axis = Axis("a", 0, order)
    for table in (np.array(values, dtype=object)[:, None], pd.DataFrame({"a": pd.Series(values, dtype=object)})):
        places = axis.places(table)
        np.testing.assert_array_equal(places, [order.index(value) for value in values])
        back = axis.values(places).tolist()
        assert back == values
        assert [isinstance(it, str) for it in back] == [isinstance(it, str) for it in values]


def test_typed_categories_keep_their_type() -> None:
    assert Axis("a", 0, ("x", "yy")).values(np.array([1.0, 0.0])).dtype == "<U2"
    assert Axis("a", 0, (1, 2)).values(np.array([1.0, 0.0])).dtype == np.int64
    np.testing.assert_array_equal(Axis("a", 0, (1, 2)).places(column(np.array([2, 1, 2], dtype=np.int8))), [1, 0, 1])
    np.testing.assert_array_equal(Axis("a", 0, ("x", "yy")).places(column(["yy", "x"])), [1, 0])
    pairs = ((0, 1), (0, 2))
    assert Axis("a", 0, pairs).values(np.array([1.0])).tolist() == [(0, 2)]


def test_an_ordered_categorical_brings_its_own_order() -> None:
    values = pd.Categorical(["mid", "low", None, "high"], categories=["low", "mid", "high"], ordered=True)
    frame = pd.DataFrame({"a": values})
    axis = place_axis(Increasing("a"), frame)
    assert axis == Axis("a", 0, ("low", "mid", "high"))
    np.testing.assert_array_equal(axis.places(frame), [1, 0, np.nan, 2])
    declared = place_axis(Increasing("a", order=["high", "mid", "low"]), frame)
    np.testing.assert_array_equal(declared.places(frame), [1, 2, np.nan, 0])


def test_an_unordered_categorical_of_text_has_no_order_of_its_own() -> None:
    frame = pd.DataFrame({"a": pd.Categorical(["x", "y"])})
    axis = place_axis(Increasing("a"), frame)
    assert axis.order is None
    with pytest.raises(InputError, match=r"^feature 'a' has values such as 'x'.*order="):
        axis.places(frame)


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT], ids=repr)
@pytest.mark.parametrize("order", [None, (1, 2)])
def test_every_kind_of_missing_value_has_no_place(missing: object, order: tuple | None) -> None:
    table = np.array([[2], [missing], [1]], dtype=object)
    np.testing.assert_array_equal(np.isnan(Axis("a", 0, order).places(table)), [False, True, False])


def test_an_unknown_category_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"^feature 'a' has the category 'huge', which order=\['low', 'high'\]"):
        Axis("a", 0, ("low", "high")).places(np.array([["low"], ["huge"]]))


@pytest.mark.parametrize(
    "table",
    [
        np.array([["7"], ["x"]]),
        np.array([[None], ["x"]], dtype=object),
        np.array([[1.5], [b"x"]], dtype=object),
        pd.DataFrame({"a": ["7", "x"]}),
    ],
)
def test_values_without_an_order_are_refused(table: object) -> None:
    with pytest.raises(InputError, match=r"^feature 'a' has values such as .* which have no order; .*order=\[\.\.\.\]"):
        Axis("a", 0, None).places(table)


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame({"a": pd.to_datetime(["2020-01-01", "2021-06-01"])}),
        pd.DataFrame({"a": pd.to_timedelta([1, 2], unit="h")}),
        np.array([["2020-01-01"], ["2021-06-01"]], dtype="datetime64[D]"),
    ],
    ids=["frame of dates", "frame of durations", "array of dates"],
)
def test_dates_are_refused(table: object) -> None:
    """They have an order, but the number that counts them is not what a model was fitted on."""
    with pytest.raises(InputError, match="feature 'a'"):
        Axis("a", 0, None).places(table)


# Laws ---------------------------------------------------------------------------------------------------------------


def test_a_few_distinct_values_are_all_knots_with_their_shares() -> None:
    law = law_of([3.0, 1.0, 3.0, 7.0, 3.0, np.nan, 1.0, 3.0, 7.0])
    np.testing.assert_array_equal(law.places, [1, 3, 7])
    np.testing.assert_array_equal(law.counts, [2, 4, 2])
    assert law.least_coincidence == pytest.approx((2**2 + 4**2 + 2**2) / 8**2)
    np.testing.assert_array_equal(law.knots, [1, 3, 7])
    np.testing.assert_array_equal(law.weights, [2 / 8, 4 / 8, 2 / 8])


def test_many_values_give_quantiles_and_split_the_mass_between() -> None:
    law = law_of(np.arange(101.0), n_knots=5)
    np.testing.assert_array_equal(law.knots, [0, 25, 50, 75, 100])
    # Strictly between two knots lie 24 values of 101, half of them counted for each.
    np.testing.assert_allclose(law.weights * 101, [13, 25, 25, 25, 13])


def test_pieces_have_the_shares_of_the_places_in_them() -> None:
    law = law_of([1.0, 1.0, 1.0, 2.0, 5.0]).on_pieces(np.array([1.5, 3.0, 4.0, 9.0]), np.array([0, 1, 3]))
    np.testing.assert_array_equal(law.knots, [1.5, 3, 4, 9])
    np.testing.assert_allclose(law.weights, [0.6, 0.2, 1e-6 / 4, 0.2], rtol=1e-12)


def test_rows_set_aside_leave_as_many_as_are_to_be_kept() -> None:
    """A fifth, two at least, 2,000 at most, and fewer where too few would be left."""
    for n_samples, keep, n_reference in (
        (100, 10, 20),
        (5, 1, 2),
        (20_000, 1, 2000),
        (10, 9, 1),
        (10, 10, 0),
        (10, 99, 0),
    ):
        rows, reference = set_aside(n_samples, np.random.default_rng(0), keep=keep)
        assert reference.size == n_reference
        np.testing.assert_array_equal(np.sort(np.append(rows, reference)), np.arange(n_samples))


def test_a_law_is_read_off_its_own_column() -> None:
    table = np.stack([np.zeros(4), np.array([4.0, 2.0, 4.0, 2.0])], axis=1)
    np.testing.assert_array_equal(ReferenceLaw.from_table(Axis(1, 1, None), table, 9).knots, [2, 4])
    grades = pd.DataFrame({"g": ["b", "a", None, "c", "c"]})
    law = ReferenceLaw.from_table(Axis("g", 0, ("c", "b", "a", "unseen")), grades, 4)
    np.testing.assert_array_equal(law.knots, [0, 1, 2])
    np.testing.assert_array_equal(law.weights, [0.5, 0.25, 0.25])
    assert str(law) == "the marginal law of 'g' in 4 reference rows"


@settings(max_examples=200)
@given(
    st.lists(st.one_of(st.floats(-1e300, 1e300), st.integers(-5, 5).map(float)), min_size=2, max_size=60),
    st.integers(2, 20),
)
def test_knots_are_observed_values_and_weights_their_mass(values: list[float], n_knots: int) -> None:
    if len(set(values)) < 2:
        with pytest.raises(InputError, match="only the value"):
            law_of(values, n_knots)
        return
    law = law_of(values, n_knots)
    assert set(law.knots) <= set(values)
    assert (np.diff(law.knots) > 0).all()
    assert (law.knots[0], law.knots[-1]) == (min(values), max(values))
    assert 2 <= law.knots.size <= n_knots
    if len(set(values)) <= n_knots:
        assert set(law.knots) == set(values)
    assert law.weights.sum() == pytest.approx(1, abs=1e-12)
    assert (law.weights > 0).all()
    mass = np.zeros(law.knots.size)
    for value in values:
        for side in (law.knots[law.knots <= value].max(), law.knots[law.knots >= value].min()):
            mass[law.knots == side] += 0.5 / len(values)
    np.testing.assert_allclose(law.weights, mass, atol=1e-12)
    np.testing.assert_array_equal(np.repeat(law.places, law.counts.astype(int)), np.sort(values))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([2.0, 2.0, np.nan], r"^feature 'a' has only the value .*2\.0.* in the 3 reference rows"),
        ([np.nan, np.nan], r"^feature 'a' has no value at all in the 2 reference rows"),
        ([1.0, np.inf, 2.0], r"^feature 'a' has infinite values in the reference rows"),
    ],
)
def test_a_sample_in_which_nothing_varies_is_refused(values: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        law_of(values)


def test_draws_follow_the_sample() -> None:
    counts = np.array([1, 2, 3, 10, 20, 14])
    law = law_of(np.repeat([-1.0, 0.0, 0.5, 3.0, 4.0, 100.0], counts))
    draws = law.different_places(np.random.default_rng(0).random((500, 200, 1)), np.zeros((500, 1)))
    assert draws.shape == (500, 200, 1)
    values, found = np.unique(draws, return_counts=True)
    np.testing.assert_array_equal(values, law.knots)
    assert chisquare(found, counts / counts.sum() * draws.size).statistic < chi2.isf(FALSE_ALARM, df=5)


def test_draws_come_from_the_sample_and_not_from_its_knots() -> None:
    law = law_of(np.arange(1000.0), n_knots=4)
    draws = law.different_places(np.random.default_rng(0).random((20_000, 1, 1)), np.zeros((20_000, 1)))
    assert set(draws.ravel()) <= set(law.places)
    assert np.unique(draws).size == 1000


# Queries ------------------------------------------------------------------------------------------------------------


def test_queries_are_independent_pairs_given_that_they_differ() -> None:
    share = np.array([0.1, 0.2, 0.3, 0.4])
    law = law_of(np.repeat([0.0, 1.0, 2.0, 3.0], [10, 20, 30, 40]))
    table = np.zeros((3000, 1))
    queries = draw_queries([LineQueries(Increasing("a"), law)], table, 20, RowDraws.of(table, np.random.default_rng(1)))
    places = queries.parts[0].places
    assert places.shape == (3000, 20, 2)
    assert (places[..., 0] < places[..., 1]).all()
    low, high = places.reshape(-1, 2).astype(int).T
    found = np.bincount(4 * low + high, minlength=16).reshape(4, 4)
    joint = np.outer(share, share)
    cells = np.triu_indices(4, 1)
    expected = joint[cells] / joint[cells].sum() * low.size
    assert chisquare(found[cells], expected).statistic < chi2.isf(FALSE_ALARM, df=5)


def test_rows_queries_and_parts_are_independent_of_each_other() -> None:
    """Correlations of 20,000 pairs of iid values: beyond 5 standard errors with probability below 1e-6 each."""
    law = law_of(np.random.default_rng(0).normal(size=500))
    both = draw_queries(
        [LineQueries(it("a"), law) for it in (Increasing, Decreasing)],
        np.zeros((20_000, 1)),
        2,
        RowDraws.of(np.zeros((20_000, 1)), np.random.default_rng(2)),
    )
    one, other = (lines.places for lines in both.parts)
    for x, y in ((one[:-1], one[1:]), (one[:, :1], one[:, 1:]), (one, other)):
        correlation = np.corrcoef(x[:, 0, 0], y[:, 0, 0])[0, 1]
        assert abs(correlation) < 5 / np.sqrt(len(x))


def test_no_two_rows_share_a_draw() -> None:
    """Of 300 pairs of 100,000 values, two are the same by chance with probability 1e-5."""
    law = law_of(np.arange(100_000.0))
    table = np.zeros((100, 1))
    draws = RowDraws.of(table, np.random.default_rng(3))
    lines = draw_queries([LineQueries(Increasing("a"), law)], table, 3, draws).parts[0]
    assert len({tuple(query) for row in lines.places for query in row}) == 300


def test_the_same_seed_draws_the_same_queries() -> None:
    law = law_of(np.arange(50.0))
    parts = [LineQueries(it("a"), law) for it in (Increasing, Decreasing)]
    table = np.zeros((20, 1))
    first, again, other = (
        draw_queries(parts, table, 4, RowDraws.of(table, np.random.default_rng(s))) for s in (5, 5, 6)
    )
    for i in range(2):
        np.testing.assert_array_equal(first.parts[i].places, again.parts[i].places)
        assert not np.array_equal(first.parts[i].places, other.parts[i].places)


def test_a_block_of_rows_keeps_their_queries() -> None:
    law = law_of(np.arange(50.0))
    queries = draw_queries(
        [LineQueries(Increasing("a"), law), LineQueries(Decreasing("b"), law)],
        np.zeros((20, 1)),
        4,
        RowDraws.of(np.zeros((20, 1)), np.random.default_rng(7)),
    )
    block = queries.rows(slice(5, 9))
    assert (block.n_samples, block.n_queries) == (4, 4)
    for part, whole in zip(block.parts, queries.parts, strict=True):
        np.testing.assert_array_equal(part.places, whole.places[5:9])
        assert (part.part, part.law) == (whole.part, whole.law)


def test_excess_is_what_the_inequality_fails_by() -> None:
    law = law_of(np.arange(50.0))
    values = np.random.default_rng(8).normal(size=(20, 4, 2))
    for part, sign in ((Increasing("a"), 1), (Decreasing("a"), -1)):
        draws = RowDraws.of(np.zeros((20, 1)), np.random.default_rng(9))
        lines = draw_queries([LineQueries(part, law)], np.zeros((20, 1)), 4, draws).parts[0]
        expected = sign * (values[..., :1] - values[..., 1:])
        np.testing.assert_array_equal(lines.excess(values), expected[..., None])
