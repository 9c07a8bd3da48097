r"""The promise where rows lack some of the constrained features, or hold codes and values outside the range of a rule.

The model is :math:`f = z\,(h(x_0) + k(x_1))`, where a missing value and a code have levels of their own. Reference rows hold
every pair of places equally often, so that the nearest function increasing in :math:`x_0` and decreasing in :math:`x_1` is
:math:`g = z\,(\hat h(x_0) + \hat k(x_1))` with the two fits of a line each (SciPy): for any other member :math:`m` the residual
:math:`h - \hat h` meets :math:`\mathbb{E}[m \mid x_0]` only, which is increasing. A row that has one of the features alone keeps
the level of the other, :math:`g = z\,(\hat h(x_0) + k(x_1))`.

A query asks a row one pair of places of each feature that it has, and fails if either does; rows that have neither are left out.
Given the row, the two pairs are independent, so with :math:`\tau = \lambda / z` the share of failing queries is a step function
of :math:`\tau` and the violation rate, for exponential :math:`z`, a finite sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np
from scipy.stats import binom

from alignconf import AlignedRegressor
from alignconf._typing import FloatArray
from alignconf.contract.property import Property
from alignconf.properties import AllOf, Decreasing, Increasing
from benchmarks.simulations.modes import Mode
from benchmarks.simulations.waves import Pieces, increasing_fit, pairs

__all__ = ["LOSSES", "MODES", "Incomplete", "LossOfValues", "expected_rate", "violation_rates"]

ALPHA, N_ROWS, CODE = 0.1, 39, -9.0

PLACES = np.array([0.0, 1.0, 2.5, 4.0, 5.5, 7.0])
#: Levels of the places, and behind them of a value that is missing or a code.
H = np.array([2.0, 0.5, 3.0, 1.0, 2.6, 4.0, 5.0])
K = np.array([1.5, 2.5, 0.5, 1.2, 2.0, 0.0, -3.0])
ABSENT = PLACES.size


class Incomplete:
    """The model ``z (h(x0) + k(x1))``; columns are the two places and the scale."""

    def predict(self, X: FloatArray) -> FloatArray:
        """Return values, (n_samples,)."""
        X = np.asarray(X, dtype=np.float64)
        at = np.where(np.isnan(X[:, :2]) | (X[:, :2] == CODE), ABSENT, np.searchsorted(PLACES, np.nan_to_num(X[:, :2])))
        values: FloatArray = X[:, 2] * (H[at[:, 0]] + K[at[:, 1]])
        return values


@dataclass(frozen=True)
class LossOfValues:
    """How rows come to lack features.

    Parameters
    ----------
    probability : (n_places,)
        Of losing a value, for each place.
    mark : float
        What stands where a value is lost: NaN or a code.
    ends : (int, int)
        How many of the places are in the domain of each rule, from the first on.
    """

    probability: FloatArray
    mark: float = np.nan
    ends: tuple[int, int] = (ABSENT, ABSENT)

    @property
    def masses(self) -> FloatArray:
        """The probability of each place and of none, (n_places + 1,); the same for both features."""
        kept = (1 - self.probability) / ABSENT
        return np.append(kept, 1 - kept.sum())

    @property
    def rules(self) -> Property:
        """The two rules."""
        if np.isnan(self.mark):
            return AllOf(Increasing(0), Decreasing(1))
        first, second = ((0.0, float(PLACES[end - 1])) for end in self.ends)
        return AllOf(Increasing(0, special=[CODE], between=first), Decreasing(1, special=[CODE], between=second))

    @property
    def reference(self) -> FloatArray:
        """Reference rows of scale 1: all pairs of places, once each, and of what stands for lost values."""
        values = np.append(PLACES, self.mark)
        return np.array([(*pair, 1.0) for pair in product(values, values)])

    def rows(self, n_rows: int, random: np.random.Generator) -> FloatArray:
        """Return fresh rows, (n_rows, 3)."""
        chosen = random.choice(ABSENT + 1, size=(n_rows, 2), p=self.masses)
        return np.column_stack([np.append(PLACES, self.mark)[chosen], random.exponential(size=n_rows)])

    @property
    def fits(self) -> tuple[FloatArray, FloatArray]:
        """The nearest lines in the domains, (n_places + 1,) each, and what the model says elsewhere."""
        increasing, decreasing = H.copy(), K.copy()
        increasing[: self.ends[0]] = increasing_fit(H[: self.ends[0]])
        decreasing[: self.ends[1]] = -increasing_fit(-K[: self.ends[1]])
        return increasing, decreasing


def expected_rate(loss: LossOfValues) -> float:
    r"""Return the mean over calibrations, :math:`\mathbb{E}[\lfloor \alpha (n + 1) \rfloor / (n + 1)]`.

    ``n`` is the number of rows that can be asked; scores have no ties where they are positive.
    """
    asked = 1 - np.prod([loss.masses[end:].sum() for end in loss.ends])
    n = np.arange(N_ROWS + 1)
    return float(binom.pmf(n, N_ROWS, asked) @ (np.floor(ALPHA * (n + 1) + 1e-9) / (n + 1)))


def violation_rates(loss: LossOfValues, half_widths: FloatArray) -> FloatArray:
    """Return the exact violation rates among rows that can be asked, of the shape of ``half_widths``."""
    ends, shares = _failing(loss)
    drops = shares - np.append(shares[1:], 0.0)
    rates: FloatArray = np.exp(-np.asarray(half_widths)[..., None] / ends) @ drops
    return rates


def _failing(loss: LossOfValues) -> tuple[FloatArray, FloatArray]:
    """Return a step function of ``tau``: ends of steps, increasing, and the shares of queries that fail up to each."""
    lines = _lines(loss)
    ends = np.unique(
        np.concatenate([np.append(line.start, line.end) for pair in lines.values() for line in pair if line])
    )
    ends = ends[ends > 0]
    middle = (ends + np.append(0.0, ends[:-1])) / 2
    weights = {cell: loss.masses[cell[0]] * loss.masses[cell[1]] for cell in lines}
    total = sum(weights.values())
    shares = np.zeros(ends.size)
    for cell, pair in lines.items():
        passing = np.prod([1 - _share(line, middle) for line in pair if line], axis=0)
        shares += weights[cell] / total * (1 - passing)
    return ends, shares


def _lines(loss: LossOfValues) -> dict[tuple[int, int], list[Pieces | None]]:
    """Return, for rows of each kind that can be asked, the pairs of either feature; None for one that the row lacks."""
    increasing, decreasing = loss.fits
    first, second = (slice(0, end) for end in loss.ends)
    lines = {}
    for i, j in product(range(ABSENT + 1), repeat=2):
        along_first = pairs(H[first] + K[j], increasing[first] + decreasing[j]) if i < loss.ends[0] else None
        along_second = pairs(-H[i] - K[second], -increasing[i] - decreasing[second]) if j < loss.ends[1] else None
        if along_first or along_second:
            lines[i, j] = [along_first, along_second]
    return lines


def _share(line: Pieces, tau: FloatArray) -> FloatArray:
    """Return the share of pairs that fail, of the shape of ``tau``."""
    share: FloatArray = ((line.start < tau[:, None]) & (tau[:, None] < line.end)) @ line.share
    return share


def _calibrated(n_draws: int, random: np.random.Generator, *, loss: LossOfValues) -> FloatArray:
    """Return the exact violation rates of calibrations, each by ``AlignedRegressor.calibrate``."""
    aligned = AlignedRegressor(Incomplete(), loss.rules, alpha=ALPHA, n_queries=1, confidence=None)
    reference, half_widths = loss.reference, np.empty(n_draws)
    for draw in range(n_draws):
        rows = loss.rows(N_ROWS, random)
        aligned.set_params(random_state=int(random.integers(2**31))).calibrate(rows, X_reference=reference)
        half_widths[draw] = aligned.lambda_
    return violation_rates(loss, half_widths)


#: By the reason that a value is not there.
LOSSES = {
    "missing at random": LossOfValues(np.full(ABSENT, 0.4)),
    "missing by value": LossOfValues(np.linspace(0.05, 0.85, ABSENT)),
    "codes and ranges": LossOfValues(np.full(ABSENT, 0.3), CODE, (ABSENT - 1, ABSENT)),
}

NOTES = {
    "missing at random": "each of two features with rules is missing in 40 % of the rows",
    "missing by value": "each of two features with rules is missing, from the smallest value to the largest, in 5 % to 85 %",
    "codes and ranges": "each of two features with rules is a code in 30 % of the rows; one rule ends below the largest value",
}

MODES = tuple(
    Mode(f"rows as they come, {name}", ALPHA, N_ROWS, partial(_calibrated, loss=loss), note=NOTES[name])
    for name, loss in LOSSES.items()
)
