"""Laws of scores with known tails: eleven on which the default forecast was chosen, and sixteen on which it was not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats
from scipy.optimize import brentq

from alignconf._typing import FloatArray

__all__ = ["EXPONENTIAL", "FAMILIES", "FRESH", "HEAVY", "MIXTURES", "Mixture"]


@dataclass(frozen=True)
class Mixture:
    """A law with a rare mode."""

    main: Any
    rare: Any
    weight: float

    def rvs(self, size: int, random_state: np.random.Generator) -> FloatArray:
        """Return independent draws."""
        is_rare = random_state.random(size) < self.weight
        both = [one.rvs(size, random_state=random_state) for one in (self.main, self.rare)]
        return np.asarray(np.where(is_rare, both[1], both[0]), dtype=np.float64)

    def sf(self, size: float) -> float:
        """Return the survival function."""
        return float((1 - self.weight) * self.main.sf(size) + self.weight * self.rare.sf(size))

    def isf(self, q: float) -> float:
        """Return the inverse of the survival function."""
        return float(brentq(lambda size: np.log(self.sf(size)) - np.log(q), 0.0, 60.0))


FAMILIES: dict[str, Any] = {
    "exponential": stats.expon(),
    "gumbel": stats.gumbel_r(),
    "gamma(2)": stats.gamma(2),
    "normal": stats.norm(),
    "lognormal": stats.lognorm(1),
    "weibull(.7)": stats.weibull_min(0.7),
    "beta(2, 5)": stats.beta(2, 5),
    "pareto(3)": stats.pareto(3),
    "t(5)": stats.t(5),
    "exponential, rare normal": Mixture(stats.expon(), stats.norm(30, 1), 1e-4),
    "normal, rare exponential": Mixture(stats.norm(), stats.expon(8, 1), 1e-4),
}
EXPONENTIAL = ("exponential", "gumbel", "gamma(2)")
HEAVY = ("pareto(3)",)
MIXTURES = ("exponential, rare normal", "normal, rare exponential")

FRESH: dict[str, Any] = {
    "laplace": stats.laplace(),
    "logistic": stats.logistic(),
    "gamma(5)": stats.gamma(5),
    "half normal": stats.halfnorm(),
    "rayleigh": stats.rayleigh(),
    "weibull(.5)": stats.weibull_min(0.5),
    "lognormal(.5)": stats.lognorm(0.5),
    "beta(3, 3)": stats.beta(3, 3),
    "uniform": stats.uniform(),
    "triangular": stats.triang(1.0),
    "pareto(10)": stats.genpareto(0.1),
    "lomax(4)": stats.lomax(4),
    "t(3)": stats.t(3),
    "t(8)": stats.t(8),
    "burr(2, 2)": stats.burr12(2, 2),
    "inverse gaussian": stats.invgauss(1),
}
