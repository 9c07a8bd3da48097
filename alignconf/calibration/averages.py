r"""With confidence, from several queries a row: the half-width at which averaged losses refuse a mean above ``alpha``.

Row ``i`` has the loss :math:`L_i(\lambda) = \frac1m \#\{q : \lambda < s_{iq}\}`, the share of its ``m`` queries that are
violated. With a **stake** :math:`0 \le \nu \le 1 / (1 - \alpha)` that is fixed before the rows are seen the capital

.. math:: W(\lambda) = \prod_{i \le n} \big(1 + \nu\, (\alpha - L_i(\lambda))\big)

is never negative, and does not decrease in :math:`\lambda`. The rule is

.. math:: \hat\lambda = \inf \{\lambda \ge 0 : W(\lambda) \ge 1 / \delta\} .

**Guarantee.** If rows are independent draws of one law, the violation rate at :math:`\hat\lambda` is at most :math:`\alpha`
with probability at least :math:`1 - \delta`.

*Proof.* Let :math:`p(\lambda) = E\,L_i(\lambda)` and :math:`\lambda^* = \inf\{\lambda : p(\lambda) \le \alpha\}`; as :math:`p`
is continuous from the right, :math:`p(\lambda^*) \le \alpha`. If :math:`\hat\lambda < \lambda^*` then the capital just below
:math:`\lambda^*`, where losses are :math:`L_i(\lambda^*-)` of mean :math:`p(\lambda^*-) \ge \alpha`, is at least
:math:`1/\delta`. Its expectation is :math:`(1 + \nu (\alpha - p(\lambda^*-)))^n \le 1`; now Markov. ∎

The product does not depend on the order of the rows. Queries at one row are alike, and the **design effect** ``d`` says how
much: the variance of a row's loss is ``d`` times that of a single query, between ``1/m`` (independent) and 1 (all the same).
Averaging pays where ``d`` is small; where it does not, one query a row with its exact binomial rank
(:mod:`alignconf.calibration.ranks`) gives the smaller half-width. Which of them is used is decided by ``n``, ``alpha``, the
confidence, and ``d`` as *reference* rows show it, which never calibrate; so is the stake.

References
----------
.. [1] Waudby-Smith, I. and Ramdas, A. (2024). Estimating means of bounded random variables by betting. Journal of the
   Royal Statistical Society B 86(1). arXiv:2010.09686
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import fsum, inf, log, log1p, nextafter

import numpy as np
from scipy.optimize import brentq

from alignconf._typing import FloatArray, IntArray
from alignconf.calibration.ranks import allowed_above, left_violated, rows_needed, too_few_rows
from alignconf.errors import CalibrationError
from alignconf.kernels.exact import as_fraction

__all__ = ["best_stake", "critical_of_averages", "design_effect", "is_averaged", "refuses_mean"]

#: What is taken for the design effect where there are no reference rows, and for how many of them that counts.
USUAL_EFFECT, USUAL_ROWS = 0.5, 50

#: Stakes that are compared, as shares of the largest.
STAKES = 2.0 ** (-np.arange(40) / 4)

EPSILON = float(np.finfo(np.float64).eps)


def design_effect(scores: FloatArray, alpha: float) -> float:
    """Return the variance of a row's loss over that of a single query, where about ``alpha`` of queries are violated.

    Parameters
    ----------
    scores : (n_rows, n_queries)
        Critical half-widths at rows that do not calibrate.
    alpha : float in (0, 1)

    Returns
    -------
    float in [1 / n_queries, 1]
        Few rows tell little: fifty rows of effect one half are added.
    """
    n_rows, n_queries = scores.shape
    seen = USUAL_EFFECT
    if n_rows > 1:
        half_width = np.sort(scores, axis=None)[scores.size - 1 - int(alpha * scores.size)]
        losses = (scores > half_width).mean(axis=1)
        rate = float(losses.mean())
        seen = float(losses.var(ddof=1)) / (rate * (1 - rate)) if 0 < rate < 1 else USUAL_EFFECT
    shrunk = (n_rows * min(seen, 1.0) + USUAL_ROWS * USUAL_EFFECT) / (n_rows + USUAL_ROWS)
    return float(max(shrunk, 1 / n_queries))


@lru_cache(maxsize=256)
def best_stake(n_rows: int, alpha: float, confidence: float, effect: float) -> tuple[float, float]:
    r"""Return the stake that leaves the largest rate, and that rate, if a row loses either 0 or one certain share.

    With the design effect :math:`d` that share is :math:`\ell = p + d (1 - p)` where the mean loss is :math:`p`, and the
    rate is the largest :math:`p` with :math:`n\, E \log(1 + \nu (\alpha - L)) \ge \log(1/\delta)`: a guide, not a guarantee.

    Parameters
    ----------
    n_rows : int
    alpha, confidence : float in (0, 1)
    effect : float in (0, 1]
    """
    level, needed = float(as_fraction(alpha)), -log(float(1 - as_fraction(confidence)))
    largest = largest_stake(alpha)

    def surplus(rate: float, stake: float) -> float:
        share = rate + effect * (1 - rate)
        growth = log1p(stake * level) * (1 - rate / share)
        return n_rows * (growth + log(max(1 + stake * (level - share), 1e-300)) * rate / share) - needed

    best = (largest, -1.0)
    for stake in (largest * STAKES).tolist():
        if surplus(0.0, stake) < 0:
            continue
        rate = float(brentq(surplus, 0.0, level, args=(stake,)))
        best = max(best, (stake, rate), key=lambda pair: pair[1])
    return best


def largest_stake(alpha: float) -> float:
    """Return the largest stake that no loss turns into a debt, rounded down."""
    return nextafter(float(1 / (1 - as_fraction(alpha))), 0.0)


def is_averaged(n_rows: int, n_queries: int, alpha: float, confidence: float, effect: float) -> bool:
    """Return whether the mean of several queries a row is expected to need the smaller half-width than one of them.

    Parameters
    ----------
    n_rows, n_queries : int
    alpha, confidence : float in (0, 1)
    effect : float
        See :func:`design_effect`.
    """
    if n_queries == 1 or n_rows < rows_needed(alpha, confidence):
        return False
    single = (allowed_above(n_rows, 1, alpha, confidence) + 1) / (n_rows + 1)
    return best_stake(n_rows, alpha, confidence, effect)[1] >= single


def critical_of_averages(
    values: FloatArray, rows: IntArray, n_rows: int, n_queries: int, alpha: float, confidence: float, stake: float
) -> tuple[float, int]:
    """Return the half-width of the rule above, and how many scores lie above it.

    Parameters
    ----------
    values : (n_positive,)
        The positive scores, infinite where no half-width helps.
    rows : (n_positive,)
        Which row each is of.
    n_rows, n_queries : int
        All other scores are 0.
    alpha, confidence : float in (0, 1)
    stake : float in [0, 1 / (1 - alpha))

    Raises
    ------
    CalibrationError
        If there are too few rows, or more infinite scores than ``alpha`` allows.
    """
    of_rank = _by_rank(values, rows, n_queries)
    candidates = np.unique(np.append(values, 0.0))
    share = Fraction(1, n_queries)
    logs = np.array([log(1 + Fraction(stake) * (as_fraction(alpha) - k * share)) for k in range(n_queries + 1)])
    needed = -log(float(1 - as_fraction(confidence)))

    def passes(half_width: float) -> bool:
        # Rows with more than k queries above, so that sums are over counts and do not depend on the order of rows.
        more_than = [scores.size - int(np.searchsorted(scores, half_width, side="right")) for scores in of_rank]
        terms = -np.diff([n_rows, *more_than, 0]) * logs
        slack = 8 * EPSILON * (float(np.abs(terms).sum()) + needed)
        return fsum(terms) - slack >= needed

    if not passes(inf):
        raise CalibrationError(too_few_rows(n_rows, alpha, confidence))
    first, last = -1, candidates.size - 1
    while last - first > 1:
        middle = (first + last) // 2
        first, last = (first, middle) if passes(float(candidates[middle])) else (middle, last)
    half_width = float(candidates[last])
    if np.isinf(half_width):
        raise CalibrationError(
            left_violated(int(np.isinf(values).sum()), n_rows * n_queries, "more than may be", alpha)
        )
    return half_width, int((values > half_width).sum())


def refuses_mean(losses: FloatArray, candidate: float, confidence: float, stake: float) -> bool:
    """Return whether the capital of losses at one half-width refuses all means from ``candidate`` on, whatever their order.

    If the mean is ``candidate`` or more, this happens with probability at most ``1 - confidence``.

    Parameters
    ----------
    losses : (n_rows,) in [0, 1]
    candidate, confidence : float in (0, 1)
    stake : float in [0, 1 / (1 - candidate))
    """
    terms = np.log1p(stake * (candidate - losses))
    needed = -log(float(1 - as_fraction(confidence)))
    slack = 8 * EPSILON * (fsum(np.abs(terms)) + terms.size + needed)
    return fsum(terms) - slack >= needed


def _by_rank(values: FloatArray, rows: IntArray, n_queries: int) -> list[FloatArray]:
    """Return the largest positive scores of all rows, the second largest, and so on, each sorted."""
    order = np.lexsort((-values, rows))
    sorted_rows = rows[order]
    starts = np.flatnonzero(np.diff(sorted_rows, prepend=-1))
    rank = np.arange(rows.size) - np.repeat(starts, np.diff(np.append(starts, rows.size)))
    return [np.sort(values[order[rank == k]]) for k in range(n_queries)]
