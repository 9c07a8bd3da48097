r"""Likelihood-ratio weights: exact ranks, and the promise under another law against closed-form truth.

Rows are :math:`(x, z)` with :math:`z \sim \mathrm{Exp}(1)` when they calibrate and :math:`z \sim \mathrm{Exp}(1/\theta)`, mean
:math:`\theta`, in deployment: the ratio is :math:`w(z) = e^{z (1 - 1/\theta)} / \theta`, increasing in ``z``, bounded only
where ``z`` is. The score of a row is its ``z`` itself, so the violation rate in deployment at half-width :math:`\lambda` is
known.
"""

from __future__ import annotations

import math
import time
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from alignconf import AlignedRegressor
from alignconf.calibration.ranks import critical_half_width
from alignconf.calibration.shift import EstimatedRatio, LikelihoodRatio
from alignconf.calibration.threshold import ByWeight
from alignconf.calibration.weighted import WeightedScores, effective_rows
from alignconf.errors import CalibrationError, InputError
from alignconf.kernels.exact import as_fraction, exact_sum

weights_of = st.lists(st.sampled_from([0.0, 0.25, 0.1, 1.0, 1 / 3, 2.0, 7.5]), min_size=1, max_size=30)


def exact(scores, weights, alpha, fresh):
    """The rule of the module, in rational arithmetic from its definition: no sorting, every score tried as half-width."""
    n_queries, level = scores.shape[1], as_fraction(alpha)
    w = [Fraction(float(one)) for one in weights]
    for candidate in sorted({0.0, *scores.ravel().tolist()}):
        loss = sum(w[i] * Fraction(int((scores[i] > candidate).sum()), n_queries) for i in range(len(w)))
        if loss + Fraction(fresh) <= level * (sum(w) + Fraction(fresh)):
            return candidate
    return np.inf


@settings(max_examples=300)
@given(
    weights_of,
    st.integers(1, 3),
    st.sampled_from([0.1, 0.2, 0.25, 0.3, 0.5]),
    st.integers(0, 2**20),
    st.sampled_from([0, 0.1, 1.0, 3.0]),
)
def test_half_widths_follow_the_definition_in_rational_arithmetic(weights, n_queries, alpha, seed, fresh) -> None:
    random = np.random.default_rng(seed)
    scores = random.integers(0, 5, (len(weights), n_queries)).astype(float)
    if not any(weights):
        weights = [1.0, *weights[1:]]
    found = WeightedScores.of(scores, np.array(weights), alpha).half_widths(np.array([float(fresh)]))
    assert found[0] == exact(scores, weights, alpha, fresh)


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.2, 0.3])
@pytest.mark.parametrize("n_rows", [9, 19, 20, 99, 100, 199])
@pytest.mark.parametrize("weight", [1.0, 0.1, 1 / 3])
def test_equal_weights_give_the_unweighted_rank(alpha, n_rows, weight) -> None:
    scores = np.random.default_rng(n_rows).random((n_rows, 2))
    found = WeightedScores.of(scores, np.full(n_rows, weight), alpha).half_widths(np.array([weight]))[0]
    try:
        expected = critical_half_width(scores, alpha)[0]
    except CalibrationError:
        expected = np.inf
    assert found == expected


def test_half_widths_grow_with_the_fresh_weight_and_become_infinite() -> None:
    random = np.random.default_rng(0)
    scores = WeightedScores.of(random.random((500, 1)), random.exponential(size=500), 0.1)
    fresh = np.linspace(0, 100, 1001)
    found = scores.half_widths(fresh)
    assert (np.diff(found[np.isfinite(found)]) >= 0).all()
    assert np.isinf(found[fresh > 0.1 / 0.9 * scores.total + 1e-9]).all()
    assert np.isfinite(found[fresh < 0.1 / 0.9 * scores.total - 1e-9]).all()


def test_effective_rows() -> None:
    assert effective_rows(np.full(50, 3.0)) == pytest.approx(50)
    assert effective_rows(np.array([1.0, 0.0, 0.0])) == 1.0
    assert effective_rows(np.array([1.0, 2.0, 3.0])) == pytest.approx(36 / 14)


# The promise under another law ----------------------------------------------------------------------------------------

LARGEST, THETA = 3.0, 2.0


def cut_exponential(random, shape, mean):
    """Exponential draws of given mean, conditional on being at most ``LARGEST``."""
    return -mean * np.log1p(-random.random(shape) * -np.expm1(-LARGEST / mean))


