"""The law of a feature given the others: what is drawn, how knots weigh, and that the promise holds under it.

The weights of reference rows are computed here again, row by row and tree by tree, from a forest of scikit-learn's that is grown
anew with the documented settings. Fixed seeds throughout; false alarms as stated.
"""

import pickle
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import isotonic_regression
from scipy.stats import chisquare
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression

from alignconf import AlignedClassifier, AlignedRegressor, InputError, check
from alignconf.calibration.ranks import critical_half_width
from alignconf.lines import conditional_law
from alignconf.lines.axis import Axis
from alignconf.lines.conditional_law import MARGINAL_SHARE, conditional_laws
from alignconf.lines.exact_lines import piece_of
from alignconf.lines.reference_law import ReferenceLaw
from alignconf.losses.rate import RATES
from alignconf.projectors.preparation import prepare
from alignconf.properties import (
    AllOf,
    Concave,
    Convex,
    Decreasing,
    DiminishingReturns,
    Dominates,
    Increasing,
    Invariant,
    Lipschitz,
    SlopeAtLeast,
    SlopeAtMost,
    Unimodal,
)
from alignconf.queries.along_line import LineQueries
from alignconf.queries.queries import draw_queries
from alignconf.queries.row_draws import RowDraws
from alignconf.tables.random_streams import CONDITION, generator
from tests.grids import whole_grid

RANDOM = np.random.default_rng(0)
Z = RANDOM.normal(size=(700, 3))
#: Column 1 follows column 0 closely and takes 30 values; column 3 is like column 1 and 20 % missing.
X = np.column_stack([Z[:, 0], np.round(3 * Z[:, 0] + Z[:, 1]).clip(-12, 12), Z[:, 2], Z[:, 1]])
X[RANDOM.random(700) < 0.2, 3] = np.nan
REFERENCE, CALIBRATE, FRESH = X[:300], X[300:550], X[550:]
Y = np.sin(2 * X[:, 0]) + 0.1 * X[:, 1] + X[:, 2] + 0.3 * RANDOM.normal(size=700)


def law_of(position, table=REFERENCE, n_knots=64, constrained=None, seed=0, order=None):
    marginal = ReferenceLaw.from_table(Axis(position, position, order), table, n_knots)
    (law,) = conditional_laws((marginal,), table, frozenset(constrained or {position}), np.random.default_rng(seed))
    return law


@cache
def shared_law(position, n_knots=64):
    """Return the law that several tests look at; its forest is grown once."""
    return law_of(position, n_knots=n_knots)


@cache
def sorted_places_and_forest(position):
    """Return the places of reference rows, sorted, what the others hold, and the best of four forests."""
    rows = np.flatnonzero(~np.isnan(REFERENCE[:, position]))
    rows = rows[np.argsort(REFERENCE[rows, position], kind="stable")]
    places, design = REFERENCE[rows, position], np.delete(REFERENCE[rows], position, axis=1)
    seed = int(np.random.default_rng(0).integers(2**31))
    forests = [
        RandomForestRegressor(100, min_samples_leaf=least, random_state=seed, oob_score=True).fit(design, places)
        for least in (3, 10, 30, 100)
    ]
    return places, design, max(forests, key=lambda forest: forest.oob_score_)


def by_hand(law, position, fresh=FRESH):
    """Return sorted reference places and the weights of their rows at fresh ones, (n_fresh, n_reference), tree by tree."""
    places, design, forest = sorted_places_and_forest(position)
    in_leaf, reached = forest.apply(design), forest.apply(np.delete(fresh, position, axis=1))
    weights = np.zeros((len(fresh), len(design)))
    for i in range(len(fresh)):
        for tree in range(100):
            shares_leaf = in_leaf[:, tree] == reached[i, tree]
            weights[i] += shares_leaf / shares_leaf.sum() / 100
    np.testing.assert_array_equal(law.places[law.index], places)
    return places, weights


