"""The vocabulary: how a model can be asked to behave, one small class in each file.

Every class is a frozen :class:`alignconf.contract.property.Property`. It says what a tester would ask (queries: a few points of
a line and linear demands on the values there) and how a line is repaired; everything else is derived.
:func:`declare` turns what people type (``{"age": -1}``, ``"increasing"``) into properties.
"""

if __name__ != "alignconf.properties":
    raise ImportError(
        f"this package was imported as {__name__!r}, which would give every class a second identity; import it as "
        "'alignconf.properties'."
    )

from alignconf.properties.all_of import AllOf
from alignconf.properties.bounded import Bounded
from alignconf.properties.concave import Concave
from alignconf.properties.convex import Convex
from alignconf.properties.declare import declare
from alignconf.properties.decreasing import Decreasing
from alignconf.properties.diminishing_returns import DiminishingReturns
from alignconf.properties.dominates import Dominates
from alignconf.properties.elasticity import Elasticity
from alignconf.properties.increasing import Increasing
from alignconf.properties.invariant import Invariant
from alignconf.properties.invariant_under import InvariantUnder
from alignconf.properties.linear_property import LinearProperty
from alignconf.properties.lipschitz import Lipschitz
from alignconf.properties.non_crossing import NonCrossing
from alignconf.properties.ordered import Ordered
from alignconf.properties.plateau import Plateau
from alignconf.properties.rule import Rule
from alignconf.properties.slope_at_least import SlopeAtLeast
from alignconf.properties.slope_at_most import SlopeAtMost
from alignconf.properties.unimodal import Unimodal
from alignconf.properties.valley import Valley
from alignconf.properties.weakly_dominates import WeaklyDominates

__all__ = [
    "AllOf",
    "Bounded",
    "Concave",
    "Convex",
    "Decreasing",
    "DiminishingReturns",
    "Dominates",
    "Elasticity",
    "Increasing",
    "Invariant",
    "InvariantUnder",
    "LinearProperty",
    "Lipschitz",
    "NonCrossing",
    "Ordered",
    "Plateau",
    "Rule",
    "SlopeAtLeast",
    "SlopeAtMost",
    "Unimodal",
    "Valley",
    "WeaklyDominates",
    "declare",
]
