r"""Alarms ring as rarely as they say, half-widths follow as they say, and watching changes nothing.

The model is :math:`f(x, z) = -z x` on the places 0 and 1, which should increase. A pair of reference places is drawn apart with
probability 1/2; then it is violated by ``z``, both values are moved by at most ``z / 2``, and the score is ``z / 2``. With
:math:`z \sim \mathrm{Exp}` of mean ``scale`` the violation rate at half-width :math:`\lambda` is
:math:`\frac12 e^{-2 \lambda / \mathrm{scale}}`.

Where a probability can be computed exactly (a walk on counts, binomial sums, an integral) it is; simulations have fixed seeds and
state their false-alarm probability.
"""

import pickle

import numpy as np
import pytest
from crepes.martingales import EpsilonBettingFunction, SimpleJumper, semi_online_p_values
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import comb
from scipy.stats import binom, kstest
from sklearn.linear_model import LogisticRegression

from alignconf import AlignedClassifier, AlignedRegressor, CalibrationError, InputError, NotCalibratedError
from alignconf.calibration.ranks import critical_half_width
from alignconf.deployment.monitoring.drift import (
    JUMP,
    N_BETS,
    ExchangeabilityTest,
    RateTest,
    jump,
    log_evidence,
    online_p_values,
    rewards,
)
from alignconf.deployment.monitoring.following import RollingCalibration, SteeredHalfWidth
from alignconf.deployment.monitoring.monitor import Monitor
from alignconf.properties import Rule

REFERENCE = np.column_stack([np.tile([0.0, 1.0], 20), np.ones(40)])


class Falling:
    """``-z x``: column 0 is the place, column 1 the scale of the line."""

    def predict(self, X):
        return -X[:, 1] * X[:, 0]


class Wavy:
    """A line whose pairs need half-widths of their own, so that other queries have other scores."""

    def predict(self, X):
        return X[:, 1] * np.sin(9 * X[:, 0])


def wavy():
    places = np.random.default_rng(0).random((2, 300))
    reference, rows = (np.column_stack([column, np.ones(300)]) for column in places)
    return AlignedRegressor(Wavy(), {0: 1}, random_state=0).calibrate(rows, X_reference=reference)


def draw_rows(n_samples, random, scale=1.0):
    return np.column_stack([random.integers(0, 2, n_samples), random.exponential(scale, n_samples)]).astype(float)


def rate_at(half_width, scale=1.0):
    return np.exp(-2 * half_width / scale)


def calibrated(n_rows=500, seed=0, **parameters):
    parameters = {"alpha": 0.1, "random_state": seed} | parameters
    rows = draw_rows(n_rows, np.random.default_rng(seed))
    return AlignedRegressor(Falling(), {0: 1}, **{"confidence": None, **parameters}).calibrate(
        rows, X_reference=REFERENCE
    )


# ---------------------------------------------------------------------------------------------------------------------
# Critical half-widths
# ---------------------------------------------------------------------------------------------------------------------
def test_critical_half_widths_have_the_known_law():
    """Counts above four half-widths, 20,000 rows; false alarm 1e-6 for each."""
    widths = calibrated().critical_half_widths(draw_rows(20_000, np.random.default_rng(1)))
    for half_width in (0.0, 0.2, 0.8, 2.0):
        p = rate_at(half_width)
        assert binom.ppf(5e-7, 20_000, p) <= (widths > half_width).sum() <= binom.isf(5e-7, 20_000, p)


def test_a_row_is_violated_iff_lambda_is_smaller():
    """Against the certificate, which evaluates the delivered function at the same queries."""
    aligned = calibrated(n_queries=1)
    fresh = draw_rows(2_000, np.random.default_rng(2))
    widths = aligned.critical_half_widths(fresh, random_state=np.random.default_rng(3))
    aligned.random_state = np.random.default_rng(3)
    assert aligned.certify(fresh).n_rejected == (widths > aligned.lambda_).sum() > 100


