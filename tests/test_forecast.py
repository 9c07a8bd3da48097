"""Forecasts against known tails, closed forms and independent solvers; and silence where nothing can be told."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import beta, binom, chi2, genpareto, norm

from alignconf import AlignedRegressor
from alignconf.deployment.forecast import (
    METHODS,
    Region,
    chance_of_missing,
    extrapolation_bias,
    forecast,
    forecast_half_width,
    forecast_violations,
    forecast_worst_probability,
    from_psi,
    to_psi,
    visible_weight,
)
from alignconf.deployment.forecast.averaging import AveragedTail, OpenTail
from alignconf.deployment.forecast.forecasting import read_tail
from alignconf.deployment.forecast.likelihood import ParetoLikelihood
from alignconf.deployment.forecast.tails import tail_of
from alignconf.errors import CalibrationError, InputError, NotCalibratedError
from benchmarks.risk import forecast as figures


def exponential(n_scores, seed=0):
    return np.random.default_rng(seed).exponential(size=n_scores)


def test_the_published_line_in_closed_form() -> None:
    """Slope cov/var and intercept of the ten largest at i/m; Q(n) = -(log n + b) / a."""
    scores = exponential(1000)
    largest = np.sort(scores)[::-1][:10]
    levels = np.log(np.arange(1, 11) / 1000)
    slope = np.cov(largest, levels, bias=True)[0, 1] / largest.var()
    intercept = levels.mean() - slope * largest.mean()
    found = forecast(scores, 1e5, threshold=11.5, method="jones2025")
    assert found.size == pytest.approx(-(math.log(1e5) + intercept) / slope, rel=1e-10)
    assert found.rate == pytest.approx(math.exp(slope * 11.5 + intercept), rel=1e-9)
    assert found.rate_between is None
    assert found.size_between is None


def test_the_bias_of_the_published_forecast() -> None:
    """Formula against 3,000 repetitions: the mean error has a standard error of .07; five of them, false alarm below 1e-6."""
    assert all(check.met for check in figures._published_bias(3000))
    bias = extrapolation_bias(1000, 1e5)
    assert bias.total == pytest.approx(bias.attenuation + bias.plotting_positions)
    scores = np.sort(np.random.default_rng(1).exponential(size=(3000, 1000)), axis=1)[:, -10:][:, ::-1]
    levels = np.log(np.arange(1, 11) / 1000)
    slopes = ((scores - scores.mean(1, keepdims=True)) * (levels - levels.mean())).mean(1) / scores.var(1)
    errors = scores.mean(1) - (math.log(1e5) + levels.mean()) / slopes - math.log(1e5)
    assert abs(errors.mean() - bias.total) < 5 * errors.std() / math.sqrt(3000)


def test_the_unbiased_line_has_no_bias() -> None:
    """4,000 repetitions on an exponential tail: mean error within five standard errors of 0, false alarm below 1e-6."""
    random = np.random.default_rng(2)
    errors = []
    for _ in range(4000):
        largest = np.sort(random.exponential(size=300))[::-1][:11]
        errors.append(read_tail("unbiased", np.r_[largest, np.zeros(289)]).size(-math.log(1e4)) - math.log(1e4))
    assert abs(np.mean(errors)) < 5 * np.std(errors) / math.sqrt(4000)


def test_the_likelihood_on_the_grid_is_the_likelihood() -> None:
    """Against scipy's log density and its maximum, and a profile interval by constrained maximisation."""
    excesses = genpareto.rvs(0.2, scale=2.0, size=150, random_state=np.random.default_rng(3))
    grid = ParetoLikelihood.of(excesses)
    for row in (5, 40, 70):
        exact = genpareto.logpdf(excesses, grid.shapes[row], scale=grid.scales[row, 20]).sum()
        assert grid.values[row, 20] == pytest.approx(exact, rel=1e-9)
    best = minimize(
        lambda at: -genpareto.logpdf(excesses, at[0], scale=np.exp(at[1])).sum(), [0.1, 0.5], method="Nelder-Mead"
    )
    assert grid.values.max() == pytest.approx(-best.fun, abs=0.02)
    low, high = grid.shape_interval(0.9)
    for end in (low, high):
        profile = max(
            genpareto.logpdf(excesses, end, scale=np.exp(log_scale)).sum() for log_scale in np.linspace(-1, 2, 3001)
        )
        assert -best.fun - profile == pytest.approx(chi2.ppf(0.9, 1) / 2, abs=0.25)
    assert grid.weights(0.2).sum() == pytest.approx(1.0)
    survival = genpareto.logsf(3.0, grid.shapes[40], scale=grid.scales[40, 20])
    assert grid.log_survival(3.0)[40, 20] == pytest.approx(survival, rel=1e-9)


