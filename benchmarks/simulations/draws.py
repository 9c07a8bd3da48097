r"""What a query is, and whose: features most of whose values are one and the same, and models without interactions.

*Tied*: one of the twelve places of the wave has 97 % of the reference rows, so that 94 % of independent pairs coincide. Queries
are pairs that differ, each with its probability, and the rate is a finite sum over them.

*Additive*: :math:`f(x) = \sin(7 x_0) + x_1` falls between two places of column 0 at all rows or at none. Nothing depends on the
rows but which places they are asked about; if an integer seed fixed these, bounds would be wrong for all samples of rows or for
none. The rate is a finite sum over pairs of places, so that a bound is missed with a known probability.
"""

from __future__ import annotations

from functools import cache, partial
from itertools import combinations

import numpy as np
from scipy.stats import binom

from alignconf._typing import FloatArray
from alignconf.calibration.ranks import allowed_above
from alignconf.certify.violation_rate import rate_of
from alignconf.projectors.alignment import Alignment
from alignconf.projectors.preparation import prepare
from alignconf.properties import Increasing
from alignconf.queries.row_draws import RowDraws
from alignconf.tables.random_streams import CALIBRATE, CERTIFY, generator
from benchmarks.simulations.delivered import scores_of
from benchmarks.simulations.modes import Mode, critical
from benchmarks.simulations.waves import HEIGHTS, PLACES, Pieces, Wave, increasing_fit, pairs, wave_rows

__all__ = ["ADDITIVE", "COINCIDENCES", "COUNTS", "MODES", "exceeded_share", "missed_share"]

ALPHA, CONFIDENCE = 0.1, 0.95

#: Reference rows at each place of the wave.
COUNTS = np.array([2, 3, 3, 970, 3, 3, 3, 3, 2, 3, 3, 2])
COINCIDENCES = float(np.sum((COUNTS / COUNTS.sum()) ** 2))

#: Reference places of the additive model, rows of a certificate and of a calibration, and the fixed seeds.
ADDITIVE = np.sort(np.random.default_rng(60).random(60))
N_CERTIFIED, CERTIFIED_SEED = 200, 0
N_CALIBRATED, CALIBRATED_SEED = 100, 37

N_TIED = 99


class Additive:
    """The model ``sin(7 x0) + x1``."""

    def predict(self, X: FloatArray) -> FloatArray:
        """Return the values at rows."""
        values: FloatArray = np.sin(7 * X[:, 0]) + X[:, 1]
        return values


@cache
def _tied_alignment() -> Alignment:
    reference = np.column_stack([np.repeat(PLACES, COUNTS), np.ones(COUNTS.sum())])
    return prepare(Wave(), Increasing(0), reference, reference, norm="l2", n_knots=64)


@cache
def _tied_pairs() -> Pieces:
    return pairs(HEIGHTS, increasing_fit(HEIGHTS, COUNTS.astype(float)), masses=COUNTS)


def _tied(n_draws: int, random: np.random.Generator, *, confidence: float | None) -> FloatArray:
    """Return the exact violation rates of calibrations; with a confidence, whether each exceeds ``ALPHA``."""
    rows = wave_rows(random.exponential(size=n_draws * N_TIED), random)
    scores = scores_of(_tied_alignment(), rows, 1, random).reshape(n_draws, N_TIED, 1)
    rates = _tied_pairs().rate(critical(scores, ALPHA, confidence))
    return rates if confidence is None else (rates > ALPHA).astype(np.float64)


@cache
def _additive_alignment() -> Alignment:
    reference = np.column_stack([ADDITIVE, np.zeros(ADDITIVE.size)])
    return prepare(Additive(), Increasing(0), reference, reference, norm="l2", n_knots=64)


@cache
def _limits() -> FloatArray:
    """Return the half-width from which the delivered function passes each pair of places, (n_places, n_places)."""
    line = np.sin(7 * ADDITIVE)
    fit, limits = increasing_fit(line), np.zeros((ADDITIVE.size, ADDITIVE.size))
    for one, other in combinations(range(ADDITIVE.size), 2):
        at = [one, other]
        piece = Pieces.of_queries(np.array([[1.0, -1.0]]), line[None, at], fit[None, at], 1.0)
        limits[one, other] = piece.end.max(initial=0.0)
    return limits