def test_critical_half_widths_have_a_stream_of_their_own():
    aligned = wavy()
    rows = draw_rows(200, np.random.default_rng(1))
    same = aligned.critical_half_widths(rows)
    np.testing.assert_array_equal(aligned.critical_half_widths(rows), same)
    np.testing.assert_array_equal(aligned.critical_half_widths(rows, random_state=0), same)
    assert (aligned.critical_half_widths(rows, random_state=1) != same).any()
    random = np.random.default_rng(0)
    first, second = (aligned.critical_half_widths(rows, random_state=random) for _ in range(2))
    assert (first != second).any()


def test_rows_that_lack_the_feature_have_no_half_width():
    rows = draw_rows(50, np.random.default_rng(1))
    rows[::5, 0] = np.nan
    aligned = calibrated()
    np.testing.assert_array_equal(np.isnan(aligned.critical_half_widths(rows)), np.isnan(rows[:, 0]))
    assert np.isnan(aligned.critical_half_widths(rows[::5])).all()


def test_the_loss_is_the_one_that_was_calibrated():
    aligned = calibrated(loss="line").set_params(loss="delivered")
    rows = draw_rows(50, np.random.default_rng(1))
    np.testing.assert_allclose(aligned.critical_half_widths(rows), rows[:, 1] / 2)


def test_calibration_scores_are_one_for_each_row():
    aligned = calibrated(n_rows=300, n_queries=7)
    assert aligned.calibration_scores_.shape == (300,)
    single = calibrated(n_rows=300, confidence=0.9)
    assert critical_half_width(single.calibration_scores_[:, None], 0.1, 0.9)[0] == single.lambda_


def test_critical_half_widths_before_calibration_or_with_a_bad_seed():
    with pytest.raises(NotCalibratedError, match="has no lambda_ yet"):
        AlignedRegressor(Falling(), {0: 1}, confidence=None).critical_half_widths(REFERENCE)
    with pytest.raises(InputError, match="random_state must be a whole number"):
        calibrated().critical_half_widths(REFERENCE, random_state="0")


# ---------------------------------------------------------------------------------------------------------------------
# Exchangeability
# ---------------------------------------------------------------------------------------------------------------------
class Given:
    """A generator that returns given numbers."""

    def __init__(self, numbers):
        self.numbers = numbers

    def random(self, size):
        return self.numbers[-size:]


@settings(max_examples=150)
@given(
    scores=st.lists(st.sampled_from([0.0, 0.0, 0.5, 1.0, 2.0, np.inf]), min_size=1, max_size=30),
    n_history=st.integers(0, 30),
    n_first=st.integers(0, 30),
    seed=st.integers(0, 9),
)
def test_p_values_are_those_of_crepes_in_any_batches(scores, n_history, n_first, seed):
    values, theta = np.array(scores), np.random.RandomState(seed).rand(len(scores))
    expected = semi_online_p_values(values, seed=seed)[n_history:]
    before = np.sort(values[:n_history])
    stream, theta = values[n_history:], theta[n_history:]
    one, middle = online_p_values(before, stream[:n_first], Given(theta[:n_first]))
    two, end = online_p_values(middle, stream[n_first:], Given(theta[n_first:]))
    np.testing.assert_allclose(np.concatenate([one, two]), expected, rtol=1e-12)
    np.testing.assert_array_equal(end, np.sort(values))


def test_the_capital_is_that_of_crepes_with_the_same_bets():
    class Bets:
        def apply(self, p_values):
            return rewards(p_values)

    p_values = np.random.default_rng(0).beta(0.8, 1, 400)
    accounts, capital = np.full(N_BETS, 1 / N_BETS), 0.0
    expected = SimpleJumper(J=JUMP, bf=Bets()).apply(p_values)
    for paid, value in zip(rewards(p_values), expected, strict=True):
        accounts, growth = jump(accounts, paid)
        capital += growth
        assert np.exp(capital) == pytest.approx(value, rel=1e-9)
    linear = EpsilonBettingFunction().apply(p_values)
    np.testing.assert_allclose(rewards(p_values)[:, :5], linear, rtol=1e-12)


