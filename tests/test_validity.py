r"""The guarantees hold: thousands of calibrations, each judged by its exact violation rate.

The model is :math:`f(x, z) = z\,h(x)` with ``x`` on a few places and :math:`z \sim \mathrm{Exp}(1)`. Repairs scale with
the line, so the delivered function is :math:`z\,(h + \mathrm{clip}(g - h, \pm\lambda / z))`: a pair of places is
violated iff :math:`\lambda / z < t`, where ``t`` is the half-width at which ``h`` itself stops violating. With
:math:`P(z > \lambda / t) = e^{-\lambda / t}` the violation rate at half-width :math:`\lambda` is a finite sum over the
pairs of reference places: no Monte Carlo noise but that of the calibration rows.

The truth below is computed without the package's scores: ``t`` by bisection on the delivered function, ``g`` by SciPy's
isotonic regression. Scores are continuous where they are positive, so that expectations are known exactly and not only
bounded. Each comparison is made at three standard errors in the fast set, a false-alarm probability of 0.3 %
(two-sided), and at four in the slow set, 0.006 %; seeds are fixed.
"""

import numpy as np
import pytest
from scipy.optimize import isotonic_regression
from scipy.stats import beta, binom, kstest

from alignconf import AlignedRegressor
from alignconf.calibration.ranks import allowed_above, critical_half_width
from alignconf.losses.rate import RATES
from alignconf.projectors.preparation import prepare
from alignconf.properties import AllOf, Increasing
from alignconf.queries.row_draws import RowDraws

PLACES = np.array([0.0, 0.7, 1.1, 2.0, 2.4, 3.5, 4.1, 5.2, 6.0, 6.6, 7.9, 9.0])
LINE = np.array([3.0, 1.0, 4.0, 0.5, 2.0, 3.5, 1.5, 2.5, 0.0, 4.5, 3.2, 2.2])

#: A grid for two features: 4 x 5 places.
GRID = np.random.default_rng(8).permutation(20).reshape(4, 5).astype(float)

FAST, SLOW = pytest.param(2_000, id="2000 draws"), pytest.param(20_000, id="20000 draws", marks=pytest.mark.slow)
SIGMAS = {500: 3, 1_000: 3, 2_000: 3, 20_000: 4}
draws = pytest.mark.parametrize("n_draws", [FAST, SLOW])
#: Where each draw is a calibration of its own.
few_draws = pytest.mark.parametrize("n_draws", [pytest.param(500, id="500 draws"), SLOW])


class Scaled:
    """``z h(x)``: column 0 is the place, column 1 the scale."""

    def predict(self, X):
        return X[:, 1] * LINE[np.searchsorted(PLACES, X[:, 0])]


class ScaledGrid:
    """``z h(x, x')``: columns 0 and 1 are places counted from 0, column 2 the scale."""

    def predict(self, X):
        return X[:, 2] * GRID[X[:, 0].astype(int), X[:, 1].astype(int)]


REFERENCE = np.column_stack([PLACES, np.ones(12)])
GRID_REFERENCE = np.column_stack([np.tile(np.arange(4.0), 15), np.tile(np.arange(5.0), 12), np.ones(60)])


def draw_rows(n_samples, random):
    return np.column_stack([random.choice(PLACES, n_samples), random.exponential(size=n_samples)])


def draw_grid_rows(n_samples, random):
    return np.column_stack(
        [random.integers(0, 4, n_samples), random.integers(0, 5, n_samples), random.exponential(size=n_samples)]
    ).astype(float)


# ---------------------------------------------------------------------------------------------------------------------
# The truth
# ---------------------------------------------------------------------------------------------------------------------
def sample_of(law):
    """Return the places of the reference rows, as often as they occur."""
    return np.repeat(law.places, law.counts.astype(int))


def projected(law):
    """Return ``h`` and its projection at the places of a reference sample: isotonic at knots, clipped between them."""
    sample = sample_of(law)
    h, at_knots = (LINE[np.searchsorted(PLACES, places)] for places in (sample, law.knots))
    right = np.searchsorted(law.knots, sample)
    left = np.where(law.knots[right] == sample, right, right - 1)
    # The mass of a place between two knots is split between them; that of a place at a knot is counted twice for it.
    g = isotonic_regression(at_knots, weights=np.bincount(np.concatenate([left, right])).astype(float)).x
    return h, np.clip(h, g[left], g[right])


