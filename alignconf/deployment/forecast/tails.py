r"""Tails: how fast the survival function of scores falls beyond the scores that were seen.

The ``k`` largest of ``m`` scores give a tail; carried on, it says with which probability a fresh score is larger than a size,
:math:`S(t) = P(s > t)`, and which size is exceeded once in ``n`` rows, :math:`S(t_n) = 1/n`.

``"jones2025"``
    as published: :math:`\log S(t) = a t + b` by least squares through the ten largest scores at the levels ``log(i / m)``.
``"unbiased"``
    the same line with levels ``digamma(i) - digamma(m + 1)``, sizes regressed on levels: for an exactly exponential tail the
    size expected over ``n`` rows has no bias (:mod:`alignconf.deployment.forecast.finite_sample`).
``"exponential"``
    :math:`S(u + y) = (k/m) e^{-y/\sigma}`, maximum likelihood: ``sigma`` is the mean excess over ``u``.
``"pareto"``
    generalized Pareto, :math:`S(u + y) = (k/m) (1 + \xi y / \sigma)^{-1/\xi}`, maximum likelihood (scipy).
``"selected"``
    exponential if the interval of ``xi`` holds 0, else generalized Pareto.
``"averaged"``
    the mean of the rates of generalized Pareto tails over what the data leave open:
    :mod:`alignconf.deployment.forecast.averaging`. The default.

References
----------
Jones, Tong, Mahfoud, ... and Leike (2025), Forecasting Rare Language Model Behaviors, arXiv:2502.16797; Pickands (1975),
doi:10.1214/aos/1176343003; Coles (2001), An Introduction to Statistical Modeling of Extreme Values, section 4.3.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import sqrt
from typing import Protocol

import numpy as np
from scipy.special import digamma
from scipy.stats import gamma, genpareto

from alignconf._typing import FloatArray
from alignconf.deployment.forecast.likelihood import ParetoLikelihood

__all__ = ["LogLine", "ParetoTail", "Tail", "n_largest", "tail_of"]

#: The ten largest scores of the published method.
JONES_LARGEST = 10
#: Excesses of which a likelihood is made: no fewer distinct ones, and no more of them (more only cost time).
FEWEST, MOST = 30, 2000
#: Level of the interval of ``xi`` that selects between exponential and generalized Pareto.
SELECTING = 0.9


class Tail(Protocol):
    """A survival function beyond what was seen."""

    @property
    def start(self) -> float:
        """Where the tail begins; below, scores are counted."""
        ...

    def log_rate(self, size: float) -> float:
        """Return the logarithm of the probability that a fresh score is larger than a size."""
        ...

    def size(self, log_rate: float) -> float:
        """Return the size that is exceeded with a probability, given by its logarithm."""
        ...

    def log_rate_between(self, size: float, confidence: float) -> tuple[float, float] | None:
        """Return a model-based interval for the logarithm of the rate; None where the method gives no interval."""
        ...


@dataclass(frozen=True)
class LogLine:
    """A straight line for the logarithm of the survival function: ``slope * t + intercept``."""

    start: float
    slope: float
    intercept: float

    def log_rate(self, size: float) -> float:
        """Return ``slope * size + intercept``, at most 0."""
        return min(0.0, self.slope * size + self.intercept)

    def size(self, log_rate: float) -> float:
        """Return the size at which the line has a value."""
        return (log_rate - self.intercept) / self.slope

    def log_rate_between(self, size: float, confidence: float) -> None:  # noqa: ARG002
        """Return None: ten points and a line say nothing about their error."""
        return


@dataclass(frozen=True, eq=False)
class ParetoTail:
    """A generalized Pareto tail beyond ``start``; exponential for ``shape = 0``.

    Parameters
    ----------
    start : float
    share : float
        Of the scores that are larger than ``start``.
    scale, shape : float
        ``sigma`` and ``xi``.
    excesses : (n_excesses,)
        What it was fitted to.
    """

    start: float
    share: float
    scale: float
    shape: float
    excesses: FloatArray = field(repr=False)

    def log_rate(self, size: float) -> float:
        """Return the logarithm of the survival function; minus infinity beyond the end of a bounded tail."""
        return float(np.log(self.share) + genpareto.logsf(size - self.start, self.shape, scale=self.scale))

    def size(self, log_rate: float) -> float:
        """Return the quantile."""
        conditional_rate = min(1.0, float(np.exp(log_rate - np.log(self.share))))
        return self.start + float(genpareto.isf(conditional_rate, self.shape, scale=self.scale))

    def log_rate_between(self, size: float, confidence: float) -> tuple[float, float]:
        """Return the profile likelihood interval; of an exponential tail, the exact interval of its mean excess."""
        excess = size - self.start
        if self.shape == 0.0:
            n_excesses = self.excesses.size
            ends = gamma.ppf([(1 - confidence) / 2, (1 + confidence) / 2], n_excesses) / n_excesses
            low, high = -excess * ends[::-1] / self.scale
        else:
            likelihood = ParetoLikelihood.of(self.excesses)
            rates = likelihood.log_survival(excess)[likelihood.within(confidence)]
            low, high = rates.min(), rates.max()
        return float(np.log(self.share) + low), float(np.log(self.share) + high)


def tail_of(method: str, largest: FloatArray, n_scores: int) -> Tail:
    """Return the tail of a method that fits a single tail, from the largest scores in falling order.

    ``largest`` holds one score more than the tail is fitted to: the start.
    """
    if method in ("jones2025", "unbiased"):
        return _log_line(method, largest[:-1], n_scores)
    start = float(largest[-1])
    excesses = largest[largest > start] - start
    share = excesses.size / n_scores
    if method == "selected":
        low, high = ParetoLikelihood.of(excesses).shape_interval(SELECTING)
        method = "exponential" if low <= 0 <= high else "pareto"
    if method == "exponential":
        return ParetoTail(start, share, float(excesses.mean()), 0.0, excesses)
    shape, _, scale = genpareto.fit(excesses, floc=0)
    return ParetoTail(start, share, float(scale), float(shape), excesses)


def n_largest(method: str, n_scores: int) -> tuple[int, ...]:
    """Return how many of the largest scores each tail of a method is fitted to."""
    if method in ("jones2025", "unbiased"):
        return (JONES_LARGEST,)
    root = int(min(max(2 * sqrt(n_scores), FEWEST), n_scores - 1, MOST))
    if method != "averaged":
        return (root,)
    twentieth = int(min(max(n_scores // 20, FEWEST), n_scores - 1, MOST))
    return (root, twentieth) if root != twentieth else (root,)


def _log_line(method: str, largest: FloatArray, n_scores: int) -> LogLine:
    """Return the line through the largest scores: published, or regressed the other way at unbiased levels."""
    ranks = np.arange(1, largest.size + 1)
    if method == "jones2025":
        slope, intercept = np.polyfit(largest, np.log(ranks / n_scores), 1)
        return LogLine(float(largest[-1]), float(slope), float(intercept))
    levels = digamma(ranks) - digamma(n_scores + 1)
    per_level, at_zero = np.polyfit(levels, largest, 1)
    return LogLine(float(largest[-1]), float(1 / per_level), float(-at_zero / per_level))