def ratio(z):
    """Density of mean ``THETA`` over density of mean 1, both cut at ``LARGEST``."""
    return np.exp(z * (1 - 1 / THETA)) / THETA * np.expm1(-LARGEST) / np.expm1(-LARGEST / THETA)


def exceeds(half_width):
    """Probability in deployment that a score lies above a half-width."""
    upper = np.exp(-LARGEST / THETA)
    return np.clip((np.exp(-np.minimum(half_width, LARGEST) / THETA) - upper) / (1 - upper), 0, 1)


@pytest.mark.parametrize(("n_draws", "sigmas"), [(1500, 4), pytest.param(20_000, 4, marks=pytest.mark.slow)])
def test_weights_keep_the_promise_that_ignoring_them_breaks(n_draws, sigmas) -> None:
    """Target .1, 100 rows. Per point and worst case stay below it, within four standard errors (0.003 %); unweighted fails.

    Per point: the deployment rows are a fine grid of weights, so that the mean over the fresh row is a sum.
    """
    random = np.random.default_rng(5)
    grid = cut_quantiles(400)
    point, worst, naive = np.empty((3, n_draws))
    for draw in range(n_draws):
        z = cut_exponential(random, 100, 1.0)
        weighted = WeightedScores.of(z[:, None], ratio(z), 0.1)
        # Given a fresh row at z the query fails iff lambda(w(z)) < z.
        point[draw] = (weighted.half_widths(ratio(grid)) < grid).mean()
        worst[draw] = exceeds(weighted.half_widths(np.array([ratio(LARGEST)]))[0])
        naive[draw] = exceeds(critical_half_width(z[:, None], 0.1)[0])
    for rates in (point, worst):
        assert rates.mean() <= 0.1 + sigmas * rates.std() / np.sqrt(n_draws)
        assert rates.mean() >= 0.06, "weights should not make the half-width much too wide here"
    assert naive.mean() > 0.13


def cut_quantiles(n_places):
    """Equally likely places of the deployment law, moved to the middle of their cells."""
    share = (np.arange(n_places) + 0.5) / n_places
    return -THETA * np.log1p(-share * -np.expm1(-LARGEST / THETA))


def test_of_several_levels_the_largest_half_width_counts() -> None:
    """Whichever comes first, at every weight, and for the heaviest row."""
    random = np.random.default_rng(8)
    weights = random.exponential(size=300)
    lenient, strict = (WeightedScores.of(random.random((300, 1)), weights, alpha) for alpha in (0.5, 0.1))
    rows = np.linspace(0, 5, 50)[:, None]
    expected = np.maximum(lenient.half_widths(rows[:, 0]), strict.half_widths(rows[:, 0]))
    assert (strict.half_widths(rows[:, 0]) > lenient.half_widths(rows[:, 0])).all()
    for levels in ((lenient, strict), (strict, lenient)):
        threshold = ByWeight(LikelihoodRatio(lambda X: X[:, 0]), levels, 5.0)
        np.testing.assert_array_equal(threshold.of_rows(rows), expected)
        assert threshold.largest == expected[-1]


def test_scores_above_are_counted_as_they_lie() -> None:
    """By hand: the scores of calibration that are larger than the half-width, each once, whatever its weight."""
    aligned = align(LikelihoodRatio(by_scale), n_queries=3, confidence=None)
    (claim,) = aligned.calibration_.claims
    scores = aligned.threshold_.scores[0].scores
    assert claim.n_above == (scores > claim.lambda_).sum() < (scores >= claim.lambda_).sum()
    assert claim.n_rows == 3000


# Whole models --------------------------------------------------------------------------------------------------------


class Wave:
    """Falls along column 0 by an amount that column 1 scales."""

    def predict(self, X):
        return X[:, 1] * np.sin(7 * X[:, 0])


def rows(n_samples, seed, mean=1.0):
    random = np.random.default_rng(seed)
    return np.column_stack([random.random(n_samples), cut_exponential(random, n_samples, mean)])


def by_scale(X):
    return ratio(X[:, 1])


def align(shift, **changes):
    aligned = AlignedRegressor(
        Wave(), {0: 1}, alpha=0.1, shift=shift, random_state=0, **{"confidence": None, **changes}
    )
    return aligned.calibrate(rows(3000, 1), X_reference=rows(500, 2))


