"""What alignment costs or gains in error, on labelled rows: the paired change with its interval.

``change = after - before`` is the mean of row-wise differences, with Student's t interval: approximate, the only number of a
certificate that is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

import numpy as np
from scipy.stats import ttest_1samp

from alignconf._typing import FloatArray

__all__ = ["ErrorChange", "RowErrors", "paired_change"]


@dataclass(frozen=True)
class RowErrors:
    """How wrong values of a function are at labelled rows: ``of`` maps (n_samples,) values to (n_samples,) errors."""

    measure: str
    of: Callable[[FloatArray], FloatArray]


@dataclass(frozen=True)
class ErrorChange:
    """Mean error before and after alignment on the same rows.

    ``change = after - before``, with its paired interval (Student's t on row-wise differences: approximate, the only
    number here that is).
    """

    measure: str
    before: float
    after: float
    change: float
    interval: tuple[float, float]
    confidence: float

    def __str__(self) -> str:
        """Return the change with its interval."""
        low, high = self.interval
        return (
            f"{self.measure} {self.before:.6g} before, {self.after:.6g} after: change {self.change:+.4g} "
            f"[{low:+.4g}, {high:+.4g}] ({self.confidence:.0%}, paired, approximate)"
        )


def paired_change(measure: str, before: FloatArray, after: FloatArray, confidence: float) -> ErrorChange:
    """Return the change of the mean of row-wise errors ``before`` and ``after``, both of shape (n_samples,)."""
    differences = after - before
    change = float(differences.mean())
    low, high = (change, change) if differences.size > 1 else (-inf, inf)
    if np.ptp(differences) > 0:
        interval = ttest_1samp(differences, 0.0).confidence_interval(confidence)
        low, high = float(interval.low), float(interval.high)
    return ErrorChange(measure, float(before.mean()), float(after.mean()), change, (low, high), confidence)
