"""What adds up over blocks of rows, against the same of all rows together."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.tree import DecisionTreeRegressor

from alignconf import AlignedRegressor
from alignconf.calibration.loss_family import PositiveScores, Scores
from alignconf.certify.certificate import certify
from alignconf.certify.error_change import Mean, RowErrors
from alignconf.certify.tally import Tally, tallied
from alignconf.errors import CalibrationError
from alignconf.queries.row_draws import RowDraws
from alignconf.tables.groups import Membership, read_groups

FINITE = st.floats(-1e6, 1e6, allow_nan=False)


class Wave:
    """A vectorised model."""

    def predict(self, X: np.ndarray) -> np.ndarray:
        return np.sin(7 * X[:, 0]) * X[:, 1]


# ---------------------------------------------------------------------------------------------------------------------
# Means
# ---------------------------------------------------------------------------------------------------------------------
@settings(max_examples=100)
@given(st.lists(FINITE, min_size=2, max_size=30), st.data())
def test_means_of_two_blocks_join_to_those_of_all(values: list[float], data: st.DataObject) -> None:
    """Against rational arithmetic."""
    cut = data.draw(st.integers(1, len(values) - 1))
    found = Mean.of(np.array(values[:cut])).joined(Mean.of(np.array(values[cut:])))
    exact = [Fraction(value) for value in values]
    mean = sum(exact) / len(exact)
    squares = sum((value - mean) ** 2 for value in exact)
    size = max(map(abs, values)) + 1e-300
    assert found.n == len(values)
    assert found.mean == pytest.approx(float(mean), rel=1e-12, abs=1e-12 * size)
    assert found.squares == pytest.approx(float(squares), rel=1e-9, abs=1e-12 * size**2)
    assert (found.low, found.high) == (min(values), max(values))


def test_equal_numbers_have_no_spread_however_they_are_cut() -> None:
    ones = Mean.of(np.full(7, 0.1)).joined(Mean.of(np.full(3, 0.1)))
    assert ones.low == ones.high == 0.1
    assert ones.squares == pytest.approx(0, abs=1e-30)


# ---------------------------------------------------------------------------------------------------------------------
# Tallies
# ---------------------------------------------------------------------------------------------------------------------
def test_tallies_of_blocks_join_to_that_of_all_rows() -> None:
    """Each row has its own draws, in whichever block it is."""
    X = np.random.default_rng(0).random((300, 3))
    X[::7, 0] = np.nan
    rows = np.nan_to_num(X)
    aligned = AlignedRegressor(Wave(), {1: 1}, random_state=0, confidence=None).calibrate(rows[:100])
    alignment, groups = aligned.alignment_, (rows[100:, 2] > 0.5).astype(int)
    y = np.random.default_rng(1).random(200)

    draws = RowDraws.of(rows[100:], np.random.default_rng(2))

    def of(block: slice) -> Tally:
        table = rows[100:][block]
        errors = RowErrors("absolute error", lambda values: np.abs(values - y[block]))
        membership = read_groups(None, table, groups[block])
        return tallied(alignment, aligned.lambda_, table, draws.rows(block), errors, membership, 3)

    whole = of(slice(0, 200))
    found = Tally.joined([of(slice(start, start + 50)) for start in range(0, 200, 50)])
    np.testing.assert_array_equal(found.failed, whole.failed)
    np.testing.assert_array_equal(found.losses, whole.losses)
    assert found.failed.any()
    assert not found.failed.all()
    assert (found.n_rows, found.n_missing, found.is_full, found.is_same, found.measure) == (
        *(200, 0, False, True, "absolute error"),
    )
    for one, other in zip((found.moved, *found.errors), (whole.moved, *whole.errors), strict=True):
        assert (one.n, one.mean) == (other.n, pytest.approx(other.mean, rel=1e-13))
        assert (one.low, one.high) == (other.low, other.high)
    assert found.membership is not None
    assert whole.membership is not None
    np.testing.assert_array_equal(found.membership.codes, whole.membership.codes)
    assert Tally.joined([whole]) is whole


class Counting(Wave):
    """The same, which counts the rows that it is asked."""

    n_rows = 0

    def predict(self, X: np.ndarray) -> np.ndarray:
        self.n_rows += len(X)
        return super().predict(X)


def test_whole_lines_are_asked_where_a_query_fails_only() -> None:
    """The range of a line counts where a query fails; sizes over ranges are those of lines that are asked by hand."""
    X = np.random.default_rng(3).random((400, 2))
    model = Counting()
    aligned = AlignedRegressor(model, {0: 1}, n_knots=8, alpha=0.2, n_queries=1, random_state=0).calibrate(X[:200])
    alignment, fresh = aligned.alignment_, X[200:]
    draws = RowDraws.of(fresh, np.random.default_rng(4))
    model.n_rows = 0
    found = tallied(alignment, aligned.lambda_, fresh, draws, keep=True)
    assert found.seen is not None
    sizes = found.seen.sizes[0, :, 0, 0]
    broken = np.flatnonzero(sizes)
    assert 0 < broken.size < 100
    (law,) = alignment.chain.laws
    n_knots = law.knots.size
    # Lines and two points for each query, a line and its own value for each row, lines of the broken.
    per_row = (n_knots + 2) + (n_knots + 1)
    assert model.n_rows <= per_row * 200 + broken.size * 2 * n_knots + 8
    for row in broken:
        line = np.repeat(fresh[row : row + 1], n_knots, axis=0)
        line[:, 0] = law.knots
        reach = np.ptp(aligned.predict(line))
        assert found.losses[row, 0] == pytest.approx(sizes[row] / max(reach, sizes[row]), rel=1e-9)
    assert not np.delete(found.losses[:, 0], broken).any()


def test_finite_and_infinite_half_widths_together_are_not_full_strength() -> None:
    """One of each, in one block or in two: nothing holds by construction, although the repair itself is exact."""
    X = np.random.default_rng(0).random((300, 3))
    tree = DecisionTreeRegressor(max_depth=5, random_state=0).fit(X[:100], np.sin(7 * X[:100, 0]) + X[:100, 1])
    aligned = AlignedRegressor(tree, {0: 1}, alpha=0).calibrate(X[:100])
    assert aligned.alignment_.chain.is_exact

    def of(half_widths: float | np.ndarray) -> Tally:
        return tallied(aligned.alignment_, half_widths, X[100:], RowDraws.of(X[100:], np.random.default_rng(1)))

    def claims(tally: Tally) -> bool:
        certificate = certify(aligned.alignment_, aligned.calibration_, tally, 0.95, of_rows="")
        assert ("By construction" in certificate.sentence) == certificate.by_construction
        return certificate.by_construction

    mixed = np.where(np.arange(200) < 100, np.inf, 0.01)
    full, part, none = of(np.full(200, np.inf)), of(mixed), of(0.01)
    assert [one.is_full for one in (full, part, none)] == [True, False, False]
    assert [claims(one) for one in (full, of(np.inf), part, none)] == [True, True, False, False]
    assert claims(Tally.joined([full, full]))
    for blocks in ([full, none], [none, full], [full, part, full]):
        joined = Tally.joined(blocks)
        assert joined.failed[:, :, 0].any()
        assert not claims(joined)


class Patient(Wave):
    """Answers for rows with missing values too."""

    def predict(self, X: np.ndarray) -> np.ndarray:
        return super().predict(np.nan_to_num(X))


def test_rows_with_missing_values_leave_the_others_their_half_widths_and_groups() -> None:
    """By group with missing values, against the complete rows alone: half-widths 0 and infinite, so that groups differ."""
    X = np.random.default_rng(3).random((300, 3))
    X[::3, 0] = np.nan
    groups, complete = (X[:, 2] > 0.5).astype(int), ~np.isnan(X[:, 0])
    model = Patient()
    aligned = AlignedRegressor(model, {0: 1}, alpha=0.1, confidence=None, random_state=0).calibrate(X[complete][:100])
    half_widths = np.where(groups == 1, np.inf, 0.0)

    draws = RowDraws.of(X, np.random.default_rng(4))

    def of(rows: np.ndarray) -> Tally:
        membership = read_groups(None, X[rows], groups[rows])
        return tallied(
            aligned.alignment_,
            half_widths[rows],
            X[rows],
            draws.rows(np.flatnonzero(rows)),
            None,
            membership,
            2,
            keep=True,
        )

    whole, alone = of(np.full(300, True)), of(complete)
    assert (whole.n_missing, alone.n_missing) == (100, 0)
    np.testing.assert_array_equal(whole.failed, alone.failed)
    np.testing.assert_array_equal(whole.seen.half_widths, half_widths[complete])
    np.testing.assert_array_equal(whole.seen.numbers, np.flatnonzero(complete))
    np.testing.assert_array_equal(whole.membership.rows_of(1), groups[complete] == 1)
    assert not whole.failed[:, groups[complete] == 1, 0].any()
    of_zero = whole.failed[:, groups[complete] == 0]
    np.testing.assert_array_equal(of_zero[:, :, 0], of_zero[:, :, 1])
    assert of_zero.any()


# ---------------------------------------------------------------------------------------------------------------------
# Groups
# ---------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "labels",
    [
        np.array([3, 1, 2, 1, 5, 3, 0]),
        np.array(["b", "a", "c", "b", "b", "z", "a"]),
        np.array(["b", 1, ("c", 2), "b", "z", 1, "a"], dtype=object),
        np.random.default_rng(0).random((7, 3)) > 0.5,
        np.arange(300),
    ],
    ids=["numbers", "texts", "anything", "overlapping", "many"],
)
def test_groups_of_blocks_join_to_those_of_all_rows(labels: np.ndarray) -> None:
    table = np.zeros((len(labels), 1))
    whole = read_groups(None, table, labels)
    for cuts in ([3], [1, 2, 6], [0, 5]):
        parts = zip([0, *cuts], [*cuts, len(labels)], strict=True)
        blocks = [read_groups(None, table[start:end], labels[start:end]) for start, end in parts if end > start]
        found = Membership.joined(blocks)
        assert found.names == whole.names
        np.testing.assert_array_equal(found.codes, whole.codes)
        assert found.codes.dtype.itemsize <= (1 if len(labels) < 100 else 2)


# ---------------------------------------------------------------------------------------------------------------------
# Scores
# ---------------------------------------------------------------------------------------------------------------------
@settings(max_examples=100)
@given(
    n_rows=st.integers(1, 60),
    n_queries=st.integers(1, 4),
    alpha=st.sampled_from([0.05, 0.1, 0.3, 0.5]),
    seed=st.integers(0, 10**6),
)
def test_positive_scores_say_what_all_scores_say(n_rows: int, n_queries: int, alpha: float, seed: int) -> None:
    """Ranks, figures and refusals, of all rows and of some; in any order of the positive scores."""
    random = np.random.default_rng(seed)
    values = np.round(np.maximum(random.normal(size=(n_rows, n_queries)), 0), 1)
    values[random.random(values.shape) < 0.03] = np.inf
    order = random.permutation(int((values > 0).sum()))
    few = PositiveScores(n_rows, n_queries, values[values > 0][order], *(at[order] for at in np.nonzero(values > 0)))
    chosen = random.random(n_rows) < 0.6
    twice = few.take(chosen).take(np.arange(chosen.sum()) % 2 == 0)
    pairs = (
        (Scores(values), few),
        (Scores(values[chosen]), few.take(chosen)),
        (Scores(values[chosen][::2]), twice),
    )
    for all_scores, positive in pairs:
        assert positive.shape == all_scores.shape
        assert repr(positive.figures()) == repr(all_scores.figures())
        answers = []
        for family in (all_scores, positive):
            try:
                answers.append(family.critical(alpha, None))
            except CalibrationError as error:
                answers.append(str(error))
        assert answers[0] == answers[1]