# ---------------------------------------------------------------------------------------------------------------------
# The law
# ---------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("position", [0, 1, 3])
def test_weights_are_shares_of_leaves_split_between_neighbouring_knots(position):
    """Ties, knots fewer than places, missing values in the feature (column 3) and in the others (elsewhere)."""
    law = shared_law(position, n_knots=12)
    places, weights = by_hand(law, position)
    mass = np.zeros((len(FRESH), law.knots.size))
    for place, of_rows in zip(places, weights.T, strict=True):
        right = int(np.searchsorted(law.knots, place))
        left = right if law.knots[right] == place else right - 1
        mass[:, left] += of_rows / 2
        mass[:, right] += of_rows / 2
    np.testing.assert_allclose(mass.sum(axis=1), 1, atol=1e-12)
    expected = (1 - MARGINAL_SHARE) * mass + MARGINAL_SHARE * law.weights
    np.testing.assert_allclose(law.weights_at(FRESH), expected, atol=1e-12)
    assert (law.weights_at(FRESH) > 0).all()
    assert np.ptp(mass, axis=0).max() > 0.1, "the law should differ between rows"


def test_pieces_have_the_mass_of_the_places_in_them():
    law = shared_law(0)
    ends = np.array([-1.5, -0.2, 0.1, 0.9, 7.0])
    pieces = np.searchsorted(ends, law.places)
    on_pieces = law.on_pieces(ends, pieces)
    _, weights = by_hand(law, 0)
    of_rows = pieces[law.index]
    mass = np.stack([weights[:, of_rows == piece].sum(axis=1) for piece in range(5)], axis=1)
    marginal = np.bincount(of_rows, minlength=5) / 300
    expected = (1 - MARGINAL_SHARE) * mass + MARGINAL_SHARE * marginal
    np.testing.assert_allclose(on_pieces.weights_at(FRESH), expected, atol=1e-8)
    assert np.array_equal(law.at_quantiles(12).knots, shared_law(0, n_knots=12).knots)
    assert law.at_quantiles(12).weights_at(FRESH).tobytes() == shared_law(0, n_knots=12).weights_at(FRESH).tobytes()


def test_draws_have_the_weights_of_the_rows_they_are_for():
    """20,000 draws at each of three rows against the shares of leaves. False alarm: 1e-4 for each (chi-square)."""
    law = shared_law(1)
    places, weights = by_hand(law, 1, fresh=FRESH[:3])
    draws = law.different_places(np.random.default_rng(1).random((3, 20_000, 1)), FRESH[:3])
    assert draws.shape == (3, 20_000, 1)
    values = np.unique(places)
    for i in range(3):
        expected = np.array([weights[i, places == value].sum() for value in values])
        found = np.array([(draws[i] == value).sum() for value in values])
        assert found[expected == 0].sum() == 0
        often = expected > 5 / 20_000
        rest = [found[~often].sum()] if (~often & (expected > 0)).any() else []
        shares = np.append(expected[often], 1 - expected[often].sum())[: often.sum() + len(rest)]
        assert chisquare(np.append(found[often], rest), 20_000 * shares / shares.sum()).pvalue > 1e-4
        other = np.array([weights[(i + 1) % 3, places == value].sum() for value in values])
        assert np.abs(found / 20_000 - other).sum() > 0.3, "draws of other rows should not pass"


def test_points_of_a_query_are_independent_given_that_they_differ():
    """Pairs have the product law off its diagonal: not one tree for both. False alarm: 1e-4 (chi-square)."""
    law = shared_law(1)
    places, weights = by_hand(law, 1, fresh=FRESH[:1])
    pairs = law.different_places(np.random.default_rng(2).random((1, 40_000, 2)), FRESH[:1])[0]
    assert (pairs[:, 0] < pairs[:, 1]).all()
    shares = np.array([weights[0, places == value].sum() for value in law.places])
    expected = np.triu(np.outer(shares, shares), 1)
    expected *= 40_000 / expected.sum()
    at = np.searchsorted(law.places, pairs)
    found = np.zeros_like(expected)
    np.add.at(found, tuple(at.T), 1)
    often = expected > 5
    rest = expected.sum() - expected[often].sum()
    assert (
        chisquare(np.append(found[often], 40_000 - found[often].sum()), np.append(expected[often], rest)).pvalue > 1e-4
    )


