"""What is printed claims no more than was proved: levels in all their digits, bounds rounded to the safe side."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from alignconf import AlignedRegressor, CalibrationError, InputError, check
from alignconf.calibration.shift import LikelihoodRatio
from alignconf.certify.error_change import ErrorChange
from alignconf.certify.verdict import Verdict
from alignconf.certify.violation_rate import ViolationRate
from alignconf.deployment.monitoring.monitor import Monitor
from alignconf.deployment.monitoring.sequential import SequentialCertificate
from alignconf.tables import printed

REFERENCE = np.column_stack([np.tile([0.0, 1.0], 20), np.ones(40)])


class Falling:
    """``-z x``: column 0 is the place, column 1 the scale of the line."""

    def predict(self, X):
        return -X[:, 1] * X[:, 0]


def draw_rows(n_samples, seed):
    random = np.random.default_rng(seed)
    return np.column_stack([random.integers(0, 2, n_samples), random.uniform(0, 1, n_samples)]).astype(float)


def calibrated(n_rows=300, seed=0, **parameters):
    parameters = {"alpha": 0.1, "random_state": seed, "n_queries": 1} | parameters
    return AlignedRegressor(Falling(), {0: 1}, **parameters).calibrate(draw_rows(n_rows, seed), X_reference=REFERENCE)


# ---------------------------------------------------------------------------------------------------------------------
# Levels
# ---------------------------------------------------------------------------------------------------------------------
@settings(max_examples=60, deadline=None)
@given(st.floats(1e-12, 1 - 1e-12))
def test_a_level_is_printed_as_it_was_typed(value):
    assert float(printed.level(value)) == value
    assert float(printed.level_in_percent(value)[:-1]) == pytest.approx(100 * value, rel=1e-15)


@settings(max_examples=60, deadline=None)
@given(st.floats(1e-300, 1e300), st.integers(1, 9))
def test_bounds_are_rounded_outwards(value, digits):
    low, high = (Decimal(printed.rounded(value, direction, digits)) for direction in (ROUND_FLOOR, ROUND_CEILING))
    assert low <= Decimal(value) <= high
    assert high - low <= Decimal(value) * Decimal(10) ** (2 - digits)


def test_no_confidence_is_printed_as_certainty():
    """A confidence of .99995 and an alpha of .0123456789, wherever they are printed."""
    confidence, alpha = 1 - 0.05 / 1000, 0.0123456789
    aligned = calibrated(n_rows=1500, alpha=alpha, confidence=confidence)
    fresh = draw_rows(400, 7)
    certificate = aligned.certify(fresh, fresh[:, 0], confidence=confidence)
    sequence = SequentialCertificate(aligned, confidence=confidence).update(fresh)
    verdict = Verdict(ViolationRate(1, 100, confidence), alpha)
    texts = [aligned.calibration_.statement, str(aligned.calibration_), certificate.sentence, str(sequence), verdict.sentence,
             str(ErrorChange("error", 1.0, 1.0, 0.0, (0.0, 0.0), confidence)), certificate.to_html(),
             str(check(Falling(), fresh, {0: 1}, confidence=confidence, random_state=0))]  # fmt: skip
    for text in texts:
        assert "0.99995" in text or "99.995%" in text
        assert "confidence at least 1 " not in text
        assert "confidence 1 " not in text
        assert "(100%" not in text
    for text in (*texts[:3], texts[4], texts[6], str(Monitor(aligned, limit=alpha))):
        assert "0.0123456789" in text
        assert "0.0123457" not in text
        assert "0.0123 " not in text


def test_what_refuses_prints_levels_in_full():
    with pytest.raises(CalibrationError, match=r"alpha=0\.0123456789 with confidence=0\.99995"):
        calibrated(n_rows=20, alpha=0.0123456789, confidence=1 - 0.05 / 1000)


# ---------------------------------------------------------------------------------------------------------------------
# What is promised given that nothing was refused
# ---------------------------------------------------------------------------------------------------------------------
def test_what_is_said_of_accepted_calibrations_is_so():
    """Rates of 200 calibrations of 19 rows, half of which are refused: .150 on average, at most .1 / a. False alarm 1e-6.

    The score is ``z / 2`` where two places differ, z uniform; so the rate at a half-width h is
    the probability of a positive score times ``1 - 2 h``. Its law at the order statistic is Beta(2, 18), as for any
    continuous score; given that it is above its median its mean is .150.
    """
    law = beta(2, 18)
    exact = law.expect(lambda rate: rate, lb=law.median(), ub=1.0, conditional=True)
    assert exact == pytest.approx(0.150, abs=5e-4)
    free = [calibrated(19, seed, confidence=None) for seed in range(200)]
    share = np.mean(calibrated(4000, 1, alpha=0.5, confidence=None).critical_half_widths(draw_rows(40_000, 5)) > 0)
    rates = np.array([share * max(0.0, 1 - 2 * one.lambda_) for one in free])
    limit = np.median([one.lambda_ for one in free])
    accepted = np.array([one.lambda_ <= limit for one in free])
    assert abs(rates[accepted].mean() - exact) < 5 * rates[accepted].std() / np.sqrt(accepted.sum()) + 0.005
    assert rates.mean() < 0.1 + 5 * rates.std() / np.sqrt(200)
    assert rates[accepted].mean() <= 0.1 / accepted.mean()
    statement = calibrated(19, int(np.argmin([one.lambda_ for one in free])), confidence=None, max_half_width=1.0)
    words = statement.calibration_.statement
    assert "a half-width above 1.0 are refused" in words
    assert "at most alpha / a" in words


def test_accepted_calibrations_with_confidence_are_spoken_of_too():
    words = calibrated(300, confidence=0.95, max_half_width=0.5).calibration_.statement
    assert "a half-width above 0.5 are refused" in words
    assert "with probability at most 0.05," in words
    assert "at most 0.05 / a break it" in words
    assert "refused" not in calibrated(300, confidence=0.95).calibration_.statement


def test_a_monitor_keeps_the_limit_of_the_estimator():
    aligned = calibrated(300, confidence=None, max_half_width=0.5)
    wider = np.column_stack([draw_rows(1000, 3)[:, 0], np.full(1000, 5.0)])
    monitor = Monitor(aligned).update(wider)
    with pytest.raises(CalibrationError, match=r"needs the half-width 2\.5, which is more than max_half_width=0.5"):
        monitor.realigned()


def test_a_limit_needs_a_ratio_with_a_bound():
    ratio = LikelihoodRatio(lambda X: X[:, 1])
    with pytest.raises(InputError, match="max_half_width cannot be kept with a shift whose ratio has no bound"):
        calibrated(300, confidence=None, shift=ratio, max_half_width=1.0)
    bounded = LikelihoodRatio(lambda X: X[:, 1], largest=1.0)
    assert calibrated(300, confidence=None, shift=bounded, max_half_width=1.0).lambda_ <= 1.0
