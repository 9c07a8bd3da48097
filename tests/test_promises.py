r"""Promises of the documentation, one by one, against truths in closed form or counted by hand.

Where a rate is needed exactly, the model is :math:`z\,h(x)` with ``x`` on twelve places and queries are whole lines: a line is
violated at half-width :math:`\lambda` iff :math:`z > \lambda / t`, with ``t`` the half-width at which ``h`` itself passes. In a
group whose ``z`` is exponential with mean ``s`` the violation rate is :math:`e^{-\lambda / (s t)}`.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import binom
from sklearn.linear_model import LogisticRegression

from alignconf import AlignedClassifier, AlignedRegressor
from alignconf.calibration.shift import LikelihoodRatio
from alignconf.deployment.monitoring.monitor import Monitor
from alignconf.deployment.monitoring.sequential import SequentialCertificate
from alignconf.errors import CalibrationError, PredictionError
from tests.test_validity import PLACES, REFERENCE, Scaled, alignment_of, projected, thresholds

#: The half-width at which the line itself, z = 1, passes.
LIMIT = np.triu(thresholds(*projected(alignment_of().tester.laws[0])), 1).max()
MEANS = {0: 1.0, 1: 3.0}
N_ROWS = {0: 60, 1: 40}


def rows_of_groups(random, sizes):
    """Return rows (place, z, group), so many of each group."""
    group = np.repeat(list(sizes), list(sizes.values()))
    z = random.exponential(size=group.size) * np.array([MEANS[one] for one in group])
    return np.column_stack([random.choice(PLACES, group.size), z, group])


REFERENCE_ROWS = np.column_stack([REFERENCE, np.zeros(len(REFERENCE))])


def by_group(random, confidence):
    """Return the estimator of one calibration and the exact violation rate that it has in each group."""
    settings = {"confidence": confidence, "groups": 2, "query_law": "line", "random_state": int(random.integers(2**31))}
    aligned = AlignedRegressor(Scaled(), {0: 1}, alpha=0.1, **{"confidence": None, **settings})
    aligned.calibrate(rows_of_groups(random, N_ROWS), X_reference=REFERENCE_ROWS)
    widths = {int(claim.group): claim.lambda_ for claim in aligned.calibration_.claims}
    return aligned, {group: np.exp(-width / (MEANS[group] * LIMIT)) for group, width in widths.items()}


# Groups ---------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("n_draws", [200, pytest.param(3000, marks=pytest.mark.slow)])
def test_each_group_keeps_its_rate_over_calibration_draws(n_draws):
    """On average ``floor(alpha (n + 1)) / (n + 1)`` in each group, at four standard errors (6e-5) on either side."""
    random = np.random.default_rng(1)
    rates = [by_group(random, None)[1] for _ in range(n_draws)]
    for group, expected in ((0, 6 / 61), (1, 4 / 41)):
        of_group = np.array([rate[group] for rate in rates])
        assert abs(of_group.mean() - expected) <= 4 * of_group.std() / np.sqrt(n_draws)


@pytest.mark.parametrize("n_draws", [200, pytest.param(3000, marks=pytest.mark.slow)])
def test_with_confidence_each_group_exceeds_its_rate_as_rarely_as_promised(n_draws):
    """Binomial with the exact probability P(Bin(n, alpha) <= r) of each group, both sides at 1e-4; at most .1 is promised."""
    random = np.random.default_rng(2)
    rates = [by_group(random, 0.9)[1] for _ in range(n_draws)]
    for group, n_rows in N_ROWS.items():
        above = max(r for r in range(n_rows) if binom.cdf(r, n_rows, 0.1) <= 0.1)
        exact = binom.cdf(above, n_rows, 0.1)
        exceeded = sum(rate[group] > 0.1 for rate in rates)
        assert binom.ppf(5e-5, n_draws, exact) <= exceeded <= binom.isf(5e-5, n_draws, exact)


@pytest.mark.parametrize("n_draws", [120, pytest.param(3000, marks=pytest.mark.slow)])
def test_lines_of_a_certificate_hold_together_at_the_divided_error(n_draws):
    """Two groups at confidence ``1 - .2 / 2``: some bound fails with an exact probability, at most .2; both sides at 1e-4."""
    random = np.random.default_rng(3)
    aligned, rates = by_group(random, None)
    sizes = {0: 70, 1: 50}
    fails = []
    for group, n_rows in sizes.items():
        counts = np.arange(n_rows + 1)
        passing = binom.cdf(counts, n_rows, rates[group]) > 0.1  # the Clopper-Pearson bound is at least the rate
        fails.append(binom.pmf(counts, n_rows, rates[group])[~passing].sum())
    exact = 1 - (1 - fails[0]) * (1 - fails[1])
    assert 0 < exact <= 0.2
    wrong = 0
    for seed in range(n_draws):
        fresh = rows_of_groups(np.random.default_rng([seed, 4]), sizes)
        certificate = aligned.certify(fresh, confidence=0.9)
        wrong += any(rate.upper_bound < rates[group] for group, (_, rate) in enumerate(certificate.separately))
    assert binom.ppf(5e-5, n_draws, exact) <= wrong <= binom.isf(5e-5, n_draws, exact)


# Several levels -------------------------------------------------------------------------------------------------------


class Hills:
    """Wrong in both features, by amounts of their own."""

    def predict(self, X):
        return X[:, 2] * np.sin(9 * X[:, 0]) + X[:, 3] * np.sin(11 * X[:, 1])


def hilly_rows(n_samples, random, mean=1.0):
    return np.column_stack([random.random((n_samples, 2)), random.exponential(mean, (n_samples, 2))])


def levels_kept(n_draws, alphas, **settings):
    """Return the violation rates of each property, (n_draws, 2), of functions calibrated on 99 rows, at 1,000 fresh ones."""
    rates = []
    for draw in range(n_draws):
        random = np.random.default_rng([draw, 5])
        aligned = AlignedRegressor(
            Hills(), {0: 1, 1: 1}, alpha=alphas, confidence=None, n_queries=1, n_knots=16, random_state=draw, **settings
        ).calibrate(hilly_rows(99, random), X_reference=hilly_rows(200, np.random.default_rng(6)))
        certificate = aligned.certify(hilly_rows(1000, random))
        rates.append([rate.rate for _, rate in certificate.separately])
    return np.array(rates)


@pytest.mark.slow
@pytest.mark.parametrize("n_draws", [20, pytest.param(400, marks=pytest.mark.slow)])
@pytest.mark.parametrize("alphas", [{0: 0.05, 1: 0.4}, {0: 0.4, 1: 0.05}])
def test_each_property_keeps_its_own_level_on_average(alphas, n_draws):
    """The strict one has the rate .05 of its rank, the half-width of the lenient one is larger than it needs: four s.e."""
    rates = levels_kept(n_draws, alphas)
    errors = rates.std(axis=0, ddof=1) / np.sqrt(n_draws)
    strict = min(alphas, key=alphas.get)
    assert abs(rates.mean(axis=0)[strict] - 0.05) <= 4 * errors[strict]
    assert rates.mean(axis=0)[1 - strict] <= 0.2


def test_a_shift_keeps_every_level_at_a_row_and_the_largest_half_width_counts():
    """Rows of the heavier law, mean 1.5: the weights ask of each level for a half-width, and the row has the larger one."""
    ratio = LikelihoodRatio(lambda X: np.exp((X[:, 2] + X[:, 3]) / 3) / 1.5**2)

    def calibrated(alpha, properties=None):
        random = np.random.default_rng(7)
        aligned = AlignedRegressor(
            Hills(), properties or {0: 1, 1: 1}, alpha=alpha, confidence=None, shift=ratio, n_queries=1, random_state=0
        )
        return aligned.calibrate(hilly_rows(3000, random), X_reference=hilly_rows(200, random))

    fresh = hilly_rows(8000, np.random.default_rng(8), mean=1.5)
    for alphas in ({0: 0.05, 1: 0.3}, {0: 0.3, 1: 0.05}):
        aligned = calibrated(alphas)
        widths = [one.half_widths(ratio.weights(fresh)) for one in aligned.threshold_.scores]
        np.testing.assert_array_equal(aligned.threshold_.of_rows(fresh), np.maximum(*widths))
        # 3,000 weighted rows, worth some 1,500: sd of the rate .006, and .0025 of the fresh rows; four of both.
        rates = [rate.rate for _, rate in aligned.certify(fresh).separately]
        for rate, alpha in zip(rates, alphas.values(), strict=True):
            assert rate <= alpha + 0.03
        assert min(rates) >= 0.02


# Classes --------------------------------------------------------------------------------------------------------------


class Wavy:
    """Two classes with log-odds that fall in places along column 0, some of them beyond what floats tell from 0 and 1."""

    classes_ = np.array([0, 1])

    def __init__(self, steep=1.0):
        self.steep = steep

    def predict_proba(self, X):
        p = expit(self.steep * (3 * X[:, 1] * np.sin(8 * X[:, 0]) + X[:, 0] - 0.5))
        return np.column_stack([1 - p, p])

    def predict(self, X):
        return (self.predict_proba(X)[:, 1] > 0.5).astype(int)


def test_on_the_logit_scale_odds_are_multiplied_by_at_most_exp_lambda():
    """Either way, at every row whose probability is neither 0 nor 1; some rows use all of it."""
    random = np.random.default_rng(9)
    for steep in (1.0, 20.0):
        model, settings = Wavy(steep), {"scale": "logit", "alpha": 0.1, "confidence": None, "random_state": 0}
        aligned = AlignedClassifier(model, {0: 1}, **{"confidence": None, **settings}).calibrate(
            random.random((500, 2))
        )
        fresh = random.random((3000, 2))
        before, after = (one.predict_proba(fresh)[:, 1] for one in (model, aligned))
        inner = (before > 1e-12) & (before < 1 - 1e-4)
        factors = np.abs(logit(after[inner]) - logit(before[inner]))
        assert 0 < aligned.lambda_ < np.inf
        assert factors.max() <= aligned.lambda_ * (1 + 1e-9) + 1e-6
        assert factors.max() >= (0.99 if steep == 1 else 0.5) * aligned.lambda_
        assert ((after > 0) & (after < 1))[inner].all()


def test_with_an_increasing_probability_the_class_changes_at_most_once_along_a_line():
    random = np.random.default_rng(10)
    rows, model = random.random((400, 2)), Wavy()
    aligned = AlignedClassifier(model, {0: 1}, alpha=0, random_state=0).calibrate(rows)
    places = np.sort(rows[:, 0])
    lines = np.array([[place, other] for other in random.random(60) for place in places])

    def changes(one):
        return (np.diff(one.predict(lines).reshape(60, -1), axis=1) != 0).sum(axis=1)

    assert changes(model).max() >= 3
    assert changes(aligned).max() == 1
    assert (np.diff(aligned.predict(lines).reshape(60, -1), axis=1) >= 0).all()


# Streams --------------------------------------------------------------------------------------------------------------


def stream_rows(n_samples, random):
    return np.column_stack([random.choice(PLACES, n_samples), random.exponential(size=n_samples)])


@pytest.mark.slow
@pytest.mark.parametrize("n_streams", [80, pytest.param(1000, marks=pytest.mark.slow)])
def test_sequential_bounds_hold_at_all_times_on_either_side_and_are_no_wider_than_they_cost(n_streams):
    """The exact rate of the function: either bound ever fails in at most .1 of streams, binomial at 1e-3.

    A band twice as wide would not pass: at 400 rows the bounds lie at most 2.6 times as far from the rate as those of
    Clopper and Pearson for one look, on average, and no nearer than these; 2.1 and 2.3 times were measured.
    """
    settings = {"alpha": 0.3, "confidence": None, "query_law": "line", "random_state": 0}
    aligned = AlignedRegressor(Scaled(), {0: 1}, **{"confidence": None, **settings})
    aligned.calibrate(stream_rows(60, np.random.default_rng(11)), X_reference=REFERENCE)
    truth = np.exp(-aligned.lambda_ / LIMIT)
    wrong, widths = np.zeros(2, int), []
    for stream in range(n_streams):
        random = np.random.default_rng([stream, 12])
        sequence = SequentialCertificate(aligned, confidence=0.9, random_state=stream)
        for _ in range(4):
            sequence = sequence.update(stream_rows(100, random))
        wrong += [sequence.lower_bound > truth, sequence.upper_bound < truth]
        widths.append([sequence.rate - sequence.lower_bound, sequence.upper_bound - sequence.rate])
    assert (wrong <= binom.isf(1e-3, n_streams, 0.1)).all()
    once = 1.28 * np.sqrt(truth * (1 - truth) / 400)
    assert (np.mean(widths, axis=0) >= once).all()
    assert (np.mean(widths, axis=0) <= 2.6 * once).all()


def test_batches_of_a_stream_ask_other_queries():
    """The same rows come again and again, which coarse data do: their queries are drawn anew each time."""
    random = np.random.default_rng(13)
    coarse = np.column_stack([random.choice(PLACES, 200), random.integers(1, 4, 200).astype(float)])
    aligned = AlignedRegressor(Scaled(), {0: 1}, alpha=0.3, confidence=None, random_state=0)
    aligned.calibrate(coarse, X_reference=REFERENCE)
    sequence, counts = SequentialCertificate(aligned), [0]
    for _ in range(6):
        sequence = sequence.update(coarse)
        counts.append(round(sequence.rate * sequence.n_rows))
    assert len(set(np.diff(counts))) > 1


@pytest.mark.slow
@pytest.mark.parametrize("n_draws", [150, pytest.param(2000, marks=pytest.mark.slow)])
def test_with_confidence_the_alarm_for_violations_rings_hardly_more_often_than_stated(n_draws):
    """From the model to the alarm: confidence .9 and half of false_alarm .2 make at most .2, binomial at 1e-4.

    The exact rate is above alpha in P(Bin(99, .1) <= r) of calibrations, which is counted from both sides; an alarm that never
    rang would show nothing, so twice the rate must be noticed in at least half of the streams.
    """
    above = max(r for r in range(99) if binom.cdf(r, 99, 0.1) <= 0.1)
    exact = binom.cdf(above, 99, 0.1)
    rang = exceeded = noticed = 0
    for draw in range(n_draws):
        random = np.random.default_rng([draw, 14])
        settings = {"alpha": 0.1, "confidence": 0.9, "query_law": "line", "random_state": draw}
        aligned = AlignedRegressor(Scaled(), {0: 1}, **{"confidence": None, **settings})
        aligned.calibrate(stream_rows(99, random), X_reference=REFERENCE)
        exceeded += np.exp(-aligned.lambda_ / LIMIT) > 0.1
        monitor = Monitor(aligned, window=200, false_alarm=0.2).update(stream_rows(400, random))
        rang += monitor.rate.alarm
        if draw < 30:
            changed = stream_rows(400, random) * [1.0, 2.0]
            noticed += Monitor(aligned, window=200, false_alarm=0.2).update(changed).rate.alarm
    assert binom.ppf(5e-5, n_draws, exact) <= exceeded <= binom.isf(5e-5, n_draws, exact)
    assert rang <= binom.isf(1e-4, n_draws, 0.2)
    assert noticed >= 15


# Estimators -----------------------------------------------------------------------------------------------------------


def test_all_cores_give_what_one_gives():
    random = np.random.default_rng(15)
    rows, fresh = hilly_rows(600, random), hilly_rows(300, random)

    def calibrated(n_jobs):
        aligned = AlignedRegressor(Hills(), {0: 1, 1: 1}, alpha=0.1, confidence=None, n_jobs=n_jobs, random_state=0)
        return aligned.calibrate(rows)

    one, all_cores = calibrated(1), calibrated(-1)
    assert one.lambda_ == all_cores.lambda_
    np.testing.assert_array_equal(one.predict(fresh), all_cores.predict(fresh))
    assert one.certify(fresh) == all_cores.certify(fresh)


class Silent(Scaled):
    """Falls silent when told to."""

    answers = True

    def predict(self, X):
        return super().predict(X) if self.answers else np.full(len(X), np.nan)


def test_a_refusal_after_scoring_leaves_a_calibrated_estimator_as_it_was():
    """Rows whose scores cannot support alpha are known only when all of them were scored; so is a model that falls silent."""
    random = np.random.default_rng(16)
    rows, fresh = stream_rows(200, random), stream_rows(50, random)
    model = Silent()
    settings = {"alpha": 0.2, "confidence": None, "query_law": "line", "n_knots": 12, "random_state": 0}
    aligned = AlignedRegressor(model, {0: 1}, **{"confidence": None, **settings}).calibrate(rows, X_reference=REFERENCE)
    before, answers = dict(vars(aligned)), aligned.predict(fresh)

    def unchanged():
        assert vars(aligned).keys() == before.keys()
        assert all(vars(aligned)[name] is value for name, value in before.items() if name != "alpha")
        np.testing.assert_array_equal(aligned.predict(fresh), answers)

    aligned.set_params(max_half_width=aligned.lambda_ / 2)
    before["max_half_width"] = aligned.max_half_width
    with pytest.raises(CalibrationError):
        aligned.calibrate(stream_rows(200, random), X_reference=REFERENCE)
    unchanged()
    model.answers = False
    with pytest.raises(PredictionError):
        aligned.calibrate(stream_rows(200, random), X_reference=REFERENCE)
    model.answers = True
    unchanged()
    classifier = AlignedClassifier(LogisticRegression(), {0: 1}, alpha=0.1, confidence=None, random_state=0)
    assert not hasattr(classifier, "lambda_")