def _rate(half_width: float) -> float:
    return float(np.mean(_limits()[np.triu_indices(ADDITIVE.size, 1)] > half_width))


def _half_width() -> float:
    """Return a half-width at which the rate is just below ``ALPHA``, as calibration finds it, between two limits."""
    limits = np.sort(_limits()[np.triu_indices(ADDITIVE.size, 1)])
    at = int(np.ceil(limits.size * (1 - 0.945 * ALPHA)))
    return float((limits[at - 1] + limits[at]) / 2)


def _needed(rows: FloatArray, seed: int, purpose: int) -> FloatArray:
    """Return the half-width that the query of each row needs, (n_rows,): the same seed, whatever the rows."""
    draws = RowDraws.of(rows, generator(seed, purpose))
    places = _additive_alignment().tester.draw(rows, 1, draws).parts[0].coordinates[:, 0, :, 0]
    needed: FloatArray = _limits()[tuple(np.searchsorted(ADDITIVE, places).T)]
    return needed


def _certified(n_draws: int, random: np.random.Generator) -> FloatArray:
    """Return whether the upper bound of a certificate is below the rate."""
    half_width = _half_width()
    rate, missed = _rate(half_width), np.empty(n_draws)
    for draw in range(n_draws):
        needed = _needed(random.random((N_CERTIFIED, 2)), CERTIFIED_SEED, CERTIFY)
        missed[draw] = rate_of(needed[:, None] > half_width, CONFIDENCE).upper_bound < rate
    return missed


def missed_share() -> float:
    """Return the probability with which the bound is missed: that of the counts whose bound is below the rate."""
    rate = _rate(_half_width())
    shares = binom.cdf(np.arange(N_CERTIFIED + 1), N_CERTIFIED, rate)
    return float(shares[shares < 1 - CONFIDENCE].max())


def exceeded_share() -> float:
    """Return the probability with which a rate exceeds ``ALPHA``: too few queries need the first half-width that leaves less.

    The rate falls in steps, and those that need at least that half-width are more than ``ALPHA`` of the queries.
    """
    limits = np.sort(_limits()[np.triu_indices(ADDITIVE.size, 1)])
    shares = 1 - np.searchsorted(limits, np.unique(limits)) / limits.size
    above = allowed_above(N_CALIBRATED, 1, ALPHA, CONFIDENCE)
    return float(binom.cdf(above, N_CALIBRATED, shares[shares > ALPHA].min()))


def _calibrated(n_draws: int, random: np.random.Generator) -> FloatArray:
    """Return whether the rate at the half-width of a calibration exceeds ``ALPHA``."""
    needed = np.stack([_needed(random.random((N_CALIBRATED, 2)), CALIBRATED_SEED, CALIBRATE) for _ in range(n_draws)])
    found = critical(needed[:, :, None], ALPHA, CONFIDENCE)
    return np.array([_rate(half_width) > ALPHA for half_width in found], dtype=np.float64)


TIED = "z h(x) at 12 places, one of which has 97 % of the reference rows, z exponential; pairs of different places"
SEEDED = "sin(7 x0) + x1 with 60 reference places; counted are samples of rows, all with the same integer seed,"

MODES = (
    Mode("tied features, 94% coincidences", ALPHA, N_TIED, partial(_tied, confidence=None), note=TIED),
    Mode(
        "tied features, confidence 0.95",
        1 - CONFIDENCE,
        N_TIED,
        partial(_tied, confidence=CONFIDENCE),
        note=f"{TIED}; exactly {binom.cdf(allowed_above(N_TIED, 1, ALPHA, CONFIDENCE), N_TIED, ALPHA):.4f}",
    ),
    Mode(
        "additive model, fixed seed: certificate, missed",
        1 - CONFIDENCE,
        N_CERTIFIED,
        _certified,
        note=f"{SEEDED} whose bound is below the rate",
    ),
    Mode(
        "additive model, fixed seed: confidence 0.95",
        1 - CONFIDENCE,
        N_CALIBRATED,
        _calibrated,
        note=f"{SEEDED} whose half-width leaves a rate above alpha; the rate falls in steps",
    ),
)