def violated(h, g, half_width):
    """Return which pairs of places, the left one first, violate at a half-width for each pair."""
    (h1, h2), (g1, g2) = ((line[:, None], line[None, :]) for line in (h, g))
    left = h1 + np.clip(g1 - h1, -half_width, half_width)
    return left - (h2 + np.clip(g2 - h2, -half_width, half_width)) > 1e-9


def thresholds(h, g):
    """Return the half-width from which each pair of places passes, by bisection; infinite where even ``g`` fails."""
    low, high = np.zeros((len(h), len(h))), np.full((len(h), len(h)), 2 * np.ptp(h))
    failing = violated(h, g, high)
    for _ in range(50):
        middle = (low + high) / 2
        fails = violated(h, g, middle)
        low, high = np.where(fails, middle, low), np.where(fails, high, middle)
    return np.where(failing, np.inf, np.where(violated(h, g, np.zeros_like(low)), high, 0.0))


def exceed(half_width, limits):
    """Return the mean probability over ``limits`` that ``half_width < z limit``."""
    half_widths = np.atleast_1d(half_width)[:, None]
    values, counts = np.unique(limits[limits > 0].round(12), return_counts=True)
    return np.exp(-half_widths / values) @ counts / limits.size


def pair_limits(law):
    """Return the thresholds of all pairs of reference rows that are at different places."""
    h, g = projected(law)
    limits = np.triu(thresholds(h, g), 1)
    return (limits + limits.T)[differ(sample_of(law))]


def differ(places):
    """Return which pairs of places are not the same, (n_places, n_places)."""
    return places[:, None] != places[None, :]


def grid_limits(laws):
    """Return the thresholds of all queries of both parts at all rows: the larger one counts."""
    g = np.apply_along_axis(lambda line: isotonic_regression(line, weights=laws[0].weights).x, 0, GRID)
    g = np.apply_along_axis(lambda line: isotonic_regression(line, weights=laws[1].weights).x, 1, g)
    along = []
    for h_lines, g_lines in ((GRID.T, g.T), (GRID, g)):
        limits = np.stack([np.triu(thresholds(h, p), 1) for h, p in zip(h_lines, g_lines, strict=True)])
        both = limits + limits.transpose(0, 2, 1)
        along.append(both[:, differ(np.arange(both.shape[1]))])
    first, second = along
    return np.maximum(first[None, :, :, None], second[:, None, None, :])


# ---------------------------------------------------------------------------------------------------------------------
# Many calibrations
# ---------------------------------------------------------------------------------------------------------------------
def alignment_of(n_knots=64):
    return prepare(Scaled(), Increasing(0), REFERENCE, REFERENCE, norm="l2", n_knots=n_knots)


def half_widths(loss, n_draws, n_rows, alpha, *, confidence=None, n_queries=1, alignment=None, rows=draw_rows, seed=0):
    """Return ``lambda_`` of many calibrations: the rows of all are scored at once, then calibrated draw by draw."""
    random = np.random.default_rng(seed)
    alignment = alignment or alignment_of()
    table = rows(n_draws * n_rows, random)
    scores = np.max(RATES[loss].scores(alignment, table, n_queries, RowDraws.of(table, random)), axis=0)
    scores = scores.reshape(n_draws, n_rows, n_queries)
    return np.array([critical_half_width(draw, alpha, confidence)[0] for draw in scores])


def standard_error(rates):
    return rates.std(ddof=1) / np.sqrt(rates.size)


def margin(rates):
    """Return how far the mean of rates may lie from its expectation."""
    return SIGMAS[rates.size] * standard_error(rates)


def share_margin(probability, n_draws):
    """Return how far the share of draws in which something happens may lie from its probability."""
    return SIGMAS[n_draws] * np.sqrt(probability * (1 - probability) / n_draws)


def expected_rate(alpha, n_rows):
    """Return the rate that continuous scores have on average: floor(alpha (n + 1)) / (n + 1)."""
    return np.floor(alpha * (n_rows + 1) + 1e-9) / (n_rows + 1)


LIMITS = pair_limits(alignment_of().tester.laws[0])


