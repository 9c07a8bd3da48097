"""What is known of real data before any model is fitted, each rule in at most five lines.

All rules are domain knowledge: a larger or better diamond does not cost less, wages level off with experience (Mincer),
so does spending on food with income (Engel), a hull's resistance rises ever faster with speed, more education or fewer
previous offences are no disadvantage, sex and race must not matter, a safer and roomier car is refused no more often. That
comments on a blog follow comments is stated by the literature on monotone networks (columns a51-a54 and a56-a59).
Columns that another column determines are dropped: with them, "all else equal" would say nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from alignconf.contract.property import Declaration
from alignconf.properties import Concave, Convex, Decreasing, Increasing, Invariant, Ordered

__all__ = ["SHAPES", "Shape"]


@dataclass(frozen=True)
class Shape:
    """A data set and the rule that predictions should obey on it.

    Parameters
    ----------
    target : str
        The column that is predicted.
    properties : Declaration
    models : tuple of str
        Names in ``benchmarks.models.PIPELINES``.
    alpha : float
    drop : tuple of str
        Columns that models do not see.
    transform : callable, optional
        What of the target is predicted, for example its logarithm.
    pos_label : label or None
        The class whose probability has the property; None for a regression.
    """

    target: str
    properties: Declaration
    models: tuple[str, ...]
    alpha: float
    drop: tuple[str, ...] = ()
    transform: Callable[[Any], Any] | None = None
    pos_label: Any = None


CUT = Ordered("cut", ["Fair", "Good", "Very Good", "Premium", "Ideal"])
COLOR = Ordered("color", ["J", "I", "H", "G", "F", "E", "D"])
CLARITY = Ordered("clarity", ["I1", "SI2", "SI1", "VS2", "VS1", "VVS2", "VVS1", "IF"])
DIAMONDS = [Increasing("carat"), CUT, COLOR, CLARITY]

CPS1985 = Concave("experience")

ENGEL = [Increasing("income"), Concave("income")]

YACHT = [Increasing("froude_number"), Convex("froude_number")]

ADULT = [Invariant("sex", order=["Female", "Male"]), Increasing("education_num")]

RACES = ["African-American", "Asian", "Caucasian", "Hispanic", "Native American", "Other"]
RACE, SEX = Invariant("race", order=RACES), Invariant("sex", order=["Female", "Male"])
COMPAS = [RACE, SEX, Increasing("priors_count")]

SAFETY = Decreasing("safety", order=["low", "med", "high"])
PERSONS = Decreasing("persons", order=["2", "4", "more"])
BUYING = Ordered("buying", ["low", "med", "high", "vhigh"])
CAR_EVALUATION = [SAFETY, PERSONS, BUYING]

BLOG_FEEDBACK = {f"a{i}": +1 for i in (51, 52, 53, 54, 56, 57, 58, 59)}

SHAPES = {
    "diamonds": Shape("price", DIAMONDS, ("boosted trees",), 0.05, drop=("x", "y", "z"), transform=np.log),
    "cps1985": Shape("wage", CPS1985, ("neural network",), 0.1, drop=("age",), transform=np.log),
    "engel": Shape("foodexp", ENGEL, ("cubic spline",), 0.1),
    "yacht": Shape("residuary_resistance", YACHT, ("support vectors", "gaussian process"), 0.1),
    "adult": Shape("income_gt_50k", ADULT, ("boosted classifier",), 0.05, drop=("education", "fnlwgt"), pos_label=1),
    "compas": Shape("two_year_recid", COMPAS, ("boosted classifier",), 0.05, pos_label=1),
    "blog_feedback": Shape("comments_24h", BLOG_FEEDBACK, ("boosted trees",), 0.05, transform=np.log1p),
    "car_evaluation": Shape(
        "acceptability", CAR_EVALUATION, ("boosted classifier", "forest classifier"), 0.05, pos_label="unacc"
    ),
}