def test_shift_is_met_where_the_unweighted_half_width_fails() -> None:
    """3,000 calibration rows (sd of the rate about .008), 20,000 fresh rows (.002); margins of four of both."""
    deployment = rows(20_000, 3, THETA)
    for shift in (
        LikelihoodRatio(by_scale),
        LikelihoodRatio(by_scale, largest=ratio(LARGEST)),
        EstimatedRatio(rows(3000, 4, THETA), classifier=LogisticRegression()),
    ):
        certificate = align(shift).certify(deployment)
        assert 0.06 <= certificate.delivered.rate <= 0.135
    assert align(None).certify(deployment).delivered.rate > 0.15


def test_per_point_half_widths_follow_the_row_and_are_reported() -> None:
    aligned = align(LikelihoodRatio(by_scale))
    fresh = rows(400, 6)
    widths = aligned.threshold_.of_rows(fresh)
    assert (np.diff(widths[np.argsort(fresh[:, 1])]) >= 0).all()
    band = aligned.predict_band(fresh)
    np.testing.assert_allclose(band[:, 1] - band[:, 0], 2 * widths, rtol=1e-9)
    assert aligned.lambda_ == pytest.approx(widths.max(), rel=0.2)
    calibration = aligned.calibration_
    assert calibration.effective_rows < calibration.n_rows
    assert "whose likelihood ratio to theirs was given" in calibration.statement
    assert "effective rows" in str(calibration)
    assert "approximate" in align(EstimatedRatio(rows(500, 4, THETA))).calibration_.statement


def test_an_estimated_ratio_leaves_out_what_queries_move() -> None:
    """Deployment rows differ along the constrained feature only: no query is changed by it, so no weight is."""
    deployment = rows(2000, 4)
    deployment[:, 0] **= 4
    aligned = align(EstimatedRatio(deployment, classifier=LogisticRegression()))
    weights = aligned.threshold_.ratio.weights(rows(200, 5))
    assert np.abs(weights - 1).max() < 0.2


def test_an_estimated_ratio_is_cut_off_at_its_largest() -> None:
    """Where it exceeds the number, the number takes its place; elsewhere it is what it was."""
    reference, fresh, deployment = rows(400, 1), rows(200, 2), rows(400, 3, THETA)
    whole = EstimatedRatio(deployment).fitted(reference, frozenset({0})).weights(fresh)
    middle = float(np.median(whole))
    cut = EstimatedRatio(deployment, largest=middle).fitted(reference, frozenset({0})).weights(fresh)
    np.testing.assert_array_equal(cut, np.minimum(whole, middle))


def test_text_and_missing_values_reach_the_classifier_as_codes() -> None:
    import pandas as pd

    class ByName:
        def predict(self, X):
            return np.where(X["kind"] == "b", 2.0, 1.0) * np.sin(7 * X["x"])

    random = np.random.default_rng(0)
    X = pd.DataFrame({"x": random.random(600), "kind": random.choice(["a", "b"], 600)})
    deployment = X[X["kind"] == "b"].reset_index(drop=True)
    aligned = AlignedRegressor(
        ByName(), {"x": 1}, alpha=0.2, shift=EstimatedRatio(deployment), random_state=0, confidence=None
    ).calibrate(X)
    weights = aligned.threshold_.ratio.weights(X)
    assert weights[X["kind"] == "b"].min() > 10 * weights[X["kind"] == "a"].max()
    new = pd.DataFrame({"x": [0.5], "kind": ["never seen"]})
    assert aligned.predict(new).shape == (1,)


def negative(X):
    return X[:, 1] - 2


def first_column(X):
    return X[:, 0]