def test_rows_do_not_share_draws():
    """Pairs of equal rows have the product law. False alarm: 1e-4."""
    law = shared_law(1)
    twins = np.repeat(FRESH[:1], 20_000, axis=0)
    draws = draw_queries([LineQueries(Increasing(1), law)], twins, 1, RowDraws.of(twins, np.random.default_rng(2)))
    first_places = draws.parts[0].places[:, 0, 0]
    middle = np.median(first_places)
    for first, second in ((first_places[:-1], first_places[1:]),):
        high, high_too = first > middle, second > middle
        p, q = high.mean(), high_too.mean()
        assert 0.1 < p < 0.9
        counts = [
            (high & high_too).sum(),
            (high & ~high_too).sum(),
            (~high & high_too).sum(),
            (~high & ~high_too).sum(),
        ]
        product = len(first) * np.array([p * q, p * (1 - q), (1 - p) * q, (1 - p) * (1 - q)])
        assert chisquare(counts, product, ddof=2).pvalue > 1e-4
    draws = RowDraws.of(FRESH, np.random.default_rng(3))
    queries = draw_queries([LineQueries(Increasing(1), law)], FRESH, 4, draws).parts[0]
    assert queries.places.shape == (150, 4, 2)
    assert (np.diff(queries.places, axis=-1) > 0).all()


def test_a_row_next_to_which_one_place_occurs_is_asked_from_the_marginal_law():
    """The first half of the rows is always at place 0; five places occur in the other half, equally often."""
    z = np.repeat([0.0, 1.0], 300)
    table = np.column_stack([np.where(z > 0, np.arange(600) % 5, 0.0), z])
    law = law_of(0, table)
    rows = np.array([[0.0, 0.0], [0.0, 1.0]])
    pairs = law.different_places(np.random.default_rng(4).random((2, 20_000, 2)), rows)
    shares = np.array([[360, 60, 60, 60, 60], [60, 60, 60, 60, 60]])
    for found, share in zip(pairs, shares, strict=True):
        expected = np.triu(np.outer(share, share), 1).astype(float)
        counts = np.zeros((5, 5))
        np.add.at(counts, tuple(found.astype(int).T), 1)
        above = np.triu_indices(5, 1)
        assert chisquare(counts[above], expected[above] * 20_000 / expected.sum()).pvalue > 1e-4
    knots = law.other_knots(np.random.default_rng(5).random((2, 20_000)), rows, 0)
    for found, share in zip(knots, ([0, 60, 60, 60, 60],) * 2, strict=True):
        expected = 20_000 * np.array(share) / np.sum(share)
        assert chisquare(np.bincount(found, minlength=5)[1:], expected[1:]).pvalue > 1e-4


def test_draws_of_many_rows_are_found_block_by_block(monkeypatch):
    """Rows of any block have draws of their own: the mean of the place follows the row in the last block as in the first."""
    law = shared_law(1)
    uniforms = np.random.default_rng(4).random((150, 200, 1))
    together = law.different_places(uniforms, FRESH)
    monkeypatch.setattr(conditional_law, "MASSES_AT_ONCE", 40 * law.places.size)
    np.testing.assert_array_equal(law.different_places(uniforms, FRESH), together)
    draws, whole = together[..., 0], law.weights_at(FRESH) @ law.knots
    assert np.corrcoef(draws.mean(axis=1), whole)[0, 1] > 0.97
    assert np.corrcoef(draws.mean(axis=1)[120:], whole[120:])[0, 1] > 0.95


def test_the_law_is_constant_along_the_line():
    law = shared_law(0)
    moved = FRESH.copy()
    moved[:, 0] = np.random.default_rng(5).normal(size=150)
    assert law.weights_at(moved).tobytes() == law.weights_at(FRESH).tobytes()
    uniforms = np.random.default_rng(6).random((150, 3, 2))
    one, other = (law.different_places(uniforms, table) for table in (FRESH, moved))
    np.testing.assert_array_equal(one, other)
    elsewhere = FRESH.copy()
    elsewhere[:, 1] = -elsewhere[:, 1]
    assert np.abs(law.weights_at(elsewhere) - law.weights_at(FRESH)).max() > 0.1


def test_with_several_features_no_constrained_one_is_given():
    alignment = prepare(
        LinearRegression().fit(X[:, :3], Y), AllOf(Increasing(0), Increasing(1)), X[:, :3], X[:300, :3],
        norm="l2", n_knots=8, conditional=np.random.default_rng(0),
    )  # fmt: skip
    moved = X[550:, :3].copy()
    moved[:, :2] = moved[::-1, :2]
    for law in alignment.tester.laws:
        assert "given the features that are not constrained (forest of 100 trees on 300" in str(law)
        assert law.weights_at(moved).tobytes() == law.weights_at(X[550:, :3]).tobytes()