def test_tails_of_likelihood_agree_with_scipy() -> None:
    scores = np.random.default_rng(4).pareto(3, 1000)
    falling = np.sort(scores)[::-1]
    k = int(2 * math.sqrt(1000))
    shape, _, scale = genpareto.fit(falling[:k] - falling[k], floc=0)
    found = forecast(scores, 1e5, threshold=40.0, method="pareto")
    assert found.rate == pytest.approx(k / 1000 * genpareto.sf(40 - falling[k], shape, scale=scale), rel=1e-6)
    mean = (falling[:k] - falling[k]).mean()
    straight = forecast(scores, 1e5, threshold=40.0, method="exponential")
    assert straight.rate == pytest.approx(k / 1000 * math.exp(-(40 - falling[k]) / mean), rel=1e-9)


def test_the_average_lies_between_its_parts_and_is_never_zero() -> None:
    falling = np.sort(np.random.default_rng(5).beta(2, 5, 2000))[::-1]
    parts = tuple(OpenTail.of(falling[: k + 1], 2000) for k in (89, 100))
    tail = AveragedTail(parts)
    rates = [part.log_rate(1.05) for part in parts]
    assert min(rates) <= tail.log_rate(1.05) <= max(rates)
    assert all(0 < part.probability_exponential < 1 for part in parts)
    assert tail.log_rate(1.5) > -np.inf
    assert tail.log_rate(tail.size(-12.0)) == pytest.approx(-12.0, abs=1e-4)


#: Quartiles of the error of each method in decades at the rate 1e-5, exponential scores: 60 to 200 other sets of 2,000.
QUARTILES = {
    "averaged": (0.03, 0.42),
    "selected": (-0.27, 0.28),
    "pareto": (-2.92, 0.54),
    "exponential": (-0.30, 0.22),
    "unbiased": (-0.83, 0.46),
    "jones2025": (-0.04, 0.94),
}


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_near_on_an_exponential_tail(method) -> None:
    """Rate 1e-5 from 2,000 scores, 25 sets: in how many the error is below its lower quartile, or above the upper one.

    Each count is binomial(25, 1/4), and outside 1 to 15 with probability 1e-3; with a rate three times too large or too
    small, or one that hardly varies, some count is 0 or above 15. Intervals at .9 that cover in .88 miss more than nine
    times in 1e-3 of the runs.
    """
    errors, misses = [], 0
    for seed in range(25):
        tail = read_tail(method, np.sort(exponential(2000, seed))[::-1])
        rate = tail.log_rate(math.log(1e5))
        errors.append((rate + math.log(1e5)) / math.log(10))
        ends = tail.log_rate_between(math.log(1e5), 0.9)
        if ends is not None:
            assert ends[0] <= rate <= ends[1]
            misses += not ends[0] <= -math.log(1e5) <= ends[1]
    low, high = QUARTILES[method]
    assert 1 <= np.sum(np.array(errors) < low) <= 15
    assert 1 <= np.sum(np.array(errors) > high) <= 15
    assert misses <= 9
    tail = read_tail(method, np.sort(exponential(2000))[::-1])
    assert tail.log_rate(9.0) > tail.log_rate(12.0) > -np.inf
    assert tail.size(-9.0) < tail.size(-14.0)
    found = forecast(exponential(2000), 1e5, threshold=math.log(1e5), method=method)
    assert found.is_identifiable
    if found.rate_between is not None:
        assert found.rate_between[0] <= found.rate <= found.rate_between[1]
        assert found.size_between[0] <= found.size <= found.size_between[1]