def test_the_truth_is_the_rate_that_fresh_queries_show():
    """Before any calibration is judged by it: the finite sum against 40,000 queries at each of several half-widths.

    False alarm: 1e-5 for each of four.
    """
    random = np.random.default_rng(1)
    rows, fresh = draw_rows(500, random), draw_rows(40_000, random)
    assert np.mean(LIMITS > 0) == pytest.approx(exceed(0, LIMITS)[0])
    assert 0.4 < exceed(0, LIMITS)[0] < 0.6
    for alpha in (0.3, 0.1, 0.05, 0.02):
        aligned = AlignedRegressor(Scaled(), {0: 1}, alpha=alpha, random_state=0, confidence=None).calibrate(
            rows, X_reference=REFERENCE
        )
        count = aligned.certify(fresh).n_rejected
        p = exceed(aligned.lambda_, LIMITS)[0]
        assert binom.ppf(5e-6, 40_000, p) <= count <= binom.isf(5e-6, 40_000, p)


def test_violations_end_once():
    """The bisection is right only if no pair violates again at a larger half-width."""
    h, g = projected(alignment_of().tester.laws[0])
    fails = np.stack([violated(h, g, np.full((12, 12), t)) for t in np.linspace(0, 9, 400)])
    assert (np.diff(fails[:, np.triu_indices(12, 1)[0], np.triu_indices(12, 1)[1]].astype(int), axis=0) <= 0).all()


# ---------------------------------------------------------------------------------------------------------------------
# In expectation
# ---------------------------------------------------------------------------------------------------------------------
@draws
@pytest.mark.parametrize("n_rows", [60, 199])
@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.2])
def test_the_mean_rate_is_what_the_rank_says(alpha, n_rows, n_draws):
    rates = exceed(half_widths("delivered", n_draws, n_rows, alpha), LIMITS)
    assert abs(rates.mean() - expected_rate(alpha, n_rows)) <= margin(rates)
    assert rates.mean() <= alpha + margin(rates)
    assert standard_error(rates) < 0.0015


@draws
@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.2])
def test_the_rate_has_the_beta_law_of_an_order_statistic(alpha, n_draws):
    """Beta(r + 1, n - r) given r scores allowed above. False alarm: 1e-4 for each case (Kolmogorov-Smirnov)."""
    rates = exceed(half_widths("delivered", n_draws, 99, alpha, seed=2), LIMITS)
    above = allowed_above(99, 1, alpha, None)
    assert kstest(rates, beta(above + 1, 99 - above).cdf).pvalue > 1e-4
    assert kstest(rates, beta(above + 2, 98 - above).cdf).pvalue < 1e-4, "the test should tell neighbouring ranks apart"


@draws
@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.2])
def test_several_queries_per_row_keep_the_promise_and_vary_less(alpha, n_draws):
    single = exceed(half_widths("delivered", n_draws, 60, alpha), LIMITS)
    several = exceed(half_widths("delivered", n_draws, 60, alpha, n_queries=5), LIMITS)
    assert several.mean() <= alpha + margin(several)
    assert several.mean() >= alpha - (1 + 1 / 5) / 61 - margin(several)
    assert several.std() < single.std()


@draws
@pytest.mark.parametrize("alpha", [0.1, 0.2])
def test_violations_that_nothing_repairs_are_counted(alpha, n_draws):
    """Four knots for twelve places: some pairs between two knots stay violated at any half-width."""
    alignment = alignment_of(n_knots=4)
    limits = pair_limits(alignment.tester.laws[0])
    assert 0.005 < np.isinf(limits).mean() < 0.05
    rates = exceed(half_widths("delivered", n_draws, 199, alpha, alignment=alignment), limits)
    assert abs(rates.mean() - expected_rate(alpha, 199)) <= margin(rates)


@draws
@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_two_features(alpha, n_draws):
    """A query of each part at every row, failed if any of them is; projected along one axis after the other."""
    both = AllOf(Increasing(0), Increasing(1))
    alignment = prepare(ScaledGrid(), both, GRID_REFERENCE, GRID_REFERENCE, norm="l2", n_knots=64, projector="lines")
    limits = grid_limits(alignment.tester.laws)
    rates = exceed(half_widths("delivered", n_draws, 60, alpha, alignment=alignment, rows=draw_grid_rows), limits)
    assert abs(rates.mean() - expected_rate(alpha, 60)) <= margin(rates)