def test_every_bet_is_fair():
    """The mean reward of a uniform p-value is 1: by the midpoint rule, exact for linear bets and for steps at its edges."""
    middles = (np.arange(1_000) + 0.5) / 1_000
    np.testing.assert_allclose(rewards(middles).mean(axis=0), 1, rtol=1e-12)
    assert rewards(np.linspace(0, 1, 101)).min() > 0


def half_zero(shape, random):
    """Scores as they are: half of them 0, some infinite."""
    scores = random.exponential(size=shape) * (random.random(shape) < 0.5)
    return np.where(random.random(shape) < 0.02, np.inf, scores)


def test_p_values_are_uniform_and_independent_of_the_past():
    """Kolmogorov-Smirnov at 1e-4, and the correlation of neighbours within four standard errors (6e-5)."""
    random = np.random.default_rng(4)
    p_values, _ = online_p_values(np.sort(half_zero(20, random)), half_zero(20_000, random), random)
    assert kstest(p_values, "uniform").pvalue > 1e-4
    assert abs(np.corrcoef(p_values[1:], p_values[:-1])[0, 1]) < 4 / np.sqrt(20_000)


def largest_capital(n_streams, n_calibration, n_rows, random, *, fixed=False):
    """Return the largest log-capital of null streams; with p-values against the calibration scores alone if fixed."""
    p_values = np.empty((n_streams, n_rows))
    for stream in range(n_streams):
        scores = half_zero(n_calibration + n_rows, random)
        history = np.sort(scores[:n_calibration])
        if fixed:
            above = n_calibration - np.searchsorted(history, scores[n_calibration:], "right")
            equal = n_calibration - above - np.searchsorted(history, scores[n_calibration:], "left")
            p_values[stream] = (above + random.random(n_rows) * (1 + equal)) / (n_calibration + 1)
        else:
            p_values[stream], _ = online_p_values(history, scores[n_calibration:], random)
    accounts, capital, largest = np.full((n_streams, N_BETS), 1 / N_BETS), np.zeros(n_streams), np.zeros(n_streams)
    for row in range(n_rows):
        accounts, growth = jump(accounts, rewards(p_values[:, row]))
        capital += growth
        largest = np.maximum(largest, capital)
    return largest


@pytest.mark.parametrize(
    ("n_streams", "n_rows"), [(1_000, 300), pytest.param(10_000, 1_000, marks=pytest.mark.slow)], ids=["fast", "slow"]
)
def test_no_more_false_alarms_than_stated(n_streams, n_rows):
    """Share of null streams that ever reach 1/delta, from 50 calibration rows. False alarm: 1e-4 for each delta."""
    largest = largest_capital(n_streams, 50, n_rows, np.random.default_rng(5))
    for delta in (0.2, 0.1, 0.05, 0.01):
        count = (largest >= -np.log(delta)).sum()
        assert count <= binom.isf(1e-4, n_streams, delta)
    assert (largest >= np.log(2)).mean() > 0.2  # the capital does move


def test_p_values_against_a_fixed_sample_would_break_the_statement():
    """Why all earlier scores are compared with: one chance in 1e4 to fail if false alarms were kept at 5 %."""
    largest = largest_capital(300, 100, 2_000, np.random.default_rng(6), fixed=True)
    assert (largest >= -np.log(0.05)).sum() > binom.isf(1e-4, 300, 0.05)


@pytest.mark.parametrize("scale", [3.0, 1 / 3])
def test_a_change_of_scale_rings(scale):
    random = np.random.default_rng(7)
    test = ExchangeabilityTest.start(random.exponential(size=300), 0.01)
    quiet = test.update(random.exponential(size=200), random)
    assert not quiet.alarm
    rang = quiet.update(random.exponential(scale, size=300), random)
    assert 200 < rang.alarm_at < 400
    np.testing.assert_array_equal(rang.history, np.sort(rang.history))
    later = rang.update(random.exponential(size=50), random)
    assert later.alarm_at == rang.alarm_at
    assert later.n_rows == 550
    assert later.largest >= rang.log_capital
    assert not quiet.alarm


