"""Properties of every kind: what is put to the laws, by hypothesis and by ``alignconf.testing``."""

from __future__ import annotations

from alignconf.properties import (
    AllOf,
    Concave,
    Convex,
    Decreasing,
    Increasing,
    Invariant,
    Lipschitz,
    Ordered,
    SlopeAtLeast,
    SlopeAtMost,
    Unimodal,
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
]
