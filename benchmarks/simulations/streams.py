r"""Promises about streams of rows, and about outcomes.

* **Steering**: scores are exponential and three times as large from half time on; batches are delivered at the half-width of the
  moment. A half-width calibrated before the change is exceeded by a share of :math:`\alpha^{1/3}` of the rows after it.
* **Alarms** of a stream in which nothing changes: whether they ever ring.
* **Outcomes** around a delivered function: normal, of known standard deviation at each place, around a mean that the function
  misses by a known amount; the probability to be outside an interval is a finite sum over places and groups.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import numpy as np
from scipy.stats import norm

from alignconf import AlignedRegressor
from alignconf._typing import FloatArray
from alignconf.deployment.monitoring.drift import ExchangeabilityTest, RateTest
from alignconf.deployment.monitoring.following import SteeredHalfWidth
from benchmarks.simulations.delivered import FIT, REFERENCE
from benchmarks.simulations.modes import BREAKS, Mode, critical
from benchmarks.simulations.waves import PLACES, Wave

__all__ = ["MODES"]

ALPHA = 0.1

# Steering -------------------------------------------------------------------------------------------------------------

N_STREAM, BATCH, STEP, LAMBDA_MAX, CHANGE = 10_000, 100, 0.1, 12.0, 3.0

#: Whatever comes, no larger share is violated (but for scores beyond ``LAMBDA_MAX``, which are counted with it).
BOUND = ALPHA + (LAMBDA_MAX + STEP * BATCH) / (STEP * N_STREAM)


def _steered(n_draws: int, random: np.random.Generator, *, over: str) -> FloatArray:
    """Return shares of violated rows, of all or after the change; or whether the stream's own bound was passed."""
    found = np.empty(n_draws)
    for draw in range(n_draws):
        scores = random.exponential(size=(N_STREAM // BATCH, BATCH))
        scores[N_STREAM // BATCH // 2 :] *= CHANGE
        steered = SteeredHalfWidth(-np.log(ALPHA), ALPHA, STEP, LAMBDA_MAX)
        before = 0
        for batch in scores:
            before = steered.n_violated if 2 * steered.n_rows == N_STREAM else before
            steered = steered.update(batch)
        after = 2 * (steered.n_violated - before) / N_STREAM
        found[draw] = {"all": steered.rate, "after": after, "bound": steered.rate > steered.bound}[over]
    return found


def _static(n_draws: int, random: np.random.Generator) -> FloatArray:
    found = critical(random.exponential(size=(n_draws, N_STREAM // 2, 1)), ALPHA)
    rates: FloatArray = np.exp(-found / CHANGE)
    return rates


# Alarms ---------------------------------------------------------------------------------------------------------------

N_HISTORY, N_WATCHED, FALSE_ALARM = 99, 300, 0.05


def _changed(n_draws: int, random: np.random.Generator) -> FloatArray:
    """Scores of which half are zero, as those of models that mostly behave."""
    rang = np.empty(n_draws)
    for draw in range(n_draws):
        scores = random.exponential(size=N_HISTORY + N_WATCHED) * (random.random(N_HISTORY + N_WATCHED) < 0.5)
        test = ExchangeabilityTest.start(scores[:N_HISTORY], FALSE_ALARM)
        rang[draw] = test.update(scores[N_HISTORY:], random).alarm
    return rang


def _exceeded(n_draws: int, random: np.random.Generator) -> FloatArray:
    """Every row is violated with just the probability that is allowed."""
    streams = random.random((n_draws, 10 * N_WATCHED)) < ALPHA
    return np.array([RateTest(ALPHA, FALSE_ALARM).update(stream).alarm for stream in streams], dtype=np.float64)


# Outcomes -------------------------------------------------------------------------------------------------------------

N_LABELLED, COVERAGE, HARD = 99, 0.9, 3.0

#: The mean of outcomes less the delivered function, and their standard deviation, at each place.
MISSED_BY = 0.5 * np.sin(PLACES)
DEVIATION = 0.3 + PLACES / 5


@cache
def _aligned() -> AlignedRegressor:
    return AlignedRegressor(Wave(), {0: 1}, alpha=0).calibrate(REFERENCE)


def _sigma(X: FloatArray) -> FloatArray:
    sigma: FloatArray = DEVIATION[np.searchsorted(PLACES, X[:, 0])]
    return sigma


def _in_groups(X: FloatArray) -> FloatArray:
    return X[:, 1]


def _outside(
    n_draws: int, random: np.random.Generator, *, difficulty: bool, groups: bool, group: int | None
) -> FloatArray:
    """Return the exact probability to lie outside the interval, in one group or in all.

    Rows of group 1, a third, have three times the deviation. Groups are read off column 1, the scale, which is 1 for all that the
    model sees.
    """
    shares = np.array([2 / 3, 1 / 3]) if group is None else np.eye(2)[group]
    spread = DEVIATION[:, None] * np.array([1.0, HARD])
    sizes = DEVIATION if difficulty else np.ones(PLACES.size)
    rates = np.empty(n_draws)
    for draw in range(n_draws):
        at, hard = random.integers(0, PLACES.size, N_LABELLED), random.random(N_LABELLED) < 1 / 3
        X = np.column_stack([PLACES[at], np.ones(N_LABELLED)])
        y = FIT[at] + MISSED_BY[at] + spread[at, hard.astype(int)] * random.normal(size=N_LABELLED)
        label: Callable[[FloatArray], FloatArray] | None = (lambda _, hard=hard: hard.astype(int)) if groups else None
        outcome = _aligned().calibrate_outcome(X, y, difficulty=_sigma if difficulty else None, groups=label).outcome_
        widths = [outcome.half_width(one if groups else None, COVERAGE) for one in (0, 1)]
        reach = sizes[:, None] * np.array(widths)
        above = norm.sf((reach - MISSED_BY[:, None]) / spread)
        below = norm.cdf((-reach - MISSED_BY[:, None]) / spread)
        rates[draw] = (above + below).mean(axis=0) @ shares
    return rates


STEERED = f"{N_STREAM} exponential scores in batches of {BATCH}, three times as large from half time on"
OUTCOME = "outcomes normal around a mean that the function misses; a third has three times the deviation"
TARGET = round(1 - COVERAGE, 12)

MODES = (
    Mode("steered, all rows", BOUND, N_STREAM, partial(_steered, over="all"), note=f"{STEERED}; target is the bound"),
    Mode("steered, own bound passed", 0.0, N_STREAM, partial(_steered, over="bound"), note=STEERED),
    Mode("steered, after the change", ALPHA, N_STREAM, partial(_steered, over="after"), "reported", STEERED),
    Mode("static, after the change", ALPHA, N_STREAM, _static, BREAKS, f"{STEERED}; calibrated on the first half"),
    Mode("alarm of a change, false", FALSE_ALARM, N_WATCHED, _changed, note="exchangeable scores, half of them 0"),
    Mode("alarm of the rate, false", FALSE_ALARM, 10 * N_WATCHED, _exceeded, note="violated just as often as allowed"),
    Mode(
        "outcome outside its interval",
        TARGET,
        N_LABELLED,
        partial(_outside, difficulty=False, groups=False, group=None),
        note=OUTCOME,
    ),
    Mode(
        "outcome outside its interval, normalised",
        TARGET,
        N_LABELLED,
        partial(_outside, difficulty=True, groups=False, group=None),
        note=OUTCOME,
    ),
    Mode(
        "outcome by group, easy group",
        TARGET,
        N_LABELLED,
        partial(_outside, difficulty=True, groups=True, group=0),
        note=OUTCOME,
    ),
    Mode(
        "outcome by group, hard group",
        TARGET,
        N_LABELLED,
        partial(_outside, difficulty=True, groups=True, group=1),
        note=OUTCOME,
    ),
    Mode(
        "outcome pooled, hard group",
        TARGET,
        N_LABELLED,
        partial(_outside, difficulty=True, groups=False, group=1),
        BREAKS,
        OUTCOME,
    ),
)
