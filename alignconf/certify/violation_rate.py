r"""Violation rates of a fixed function, as fresh rows show them.

One query is asked at each of ``N`` independent rows, ``K`` are rejected: ``K`` is binomial, and the Clopper-Pearson bound
:math:`\varepsilon_U = B^{-1}(1-\delta; K+1, N-K)` (a quantile of the beta law) is at least the violation rate with
probability at least :math:`1-\delta`, for any function and any ``N`` (:class:`ViolationRate`).

With ``m`` queries at each row the shares of rejected ones are independent draws in [0, 1], and their mean is bounded by
betting (:mod:`alignconf.calibration.betting`, :class:`AveragedRate`): queries at one row tell less than at several, but more
than one does.

References
----------
.. [1] Clopper, C. J. and Pearson, E. S. (1934). Biometrika 26(4). doi:10.1093/biomet/26.4.404
.. [2] Waudby-Smith, I. and Ramdas, A. (2024). Estimating means of bounded random variables by betting. Journal of the Royal
   Statistical Society B 86(1). arXiv:2010.09686
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR
from typing import Any

from scipy.stats import beta

from alignconf._typing import BoolArray
from alignconf.calibration.betting import upper_bound
from alignconf.tables.printed import percent

__all__ = ["AveragedRate", "ViolationRate", "rate_of"]


@dataclass(frozen=True)
class ViolationRate:
    """How often a fixed function was rejected: ``n_rejected`` of ``n_queries`` independent queries, and what follows.

    Parameters
    ----------
    n_rejected, n_queries : int
    confidence : float
        Of the one-sided ``upper_bound`` and ``lower_bound``, each by itself, and of the two-sided ``interval``.
    """

    n_rejected: int
    n_queries: int
    confidence: float

    @property
    def rate(self) -> float:
        """The share that was rejected."""
        return self.n_rejected / self.n_queries

    @property
    def upper_bound(self) -> float:
        """The violation rate is at most this, with the stated confidence (Clopper-Pearson, one-sided)."""
        if self.n_rejected == self.n_queries:
            return 1.0
        return float(beta.ppf(self.confidence, self.n_rejected + 1, self.n_queries - self.n_rejected))

    @property
    def lower_bound(self) -> float:
        """The violation rate is at least this, with the stated confidence (Clopper-Pearson, one-sided)."""
        if self.n_rejected == 0:
            return 0.0
        return float(beta.ppf(1 - self.confidence, self.n_rejected, self.n_queries - self.n_rejected + 1))

    @property
    def interval(self) -> tuple[float, float]:
        """Clopper-Pearson interval for the violation rate, two-sided."""
        tail = (1 - self.confidence) / 2
        k, n = self.n_rejected, self.n_queries
        low = 0.0 if k == 0 else float(beta.ppf(tail, k, n - k + 1))
        high = 1.0 if k == n else float(beta.ppf(1 - tail, k + 1, n - k))
        return low, high

    def to_dict(self) -> dict[str, Any]:
        """Return every figure under its name."""
        figures = {"n_rejected": self.n_rejected, "n_queries": self.n_queries, "confidence": self.confidence}
        bounds = {"lower_bound": self.lower_bound, "upper_bound": self.upper_bound, "interval": list(self.interval)}
        return figures | {"rate": self.rate} | bounds

    def __str__(self) -> str:
        """Return the rate with its interval."""
        low, high = self.interval
        return f"{self.rate:.2%} [{percent(low, ROUND_FLOOR)}, {percent(high, ROUND_CEILING)}]"


@dataclass(frozen=True)
class AveragedRate(ViolationRate):
    """A violation rate of several queries at each row, which are not independent of each other: bounds by betting.

    Parameters
    ----------
    n_rejected, n_queries, confidence
        Of all queries at all rows together.
    at_most : float
        One-sided bound.
    between : (float, float)
        Two-sided interval.
    """

    at_most: float = field(default=1.0)
    between: tuple[float, float] = field(default=(0.0, 1.0))

    @property
    def upper_bound(self) -> float:
        """The violation rate is at most this, with the stated confidence (betting, one-sided)."""
        return self.at_most

    @property
    def lower_bound(self) -> float:
        """The violation rate is at least this, with more than the stated confidence: the lower end of the interval."""
        return self.between[0]

    @property
    def interval(self) -> tuple[float, float]:
        """Interval for the violation rate, two-sided, half of the error probability on each side."""
        return self.between


def rate_of(rejected: BoolArray, confidence: float) -> ViolationRate:
    """Return the rate of rejected queries, from (n_samples, n_queries) answers at independent rows."""
    n_samples, n_queries = rejected.shape
    count = int(rejected.sum())
    if n_queries == 1:
        return ViolationRate(count, n_samples, confidence)
    shares = rejected.mean(axis=1)
    each_side = (1 + confidence) / 2
    between = (1 - upper_bound(1 - shares, each_side), upper_bound(shares, each_side))
    return AveragedRate(count, rejected.size, confidence, upper_bound(shares, confidence), between)