def test_an_average_is_as_uncertain_as_its_parts_together() -> None:
    falling = np.sort(exponential(2000))[::-1]
    tail = AveragedTail(tuple(OpenTail.of(falling[: k + 1], 2000) for k in (44, 400)))
    ends = [part.quantiles(12.0 - part.start, 0.05) for part in tail.parts]
    assert len({low for low, _ in ends}) == len({high for _, high in ends}) == 2
    assert tail.log_rate_between(12.0, 0.9) == (min(low for low, _ in ends), max(high for _, high in ends))


def test_a_region_replaces_its_weight_of_the_scores() -> None:
    """By hand: .7 of what is counted, or read off the tail, and .3 of the region."""
    scores, region = exponential(2000), Region(0.3, np.linspace(0, 20, 1001), "made up")
    counted = forecast(scores, 20, threshold=1.0, regions=[region])
    assert counted.rate == pytest.approx(0.7 * (scores > 1).mean() + 0.3 * (region.sizes > 1).mean(), rel=1e-12)
    plain, added = (forecast(scores, 1e5, threshold=12.0, regions=given) for given in ([], [region]))
    assert added.rate == pytest.approx(0.7 * plain.rate + 0.3 * (region.sizes > 12).mean(), rel=1e-12)
    for end, plain_end in zip(added.rate_between, plain.rate_between, strict=True):
        assert end == pytest.approx(0.7 * plain_end + 0.3 * (region.sizes > 12).mean(), rel=1e-12)


def test_the_interval_of_an_exponential_tail_is_exact() -> None:
    """The sum of excesses is gamma: with the k-th largest as the start, coverage is the level, both sides at 1e-4."""
    random, n_covered = np.random.default_rng(11), 0
    for _ in range(400):
        falling = np.sort(random.exponential(size=1000))[::-1]
        tail = tail_of("exponential", falling[:64], 1000)
        low, high = tail.log_rate_between(10.0, 0.9)
        assert low < tail.log_rate(10.0) < high
        n_covered += low <= np.log(0.063) - (10.0 - tail.start) <= high
    assert binom.ppf(5e-5, 400, 0.9) <= n_covered <= binom.isf(5e-5, 400, 0.9)


def test_what_was_seen_is_counted_and_bounded_exactly() -> None:
    scores = exponential(2000)
    found = forecast(scores, 20, threshold=1.0)
    count = int((scores > 1).sum())
    assert found.rate == count / 2000
    assert found.is_counted
    assert found.size == np.sort(scores)[::-1][100]
    bound = found.exceedances.counted.upper_bound
    assert bound == pytest.approx(beta.ppf(0.95, count + 1, 2000 - count))
    nothing = forecast(scores, 1e6, threshold=30.0)
    assert nothing.exceedances.counted.upper_bound == pytest.approx(1 - 0.05 ** (1 / 2000), rel=1e-9)
    assert nothing.exceedances.kind == "certified"
    assert nothing.kind == "model-based"
    assert "[certified] 0 of 2000" in str(nothing)
    assert "[model-based]" in str(nothing)
    figures_ = json.loads(nothing.to_json())
    assert figures_["kind"] == "model-based"
    assert figures_["exceedances"]["kind"] == "certified"


@pytest.mark.parametrize(
    "scores",
    [np.repeat([0.0, 1.0, 2.0], 500), np.r_[np.zeros(990), np.arange(1.0, 11.0)], exponential(25), np.zeros(300)],
)
def test_plateaus_and_few_scores_are_not_identifiable(scores) -> None:
    found = forecast(scores, 1e5, threshold=50.0)
    assert not found.is_identifiable
    assert found.rate is None
    assert found.size is None
    assert "not identifiable" in str(found)
    assert found.exceedances is not None


