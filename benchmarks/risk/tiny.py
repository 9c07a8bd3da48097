"""Events of exactly known tiny probability: eight families, from a plane to sums over categories.

Each takes a probability and gives a score of independent standard normal numbers, their number, a threshold, and the exact
probability (of the nearest threshold, where a score takes few values).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from alignconf._typing import FloatArray

__all__ = ["FAMILIES", "Tiny", "linear"]


@dataclass(frozen=True, eq=False)
class Tiny:
    """A score, how many numbers it takes, and the exact probability that it exceeds the threshold."""

    score: Callable[[FloatArray], FloatArray]
    n_dimensions: int
    threshold: float
    probability: float


def linear(p: float, d: int) -> Tiny:
    """A sum: one half space."""
    return Tiny(lambda u: u.sum(axis=1) / np.sqrt(d), d, float(norm.isf(p)), p)


def two_sided(p: float, d: int = 10) -> Tiny:
    """Two modes, opposite each other."""
    return Tiny(lambda u: np.abs(u.sum(axis=1)) / np.sqrt(d), d, float(norm.isf(p / 2)), p)


def sparse_or(p: float, d: int) -> Tiny:
    """Either of two coordinates is large; the others do not matter."""
    each = -np.expm1(np.log1p(-p) / 2)
    return Tiny(lambda u: np.maximum(u[:, 0], u[:, 1]), d, float(norm.isf(each)), p)


def box(p: float, d: int = 6) -> Tiny:
    """All coordinates are large."""
    return Tiny(lambda u: u.min(axis=1), d, float(norm.isf(p ** (1 / d))), p)


def categories(p: float, d: int, n_values: int, seed: int = 0) -> Tiny:
    """A sum of whole-numbered effects of categories, exact by convolution; the order of categories says nothing."""
    random = np.random.default_rng([d, n_values, seed])
    shares = random.dirichlet(np.ones(n_values), d)
    effects = random.integers(0, 20, (d, n_values))
    law = np.ones(1)
    for share, effect in zip(shares, effects, strict=True):
        law = np.convolve(law, np.bincount(effect, weights=share, minlength=20))
    beyond = np.cumsum(law[::-1])[::-1]
    at = int(np.argmin(np.abs(np.log(np.maximum(beyond, 1e-300)) - np.log(p))))
    ends = np.cumsum(shares, axis=1)[:, :-1]

    def score(u: FloatArray) -> FloatArray:
        uniform = norm.cdf(u)
        columns = [effects[j][np.searchsorted(ends[j], uniform[:, j], side="right")] for j in range(d)]
        total: FloatArray = np.sum(columns, axis=0, dtype=np.float64)
        return total

    return Tiny(score, d, at - 0.5, float(beyond[at]))


FAMILIES: dict[str, Callable[[float], Tiny]] = {
    "linear, 10": lambda p: linear(p, 10),
    "linear, 30": lambda p: linear(p, 30),
    "two-sided, 10": two_sided,
    "sparse or, 10": lambda p: sparse_or(p, 10),
    "sparse or, 30": lambda p: sparse_or(p, 30),
    "box, 6": box,
    "12 categories of 8": lambda p: categories(p, 12, 8),
    "20 categories of 5": lambda p: categories(p, 20, 5),
}
