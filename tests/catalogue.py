"""Properties of every kind: what is put to the laws, by hypothesis and by ``alignconf.testing.laws``."""

from __future__ import annotations

import numpy as np

from alignconf.properties import (
    AllOf,
    Bounded,
    Concave,
    Convex,
    Decreasing,
    DiminishingReturns,
    Dominates,
    Elasticity,
    Increasing,
    Invariant,
    InvariantUnder,
    LinearProperty,
    Lipschitz,
    NonCrossing,
    Ordered,
    Plateau,
    Rule,
    SlopeAtLeast,
    SlopeAtMost,
    Unimodal,
    Valley,
    WeaklyDominates,
)

CASES = [
    Increasing("a"),
    Increasing(3),
    Increasing("grade", order=["low", "mid", "high"]),
    Decreasing("a"),
    Decreasing("rank", order=(1, 2, 5)),
    AllOf(Decreasing("a")),
    AllOf(Increasing("a"), Decreasing("a")),
    AllOf(Increasing("a"), Decreasing("b")),
    AllOf(Increasing("a"), Increasing("b"), Decreasing("c")),
    AllOf(Decreasing("a"), Increasing("b"), Decreasing("b")),
    Ordered("grade", ["low", "mid", "high"]),
    Invariant("a"),
    Concave("a"),
    Convex("a"),
    Lipschitz("a", 2.0),
    Lipschitz("grade", 0.5, order=["low", "mid", "high"]),
    SlopeAtLeast("a", -0.5),
    SlopeAtMost("a", 1.5),
    Unimodal("a"),
    Unimodal("a", peak=3),
    Unimodal("a", peak=2.5),
    AllOf(Increasing("a"), Concave("a")),
    AllOf(Concave("a"), Decreasing("a")),
    AllOf(Increasing("a"), Convex("a")),
    AllOf(Lipschitz("a", 1.0), Increasing("a")),
    AllOf(Invariant("a"), Increasing("b")),
    Dominates("a", "b"),
    Plateau("a", beyond=4),
    Plateau("a", beyond=4.5, below=2.5),
    AllOf(Increasing("a"), Plateau("a", beyond=4)),
    Valley("a"),
    Valley("a", bottom=3),
    Valley("a", bottom=2.5),
]

#: About the outputs of a model with several.
OUTPUT_CASES = [NonCrossing(), NonCrossing(tol=0.1)]

#: About positive places.
POSITIVE_CASES = [
    Elasticity("a", -0.5, 1.5),
    Elasticity("a", high=-1),
    Elasticity("a", low=0.5),
    Elasticity("a", 1, 1),
]
CASES += POSITIVE_CASES


def swap(rows: np.ndarray) -> np.ndarray:
    """Exchange the first two columns."""
    return rows[:, [1, 0, *range(2, rows.shape[1])]]


def rotate(rows: np.ndarray) -> np.ndarray:
    """Move the first three columns on by one."""
    return rows[:, [2, 0, 1, *range(3, rows.shape[1])]]


def at_most_double(values: np.ndarray) -> np.ndarray:
    """The second value is at most twice the first, up to rounding."""
    return values[:, 1] <= 2 * values[:, 0] + 1e-12 * np.abs(values).max(axis=1)


def halve(values: np.ndarray) -> np.ndarray:
    """Nearest values with the second at most twice the first."""
    excess = np.maximum(values[:, 1] - 2 * values[:, 0], 0.0)
    return values + excess[:, None] * np.array([0.4, -0.2])


PLANE_CASES = [DiminishingReturns("a", "b"), DiminishingReturns("a", "b", tol=0.1)]

ORBIT_CASES = [
    Bounded(0),
    Bounded(-0.5, 1.5),
    Bounded(hi=1),
    Bounded(-0.5, where={0: 1.0}),
    InvariantUnder([swap]),
    InvariantUnder([rotate]),
    InvariantUnder([{0: 0.0}, {0: 1.0}], tol=0.1),
    LinearProperty([{0: 0.0}, {0: 1.0}], [1, -1]),
    LinearProperty([{0: 0.0}, {0: 0.5}, {0: 1.0}], [[1, -1, 0], [0, 1, -1], [-1, 2, -1]], [0, 0, 0.5]),
    LinearProperty([None], [[1], [-1]], [1, 0], words="a share"),
    Rule([{0: 0.0}, {0: 1.0}], at_most_double, halve),
    WeaklyDominates(0, 1),
    WeaklyDominates(1, 2, tol=0.1),
]