def test_scores_that_cannot_be_are_refused():
    random = np.random.default_rng(0)
    test = ExchangeabilityTest.start([1.0, 0.0], 0.05)
    with pytest.raises(InputError, match=r"at least 0, got nan in row 1; leave rows that lack"):
        test.update([0.0, np.nan], random)
    with pytest.raises(InputError, match=r"at least 0, got -1.0 in row 0"):
        SteeredHalfWidth(0, 0.1, 0.1, 1).update([-1.0])
    with pytest.raises(InputError, match=r"got shape \(1, 2\)"):
        RollingCalibration(0.1, None, 10).update([[1.0, 2.0]])
    with pytest.raises(InputError, match="false_alarm must be a number"):
        ExchangeabilityTest.start([1.0], 0)
    with pytest.raises(InputError, match="limit must be a number"):
        RateTest(1.0, 0.1)
    with pytest.raises(InputError, match="false_alarm must be a number"):
        RateTest(0.1, 1)


# ---------------------------------------------------------------------------------------------------------------------
# Rate
# ---------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("violated", "rows", "limit"), [(0, 7, 0.1), (3, 9, 0.1), (9, 9, 0.05), (30, 200, 0.2)])
def test_the_evidence_is_the_mean_likelihood_ratio(violated, rows, limit):
    def ratio(rate):
        return (rate / limit) ** violated * ((1 - rate) / (1 - limit)) ** (rows - violated)

    mean = quad(ratio, limit, 1, epsabs=0, epsrel=1e-10)[0] / (1 - limit)
    assert log_evidence(np.array([violated]), np.array([rows]), limit)[0] == pytest.approx(np.log(mean), abs=1e-8)


@pytest.mark.parametrize("limit", [0.01, 0.1, 0.4])
@pytest.mark.parametrize("delta", [0.2, 0.01])
def test_the_probability_of_a_false_alarm_is_exactly_below_what_is_stated(limit, delta):
    """Not simulated: the law of the count of violations among streams that have not rung, row by row for 600 rows."""
    alive, rang = np.array([1.0]), 0.0
    for rows in range(1, 601):
        alive = np.append(alive * (1 - limit), 0.0) + np.append(0.0, alive * limit)
        rings = log_evidence(np.arange(rows + 1), np.full(rows + 1, rows), limit) >= -np.log(delta)
        rang += alive[rings].sum()
        alive = np.where(rings, 0.0, alive)
    assert delta / 20 < rang <= delta


def test_updates_in_batches_ring_at_the_same_row():
    violated = np.random.default_rng(8).random(400) < 0.2
    whole = RateTest(0.1, 0.01).update(violated)
    parts = RateTest(0.1, 0.01)
    for batch in np.split(violated, [1, 50, 51, 200]):
        parts = parts.update(batch)
    assert whole == parts
    assert whole.alarm
    rows = whole.alarm_at
    assert not RateTest(0.1, 0.01).update(violated[: rows - 1]).alarm
    assert RateTest(0.1, 0.01).update(violated[:rows]).alarm
    assert parts.update(np.zeros(500, dtype=bool)).alarm_at == rows


@settings(max_examples=200)
@given(
    rows=st.integers(1, 400), share=st.floats(0, 1), thousandths=st.integers(1, 999), delta=st.sampled_from([0.5, 0.01])
)
def test_the_lower_bound_leaves_out_just_the_rates_that_are_refuted(rows, share, thousandths, delta):
    test = RateTest(0.1, delta, round(share * rows), rows)
    bound, rate = test.lower_bound, thousandths / 1000
    assert 0 <= bound <= test.n_violated / rows
    evidence = log_evidence(np.array([test.n_violated]), np.array([rows]), rate)[0]
    if rate < bound * (1 - 1e-9):
        assert evidence >= -np.log(delta) - 1e-6
    if rate > bound * (1 + 1e-9) and bound < test.n_violated / (rows + 1):
        assert evidence <= -np.log(delta) + 1e-6