@pytest.mark.parametrize(
    ("changes", "words", "error"),
    [
        ({"shift": LikelihoodRatio(negative)}, ["ratio gives the weight -", "at least 0"], InputError),
        ({"shift": LikelihoodRatio(lambda X: np.full(len(X), np.nan))}, ["ratio gives the weight nan"], InputError),
        (
            {"shift": LikelihoodRatio(lambda X: np.zeros(len(X)))},
            ["shift gives all 3000 calibration rows the weight 0"],
            InputError,
        ),
        ({"shift": LikelihoodRatio(by_scale, largest=1.0)}, ["at most largest=1"], InputError),
        (
            {"shift": LikelihoodRatio(by_scale, largest=1e4)},
            ["likelihood ratios of 3000 calibration rows sum to"],
            CalibrationError,
        ),
        ({"shift": LikelihoodRatio(first_column)}, ["shift changes between the points of a query at"], InputError),
        ({"shift": 3}, ["shift must be a LikelihoodRatio or an EstimatedRatio", "got 3"], InputError),
        ({"shift": LikelihoodRatio(by_scale), "confidence": 0.9}, ["pass confidence=None"], InputError),
        ({"shift": LikelihoodRatio(by_scale), "groups": 1}, ["groups and shift are both given"], InputError),
        (
            {"shift": EstimatedRatio(np.zeros((5, 3)))},
            ["X_deployment has 3 features, but alignconf is expecting 2"],
            InputError,
        ),
    ],
)
def test_bad_shifts_are_refused(changes, words, error) -> None:
    with pytest.raises(error) as caught:
        align(**changes)
    for word in words:
        assert word in str(caught.value)


def test_bad_ratios_are_refused_at_once() -> None:
    with pytest.raises(InputError, match="ratio must be a function from rows to non-negative numbers, got 3"):
        LikelihoodRatio(3)
    with pytest.raises(InputError, match="largest must be a finite number above 0"):
        LikelihoodRatio(by_scale, largest=0)
    with pytest.raises(InputError, match="classifier must have fit and predict_proba"):
        EstimatedRatio(np.zeros((5, 2)), classifier=3)
    with pytest.raises(InputError, match="queries move every column"):
        AlignedRegressor(
            Wave(), {0: 1, 1: 1}, shift=EstimatedRatio(rows(50, 0)), random_state=0, confidence=None
        ).calibrate(rows(500, 0))


# Rows of too large a weight ------------------------------------------------------------------------------------------


class Crowded:
    """The identity; where column 1 is above .9, a wave between the outermost tenths that two knots cannot see."""

    def predict(self, X):
        x = X[:, 0]
        wave = np.where(x < 0.1, 0.0, np.where(x > 0.9, 1.0, 0.5 + 0.5 * np.sin(400 * x)))
        return np.where(X[:, 1] > 0.9, wave, x)


def test_what_fails_at_full_strength_comes_on_top_and_is_said_to() -> None:
    """Heavy rows, 1 in 200 at calibration and 9 in 10 in deployment. A calibration without any delivers them at full strength.

    There about 32 % of queries fail, so 29 % of all: with 2,000 fresh rows the rate is above .2 but for 1e-12.
    """

    def crowded_rows(n_samples, seed, heavy):
        random = np.random.default_rng(seed)
        z = 0.9 * random.random(n_samples)
        z = np.where(random.random(n_samples) < heavy, 0.9 + z / 9, z)
        return np.column_stack([random.random(n_samples), z])

    def odds(X):
        return np.where(X[:, 1] > 0.9, 0.9 / 0.005, 0.1 / 0.995)

    X = crowded_rows(100, 0, 0.0)
    aligned = AlignedRegressor(
        Crowded(), {0: 1}, alpha=0.1, n_knots=2, shift=LikelihoodRatio(odds), random_state=0, confidence=None
    )
    aligned.calibrate(X, X_reference=crowded_rows(100, 1, 0.005))
    fresh = crowded_rows(2000, 2, 0.9)
    heavy = fresh[:, 1] > 0.9
    assert np.isinf(aligned.threshold_.of_rows(fresh)[heavy]).all()
    certificate = aligned.certify(fresh)
    assert certificate.delivered.rate > 0.2
    assert certificate.delivered.rate <= certificate.full_strength.rate + 0.01
    said = "no query fails at full strength, at which rows of too large a weight are delivered"
    assert said in aligned.calibration_.statement
    worst = LikelihoodRatio(odds, largest=200.0)
    assert said not in worst.assumption


def test_many_weights_are_summed_exactly_in_little_time() -> None:
    """Two million different weights at the exact budget, where floats cannot tell: the sum is that of ``math.fsum``."""
    weights = np.random.default_rng(7).random(2_000_000)
    assert float(exact_sum(weights)) == math.fsum(weights)
    scores = WeightedScores.of(np.arange(2_000_000.0)[:, None], weights, 0.5)
    start = time.process_time()
    for _ in range(3):
        exact_sum(weights)
    taken = time.process_time() - start
    start = time.process_time()
    np.sort(weights)
    assert taken < 300 * (time.process_time() - start)
    assert scores.total == pytest.approx(math.fsum(weights))
