"""Rows that come back changed by rounding, and rows that were copied, are noticed; chance is not.

False alarms: 2,000 draws for each law, at most the 0.999 quantile of a binomial count of what is promised.
"""

from __future__ import annotations

from io import StringIO

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, hypergeom
from sklearn.linear_model import LinearRegression

from alignconf import AlignedRegressor, InputError
from alignconf.errors import RepeatedRowsWarning
from alignconf.tables.repeats import FALSE_ALARM, fingerprints, surprising_crowding
from alignconf.tables.used_rows import UsedRows

random = np.random.default_rng(0)
ROWS = np.column_stack([random.normal(size=(400, 2)), random.poisson(0.3, 400), 1e4 * random.random(400)])
FRESH = np.column_stack([random.normal(size=(400, 2)), random.poisson(0.3, 400), 1e4 * random.random(400)])


def through_text(rows: np.ndarray, digits: int) -> np.ndarray:
    text = pd.DataFrame(rows).to_csv(index=False, float_format=f"%.{digits}g")
    return pd.read_csv(StringIO(text)).to_numpy(dtype=float)


COPIES = {
    "as it was": lambda rows: rows,
    "single precision": lambda rows: rows.astype(np.float32),
    "single precision and back": lambda rows: rows.astype(np.float32).astype(np.float64),
    "half precision": lambda rows: rows.astype(np.float16).astype(np.float64),
    "plus 1e-9": lambda rows: rows + 1e-9,
    "relative noise of 1e-9": lambda rows: rows * (1 + 1e-9 * np.random.default_rng(1).normal(size=rows.shape)),
    "relative noise of 1e-6": lambda rows: rows * (1 + 1e-6 * np.random.default_rng(1).normal(size=rows.shape)),
    "nine digits of text": lambda rows: through_text(rows, 9),
    "six digits of text": lambda rows: through_text(rows, 6),
    "standardised and back": lambda rows: (
        (rows - rows.mean(axis=0)) / rows.std(axis=0) * rows.std(axis=0) + rows.mean(axis=0)
    ),
    "as objects": lambda rows: rows.astype(np.float32).astype(object),
}


@pytest.fixture(scope="module")
def aligned() -> AlignedRegressor:
    model = LinearRegression().fit(ROWS, -ROWS[:, 0] + ROWS[:, 1])
    return AlignedRegressor(model, {0: 1}, alpha=0.2, random_state=0).calibrate(ROWS[:200], X_reference=ROWS[200:])


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)
def test_copies_are_noticed_and_fresh_rows_are_not(aligned, copy) -> None:
    for use, rows in (("calibration", ROWS[:200]), ("reference", ROWS[200:])):
        with pytest.raises(
            InputError, match=rf"X repeats \d+ of the 200 {use} rows in its 200 rows.*a certificate needs"
        ):
            aligned.used_rows_.refuse(np.asarray(copy(rows), dtype=float))
    aligned.used_rows_.refuse(np.asarray(copy(FRESH), dtype=float))


def test_copies_are_refused_where_a_promise_would_be_made(aligned) -> None:
    copied = ROWS[:200].astype(np.float32).astype(np.float64)
    with pytest.raises(InputError, match=r"a certificate needs rows that were used for nothing before"):
        aligned.certify(copied)
    with pytest.raises(InputError, match=r"an interval of outcomes needs rows that were used for nothing before"):
        aligned.calibrate_outcome(copied, copied[:, 0])
    with pytest.raises(InputError, match=r"repeats 200 of the 200 calibration rows .* an interval of outcomes needs"):
        aligned.calibrate_outcome(ROWS[:200], ROWS[:200, 0])
    assert not hasattr(aligned, "outcome_")
    aligned.calibrate_outcome(FRESH, FRESH[:, 0])
    with pytest.warns(
        RepeatedRowsWarning, match=r"in 24 significant bits\), row 0 being the first: .*Calibrate on other rows"
    ):
        AlignedRegressor(LinearRegression().fit(ROWS, ROWS[:, 0]), {0: 1}, alpha=0.2, random_state=0).calibrate(
            copied, X_reference=ROWS[:200]
        )


def test_rows_that_were_copied_to_be_more_are_refused(aligned) -> None:
    with pytest.raises(
        InputError, match=r"2000 of the 2000 rows of X repeat one another, far more than the calibration rows"
    ):
        aligned.certify(np.repeat(FRESH[:40], 50, axis=0))
    nearly = np.repeat(FRESH[:40], 50, axis=0) * (1 + 1e-9 * np.random.default_rng(2).normal(size=(2000, 4)))
    with pytest.raises(
        InputError, match=r"rows of X repeat one another \(compared in \d+ significant bits\), far more"
    ):
        aligned.certify(nearly)
    with pytest.raises(InputError, match=r"repeat one another"):
        aligned.calibrate_outcome(np.repeat(FRESH, 3, axis=0), np.repeat(FRESH[:, 0], 3))


@pytest.mark.parametrize("rate", [0.3, 3.0, 300.0])
def test_coarse_rows_are_not_refused(rate) -> None:
    """Counts that repeat one another often, sometimes and seldom, 300 draws of known and fresh rows each."""
    source = np.random.default_rng(3)
    refused = 0
    for _ in range(300):
        used = UsedRows.of(calibration=source.poisson(rate, (150, 2)))
        refused += bool(used.complaint(used.compared(source.poisson(rate, (400, 2)))))
    assert refused <= binom.ppf(0.999, 300, FALSE_ALARM)


@pytest.mark.parametrize("n_atoms", [20, 1000, 50_000])
def test_chance_is_not_called_crowding(n_atoms) -> None:
    source, alarms = np.random.default_rng(4), 0
    for _ in range(2000):
        marks = source.integers(n_atoms, size=500).astype(np.uint64)
        alarms += surprising_crowding(marks[:300], marks[300:], false_alarm=0.01)
    assert alarms <= binom.ppf(0.999, 2000, 0.01)


def test_crowding_is_a_hypergeometric_tail() -> None:
    """12 fresh rows, 6 values twice each, and 10 known rows, one of which equals one of them: 13 of 22 crowded, one is known."""
    fresh, known = np.repeat(np.arange(6), 2).astype(np.uint64), np.r_[0, 100:109].astype(np.uint64)
    p = hypergeom.cdf(1, 22, 13, 10)
    assert surprising_crowding(fresh, known, false_alarm=p * (1 + 1e-9))
    assert not surprising_crowding(fresh, known, false_alarm=p * (1 - 1e-9))
    assert not surprising_crowding(np.arange(50).astype(np.uint64), known)
    assert not surprising_crowding(fresh, known[:0])


def test_rounded_fingerprints_are_those_of_rounded_numbers() -> None:
    numbers = np.random.default_rng(5).normal(size=(2000, 1)) * 10.0 ** np.random.default_rng(6).integers(
        -3, 4, (2000, 1)
    )
    for bits, kind in ((24, np.float32), (11, np.float16)):
        np.testing.assert_array_equal(fingerprints(numbers, bits=bits), fingerprints(numbers.astype(kind), bits=bits))
    np.testing.assert_array_equal(fingerprints(numbers, bits=53), fingerprints(numbers))
    signs = np.array([[0.0], [-0.0], [1e-9], [-1e-9], [np.nan], [np.inf]])
    marks = fingerprints(signs, bits=24)
    assert len(set(marks[:4].tolist())) == 1
    assert len(set(marks.tolist())) == 3