# ---------------------------------------------------------------------------------------------------------------------
# Leaves of the size that the data ask for
# ---------------------------------------------------------------------------------------------------------------------
def test_a_feature_that_the_others_say_nothing_of_keeps_nearly_its_marginal_law():
    """Independent columns: large leaves are chosen, and total variation from the marginal law is small on average."""
    table = np.random.default_rng(7).normal(size=(2000, 3))
    law = law_of(0, table, n_knots=10)
    apart = 0.5 * np.abs(law.weights_at(table[:200]) - law.weights).sum(axis=1)
    assert apart.mean() < 0.12
    table[:, 0] = table[:, 1] + 0.1 * table[:, 0]
    close = law_of(0, table, n_knots=10)
    assert np.diff(close.leaves.start).mean() < 30 < np.diff(law.leaves.start).mean()
    assert 0.5 * np.abs(close.weights_at(table[:200]) - close.weights).sum(axis=1).mean() > 0.5


# ---------------------------------------------------------------------------------------------------------------------
# Projections with weights of each line
# ---------------------------------------------------------------------------------------------------------------------
PARTS = (
    Increasing(0), Decreasing(0), Concave(0), Convex(0), Lipschitz(0, 2.0), SlopeAtLeast(0, -0.5), SlopeAtMost(0, 0.5),
    Unimodal(0), Unimodal(0, peak=0.5), Unimodal(0, peak=0.52), Invariant(0),
)  # fmt: skip


@pytest.mark.parametrize("part", PARTS, ids=str)
def test_weights_of_each_line_give_each_line_its_own_projection(part):
    """As with that line and those weights alone; with one row of weights for all, as with the vector. Bit for bit."""
    random = np.random.default_rng(8)
    knots = np.linspace(0, 1, 11)
    lines, weights = random.normal(size=(50, 11)), random.dirichlet(np.ones(11), 50) + 1e-6
    together = part.least_squares(lines, knots, weights)
    for i in range(50):
        alone = part.least_squares(lines[i : i + 1], knots, weights[i])[0]
        np.testing.assert_allclose(together[i], alone, rtol=0, atol=1e-15)
        if not isinstance(part, Invariant):
            assert together[i].tobytes() == alone.tobytes()
    same = part.least_squares(lines, knots, np.tile(weights[0], (50, 1)))
    shared = part.least_squares(lines, knots, weights[0])
    np.testing.assert_allclose(same, shared, rtol=0, atol=1e-15)
    if not isinstance(part, Invariant):
        assert same.tobytes() == shared.tobytes()
    assert np.abs(together - shared).max() > 0.01


class Wave:
    """A black box that sees all columns but the one with missing values."""

    def predict(self, X):
        return np.sin(2 * X[:, 0]) * np.cos(X[:, 1]) + X[:, 2] * np.sin(X[:, 0] + X[:, 1])


def test_lines_of_a_black_box_are_projected_with_the_weights_of_their_row():
    """Against SciPy's isotonic regression of each row's line."""
    aligned = AlignedRegressor(Wave(), {0: -1}, alpha=0, n_knots=16, reference_law="conditional", random_state=0)
    grid = whole_grid(aligned.calibrate(REFERENCE).alignment_)
    law = grid.projector.laws[0]
    lines, projection = grid.lines(Wave(), FRESH).values, grid.project(Wave(), FRESH).values
    weights = law.weights_at(FRESH)
    for i in range(len(FRESH)):
        expected = isotonic_regression(lines[i], weights=weights[i], increasing=False).x
        np.testing.assert_allclose(projection[i], expected, atol=1e-12)
    assert law is aligned.alignment_.tester.laws[0]
    shared = grid.projector.project(grid.lines(Wave(), FRESH)).values
    assert np.abs(shared - projection).max() > 0.05