def test_no_score_is_above_its_cap() -> None:
    scores = np.random.default_rng(6).beta(2, 5, 2000)
    found = forecast(scores, 1e9, threshold=1.0, cap=1.0)
    assert found.rate == 0.0
    assert found.size <= 1.0
    assert forecast(scores, 1e9, threshold=1.0).rate > 0


def test_a_missed_mode_is_invisible_until_its_region_is_added() -> None:
    """A mode of weight 1e-4 at 30: the rate above 28 is 1e-4 times .977."""
    scores = exponential(1000, seed=7)
    without = forecast(scores, 1e6, threshold=28.0)
    assert without.rate < 3e-5
    assert "A mode of weight below 0.003 is invisible in 1000 scores" in str(without)
    region = Region(1e-4, np.random.default_rng(8).normal(30, 1, 4000), "a simulation")
    added = forecast(scores, 1e6, threshold=28.0, regions=[region])
    assert added.rate == pytest.approx(1e-4 * norm.cdf(2), rel=0.3)
    assert added.size > 28
    assert "With a region of weight 0.0001 (a simulation), taken as known." in str(added)


def test_chances_of_missing_a_mode() -> None:
    assert chance_of_missing(1e-4, 1000) == pytest.approx((1 - 1e-4) ** 1000)
    assert chance_of_missing(visible_weight(500), 500) == pytest.approx(0.05)


def test_the_back_test_compares_tenths_with_all() -> None:
    found = forecast(exponential(5000), 1e6).back_test
    assert found.n_scores == 500
    assert len(found.errors) == 10
    assert np.mean(np.abs(found.errors)) < 1
    assert "Back-test, 500 to 5000 scores" in str(found)
    again = forecast(exponential(5000), 1e6).back_test
    assert again.errors == found.errors
    assert forecast(exponential(200), 1e6).back_test is None


def test_probabilities_and_psi() -> None:
    p = np.array([1e-12, 1e-3, 0.5, 0.9])
    np.testing.assert_allclose(from_psi(to_psi(p)), p)
    psi = np.random.default_rng(9).gumbel(-3, 0.3, 900)
    worst, found = forecast_worst_probability(from_psi(psi), 90_000)
    assert worst == pytest.approx(math.exp(-math.exp(-found.size)))
    assert found.what == "psi"
    with pytest.raises(InputError, match=r"n_draws=10 is too few for probabilities of .*; count over at least"):
        forecast_worst_probability(from_psi(psi), 90_000, n_draws=10)
    with pytest.raises(InputError, match="probabilities must lie strictly between 0 and 1"):
        to_psi([0.0, 0.5])


class Wave:
    """Falls along column 0 by an amount that column 1 scales."""

    def predict(self, X):
        return X[:, 1] * np.sin(7 * X[:, 0])


def rows(n_samples, seed):
    random = np.random.default_rng(seed)
    return np.column_stack([random.random(n_samples), random.exponential(size=n_samples)])


def test_violations_of_a_model_are_forecast() -> None:
    """Violations above 10 against 400,000 fresh queries: within one order of magnitude, fixed seeds."""
    found = forecast_violations(Wave(), rows(3000, 0), {0: "increasing"}, 1e6, size=10.0, random_state=0)
    from alignconf.deployment.violation_score import ViolationScore

    fresh = ViolationScore.of(Wave(), {0: "increasing"}, rows(500, 1))
    sizes = fresh.row_sizes(rows(400_000, 2), 1, np.random.default_rng(3))
    assert abs(math.log10(found.rate / (sizes > 10).mean())) < 1
    assert found.what == "violation"
    assert found.n_scores == 2400
    given = forecast_violations(Wave(), rows(500, 0), {0: "increasing"}, 1e6, X_reference=rows(100, 1), random_state=0)
    assert given.n_scores == 500


