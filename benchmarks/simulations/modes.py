"""What a simulation is: a promise, what it must achieve, and numbers drawn to see whether it does.

Each draw is a whole calibration (or certificate, or stream) and yields one number, its **exact** violation rate where that is
known and an indicator otherwise. With mean ``achieved`` and standard error ``s`` of these numbers

* a promise **holds** if ``achieved <= target + 4 s``: if it is kept, it is found wanting with probability 0.003 % at most
  (normal approximation, one-sided);
* something that is not promised **breaks, as it should** if ``achieved > target + 5 s``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import TypeAlias

import numpy as np

from alignconf._typing import FloatArray
from alignconf.calibration.ranks import critical_half_width

__all__ = ["BREAKS", "FAILS", "HOLDS", "Mode", "Result", "critical"]

Simulate: TypeAlias = Callable[[int, np.random.Generator], FloatArray]

HOLDS, BREAKS, FAILS = "holds", "breaks, as it should", "FAILS"


@dataclass(frozen=True)
class Mode:
    """One line of the table.

    Parameters
    ----------
    name : str
    target : float
    n_rows : int
        Calibration rows of each draw, or rows of whatever is drawn.
    simulate : callable
        From a number of draws and a generator to numbers, (n_numbers,), whose mean is judged; fewer than draws where several
        share something.
    expected : str
        ``HOLDS``, ``BREAKS``, or another word: then the line is reported without a verdict.
    note : str
        The law that is drawn from, and what is counted.
    """

    name: str
    target: float
    n_rows: int
    simulate: Simulate
    expected: str = HOLDS
    note: str = ""

    def run(self, n_draws: int, random: np.random.Generator) -> Result:
        """Return the outcome of ``n_draws`` draws."""
        found = np.asarray(self.simulate(n_draws, random), dtype=np.float64)
        error = float(found.std(ddof=1)) / sqrt(found.size)
        return Result(self, n_draws, float(found.mean()), error)


@dataclass(frozen=True)
class Result:
    """What a simulation achieved.

    Parameters
    ----------
    mode : Mode
    n_draws : int
    achieved, standard_error : float
    """

    mode: Mode
    n_draws: int
    achieved: float
    standard_error: float

    @property
    def verdict(self) -> str:
        """Whether that is as it should be."""
        target, expected = self.mode.target, self.mode.expected
        if expected == HOLDS:
            return HOLDS if self.achieved <= target + 4 * self.standard_error + 1e-12 else FAILS
        if expected == BREAKS:
            return BREAKS if self.achieved > target + 5 * self.standard_error else FAILS
        return expected


def critical(scores: FloatArray, alpha: float, confidence: float | None = None) -> FloatArray:
    """Return ``lambda_`` of many calibrations, (n_draws,), from scores (n_draws, n_rows, n_queries)."""
    return np.array([critical_half_width(draw, alpha, confidence)[0] for draw in scores])