def test_pieces_of_trees_are_projected_with_the_weights_of_their_row():
    model = HistGradientBoostingRegressor(max_iter=30, random_state=0).fit(REFERENCE, Y[:300])
    aligned = AlignedRegressor(model, {0: -1}, alpha=0, reference_law="conditional", random_state=0).calibrate(
        REFERENCE
    )
    repair = aligned.alignment_.chain.stages[0]
    assert aligned.calibration_.repair.startswith("exact")
    lines = repair.tree_lines.values(FRESH)
    weights = repair.steps.laws[0].weights_at(FRESH)
    piece = piece_of(repair.places, FRESH[:, 0])
    expected = [
        isotonic_regression(line, weights=own, increasing=False).x[at]
        for line, own, at in zip(lines, weights, piece, strict=True)
    ]
    np.testing.assert_allclose(aligned.predict(FRESH), expected, atol=1e-9)
    marginal = AlignedRegressor(model, {0: -1}, alpha=0, random_state=0).calibrate(REFERENCE)
    assert np.abs(marginal.predict(FRESH) - aligned.predict(FRESH)).max() > 0.05
    certificate = aligned.certify(FRESH)
    assert certificate.by_construction
    assert certificate.delivered.n_rejected == 0
    unimodal = AlignedRegressor(model, Unimodal(0), alpha=0, reference_law="conditional", random_state=0)
    assert unimodal.calibrate(REFERENCE).certify(FRESH).delivered.n_rejected == 0


@pytest.mark.parametrize(
    "model", [Wave(), HistGradientBoostingRegressor(max_iter=20, random_state=0)], ids=["box", "trees"]
)
def test_grids_of_two_features_are_members_at_every_knot(model):
    """Sequential repairs stay exact as the lines of a grid share their weights; extended, no pair across knots fails."""
    if hasattr(model, "fit"):
        model = clone(model).fit(REFERENCE, Y[:300])
    both = AllOf(Increasing(0), Decreasing(1))
    aligned = AlignedRegressor(
        model, both, alpha=0, n_knots=16, reference_law="conditional", projector="lines", random_state=0
    )
    grid = whole_grid(aligned.calibrate(REFERENCE).alignment_)
    values = grid.project(model, FRESH).values
    assert (np.diff(values, axis=1) >= -1e-12).all()
    assert (np.diff(values, axis=2) <= 1e-12).all()
    knots = [law.knots for law in grid.projector.laws]
    sites = np.stack(np.meshgrid(*knots, indexing="ij"), axis=-1).reshape(-1, 2)
    at_knots = grid.extend(model, FRESH, grid.project(model, FRESH), np.repeat(sites[None], 150, axis=0))[1]
    np.testing.assert_allclose(at_knots.reshape(values.shape), values, atol=1e-9)
    first, second = (law.weights_at(FRESH) for law in grid.projector.laws)
    f = grid.lines(model, FRESH).values
    for i in range(0, 150, 30):
        along = np.stack([isotonic_regression(line, weights=first[i]).x for line in f[i].T], axis=1)
        expected = np.stack([isotonic_regression(line, weights=second[i], increasing=False).x for line in along])
        np.testing.assert_allclose(values[i], expected, atol=1e-12)
    assert aligned.certify(FRESH).delivered.rate < 0.05
    # Between the knots too each row has its own weights: alone it gets what it gets among others.
    delivered = aligned.predict(FRESH)
    alone = np.concatenate([aligned.predict(FRESH[i : i + 1]) for i in range(150)])
    np.testing.assert_allclose(alone, delivered, rtol=0, atol=1e-12)


# ---------------------------------------------------------------------------------------------------------------------
# The promise
# ---------------------------------------------------------------------------------------------------------------------
PLACES = np.arange(12.0)
LINE = np.array([3.0, 1.0, 4.0, 0.5, 2.0, 3.5, 1.5, 2.5, 0.0, 4.5, 3.2, 2.2])

#: Places of the feature next to 0 and next to 1 in the last column, which is all that tells reference rows apart.
NEXT_TO = (np.repeat(PLACES[:8], 40), np.repeat(PLACES[4:], [100, 10, 10, 10, 90, 10, 10, 100]))
GROUPED = np.column_stack(
    [np.concatenate(NEXT_TO), np.ones(sum(map(len, NEXT_TO))), np.repeat([0.0, 1.0], [len(it) for it in NEXT_TO])]
)


class Scaled:
    """``z h(x)``: column 0 is the place, column 1 the scale."""

    def predict(self, X):
        return X[:, 1] * LINE[X[:, 0].astype(int)]


