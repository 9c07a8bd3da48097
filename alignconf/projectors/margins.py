r"""Margins: the scale on which a surrogate imitates a function, and the range that it keeps.

A surrogate is fitted by least squares. What it gets wrong of a probability near 0 or 1 is little in squares and much in
odds, and nothing keeps a sum of trees between 0 and 1. So a probability :math:`p` is imitated by its **margin**, the
log-odds :math:`\log p/(1 - p)`, and what comes back is cut to the range that the function itself has at the reference rows:
a repaired probability is 0 or 1 only if the model says so. Both ways are increasing, so order and invariance mean the same
on either scale. Values of a regression are their own margins, without limits.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from alignconf._typing import FloatArray

__all__ = ["LogOdds", "Margins", "OwnRange", "Values"]

#: Probabilities of exactly 0 (or 1) count as half the smallest distance from 0 (or 1) that is none, and at most half of this.
LARGEST_EDGE = 0.02


class Margins(ABC):
    """An increasing scale for the values of a function, and what values a surrogate may return."""

    @abstractmethod
    def fitted(self, values: FloatArray) -> Margins:
        """Return the scale with the range that a function has: its values at reference rows, (n_reference,)."""

    @property
    def limits(self) -> tuple[float, float]:
        """Limits that no repair need leave if the function itself keeps them: none are known."""
        return -np.inf, np.inf

    @abstractmethod
    def of(self, values: FloatArray) -> FloatArray:
        """Return the margins of values, of the same shape."""

    @abstractmethod
    def back(self, margins: FloatArray) -> FloatArray:
        """Return the values of margins, of the same shape."""


@dataclass(frozen=True)
class Values(Margins):
    """The values themselves, unlimited."""

    def fitted(self, values: FloatArray) -> Values:
        """Return this scale, which has no range."""
        return self

    def of(self, values: FloatArray) -> FloatArray:
        """Return the values."""
        return values

    def back(self, margins: FloatArray) -> FloatArray:
        """Return the margins."""
        return margins


@dataclass(frozen=True)
class OwnRange(Margins):
    """The values themselves, within the range of the function: for log-odds.

    Parameters
    ----------
    low, high : float
        Ends of the range.
    """

    low: float = -np.inf
    high: float = np.inf

    def fitted(self, values: FloatArray) -> OwnRange:
        """Return the scale with the range of values, (n_reference,)."""
        return OwnRange(float(values.min()), float(values.max()))

    def of(self, values: FloatArray) -> FloatArray:
        """Return the values."""
        return values

    def back(self, margins: FloatArray) -> FloatArray:
        """Return the margins, cut to the range."""
        values: FloatArray = np.clip(margins, self.low, self.high)
        return values


@dataclass(frozen=True)
class LogOdds(Margins):
    """The log-odds of probabilities, which come back within the range of the function.

    Parameters
    ----------
    low, high : float in [0, 1]
        Ends of the range.
    edges : (float, float)
        Distances from 0 and from 1 at which probabilities of exactly 0 and 1 count.
    """

    low: float = 0.0
    high: float = 1.0
    edges: tuple[float, float] = (LARGEST_EDGE / 2, LARGEST_EDGE / 2)

    def fitted(self, values: FloatArray) -> LogOdds:
        """Return the scale with the range of probabilities, (n_reference,)."""
        edges = [
            min(float(away.min(where=away > 0, initial=LARGEST_EDGE)), LARGEST_EDGE) / 2
            for away in (values, 1 - values)
        ]
        return LogOdds(float(values.min()), float(values.max()), (edges[0], edges[1]))

    @property
    def limits(self) -> tuple[float, float]:
        """The distances of the edges from 0 and from 1, or 0 and 1 where the function says these itself."""
        return self.edges[0] if self.low > 0 else 0.0, 1 - self.edges[1] if self.high < 1 else 1.0

    def of(self, values: FloatArray) -> FloatArray:
        """Return the log-odds of probabilities."""
        log_odds: FloatArray = logit(np.clip(values, self.edges[0], 1 - self.edges[1]))
        return log_odds

    def back(self, margins: FloatArray) -> FloatArray:
        """Return the probabilities of log-odds, cut to the range."""
        p: FloatArray = np.clip(expit(margins), self.low, self.high)
        return p
