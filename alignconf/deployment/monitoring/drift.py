r"""Alarms that may be looked at after every row: tests whose evidence is a bet that pays only if something is wrong.

A gambler starts with a capital of 1 and bets on each row *before* it is seen, at odds that are fair, or worse, as long as
nothing is wrong. The capital is then a supermartingale, and Ville's inequality [1]_ says that it *ever* reaches
:math:`1/\delta` with probability at most :math:`\delta`. The alarm may be checked as often as one likes.

* :class:`ExchangeabilityTest`: have the scores of a stream another law than the calibration scores, or one that changes? The
  conformal p-value of a score against **all** that came before,
  :math:`p_t = (\#\{i < t : s_i > s_t\} + \theta_t (1 + \#\{i < t : s_i = s_t\})) / t` with private :math:`\theta_t`, is
  uniform and independent of the earlier ones if calibration rows and stream are exchangeable [2]_. A *simple jumper* spreads
  its capital over several bets, linear ones :math:`1 + \varepsilon (p_t - 1/2)` and some on small p-values, each of
  mean 1 for a uniform :math:`p_t`, and moves a share of it between them after each row.
* :class:`RateTest`: are more than a share ``limit`` of the rows violated? Likelihood ratios of every larger rate, averaged
  with equal weights.

P-values against a *fixed* calibration sample would not do: given the sample they are not uniform, and on a long stream
without any change the capital grows beyond all bounds.

References
----------
.. [1] Ville, J. (1939). Etude critique de la notion de collectif. Gauthier-Villars.
.. [2] Vovk, V., Gammerman, A. and Shafer, G. (2022). Algorithmic Learning in a Random World, 2nd ed., chapter 8. Springer.
   doi:10.1007/978-3-031-06649-8
.. [3] Ramdas, A., Grunwald, P., Vovk, V. and Shafer, G. (2023). Game-Theoretic Statistics and Safe Anytime-Valid Inference.
   Statistical Science 38(4). arXiv:2210.01948
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass, field, replace
from math import log
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import betaincc, betaln

from alignconf._typing import BoolArray, FloatArray, IntArray
from alignconf.errors import InputError
from alignconf.tables.checks import check_level

__all__ = ["ExchangeabilityTest", "RateTest", "check_scores", "jump", "log_evidence", "online_p_values", "rewards"]

#: Slopes of the linear bets.
SLOPES = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])

#: Bets on large scores: p-values up to the first number have the probability of the second. Most scores of a model that
#: mostly behaves are zero, and what linear bets see of a change in the few others is little.
TAILS = np.array([(share, factor * share) for share in (0.01, 0.05, 0.1, 0.25) for factor in (2, 3)])
N_BETS = SLOPES.size + len(TAILS)

#: The share of the capital that is spread evenly over all bets after each row.
JUMP = 0.001


@dataclass(frozen=True, eq=False)
class ExchangeabilityTest:
    """A test of whether a stream of scores still looks like the calibration scores, and like itself.

    *If the calibration scores and the stream are exchangeable, the alarm ever rings with probability at most*
    ``false_alarm``, *however long the stream.* It rings for any change of the law of scores, also to smaller ones.

    Memory is 8 bytes a row; an update costs a merge with the history.

    Parameters
    ----------
    history : (n_seen,)
        All scores so far, sorted; see :meth:`start`.
    false_alarm : float in (0, 1)
    accounts : (N_BETS,)
        Shares of the capital on each bet.
    log_capital, largest : float
        Now, and the largest so far.
    n_rows : int
        Rows of the stream so far.
    alarm_at : int or None
        The row of the stream, counted from 1, after which the alarm rang first. It keeps ringing.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> test = ExchangeabilityTest.start(random.exponential(size=200), false_alarm=0.01)
    >>> test.update(random.exponential(3.0, size=200), random).alarm
    True
    """

    history: FloatArray
    false_alarm: float
    accounts: FloatArray = field(default_factory=lambda: np.full(N_BETS, 1 / N_BETS))
    log_capital: float = 0.0
    largest: float = 0.0
    n_rows: int = 0
    alarm_at: int | None = None

    @classmethod
    def start(cls, scores: Any, false_alarm: float) -> ExchangeabilityTest:
        """Return the test before the stream, from the scores of the calibration rows, one for each row: (n_rows,)."""
        return cls(np.sort(check_scores(scores)), check_level("false_alarm", false_alarm))

    @property
    def alarm(self) -> bool:
        """Whether the capital ever reached ``1 / false_alarm``."""
        return self.alarm_at is not None

    def update(self, scores: Any, random: np.random.Generator) -> ExchangeabilityTest:
        """Return the test after more rows, in the order given: (n_rows,) scores and a generator not used before."""
        p_values, history = online_p_values(self.history, check_scores(scores), random)
        accounts, capital = self.accounts, self.log_capital
        path = np.empty(p_values.size)
        for row, paid in enumerate(rewards(p_values)):
            accounts, growth = jump(accounts, paid)
            capital += float(growth)
            path[row] = capital
        return replace(
            self,
            history=history,
            accounts=accounts,
            log_capital=capital,
            largest=max(self.largest, float(path.max(initial=-np.inf))),
            n_rows=self.n_rows + p_values.size,
            alarm_at=_first(self.alarm_at, self.n_rows, path >= -log(self.false_alarm)),
        )


@dataclass(frozen=True)
class RateTest:
    """A test of whether more than a share ``limit`` of a stream of queries is violated.

    *If, given all that came before, each row is violated with probability at most* ``limit``, *the alarm ever rings with
    probability at most* ``false_alarm``.

    Parameters
    ----------
    limit, false_alarm : float in (0, 1)
    n_violated, n_rows : int
        So far.
    alarm_at : int or None
        The row of the stream, counted from 1, after which the alarm rang first. It keeps ringing.

    Examples
    --------
    >>> test = RateTest(limit=0.1, false_alarm=0.01).update(np.array([True, False] * 20))
    >>> test.alarm_at, round(test.lower_bound, 3)
    (9, 0.246)
    """

    limit: float
    false_alarm: float
    n_violated: int = 0
    n_rows: int = 0
    alarm_at: int | None = None

    def __post_init__(self) -> None:
        check_level("limit", self.limit)
        check_level("false_alarm", self.false_alarm)

    @property
    def alarm(self) -> bool:
        """Whether the evidence against ``limit`` ever reached ``1 / false_alarm``."""
        return self.alarm_at is not None

    @property
    def log_evidence(self) -> float:
        """The logarithm of the capital now."""
        return float(log_evidence(np.array([self.n_violated]), np.array([self.n_rows]), self.limit)[0])

    @property
    def lower_bound(self) -> float:
        """A lower bound of the violation rate, if it is constant, that is *ever* wrong with probability ``false_alarm``."""
        if self.n_violated == 0:
            return 0.0
        violated, rows, threshold = np.array([self.n_violated]), np.array([self.n_rows]), -log(self.false_alarm)

        def missing(rate: float) -> float:
            return float(log_evidence(violated, rows, rate)[0]) - threshold

        # Below n_violated / (n_rows + 1) the evidence falls as the rate grows, as long as it is at least 1.
        highest = self.n_violated / (self.n_rows + 1)
        lowest = highest * 1e-12
        if missing(highest) >= 0:
            return highest
        if missing(lowest) <= 0:
            return 0.0
        return float(brentq(missing, lowest, highest, xtol=1e-15, rtol=1e-12))

    def update(self, violated: BoolArray) -> RateTest:
        """Return the test after more rows, in the order given: (n_rows,) truth values."""
        counts = self.n_violated + np.cumsum(violated)
        rows = self.n_rows + np.arange(1, counts.size + 1)
        reached = log_evidence(counts, rows, self.limit) >= -log(self.false_alarm)
        return replace(
            self,
            n_violated=self.n_violated + int(np.sum(violated)),
            n_rows=self.n_rows + counts.size,
            alarm_at=_first(self.alarm_at, self.n_rows, reached),
        )


def check_scores(scores: Any) -> FloatArray:
    """Return critical half-widths as (n_rows,) numbers, none negative and none missing; infinite values are allowed.

    Raises
    ------
    InputError
    """
    half_widths = np.asarray(scores, dtype=np.float64)
    if half_widths.ndim != 1 or not (half_widths >= 0).all():
        worst = (
            f"shape {half_widths.shape}"
            if half_widths.ndim != 1
            else f"{half_widths[~(half_widths >= 0)][0]} in row {np.argmin(half_widths >= 0)}"
        )
        raise InputError(
            f"scores must be (n_rows,) half-widths of at least 0, got {worst}; leave rows that lack all constrained features out."
        )
    return half_widths


def online_p_values(
    history: FloatArray, scores: FloatArray, random: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Return smoothed p-values, (n_rows,), each against the sorted history and the scores before it, and all scores, sorted."""
    theta = random.random(scores.size)
    above = history.size - np.searchsorted(history, scores, "right")
    equal = history.size - above - np.searchsorted(history, scores, "left")
    earlier: list[float] = []
    for row, score in enumerate(scores.tolist()):
        left, right = bisect_left(earlier, score), bisect_right(earlier, score)
        above[row] += row - right
        equal[row] += right - left
        insort(earlier, score)
    p_values = (above + theta * (1 + equal)) / (history.size + np.arange(1, scores.size + 1))
    return p_values, np.insert(history, np.searchsorted(history, earlier), earlier)


