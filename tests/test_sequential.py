"""Averaged queries, looks at any time, and rows that come back."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta, binom

from alignconf import AlignedRegressor
from alignconf.certify.violation_rate import AveragedRate, ViolationRate, rate_of
from alignconf.deployment.monitoring.sequential import SequentialCertificate
from alignconf.errors import InputError, NotCalibratedError, RepeatedRowsWarning
from tests.examples import shortened


class Wave:
    """Falls along column 0 by an amount that column 1 scales; rows differ in column 2, which does not matter."""

    def predict(self, X):
        return X[:, 1] * np.sin(7 * X[:, 0])


def rows(n_samples, seed):
    return np.random.default_rng(seed).random((n_samples, 3))


def align(**changes):
    return AlignedRegressor(
        Wave(), {0: 1}, **{"confidence": None, **{"alpha": 0.1, "random_state": 0, **changes}}
    ).calibrate(rows(400, 1), X_reference=rows(200, 2))


# Averaged queries ----------------------------------------------------------------------------------------------------


def test_one_query_a_row_is_clopper_pearson_and_several_are_bets() -> None:
    rejected = np.random.default_rng(0).random((300, 8)) < 0.1
    one, several = rate_of(rejected[:, :1], 0.95), rate_of(rejected, 0.95)
    assert type(one) is ViolationRate
    assert one.upper_bound == beta.ppf(0.95, one.n_rejected + 1, 300 - one.n_rejected)
    assert isinstance(several, AveragedRate)
    assert (several.n_rejected, several.n_queries) == (rejected.sum(), 2400)
    low, high = several.interval
    assert low < several.rate < several.upper_bound < high < one.upper_bound


@pytest.mark.slow
def test_averaged_bounds_cover_and_are_tighter_than_one_query() -> None:
    """Rows with their own rates, beta(1, 9), eight queries: misses at most 5 % within 3.5 standard errors of 1,000 (0.03 %)."""
    random = np.random.default_rng(1)
    missed, tighter = [], []
    for _ in range(1000):
        rejected = random.random((200, 8)) < random.beta(1, 9, (200, 1))
        several, one = rate_of(rejected, 0.95), rate_of(rejected[:, :1], 0.95)
        missed.append([several.upper_bound < 0.1, several.interval[0] > 0.1 or several.interval[1] < 0.1])
        tighter.append(several.upper_bound < one.upper_bound)
    assert (np.mean(missed, axis=0) <= 0.05 + 3.5 * np.sqrt(0.05 * 0.95 / 1000)).all()
    assert np.mean(tighter) > 0.7


def test_certificates_of_several_queries_say_so() -> None:
    aligned, fresh = align(), rows(500, 5)
    one, many = aligned.certify(fresh), aligned.certify(fresh, n_queries=20)
    assert (many.n_queries, many.n_rows) == (10_000, 500)
    assert "over the 500 rows certified" in many.sentence
    assert ", 20 at each row;" in many.sentence
    assert " at each row;" not in one.sentence
    assert many.upper_bound - many.delivered.rate < one.upper_bound - one.delivered.rate
    assert many.to_dict()["delivered"]["upper_bound"] == many.upper_bound
    assert many.distance_bound is not None
    with pytest.raises(InputError, match="n_queries must be a whole number of at least 1, got 0"):
        aligned.certify(fresh, n_queries=0)


def test_groups_have_averaged_rates_too() -> None:
    aligned = align(groups=lambda X: X[:, 2] > 0.5)
    certificate = aligned.certify(rows(400, 5), n_queries=6)
    assert sum(rate.n_queries for _, rate in certificate.separately) == 2400
    assert all(isinstance(rate, AveragedRate) for _, rate in certificate.separately)


# At any time ---------------------------------------------------------------------------------------------------------


def test_a_sequence_counts_what_single_certificates_count() -> None:
    aligned, fresh = align(), rows(3000, 7)
    sequence = SequentialCertificate(aligned)
    bounds = [sequence.upper_bound]
    for start in range(0, 3000, 500):
        sequence = sequence.update(fresh[start : start + 500])
        bounds.append(sequence.upper_bound)
    assert (np.diff(bounds) <= 0).all()
    assert bounds[0] == 1.0
    assert sequence.n_rows == 3000
    whole = aligned.certify(fresh).delivered
    assert abs(sequence.rate - whole.rate) < 4 * np.sqrt(2 * 0.1 * 0.9 / 3000)
    assert sequence.lower_bound < sequence.rate < sequence.upper_bound
    assert sequence.upper_bound < 1.35 * whole.upper_bound


@pytest.mark.slow
def test_bounds_hold_at_all_times_together() -> None:
    """So many streams of 4 batches of 100 rows: each bound wrong at the end, so ever, in at most 10 %, binomial at 3e-4."""
    aligned = align(alpha=0.3)
    truth = aligned.certify(rows(100_000, 3)).delivered.rate
    wrong, n_streams = np.zeros(2, int), shortened(150, 60)
    for stream in range(n_streams):
        sequence, fresh = SequentialCertificate(aligned, confidence=0.9, random_state=stream), rows(400, [stream, 1])
        for start in range(0, 400, 100):
            sequence = sequence.update(fresh[start : start + 100])
        wrong += [sequence.lower_bound > truth, sequence.upper_bound < truth]
    assert (wrong <= binom.isf(3e-4, n_streams, 0.1)).all()


def test_updates_leave_the_old_certificate_alone_and_are_reproducible() -> None:
    aligned, fresh = align(), rows(200, 4)
    first = SequentialCertificate(aligned)
    one, other = first.update(fresh).update(rows(100, 5)), first.update(fresh).update(rows(100, 5))
    assert (one.upper_bound, one.rate) == (other.upper_bound, other.rate)
    assert (first.n_rows, first.upper_bound) == (0, 1.0)
    assert str(first) == "No row has been asked yet."
    text = str(one)
    for words in (
        "at this and all other times together",
        "300 rows observed",
        "two different places drawn independently, given that they differ, from the marginal law of 0",
        "at least",
    ):
        assert words in text
    assert repr(one) == "<SequentialCertificate of AlignedRegressor after 300 rows>"


def test_missing_values_and_groups_in_a_stream() -> None:
    fresh = rows(200, 4)
    fresh[:20, 0] = np.nan
    sequence = (
        SequentialCertificate(align(groups=lambda X: X[:, 2] > 0.5), n_queries=3).update(fresh).update(rows(10, 8))
    )
    assert (sequence.n_rows, sequence.n_missing) == (190, 20)
    assert "20 rows lack all constrained features" in str(sequence)


def test_what_cannot_be_certified_at_any_time_is_refused() -> None:
    with pytest.raises(InputError, match="aligned must be an AlignedRegressor or AlignedClassifier"):
        SequentialCertificate(Wave())
    with pytest.raises(NotCalibratedError, match="has no lambda_ yet"):
        SequentialCertificate(AlignedRegressor(Wave(), {0: 1}, confidence=None))
    with pytest.raises(InputError, match=r"confidence must be above 0\.5"):
        SequentialCertificate(align(), confidence=0.4)
    sequence = SequentialCertificate(align()).update(rows(200, 4))
    with pytest.raises(InputError, match="X repeats 200 of the 200 earlier rows"):
        sequence.update(rows(200, 4))
    with pytest.raises(InputError, match="X repeats 400 of the 400 calibration rows"):
        sequence.update(rows(400, 1))


# Rows that come back -------------------------------------------------------------------------------------------------


def test_rows_that_calibrated_or_gave_the_law_do_not_certify() -> None:
    aligned = align()
    for used, words in ((rows(400, 1), "400 calibration rows"), (rows(200, 2), "200 reference rows")):
        with pytest.raises(InputError, match=f"X repeats {len(used)} of the {words} .* Give fresh rows"):
            aligned.certify(used)
        with pytest.raises(InputError, match="row 300 being the first"):
            aligned.certify(np.concatenate([rows(300, 9), used]))
    frame = pd.DataFrame(rows(400, 1), columns=list("abc"))
    framed = AlignedRegressor(Framed(), {"a": 1}, random_state=0, confidence=None).calibrate(frame)
    with pytest.raises(InputError, match="X repeats"):
        framed.certify(frame)


class Framed:
    def predict(self, X):
        return Wave().predict(X.to_numpy())


def test_calibration_rows_that_repeat_the_reference_rows_are_warned_about() -> None:
    X = rows(400, 1)
    with pytest.warns(
        RepeatedRowsWarning, match="X repeats 200 of the 200 X_reference rows .*: .* Calibrate on other rows"
    ):
        AlignedRegressor(Wave(), {0: 1}, random_state=0, confidence=None).calibrate(X, X_reference=X[:200])


def test_coarse_data_that_repeats_itself_is_no_reuse() -> None:
    """Five places and two scales: ten distinct rows in all, so that every fresh row was seen before."""
    random = np.random.default_rng(0)

    def coarse(n_samples):
        return np.column_stack([random.integers(0, 5, n_samples) / 4, random.integers(1, 3, n_samples)]).astype(float)

    aligned = AlignedRegressor(Wave(), {0: 1}, random_state=0, confidence=None).calibrate(
        coarse(400), X_reference=coarse(100)
    )
    assert aligned.certify(coarse(500)).n_queries == 500