def test_the_evidence_now_is_that_of_the_counts():
    assert RateTest(0.1, 0.01, 3, 9).log_evidence == log_evidence(np.array([3]), np.array([9]), 0.1)[0]
    assert RateTest(0.1, 0.01).lower_bound == 0


# ---------------------------------------------------------------------------------------------------------------------
# Following
# ---------------------------------------------------------------------------------------------------------------------
def test_a_window_calibrates_on_the_last_rows_in_exact_ranks():
    scores = np.random.default_rng(9).exponential(size=500)
    window = RollingCalibration(0.1, None, 99)
    for batch in np.split(scores, [7, 300, 301]):
        window = window.update(batch)
    assert window.n_rows == 99
    assert window.lambda_ == np.sort(scores[-99:])[89]
    assert RollingCalibration(0.1, 0.95, 99).update(scores).lambda_ == np.sort(scores[-99:])[99 - 5]
    assert window.violations(1.0).n_rejected == (scores[-99:] > 1).sum()
    assert RollingCalibration(0.1, None, 99).update(scores[:9]).lambda_ == scores[:9].max()
    with pytest.raises(CalibrationError, match=r"8 rows cannot support alpha=0\.1"):
        _ = RollingCalibration(0.1, None, 99).update(scores[:8]).lambda_


def test_the_window_keeps_its_promise_on_average():
    """Exponential scores: the mean rate is floor(alpha (n + 1)) / (n + 1), at four standard errors (6e-5)."""
    random = np.random.default_rng(10)
    window = RollingCalibration(0.1, None, 40).update(3 * random.exponential(size=100))
    rates = np.array([np.exp(-window.update(random.exponential(size=40)).lambda_) for _ in range(3_000)])
    assert abs(rates.mean() - 4 / 41) < 4 * rates.std() / np.sqrt(rates.size)


@pytest.mark.parametrize("n_rows", [20, 100, 1000])
def test_one_look_at_the_window_is_wrong_as_rarely_as_stated(n_rows):
    """Exactly: the binomial probability of all counts at which the bound exceeds alpha."""
    probability = 0.0
    for violated in range(n_rows + 1):
        window = RollingCalibration(0.1, None, n_rows, (np.arange(n_rows) < violated).astype(float))
        if window.exceeds(0.5, confidence=0.95):
            probability += comb(n_rows, violated) * 0.1**violated * 0.9 ** (n_rows - violated) if n_rows < 500 else (
                binom.pmf(violated, n_rows, 0.1)
            )  # fmt: skip
    assert 0.001 < probability <= 0.05


@pytest.mark.slow
def test_many_looks_at_the_window_are_wrong_more_often():
    """Why it is not called an alarm: 200 null streams, 200 looks each, at a rate of exactly alpha."""
    random, ever = np.random.default_rng(11), 0
    for _ in range(200):
        window = RollingCalibration(0.1, None, 100).update(random.random(100))
        for _ in range(200):
            window = window.update(random.random(10))
            if window.exceeds(0.9):
                ever += 1
                break
    assert ever > 100


def test_a_steered_half_width_follows_a_change_of_scale():
    """Exponential scores whose scale triples after 5,000 of 10,000 rows; alpha .1, step .1, from the true quantile ln 10.

    The rate is alpha + (end - start) / (step T) exactly; the half-width wanders by about 0.4 around the quantile, which gives the
    tolerance of four standard deviations. A half-width that stays is violated by exp(-ln 10 / 3) = .464 of the later rows.
    """
    random = np.random.default_rng(12)
    scores = random.exponential(size=10_000) * np.repeat([1.0, 3.0], 5_000)
    steered, violated = SteeredHalfWidth(np.log(10), 0.1, 0.1, 60.0), []
    for score in scores:
        violated.append(score > steered.lambda_)
        steered = steered.update([score])
    assert steered.rate == np.mean(violated)
    assert steered.rate == pytest.approx(0.1 + (steered.value - steered.start) / (0.1 * 10_000), abs=1e-12)
    assert steered.rate == pytest.approx(0.105, abs=0.0016)
    assert np.mean(violated[5_000:]) == pytest.approx(0.109, abs=0.0032)
    assert np.mean(scores[5_000:] > np.log(10)) == pytest.approx(10 ** (-1 / 3), abs=4 * np.sqrt(0.25 / 5_000))
    assert steered.n_beyond == 0
    assert steered.bound == pytest.approx(0.1 + 60.1 / 1_000)