def rewards(p_values: FloatArray | float) -> FloatArray:
    """Return what each bet pays for a stake of 1 at p-values of any shape: (..., N_BETS), of mean 1 if they are uniform."""
    p = np.asarray(p_values)[..., None]
    share, probability = TAILS.T
    tails = np.where(p <= share, probability / share, (1 - probability) / (1 - share))
    return np.concatenate([1 + SLOPES * (p - 0.5), tails], axis=-1)


def jump(accounts: FloatArray, paid: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the accounts after one row, shares (..., N_BETS) of the capital, and the growth of its logarithm, (...,)."""
    earned = accounts * paid
    total = earned.sum(axis=-1, keepdims=True)
    return (1 - JUMP) * earned / total + JUMP / N_BETS, np.log(total[..., 0])


def log_evidence(violated: IntArray, rows: IntArray, limit: float) -> FloatArray:
    r"""Return the logarithm of the mean likelihood ratio of rates in ``(limit, 1)`` to ``limit``.

    With ``K`` of ``T`` violated, :math:`\frac{1}{1 - a} \int_a^1 \theta^K (1 - \theta)^{T - K} d\theta \,/\, a^K (1 - a)^{T -
    K}`. Each factor :math:`(\theta / a)^x ((1 - \theta) / (1 - a))^{1 - x}` has an expectation of at most 1 if the
    probability of :math:`x = 1` is at most ``a``, as it grows with that probability.
    """
    kept = rows - violated
    with np.errstate(divide="ignore"):
        mean = betaln(violated + 1, kept + 1) + np.log(betaincc(violated + 1, kept + 1, limit))
    log_ratio: FloatArray = mean - violated * log(limit) - (kept + 1) * log(1 - limit)
    return log_ratio


def _first(before: int | None, n_rows: int, reached: BoolArray) -> int | None:
    """Return the first row at which a level was reached, counted from 1 over the whole stream."""
    if before is not None or not reached.any():
        return before
    return n_rows + int(np.argmax(reached)) + 1
