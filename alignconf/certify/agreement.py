"""What declared rules have to do with the constraints that the model was trained with: sentences for audits and certificates."""

from __future__ import annotations

from collections.abc import Sequence

from alignconf._typing import Model
from alignconf.lines.own_constraints import OwnConstraint, own_constraint
from alignconf.queries.queries import PartQueries

__all__ = ["own_constraints"]


def own_constraints(function: Model, parts: Sequence[PartQueries]) -> tuple[OwnConstraint, ...]:
    """Return the model's own constraints in the features of declared orders, where they are known.

    Parameters
    ----------
    function : Model
    parts : sequence of PartQueries
        Of every part of the property, with the axes of its features.
    """
    ordered = [(rule, law.axis) for part in parts for rule in part.declared.lines for law in part.drawn_from]
    constraints = (own_constraint(function, rule, axis) for rule, axis in ordered)
    return tuple(constraint for constraint in constraints if constraint is not None)