@settings(max_examples=300)
@given(
    batches=st.lists(st.lists(st.sampled_from([0.0, 0.1, 0.5, 1.0, 3.0, np.inf]), max_size=6), min_size=1, max_size=30),
    step=st.sampled_from([0.01, 0.3, 2.0]),
    start=st.sampled_from([0.0, 0.4, 1.0]),
    alpha=st.sampled_from([0.05, 0.5, 0.9]),
)
def test_the_bound_holds_whatever_comes(batches, step, start, alpha):
    steered, violated = SteeredHalfWidth(start, alpha, step, 1.0), 0
    assert np.isinf(steered.bound)
    assert np.isnan(steered.rate)
    for batch in batches:
        violated += sum(score > steered.lambda_ for score in batch)
        steered = steered.update(batch)
        assert steered.lambda_ >= 0
        assert -step * alpha * steered.largest_batch - 1e-9 <= steered.value <= 1 + step * steered.largest_batch
    assert steered.n_rows == sum(map(len, batches))
    assert steered.n_violated == violated
    if steered.n_rows:
        assert steered.rate <= steered.bound + 1e-12
        # Sharper, and without the constants of the bound:
        reached = steered.alpha + steered.moved / (step * steered.n_rows) + steered.n_beyond / steered.n_rows
        assert steered.rate <= reached + 1e-9


def test_an_opponent_does_not_get_past_the_bound():
    """Always just above the half-width, as long as that is allowed: the worst that can be done to a rule of steps."""
    steered = SteeredHalfWidth(0.0, 0.1, 0.05, 1.0)
    for _ in range(2_000):
        steered = steered.update([min(1.0, np.nextafter(steered.lambda_, 2))])
    assert 0.1 + 0.9 / (0.05 * 2_000) < steered.rate <= steered.bound
    assert steered.n_beyond == 0


def test_scores_beyond_the_largest_half_width_are_counted():
    steered = SteeredHalfWidth(1.0, 0.1, 0.1, 1.0)
    for _ in range(50):
        steered = steered.update([np.inf])
    assert steered.rate == 1
    assert steered.n_beyond >= 40
    assert steered.bound >= 1
    assert steered.value <= 1.1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((2.0, 0.1, 0.1, 1.0), "start=2 is above lambda_max=1"),
        ((0.0, 0.1, 0.0, 1.0), "step must be a finite number above 0"),
        ((0.0, 0.1, 0.1, np.inf), "lambda_max must be a finite number above 0"),
        ((0.0, 1.0, 0.1, 1.0), "alpha must be a number"),
        ((-1.0, 0.1, 0.1, 1.0), "start must be a finite number of at least 0"),
    ],
)
def test_steps_that_cannot_be_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        SteeredHalfWidth(*arguments)


# ---------------------------------------------------------------------------------------------------------------------
# The monitor
# ---------------------------------------------------------------------------------------------------------------------
def stream(monitor, batches, scale, random):
    for _ in range(batches):
        monitor = monitor.update(draw_rows(100, random, scale))
    return monitor