def grouped_rows(n_samples, random):
    group = random.integers(0, 2, n_samples)
    places = np.where(group, random.choice(NEXT_TO[1], n_samples), random.choice(NEXT_TO[0], n_samples))
    return np.column_stack([places, random.exponential(size=n_samples), group])


def limits_of_pairs():
    """Return, for each group, the scaled half-width from which each pair of places passes, and the pair's probability."""
    shares = np.stack([np.bincount(places.astype(int), minlength=12) / len(places) for places in NEXT_TO])
    pooled = np.bincount(GROUPED[:, 0].astype(int), minlength=12) / len(GROUPED)
    found = []
    for share in shares:
        g = isotonic_regression(LINE, weights=(1 - MARGINAL_SHARE) * share + MARGINAL_SHARE * pooled).x
        low, high = np.zeros((12, 12)), np.full((12, 12), 10.0)
        for _ in range(50):
            middle = (low + high) / 2
            left = LINE[:, None] + np.clip((g - LINE)[:, None], -middle, middle)
            right = LINE[None] + np.clip((g - LINE)[None], -middle, middle)
            low, high = np.where(left - right > 1e-9, middle, low), np.where(left - right > 1e-9, high, middle)
        limits = np.where(np.triu(LINE[:, None] > LINE[None], 1), high, 0.0)
        found.append((limits, 2 * np.multiply.outer(share, share) / (1 - share @ share)))
    return found


LIMITS = limits_of_pairs()


def rate(half_width):
    """Return the probability that a fresh query fails: the scale is exponential, so it is a finite sum."""
    return np.mean([np.exp(-half_width / limits[limits > 0]) @ mass[limits > 0] for limits, mass in LIMITS])


def grouped_alignment(**settings):
    return prepare(Scaled(), Increasing(0), GROUPED, GROUPED, norm="l2", n_knots=64, **settings)