def test_the_half_width_that_many_rows_need() -> None:
    """Half-widths at the forecast size against 100,000 fresh rows: about 100 of them are violated; a factor of 4 is allowed."""
    aligned = AlignedRegressor(Wave(), {0: "increasing"}, alpha=0.05, random_state=0, confidence=None)
    aligned.calibrate(rows(2000, 0), X_reference=rows(300, 1))
    found = forecast_half_width(aligned, rows(2000, 2), 1000, random_state=1)
    assert found.what == "critical half-width"
    assert found.size > aligned.lambda_
    assert found.exceedances.threshold == aligned.lambda_
    widths = aligned.critical_half_widths(rows(30_000, 3), random_state=2)
    assert 30 / 4 < (widths > found.size).sum() < 30 * 4


class Hopeless:
    calibration_ = None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: forecast(np.zeros((3, 2)), 10), "scores must be one-dimensional numbers"),
        (lambda: forecast([1.0, np.inf], 10), "scores must be finite, and 1 of 2 are not"),
        (lambda: forecast([1.0, 2.0], 0.5), "n_rows must be a finite number of at least 1"),
        (lambda: forecast([1.0, 2.0], 10, method="gumbel"), "method must be one of"),
        (lambda: forecast([1.0, 2.0], 10, confidence=1), "confidence must be"),
        (lambda: forecast([1.0, 2.0], 10, level=0), "level must be"),
        (lambda: forecast([1.0, 2.0], 10, threshold=np.nan), "threshold must be a finite number"),
        (lambda: forecast([1.0, 2.0], 10, cap=2.0), "cap=2.0 must be larger than every score"),
        (lambda: forecast([1.0, 2.0], 10, regions=[3]), "regions must be Regions"),
        (lambda: Region(0.0, [1.0]), "weight must be a number"),
        (lambda: Region(0.1, []), "sizes of a region must be finite scores"),
        (lambda: extrapolation_bias(10, 1e5, 10), "n_scores must be a whole number of at least 11"),
        (lambda: chance_of_missing(2, 10), "weight must be"),
        (lambda: forecast_violations(Wave(), rows(9, 0), {0: 1}, 10, size=-1), "size must be"),
        (lambda: forecast_half_width(Wave(), rows(9, 0), 10), "aligned must be an AlignedRegressor"),
    ],
)
def test_malformed_arguments_are_refused(call, message) -> None:
    with pytest.raises(InputError, match=message):
        call()


def test_rows_that_no_half_width_helps_are_refused(monkeypatch) -> None:
    aligned = AlignedRegressor(Wave(), {0: "increasing"}, random_state=0, confidence=None)
    with pytest.raises(NotCalibratedError, match="has no lambda_ yet"):
        forecast_half_width(aligned, rows(9, 0), 10)
    aligned.calibrate(rows(100, 0))
    monkeypatch.setattr(AlignedRegressor, "critical_half_widths", lambda *_, **__: np.array([1.0, np.inf]))
    with pytest.raises(CalibrationError, match="no half-width helps at 1 of 2 rows"):
        forecast_half_width(aligned, rows(9, 0), 10)


@pytest.mark.slow
def test_acceptance_figures() -> None:
    """All sizes of `python -m benchmarks risk --only forecast` but the one below; seeds are fixed."""
    found = [*figures._published_bias(3000), *figures._methods(40), *figures._coverage(80), *figures._psi(300)]
    assert not [check for check in found if check.met is False]


@pytest.mark.slow
@pytest.mark.xfail(
    strict=True,
    reason="39 of 40 are within one order of magnitude once the region is added and its scores are left out; the last is off by "
    "a factor of 10.7, which the tail of the other 1,000 scores adds: an estimate of the region says nothing about them",
)
def test_a_missed_mode_that_is_added_is_forecast_within_one_order() -> None:
    assert not [check for check in figures._missed_mode(40) if check.met is False]