def test_a_monitor_notices_a_change_and_realigns():
    """The scale triples: at the old half-width .5 (.2)^(1/3) = .29 of the queries are violated."""
    aligned, random = calibrated(n_rows=1_000), np.random.default_rng(13)
    before = pickle.dumps(aligned)
    quiet = stream(Monitor(aligned, window=500, step=0.005, lambda_max=10.0), 5, 1.0, random)
    assert not quiet.alarm
    assert "ALARM" not in str(quiet)
    rang = stream(quiet, 10, 3.0, random)
    assert rang.change.alarm
    assert rang.rate.alarm
    assert rang.alarm
    assert min(rang.change.alarm_at, rang.rate.alarm_at) > 500
    assert str(rang).count("ALARM after row") == 2
    assert rang.window.exceeds(aligned.lambda_)
    again = rang.realigned()
    # 500 rows: the rate at the new half-width is Beta(50, 451); five standard deviations.
    assert rate_at(again.lambda_, 3.0) == pytest.approx(0.1, abs=5 * np.sqrt(0.09 / 500))
    assert rate_at(aligned.lambda_, 3.0) > 0.2
    assert pickle.dumps(aligned) == before
    rows = draw_rows(300, random, 3.0)
    assert again.certify(rows).lambda_ == again.lambda_
    assert np.abs(again.predict(rows) - Falling().predict(rows)).max() <= again.lambda_
    assert "exchangeable" in again.calibration_.statement
    assert again.calibration_.n_rows == 500
    assert not stream(Monitor(again), 5, 3.0, random).change.alarm


def test_the_steered_estimator_says_what_is_known():
    random = np.random.default_rng(14)
    monitor = Monitor(calibrated(), step=0.005, lambda_max=5.0)
    assert "before the first row" in str(monitor)
    monitor = stream(monitor, 4, 3.0, random)
    steered = monitor.realigned("steered")
    assert steered.lambda_ == monitor.steered.lambda_ > monitor.aligned.lambda_
    assert "whatever the rows, it could not have been more than" in steered.calibration_.statement
    assert "Of the next row alone nothing is claimed" in str(steered.calibration_)
    assert "delivered function violates a fresh query" in steered.calibration_.statement
    assert f"{monitor.steered.n_violated} of them" in str(monitor)
    assert pickle.loads(pickle.dumps(steered)).calibration_ == steered.calibration_


def test_rules_that_only_say_yes_or_no_are_steered_to_half_widths_at_which_they_were_asked():
    def rises(values):
        return values[:, 0] <= values[:, 1] + 1e-9

    def middle(values):
        return np.where(rises(values)[:, None], values, values.mean(axis=1, keepdims=True))

    random = np.random.default_rng(20)
    aligned = AlignedRegressor(Falling(), Rule([{0: 0.0}, {0: 1.0}], rises, middle), random_state=0, confidence=None)
    aligned.calibrate(draw_rows(500, random), X_reference=draw_rows(200, random))
    monitor = Monitor(aligned, step=0.003, lambda_max=10.0).update(draw_rows(100, random, 3.0))
    levels = aligned.alignment_.tester.parts[0].levels
    assert monitor.steered.lambda_ not in levels
    steered = monitor.realigned("steered").lambda_
    assert steered == min(level for level in levels if level >= monitor.steered.lambda_)
    assert set(monitor.window.scores) <= {0.0, *levels, np.inf}


def test_the_state_is_never_changed_and_the_same_seed_gives_the_same_numbers():
    random = np.random.default_rng(15)
    batches = [draw_rows(50, random) for _ in range(3)]
    start = Monitor(wavy(), random_state=3)
    once, twice = start.update(batches[0]), start.update(batches[0])
    assert start.n_rows == start.window.n_rows == start.rate.n_rows == 0
    np.testing.assert_array_equal(once.window.scores, twice.window.scores)
    assert once.change.log_capital == twice.change.log_capital != 0
    # A batch that comes twice is asked other queries the second time.
    np.testing.assert_array_equal(once.update(batches[0]).window.scores[:50], once.window.scores)
    assert (once.update(batches[0]).window.scores[50:] != once.window.scores).any()
    other = Monitor(wavy(), random_state=4).update(batches[0])
    assert (other.window.scores != once.window.scores).any()
    assert repr(once) == "<Monitor of AlignedRegressor after 50 rows, alarm=False>"
    for copied in (pickle.loads(pickle.dumps(once)),):
        assert str(copied.update(batches[1])) == str(once.update(batches[1]))