# ---------------------------------------------------------------------------------------------------------------------
# With confidence
# ---------------------------------------------------------------------------------------------------------------------
@draws
@pytest.mark.parametrize("n_rows", [60, pytest.param(300, marks=pytest.mark.slow)])
@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.2])
def test_with_confidence_the_rate_is_exceeded_as_rarely_as_promised(alpha, n_rows, n_draws):
    """Exactly with probability P(Bin(n, alpha) <= r), at most 10 %."""
    rates = exceed(half_widths("delivered", n_draws, n_rows, alpha, confidence=0.9, seed=3), LIMITS)
    failures = np.mean(rates > alpha)
    exact = binom.cdf(allowed_above(n_rows, 1, alpha, 0.9), n_rows, alpha)
    assert exact <= 0.1
    assert failures <= 0.1 + share_margin(0.1, n_draws)
    assert abs(failures - exact) <= share_margin(exact, n_draws)
    in_expectation = exceed(half_widths("delivered", n_draws, n_rows, alpha, seed=3), LIMITS)
    assert np.mean(in_expectation > alpha) > 0.2, "the promise in expectation should not be this strong"


# ---------------------------------------------------------------------------------------------------------------------
# The other losses
# ---------------------------------------------------------------------------------------------------------------------
@draws
@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.2])
def test_calibrating_existence_breaks_the_promise_of_the_delivered_function(alpha, n_draws):
    """Why ``existence`` is not the default: it keeps its own promise and not that of the function that is called."""
    found = half_widths("existence", n_draws, 60, alpha)
    h, _ = projected(alignment_of().tester.laws[0])
    falls = np.triu(h[:, None] - h[None, :], 1).clip(0)
    own = exceed(found, (falls + falls.T)[differ(PLACES)] / 2)
    assert abs(own.mean() - expected_rate(alpha, 60)) <= margin(own)
    delivered = exceed(found, LIMITS)
    assert delivered.mean() > alpha + 5 * standard_error(delivered)


@draws
@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.2])
def test_line(alpha, n_draws):
    """The event is that no member lies in the band on the whole line: half the largest fall exceeds the half-width."""
    h, _ = projected(alignment_of().tester.laws[0])
    largest_fall = np.max(np.maximum.accumulate(h) - h)
    rates = exceed(half_widths("line", n_draws, 60, alpha), np.array([largest_fall / 2]))
    assert rates.mean() <= alpha + margin(rates)
    assert abs(rates.mean() - expected_rate(alpha, 60)) <= margin(rates)


@draws
@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.2])
def test_displacement(alpha, n_draws):
    """The event is that a fresh row, its place uniform, is moved by less than the projection asks."""
    h, g = projected(alignment_of().tester.laws[0])
    rates = exceed(half_widths("displacement", n_draws, 60, alpha), np.abs(g - h))
    assert rates.mean() <= alpha + margin(rates)
    assert abs(rates.mean() - expected_rate(alpha, 60)) <= margin(rates)


# ---------------------------------------------------------------------------------------------------------------------
# End to end
# ---------------------------------------------------------------------------------------------------------------------
@few_draws
@pytest.mark.parametrize("alpha", [0.1, 0.2])
def test_end_to_end_with_reference_rows(alpha, n_draws):
    random = np.random.default_rng(4)
    aligned = AlignedRegressor(Scaled(), {0: 1}, alpha=alpha, n_knots=12, n_queries=1, confidence=None)
    found = []
    for draw in range(n_draws):
        aligned.set_params(random_state=draw).calibrate(draw_rows(60, random), X_reference=REFERENCE)
        found.append(aligned.lambda_)
    rates = exceed(found, LIMITS)
    assert abs(rates.mean() - expected_rate(alpha, 60)) <= margin(rates)


@few_draws
@pytest.mark.parametrize("confidence", [None, 0.9])
def test_end_to_end_with_rows_set_aside(confidence, n_draws):
    """The reference law is another one in each draw, and each draw is judged by its own."""
    random = np.random.default_rng(5)
    aligned = AlignedRegressor(Scaled(), {0: 1}, alpha=0.1, confidence=confidence, n_knots=12, n_queries=1)
    rates = np.empty(n_draws)
    for draw in range(n_draws):
        aligned.set_params(random_state=draw).calibrate(draw_rows(75, random))
        rates[draw] = exceed(aligned.lambda_, pair_limits(aligned.alignment_.tester.laws[0]))[0]
    assert aligned.calibration_.n_rows == 60
    if confidence is None:
        assert abs(rates.mean() - expected_rate(0.1, 60)) <= margin(rates)
    else:
        exact = binom.cdf(allowed_above(60, 1, 0.1, 0.9), 60, 0.1)
        assert abs(np.mean(rates > 0.1) - exact) <= share_margin(exact, n_draws)