@pytest.mark.parametrize("n_draws", [1000, pytest.param(10_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.2])
def test_the_mean_rate_under_conditional_queries_is_what_the_rank_says(alpha, n_draws):
    """floor(alpha (n + 1)) / (n + 1) with 99 rows, at 3.5 standard errors: false alarm 0.05 % for each case.

    Half-widths that queries of the marginal law give do not have it: the test tells the two laws apart.
    """
    means = {}
    for law in ("conditional", "marginal"):
        settings = {"conditional": np.random.default_rng(1)} if law == "conditional" else {}
        alignment = grouped_alignment(**settings)
        random = np.random.default_rng(2)
        rows = grouped_rows(99 * n_draws, random)
        (scores,) = RATES["delivered"].scores(alignment, rows, 1, RowDraws.of(rows, random))
        rates = np.array([rate(critical_half_width(draw, alpha)[0]) for draw in scores.reshape(n_draws, 99, 1)])
        means[law] = rates.mean(), rates.std() / np.sqrt(n_draws)
    mean, error = means["conditional"]
    assert error < 0.002
    assert abs(mean - np.floor(100 * alpha + 1e-9) / 100) <= 3.5 * error
    assert abs(means["marginal"][0] - np.floor(100 * alpha + 1e-9) / 100) > 3.5 * means["marginal"][1]


def test_certificates_count_queries_of_the_conditional_law():
    """20,000 queries to the projection's model as it is: the finite sum at half-width 0, at 4 standard errors (0.006 %)."""
    aligned = AlignedRegressor(
        Scaled(), {0: 1}, alpha=0.1, reference_law="conditional", random_state=0, confidence=None
    )
    aligned.calibrate(grouped_rows(400, np.random.default_rng(3)), X_reference=GROUPED)
    certificate = aligned.certify(grouped_rows(20_000, np.random.default_rng(4)))
    words = "the law of 0 given the other features (forest of 100 trees on 660 reference rows)"
    assert certificate.reference_law == words
    assert (
        f"two different places drawn independently, given that they differ, from {words}, along the line of a fresh row"
        in certificate.sentence
    )
    assert words in aligned.calibration_.statement
    expected = rate(0.0)
    assert abs(certificate.before.rate - expected) < 4 * np.sqrt(expected * (1 - expected) / 20_000)
    expected = rate(aligned.lambda_)
    assert abs(certificate.delivered.rate - expected) < 4 * np.sqrt(expected * (1 - expected) / 20_000)
    audit = check(
        Scaled(), grouped_rows(20_000, np.random.default_rng(5)), {0: 1}, X_reference=GROUPED, reference_law="conditional",
        random_state=0,
    )  # fmt: skip
    assert abs(audit.violations.rate - rate(0.0)) < 4 * np.sqrt(rate(0.0) * (1 - rate(0.0)) / 20_000)
    assert words in audit.query_law


# ---------------------------------------------------------------------------------------------------------------------
# Tables, settings, refusals
# ---------------------------------------------------------------------------------------------------------------------
def frame_of(table):
    frame = pd.DataFrame(table, columns=list("abcd"))
    frame["text"] = np.where(np.nan_to_num(table[:, 2]) > 0, "high", "low")
    frame.loc[::17, "text"] = None
    frame["grade"] = pd.Categorical.from_codes(
        np.clip(np.round(table[:, 0]) + 2, 0, 4).astype(int), list("VWXYZ"), ordered=True
    )
    frame["day"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(len(table)), unit="D")
    frame["count"] = pd.array(np.where(np.isnan(table[:, 3]), None, np.arange(len(table)) % 5), dtype="Int64")
    frame["flag"] = table[:, 1] > 0
    return frame


def test_columns_of_any_type_are_read_and_unknown_categories_count_as_missing():
    table = frame_of(REFERENCE)
    law = law_of(0, table, n_knots=16)
    fresh = frame_of(FRESH)
    weights = law.weights_at(fresh)
    design = law.leaves.encoder(fresh)
    assert design.shape == (150, 8)
    np.testing.assert_array_equal(design[:, 7], FRESH[:, 1] > 0)
    np.testing.assert_array_equal(design[:, 4], np.clip(np.round(FRESH[:, 0]) + 2, 0, 4))
    assert np.isnan(design[::17, 3]).all()
    unknown, missing = fresh.copy(), fresh.copy()
    unknown["text"], missing["text"] = "unheard of", None
    assert law.weights_at(unknown).tobytes() == law.weights_at(missing).tobytes()
    assert np.abs(law.weights_at(missing) - weights).max() > 0
    ranked = law_of(5, table, n_knots=8, order=tuple("VWXYZ"))
    np.testing.assert_array_equal(ranked.knots, np.arange(5))
    place = ranked.axis.places(fresh)
    assert np.corrcoef(ranked.weights_at(fresh) @ ranked.knots, place)[0, 1] > 0.9


def test_infinite_and_huge_values_elsewhere_are_the_largest_that_the_forest_reads():
    table = REFERENCE.copy()
    table[:3, 2] = [np.inf, -np.inf, 1e300]
    law = law_of(0, table)
    assert np.isfinite(law.weights_at(table)).all()


def test_rows_that_lack_the_feature_are_returned_unchanged():
    aligned = AlignedRegressor(
        Wave(), {3: 1}, alpha=0.2, reference_law="conditional", n_knots=8, random_state=0, confidence=None
    )
    aligned.calibrate(CALIBRATE, X_reference=REFERENCE)
    missing = np.isnan(FRESH[:, 3])
    np.testing.assert_array_equal(aligned.predict(FRESH)[missing], Wave().predict(FRESH)[missing])
    assert aligned.certify(FRESH).n_missing == missing.sum()
    assert f"on {(~np.isnan(REFERENCE[:, 3])).sum()} reference rows" in str(aligned.alignment_.tester.laws[0])


def test_the_same_seed_gives_the_same_law_and_another_one_another():
    def fitted(seed, **settings):
        aligned = AlignedRegressor(
            Wave(),
            {0: 1},
            reference_law="conditional",
            n_knots=16,
            random_state=seed,
            **{"confidence": None, **settings},
        )
        return aligned.calibrate(CALIBRATE, X_reference=REFERENCE)

    one, again, other = fitted(0), fitted(0), fitted(1)
    assert one.lambda_ == again.lambda_
    assert one.predict(FRESH).tobytes() == again.predict(FRESH).tobytes()
    laws = [it.alignment_.tester.laws[0].weights_at(FRESH) for it in (one, again, other)]
    assert laws[0].tobytes() == laws[1].tobytes()
    assert laws[0].tobytes() != laws[2].tobytes()
    seed = int(generator(0, CONDITION).integers(2**31))
    np.testing.assert_allclose(
        law_of(0, seed=[0, CONDITION], n_knots=16).weights_at(FRESH), laws[0], atol=1e-12, err_msg=str(seed)
    )
    copied = pickle.loads(pickle.dumps(one))
    assert copied.predict(FRESH).tobytes() == one.predict(FRESH).tobytes()
    assert clone(one).get_params()["reference_law"] == "conditional"
    alone = np.concatenate([one.predict(FRESH[i : i + 1]) for i in range(20)])
    np.testing.assert_array_equal(alone, one.predict(FRESH)[:20])
    threads = fitted(0, n_jobs=2)
    assert (
        threads.predict(np.repeat(FRESH, 200, axis=0)).tobytes() == one.predict(np.repeat(FRESH, 200, axis=0)).tobytes()
    )


def test_fit_and_classifiers_take_it_too():
    aligned = AlignedRegressor(
        LinearRegression(), {0: -1}, reference_law="conditional", n_knots=8, random_state=0, confidence=None
    )
    assert "given the other features (forest of 100 trees on 525" in str(
        aligned.fit(X[:, :3], Y).alignment_.tester.laws[0]
    )
    forest = RandomForestClassifier(10, min_samples_leaf=5, random_state=0).fit(REFERENCE[:, :3], Y[:300] > 0)
    classifier = AlignedClassifier(forest, {1: 1}, alpha=0, reference_law="conditional", random_state=0)
    classifier.calibrate(REFERENCE[:, :3])
    assert classifier.calibration_.repair.startswith("exact")
    assert classifier.certify(FRESH[:, :3]).delivered.n_rejected == 0


def test_a_surrogate_is_asked_queries_of_the_conditional_law():
    surrogate = HistGradientBoostingRegressor(monotonic_cst=[1, 0, 0], max_iter=20, random_state=0)
    aligned = AlignedRegressor(
        LinearRegression().fit(X[:, :3], Y),
        {0: 1},
        projector=surrogate,
        reference_law="conditional",
        random_state=0,
        confidence=None,
    )
    aligned.calibrate(CALIBRATE[:, :3], X_reference=REFERENCE[:, :3])
    assert "given the other features" in aligned.calibration_.statement


def test_many_reference_rows_are_thinned(monkeypatch):
    monkeypatch.setattr(conditional_law, "MAX_ROWS", 100)
    law = law_of(0)
    assert (law.counts.sum(), law.n_reference) == (100, 100)
    assert "on 100 reference rows" in str(law)
    np.testing.assert_allclose(law.weights_at(FRESH).sum(axis=1), 1)
    drawn = law.different_places(np.random.default_rng(0).random((150, 5, 2)), FRESH)
    assert set(drawn.ravel()) <= set(law.places)


@pytest.mark.parametrize(
    ("declared", "columns", "words"),
    [
        ({0: 1}, [0], "needs a column that is not constrained, and all of X's are; use reference_law='marginal'"),
        ({0: 1, 1: -1}, [0, 1], "needs a column that is not constrained"),
        (
            Dominates(0, 1),
            [0, 1, 2],
            "along trade lines of 0 against 1 the law is uniform. Use reference_law='marginal'",
        ),
        (DiminishingReturns(0, 1), [0, 1, 2], "is asked and repaired on planes; use reference_law='marginal'"),
    ],
    ids=["one column", "two columns", "trade", "plane"],
)
def test_what_has_no_conditional_law_is_refused(declared, columns, words):
    table = X[:, columns]
    model = LinearRegression().fit(table, Y)
    with pytest.raises(InputError, match="reference_law='conditional'") as refused:
        AlignedRegressor(model, declared, reference_law="conditional", confidence=None).calibrate(table)
    assert words in str(refused.value)
    with pytest.raises(InputError, match="reference_law='conditional'"):
        check(model, table, declared, reference_law="conditional")


def test_the_reference_is_one_of_two_words():
    message = "reference_law must be one of 'marginal', 'conditional', got 'joint'"
    with pytest.raises(InputError, match=message):
        AlignedRegressor(Wave(), {0: 1}, reference_law="joint", confidence=None).calibrate(CALIBRATE)
    with pytest.raises(InputError, match=message):
        check(Wave(), CALIBRATE, {0: 1}, reference_law="joint")