def test_rows_that_lack_the_feature_are_counted_and_ask_nothing():
    rows = draw_rows(50, np.random.default_rng(16))
    rows[:20, 0] = np.nan
    monitor = Monitor(calibrated()).update(rows)
    assert (monitor.n_rows, monitor.n_missing, monitor.window.n_rows, monitor.change.n_rows) == (50, 20, 30, 30)
    assert "50 rows in 1 batches; 20 lack all constrained features" in str(monitor)
    assert monitor.realigned().calibration_.n_missing == 20
    nothing = monitor.update(rows[:20])
    assert nothing.window.n_rows == 30
    assert nothing.n_missing == 40


def test_the_window_says_when_it_supports_nothing():
    monitor = Monitor(calibrated())
    assert "Window: empty." in str(monitor)
    monitor = monitor.update(draw_rows(5, np.random.default_rng(17)))
    assert "support no half-width (5 rows cannot support alpha=0.1" in str(monitor)
    with pytest.raises(CalibrationError, match="5 rows cannot support"):
        monitor.realigned()


def test_the_limit_can_leave_room():
    monitor = Monitor(calibrated(), limit=0.2, false_alarm=0.02)
    assert monitor.rate == RateTest(0.2, 0.01)
    assert monitor.change.false_alarm == 0.01
    assert "at most 0.2 given those before" in str(monitor)


def test_classifiers_are_watched_too():
    random = np.random.default_rng(18)
    X = random.random((600, 2))
    model = LogisticRegression().fit(X, X[:, 0] + np.sin(9 * X[:, 1]) > 0.8)
    aligned = AlignedClassifier(model, {1: 1}, random_state=0, confidence=None).calibrate(X[:400])
    monitor = Monitor(aligned).update(X[400:])
    assert monitor.window.n_rows == 200
    assert not monitor.alarm


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"window": 8}, "window=8 can never support alpha=0.1; give at least 9 rows"),
        ({"window": 0}, "window must be a whole number of at least 1"),
        ({"false_alarm": 0}, "false_alarm must be a number"),
        ({"limit": 2}, "limit must be a number"),
        ({"step": 0.1}, "step=0.1 and lambda_max=None belong together"),
        ({"step": 0.1, "lambda_max": 0.01}, "is above lambda_max=0.01"),
        ({"random_state": -1}, "random_state must be a whole number"),
    ],
)
def test_what_a_monitor_refuses(parameters, message):
    with pytest.raises(InputError, match=message):
        Monitor(calibrated(), **parameters)


def test_what_cannot_be_watched():
    with pytest.raises(
        InputError, match=r"window=20 can never support alpha=0.1 with confidence=0.95; give at least 29"
    ):
        Monitor(calibrated(confidence=0.95), window=20)
    with pytest.raises(InputError, match="aligned must be an AlignedRegressor or AlignedClassifier, got 3 of type int"):
        Monitor(3)
    with pytest.raises(NotCalibratedError, match="has no lambda_ yet"):
        Monitor(AlignedRegressor(Falling(), {0: 1}, confidence=None))
    with pytest.raises(InputError, match="at full strength, alpha=0: nothing was calibrated"):
        Monitor(calibrated(alpha=0))
    with pytest.raises(InputError, match="nothing was steered"):
        Monitor(calibrated()).realigned("steered")
    with pytest.raises(InputError, match="by must be one of 'window', 'steered', got 'both'"):
        Monitor(calibrated()).realigned("both")


@pytest.mark.slow
def test_monitors_of_streams_without_change_ring_as_rarely_as_stated():
    """2,000 calibrations of 60 rows, each with 300 rows of the same law, from model to alarm. False alarm: 1e-4.

    The limit is the true rate of each calibration, the largest for which the statement about violations assumes enough.
    """
    rang = 0
    for seed in range(2_000):
        random = np.random.default_rng([seed, 19])
        aligned = calibrated(n_rows=60, seed=seed, n_queries=1)
        monitor = Monitor(aligned, false_alarm=0.1, limit=rate_at(aligned.lambda_), random_state=seed)
        rang += monitor.update(draw_rows(150, random)).update(draw_rows(150, random)).alarm
    assert 0 < rang <= binom.isf(1e-4, 2_000, 0.1)
